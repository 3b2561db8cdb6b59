use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::exact::Exact;
use super::project::project;
use super::tree::{Node, Tree, Visitor, ones};

/// Leaves walked for an estimate.
const N_SAMPLED: usize = 16;
/// Below this many rows all pairs are compared before a tree stands.
const FEW: usize = 512;

/// How near-duplicates are looked for; the answer is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchPlan {
    /// The cheaper by an estimate from sampled rows.
    #[default]
    Auto,
    /// A tree over a projection on few directions.
    Projected,
    /// Blocked products of all pairs.
    Blocked,
}

impl SearchPlan {
    /// The tree to walk, or nothing where all pairs are to be compared.
    ///
    /// With `listing`, pairs that are near are checked as well; to link rows one of them for each row is enough.
    pub(super) fn tree(self, rows: ArrayView2<'_, f32>, exact: &Exact<'_>, listing: bool) -> Option<Tree> {
        if self == SearchPlan::Blocked || (self == SearchPlan::Auto && rows.nrows() < FEW) {
            return None;
        }
        let tree = Tree::new(project(rows, exact.factors(), exact.euclidean));
        let pays = || walk_cost(&tree, exact, listing) < product_cost(rows.nrows(), rows.ncols());
        (self == SearchPlan::Projected || pays()).then_some(tree)
    }
}

/// Nanoseconds of comparing all pairs on one core, as measured.
fn product_cost(n_rows: usize, n_columns: usize) -> f64 {
    0.5 * (n_rows as f64).powi(2) * (1.5 + 0.03 * n_columns as f64)
}

/// Nanoseconds of walking the tree for every leaf, from a walk for some at even distances.
fn walk_cost(tree: &Tree, exact: &Exact<'_>, listing: bool) -> f64 {
    let n_leaves = tree.n_leaves();
    let n_sampled = n_leaves.min(N_SAMPLED);
    let counts: Vec<Counting<'_, '_>> = (0..n_sampled)
        .into_par_iter()
        .map(|i| {
            let mut counting =
                Counting { tree, exact, nodes: 0, leaves: 0, candidates: 0, checked: 0, near: 0 };
            tree.join(i * n_leaves / n_sampled, &mut counting);
            counting
        })
        .collect();
    let sum = |of: fn(&Counting<'_, '_>) -> u64| counts.iter().map(of).sum::<u64>() as f64;
    // Where rows are only linked, candidates that hang together already are not checked: most of them, once some are near.
    let linked = !listing && sum(|c| c.near) > 0.0;
    let candidates = sum(|c| c.candidates) * if linked { LINKED } else { exact.cost() };
    let walk = sum(|c| c.nodes) * NODE + sum(|c| c.leaves) * LEAF_SCAN + candidates;
    walk * n_leaves as f64 / n_sampled as f64
}

/// Nanoseconds at a node: a box against a box, and 64 points against a box.
const NODE: f64 = 150.0;
/// Nanoseconds of 64 points against 64.
const LEAF_SCAN: f64 = 64.0 * 40.0;
/// Nanoseconds of finding that two rows hang together already.
const LINKED: f64 = 10.0;
/// Candidates of a leaf that are checked to learn whether any of them are near.
const N_CHECKED: u64 = 256;

struct Counting<'a, 'rows> {
    tree: &'a Tree,
    exact: &'a Exact<'rows>,
    nodes: u64,
    leaves: u64,
    candidates: u64,
    checked: u64,
    near: u64,
}

impl Visitor for Counting<'_, '_> {
    fn candidates(&mut self, place: usize, other: usize, bits: u64) -> bool {
        self.candidates += u64::from(bits.count_ones());
        if self.checked < N_CHECKED {
            let row = |place: usize| self.tree.rows[place] as usize;
            let start = self.tree.places(other).start;
            let near = ones(bits).filter(|i| self.exact.pair(row(place), row(start + i)).is_some()).count();
            self.checked += u64::from(bits.count_ones());
            self.near += near as u64;
        }
        true
    }

    fn leave(&mut self, node: &Node) {
        self.nodes += 1;
        self.leaves += u64::from(node.leaves.len() == 1);
    }
}
