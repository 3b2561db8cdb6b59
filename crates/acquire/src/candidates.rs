use labelloop_core::{GroupKey, Members, Pool};
use ndarray::ArrayView2;

use crate::{AcquireError, Result};

/// What a batch may be chosen from: the unlabelled samples of the pool.
///
/// All lists run along `members.ids()`, which are in ascending order. A member may stand for a whole capture (all
/// sensors of one instant); whoever labels it labels the capture.
///
/// Only members of the pool fit; planning from another split does not compile:
///
/// ```compile_fail,E0308
/// use labelloop_acquire::Candidates;
/// use labelloop_core::{FrozenTest, Members};
/// use ndarray::ArrayView2;
///
/// fn leak<'a>(test: &'a Members<FrozenTest>, embeddings: ArrayView2<'a, f32>) -> Candidates<'a> {
///     Candidates { members: test, groups: None, embeddings, cost: None }
/// }
/// ```
///
/// nor does planning from val or golden:
///
/// ```compile_fail,E0308
/// use labelloop_acquire::Candidates;
/// use labelloop_core::{Members, Val};
/// use ndarray::ArrayView2;
///
/// fn leak<'a>(val: &'a Members<Val>, embeddings: ArrayView2<'a, f32>) -> Candidates<'a> {
///     Candidates { members: val, groups: None, embeddings, cost: None }
/// }
/// ```
///
/// ```compile_fail,E0308
/// use labelloop_acquire::Candidates;
/// use labelloop_core::{Golden, Members};
/// use ndarray::ArrayView2;
///
/// fn leak<'a>(golden: &'a Members<Golden>, embeddings: ArrayView2<'a, f32>) -> Candidates<'a> {
///     Candidates { members: golden, groups: None, embeddings, cost: None }
/// }
/// ```
///
/// with the pool it does:
///
/// ```
/// use labelloop_acquire::Candidates;
/// use labelloop_core::{Members, Pool};
/// use ndarray::ArrayView2;
///
/// fn fine<'a>(pool: &'a Members<Pool>, embeddings: ArrayView2<'a, f32>) -> Candidates<'a> {
///     Candidates { members: pool, groups: None, embeddings, cost: None }
/// }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Candidates<'a> {
    /// The samples.
    pub members: &'a Members<Pool>,
    /// Group of each member, for instance its drive or recording.
    pub groups: Option<&'a [GroupKey]>,
    /// Embedding of each member, shape members x dimensions.
    pub embeddings: ArrayView2<'a, f32>,
    /// What labelling each member costs, in boxes, seconds or money.
    pub cost: Option<&'a [f64]>,
}

impl Candidates<'_> {
    /// Refuses lists that do not fit the members and numbers that mean nothing.
    pub(crate) fn check(&self) -> Result<()> {
        let expected = self.members.len();
        if expected == 0 {
            return Err(AcquireError::Exhausted);
        }
        let lengths = [
            ("embeddings", Some(self.embeddings.nrows())),
            ("groups", self.groups.map(<[GroupKey]>::len)),
            ("cost", self.cost.map(<[f64]>::len)),
        ];
        for (what, found) in lengths {
            if let Some(found) = found.filter(|found| *found != expected) {
                return Err(AcquireError::LengthMismatch { what, found, expected });
            }
        }
        check_finite(self.embeddings, |row| format!("sample {}", self.members.ids()[row]))?;
        let costs = self.cost.unwrap_or_default();
        match costs.iter().position(|c| !(0.0 < *c && c.is_finite())) {
            Some(row) => {
                Err(AcquireError::InvalidCost { id: self.members.ids()[row].to_string(), found: costs[row] })
            }
            None => Ok(()),
        }
    }
}

/// Refuses candidates that do not fit each other, and labelled rows that do not fit them.
pub(crate) fn check_labelled(candidates: &Candidates<'_>, labelled: ArrayView2<'_, f32>) -> Result<()> {
    candidates.check()?;
    let expected = candidates.embeddings.ncols();
    if labelled.nrows() > 0 && labelled.ncols() != expected {
        return Err(AcquireError::DimensionMismatch { what: "labelled", found: labelled.ncols(), expected });
    }
    check_finite(labelled, |row| format!("labelled row {row}"))
}

/// Refuses vectors with anything but finite numbers; `name` says whose a row is.
pub(crate) fn check_finite(rows: ArrayView2<'_, f32>, name: impl Fn(usize) -> String) -> Result<()> {
    match rows.indexed_iter().find(|(_, v)| !v.is_finite()) {
        Some(((row, column), found)) => {
            Err(AcquireError::NotFinite { what: name(row), column, found: *found })
        }
        None => Ok(()),
    }
}
