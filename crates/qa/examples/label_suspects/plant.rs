//! Pictures with known objects, labels with planted errors, and a simulated detector that never saw the labels.

use labelloop_core::{BBox, ClassIdx, LabelledBox, SampleId, ScoredBox, Seed};
use labelloop_qa::{ScoredImage, Suspect, SuspectKind};

/// How the detector errs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Detector {
    /// Share of large objects found.
    pub(crate) recall: f64,
    /// Share of small objects found.
    pub(crate) recall_small: f64,
    /// Detections without an object, per object.
    pub(crate) alarms: f64,
    /// Share of detections of another class.
    pub(crate) confusion: f64,
    /// Standard deviation of each edge in sides.
    pub(crate) jitter: f64,
}

/// What the planted errors are, by picture: positions of labels that are wrong, places of labels that are missing.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(crate) wrong: Vec<(usize, SuspectKind)>,
    pub(crate) missing: Vec<BBox>,
}

pub(crate) struct Planted {
    pub(crate) ids: Vec<SampleId>,
    pub(crate) labels: Vec<Vec<LabelledBox>>,
    pub(crate) detections: Vec<Vec<ScoredBox>>,
    pub(crate) truth: Vec<Truth>,
}

impl Planted {
    /// Pictures of 6 objects of three classes; a share `rate` of objects gets each kind of error.
    pub(crate) fn generate(n_images: usize, rate: f64, detector: Detector, seed: Seed) -> Self {
        let mut planted = Self {
            ids: (0..n_images).map(|i| SampleId::new(format!("{i:05}")).expect("not empty")).collect(),
            labels: Vec::new(),
            detections: Vec::new(),
            truth: Vec::new(),
        };
        for i in 0..n_images {
            let s = seed.stream(&i.to_string());
            let objects = objects(s);
            let (labels, truth) = labels(&objects, rate, s.stream("labels"));
            planted.labels.push(labels);
            planted.truth.push(truth);
            planted.detections.push(detections(&objects, detector, s.stream("detector")));
        }
        planted
    }

    pub(crate) fn images(&self) -> Vec<ScoredImage<'_>> {
        let pairs = self.ids.iter().zip(&self.labels).zip(&self.detections);
        pairs.map(|((id, labels), detections)| ScoredImage { id, labels, detections }).collect()
    }

    /// Whether a suspect is a planted error, and of its kind.
    pub(crate) fn is_right(&self, suspect: &Suspect) -> bool {
        let Ok(i) = self.ids.binary_search(&suspect.image) else { return false };
        match suspect.label_idx {
            Some(l) => self.truth[i].wrong.contains(&(l, suspect.kind)),
            None => self.truth[i].missing.iter().any(|b| 0.5 <= b.iou(suspect.bbox)),
        }
    }

    /// Whether anything is wrong with the object a suspect names.
    pub(crate) fn is_error(&self, suspect: &Suspect) -> bool {
        let Ok(i) = self.ids.binary_search(&suspect.image) else { return false };
        match suspect.label_idx {
            Some(l) => self.truth[i].wrong.iter().any(|(wrong, _)| *wrong == l),
            None => self.is_right(suspect),
        }
    }

    /// Probability that an object with a planted error of a kind ranks before one without any; ties count half.
    /// Objects are labels, or for overlooked ones the detections that match no label. `suspects` must be all of them.
    pub(crate) fn auc(&self, suspects: &[Suspect], kind: SuspectKind) -> f64 {
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for (i, id) in self.ids.iter().enumerate() {
            let mine: Vec<&Suspect> = suspects.iter().filter(|s| s.image == *id && s.kind == kind).collect();
            if kind == SuspectKind::Overlooked {
                for s in mine {
                    if self.is_right(s) { with.push(s.suspicion) } else { without.push(s.suspicion) }
                }
                continue;
            }
            for l in 0..self.labels[i].len() {
                let score = mine.iter().find(|s| s.label_idx == Some(l)).map_or(0.0, |s| s.suspicion);
                if self.truth[i].wrong.contains(&(l, kind)) {
                    with.push(score);
                } else if self.truth[i].wrong.iter().all(|(wrong, _)| *wrong != l) {
                    without.push(score);
                }
            }
        }
        area(&with, &without)
    }
}

/// Share of pairs in the right order; ties count half.
fn area(with: &[f64], without: &[f64]) -> f64 {
    let won = |a: &f64| {
        without
            .iter()
            .map(|b| {
                if b < a {
                    1.0
                } else if a == b {
                    0.5
                } else {
                    0.0
                }
            })
            .sum::<f64>()
    };
    with.iter().map(won).sum::<f64>() / (with.len() * without.len()) as f64
}

fn objects(seed: Seed) -> Vec<LabelledBox> {
    let cells = seed.permutation(16);
    (0..6u64)
        .map(|k| {
            let s = seed.stream("object").stream(&k.to_string());
            let side = if s.unit(0) < 0.4 { 16.0 + 14.0 * s.unit(1) } else { 50.0 + 70.0 * s.unit(1) };
            let (x, y) = ((cells[k as usize] % 4) as f64 * 300.0, (cells[k as usize] / 4) as f64 * 300.0);
            let place =
                BBox::new(x + 100.0 * s.unit(2), y + 100.0 * s.unit(3), side, side * (0.7 + 0.6 * s.unit(4)));
            LabelledBox::new(ClassIdx(s.below(5, 3) as u32), place.expect("finite"))
        })
        .collect()
}

/// Objects as somebody labels them who shakes by 3% of a side, with errors planted.
fn labels(objects: &[LabelledBox], rate: f64, seed: Seed) -> (Vec<LabelledBox>, Truth) {
    let (mut labels, mut truth) = (Vec::new(), Truth::default());
    for (k, object) in objects.iter().enumerate() {
        let s = seed.stream(&k.to_string());
        let mut label = shaken(object, 0.03, s);
        let pick = s.unit(90) / rate;
        if pick < 1.0 {
            truth.missing.push(object.bbox);
        } else {
            if pick < 2.0 {
                truth.wrong.push((labels.len(), SuspectKind::Swapped));
                label.class = ClassIdx((label.class.0 + 1 + s.below(91, 2) as u32) % 3);
            } else if pick < 3.0 {
                truth.wrong.push((labels.len(), SuspectKind::BadlyLocated));
                label.bbox = moved(label.bbox, 0.35 + 0.25 * s.unit(92));
            }
            labels.push(label);
        }
        if s.unit(93) < rate {
            truth.wrong.push((labels.len(), SuspectKind::Unfounded));
            let side = if s.unit(94) < 0.4 { 16.0 + 14.0 * s.unit(96) } else { 50.0 + 70.0 * s.unit(96) };
            let place = BBox::new(1210.0, 200.0 * k as f64, side, side).expect("finite");
            labels.push(LabelledBox::new(ClassIdx(s.below(95, 3) as u32), place));
        }
    }
    (labels, truth)
}

fn moved(b: BBox, by: f64) -> BBox {
    BBox::new(b.x() + by * b.width(), b.y() + 0.2 * by * b.height(), b.width(), b.height()).expect("finite")
}

fn shaken(object: &LabelledBox, jitter: f64, s: Seed) -> LabelledBox {
    let [x, y, w, h] = object.bbox.to_xywh();
    let edge = |k: u64, side: f64| jitter * side * s.normal(k);
    let width = (w + edge(2, w)).max(1.0);
    let height = (h + edge(3, h)).max(1.0);
    LabelledBox::new(object.class, BBox::new(x + edge(0, w), y + edge(1, h), width, height).expect("finite"))
}

fn detections(objects: &[LabelledBox], d: Detector, seed: Seed) -> Vec<ScoredBox> {
    let mut found = Vec::new();
    for (k, object) in objects.iter().enumerate() {
        let s = seed.stream(&k.to_string());
        let recall = if object.bbox.area() < 1024.0 { d.recall_small } else { d.recall };
        if s.unit(80) < recall {
            let b = shaken(object, d.jitter, s);
            let class = if s.unit(81) < d.confusion { (b.class.0 + 1) % 3 } else { b.class.0 };
            let score = 1.0 - 0.6 * s.unit(82).powi(2);
            found.push(ScoredBox::new(ClassIdx(class), b.bbox, score).expect("a share"));
        }
        if s.unit(83) < d.alarms {
            let side = 20.0 + 80.0 * s.unit(84);
            let place = BBox::new(1100.0 * s.unit(85), 1250.0, side, side).expect("finite");
            let score = 0.05 + 0.7 * s.unit(86).powi(2);
            found.push(ScoredBox::new(ClassIdx(s.below(87, 3) as u32), place, score).expect("a share"));
        }
    }
    found
}
