use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use crate::metric::norm;
use crate::{IndexError, Metric, Result, Role};

/// Rows that one thread looks at before it takes up others.
const BLOCK: usize = 256;

/// Refuses what cannot be searched and gives the Euclidean length of each row.
///
/// `rows` must be in standard layout; the callers make it so.
pub(crate) fn checked_norms(rows: ArrayView2<'_, f32>, metric: Metric, role: Role) -> Result<Vec<f64>> {
    if rows.ncols() == 0 {
        return Err(IndexError::NoColumns { role });
    }
    let blocks: Vec<Vec<f64>> = (0..rows.nrows().div_ceil(BLOCK))
        .into_par_iter()
        .map(|b| {
            let block = rows.slice_axis(Axis(0), (b * BLOCK..rows.nrows().min((b + 1) * BLOCK)).into());
            block.rows().into_iter().map(|r| r.as_slice().map_or(f64::NAN, norm)).collect()
        })
        .collect();
    let norms = blocks.concat();
    // Squares of f32 cannot overflow f64, so a length that is not finite comes of an entry that is not.
    if let Some(row) = norms.iter().position(|norm| !norm.is_finite())
        && let Some((column, found)) = rows.row(row).iter().enumerate().find(|(_, v)| !v.is_finite())
    {
        return Err(IndexError::NotFinite { role, row, column, found: *found });
    }
    match norms.iter().position(|n| metric == Metric::Cosine && !(0.0 < *n)) {
        Some(row) => Err(IndexError::ZeroVector { role, row }),
        None => Ok(norms),
    }
}
