use labelloop_index::{ExactIndex, Metric};
use ndarray::ArrayView2;
use rayon::prelude::*;

use crate::Result;
use crate::geometry::squared;

/// The nearest other rows of every row, with Euclidean distances in f64.
pub(crate) struct OtherRows {
    /// Neighbours of each row: what was asked for, or all other rows where there are fewer.
    pub(crate) k: usize,
    /// Row numbers, `k` for each row, nearest first, ties by lower row.
    pub(crate) ids: Vec<u32>,
    /// Their distances.
    pub(crate) distances: Vec<f64>,
}

impl OtherRows {
    /// The `k` nearest other rows; `rows` are finite. O(rows^2 x dimensions).
    pub(crate) fn new(rows: ArrayView2<'_, f32>, k: usize) -> Result<Self> {
        let k = k.min(rows.nrows().saturating_sub(1));
        if k == 0 {
            return Ok(Self { k, ids: Vec::new(), distances: Vec::new() });
        }
        let rows = rows.as_standard_layout();
        let found = ExactIndex::new(rows.view(), Metric::L2)?.search(rows.view(), k + 1, None)?;
        let mut ids = Vec::with_capacity(rows.nrows() * k);
        for row in 0..rows.nrows() {
            // Among many copies the row itself may be missing from its own neighbours: then the last one is left out.
            let own = found.of(row).position(|(id, _)| id as usize == row).unwrap_or(k);
            ids.extend(found.of(row).enumerate().filter(|(i, _)| *i != own).map(|(_, (id, _))| id));
        }
        let slice = |row: usize| rows.row(row).to_slice().unwrap_or_default();
        let distance = |(i, id): (usize, &u32)| squared(slice(i / k), slice(*id as usize)).sqrt();
        let distances = ids.par_iter().enumerate().map(distance).collect();
        Ok(Self { k, ids, distances })
    }

    pub(crate) fn ids(&self, row: usize) -> &[u32] {
        &self.ids[row * self.k..(row + 1) * self.k]
    }

    pub(crate) fn distances(&self, row: usize) -> &[f64] {
        &self.distances[row * self.k..(row + 1) * self.k]
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn a_row_is_not_its_own_neighbour() {
        let others = OtherRows::new(array![[0.0], [1.0], [3.0]].view(), 9).unwrap();
        assert_eq!((others.k, others.ids(1), others.distances(1)), (2, &[0, 2][..], &[1.0, 2.0][..]));
        let copies = OtherRows::new(Array2::ones((5, 2)).view(), 2).unwrap();
        assert!(
            (0..5).all(|row| !copies.ids(row).contains(&(row as u32)) && copies.distances(row) == [0.0, 0.0])
        );
        assert_eq!(OtherRows::new(array![[0.0]].view(), 3).unwrap().k, 0);
    }
}
