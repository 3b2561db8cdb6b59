use crate::budget::Purse;
use crate::{Bucket, CarryOver, FallbackReason, Notice, PolicyValidParams, Result};

/// What each bucket of the policy is entitled to and what it gets, in the order of [`Bucket::POLICY`].
pub(crate) struct Grants {
    pub(crate) asked: Vec<f64>,
    pub(crate) granted: Vec<f64>,
    pub(crate) notices: Vec<Notice>,
}

/// Deals the budget out by shares; a targeted bucket without failures hands its part over.
///
/// `has_queries` is in the order of [`Bucket::POLICY`]; coverage needs none. The receivers are the targeted buckets that
/// have failures, in proportion to their shares, or coverage where there are none or the policy says so.
pub(crate) fn grants(purse: &Purse, valid: &PolicyValidParams, has_queries: [bool; 4]) -> Result<Grants> {
    let shares: Vec<f64> = valid.shares()?.iter().map(|s| s.get()).collect();
    let asked = purse.deal(purse.total, &shares)?;
    let mut grants = Grants { granted: asked.clone(), asked, notices: Vec::new() };
    let mut weights: Vec<f64> =
        (0..4).map(|b| if b > 0 && has_queries[b] { shares[b] } else { 0.0 }).collect();
    if valid.params().carry_over == CarryOver::Coverage || weights.iter().all(|w| *w == 0.0) {
        weights = vec![1.0, 0.0, 0.0, 0.0];
    }
    for (from, has_queries) in has_queries.into_iter().enumerate().skip(1) {
        if has_queries || grants.asked[from] == 0.0 {
            continue;
        }
        grants.granted[from] = 0.0;
        for (to, amount) in purse.deal(grants.asked[from], &weights)?.into_iter().enumerate() {
            if amount > 0.0 {
                grants.granted[to] += amount;
                let (bucket, to) = (Bucket::POLICY[from], Bucket::POLICY[to]);
                grants.notices.push(Notice::Fallback {
                    bucket,
                    to,
                    amount,
                    reason: FallbackReason::NoQueries,
                });
            }
        }
    }
    Ok(grants)
}
