//! Codes of bits by the number of bits in which they differ.

mod bands;
mod join;
mod kernel;
mod nearest;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use self::bands::{Bands, Reach};
use self::kernel::Counter;
use crate::{IndexError, Result};

/// A code of `W` words of 64 bits: 1 for a perceptual hash of 64 bits, 4 for one of 256.
pub type HammingCode<const W: usize> = [u64; W];

/// Bits in which two codes differ.
///
/// ```
/// use labelloop_index::hamming_distance;
///
/// assert_eq!(hamming_distance(&[0b1011], &[0b0010]), 2);
/// assert_eq!(hamming_distance(&[0, u64::MAX], &[0, 0]), 64);
/// ```
#[inline(always)]
pub fn hamming_distance<const W: usize>(a: &HammingCode<W>, b: &HammingCode<W>) -> u32 {
    let mut distance = 0;
    for i in 0..W {
        distance += (a[i] ^ b[i]).count_ones();
    }
    distance
}

/// A row that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HammingHit {
    /// Bits in which it differs from the query.
    pub distance: u32,
    /// Its number in the pool.
    pub row: u32,
}

/// Two rows that are close to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HammingPair {
    /// The lower row.
    pub first: u32,
    /// The higher row.
    pub second: u32,
    /// Bits in which they differ.
    pub distance: u32,
}

/// Exact search among codes of bits: near-duplicates by perceptual hashes, for example.
///
/// Two codes of `m` bands that differ in at most `r` bits differ in at most `r / m` bits in some band (the pigeonhole
/// principle). So only codes whose band is that close need be compared: the codes are sorted by each of their bands of 16
/// bits, and neighbouring bands are looked up (multi-index hashing; Norouzi, Punjani and Fleet 2012, with the closer bound
/// of their section 3: the first `r mod m + 1` bands within `r / m` bits, the others within one bit less). Where that would
/// compare more codes than there are, as it does for wide radii, all are compared; how many it would be is counted
/// beforehand. Either way the answer is that of comparing all pairs, on any number of threads.
///
/// ```
/// use labelloop_index::{HammingHit, HammingIndex};
///
/// let index = HammingIndex::new(vec![[0b0000_u64], [0b0111], [0b0001]])?;
/// let near = index.within(&[[0b0011]], 1, 100)?;
/// let hits = [HammingHit { distance: 1, row: 1 }, HammingHit { distance: 1, row: 2 }];
/// assert_eq!(near, [hits]);
/// let nearest = index.nearest(&[[0b0000]], 2);
/// assert_eq!(nearest[0].iter().map(|hit| hit.row).collect::<Vec<_>>(), [0, 2]);
/// let pairs = index.pairs(1, 100)?;
/// assert_eq!(pairs.iter().map(|p| (p.first, p.second)).collect::<Vec<_>>(), [(0, 2)]);
/// # Ok::<(), labelloop_index::IndexError>(())
/// ```
///
/// Memory: the codes once, 64 bytes a row for the bands of 256 bits (16 for those of 64), and what is found. Codes that
/// are equal are compared once however many rows have them, so that a million equal ones cost no more than a sort.
/// A million different codes of which each is near each take the million times a million comparisons that they ask for.
#[derive(Debug, Clone)]
pub struct HammingIndex<const W: usize> {
    codes: Vec<HammingCode<W>>,
    /// All different codes, ascending.
    distinct: Vec<HammingCode<W>>,
    /// Rows by their code and then their number.
    rows: Vec<u32>,
    /// Where in `rows` those of each different code begin; one more for the end.
    starts: Vec<u32>,
    bands: Bands,
}

impl<const W: usize> HammingIndex<W> {
    /// Sorts the codes; O(rows log rows).
    ///
    /// # Errors
    /// [`IndexError::TooManyRows`] for more rows than 32 bits can number.
    pub fn new(codes: Vec<HammingCode<W>>) -> Result<Self> {
        let expected = u32::MAX as usize;
        if expected < codes.len() {
            return Err(IndexError::TooManyRows { found: codes.len(), expected });
        }
        let mut rows = (0..codes.len() as u32).collect::<Vec<_>>();
        rows.par_sort_unstable_by_key(|row| (codes[*row as usize], *row));
        let (mut distinct, mut starts) = (Vec::new(), Vec::new());
        for (place, row) in rows.iter().enumerate() {
            let code = codes[*row as usize];
            if distinct.last() != Some(&code) {
                distinct.push(code);
                starts.push(place as u32);
            }
        }
        starts.push(rows.len() as u32);
        let bands = Bands::new(&distinct);
        Ok(Self { codes, distinct, rows, starts, bands })
    }

    /// Rows held.
    pub fn n_rows(&self) -> usize {
        self.codes.len()
    }

    /// The codes, row by row.
    pub fn codes(&self) -> &[HammingCode<W>] {
        &self.codes
    }

    /// For each query all rows that differ from it in at most `radius` bits: closest first, ties by lower row.
    ///
    /// # Errors
    /// [`IndexError::TooManyPairs`] where all queries together would find more than `max_hits`.
    pub fn within(
        &self,
        queries: &[HammingCode<W>],
        radius: u32,
        max_hits: usize,
    ) -> Result<Vec<Vec<HammingHit>>> {
        let quota = Quota::new(max_hits);
        let reach = Reach::new::<W>(radius);
        queries.par_iter().map(|query| self.within_one(query, radius, &reach, &quota)).collect()
    }

    /// The `k` closest rows of each query, closest first, ties by lower row; all rows where there are fewer.
    ///
    /// All rows are compared: O(queries x rows).
    pub fn nearest(&self, queries: &[HammingCode<W>], k: usize) -> Vec<Vec<HammingHit>> {
        nearest::nearest(self, queries, k)
    }

    /// All pairs of rows that differ in at most `radius` bits, by first row and then second.
    ///
    /// # Errors
    /// [`IndexError::TooManyPairs`] where there are more than `max_pairs`, as n equal rows have n^2 / 2;
    /// [`for_each_link`](Self::for_each_link) is enough for groups.
    pub fn pairs(&self, radius: u32, max_pairs: usize) -> Result<Vec<HammingPair>> {
        let quota = Quota::new(max_pairs);
        let mut pairs = self.equal_pairs(&quota)?;
        let found = join::pairs(&self.distinct, &self.bands, radius, |a, b| {
            quota.take(self.rows_of(a).len() * self.rows_of(b).len())
        })?;
        for (a, b, distance) in found {
            for first in self.rows_of(a) {
                pairs.extend(self.rows_of(b).iter().map(|second| ordered(*first, *second, distance)));
            }
        }
        pairs.par_sort_unstable();
        Ok(pairs)
    }

    /// Calls `link` with pairs of rows within `radius` that connect all rows which chains of such pairs connect: every
    /// pair of different codes once, by their lowest rows, and every row of a code with the lowest of it.
    ///
    /// Nothing is kept, so that no limit is needed. The order of calls is not fixed, and several threads call at once.
    ///
    /// ```
    /// use std::sync::Mutex;
    /// use labelloop_index::HammingIndex;
    ///
    /// let index = HammingIndex::new(vec![[5u64]; 100_000])?;
    /// let links = Mutex::new(0);
    /// index.for_each_link(4, |pair| *links.lock().unwrap() += pair.first + 1);
    /// assert_eq!(*links.lock().unwrap(), 99_999, "a star and not all pairs");
    /// # Ok::<(), labelloop_index::IndexError>(())
    /// ```
    pub fn for_each_link(&self, radius: u32, link: impl Fn(HammingPair) + Sync) {
        (0..self.distinct.len()).into_par_iter().for_each(|code| {
            let rows = self.rows_of(code);
            rows[1..].iter().for_each(|row| link(ordered(rows[0], *row, 0)));
        });
        join::for_each(&self.distinct, &self.bands, radius, |a, b, distance| {
            link(ordered(self.rows_of(a)[0], self.rows_of(b)[0], distance));
        });
    }

    /// Calls `found` with every different code within `radius` of a query, as a hit on the lowest row that has it.
    ///
    /// ```
    /// use labelloop_index::HammingIndex;
    ///
    /// let index = HammingIndex::new(vec![[4u64], [5], [5]])?;
    /// let mut rows = Vec::new();
    /// index.for_each_near(&[[5]], 0, |hit| rows.push(hit.row));
    /// assert_eq!(rows, [1]);
    /// # Ok::<(), labelloop_index::IndexError>(())
    /// ```
    pub fn for_each_near(&self, queries: &[HammingCode<W>], radius: u32, mut found: impl FnMut(HammingHit)) {
        let reach = Reach::new::<W>(radius);
        for query in queries {
            for (code, distance) in self.near(query, radius, &reach) {
                found(HammingHit { distance, row: self.rows_of(code as usize)[0] });
            }
        }
    }

    fn rows_of(&self, code: usize) -> &[u32] {
        &self.rows[self.starts[code] as usize..self.starts[code + 1] as usize]
    }

    fn equal_pairs(&self, quota: &Quota) -> Result<Vec<HammingPair>> {
        let mut pairs = Vec::new();
        for code in 0..self.distinct.len() {
            let rows = self.rows_of(code);
            quota.take(rows.len() * (rows.len() - 1) / 2)?;
            for (i, first) in rows.iter().enumerate() {
                pairs.extend(rows[i + 1..].iter().map(|second| ordered(*first, *second, 0)));
            }
        }
        Ok(pairs)
    }

    /// Places of different codes within the radius, with their distances.
    fn near(&self, query: &HammingCode<W>, radius: u32, reach: &Reach) -> Vec<(u32, u32)> {
        let counter = Counter::new();
        let mut found = Vec::new();
        if self.bands.n_candidates(query, reach) < self.distinct.len() / 4 {
            let mut places = Vec::new();
            self.bands.for_each_candidate(query, reach, |places_of| places.extend_from_slice(places_of));
            places.sort_unstable();
            places.dedup();
            counter.pick(query, &self.distinct, &places, radius, &mut found);
        } else {
            counter.scan(query, &self.distinct, radius, &mut found);
        }
        found
    }

    fn within_one(
        &self,
        query: &HammingCode<W>,
        radius: u32,
        reach: &Reach,
        quota: &Quota,
    ) -> Result<Vec<HammingHit>> {
        let mut hits = Vec::new();
        for (code, distance) in self.near(query, radius, reach) {
            let rows = self.rows_of(code as usize);
            quota.take(rows.len())?;
            hits.extend(rows.iter().map(|row| HammingHit { distance, row: *row }));
        }
        hits.sort_unstable();
        Ok(hits)
    }
}

fn ordered(a: u32, b: u32, distance: u32) -> HammingPair {
    HammingPair { first: a.min(b), second: a.max(b), distance }
}

/// How much may be found by all threads together.
struct Quota {
    max: usize,
    taken: AtomicUsize,
}

impl Quota {
    fn new(max: usize) -> Self {
        Self { max, taken: AtomicUsize::new(0) }
    }

    fn take(&self, n: usize) -> Result<()> {
        // A sum that wraps would take more rows than there can be.
        let before = self.taken.fetch_add(n, Ordering::Relaxed);
        if before.saturating_add(n) <= self.max {
            return Ok(());
        }
        Err(IndexError::TooManyPairs { expected: self.max })
    }
}
