//! P-values of many questions asked at once: with twenty classes one of them looks significant by chance.

use serde::{Deserialize, Serialize};

use crate::{EvalError, Result};

/// How p-values are corrected for the number of questions asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Correction {
    /// Holm (1979): the chance of even one false alarm among all questions stays below the level, whatever the
    /// questions have to do with one another. The default.
    #[default]
    Holm,
    /// Benjamini and Hochberg (1995): the expected share of false alarms among the alarms stays below the level, for
    /// independent or positively dependent questions. Finds more.
    BenjaminiHochberg,
}

/// Corrected p-values in the order given; compare them with the level itself.
///
/// With the `m` p-values in ascending order `p(1) ... p(m)`, Holm gives `max over j <= i of (m - j + 1) p(j)` and
/// Benjamini-Hochberg `min over j >= i of m / j p(j)`, both at most 1. These are the definitions of R's `p.adjust`.
/// O(m log m).
///
/// ```
/// use labelloop_eval::multiplicity::{Correction, adjust};
///
/// assert_eq!(adjust(&[0.5, 0.125, 0.25], Correction::Holm)?, [0.5, 0.375, 0.5]);
/// assert_eq!(adjust(&[0.5, 0.125, 0.25], Correction::BenjaminiHochberg)?, [0.5, 0.375, 0.375]);
/// # Ok::<(), labelloop_eval::EvalError>(())
/// ```
///
/// # Errors
/// [`EvalError::InvalidParam`] for NaN and for numbers outside `[0, 1]`.
pub fn adjust(p_values: &[f64], correction: Correction) -> Result<Vec<f64>> {
    if let Some(found) = p_values.iter().copied().find(|p| !(0.0..=1.0).contains(p)) {
        return Err(EvalError::InvalidParam { name: "p_value", found, expected: "a number from 0 to 1" });
    }
    let m = p_values.len();
    let mut order: Vec<usize> = (0..m).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]).then(a.cmp(b)));
    let mut adjusted = vec![1.0; m];
    match correction {
        Correction::Holm => {
            let mut most = 0.0f64;
            for (j, i) in order.iter().enumerate() {
                most = most.max((m - j) as f64 * p_values[*i]).min(1.0);
                adjusted[*i] = most;
            }
        }
        Correction::BenjaminiHochberg => {
            let mut least = 1.0f64;
            for (j, i) in order.iter().enumerate().rev() {
                least = least.min(m as f64 / (j + 1) as f64 * p_values[*i]);
                adjusted[*i] = least;
            }
        }
    }
    Ok(adjusted)
}

/// [`adjust`] where some questions have no answer: those stay without one and do not count.
///
/// ```
/// use labelloop_eval::multiplicity::{Correction, adjust_known};
///
/// let found = adjust_known(&[Some(0.25), None, Some(0.125)], Correction::Holm)?;
/// assert_eq!(found, [Some(0.25), None, Some(0.25)]);
/// # Ok::<(), labelloop_eval::EvalError>(())
/// ```
///
/// # Errors
/// As [`adjust`].
pub fn adjust_known(p_values: &[Option<f64>], correction: Correction) -> Result<Vec<Option<f64>>> {
    let known: Vec<f64> = p_values.iter().flatten().copied().collect();
    let mut adjusted = adjust(&known, correction)?.into_iter();
    Ok(p_values.iter().map(|p| p.and_then(|_| adjusted.next())).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOTH: [Correction; 2] = [Correction::Holm, Correction::BenjaminiHochberg];

    /// The definitions of step-down and step-up read as: the least level at which the question is answered with yes.
    fn rejected(p: &[f64], level: f64, correction: Correction) -> Vec<bool> {
        let m = p.len() as f64;
        let mut sorted = p.to_vec();
        sorted.sort_by(f64::total_cmp);
        let holds = |j: usize| match correction {
            Correction::Holm => sorted[j] <= level / (m - j as f64),
            Correction::BenjaminiHochberg => sorted[j] <= level * (j + 1) as f64 / m,
        };
        let n = match correction {
            Correction::Holm => (0..p.len()).take_while(|j| holds(*j)).count(),
            Correction::BenjaminiHochberg => (0..p.len()).rev().find(|j| holds(*j)).map_or(0, |j| j + 1),
        };
        p.iter().map(|p| 0 < n && *p <= sorted[n - 1]).collect()
    }

    #[test]
    fn numbers_that_are_no_p_values_are_refused() {
        for bad in [f64::NAN, -0.1, 1.1, f64::INFINITY] {
            assert!(adjust(&[0.5, bad], Correction::Holm).is_err(), "{bad}");
            assert!(adjust_known(&[None, Some(bad)], Correction::BenjaminiHochberg).is_err());
        }
        assert_eq!(adjust(&[], Correction::Holm).unwrap(), [0.0; 0]);
        assert_eq!(Correction::default(), Correction::Holm);
        assert_eq!(serde_json::to_string(&Correction::BenjaminiHochberg).unwrap(), "\"benjamini_hochberg\"");
    }

    #[test]
    fn one_question_needs_no_correction() {
        for correction in BOTH {
            assert_eq!(adjust(&[0.03], correction).unwrap(), [0.03]);
            assert_eq!(adjust_known(&[None, None], correction).unwrap(), [None, None]);
        }
    }

    proptest! {
        #[test]
        fn a_corrected_value_is_the_least_level_that_rejects(
            ranks in prop::collection::vec(0u32..=40, 1..12),
            level in 1u32..40,
        ) {
            // Levels between the possible values, so that rounding decides nothing.
            let p: Vec<f64> = ranks.iter().map(|r| f64::from(*r) / 40.0).collect();
            let level = (f64::from(level) + 0.123_456_7) / 41.0;
            for correction in BOTH {
                let adjusted = adjust(&p, correction).unwrap();
                let below: Vec<bool> = adjusted.iter().map(|a| *a <= level).collect();
                prop_assert_eq!(below, rejected(&p, level, correction));
            }
        }

        #[test]
        fn order_does_not_matter_and_holm_is_the_stricter(mut p in prop::collection::vec(0.0f64..=1.0, 1..30)) {
            let holm = adjust(&p, Correction::Holm).unwrap();
            let bh = adjust(&p, Correction::BenjaminiHochberg).unwrap();
            for i in 0..p.len() {
                prop_assert!(p[i] <= bh[i] + 1e-15 && bh[i] <= holm[i] + 1e-15 && holm[i] <= 1.0);
            }
            p.reverse();
            let mut turned = adjust(&p, Correction::Holm).unwrap();
            turned.reverse();
            prop_assert_eq!(turned, holm);
        }
    }
}
