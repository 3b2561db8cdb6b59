use labelloop_core::Seed;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::golden::require;

/// Parameters of [`golden_chart`](crate::golden_chart), before they are checked.
///
/// ```
/// use labelloop_qa::ChartParams;
///
/// let params = ChartParams { n_rounds: 52, ..ChartParams::default() };
/// assert!(params.check().is_ok());
/// assert!(ChartParams { false_alarm: f64::NAN, ..params }.check().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChartParams {
    /// What a CUSUM takes off every round, in standard deviations, where half the margin is less than that.
    pub k: f64,
    /// Probability that any of the charts signals within `n_rounds` rounds where nothing changed; half of it each for the
    /// Shewhart chart and the CUSUMs.
    pub false_alarm: f64,
    /// Rounds that `false_alarm` is stated for.
    pub n_rounds: usize,
    /// Histories simulated to find the limits.
    pub n_simulations: usize,
    /// Where the simulated histories come from.
    pub seed: Seed,
}

impl Default for ChartParams {
    fn default() -> Self {
        Self { k: 0.5, false_alarm: 0.05, n_rounds: 20, n_simulations: 10_000, seed: Seed::new(0) }
    }
}

/// Parameters within their ranges.
#[derive(Debug, Clone, PartialEq)]
pub struct ChartValidParams(ChartParams);

impl ChartValidParams {
    /// The numbers.
    pub fn get(&self) -> &ChartParams {
        &self.0
    }
}

impl ChartParams {
    /// # Errors
    /// [`QaError::InvalidParam`](crate::QaError::InvalidParam) with the parameter, its value and its range.
    pub fn check(&self) -> Result<ChartValidParams> {
        let (k, rate) = (self.k, self.false_alarm);
        require(0.0 < k && k <= 10.0, "k", k, "a number above 0 and up to 10")?;
        require(0.0 < rate && rate < 0.5, "false_alarm", rate, "a number above 0 and below 0.5")?;
        let n_rounds = self.n_rounds as f64;
        require((1.0..=1000.0).contains(&n_rounds), "n_rounds", n_rounds, "from 1 to 1,000")?;
        let n = self.n_simulations as f64;
        // Each limit rests on half of the rate; fewer than 20 histories beyond it would be no estimate.
        require(40.0 / rate <= n && n <= 1e6, "n_simulations", n, "from 40 / false_alarm to 1,000,000")?;
        Ok(ChartValidParams(self.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::QaError;

    fn refused(change: impl Fn(&mut ChartParams)) -> &'static str {
        let mut params = ChartParams::default();
        change(&mut params);
        match params.check() {
            Err(QaError::InvalidParam { name, .. }) => name,
            other => panic!("expected a parameter error, found {other:?}"),
        }
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let p = ChartParams::default();
        assert!(p.check().is_ok());
        assert_eq!((p.k, p.false_alarm, p.n_rounds, p.n_simulations), (0.5, 0.05, 20, 10_000));
        assert_eq!(p.seed, Seed::new(0));
    }

    #[test]
    fn k_is_checked() {
        assert_eq!(refused(|p| p.k = 0.0), "k");
        assert_eq!(refused(|p| p.k = f64::NAN), "k");
    }

    #[test]
    fn false_alarm_is_checked() {
        assert_eq!(refused(|p| p.false_alarm = 0.0), "false_alarm");
        assert_eq!(refused(|p| p.false_alarm = f64::NAN), "false_alarm");
    }

    #[test]
    fn n_rounds_is_checked() {
        assert_eq!(refused(|p| p.n_rounds = 0), "n_rounds");
        assert_eq!(refused(|p| p.n_rounds = 1001), "n_rounds");
    }

    #[test]
    fn n_simulations_must_be_enough_for_the_rate() {
        assert_eq!(refused(|p| p.n_simulations = 799), "n_simulations");
        assert_eq!(refused(|p| p.n_simulations = 1_000_001), "n_simulations");
    }

    #[test]
    fn a_config_file_may_name_a_few_and_no_unknown_ones() {
        let p: ChartParams = serde_json::from_str(r#"{"n_rounds":52}"#).unwrap();
        assert_eq!((p.n_rounds, p.k), (52, 0.5));
        assert!(serde_json::from_str::<ChartParams>(r#"{"rounds":52}"#).is_err());
    }
}
