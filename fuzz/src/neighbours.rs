use labelloop_index::{HnswIndex, Metric, NeighbourIndex};
use ndarray::Array2;

/// Bytes of a checksum at the end of a file, and where its length stands.
const DIGEST: usize = 32;
const LENGTH: std::ops::Range<usize> = 12..20;

/// The graph of a small pool: what is read answers in full and is written as the same bytes. Read as it is, and once more
/// with length and checksum made to fit, so that what lies behind them is met with rubbish as well.
pub fn neighbour_graph(data: &[u8]) {
    read(data);
    let Some(content) = data.len().checked_sub(DIGEST).map(|n| &data[..n]) else { return };
    let mut fitting = content.to_vec();
    if let Some(length) = fitting.get_mut(LENGTH) {
        length.copy_from_slice(&(data.len() as u64).to_le_bytes());
    }
    let checksum = *blake3::hash(&fitting).as_bytes();
    fitting.extend(checksum);
    read(&fitting);
}

fn read(data: &[u8]) {
    // 40 different rows, none of them zero.
    let pool = Array2::from_shape_fn((40, 3), |(i, j)| ((7 * i + 3 * j) % 41 + 1) as f32);
    let Ok(index) = HnswIndex::from_bytes(data, pool.view()) else { return };
    let n_left = index.n_rows() - index.audit().n_deleted;
    let found = index.search(pool.view(), 3, None).expect("the pool's own rows can be asked for");
    assert_eq!(found.k(), n_left.min(3));
    if index.metric() == Metric::L2 && n_left == 40 {
        assert!((0..40).all(|row| found.ids[[row, 0]] == row as u32), "a row is not closest to itself");
    }
    assert_eq!(index.to_bytes(), data, "what was read is written otherwise");
}
