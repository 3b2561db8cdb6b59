//! Rows by distance, as every search of ZCore ranks them.

use std::cmp::Ordering;

/// Rows by distance, closest first, ties by lower row.
pub(crate) type Nearest = Vec<(f64, u32)>;

/// Closest first, ties by lower row.
pub(crate) fn by_distance(a: &(f64, u32), b: &(f64, u32)) -> Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

/// Keeps the `k` first, in no order, and tells the distance of the last of them; `k` is 1 to as many as there are.
pub(crate) fn keep_closest(kept: &mut Nearest, k: usize) -> f64 {
    let (_, kth, _) = kept.select_nth_unstable_by(k - 1, by_distance);
    let ceiling = kth.0;
    kept.truncate(k);
    ceiling
}
