use ndarray::{ArrayView2, Axis, concatenate};

use crate::checks::check_rows;
use crate::knn::OtherRows;
use crate::{CoresetError, Result};

/// Weights of the nearest, second and third neighbour, as uniqueness has them.
const WEIGHTS: [f64; 3] = [0.6, 0.3, 0.1];

/// How alone a row is among rows and labelled rows: `d / (d + median d)` with `d` the distances to the three nearest others,
/// weighted .6, .3 and .1.
///
/// The same neighbours as [`uniqueness`](crate::uniqueness()), on a scale that one row cannot spoil: there every value is
/// divided by the largest, so a single broken picture at a thousand times the usual distance presses all others to 0.001;
/// here it is 0.999 itself and the others stay where they are. A typical row has 0.5, a copy 0, and multiplying all rows by a
/// number changes nothing. Rows near labelled ones are not alone. Where more than half of the rows are copies the median is
/// that of the others; where all are, every row has 0, as a single row has. O(rows^2 x dimensions).
///
/// ```
/// use labelloop_coreset::isolation;
/// use ndarray::array;
///
/// let rows = array![[0.0], [1.0], [2.0], [3.0], [1e6]];
/// let alone = isolation(rows.view(), None)?;
/// assert!(alone[4] > 0.999 && alone[..4].iter().all(|s| (0.4..0.6).contains(s)));
/// let known = isolation(rows.view(), Some(array![[1e6], [1e6], [1e6]].view()))?;
/// assert_eq!(known[4], 0.0);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
///
/// # Errors
/// [`CoresetError::NotFinite`], [`CoresetError::NoColumns`] and [`CoresetError::DimensionMismatch`].
pub fn isolation(rows: ArrayView2<'_, f32>, labelled: Option<ArrayView2<'_, f32>>) -> Result<Vec<f64>> {
    check_rows(rows, "embeddings")?;
    let labelled = labelled.filter(|labelled| labelled.nrows() > 0 && rows.nrows() > 0);
    let distances = match labelled {
        None => weighted(rows, rows.nrows())?,
        Some(labelled) => {
            check_rows(labelled, "labelled")?;
            let (found, expected) = (labelled.ncols(), rows.ncols());
            let all = concatenate(Axis(0), &[rows, labelled])
                .map_err(|_| CoresetError::DimensionMismatch { what: "labelled", found, expected })?;
            weighted(all.view(), rows.nrows())?
        }
    };
    let scale = median_of_positive(&distances);
    Ok(distances.into_iter().map(|d| if 0.0 < d { d / (d + scale) } else { 0.0 }).collect())
}

/// Of the first `n` rows.
fn weighted(rows: ArrayView2<'_, f32>, n: usize) -> Result<Vec<f64>> {
    let others = OtherRows::new(rows, WEIGHTS.len())?;
    let total: f64 = WEIGHTS.iter().take(others.k).sum();
    let weighted = |row: usize| {
        let sum: f64 = others.distances(row).iter().zip(WEIGHTS).map(|(d, w)| d * w).sum();
        if others.k == 0 { 0.0 } else { sum / total }
    };
    Ok((0..n).map(weighted).collect())
}

/// The median of all where it is positive, else that of those which are.
fn median_of_positive(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let median = |sorted: &[f64]| {
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => 0.0,
            n if n.is_multiple_of(2) => f64::midpoint(sorted[middle - 1], sorted[middle]),
            _ => sorted[middle],
        }
    };
    let all = median(&sorted);
    if 0.0 < all { all } else { median(&sorted[sorted.partition_point(|v| *v <= 0.0)..]) }
}

#[cfg(test)]
mod tests {
    use labelloop_core::Seed;
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn few_rows_equal_rows_and_bad_rows_are_defined() {
        assert!(isolation(Array2::zeros((0, 2)).view(), None).unwrap().is_empty());
        assert_eq!(isolation(array![[1.0]].view(), None).unwrap(), [0.0]);
        assert_eq!(isolation(array![[1.0], [3.0]].view(), None).unwrap(), [0.5, 0.5]);
        assert_eq!(isolation(Array2::ones((7, 2)).view(), None).unwrap(), [0.0; 7]);
        assert!(
            isolation(array![[0.0], [f32::INFINITY]].view(), None).unwrap_err().to_string().contains("row 1")
        );
        let e = isolation(array![[0.0f32]].view(), Some(array![[0.0f32, 1.0]].view())).unwrap_err();
        assert!(matches!(e, CoresetError::DimensionMismatch { found: 2, expected: 1, .. }));
    }

    #[test]
    fn where_most_rows_are_copies_the_others_set_the_scale() {
        let mut rows = Array2::<f32>::zeros((20, 1));
        rows[[19, 0]] = 4.0;
        let found = isolation(rows.view(), None).unwrap();
        assert_eq!((found[0], found[19]), (0.0, 0.5));
    }

    proptest! {
        #[test]
        fn neither_scale_nor_a_single_outlier_matters(seed: u64, n in 6usize..40, far in 10f32..1e6) {
            let s = Seed::new(seed);
            let rows = Array2::from_shape_fn((n, 3), |(i, j)| s.normal((3 * i + j) as u64) as f32);
            let found = isolation(rows.view(), None).unwrap();
            let scaled = isolation(rows.mapv(|v| v * 1024.0).view(), None).unwrap();
            prop_assert_eq!(&found, &scaled);
            prop_assert!(found.iter().all(|v| (0.0..1.0).contains(v)));
            let mut spoilt = rows.clone();
            let at = |far: f32| array![[far, far, far]];
            spoilt.append(Axis(0), at(100.0 + far).view()).unwrap();
            let mut farther = rows;
            farther.append(Axis(0), at(1e7 + far).view()).unwrap();
            let (near, far) = (isolation(spoilt.view(), None).unwrap(), isolation(farther.view(), None).unwrap());
            prop_assert_eq!(&near[..n], &far[..n]);
            prop_assert!(near[n] > 0.9 && far[n] >= near[n]);
        }
    }
}
