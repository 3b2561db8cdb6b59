//! How much of all rows is represented by what is known: the common ground of facility location and MaxHerding.

use std::borrow::Cow;
use std::ops::Range;

use labelloop_index::{ExactIndex, Metric};
use ndarray::{Array2, ArrayViewMut2, Axis, Slice};
use rayon::prelude::*;

use super::similarity::{Kernel, Part, Points, Space, median_distance};
use super::{Gains, Objective, Reason, Setting};
use crate::Result;

/// Columns of one matrix product, and rows whose gains are added up together.
const COLUMNS: usize = 2048;
/// Rows of one matrix product.
const ROWS: usize = 64;
/// Terms added in f32 before their sum goes into f64.
const TERMS: usize = 256;
/// Queries of one search for neighbours.
const QUERIES: usize = 4096;

/// `sum of weight_i * max over known j of similarity(i, j)`, times `scale`; its gain is what a row adds to it.
///
/// A gain is a sum, in a fixed order, of terms `max(0, similarity - best so far)` that only fall, so it falls to the
/// last bit.
pub(crate) struct Coverage {
    space: Space,
    source: Source,
    /// The similarity of each row to the most similar known one; 0 where that is negative or nothing is known.
    best: Vec<f32>,
    /// Weights as shares of the largest.
    weights: Option<Vec<f32>>,
    scale: f64,
}

/// Where similarities come from.
enum Source {
    /// All of them are kept.
    Kept(Array2<f32>),
    /// They are computed anew each time.
    Computed,
    /// Of each row only those that have it among their nearest.
    Lists(Lists),
}

struct Lists {
    starts: Vec<usize>,
    entries: Vec<(u32, f32)>,
}

/// How a coverage is to be computed.
pub(crate) struct Plan {
    pub(crate) kernel: Kernel,
    pub(crate) neighbours: Option<usize>,
    pub(crate) memory: usize,
    /// Whether the value is a mean over rows in place of a sum.
    pub(crate) is_mean: bool,
}

impl Coverage {
    pub(crate) fn new(setting: &Setting<'_>, plan: &Plan) -> Result<Self> {
        // One bandwidth for points and lists alike.
        let kernel = match plan.kernel {
            Kernel::Rbf { bandwidth } => {
                Kernel::Rbf { bandwidth: Some(bandwidth.unwrap_or_else(|| median_distance(setting))) }
            }
            Kernel::Cosine => Kernel::Cosine,
        };
        let space = Space::new(setting, kernel)?;
        let n = space.rows.len();
        let source = match plan.neighbours {
            Some(m) if m < n => Source::Lists(Lists::new(setting, kernel, m)?),
            _ if n.saturating_mul(n).saturating_mul(size_of::<f32>()) <= plan.memory => {
                Source::Kept(all_similarities(&space, setting)?)
            }
            _ => Source::Computed,
        };
        let (shares, largest) = setting.shares();
        let mass = shares.as_ref().map_or(n as f64, |shares| shares.iter().sum());
        let scale = match plan.is_mean {
            true if 0.0 < mass => 1.0 / mass,
            true => 1.0,
            false => largest,
        };
        let weights = shares.map(|shares| shares.into_iter().map(|share| share as f32).collect());
        let mut coverage = Self { space, source, best: vec![0.0; n], weights, scale };
        coverage.condition(setting)?;
        Ok(coverage)
    }

    /// Raises what is represented by the labelled rows, all of them, whatever lists there are.
    fn condition(&mut self, setting: &Setting<'_>) -> Result<()> {
        let Self { space, best, .. } = self;
        let n = space.labelled.len();
        for start in (0..n).step_by(ROWS) {
            setting.progress.step("labelled similarities", start as u64, n as u64)?;
            let labelled = space.labelled.part(start..n.min(start + ROWS));
            best.par_chunks_mut(COLUMNS).enumerate().for_each(|(block, best)| {
                let columns = block * COLUMNS..block * COLUMNS + best.len();
                let found = block_of(space, labelled, columns);
                for row in found.rows() {
                    best.iter_mut().zip(row).for_each(|(best, found)| *best = best.max(*found));
                }
            });
        }
        Ok(())
    }

    /// The similarity of every row to one.
    fn similar(&self, row: usize) -> Cow<'_, [f32]> {
        let n = self.best.len();
        match &self.source {
            Source::Kept(all) => all.row(row).to_slice().unwrap_or_default().into(),
            Source::Computed => {
                let one = self.space.rows.part(row..row + 1);
                let mut all = vec![0.0; n];
                all.par_chunks_mut(COLUMNS).enumerate().for_each(|(block, out)| {
                    let columns = block * COLUMNS..block * COLUMNS + out.len();
                    out.iter_mut().zip(block_of(&self.space, one, columns)).for_each(|(o, s)| *o = s);
                });
                all.into()
            }
            Source::Lists(lists) => {
                let mut all = vec![0.0; n];
                lists.of(row).iter().for_each(|(other, similarity)| all[*other as usize] = *similarity);
                all.into()
            }
        }
    }

    /// Gains of at most [`ROWS`] rows whose similarities are computed for it.
    fn computed(&self, rows: &[usize]) -> Vec<f64> {
        let points: Points = self.space.rows.gathered(rows);
        let left = points.part(0..rows.len());
        let n = self.best.len();
        let sums: Vec<Vec<f64>> = (0..n.div_ceil(COLUMNS))
            .into_par_iter()
            .map(|block| {
                let columns = block * COLUMNS..n.min((block + 1) * COLUMNS);
                let found = block_of(&self.space, left, columns.clone());
                let sum = |row: ndarray::ArrayView1<'_, f32>| {
                    self.block_gain(row.to_slice().unwrap_or_default(), &columns)
                };
                found.rows().into_iter().map(sum).collect()
            })
            .collect();
        (0..rows.len()).map(|i| sums.iter().map(|block| block[i]).sum()).collect()
    }

    fn kept(&self, similar: &[f32]) -> f64 {
        let blocks = similar.chunks(COLUMNS).enumerate();
        blocks.map(|(i, block)| self.block_gain(block, &(i * COLUMNS..i * COLUMNS + block.len()))).sum()
    }

    fn listed(&self, entries: &[(u32, f32)]) -> f64 {
        let term = |(row, similarity): &(u32, f32)| {
            let row = *row as usize;
            let gain = (similarity - self.best[row]).max(0.0);
            f64::from(self.weights.as_ref().map_or(gain, |weights| weights[row] * gain))
        };
        entries.iter().map(term).sum()
    }

    fn block_gain(&self, similar: &[f32], columns: &Range<usize>) -> f64 {
        let best = &self.best[columns.clone()];
        match &self.weights {
            None => similar.chunks(TERMS).zip(best.chunks(TERMS)).map(|(s, b)| terms(s, b)).sum(),
            Some(weights) => {
                let weights = weights[columns.clone()].chunks(TERMS);
                let chunks = similar.chunks(TERMS).zip(best.chunks(TERMS)).zip(weights);
                chunks.map(|((s, b), w)| weighted_terms(s, b, w)).sum()
            }
        }
    }

    fn unscaled(&self, rows: &[usize], gains: &mut [f64]) {
        match &self.source {
            Source::Kept(all) => {
                rows.par_iter().zip(gains).with_min_len(4).for_each(|(row, gain)| {
                    *gain = self.kept(all.row(*row).to_slice().unwrap_or_default());
                });
            }
            Source::Computed => {
                for (rows, gains) in rows.chunks(ROWS).zip(gains.chunks_mut(ROWS)) {
                    gains.copy_from_slice(&self.computed(rows));
                }
            }
            Source::Lists(lists) => {
                rows.par_iter().zip(gains).with_min_len(256).for_each(|(row, gain)| {
                    *gain = self.listed(lists.of(*row));
                });
            }
        }
    }
}

impl Objective for Coverage {
    fn kind(&self) -> Gains {
        Gains::Falling
    }

    fn gains(&self, rows: &[usize], gains: &mut [f64]) {
        self.unscaled(rows, gains);
        gains.iter_mut().for_each(|gain| *gain *= self.scale);
    }

    fn pick(&mut self, row: usize) {
        let similar = self.similar(row).into_owned();
        self.best.iter_mut().zip(similar).for_each(|(best, found)| *best = best.max(found));
    }

    fn reason(&self, row: usize) -> Reason {
        let similar = self.similar(row);
        let n_rows = similar.iter().zip(&self.best).filter(|(found, best)| found > best).count();
        let mut gain = [0.0];
        self.gains(&[row], &mut gain);
        Reason::Covers { n_rows, mass: gain[0] }
    }

    fn batch(&self) -> usize {
        match self.source {
            Source::Kept(_) => 16,
            Source::Computed => ROWS,
            Source::Lists(_) => 1,
        }
    }
}

impl Lists {
    /// For each row, by ascending number, the rows that have it among their `m` nearest, themselves included.
    fn new(setting: &Setting<'_>, kernel: Kernel, m: usize) -> Result<Self> {
        let metric = if kernel == Kernel::Cosine { Metric::Cosine } else { Metric::L2 };
        let n = setting.rows.nrows();
        let index = ExactIndex::new(setting.rows, metric)?;
        let mut lists: Vec<Vec<(u32, f32)>> = vec![Vec::new(); n];
        for start in (0..n).step_by(QUERIES) {
            setting.progress.step("neighbours", start as u64, n as u64)?;
            let end = n.min(start + QUERIES);
            let queries = setting.rows.slice_axis(Axis(0), Slice::from(start..end));
            let found = index.search(queries, m, None)?;
            for row in start..end {
                lists[row].push((row as u32, 1.0));
                let others =
                    found.of(row - start).filter(|(id, _)| *id as usize != row).take(m.saturating_sub(1));
                for (id, score) in others {
                    lists[id as usize].push((row as u32, similarity(kernel, score)));
                }
            }
        }
        let mut starts = vec![0];
        let mut entries = Vec::with_capacity(n.saturating_mul(m));
        for list in &mut lists {
            list.sort_unstable_by_key(|(row, _)| *row);
            entries.append(list);
            starts.push(entries.len());
        }
        Ok(Self { starts, entries })
    }

    fn of(&self, row: usize) -> &[(u32, f32)] {
        &self.entries[self.starts[row]..self.starts[row + 1]]
    }
}

/// The similarity that an index's score stands for.
fn similarity(kernel: Kernel, score: f32) -> f32 {
    match kernel {
        Kernel::Cosine => score,
        Kernel::Rbf { bandwidth } => {
            (-0.5 * (f64::from(score) / bandwidth.unwrap_or(1.0)).powi(2)).exp() as f32
        }
    }
}

fn all_similarities(space: &Space, setting: &Setting<'_>) -> Result<Array2<f32>> {
    let n = space.rows.len();
    let mut all = Array2::zeros((n, n));
    // A few blocks of rows at once, so that progress is told between them.
    for (step, mut rows) in all.axis_chunks_iter_mut(Axis(0), 16 * ROWS).enumerate() {
        setting.progress.step("similarities", (step * 16 * ROWS) as u64, n as u64)?;
        let chunks: Vec<ArrayViewMut2<'_, f32>> = rows.axis_chunks_iter_mut(Axis(0), ROWS).collect();
        chunks.into_par_iter().enumerate().for_each(|(i, mut rows)| {
            let start = (step * 16 + i) * ROWS;
            let left = space.rows.part(start..start + rows.nrows());
            for start in (0..n).step_by(COLUMNS) {
                let columns = start..n.min(start + COLUMNS);
                let out = rows.slice_axis_mut(Axis(1), Slice::from(columns.clone()));
                space.similarities(left, space.rows.part(columns), out);
            }
        });
    }
    Ok(all)
}

fn block_of(space: &Space, left: Part<'_>, columns: Range<usize>) -> Array2<f32> {
    let mut out = Array2::zeros((left.len(), columns.len()));
    space.similarities(left, space.rows.part(columns), out.view_mut());
    out
}

/// The sum of what is above the best, in eight lanes; at most [`TERMS`] terms.
fn terms(similar: &[f32], best: &[f32]) -> f64 {
    let mut lanes = [0.0f32; 8];
    let (s, b) = (similar.chunks_exact(8), best.chunks_exact(8));
    let rest: f32 = s.remainder().iter().zip(b.remainder()).map(|(s, b)| (s - b).max(0.0)).sum();
    for (s, b) in s.zip(b) {
        for (lane, (s, b)) in lanes.iter_mut().zip(s.iter().zip(b)) {
            *lane += (s - b).max(0.0);
        }
    }
    lanes.iter().fold(f64::from(rest), |sum, lane| sum + f64::from(*lane))
}

fn weighted_terms(similar: &[f32], best: &[f32], weights: &[f32]) -> f64 {
    let mut lanes = [0.0f32; 8];
    let (s, b, w) = (similar.chunks_exact(8), best.chunks_exact(8), weights.chunks_exact(8));
    let rest = s.remainder().iter().zip(b.remainder()).zip(w.remainder());
    let rest: f32 = rest.map(|((s, b), w)| w * (s - b).max(0.0)).sum();
    for ((s, b), w) in s.zip(b).zip(w) {
        for (lane, ((s, b), w)) in lanes.iter_mut().zip(s.iter().zip(b).zip(w)) {
            *lane += w * (s - b).max(0.0);
        }
    }
    lanes.iter().fold(f64::from(rest), |sum, lane| sum + f64::from(*lane))
}
