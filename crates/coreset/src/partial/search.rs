//! Searching one shard: the only place where partials look at rows on behalf of draws.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::Shard;
use super::zcore::Winner;
use crate::draws::Draw;

/// Some columns of a shard, its rows in ascending order of their numbers.
pub(super) struct Searched {
    columns: BTreeMap<usize, Vec<f32>>,
    ids: Vec<u32>,
    /// Rows before this position get scores.
    n_scored: usize,
}

impl Searched {
    /// Takes the columns that draws look at.
    pub(super) fn new(shard: &Shard<'_>, draws: &[Draw], n_scored: u32) -> Self {
        let order = shard.ascending();
        let at = |i: usize| order.as_ref().map_or(i, |order| order[i]);
        let ids: Vec<u32> = (0..shard.n_rows()).map(|i| shard.id(at(i))).collect();
        let mut used: Vec<usize> = draws.iter().flatten().map(|(c, _)| *c).collect();
        used.sort_unstable();
        used.dedup();
        let columns = used.into_par_iter().map(|j| {
            let column = shard.rows().index_axis_move(ndarray::Axis(1), j);
            (j, (0..ids.len()).map(|i| column[at(i)]).collect())
        });
        let columns = if ids.is_empty() { BTreeMap::new() } else { columns.collect() };
        let n_scored = ids.partition_point(|id| *id < n_scored);
        Self { columns, ids, n_scored }
    }

    /// The row closest to each point: among equals one that gets no score first, then the lowest.
    pub(super) fn closest(&self, draws: &[Draw]) -> Vec<Option<Winner>> {
        draws.par_iter().map(|draw| self.closest_to(draw)).collect()
    }

    fn closest_to(&self, draw: &Draw) -> Option<Winner> {
        let distances = self.distances(draw);
        let order = (self.n_scored..self.ids.len()).chain(0..self.n_scored);
        let best = order.reduce(|best, next| if distances[next] < distances[best] { next } else { best })?;
        let at = draw.iter().filter_map(|(column, _)| self.columns.get(column)?.get(best).copied()).collect();
        Some(Winner { distance: distances[best], row: self.ids[best], at })
    }

    /// The k rows closest to each point by distance and row, without the row that is left out.
    pub(super) fn nearest(&self, points: &[Draw], without: &[Option<u32>], k: usize) -> Vec<Vec<(f64, u32)>> {
        points.par_iter().zip(without).map(|(point, without)| self.nearest_to(point, *without, k)).collect()
    }

    fn nearest_to(&self, point: &Draw, without: Option<u32>, k: usize) -> Vec<(f64, u32)> {
        let mut found: Vec<(f64, u32)> =
            self.distances(point).into_iter().zip(self.ids.iter().copied()).collect();
        found.retain(|(_, id)| Some(*id) != without);
        if k < found.len() {
            found.select_nth_unstable_by(k, by_distance);
            found.truncate(k);
        }
        found.sort_unstable_by(by_distance);
        found
    }

    /// City-block distances, added in the order of the draw's columns.
    fn distances(&self, draw: &Draw) -> Vec<f64> {
        let mut distances = vec![0.0f64; self.ids.len()];
        for (column, at) in draw {
            for (distance, value) in distances.iter_mut().zip(self.columns.get(column).into_iter().flatten())
            {
                *distance += (f64::from(*value) - at).abs();
            }
        }
        distances
    }
}

/// Closest first, ties by lower row.
pub(super) fn by_distance(a: &(f64, u32), b: &(f64, u32)) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}
