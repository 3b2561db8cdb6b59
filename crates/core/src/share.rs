use serde::{Deserialize, Serialize};

use crate::{CoreError, Result};

/// A part of a whole, in `[0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Share(f64);

impl Share {
    /// # Errors
    /// [`CoreError::InvalidShare`] for NaN and for numbers outside `[0, 1]`; `name` says which parameter it was.
    pub fn new(name: &'static str, value: f64) -> Result<Self> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(CoreError::InvalidShare { name, found: value })
        }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Share {
    type Error = CoreError;

    fn try_from(value: f64) -> Result<Self> {
        Self::new("share", value)
    }
}

impl From<Share> for f64 {
    fn from(share: Share) -> Self {
        share.0
    }
}

/// Deals `total` indivisible things out by shares with the method of largest remainders (Hamilton).
///
/// Every part gets its quota rounded down; what is left goes to the largest remainders, the earlier part first among
/// equals. The parts add up to `total` and each is within one of its quota.
///
/// ```
/// use labelloop_core::{Share, apportion};
///
/// let shares = [0.30, 0.35, 0.21, 0.14].map(|s| Share::try_from(s).unwrap());
/// assert_eq!(apportion(10, &shares)?, [3, 4, 2, 1]);
/// # Ok::<(), labelloop_core::CoreError>(())
/// ```
///
/// # Errors
/// [`CoreError::ShareSum`] unless the shares add up to 1 within `1e-9`.
pub fn apportion(total: usize, shares: &[Share]) -> Result<Vec<usize>> {
    let sum: f64 = shares.iter().map(|s| s.0).sum();
    if !((sum - 1.0).abs() <= 1e-9) {
        return Err(CoreError::ShareSum { found: sum });
    }
    // A quota that is whole but for rounding error must not lose a unit to it.
    let quotas: Vec<f64> = shares
        .iter()
        .map(|s| s.0 * total as f64)
        .map(|q| if (q - q.round()).abs() < 1e-9 * (1.0 + q) { q.round() } else { q })
        .collect();
    let mut parts: Vec<usize> = quotas.iter().map(|q| q.floor() as usize).collect();
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by(|a, b| {
        (quotas[*b] - quotas[*b].floor()).total_cmp(&(quotas[*a] - quotas[*a].floor())).then(a.cmp(b))
    });
    let left = total.saturating_sub(parts.iter().sum());
    for i in order.into_iter().cycle().take(left) {
        parts[i] += 1;
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shares(values: &[f64]) -> Vec<Share> {
        values.iter().map(|v| Share::try_from(*v).unwrap()).collect()
    }

    #[test]
    fn reference_rounding_error_of_small_batches_is_gone() {
        // Flooring gives 3/3/2/2 here; the quotas are 3, 3.5, 2.1, 1.4.
        assert_eq!(apportion(10, &shares(&[0.3, 0.35, 0.21, 0.14])).unwrap(), [3, 4, 2, 1]);
        assert_eq!(apportion(0, &shares(&[0.5, 0.5])).unwrap(), [0, 0]);
    }

    #[test]
    fn wrong_sums_and_nan_are_refused() {
        assert!(apportion(3, &shares(&[0.5, 0.6])).is_err());
        assert!(apportion(3, &[]).is_err());
        assert!(Share::try_from(f64::NAN).is_err() && Share::try_from(1.1).is_err());
    }

    proptest! {
        #[test]
        fn parts_add_up_and_stay_within_one_of_their_quota(total in 0usize..5000, raw in prop::collection::vec(1u32..100, 1..8)) {
            let sum: u32 = raw.iter().sum();
            let s = shares(&raw.iter().map(|r| f64::from(*r) / f64::from(sum)).collect::<Vec<_>>());
            let parts = apportion(total, &s).unwrap();
            prop_assert_eq!(parts.iter().sum::<usize>(), total);
            for (part, share) in parts.iter().zip(&s) {
                prop_assert!((*part as f64 - share.get() * total as f64).abs() < 1.0 + 1e-6);
            }
        }
    }
}
