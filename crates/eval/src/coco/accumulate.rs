use rayon::prelude::*;

use super::line::Line;
use super::transpose::{BitsBelow, transpose};
use super::{CocoResult, CocoValidParams};

/// numpy's `spacing(1)`, which keeps pycocotools from dividing 0 by 0.
pub(crate) const SPACING: f64 = f64::EPSILON;

/// The arrays of pycocotools' `accumulate`.
///
/// Between two true positives precision only falls and recall does not move, so true positives alone are visited, and
/// the false positives before each are counted in words of 64.
pub(super) fn accumulate(classes: Vec<ClassBits>, params: &CocoValidParams) -> CocoResult {
    let p = params.get();
    let (nt, nr, nk) = (p.iou_thresholds.len(), p.recall_thresholds.len(), classes.len());
    let n_cells = p.areas.len() * p.max_dets.len();
    let mut precision = vec![0.0; nt * nr * nk * n_cells];
    let mut scores = vec![0.0; nt * nr * nk * n_cells];
    let mut recall = vec![0.0; nt * nk * n_cells];
    if nk != 0 {
        let slabs = precision.par_chunks_mut(nr * nk * n_cells).zip(scores.par_chunks_mut(nr * nk * n_cells));
        slabs.zip(recall.par_chunks_mut(nk * n_cells)).enumerate().for_each(
            |(t, ((precision, scores), recall))| {
                Slab { t, precision, scores, recall }.fill(&classes, params);
            },
        );
    }
    let n_labels = classes.into_iter().map(|class| class.n_labels).collect();
    CocoResult::new(params.without_order(), nk, precision, recall, scores, n_labels)
}

/// A class with its flags turned: for each area and threshold one bit for each detection.
pub(super) struct ClassBits {
    n_labels: Vec<u64>,
    scores: Vec<f64>,
    n_blocks: usize,
    /// `[bit][block]`, right and wrong detections.
    tp: Vec<u64>,
    fp: Vec<u64>,
    /// For each detection limit the detections within it; nothing where the next larger limit has the same.
    within: Vec<Option<Vec<u64>>>,
    /// For each area and recall how many right detections reach it.
    needed: Vec<Vec<u32>>,
}

impl ClassBits {
    pub(super) fn new(line: Line, params: &CocoValidParams) -> Self {
        let p = params.get();
        let n_bits = p.areas.len() * p.iou_thresholds.len();
        let n_blocks = line.len().div_ceil(64);
        let needed = line.n_labels.iter().map(|n| needed(*n, &p.recall_thresholds)).collect();
        Self {
            n_blocks,
            tp: turned(&line.tp, line.n_words(), n_bits, n_blocks),
            fp: turned(&line.fp, line.n_words(), n_bits, n_blocks),
            within: limits(&line.places, &p.max_dets),
            needed,
            n_labels: line.n_labels,
            scores: line.scores,
        }
    }

    fn blocks<'b>(&self, rows: &'b [u64], bit: usize) -> &'b [u64] {
        &rows[bit * self.n_blocks..(bit + 1) * self.n_blocks]
    }

    /// Score of the best detection; the best of a picture is within every limit.
    fn best_score(&self) -> f64 {
        self.scores.first().copied().unwrap_or(0.0)
    }
}

/// `[detection][word]` to `[bit][block of detections]`.
fn turned(words: &[u64], n_words: usize, n_bits: usize, n_blocks: usize) -> Vec<u64> {
    let mut out = vec![0; n_bits * n_blocks];
    for (block, words) in words.chunks(64 * n_words.max(1)).enumerate() {
        for w in 0..n_words {
            let mut square = [0; 64];
            square.iter_mut().zip(words.iter().skip(w).step_by(n_words)).for_each(|(s, word)| *s = *word);
            transpose(&mut square);
            for (bit, row) in (w * 64..n_bits).zip(square) {
                out[bit * n_blocks + block] = row;
            }
        }
    }
    out
}

fn limits(places: &[u32], max_dets: &[usize]) -> Vec<Option<Vec<u64>>> {
    let n_within = |limit: usize| places.iter().filter(|p| (**p as usize) < limit).count();
    let counts: Vec<usize> = max_dets.iter().map(|limit| n_within(*limit)).collect();
    let next_counts = counts.iter().skip(1).copied().chain([places.len()]);
    let bits = |limit: usize| {
        let word = |block: &[u32]| {
            block.iter().enumerate().fold(0, |word, (i, p)| word | u64::from((*p as usize) < limit) << i)
        };
        places.chunks(64).map(word).collect()
    };
    let found = max_dets.iter().zip(counts.iter().zip(next_counts));
    found.map(|(limit, (n, next))| (*n != next).then(|| bits(*limit))).collect()
}

/// How many right detections it takes to reach each recall: the first `k` with `k / n_labels >= recall`, compared as
/// numpy's `searchsorted` compares them.
fn needed(n_labels: u64, recalls: &[f64]) -> Vec<u32> {
    let n = n_labels as f64;
    let first = |wanted: &f64| {
        let mut k = (wanted * n).ceil();
        while 0.0 < k && *wanted <= (k - 1.0) / n {
            k -= 1.0;
        }
        while k / n < *wanted {
            k += 1.0;
        }
        k as u32
    };
    if n_labels == 0 { Vec::new() } else { recalls.iter().map(first).collect() }
}

/// The part of the arrays for one threshold: `[R, K, A, M]` and `[K, A, M]`.
struct Slab<'a> {
    t: usize,
    precision: &'a mut [f64],
    scores: &'a mut [f64],
    recall: &'a mut [f64],
}

impl Slab<'_> {
    fn fill(self, classes: &[ClassBits], params: &CocoValidParams) {
        let p = params.get();
        let (nt, nr, nm) = (p.iou_thresholds.len(), p.recall_thresholds.len(), p.max_dets.len());
        let (nk, n_cells) = (classes.len(), p.areas.len() * nm);
        let mut part = ClassPart::new(nr, n_cells);
        for (k, class) in classes.iter().enumerate() {
            part.fill(class, self.t, nt, nm);
            self.recall[k * n_cells..(k + 1) * n_cells].copy_from_slice(&part.recall);
            for r in 0..nr {
                let (from, to) = (r * n_cells..(r + 1) * n_cells, (r * nk + k) * n_cells);
                self.precision[to..to + n_cells].copy_from_slice(&part.precision[from.clone()]);
                self.scores[to..to + n_cells].copy_from_slice(&part.scores[from]);
            }
        }
    }
}

/// The part of the arrays for one threshold and class: `[R, A, M]` and `[A, M]`.
struct ClassPart {
    n_cells: usize,
    precision: Vec<f64>,
    scores: Vec<f64>,
    recall: Vec<f64>,
    curve: Curve,
}

impl ClassPart {
    fn new(n_recalls: usize, n_cells: usize) -> Self {
        let empty = || vec![0.0; n_recalls * n_cells];
        let recall = vec![0.0; n_cells];
        Self { n_cells, precision: empty(), scores: empty(), recall, curve: Curve::default() }
    }

    fn fill(&mut self, class: &ClassBits, t: usize, n_thresholds: usize, n_limits: usize) {
        for (a, n_labels) in class.n_labels.iter().enumerate() {
            let bit = a * n_thresholds + t;
            for m in (0..n_limits).rev() {
                let cell = a * n_limits + m;
                if *n_labels == 0 {
                    self.set_undefined(cell);
                } else if class.within[m].is_none() && m + 1 < n_limits {
                    self.copy_from_next(cell);
                } else {
                    self.curve.fill(class, bit, class.within[m].as_deref());
                    self.read_off(class, &class.needed[a], cell);
                    self.recall[cell] = self.curve.tp_at.len() as f64 / *n_labels as f64;
                }
            }
        }
    }

    fn set_undefined(&mut self, cell: usize) {
        self.recall[cell] = -1.0;
        self.precision[cell..].iter_mut().step_by(self.n_cells).for_each(|v| *v = -1.0);
        self.scores[cell..].iter_mut().step_by(self.n_cells).for_each(|v| *v = -1.0);
    }

    fn copy_from_next(&mut self, cell: usize) {
        self.recall[cell] = self.recall[cell + 1];
        for rows in [&mut self.precision, &mut self.scores] {
            rows.chunks_exact_mut(self.n_cells).for_each(|row| row[cell] = row[cell + 1]);
        }
    }

    /// Precision and score at the first detection that reaches each recall; 0 where none does.
    fn read_off(&mut self, class: &ClassBits, needed: &[u32], cell: usize) {
        let Curve { tp_at, precision, .. } = &self.curve;
        let first = (precision.first().copied().unwrap_or(0.0), class.best_score());
        let rows =
            self.precision.chunks_exact_mut(self.n_cells).zip(self.scores.chunks_exact_mut(self.n_cells));
        for (needed, (precision_row, scores_row)) in needed.iter().zip(rows) {
            let found = match (*needed as usize).checked_sub(1) {
                // The very first detection reaches a recall of 0.
                None => first,
                Some(k) => precision.get(k).map_or((0.0, 0.0), |p| (*p, class.scores[tp_at[k] as usize])),
            };
            (precision_row[cell], scores_row[cell]) = found;
        }
    }
}

/// The right detections of one class, area, threshold and limit.
#[derive(Default)]
struct Curve {
    /// Places in the line.
    tp_at: Vec<u32>,
    /// Wrong detections before each.
    fp_before: Vec<u32>,
    /// The best precision there or at any higher recall.
    precision: Vec<f64>,
}

impl Curve {
    fn fill(&mut self, class: &ClassBits, bit: usize, within: Option<&[u64]>) {
        self.tp_at.clear();
        self.fp_before.clear();
        let mut n_wrong = 0;
        let blocks = class.blocks(&class.tp, bit).iter().zip(class.blocks(&class.fp, bit));
        for (block, (tp, fp)) in blocks.enumerate() {
            let mask = within.map_or(u64::MAX, |within| within[block]);
            let (mut right, wrong) = (tp & mask, fp & mask);
            let below = BitsBelow::of(wrong);
            while right != 0 {
                let place = right.trailing_zeros();
                right &= right - 1;
                self.tp_at.push(block as u32 * 64 + place);
                self.fp_before.push(n_wrong + below.count(place));
            }
            n_wrong += below.all();
        }
        self.fill_precision();
    }

    fn fill_precision(&mut self) {
        self.precision.clear();
        let points = self.fp_before.iter().zip(1u32..);
        self.precision.extend(points.map(|(fp, tp)| {
            let (fp, tp) = (f64::from(*fp), f64::from(tp));
            tp / (fp + tp + SPACING)
        }));
        let mut best = 0.0;
        for precision in self.precision.iter_mut().rev() {
            if *precision < best {
                *precision = best;
            }
            best = *precision;
        }
    }
}
