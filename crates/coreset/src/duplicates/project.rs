use ndarray::{Array1, Array2, ArrayView2, Axis, Slice};
use rayon::prelude::*;

use labelloop_core::Seed;

/// Coordinates of a row in the small space: directions, and what is left of its length as the last.
pub(super) const N_COORDS: usize = 16;
const N_DIRECTIONS: usize = N_COORDS - 1;
/// Rows that the directions are taken from.
const N_SAMPLED: usize = 2048;
const N_ROUNDS: usize = 4;
const BLOCK: usize = 1024;
const UNIT_ROUNDOFF: f64 = f64::EPSILON / 2.0;

/// A row in the small space.
pub(super) type Point = [f32; N_COORDS];

/// Rows in a space of few dimensions where no two are farther apart than they are in truth, up to what `limit` allows.
pub(super) struct Projection {
    pub(super) points: Vec<Point>,
    /// A pair whose squared distance here, taken in f32, exceeds this is farther apart than the radius.
    pub(super) limit: f32,
}

/// Projects on directions in which the rows spread most.
///
/// With orthonormal directions `Q` and `e` the part of a row that they miss, `|x - y|^2 = |Qx - Qy|^2 + |e_x - e_y|^2`,
/// and `|e_x - e_y|` is at least the difference of the two lengths: so the distance of `(Qx, |e_x|)` is a lower bound of
/// the distance, whichever the directions and whatever is taken for the middle. `factors` scale the rows before. O(rows x
/// columns) with a factor of 16; the directions are those of a few rounds of subspace iteration on sampled rows.
pub(super) fn project(rows: ArrayView2<'_, f32>, factors: Option<&[f64]>, radius: f64) -> Projection {
    let scaled = Scaled { rows, factors };
    let sample = scaled.sample();
    let middle = sample.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(rows.ncols()));
    let directions = directions(sample - &middle);
    let starts: Vec<usize> = (0..rows.nrows()).step_by(BLOCK).collect();
    let largest = starts
        .par_iter()
        .map(|start| scaled.block(*start, &middle).rows().into_iter().map(|r| r.dot(&r)).fold(0.0, f64::max))
        .reduce(|| 0.0, f64::max)
        .sqrt();
    // A power of two, so that scaling adds no error; afterwards no coordinate exceeds 1.
    let scale = if 0.0 < largest { (-largest.log2().ceil()).exp2() } else { 1.0 };
    let blocks: Vec<Vec<Point>> =
        starts.par_iter().map(|start| small(&scaled.block(*start, &middle), &directions, scale)).collect();
    let limit = limit(radius * scale, &directions);
    Projection { points: blocks.concat(), limit }
}

/// Rows times their factors, in f64.
struct Scaled<'a> {
    rows: ArrayView2<'a, f32>,
    factors: Option<&'a [f64]>,
}

impl Scaled<'_> {
    /// Rows at even distances.
    fn sample(&self) -> Array2<f64> {
        let n = self.rows.nrows();
        let n_sampled = n.min(N_SAMPLED);
        let picked: Vec<usize> = (0..n_sampled).map(|i| i * n / n_sampled).collect();
        let mut sample = self.rows.select(Axis(0), &picked).mapv(f64::from);
        for (mut row, picked) in sample.rows_mut().into_iter().zip(&picked) {
            row *= self.factor(*picked);
        }
        sample
    }

    fn block(&self, start: usize, middle: &Array1<f64>) -> Array2<f64> {
        let end = self.rows.nrows().min(start + BLOCK);
        let mut block = self.rows.slice_axis(Axis(0), Slice::from(start..end)).mapv(f64::from);
        for (mut row, number) in block.rows_mut().into_iter().zip(start..) {
            row *= self.factor(number);
            row -= middle;
        }
        block
    }

    fn factor(&self, row: usize) -> f64 {
        self.factors.map_or(1.0, |factors| factors[row])
    }
}

/// At most [`N_DIRECTIONS`] orthonormal columns; those that the sample has no use for are zero, which bounds as well.
fn directions(sample: Array2<f64>) -> Array2<f64> {
    let n_columns = sample.ncols();
    let chance = Seed::new(0).stream("directions");
    let shape = (n_columns, n_columns.min(N_DIRECTIONS));
    let mut found = Array2::from_shape_fn(shape, |(i, j)| chance.normal((i * N_COORDS + j) as u64));
    orthonormalise(&mut found);
    for _ in 0..N_ROUNDS {
        found = sample.t().dot(&sample.dot(&found));
        orthonormalise(&mut found);
    }
    found
}

/// Gram and Schmidt, twice; columns that depend on those before become zero.
fn orthonormalise(columns: &mut Array2<f64>) {
    for j in 0..columns.ncols() {
        let before = columns.column(j).dot(&columns.column(j)).sqrt();
        for _ in 0..2 {
            for i in 0..j {
                let share = columns.column(i).dot(&columns.column(j));
                let other = columns.column(i).to_owned();
                columns.column_mut(j).scaled_add(-share, &other);
            }
        }
        let after = columns.column(j).dot(&columns.column(j)).sqrt();
        let useful = 1e-9 * before < after && after.is_normal();
        columns.column_mut(j).mapv_inplace(|v| if useful { v / after } else { 0.0 });
    }
}

fn small(block: &Array2<f64>, directions: &Array2<f64>, scale: f64) -> Vec<Point> {
    let along = block.dot(directions);
    let point = |(row, along): (ndarray::ArrayView1<'_, f64>, ndarray::ArrayView1<'_, f64>)| {
        let mut point = [0.0; N_COORDS];
        for (p, a) in point.iter_mut().zip(along) {
            *p = (a * scale) as f32;
        }
        point[N_DIRECTIONS] = ((row.dot(&row) - along.dot(&along)).max(0.0).sqrt() * scale) as f32;
        point
    };
    block.rows().into_iter().zip(along.rows()).map(point).collect()
}

/// The squared radius and all that rounding can add to a distance between points.
///
/// Rows are at most 1 long here. A coordinate along a direction is off by the rounding of its sum and of f32, and by how
/// far the directions are from orthonormal; the length left over is a root of a difference, so its error is the root of
/// that of the squares. A distance in f32 of 16 coordinates has a relative error below `32 u`.
fn limit(radius: f64, directions: &Array2<f64>) -> f32 {
    let n_columns = directions.nrows() as f64;
    let mut skew = directions.t().dot(directions);
    // A column of zeros is no direction and skews nothing.
    skew.diag_mut().mapv_inplace(|length| if length == 0.0 { 0.0 } else { length - 1.0 });
    let skew = skew.iter().map(|v| v.abs()).fold(0.0, f64::max) * N_COORDS as f64;
    let rounding = (2.0 * n_columns + 32.0) * 2.0 * UNIT_ROUNDOFF;
    let skew = skew + rounding;
    let stored = f64::from(f32::EPSILON) / 2.0;
    let along = stored + skew + rounding;
    let left_over = stored + (4.0 * (skew + rounding)).sqrt();
    let slack = 2.0 * (N_DIRECTIONS as f64 * along * along + left_over * left_over).sqrt();
    let limit = (radius + slack) * (radius + slack) * (1.0 + 32.0 * f64::from(f32::EPSILON));
    (limit as f32).next_up()
}
