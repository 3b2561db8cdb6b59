use labelloop_core::Seed;
use serde::{Deserialize, Serialize};

use crate::golden::require;
use crate::{Margins, Result};

/// Parameters of [`scorecards`](crate::scorecards), before they are checked.
///
/// ```
/// use labelloop_qa::ScorecardParams;
///
/// assert!(ScorecardParams::default().check().is_ok());
/// assert!(ScorecardParams { fdr: f64::NAN, ..ScorecardParams::default() }.check().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScorecardParams {
    /// Boxes that overlap at least this much (IoU) are the same object.
    pub iou_threshold: f64,
    /// The share of flags that may be false, on average (Benjamini and Hochberg 1995).
    pub fdr: f64,
    /// Coverage of intervals.
    pub coverage: f64,
    /// Who answered for fewer pictures than this is not tested and not flagged.
    pub min_images: usize,
    /// Random exchanges of names; the smallest p-value is `1 / (n_permutations + 1)`.
    pub n_permutations: usize,
    /// Where the exchanges come from.
    pub seed: Seed,
    /// How much worse than the team somebody may be without harm.
    pub margins: Margins,
}

impl Default for ScorecardParams {
    fn default() -> Self {
        Self {
            iou_threshold: 0.5,
            fdr: 0.05,
            coverage: 0.95,
            min_images: 10,
            n_permutations: 9_999,
            seed: Seed::new(0),
            margins: Margins::default(),
        }
    }
}

/// Parameters within their ranges.
#[derive(Debug, Clone, PartialEq)]
pub struct ScorecardValidParams(pub(super) ScorecardParams);

impl ScorecardParams {
    /// # Errors
    /// [`QaError::InvalidParam`](crate::QaError::InvalidParam) with the parameter, its value and its range.
    pub fn check(&self) -> Result<ScorecardValidParams> {
        let open_unit = "a number above 0 and below 1";
        for (name, x) in
            [("iou_threshold", self.iou_threshold), ("fdr", self.fdr), ("coverage", self.coverage)]
        {
            require(0.0 < x && x < 1.0, name, x, open_unit)?;
        }
        let (least, n) = (self.min_images as f64, self.n_permutations as f64);
        require(1.0 <= least, "min_images", least, "at least 1")?;
        require((99.0..=1e7).contains(&n), "n_permutations", n, "from 99 to 10,000,000")?;
        for (name, margin) in self.margins.named() {
            require(0.0 <= margin && margin.is_finite(), name, margin, "a finite number of at least 0")?;
        }
        Ok(ScorecardValidParams(self.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::QaError;

    fn refused(change: impl Fn(&mut ScorecardParams)) -> &'static str {
        let mut params = ScorecardParams::default();
        change(&mut params);
        match params.check() {
            Err(QaError::InvalidParam { name, .. }) => name,
            other => panic!("expected a parameter error, found {other:?}"),
        }
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let p = ScorecardParams::default();
        assert_eq!((p.iou_threshold, p.fdr, p.coverage), (0.5, 0.05, 0.95));
        assert_eq!((p.min_images, p.n_permutations, p.seed), (10, 9_999, Seed::new(0)));
        assert_eq!(p.margins, Margins::default());
    }

    #[test]
    fn each_parameter_is_checked() {
        assert_eq!(refused(|p| p.iou_threshold = 0.0), "iou_threshold");
        assert_eq!(refused(|p| p.fdr = f64::NAN), "fdr");
        assert_eq!(refused(|p| p.coverage = 1.0), "coverage");
        assert_eq!(refused(|p| p.min_images = 0), "min_images");
        assert_eq!(refused(|p| p.n_permutations = 98), "n_permutations");
        assert_eq!(refused(|p| p.margins.shift = -0.1), "margins.shift");
    }
}
