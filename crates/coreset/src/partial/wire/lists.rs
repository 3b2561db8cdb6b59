use arrow_array::RecordBatch;
use arrow_array::types::{Float32Type, Float64Type, UInt32Type};
use labelloop_index::Metric;
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::fields::{Reader, Writer};
use super::{Wire, header};
use crate::Result;
use crate::partial::greedi::Chosen;
use crate::partial::neighbours::by_closeness;
use crate::partial::top::by_score;
use crate::partial::{Greedi, GreediParams, NeighbourLists, TopRows};

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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GreediHeader {
    params: GreediParams,
    n_columns: usize,
    n_rows: u32,
}

/// One row for each part, and one without a part for the labelled rows.
impl Wire for Greedi {
    const KIND: &'static str = "greedi";

    fn to_batch(&self) -> Result<RecordBatch> {
        let labelled: Vec<f32> = self.labelled.iter().copied().collect();
        let parts = || self.parts.iter();
        Writer::new(Self::KIND)
            .numbers::<UInt32Type>("part", std::iter::once(None).chain(parts().map(|(part, _)| Some(*part))))
            .numbers::<UInt32Type>(
                "n_rows",
                std::iter::once(None).chain(parts().map(|(_, c)| Some(c.n_rows))),
            )
            .lists::<UInt32Type>(
                "row",
                std::iter::once(Vec::new()).chain(parts().map(|(_, c)| c.rows.clone())),
            )
            .lists::<Float32Type>(
                "values",
                std::iter::once(labelled).chain(parts().map(|(_, c)| c.values.clone())),
            )
            .batch(&GreediHeader {
                params: self.params.clone(),
                n_columns: self.n_columns,
                n_rows: self.n_rows,
            })
    }

    fn from_batch(batch: &RecordBatch) -> Result<Self> {
        let GreediHeader { params, n_columns, n_rows } = header::read(Self::KIND, batch)?;
        let reader = Reader::new(Self::KIND, batch);
        let (parts, counts) =
            (reader.numbers::<UInt32Type>("part")?, reader.numbers::<UInt32Type>("n_rows")?);
        let (rows, values) = (reader.lists::<UInt32Type>("row")?, reader.lists::<Float32Type>("values")?);
        if let Some(entry) = values.iter().position(|list| list.iter().any(|v| !v.is_finite())) {
            return Err(reader.at_fault("values", entry, "finite numbers").into());
        }
        let mut found = parts.into_iter().zip(counts).zip(rows.into_iter().zip(values)).enumerate();
        let labelled = match found.next() {
            Some((_, ((None, None), (rows, labelled)))) if rows.is_empty() => labelled,
            _ => return Err(reader.at_fault("part", 0, "the labelled rows, which are in no part").into()),
        };
        let shape = (labelled.len().checked_div(n_columns).unwrap_or(0), n_columns);
        let labelled = Array2::from_shape_vec(shape, labelled);
        let labelled = labelled.map_err(|_| reader.at_fault("values", 0, "whole rows"))?;
        let mut partial = params.start_given(n_columns, n_rows, labelled.view())?;
        for (entry, ((part, count), (rows, values))) in found {
            let (Some(part), Some(count)) = (part, count) else {
                return Err(reader.at_fault("part", entry, "a part and how many rows it has").into());
            };
            let fits = part < params.n_parts
                && rows.len() <= params.k.min(count as usize)
                && Some(values.len()) == rows.len().checked_mul(n_columns)
                && rows.iter().all(|row| *row < n_rows && params.part_of(*row) == part);
            let chosen = Chosen { n_rows: count, rows, values };
            if !fits || partial.parts.insert(part, chosen).is_some() {
                return Err(reader.at_fault("row", entry, "rows of the part with their values").into());
            }
        }
        Ok(partial)
    }
}
