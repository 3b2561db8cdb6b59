use rayon::prelude::*;

use crate::stacked::Stacked;

/// Embeddings column by column, as draws look at few columns of all rows.
pub(crate) struct Columns {
    n_rows: usize,
    columns: Vec<Vec<f32>>,
}

/// Range and middle of one column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ColumnStats {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Columns {
    /// Columns of all rows.
    pub(crate) fn of(rows: &Stacked<'_>) -> Self {
        let column = |j: usize| (0..rows.n_rows()).map(|row| rows.row(row)[j]).collect();
        Self { n_rows: rows.n_rows(), columns: (0..rows.n_columns()).into_par_iter().map(column).collect() }
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.n_rows
    }

    pub(crate) fn column(&self, j: usize) -> &[f32] {
        self.columns.get(j).map_or(&[], Vec::as_slice)
    }

    /// Statistics of each column; they do not depend on the order of rows.
    pub(crate) fn stats(&self) -> Vec<ColumnStats> {
        self.columns.par_iter().map(|column| stats(column)).collect()
    }
}

/// Of an even number of values the median is the mean of the two in the middle, as numpy has it.
fn stats(column: &[f32]) -> ColumnStats {
    let mut values = column.to_vec();
    let middle = values.len() / 2;
    if values.is_empty() {
        return ColumnStats { min: 0.0, median: 0.0, max: 0.0 };
    }
    let even = values.len().is_multiple_of(2);
    let (below, upper, above) = values.select_nth_unstable_by(middle, f32::total_cmp);
    let upper = f64::from(*upper);
    let largest_below = below.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let median = if even { (f64::from(largest_below) + upper) / 2.0 } else { upper };
    let min = below.iter().map(|v| f64::from(*v)).fold(upper, f64::min);
    let max = above.iter().map(|v| f64::from(*v)).fold(upper, f64::max);
    ColumnStats { min, median, max }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn medians_are_numpys() {
        assert_eq!(stats(&[3.0, 1.0, 2.0]), ColumnStats { min: 1.0, median: 2.0, max: 3.0 });
        assert_eq!(stats(&[4.0, 1.0, 2.0, 9.0]), ColumnStats { min: 1.0, median: 3.0, max: 9.0 });
        assert_eq!(stats(&[5.0]), ColumnStats { min: 5.0, median: 5.0, max: 5.0 });
        assert_eq!(stats(&[-0.0, 0.0]).median, 0.0);
    }

    #[test]
    fn stacking_keeps_the_first_array_first() {
        let (first, second) = (array![[1.0, 2.0]], array![[3.0, 4.0]]);
        let c = Columns::of(&Stacked::new(first.view(), second.view()).unwrap());
        assert_eq!((c.column(1), c.n_rows()), (&[2.0f32, 4.0][..], 2));
        assert!(c.column(9).is_empty());
    }
}
