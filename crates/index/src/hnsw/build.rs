use labelloop_core::Progress;
use rayon::prelude::*;

use super::codes::Codes;
use super::links::Links;
use super::walk::Walker;
use crate::Result;

/// Nodes that enter the graph together. It must not depend on the number of threads.
const BATCH: usize = 256;

/// A link with the squared distance that it spans.
type Span = (u32, u32);

/// Links all nodes, whose codes are given in their order (algorithm 1 of Malkov and Yashunin 2018, in batches).
///
/// The nodes of a batch look for neighbours in the graph as it was before the batch and among the lower nodes of the
/// batch itself, which are compared with one by one: so none misses what it would have found had they come singly, all
/// can look at once, and the graph is the same on any number of threads.
pub(crate) fn link(codes: &Codes, links: &mut Links, width: usize, progress: &dyn Progress) -> Result<()> {
    let n_nodes = codes.len();
    for start in (0..n_nodes).step_by(BATCH) {
        progress.step("index", start as u64, n_nodes as u64)?;
        let batch = start as u32..n_nodes.min(start + BATCH) as u32;
        let proposals: Vec<Vec<Vec<Span>>> = batch
            .clone()
            .into_par_iter()
            .map_init(
                || Walker::new(n_nodes),
                |walker, node| Newcomer { codes, links, start: batch.start, node, width }.propose(walker),
            )
            .collect();
        for (node, layers) in batch.clone().zip(&proposals) {
            for (level, spans) in layers.iter().enumerate() {
                links.set(level, node, &ends(spans));
            }
        }
        link_back(codes, links, batch.clone(), &proposals);
        raise_entry(links, batch);
    }
    progress.step("index", n_nodes as u64, n_nodes as u64)?;
    Ok(())
}

/// A node that looks for its place in the graph.
struct Newcomer<'a> {
    codes: &'a Codes,
    links: &'a Links,
    /// First node of the batch, and so the number of nodes in the graph.
    start: u32,
    node: u32,
    width: usize,
}

impl Newcomer<'_> {
    /// The links that it wants on each of its layers, lowest layer first.
    fn propose(&self, walker: &mut Walker) -> Vec<Vec<Span>> {
        let query = self.codes.of(self.node);
        let companions: Vec<u32> = (self.start..self.node).collect();
        let mut distances = Vec::new();
        self.codes.squared_distances(query, &companions, &mut distances);
        let top = if self.start == 0 { 0 } else { self.links.level(self.links.entry()) };
        let level = self.links.level(self.node);
        let mut entries: Vec<u32> = match self.start {
            0 => Vec::new(),
            _ => vec![walker.descend(self.codes, self.links, query, level)],
        };
        let mut layers = vec![Vec::new(); level + 1];
        for (layer, wanted) in layers.iter_mut().enumerate().rev() {
            let mut candidates: Vec<Span> = Vec::new();
            if self.start > 0 && layer <= top {
                walker.search(self.codes, self.links, query, layer, &entries, self.width);
                candidates.extend(walker.found());
                entries = ends(&candidates);
            }
            let reaches = |node: u32| layer <= self.links.level(node);
            let near = distances.iter().copied().zip(companions.iter().copied());
            candidates.extend(near.filter(|(_, node)| reaches(*node)));
            candidates.sort_unstable();
            candidates.truncate(self.width);
            *wanted = self.codes.spread_out(&candidates, self.links.n_links());
        }
        layers
    }
}

/// Links every neighbour of the newcomers back to them; whoever has too many links keeps those that are spread out.
fn link_back(codes: &Codes, links: &mut Links, batch: std::ops::Range<u32>, proposals: &[Vec<Vec<Span>>]) {
    let mut back: Vec<(usize, u32, u32)> = batch
        .zip(proposals)
        .flat_map(|(node, layers)| {
            let spans = layers.iter().enumerate().flat_map(|(level, s)| s.iter().map(move |s| (level, s.1)));
            spans.map(move |(level, neighbour)| (level, neighbour, node))
        })
        .collect();
    back.sort_unstable();
    let groups: Vec<&[(usize, u32, u32)]> = back.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).collect();
    let renewed: Vec<Vec<u32>> = groups
        .par_iter()
        .map(|group| {
            let (level, node, _) = group[0];
            let mut all = links.of(level, node).to_vec();
            all.extend(group.iter().map(|(_, _, newcomer)| newcomer));
            let capacity = links.capacity(level);
            if all.len() <= capacity {
                return all;
            }
            let mut distances = Vec::new();
            codes.squared_distances(codes.of(node), &all, &mut distances);
            let mut candidates: Vec<Span> = distances.into_iter().zip(all).collect();
            candidates.sort_unstable();
            ends(&codes.spread_out(&candidates, capacity))
        })
        .collect();
    for (group, kept) in groups.iter().zip(&renewed) {
        links.set(group[0].0, group[0].1, kept);
    }
}

/// The first of the highest nodes becomes the entry.
fn raise_entry(links: &mut Links, batch: std::ops::Range<u32>) {
    for node in batch {
        if links.level(links.entry()) < links.level(node) {
            links.set_entry(node);
        }
    }
}

fn ends(spans: &[Span]) -> Vec<u32> {
    spans.iter().map(|(_, node)| *node).collect()
}
