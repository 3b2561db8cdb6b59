use crate::{IndexError, Result};

/// Bits of one word.
const WORD: usize = 64;

/// Which rows of an index a search may return: one bit for each row.
///
/// ```
/// use labelloop_index::RowFilter;
///
/// let unlabelled = RowFilter::from_mask(&[true, false, true, true]);
/// let by_day = RowFilter::from_rows(4, &[0, 1, 2])?;
/// let both = unlabelled.and(&by_day)?;
/// assert_eq!(both.rows().collect::<Vec<_>>(), [0, 2]);
/// assert_eq!((both.count(), both.n_rows()), (2, 4));
/// assert!(both.not().contains(3));
/// # Ok::<(), labelloop_index::IndexError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFilter {
    n_rows: usize,
    /// Row `64 i + b` is bit b of word i; bits beyond the last row are 0.
    words: Vec<u64>,
}

impl RowFilter {
    /// Allows all of `n_rows` rows.
    pub fn all(n_rows: usize) -> Self {
        Self::none(n_rows).not()
    }

    /// Allows none of `n_rows` rows.
    pub fn none(n_rows: usize) -> Self {
        Self { n_rows, words: vec![0; n_rows.div_ceil(WORD)] }
    }

    /// Allows the rows whose entry is true.
    pub fn from_mask(mask: &[bool]) -> Self {
        let word = |bits: &[bool]| bits.iter().rev().fold(0, |word, bit| word << 1 | u64::from(*bit));
        Self { n_rows: mask.len(), words: mask.chunks(WORD).map(word).collect() }
    }

    /// Allows the rows named, of `n_rows` in all; their order and how often one is named do not matter.
    ///
    /// # Errors
    /// [`IndexError::RowOutOfRange`] for a row that there is not.
    ///
    /// ```
    /// use labelloop_index::{IndexError, RowFilter};
    ///
    /// assert_eq!(RowFilter::from_rows(9, &[7, 2, 7])?.count(), 2);
    /// assert_eq!(RowFilter::from_rows(3, &[3]), Err(IndexError::RowOutOfRange { found: 3, n_rows: 3 }));
    /// # Ok::<(), IndexError>(())
    /// ```
    pub fn from_rows(n_rows: usize, rows: &[u32]) -> Result<Self> {
        let mut filter = Self::none(n_rows);
        for row in rows.iter().map(|row| *row as usize) {
            if n_rows <= row {
                return Err(IndexError::RowOutOfRange { found: row, n_rows });
            }
            filter.words[row / WORD] |= 1 << (row % WORD);
        }
        Ok(filter)
    }

    /// Rows of the index it is for.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Number of rows allowed. O(rows / 64).
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether `row` is allowed; false for a row that there is not.
    pub fn contains(&self, row: usize) -> bool {
        self.words.get(row / WORD).is_some_and(|word| word >> (row % WORD) & 1 == 1)
    }

    /// The rows allowed, ascending.
    pub fn rows(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(i, word)| Bits(*word).map(move |bit| WORD * i + bit))
    }

    /// Allows what both allow.
    ///
    /// # Errors
    /// [`IndexError::FilterLength`] where the two are for different numbers of rows.
    pub fn and(&self, other: &RowFilter) -> Result<Self> {
        self.joined(other, |a, b| a & b)
    }

    /// Allows what either allows.
    ///
    /// # Errors
    /// [`IndexError::FilterLength`] where the two are for different numbers of rows.
    pub fn or(&self, other: &RowFilter) -> Result<Self> {
        self.joined(other, |a, b| a | b)
    }

    /// Allows exactly what this one does not.
    #[must_use]
    pub fn not(&self) -> Self {
        let mut words: Vec<u64> = self.words.iter().map(|word| !word).collect();
        if let (Some(last), 1..) = (words.last_mut(), self.n_rows % WORD) {
            *last &= (1 << (self.n_rows % WORD)) - 1;
        }
        Self { n_rows: self.n_rows, words }
    }

    fn joined(&self, other: &RowFilter, join: impl Fn(u64, u64) -> u64) -> Result<Self> {
        other.check_len(self.n_rows)?;
        let words = self.words.iter().zip(&other.words).map(|(a, b)| join(*a, *b)).collect();
        Ok(Self { n_rows: self.n_rows, words })
    }

    /// Refuses to filter an index of another number of rows.
    pub(crate) fn check_len(&self, expected: usize) -> Result<()> {
        if self.n_rows == expected {
            return Ok(());
        }
        Err(IndexError::FilterLength { found: self.n_rows, expected })
    }
}

impl From<&[bool]> for RowFilter {
    fn from(mask: &[bool]) -> Self {
        Self::from_mask(mask)
    }
}

impl From<&Vec<bool>> for RowFilter {
    fn from(mask: &Vec<bool>) -> Self {
        Self::from_mask(mask)
    }
}

/// Places of the bits that are set, ascending.
struct Bits(u64);

impl Iterator for Bits {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(bit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn not_sets_no_bit_beyond_the_last_row() {
        for n in [0, 1, 63, 64, 65, 128] {
            assert_eq!(RowFilter::all(n).count(), n);
            assert_eq!(RowFilter::all(n).not(), RowFilter::none(n));
            assert!(!RowFilter::all(n).contains(n));
        }
    }

    #[test]
    fn rows_that_there_are_not_are_refused() {
        assert_eq!(
            RowFilter::from_rows(64, &[1, 64]),
            Err(IndexError::RowOutOfRange { found: 64, n_rows: 64 })
        );
        assert!(!RowFilter::none(0).contains(usize::MAX));
    }

    #[test]
    fn filters_of_different_lengths_do_not_join() {
        let (two, three) = (RowFilter::all(2), RowFilter::all(3));
        assert_eq!(two.and(&three), Err(IndexError::FilterLength { found: 3, expected: 2 }));
        assert_eq!(three.or(&two), Err(IndexError::FilterLength { found: 2, expected: 3 }));
    }

    proptest! {
        #[test]
        fn a_filter_is_the_mask_it_came_from(pair in prop::collection::vec(any::<(bool, bool)>(), 0..300)) {
            let (a, b): (Vec<bool>, Vec<bool>) = pair.into_iter().unzip();
            let (x, y) = (RowFilter::from(&a), RowFilter::from(b.as_slice()));
            let mask = |f: &RowFilter| (0..f.n_rows()).map(|row| f.contains(row)).collect::<Vec<bool>>();
            let join = |f: fn(bool, bool) -> bool| a.iter().zip(&b).map(|(a, b)| f(*a, *b)).collect::<Vec<_>>();
            prop_assert_eq!(mask(&x), a.clone());
            prop_assert_eq!(mask(&x.and(&y).unwrap()), join(|a, b| a && b));
            prop_assert_eq!(mask(&x.or(&y).unwrap()), join(|a, b| a || b));
            prop_assert_eq!(mask(&x.not()), a.iter().map(|a| !a).collect::<Vec<_>>());
            let rows: Vec<u32> = x.rows().map(|row| row as u32).collect();
            prop_assert_eq!(rows.len(), x.count());
            prop_assert!(rows.is_sorted());
            prop_assert_eq!(RowFilter::from_rows(a.len(), &rows).unwrap(), x);
        }
    }
}
