use fearless_simd::{Level, dispatch};
use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use crate::Metric;
use crate::metric::norm;

/// Codes of one row are padded to a multiple of this, so that the kernel has no remainder.
const LANES: usize = 16;
/// Rows that the grid is laid out by; they are spread evenly over the pool.
const SAMPLE: usize = 2000;
/// Rows this many times farther out than 99 of 100 are off the grid, lest a few strays coarsen it for all.
const REACH: f64 = 4.0;
/// Room beyond what the sample shows.
const ROOM: f64 = 1.25;

/// Where the points of a grid of whole numbers lie among the vectors.
///
/// The graph knows one closeness alone: Euclidean distance. Under cosine it is that of the directions; under the inner
/// product every row gets one more coordinate that makes all of them equally long, and a query a 0 there (Bachrach et
/// al. 2014, "Speeding up the Xbox recommender system", section 3), which leaves the order by inner product. Distances
/// on the grid are whole numbers, so no order of additions and no instruction set can change one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grid {
    metric: Metric,
    /// Length of the longest row, strays left out, under the inner product.
    longest: f64,
    centre: Vec<f64>,
    step: f64,
    max_code: f64,
}

/// Rows of the pool on the grid.
#[derive(Debug, Clone)]
pub(crate) struct Codes {
    level: Level,
    stride: usize,
    codes: Vec<i16>,
}

impl Grid {
    /// Lays a grid out by an even sample of the rows.
    pub(crate) fn fit(pool: ArrayView2<'_, f32>, norms: &[f64], metric: Metric) -> Self {
        let n_sample = pool.nrows().min(SAMPLE);
        let sample: Vec<usize> = (0..n_sample).map(|i| i * pool.nrows() / n_sample).collect();
        let n_dims = pool.ncols() + usize::from(metric == Metric::Dot);
        let max_code = max_code(n_dims);
        let mut grid = Self { metric, longest: 1.0, centre: vec![0.0; n_dims], step: 1.0, max_code };
        if metric == Metric::Dot {
            // Rows and queries lie in the unit ball, queries at its rim.
            grid.longest = reach(sample.iter().map(|row| norms[*row]));
            grid.step = 2.0 / max_code;
            return grid;
        }
        let points: Vec<Vec<f64>> =
            sample.iter().map(|row| grid.place(slice(pool, *row), norms[*row])).collect();
        grid.centre = (0..n_dims).map(|d| median(points.iter().map(|point| point[d]).collect())).collect();
        let centre = &grid.centre;
        let farthest =
            |point: &Vec<f64>| point.iter().zip(centre).fold(0.0, |far: f64, (x, c)| far.max((x - c).abs()));
        grid.step = 2.0 * ROOM * reach(points.iter().map(farthest)) / max_code;
        grid
    }

    /// Numbers of one code, with the padding.
    pub(crate) fn stride(&self) -> usize {
        self.centre.len().next_multiple_of(LANES)
    }

    /// All rows of the pool on the grid, and those that lie off it.
    pub(crate) fn encode(&self, pool: ArrayView2<'_, f32>, norms: &[f64]) -> (Codes, Vec<u32>) {
        let stride = self.stride();
        let mut codes = vec![0; pool.nrows() * stride];
        let strays = codes
            .par_chunks_mut(stride)
            .enumerate()
            .filter_map(|(row, code)| {
                let is_on = self.round(&self.place(slice(pool, row), norms[row]), code);
                let is_short = self.metric != Metric::Dot || norms[row] <= self.longest;
                (!(is_on && is_short)).then_some(row as u32)
            })
            .collect();
        (Codes { level: Level::new(), stride, codes }, strays)
    }

    /// One query on the grid; false where it lies so far off that distances from there mean nothing.
    pub(crate) fn encode_query(&self, query: &[f32], query_norm: f64, code: &mut Vec<i16>) -> bool {
        code.clear();
        code.resize(self.stride(), 0);
        let mut point = match self.metric {
            // Any length gives the same order; this one lies where the rows are.
            Metric::Dot => scaled(query, query_norm),
            Metric::Cosine | Metric::L2 => self.place(query, query_norm),
        };
        point.resize(self.centre.len(), 0.0);
        self.round(&point, code)
    }

    /// How far the distance of two codes may be from that of their vectors, in steps: for each of them half a step in
    /// every coordinate, and as far as it may lie off the grid.
    pub(crate) fn slack(&self) -> f64 {
        2.0 * (self.half_steps() + self.margin())
    }

    fn half_steps(&self) -> f64 {
        0.5 * (self.centre.len() as f64).sqrt()
    }

    /// How far off the grid a vector may lie, in steps, to be taken to lie at its edge.
    fn margin(&self) -> f64 {
        self.half_steps()
    }

    /// A row of the pool in the space of the graph.
    fn place(&self, row: &[f32], norm: f64) -> Vec<f64> {
        match self.metric {
            Metric::L2 => row.iter().map(|x| f64::from(*x)).collect(),
            Metric::Cosine => scaled(row, norm),
            Metric::Dot => {
                let share = norm / self.longest;
                let mut point = scaled(row, self.longest);
                point.push((1.0 - share * share).max(0.0).sqrt());
                point
            }
        }
    }

    /// Writes the closest point of the grid; false where that is not close.
    fn round(&self, point: &[f64], code: &mut [i16]) -> bool {
        let mut off = 0.0;
        for ((code, x), centre) in code.iter_mut().zip(point).zip(&self.centre) {
            let steps = (x - centre) / self.step + 0.5 * self.max_code;
            let on_grid = steps.clamp(0.0, self.max_code);
            off += (steps - on_grid) * (steps - on_grid);
            *code = on_grid.round() as i16;
        }
        off <= self.margin() * self.margin()
    }
}

impl Codes {
    /// Rows held.
    pub(crate) fn len(&self) -> usize {
        self.codes.len() / self.stride
    }

    /// The code of a row.
    #[inline(always)]
    pub(crate) fn of(&self, row: u32) -> &[i16] {
        &self.codes[row as usize * self.stride..][..self.stride]
    }

    /// Only the rows named, in that order.
    pub(crate) fn pick(&self, rows: &[u32]) -> Self {
        let codes = rows.iter().flat_map(|row| self.of(*row)).copied().collect();
        Self { codes, ..*self }
    }

    /// Squared distances in squared steps from `query` to each of `rows`.
    pub(crate) fn squared_distances(&self, query: &[i16], rows: &[u32], out: &mut Vec<u32>) {
        out.clear();
        dispatch!(self.level, _ => {
            for row in rows {
                out.push(squared_distance(query, self.of(*row)));
            }
        });
    }

    /// The first `limit` of `candidates`, closest first, that are closer to `base` than to any one taken before.
    ///
    /// This is the choice of neighbours of the paper (Malkov and Yashunin 2018, algorithm 4), without its extensions:
    /// links go into all directions rather than into the closest crowd.
    pub(crate) fn spread_out(&self, candidates: &[(u32, u32)], limit: usize) -> Vec<(u32, u32)> {
        dispatch!(self.level, _ => self.taken(candidates, limit))
    }

    #[inline(always)]
    fn taken(&self, candidates: &[(u32, u32)], limit: usize) -> Vec<(u32, u32)> {
        let mut taken: Vec<(u32, u32)> = Vec::with_capacity(limit);
        for (distance, row) in candidates {
            if taken.len() == limit {
                break;
            }
            let code = self.of(*row);
            if self.keeps_away(code, *distance, &taken) {
                taken.push((*distance, *row));
            }
        }
        taken
    }

    /// Whether a code is at least `distance` away from every row; a loop, since a closure would not be compiled
    /// for the instructions at hand.
    #[inline(always)]
    fn keeps_away(&self, code: &[i16], distance: u32, rows: &[(u32, u32)]) -> bool {
        for (_, row) in rows {
            if squared_distance(code, self.of(*row)) < distance {
                return false;
            }
        }
        true
    }
}

/// Exact, and below 2^32 for codes of [`max_code`].
#[inline(always)]
fn squared_distance(a: &[i16], b: &[i16]) -> u32 {
    a.iter().zip(b).fold(0, |sum: u32, (x, y)| {
        let difference = i32::from(x.wrapping_sub(*y));
        sum.wrapping_add((difference * difference) as u32)
    })
}

/// The largest code with which no squared distance reaches 2^32.
fn max_code(n_dims: usize) -> f64 {
    (f64::from(u32::MAX) / n_dims as f64).sqrt().floor().clamp(1.0, f64::from(i16::MAX))
}

/// The vector divided by a length; by nothing where that is 0.
fn scaled(row: &[f32], length: f64) -> Vec<f64> {
    let length = if 0.0 < length { length } else { 1.0 };
    row.iter().map(|x| f64::from(*x) / length).collect()
}

/// The largest number, or a multiple of what 99 of 100 stay below; 1 where there is none but 0.
fn reach(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.filter(|value| 0.0 < *value).collect();
    if values.is_empty() {
        return 1.0;
    }
    let most = values.iter().copied().fold(0.0, f64::max);
    let nearly_all = values.len() * 99 / 100;
    let (_, usual, _) = values.select_nth_unstable_by(nearly_all, f64::total_cmp);
    most.min(REACH * *usual)
}

/// A row of an array in standard layout.
fn slice<'a>(pool: ArrayView2<'a, f32>, row: usize) -> &'a [f32] {
    pool.index_axis_move(Axis(0), row).to_slice().unwrap_or(&[])
}

fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Lengths of all rows, in f64.
pub(crate) fn norms(pool: ArrayView2<'_, f32>) -> Vec<f64> {
    let rows: Vec<_> = pool.rows().into_iter().collect();
    rows.par_iter().map(|row| row.as_slice().map_or(f64::NAN, norm)).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    use super::*;

    fn laid_out(pool: &Array2<f32>, metric: Metric) -> (Grid, Codes) {
        let norms = norms(pool.view());
        let grid = Grid::fit(pool.view(), &norms, metric);
        let (codes, strays) = grid.encode(pool.view(), &norms);
        assert_eq!(strays, Vec::<u32>::new());
        (grid, codes)
    }

    fn oracle(a: &[i16], b: &[i16]) -> u64 {
        a.iter().zip(b).map(|(x, y)| (i64::from(*x) - i64::from(*y)).pow(2) as u64).sum()
    }

    #[test]
    fn no_squared_distance_reaches_two_to_the_32() {
        for n_dims in [1, 2, 3, 4, 128, 768, 4096, 100_000] {
            let most = max_code(n_dims) as i16;
            let (low, high) = (vec![0i16; n_dims], vec![most; n_dims]);
            assert!(most >= 1 && oracle(&low, &high) <= u64::from(u32::MAX), "{n_dims}");
            assert_eq!(u64::from(squared_distance(&low, &high)), oracle(&low, &high));
        }
    }

    #[test]
    fn nothing_but_equal_rows_is_one_point() {
        for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
            let (grid, codes) = laid_out(&Array2::from_elem((5, 3), 2.0), metric);
            assert!((1..5).all(|row| codes.of(row) == codes.of(0)) && 0.0 < grid.step, "{metric:?}");
        }
        assert_eq!(laid_out(&Array2::zeros((0, 3)), Metric::L2).1.len(), 0);
    }

    #[test]
    fn rows_and_queries_far_off_the_grid_are_named() {
        let mut pool = Array2::from_shape_fn((3000, 2), |(i, j)| ((i * (j + 3)) % 97) as f32);
        pool[[1700, 1]] = 1e9;
        let lengths = norms(pool.view());
        for metric in [Metric::Dot, Metric::L2] {
            let grid = Grid::fit(pool.view(), &lengths, metric);
            assert_eq!(grid.encode(pool.view(), &lengths).1, [1700], "{metric:?}");
            let mut code = Vec::new();
            assert!(grid.encode_query(&[30.0, 40.0], 50.0, &mut code));
            // Under the inner product the length of a query changes nothing.
            assert_eq!(grid.encode_query(&[3e8, 4e8], 5e8, &mut code), metric == Metric::Dot);
        }
    }

    #[test]
    fn codes_are_padded_with_zeros() {
        let (grid, codes) = laid_out(&array![[1.0, 2.0], [3.0, 5.0]], Metric::L2);
        assert_eq!((grid.stride(), codes.len()), (16, 2));
        assert!(codes.of(1)[2..].iter().all(|x| *x == 0));
        assert_eq!(codes.pick(&[1]).of(0), codes.of(1));
    }

    #[test]
    fn links_go_into_all_directions() {
        // From 0: of 1, 1.1 and -2, the second is closer to the first than to the base.
        let (_, codes) = laid_out(&array![[0.0], [1.0], [1.1], [-2.0]], Metric::L2);
        let mut distances = Vec::new();
        codes.squared_distances(codes.of(0), &[1, 2, 3], &mut distances);
        let candidates: Vec<(u32, u32)> = distances.into_iter().zip([1, 2, 3]).collect();
        let taken = |limit| codes.spread_out(&candidates, limit).iter().map(|c| c.1).collect::<Vec<_>>();
        assert_eq!((taken(9), taken(1), taken(0)), (vec![1, 3], vec![1], vec![]));
    }

    proptest! {
        #[test]
        fn the_kernel_is_the_sum_of_squares(
            rows in prop::collection::vec(prop::collection::vec(-9.0f32..9.0, 37), 2..20),
        ) {
            let pool = Array2::from_shape_fn((rows.len(), 37), |(i, j)| rows[i][j]);
            let (_, codes) = laid_out(&pool, Metric::L2);
            let all: Vec<u32> = (0..rows.len() as u32).collect();
            let mut distances = Vec::new();
            codes.squared_distances(codes.of(1), &all, &mut distances);
            for (row, distance) in all.iter().zip(distances) {
                prop_assert_eq!(u64::from(distance), oracle(codes.of(1), codes.of(*row)));
            }
        }

        #[test]
        fn distances_of_codes_are_those_of_vectors_within_the_slack(
            pair in prop::collection::vec((-1.0f32..1.0, -1.0f32..1.0), 1..60),
        ) {
            let (a, b): (Vec<f32>, Vec<f32>) = pair.into_iter().unzip();
            let n_dims = a.len();
            let pool = Array2::from_shape_fn((3, n_dims), |(i, j)| [1.0, a[j], b[j]][i]);
            let (grid, codes) = laid_out(&pool, Metric::L2);
            let mut query = Vec::new();
            grid.encode_query(&a, norm(&a), &mut query);
            prop_assert_eq!(&query[..], codes.of(1));
            let mut distances = Vec::new();
            codes.squared_distances(&query, &[2], &mut distances);
            let true_steps = Metric::L2.score(pool.row(1), pool.row(2)) / grid.step;
            prop_assert!((f64::from(distances[0]).sqrt() - true_steps).abs() <= grid.slack() + 1e-6);
        }

        #[test]
        fn the_closest_code_has_the_largest_inner_product(
            rows in prop::collection::vec(prop::collection::vec(-9.0f32..9.0, 3), 2..40), query in prop::array::uniform3(-9.0f32..9.0),
        ) {
            let pool = Array2::from_shape_fn((rows.len(), 3), |(i, j)| rows[i][j]);
            let (grid, codes) = laid_out(&pool, Metric::Dot);
            let (mut code, mut distances) = (Vec::new(), Vec::new());
            grid.encode_query(&query, norm(&query), &mut code);
            codes.squared_distances(&code, &(0..rows.len() as u32).collect::<Vec<_>>(), &mut distances);
            let closest = distances.iter().enumerate().min_by_key(|d| d.1).map_or(0, |d| d.0);
            let product = |row: usize| Metric::Dot.score(pool.row(row), ndarray::aview1(&query));
            let best = (0..rows.len()).map(product).fold(f64::NEG_INFINITY, f64::max);
            // Rounding to the grid may change places of products this close.
            let longest = norms(pool.view()).into_iter().fold(0.0, f64::max);
            prop_assert!(best - product(closest) <= 2e-3 * longest * norm(&query).max(1e-3));
        }
    }
}
