//! Which of two ways scores the draws of a run: both give the same bits, so cost alone decides.

use fearless_simd::Level;
use rayon::prelude::*;

use crate::closest::Nearest;
use crate::codes::Codes;
use crate::columns::{ColumnStats, Columns};
use crate::draws::Draw;
use crate::stacked::Stacked;
use crate::zcore_kernel::{Penalty, Scan, Update};
use crate::zcore_sample::Sample;
use crate::zcore_search::Search;

/// Draws scored together where each looks at all rows on its own.
const PLAIN_BATCH: usize = 256;
/// Bytes that the neighbours found for a batch may take.
const BATCH_BYTES: usize = 512 * 1024 * 1024;

/// Columns of one block whose codes fit into a second-level cache.
const NEAR_COLUMNS: usize = 64;

/// What is to be scored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    pub(crate) n_draws: usize,
    pub(crate) n_dims: usize,
    pub(crate) n_neighbours: usize,
}

/// Rows made ready for draws.
pub(crate) struct Scorer<'a> {
    rows: Stacked<'a>,
    work: Work,
    ready: Ready,
}

enum Ready {
    /// Columns as numbers; each draw looks at every row.
    Plain(Columns),
    /// Columns as codes; draws look at rows that codes do not rule out.
    Coded(Searched),
}

/// What the search by codes needs beside the rows.
struct Searched {
    codes: Codes,
    sample: Sample,
    level: Level,
}

impl Searched {
    fn new(rows: &Stacked<'_>, level: Level) -> Self {
        Self { codes: Codes::new(rows, level), sample: Sample::new(rows), level }
    }

    fn search<'a>(&'a self, rows: &'a Stacked<'a>) -> Search<'a> {
        Search::new(rows, &self.codes, &self.sample, self.level)
    }
}

impl<'a> Scorer<'a> {
    /// Lays the rows out for the way that is cheaper.
    pub(crate) fn new(rows: Stacked<'a>, work: Work) -> Self {
        match coded_pays(rows.n_rows(), rows.n_columns(), work) {
            true => Self::coded(rows, work, Level::new()),
            false => Self::plain(rows, work),
        }
    }

    fn plain(rows: Stacked<'a>, work: Work) -> Self {
        Self { ready: Ready::Plain(Columns::of(&rows)), rows, work }
    }

    fn coded(rows: Stacked<'a>, work: Work, level: Level) -> Self {
        Self { ready: Ready::Coded(Searched::new(&rows, level)), rows, work }
    }

    /// Rows that get scores.
    pub(crate) fn n_scored(&self) -> usize {
        self.rows.n_scored()
    }

    pub(crate) fn n_columns(&self) -> usize {
        self.rows.n_columns()
    }

    /// Statistics of each column over all rows.
    pub(crate) fn stats(&self) -> Vec<ColumnStats> {
        match &self.ready {
            Ready::Plain(columns) => columns.stats(),
            Ready::Coded(searched) => searched.codes.stats(&self.rows),
        }
    }

    /// Draws to score together.
    pub(crate) fn batch(&self) -> usize {
        match &self.ready {
            Ready::Plain(_) => PLAIN_BATCH,
            Ready::Coded(..) => (BATCH_BYTES / (self.n_neighbours() * 56 + 512)).max(PLAIN_BATCH),
        }
    }

    /// What each draw adds to the scores.
    pub(crate) fn updates(&self, draws: &[Draw], penalty: Penalty) -> Vec<Update> {
        let order = neighbouring(draws);
        let draws: Vec<Draw> = order.iter().map(|i| draws[*i].clone()).collect();
        // Where there are rows, every draw has a winner.
        let winners: Vec<u32> = self.winners(&draws).into_iter().flatten().map(|(_, row)| row).collect();
        let at_winner = |(draw, winner): (&Draw, &u32)| -> Draw {
            let row = self.rows.row(*winner as usize);
            draw.iter().map(|(column, _)| (*column, f64::from(row[*column]))).collect()
        };
        let points: Vec<Draw> = draws.par_iter().zip(&winners).map(at_winner).collect();
        let neighbours = self.nearest(&points, &winners, self.n_neighbours());
        let n_scored = self.rows.n_scored();
        let update = |(winner, near): (&u32, &Vec<_>)| penalty.update(*winner, near, n_scored);
        let found: Vec<Update> = winners.par_iter().zip(&neighbours).map(update).collect();
        let mut updates = vec![Update::new(); found.len()];
        for (i, update) in order.into_iter().zip(found) {
            updates[i] = update;
        }
        updates
    }

    /// The row closest to each point with its distance; among equals an unscored row first, then the lowest.
    pub(crate) fn winners(&self, points: &[Draw]) -> Vec<Option<(f64, u32)>> {
        match &self.ready {
            Ready::Plain(columns) => {
                let scan = Scan { columns, n_scored: self.rows.n_scored() };
                points.par_iter().map(|point| scan.winner(point)).collect()
            }
            Ready::Coded(searched) => searched.search(&self.rows).winners(points),
        }
    }

    /// The `k` rows closest to each point, by distance and row, without the row that is left out.
    pub(crate) fn nearest(&self, points: &[Draw], left_out: &[u32], k: usize) -> Vec<Nearest> {
        match &self.ready {
            Ready::Plain(columns) => {
                let scan = Scan { columns, n_scored: self.rows.n_scored() };
                points.par_iter().zip(left_out).map(|(point, out)| scan.nearest(point, *out, k)).collect()
            }
            Ready::Coded(searched) => searched.search(&self.rows).nearest(points, left_out, k),
        }
    }

    fn n_neighbours(&self) -> usize {
        self.work.n_neighbours.min(self.rows.n_rows().saturating_sub(1))
    }
}

/// An order of draws in which those whose columns lie close together follow one another, so that their numbers or codes
/// stay in the nearest caches.
pub(crate) fn neighbouring(draws: &[Draw]) -> Vec<usize> {
    let column = |i: usize, at: usize| draws[i].get(at).map_or(0, |(column, _)| *column);
    let mut order: Vec<usize> = (0..draws.len()).collect();
    order.sort_unstable_by_key(|i| (column(*i, 1) / NEAR_COLUMNS, column(*i, 0), *i));
    order
}

/// Whether making codes pays, by costs in nanoseconds as measured on one core.
fn coded_pays(n_rows: usize, n_columns: usize, work: Work) -> bool {
    let (rows, columns, draws) = (n_rows as f64, n_columns as f64, work.n_draws as f64);
    let (dims, neighbours) = (work.n_dims.min(n_columns) as f64, work.n_neighbours.min(n_rows) as f64);
    let plain = rows * columns * 5.0 + draws * (rows * dims * 2.3 + neighbours * 50.0);
    let coded = columns * (rows * 2.0 + 50_000.0) + draws * (3_000.0 + rows * 0.1 + neighbours * 170.0);
    coded < plain
}

#[cfg(test)]
mod tests {
    use labelloop_core::Seed;
    use ndarray::{Array2, ArrayView2};
    use proptest::prelude::*;

    use super::*;
    use crate::draws::draw;

    /// Normal, or whole numbers of which many are equal, or mostly zero.
    fn rows(kind: u8, seed: u64, (n, d): (usize, usize)) -> Array2<f32> {
        let s = Seed::new(seed);
        Array2::from_shape_fn((n, d), |(i, j)| {
            let x = s.normal((i * d + j) as u64) as f32;
            match kind {
                0 => x,
                1 => (3.0 * x).round(),
                2 => x.max(0.0),
                _ => x.powi(9) * 1e6,
            }
        })
    }

    fn updates_agree(first: ArrayView2<'_, f32>, second: ArrayView2<'_, f32>, work: Work, level: Level) {
        let plain = Scorer::plain(Stacked::new(first, second).unwrap(), work);
        let coded = Scorer::coded(Stacked::new(first, second).unwrap(), work, level);
        let stats = plain.stats();
        assert_eq!(stats, coded.stats());
        let draws: Vec<Draw> =
            (0..work.n_draws as u64).map(|i| draw(Seed::new(3), i, work.n_dims, &stats)).collect();
        let penalty = Penalty { exponent: 4.0, eps: 1e-8 };
        assert_eq!(plain.updates(&draws, penalty), coded.updates(&draws, penalty));
    }

    fn work(n_draws: usize, n_dims: usize, n_neighbours: usize) -> Work {
        Work { n_draws, n_dims, n_neighbours }
    }

    #[test]
    fn both_ways_agree_where_a_sample_bounds_the_distance() {
        for kind in 0..4 {
            let (first, second) = (rows(kind, 1, (5000, 19)), rows(kind, 1, (700, 19)));
            for (n_dims, k) in [(1, 20), (2, 50), (3, 7), (6, 50)] {
                updates_agree(first.view(), second.view(), work(60, n_dims, k), Level::new());
            }
        }
    }

    #[test]
    fn both_ways_agree_without_any_vectors() {
        let (first, second) = (rows(0, 2, (3000, 5)), rows(0, 3, (0, 5)));
        updates_agree(first.view(), second.view(), work(40, 2, 50), Level::baseline());
    }

    #[test]
    fn columns_without_a_width_have_one_code() {
        let mut first = rows(0, 5, (600, 4));
        first.column_mut(1).fill(7.0);
        first.column_mut(2).iter_mut().enumerate().for_each(|(i, v)| *v = if i == 5 { 3e38 } else { -3e38 });
        let none = Array2::zeros((0, 4));
        updates_agree(first.view(), none.view(), work(80, 2, 50), Level::new());
    }

    #[test]
    fn large_work_is_coded_and_small_work_is_not() {
        assert!(coded_pays(50_000, 768, work(20_000, 2, 50)));
        assert!(!coded_pays(100, 768, work(100, 2, 50)));
    }

    proptest! {
        #[test]
        fn both_ways_agree(
            kind in 0u8..4, seed: u64, n in 1usize..1500, labelled in 0usize..300, d in 1usize..20,
            n_dims in 1usize..6, k in 1usize..80,
        ) {
            let (first, second) = (rows(kind, seed, (n, d)), rows(kind, seed, (labelled, d)));
            updates_agree(first.view(), second.view(), work(12, n_dims, k), Level::new());
        }
    }
}
