//! The two searches of ZCore for many draws at once: who is closest to a point, and who is closest to the winner.
//!
//! All draws of a thread visit one block of codes after another. Each draw knows a distance beyond which no row matters
//! to it any more; the codes that rows within that distance can have are two comparisons of bytes, and only rows that
//! pass are looked at as numbers. The answers are those of comparing every distance in f64.

use fearless_simd::{Level, Simd, dispatch};
use rayon::prelude::*;

use crate::closest::{Nearest, by_distance, keep_closest};
use crate::coded_scan::{Window, inside};
use crate::codes::Codes;
use crate::draws::Draw;
use crate::stacked::Stacked;
use crate::zcore_sample::Sample;

/// Columns of a draw that codes are compared in; further ones count in the distance alone.
const MAX_CODED: usize = 4;
/// Rows that are compared as numbers together, so that the memory need not be waited for one by one.
const TOGETHER: usize = 1 << 14;

/// Rows, codes of them, and a sample.
pub(crate) struct Search<'a> {
    rows: &'a Stacked<'a>,
    codes: &'a Codes,
    sample: &'a Sample,
    level: Level,
}

impl<'a> Search<'a> {
    pub(crate) fn new(rows: &'a Stacked<'a>, codes: &'a Codes, sample: &'a Sample, level: Level) -> Self {
        Self { rows, codes, sample, level }
    }

    /// The row closest to each point, by distance; among equals an unscored row first, then the lowest.
    pub(crate) fn winners(&self, points: &[Draw]) -> Vec<Option<(f64, u32)>> {
        let winner = |_: usize, reach| Winner { reach, best: None };
        let found = self.run(points, 1, winner);
        found.into_iter().map(|winner| winner.best.map(|best| (best.distance, best.row))).collect()
    }

    /// The `k` rows closest to each point without the row that is left out.
    pub(crate) fn nearest(&self, points: &[Draw], left_out: &[u32], k: usize) -> Vec<Nearest> {
        let closest = |i: usize, reach| Closest {
            k,
            left_out: left_out[i],
            ceiling: reach,
            kept: Vec::with_capacity(2 * k + 16),
        };
        self.run(points, k + 1, closest).into_par_iter().map(Closest::finish).collect()
    }

    /// Looks within a distance that a sample suggests, and again without any for the draws where too little was found.
    fn run<T: Seeker>(&self, points: &[Draw], k: usize, seeker: impl Fn(usize, f64) -> T + Sync) -> Vec<T> {
        let guess = |(i, draw): (usize, &Draw)| {
            let reach = self.sample.reach(self.level, draw, k).unwrap_or(f64::INFINITY);
            seeker(i, reach.next_up())
        };
        let mut seekers: Vec<T> = points.par_iter().enumerate().map(guess).collect();
        self.passes(points, &mut seekers);
        let short: Vec<usize> = (0..points.len()).filter(|i| seekers[*i].is_short()).collect();
        let again: Vec<Draw> = short.iter().map(|i| points[*i].clone()).collect();
        let mut unbounded: Vec<T> = short.iter().map(|i| seeker(*i, f64::INFINITY)).collect();
        self.passes(&again, &mut unbounded);
        for (i, found) in short.into_iter().zip(unbounded) {
            seekers[i] = found;
        }
        seekers
    }

    /// Every chunk of draws reads all codes once, so there are no more chunks than threads.
    fn passes<T: Seeker>(&self, points: &[Draw], seekers: &mut [T]) {
        let chunk = points.len().div_ceil(rayon::current_num_threads()).max(1);
        let chunks = points.par_chunks(chunk).zip(seekers.par_chunks_mut(chunk));
        chunks.for_each(|(points, seekers)| match points.first().map_or(0, Vec::len).min(MAX_CODED) {
            0 => {}
            1 => self.pass::<T, 1>(points, seekers),
            2 => self.pass::<T, 2>(points, seekers),
            3 => self.pass::<T, 3>(points, seekers),
            _ => self.pass::<T, MAX_CODED>(points, seekers),
        });
    }

    fn pass<T: Seeker, const M: usize>(&self, points: &[Draw], seekers: &mut [T]) {
        let probe = |(draw, seeker): (&Draw, &T)| Probe {
            columns: std::array::from_fn(|m| draw[m].0 as u32),
            at: std::array::from_fn(|m| draw[m].1),
            windows: self.windows(draw, seeker.reach()),
        };
        let mut probes: Vec<Probe<M>> = points.iter().zip(&*seekers).map(probe).collect();
        let mut pass = Pass { search: self, points, seekers, inside: Vec::new(), spans: Vec::new() };
        for block in 0..self.codes.n_blocks() {
            pass.block(block, &mut probes);
        }
    }

    fn windows<const M: usize>(&self, draw: &Draw, reach: f64) -> [Window; M] {
        if reach == f64::INFINITY {
            return [Window::ALL; M];
        }
        std::array::from_fn(|m| self.codes.window(draw[m].0, draw[m].1, reach))
    }
}

/// What one draw looks for while rows pass by in ascending order.
trait Seeker: Send {
    /// Looks at a row; whether the distance that matters has shrunk.
    fn offer(&mut self, distance: f64, row: u32, n_scored: usize) -> bool;

    /// Rows farther than this do not matter.
    fn reach(&self) -> f64;

    /// Whether rows beyond the reach that it began with might be missing.
    fn is_short(&self) -> bool;
}

/// A draw as blocks see it: small, since all draws pass by for each block.
#[derive(Clone, Copy)]
struct Probe<const M: usize> {
    columns: [u32; M],
    windows: [Window; M],
    at: [f64; M],
}

struct Pass<'s, 'a, T> {
    search: &'s Search<'a>,
    points: &'s [Draw],
    seekers: &'s mut [T],
    /// Offsets in the block of rows that codes do not rule out, draw by draw.
    inside: Vec<u16>,
    /// Which probe the offsets up to which one belong to.
    spans: Vec<(u32, u32)>,
}

impl<T: Seeker> Pass<'_, '_, T> {
    fn block<const M: usize>(&mut self, block: usize, probes: &mut [Probe<M>]) {
        let mut next = 0;
        while next < probes.len() {
            self.inside.clear();
            self.spans.clear();
            next = dispatch!(self.search.level, simd => self.scan(simd, block, probes, next));
            self.compare(block, probes);
        }
    }

    /// Scans the block for one probe after another until enough rows wait to be compared; the first probe left over.
    #[inline(always)]
    fn scan<S: Simd, const M: usize>(
        &mut self,
        simd: S,
        block: usize,
        probes: &[Probe<M>],
        first: usize,
    ) -> usize {
        let codes = self.search.codes;
        for (i, probe) in probes.iter().enumerate().skip(first) {
            let mut columns: [&[i8]; M] = [&[]; M];
            for (codes_of, column) in columns.iter_mut().zip(probe.columns) {
                *codes_of = codes.column(block, column as usize);
            }
            let before = self.inside.len();
            inside(simd, columns, probe.windows, &mut self.inside);
            if self.inside.len() > before {
                self.spans.push((i as u32, self.inside.len() as u32));
                if self.inside.len() >= TOGETHER {
                    return i + 1;
                }
            }
        }
        probes.len()
    }

    /// Compares the rows that codes do not rule out as numbers.
    fn compare<const M: usize>(&mut self, block: usize, probes: &mut [Probe<M>]) {
        let (start, len) = self.search.codes.block(block);
        let whole = self.search.rows.run(start, len);
        let n_columns = self.search.rows.n_columns();
        let mut distances: Vec<f64> = Vec::with_capacity(self.inside.len());
        let mut from = 0;
        for (i, to) in &self.spans {
            let inside = &self.inside[from..*to as usize];
            from = *to as usize;
            let (draw, probe) = (&self.points[*i as usize], &probes[*i as usize]);
            match whole {
                // The usual case is kept short, so that many rows are on their way from memory at once.
                Some(numbers) if draw.len() == M => distances.extend(inside.iter().map(|offset| {
                    // Offsets behind the last row meet it again; their distances are not asked for.
                    let row = usize::from(*offset).min(len - 1) * n_columns;
                    let away =
                        |m: usize| (f64::from(numbers[row + probe.columns[m] as usize]) - probe.at[m]).abs();
                    (1..M).fold(away(0), |sum, m| sum + away(m))
                })),
                _ => distances.extend(inside.iter().map(|offset| {
                    distance(self.search.rows.row(start + usize::from(*offset).min(len - 1)), draw)
                })),
            }
        }
        self.offer(start, len, &distances, probes);
    }

    fn offer<const M: usize>(
        &mut self,
        start: usize,
        len: usize,
        distances: &[f64],
        probes: &mut [Probe<M>],
    ) {
        let n_scored = self.search.rows.n_scored();
        let mut from = 0;
        for (i, to) in &self.spans {
            let probe = &mut probes[*i as usize];
            let seeker = &mut self.seekers[*i as usize];
            let span = from..*to as usize;
            let mut shrunk = false;
            for (offset, distance) in self.inside[span.clone()].iter().zip(&distances[span]) {
                if usize::from(*offset) < len {
                    let row = (start + usize::from(*offset)) as u32;
                    shrunk |= seeker.offer(*distance, row, n_scored);
                }
            }
            if shrunk {
                probe.windows = self.search.windows(&self.points[*i as usize], seeker.reach());
            }
            from = *to as usize;
        }
    }
}

/// City-block distance in the columns of a draw, added up in their order.
#[inline]
pub(crate) fn distance(row: &[f32], draw: &Draw) -> f64 {
    draw.iter().fold(0.0, |sum, (column, at)| sum + (f64::from(row[*column]) - at).abs())
}

#[derive(Debug, Clone, Copy)]
struct Winner {
    /// Rows as far as this do not matter; the distance of the best row once there is one.
    reach: f64,
    best: Option<Best>,
}

#[derive(Debug, Clone, Copy)]
struct Best {
    distance: f64,
    scored: bool,
    row: u32,
}

impl Seeker for Winner {
    #[inline]
    fn offer(&mut self, distance: f64, row: u32, n_scored: usize) -> bool {
        let scored = (row as usize) < n_scored;
        let better = match &self.best {
            None => true,
            // Rows come in ascending order, so among equals only a first unscored row takes over.
            Some(best) => distance < best.distance || (distance == best.distance && best.scored && !scored),
        };
        if better {
            (self.reach, self.best) = (distance, Some(Best { distance, scored, row }));
        }
        better
    }

    fn reach(&self) -> f64 {
        self.reach
    }

    fn is_short(&self) -> bool {
        self.best.is_none()
    }
}

/// The k closest rows so far and some more.
#[derive(Debug, Clone)]
struct Closest {
    k: usize,
    left_out: u32,
    ceiling: f64,
    kept: Nearest,
}

impl Closest {
    fn finish(mut self) -> Nearest {
        if self.kept.len() > self.k && self.k > 0 {
            keep_closest(&mut self.kept, self.k);
        }
        self.kept.sort_unstable_by(by_distance);
        self.kept
    }
}

impl Seeker for Closest {
    #[inline]
    fn offer(&mut self, distance: f64, row: u32, _: usize) -> bool {
        // Rows come in ascending order, so one as far as the k-th kept is behind it.
        if self.k == 0 || !(distance < self.ceiling) || row == self.left_out {
            return false;
        }
        self.kept.push((distance, row));
        let full = self.kept.len() >= 2 * self.k + 16;
        if full {
            self.ceiling = keep_closest(&mut self.kept, self.k);
        }
        full
    }

    fn reach(&self) -> f64 {
        self.ceiling
    }

    fn is_short(&self) -> bool {
        self.kept.len() < self.k
    }
}
