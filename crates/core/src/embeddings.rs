use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};

use crate::{CoreError, Result, SampleId};

/// Vectors of samples: one row each, all finite, all of one length, with distinct ids.
///
/// ```
/// use labelloop_core::{Embeddings, SampleId};
/// use ndarray::array;
///
/// let ids = vec![SampleId::new("a")?, SampleId::new("b")?];
/// let e = Embeddings::new(ids, array![[0.0, 1.0], [1.0, 0.0]])?;
/// assert_eq!(e.row(&SampleId::new("b")?).unwrap().to_vec(), [1.0, 0.0]);
/// # Ok::<(), labelloop_core::CoreError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    ids: Vec<SampleId>,
    vectors: Array2<f32>,
    row_of: BTreeMap<SampleId, usize>,
}

impl Embeddings {
    /// Row `i` of `vectors` (shape: samples x dimensions) belongs to `ids[i]`.
    ///
    /// # Errors
    /// [`CoreError::RowCount`], [`CoreError::NoColumns`], [`CoreError::DuplicateSample`] or [`CoreError::NotFinite`]
    /// with the place.
    pub fn new(ids: Vec<SampleId>, vectors: Array2<f32>) -> Result<Self> {
        if ids.len() != vectors.nrows() {
            return Err(CoreError::RowCount { n_rows: vectors.nrows(), n_ids: ids.len() });
        }
        if vectors.ncols() == 0 {
            return Err(CoreError::NoColumns);
        }
        if let Some(((row, column), found)) = vectors.indexed_iter().find(|(_, v)| !v.is_finite()) {
            return Err(CoreError::NotFinite { id: ids[row].to_string(), column, found: *found });
        }
        let mut row_of = BTreeMap::new();
        for (row, id) in ids.iter().enumerate() {
            if row_of.insert(id.clone(), row).is_some() {
                return Err(CoreError::DuplicateSample { id: id.to_string() });
            }
        }
        Ok(Self { ids, vectors, row_of })
    }

    /// Samples in row order.
    pub fn ids(&self) -> &[SampleId] {
        &self.ids
    }

    /// All vectors, samples x dimensions.
    pub fn vectors(&self) -> ArrayView2<'_, f32> {
        self.vectors.view()
    }

    /// Length of each vector.
    pub fn n_dims(&self) -> usize {
        self.vectors.ncols()
    }

    /// Number of samples.
    pub fn n_samples(&self) -> usize {
        self.ids.len()
    }

    /// Vector of one sample, where it has one.
    pub fn row(&self, id: &SampleId) -> Option<ArrayView1<'_, f32>> {
        self.row_of.get(id).map(|row| self.vectors.row(*row))
    }

    /// Vectors of the samples asked for, in the order asked for.
    ///
    /// # Errors
    /// [`CoreError::MissingSample`] naming the first that has none.
    pub fn gather<'a>(&self, ids: impl IntoIterator<Item = &'a SampleId>) -> Result<Array2<f32>> {
        let rows = ids
            .into_iter()
            .map(|id| {
                self.row_of.get(id).copied().ok_or_else(|| CoreError::MissingSample { id: id.to_string() })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(self.vectors.select(Axis(0), &rows))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn id(text: &str) -> SampleId {
        SampleId::new(text).unwrap()
    }

    #[test]
    fn bad_arrays_are_refused_with_their_place() {
        let two = || vec![id("a"), id("b")];
        assert!(matches!(
            Embeddings::new(two(), array![[1.0]]),
            Err(CoreError::RowCount { n_rows: 1, n_ids: 2 })
        ));
        assert!(matches!(Embeddings::new(two(), Array2::zeros((2, 0))), Err(CoreError::NoColumns)));
        assert!(matches!(
            Embeddings::new(vec![id("a"), id("a")], array![[1.0], [2.0]]),
            Err(CoreError::DuplicateSample { .. })
        ));
        let nan = Embeddings::new(two(), array![[1.0, 2.0], [3.0, f32::NAN]]).unwrap_err();
        assert_eq!(nan.to_string(), "embedding of sample b, column 1 is NaN: expected a finite number");
    }

    #[test]
    fn gather_keeps_the_order_asked_for() {
        let e = Embeddings::new(vec![id("a"), id("b")], array![[1.0], [2.0]]).unwrap();
        assert_eq!(e.gather(&[id("b"), id("a")]).unwrap(), array![[2.0], [1.0]]);
        assert!(matches!(e.gather(&[id("c")]), Err(CoreError::MissingSample { .. })));
    }
}
