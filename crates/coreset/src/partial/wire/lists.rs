use arrow_array::RecordBatch;
use arrow_array::types::{Float32Type, Float64Type, UInt32Type};
use labelloop_index::Metric;
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::fields::{Reader, Writer};
use super::{Wire, header};
use crate::Result;
use crate::partial::neighbours::by_closeness;
use crate::partial::top::by_score;
use crate::partial::{NeighbourLists, TopRows};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TopHeader {
    k: usize,
}

/// One row for each row kept, best first.
impl Wire for TopRows {
    const KIND: &'static str = "top rows";

    fn to_batch(&self) -> Result<RecordBatch> {
        Writer::new(Self::KIND)
            .numbers::<UInt32Type>("row", self.best.iter().map(|b| Some(b.0)))
            .numbers::<Float64Type>("score", self.best.iter().map(|b| Some(b.1)))
            .batch(&TopHeader { k: self.k })
    }

    fn from_batch(batch: &RecordBatch) -> Result<Self> {
        let TopHeader { k } = header::read(Self::KIND, batch)?;
        let reader = Reader::new(Self::KIND, batch);
        let rows = reader.all_numbers::<UInt32Type>("row")?;
        let scores = reader.all_numbers::<Float64Type>("score")?;
        if let Some(entry) = scores.iter().position(|s| s.is_nan()) {
            return Err(reader.at_fault("score", entry, "a number").into());
        }
        let best: Vec<(u32, f64)> = rows.into_iter().zip(scores).collect();
        if best.len() > k || !best.is_sorted_by(|a, b| by_score(a, b).is_le()) {
            return Err(reader.at_fault("score", 0, "at most k scores in descending order").into());
        }
        Ok(Self { k, best })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListsHeader {
    metric: Metric,
    k: usize,
    n_dims: usize,
}

/// One row for each query.
impl Wire for NeighbourLists {
    const KIND: &'static str = "neighbour lists";

    fn to_batch(&self) -> Result<RecordBatch> {
        let lists = || self.lists.iter();
        Writer::new(Self::KIND)
            .lists::<Float32Type>("query", self.queries.rows().into_iter().map(|q| q.to_vec()))
            .lists::<UInt32Type>("row", lists().map(|l| l.iter().map(|n| n.0).collect()))
            .lists::<Float64Type>("score", lists().map(|l| l.iter().map(|n| n.1).collect()))
            .batch(&ListsHeader { metric: self.metric, k: self.k, n_dims: self.queries.ncols() })
    }

    fn from_batch(batch: &RecordBatch) -> Result<Self> {
        let ListsHeader { metric, k, n_dims } = header::read(Self::KIND, batch)?;
        let reader = Reader::new(Self::KIND, batch);
        let queries = reader.lists::<Float32Type>("query")?;
        if let Some(entry) = queries.iter().position(|q| q.len() != n_dims) {
            return Err(reader.at_fault("query", entry, "as many numbers as dimensions").into());
        }
        let queries = Array2::from_shape_vec((queries.len(), n_dims), queries.concat())
            .map_err(|_| reader.at_fault("query", 0, "as many numbers as dimensions"))?;
        let mut partial = Self::new(queries.view(), k, metric)?;
        let (rows, scores) = (reader.lists::<UInt32Type>("row")?, reader.lists::<Float64Type>("score")?);
        for (entry, (rows, scores)) in rows.into_iter().zip(scores).enumerate() {
            let list: Vec<(u32, f64)> = rows.iter().copied().zip(scores.iter().copied()).collect();
            let fits = rows.len() == scores.len()
                && list.len() <= k
                && !scores.iter().any(|s| s.is_nan())
                && list.is_sorted_by(|a, b| by_closeness(metric, a, b).is_le());
            if !fits {
                return Err(reader.at_fault("score", entry, "at most k scores, closest first").into());
            }
            partial.lists[entry] = list;
        }
        Ok(partial)
    }
}
