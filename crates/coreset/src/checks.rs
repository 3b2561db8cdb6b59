//! What every operation refuses in its arrays.

use ndarray::ArrayView2;
use rayon::prelude::*;

use crate::{CoresetError, Result};

/// Refuses rows that hold anything but finite numbers, and more rows than `u32` can number.
pub(crate) fn check_rows(rows: ArrayView2<'_, f32>, what: &'static str) -> Result<()> {
    if u32::try_from(rows.nrows()).is_err() {
        return Err(CoresetError::TooManyRows { found: rows.nrows(), expected: u32::MAX as usize });
    }
    if rows.nrows() > 0 && rows.ncols() == 0 {
        return Err(CoresetError::NoColumns);
    }
    // Looking for a first fault in parts keeps the answer that of looking row by row.
    let fault = match rows.as_slice() {
        Some(all) => all.par_chunks(PART).enumerate().find_map_first(|(part, numbers)| {
            // Without an early end the first look goes through vectors.
            let odd = numbers.iter().fold(false, |odd, v| odd | is_odd(v));
            let at = odd.then(|| numbers.iter().position(is_odd))??;
            Some((part * PART + at, numbers[at]))
        }),
        None => rows.iter().copied().enumerate().find(|(_, v)| is_odd(v)),
    };
    match fault {
        Some((at, found)) => {
            let (row, column) = (at / rows.ncols(), at % rows.ncols());
            Err(CoresetError::NotFinite { what, row, column, found: f64::from(found) })
        }
        None => Ok(()),
    }
}

/// Refuses rows that are given beside others as [`check_rows`] does, and those of another width.
///
/// Beside no rows any width will do.
pub(crate) fn check_given(
    rows: ArrayView2<'_, f32>,
    given: ArrayView2<'_, f32>,
    what: &'static str,
) -> Result<()> {
    check_rows(given, what)?;
    if rows.nrows() == 0 { Ok(()) } else { check_width(given, rows.ncols(), what) }
}

/// Refuses rows of another width than expected.
pub(crate) fn check_width(rows: ArrayView2<'_, f32>, expected: usize, what: &'static str) -> Result<()> {
    let found = rows.ncols();
    if rows.nrows() == 0 || found == expected {
        return Ok(());
    }
    Err(CoresetError::DimensionMismatch { what, found, expected })
}

/// Refuses anything but one finite number of at least 0 for each row.
pub(crate) fn check_weights(weights: &[f64], n_rows: usize) -> Result<()> {
    check_length("weights", weights.len(), n_rows)?;
    match weights.iter().position(|w| !(0.0 <= *w && w.is_finite())) {
        Some(row) => Err(CoresetError::Weight { row, found: weights[row] }),
        None => Ok(()),
    }
}

pub(crate) fn check_length(what: &'static str, found: usize, expected: usize) -> Result<()> {
    if found == expected { Ok(()) } else { Err(CoresetError::LengthMismatch { what, found, expected }) }
}

/// Numbers that one task looks at.
const PART: usize = 1 << 16;

fn is_odd(value: &f32) -> bool {
    !value.is_finite()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn bad_rows_are_named() {
        let e = check_rows(array![[0.0, 1.0], [f32::NAN, 0.0]].view(), "candidates").unwrap_err();
        assert_eq!(e.to_string(), "candidates row 1, column 0 is NaN: expected a finite number");
        assert_eq!(check_rows(Array2::zeros((2, 0)).view(), "x"), Err(CoresetError::NoColumns));
        assert_eq!(check_rows(Array2::zeros((0, 0)).view(), "x"), Ok(()));
    }
}
