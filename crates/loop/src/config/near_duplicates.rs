use labelloop_dataset::NearPolicy;
use serde::{Deserialize, Serialize};

use crate::lookalikes::LookParams;

/// `[near_duplicates]`
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NearDuplicatesConfig {
    /// Whether groups that look alike are merged before they are split, refused, or reported. Groups that have a split never
    /// move; pool pictures that look like val, golden or test pictures are kept out of selection and training either way.
    pub policy: NearPolicy,
    /// See [`LookParams::hash_bits`].
    pub hash_bits: u32,
    /// See [`LookParams::radius`].
    pub radius: f64,
}

impl Default for NearDuplicatesConfig {
    fn default() -> Self {
        let LookParams { hash_bits, radius } = LookParams::default();
        Self { policy: NearPolicy::Merge, hash_bits, radius }
    }
}

impl NearDuplicatesConfig {
    /// How close is too close.
    pub fn look(&self) -> LookParams {
        LookParams { hash_bits: self.hash_bits, radius: self.radius }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_merge_what_the_defaults_find() {
        let config = NearDuplicatesConfig::default();
        assert_eq!((config.policy, config.look()), (NearPolicy::Merge, LookParams::default()));
    }
}
