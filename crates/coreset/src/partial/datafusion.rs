//! Partials as aggregate functions of DataFusion (feature `datafusion`).
//!
//! [`aggregate`] makes an aggregate function of a round: `SELECT f(id, embedding) FROM t` reads row numbers (any integers) and
//! vectors (lists of `Float32`, of fixed size or not) and gives the bytes of the merged partial. DataFusion computes one state
//! for each partition of the table and merges them in whatever order they finish in; the bits are the same. [`round`] does a
//! round over a data frame, [`score`] all five rounds of ZCore.
//!
//! ```
//! use std::sync::Arc;
//!
//! use datafusion::arrow::array::{FixedSizeListArray, Int64Array, RecordBatch};
//! use datafusion::arrow::datatypes::Float32Type;
//! use datafusion::prelude::SessionContext;
//! use labelloop_coreset::ZCoreParams;
//! use labelloop_coreset::partial::datafusion::score;
//! use ndarray::array;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let vectors = [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]].map(|v| Some(v.map(Some)));
//! let vectors = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(vectors, 2);
//! let ids = Int64Array::from(vec![0, 1, 2]);
//! let table = RecordBatch::try_from_iter([("id", Arc::new(ids) as _), ("embedding", Arc::new(vectors) as _)])?;
//! let context = SessionContext::new();
//! context.register_batch("pool", table)?;
//!
//! let params = ZCoreParams { n_draws: 200, ..Default::default() };
//! let scores = score(&context.table("pool").await?, 2, &params.check()?, 0).await?;
//! assert_eq!(scores, params.score(array![[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]].view())?);
//! # Ok(())
//! # }
//! ```

use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, UInt64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float32Type, UInt64Type};
use datafusion::dataframe::DataFrame;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use datafusion::prelude::col;
use datafusion::scalar::ScalarValue;
use ndarray::ArrayView2;

use super::wire::Wire;
use super::{ColumnCounts, Partial, PartialError, Shard, ZCoreWinners};
use crate::{CoresetError, ZCoreScores, ZCoreValidParams};

/// Rows gathered before a partial looks at them: searching few rows for many draws at a time would cost more.
const GATHERED: usize = 32_768;

/// A partial that looks at shards and travels: each one of this crate but [`TopRows`](super::TopRows).
pub trait ShardPartial:
    Wire + for<'a> Partial<Input<'a> = Shard<'a>> + Clone + Debug + Send + Sync + 'static
{
}

impl<P> ShardPartial for P where
    P: Wire + for<'a> Partial<Input<'a> = Shard<'a>> + Clone + Debug + Send + Sync + 'static
{
}

/// A round as an aggregate function `name(id, embedding)` that gives the merged partial's bytes, for [`Wire::from_bytes`].
///
/// # Errors
/// Those of [`Wire::to_bytes`].
pub fn aggregate<P: ShardPartial>(name: &str, order: &P) -> crate::Result<AggregateUDF> {
    let bytes = order.to_bytes()?;
    let signature = Signature::any(2, Volatility::Immutable);
    Ok(AggregateUDF::from(Round { name: name.to_owned(), order: order.clone(), bytes, signature }))
}

/// One round over all rows of a data frame with columns `id` and `embedding`.
///
/// # Errors
/// What DataFusion reports; errors of this crate come as [`DataFusionError::External`].
pub async fn round<P: ShardPartial>(rows: &DataFrame, order: &P) -> Result<P> {
    let call = aggregate("labelloop_round", order).map_err(external)?.call(vec![col("id"), col("embedding")]);
    let answer = rows.clone().aggregate(Vec::new(), vec![call.alias("partial")])?.collect().await?;
    for batch in &answer {
        let column = batch.column_by_name("partial").and_then(|column| column.as_binary_opt::<i64>());
        if let Some(bytes) = column.filter(|column| !column.is_empty()) {
            return P::from_bytes(bytes.value(0)).map_err(external);
        }
    }
    // An aggregate without groups has one row, also over no rows.
    Ok(order.clone())
}

/// ZCore over all rows of a data frame with columns `id`, numbered from 0 without gaps, and `embedding`: the bits of
/// [`ZCoreValidParams::score_given`], where the last `n_labelled` numbers are those of labelled rows.
///
/// # Errors
/// As [`round`].
pub async fn score(
    rows: &DataFrame,
    n_columns: usize,
    params: &ZCoreValidParams,
    n_labelled: u32,
) -> Result<ZCoreScores> {
    let mut counts = ColumnCounts::new(n_columns);
    let table = loop {
        counts = round(rows, &counts).await?;
        match counts.next_round().map_err(external)? {
            Some(next) => counts = next,
            None => break counts.finish().map_err(external)?,
        }
    };
    let winners = ZCoreWinners::new(params, &table, n_labelled).map_err(external)?;
    let neighbours = round(rows, &winners).await?.finish().map_err(external)?;
    round(rows, &neighbours).await?.finish().map_err(external)
}

/// The aggregate function of one round.
#[derive(Debug)]
struct Round<P> {
    name: String,
    order: P,
    bytes: Vec<u8>,
    signature: Signature,
}

impl<P> PartialEq for Round<P> {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.bytes) == (&other.name, &other.bytes)
    }
}

impl<P> Eq for Round<P> {}

impl<P> Hash for Round<P> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.name, &self.bytes).hash(state);
    }
}

impl<P: ShardPartial> AggregateUDFImpl for Round<P> {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, of: &[DataType]) -> Result<DataType> {
        let (ids, vectors) = (of.first(), of.get(1));
        let item = match vectors {
            Some(DataType::FixedSizeList(item, _) | DataType::List(item) | DataType::LargeList(item)) => {
                Some(item.data_type())
            }
            _ => None,
        };
        if ids.is_some_and(DataType::is_integer) && item == Some(&DataType::Float32) {
            return Ok(DataType::LargeBinary);
        }
        Err(DataFusionError::Plan(format!(
            "{} takes an integer and a list of Float32, found {of:?}",
            self.name
        )))
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Gathering {
            partial: self.order.clone(),
            ids: Vec::new(),
            values: Vec::new(),
            n_columns: 0,
        }))
    }
}

/// A partial, and rows that it has not looked at yet.
#[derive(Debug)]
struct Gathering<P> {
    partial: P,
    ids: Vec<u32>,
    values: Vec<f32>,
    n_columns: usize,
}

impl<P: ShardPartial> Gathering<P> {
    fn gather(&mut self, id: u64, vector: &[f32]) -> crate::Result<()> {
        let too_large = PartialError::RowNumber { found: id, expected: u64::from(u32::MAX - 1) };
        let id = u32::try_from(id).map_err(|_| too_large)?;
        if self.ids.len() == GATHERED || (vector.len() != self.n_columns && !self.ids.is_empty()) {
            self.look()?;
        }
        self.n_columns = vector.len();
        self.ids.push(id);
        self.values.extend_from_slice(vector);
        Ok(())
    }

    fn look(&mut self) -> crate::Result<()> {
        let shape = (self.ids.len(), self.n_columns);
        let wrong = CoresetError::LengthMismatch {
            what: "values of gathered rows",
            found: self.values.len(),
            expected: shape.0 * shape.1,
        };
        let rows = ArrayView2::from_shape(shape, &self.values).map_err(|_| wrong)?;
        self.partial.observe(Shard::with_ids(rows, &self.ids)?)?;
        self.ids.clear();
        self.values.clear();
        Ok(())
    }

    fn bytes(&mut self) -> Result<ScalarValue> {
        self.look().map_err(external)?;
        Ok(ScalarValue::LargeBinary(Some(self.partial.to_bytes().map_err(external)?)))
    }
}

impl<P: ShardPartial> Accumulator for Gathering<P> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [ids, vectors] = values else {
            return Err(DataFusionError::Internal(format!("{} arguments, expected 2", values.len())));
        };
        // Numbers that are negative or too large become nulls, which are refused like those that were there.
        let ids = cast(ids, &DataType::UInt64)?;
        let ids: &UInt64Array = ids.as_primitive::<UInt64Type>();
        let vectors = Vectors::of(vectors)?;
        for row in 0..ids.len() {
            let (Some(id), Some(vector)) = (ids.is_valid(row).then(|| ids.value(row)), vectors.get(row))
            else {
                let sentence = format!("row {row} of a batch has no number from 0 or no vector without gaps");
                return Err(DataFusionError::Execution(sentence));
            };
            self.gather(id, vector).map_err(external)?;
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let states = states.first().and_then(|states| states.as_binary_opt::<i64>());
        for bytes in states.into_iter().flatten().flatten() {
            let other = P::from_bytes(bytes).map_err(external)?;
            self.partial.merge(other).map_err(external)?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.bytes()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.bytes()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.ids.capacity() * size_of::<u32>() + self.values.capacity() * size_of::<f32>()
    }
}

/// Vectors of a column, whatever kind of list it is.
struct Vectors {
    lists: ArrayRef,
    values: ArrayRef,
}

impl Vectors {
    fn of(lists: &ArrayRef) -> Result<Self> {
        let values = match lists.data_type() {
            DataType::FixedSizeList(_, _) => lists.as_fixed_size_list().values(),
            DataType::List(_) => lists.as_list::<i32>().values(),
            DataType::LargeList(_) => lists.as_list::<i64>().values(),
            other => return Err(DataFusionError::Plan(format!("expected lists of Float32, found {other}"))),
        };
        Ok(Self { lists: Arc::clone(lists), values: Arc::clone(values) })
    }

    /// A vector without gaps.
    fn get(&self, row: usize) -> Option<&[f32]> {
        let values = self.values.as_primitive_opt::<Float32Type>()?;
        let (start, end) = match self.lists.data_type() {
            DataType::FixedSizeList(_, _) => {
                let list = self.lists.as_fixed_size_list();
                let start = usize::try_from(list.value_offset(row)).ok()?;
                (start, start + usize::try_from(list.value_length()).ok()?)
            }
            DataType::List(_) => {
                let ends = self.lists.as_list::<i32>().value_offsets();
                (usize::try_from(ends[row]).ok()?, usize::try_from(ends[row + 1]).ok()?)
            }
            _ => {
                let ends = self.lists.as_list::<i64>().value_offsets();
                (usize::try_from(ends[row]).ok()?, usize::try_from(ends[row + 1]).ok()?)
            }
        };
        let has_gaps =
            self.lists.is_null(row) || (values.null_count() > 0 && (start..end).any(|i| values.is_null(i)));
        if has_gaps { None } else { values.values().get(start..end) }
    }
}

fn external(error: CoresetError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
