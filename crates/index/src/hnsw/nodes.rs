use std::cmp::Ordering;

use rayon::prelude::*;

use super::codes::Codes;

/// Which rows share a node of the graph.
///
/// Rows of one code are one node: a thousand copies of a picture would else link to each other alone and tear the graph
/// apart. Nodes are numbered by their first rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nodes {
    /// Rows of node i are `rows[starts[i]..starts[i + 1]]`, ascending.
    starts: Vec<u32>,
    rows: Vec<u32>,
}

impl Nodes {
    /// Groups the rows by their codes.
    pub(crate) fn group(codes: &Codes) -> Self {
        let hashes: Vec<u64> =
            (0..codes.len() as u32).into_par_iter().map(|row| hash(codes.of(row))).collect();
        let mut order: Vec<u32> = (0..codes.len() as u32).collect();
        let same = |a: u32, b: u32| hashes[a as usize] == hashes[b as usize] && codes.of(a) == codes.of(b);
        order.par_sort_unstable_by(|a, b| match hashes[*a as usize].cmp(&hashes[*b as usize]) {
            Ordering::Equal => codes.of(*a).cmp(codes.of(*b)).then(a.cmp(b)),
            unequal => unequal,
        });
        let mut groups: Vec<&[u32]> = order.chunk_by(|a, b| same(*a, *b)).collect();
        groups.sort_unstable_by_key(|rows| rows[0]);
        let mut nodes = Self { starts: vec![0], rows: Vec::with_capacity(order.len()) };
        for group in groups {
            nodes.rows.extend_from_slice(group);
            nodes.starts.push(nodes.rows.len() as u32);
        }
        nodes
    }

    /// Number of nodes.
    pub(crate) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Rows of a node, ascending.
    pub(crate) fn rows(&self, node: u32) -> &[u32] {
        let node = node as usize;
        &self.rows[self.starts[node] as usize..self.starts[node + 1] as usize]
    }

    /// The first row of each node.
    pub(crate) fn first_rows(&self) -> Vec<u32> {
        (0..self.len() as u32).map(|node| self.rows(node)[0]).collect()
    }
}

/// Only sorts equal codes together, so it need not be a good one.
fn hash(code: &[i16]) -> u64 {
    code.iter().fold(0xCBF2_9CE4_8422_2325, |hash: u64, x| {
        (hash.rotate_left(5) ^ *x as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    })
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::Metric;
    use crate::hnsw::codes::{Grid, norms};

    #[test]
    fn equal_rows_share_a_node_and_nodes_are_in_the_order_of_rows() {
        let pool = array![[5.0, 1.0], [0.0, 2.0], [5.0, 1.0], [-3.0, 0.0], [0.0, 2.0], [5.0, 1.0]];
        let norms = norms(pool.view());
        let codes = Grid::fit(pool.view(), &norms, Metric::L2).encode(pool.view(), &norms).0;
        let nodes = Nodes::group(&codes);
        assert_eq!(nodes.first_rows(), [0, 1, 3]);
        assert_eq!((nodes.rows(0), nodes.rows(1), nodes.rows(2)), (&[0, 2, 5][..], &[1, 4][..], &[3][..]));
        assert_eq!(Nodes::group(&codes.pick(&[])).len(), 0);
    }
}
