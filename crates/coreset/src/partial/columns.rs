use ndarray::{ArrayView1, ArrayView2, Axis, Slice};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Partial, PartialError, RowsSeen, Shard};
use crate::Result;

/// Bits of the key that each round settles.
pub(super) const BITS: [u32; 3] = [11, 11, 10];
/// Columns looked at together: one cache line of a row.
const LINE: usize = 16;

/// Range and median of every column, by counting.
///
/// A finite `f32` has a `u32` key of the same order. The first round counts keys by their highest 11 bits, which tells where
/// the one or two values in the middle lie; the second counts those that share these bits by the next 11, and the third by the
/// last 10. So medians are exact after three rounds in bounded memory: 8 kB a column, 16 kB where the two values in the middle
/// of an even number of rows part ways. What crosses the network is smaller, as counters at zero do not travel.
///
/// Finishing after the first round gives medians within an eighth of their size, after the second within 2^-14 of it;
/// [`ColumnTable::median_error`] has the exact bound. Both are the same bits for any partitioning, too.
///
/// ```
/// use labelloop_coreset::partial::{ColumnCounts, Partial, Shard};
/// use ndarray::array;
///
/// let mut counts = ColumnCounts::new(1);
/// counts.observe(Shard::new(array![[1.0], [2.5], [9.0]].view(), 0)?)?;
/// let quick = counts.clone().finish()?;
/// assert!((quick.median[0] - 2.5).abs() <= quick.median_error[0]);
/// assert_eq!((quick.min[0], quick.max[0], quick.rows.n_rows), (1.0, 9.0, 3));
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnCounts {
    /// From 0.
    pub(super) round: u32,
    pub(super) seen: RowsSeen,
    /// What the first round saw.
    pub(super) expected: Option<RowsSeen>,
    pub(super) columns: Vec<Counts>,
}

/// One column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Counts {
    /// Keys of the smallest and the largest value; `(u32::MAX, 0)` before any.
    pub(super) range: (u32, u32),
    /// The lower and the upper of the values in the middle.
    pub(super) targets: [Target; 2],
    /// Counters below each target's prefix; the second list is empty where both have one prefix.
    pub(super) counters: [Vec<u32>; 2],
}

/// A value by its rank: the bits of its key that are known, and its rank among the values that share them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Target {
    pub(super) prefix: u32,
    pub(super) rank: u32,
}

/// Minimum, median and maximum of each column, and of which rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnTable {
    /// The rows described.
    pub rows: RowsSeen,
    /// Smallest values; 0 where there are no rows.
    pub min: Vec<f64>,
    /// Medians: of an even number of values the mean of the two in the middle.
    pub median: Vec<f64>,
    /// Largest values.
    pub max: Vec<f64>,
    /// How far the true median may be from the one given: 0 after all three rounds.
    pub median_error: Vec<f64>,
}

impl ColumnCounts {
    /// The first round, before any rows.
    pub fn new(n_columns: usize) -> Self {
        let one = Counts {
            range: (u32::MAX, 0),
            targets: [Target::default(); 2],
            counters: [vec![0; 1 << BITS[0]], Vec::new()],
        };
        Self { round: 0, seen: RowsSeen::default(), expected: None, columns: vec![one; n_columns] }
    }

    /// Columns described.
    pub fn n_columns(&self) -> usize {
        self.columns.len()
    }

    /// The round this is, from 1.
    pub fn round(&self) -> u32 {
        self.round + 1
    }

    /// The rows seen in this round.
    pub fn seen(&self) -> RowsSeen {
        self.seen
    }

    /// The round after this one, before any rows: `None` after the third.
    ///
    /// # Errors
    /// [`PartialError::Rows`] where this round saw other rows than the first, and [`PartialError::Field`] where counters
    /// contradict each other, which only damaged ones do.
    pub fn next_round(&self) -> Result<Option<Self>> {
        self.seen.expect(self.expected.unwrap_or(self.seen))?;
        let round = self.round + 1;
        let Some(bits) = BITS.get(round as usize) else { return Ok(None) };
        let columns = self.columns.iter().enumerate().map(|(j, column)| {
            let targets = self.narrowed(j, column)?;
            let list = || vec![0; 1 << bits];
            let second = if targets[0].prefix == targets[1].prefix { Vec::new() } else { list() };
            Ok(Counts { range: column.range, targets, counters: [list(), second] })
        });
        let columns = columns.collect::<Result<_>>()?;
        Ok(Some(Self { round, seen: RowsSeen::default(), expected: Some(self.seen), columns }))
    }

    /// Targets with the bits that this round settles.
    fn narrowed(&self, j: usize, column: &Counts) -> Result<[Target; 2]> {
        let n = self.seen.n_rows as u32;
        let Counts { mut targets, counters, .. } = column.clone();
        if n == 0 {
            return Ok(targets);
        }
        if self.round == 0 {
            targets = [(n - 1) / 2, n / 2].map(|rank| Target { prefix: 0, rank });
        }
        for (target, own) in targets.iter_mut().zip([0, 1]) {
            let counters = if counters[own].is_empty() { &counters[0] } else { &counters[own] };
            let bits = BITS[self.round as usize];
            *target = target.narrow(counters, bits).ok_or(PartialError::Field {
                kind: "column counts",
                field: "counts",
                entry: j,
                expected: "as many values as rows",
            })?;
        }
        Ok(targets)
    }

    /// Refuses counts of another round or run.
    fn expect_like(&self, other: &Self) -> Result<()> {
        let what = if self.round != other.round {
            "round"
        } else if self.n_columns() != other.n_columns() {
            "number of columns"
        } else if self.expected != other.expected {
            "rows of the first round"
        } else if self.columns.iter().zip(&other.columns).any(|(a, b)| !a.is_like(b)) {
            "bits settled so far"
        } else {
            return Ok(());
        };
        Err(PartialError::Incompatible { what }.into())
    }
}

impl Partial for ColumnCounts {
    type Input<'a> = Shard<'a>;
    type Output = ColumnTable;

    fn observe(&mut self, shard: Shard<'_>) -> Result<()> {
        shard.expect_columns(self.n_columns())?;
        let seen = self.seen.and(RowsSeen::of(&shard))?;
        if shard.n_rows() > 0 {
            let (rows, round) = (shard.rows(), self.round as usize);
            self.columns.par_chunks_mut(LINE).enumerate().for_each(|(at, columns)| {
                let line = Slice::from(at * LINE..at * LINE + columns.len());
                count(columns, rows.slice_axis(Axis(1), line), round);
            });
        }
        self.seen = seen;
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        self.expect_like(&other)?;
        self.seen = self.seen.and(other.seen)?;
        for (into, from) in self.columns.iter_mut().zip(other.columns) {
            into.range = (into.range.0.min(from.range.0), into.range.1.max(from.range.1));
            for (into, from) in into.counters.iter_mut().zip(&from.counters) {
                // The counters of a run cannot overflow; those of a damaged file should not panic.
                into.iter_mut().zip(from).for_each(|(a, b)| *a = a.saturating_add(*b));
            }
        }
        Ok(())
    }

    /// Medians as exact as this round makes them.
    fn finish(self) -> Result<ColumnTable> {
        self.seen.expect(self.expected.unwrap_or(self.seen))?;
        let n = self.n_columns();
        let mut table = ColumnTable {
            rows: self.seen,
            min: vec![0.0; n],
            median: vec![0.0; n],
            max: vec![0.0; n],
            median_error: vec![0.0; n],
        };
        if self.seen.n_rows == 0 {
            return Ok(table);
        }
        let open: u32 = BITS[self.round as usize + 1..].iter().sum();
        for (j, column) in self.columns.iter().enumerate() {
            let bounds = self.narrowed(j, column)?.map(|target| target.bounds(open, column.range));
            let low = (bounds[0].0 + bounds[1].0) / 2.0;
            let high = (bounds[0].1 + bounds[1].1) / 2.0;
            table.min[j] = value(column.range.0);
            table.max[j] = value(column.range.1);
            table.median[j] = low + (high - low) / 2.0;
            table.median_error[j] = (high - table.median[j]).max(table.median[j] - low);
        }
        Ok(table)
    }
}

impl Counts {
    fn is_like(&self, other: &Self) -> bool {
        self.targets == other.targets
            && self.counters.iter().zip(&other.counters).all(|(a, b)| a.len() == b.len())
    }
}

impl Target {
    /// The counter that the rank falls into, and the rank in it.
    fn narrow(self, counters: &[u32], bits: u32) -> Option<Self> {
        let mut rank = self.rank;
        for (at, n) in counters.iter().enumerate() {
            if rank < *n {
                return Some(Self { prefix: self.prefix << bits | at as u32, rank });
            }
            rank -= n;
        }
        None
    }

    /// The smallest and the largest value that it may be, with that many bits of its key unknown.
    fn bounds(self, open: u32, range: (u32, u32)) -> (f64, f64) {
        let low = self.prefix << open;
        let high = low | ((1 << open) - 1);
        (value(low.max(range.0)), value(high.min(range.1)))
    }
}

/// Counts the keys of up to [`LINE`] columns.
fn count(columns: &mut [Counts], rows: ArrayView2<'_, f32>, round: usize) {
    let below: u32 = BITS[round + 1..].iter().sum();
    let mask = (1u32 << BITS[round]) - 1;
    let is_first = round == 0;
    let mut one = |row: ArrayView1<'_, f32>| {
        for (column, v) in columns.iter_mut().zip(row) {
            let key = key(*v);
            let (prefix, at) =
                (if is_first { 0 } else { key >> (below + BITS[round]) }, (key >> below & mask) as usize);
            if is_first {
                column.range = (column.range.0.min(key), column.range.1.max(key));
            }
            let [first, second] = &mut column.counters;
            if prefix == column.targets[0].prefix {
                first[at] += 1;
            } else if prefix == column.targets[1].prefix {
                second[at] += 1;
            }
        }
    };
    rows.rows().into_iter().for_each(&mut one);
}

/// A key of the same order as the value. Both zeros have one key, as they are equal.
pub(super) fn key(v: f32) -> u32 {
    let bits = (v + 0.0).to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

/// The value of a key.
pub(super) fn value_f32(key: u32) -> f32 {
    f32::from_bits(if key >> 31 == 1 { key & !(1 << 31) } else { !key })
}

fn value(key: u32) -> f64 {
    f64::from(value_f32(key))
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn keys_have_the_order_of_values() {
        let values = [f32::MIN, -1.5, -1e-40, 0.0, 1e-45, 0.5, 1.0, f32::MAX];
        assert!(values.map(key).is_sorted_by(|a, b| a < b));
        assert_eq!(values.map(|v| value_f32(key(v))), values);
        assert_eq!(key(-0.0), key(0.0));
    }

    #[test]
    fn the_two_values_in_the_middle_may_lie_far_apart() {
        let rows = array![[-5.0f32], [1e30], [-7.0], [1e-30]];
        let mut counts = ColumnCounts::new(1);
        for round in 1..=3 {
            counts.observe(Shard::new(rows.view(), 0).unwrap()).unwrap();
            assert_eq!(counts.columns[0].counters[1].is_empty(), round == 1);
            counts = match counts.next_round().unwrap() {
                Some(next) => next,
                None => break,
            };
        }
        let expected = (-5.0 + f64::from(1e-30f32)) / 2.0;
        assert_eq!(counts.finish().unwrap().median, [expected]);
    }

    #[test]
    fn counters_that_contradict_the_rows_are_an_error() {
        let mut counts = ColumnCounts::new(1);
        counts.observe(Shard::new(array![[1.0], [2.0]].view(), 0).unwrap()).unwrap();
        counts.columns[0].counters[0].fill(0);
        let e = counts.next_round().unwrap_err();
        assert!(matches!(e, crate::CoresetError::Partial(PartialError::Field { entry: 0, .. })));
        assert!(counts.finish().is_err());
    }

    #[test]
    fn no_rows_have_columns_at_zero() {
        let table = ColumnCounts::new(2).finish().unwrap();
        assert_eq!((table.min, table.median, table.max), (vec![0.0; 2], vec![0.0; 2], vec![0.0; 2]));
    }
}
