use std::fmt;

use labelloop_core::ClassIdx;
use rayon::prelude::*;
use serde::Serialize;

use super::CocoParams;
use super::numpy::mean;

/// What COCO's protocol says about a detector.
///
/// Arrays are flat in C order with the dimensions of pycocotools: thresholds of IoU (T), recalls (R), classes (K),
/// areas (A), detection limits (M). Entries are -1 where there is no label to find. Printing gives the familiar
/// twelve lines.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CocoResult {
    /// What was evaluated, without the order of pictures.
    pub params: CocoParams,
    /// Number of classes, K.
    pub n_classes: usize,
    /// Interpolated precision, `[T, R, K, A, M]`.
    pub precision: Vec<f64>,
    /// Recall reached, `[T, K, A, M]`.
    pub recall: Vec<f64>,
    /// Score at which each recall is reached, `[T, R, K, A, M]`.
    pub scores: Vec<f64>,
    /// Labels that count, for each class and area.
    pub n_labels: Vec<Vec<u64>>,
    /// AP, AP50, AP75, AP small, medium, large, AR at the first three detection limits, AR small, medium, large: the
    /// order of pycocotools, and -1 where there is no label. With fewer than three limits the last one stands for those
    /// that are missing, where pycocotools has no answer.
    pub stats: [f64; 12],
}

impl CocoResult {
    pub(super) fn new(
        params: CocoParams,
        n_classes: usize,
        precision: Vec<f64>,
        recall: Vec<f64>,
        scores: Vec<f64>,
        n_labels: Vec<Vec<u64>>,
    ) -> Self {
        let mut result = Self { params, n_classes, precision, recall, scores, n_labels, stats: [-1.0; 12] };
        result.stats = result.summary();
        result
    }

    fn summary(&self) -> [f64; 12] {
        const AP: [(Option<f64>, &str); 6] = [
            (None, "all"),
            (Some(0.5), "all"),
            (Some(0.75), "all"),
            (None, "small"),
            (None, "medium"),
            (None, "large"),
        ];
        const AR: [(usize, &str); 6] =
            [(0, "all"), (1, "all"), (2, "all"), (2, "small"), (2, "medium"), (2, "large")];
        let last = self.params.max_dets.len().saturating_sub(1);
        let ap = AP.par_iter().map(|(iou, area)| self.ap(*iou, area, None));
        let ar = AR.par_iter().map(|(limit, area)| self.ar(area, last.min(*limit), None));
        let mut stats = [-1.0; 12];
        let found: Vec<Option<f64>> = ap.chain(ar).collect();
        stats.iter_mut().zip(found).for_each(|(stat, found)| *stat = found.unwrap_or(-1.0));
        stats
    }

    /// `[T, R, K, A, M]`.
    pub fn shape(&self) -> [usize; 5] {
        let p = &self.params;
        let (t, r) = (p.iou_thresholds.len(), p.recall_thresholds.len());
        [t, r, self.n_classes, p.areas.len(), p.max_dets.len()]
    }

    /// Interpolated precision at one place of `[T, R, K, A, M]`; nothing outside the array and where it says -1.
    pub fn precision_at(&self, [t, r, k, a, m]: [usize; 5]) -> Option<f64> {
        self.entry(&self.precision, [t, r, k, a, m])
    }

    /// Score at which a recall is reached, at one place of `[T, R, K, A, M]`.
    pub fn score_at(&self, index: [usize; 5]) -> Option<f64> {
        self.entry(&self.scores, index)
    }

    /// Recall at one place of `[T, K, A, M]`; nothing outside the array and where it says -1.
    pub fn recall_at(&self, [t, k, a, m]: [usize; 4]) -> Option<f64> {
        let [nt, _, nk, na, nm] = self.shape();
        let is_inside = t < nt && k < nk && a < na && m < nm;
        is_inside.then(|| self.recall[((t * nk + k) * na + a) * nm + m]).filter(|v| -1.0 < *v)
    }

    /// Mean average precision over all thresholds and classes: COCO's AP. Nothing where there is no label.
    pub fn map(&self) -> Option<f64> {
        defined(self.stats[0])
    }

    /// Mean average precision at an IoU of .5.
    pub fn map50(&self) -> Option<f64> {
        defined(self.stats[1])
    }

    /// Mean average precision at an IoU of .75.
    pub fn map75(&self) -> Option<f64> {
        defined(self.stats[2])
    }

    /// Average precision of one class over all thresholds. Nothing where the class has no label.
    pub fn class_ap(&self, class: ClassIdx) -> Option<f64> {
        self.ap(None, "all", Some(class))
    }

    /// Average precision of one class at an IoU of .5.
    pub fn class_ap50(&self, class: ClassIdx) -> Option<f64> {
        self.ap(Some(0.5), "all", Some(class))
    }

    /// Average precision of one class at an IoU of .75.
    pub fn class_ap75(&self, class: ClassIdx) -> Option<f64> {
        self.ap(Some(0.75), "all", Some(class))
    }

    /// Average recall of one class at the largest detection limit.
    pub fn class_ar(&self, class: ClassIdx) -> Option<f64> {
        self.ar("all", self.params.max_dets.len().saturating_sub(1), Some(class))
    }

    /// Average precision at the largest detection limit: at one threshold or over all, in an area by name, of one
    /// class or over all. Nothing where there is no label, no such area or no such threshold.
    pub fn ap(&self, iou: Option<f64>, area: &str, class: Option<ClassIdx>) -> Option<f64> {
        self.ap_within(self.params.max_dets.len().checked_sub(1)?, iou, area, class)
    }

    /// [`CocoResult::ap`] at a detection limit by its place in `max_dets`.
    pub fn ap_within(
        &self,
        limit: usize,
        iou: Option<f64>,
        area: &str,
        class: Option<ClassIdx>,
    ) -> Option<f64> {
        let [nt, nr, nk, na, nm] = self.shape();
        let a = self.area_index(area).filter(|_| limit < nm)?;
        let thresholds: Vec<usize> =
            (0..nt).filter(|t| iou.is_none_or(|iou| self.params.iou_thresholds[*t] == iou)).collect();
        let mut found = Vec::with_capacity(thresholds.len() * nr * nk);
        for (t, r) in thresholds.iter().flat_map(|t| (0..nr).map(move |r| (t, r))) {
            let row = (t * nr + r) * nk;
            found.extend(chosen(nk, class).map(|k| self.precision[((row + k) * na + a) * nm + limit]));
        }
        found.retain(|v| -1.0 < *v);
        mean(&found)
    }

    /// Average recall over all thresholds at a detection limit by its place in `max_dets`.
    pub fn ar(&self, area: &str, limit: usize, class: Option<ClassIdx>) -> Option<f64> {
        let [nt, _, nk, na, nm] = self.shape();
        let a = self.area_index(area)?;
        if nm <= limit {
            return None;
        }
        let mut found = Vec::with_capacity(nt * nk);
        for t in 0..nt {
            found.extend(chosen(nk, class).map(|k| self.recall[((t * nk + k) * na + a) * nm + limit]));
        }
        found.retain(|v| -1.0 < *v);
        mean(&found)
    }

    fn area_index(&self, label: &str) -> Option<usize> {
        self.params.areas.iter().position(|area| area.label == label)
    }

    fn entry(&self, array: &[f64], [t, r, k, a, m]: [usize; 5]) -> Option<f64> {
        let [nt, nr, nk, na, nm] = self.shape();
        let is_inside = t < nt && r < nr && k < nk && a < na && m < nm;
        is_inside.then(|| array[(((t * nr + r) * nk + k) * na + a) * nm + m]).filter(|v| -1.0 < *v)
    }
}

fn chosen(n_classes: usize, class: Option<ClassIdx>) -> std::ops::Range<usize> {
    match class {
        None => 0..n_classes,
        Some(class) if class.as_usize() < n_classes => class.as_usize()..class.as_usize() + 1,
        Some(_) => 0..0,
    }
}

fn defined(stat: f64) -> Option<f64> {
    (-1.0 < stat).then_some(stat)
}

impl fmt::Display for CocoResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thresholds = &self.params.iou_thresholds;
        let (first, last) = (thresholds.first().unwrap_or(&0.0), thresholds.last().unwrap_or(&0.0));
        let range = format!("{first:.2}:{last:.2}");
        let limit = |m: usize| self.params.max_dets.get(m).or(self.params.max_dets.last()).unwrap_or(&0);
        let most = self.params.max_dets.len().saturating_sub(1);
        let mut line = |i: usize, iou: &str, area: &str, limit: &usize| {
            let (title, kind) =
                if i < 6 { ("Average Precision", "(AP)") } else { ("Average Recall", "(AR)") };
            let stat = self.stats[i];
            writeln!(
                f,
                " {title:<18} {kind} @[ IoU={iou:<9} | area={area:>6} | maxDets={limit:>3} ] = {stat:.3}"
            )
        };
        line(0, &range, "all", limit(most))?;
        line(1, "0.50", "all", limit(most))?;
        line(2, "0.75", "all", limit(most))?;
        for (i, area) in ["small", "medium", "large"].into_iter().enumerate() {
            line(3 + i, &range, area, limit(most))?;
        }
        for i in 0..3 {
            line(6 + i, &range, "all", limit(i))?;
        }
        for (i, area) in ["small", "medium", "large"].into_iter().enumerate() {
            line(9 + i, &range, area, limit(2))?;
        }
        Ok(())
    }
}
