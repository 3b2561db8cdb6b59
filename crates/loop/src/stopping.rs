//! When to stop, as pure rules over what has been measured.

use serde::{Deserialize, Serialize};

use crate::history::IterationRecord;
use crate::{LoopError, Result};

/// Limits of the stopping rules; names are those of the reference configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoppingParams {
    /// F1 on val to reach; the lower bound of its interval must reach it.
    pub target_f1: f64,
    /// The best F1 of the last rounds must beat the best before them by this much.
    pub plateau_threshold: f64,
    /// How many rounds the plateau looks back on.
    pub plateau_iterations: usize,
    /// Gap between train F1 and val F1 that counts as memorising.
    pub overfit_gap: f64,
    /// The most iterations there may be.
    pub max_iterations: u32,
}

impl Default for StoppingParams {
    fn default() -> Self {
        Self {
            target_f1: 0.98,
            plateau_threshold: 0.005,
            plateau_iterations: 3,
            overfit_gap: 0.05,
            max_iterations: 10,
        }
    }
}

impl StoppingParams {
    /// # Errors
    /// [`LoopError::Config`] naming the key that is out of range.
    pub fn check(&self) -> Result<()> {
        let share = |key, value: f64| {
            let expected = "a number from 0 to 1";
            if (0.0..=1.0).contains(&value) {
                Ok(())
            } else {
                Err(LoopError::Config { key, found: value.to_string(), expected })
            }
        };
        share("active_learning.target_f1", self.target_f1)?;
        share("active_learning.plateau_threshold", self.plateau_threshold)?;
        share("active_learning.overfit_gap", self.overfit_gap)?;
        let at_least_one = |key, value: u64| {
            if value == 0 {
                Err(LoopError::Config { key, found: "0".to_owned(), expected: "at least 1" })
            } else {
                Ok(())
            }
        };
        at_least_one("active_learning.plateau_iterations", self.plateau_iterations as u64)?;
        at_least_one("active_learning.max_iterations", u64::from(self.max_iterations))
    }
}

/// Why the loop ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
#[non_exhaustive]
pub enum StopReason {
    /// The lower bound of the F1 interval reached the target.
    TargetReached {
        /// F1 on val.
        f1: f64,
        /// Lower bound of its interval.
        lower: f64,
        /// The target.
        target: f64,
    },
    /// Newer rounds did not beat older ones.
    Plateau {
        /// Best of the last rounds minus best before them.
        improvement: f64,
        /// What it had to reach.
        threshold: f64,
        /// Rounds looked back on.
        iterations: usize,
    },
    /// The model memorises: the gap is surely above its limit, and val got worse.
    Overfit {
        /// Train F1 minus val F1.
        gap: f64,
        /// Lower bound of the gap.
        lower: f64,
        /// The limit.
        limit: f64,
    },
    /// Disagreement among annotators explains what is left.
    NoiseCeiling {
        /// F1 on val.
        f1: f64,
        /// Best F1 that labels of this quality let anybody show, at the same IoU.
        ceiling: f64,
        /// mAP50 on val.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        map50: Option<f64>,
        /// mAP50 of the truth against such labels, contested objects ranked first and last.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        map50_ceiling: Option<[f64; 2]>,
    },
    /// Nothing is left to label.
    PoolExhausted,
    /// The limit on iterations.
    MaxIterations {
        /// That limit.
        limit: u32,
    },
}

impl std::fmt::Display for StopReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TargetReached { f1, lower, target } => {
                write!(f, "target F1 reached: {f1:.4} with lower bound {lower:.4} >= {target:.4}")
            }
            Self::Plateau { improvement, threshold, iterations } => {
                write!(
                    f,
                    "plateau: improvement {improvement:.4} < {threshold:.4} over the last {iterations} iterations"
                )
            }
            Self::Overfit { gap, lower, limit } => {
                write!(
                    f,
                    "overfitting: train F1 - val F1 = {gap:.4} with lower bound {lower:.4} > {limit:.4}, and val F1 fell"
                )
            }
            Self::NoiseCeiling { f1, ceiling, map50, map50_ceiling } => {
                write!(
                    f,
                    "label noise: F1 {f1:.4} is within its interval of the ceiling {ceiling:.4} that these labels allow"
                )?;
                match map50.zip(*map50_ceiling) {
                    Some((map50, [low, high])) => {
                        write!(f, ", as is mAP50 {map50:.4} of {low:.4} to {high:.4}")
                    }
                    None => Ok(()),
                }
            }
            Self::PoolExhausted => f.write_str("pool exhausted: every sample of the pool is labelled"),
            Self::MaxIterations { limit } => write!(f, "iteration limit: {limit} iterations done"),
        }
    }
}

/// The first rule that fires after the last of `records`, which are in order of iteration.
///
/// The order is: target, noise ceiling, pool exhausted, plateau, overfit, iteration limit. Rules that need an F1 are
/// passed over in a round where it does not exist. `n_unlabelled` counts what could still be selected.
///
/// Noise ceiling (requirement 114): F1 on val must be within its interval of the ceiling that label noise puts on F1 at the
/// same IoU, and mAP50 within its interval of what the truth itself shows against such labels.
///
/// Plateau (requirement 147): `best(last k) - best(before) < threshold`; with fewer than `k + 1` rounds it is not
/// evaluated. Overfit (requirement 148): the reference stops on the point estimate of the gap, and even misjudges it.
/// Here the lower bound of the gap must exceed the limit *and* val F1 must have fallen since the round before, since a
/// gap that more labels are closing is no reason to stop labelling.
pub fn first_rule(
    records: &[IterationRecord],
    n_unlabelled: usize,
    params: &StoppingParams,
) -> Option<StopReason> {
    let last = records.last()?;
    target(last, params)
        .or_else(|| noise_ceiling(last))
        .or_else(|| (n_unlabelled == 0).then_some(StopReason::PoolExhausted))
        .or_else(|| plateau(records, params))
        .or_else(|| overfit(records, params))
        .or_else(|| {
            let done = last.iteration + 1;
            (params.max_iterations <= done)
                .then_some(StopReason::MaxIterations { limit: params.max_iterations })
        })
}

fn target(last: &IterationRecord, params: &StoppingParams) -> Option<StopReason> {
    let (f1, [lower, _]) = (last.f1?, last.f1_interval?);
    (params.target_f1 <= lower).then_some(StopReason::TargetReached { f1, lower, target: params.target_f1 })
}

/// Like is compared with like: F1 with the ceiling of F1, and where both are known mAP50 with that of mAP50. Whoever answers
/// with the truth and ranks it worst shows the lower end of the latter; below that, ranking is not to blame alone.
fn noise_ceiling(last: &IterationRecord) -> Option<StopReason> {
    let (f1, [_, upper], ceiling) = (last.f1?, last.f1_interval?, last.noise_ceiling?);
    let map50_ceiling = last.map50_ceiling.map(|c| [c.unranked, c.ranked]);
    let falls_short = |([_, upper], [low, _]): ([f64; 2], [f64; 2])| upper < low;
    if upper < ceiling || last.map50_interval.zip(map50_ceiling).is_some_and(falls_short) {
        return None;
    }
    Some(StopReason::NoiseCeiling { f1, ceiling, map50: last.map50, map50_ceiling })
}

fn plateau(records: &[IterationRecord], params: &StoppingParams) -> Option<StopReason> {
    let k = params.plateau_iterations;
    let f1s: Vec<f64> = records.iter().filter_map(|r| r.f1).collect();
    let n_before = f1s.len().checked_sub(k).filter(|n| 0 < *n)?;
    let best = |part: &[f64]| part.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let improvement = best(&f1s[n_before..]) - best(&f1s[..n_before]);
    (improvement < params.plateau_threshold).then_some(StopReason::Plateau {
        improvement,
        threshold: params.plateau_threshold,
        iterations: k,
    })
}

fn overfit(records: &[IterationRecord], params: &StoppingParams) -> Option<StopReason> {
    let [.., before, last] = records else { return None };
    let (train, val, [_, upper]) = (last.train_f1?, last.f1?, last.f1_interval?);
    let (gap, lower) = (train - val, train - upper);
    let fell = val < before.f1?;
    (fell && params.overfit_gap < lower).then_some(StopReason::Overfit {
        gap,
        lower,
        limit: params.overfit_gap,
    })
}

#[cfg(test)]
mod tests {
    use labelloop_qa::MapCeiling;

    use super::*;

    fn round(iteration: u32, f1: f64) -> IterationRecord {
        IterationRecord {
            iteration,
            f1: Some(f1),
            f1_interval: Some([f1 - 0.01, f1 + 0.01]),
            train_f1: Some(f1),
            ..IterationRecord::default()
        }
    }

    fn rounds(f1s: &[f64]) -> Vec<IterationRecord> {
        (0u32..).zip(f1s).map(|(i, f1)| round(i, *f1)).collect()
    }

    #[test]
    fn defaults_are_those_of_the_reference_configuration() {
        let p = StoppingParams::default();
        assert_eq!(
            (p.target_f1, p.plateau_threshold, p.plateau_iterations, p.max_iterations),
            (0.98, 0.005, 3, 10)
        );
        p.check().unwrap();
    }

    #[test]
    fn every_limit_is_checked() {
        let ok = StoppingParams::default();
        for bad in [
            StoppingParams { target_f1: f64::NAN, ..ok.clone() },
            StoppingParams { plateau_threshold: -0.1, ..ok.clone() },
            StoppingParams { overfit_gap: 1.5, ..ok.clone() },
            StoppingParams { plateau_iterations: 0, ..ok.clone() },
            StoppingParams { max_iterations: 0, ..ok.clone() },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_target_needs_the_lower_bound() {
        let p = StoppingParams { target_f1: 0.9, ..StoppingParams::default() };
        assert_eq!(first_rule(&rounds(&[0.905]), 9, &p), None, "0.895 is the lower bound");
        assert!(matches!(first_rule(&rounds(&[0.92]), 9, &p), Some(StopReason::TargetReached { .. })));
    }

    #[test]
    fn plateau_needs_one_round_more_than_it_looks_back_on() {
        let p = StoppingParams::default();
        assert_eq!(first_rule(&rounds(&[0.5, 0.5, 0.5]), 9, &p), None);
        assert!(matches!(
            first_rule(&rounds(&[0.5, 0.5, 0.5, 0.5]), 9, &p),
            Some(StopReason::Plateau { .. })
        ));
        assert_eq!(first_rule(&rounds(&[0.5, 0.5, 0.5, 0.6]), 9, &p), None);
    }

    #[test]
    fn a_smaller_threshold_is_less_eager_to_stop() {
        let history = rounds(&[0.500, 0.501, 0.502, 0.503]);
        let p = |plateau_threshold| StoppingParams { plateau_threshold, ..StoppingParams::default() };
        assert!(first_rule(&history, 9, &p(0.005)).is_some());
        assert!(first_rule(&history, 9, &p(0.002)).is_none());
    }

    #[test]
    fn the_example_of_the_reference_is_not_overfitting() {
        // Train 0.9912 and val 0.9745 differ by 0.0167, which the reference calls more than 0.05.
        let mut history = rounds(&[0.98, 0.9745]);
        history[1].train_f1 = Some(0.9912);
        assert_eq!(
            first_rule(&history, 9, &StoppingParams { target_f1: 1.0, ..StoppingParams::default() }),
            None
        );
        history[1].train_f1 = Some(1.0);
        history[1].f1 = Some(0.8);
        history[1].f1_interval = Some([0.79, 0.81]);
        assert!(matches!(
            first_rule(&history, 9, &StoppingParams { target_f1: 1.0, ..StoppingParams::default() }),
            Some(StopReason::Overfit { .. })
        ));
    }

    #[test]
    fn the_ends_of_pool_and_patience_stop_too() {
        let p = StoppingParams { max_iterations: 2, ..StoppingParams::default() };
        assert_eq!(first_rule(&rounds(&[0.1]), 0, &p), Some(StopReason::PoolExhausted));
        assert_eq!(first_rule(&rounds(&[0.1, 0.2]), 5, &p), Some(StopReason::MaxIterations { limit: 2 }));
        assert_eq!(first_rule(&[], 5, &p), None);
    }

    #[test]
    fn ambiguous_labels_stop_the_loop() {
        let mut history = rounds(&[0.9]);
        history[0].noise_ceiling = Some(0.905);
        assert!(matches!(
            first_rule(&history, 5, &StoppingParams::default()),
            Some(StopReason::NoiseCeiling { .. })
        ));
        history[0].noise_ceiling = Some(0.95);
        assert_eq!(first_rule(&history, 5, &StoppingParams::default()), None);
    }

    #[test]
    fn a_map_that_noise_does_not_explain_keeps_the_loop_going() {
        let mut history = rounds(&[0.9]);
        history[0].noise_ceiling = Some(0.905);
        history[0].map50 = Some(0.7);
        history[0].map50_interval = Some([0.66, 0.74]);
        history[0].map50_ceiling = Some(MapCeiling { unranked: 0.8, ranked: 0.93, interval: None });
        assert_eq!(first_rule(&history, 5, &StoppingParams::default()), None);
        history[0].map50_interval = Some([0.66, 0.81]);
        let reason = first_rule(&history, 5, &StoppingParams::default()).unwrap();
        assert_eq!(
            reason.to_string(),
            "label noise: F1 0.9000 is within its interval of the ceiling 0.9050 that these labels allow, as is \
             mAP50 0.7000 of 0.8000 to 0.9300"
        );
    }

    #[test]
    fn reasons_from_before_map_was_compared_are_read() {
        let old = r#"{"rule":"noise_ceiling","f1":0.9,"ceiling":0.905}"#;
        let reason: StopReason = serde_json::from_str(old).unwrap();
        assert_eq!(
            reason,
            StopReason::NoiseCeiling { f1: 0.9, ceiling: 0.905, map50: None, map50_ceiling: None }
        );
    }

    #[test]
    fn a_round_without_f1_fires_no_rule_on_it() {
        let empty = IterationRecord::default();
        assert_eq!(first_rule(&[empty], 5, &StoppingParams::default()), None);
    }
}
