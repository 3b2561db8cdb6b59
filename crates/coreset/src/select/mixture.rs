use serde::{Deserialize, Serialize};

use super::{Gains, Objective, Reason, ReasonPart};
use crate::{ParamError, Result};

/// How gains of several objectives, each in a unit of its own, are brought to one scale before they are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// In every step, over the rows compared in it, `(gain - lowest) / (highest - lowest)`: the best row of an
    /// objective is worth its strength, the worst nothing, however little is left to gain. 0 where all gain the same.
    /// Every open row is looked at in every step.
    #[default]
    EachStep,
    /// Divided once and for all by the largest absolute gain of the first step (by 1 where that is 0 or infinite): what an
    /// objective gains less of counts less later. A mixture of submodular objectives with positive strengths stays
    /// submodular (Lin and Bilmes 2011) and is searched lazily.
    FirstStep,
}

/// An objective and how much it counts.
pub struct Term<'a> {
    pub(crate) name: String,
    pub(crate) strength: f64,
    pub(crate) objective: Box<dyn Objective + 'a>,
}

impl<'a> Term<'a> {
    /// An objective under a name, by which reasons call it. A negative strength avoids what the objective seeks.
    ///
    /// # Errors
    /// [`ParamError::Strength`] for a strength that is 0 or not finite.
    pub fn new(
        name: impl Into<String>,
        strength: f64,
        objective: Box<dyn Objective + 'a>,
    ) -> Result<Self, ParamError> {
        check_strength(strength)?;
        Ok(Self { name: name.into(), strength, objective })
    }
}

pub(crate) fn check_strength(strength: f64) -> Result<(), ParamError> {
    if strength.is_finite() && strength != 0.0 {
        return Ok(());
    }
    Err(ParamError::Strength { found: strength })
}

/// One objective of positive strength as it is; several, or one to be avoided, as a mixture.
pub(crate) fn joined<'a>(
    mut terms: Vec<Term<'a>>,
    balance: Balance,
    n_rows: usize,
) -> Box<dyn Objective + 'a> {
    match terms.pop() {
        Some(only) if terms.is_empty() && 0.0 < only.strength => only.objective,
        last => {
            terms.extend(last);
            Box::new(Mixture::new(terms, balance, n_rows))
        }
    }
}

struct Mixture<'a> {
    terms: Vec<Term<'a>>,
    /// What gains are divided by, where that is settled in the first step.
    scales: Option<Vec<f64>>,
}

impl<'a> Mixture<'a> {
    fn new(terms: Vec<Term<'a>>, balance: Balance, n_rows: usize) -> Self {
        let rows: Vec<usize> = (0..n_rows).collect();
        let first = |term: &Term<'a>| {
            let gains = term.gains(&rows);
            let largest = gains.iter().filter(|g| !g.is_nan()).fold(0.0, |m: f64, g| m.max(g.abs()));
            if 0.0 < largest && largest.is_finite() { largest } else { 1.0 }
        };
        let scales = (balance == Balance::FirstStep).then(|| terms.iter().map(first).collect());
        Self { terms, scales }
    }
}

impl Objective for Mixture<'_> {
    fn kind(&self) -> Gains {
        let kinds = || self.terms.iter().map(|term| term.objective.kind());
        let settled = self.scales.is_some();
        let positive = self.terms.iter().all(|term| 0.0 < term.strength);
        if settled && kinds().all(|kind| kind == Gains::Fixed) {
            Gains::Fixed
        } else if settled && positive && kinds().all(|kind| kind != Gains::Any) {
            Gains::Falling
        } else {
            Gains::Any
        }
    }

    fn gains(&self, rows: &[usize], gains: &mut [f64]) {
        gains.fill(0.0);
        for (i, term) in self.terms.iter().enumerate() {
            let own = term.gains(rows);
            let (lowest, scale) = match &self.scales {
                Some(scales) => (0.0, scales[i]),
                None => range(&own),
            };
            for (gain, own) in gains.iter_mut().zip(own) {
                *gain += term.strength * if 0.0 < scale { (own - lowest) / scale } else { 0.0 };
            }
        }
    }

    fn pick(&mut self, row: usize) {
        self.terms.iter_mut().for_each(|term| term.objective.pick(row));
    }

    fn reason(&self, row: usize) -> Reason {
        let part = |term: &Term<'_>| ReasonPart {
            objective: term.name.clone(),
            strength: term.strength,
            gain: term.gains(&[row]).first().copied().unwrap_or(0.0),
            reason: term.objective.reason(row),
        };
        Reason::Mixture { parts: self.terms.iter().map(part).collect() }
    }

    fn batch(&self) -> usize {
        self.terms.iter().map(|term| term.objective.batch()).max().unwrap_or(1)
    }
}

impl Term<'_> {
    fn gains(&self, rows: &[usize]) -> Vec<f64> {
        let mut gains = vec![0.0; rows.len()];
        self.objective.gains(rows, &mut gains);
        gains
    }
}

/// The lowest gain, and how far above it the highest is. Gains that are not finite do not count.
fn range(gains: &[f64]) -> (f64, f64) {
    let finite = || gains.iter().copied().filter(|gain| gain.is_finite());
    let (lowest, highest) =
        (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    if lowest < highest { (lowest, highest - lowest) } else { (0.0, 0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strengths_are_numbers_other_than_zero() {
        for strength in [0.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(check_strength(strength), Err(ParamError::Strength { .. })));
        }
        assert_eq!(check_strength(-2.0), Ok(()));
    }

    #[test]
    fn ranges_pass_over_what_is_not_finite() {
        assert_eq!(range(&[1.0, f64::NEG_INFINITY, 3.0, f64::NAN]), (1.0, 2.0));
        assert_eq!(range(&[2.0, 2.0]), (0.0, 0.0));
        assert_eq!(range(&[]), (0.0, 0.0));
    }
}
