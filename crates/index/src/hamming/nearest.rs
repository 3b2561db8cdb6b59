use std::collections::BinaryHeap;

use rayon::prelude::*;

use super::kernel::Counter;
use super::{HammingCode, HammingHit, HammingIndex};

/// Codes whose distances are held at once.
const BLOCK: usize = 1024;

pub(super) fn nearest<const W: usize>(
    index: &HammingIndex<W>,
    queries: &[HammingCode<W>],
    k: usize,
) -> Vec<Vec<HammingHit>> {
    let k = k.min(index.n_rows());
    queries.par_iter().map(|query| nearest_of(query, &index.codes, k)).collect()
}

/// Rows come in ascending order, so that of rows equally far the ones kept first stay.
fn nearest_of<const W: usize>(query: &HammingCode<W>, codes: &[HammingCode<W>], k: usize) -> Vec<HammingHit> {
    let (counter, mut distances) = (Counter::new(), [0; BLOCK]);
    let mut heap: BinaryHeap<HammingHit> = BinaryHeap::with_capacity(k + 1);
    for (i, block) in codes.chunks(BLOCK).enumerate() {
        counter.distances(query, block, &mut distances);
        for (j, distance) in distances[..block.len()].iter().enumerate() {
            let farthest = heap.peek().map_or(u32::MAX, |hit| hit.distance);
            if k == 0 || (heap.len() == k && farthest <= *distance) {
                continue;
            }
            heap.push(HammingHit { distance: *distance, row: (i * BLOCK + j) as u32 });
            if k < heap.len() {
                heap.pop();
            }
        }
    }
    heap.into_sorted_vec()
}
