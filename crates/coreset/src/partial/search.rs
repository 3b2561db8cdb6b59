//! Searching one shard: the only place where partials look at rows on behalf of draws.

use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

use super::Shard;
use super::zcore::Winner;
use crate::Result;
use crate::draws::Draw;
use crate::stacked::Stacked;
use crate::zcore_plan::{Scorer, Work, neighbouring};

/// A shard's rows in ascending order of their numbers, so that what goes by the lower row here goes by the lower row of the
/// whole; rows that get no score come last, as their numbers do.
pub(super) struct Searched<'a> {
    shard: Shard<'a>,
    ids: Vec<u32>,
    /// The rows in order, where they were not.
    sorted: Option<Array2<f32>>,
    /// Rows before this position get scores.
    n_scored: usize,
}

impl<'a> Searched<'a> {
    pub(super) fn new(shard: Shard<'a>, n_scored: u32) -> Self {
        let order = shard.ascending();
        let ids: Vec<u32> = match &order {
            Some(order) => order.iter().map(|at| shard.id(*at)).collect(),
            None => shard.ids().collect(),
        };
        let sorted = order.map(|order| shard.rows().select(Axis(0), &order));
        let n_scored = ids.partition_point(|id| *id < n_scored);
        Self { shard, ids, sorted, n_scored }
    }

    /// The row closest to each point: among equals one that gets no score first, then the lowest.
    pub(super) fn closest(&self, draws: &[Draw]) -> Result<Vec<Option<Winner>>> {
        let rows = self.rows();
        let found = self.by_batches(draws, 1, |scorer, points, _| scorer.winners(points))?;
        let winner = |(draw, found): (&Draw, Option<(f64, u32)>)| {
            let (distance, at) = found?;
            let at_columns = draw.iter().map(|(column, _)| rows[[at as usize, *column]]).collect();
            Some(Winner { distance, row: self.ids[at as usize], at: at_columns })
        };
        Ok(draws.iter().zip(found).map(winner).collect())
    }

    /// The k rows closest to each point by distance and row, without the row that is left out.
    pub(super) fn nearest(
        &self,
        points: &[Draw],
        without: &[Option<u32>],
        k: usize,
    ) -> Result<Vec<Vec<(f64, u32)>>> {
        let k = k.min(self.ids.len());
        if k == 0 {
            return Ok(vec![Vec::new(); points.len()]);
        }
        // A row of another shard is no row of this one, and no shard has a row of the last number there is.
        let here = |row: &Option<u32>| row.and_then(|row| self.ids.binary_search(&row).ok());
        let left_out: Vec<u32> =
            without.iter().map(|row| here(row).map_or(u32::MAX, |at| at as u32)).collect();
        let found = self.by_batches(points, k, |scorer, points, order| {
            let left_out: Vec<u32> = order.iter().map(|i| left_out[*i]).collect();
            scorer.nearest(points, &left_out, k)
        })?;
        let number = |(distance, at): (f64, u32)| (distance, self.ids[at as usize]);
        Ok(found.into_par_iter().map(|list| list.into_iter().map(number).collect()).collect())
    }

    fn rows(&self) -> ArrayView2<'_, f32> {
        match &self.sorted {
            Some(sorted) => sorted.view(),
            None => self.shard.rows(),
        }
    }

    /// Searches batch by batch, for draws of neighbouring columns together.
    fn by_batches<T: Default + Clone>(
        &self,
        points: &[Draw],
        k: usize,
        search: impl Fn(&Scorer<'_>, &[Draw], &[usize]) -> Vec<T>,
    ) -> Result<Vec<T>> {
        let mut found = vec![T::default(); points.len()];
        if self.ids.is_empty() {
            return Ok(found);
        }
        let (scored, others) = self.rows().split_at(Axis(0), self.n_scored);
        let rows = Stacked::new(scored, others)?;
        let n_dims = points.first().map_or(0, Vec::len);
        let scorer = Scorer::new(rows, Work { n_draws: points.len(), n_dims, n_neighbours: k });
        let order = neighbouring(points);
        for batch in order.chunks(scorer.batch()) {
            let points: Vec<Draw> = batch.iter().map(|i| points[*i].clone()).collect();
            for (i, one) in batch.iter().zip(search(&scorer, &points, batch)) {
                found[*i] = one;
            }
        }
        Ok(found)
    }
}
