use arrow_array::RecordBatch;
use arrow_array::types::{Float32Type, UInt16Type, UInt32Type};
use serde::{Deserialize, Serialize};

use super::fields::{Reader, Writer};
use super::{Wire, header};
use crate::Result;
use crate::partial::columns::{BITS, Counts, Target, key, value_f32};
use crate::partial::{ColumnCounts, RowsSeen};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    round: u32,
    seen: RowsSeen,
    expected: Option<RowsSeen>,
}

/// One row for each column of the embeddings. Counters travel as the positions and values of those that are not 0.
impl Wire for ColumnCounts {
    const KIND: &'static str = "column counts";

    fn to_batch(&self) -> Result<RecordBatch> {
        let columns = || self.columns.iter();
        let target = |own: usize| columns().map(move |c| c.targets[own]);
        let at = |own: usize| columns().map(move |c| occupied(&c.counters[own]).map(|(at, _)| at).collect());
        let n = |own: usize| columns().map(move |c| occupied(&c.counters[own]).map(|(_, n)| n).collect());
        let end = |key: u32| (key != u32::MAX && key != 0).then(|| value_f32(key));
        Writer::new(Self::KIND)
            .numbers::<Float32Type>("min", columns().map(|c| end(c.range.0)))
            .numbers::<Float32Type>("max", columns().map(|c| end(c.range.1)))
            .numbers::<UInt32Type>("lower_prefix", target(0).map(|t| Some(t.prefix)))
            .numbers::<UInt32Type>("lower_rank", target(0).map(|t| Some(t.rank)))
            .numbers::<UInt32Type>("upper_prefix", target(1).map(|t| Some(t.prefix)))
            .numbers::<UInt32Type>("upper_rank", target(1).map(|t| Some(t.rank)))
            .lists::<UInt16Type>("lower_at", at(0))
            .lists::<UInt32Type>("lower_n", n(0))
            .lists::<UInt16Type>("upper_at", at(1))
            .lists::<UInt32Type>("upper_n", n(1))
            .batch(&Header { round: self.round, seen: self.seen, expected: self.expected })
    }

    fn from_batch(batch: &RecordBatch) -> Result<Self> {
        let Header { round, seen, expected } = header::read(Self::KIND, batch)?;
        let reader = Reader::new(Self::KIND, batch);
        let Some(bits) = BITS.get(round as usize) else {
            return Err(reader.at_fault("round", 0, "0 to 2").into());
        };
        if expected.is_some() != (round > 0) {
            return Err(reader.at_fault("expected", 0, "the rows of the first round, after it").into());
        }
        // Either may be at its limit in a partial, and no run has more rows than that.
        expected.unwrap_or_default().and(RowsSeen::default())?;
        seen.and(RowsSeen::default())?;
        let ranges = ranges(&reader, expected.unwrap_or(seen).n_rows > 0)?;
        let settled: u32 = BITS[..round as usize].iter().sum();
        let lower = targets(&reader, ["lower_prefix", "lower_rank"], settled)?;
        let upper = targets(&reader, ["upper_prefix", "upper_rank"], settled)?;
        let first = counters(&reader, ["lower_at", "lower_n"], |_| true, *bits)?;
        let parted = |j: usize| lower[j].prefix != upper[j].prefix;
        let second = counters(&reader, ["upper_at", "upper_n"], parted, *bits)?;
        let columns = ranges.into_iter().zip(lower).zip(upper).zip(first).zip(second);
        let columns = columns.map(|((((range, lower), upper), first), second)| Counts {
            range,
            targets: [lower, upper],
            counters: [first, second],
        });
        let columns: Vec<Counts> = columns.collect();
        for (j, column) in columns.iter().enumerate() {
            let n = |own: usize| column.counters[own].iter().map(|n| u64::from(*n)).sum::<u64>();
            // Later rounds count only values that share the bits settled so far.
            let fits = if round == 0 { n(0) == seen.n_rows } else { n(0) + n(1) <= seen.n_rows };
            if !fits {
                return Err(reader.at_fault("lower_n", j, "as many values as rows").into());
            }
        }
        Ok(Self { round, seen, expected, columns })
    }
}

fn occupied(counters: &[u32]) -> impl Iterator<Item = (u16, u32)> + '_ {
    (0u16..).zip(counters.iter().copied()).filter(|(_, n)| *n > 0)
}

/// Smallest and largest keys, of columns that have any.
fn ranges(reader: &Reader<'_>, has_rows: bool) -> Result<Vec<(u32, u32)>> {
    let (min, max) = (reader.numbers::<Float32Type>("min")?, reader.numbers::<Float32Type>("max")?);
    let pairs = min.into_iter().zip(max).enumerate();
    pairs
        .map(|(j, pair)| match pair {
            (Some(min), Some(max)) if has_rows && min.is_finite() && max.is_finite() && min <= max => {
                Ok((key(min), key(max)))
            }
            (None, None) if !has_rows => Ok((u32::MAX, 0)),
            _ => Err(reader.at_fault("min", j, "a finite range where there are rows").into()),
        })
        .collect()
}

fn targets(reader: &Reader<'_>, fields: [&'static str; 2], settled: u32) -> Result<Vec<Target>> {
    let (prefixes, ranks) =
        (reader.all_numbers::<UInt32Type>(fields[0])?, reader.all_numbers::<UInt32Type>(fields[1])?);
    let pairs = prefixes.into_iter().zip(ranks).enumerate();
    pairs
        .map(|(j, (prefix, rank))| {
            if u64::from(prefix) >> settled > 0 {
                return Err(reader.at_fault(fields[0], j, "no more bits than are settled").into());
            }
            Ok(Target { prefix, rank })
        })
        .collect()
}

/// Counters from positions and values; no counters at all for columns that have none of their own.
fn counters(
    reader: &Reader<'_>,
    fields: [&'static str; 2],
    has_own: impl Fn(usize) -> bool,
    bits: u32,
) -> Result<Vec<Vec<u32>>> {
    let (at, n) = (reader.lists::<UInt16Type>(fields[0])?, reader.lists::<UInt32Type>(fields[1])?);
    let pairs = at.into_iter().zip(n).enumerate();
    pairs
        .map(|(j, (at, n))| {
            let size = if has_own(j) { 1 << bits } else { 0 };
            let fits = at.len() == n.len()
                && at.is_sorted_by(|a, b| a < b)
                && at.last().is_none_or(|last| usize::from(*last) < size)
                && !n.contains(&0);
            if !fits {
                return Err(reader.at_fault(fields[0], j, "ascending positions with counts").into());
            }
            let mut counters = vec![0; size];
            at.into_iter().zip(n).for_each(|(at, n)| counters[usize::from(at)] = n);
            Ok(counters)
        })
        .collect()
}
