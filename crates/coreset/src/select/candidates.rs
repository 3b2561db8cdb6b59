use labelloop_index::Metric;
use ndarray::{Array2, ArrayView2, CowArray, Ix2};

use crate::checks::{check_given, check_length, check_rows, check_weights};
use crate::{CoresetError, Result};

/// What is chosen from: rows, what is labelled already, groups and weights.
///
/// ```
/// use labelloop_coreset::select::Candidates;
/// use ndarray::array;
///
/// let (rows, labelled) = (array![[0.0, 0.0], [1.0, 0.0], [5.0, 5.0]], array![[1.0, 0.1]]);
/// let candidates = Candidates::new(rows.view())?
///     .given(labelled.view())?
///     .grouped(&[7, 7, 9])?
///     .weighted(&[1.0, 1.0, 0.5])?;
/// assert_eq!((candidates.n_rows(), candidates.n_labelled()), (3, 1));
/// assert!(Candidates::new(array![[f32::NAN]].view()).is_err());
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Candidates<'a> {
    rows: CowArray<'a, f32, Ix2>,
    labelled: CowArray<'a, f32, Ix2>,
    groups: Option<&'a [u32]>,
    labelled_groups: Option<&'a [u32]>,
    weights: Option<&'a [f64]>,
}

impl<'a> Candidates<'a> {
    /// Rows to choose from (shape: rows x dimensions); none is fine.
    ///
    /// # Errors
    /// [`CoresetError::NotFinite`] naming the row, [`CoresetError::NoColumns`] and [`CoresetError::TooManyRows`].
    pub fn new(rows: ArrayView2<'a, f32>) -> Result<Self> {
        check_rows(rows, "candidates")?;
        let labelled = Array2::zeros((0, rows.ncols())).into();
        Ok(Self { rows: standard(rows), labelled, groups: None, labelled_groups: None, weights: None })
    }

    /// Rows that are labelled already (shape: labelled x dimensions): never chosen, but known to every method.
    ///
    /// # Errors
    /// [`CoresetError::NotFinite`] and [`CoresetError::DimensionMismatch`].
    pub fn given(mut self, labelled: ArrayView2<'a, f32>) -> Result<Self> {
        if labelled.nrows() > 0 {
            check_given(self.rows.view(), labelled, "labelled")?;
            self.labelled = standard(labelled);
        }
        Ok(self)
    }

    /// The group of each row: a recording, a day, a site. A quota counts by these.
    ///
    /// # Errors
    /// [`CoresetError::LengthMismatch`].
    pub fn grouped(mut self, groups: &'a [u32]) -> Result<Self> {
        check_length("groups", groups.len(), self.n_rows())?;
        self.groups = Some(groups);
        Ok(self)
    }

    /// The group of each labelled row, after [`given`](Self::given): only then do labelled rows count towards a quota.
    ///
    /// # Errors
    /// [`CoresetError::LengthMismatch`].
    pub fn labelled_grouped(mut self, groups: &'a [u32]) -> Result<Self> {
        check_length("groups of labelled rows", groups.len(), self.n_labelled())?;
        self.labelled_groups = Some(groups);
        Ok(self)
    }

    /// How much each row matters; each method says what it makes of it, and 1 for all changes no method's picks.
    ///
    /// # Errors
    /// [`CoresetError::LengthMismatch`], and [`CoresetError::Weight`] for a weight that is negative or not finite.
    pub fn weighted(mut self, weights: &'a [f64]) -> Result<Self> {
        check_weights(weights, self.n_rows())?;
        self.weights = Some(weights);
        Ok(self)
    }

    /// Rows there are to choose from.
    pub fn n_rows(&self) -> usize {
        self.rows.nrows()
    }

    /// Length of each row.
    pub fn n_dims(&self) -> usize {
        self.rows.ncols()
    }

    /// Rows that are labelled.
    pub fn n_labelled(&self) -> usize {
        self.labelled.nrows()
    }

    /// The rows, in standard layout.
    pub fn rows(&self) -> ArrayView2<'_, f32> {
        self.rows.view()
    }

    /// The labelled rows, in standard layout; no rows where nothing is labelled.
    pub fn labelled(&self) -> ArrayView2<'_, f32> {
        self.labelled.view()
    }

    /// The group of each row, where there are groups.
    pub fn groups(&self) -> Option<&'a [u32]> {
        self.groups
    }

    /// The group of each labelled row, where known.
    pub fn labelled_groups(&self) -> Option<&'a [u32]> {
        self.labelled_groups
    }

    /// The weight of each row, where there are weights.
    pub fn weights(&self) -> Option<&'a [f64]> {
        self.weights
    }

    /// The rows and the labelled rows in the space that methods work in: as they are under [`Metric::L2`], scaled to
    /// unit length under [`Metric::Cosine`].
    pub(crate) fn prepared(
        &self,
        metric: Metric,
    ) -> Result<(CowArray<'_, f32, Ix2>, CowArray<'_, f32, Ix2>)> {
        match metric {
            Metric::Cosine => Ok((
                unit_rows(self.rows.view(), "candidates")?.into(),
                unit_rows(self.labelled.view(), "labelled")?.into(),
            )),
            _ => Ok((self.rows.view().into(), self.labelled.view().into())),
        }
    }
}

/// Rows scaled to unit length, by a norm computed in f64.
///
/// # Errors
/// [`CoresetError::ZeroVector`] naming the row.
pub(crate) fn unit_rows(rows: ArrayView2<'_, f32>, what: &'static str) -> Result<Array2<f32>> {
    let mut unit = rows.to_owned();
    for (row, mut entries) in unit.rows_mut().into_iter().enumerate() {
        let norm = entries.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        if !(0.0 < norm) {
            return Err(CoresetError::ZeroVector { what, row });
        }
        entries.mapv_inplace(|v| (f64::from(v) / norm) as f32);
    }
    Ok(unit)
}

fn standard(rows: ArrayView2<'_, f32>) -> CowArray<'_, f32, Ix2> {
    if rows.is_standard_layout() { rows.into() } else { rows.as_standard_layout().into_owned().into() }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_its_place() {
        let rows = array![[1.0f32, 2.0], [3.0, 4.0]];
        let c = || Candidates::new(rows.view()).unwrap();
        let (short, endless) = (array![[1.0f32]], array![[1.0f32, f32::INFINITY]]);
        let e = c().given(short.view()).unwrap_err();
        assert_eq!(e.to_string(), "labelled has 1 columns: expected 2");
        assert!(c().given(endless.view()).unwrap_err().to_string().contains("row 0"));
        assert_eq!(c().grouped(&[1]).unwrap_err().to_string(), "groups has 1 entries: expected 2");
        assert!(matches!(c().labelled_grouped(&[1]), Err(CoresetError::LengthMismatch { expected: 0, .. })));
        assert!(matches!(c().weighted(&[1.0]), Err(CoresetError::LengthMismatch { found: 1, .. })));
        assert!(matches!(c().weighted(&[1.0, -1.0]), Err(CoresetError::Weight { row: 1, .. })));
        assert!(matches!(c().weighted(&[f64::NAN, 1.0]), Err(CoresetError::Weight { row: 0, .. })));
        assert!(matches!(Candidates::new(Array2::zeros((2, 0)).view()), Err(CoresetError::NoColumns)));
    }

    #[test]
    fn no_rows_take_labelled_rows_of_any_length() {
        let (none, labelled) = (Array2::zeros((0, 0)), array![[1.0f32, 2.0]]);
        let c = Candidates::new(none.view()).unwrap().given(labelled.view()).unwrap();
        assert_eq!((c.n_rows(), c.n_labelled()), (0, 1));
    }

    #[test]
    fn transposed_rows_are_laid_out_anew() {
        let columns = array![[1.0f32, 3.0], [2.0, 4.0]];
        let c = Candidates::new(columns.t()).unwrap();
        assert_eq!(c.rows().row(0).as_slice(), Some(&[1.0, 2.0][..]));
    }

    #[test]
    fn unit_rows_need_a_direction() {
        let e = unit_rows(array![[3.0, 4.0], [0.0, 0.0]].view(), "candidates").unwrap_err();
        assert_eq!(
            e.to_string(),
            "candidates row 1 is a zero vector: expected a direction, as cosine needs one"
        );
        assert_eq!(unit_rows(array![[3.0, 4.0]].view(), "x").unwrap(), array![[0.6, 0.8]]);
        assert_eq!(unit_rows(array![[f32::MAX, 0.0]].view(), "x").unwrap(), array![[1.0, 0.0]]);
    }
}
