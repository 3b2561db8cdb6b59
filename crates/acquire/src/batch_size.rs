use labelloop_core::Share;
use serde::{Deserialize, Serialize};

use crate::{AcquireError, Notice, ParamError, Result};

/// How large the next batch should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchSizeParams {
    /// Share of what is left in the pool; 0.20 by default.
    pub share: f64,
    /// The least; 10 by default.
    pub min: usize,
    /// The most; none by default.
    pub max: Option<usize>,
}

impl Default for BatchSizeParams {
    fn default() -> Self {
        Self { share: 0.20, min: 10, max: None }
    }
}

impl BatchSizeParams {
    /// Checks every parameter.
    ///
    /// # Errors
    /// [`ParamError::Share`] and [`ParamError::SizeRange`].
    pub fn check(&self) -> Result<(), ParamError> {
        Share::new("share", self.share)?;
        let max = self.max.unwrap_or(usize::MAX);
        if !(1..=max).contains(&self.min) {
            return Err(ParamError::SizeRange { min: self.min, max });
        }
        Ok(())
    }
}

/// The size of the next batch, and a notice where the pool is smaller than the least.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchSize {
    /// How many samples.
    pub size: usize,
    /// Why it is less than `min`.
    pub notice: Option<Notice>,
}

/// The size of the next batch: a share of the remaining samples, rounded down, between `min` and `max`, and no more than
/// there are.
///
/// ```
/// use labelloop_acquire::{AcquireError, BatchSizeParams, batch_size};
///
/// let params = BatchSizeParams::default();
/// assert_eq!(batch_size(173, &params)?.size, 34);
/// assert_eq!(batch_size(20, &params)?.size, 10);
/// assert_eq!(batch_size(7, &params)?.size, 7); // all that is left, with a notice
/// assert!(matches!(batch_size(0, &params), Err(AcquireError::Exhausted)));
/// # Ok::<(), AcquireError>(())
/// ```
///
/// # Errors
/// [`AcquireError::Exhausted`] when nothing is left, and [`AcquireError::Param`].
pub fn batch_size(remaining: usize, params: &BatchSizeParams) -> Result<BatchSize> {
    params.check()?;
    if remaining == 0 {
        return Err(AcquireError::Exhausted);
    }
    let quota = params.share * remaining as f64;
    // A quota that is whole but for rounding error must not lose a unit to it.
    let by_share = (quota + 1e-9 * (1.0 + quota)).floor() as usize;
    let wanted = by_share.max(params.min).min(params.max.unwrap_or(usize::MAX));
    let size = wanted.min(remaining);
    let notice =
        (size < wanted).then_some(Notice::BudgetClamped { asked: wanted as f64, reached: size as f64 });
    Ok(BatchSize { size, notice })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn defaults_are_as_documented() {
        assert_eq!(BatchSizeParams::default(), BatchSizeParams { share: 0.2, min: 10, max: None });
    }

    #[test]
    fn each_wrong_parameter_is_refused() {
        let refused = |params: BatchSizeParams| batch_size(50, &params).unwrap_err().to_string();
        assert!(refused(BatchSizeParams { share: f64::NAN, ..Default::default() }).contains("share is NaN"));
        assert!(refused(BatchSizeParams { min: 0, ..Default::default() }).contains("min is 0"));
        assert!(refused(BatchSizeParams { max: Some(3), ..Default::default() }).contains("max 3"));
    }

    #[test]
    fn shares_that_are_whole_but_for_rounding_stay_whole() {
        let params = BatchSizeParams { share: 0.29, min: 1, max: None };
        assert_eq!(batch_size(100, &params).unwrap().size, 29);
        let tutorial = BatchSizeParams { share: 0.15, min: 1, max: Some(9) };
        assert_eq!(batch_size(6, &tutorial).unwrap().size, 1);
        assert_eq!(batch_size(600, &tutorial).unwrap().size, 9);
    }

    proptest! {
        #[test]
        fn never_empty_and_never_more_than_there_is(remaining in 1usize..5000, share in 0.0f64..=1.0, min in 1usize..50) {
            let params = BatchSizeParams { share, min, max: None };
            let batch = batch_size(remaining, &params).unwrap();
            prop_assert!((1..=remaining).contains(&batch.size));
            prop_assert_eq!(batch.notice.is_some(), remaining < min);
        }
    }
}
