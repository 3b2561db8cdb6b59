use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_linalg::eigh::{EigSort, Eigh};
use linfa_reduction::Pca;
use ndarray::{Array2, ArrayView2};
use ndarray016::Array2 as OldArray2;

use crate::{EmbedError, Result};

/// Rows needed to fit on: two points always lie on a line, so two directions need three.
const MIN_ROWS: usize = 3;
/// A second component with less than this share of the first one's spread is rounding, and its direction chance.
const RANK_TOLERANCE: f64 = 1e-6;
/// Up to this many rows or columns, whichever is fewer, the decomposition is a dense one: a second or so.
const MAX_DENSE: usize = 1024;

/// Two coordinates for each row of `all`, for a plot: principal components of the rows of `fit_on` alone.
///
/// Fit on the rows that may be looked at and never on test samples: a projection fitted on them has seen them. Shapes:
/// `n_fit x n_dims` and `n x n_dims` to `n x 2`. The coordinates are distances from the mean of `fit_on` along its
/// first and second principal direction, in units of the input. The sign of a direction is arbitrary, so it is fixed:
/// its component of largest magnitude (the first of equals) is positive.
///
/// Data with less than two directions has zeros where there is nothing to show: constant rows give 0 in both columns,
/// rows on a line give 0 in the second.
///
/// ```
/// use labelloop_embed::project_2d;
/// use ndarray::array;
///
/// let pool = array![[0.0, 0.0, 1.0], [4.0, 0.0, 1.0], [0.0, 2.0, 1.0], [4.0, 2.0, 1.0]];
/// let test = array![[2.0, 1.0, 1.0], [5.0, 1.0, 1.0]];
/// let plane = project_2d(pool.view(), test.view())?;
/// assert!((plane[[0, 0]] - 0.0).abs() < 1e-6 && (plane[[1, 0]] - 3.0).abs() < 1e-6);
/// # Ok::<(), labelloop_embed::EmbedError>(())
/// ```
///
/// # Errors
/// [`EmbedError::TooFewRows`] for fewer than 3 rows to fit on, [`EmbedError::TooFewColumns`] for fewer than 2 columns,
/// [`EmbedError::ColumnMismatch`], [`EmbedError::NotFinite`] with the place, [`EmbedError::Decomposition`].
#[expect(clippy::needless_pass_by_value, reason = "views are passed by value at crate boundaries")]
pub fn project_2d(fit_on: ArrayView2<'_, f32>, all: ArrayView2<'_, f32>) -> Result<Array2<f64>> {
    check(&fit_on, &all)?;
    let frame = Frame::of(&fit_on);
    if frame.scale == 0.0 {
        return Ok(Array2::zeros((all.nrows(), 2)));
    }
    let directions = directions(&frame, &fit_on)?;
    let mut plane = Array2::zeros((all.nrows(), 2));
    for (row, mut out) in all.rows().into_iter().zip(plane.rows_mut()) {
        for (axis, direction) in directions.iter().enumerate() {
            let terms = row.iter().zip(&frame.mean).zip(direction);
            out[axis] = terms.map(|((v, m), d)| (f64::from(*v) - m) * d).sum();
        }
    }
    Ok(plane)
}

fn check(fit_on: &ArrayView2<'_, f32>, all: &ArrayView2<'_, f32>) -> Result<()> {
    if fit_on.nrows() < MIN_ROWS {
        return Err(EmbedError::TooFewRows { found: fit_on.nrows(), expected: MIN_ROWS });
    }
    if fit_on.ncols() < 2 {
        return Err(EmbedError::TooFewColumns { found: fit_on.ncols(), expected: 2 });
    }
    if all.ncols() != fit_on.ncols() {
        return Err(EmbedError::ColumnMismatch { found: all.ncols(), expected: fit_on.ncols() });
    }
    for matrix in [fit_on, all] {
        if let Some(((row, column), found)) = matrix.indexed_iter().find(|(_, v)| !v.is_finite()) {
            return Err(EmbedError::NotFinite { row, column, found: *found });
        }
    }
    Ok(())
}

/// Middle and spread of the rows fitted on.
struct Frame {
    mean: Vec<f64>,
    scale: f64,
}

impl Frame {
    fn of(rows: &ArrayView2<'_, f32>) -> Self {
        let n_rows = rows.nrows() as f64;
        let mean = rows.columns().into_iter().map(|c| c.iter().map(|v| f64::from(*v)).sum::<f64>() / n_rows);
        let mean = mean.collect::<Vec<_>>();
        let squares = rows
            .rows()
            .into_iter()
            .map(|row| row.iter().zip(&mean).map(|(v, m)| (f64::from(*v) - m).powi(2)).sum::<f64>());
        let scale = (squares.sum::<f64>() / n_rows).sqrt();
        let largest = rows.iter().fold(0.0f64, |max, v| max.max(f64::from(v.abs())));
        // The mean of equal numbers may be off in its last bit; what is left is no spread.
        let scale = if scale <= largest * 1e-12 { 0.0 } else { scale };
        Self { mean, scale }
    }
}

/// The first two principal directions, each of length 1 with a fixed sign, or zeros where there is none.
fn directions(frame: &Frame, rows: &ArrayView2<'_, f32>) -> Result<[Vec<f64>; 2]> {
    let (n_rows, n_columns) = rows.dim();
    // Data of one size, whatever the units: the iterative solver stops at an absolute error.
    let centred = OldArray2::from_shape_fn((n_rows, n_columns), |(i, j)| {
        (f64::from(rows[[i, j]]) - frame.mean[j]) / frame.scale
    });
    let solve = if n_rows.min(n_columns) <= MAX_DENSE { dense } else { iterative };
    let components =
        solve(&centred).map_err(|reason| EmbedError::Decomposition { n_rows, n_columns, reason })?;
    let strongest = components.first().map_or(0.0, |c| c.spread);
    let mut found = [vec![0.0; n_columns], vec![0.0; n_columns]];
    for (direction, component) in found.iter_mut().zip(components) {
        if strongest * RANK_TOLERANCE < component.spread {
            *direction = unit(component.direction);
        }
    }
    Ok(found)
}

/// A direction of any length and the singular value that belongs to it.
struct Component {
    spread: f64,
    direction: Vec<f64>,
}

/// All eigenvalues of the smaller of `X^T X` and `X X^T`: exact up to rounding, cubic in the smaller side.
fn dense(x: &OldArray2<f64>) -> Result<Vec<Component>, String> {
    let is_tall = x.ncols() < x.nrows();
    let gram = if is_tall { x.t().dot(x) } else { x.dot(&x.t()) };
    let (values, vectors) = gram.eigh().map_err(|e| e.to_string())?.sort_eig_desc();
    let component = |i: usize| {
        let vector = vectors.column(i);
        let direction = if is_tall { vector.to_vec() } else { x.t().dot(&vector).to_vec() };
        Component { spread: values[i].max(0.0).sqrt(), direction }
    };
    Ok((0..2).map(component).collect())
}

/// The two largest alone. On small problems its error is plain to see, and on large ones it is what can be afforded.
fn iterative(x: &OldArray2<f64>) -> Result<Vec<Component>, String> {
    let fitted = Pca::params(2).fit(&DatasetBase::from(x.view())).map_err(|e| e.to_string())?;
    let pairs = fitted.singular_values().iter().zip(fitted.components().rows());
    Ok(pairs.map(|(spread, row)| Component { spread: *spread, direction: row.to_vec() }).collect())
}

/// Length 1, component of largest magnitude positive; zeros where that cannot be.
fn unit(mut direction: Vec<f64>) -> Vec<f64> {
    let length = direction.iter().map(|d| d * d).sum::<f64>().sqrt();
    let largest = direction.iter().fold(0.0f64, |l, d| if l.abs() < d.abs() { *d } else { l });
    let by = length.copysign(largest);
    direction.iter_mut().for_each(|d| *d = if by.is_normal() { *d / by } else { 0.0 });
    direction
}

#[cfg(test)]
mod tests {
    use labelloop_core::Seed;
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;

    /// Normal numbers whose spread falls from column to column.
    fn cloud(seed: u64, n_rows: usize, n_columns: usize) -> Array2<f32> {
        let seed = Seed::new(seed);
        Array2::from_shape_fn((n_rows, n_columns), |(i, j)| {
            (seed.normal((i * n_columns + j) as u64) * 8.0 / f64::from(1 << j.min(5))) as f32
        })
    }

    fn moments(plane: &Array2<f64>) -> [f64; 3] {
        let n = plane.nrows() as f64;
        let mean = |c: usize| plane.column(c).sum() / n;
        let of = |a: usize, b: usize| {
            plane.rows().into_iter().map(|r| (r[a] - mean(a)) * (r[b] - mean(b))).sum::<f64>() / n
        };
        [of(0, 0), of(1, 1), of(0, 1)]
    }

    /// The largest two variances along any direction, by the power method on the covariance matrix.
    fn by_power_method(rows: &Array2<f32>) -> [f64; 2] {
        let x = rows.mapv(f64::from);
        let centred = &x - &(x.sum_axis(ndarray::Axis(0)) / x.nrows() as f64);
        let mut covariance = centred.t().dot(&centred) / x.nrows() as f64;
        [0, 1].map(|_| {
            let mut v = ndarray::Array1::from_shape_fn(x.ncols(), |i| 1.0 + 0.1 * i as f64);
            for _ in 0..3000 {
                v = covariance.dot(&v);
                let length = v.dot(&v).sqrt();
                v /= length;
            }
            let variance = v.dot(&covariance.dot(&v));
            let column = v.clone().insert_axis(ndarray::Axis(1));
            covariance = &covariance - &(column.dot(&column.t()) * variance);
            variance
        })
    }

    #[test]
    fn variances_are_those_of_the_power_method() {
        for (n_rows, n_columns) in [(3, 2), (5, 3), (40, 10), (12, 60), (200, 30)] {
            let rows = cloud(n_rows as u64, n_rows, n_columns);
            let [first, second, both] = moments(&project_2d(rows.view(), rows.view()).unwrap());
            let expected = by_power_method(&rows);
            assert!((first / expected[0] - 1.0).abs() < 1e-4, "{n_rows} {n_columns}: {first} {expected:?}");
            assert!((second / expected[1] - 1.0).abs() < 1e-3, "{n_rows} {n_columns}: {second} {expected:?}");
            assert!(both.abs() < 1e-3 * first, "{both}");
        }
    }

    #[test]
    fn the_solver_for_large_problems_agrees_with_the_dense_one_where_directions_are_clear() {
        let rows = cloud(4, 300, 80).mapv(f64::from);
        let x = OldArray2::from_shape_fn((300, 80), |(i, j)| rows[[i, j]] - rows.column(j).sum() / 300.0);
        let [exact, found] = [dense, iterative].map(|solve| solve(&x).unwrap());
        for (a, b) in exact.iter().zip(&found) {
            assert!((a.spread / b.spread - 1.0).abs() < 1e-3, "{} {}", a.spread, b.spread);
            let cosine: f64 =
                unit(a.direction.clone()).iter().zip(unit(b.direction.clone())).map(|(a, b)| a * b).sum();
            assert!((cosine - 1.0).abs() < 1e-3, "{cosine}");
        }
    }

    #[test]
    fn rows_not_fitted_on_change_nothing() {
        let fit = cloud(1, 20, 6);
        let more = ndarray::concatenate![ndarray::Axis(0), fit, cloud(2, 30, 6)];
        let [alone, among] = [fit.view(), more.view()].map(|all| project_2d(fit.view(), all).unwrap());
        assert_eq!(alone, among.select(ndarray::Axis(0), &(0..20).collect::<Vec<_>>()));
    }

    #[test]
    fn constant_rows_are_zeros() {
        for value in [0.0, 0.1, 1e30, 1e-30] {
            let constant = Array2::from_elem((7, 4), value);
            assert_eq!(project_2d(constant.view(), constant.view()).unwrap(), Array2::<f64>::zeros((7, 2)));
        }
    }

    #[test]
    fn rows_on_a_line_are_zero_in_the_second_column() {
        let line = Array2::from_shape_fn((6, 3), |(i, j)| (i * (j + 1)) as f32);
        let plane = project_2d(line.view(), line.view()).unwrap();
        let step = 14f64.sqrt();
        for (i, row) in plane.rows().into_iter().enumerate() {
            assert!((row[0] - (i as f64 - 2.5) * step).abs() < 1e-6, "{row}");
            assert_eq!(row[1], 0.0);
        }
    }

    #[test]
    fn the_sign_makes_the_largest_component_positive() {
        let rows = array![[0.0f32, 0.0], [-10.0, 1.0], [-20.0, -1.0], [-30.0, 0.0]];
        let plane = project_2d(rows.view(), rows.view()).unwrap();
        assert!(plane[[3, 0]] < plane[[0, 0]]);
        let negated = rows.mapv(|v| -v);
        let other = project_2d(negated.view(), negated.view()).unwrap();
        assert!((&plane + &other).iter().all(|v| v.abs() < 1e-6), "{plane} {other}");
    }

    #[test]
    fn tiny_and_huge_numbers_keep_their_shape() {
        let plain = project_2d(cloud(3, 30, 5).view(), cloud(3, 30, 5).view()).unwrap();
        for by in [1e-20f32, 1e20] {
            let scaled = cloud(3, 30, 5).mapv(|v| v * by);
            let plane = project_2d(scaled.view(), scaled.view()).unwrap();
            for (found, expected) in plane.iter().zip(&plain) {
                assert!((found / f64::from(by) - expected).abs() < 1e-3, "{found} {expected}");
            }
        }
    }

    #[test]
    fn fewer_than_three_rows_are_refused() {
        for found in 0..3 {
            let rows = cloud(1, found, 4);
            let refused = project_2d(rows.view(), rows.view()).unwrap_err();
            assert!(matches!(refused, EmbedError::TooFewRows { found: f, expected: 3 } if f == found));
        }
    }

    #[test]
    fn fewer_than_two_columns_are_refused() {
        for found in 0..2 {
            let rows = Array2::zeros((5, found));
            let refused = project_2d(rows.view(), rows.view()).unwrap_err();
            assert!(matches!(refused, EmbedError::TooFewColumns { found: f, expected: 2 } if f == found));
        }
    }

    #[test]
    fn rows_of_another_length_are_refused() {
        let refused = project_2d(cloud(1, 5, 4).view(), cloud(1, 5, 3).view()).unwrap_err();
        assert_eq!(refused.to_string(), "3 columns to project: expected 4 as in the rows fitted on");
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused_with_their_place() {
        let mut bad = cloud(1, 5, 4);
        bad[[2, 3]] = f32::NAN;
        for (fit, all) in [(cloud(1, 5, 4), bad.clone()), (bad.clone(), cloud(1, 5, 4))] {
            let refused = project_2d(fit.view(), all.view()).unwrap_err();
            assert!(matches!(refused, EmbedError::NotFinite { row: 2, column: 3, .. }), "{refused}");
        }
    }

    #[test]
    fn no_rows_to_project_are_no_rows() {
        let none = Array2::zeros((0, 4));
        assert_eq!(project_2d(cloud(1, 5, 4).view(), none.view()).unwrap().dim(), (0, 2));
    }

    proptest! {
        #[test]
        fn two_columns_are_turned_and_not_bent(seed in any::<u64>(), n_rows in 3..30usize) {
            let rows = cloud(seed, n_rows, 2);
            let plane = project_2d(rows.view(), rows.view()).unwrap();
            for i in 1..n_rows {
                let before = (0..2).map(|c| f64::from(rows[[i, c]] - rows[[0, c]]).powi(2)).sum::<f64>().sqrt();
                let after = (0..2).map(|c| (plane[[i, c]] - plane[[0, c]]).powi(2)).sum::<f64>().sqrt();
                prop_assert!((before - after).abs() < 1e-3, "{} {}", before, after);
            }
        }

        #[test]
        fn the_same_rows_give_the_same_bits(seed in any::<u64>(), n_rows in 3..20usize, n_columns in 2..20usize) {
            let rows = cloud(seed, n_rows, n_columns);
            let [a, b] = [0, 1].map(|_| project_2d(rows.view(), rows.view()).unwrap());
            prop_assert_eq!(a, b);
        }
    }
}
