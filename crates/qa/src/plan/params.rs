use labelloop_core::Seed;
use serde::{Deserialize, Serialize};

use super::{AnnotatorModel, LabelDrift};
use crate::golden::require;
use crate::{GoldenParams, Result};

/// Parameters of [`golden_plan`](crate::golden_plan), before they are checked.
///
/// ```
/// use labelloop_qa::{LabelDrift, PlanParams};
///
/// let params = PlanParams { drifts: LabelDrift::WEAK.to_vec(), ..PlanParams::default() };
/// assert!(params.check().is_ok());
/// assert!(PlanParams { sizes: vec![50, 25], ..params }.check().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlanParams {
    /// Numbers of images to try, ascending.
    pub sizes: Vec<usize>,
    /// Drifts to find.
    pub drifts: Vec<LabelDrift>,
    /// How people label where nothing changed.
    pub people: AnnotatorModel,
    /// Calibration rounds of every check.
    pub n_calibration: usize,
    /// Rounds simulated for every drift and size.
    pub n_runs: usize,
    /// Probability with which a drift is to be found.
    pub power: f64,
    /// How rounds are checked. Fewer permutations than a real check has suffice, since runs are averaged.
    pub golden: GoldenParams,
    /// Where images and rounds come from.
    pub seed: Seed,
}

impl Default for PlanParams {
    fn default() -> Self {
        Self {
            sizes: vec![25, 50, 100, 200, 400],
            drifts: LabelDrift::STRONG.to_vec(),
            people: AnnotatorModel::default(),
            n_calibration: 3,
            n_runs: 200,
            power: 0.8,
            golden: GoldenParams { n_permutations: 199, ..GoldenParams::default() },
            seed: Seed::new(0),
        }
    }
}

/// Parameters within their ranges.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanValidParams(PlanParams);

impl PlanValidParams {
    /// The numbers.
    pub fn get(&self) -> &PlanParams {
        &self.0
    }
}

impl PlanParams {
    /// # Errors
    /// [`QaError::InvalidParam`](crate::QaError::InvalidParam) with the parameter, its value and its range; those of
    /// people, of people who drift, and of the check among them.
    pub fn check(&self) -> Result<PlanValidParams> {
        require(!self.sizes.is_empty(), "sizes", 0.0, "at least one number of images")?;
        for pair in self.sizes.windows(2) {
            require(pair[0] < pair[1], "sizes", pair[1] as f64, "ascending numbers of images")?;
        }
        for size in &self.sizes {
            require((2..=100_000).contains(size), "sizes", *size as f64, "from 2 to 100,000 images")?;
        }
        let n = self.n_calibration as f64;
        require(n <= 100.0, "n_calibration", n, "from 0 to 100")?;
        let n = self.n_runs as f64;
        require((20.0..=1e6).contains(&n), "n_runs", n, "from 20 to 1,000,000")?;
        require(0.0 < self.power && self.power < 1.0, "power", self.power, "a number above 0 and below 1")?;
        self.people.check()?;
        for drift in &self.drifts {
            let by = drift.strength();
            require(0.0 < by && by < 1.0, "drifts", by, "a share above 0 and below 1")?;
            drift.on(&self.people).check()?;
        }
        self.golden.check()?;
        Ok(PlanValidParams(self.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::QaError;

    fn refused(change: impl Fn(&mut PlanParams)) -> &'static str {
        let mut params = PlanParams::default();
        change(&mut params);
        match params.check() {
            Err(QaError::InvalidParam { name, .. }) => name,
            other => panic!("expected a parameter error, found {other:?}"),
        }
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let p = PlanParams::default();
        assert!(p.check().is_ok());
        assert_eq!(p.sizes, [25, 50, 100, 200, 400]);
        assert_eq!((p.n_calibration, p.n_runs, p.power, p.seed), (3, 200, 0.8, Seed::new(0)));
        assert_eq!((&p.drifts[..], p.people), (&LabelDrift::STRONG[..], AnnotatorModel::default()));
        assert_eq!(p.golden, GoldenParams { n_permutations: 199, ..GoldenParams::default() });
    }

    #[test]
    fn sizes_are_checked() {
        assert_eq!(refused(|p| p.sizes.clear()), "sizes");
        assert_eq!(refused(|p| p.sizes = vec![50, 50]), "sizes");
        assert_eq!(refused(|p| p.sizes = vec![1]), "sizes");
        assert_eq!(refused(|p| p.sizes = vec![100_001]), "sizes");
    }

    #[test]
    fn numbers_of_rounds_are_checked() {
        assert_eq!(refused(|p| p.n_calibration = 101), "n_calibration");
        assert_eq!(refused(|p| p.n_runs = 19), "n_runs");
    }

    #[test]
    fn power_is_checked() {
        assert_eq!(refused(|p| p.power = f64::NAN), "power");
        assert_eq!(refused(|p| p.power = 1.0), "power");
    }

    #[test]
    fn people_drifts_and_the_check_are_checked() {
        assert_eq!(refused(|p| p.people.miss = 2.0), "miss");
        assert_eq!(refused(|p| p.drifts = vec![LabelDrift::Missed(f64::NAN)]), "drifts");
        assert_eq!(refused(|p| p.drifts = vec![LabelDrift::Missed(0.0)]), "drifts");
        assert_eq!(refused(|p| p.golden.level = 0.0), "level");
    }
}
