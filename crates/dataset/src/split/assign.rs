use std::collections::{BTreeMap, BTreeSet};

use labelloop_core::{GroupKey, Split, apportion};

use super::exchange::exchange;
use super::params::{SplitParams, SplitValidParams, index};
use super::{GroupSummary, SplitReport};
use crate::{DatasetError, Result};

/// Groups looked at before one is chosen to bring missing classes to a split. Bounds the work at many groups.
const MAX_CANDIDATES: usize = 512;

/// Order in which splits get a class of which there are too few groups: without the pool it cannot be learnt, without
/// test and val it cannot be measured.
pub(super) const COVERAGE_ORDER: [Split; 4] = [Split::Pool, Split::Test, Split::Val, Split::Golden];

/// Deals groups out to splits without touching those that have one.
///
/// How many groups each split gets follows from the shares by largest remainder, at least one group for every split
/// in use. Which groups these are: first, from the rarest class on, every split that lacks the class gets a group
/// that holds it, as long as there are groups and places; then the rest is dealt by iterative stratification
/// (Sechidis, Tsoumakas and Vlahavas 2011, section 3.1) with groups in the place of examples: the rarest class first,
/// each group to the split that lacks most objects of it. Where a class is still missing in a split although enough groups
/// hold it, groups are exchanged between splits as long as that brings more classes to more splits. Ties are broken by the keyed hash (BLAKE3) of salt and group
/// key, so the order of the list does not matter, and nothing depends on how often it was run.
///
/// Groups in `existing` keep their split, also when they are not in the list any more; new groups bring the shares
/// back towards what was asked for.
///
/// ```
/// use std::collections::BTreeMap;
/// use labelloop_core::GroupKey;
/// use labelloop_dataset::{GroupSummary, SplitParams, assign_splits};
///
/// let groups: Vec<GroupSummary> = (0..20)
///     .map(|i| GroupSummary {
///         key: GroupKey::new(format!("drive-{i}")).unwrap(),
///         n_samples: 10,
///         class_counts: BTreeMap::from([("car".to_owned(), 30)]),
///     })
///     .collect();
/// let report = assign_splits(&groups, &BTreeMap::new(), &SplitParams::default())?;
/// let counts: Vec<usize> = report.shares.iter().map(|row| row.n_groups).collect();
/// assert_eq!(counts, [3, 3, 1, 13]);
/// assert!(report.unmet.is_empty());
/// # Ok::<(), labelloop_dataset::DatasetError>(())
/// ```
///
/// O(groups x classes) but for the rarest classes, whose first 512 groups are compared for every split, and for exchanges,
/// which look at 128 groups on either side.
///
/// # Errors
/// [`DatasetError::EmptyDataset`], [`DatasetError::TooFewGroups`], [`DatasetError::DuplicateGroup`],
/// [`DatasetError::SplitParams`].
pub fn assign_splits(
    groups: &[GroupSummary],
    existing: &BTreeMap<GroupKey, Split>,
    params: &SplitParams,
) -> Result<SplitReport> {
    params.check()?.assign(groups, existing)
}

impl SplitValidParams {
    /// As [`assign_splits`].
    ///
    /// # Errors
    /// As [`assign_splits`].
    pub fn assign(
        &self,
        groups: &[GroupSummary],
        existing: &BTreeMap<GroupKey, Split>,
    ) -> Result<SplitReport> {
        let ordered = self.in_hash_order(groups)?;
        if ordered.is_empty() {
            return Err(DatasetError::EmptyDataset);
        }
        let (old, new): (Vec<_>, Vec<_>) =
            ordered.iter().copied().partition(|g| existing.contains_key(&g.key));
        if existing.is_empty() && new.len() < self.n_needed() {
            return Err(DatasetError::TooFewGroups { found: new.len(), needed: self.n_needed() });
        }
        let n_new_groups = new.len();
        let mut deal = Deal::new(self, &old, new, existing)?;
        if self.stratify {
            deal.cover_classes();
            deal.balance_classes();
        }
        deal.fill();
        if self.stratify {
            exchange(&mut deal);
        }
        let mut assignment = deal.assignment;
        assignment.extend(old.iter().filter_map(|g| Some((g.key.clone(), *existing.get(&g.key)?))));
        Ok(SplitReport::new(&ordered, assignment, n_new_groups, self))
    }

    fn in_hash_order<'a>(&self, groups: &'a [GroupSummary]) -> Result<Vec<&'a GroupSummary>> {
        let key = blake3::derive_key("labelloop split order v1", self.salt.as_bytes());
        let hash = |g: &GroupSummary| *blake3::keyed_hash(&key, g.key.as_str().as_bytes()).as_bytes();
        let mut seen = BTreeSet::new();
        if let Some(twice) = groups.iter().find(|g| !seen.insert(&g.key)) {
            return Err(DatasetError::DuplicateGroup { key: twice.key.to_string() });
        }
        let mut ordered: Vec<&GroupSummary> = groups.iter().collect();
        ordered.sort_by_cached_key(|g| (hash(g), g.key.clone()));
        Ok(ordered)
    }

    /// Places for new groups by split: what the targets lack, cut where old groups overfill some other split.
    fn places(&self, have: [usize; 4], n_new: usize) -> Result<[usize; 4]> {
        let total = have.iter().sum::<usize>() + n_new;
        let mut targets = apportion(total, &self.shares)?;
        for i in 0..4 {
            if targets[i] == 0 && self.is_used(i) {
                let largest = (0..4).rev().max_by_key(|j| targets[*j]).unwrap_or(3);
                if targets[largest] > 1 {
                    targets[largest] -= 1;
                    targets[i] += 1;
                }
            }
        }
        let mut places = [0; 4];
        for i in 0..4 {
            places[i] = targets[i].saturating_sub(have[i]);
        }
        while places.iter().sum::<usize>() > n_new {
            // An empty split in use keeps its first place as long as another has one to give.
            let spare = |i: usize| (places[i] > usize::from(have[i] == 0 && self.is_used(i)), places[i], i);
            let from = (0..4).max_by_key(|i| spare(*i)).unwrap_or(3);
            places[from] -= 1;
        }
        Ok(places)
    }
}

/// The state of one deal. Groups are in hash order; class tables are indexed by position in `classes`.
pub(super) struct Deal<'a> {
    pub(super) groups: Vec<&'a GroupSummary>,
    is_dealt: Vec<bool>,
    places: [usize; 4],
    pub(super) used: [bool; 4],
    pub(super) assignment: BTreeMap<GroupKey, Split>,
    /// New groups that hold each class, in hash order.
    pub(super) holders: BTreeMap<&'a str, Vec<usize>>,
    /// Groups that hold each class by split, old ones counted in.
    pub(super) covered: BTreeMap<&'a str, [usize; 4]>,
    /// Objects of each class that each split still lacks; negative where it has more than its share.
    wanted: BTreeMap<&'a str, [f64; 4]>,
}

impl<'a> Deal<'a> {
    fn new(
        params: &SplitValidParams,
        old: &[&'a GroupSummary],
        new: Vec<&'a GroupSummary>,
        existing: &BTreeMap<GroupKey, Split>,
    ) -> Result<Self> {
        let mut have = [0; 4];
        let mut covered: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
        let mut objects: BTreeMap<&str, (f64, [f64; 4])> = BTreeMap::new();
        let mut holders: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for group in old {
            let Some(i) = existing.get(&group.key).map(|s| index(*s)) else { continue };
            have[i] += 1;
            for (class, n) in held(group) {
                covered.entry(class).or_default()[i] += 1;
                let (total, by_split) = objects.entry(class).or_default();
                *total += n as f64;
                by_split[i] += n as f64;
            }
        }
        for (position, group) in new.iter().enumerate() {
            for (class, n) in held(group) {
                holders.entry(class).or_default().push(position);
                covered.entry(class).or_default();
                objects.entry(class).or_default().0 += n as f64;
            }
        }
        let lacks = |(class, (total, by_split)): (&'a str, (f64, [f64; 4]))| {
            (class, std::array::from_fn(|i| params.shares[i].get() * total - by_split[i]))
        };
        Ok(Self {
            is_dealt: vec![false; new.len()],
            places: params.places(have, new.len())?,
            used: std::array::from_fn(|i| params.is_used(i)),
            groups: new,
            assignment: BTreeMap::new(),
            holders,
            covered,
            wanted: objects.into_iter().map(lacks).collect(),
        })
    }

    /// Classes that new groups hold, rarest first.
    pub(super) fn rarest_first(&self) -> Vec<&'a str> {
        let mut classes: Vec<&'a str> = self.holders.keys().copied().collect();
        classes.sort_by_key(|c| (self.holders[c].len(), *c));
        classes
    }

    fn give(&mut self, position: usize, split: Split) {
        let i = index(split);
        let group = self.groups[position];
        self.is_dealt[position] = true;
        self.places[i] = self.places[i].saturating_sub(1);
        self.assignment.insert(group.key.clone(), split);
        for (class, n) in held(group) {
            self.covered.entry(class).or_default()[i] += 1;
            self.wanted.entry(class).or_default()[i] -= n as f64;
        }
    }

    fn cover_classes(&mut self) {
        for class in self.rarest_first() {
            for split in COVERAGE_ORDER {
                let i = index(split);
                if !self.used[i] || self.places[i] == 0 || self.covered[class][i] > 0 {
                    continue;
                }
                if let Some(position) = self.best_cover(class, i) {
                    self.give(position, split);
                }
            }
        }
    }

    /// The open group with the class that brings most missing classes to a split; the earliest among equals.
    fn best_cover(&self, class: &str, split: usize) -> Option<usize> {
        let missing = |g: &GroupSummary| held(g).filter(|(c, _)| self.covered[c][split] == 0).count();
        self.holders[class]
            .iter()
            .copied()
            .filter(|p| !self.is_dealt[*p])
            .take(MAX_CANDIDATES)
            .max_by_key(|p| (missing(self.groups[*p]), std::cmp::Reverse(*p)))
    }

    fn balance_classes(&mut self) {
        let mut open: BTreeMap<&'a str, usize> = BTreeMap::new();
        for (class, holders) in &self.holders {
            open.insert(class, holders.iter().filter(|p| !self.is_dealt[**p]).count());
        }
        let rarest = |open: &BTreeMap<&'a str, usize>| {
            open.iter().filter(|(_, n)| **n > 0).min_by_key(|(c, n)| (**n, **c)).map(|(c, _)| *c)
        };
        while let Some(class) = rarest(&open) {
            let todo: Vec<usize> =
                self.holders[class].iter().copied().filter(|p| !self.is_dealt[*p]).collect();
            for position in todo {
                let Some(split) = self.neediest(class) else { return };
                for (c, _) in held(self.groups[position]) {
                    if let Some(n) = open.get_mut(c) {
                        *n -= 1;
                    }
                }
                self.give(position, split);
            }
        }
    }

    /// The split with a free place that lacks most objects of a class; more free places, then the earlier one, among
    /// equals.
    fn neediest(&self, class: &str) -> Option<Split> {
        let lacks = self.wanted.get(class)?;
        Split::ALL.into_iter().filter(|s| self.places[index(*s)] > 0).max_by(|a, b| {
            let (i, j) = (index(*a), index(*b));
            lacks[i].total_cmp(&lacks[j]).then(self.places[i].cmp(&self.places[j])).then(j.cmp(&i))
        })
    }

    /// Deals what is left in hash order, the first groups to the first split with a place.
    fn fill(&mut self) {
        for position in 0..self.groups.len() {
            if self.is_dealt[position] {
                continue;
            }
            let open = Split::ALL.into_iter().find(|s| self.places[index(*s)] > 0);
            self.give(position, open.unwrap_or(Split::Pool));
        }
    }
}

pub(super) fn held(group: &GroupSummary) -> impl Iterator<Item = (&str, usize)> {
    group.class_counts.iter().filter(|(_, n)| **n > 0).map(|(c, n)| (c.as_str(), *n))
}
