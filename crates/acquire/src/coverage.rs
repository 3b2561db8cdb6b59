use labelloop_coreset::ZCoreParams;
use ndarray::ArrayView2;

use crate::candidates::check_labelled;
use crate::queue::FallingQueue;
use crate::shelf::Shelf;
use crate::{AcquireError, Candidates, PolicyValidParams, Result};

/// How much each candidate covers of the pool that nothing labelled covers.
#[derive(Debug, Clone, PartialEq)]
pub struct CoverageScores {
    raw: Vec<f64>,
    pub(crate) scorer: &'static str,
}

impl CoverageScores {
    /// ZCore's gains less losses, in the order of candidates.
    pub fn raw(&self) -> &[f64] {
        &self.raw
    }

    /// `zcore`, or `zcore_given_labelled` where something was labelled.
    pub fn scorer(&self) -> &'static str {
        self.scorer
    }

    pub(crate) fn check(&self, candidates: &Candidates<'_>) -> Result<()> {
        let (found, expected) = (self.raw.len(), candidates.members.len());
        if found != expected {
            return Err(AcquireError::LengthMismatch { what: "coverage scores", found, expected });
        }
        Ok(())
    }
}

/// ZCore of every candidate given `labelled` (shape: labelled x dimensions; no rows for a first batch), with the
/// policy's parameters and seed.
///
/// # Errors
/// [`AcquireError::Exhausted`] without candidates, and inputs that do not fit each other or hold NaN.
pub fn coverage_scores(
    candidates: &Candidates<'_>,
    labelled: ArrayView2<'_, f32>,
    valid: &PolicyValidParams,
) -> Result<CoverageScores> {
    check_labelled(candidates, labelled)?;
    let policy = valid.params();
    let zcore = ZCoreParams { seed: policy.seed, ..policy.zcore.clone() };
    let raw = zcore.score_given(candidates.embeddings, labelled)?.raw;
    Ok(CoverageScores { raw, scorer: if labelled.nrows() == 0 { "zcore" } else { "zcore_given_labelled" } })
}

/// A row that a bucket took.
pub(crate) struct Taken {
    pub(crate) row: usize,
    pub(crate) score: f64,
    pub(crate) gain: f64,
    /// Number of the bucket's query that it resembles, and the distance to it.
    pub(crate) query: Option<(usize, f64)>,
}

/// Takes rows by coverage score until the amount is spent.
///
/// The value of a row is its score, scaled to 0 to 1, less a penalty for each row of its group in the batch; ties go to
/// the lower row, which is the lower id.
pub(crate) fn fill(
    scores: &CoverageScores,
    shelf: &mut Shelf,
    amount: f64,
    group_penalty: f64,
) -> Vec<Taken> {
    let unit = unit_scores(&scores.raw);
    let mut queue = FallingQueue::new(unit.iter().copied().enumerate());
    let mut left = amount;
    let mut taken = Vec::new();
    loop {
        let value = |row: usize| {
            let penalty = group_penalty * shelf.taken_of_group(row) as f64;
            shelf.may_take(row, left).then_some(unit[row] - penalty)
        };
        let Some((row, gain)) = queue.pop(value) else {
            return taken;
        };
        shelf.take(row);
        left -= shelf.cost(row);
        taken.push(Taken { row, score: scores.raw[row], gain, query: None });
    }
}

/// Scores between their least (0) and their highest (1), in f64 so that no order is lost; all 0 where all are equal.
fn unit_scores(raw: &[f64]) -> Vec<f64> {
    let min = raw.iter().copied().fold(f64::INFINITY, f64::min);
    let max = raw.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let width = max - min;
    raw.iter().map(|r| if 0.0 < width { (r - min) / width } else { 0.0 }).collect()
}
