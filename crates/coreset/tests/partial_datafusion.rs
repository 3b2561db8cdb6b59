//! DataFusion computes partials of a table's partitions, and merges them to the bits of one process.

#![cfg(feature = "datafusion")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end at the first surprise")]

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray, FixedSizeListArray, Int64Array, LargeListArray, ListArray, RecordBatch, UInt32Array,
};
use datafusion::arrow::datatypes::Float32Type;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::prelude::{SessionConfig, SessionContext};
use labelloop_core::{Seed, Silent};
use labelloop_coreset::partial::datafusion::{aggregate, round, score};
use labelloop_coreset::partial::wire::Wire;
use labelloop_coreset::partial::{ColumnCounts, NeighbourLists, Partial, Shard, ZCoreWinners, over};
use labelloop_coreset::{CoresetError, Metric, ZCoreParams, ZCoreScores};
use ndarray::{Array2, Axis};

fn rows(n: usize, d: usize) -> Array2<f32> {
    let s = Seed::new(11);
    Array2::from_shape_fn((n, d), |(i, j)| (s.normal((i * d + j) as u64) * 4.0).round() as f32 / 4.0)
}

#[derive(Clone, Copy)]
enum Kind {
    Fixed,
    List,
    LargeList,
}

fn batch(all: &Array2<f32>, ids: &[u32], kind: Kind) -> RecordBatch {
    let vectors =
        || ids.iter().map(|i| Some(all.row(*i as usize).to_vec().into_iter().map(Some).collect::<Vec<_>>()));
    let vectors: ArrayRef = match kind {
        Kind::Fixed => {
            let d = all.ncols() as i32;
            Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(vectors(), d))
        }
        Kind::List => Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(vectors())),
        Kind::LargeList => Arc::new(LargeListArray::from_iter_primitive::<Float32Type, _, _>(vectors())),
    };
    let ids: ArrayRef = match kind {
        Kind::Fixed => Arc::new(UInt32Array::from(ids.to_vec())),
        _ => Arc::new(Int64Array::from(ids.iter().map(|i| i64::from(*i)).collect::<Vec<_>>())),
    };
    RecordBatch::try_from_iter_with_nullable([("id", ids, true), ("embedding", vectors, true)]).unwrap()
}

/// A table of that many partitions, rows dealt to them at random, several batches in each.
fn context(all: &Array2<f32>, n_partitions: usize, kind: Kind) -> SessionContext {
    let order = Seed::new(n_partitions as u64).permutation(all.nrows());
    let mut partitions = vec![Vec::new(); n_partitions];
    for (i, ids) in order.chunks(17).enumerate() {
        let ids: Vec<u32> = ids.iter().map(|i| *i as u32).collect();
        partitions[i % n_partitions].push(batch(all, &ids, kind));
    }
    let table = MemTable::try_new(batch(all, &[], kind).schema(), partitions).unwrap();
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(4));
    context.register_table("pool", Arc::new(table)).unwrap();
    context
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap().block_on(future)
}

fn bits(scores: &ZCoreScores) -> Vec<u64> {
    scores.raw.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn scores_are_those_of_one_process_for_any_partitions_and_lists() {
    let all = rows(300, 6);
    let params = ZCoreParams { n_draws: 200, n_neighbours: 9, ..Default::default() };
    let whole = params.score(all.view()).unwrap();
    for (n_partitions, kind) in [(1, Kind::Fixed), (2, Kind::List), (7, Kind::LargeList), (7, Kind::Fixed)] {
        let context = context(&all, n_partitions, kind);
        let scores = wait(async {
            let pool = context.table("pool").await.unwrap();
            score(&pool, 6, &params.check().unwrap(), 0).await.unwrap()
        });
        assert_eq!(bits(&scores), bits(&whole), "{n_partitions} partitions");
    }
}

#[test]
fn labelled_rows_are_the_last_numbers() {
    let all = rows(120, 3);
    let params = ZCoreParams { n_draws: 150, ..Default::default() }.check().unwrap();
    let (candidates, labelled) = all.view().split_at(Axis(0), 100);
    let whole = params.score_given(candidates, labelled, &Silent).unwrap();
    let context = context(&all, 3, Kind::Fixed);
    let scores = wait(async { score(&context.table("pool").await.unwrap(), 3, &params, 20).await.unwrap() });
    assert_eq!(bits(&scores), bits(&whole));
}

#[test]
fn rounds_are_functions_of_sql() {
    let all = rows(200, 4);
    let shards = [Shard::new(all.view(), 0).unwrap()];
    let mut table = over(&ColumnCounts::new(4), &shards).unwrap();
    while let Some(next) = table.next_round().unwrap() {
        table = over(&next, &shards).unwrap();
    }
    let params = ZCoreParams { n_draws: 40, ..Default::default() }.check().unwrap();
    let winners = ZCoreWinners::new(&params, &table.finish().unwrap(), 0).unwrap();
    let context = context(&all, 5, Kind::List);
    context.register_udaf(aggregate("zcore_partial", &winners).unwrap());
    context.register_udaf(aggregate("column_counts", &ColumnCounts::new(4)).unwrap());
    let answer = wait(async {
        let query = "SELECT zcore_partial(id, embedding), column_counts(id, embedding) FROM pool";
        context.sql(query).await.unwrap().collect().await.unwrap()
    });
    let bytes = |j: usize| answer[0].column(j).as_binary::<i64>().value(0).to_vec();
    assert_eq!(ZCoreWinners::from_bytes(&bytes(0)).unwrap(), over(&winners, &shards).unwrap());
    assert_eq!(ColumnCounts::from_bytes(&bytes(1)).unwrap(), over(&ColumnCounts::new(4), &shards).unwrap());
}

#[test]
fn groups_have_partials_of_their_own() {
    let all = rows(90, 2);
    let context = context(&all, 3, Kind::Fixed);
    context.register_udaf(aggregate("column_counts", &ColumnCounts::new(2)).unwrap());
    let answer = wait(async {
        let query = "SELECT column_counts(id, embedding) FROM pool GROUP BY id % 2 = 0";
        context.sql(query).await.unwrap().collect().await.unwrap()
    });
    let merged = answer.iter().flat_map(|batch| batch.column(0).as_binary::<i64>().iter().flatten()).fold(
        ColumnCounts::new(2),
        |mut merged, bytes| {
            merged.merge(ColumnCounts::from_bytes(bytes).unwrap()).unwrap();
            merged
        },
    );
    assert_eq!(merged, over(&ColumnCounts::new(2), &[Shard::new(all.view(), 0).unwrap()]).unwrap());
}

#[test]
fn neighbours_of_a_table_are_those_of_one_process() {
    let (all, queries) = (rows(150, 5), rows(4, 5).mapv(|v| v + 0.3));
    let order = NeighbourLists::new(queries.view(), 7, Metric::L2).unwrap();
    let context = context(&all, 7, Kind::List);
    let lists = wait(async { round(&context.table("pool").await.unwrap(), &order).await.unwrap() });
    assert_eq!(lists, over(&order, &[Shard::new(all.view(), 0).unwrap()]).unwrap());
}

#[test]
fn an_empty_table_has_no_scores() {
    let context = context(&rows(0, 2), 2, Kind::Fixed);
    let params = ZCoreParams::default().check().unwrap();
    let scores = wait(async { score(&context.table("pool").await.unwrap(), 2, &params, 0).await.unwrap() });
    assert!(scores.raw.is_empty());
}

fn failure(all: &RecordBatch, n_columns: usize) -> DataFusionError {
    let context = SessionContext::new();
    context.register_batch("pool", all.clone()).unwrap();
    wait(async {
        let pool = context.table("pool").await.unwrap();
        match round(&pool, &ColumnCounts::new(n_columns)).await {
            Ok(_) => panic!("expected an error"),
            Err(error) => error,
        }
    })
}

#[test]
fn bad_tables_are_typed_errors() {
    let all = rows(3, 2);
    let good = batch(&all, &[0, 1, 2], Kind::List);
    let cause = |error: DataFusionError| match error.find_root() {
        DataFusionError::External(cause) => cause.downcast_ref::<CoresetError>().cloned().unwrap(),
        other => panic!("{other}"),
    };
    assert!(matches!(
        cause(failure(&good, 3)),
        CoresetError::DimensionMismatch { found: 2, expected: 3, .. }
    ));
    let mut nan = all.clone();
    nan[[1, 0]] = f32::NAN;
    assert!(matches!(
        cause(failure(&batch(&nan, &[0, 1, 2], Kind::Fixed), 2)),
        CoresetError::NotFinite { row: 1, column: 0, .. }
    ));
    let with_ids = |ids: ArrayRef| {
        RecordBatch::try_from_iter_with_nullable([
            ("id", ids, true),
            ("embedding", good.column(1).clone(), true),
        ])
        .unwrap()
    };
    let negative: ArrayRef = Arc::new(Int64Array::from(vec![0, -1, 2]));
    assert!(failure(&with_ids(negative), 2).to_string().contains("no number from 0"));
    let large: ArrayRef = Arc::new(Int64Array::from(vec![0, i64::from(u32::MAX), 2]));
    assert!(matches!(cause(failure(&with_ids(large), 2)), CoresetError::Partial(_)));
    let words: ArrayRef = Arc::new(datafusion::arrow::array::StringArray::from(vec!["a", "b", "c"]));
    assert!(failure(&with_ids(words), 2).to_string().contains("takes an integer and a list of Float32"));
}
