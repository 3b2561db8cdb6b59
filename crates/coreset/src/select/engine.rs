use std::cmp::Ordering;
use std::collections::BinaryHeap;

use labelloop_core::{Progress, Seed};

use super::gate::Gate;
use super::{Ended, Gains, Objective, Pick, Selection};
use crate::Result;

/// One selection under way.
pub(crate) struct Run<'a> {
    pub(crate) gate: Gate<'a>,
    pub(crate) objective: Box<dyn Objective + 'a>,
    pub(crate) n_rows: usize,
    pub(crate) k: usize,
    pub(crate) picks: Vec<Pick>,
    pub(crate) progress: &'a dyn Progress,
}

impl Run<'_> {
    /// The exact greedy choice: in every step the admitted row of the highest gain, ties by lower row.
    pub(crate) fn exact(mut self) -> Result<Selection> {
        match self.objective.kind() {
            Gains::Fixed => self.sorted()?,
            Gains::Falling => self.lazy()?,
            Gains::Any => self.scanning()?,
        }
        Ok(self.finish())
    }

    /// In every step the best of a random sample of the admitted rows.
    pub(crate) fn stochastic(mut self, sample: usize, seed: Seed) -> Result<Selection> {
        let mut open: Vec<usize> = (0..self.n_rows).collect();
        let mut draw = 0;
        while self.wants_more()? {
            let mut rows = Vec::new();
            // Drawn rows move to the end; those that are not admitted leave for good, as nothing opens a row again.
            let mut end = open.len();
            while rows.len() < sample && end > 0 {
                let at = seed.below(draw, end);
                draw += 1;
                end -= 1;
                open.swap(at, end);
                if self.gate.admits(open[end]) {
                    rows.push(open[end]);
                } else {
                    let last = open.len() - 1;
                    open.swap(end, last);
                    open.truncate(last);
                }
            }
            rows.sort_unstable();
            let Some((row, gain)) = self.best(&rows) else { break };
            self.take(row, gain);
            open.retain(|other| *other != row);
        }
        Ok(self.finish())
    }

    fn sorted(&mut self) -> Result<()> {
        let mut ranked: Vec<Offer> = self.offers();
        ranked.sort_unstable_by(|a, b| b.cmp(a));
        for Offer { row, gain, .. } in ranked {
            if !self.wants_more()? {
                break;
            }
            if self.gate.admits(row) {
                self.take(row, gain);
            }
        }
        Ok(())
    }

    fn scanning(&mut self) -> Result<()> {
        let mut open: Vec<usize> = (0..self.n_rows).collect();
        while self.wants_more()? {
            self.gate.retain(&mut open);
            let Some((row, gain)) = self.best(&open) else { break };
            self.take(row, gain);
        }
        Ok(())
    }

    fn lazy(&mut self) -> Result<()> {
        let mut heap: BinaryHeap<Offer> = self.offers().into();
        let mut renewed_at = None;
        while self.wants_more()? {
            let Some(Offer { row, gain, .. }) = self.top(&mut heap) else { break };
            let step = self.picks.len();
            if !(0.0 < gain) && renewed_at != Some(step) && self.objective.renew() {
                renewed_at = Some(step);
                heap = self.offers().into();
                continue;
            }
            self.take(row, gain);
        }
        Ok(())
    }

    /// The best admitted row, whose gain is that of this step.
    ///
    /// Gains from earlier steps are upper bounds. A row on top whose gain is fresh beats all bounds below it, and so all
    /// gains below it; among equal ones it is the lowest row.
    fn top(&mut self, heap: &mut BinaryHeap<Offer>) -> Option<Offer> {
        let step = self.picks.len();
        let most = self.objective.batch().max(1);
        let mut size = most.min(4);
        loop {
            let top = heap.pop()?;
            if !self.gate.admits(top.row) {
                continue;
            }
            if top.step == step {
                return Some(top);
            }
            let mut rows = vec![top.row];
            while rows.len() < size {
                let Some(next) = heap.peek().filter(|next| next.step != step) else { break };
                if self.gate.admits(next.row) {
                    rows.push(next.row);
                }
                heap.pop();
            }
            let gains = self.gains(&rows);
            heap.extend(rows.into_iter().zip(gains).map(|(row, gain)| Offer { gain, row, step }));
            size = most.min(2 * size);
        }
    }

    fn best(&mut self, rows: &[usize]) -> Option<(usize, f64)> {
        let mut best = highest(rows, &self.gains(rows));
        if best.is_some_and(|(_, gain)| !(0.0 < gain)) && self.objective.renew() {
            best = highest(rows, &self.gains(rows));
        }
        best
    }

    fn offers(&self) -> Vec<Offer> {
        let rows: Vec<usize> = (0..self.n_rows).collect();
        let step = self.picks.len();
        rows.iter().zip(self.gains(&rows)).map(|(row, gain)| Offer { gain, row: *row, step }).collect()
    }

    /// Gains that can be ordered: none is NaN or the negative zero.
    fn gains(&self, rows: &[usize]) -> Vec<f64> {
        let mut gains = vec![0.0; rows.len()];
        self.objective.gains(rows, &mut gains);
        gains.iter_mut().for_each(|g| *g = if g.is_nan() { f64::NEG_INFINITY } else { *g + 0.0 });
        gains
    }

    fn wants_more(&self) -> Result<bool> {
        self.progress.step("select", self.picks.len() as u64, self.k as u64)?;
        Ok(self.picks.len() < self.k)
    }

    fn take(&mut self, row: usize, gain: f64) {
        let reason = self.objective.reason(row);
        self.picks.push(Pick { row, rank: self.picks.len(), gain, reason });
        self.objective.pick(row);
        self.gate.take(row);
    }

    fn finish(self) -> Selection {
        let ended = if self.picks.len() < self.k { self.gate.ended() } else { Ended::Full };
        Selection { picks: self.picks, ended }
    }
}

/// `rows` ascend.
fn highest(rows: &[usize], gains: &[f64]) -> Option<(usize, f64)> {
    let offers = rows.iter().copied().zip(gains.iter().copied());
    offers.reduce(|best, next| if next.1 > best.1 { next } else { best })
}

/// A row with its gain at a step.
#[derive(Clone, Copy)]
struct Offer {
    gain: f64,
    row: usize,
    step: usize,
}

impl Ord for Offer {
    /// By gain, then by lower row.
    fn cmp(&self, other: &Self) -> Ordering {
        self.gain.total_cmp(&other.gain).then_with(|| other.row.cmp(&self.row))
    }
}

impl PartialOrd for Offer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Offer {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Offer {}
