use labelloop_core::Seed;
use ndarray::{ArrayView1, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use super::PartialError;
use crate::{CoresetError, Result};

/// Some rows of a run, each with its number in the whole.
///
/// Row numbers are `u32`, so a run has at most 2^32 - 1 rows. Where rows are labelled already they are numbered after all
/// candidates, as [`score_given`](crate::ZCoreValidParams::score_given) stacks them.
///
/// ```
/// use labelloop_coreset::partial::Shard;
/// use ndarray::array;
///
/// let rows = array![[0.5], [0.25]];
/// let tail = Shard::new(rows.view(), 98)?;
/// assert_eq!(tail.ids().collect::<Vec<_>>(), [98, 99]);
/// let loose = Shard::with_ids(rows.view(), &[7, 3])?;
/// assert_eq!(loose.n_rows(), 2);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Shard<'a> {
    rows: ArrayView2<'a, f32>,
    ids: Ids<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Ids<'a> {
    From(u32),
    Listed(&'a [u32]),
}

impl<'a> Shard<'a> {
    /// Rows that follow one another in the whole, from `first_row` on (shape: rows x dimensions).
    ///
    /// # Errors
    /// [`CoresetError::NoColumns`], [`CoresetError::NotFinite`] with the number of the row, and
    /// [`PartialError::RowNumber`] where numbers would not fit.
    pub fn new(rows: ArrayView2<'a, f32>, first_row: u32) -> Result<Self> {
        let end = u64::from(first_row) + rows.nrows() as u64;
        if rows.nrows() > 0 && end > u64::from(u32::MAX) {
            return Err(PartialError::RowNumber { found: end - 1, expected: u64::from(u32::MAX - 1) }.into());
        }
        Self { rows, ids: Ids::From(first_row) }.checked()
    }

    /// Rows with their numbers, in any order.
    ///
    /// # Errors
    /// Those of [`new`](Self::new), and [`CoresetError::LengthMismatch`].
    pub fn with_ids(rows: ArrayView2<'a, f32>, ids: &'a [u32]) -> Result<Self> {
        if ids.len() != rows.nrows() {
            let (found, expected) = (ids.len(), rows.nrows());
            return Err(CoresetError::LengthMismatch { what: "row numbers of a shard", found, expected });
        }
        if ids.contains(&u32::MAX) {
            let expected = u64::from(u32::MAX - 1);
            return Err(PartialError::RowNumber { found: u64::from(u32::MAX), expected }.into());
        }
        Self { rows, ids: Ids::Listed(ids) }.checked()
    }

    fn checked(self) -> Result<Self> {
        if self.n_rows() > 0 && self.rows.ncols() == 0 {
            return Err(CoresetError::NoColumns);
        }
        match self.rows.indexed_iter().find(|(_, v)| !v.is_finite()) {
            Some(((at, column), found)) => {
                let (row, found) = (self.id(at) as usize, f64::from(*found));
                Err(CoresetError::NotFinite { what: "shard", row, column, found })
            }
            None => Ok(self),
        }
    }

    /// Rows of this shard.
    pub fn n_rows(&self) -> usize {
        self.rows.nrows()
    }

    /// The rows (shape: rows x dimensions).
    pub fn rows(&self) -> ArrayView2<'a, f32> {
        self.rows
    }

    /// Number in the whole of each row.
    pub fn ids(&self) -> impl Iterator<Item = u32> + use<'a> {
        let Self { ids, rows } = *self;
        (0..rows.nrows()).map(move |at| ids.of(at))
    }

    pub(super) fn id(&self, at: usize) -> u32 {
        self.ids.of(at)
    }

    /// Refuses rows of another length. A shard without rows has any length.
    pub(super) fn expect_columns(&self, expected: usize) -> Result<()> {
        let found = self.rows.ncols();
        if self.n_rows() == 0 || found == expected {
            return Ok(());
        }
        Err(CoresetError::DimensionMismatch { what: "shard", found, expected })
    }

    /// The shard's rows in ascending order of their numbers, so that what goes by the lower row here goes by the lower row of
    /// the whole: positions, or nothing where they are in order already.
    pub(super) fn ascending(&self) -> Option<Vec<usize>> {
        let Ids::Listed(ids) = self.ids else { return None };
        if ids.is_sorted() {
            return None;
        }
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by_key(|at| ids[*at]);
        Some(order)
    }

    pub(super) fn row(&self, at: usize) -> ArrayView1<'a, f32> {
        self.rows.index_axis_move(Axis(0), at)
    }
}

impl Ids<'_> {
    fn of(self, at: usize) -> u32 {
        match self {
            Ids::From(first) => first + at as u32,
            Ids::Listed(ids) => ids[at],
        }
    }
}

/// Which rows were seen: their number, and a sum over a hash of each row's number and values.
///
/// The sum does not depend on the order or the partitioning. Two rounds over the same rows have the same, and with all but
/// certainty two rounds over other rows do not: a shard that an engine lost, counted twice, or computed anew with other
/// numbers is noticed before a result is given. It guards against accidents, not against malice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowsSeen {
    /// Rows seen.
    pub n_rows: u64,
    /// Sum of the hashes, modulo 2^64.
    pub digest: u64,
}

impl RowsSeen {
    /// The rows of one shard.
    ///
    /// ```
    /// use labelloop_coreset::partial::{RowsSeen, Shard};
    /// use ndarray::array;
    ///
    /// let rows = array![[0.5], [0.25]];
    /// let seen = |first_row| Shard::new(rows.view(), first_row).map(|s| RowsSeen::of(&s));
    /// assert_eq!(seen(0)?, seen(0)?);
    /// assert_ne!(seen(0)?, seen(1)?); // the same values with other numbers are other rows
    /// # Ok::<(), labelloop_coreset::CoresetError>(())
    /// ```
    pub fn of(shard: &Shard<'_>) -> Self {
        let digest =
            (0..shard.n_rows()).map(|at| hash(shard.id(at), shard.row(at))).fold(0u64, u64::wrapping_add);
        Self { n_rows: shard.n_rows() as u64, digest }
    }

    /// The rows of both.
    ///
    /// # Errors
    /// [`CoresetError::TooManyRows`] above 2^32 - 1.
    pub fn and(self, other: Self) -> Result<Self> {
        let n_rows = self.n_rows.saturating_add(other.n_rows);
        if n_rows > u64::from(u32::MAX) {
            let found = usize::try_from(n_rows).unwrap_or(usize::MAX);
            return Err(CoresetError::TooManyRows { found, expected: u32::MAX as usize });
        }
        Ok(Self { n_rows, digest: self.digest.wrapping_add(other.digest) })
    }

    /// Refuses other rows than expected.
    ///
    /// # Errors
    /// [`PartialError::Rows`].
    pub fn expect(self, expected: Self) -> Result<()> {
        if self == expected {
            return Ok(());
        }
        Err(PartialError::Rows {
            found: self.n_rows,
            expected: expected.n_rows,
            found_digest: self.digest,
            expected_digest: expected.digest,
        }
        .into())
    }
}

/// Two lanes of multiplications and rotations over pairs of values, mixed with the row's number at the end.
fn hash(id: u32, row: ArrayView1<'_, f32>) -> u64 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut lanes = [0x243F_6A88_85A3_08D3u64, 0x1319_8A2E_0370_7344];
    for (at, value) in row.iter().enumerate() {
        let lane = &mut lanes[at & 1];
        *lane = (*lane ^ u64::from(value.to_bits())).wrapping_mul(FACTOR).rotate_left(29);
    }
    Seed::new(lanes[0] ^ lanes[1].rotate_left(32)).bits(u64::from(id))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn numbers_that_do_not_fit_are_refused() {
        let rows = array![[1.0f32], [2.0]];
        let refused = |s: Result<Shard<'_>>| s.unwrap_err();
        assert!(Shard::new(rows.view(), u32::MAX - 2).is_ok());
        assert!(matches!(
            refused(Shard::new(rows.view(), u32::MAX - 1)),
            CoresetError::Partial(PartialError::RowNumber { found: 4_294_967_295, .. })
        ));
        assert!(matches!(
            refused(Shard::with_ids(rows.view(), &[0, u32::MAX])),
            CoresetError::Partial(PartialError::RowNumber { .. })
        ));
        assert!(matches!(
            refused(Shard::with_ids(rows.view(), &[0])),
            CoresetError::LengthMismatch { found: 1, expected: 2, .. }
        ));
    }

    #[test]
    fn bad_values_are_named_by_their_number_in_the_whole() {
        let e = Shard::new(array![[0.0], [f32::NAN]].view(), 40).unwrap_err();
        assert_eq!(e.to_string(), "shard row 41, column 0 is NaN: expected a finite number");
        assert_eq!(Shard::new(Array2::zeros((1, 0)).view(), 0).unwrap_err(), CoresetError::NoColumns);
        assert_eq!(Shard::new(Array2::zeros((0, 0)).view(), 0).unwrap().n_rows(), 0);
    }

    #[test]
    fn digests_notice_what_engines_do() {
        let rows = array![[1.0f32, 2.0], [3.0, 4.0], [5.0, 6.0]];
        let of = |ids: &[usize], numbers: &[u32]| {
            let part = rows.select(Axis(0), ids);
            RowsSeen::of(&Shard::with_ids(part.view(), numbers).unwrap())
        };
        let whole = of(&[0, 1, 2], &[0, 1, 2]);
        assert_eq!(whole, of(&[2], &[2]).and(of(&[1, 0], &[1, 0])).unwrap());
        assert_ne!(whole, of(&[0, 1], &[0, 1])); // lost
        assert_ne!(whole, of(&[0, 1, 1], &[0, 1, 1])); // twice
        assert_ne!(whole, of(&[0, 2, 1], &[0, 1, 2])); // numbered anew
        assert!(whole.expect(of(&[0], &[0])).unwrap_err().to_string().starts_with("3 rows were seen"));
        let many = RowsSeen { n_rows: u64::from(u32::MAX), digest: 0 };
        assert!(matches!(many.and(whole), Err(CoresetError::TooManyRows { .. })));
    }

    #[test]
    fn swapped_columns_are_another_row() {
        let seen = |rows: Array2<f32>| RowsSeen::of(&Shard::new(rows.view(), 0).unwrap());
        assert_ne!(seen(array![[1.0, 2.0, 3.0]]), seen(array![[2.0, 1.0, 3.0]]));
        assert_ne!(seen(array![[1.0, 2.0, 3.0]]), seen(array![[3.0, 2.0, 1.0]]));
        assert_ne!(seen(array![[1.0]]), seen(array![[1.0, 0.0]]));
    }
}
