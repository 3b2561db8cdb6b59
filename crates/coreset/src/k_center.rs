use ndarray::{ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;

use crate::checks::{check_rows, check_width};
use crate::{Result, Selected};

/// Greedy k-center, farthest first (Gonzalez 1985): each pick is the row farthest from all picked and already labelled
/// ones.
///
/// The largest distance of any row to its nearest pick is at most twice the best possible. Without `already`, the first
/// pick is the row closest to the mean of all. `score` is the Euclidean distance to the nearest earlier pick or
/// labelled row when picked; for the first pick without `already` it is the distance to the mean. Ties go to the lower
/// row. Where `k` exceeds the rows, all come back. O(k x rows x dimensions).
///
/// ```
/// use labelloop_coreset::k_center;
/// use ndarray::array;
///
/// let rows = array![[0.0], [0.1], [5.0], [9.0]];
/// let rows_of = |picks: Vec<labelloop_coreset::Selected>| picks.iter().map(|p| p.row).collect::<Vec<_>>();
/// assert_eq!(rows_of(k_center(rows.view(), 3, None)?), [2, 0, 3]);
/// assert_eq!(rows_of(k_center(rows.view(), 2, Some(array![[9.0]].view()))?), [0, 2]);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
///
/// # Errors
/// [`CoresetError::NotFinite`](crate::CoresetError::NotFinite),
/// [`CoresetError::NoColumns`](crate::CoresetError::NoColumns) and
/// [`CoresetError::DimensionMismatch`](crate::CoresetError::DimensionMismatch).
pub fn k_center(
    rows: ArrayView2<'_, f32>,
    k: usize,
    already: Option<ArrayView2<'_, f32>>,
) -> Result<Vec<Selected>> {
    check_rows(rows, "candidates")?;
    let mut nearest = vec![f64::INFINITY; rows.nrows()];
    let given = already.filter(|given| given.nrows() > 0);
    if let Some(given) = given {
        check_rows(given, "labelled")?;
        check_width(given, rows.ncols(), "labelled")?;
        given.rows().into_iter().for_each(|center| approach(&mut nearest, rows, center));
    }
    let mut open = vec![true; rows.nrows()];
    let mut picks: Vec<Selected> = Vec::new();
    for rank in 0..k.min(rows.nrows()) {
        let first = if rank == 0 && given.is_none() { closest_to_mean(rows) } else { None };
        let Some((row, squared)) = first.or_else(|| farthest(&nearest, &open)) else {
            break;
        };
        open[row] = false;
        picks.push(Selected { row, score: squared.sqrt(), rank });
        approach(&mut nearest, rows, rows.row(row));
    }
    Ok(picks)
}

/// Lowers each row's squared distance to its nearest center by a new center.
fn approach(nearest: &mut [f64], rows: ArrayView2<'_, f32>, center: ArrayView1<'_, f32>) {
    nearest.par_iter_mut().enumerate().with_min_len(512).for_each(|(row, distance)| {
        *distance = distance.min(squared(rows.row(row), center.iter().map(|c| f64::from(*c))));
    });
}

fn farthest(nearest: &[f64], open: &[bool]) -> Option<(usize, f64)> {
    let candidates = nearest.iter().copied().enumerate().filter(|(row, _)| open[*row]);
    candidates.reduce(|best, next| if next.1 > best.1 { next } else { best })
}

fn closest_to_mean(rows: ArrayView2<'_, f32>) -> Option<(usize, f64)> {
    let mean = rows.mapv(f64::from).mean_axis(Axis(0))?;
    let distances = rows.rows().into_iter().map(|row| squared(row, mean.iter().copied())).enumerate();
    distances.reduce(|best, next| if next.1 < best.1 { next } else { best })
}

fn squared(row: ArrayView1<'_, f32>, center: impl Iterator<Item = f64>) -> f64 {
    row.iter().zip(center).map(|(r, c)| (f64::from(*r) - c).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use labelloop_core::Seed;
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    use super::*;
    use crate::CoresetError;

    #[test]
    fn equal_rows_are_picked_in_order() {
        let picks = k_center(Array2::ones((3, 2)).view(), 9, None).unwrap();
        assert_eq!(picks.iter().map(|p| p.row).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(picks.iter().all(|p| p.score == 0.0));
    }

    #[test]
    fn nothing_to_pick_from_is_fine() {
        assert!(k_center(Array2::zeros((0, 2)).view(), 3, None).unwrap().is_empty());
        assert!(k_center(Array2::ones((2, 2)).view(), 0, None).unwrap().is_empty());
    }

    #[test]
    fn bad_arrays_are_refused() {
        let rows = array![[0.0f32, 1.0]];
        assert!(matches!(
            k_center(rows.view(), 1, Some(array![[0.0f32]].view())),
            Err(CoresetError::DimensionMismatch { found: 1, expected: 2, .. })
        ));
        assert!(matches!(
            k_center(array![[f32::NAN]].view(), 1, None),
            Err(CoresetError::NotFinite { row: 0, column: 0, .. })
        ));
    }

    proptest! {
        #[test]
        fn the_radius_is_at_most_twice_the_best(seed: u64, n in 3usize..9, k in 1usize..4) {
            let s = Seed::new(seed);
            let rows = Array2::from_shape_fn((n, 2), |(i, j)| s.normal((2 * i + j) as u64) as f32);
            let radius = |centers: &[usize]| {
                (0..n).map(|r| {
                    centers.iter().map(|c| squared(rows.row(r), rows.row(*c).iter().map(|v| f64::from(*v))))
                        .fold(f64::INFINITY, f64::min)
                }).fold(0.0, f64::max).sqrt()
            };
            let best = (0u32..1 << n).filter(|m| m.count_ones() as usize == k)
                .map(|m| radius(&(0..n).filter(|i| m >> i & 1 == 1).collect::<Vec<_>>()))
                .fold(f64::INFINITY, f64::min);
            let picks: Vec<usize> = k_center(rows.view(), k, None).unwrap().iter().map(|p| p.row).collect();
            prop_assert!(radius(&picks) <= 2.0 * best + 1e-9);
        }
    }
}
