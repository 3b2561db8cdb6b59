use std::ops::Range;

use fearless_simd::Level;

use super::kernel::{Bounds, LEAF, Lanes, near_box, near_point};
use super::project::{N_COORDS, Point, Projection};

/// Rows below which a part of the tree is built by one thread.
const ALONE: usize = 8192;

/// Points of the small space in leaves of 64, split again and again where they spread most.
///
/// All leaves but the last are full, so that leaf `i` holds the places from `64 i` on, and a node that covers `k` leaves is
/// followed by the `2 k - 1` nodes of its subtree: no node needs to say where its children are.
pub(super) struct Tree {
    /// Row number at each place.
    pub(super) rows: Vec<u32>,
    boxes: Vec<Bounds>,
    leaves: Vec<Lanes>,
    limit: f32,
    level: Level,
}

/// A node and the leaves it covers.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: usize,
    pub(super) leaves: Range<usize>,
}

impl Node {
    pub(super) fn children(&self) -> Option<(Node, Node)> {
        let n_left = self.leaves.len() / 2;
        let middle = self.leaves.start + n_left;
        let left = Node { at: self.at + 1, leaves: self.leaves.start..middle };
        let right = Node { at: self.at + 2 * n_left, leaves: middle..self.leaves.end };
        (n_left > 0).then_some((left, right))
    }
}

/// What is done with pairs that may be near.
pub(super) trait Visitor {
    /// Whether nothing below the node is of use to the leaf.
    fn is_done(&mut self, _leaf: usize, _node: &Node) -> bool {
        false
    }

    /// The points of `other` whose bits are set may be near the place; false ends the walk.
    fn candidates(&mut self, place: usize, other: usize, bits: u64) -> bool;

    /// The walk leaves the node.
    fn leave(&mut self, _node: &Node) {}
}

impl Tree {
    /// O(rows log rows); the same tree at any number of threads.
    pub(super) fn new(projection: Projection) -> Self {
        let Projection { points, limit } = projection;
        let mut rows: Vec<u32> = (0..points.len() as u32).collect();
        let n_leaves = rows.len().div_ceil(LEAF);
        let empty = Bounds { low: [f32::INFINITY; N_COORDS], high: [f32::NEG_INFINITY; N_COORDS] };
        let mut boxes = vec![empty; (2 * n_leaves).saturating_sub(1)];
        if n_leaves > 0 {
            split(&mut rows, &points, &mut boxes);
        }
        let leaves = rows.chunks(LEAF).map(|rows| lanes(rows, &points)).collect();
        Self { rows, boxes, leaves, limit, level: Level::new() }
    }

    pub(super) fn n_leaves(&self) -> usize {
        self.leaves.len()
    }

    pub(super) fn root(&self) -> Node {
        Node { at: 0, leaves: 0..self.n_leaves() }
    }

    /// The places of a leaf.
    pub(super) fn places(&self, leaf: usize) -> Range<usize> {
        leaf * LEAF..self.rows.len().min((leaf + 1) * LEAF)
    }

    /// Offers each pair of a point of the leaf and a point at a later place that may be near it, once.
    pub(super) fn join(&self, leaf: usize, visitor: &mut impl Visitor) -> bool {
        let own = self.boxes[self.box_of(leaf)];
        self.descend(leaf, &own, self.root(), filled(self.places(leaf).len()), visitor)
    }

    fn descend(&self, leaf: usize, own: &Bounds, node: Node, alive: u64, visitor: &mut impl Visitor) -> bool {
        let bounds = &self.boxes[node.at];
        if node.leaves.end <= leaf || own.gap(bounds) > self.limit || visitor.is_done(leaf, &node) {
            return true;
        }
        let alive = alive & near_box(self.level, bounds, &self.leaves[leaf], self.limit);
        let goes_on = match node.children() {
            _ if alive == 0 => true,
            None => self.scan(leaf, node.leaves.start, alive, visitor),
            Some((left, right)) => {
                self.descend(leaf, own, left, alive, visitor)
                    && self.descend(leaf, own, right, alive, visitor)
            }
        };
        visitor.leave(&node);
        goes_on
    }

    fn scan(&self, leaf: usize, other: usize, alive: u64, visitor: &mut impl Visitor) -> bool {
        let filled = filled(self.places(other).len());
        for i in ones(alive) {
            let point: Point = std::array::from_fn(|c| self.leaves[leaf][c][i]);
            // Within a leaf a pair is offered by the earlier of the two.
            let later = if leaf == other { (u64::MAX << i) << 1 } else { u64::MAX };
            let bits = near_point(self.level, &point, &self.leaves[other], self.limit) & filled & later;
            if bits != 0 && !visitor.candidates(self.places(leaf).start + i, other, bits) {
                return false;
            }
        }
        true
    }

    /// Offers all places whose points may be near the point at `place`, itself among them.
    pub(super) fn around(&self, place: usize, mut offer: impl FnMut(usize)) {
        let (leaf, lane) = (place / LEAF, place % LEAF);
        let point: Point = std::array::from_fn(|c| self.leaves[leaf][c][lane]);
        let own = Bounds { low: point, high: point };
        let mut open = vec![self.root()];
        while let Some(node) = open.pop() {
            if own.gap(&self.boxes[node.at]) > self.limit {
                continue;
            }
            if let Some((left, right)) = node.children() {
                open.extend([right, left]);
                continue;
            }
            let places = self.places(node.leaves.start);
            let bits = near_point(self.level, &point, &self.leaves[node.leaves.start], self.limit);
            ones(bits & filled(places.len())).for_each(|i| offer(places.start + i));
        }
    }

    fn box_of(&self, leaf: usize) -> usize {
        let mut node = self.root();
        while let Some((left, right)) = node.children() {
            node = if leaf < left.leaves.end { left } else { right };
        }
        node.at
    }
}

/// The positions of the bits that are set, ascending.
pub(super) fn ones(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = bits.trailing_zeros() as usize;
        bits &= bits.wrapping_sub(1);
        (at < LEAF).then_some(at)
    })
}

/// The lowest `n` bits.
fn filled(n: usize) -> u64 {
    if n >= LEAF { u64::MAX } else { (1 << n) - 1 }
}

fn split(rows: &mut [u32], points: &[Point], boxes: &mut [Bounds]) {
    let (bounds, axis) = measure(rows, points);
    let n_leaves = rows.len().div_ceil(LEAF);
    if let Some((own, below)) = boxes.split_first_mut() {
        *own = bounds;
        if n_leaves <= 1 {
            rows.sort_unstable();
            return;
        }
        let (n_left, n_rows) = (n_leaves / 2, rows.len());
        let coordinate = |row: &u32| points[*row as usize][axis];
        rows.select_nth_unstable_by(n_left * LEAF, |a, b| {
            coordinate(a).total_cmp(&coordinate(b)).then_with(|| a.cmp(b))
        });
        let (rows_left, rows_right) = rows.split_at_mut(n_left * LEAF);
        let (boxes_left, boxes_right) = below.split_at_mut(2 * n_left - 1);
        let mut left = || split(rows_left, points, boxes_left);
        if n_rows < ALONE {
            left();
            split(rows_right, points, boxes_right);
        } else {
            rayon::join(left, || split(rows_right, points, boxes_right));
        }
    }
}

/// The box of some points, and the coordinate whose variance is largest.
fn measure(rows: &[u32], points: &[Point]) -> (Bounds, usize) {
    let mut bounds = Bounds { low: [f32::INFINITY; N_COORDS], high: [f32::NEG_INFINITY; N_COORDS] };
    let (mut sums, mut squares) = ([0.0f64; N_COORDS], [0.0f64; N_COORDS]);
    for row in rows {
        let point = &points[*row as usize];
        for c in 0..N_COORDS {
            bounds.low[c] = bounds.low[c].min(point[c]);
            bounds.high[c] = bounds.high[c].max(point[c]);
            sums[c] += f64::from(point[c]);
            squares[c] += f64::from(point[c]) * f64::from(point[c]);
        }
    }
    let spread = |c: usize| squares[c] - sums[c] * sums[c] / rows.len() as f64;
    let axis = (1..N_COORDS).fold(0, |best, c| if spread(c) > spread(best) { c } else { best });
    (bounds, axis)
}

fn lanes(rows: &[u32], points: &[Point]) -> Lanes {
    let mut lanes = [[0.0; LEAF]; N_COORDS];
    for (i, row) in rows.iter().enumerate() {
        for (lane, value) in lanes.iter_mut().zip(points[*row as usize]) {
            lane[i] = value;
        }
    }
    lanes
}
