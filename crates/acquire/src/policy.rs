use labelloop_core::SampleId;
use ndarray::{Array2, ArrayView2};

use crate::buckets::{Grants, grants};
use crate::budget::Purse;
use crate::candidates::check_labelled;
use crate::coverage::{self, CoverageScores, Taken, coverage_scores};
use crate::failures::BucketQueries;
use crate::shelf::Shelf;
use crate::targeted::{self, Space};
use crate::{
    AcquireError, BatchPlan, Bucket, BucketFill, Budget, COVERAGE_FLOOR, Candidates, Failures,
    FallbackReason, Notice, Pick, PolicyParams, PolicyValidParams, Result, UnderfillReason,
};

/// Plans the next batch: part of it covers the pool, the rest looks for more of what the model gets wrong.
///
/// 1. The budget, at most the whole pool, is dealt out by shares with largest remainders. A targeted bucket without
///    failures hands its part over ([`CarryOver`](crate::CarryOver)).
/// 2. Coverage takes the candidates with the highest ZCore given `labelled` (shape: labelled x dimensions).
/// 3. Missed, false alarm and confusion, in this order, search what is left for candidates that resemble their
///    failing images, and neither what is labelled nor what the batch holds already (maximal marginal relevance).
/// 4. What a bucket could not spend goes to coverage; what is left then is underfilled, with a notice or, under
///    `strict`, an error. Without `max_per_group` a budget in units is always filled exactly.
///
/// Buckets are disjoint, ties go to the lower id, and the plan depends on neither threads nor the order of failures or
/// labelled rows. Zero vectors count as resembling nothing. Time is that of ZCore and of O(candidates x (failures +
/// labelled) x dimensions).
///
/// # Errors
/// [`AcquireError::Exhausted`] without candidates, [`AcquireError::Budget`], [`AcquireError::Underfilled`] under
/// `strict`, and inputs that do not fit each other or hold NaN, with the sample named.
pub fn plan_batch(
    candidates: &Candidates<'_>,
    labelled: ArrayView2<'_, f32>,
    failures: &Failures<'_>,
    budget: Budget,
    valid: &PolicyValidParams,
) -> Result<BatchPlan> {
    let scores = coverage_scores(candidates, labelled, valid)?;
    plan_batch_scored(candidates, &scores, labelled, failures, budget, valid)
}

/// [`plan_batch`] with the scores of [`coverage_scores`] at hand, for callers that keep them: they are most of the work.
///
/// # Errors
/// Those of [`plan_batch`], and [`AcquireError::LengthMismatch`] for scores of other candidates.
pub fn plan_batch_scored(
    candidates: &Candidates<'_>,
    scores: &CoverageScores,
    labelled: ArrayView2<'_, f32>,
    failures: &Failures<'_>,
    budget: Budget,
    valid: &PolicyValidParams,
) -> Result<BatchPlan> {
    check(candidates, labelled, failures)?;
    scores.check(candidates)?;
    let params = valid.params();
    let queries = Bucket::POLICY.map(|bucket| failures.of(bucket));
    let purse = Purse::new(budget, candidates)?;
    let mut run = Run::new(candidates, params, scores.scorer, &purse);
    let Grants { asked, granted, notices } =
        grants(&purse, valid, [0, 1, 2, 3].map(|b| !queries[b].images.is_empty()))?;
    run.notices.extend(notices);

    run.coverage(scores, granted[0]);
    if granted[1..].iter().any(|g| *g > 0.0) {
        let space = Space::new(candidates.embeddings, labelled)?;
        for b in 1..4 {
            run.targeted(&space, Bucket::POLICY[b], &queries[b], granted[b])?;
        }
    }
    run.sweep(scores, &granted, &purse)?;
    Ok(run.finish(&asked, &granted, budget))
}

/// Plans the first batch, when there is no model yet that could fail: coverage alone.
///
/// # Errors
/// Those of [`plan_batch`].
pub fn first_batch(
    candidates: &Candidates<'_>,
    budget: Budget,
    valid: &PolicyValidParams,
) -> Result<BatchPlan> {
    let none = Array2::zeros((0, candidates.embeddings.ncols()));
    let scores = coverage_scores(candidates, none.view(), valid)?;
    first_batch_scored(candidates, &scores, budget, valid)
}

/// [`first_batch`] with the scores of [`coverage_scores`] at hand.
///
/// # Errors
/// Those of [`plan_batch_scored`].
pub fn first_batch_scored(
    candidates: &Candidates<'_>,
    scores: &CoverageScores,
    budget: Budget,
    valid: &PolicyValidParams,
) -> Result<BatchPlan> {
    let none = Array2::zeros((0, candidates.embeddings.ncols()));
    check(candidates, none.view(), &Failures { queries: &[], embeddings: none.view() })?;
    scores.check(candidates)?;
    let purse = Purse::new(budget, candidates)?;
    let mut run = Run::new(candidates, valid.params(), scores.scorer, &purse);
    let granted = [purse.total, 0.0, 0.0, 0.0];
    run.coverage(scores, purse.total);
    run.sweep(scores, &granted, &purse)?;
    Ok(run.finish(&granted, &granted, budget))
}

fn check(candidates: &Candidates<'_>, labelled: ArrayView2<'_, f32>, failures: &Failures<'_>) -> Result<()> {
    check_labelled(candidates, labelled)?;
    failures.check(candidates.members, candidates.embeddings.ncols())
}

/// A plan in the making.
struct Run<'a> {
    ids: &'a [SampleId],
    params: &'a PolicyParams,
    shelf: Shelf,
    scorer: &'static str,
    picks: Vec<Pick>,
    notices: Vec<Notice>,
}

impl<'a> Run<'a> {
    fn new(
        candidates: &'a Candidates<'_>,
        params: &'a PolicyParams,
        scorer: &'static str,
        purse: &Purse,
    ) -> Self {
        let mut notices = Vec::new();
        if purse.total < purse.asked {
            notices.push(Notice::BudgetClamped { asked: purse.asked, reached: purse.total });
        }
        if let Some(reason) =
            params.coverage_floor_override.clone().filter(|_| params.coverage < COVERAGE_FLOOR)
        {
            notices.push(Notice::CoverageFloorOverridden { coverage: params.coverage, reason });
        }
        let shelf = Shelf::new(purse.costs(candidates), candidates.groups, params.max_per_group);
        Self { ids: candidates.members.ids(), params, shelf, scorer, picks: Vec::new(), notices }
    }

    fn coverage(&mut self, scores: &CoverageScores, amount: f64) {
        let taken = coverage::fill(scores, &mut self.shelf, amount, self.params.group_penalty);
        self.record(Bucket::Coverage, self.scorer, taken, &[]);
    }

    fn targeted(
        &mut self,
        space: &Space,
        bucket: Bucket,
        queries: &BucketQueries,
        amount: f64,
    ) -> Result<()> {
        if amount > 0.0 {
            let taken = targeted::fill(space, queries, &mut self.shelf, amount, self.params)?;
            self.record(bucket, "mmr_cosine", taken, &queries.images);
        }
        Ok(())
    }

    fn record(&mut self, bucket: Bucket, scorer: &str, taken: Vec<Taken>, images: &[SampleId]) {
        for Taken { row, score, gain, query } in taken {
            self.picks.push(Pick {
                id: self.ids[row].clone(),
                bucket,
                scorer: scorer.to_owned(),
                score,
                gain,
                rank: self.picks.len() as u32 + 1,
                query: query.and_then(|(query, _)| images.get(query).cloned()),
                distance: query.map(|(_, distance)| distance),
                cost: self.shelf.cost(row),
                seed: self.params.seed,
            });
        }
    }

    /// Offers what the buckets could not spend to coverage, and says what is left.
    fn sweep(&mut self, scores: &CoverageScores, granted: &[f64], purse: &Purse) -> Result<()> {
        let lacking: Vec<(Bucket, f64)> = Bucket::POLICY
            .into_iter()
            .zip(granted)
            .map(|(bucket, granted)| (bucket, granted - self.reached(bucket)))
            .filter(|(_, lacks)| *lacks > 1e-9 * purse.total)
            .collect();
        let before = self.reached(Bucket::Coverage);
        self.coverage(scores, lacking.iter().map(|(_, lacks)| lacks).sum());
        let mut gained = self.reached(Bucket::Coverage) - before;
        let mut unspent = 0.0;
        for (bucket, lacks) in lacking {
            let moved = lacks.min(gained);
            gained -= moved;
            if moved > 0.0 && bucket != Bucket::Coverage {
                let (to, reason) = (Bucket::Coverage, FallbackReason::NoCandidates);
                self.notices.push(Notice::Fallback { bucket, to, amount: moved, reason });
            }
            let missing = lacks - moved;
            if missing > 1e-9 * purse.total {
                unspent += missing;
                self.underfilled(bucket, missing, purse)?;
            }
        }
        if unspent > 0.0 && !purse.is_whole() {
            self.notices.push(Notice::Unspent { amount: unspent });
        }
        Ok(())
    }

    /// A budget in units can be left over for one reason only; a rest of cost is no fault.
    fn underfilled(&mut self, bucket: Bucket, missing: f64, purse: &Purse) -> Result<()> {
        let reason = UnderfillReason::GroupCap;
        if purse.is_whole() && self.params.strict {
            return Err(AcquireError::Underfilled { bucket, missing, reason });
        }
        if purse.is_whole() {
            self.notices.push(Notice::Underfilled { bucket, missing, reason });
        }
        Ok(())
    }

    fn reached(&self, bucket: Bucket) -> f64 {
        self.picks.iter().filter(|p| p.bucket == bucket).map(|p| p.cost).sum()
    }

    fn finish(self, asked: &[f64], granted: &[f64], budget: Budget) -> BatchPlan {
        let fill = |(b, bucket): (usize, Bucket)| BucketFill {
            bucket,
            asked: asked[b],
            granted: granted[b],
            reached: self.reached(bucket),
            n_picks: self.picks.iter().filter(|p| p.bucket == bucket).count(),
        };
        let fills = Bucket::POLICY.into_iter().enumerate().map(fill).collect();
        let policy = Some(self.params.clone());
        BatchPlan { fills, picks: self.picks, notices: self.notices, budget, policy }
    }
}
