use super::codes::Codes;
use super::links::Links;

/// A node with its squared distance, in one number: the order of the numbers is that by distance, then by node.
///
/// The lowest bit says that the node's links were looked at.
type Key = u64;
const DONE: Key = 1;

/// Walks the graph towards a query. Kept between walks, as what it remembers is allocated once.
#[derive(Debug)]
pub(crate) struct Walker {
    /// One bit for each node seen on this walk.
    seen: Vec<u64>,
    /// Which words of `seen` may be other than 0.
    touched: Vec<u32>,
    /// The closest nodes found, closest first.
    beam: Vec<Key>,
    fresh: Vec<u32>,
    distances: Vec<u32>,
}

impl Walker {
    pub(crate) fn new(n_nodes: usize) -> Self {
        let seen = vec![0; n_nodes.div_ceil(64)];
        Self { seen, touched: Vec::new(), beam: Vec::new(), fresh: Vec::new(), distances: Vec::new() }
    }

    /// Walks down to layer `level` from the entry, where it ends at the closest node it meets.
    pub(crate) fn descend(&mut self, codes: &Codes, links: &Links, query: &[i16], level: usize) -> u32 {
        let mut node = links.entry();
        for layer in (level + 1..=links.level(links.entry())).rev() {
            self.search(codes, links, query, layer, &[node], 1);
            node = self.beam.first().map_or(node, |key| node_of(*key));
        }
        node
    }

    /// The `width` closest nodes of a layer that it comes by from `entries`, as (squared distance, node), closest
    /// first (algorithm 2 of Malkov and Yashunin 2018).
    pub(crate) fn search(
        &mut self,
        codes: &Codes,
        links: &Links,
        query: &[i16],
        level: usize,
        entries: &[u32],
        width: usize,
    ) {
        self.forget();
        self.offer(codes, query, entries.iter().copied(), width);
        let mut next = 0;
        while let Some(key) = self.beam.get_mut(next) {
            if *key & DONE == DONE {
                next += 1;
                continue;
            }
            *key |= DONE;
            let node = node_of(*key);
            next = self.offer(codes, query, links.of(level, node).iter().copied(), width).min(next + 1);
        }
    }

    /// Adds nodes without looking at their links.
    pub(crate) fn add(&mut self, codes: &Codes, query: &[i16], nodes: &[u32]) {
        let width = self.beam.len() + nodes.len();
        self.offer(codes, query, nodes.iter().copied(), width);
    }

    /// What the last search found, as (squared distance, node), closest first.
    pub(crate) fn found(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.beam.iter().map(|key| ((key >> 32) as u32, node_of(*key)))
    }

    /// Puts the nodes not seen before into the beam; gives the lowest place that changed.
    #[inline]
    fn offer(
        &mut self,
        codes: &Codes,
        query: &[i16],
        nodes: impl Iterator<Item = u32>,
        width: usize,
    ) -> usize {
        self.fresh.clear();
        for node in nodes {
            let (word, bit) = (node / 64, 1 << (node % 64));
            let seen = &mut self.seen[word as usize];
            if *seen & bit == 0 {
                if *seen == 0 {
                    self.touched.push(word);
                }
                *seen |= bit;
                self.fresh.push(node);
            }
        }
        codes.squared_distances(query, &self.fresh, &mut self.distances);
        let mut lowest = usize::MAX;
        for (node, distance) in self.fresh.iter().zip(&self.distances) {
            let key = Key::from(*distance) << 32 | Key::from(*node) << 1;
            if self.beam.len() >= width {
                if self.beam.last().is_none_or(|last| *last <= key) {
                    continue;
                }
                self.beam.pop();
            }
            let place = self.beam.partition_point(|other| *other < key);
            self.beam.insert(place, key);
            lowest = lowest.min(place);
        }
        lowest
    }

    fn forget(&mut self) {
        for word in self.touched.drain(..) {
            self.seen[word as usize] = 0;
        }
        self.beam.clear();
    }
}

fn node_of(key: Key) -> u32 {
    (key as u32) >> 1
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::Metric;
    use crate::hnsw::codes::{Grid, norms};

    /// 0, 1, …, 9 on a line, each linked to the next and the one before.
    fn line() -> (Codes, Links) {
        let pool = Array2::from_shape_fn((10, 1), |(i, _)| i as f32);
        let norms = norms(pool.view());
        let codes = Grid::fit(pool.view(), &norms, Metric::L2).encode(pool.view(), &norms).0;
        let mut links = Links::with_levels(vec![0; 10], 2);
        for node in 0..10u32 {
            let near: Vec<u32> =
                [node.checked_sub(1), Some(node + 1)].into_iter().flatten().filter(|n| *n < 10).collect();
            links.set(0, node, &near);
        }
        (codes, links)
    }

    fn nodes(walker: &Walker) -> Vec<u32> {
        walker.found().map(|found| found.1).collect()
    }

    #[test]
    fn a_walk_ends_at_the_closest_and_ties_go_to_the_lower_node() {
        let (codes, links) = line();
        let mut walker = Walker::new(10);
        let seven = codes.of(7);
        walker.search(&codes, &links, seven, 0, &[0], 3);
        assert_eq!(nodes(&walker), [7, 6, 8]);
        assert_eq!(walker.found().next(), Some((0, 7)));
        walker.search(&codes, &links, seven, 0, &[9, 9, 0], 1);
        assert_eq!(nodes(&walker), [7]);
    }

    #[test]
    fn what_was_added_is_found_once() {
        let (codes, links) = line();
        let mut walker = Walker::new(10);
        walker.search(&codes, &links, codes.of(9), 0, &[9], 1);
        walker.add(&codes, codes.of(9), &[9, 2, 2]);
        assert_eq!(nodes(&walker), [9, 2]);
    }

    #[test]
    fn nothing_is_left_of_an_earlier_walk() {
        let (codes, links) = line();
        let (mut used, mut fresh) = (Walker::new(10), Walker::new(10));
        used.search(&codes, &links, codes.of(1), 0, &[4], 5);
        used.search(&codes, &links, codes.of(8), 0, &[3], 2);
        fresh.search(&codes, &links, codes.of(8), 0, &[3], 2);
        assert_eq!(nodes(&used), nodes(&fresh));
        assert_eq!(used.descend(&codes, &links, codes.of(8), 0), links.entry());
    }
}
