//! Points that belong together: connected components at several distances, on fine cells seen from above.

use super::CloudDetectorParams;
use super::scan::Standing;

/// Cells along the smallest distance.
const CELLS_PER_GAP: f64 = 3.0;

/// Points that are one thing at some distance.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cluster {
    /// Numbers of the points, rising.
    pub(crate) points: Vec<usize>,
    /// Place of the distance in the parameters.
    level: usize,
    /// Number of the component that the points are in at each distance.
    components: Vec<usize>,
}

impl Cluster {
    /// Whether the two share points: one is then a part of the other.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let level = self.level.max(other.level);
        self.components[level] == other.components[level]
    }
}

/// All clusters, from the smallest distance to the largest, each in the order of their cells. Sets of points that are one
/// thing at several distances come once.
///
/// Time: O(n log n) for n points, times the number of cells within the largest distance.
pub(crate) fn clusters(points: &[Standing], params: &CloudDetectorParams) -> Vec<Cluster> {
    let side = params.cluster_gaps[0] / CELLS_PER_GAP;
    let cell = |p: &Standing| ((p.y / side).floor() as i32, (p.x / side).floor() as i32);
    let mut by_cell: Vec<((i32, i32), usize)> =
        points.iter().enumerate().map(|(i, p)| (cell(p), i)).collect();
    by_cell.sort_unstable();
    let runs: Vec<&[((i32, i32), usize)]> = by_cell.chunk_by(|a, b| a.0 == b.0).collect();
    let cells: Vec<(i32, i32)> = runs.iter().map(|run| run[0].0).collect();
    let levels: Vec<Vec<usize>> =
        params.cluster_gaps.iter().map(|gap| components(&cells, gap / side)).collect();
    let mut found = Vec::new();
    for level in 0..levels.len() {
        for members in members(&levels[level]) {
            let is_new =
                level == 0 || members.iter().any(|m| levels[level - 1][*m] != levels[level - 1][members[0]]);
            let mut own: Vec<usize> = members.iter().flat_map(|m| runs[*m].iter().map(|(_, i)| *i)).collect();
            own.sort_unstable();
            if is_new && params.min_points <= own.len() && is_short(points, &own, params.max_side) {
                let components = levels.iter().map(|l| l[members[0]]).collect();
                found.push(Cluster { points: own, level, components });
            }
        }
    }
    found
}

fn is_short(points: &[Standing], own: &[usize], max_side: f64) -> bool {
    let extent = |of: fn(&Standing) -> f64| {
        let values = own.iter().map(|i| of(&points[*i]));
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        high - low
    };
    extent(|p| p.x).max(extent(|p| p.y)) <= max_side
}

/// For each component its cells.
fn members(component_of: &[usize]) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); component_of.iter().max().map_or(0, |m| m + 1)];
    for (cell, component) in component_of.iter().enumerate() {
        members[*component].push(cell);
    }
    members
}

/// Number of each cell's component, counted in the order of their first cells. Cells are sorted; those at most `reach`
/// cells apart are connected.
fn components(cells: &[(i32, i32)], reach: f64) -> Vec<usize> {
    let mut parent: Vec<usize> = (0..cells.len()).collect();
    let most = reach.floor() as i32;
    for dy in 0..=most {
        for dx in -most..=most {
            let is_forward = 0 < dy || 0 < dx;
            if is_forward && f64::from(dx * dx + dy * dy) <= reach * reach {
                connect(cells, &mut parent, (dy, dx));
            }
        }
    }
    let mut number = vec![usize::MAX; cells.len()];
    let mut n_components = 0;
    (0..cells.len())
        .map(|i| {
            let root = root(&mut parent, i);
            if number[root] == usize::MAX {
                number[root] = n_components;
                n_components += 1;
            }
            number[root]
        })
        .collect()
}

/// Joins each cell with the one at an offset, where there is one; both lists rise, so one pass over them will do.
fn connect(cells: &[(i32, i32)], parent: &mut [usize], (dy, dx): (i32, i32)) {
    let mut j = 0;
    for (i, (y, x)) in cells.iter().enumerate() {
        let wanted = (y + dy, x + dx);
        while j < cells.len() && cells[j] < wanted {
            j += 1;
        }
        if j < cells.len() && cells[j] == wanted {
            let (a, b) = (root(parent, i), root(parent, j));
            parent[a.max(b)] = a.min(b);
        }
    }
}

fn root(parent: &mut [usize], mut i: usize) -> usize {
    while parent[i] != i {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    i
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(x: f64, y: f64) -> Standing {
        Standing { x, y, z: 0.0, height: 1.0, intensity: 0.0 }
    }

    fn params(gaps: &[f64]) -> CloudDetectorParams {
        CloudDetectorParams { cluster_gaps: gaps.to_vec(), min_points: 3, ..Default::default() }
    }

    fn row(from: f64) -> impl Iterator<Item = Standing> {
        (0..5).map(move |i| at(from + 0.1 * f64::from(i), 0.0))
    }

    #[test]
    fn things_apart_are_two_and_then_one() {
        let points: Vec<_> = row(0.0).chain(row(1.0)).collect();
        let found = clusters(&points, &params(&[0.3, 0.8]));
        let sizes: Vec<_> = found.iter().map(|c| c.points.len()).collect();
        assert_eq!(sizes, [5, 5, 10]);
        assert!(found[2].meets(&found[0]) && found[1].meets(&found[2]) && !found[0].meets(&found[1]));
    }

    #[test]
    fn what_is_one_thing_at_all_distances_comes_once() {
        let points: Vec<_> = row(0.0).collect();
        assert_eq!(clusters(&points, &params(&[0.3, 0.8, 2.0])).len(), 1);
    }

    #[test]
    fn specks_and_walls_are_left_out() {
        let wall = (0..300).map(|i| at(0.1 * f64::from(i), 5.0));
        let points: Vec<_> = wall.chain([at(0.0, 0.0), at(0.1, 0.0)]).collect();
        assert!(clusters(&points, &params(&[0.4])).is_empty());
        assert!(clusters(&[], &params(&[0.4])).is_empty());
    }

    proptest! {
        #[test]
        fn components_are_those_of_the_definition(
            cells in proptest::collection::btree_set((-6..6i32, -6..6i32), 0..40), reach in 1.0..3.5f64,
        ) {
            let cells: Vec<_> = cells.into_iter().collect();
            let mut slow: Vec<usize> = (0..cells.len()).collect();
            for _ in 0..cells.len() {
                for i in 0..cells.len() {
                    for j in 0..cells.len() {
                        let (dy, dx) = (cells[i].0 - cells[j].0, cells[i].1 - cells[j].1);
                        if f64::from(dx * dx + dy * dy) <= reach * reach {
                            slow[i] = slow[i].min(slow[j]);
                        }
                    }
                }
            }
            let fast = components(&cells, reach);
            for i in 0..cells.len() {
                for j in 0..cells.len() {
                    prop_assert_eq!(fast[i] == fast[j], slow[i] == slow[j]);
                }
            }
        }
    }
}
