use serde::{Deserialize, Serialize};

use super::filter::{Difficulty, FilterReason};

/// What one frame adds to a curve.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct FrameCurve {
    /// Labels to find.
    pub(super) n_valid: u32,
    /// Scores of the labels found by the first matching.
    pub(super) scores: Vec<f64>,
    /// Counts of the second matching, highest score first.
    pub(super) steps: Vec<Step>,
}

/// Counts from a score down to that of the next step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Step {
    pub(super) score: f64,
    pub(super) tp: u32,
    pub(super) fp: u32,
    pub(super) similarity: f64,
}

/// How many of a class's own labels and detections a frame has, and what they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Totals {
    pub(super) n_labels: u64,
    pub(super) n_labels_without_alpha: u64,
    pub(super) n_detections: u64,
    pub(super) n_detections_without_alpha: u64,
    pub(super) n_detections_with_bbox: u64,
    pub(super) n_detections_with_cuboid: u64,
}

impl Totals {
    pub(super) fn add(&mut self, other: &Self) {
        self.n_labels += other.n_labels;
        self.n_labels_without_alpha += other.n_labels_without_alpha;
        self.n_detections += other.n_detections;
        self.n_detections_without_alpha += other.n_detections_without_alpha;
        self.n_detections_with_bbox += other.n_detections_with_bbox;
        self.n_detections_with_cuboid += other.n_detections_with_cuboid;
    }
}

/// Counts by reason, in the order of [`FilterReason::ALL`].
pub(super) type Reasons = [u32; FilterReason::ALL.len()];

/// What the evaluation of one class in one frame found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct ClassRecord {
    pub(super) class: u32,
    pub(super) totals: Totals,
    /// By difficulty.
    pub(super) filtered_labels: [Reasons; 3],
    /// By difficulty.
    pub(super) filtered_detections: [Reasons; 3],
    /// By kind of overlap and difficulty.
    pub(super) curves: [[FrameCurve; 3]; 3],
}

/// What the evaluation of one frame found: the classes that it has something of, ascending.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct FrameRecord {
    pub(super) classes: Vec<ClassRecord>,
}

impl FrameRecord {
    /// Says what cannot be true of a stored record.
    pub(super) fn check(&self, n_classes: usize) -> Result<(), &'static str> {
        if self.classes.windows(2).any(|p| p[1].class <= p[0].class) {
            return Err("classes do not ascend");
        }
        for class in &self.classes {
            if n_classes <= class.class as usize {
                return Err("a class number beyond the classes");
            }
            let t = &class.totals;
            if t.n_labels < t.n_labels_without_alpha
                || [t.n_detections_without_alpha, t.n_detections_with_bbox, t.n_detections_with_cuboid]
                    .iter()
                    .any(|n| t.n_detections < *n)
            {
                return Err("parts larger than their total");
            }
            class.curves.iter().flatten().try_for_each(FrameCurve::check)?;
        }
        Ok(())
    }

    pub(super) fn class(&self, class: usize) -> Option<&ClassRecord> {
        let place = self.classes.binary_search_by_key(&class, |c| c.class as usize).ok()?;
        self.classes.get(place)
    }
}

impl FrameCurve {
    fn check(&self) -> Result<(), &'static str> {
        let numbers = self.scores.iter().chain(self.steps.iter().map(|s| &s.score));
        if !numbers.copied().all(f64::is_finite) {
            return Err("a score that is no finite number");
        }
        if (self.n_valid as usize) < self.scores.len() || self.steps.iter().any(|s| self.n_valid < s.tp) {
            return Err("more labels found than there are");
        }
        if self.steps.windows(2).any(|p| !(p[1].score < p[0].score)) {
            return Err("scores do not descend");
        }
        // A sum of n cosines may exceed n by rounding.
        if self.steps.iter().any(|s| !(0.0 <= s.similarity && s.similarity <= f64::from(s.tp) + 1e-6)) {
            return Err("a similarity beyond the labels found");
        }
        Ok(())
    }
}

impl ClassRecord {
    pub(super) fn curve(&self, overlap: usize, difficulty: Difficulty) -> &FrameCurve {
        &self.curves[overlap][difficulty as usize]
    }
}
