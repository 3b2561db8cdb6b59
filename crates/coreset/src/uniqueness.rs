use labelloop_index::{ExactIndex, Metric};
use ndarray::ArrayView2;

use crate::Result;
use crate::checks::check_rows;

/// Weights of the nearest, second and third neighbour.
const WEIGHTS: [f64; 3] = [0.6, 0.3, 0.1];

/// Uniqueness as FiftyOne Brain defines it: the Euclidean distances to the three nearest other rows, weighted .6, .3
/// and .1, divided by the largest such value.
///
/// In `[0, 1]`, higher is more unique; exact copies drag each other down. A row with fewer than three others uses the
/// weights of those it has, normalised; a single row and rows that are all equal get 0. O(rows^2 x dimensions).
///
/// ```
/// use labelloop_coreset::uniqueness;
/// use ndarray::array;
///
/// let u = uniqueness(array![[0.0], [1.0], [2.0], [12.0]].view())?;
/// assert_eq!(u[3], 1.0); // 0.6 * 10 + 0.3 * 11 + 0.1 * 12 = 10.5
/// assert!((u[0] - (0.6 * 1.0 + 0.3 * 2.0 + 0.1 * 12.0) / 10.5).abs() < 1e-6);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
///
/// # Errors
/// [`CoresetError::NotFinite`](crate::CoresetError::NotFinite) and
/// [`CoresetError::NoColumns`](crate::CoresetError::NoColumns).
pub fn uniqueness(rows: ArrayView2<'_, f32>) -> Result<Vec<f32>> {
    check_rows(rows, "embeddings")?;
    if rows.nrows() == 0 {
        return Ok(Vec::new());
    }
    let found = ExactIndex::new(rows, Metric::L2)?.search(rows, WEIGHTS.len() + 1, None)?;
    let raw: Vec<f64> = (0..rows.nrows())
        .map(|row| {
            // A copy may stand before the row itself; either way one distance of 0 is its own.
            let own = found.of(row).position(|(id, _)| id as usize == row).unwrap_or(0);
            weighted(found.of(row).enumerate().filter(|(i, _)| *i != own).map(|(_, (_, d))| f64::from(d)))
        })
        .collect();
    let largest = raw.iter().copied().fold(0.0, f64::max);
    Ok(raw.into_iter().map(|r| if 0.0 < largest { (r / largest) as f32 } else { 0.0 }).collect())
}

fn weighted(distances: impl Iterator<Item = f64>) -> f64 {
    let (sum, weight) =
        distances.zip(WEIGHTS).fold((0.0, 0.0), |(sum, weight), (d, w)| (sum + d * w, weight + w));
    if 0.0 < weight { sum / weight } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use labelloop_core::Seed;
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn few_or_equal_rows_are_defined() {
        assert!(uniqueness(Array2::zeros((0, 3)).view()).unwrap().is_empty());
        assert_eq!(uniqueness(array![[3.0]].view()).unwrap(), [0.0]);
        assert_eq!(uniqueness(array![[3.0], [4.0]].view()).unwrap(), [1.0, 1.0]);
        assert_eq!(uniqueness(Array2::ones((9, 2)).view()).unwrap(), [0.0; 9]);
    }

    #[test]
    fn a_row_among_many_copies_does_not_lose_a_neighbour() {
        // Five copies: row 4 itself is not among its four nearest, as ties go to lower rows.
        let u = uniqueness(array![[0.0], [0.0], [0.0], [0.0], [0.0], [1.0]].view()).unwrap();
        assert_eq!(u, [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn bad_numbers_are_named() {
        assert!(uniqueness(array![[0.0], [f32::NAN]].view()).unwrap_err().to_string().contains("row 1"));
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(seed: u64, n in 4usize..30) {
            let s = Seed::new(seed);
            let rows = Array2::from_shape_fn((n, 3), |(i, j)| s.below((3 * i + j) as u64, 4) as f32);
            let raw: Vec<f64> = (0..n).map(|i| {
                let mut d: Vec<f64> = (0..n).filter(|j| *j != i)
                    .map(|j| Metric::L2.score(rows.row(i), rows.row(j))).collect();
                d.sort_by(f64::total_cmp);
                0.6 * d[0] + 0.3 * d[1] + 0.1 * d[2]
            }).collect();
            let largest = raw.iter().copied().fold(0.0, f64::max);
            for (ours, raw) in uniqueness(rows.view()).unwrap().iter().zip(&raw) {
                let expected = if largest > 0.0 { raw / largest } else { 0.0 };
                prop_assert!((f64::from(*ours) - expected).abs() < 1e-6);
            }
        }
    }
}
