use labelloop_core::Seed;
use ndarray::{Array1, Array2, ArrayView1, Axis, Slice};

use crate::exact_scan::slice_of;
use crate::exact_space::Space;

/// Directions that are looked for at most.
const MOST: usize = 128;
/// Rows that the centre, the directions and their worth are found by.
const SAMPLE: usize = 4096;
/// Rows of the sample that stand for queries when the cost is estimated.
const PROBES: usize = 48;
/// Rounds of subspace iteration; more make the directions better by little.
const ROUNDS: usize = 3;

/// The middle of all rows, and the directions in which they differ most.
///
/// Rows and directions are those of a [`Space`]: `scale * row`. Rows of real embeddings lie near a subspace of a few dozen
/// dimensions; then their codes need be of these alone, and what they leave out is bounded by its length.
#[derive(Debug, Clone)]
pub(crate) struct Basis {
    pub(crate) centre: Vec<f64>,
    /// Orthonormal up to [`Basis::skew`], shape: directions x dimensions; absent where codes are better of all dimensions.
    pub(crate) directions: Option<Array2<f32>>,
    /// At least the norm of what the products of all directions differ from the identity by.
    pub(crate) skew: f64,
}

impl Basis {
    pub(crate) fn new(space: &Space, vectors: &Array2<f32>) -> Self {
        let (n_rows, n_dims) = vectors.dim();
        let stride = n_rows.div_ceil(SAMPLE).max(1);
        let rows: Vec<usize> = (0..n_rows).step_by(stride).collect();
        let mut sample = Array2::from_shape_fn((rows.len(), n_dims), |(i, j)| {
            f64::from(space.scale[rows[i]]) * f64::from(vectors[[rows[i], j]])
        });
        let centre = sample.mean_axis(Axis(0)).map_or_else(|| vec![0.0; n_dims], |mean| mean.to_vec());
        sample -= &ArrayView1::from(&centre);
        let mut basis = Self { centre, directions: None, skew: 0.0 };
        if n_dims < 64 || rows.len() < 4 * MOST {
            return basis;
        }
        // Directions explain the rows they were found by better than others, which are therefore those they are tried on.
        let half = |odd: usize| {
            sample.slice_axis(Axis(0), Slice { start: odd as isize, end: None, step: 2 }).to_owned()
        };
        let directions = leading(&half(0), MOST.min(n_dims / 2));
        let bias = rows.iter().skip(1).step_by(2).map(|row| 0.5 * f64::from(space.bias[*row])).collect();
        let others = half(1);
        let trial = Trial::new(&others, bias, &basis.centre, n_rows);
        if let Some(n) = trial.cheapest(&directions) {
            let directions = directions.slice_axis(Axis(0), Slice::from(..n)).mapv(|v| v as f32);
            let wide = directions.mapv(f64::from);
            let off = wide.dot(&wide.t()) - Array2::<f64>::eye(n);
            basis.skew = 1e-9 + off.iter().map(|x| x * x).sum::<f64>().sqrt();
            basis.directions = Some(directions);
        }
        basis
    }

    /// Numbers that a row is coded by.
    pub(crate) fn n_coded(&self) -> usize {
        self.directions.as_ref().map_or(self.centre.len(), Array2::nrows)
    }

    /// `scale * row - centre` of a row.
    pub(crate) fn centred(&self, space: &Space, vectors: &Array2<f32>, row: usize) -> Vec<f64> {
        let scale = f64::from(space.scale[row]);
        slice_of(vectors, row).iter().zip(&self.centre).map(|(x, c)| scale * f64::from(*x) - c).collect()
    }
}

/// Orthonormal directions of most variance, by subspace iteration from random ones (Halko, Martinsson and Tropp 2011,
/// algorithm 4.4), the strongest first.
fn leading(sample: &Array2<f64>, n: usize) -> Array2<f64> {
    let (seed, n_dims) = (Seed::new(0).stream("index-basis"), sample.ncols());
    let mut directions = Array2::from_shape_fn((n, n_dims), |(i, j)| seed.normal((i * n_dims + j) as u64));
    orthonormalise(&mut directions);
    for _ in 0..ROUNDS {
        directions = directions.dot(&sample.t()).dot(sample);
        orthonormalise(&mut directions);
    }
    let found: Vec<usize> = (0..n).filter(|i| directions.row(*i).iter().any(|x| *x != 0.0)).collect();
    directions.select(Axis(0), &found)
}

/// Gram-Schmidt in the given order, twice, since once does not suffice for nearly dependent rows. A row that depends on those
/// before it becomes zero, which is in nobody's way.
fn orthonormalise(rows: &mut Array2<f64>) {
    for i in 0..rows.nrows() {
        let (before, mut after) = rows.view_mut().split_at(Axis(0), i);
        let mut row = after.row_mut(0);
        let first = row.dot(&row).sqrt();
        for _ in 0..2 {
            let along = before.dot(&row);
            row -= &before.t().dot(&along);
        }
        let length = row.dot(&row).sqrt();
        let keep = 1e-9 * first < length;
        row.mapv_inplace(|x| if keep { x / length } else { 0.0 });
    }
}

/// A search of the sample for some of its own rows.
struct Trial<'a> {
    sample: &'a Array2<f64>,
    /// The queries without their part along the centre.
    probes: Array2<f64>,
    /// What the keys are beside the products of probes and rows.
    known: Array2<f64>,
    /// The key of the best neighbour of each query, or of one further down where many neighbours are in the sample.
    floors: Vec<f64>,
}

impl<'a> Trial<'a> {
    fn new(sample: &'a Array2<f64>, bias: Vec<f64>, centre: &[f64], n_rows: usize) -> Self {
        let (n, n_dims) = sample.dim();
        let stride = n.div_ceil(PROBES);
        let mut probes =
            Array2::from_shape_fn((n.div_ceil(stride), n_dims), |(i, j)| sample[[i * stride, j]]);
        let length = centre.iter().map(|c| c * c).sum::<f64>().sqrt();
        let direction: Array1<f64> =
            centre.iter().map(|c| if 0.0 < length { c / length } else { 0.0 }).collect();
        let (along, rows_along) = (probes.dot(&direction), sample.dot(&direction));
        let known = Array2::from_shape_fn((probes.nrows(), n), |(i, j)| {
            (along[i] + length) * rows_along[j] + bias[j]
        });
        for (mut probe, along) in probes.rows_mut().into_iter().zip(&along) {
            probe.scaled_add(-along, &direction);
        }
        let keys = probes.dot(&sample.t()) + &known;
        let rank = 1 + 10 * n / n_rows.max(1);
        let floors = keys.rows().into_iter().map(|row| kth(row.to_vec(), rank)).collect();
        Self { sample, probes, known, floors }
    }

    /// The number of directions with which a search costs least, if that is clearly less than with all dimensions.
    fn cheapest(&self, directions: &Array2<f64>) -> Option<usize> {
        let (ours, theirs) = (self.probes.dot(&directions.t()), self.sample.dot(&directions.t()));
        let cost = |n: usize| {
            let part = |rows: &Array2<f64>| rows.slice_axis(Axis(1), Slice::from(..n)).to_owned();
            self.cost(&part(&ours), &part(&theirs))
        };
        let costs = [32, 64, 96, directions.nrows()]
            .into_iter()
            .filter(|n| *n <= directions.nrows())
            .map(|n| (cost(n), n));
        let (least, n_coded) = costs.min_by(|a, b| a.0.total_cmp(&b.0))?;
        (least < 0.6 * self.cost(&self.probes, self.sample)).then_some(n_coded)
    }

    /// What a pair costs on average with codes of these numbers, where the product of a pair in a tile costs 1.
    ///
    /// Codes cost 0.36 of it, with 40 dimensions' worth of work that each pair takes beside them; the product of a pair alone,
    /// which is needed where the bound reaches the floor, costs 16.
    fn cost(&self, probes: &Array2<f64>, rows: &Array2<f64>) -> f64 {
        let square = |rows: &Array2<f64>| rows.map_axis(Axis(1), |row| row.dot(&row));
        let (left, right) = (square(probes), square(rows));
        let (left_all, right_all) = (square(&self.probes), square(self.sample));
        let products = probes.dot(&rows.t());
        let mut n_kept = 0;
        for ((i, j), product) in products.indexed_iter() {
            let tail = ((left_all[i] - left[i]).max(0.0) * (right_all[j] - right[j]).max(0.0)).sqrt();
            // What codes of 8 bits leave open, relative to the lengths of the two, on noise.
            let coding = 0.025 * (left[i] * right[j]).sqrt();
            n_kept += usize::from(self.floors[i] <= product + self.known[[i, j]] + tail + coding);
        }
        let share = (probes.ncols() as f64 + 40.0) / self.sample.ncols() as f64;
        0.36 * share + 16.0 * n_kept as f64 / products.len() as f64
    }
}

/// The k-th highest after the highest, which is the row itself.
fn kth(mut keys: Vec<f64>, k: usize) -> f64 {
    let k = k.min(keys.len() - 1);
    *keys.select_nth_unstable_by(k, |a, b| b.total_cmp(a)).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::checked_norms;
    use crate::{Metric, Role};

    fn basis(vectors: &Array2<f32>, metric: Metric) -> Basis {
        let norms = checked_norms(vectors.view(), metric, Role::Pool).unwrap();
        Basis::new(&Space::new(vectors.view(), &norms, metric), vectors)
    }

    fn noise(name: &str, n_rows: usize, n_dims: usize) -> Array2<f32> {
        let seed = Seed::new(1).stream(name);
        Array2::from_shape_fn((n_rows, n_dims), |(i, j)| seed.normal((i * n_dims + j) as u64) as f32)
    }

    #[test]
    fn rows_in_a_subspace_are_coded_by_it_and_noise_is_not() {
        let flat = noise("a", 3000, 20).dot(&noise("b", 20, 256)) + &(noise("c", 3000, 256) * 0.01);
        for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
            let found = basis(&flat, metric);
            assert_eq!(found.directions.as_ref().map(Array2::nrows), Some(32), "{metric:?}");
            assert!(found.skew < 1e-4, "{}", found.skew);
            assert_eq!(basis(&noise("d", 3000, 256), metric).directions, None, "{metric:?}");
        }
    }

    #[test]
    fn dependent_rows_become_zero() {
        let mut rows = ndarray::array![[3.0, 4.0], [6.0, 8.0], [0.0, 1.0]];
        orthonormalise(&mut rows);
        assert!((rows[[0, 0]] - 0.6).abs() < 1e-12 && rows.row(1).iter().all(|x| *x == 0.0));
        assert!(rows.row(0).dot(&rows.row(2)).abs() < 1e-12);
    }
}
