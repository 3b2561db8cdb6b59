use super::{Partial, PartialError};
use crate::{CoresetError, Result};

/// The k rows with the highest scores, whatever shards they lie in: highest first, ties by lower row.
///
/// ```
/// use labelloop_coreset::partial::{Partial, TopRows};
///
/// let (mut one, mut other) = (TopRows::new(2), TopRows::new(2));
/// one.observe((&[0, 1], &[0.5, 0.25]))?;
/// other.observe((&[7, 3], &[0.5, 0.75]))?;
/// one.merge(other)?;
/// assert_eq!(one.finish()?, [(3, 0.75), (0, 0.5)]);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TopRows {
    pub(super) k: usize,
    /// Row and score, highest first.
    pub(super) best: Vec<(u32, f64)>,
}

impl TopRows {
    /// The best `k` of no rows.
    pub fn new(k: usize) -> Self {
        Self { k, best: Vec::new() }
    }

    fn keep(&mut self, rows: impl IntoIterator<Item = (u32, f64)>) {
        self.best.extend(rows);
        self.best.sort_unstable_by(by_score);
        self.best.truncate(self.k);
    }
}

impl Partial for TopRows {
    /// Row numbers and their scores.
    type Input<'a> = (&'a [u32], &'a [f64]);
    /// Rows and their scores.
    type Output = Vec<(u32, f64)>;

    fn observe(&mut self, (rows, scores): (&[u32], &[f64])) -> Result<()> {
        if rows.len() != scores.len() {
            let (found, expected) = (rows.len(), scores.len());
            return Err(CoresetError::LengthMismatch { what: "row numbers", found, expected });
        }
        if let Some(position) = scores.iter().position(|s| s.is_nan()) {
            return Err(CoresetError::ScoreNotANumber { position });
        }
        self.keep(rows.iter().copied().zip(scores.iter().copied()));
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        if self.k != other.k {
            return Err(PartialError::Incompatible { what: "k" }.into());
        }
        self.keep(other.best);
        Ok(())
    }

    fn finish(self) -> Result<Self::Output> {
        Ok(self.best)
    }
}

/// Highest first, ties by lower row; adding 0 makes both zeros equal.
pub(super) fn by_score(a: &(u32, f64), b: &(u32, f64)) -> std::cmp::Ordering {
    (b.1 + 0.0).total_cmp(&(a.1 + 0.0)).then(a.0.cmp(&b.0))
}
