use labelloop_core::{Share, apportion};
use serde::{Deserialize, Serialize};

use crate::{AcquireError, Candidates, Result};

/// How much a batch may take.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// So many candidates.
    Units(usize),
    /// So much of the candidates' cost: boxes, seconds, money.
    Cost(f64),
}

/// A budget as one number, in candidates or in cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Purse {
    pub(crate) total: f64,
    pub(crate) asked: f64,
    whole: bool,
}

impl Purse {
    /// The budget, but no more than the whole pool takes.
    pub(crate) fn new(budget: Budget, candidates: &Candidates<'_>) -> Result<Self> {
        let (asked, pool, whole) = match (budget, candidates.cost) {
            (Budget::Units(n), _) => (n as f64, candidates.members.len() as f64, true),
            (Budget::Cost(cost), Some(costs)) => (cost, costs.iter().sum(), false),
            (Budget::Cost(_), None) => return Err(AcquireError::NoCosts),
        };
        if !(0.0 < asked && asked.is_finite()) {
            return Err(AcquireError::Budget { found: asked });
        }
        Ok(Self { total: asked.min(pool), asked, whole })
    }

    /// What each candidate takes of the budget.
    pub(crate) fn costs(&self, candidates: &Candidates<'_>) -> Vec<f64> {
        match candidates.cost {
            Some(costs) if !self.whole => costs.to_vec(),
            _ => vec![1.0; candidates.members.len()],
        }
    }

    /// Whether it is counted in candidates.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Deals an amount out by weights: whole candidates by largest remainders, cost in proportion.
    pub(crate) fn deal(&self, amount: f64, weights: &[f64]) -> Result<Vec<f64>> {
        let sum: f64 = weights.iter().sum();
        if !self.whole {
            return Ok(weights.iter().map(|w| amount * w / sum).collect());
        }
        let shares = weights.iter().map(|w| Share::new("share", (w / sum).clamp(0.0, 1.0)));
        let parts = apportion(amount.round() as usize, &shares.collect::<Result<Vec<_>, _>>()?)?;
        Ok(parts.into_iter().map(|part| part as f64).collect())
    }
}
