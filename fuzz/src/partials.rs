use std::fmt::Debug;

use labelloop_coreset::partial::wire::{Wire, kind_of, seal};
use labelloop_coreset::partial::{
    ColumnCounts, Greedi, NeighbourLists, Partial, Shard, TopRows, ZCoreNeighbours, ZCoreWinners,
};
use ndarray::Array2;

/// Bytes of a partial result, as they are and with a checksum that fits them: an answer or an error, and what was read is
/// written and read as the same, merges with itself, and goes on to the next round or says why not.
pub fn partials(data: &[u8]) {
    let _ = kind_of(data);
    let stream = data.len().saturating_sub(24);
    for bytes in [data.to_vec(), seal(data[..stream].to_vec())] {
        if let Some(mut counts) = read::<ColumnCounts>(&bytes) {
            let _ = counts.next_round();
            let _ = counts.clone().finish();
            look(&mut counts, 3);
        }
        if let Some(mut winners) = read::<ZCoreWinners>(&bytes) {
            look(&mut winners, 3);
            let _ = winners.clone().finish();
            let _ = winners.merge(winners.clone());
        }
        if let Some(mut neighbours) = read::<ZCoreNeighbours>(&bytes) {
            look(&mut neighbours, 3);
            let _ = neighbours.merge(neighbours.clone());
            // Scores of a run take memory for all of its rows, however few draws there are.
            if neighbours.seen().n_rows < 1000 {
                let _ = neighbours.finish();
            }
        }
        read::<TopRows>(&bytes);
        if let Some(mut lists) = read::<NeighbourLists>(&bytes) {
            look(&mut lists, 3);
        }
        read::<Greedi>(&bytes);
    }
}

fn read<P: Wire + Clone + PartialEq + Debug>(bytes: &[u8]) -> Option<P> {
    let partial = P::from_bytes(bytes).ok()?;
    let again = partial.to_bytes().expect("what was read can be written");
    // Zeros of either sign are one number, so values are compared and not bytes.
    assert_eq!(P::from_bytes(&again).as_ref(), Ok(&partial), "what was written reads as something else");
    Some(partial)
}

fn look<P: for<'a> Partial<Input<'a> = Shard<'a>>>(partial: &mut P, n_rows: usize) {
    for n_columns in [2, 3] {
        let rows = Array2::from_shape_fn((n_rows, n_columns), |(i, j)| (i * 3 + j) as f32);
        let _ = partial.observe(Shard::new(rows.view(), 0).expect("plain rows"));
    }
}
