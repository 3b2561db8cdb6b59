//! One byte for each number: which part of its column's range it lies in.
//!
//! The code of a number never falls when the number grows, so a range of numbers lies within a range of codes: rows
//! outside of that range of codes are outside of the range of numbers, exactly. Codes follow the quantiles of a sample,
//! so each stands for about as many rows as any other.

use fearless_simd::{Level, Simd, dispatch, prelude::*};
use rayon::prelude::*;

use crate::coded_scan::{Window, rows_inside};
use crate::columns::ColumnStats;
use crate::stacked::Stacked;

/// Parts of a column's range that codes are made of.
const CELLS: usize = 1024;
/// Rows that the quantiles are estimated from.
const SAMPLE: usize = 4096;
/// Bytes of codes that all draws visit before the next ones come: rows of that many stay in a shared cache as codes and,
/// four times the size, as numbers.
const BLOCK_BYTES: usize = 4096 * 1024;
/// Rows coded together.
const TILE: usize = 64;
/// Columns coded together: one line of the cache holds as many numbers.
const TOGETHER: usize = 16;

/// Codes of all rows, block by block, in a block column by column.
///
/// A code is stored less 128, so that bytes compare as signed numbers.
pub(crate) struct Codes {
    n_rows: usize,
    n_columns: usize,
    block_rows: usize,
    grids: Vec<Grid>,
    codes: Vec<i8>,
    ranges: Vec<(f32, f32)>,
    level: Level,
}

/// How the numbers of one column become codes.
struct Grid {
    low: f32,
    scale: f32,
    codes: [u8; CELLS],
}

impl Codes {
    /// Codes every number once; reads the rows in their order.
    pub(crate) fn new(rows: &Stacked<'_>, level: Level) -> Self {
        let (n_rows, n_columns) = (rows.n_rows(), rows.n_columns());
        let block_rows = block_rows(n_rows, n_columns);
        let grids = grids(rows);
        let mut codes = vec![0i8; n_rows.div_ceil(block_rows) * block_rows * n_columns];
        let ranges = codes
            .par_chunks_mut(block_rows * n_columns)
            .enumerate()
            .map(|(block, out)| {
                let numbers = block * block_rows..n_rows.min((block + 1) * block_rows);
                let of_block: Vec<&[f32]> = numbers.map(|row| rows.row(row)).collect();
                code_block(level, &of_block, &grids, out)
            })
            .reduce(|| vec![(f32::INFINITY, f32::NEG_INFINITY); n_columns], wider);
        Self { n_rows, n_columns, block_rows, grids, codes, ranges, level }
    }

    pub(crate) fn n_blocks(&self) -> usize {
        self.n_rows.div_ceil(self.block_rows)
    }

    /// First row of a block and the rows there are in it.
    pub(crate) fn block(&self, block: usize) -> (usize, usize) {
        let start = block * self.block_rows;
        (start, self.block_rows.min(self.n_rows - start))
    }

    /// Codes of one column in one block; those behind the last row mean nothing.
    #[inline]
    pub(crate) fn column(&self, block: usize, column: usize) -> &[i8] {
        let start = (block * self.n_columns + column) * self.block_rows;
        &self.codes[start..start + self.block_rows]
    }

    /// The codes that numbers no farther than `radius` from `point` can have.
    pub(crate) fn window(&self, column: usize, point: f64, radius: f64) -> Window {
        // The margin is far above the rounding of the subtraction here and of the distance there.
        let reach = radius * (1.0 + 1e-9) + 1e-12 * (point.abs() + radius);
        let grid = &self.grids[column];
        Window::new(
            grid.code(((point - reach) as f32).next_down()),
            grid.code(((point + reach) as f32).next_up()),
        )
    }

    /// Statistics of each column, exact: a code tells where the middle is, and only its numbers are looked at.
    pub(crate) fn stats(&self, rows: &Stacked<'_>) -> Vec<ColumnStats> {
        (0..self.n_columns)
            .into_par_iter()
            .map(|column| {
                let (min, max) = self.ranges[column];
                let median = self.median(rows, column);
                ColumnStats { min: f64::from(min) + 0.0, median, max: f64::from(max) + 0.0 }
            })
            .collect()
    }

    fn median(&self, rows: &Stacked<'_>, column: usize) -> f64 {
        let (upper, even) = (self.n_rows / 2, self.n_rows.is_multiple_of(2));
        let lower = upper - usize::from(even && upper > 0);
        let counts = self.counts(column);
        let (first, before) = code_of_rank(&counts, lower);
        let (last, _) = code_of_rank(&counts, upper);
        let window = Window::new(first, last);
        let mut middle: Vec<f32> = Vec::new();
        for block in 0..self.n_blocks() {
            let (start, len) = self.block(block);
            let mut inside = Vec::new();
            rows_inside(self.level, self.column(block, column), window, &mut inside);
            let inside = inside.into_iter().map(usize::from).filter(|offset| *offset < len);
            middle.extend(inside.map(|offset| rows.row(start + offset)[column]));
        }
        let (below, value, _) = middle.select_nth_unstable_by(upper - before, f32::total_cmp);
        let value = f64::from(*value);
        if !even {
            return value + 0.0;
        }
        let other = below.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        (f64::from(other) + value) / 2.0 + 0.0
    }

    fn counts(&self, column: usize) -> [usize; 256] {
        // Four counters side by side, so that runs of one code do not wait for one another.
        let mut counts = [[0u32; 256]; 4];
        for block in 0..self.n_blocks() {
            let (_, len) = self.block(block);
            for codes in self.column(block, column)[..len].chunks(4) {
                for (counter, code) in counts.iter_mut().zip(codes) {
                    counter[usize::from(code.cast_unsigned() ^ 0x80)] += 1;
                }
            }
        }
        std::array::from_fn(|code| counts.iter().map(|c| c[code] as usize).sum())
    }
}

impl Grid {
    /// From a sample of the column; its order does not matter.
    fn new(sample: &mut [f32]) -> Self {
        let (low, high) = bulk(sample);
        let scale = CELLS as f32 / (high - low);
        // A column that is constant, or wider than f32 can say, has one code.
        if !(scale.is_finite() && scale > 0.0) {
            return Self { low: 0.0, scale: 0.0, codes: [0; CELLS] };
        }
        let mut counts = [0usize; CELLS];
        sample.iter().for_each(|value| counts[cell(*value, low, scale) as usize] += 1);
        let mut before = 0;
        let codes = counts.map(|count| {
            let code = before * 255 / sample.len();
            before += count;
            code as u8
        });
        Self { low, scale, codes }
    }

    fn code(&self, value: f32) -> u8 {
        self.codes[cell(value, self.low, self.scale) as usize]
    }
}

/// The range of a sample without its tails, unless nothing but tails has a width.
fn bulk(sample: &mut [f32]) -> (f32, f32) {
    let trim = sample.len() / 512;
    let Some(last) = sample.len().checked_sub(1) else {
        return (0.0, 0.0);
    };
    let low = *sample.select_nth_unstable_by(trim, f32::total_cmp).1;
    let high = *sample.select_nth_unstable_by(last - trim, f32::total_cmp).1;
    if low < high {
        return (low, high);
    }
    sample.iter().fold((low, high), |(low, high), value| (low.min(*value), high.max(*value)))
}

/// Never falls when the value grows: subtraction, scaling and clamping all keep the order.
#[inline(always)]
fn cell(value: f32, low: f32, scale: f32) -> u32 {
    // An infinite difference times the positive scale is infinite still; only a scale of zero has one cell, and there
    // the maximum of a NaN and zero is zero.
    ((value - low) * scale).max(0.0).min((CELLS - 1) as f32) as u32
}

fn grids(rows: &Stacked<'_>) -> Vec<Grid> {
    let n_sample = rows.n_rows().min(SAMPLE);
    let sampled: Vec<&[f32]> = (0..n_sample).map(|i| rows.row(i * rows.n_rows() / n_sample)).collect();
    (0..rows.n_columns())
        .into_par_iter()
        .map(|column| {
            let mut values: Vec<f32> = sampled.iter().map(|row| row[column]).collect();
            Grid::new(&mut values)
        })
        .collect()
}

/// Rows of one block: a power of two, whole vectors of the widest kind, and few enough for offsets of 16 bits.
fn block_rows(n_rows: usize, n_columns: usize) -> usize {
    let fitting = (BLOCK_BYTES / n_columns.max(1)).clamp(256, 8192);
    let fitting = if fitting.is_power_of_two() { fitting } else { fitting.next_power_of_two() / 2 };
    fitting.min(n_rows.next_power_of_two().max(256))
}

fn code_block(level: Level, rows: &[&[f32]], grids: &[Grid], out: &mut [i8]) -> Vec<(f32, f32)> {
    let block_rows = out.len() / grids.len();
    let mut ranges = vec![(f32::INFINITY, f32::NEG_INFINITY); grids.len()];
    // A few rows at a time stay in the cache: they are read in their order first, then by groups of columns.
    for (first, rows) in (0..).step_by(TILE).zip(rows.chunks(TILE)) {
        rows.iter().for_each(|row| widen(&mut ranges, row));
        for (start, grids) in (0..).step_by(TOGETHER).zip(grids.chunks(TOGETHER)) {
            let out = &mut out[start * block_rows + first..(start + grids.len()) * block_rows];
            let group = Group { start, grids };
            dispatch!(level, simd => group.code(simd, rows, out, block_rows));
        }
    }
    ranges
}

fn widen(ranges: &mut [(f32, f32)], row: &[f32]) {
    for ((min, max), value) in ranges.iter_mut().zip(row) {
        *min = if value < min { *value } else { *min };
        *max = if value > max { *value } else { *max };
    }
}

/// Columns coded together.
struct Group<'a> {
    start: usize,
    grids: &'a [Grid],
}

impl Group<'_> {
    /// Codes of a few rows, written at a step of `stride` from column to column.
    #[inline(always)]
    fn code<S: Simd>(&self, simd: S, rows: &[&[f32]], out: &mut [i8], stride: usize) {
        let (mut lows, mut scales) = ([0.0f32; TOGETHER], [0.0f32; TOGETHER]);
        for (j, grid) in self.grids.iter().enumerate() {
            (lows[j], scales[j]) = (grid.low, grid.scale);
        }
        let (mut padded, mut cells) = ([0.0f32; TOGETHER], [0u32; TOGETHER]);
        let mut tile = [[0i8; TILE]; TOGETHER];
        let (width, lanes) = (self.grids.len(), S::f32s::LEN);
        for (i, row) in rows.iter().enumerate() {
            let mut numbers = &row[self.start..self.start + width];
            if width < TOGETHER {
                padded[..width].copy_from_slice(numbers);
                numbers = &padded;
            }
            for v in (0..TOGETHER).step_by(lanes) {
                let part = v..v + lanes;
                let value = S::f32s::from_slice(simd, &numbers[part.clone()]);
                let low = S::f32s::from_slice(simd, &lows[part.clone()]);
                let scale = S::f32s::from_slice(simd, &scales[part.clone()]);
                let cell = ((value - low) * scale).max(0.0).min((CELLS - 1) as f32);
                cell.to_int::<S::u32s>().store_slice(&mut cells[part]);
            }
            for ((grid, cell), column) in self.grids.iter().zip(&cells).zip(&mut tile) {
                column[i] = (grid.codes[*cell as usize % CELLS] ^ 0x80).cast_signed();
            }
        }
        for (j, column) in tile[..width].iter().enumerate() {
            out[j * stride..j * stride + rows.len()].copy_from_slice(&column[..rows.len()]);
        }
    }
}

fn wider(mut a: Vec<(f32, f32)>, b: Vec<(f32, f32)>) -> Vec<(f32, f32)> {
    for (a, b) in a.iter_mut().zip(b) {
        *a = (a.0.min(b.0), a.1.max(b.1));
    }
    a
}

/// The code that the value of this rank has, and how many values have lower codes.
fn code_of_rank(counts: &[usize; 256], rank: usize) -> (u8, usize) {
    let mut before = 0;
    for (code, count) in (0u8..=255).zip(counts) {
        if rank < before + count {
            return (code, before);
        }
        before += count;
    }
    (255, before)
}
