use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::blocked::Blocked;
use super::exact::Exact;
use super::plan::SearchPlan;
use super::tree::{Node, Tree, Visitor, ones};
use crate::Result;

/// Rows up to which the rows of a group are compared with each other rather than looked up in the tree.
const FEW: usize = 256;

/// Rows that are linked by near-duplicates, and which of them are enough.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DuplicateGroup {
    /// Rows kept, in the order in which they were: labelled ones first.
    pub kept: Vec<usize>,
    /// All other rows of the group, ascending.
    pub redundant: Vec<Redundant>,
}

/// A row that says what a kept one says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Redundant {
    /// The row.
    pub row: usize,
    /// The first row kept that it is a near-duplicate of.
    pub of: usize,
    /// How far apart they are.
    pub distance: f64,
}

/// Groups of at least two near-duplicates, by their lowest row; a row without any is in none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DuplicateGroups {
    /// Rows that were looked at.
    pub n_rows: usize,
    /// The groups.
    pub groups: Vec<DuplicateGroup>,
}

impl DuplicateGroups {
    /// Rows that can be left out, group by group.
    pub fn redundant_rows(&self) -> impl Iterator<Item = usize> + '_ {
        self.groups.iter().flat_map(|group| group.redundant.iter().map(|r| r.row))
    }

    /// Whether a row is worth keeping: one entry for each.
    ///
    /// ```
    /// use labelloop_coreset::{DuplicateParams, Metric};
    /// use ndarray::array;
    ///
    /// let params = DuplicateParams { radius: 0.1, metric: Metric::L2, ..Default::default() };
    /// let rows = array![[0.0], [0.05], [3.0]];
    /// assert_eq!(params.groups(rows.view(), None)?.keeps(), [true, false, true]);
    /// // What is labelled is kept, wherever it stands.
    /// let labelled = [false, true, false];
    /// assert_eq!(params.groups(rows.view(), Some(&labelled))?.keeps(), [false, true, true]);
    /// # Ok::<(), labelloop_coreset::CoresetError>(())
    /// ```
    pub fn keeps(&self) -> Vec<bool> {
        let mut keeps = vec![true; self.n_rows];
        self.redundant_rows().for_each(|row| keeps[row] = false);
        keeps
    }
}

pub(super) fn find(
    rows: ArrayView2<'_, f32>,
    exact: &Exact<'_>,
    plan: SearchPlan,
    labelled: Option<&[bool]>,
) -> Result<DuplicateGroups> {
    let links = Links::new(rows.nrows());
    let tree = plan.tree(rows, exact, false);
    match &tree {
        Some(tree) => link_by_tree(tree, exact, &links),
        None => link_by_products(&Blocked { rows, exact }, &links)?,
    }
    let members = links.sets();
    let keeping = Keeping {
        exact,
        places: tree.as_ref().map(Places::new),
        labelled,
        covered_by: (0..rows.nrows()).map(|_| AtomicU32::new(OPEN)).collect(),
    };
    let groups = members.into_par_iter().map(|rows| keeping.group(&rows)).collect();
    Ok(DuplicateGroups { n_rows: rows.nrows(), groups })
}

/// No row: there is none of this number.
const OPEN: u32 = u32::MAX;

struct Keeping<'a, 'rows> {
    exact: &'a Exact<'rows>,
    places: Option<Places<'a>>,
    labelled: Option<&'a [bool]>,
    /// The kept row that covers each row. A row is in one group, so that one thread writes and reads it.
    covered_by: Vec<AtomicU32>,
}

impl Keeping<'_, '_> {
    /// Keeps a row unless one kept before is within the radius.
    fn group(&self, rows: &[usize]) -> DuplicateGroup {
        let mut kept = Vec::new();
        let (labelled, other): (Vec<usize>, Vec<usize>) =
            rows.iter().partition(|row| self.is_labelled(**row));
        for row in labelled.into_iter().chain(other) {
            if self.is_open(row) {
                kept.push(row);
                self.cover(row, rows);
            }
        }
        let redundant = |row: &usize| {
            let of = self.covered_by[*row].load(Ordering::Relaxed) as usize;
            let distance = self.exact.pair(of, *row)?.distance;
            Some(Redundant { row: *row, of, distance })
        };
        let redundant = rows.iter().filter(|row| !self.is_open(**row)).filter_map(redundant).collect();
        DuplicateGroup { kept, redundant }
    }

    fn cover(&self, row: usize, group: &[usize]) {
        let cover = |other: usize| {
            let open = other != row && self.is_open(other) && !self.is_labelled(other);
            if open && self.exact.pair(row, other).is_some() {
                self.covered_by[other].store(row as u32, Ordering::Relaxed);
            }
        };
        match &self.places {
            Some(places) if group.len() > FEW => places.around(row, cover),
            _ => group.iter().copied().for_each(cover),
        }
    }

    fn is_open(&self, row: usize) -> bool {
        self.covered_by[row].load(Ordering::Relaxed) == OPEN
    }

    fn is_labelled(&self, row: usize) -> bool {
        self.labelled.is_some_and(|labelled| labelled[row])
    }
}

/// Where in the tree each row is.
struct Places<'a> {
    tree: &'a Tree,
    of_row: Vec<u32>,
}

impl<'a> Places<'a> {
    fn new(tree: &'a Tree) -> Self {
        let mut of_row = vec![0; tree.rows.len()];
        for (place, row) in tree.rows.iter().enumerate() {
            of_row[*row as usize] = place as u32;
        }
        Self { tree, of_row }
    }

    fn around(&self, row: usize, mut offer: impl FnMut(usize)) {
        self.tree.around(self.of_row[row] as usize, |place| offer(self.tree.rows[place] as usize));
    }
}

/// Rows joined into sets whose root is their lowest row, by any thread (a root is only ever put under a lower one, so the
/// sets that come out do not depend on the order).
pub(super) struct Links {
    parents: Vec<AtomicU32>,
}

impl Links {
    pub(super) fn new(n_rows: usize) -> Self {
        Self { parents: (0..n_rows as u32).map(AtomicU32::new).collect() }
    }

    /// The rows of each set of more than one, ascending, by their lowest row.
    pub(super) fn sets(&self) -> Vec<Vec<usize>> {
        let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for row in 0..self.parents.len() {
            let root = self.root(row);
            if root != row {
                members.entry(root).or_insert_with(|| vec![root]).push(row);
            }
        }
        members.into_values().collect()
    }

    pub(super) fn root(&self, row: usize) -> usize {
        let mut at = row as u32;
        loop {
            let parent = self.parents[at as usize].load(Ordering::Relaxed);
            if parent == at {
                return at as usize;
            }
            let above = self.parents[parent as usize].load(Ordering::Relaxed);
            // A longer way up than needed is no error, so it does not matter whether another thread was first.
            self.parents[at as usize].fetch_min(above, Ordering::Relaxed);
            at = above;
        }
    }

    pub(super) fn join(&self, a: usize, b: usize) {
        loop {
            let (a, b) = (self.root(a), self.root(b));
            if a == b {
                return;
            }
            let (low, high) = (a.min(b) as u32, a.max(b));
            let was = high as u32;
            let joined =
                self.parents[high].compare_exchange(was, low, Ordering::Relaxed, Ordering::Relaxed).is_ok();
            if joined {
                return;
            }
        }
    }
}

fn link_by_products(blocked: &Blocked<'_, '_>, links: &Links) -> Result<()> {
    (0..blocked.n_blocks()).into_par_iter().try_for_each(|block| {
        blocked.each_candidate(block, &mut |first, second| {
            if links.root(first) != links.root(second) && blocked.exact.pair(first, second).is_some() {
                links.join(first, second);
            }
            Ok(())
        })
    })
}

fn link_by_tree(tree: &Tree, exact: &Exact<'_>, links: &Links) {
    let whole: Vec<AtomicBool> = (0..2 * tree.n_leaves()).map(|_| AtomicBool::new(false)).collect();
    (0..tree.n_leaves()).into_par_iter().for_each(|leaf| {
        tree.join(leaf, &mut Linking { tree, exact, links, whole: &whole });
    });
}

struct Linking<'a, 'rows> {
    tree: &'a Tree,
    exact: &'a Exact<'rows>,
    links: &'a Links,
    /// Nodes whose rows are known to be in one set; once they are, they stay.
    whole: &'a [AtomicBool],
}

impl Linking<'_, '_> {
    fn set_of_leaf(&self, leaf: usize) -> Option<usize> {
        let rows = &self.tree.rows[self.tree.places(leaf)];
        let set = self.links.root(*rows.first()? as usize);
        rows.iter().all(|row| self.links.root(*row as usize) == set).then_some(set)
    }

    fn set_of_place(&self, place: usize) -> usize {
        self.links.root(self.tree.rows[place] as usize)
    }
}

impl Visitor for Linking<'_, '_> {
    fn is_done(&mut self, leaf: usize, node: &Node) -> bool {
        if !self.whole[node.at].load(Ordering::Relaxed) {
            return false;
        }
        let set = self.set_of_place(self.tree.places(node.leaves.start).start);
        self.set_of_place(self.tree.places(leaf).start) == set && self.set_of_leaf(leaf) == Some(set)
    }

    fn candidates(&mut self, place: usize, other: usize, bits: u64) -> bool {
        let row = self.tree.rows[place] as usize;
        let start = self.tree.places(other).start;
        for other in ones(bits).map(|i| self.tree.rows[start + i] as usize) {
            if self.links.root(row) != self.links.root(other) && self.exact.pair(row, other).is_some() {
                self.links.join(row, other);
            }
        }
        true
    }

    fn leave(&mut self, node: &Node) {
        if self.whole[node.at].load(Ordering::Relaxed) {
            return;
        }
        let whole = match node.children() {
            None => self.set_of_leaf(node.leaves.start).is_some(),
            Some((left, right)) => {
                let known = |node: &Node| self.whole[node.at].load(Ordering::Relaxed);
                let set = |node: &Node| self.set_of_place(self.tree.places(node.leaves.start).start);
                known(&left) && known(&right) && set(&left) == set(&right)
            }
        };
        if whole {
            self.whole[node.at].store(true, Ordering::Relaxed);
        }
    }
}
