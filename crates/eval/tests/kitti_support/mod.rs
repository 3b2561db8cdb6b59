//! KITTI's evaluation written down once more, straight from its rules: dense matrices, one matching for every threshold,
//! nothing shared with the implementation but the overlap of cuboids; and random frames to try both on.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::needless_range_loop, reason = "numbers of labels and detections, as in the rules")]

use labelloop_core::{BBox, Cuboid, CuboidFrame, SampleId, Seed};
use labelloop_eval::kitti::{Detection, Difficulty, Frame, Label, Metric};
use labelloop_eval::overlap3::{bev_iou, iou_3d};

pub(crate) struct Owned {
    pub(crate) id: SampleId,
    pub(crate) labels: Vec<Label>,
    pub(crate) detections: Vec<Detection>,
}

pub(crate) fn frames(owned: &[Owned]) -> Vec<Frame<'_>> {
    owned.iter().map(|f| Frame { id: &f.id, labels: &f.labels, detections: &f.detections }).collect()
}

/// What the slow evaluation of one class, metric and difficulty gives.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) n_gt: usize,
    pub(crate) thresholds: Vec<f64>,
    pub(crate) slots: [f64; 41],
    pub(crate) r11: f64,
    pub(crate) r40: f64,
}

pub(crate) struct Rules<'a> {
    pub(crate) class: &'a str,
    pub(crate) neighbours: &'a [&'a str],
    /// Of boxes, bird's-eye views, cuboids.
    pub(crate) min_overlap: [f64; 3],
    pub(crate) has_filter: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Valid,
    Ignored,
    Absent,
}

const MIN_HEIGHT: [f64; 3] = [40.0, 25.0, 25.0];
const MAX_OCCLUSION: [i32; 3] = [0, 1, 2];
const MAX_TRUNCATION: [f64; 3] = [0.15, 0.3, 0.5];

struct Dense {
    gt: Vec<Part>,
    dt: Vec<Part>,
    overlap: Vec<Vec<f64>>,
    in_dont_care: Vec<bool>,
}

fn corners(b: BBox) -> [f64; 4] {
    b.to_corners()
}

fn shared(a: BBox, b: BBox) -> f64 {
    let ([ax1, ay1, ax2, ay2], [bx1, by1, bx2, by2]) = (corners(a), corners(b));
    let (w, h) = (ax2.min(bx2) - ax1.max(bx1), ay2.min(by2) - ay1.max(by1));
    if w <= 0.0 || h <= 0.0 { 0.0 } else { w * h }
}

fn size(a: BBox) -> f64 {
    let [x1, y1, x2, y2] = corners(a);
    (x2 - x1) * (y2 - y1)
}

fn box_iou(a: BBox, b: BBox) -> f64 {
    let inter = shared(a, b);
    if inter == 0.0 { 0.0 } else { inter / (size(a) + size(b) - inter) }
}

fn is(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

impl Rules<'_> {
    fn kind(metric: Metric) -> usize {
        match metric {
            Metric::Bbox | Metric::Aos => 0,
            Metric::Bev => 1,
            Metric::Cuboid => 2,
        }
    }

    fn label(&self, label: &Label, d: usize, kind: usize) -> Part {
        let own = is(&label.class, self.class);
        if !own && !self.neighbours.iter().any(|n| is(n, &label.class)) {
            return Part::Absent;
        }
        let mut ignore = !own;
        if self.has_filter {
            let [_, y1, _, y2] = label.bbox.map_or([0.0; 4], corners);
            if label.occlusion > MAX_OCCLUSION[d]
                || label.truncation > MAX_TRUNCATION[d]
                || y2 - y1 < MIN_HEIGHT[d]
            {
                ignore = true;
            }
        }
        if kind == 0 && label.bbox.is_none() || kind != 0 && label.cuboid.is_none() {
            ignore = true;
        }
        if ignore { Part::Ignored } else { Part::Valid }
    }

    fn detection(&self, detection: &Detection, d: usize) -> Part {
        let own = is(&detection.class, self.class);
        if self.has_filter {
            match detection.bbox {
                Some(b) => {
                    let [_, y1, _, y2] = corners(b);
                    if (y1 - y2).abs() < MIN_HEIGHT[d] {
                        return Part::Ignored;
                    }
                }
                None if own => return Part::Ignored,
                None => {}
            }
        }
        if own { Part::Valid } else { Part::Absent }
    }

    fn dense(&self, frame: &Owned, d: usize, kind: usize) -> Dense {
        let overlap = |label: &Label, detection: &Detection| match kind {
            0 => label.bbox.zip(detection.bbox).map_or(0.0, |(a, b)| box_iou(a, b)),
            _ => label.cuboid.zip(detection.cuboid).map_or(0.0, |(a, b)| {
                if kind == 1 { bev_iou(&a, &b).unwrap() } else { iou_3d(&a, &b).unwrap() }
            }),
        };
        let in_dont_care = |detection: &Detection| {
            kind == 0
                && detection.bbox.is_some_and(|b| {
                    frame
                        .labels
                        .iter()
                        .filter(|l| is(&l.class, "dontcare"))
                        .any(|l| shared(l.bbox.unwrap(), b) / size(b) > self.min_overlap[0])
                })
        };
        Dense {
            gt: frame.labels.iter().map(|l| self.label(l, d, kind)).collect(),
            dt: frame.detections.iter().map(|x| self.detection(x, d)).collect(),
            overlap: frame
                .labels
                .iter()
                .map(|l| frame.detections.iter().map(|x| overlap(l, x)).collect())
                .collect(),
            in_dont_care: frame.detections.iter().map(in_dont_care).collect(),
        }
    }

    /// Scores of what the first pass finds.
    fn first_pass(&self, frame: &Owned, dense: &Dense, kind: usize) -> Vec<f64> {
        let mut assigned = vec![false; dense.dt.len()];
        let mut scores = Vec::new();
        for g in 0..dense.gt.len() {
            if dense.gt[g] == Part::Absent {
                continue;
            }
            let mut chosen: Option<usize> = None;
            for t in 0..dense.dt.len() {
                if dense.dt[t] == Part::Absent
                    || assigned[t]
                    || !(dense.overlap[g][t] > self.min_overlap[kind])
                {
                    continue;
                }
                if chosen.is_none() || frame.detections[t].score > frame.detections[chosen.unwrap()].score {
                    chosen = Some(t);
                }
            }
            if let Some(t) = chosen {
                assigned[t] = true;
                if dense.gt[g] == Part::Valid && dense.dt[t] == Part::Valid {
                    scores.push(frame.detections[t].score);
                }
            }
        }
        scores
    }

    /// True positives, false positives, similarity at a threshold.
    fn second_pass(&self, frame: &Owned, dense: &Dense, kind: usize, threshold: f64) -> (usize, usize, f64) {
        let mut assigned = vec![false; dense.dt.len()];
        let below = |t: usize| frame.detections[t].score < threshold;
        let (mut tp, mut fp, mut similarity) = (0, 0, 0.0);
        for g in 0..dense.gt.len() {
            if dense.gt[g] == Part::Absent {
                continue;
            }
            let mut chosen: Option<usize> = None;
            let mut best = 0.0;
            let mut chosen_is_ignored = false;
            for t in 0..dense.dt.len() {
                if dense.dt[t] == Part::Absent || assigned[t] || below(t) {
                    continue;
                }
                let overlap = dense.overlap[g][t];
                if !(overlap > self.min_overlap[kind]) {
                    continue;
                }
                if dense.dt[t] == Part::Valid && (overlap > best || chosen_is_ignored) {
                    best = overlap;
                    chosen = Some(t);
                    chosen_is_ignored = false;
                } else if dense.dt[t] == Part::Ignored && chosen.is_none() {
                    chosen = Some(t);
                    chosen_is_ignored = true;
                }
            }
            let Some(t) = chosen else { continue };
            assigned[t] = true;
            if dense.gt[g] == Part::Valid && dense.dt[t] == Part::Valid {
                tp += 1;
                if let (Some(a), Some(b)) = (frame.labels[g].alpha, frame.detections[t].alpha) {
                    similarity += (1.0 + (a - b).cos()) / 2.0;
                }
            }
        }
        for t in 0..dense.dt.len() {
            if dense.dt[t] == Part::Valid && !below(t) && !assigned[t] && !dense.in_dont_care[t] {
                fp += 1;
            }
        }
        (tp, fp, similarity)
    }

    /// Frames in the order of their ids.
    pub(crate) fn evaluate(
        &self,
        frames: &[Owned],
        metric: Metric,
        difficulty: Difficulty,
    ) -> Option<Answer> {
        let (kind, d) = (Self::kind(metric), difficulty as usize);
        let dense: Vec<Dense> = frames.iter().map(|f| self.dense(f, d, kind)).collect();
        let n_gt = dense.iter().flat_map(|x| &x.gt).filter(|p| **p == Part::Valid).count();
        if n_gt == 0 {
            return None;
        }
        let mut v: Vec<f64> =
            frames.iter().zip(&dense).flat_map(|(f, x)| self.first_pass(f, x, kind)).collect();
        v.sort_by(|a, b| b.partial_cmp(a).unwrap());
        let thresholds = thresholds(&v, n_gt as f64);
        let mut slots = [0.0; 41];
        for (i, threshold) in thresholds.iter().enumerate() {
            let (mut tp, mut fp, mut similarity) = (0, 0, 0.0);
            for (f, x) in frames.iter().zip(&dense) {
                let (t, p, s) = self.second_pass(f, x, kind, *threshold);
                tp += t;
                fp += p;
                similarity += s;
            }
            if tp + fp > 0 {
                slots[i] = if metric == Metric::Aos { similarity } else { tp as f64 } / (tp + fp) as f64;
            }
        }
        for i in 0..41 {
            slots[i] = slots[i..].iter().copied().fold(0.0, f64::max);
        }
        let r11 = (0..=40).step_by(4).map(|i| slots[i]).sum::<f64>() / 11.0 * 100.0;
        let r40 = (1..=40).map(|i| slots[i]).sum::<f64>() / 40.0 * 100.0;
        Some(Answer { n_gt, thresholds, slots, r11, r40 })
    }
}

fn thresholds(v: &[f64], n_gt: f64) -> Vec<f64> {
    let mut out = Vec::new();
    let mut current = 0.0;
    for i in 0..v.len() {
        let l = (i as f64 + 1.0) / n_gt;
        let r = if i < v.len() - 1 { (i as f64 + 2.0) / n_gt } else { l };
        if r - current < current - l && i < v.len() - 1 {
            continue;
        }
        out.push(v[i]);
        current += 1.0 / 40.0;
    }
    out
}

/// Draws in a row from a seed.
pub(crate) struct Chance {
    seed: Seed,
    next: u64,
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed: Seed::new(seed).stream("kitti"), next: 0 }
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.next += 1;
        self.seed.below(self.next, n)
    }

    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    pub(crate) fn whole(&mut self, from: i32, to: i32) -> f64 {
        f64::from(from + self.below((to - from + 1) as usize) as i32)
    }
}

const LABEL_CLASSES: [&str; 12] = [
    "Car",
    "Car",
    "Car",
    "car",
    "Van",
    "Van",
    "Pedestrian",
    "Pedestrian",
    "Person_sitting",
    "Cyclist",
    "Truck",
    "DontCare",
];
const DETECTION_CLASSES: [&str; 7] = ["Car", "Car", "CAR", "Pedestrian", "Cyclist", "Van", "Tram"];

/// A box of whole pixels and a cuboid that stands for it. Heights crowd around the limits.
fn object(chance: &mut Chance) -> (BBox, Cuboid) {
    let (x, y) = (chance.whole(0, 60), chance.whole(0, 20));
    let height = chance.one_of(&[24.0, 25.0, 26.0, 39.0, 40.0, 41.0, 55.0]);
    let bbox = BBox::from_corners(x, y, x + chance.whole(20, 40), y + height).unwrap();
    let yaw = chance.one_of(&[0.0, 0.0, 0.1, 1.5, -3.0]);
    let (l, w) = (chance.one_of(&[4.0, 4.2, 3.9]), chance.one_of(&[1.6, 1.7]));
    let centre = [chance.whole(0, 6) / 2.0, chance.whole(0, 2) / 4.0, chance.whole(10, 30) / 2.0];
    (bbox, Cuboid::new(centre, [l, w, 1.5], yaw, CuboidFrame::KittiCamera).unwrap())
}

/// The same object a little off: by nothing, a pixel or two, some centimetres.
fn near(chance: &mut Chance, (bbox, cuboid): (BBox, Cuboid)) -> (BBox, Cuboid) {
    let [x1, y1, x2, y2] = bbox.to_corners();
    let mut off = || chance.one_of(&[0.0, 0.0, 1.0, -1.0, 3.0]);
    let moved = BBox::from_corners(x1 + off(), y1 + off(), x2 + off(), y2 + off()).unwrap();
    let [x, y, z] = cuboid.centre();
    let centre = [x + off() / 8.0, y + off() / 16.0, z + off() / 16.0];
    (moved, Cuboid::new(centre, cuboid.size(), cuboid.yaw() + off() / 20.0, cuboid.frame()).unwrap())
}

/// A frame that has everything: crowded objects, ties of scores and overlaps, regions left out, low boxes, neighbours.
pub(crate) fn frame(seed: u64, number: usize) -> Owned {
    let mut c = Chance::new(seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
    let n_labels = c.below(8);
    let objects: Vec<(BBox, Cuboid)> = (0..n_labels).map(|_| object(&mut c)).collect();
    let labels = objects.iter().map(|(bbox, cuboid)| {
        let class = c.one_of(&LABEL_CLASSES);
        Label {
            truncation: c.one_of(&[0.0, 0.0, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6]),
            occlusion: c.one_of(&[0, 0, 0, 1, 2, 3]),
            alpha: (class != "DontCare").then(|| c.whole(-30, 30) / 10.0),
            ..Label::new(class, Some(*bbox), (class != "DontCare").then_some(*cuboid))
        }
    });
    let labels: Vec<Label> = labels.collect();
    let mut detections = Vec::new();
    for _ in 0..c.below(12) {
        let (bbox, cuboid) = match objects.len() {
            0 => object(&mut c),
            n if c.below(5) != 0 => {
                let i = c.below(n);
                near(&mut c, objects[i])
            }
            _ => object(&mut c),
        };
        let class = c.one_of(&DETECTION_CLASSES);
        let score = c.whole(-8, 8) / 4.0;
        let alpha = Some(c.whole(-30, 30) / 10.0);
        detections.push(Detection { alpha, ..Detection::new(class, Some(bbox), Some(cuboid), score) });
    }
    Owned { id: SampleId::new(format!("{number:06}")).unwrap(), labels, detections }
}

pub(crate) fn problem(seed: u64, n_frames: usize) -> Vec<Owned> {
    (0..n_frames).map(|number| frame(seed, number)).collect()
}
