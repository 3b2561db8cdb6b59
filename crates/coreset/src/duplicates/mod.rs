mod blocked;
mod exact;
mod groups;
mod hashes;
mod kernel;
mod plan;
mod project;
mod tree;

use std::sync::atomic::{AtomicUsize, Ordering};

use labelloop_index::Metric;
use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use self::groups::{DuplicateGroup, DuplicateGroups, Redundant};
pub use self::hashes::{hash_distance, hash_duplicates};
pub use self::plan::SearchPlan;
use crate::checks::check_rows;
use crate::{CoresetError, ParamError, Result};
use blocked::Blocked;
use exact::Exact;
use tree::{Tree, Visitor, ones};

/// Two rows that are close to each other.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DuplicatePair {
    /// The lower row.
    pub first: usize,
    /// The higher row.
    pub second: usize,
    /// How far apart they are.
    pub distance: f64,
}

/// All pairs of rows at most `radius` apart, ordered by first and second row.
///
/// The distance is Euclidean under [`Metric::L2`] and `1 - cosine` under [`Metric::Cosine`], in f64. This is
/// [`DuplicateParams::pairs`] without a limit on the number of pairs.
///
/// ```
/// use labelloop_coreset::near_duplicates;
/// use labelloop_index::Metric;
/// use ndarray::array;
///
/// let pairs = near_duplicates(array![[0.0], [5.0], [0.1]].view(), 0.5, Metric::L2)?;
/// assert_eq!((pairs.len(), pairs[0].first, pairs[0].second), (1, 0, 2));
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
///
/// # Errors
/// As [`DuplicateParams::pairs`].
pub fn near_duplicates(rows: ArrayView2<'_, f32>, radius: f64, metric: Metric) -> Result<Vec<DuplicatePair>> {
    let params = DuplicateParams { radius, metric, max_pairs: usize::MAX, ..Default::default() };
    params.pairs(rows)
}

/// What counts as a near-duplicate, and how pairs are looked for.
///
/// Every way of looking is exact: the answer is that of comparing all pairs in f64, whatever the plan and the number of
/// threads.
///
/// ```
/// use labelloop_coreset::{DuplicateParams, Metric};
/// use ndarray::array;
///
/// let frames = array![[1.0, 0.0], [0.0, 1.0], [0.99, 0.01], [0.0, 2.0]];
/// let params = DuplicateParams { radius: 0.01, metric: Metric::Cosine, ..Default::default() };
/// let pairs: Vec<_> = params.pairs(frames.view())?.iter().map(|p| (p.first, p.second)).collect();
/// assert_eq!(pairs, [(0, 2), (1, 3)]);
///
/// let groups = params.groups(frames.view(), None)?;
/// assert_eq!(groups.redundant_rows().collect::<Vec<_>>(), [2, 3]);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DuplicateParams {
    /// Largest distance of two near-duplicates: Euclidean, or `1 - cosine`. Default 0.05.
    pub radius: f64,
    /// Which distance: [`Metric::Cosine`] (default) or [`Metric::L2`].
    pub metric: Metric,
    /// More pairs than this are an error, since rows that are all equal have rows^2 / 2 of them. Default 50,000,000 pairs,
    /// which is 1.2 GB.
    pub max_pairs: usize,
    /// How pairs are looked for. Default [`SearchPlan::Auto`].
    pub plan: SearchPlan,
}

impl Default for DuplicateParams {
    fn default() -> Self {
        Self { radius: 0.05, metric: Metric::Cosine, max_pairs: 50_000_000, plan: SearchPlan::Auto }
    }
}

impl DuplicateParams {
    /// Refuses what no distance can be compared with.
    ///
    /// # Errors
    /// [`ParamError::Radius`] and, for [`Metric::Dot`], [`ParamError::NotADistance`].
    pub fn check(self) -> Result<DuplicateValidParams> {
        if !(0.0 <= self.radius && self.radius.is_finite()) {
            return Err(ParamError::Radius { found: self.radius }.into());
        }
        if self.metric == Metric::Dot {
            return Err(ParamError::NotADistance.into());
        }
        Ok(DuplicateValidParams(self))
    }

    /// Checks the parameters, then [`DuplicateValidParams::pairs`].
    ///
    /// # Errors
    /// Those of both.
    pub fn pairs(self, rows: ArrayView2<'_, f32>) -> Result<Vec<DuplicatePair>> {
        self.check()?.pairs(rows)
    }

    /// Checks the parameters, then [`DuplicateValidParams::groups`].
    ///
    /// # Errors
    /// Those of both.
    pub fn groups(self, rows: ArrayView2<'_, f32>, labelled: Option<&[bool]>) -> Result<DuplicateGroups> {
        self.check()?.groups(rows, labelled)
    }
}

/// Parameters that have been checked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DuplicateValidParams(DuplicateParams);

impl DuplicateValidParams {
    /// All pairs of rows (shape: rows x dimensions) at most the radius apart, ordered by first and second row.
    ///
    /// Rows are projected on 15 directions and the length left over, where distances never grow; a tree over that space
    /// leaves few pairs for the check in f64. Where a sample says that it would not pay, blocked products of all pairs take
    /// its place. Time: near rows x log rows where the radius is small beside typical distances, else O(rows^2 x
    /// dimensions). Memory: 128 bytes a row and 24 a pair, beside the rows.
    ///
    /// # Errors
    /// [`CoresetError::NotFinite`], [`CoresetError::NoColumns`], [`CoresetError::TooManyRows`],
    /// [`CoresetError::TooManyPairs`] beyond `max_pairs`, and zero vectors under cosine as
    /// [`CoresetError::Index`].
    pub fn pairs(&self, rows: ArrayView2<'_, f32>) -> Result<Vec<DuplicatePair>> {
        check_rows(rows, "embeddings")?;
        let rows = rows.as_standard_layout();
        let exact = Exact::new(rows.view(), self.0.radius, self.0.metric)?;
        if rows.nrows() < 2 {
            return Ok(Vec::new());
        }
        let quota = Quota::new(self.0.max_pairs);
        let mut pairs = match self.0.plan.tree(rows.view(), &exact, true) {
            Some(tree) => joined(&tree, &exact, &quota)?,
            None => Blocked { rows: rows.view(), exact: &exact }.pairs(&quota)?,
        };
        pairs.par_sort_unstable_by_key(|pair| (pair.first, pair.second));
        Ok(pairs)
    }

    /// Which rows say what others say already, without a list of all pairs: a million copies of one row are one group.
    ///
    /// Rows are in one group where a chain of near-duplicates leads from one to the other. As the ends of a chain may be far
    /// apart, a group keeps more than one row where it has to: rows are looked at in order, labelled ones first, and one is
    /// kept unless it is within the radius of a row kept before. So every redundant row is a near-duplicate of the kept
    /// row it names, and no two kept rows are near-duplicates unless both are labelled. `labelled` has one entry for each row.
    ///
    /// # Errors
    /// As [`DuplicateValidParams::pairs`] without the limit on pairs, and [`CoresetError::LengthMismatch`].
    pub fn groups(&self, rows: ArrayView2<'_, f32>, labelled: Option<&[bool]>) -> Result<DuplicateGroups> {
        check_rows(rows, "embeddings")?;
        if let Some(found) = labelled.map(<[bool]>::len).filter(|n| *n != rows.nrows()) {
            return Err(CoresetError::LengthMismatch { what: "labelled", found, expected: rows.nrows() });
        }
        let rows = rows.as_standard_layout();
        let exact = Exact::new(rows.view(), self.0.radius, self.0.metric)?;
        groups::find(rows.view(), &exact, self.0.plan, labelled)
    }
}

/// Pairs that may still be found.
struct Quota {
    limit: usize,
    taken: AtomicUsize,
}

impl Quota {
    fn new(limit: usize) -> Self {
        Self { limit, taken: AtomicUsize::new(0) }
    }

    fn take(&self, n: usize) -> Result<()> {
        let before = self.taken.fetch_add(n, Ordering::Relaxed);
        if n > 0 && before.saturating_add(n) > self.limit {
            return Err(CoresetError::TooManyPairs { expected: self.limit });
        }
        Ok(())
    }
}

fn joined(tree: &Tree, exact: &Exact<'_>, quota: &Quota) -> Result<Vec<DuplicatePair>> {
    let found: Result<Vec<Vec<DuplicatePair>>> = (0..tree.n_leaves())
        .into_par_iter()
        .map(|leaf| {
            let mut listing = Listing { tree, exact, quota, pairs: Vec::new(), failed: None };
            tree.join(leaf, &mut listing);
            listing.failed.map_or(Ok(listing.pairs), Err)
        })
        .collect();
    Ok(found?.concat())
}

struct Listing<'a, 'rows> {
    tree: &'a Tree,
    exact: &'a Exact<'rows>,
    quota: &'a Quota,
    pairs: Vec<DuplicatePair>,
    failed: Option<CoresetError>,
}

impl Visitor for Listing<'_, '_> {
    fn candidates(&mut self, place: usize, other: usize, bits: u64) -> bool {
        let before = self.pairs.len();
        let start = self.tree.places(other).start;
        let row = |place: usize| self.tree.rows[place] as usize;
        self.pairs.extend(ones(bits).filter_map(|i| self.exact.pair(row(place), row(start + i))));
        self.failed = self.quota.take(self.pairs.len() - before).err();
        self.failed.is_none()
    }
}

#[cfg(test)]
mod tests;
