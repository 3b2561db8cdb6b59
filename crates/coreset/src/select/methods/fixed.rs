use crate::select::{Gains, Objective, Reason};
use crate::{CoresetError, Result, rank_by_score};

/// Scores that do not depend on the picks: highest first.
///
/// Any score of one's own can be mixed with coverage this way, such as the uncertainty of a model.
///
/// ```
/// use labelloop_core::Silent;
/// use labelloop_coreset::select::{Candidates, FixedScore, SelectParams, Term};
/// use ndarray::array;
///
/// let rows = array![[0.0], [1.0], [2.0]];
/// let doubt = FixedScore::new("doubt", vec![0.2, 0.9, 0.4])?;
/// let terms = vec![Term::new("doubt", 1.0, Box::new(doubt))?];
/// let valid = SelectParams::default().check()?;
/// let found = valid.select_by(&Candidates::new(rows.view())?, 2, terms, &Silent)?;
/// assert_eq!(found.rows(), [1, 2]);
/// assert_eq!(found.picks[0].reason.to_string(), "doubt of 0.9000, number 1 of 3");
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone)]
pub struct FixedScore {
    name: String,
    scores: Vec<f64>,
    place: Vec<usize>,
}

impl FixedScore {
    /// One score for each candidate.
    ///
    /// # Errors
    /// [`CoresetError::ScoreNotANumber`].
    pub fn new(name: impl Into<String>, scores: Vec<f64>) -> Result<Self> {
        let rows: Vec<usize> = (0..scores.len()).collect();
        let mut place = vec![0; scores.len()];
        rank_by_score(&scores, &rows)?.iter().for_each(|ranked| place[ranked.row] = ranked.rank);
        Ok(Self { name: name.into(), scores, place })
    }

    /// The same with each score multiplied by its row's weight.
    ///
    /// # Errors
    /// [`CoresetError::LengthMismatch`], [`CoresetError::ScoreNotANumber`].
    pub fn weighted(self, weights: Option<&[f64]>) -> Result<Self> {
        let Some(weights) = weights else { return Ok(self) };
        let (found, expected) = (weights.len(), self.scores.len());
        if found != expected {
            return Err(CoresetError::LengthMismatch { what: "weights", found, expected });
        }
        Self::new(self.name, self.scores.iter().zip(weights).map(|(score, weight)| score * weight).collect())
    }
}

impl Objective for FixedScore {
    fn kind(&self) -> Gains {
        Gains::Fixed
    }

    fn gains(&self, rows: &[usize], gains: &mut [f64]) {
        rows.iter().zip(gains).for_each(|(row, gain)| *gain = self.score(*row));
    }

    fn pick(&mut self, _row: usize) {}

    fn reason(&self, row: usize) -> Reason {
        let place = self.place.get(row).copied().unwrap_or(self.place.len());
        Reason::Score { name: self.name.clone(), score: self.score(row), place, of: self.scores.len() }
    }
}

impl FixedScore {
    /// A row without a score has the lowest.
    fn score(&self, row: usize) -> f64 {
        self.scores.get(row).copied().unwrap_or(f64::NEG_INFINITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_ranked_is_refused() {
        assert!(matches!(
            FixedScore::new("x", vec![0.0, f64::NAN]),
            Err(CoresetError::ScoreNotANumber { position: 1 })
        ));
        let score = FixedScore::new("x", vec![0.0]).unwrap();
        assert!(matches!(score.weighted(Some(&[1.0, 2.0])), Err(CoresetError::LengthMismatch { .. })));
    }

    #[test]
    fn rows_without_a_score_come_last() {
        let mut gains = [0.0; 2];
        FixedScore::new("x", vec![-5.0]).unwrap().gains(&[1, 0], &mut gains);
        assert_eq!(gains, [f64::NEG_INFINITY, -5.0]);
    }
}
