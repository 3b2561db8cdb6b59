use rayon::prelude::*;

use super::partial::{ClassRecord, ImageRecord, by_score};
use super::{CocoResult, CocoValidParams};
use crate::Result;

/// numpy's `spacing(1)`, which keeps pycocotools from dividing 0 by 0.
pub(crate) const SPACING: f64 = f64::EPSILON;

/// Detections of one class over all pictures, best score first, in the order of pictures among equals.
pub(crate) struct Line<'a> {
    /// Score, place within the picture's own order, record and number of the picture.
    pub(crate) entries: Vec<Entry<'a>>,
    /// Labels that count, for each area.
    pub(crate) n_labels: Vec<u64>,
}

/// One detection in a [`Line`].
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) score: f64,
    pub(crate) place: usize,
    pub(crate) image: usize,
    record: &'a ClassRecord,
    n_words: usize,
}

impl Entry<'_> {
    /// Whether the detection is a true positive at a bit of area and threshold.
    pub(crate) fn is_tp(&self, bit: usize) -> bool {
        self.record.tp[self.place * self.n_words + bit / 64] >> (bit % 64) & 1 == 1
    }

    /// Whether the detection is a false positive at a bit of area and threshold.
    pub(crate) fn is_fp(&self, bit: usize) -> bool {
        self.record.fp[self.place * self.n_words + bit / 64] >> (bit % 64) & 1 == 1
    }
}

/// Lines of all classes.
pub(crate) fn lines<'a>(
    images: &[&'a ImageRecord],
    n_classes: usize,
    params: &CocoValidParams,
) -> Vec<Line<'a>> {
    let n_words = params.n_words();
    let n_areas = params.get().areas.len();
    let empty = || Line { entries: Vec::new(), n_labels: vec![0; n_areas] };
    let mut lines: Vec<Line<'a>> = (0..n_classes).map(|_| empty()).collect();
    for (image, record) in images.iter().enumerate() {
        for record in &record.classes {
            let line = &mut lines[record.class as usize];
            line.n_labels.iter_mut().zip(&record.n_labels).for_each(|(sum, n)| *sum += u64::from(*n));
            let entries = record.scores.iter().enumerate();
            line.entries.extend(entries.map(|(place, score)| Entry {
                score: *score,
                place,
                image,
                record,
                n_words,
            }));
        }
    }
    lines.par_iter_mut().for_each(|line| line.entries.sort_by(|a, b| by_score(a.score, b.score)));
    lines
}

/// One class's part of the arrays, in the order area, limit, threshold.
struct ClassArrays {
    precision: Vec<f64>,
    recall: Vec<f64>,
    scores: Vec<f64>,
}

/// The arrays of pycocotools' `accumulate` from match records in the order of pictures.
pub(super) fn accumulate(
    images: &[&ImageRecord],
    n_classes: usize,
    params: &CocoValidParams,
) -> Result<CocoResult> {
    let lines = lines(images, n_classes, params);
    let classes: Vec<ClassArrays> = lines.par_iter().map(|line| class_arrays(line, params)).collect();
    let p = params.get();
    let (nt, nr, na, nm) =
        (p.iou_thresholds.len(), p.recall_thresholds.len(), p.areas.len(), p.max_dets.len());
    let mut precision = vec![-1.0; nt * nr * n_classes * na * nm];
    let mut scores = precision.clone();
    let mut recall = vec![-1.0; nt * n_classes * na * nm];
    for (k, class) in classes.iter().enumerate() {
        for (am, t) in (0..na * nm).flat_map(|am| (0..nt).map(move |t| (am, t))) {
            let from = am * nt + t;
            recall[(t * n_classes + k) * na * nm + am] = class.recall[from];
            for r in 0..nr {
                let to = ((t * nr + r) * n_classes + k) * na * nm + am;
                precision[to] = class.precision[from * nr + r];
                scores[to] = class.scores[from * nr + r];
            }
        }
    }
    let n_labels = lines.iter().map(|line| line.n_labels.clone()).collect();
    Ok(CocoResult::new(p.clone(), n_classes, precision, recall, scores, n_labels))
}

fn class_arrays(line: &Line<'_>, params: &CocoValidParams) -> ClassArrays {
    let p = params.get();
    let (nt, nr) = (p.iou_thresholds.len(), p.recall_thresholds.len());
    let n = p.areas.len() * p.max_dets.len() * nt;
    let mut arrays =
        ClassArrays { precision: vec![-1.0; n * nr], recall: vec![-1.0; n], scores: vec![-1.0; n * nr] };
    let mut curve = Curve::default();
    for (m, max_det) in p.max_dets.iter().enumerate() {
        let entries: Vec<Entry<'_>> = line.entries.iter().filter(|e| e.place < *max_det).copied().collect();
        for (a, n_labels) in line.n_labels.iter().enumerate().filter(|(_, n)| **n != 0) {
            for t in 0..nt {
                curve.fill(&entries, a * nt + t, *n_labels as f64);
                let at = (a * p.max_dets.len() + m) * nt + t;
                arrays.recall[at] = curve.recall.last().copied().unwrap_or(0.0);
                let span = at * nr..(at + 1) * nr;
                let (precision, scores) = (&mut arrays.precision[span.clone()], &mut arrays.scores[span]);
                curve.read_off(&entries, &p.recall_thresholds, precision, scores);
            }
        }
    }
    arrays
}

/// Recall and precision after each detection.
#[derive(Default)]
struct Curve {
    recall: Vec<f64>,
    precision: Vec<f64>,
}

impl Curve {
    fn fill(&mut self, entries: &[Entry<'_>], bit: usize, n_labels: f64) {
        self.recall.clear();
        self.precision.clear();
        let (mut tp, mut fp) = (0.0, 0.0);
        for entry in entries {
            tp += f64::from(u8::from(entry.is_tp(bit)));
            fp += f64::from(u8::from(entry.is_fp(bit)));
            self.recall.push(tp / n_labels);
            self.precision.push(tp / (fp + tp + SPACING));
        }
        for i in (1..self.precision.len()).rev() {
            if self.precision[i - 1] < self.precision[i] {
                self.precision[i - 1] = self.precision[i];
            }
        }
    }

    /// Precision and score at the first detection that reaches each recall; 0 where none does.
    fn read_off(&self, entries: &[Entry<'_>], recalls: &[f64], precision: &mut [f64], scores: &mut [f64]) {
        precision.fill(0.0);
        scores.fill(0.0);
        let mut i = 0;
        for (r, wanted) in recalls.iter().enumerate() {
            while i < self.recall.len() && self.recall[i] < *wanted {
                i += 1;
            }
            if i == self.recall.len() {
                return;
            }
            precision[r] = self.precision[i];
            scores[r] = entries[i].score;
        }
    }
}
