use rayon::prelude::*;

use super::search::Searched;
use super::zcore::Run;
use super::{Partial, PartialError, RowsSeen, Shard, ZCoreWinners};
use crate::closest::by_distance;
use crate::draws::Draw;
use crate::zcore_kernel::penalties;
use crate::{CoresetError, Result, ZCoreScores};

/// Draws whose changes are worked out together before they are added in order.
const BATCH: usize = 4096;

/// Second round of ZCore: the rows closest to the winner of each draw.
///
/// Comes from [`ZCoreWinners::finish`](Partial::finish) and goes out to all shards; each adds its k rows closest to the winner
/// by (distance, row number). Finishing it adds gains and losses in the order of draws, so the scores are those of
/// [`ZCoreParams::score`](crate::ZCoreParams::score) over the whole, bit for bit. Between machines a draw takes up to
/// `12 k + 8 n_dims + 12` bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct ZCoreNeighbours {
    pub(super) run: Run,
    pub(super) seen: RowsSeen,
    /// Rows that won, and where they lie; `None` for all draws of a run without rows.
    pub(super) winners: Vec<Option<u32>>,
    pub(super) points: Vec<Draw>,
    /// By draw: distance and row, closest first, at most [`k`](Self::k).
    pub(super) nearest: Vec<Vec<(f64, u32)>>,
}

impl ZCoreNeighbours {
    pub(super) fn new(round: ZCoreWinners) -> Self {
        let ZCoreWinners { run, draws, winners, .. } = round;
        let points = draws.iter().zip(&winners).map(|(draw, winner)| {
            let at = winner.iter().flat_map(|w| &w.at);
            draw.iter().zip(at).map(|((c, _), at)| (*c, f64::from(*at))).collect()
        });
        let points: Vec<Draw> = points.collect();
        let winners: Vec<_> = winners.into_iter().map(|w| w.map(|w| w.row)).collect();
        Self { run, seen: RowsSeen::default(), nearest: vec![Vec::new(); points.len()], winners, points }
    }

    /// Neighbours kept for each draw.
    pub fn k(&self) -> usize {
        let others = self.run.rows.n_rows.saturating_sub(1);
        self.run.params.n_neighbours.min(usize::try_from(others).unwrap_or(usize::MAX))
    }

    /// Draws of this round.
    pub fn n_draws(&self) -> usize {
        self.winners.len()
    }

    /// The rows seen in this round.
    pub fn seen(&self) -> RowsSeen {
        self.seen
    }

    /// Adds the changes of these draws to raw scores, for runs in [`batches`](ZCoreWinners::batches).
    ///
    /// The bits are those of the whole run where batches are added in the order of their draws, starting from
    /// [`start`](Self::start); [`ZCoreScores::from_raw`] makes scores of the sum.
    ///
    /// # Errors
    /// [`PartialError::Rows`], and [`CoresetError::LengthMismatch`] where `raw` has not one entry for each scored row.
    pub fn add_to(&self, raw: &mut [f64]) -> Result<()> {
        self.seen.expect(self.run.rows)?;
        let (found, expected) = (raw.len(), self.run.n_scored as usize);
        if found != expected {
            return Err(CoresetError::LengthMismatch { what: "raw scores", found, expected });
        }
        for start in (0..self.n_draws()).step_by(BATCH) {
            let batch = start..self.n_draws().min(start + BATCH);
            let changes: Vec<Vec<(u32, f64)>> = batch.into_par_iter().map(|i| self.changes(i)).collect();
            for (row, change) in changes.into_iter().flatten() {
                if let Some(score) = raw.get_mut(row as usize) {
                    *score += change;
                }
            }
        }
        Ok(())
    }

    /// What raw scores start from.
    pub fn start(&self) -> Result<Vec<f64>> {
        let valid = self.run.params.check()?;
        Ok(valid.params().initial.scores(valid.params().seed, self.run.n_scored as usize))
    }

    /// Gain of the winner and losses around it.
    fn changes(&self, draw: usize) -> Vec<(u32, f64)> {
        let gain = self.winners[draw].map(|row| (row, 1.0));
        let params = &self.run.params;
        gain.into_iter().chain(penalties(&self.nearest[draw], params.exponent, params.eps)).collect()
    }

    fn offer(&mut self, draw: usize, found: Vec<(f64, u32)>) {
        let k = self.k();
        let held = &mut self.nearest[draw];
        held.extend(found);
        held.sort_unstable_by(by_distance);
        held.truncate(k);
    }
}

impl Partial for ZCoreNeighbours {
    type Input<'a> = Shard<'a>;
    type Output = ZCoreScores;

    fn observe(&mut self, shard: Shard<'_>) -> Result<()> {
        shard.expect_columns(self.run.n_columns)?;
        self.run.expect_numbers(&shard)?;
        let seen = self.seen.and(RowsSeen::of(&shard))?;
        let searched = Searched::new(shard, self.run.n_scored);
        let found = searched.nearest(&self.points, &self.winners, self.k())?;
        self.seen = seen;
        found.into_iter().enumerate().for_each(|(draw, found)| self.offer(draw, found));
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        self.run.expect_like(&other.run)?;
        if self.winners != other.winners || self.points != other.points {
            return Err(PartialError::Incompatible { what: "winners" }.into());
        }
        self.seen = self.seen.and(other.seen)?;
        other.nearest.into_iter().enumerate().for_each(|(draw, found)| self.offer(draw, found));
        Ok(())
    }

    fn finish(self) -> Result<ZCoreScores> {
        let mut raw = self.start()?;
        self.add_to(&mut raw)?;
        Ok(ZCoreScores::from_raw(raw))
    }
}
