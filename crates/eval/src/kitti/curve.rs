use serde::{Deserialize, Serialize};

use super::Partial;
use super::filter::Difficulty;
use super::record::{FrameCurve, Step};

/// Recalls at which the curve is sampled: 0, 1/40, ..., 1.
pub const N_SLOTS: usize = 41;

/// Which recalls the average is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Recall {
    /// 0, .1, ..., 1, as in the benchmark's first years.
    R11,
    /// 1/40, 2/40, ..., 1, since 2019.
    R40,
}

impl Recall {
    /// Both.
    pub const ALL: [Self; 2] = [Self::R11, Self::R40];

    /// `R11` or `R40`.
    pub fn name(self) -> &'static str {
        ["R11", "R40"][self as usize]
    }

    /// The average of a sampled curve in percent.
    ///
    /// ```
    /// use labelloop_eval::kitti::{N_SLOTS, Recall};
    ///
    /// let mut slots = [0.0; N_SLOTS];
    /// slots[0] = 1.0;
    /// assert_eq!(Recall::R11.average(&slots), 100.0 / 11.0);
    /// assert_eq!(Recall::R40.average(&slots), 0.0, "recall 0 is not among the forty");
    /// ```
    pub fn average(self, slots: &[f64; N_SLOTS]) -> f64 {
        match self {
            Self::R11 => slots.iter().step_by(4).sum::<f64>() / 11.0 * 100.0,
            Self::R40 => slots.iter().skip(1).sum::<f64>() / 40.0 * 100.0,
        }
    }
}

/// Precision, or orientation similarity, by recall.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Labels to find.
    pub n_valid: u64,
    /// The scores that the curve is sampled at, descending; at most 41.
    pub thresholds: Vec<f64>,
    /// The best value at each threshold or any lower one; 0 behind the last threshold.
    pub values: Vec<f64>,
    /// Average over eleven recalls, in percent.
    pub r11: f64,
    /// Average over forty recalls, in percent.
    pub r40: f64,
}

impl Curve {
    fn new(n_valid: u64, thresholds: Vec<f64>, slots: [f64; N_SLOTS]) -> Self {
        let [r11, r40] = Recall::ALL.map(|recall| recall.average(&slots));
        Self { n_valid, thresholds, values: slots.to_vec(), r11, r40 }
    }

    /// The average over the recalls, in percent.
    pub fn ap(&self, recall: Recall) -> f64 {
        match recall {
            Recall::R11 => self.r11,
            Recall::R40 => self.r40,
        }
    }
}

/// The curve of one class, kind of overlap and difficulty, as a function of how often each frame's group counts.
pub(super) struct Sampler<'a> {
    /// Group and what the frame adds, by id of the frame.
    frames: Vec<(usize, &'a FrameCurve)>,
    /// Score and group of each label found by the first matching, surest first.
    scores: Vec<(f64, usize)>,
}

impl<'a> Sampler<'a> {
    pub(super) fn new(
        partial: &'a Partial,
        class: usize,
        overlap: usize,
        difficulty: Difficulty,
        groups: Option<&[usize]>,
    ) -> Self {
        let group = |i: usize| groups.map_or(0, |groups| groups[i]);
        let frames: Vec<(usize, &FrameCurve)> = partial
            .records()
            .enumerate()
            .filter_map(|(i, (_, record))| Some((group(i), record.class(class)?.curve(overlap, difficulty))))
            .collect();
        let mut scores: Vec<(f64, usize)> =
            frames.iter().flat_map(|(group, frame)| frame.scores.iter().map(|s| (*s, *group))).collect();
        scores.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        Self { frames, scores }
    }

    /// Precision and orientation similarity; nothing without a label to find.
    pub(super) fn curves(&self, times: &[u32]) -> Option<(Curve, Curve)> {
        let n_valid: u64 = self.frames.iter().map(|(g, f)| u64::from(times[*g]) * u64::from(f.n_valid)).sum();
        if n_valid == 0 {
            return None;
        }
        let found: Vec<f64> = self
            .scores
            .iter()
            .flat_map(|(score, group)| std::iter::repeat_n(*score, times[*group] as usize))
            .collect();
        let thresholds = thresholds(&found, n_valid);
        let sums = self.sums(&thresholds, times);
        let (mut precision, mut similarity) = ([0.0; N_SLOTS], [0.0; N_SLOTS]);
        for (i, sum) in sums.iter().enumerate() {
            let whole = sum.tp + sum.fp;
            if whole != 0 {
                precision[i] = sum.tp as f64 / whole as f64;
                similarity[i] = sum.similarity / whole as f64;
            }
        }
        for slots in [&mut precision, &mut similarity] {
            let mut best = 0.0f64;
            for slot in slots.iter_mut().rev() {
                best = best.max(*slot);
                *slot = best;
            }
        }
        Some((
            Curve::new(n_valid, thresholds.clone(), precision),
            Curve::new(n_valid, thresholds, similarity),
        ))
    }

    /// Counts at each threshold. Similarities are added frame by frame in the order of ids, so that their rounding does
    /// not depend on shards.
    fn sums(&self, thresholds: &[f64], times: &[u32]) -> Vec<Sum> {
        let mut sums = vec![Sum::default(); thresholds.len()];
        for (group, frame) in &self.frames {
            let n = times[*group];
            if n == 0 {
                continue;
            }
            let mut steps = frame.steps.iter().peekable();
            let mut now: Option<&Step> = None;
            for (threshold, sum) in thresholds.iter().zip(&mut sums) {
                while let Some(step) = steps.next_if(|step| *threshold <= step.score) {
                    now = Some(step);
                }
                if let Some(step) = now {
                    sum.tp += u64::from(n) * u64::from(step.tp);
                    sum.fp += u64::from(n) * u64::from(step.fp);
                    sum.similarity += f64::from(n) * step.similarity;
                }
            }
        }
        sums
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    tp: u64,
    fp: u64,
    similarity: f64,
}

/// The scores at which recall comes closest to each fortieth, from scores that descend.
pub(super) fn thresholds(found: &[f64], n_valid: u64) -> Vec<f64> {
    let mut thresholds = Vec::with_capacity(N_SLOTS);
    let (n, mut current) = (n_valid as f64, 0.0);
    for (i, score) in found.iter().enumerate() {
        let is_last = i + 1 == found.len();
        let left = (i + 1) as f64 / n;
        let right = if is_last { left } else { (i + 2) as f64 / n };
        if right - current < current - left && !is_last {
            continue;
        }
        // The rule gives one threshold per slot, unless a record was tampered with.
        if thresholds.len() == N_SLOTS {
            break;
        }
        thresholds.push(*score);
        current += 1.0 / 40.0;
    }
    thresholds
}

/// The most that a detector can reach with so few labels, in percent.
pub(super) fn ceiling(n_valid: u64, recall: Recall) -> f64 {
    let found = vec![0.0; usize::try_from(n_valid).unwrap_or(N_SLOTS).min(N_SLOTS)];
    let mut slots = [0.0; N_SLOTS];
    let n = thresholds(&found, n_valid.min(N_SLOTS as u64)).len();
    slots[..n].fill(1.0);
    recall.average(&slots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_found_gives_every_slot_once_there_are_41() {
        for n in 41..500 {
            assert_eq!(thresholds(&vec![1.0; n], n as u64).len(), N_SLOTS, "{n}");
        }
        for n in 0..41 {
            assert_eq!(thresholds(&vec![1.0; n], n as u64).len(), n, "{n}");
        }
    }

    #[test]
    fn the_last_score_is_always_taken() {
        let found: Vec<f64> = (0..50).map(|i| -f64::from(i)).collect();
        assert_eq!(thresholds(&found, 1000), [0.0, -24.0, -49.0]);
        assert_eq!(thresholds(&found[..1], 1000), [0.0]);
    }

    #[test]
    fn few_labels_have_a_ceiling() {
        assert_eq!(ceiling(0, Recall::R40), 0.0);
        assert_eq!(ceiling(3, Recall::R40), 5.0);
        assert_eq!(ceiling(3, Recall::R11), 100.0 / 11.0);
        assert_eq!(ceiling(40, Recall::R40), 97.5);
        for recall in Recall::ALL {
            assert_eq!(ceiling(41, recall), 100.0);
            assert_eq!(ceiling(1 << 40, recall), 100.0);
        }
    }

    #[test]
    fn averages_are_over_the_recalls_they_name() {
        let slots = std::array::from_fn(|i| i as f64 / 40.0);
        assert!((Recall::R11.average(&slots) - 50.0).abs() < 1e-12);
        assert!((Recall::R40.average(&slots) - 51.25).abs() < 1e-12);
        assert_eq!(Recall::ALL.map(Recall::name), ["R11", "R40"]);
    }
}
