use serde::{Deserialize, Serialize};

use super::CocoValidParams;
use super::kernel::{Bits, Matcher};
use super::order::detections_by_score;
use crate::ImageCase;

/// One picture's share of the result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ImageRecord {
    /// Its place by number, where the order of pictures has one.
    pub(crate) rank: Option<i64>,
    /// Classes that have a label or a detection here, by class.
    pub(crate) classes: Vec<ClassRecord>,
}

/// One class in one picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ClassRecord {
    /// The class number.
    pub(crate) class: u32,
    /// Labels that count, for each area.
    pub(crate) n_labels: Vec<u32>,
    /// Scores of the detections, best first, cut at the largest detection limit.
    pub(crate) scores: Vec<f64>,
    /// For each detection, bit `area * thresholds + threshold` in words of 64: a true positive.
    pub(crate) tp: Vec<u64>,
    /// The same: a false positive. Neither bit is set where a detection does not count.
    pub(crate) fp: Vec<u64>,
}

impl ImageRecord {
    /// Matches one picture.
    pub(super) fn of(case: &ImageCase<'_>, params: &CocoValidParams, bits: &Bits) -> Self {
        let labels = case.labels.iter().map(|l| l.class.0);
        let mut classes: Vec<u32> = labels.chain(case.detections.iter().map(|d| d.class().0)).collect();
        classes.sort_unstable();
        classes.dedup();
        let classes = classes.into_iter().map(|class| ClassRecord::of(case, class, params, bits)).collect();
        Self { rank: params.rank(case.id), classes }
    }
}

impl ClassRecord {
    fn of(case: &ImageCase<'_>, class: u32, params: &CocoValidParams, bits: &Bits) -> Self {
        let mut order = detections_by_score(case, Some(class));
        order.truncate(params.most_detections());
        let labels: Vec<_> = case.labels.iter().filter(|l| l.class.0 == class).collect();
        let mut matcher = Matcher::new(bits, labels.len());
        for label in &labels {
            matcher.push(label.bbox, label.effective_area(), label.is_crowd);
        }
        let (mut tp, mut fp) = (Vec::new(), Vec::new());
        for i in &order {
            matcher.assign(case.detections[*i].bbox(), 0..labels.len(), &mut tp, &mut fp);
        }
        let n_labels = matcher.n_counted().iter().map(|n| *n as u32).collect();
        let scores = order.iter().map(|i| case.detections[*i].score()).collect();
        Self { class, n_labels, scores, tp, fp }
    }

    /// Refuses a record whose parts contradict each other.
    pub(super) fn check(&self, n_classes: usize, params: &CocoValidParams) -> Result<(), &'static str> {
        let n_words = self.scores.len() * params.n_words();
        if n_classes <= self.class as usize {
            return Err("a class is out of range");
        }
        if self.n_labels.len() != params.get().areas.len() {
            return Err("label counts do not fit the areas");
        }
        if self.tp.len() != n_words || self.fp.len() != n_words {
            return Err("match bits do not fit the scores");
        }
        if params.most_detections() < self.scores.len() {
            return Err("more detections than the limit");
        }
        if !self.scores.iter().all(|s| (0.0..=1.0).contains(s)) || self.scores.windows(2).any(|p| p[0] < p[1])
        {
            return Err("scores are not from 1 down to 0");
        }
        if self.tp.iter().zip(&self.fp).any(|(tp, fp)| tp & fp != 0) {
            return Err("a detection is right and wrong at once");
        }
        Ok(())
    }
}
