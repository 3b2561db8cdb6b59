//! Partials travel as Arrow tables and as bytes without losing a bit, and damaged ones are refused.

#![cfg(feature = "arrow")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end at the first surprise")]
#![allow(
    clippy::needless_pass_by_value,
    reason = "array views are handed over by value, which is their idiom"
)]

use std::fmt::Debug;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::Schema;
use labelloop_core::Seed;
use labelloop_coreset::partial::wire::{METADATA_KEY, Wire, kind_of};
use labelloop_coreset::partial::{
    ColumnCounts, Greedi, GreediParams, NeighbourLists, Partial, PartialError, Shard, TopRows,
    ZCoreNeighbours, ZCoreWinners, over,
};
use labelloop_coreset::select::SelectParams;
use labelloop_coreset::{CoresetError, Metric, ZCoreParams};
use ndarray::Array2;
use proptest::prelude::*;

fn rows(seed: u64, n: usize, d: usize) -> Array2<f32> {
    let s = Seed::new(seed);
    Array2::from_shape_fn((n, d), |(i, j)| s.normal((i * d + j) as u64) as f32)
}

fn survives<P: Wire + PartialEq + Debug>(partial: &P) {
    assert_eq!(&P::from_batch(&partial.to_batch().unwrap()).unwrap(), partial);
    let bytes = partial.to_bytes().unwrap();
    assert_eq!(bytes, partial.to_bytes().unwrap());
    assert_eq!(&P::from_bytes(&bytes).unwrap(), partial);
    assert_eq!(kind_of(&bytes).unwrap(), P::KIND);
}

/// All partials of one run, before and after they have seen rows.
struct All {
    counts: Vec<ColumnCounts>,
    winners: Vec<ZCoreWinners>,
    neighbours: Vec<ZCoreNeighbours>,
    lists: Vec<NeighbourLists>,
    top: Vec<TopRows>,
    greedi: Vec<Greedi>,
}

fn all(seed: u64, n: usize, d: usize) -> All {
    let whole = rows(seed, n, d);
    let shards = [Shard::new(whole.view(), 0).unwrap()];
    let mut counts = vec![ColumnCounts::new(d)];
    while let Some(round) = counts.last().cloned() {
        let seen = over(&round, &shards).unwrap();
        let next = seen.next_round().unwrap();
        counts.push(seen);
        match next {
            Some(next) => counts.push(next),
            None => break,
        }
    }
    let table = counts.last().unwrap().clone().finish().unwrap();
    let params = ZCoreParams { n_draws: 9, n_neighbours: 4, seed, ..Default::default() }.check().unwrap();
    let before = ZCoreWinners::new(&params, &table, 0).unwrap();
    let winners = vec![before.clone(), over(&before, &shards).unwrap()];
    let before = winners[1].clone().finish().unwrap();
    let neighbours = vec![before.clone(), over(&before, &shards).unwrap()];
    let before = NeighbourLists::new(rows(seed ^ 1, 3, d).view(), 2, Metric::Dot).unwrap();
    let lists = vec![before.clone(), over(&before, &shards).unwrap()];
    let mut top = TopRows::new(3);
    top.observe((&[5, 1, 2, 9], &[0.1, f64::INFINITY, -0.0, 0.0])).unwrap();
    let params = GreediParams { n_parts: 3, ..GreediParams::new(SelectParams::default(), 4) };
    let before = params.start_given(d, n as u32, rows(seed ^ 2, 2, d).view()).unwrap();
    let greedi = vec![params.start(d, n as u32).unwrap(), before.clone(), over(&before, &shards).unwrap()];
    All { counts, winners, neighbours, lists, top: vec![TopRows::new(0), top], greedi }
}

proptest! {
    #[test]
    fn every_partial_survives_the_journey(seed: u64, n in 0usize..30, d in 1usize..6) {
        let all = all(seed, n, d);
        all.counts.iter().for_each(survives);
        all.winners.iter().for_each(survives);
        all.neighbours.iter().for_each(survives);
        all.lists.iter().for_each(survives);
        all.top.iter().for_each(survives);
        all.greedi.iter().for_each(survives);
    }

    #[test]
    fn any_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(ColumnCounts::from_bytes(&bytes).is_err());
        prop_assert!(ZCoreWinners::from_bytes(&bytes).is_err());
        prop_assert!(kind_of(&bytes).is_err());
    }

    #[test]
    fn scores_do_not_care_for_the_journey(seed: u64, n in 1usize..40, cut in 0usize..40) {
        let whole = rows(seed, n, 3);
        let (head, tail) = whole.view().split_at(ndarray::Axis(0), cut.min(n));
        let shards = [Shard::new(head, 0).unwrap(), Shard::new(tail, cut.min(n) as u32).unwrap()];
        let params = ZCoreParams { n_draws: 30, n_neighbours: 5, seed, ..Default::default() };
        let mut counts = ColumnCounts::new(3);
        let table = loop {
            counts = sent(&counts, &shards);
            match counts.next_round().unwrap() {
                Some(next) => counts = next,
                None => break counts.finish().unwrap(),
            }
        };
        let round = ZCoreWinners::new(&params.check().unwrap(), &table, 0).unwrap();
        let scores = sent(&sent(&round, &shards).finish().unwrap(), &shards).finish().unwrap();
        prop_assert_eq!(scores, params.score(whole.view()).unwrap());
    }
}

/// One round in which orders and answers travel as bytes.
fn sent<'a, P: Wire + Partial<Input<'a> = Shard<'a>>>(round: &P, shards: &[Shard<'a>]) -> P {
    let order = round.to_bytes().unwrap();
    let mut merged = P::from_bytes(&order).unwrap();
    for shard in shards.iter().rev() {
        let mut one = P::from_bytes(&order).unwrap();
        one.observe(*shard).unwrap();
        merged.merge(P::from_bytes(&one.to_bytes().unwrap()).unwrap()).unwrap();
    }
    merged
}

#[test]
fn counters_at_zero_do_not_travel() {
    let whole = rows(1, 2000, 64);
    let first = over(&ColumnCounts::new(64), &[Shard::new(whole.view(), 0).unwrap()]).unwrap();
    let bytes = first.to_bytes().unwrap().len();
    assert!(bytes < 64 * 2048 * 4 / 10, "{bytes} bytes");
}

fn reason(error: CoresetError) -> PartialError {
    match error {
        CoresetError::Partial(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn other_kinds_and_versions_are_refused_by_name() {
    let top = TopRows::new(1);
    let e = ColumnCounts::from_bytes(&top.to_bytes().unwrap()).unwrap_err();
    assert_eq!(e.to_string(), "a partial of column counts cannot be read: it is one of top rows");
    let later = with_metadata(&top.to_batch().unwrap(), |text| {
        text.replace("\"version\":\"1\"", "\"version\":\"2\"")
    });
    let e = reason(TopRows::from_batch(&later).unwrap_err());
    assert_eq!(e, PartialError::Version { kind: "top rows", found: "2".to_owned(), expected: "1" });
    let bare = with_metadata(&top.to_batch().unwrap(), |_| "{".to_owned());
    assert!(matches!(reason(TopRows::from_batch(&bare).unwrap_err()), PartialError::Unreadable { .. }));
}

fn with_metadata(batch: &RecordBatch, change: impl Fn(&str) -> String) -> RecordBatch {
    let mut metadata = batch.schema_ref().metadata().clone();
    let text = change(&metadata[METADATA_KEY]);
    metadata.insert(METADATA_KEY.to_owned(), text);
    let schema = Schema::new_with_metadata(batch.schema_ref().fields().clone(), metadata);
    batch.clone().with_schema(Arc::new(schema)).unwrap_or_else(|_| {
        RecordBatch::try_new(
            Arc::new(Schema::new_with_metadata(
                batch.schema_ref().fields().clone(),
                std::collections::HashMap::from([(
                    METADATA_KEY.to_owned(),
                    change(&batch.schema_ref().metadata()[METADATA_KEY]),
                )]),
            )),
            batch.columns().to_vec(),
        )
        .unwrap()
    })
}

/// The batch with one column taken from elsewhere.
fn with_column(batch: &RecordBatch, name: &str, column: ArrayRef) -> RecordBatch {
    let at = batch.schema_ref().index_of(name).unwrap();
    let mut columns = batch.columns().to_vec();
    let mut fields: Vec<_> = batch.schema_ref().fields().iter().map(|f| f.as_ref().clone()).collect();
    fields[at] = fields[at].clone().with_data_type(column.data_type().clone());
    columns[at] = column;
    let schema = Schema::new_with_metadata(fields, batch.schema_ref().metadata().clone());
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

#[test]
fn columns_that_are_missing_or_of_another_type_are_named() {
    let mut top = TopRows::new(2);
    top.observe((&[1, 2], &[0.5, 0.25])).unwrap();
    let batch = top.to_batch().unwrap();
    let e = TopRows::from_batch(&batch.project(&[0]).unwrap()).unwrap_err();
    assert_eq!(e.to_string(), "a partial of top rows cannot be read: it has no column score");
    let other: ArrayRef = Arc::new(UInt32Array::from(vec![1, 2]));
    let e = TopRows::from_batch(&with_column(&batch, "score", other)).unwrap_err();
    assert!(e.to_string().ends_with("column score has another type: expected Float64"), "{e}");
    let gap: ArrayRef = Arc::new(UInt32Array::from(vec![Some(1), None]));
    let e = reason(TopRows::from_batch(&with_column(&batch, "row", gap)).unwrap_err());
    assert!(matches!(e, PartialError::Field { field: "row", entry: 1, .. }), "{e}");
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    let all = all(7, 20, 3);
    let batch = all.winners[1].to_batch().unwrap();
    let beyond: ArrayRef = Arc::new(UInt32Array::from(vec![20; batch.num_rows()]));
    let e = reason(ZCoreWinners::from_batch(&with_column(&batch, "row", beyond)).unwrap_err());
    assert!(matches!(e, PartialError::Field { field: "row", entry: 0, .. }), "{e}");

    let batch = all.counts[3].to_batch().unwrap();
    let prefix: ArrayRef = Arc::new(UInt32Array::from(vec![u32::MAX; 3]));
    let e = reason(ColumnCounts::from_batch(&with_column(&batch, "lower_prefix", prefix)).unwrap_err());
    assert!(matches!(e, PartialError::Field { field: "lower_prefix", .. }), "{e}");

    let batch = all.neighbours[1].to_batch().unwrap();
    let rows = batch.column_by_name("row").unwrap();
    let shifted = rows.slice(1, rows.len() - 1);
    let short = RecordBatch::try_new(
        batch.schema(),
        batch.columns().iter().map(|c| c.slice(0, c.len() - 1)).collect(),
    )
    .unwrap();
    // Rows of one draw under the distances of another have the same length here, so only draws are cut off: both are read.
    assert!(ZCoreNeighbours::from_batch(&with_column(&short, "row", shifted)).is_ok());
    let fewer = with_metadata(&batch, |text| text.replace("\"n_neighbours\":4", "\"n_neighbours\":3"));
    let e = reason(ZCoreNeighbours::from_batch(&fewer).unwrap_err());
    assert!(matches!(e, PartialError::Field { field: "distance", entry: 0, .. }), "{e}");
    let none = with_metadata(&batch, |text| text.replace("\"n_neighbours\":4", "\"n_neighbours\":0"));
    assert!(matches!(ZCoreNeighbours::from_batch(&none), Err(CoresetError::Param(_))));
}
