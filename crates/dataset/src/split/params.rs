use labelloop_core::{Share, Split};
use serde::{Deserialize, Serialize};

use crate::GROUND_TRUTH;

/// Why split parameters cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitParamsError {
    /// A share outside 0 to 1.
    #[error("split share {name} is {found}: expected a number from 0 to 1")]
    Share {
        /// Which share.
        name: &'static str,
        /// Its value.
        found: f64,
    },
    /// Shares that do not add up.
    #[error("split shares add up to {found}: expected 1")]
    Sum {
        /// The sum found.
        found: f64,
    },
    /// No pool to learn from.
    #[error("split share pool is 0: expected a number above 0, since all new labels come from the pool")]
    NoPool,
}

/// How to deal groups out to test, val, golden and pool.
///
/// A split whose share is 0 gets no group; every other one gets at least one.
///
/// ```
/// # use labelloop_dataset::*;
/// let no_golden = SplitParams { golden: 0.0, pool: 0.7, ..SplitParams::default() };
/// assert_eq!(no_golden.check()?.n_needed(), 3);
/// assert!(SplitParams { test: 0.5, ..no_golden }.check().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SplitParams {
    /// Share of groups for the frozen test set. Default 0.15.
    pub test: f64,
    /// Share of groups that decide between iterations. Default 0.15.
    pub val: f64,
    /// Share of groups that watch the annotators. Default 0.05.
    pub golden: f64,
    /// Share of groups that new labels come from. Default 0.65.
    pub pool: f64,
    /// Key of the hash that orders the groups; another salt gives another split. Default `labelloop`.
    pub salt: String,
    /// Whether to spread classes over the splits. Default true.
    pub stratify: bool,
    /// Label field whose classes are spread. Default [`GROUND_TRUTH`].
    pub reference_field: String,
}

impl Default for SplitParams {
    fn default() -> Self {
        Self {
            test: 0.15,
            val: 0.15,
            golden: 0.05,
            pool: 0.65,
            salt: "labelloop".to_owned(),
            stratify: true,
            reference_field: GROUND_TRUTH.to_owned(),
        }
    }
}

/// Split parameters that were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitValidParams {
    pub(super) shares: [Share; 4],
    pub(super) salt: String,
    pub(super) stratify: bool,
    pub(super) reference_field: String,
}

impl SplitParams {
    /// # Errors
    /// [`SplitParamsError`] for a share outside `[0, 1]`, shares that do not add up to 1 within `1e-9`, or no pool.
    pub fn check(&self) -> Result<SplitValidParams, SplitParamsError> {
        let named = [("test", self.test), ("val", self.val), ("golden", self.golden), ("pool", self.pool)];
        let share = |(name, value)| {
            Share::new(name, value).map_err(|_| SplitParamsError::Share { name, found: value })
        };
        let [test, val, golden, pool] = named.map(share);
        let shares = [test?, val?, golden?, pool?];
        let found: f64 = shares.iter().map(|s| s.get()).sum();
        if !((found - 1.0).abs() <= 1e-9) {
            return Err(SplitParamsError::Sum { found });
        }
        if !(0.0 < self.pool) {
            return Err(SplitParamsError::NoPool);
        }
        Ok(SplitValidParams {
            shares,
            salt: self.salt.clone(),
            stratify: self.stratify,
            reference_field: self.reference_field.clone(),
        })
    }
}

impl SplitValidParams {
    /// Shares in the order of [`Split::ALL`].
    pub fn shares(&self) -> [Share; 4] {
        self.shares
    }

    /// Number of splits with a share above 0: the least number of groups that can be split.
    pub fn n_needed(&self) -> usize {
        self.shares.iter().filter(|s| s.get() > 0.0).count()
    }

    /// Label field whose classes are spread.
    pub fn reference_field(&self) -> &str {
        &self.reference_field
    }

    pub(super) fn is_used(&self, split: usize) -> bool {
        self.shares[split].get() > 0.0
    }
}

/// Position of a split in [`Split::ALL`].
pub(super) fn index(split: Split) -> usize {
    match split {
        Split::Test => 0,
        Split::Val => 1,
        Split::Golden => 2,
        Split::Pool => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_as_documented() {
        let p = SplitParams::default();
        assert_eq!((p.test, p.val, p.golden, p.pool), (0.15, 0.15, 0.05, 0.65));
        assert_eq!(
            (p.salt.as_str(), p.stratify, p.reference_field.as_str()),
            ("labelloop", true, "ground_truth")
        );
        assert_eq!(p.check().unwrap().n_needed(), 4);
    }

    #[test]
    fn each_bad_share_is_named() {
        for bad in [f64::NAN, -0.1, 1.1] {
            let d = SplitParams::default;
            let cases = [
                ("test", SplitParams { test: bad, ..d() }),
                ("val", SplitParams { val: bad, ..d() }),
                ("golden", SplitParams { golden: bad, ..d() }),
                ("pool", SplitParams { pool: bad, ..d() }),
            ];
            for (name, params) in cases {
                assert!(matches!(params.check(), Err(SplitParamsError::Share { name: n, .. }) if n == name));
            }
        }
    }

    #[test]
    fn sums_and_an_absent_pool_are_refused() {
        let p = SplitParams { test: 0.2, ..SplitParams::default() };
        assert!(matches!(p.check(), Err(SplitParamsError::Sum { .. })));
        let p = SplitParams { test: 0.8, pool: 0.0, ..SplitParams::default() };
        assert_eq!(p.check(), Err(SplitParamsError::NoPool));
    }

    #[test]
    fn a_config_cannot_hold_unknown_keys() {
        assert!(serde_json::from_str::<SplitParams>(r#"{"tset":0.1}"#).is_err());
        assert_eq!(serde_json::from_str::<SplitParams>("{}").unwrap(), SplitParams::default());
    }

    #[test]
    fn positions_follow_the_list() {
        for (i, split) in Split::ALL.into_iter().enumerate() {
            assert_eq!(index(split), i);
        }
    }
}
