use ndarray::ArrayView2;

use crate::metric::norm;
use crate::{IndexError, Metric, Result, Role};

/// Refuses what cannot be searched and gives the Euclidean length of each row.
///
/// `rows` must be in standard layout; the callers make it so.
pub(crate) fn checked_norms(rows: ArrayView2<'_, f32>, metric: Metric, role: Role) -> Result<Vec<f64>> {
    if rows.ncols() == 0 {
        return Err(IndexError::NoColumns { role });
    }
    if let Some(((row, column), found)) = rows.indexed_iter().find(|(_, v)| !v.is_finite()) {
        return Err(IndexError::NotFinite { role, row, column, found: *found });
    }
    let norms: Vec<f64> = rows.rows().into_iter().map(|r| r.as_slice().map_or(f64::NAN, norm)).collect();
    match norms.iter().position(|n| metric == Metric::Cosine && !(0.0 < *n)) {
        Some(row) => Err(IndexError::ZeroVector { role, row }),
        None => Ok(norms),
    }
}
