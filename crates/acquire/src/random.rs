use labelloop_core::Seed;

use crate::budget::Purse;
use crate::{BatchPlan, Bucket, BucketFill, Budget, Candidates, Notice, Pick, Result};

/// A batch by chance: the baseline that every policy must beat.
///
/// Candidates come in the order of a number made of the seed and their id, ties by id, so a candidate's turn depends on
/// no other candidate. Under a budget in cost, those that no longer fit are passed over.
///
/// ```
/// use labelloop_acquire::{Budget, Candidates, random_batch};
/// use labelloop_core::{Members, Pool, SampleId, Split};
/// use ndarray::Array2;
///
/// let ids: Vec<SampleId> = (0..9).map(|i| SampleId::new(format!("img-{i}"))).collect::<Result<_, _>>()?;
/// let members = Members::<Pool>::of(ids.iter().map(|id| (id, Split::Pool)));
/// let embeddings = Array2::zeros((9, 2));
/// let pool = Candidates { members: &members, groups: None, embeddings: embeddings.view(), cost: None };
/// let batch = random_batch(&pool, Budget::Units(4), 7)?;
/// assert_eq!(batch.len(), 4);
/// assert_eq!(batch, random_batch(&pool, Budget::Units(4), 7)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`plan_batch`](crate::plan_batch) that concern candidates and budget.
pub fn random_batch(candidates: &Candidates<'_>, budget: Budget, seed: u64) -> Result<BatchPlan> {
    candidates.check()?;
    let purse = Purse::new(budget, candidates)?;
    let (ids, costs) = (candidates.members.ids(), purse.costs(candidates));
    let stream = Seed::new(seed).stream("random-batch");
    let mut order: Vec<(f64, usize)> =
        ids.iter().enumerate().map(|(row, id)| (stream.stream(id.as_str()).unit(0), row)).collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut left = purse.total;
    let mut picks: Vec<Pick> = Vec::new();
    for (number, row) in order {
        if costs[row] <= left * (1.0 + 1e-9) {
            left -= costs[row];
            picks.push(Pick {
                id: ids[row].clone(),
                bucket: Bucket::Random,
                scorer: "random".to_owned(),
                score: number,
                gain: number,
                rank: picks.len() as u32 + 1,
                query: None,
                distance: None,
                cost: costs[row],
                seed,
            });
        }
    }
    let mut notices = Vec::new();
    if purse.total < purse.asked {
        notices.push(Notice::BudgetClamped { asked: purse.asked, reached: purse.total });
    }
    if left > 1e-9 * purse.total {
        notices.push(Notice::Unspent { amount: left });
    }
    let (asked, reached, n_picks) = (purse.total, purse.total - left, picks.len());
    let fills = vec![BucketFill { bucket: Bucket::Random, asked, granted: asked, reached, n_picks }];
    Ok(BatchPlan { picks, notices, fills, budget, policy: None })
}
