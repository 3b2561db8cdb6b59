use labelloop_core::Seed;
use ndarray::Array2;

use super::search::Searched;
use super::{ColumnTable, Partial, PartialError, RowsSeen, Shard, ZCoreNeighbours};
use crate::columns::ColumnStats;
use crate::draws::{Draw, draw};
use crate::{CoresetError, DrawPlan, Result, ZCoreParams, ZCoreValidParams};

/// What all partials of a run share.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    pub(super) params: ZCoreParams,
    /// The rows that the columns were described by.
    pub(super) rows: RowsSeen,
    /// Rows from this number on are labelled already: they take part without a score.
    pub(super) n_scored: u32,
    pub(super) n_columns: usize,
    /// The number of the first of these draws among all of the run.
    pub(super) first_draw: u64,
}

/// First round of ZCore: the row closest to the point of each draw.
///
/// Made from the columns' description and the seed (or an explicit [`DrawPlan`]), it holds the points of all draws; each
/// shard adds its closest row by (distance, labelled rows first, row number) with the row's coordinates in the draw's
/// columns. Finishing it gives the second round. Between machines a draw takes `24 + 16 n_dims` bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct ZCoreWinners {
    pub(super) run: Run,
    pub(super) seen: RowsSeen,
    pub(super) draws: Vec<Draw>,
    pub(super) winners: Vec<Option<Winner>>,
}

/// The row closest to a point.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Winner {
    pub(super) distance: f64,
    pub(super) row: u32,
    /// Its coordinates in the draw's columns.
    pub(super) at: Vec<f32>,
}

impl ZCoreWinners {
    /// The first round of a run, before any rows. The last `n_labelled` row numbers are rows that are labelled already.
    ///
    /// # Errors
    /// [`PartialError::RowNumber`] for more labelled rows than rows, and [`CoresetError::LengthMismatch`] for a table whose
    /// columns differ in length.
    pub fn new(params: &ZCoreValidParams, columns: &ColumnTable, n_labelled: u32) -> Result<Self> {
        let run = Run::new(params, columns, n_labelled)?;
        let stats: Vec<ColumnStats> = (0..columns.min.len())
            .map(|j| ColumnStats { min: columns.min[j], median: columns.median[j], max: columns.max[j] })
            .collect();
        let ZCoreParams { seed, n_draws, n_dims, .. } = run.params;
        let seed = Seed::new(seed).stream("zcore-draw");
        let draws = (0..n_draws as u64).map(|i| draw(seed, i, n_dims, &stats)).collect();
        Ok(Self::with_draws(run, draws))
    }

    /// The first round of a run by an explicit list of draws, as [`ZCoreParams::score_plan`] takes it.
    ///
    /// # Errors
    /// Those of [`new`](Self::new), and of a plan that does not fit the columns.
    pub fn with_plan(params: &ZCoreValidParams, columns: &ColumnTable, plan: &DrawPlan) -> Result<Self> {
        let run = Run::new(params, columns, 0)?;
        let draws = plan.draws(run.n_columns)?;
        Ok(Self::with_draws(run, draws))
    }

    fn with_draws(run: Run, draws: Vec<Draw>) -> Self {
        let winners = vec![None; draws.len()];
        Self { run, seen: RowsSeen::default(), draws, winners }
    }

    /// Draws of this round.
    pub fn n_draws(&self) -> usize {
        self.draws.len()
    }

    /// The rows seen in this round.
    pub fn seen(&self) -> RowsSeen {
        self.seen
    }

    /// The same round in pieces of at most `n_draws` draws, for runs whose second round would not fit in memory at once.
    ///
    /// Each piece goes through both rounds by itself; [`ZCoreNeighbours::add_to`] adds them up.
    pub fn batches(self, n_draws: usize) -> Vec<Self> {
        let Self { run, draws, .. } = self;
        let batches = draws.chunks(n_draws.max(1)).enumerate().map(|(at, draws)| {
            let first_draw = run.first_draw + (at * n_draws.max(1)) as u64;
            Self::with_draws(Run { first_draw, ..run.clone() }, draws.to_vec())
        });
        batches.collect()
    }

    /// The draws as a plan: columns and points.
    pub fn plan(&self) -> DrawPlan {
        let n_dims = self.draws.first().map_or(0, Vec::len);
        let shape = (self.draws.len(), n_dims);
        DrawPlan {
            dims: Array2::from_shape_fn(shape, |(i, j)| self.draws[i][j].0 as u32),
            points: Array2::from_shape_fn(shape, |(i, j)| self.draws[i][j].1),
        }
    }

    fn offer(&mut self, draw: usize, found: Winner) {
        let held = &mut self.winners[draw];
        let n_scored = self.run.n_scored;
        let order = |w: &Winner| (w.row < n_scored, w.row);
        let wins = held.as_ref().is_none_or(|held| {
            found.distance.total_cmp(&held.distance).then_with(|| order(&found).cmp(&order(held))).is_lt()
        });
        if wins {
            *held = Some(found);
        }
    }
}

impl Partial for ZCoreWinners {
    type Input<'a> = Shard<'a>;
    type Output = ZCoreNeighbours;

    fn observe(&mut self, shard: Shard<'_>) -> Result<()> {
        shard.expect_columns(self.run.n_columns)?;
        self.run.expect_numbers(&shard)?;
        let seen = self.seen.and(RowsSeen::of(&shard))?;
        let found = Searched::new(shard, self.run.n_scored).closest(&self.draws)?;
        self.seen = seen;
        for (i, found) in found.into_iter().enumerate() {
            if let Some(found) = found {
                self.offer(i, found);
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        self.run.expect_like(&other.run)?;
        if self.draws != other.draws {
            return Err(PartialError::Incompatible { what: "draws" }.into());
        }
        self.seen = self.seen.and(other.seen)?;
        for (i, found) in other.winners.into_iter().enumerate() {
            if let Some(found) = found {
                self.offer(i, found);
            }
        }
        Ok(())
    }

    /// The second round.
    fn finish(self) -> Result<ZCoreNeighbours> {
        self.seen.expect(self.run.rows)?;
        Ok(ZCoreNeighbours::new(self))
    }
}

impl Run {
    fn new(params: &ZCoreValidParams, columns: &ColumnTable, n_labelled: u32) -> Result<Self> {
        let n_columns = columns.min.len();
        for (what, list) in [("medians of columns", &columns.median), ("maxima of columns", &columns.max)] {
            if list.len() != n_columns {
                return Err(CoresetError::LengthMismatch { what, found: list.len(), expected: n_columns });
            }
        }
        let n_rows = columns.rows.n_rows;
        let too_many = PartialError::RowNumber { found: u64::from(n_labelled), expected: n_rows };
        let n_scored = n_rows.checked_sub(u64::from(n_labelled)).ok_or(too_many)?;
        let too_many = CoresetError::TooManyRows { found: n_rows as usize, expected: u32::MAX as usize };
        let n_scored = u32::try_from(n_scored).map_err(|_| too_many)?;
        Ok(Self { params: params.params().clone(), rows: columns.rows, n_scored, n_columns, first_draw: 0 })
    }

    /// Rows of a run are numbered from 0 without gaps.
    pub(super) fn expect_numbers(&self, shard: &Shard<'_>) -> Result<()> {
        match shard.ids().max().map(u64::from) {
            Some(found) if found >= self.rows.n_rows => {
                Err(PartialError::RowNumber { found, expected: self.rows.n_rows.saturating_sub(1) }.into())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn expect_like(&self, other: &Self) -> Result<()> {
        if self == other {
            return Ok(());
        }
        Err(PartialError::Incompatible { what: "parameters, rows or draws" }.into())
    }
}
