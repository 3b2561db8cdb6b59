use labelloop_core::{BBox, LabelledBox, SampleId, ScoredBox};
use serde::{Deserialize, Serialize};

use crate::golden::require;
use crate::matching::is_in_crowd;
use crate::suspicion::by_id;
use crate::{Result, ScoredImage};

/// A pooled score of 0 counts as this much in the geometric mean, so that pictures with one can still be ranked by the others.
const TINY: f64 = 1e-100;

/// Parameters of [`label_quality`], before they are checked.
///
/// ```
/// use labelloop_qa::ObjectLabParams;
///
/// assert!(ObjectLabParams::default().check().is_ok());
/// assert!(ObjectLabParams { alpha: f64::NAN, ..ObjectLabParams::default() }.check().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectLabParams {
    /// Weight of IoU in the similarity of two boxes; the rest is that of their distance. Default: 0.9.
    pub alpha: f64,
    /// Pixels between two centres over which their nearness falls to 1/e. Default: 10.
    pub distance_scale: f64,
    /// Detections from this score on may have been overlooked, and above it they speak against a class. Default: 0.95.
    pub high_score: f64,
    /// Detections above this score speak against a place. Default: 0.5.
    pub low_score: f64,
    /// How far other boxes than the worst count when a picture's are pooled; 0 would be the smallest. Default: 0.1.
    pub temperature: f64,
    /// Labels of different classes that overlap at least this much (IoU) are swapped, one of them. Default: 0.95.
    pub duplicate_iou: f64,
}

impl Default for ObjectLabParams {
    fn default() -> Self {
        Self {
            alpha: 0.9,
            distance_scale: 10.0,
            high_score: 0.95,
            low_score: 0.5,
            temperature: 0.1,
            duplicate_iou: 0.95,
        }
    }
}

/// Parameters within their ranges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ObjectLabValidParams(ObjectLabParams);

impl ObjectLabParams {
    /// # Errors
    /// [`QaError::InvalidParam`](crate::QaError::InvalidParam) with the parameter, its value and its range.
    pub fn check(&self) -> Result<ObjectLabValidParams> {
        let unit = "a number from 0 to 1";
        for (name, x) in
            [("alpha", self.alpha), ("high_score", self.high_score), ("low_score", self.low_score)]
        {
            require((0.0..=1.0).contains(&x), name, x, unit)?;
        }
        for (name, x) in [("distance_scale", self.distance_scale), ("temperature", self.temperature)] {
            require(0.0 < x && x.is_finite(), name, x, "a finite number above 0")?;
        }
        let iou = self.duplicate_iou;
        require(0.0 < iou && iou <= 1.0, "duplicate_iou", iou, "a number above 0 and at most 1")?;
        Ok(ObjectLabValidParams(*self))
    }
}

/// How far the labels of one picture can be trusted; every score is in `[0, 1]`, low is bad.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageQuality {
    /// The picture.
    pub image: SampleId,
    /// Geometric mean of the next three.
    pub quality: f64,
    /// Pooled over detections: was an object overlooked?
    pub overlooked: f64,
    /// Pooled over labels: is one badly located?
    pub badly_located: f64,
    /// Pooled over labels: has one the wrong class?
    pub swapped: f64,
    /// By detection; none for those that speak of nothing overlooked.
    pub overlooked_boxes: Vec<Option<f64>>,
    /// By label; none for crowds.
    pub badly_located_boxes: Vec<Option<f64>>,
    /// By label; none for crowds.
    pub swapped_boxes: Vec<Option<f64>>,
}

/// How likely the labels of each picture are right, as ObjectLab has it (Tkachenko, Thyagarajan and Mueller 2023), the
/// worst picture first.
///
/// With `IoU` the overlap of two boxes and `d` the distance of their centres in pixels, their similarity is
/// `alpha IoU + (1 - alpha) exp(-d / distance_scale)`. `s_min` is the smallest similarity above 0 of any label and detection
/// of one picture, over all pictures; 1 where there is none.
///
/// | box | score |
/// |---|---|
/// | overlooked: a detection from `high_score` on that overlaps with no label | largest similarity to a label of its class; where there is none, `s_min` times one minus its score |
/// | badly located: a label | largest similarity to a detection of its class above `low_score` that overlaps with it; 1 where there is none |
/// | swapped: a label | one minus the largest similarity to a detection of another class above `high_score`, at least `s_min`; `s_min` where a label of another class overlaps by `duplicate_iou` or more |
///
/// The boxes of a picture are pooled by softmin, `sum of s exp((1 - s) / T) / sum of exp((1 - s) / T)`; no box gives 1. The
/// quality is the geometric mean of the three.
///
/// The paper gives the three scores, softmin and the geometric mean; the numbers, and which comparisons are strict, are
/// those that cleanlab 2.9 answers with, which this agrees with (`tests/golden/objectlab.json`) but for similarities below 1e-16,
/// which cleanlab rounds: among pictures that score 1e-6 or less the order may differ. Ours alone:
/// crowds are not scored, and what lies in one by half of its area was not overlooked.
///
/// The scores rank pictures; [`suspects`](crate::suspects) ranks objects, and finds more of them: see the table in
/// `docs/benchmarks.md`. O(n m) per picture for n labels and m detections, and O(n²).
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, LabelledBox, SampleId, ScoredBox};
/// use labelloop_qa::{ObjectLabParams, ScoredImage, label_quality};
///
/// let place = |x| BBox::new(x, 0.0, 40.0, 40.0).unwrap();
/// let labels = [LabelledBox::new(ClassIdx(0), place(0.0))];
/// let found = |x, score| ScoredBox::new(ClassIdx(0), place(x), score).unwrap();
/// let (good, bad) = ([found(1.0, 0.99)], [found(1.0, 0.99), found(100.0, 0.98)]);
/// let (a, b) = (SampleId::new("a")?, SampleId::new("b")?);
/// let image = |id, detections| ScoredImage { id, labels: &labels, detections };
///
/// let found = label_quality(&[image(&a, &good), image(&b, &bad)], &ObjectLabParams::default())?;
/// assert_eq!((found[0].image.as_str(), found[1].image.as_str()), ("b", "a"));
/// assert!(found[0].overlooked < 0.001 && 0.9 < found[1].quality);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`QaError`](crate::QaError) for parameters out of range and a picture that comes twice.
pub fn label_quality(images: &[ScoredImage<'_>], params: &ObjectLabParams) -> Result<Vec<ImageQuality>> {
    params.check()?.label_quality(images)
}

impl ObjectLabValidParams {
    /// [`label_quality`] with checked parameters.
    ///
    /// # Errors
    /// [`QaError::DuplicateImage`](crate::QaError::DuplicateImage) for a picture that comes twice.
    pub fn label_quality(&self, images: &[ScoredImage<'_>]) -> Result<Vec<ImageQuality>> {
        let order = by_id(images)?;
        let least = order.iter().flat_map(|i| self.similarities(i)).filter(|s| 0.0 < *s).reduce(f64::min);
        let least = least.unwrap_or(1.0);
        let mut scored: Vec<ImageQuality> = order.into_iter().map(|i| self.one(i, least)).collect();
        scored.sort_by(|a, b| a.quality.total_cmp(&b.quality).then_with(|| a.image.cmp(&b.image)));
        Ok(scored)
    }

    fn one(&self, image: &ScoredImage<'_>, least: f64) -> ImageQuality {
        let by_label = |score: &dyn Fn(&LabelledBox) -> f64| -> Vec<Option<f64>> {
            image.labels.iter().map(|l| (!l.is_crowd).then(|| score(l))).collect()
        };
        let overlooked_boxes: Vec<Option<f64>> =
            image.detections.iter().map(|d| self.overlooked(image, d, least)).collect();
        let badly_located_boxes = by_label(&|l| self.badly_located(image, l));
        let swapped_boxes = by_label(&|l| self.swapped(image, l, least));
        let pooled = [&overlooked_boxes, &badly_located_boxes, &swapped_boxes].map(|b| self.pooled(b));
        let [overlooked, badly_located, swapped] = pooled;
        ImageQuality {
            image: image.id.clone(),
            quality: (pooled.iter().map(|s| s.max(TINY).ln()).sum::<f64>() / 3.0).exp(),
            overlooked,
            badly_located,
            swapped,
            overlooked_boxes,
            badly_located_boxes,
            swapped_boxes,
        }
    }

    fn similarity(&self, a: BBox, b: BBox) -> f64 {
        let ((ax, ay), (bx, by)) = (a.centre(), b.centre());
        let near = (-(bx - ax).hypot(by - ay) / self.0.distance_scale).exp();
        self.0.alpha * a.iou(b) + (1.0 - self.0.alpha) * near
    }

    fn similarities<'s>(&'s self, image: &'s ScoredImage<'_>) -> impl Iterator<Item = f64> + 's {
        objects(image.labels)
            .flat_map(move |l| image.detections.iter().map(move |d| self.similarity(l.bbox, d.bbox())))
    }

    fn overlooked(&self, image: &ScoredImage<'_>, detection: &ScoredBox, least: f64) -> Option<f64> {
        let place = detection.bbox();
        let touches = objects(image.labels).any(|l| 0.0 < l.bbox.iou(place));
        if detection.score() < self.0.high_score || touches || is_in_crowd(image.labels, place) {
            return None;
        }
        let same = objects(image.labels).filter(|l| l.class == detection.class());
        let nearest = same.map(|l| self.similarity(l.bbox, place)).reduce(f64::max);
        Some(nearest.unwrap_or(least * (1.0 - detection.score())))
    }

    fn badly_located(&self, image: &ScoredImage<'_>, label: &LabelledBox) -> f64 {
        let speaks = |d: &&ScoredBox| {
            d.class() == label.class && self.0.low_score < d.score() && 0.0 < label.bbox.iou(d.bbox())
        };
        let similar = image.detections.iter().filter(speaks).map(|d| self.similarity(label.bbox, d.bbox()));
        similar.reduce(f64::max).unwrap_or(1.0)
    }

    fn swapped(&self, image: &ScoredImage<'_>, label: &LabelledBox, least: f64) -> f64 {
        let twin = |l: &LabelledBox| l.class != label.class && self.0.duplicate_iou <= l.bbox.iou(label.bbox);
        if objects(image.labels).any(twin) {
            return least;
        }
        let speaks = |d: &&ScoredBox| d.class() != label.class && self.0.high_score < d.score();
        let similar = image.detections.iter().filter(speaks).map(|d| self.similarity(label.bbox, d.bbox()));
        (1.0 - similar.fold(0.0, f64::max)).max(least)
    }

    fn pooled(&self, boxes: &[Option<f64>]) -> f64 {
        let (mut sum, mut weights) = (0.0, 0.0);
        // The best possible box has weight 1, so that nothing overflows at low temperatures.
        let smallest = boxes.iter().flatten().copied().fold(1.0, f64::min);
        for s in boxes.iter().flatten() {
            let weight = ((smallest - s) / self.0.temperature).exp();
            sum += weight * s;
            weights += weight;
        }
        if 0.0 < weights { sum / weights } else { 1.0 }
    }
}

fn objects(labels: &[LabelledBox]) -> impl Iterator<Item = &LabelledBox> {
    labels.iter().filter(|l| !l.is_crowd)
}

#[cfg(test)]
mod tests {
    use labelloop_core::ClassIdx;
    use proptest::prelude::*;

    use super::*;
    use crate::QaError;

    fn refused(change: impl Fn(&mut ObjectLabParams)) -> &'static str {
        let mut params = ObjectLabParams::default();
        change(&mut params);
        match params.check() {
            Err(QaError::InvalidParam { name, .. }) => name,
            other => panic!("expected a parameter error, found {other:?}"),
        }
    }

    fn label(class: u32, [x, y, w, h]: [f64; 4]) -> LabelledBox {
        LabelledBox::new(ClassIdx(class), BBox::new(x, y, w, h).unwrap())
    }

    fn found(class: u32, [x, y, w, h]: [f64; 4], score: f64) -> ScoredBox {
        ScoredBox::new(ClassIdx(class), BBox::new(x, y, w, h).unwrap(), score).unwrap()
    }

    fn one(labels: &[LabelledBox], detections: &[ScoredBox]) -> ImageQuality {
        let id = SampleId::new("a").unwrap();
        let image = ScoredImage { id: &id, labels, detections };
        label_quality(&[image], &ObjectLabParams::default()).unwrap().remove(0)
    }

    #[test]
    fn defaults_are_the_documented_ones_and_each_is_checked() {
        let p = ObjectLabParams::default();
        assert_eq!((p.alpha, p.distance_scale, p.high_score), (0.9, 10.0, 0.95));
        assert_eq!((p.low_score, p.temperature, p.duplicate_iou), (0.5, 0.1, 0.95));
        assert_eq!(refused(|p| p.alpha = 1.1), "alpha");
        assert_eq!(refused(|p| p.distance_scale = 0.0), "distance_scale");
        assert_eq!(refused(|p| p.high_score = f64::NAN), "high_score");
        assert_eq!(refused(|p| p.low_score = -0.1), "low_score");
        assert_eq!(refused(|p| p.temperature = f64::INFINITY), "temperature");
        assert_eq!(refused(|p| p.duplicate_iou = 0.0), "duplicate_iou");
    }

    #[test]
    fn a_label_beside_its_detection_is_badly_located_by_hand() {
        let q = one(&[label(0, [0.0, 0.0, 100.0, 100.0])], &[found(0, [5.0, 0.0, 100.0, 100.0], 0.99)]);
        let expected = 0.9 * 95.0 / 105.0 + 0.1 * (-0.5f64).exp();
        assert!((q.badly_located - expected).abs() < 1e-15);
        assert!((q.quality - expected.cbrt()).abs() < 1e-15);
        assert_eq!((q.overlooked, q.swapped), (1.0, 1.0));
    }

    #[test]
    fn nothing_speaks_against_a_picture_without_anything() {
        assert_eq!(one(&[], &[]).quality, 1.0);
        assert_eq!(one(&[label(0, [0.0, 0.0, 9.0, 9.0])], &[]).quality, 1.0);
    }

    #[test]
    fn crowds_are_not_scored_and_hold_what_was_not_overlooked() {
        let crowd = LabelledBox { is_crowd: true, ..label(0, [0.0, 0.0, 100.0, 100.0]) };
        let q = one(&[crowd], &[found(0, [10.0, 10.0, 20.0, 20.0], 0.99)]);
        assert_eq!(
            (q.quality, &q.badly_located_boxes[..], &q.overlooked_boxes[..]),
            (1.0, &[None][..], &[None][..])
        );
    }

    #[test]
    fn a_picture_that_comes_twice_is_refused() {
        let id = SampleId::new("a").unwrap();
        let image = ScoredImage { id: &id, labels: &[], detections: &[] };
        let twice = label_quality(&[image, image], &ObjectLabParams::default());
        assert!(matches!(twice, Err(QaError::DuplicateImage { .. })));
    }

    proptest! {
        #[test]
        fn scores_are_shares_whatever_comes(
            labels in prop::collection::vec((0u32..3, 0.0..1e4f64, 0.0..50.0f64), 0..6),
            detections in prop::collection::vec((0u32..3, 0.0..1e4f64, 0.0..50.0f64, 0.0..=1.0f64), 0..6),
        ) {
            let labels: Vec<_> = labels.into_iter().map(|(c, x, s)| label(c, [x, 0.0, s, s])).collect();
            let detections: Vec<_> = detections.into_iter().map(|(c, x, s, p)| found(c, [x, 0.0, s, s], p)).collect();
            let q = one(&labels, &detections);
            for s in [q.quality, q.overlooked, q.badly_located, q.swapped] {
                prop_assert!((0.0..=1.0 + 1e-12).contains(&s), "{s}");
            }
            prop_assert_eq!(q.overlooked_boxes.len(), detections.len());
            prop_assert_eq!(q.swapped_boxes.len(), labels.len());
        }
    }
}
