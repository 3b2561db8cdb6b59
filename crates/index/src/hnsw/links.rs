use labelloop_core::Seed;

/// More layers than any pool needs: with two links a node, 2^32 nodes fill 32.
const MAX_LEVEL: u32 = 31;
/// What nodes without upper layers have in place of one.
const NOWHERE: u32 = u32::MAX;

/// Who is linked to whom on which layer, flat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Links {
    n_links: usize,
    levels: Vec<u8>,
    /// For each node how many links it has on the lowest layer, then those, then room for more.
    base: Vec<u32>,
    /// For each node the block of its layer 1; those above follow.
    upper_at: Vec<u32>,
    upper: Vec<u32>,
    entry: u32,
}

impl Links {
    /// Nodes without links, their heights drawn.
    ///
    /// A node reaches layer l with probability `n_links^-l`, as in the paper; comparing whole numbers makes it so without
    /// a logarithm, whose last bit differs between machines.
    pub(crate) fn new(n_nodes: usize, n_links: usize, seed: Seed) -> Self {
        let stream = seed.stream("heights");
        let levels = (0..n_nodes as u64).map(|node| level(stream.bits(node), n_links)).collect();
        Self::with_levels(levels, n_links)
    }

    /// Nodes without links, of known heights.
    pub(crate) fn with_levels(levels: Vec<u8>, n_links: usize) -> Self {
        let base = vec![0; levels.len() * (2 * n_links + 1)];
        let mut n_blocks = 0;
        let upper_at = levels
            .iter()
            .map(|level| {
                let at = if *level == 0 { NOWHERE } else { n_blocks };
                n_blocks += u32::from(*level);
                at
            })
            .collect();
        let upper = vec![0; n_blocks as usize * (n_links + 1)];
        Self { n_links, levels, base, upper_at, upper, entry: 0 }
    }

    /// Number of nodes.
    pub(crate) fn n_nodes(&self) -> usize {
        self.levels.len()
    }

    /// Links that a node asks for.
    pub(crate) fn n_links(&self) -> usize {
        self.n_links
    }

    /// Heights of all nodes.
    pub(crate) fn levels(&self) -> &[u8] {
        &self.levels
    }

    /// The highest layer of a node.
    pub(crate) fn level(&self, node: u32) -> usize {
        usize::from(self.levels[node as usize])
    }

    /// Most links of a node on a layer.
    pub(crate) fn capacity(&self, level: usize) -> usize {
        if level == 0 { 2 * self.n_links } else { self.n_links }
    }

    /// Where searches begin: the first of the highest nodes linked so far.
    pub(crate) fn entry(&self) -> u32 {
        self.entry
    }

    pub(crate) fn set_entry(&mut self, node: u32) {
        self.entry = node;
    }

    /// Links of a node on a layer; none on a layer that it does not reach.
    #[inline]
    pub(crate) fn of(&self, level: usize, node: u32) -> &[u32] {
        let block = self.block(level, node);
        match block.split_first() {
            Some((count, links)) => &links[..*count as usize],
            None => &[],
        }
    }

    /// Replaces the links of a node on a layer that it reaches; those beyond the capacity do not fit.
    pub(crate) fn set(&mut self, level: usize, node: u32, links: &[u32]) {
        let block = match self.upper_range(level, node) {
            None => {
                let stride = 2 * self.n_links + 1;
                &mut self.base[node as usize * stride..][..stride]
            }
            Some(range) => &mut self.upper[range],
        };
        let Some((count, room)) = block.split_first_mut() else { return };
        *count = 0;
        for (place, link) in room.iter_mut().zip(links) {
            *place = *link;
            *count += 1;
        }
    }

    fn block(&self, level: usize, node: u32) -> &[u32] {
        match self.upper_range(level, node) {
            None => {
                let stride = 2 * self.n_links + 1;
                &self.base[node as usize * stride..][..stride]
            }
            Some(range) => &self.upper[range],
        }
    }

    /// Where the block of an upper layer is; `None` for the lowest layer, empty for one that the node does not reach.
    #[inline]
    fn upper_range(&self, level: usize, node: u32) -> Option<std::ops::Range<usize>> {
        if level == 0 {
            return None;
        }
        if self.level(node) < level {
            return Some(0..0);
        }
        let stride = self.n_links + 1;
        let at = (self.upper_at[node as usize] as usize + level - 1) * stride;
        Some(at..at + stride)
    }
}

fn level(bits: u64, n_links: usize) -> u8 {
    let mut threshold = u64::MAX / n_links as u64;
    let mut level = 0;
    while bits < threshold && level < MAX_LEVEL {
        threshold /= n_links as u64;
        level += 1;
    }
    level as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_node_of_m_reaches_the_next_layer() {
        let links = Links::new(100_000, 16, Seed::new(1));
        let reach = |l: u8| links.levels().iter().filter(|level| l <= **level).count();
        assert!((5_900..6_600).contains(&reach(1)), "{}", reach(1));
        assert!((320..470).contains(&reach(2)), "{}", reach(2));
    }

    #[test]
    fn links_are_kept_by_layer_and_cut_at_the_capacity() {
        let mut links = Links::with_levels(vec![0, 2, 1], 2);
        links.set(0, 0, &[1, 2]);
        links.set(1, 1, &[2, 0, 7]);
        links.set(2, 1, &[5]);
        links.set(1, 2, &[1]);
        assert_eq!((links.of(0, 0), links.of(1, 0)), (&[1, 2][..], &[][..]));
        assert_eq!((links.of(1, 1), links.of(2, 1), links.of(3, 1)), (&[2, 0][..], &[5][..], &[][..]));
        assert_eq!((links.of(1, 2), links.of(0, 2)), (&[1][..], &[][..]));
        assert_eq!((links.capacity(0), links.capacity(1)), (4, 2));
    }
}
