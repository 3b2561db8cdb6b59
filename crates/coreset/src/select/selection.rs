use serde::{Deserialize, Serialize};

use super::Reason;

/// A row that was picked, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pick {
    /// Row number among the candidates.
    pub row: usize,
    /// Position in the selection, from 0.
    pub rank: usize,
    /// What it gained when picked; the method says in what unit.
    pub gain: f64,
    /// Why it was picked.
    pub reason: Reason,
}

/// Why a selection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// As many picks as were asked for.
    Full,
    /// Every row was picked.
    RowsExhausted,
    /// Rows are left, but the groups of all of them have their quota.
    QuotaReached,
    /// Rows are left in groups that want more, but each is too close to a pick or a labelled row.
    MinDistance,
}

/// What was picked, in the order of picking.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    /// The picks, first pick first.
    pub picks: Vec<Pick>,
    /// Why there are no more.
    pub ended: Ended,
}

impl Selection {
    /// The rows picked, first pick first.
    pub fn rows(&self) -> Vec<usize> {
        self.picks.iter().map(|pick| pick.row).collect()
    }
}
