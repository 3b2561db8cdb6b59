use std::borrow::Cow;

use ndarray::ArrayView2;

use crate::checks::{check_rows, check_width};
use crate::{CoresetError, Result};

/// Candidates, then the rows that are labelled already, numbered through.
pub(crate) struct Stacked<'a> {
    first: Cow<'a, [f32]>,
    second: Cow<'a, [f32]>,
    n_first: usize,
    n_rows: usize,
    n_columns: usize,
}

impl<'a> Stacked<'a> {
    /// Both arrays checked: finite, of one width, and few enough for row numbers of 32 bits.
    pub(crate) fn new(candidates: ArrayView2<'a, f32>, labelled: ArrayView2<'a, f32>) -> Result<Self> {
        check_rows(candidates, "candidates")?;
        check_rows(labelled, "labelled")?;
        check_width(labelled, candidates.ncols(), "labelled")?;
        let n_rows = candidates.nrows().saturating_add(labelled.nrows());
        if u32::try_from(n_rows).is_err() {
            return Err(CoresetError::TooManyRows { found: n_rows, expected: u32::MAX as usize });
        }
        let (n_first, n_columns) = candidates.dim();
        Ok(Self { first: in_rows(candidates), second: in_rows(labelled), n_first, n_rows, n_columns })
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Rows before this one are candidates and get scores.
    pub(crate) fn n_scored(&self) -> usize {
        self.n_first
    }

    pub(crate) fn n_columns(&self) -> usize {
        self.n_columns
    }

    #[inline]
    pub(crate) fn row(&self, row: usize) -> &[f32] {
        let (numbers, at) = match row.checked_sub(self.n_first) {
            None => (&self.first, row),
            Some(at) => (&self.second, at),
        };
        &numbers[at * self.n_columns..(at + 1) * self.n_columns]
    }

    /// The numbers of consecutive rows where they lie in one array.
    pub(crate) fn run(&self, start: usize, len: usize) -> Option<&[f32]> {
        let (numbers, start) = match start.checked_sub(self.n_first) {
            None => (&self.first, start),
            Some(start) => (&self.second, start),
        };
        numbers.get(start * self.n_columns..(start + len) * self.n_columns)
    }
}

fn in_rows(rows: ArrayView2<'_, f32>) -> Cow<'_, [f32]> {
    match rows.to_slice() {
        Some(numbers) => numbers.into(),
        None => rows.iter().copied().collect(),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn labelled_rows_come_behind_candidates_whatever_their_layout() {
        let turned = array![[1.0f32, 3.0], [2.0, 4.0]];
        let labelled = array![[5.0f32, 6.0]];
        let stacked = Stacked::new(turned.t(), labelled.view()).unwrap();
        assert_eq!((stacked.n_rows(), stacked.n_scored(), stacked.n_columns()), (3, 2, 2));
        assert_eq!([stacked.row(0), stacked.row(1), stacked.row(2)], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    }

    #[test]
    fn widths_must_agree_where_there_are_labelled_rows() {
        let rows = Array2::<f32>::zeros((2, 3));
        assert!(Stacked::new(rows.view(), Array2::zeros((0, 9)).view()).is_ok());
        assert!(matches!(
            Stacked::new(rows.view(), Array2::zeros((1, 2)).view()),
            Err(CoresetError::DimensionMismatch { what: "labelled", found: 2, expected: 3 })
        ));
    }
}
