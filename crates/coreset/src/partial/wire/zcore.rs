use arrow_array::RecordBatch;
use arrow_array::types::{Float32Type, Float64Type, UInt32Type};
use serde::{Deserialize, Serialize};

use super::fields::{Reader, Writer};
use super::{Wire, header};
use crate::closest::by_distance;
use crate::draws::Draw;
use crate::partial::zcore::{Run, Winner};
use crate::partial::{RowsSeen, ZCoreNeighbours, ZCoreWinners};
use crate::{Result, ZCoreParams};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    params: ZCoreParams,
    rows: RowsSeen,
    seen: RowsSeen,
    n_scored: u32,
    n_columns: usize,
    first_draw: u64,
}

impl Header {
    fn new(run: &Run, seen: RowsSeen) -> Self {
        let Run { params, rows, n_scored, n_columns, first_draw } = run.clone();
        Self { params, rows, seen, n_scored, n_columns, first_draw }
    }

    fn read(reader: &Reader<'_>, batch: &RecordBatch) -> Result<(Run, RowsSeen)> {
        let Self { params, rows, seen, n_scored, n_columns, first_draw } = header::read(reader.kind, batch)?;
        params.check()?;
        rows.and(RowsSeen::default())?;
        seen.and(RowsSeen::default())?;
        if u64::from(n_scored) > rows.n_rows {
            return Err(reader.at_fault("n_scored", 0, "at most as many as rows").into());
        }
        Ok((Run { params, rows, n_scored, n_columns, first_draw }, seen))
    }
}

/// One row for each draw: its columns and point, and the closest row so far with its distance and place.
impl Wire for ZCoreWinners {
    const KIND: &'static str = "zcore winners";

    fn to_batch(&self) -> Result<RecordBatch> {
        let winners = || self.winners.iter().map(Option::as_ref);
        Writer::new(Self::KIND)
            .lists::<UInt32Type>("dims", self.draws.iter().map(dims))
            .lists::<Float64Type>("point", self.draws.iter().map(|d| d.iter().map(|p| p.1).collect()))
            .numbers::<UInt32Type>("row", winners().map(|w| w.map(|w| w.row)))
            .numbers::<Float64Type>("distance", winners().map(|w| w.map(|w| w.distance)))
            .lists::<Float32Type>("at", winners().map(|w| w.map_or(Vec::new(), |w| w.at.clone())))
            .batch(&Header::new(&self.run, self.seen))
    }

    fn from_batch(batch: &RecordBatch) -> Result<Self> {
        let reader = Reader::new(Self::KIND, batch);
        let (run, seen) = Header::read(&reader, batch)?;
        let draws = draws(&reader, "point", reader.lists::<Float64Type>("point")?, run.n_columns)?;
        let (rows, distances) =
            (reader.numbers::<UInt32Type>("row")?, reader.numbers::<Float64Type>("distance")?);
        let places = reader.lists::<Float32Type>("at")?;
        let found = rows.into_iter().zip(distances).zip(places).enumerate();
        let winners = found.map(|(i, found)| match found {
            ((None, None), at) if at.is_empty() => Ok(None),
            ((Some(row), Some(distance)), at)
                if u64::from(row) < run.rows.n_rows
                    && (0.0..f64::INFINITY).contains(&distance)
                    && at.len() == draws[i].len()
                    && at.iter().all(|v| v.is_finite()) =>
            {
                Ok(Some(Winner { distance, row, at }))
            }
            _ => Err(reader.at_fault("row", i, "a row with its distance and place, or none").into()),
        });
        let winners = winners.collect::<Result<_>>()?;
        Ok(Self { run, seen, draws, winners })
    }
}

/// One row for each draw: its winner with columns and place, and the closest rows so far with their distances.
impl Wire for ZCoreNeighbours {
    const KIND: &'static str = "zcore neighbours";

    fn to_batch(&self) -> Result<RecordBatch> {
        let lists = || self.nearest.iter();
        // Places are coordinates of rows, so they are f32 numbers.
        let place = |point: &Draw| point.iter().map(|p| p.1 as f32).collect();
        Writer::new(Self::KIND)
            .numbers::<UInt32Type>("winner", self.winners.iter().copied())
            .lists::<UInt32Type>("dims", self.points.iter().map(dims))
            .lists::<Float32Type>("at", self.points.iter().map(place))
            .lists::<UInt32Type>("row", lists().map(|l| l.iter().map(|n| n.1).collect()))
            .lists::<Float64Type>("distance", lists().map(|l| l.iter().map(|n| n.0).collect()))
            .batch(&Header::new(&self.run, self.seen))
    }

    fn from_batch(batch: &RecordBatch) -> Result<Self> {
        let reader = Reader::new(Self::KIND, batch);
        let (run, seen) = Header::read(&reader, batch)?;
        let winners = reader.numbers::<UInt32Type>("winner")?;
        let exists = |row: u32| u64::from(row) < run.rows.n_rows;
        if let Some(entry) = winners.iter().position(|w| w.is_some_and(|w| !exists(w))) {
            return Err(reader.at_fault("winner", entry, "a row of the run").into());
        }
        let places = reader.lists::<Float32Type>("at")?.into_iter();
        let places = places.map(|at| at.into_iter().map(f64::from).collect()).collect();
        let points = draws(&reader, "at", places, run.n_columns)?;
        let (rows, distances) =
            (reader.lists::<UInt32Type>("row")?, reader.lists::<Float64Type>("distance")?);
        let mut partial = Self { run, seen, winners, points, nearest: Vec::with_capacity(reader.n_rows()) };
        for (entry, (rows, distances)) in rows.into_iter().zip(distances).enumerate() {
            let list: Vec<(f64, u32)> = distances.iter().copied().zip(rows.iter().copied()).collect();
            let fits = rows.len() == distances.len()
                && list.len() <= partial.k()
                && rows.iter().all(|row| u64::from(*row) < partial.run.rows.n_rows)
                && distances.iter().all(|d| (0.0..f64::INFINITY).contains(d))
                && list.is_sorted_by(|a, b| by_distance(a, b).is_le());
            if !fits {
                return Err(reader.at_fault("distance", entry, "at most k distances, closest first").into());
            }
            partial.nearest.push(list);
        }
        Ok(partial)
    }
}

fn dims(draw: &Draw) -> Vec<u32> {
    draw.iter().map(|(column, _)| *column as u32).collect()
}

/// Columns and points of draws.
fn draws(
    reader: &Reader<'_>,
    field: &'static str,
    points: Vec<Vec<f64>>,
    n_columns: usize,
) -> Result<Vec<Draw>> {
    let all = reader.lists::<UInt32Type>("dims")?;
    let n_dims = all.first().map_or(0, Vec::len);
    let pairs = all.into_iter().zip(points).enumerate();
    pairs
        .map(|(i, (dims, point))| {
            if dims.len() != n_dims {
                return Err(reader.at_fault("dims", i, "as many columns as in the first draw").into());
            }
            if dims.iter().any(|c| *c as usize >= n_columns) {
                return Err(reader.at_fault("dims", i, "columns of the run").into());
            }
            if dims.len() != point.len() || !point.iter().all(|p| p.is_finite()) {
                return Err(reader.at_fault(field, i, "a finite number for each column").into());
            }
            Ok(dims.into_iter().map(|c| c as usize).zip(point).collect())
        })
        .collect()
}
