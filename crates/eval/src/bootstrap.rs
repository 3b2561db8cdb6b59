//! How far a metric could be off because these pictures were drawn and not others.
//!
//! Groups of pictures are drawn with replacement, as many as there are, and the metric is computed anew from match
//! records: nothing is matched twice. Pictures of one drive or one board resemble each other, so the group that splits
//! keep together is the right unit; drawing them one by one would promise too much.

mod by_class;
mod units;

use std::collections::BTreeMap;

use labelloop_core::{GroupKey, SampleId, Seed};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::coco::{Partial, SPACING, lines, numpy};
use crate::error::check_share;
use crate::{EvalError, Result};

pub use by_class::ci_by_class;
pub(crate) use units::Units;

/// The number that an interval is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Metric {
    /// COCO's AP over all thresholds.
    Map,
    /// COCO's AP at an IoU of .5.
    Map50,
    /// F1 over all classes together, at one of the thresholds that were evaluated. Detections beyond COCO's limit per
    /// picture and class are left out.
    F1 {
        /// IoU from which a detection finds a label.
        iou: f64,
        /// Score from which a detection counts.
        min_score: f64,
    },
}

/// How the interval is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BootstrapParams {
    /// How many times groups are drawn. Default: 200.
    pub n_draws: usize,
    /// Share of draws inside the interval. Default: .95.
    pub confidence: f64,
    /// Where chance comes from. Default: 0.
    pub seed: Seed,
}

impl Default for BootstrapParams {
    fn default() -> Self {
        Self { n_draws: 200, confidence: 0.95, seed: Seed::new(0) }
    }
}

/// Parameters that were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct BootstrapValidParams(BootstrapParams);

impl BootstrapParams {
    /// # Errors
    /// [`EvalError::InvalidParam`] without draws or unless `confidence` is between 0 and 1.
    pub fn check(self) -> Result<BootstrapValidParams> {
        if self.n_draws == 0 {
            return Err(EvalError::InvalidParam { name: "n_draws", found: 0.0, expected: "at least 1" });
        }
        if !(0.0 < self.confidence && self.confidence < 1.0) {
            let expected = "a number between 0 and 1";
            return Err(EvalError::InvalidParam { name: "confidence", found: self.confidence, expected });
        }
        Ok(BootstrapValidParams(self))
    }
}

impl BootstrapValidParams {
    /// The parameters.
    pub fn get(&self) -> &BootstrapParams {
        &self.0
    }
}

/// A metric with its percentile interval. Numbers are nothing where the metric is undefined.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The metric over all pictures.
    pub value: Option<f64>,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Draws in which the metric is defined.
    pub n_draws: usize,
    /// Groups that were drawn from.
    pub n_groups: usize,
}

/// Percentile interval (Efron and Tibshirani 1993, section 13.3) of a metric by drawing groups of pictures.
///
/// A mean over classes may lie low in its interval: a draw without any label of a rare class leaves that class out, which
/// raises the mean where rare classes do badly.
///
/// `groups` names the group of each picture; without it every picture is its own. O(draws x detections x thresholds).
/// A draw counts each detection as often as its group was drawn, which is the same as repeating pictures but for
/// detections of one class with exactly equal scores in one picture: their copies are lined up detection by detection.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, LabelledBox, SampleId, ScoredBox};
/// use labelloop_eval::bootstrap::{BootstrapParams, Metric, ci};
/// use labelloop_eval::{ImageCase, coco};
///
/// let bbox = BBox::new(0.0, 0.0, 40.0, 40.0)?;
/// let labels = [LabelledBox::new(ClassIdx(0), bbox)];
/// let found = [ScoredBox::new(ClassIdx(0), bbox, 0.5)?];
/// let ids = ["a", "b", "c", "d"].map(|id| SampleId::new(id).unwrap());
/// let cases: Vec<_> = ids
///     .iter()
///     .enumerate()
///     .map(|(i, id)| ImageCase { id, size: None, labels: &labels, detections: &found[..i % 2] })
///     .collect();
///
/// let records = coco::observe_all(&cases, 1, &coco::CocoParams::default())?;
/// let interval = ci(&records, None, Metric::Map, &BootstrapParams::default())?;
/// assert_eq!(interval.value, records.finish()?.map());
/// assert!(interval.low < interval.value && interval.value < interval.high);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`BootstrapParams::check`]; [`EvalError::MissingGroup`] for a picture without a group;
/// [`EvalError::UnknownThreshold`] for an IoU that was not evaluated.
pub fn ci(
    records: &Partial,
    groups: Option<&BTreeMap<SampleId, GroupKey>>,
    metric: Metric,
    params: &BootstrapParams,
) -> Result<Interval> {
    let params = params.clone().check()?;
    let units = Units::new(records, groups)?;
    let sampler = Sampler::new(records, &units, metric)?;
    let draws: Vec<f64> = (0..params.0.n_draws)
        .into_par_iter()
        .filter_map(|draw| sampler.value(&units.draw(params.0.seed, draw)))
        .collect();
    let value = sampler.value(&vec![1; units.n_groups]);
    Ok(Interval::new(value, draws, params.0.confidence, units.n_groups))
}

impl Interval {
    /// The percentile interval of what the metric was in each draw in which it is defined.
    pub(crate) fn new(value: Option<f64>, mut draws: Vec<f64>, confidence: f64, n_groups: usize) -> Self {
        draws.sort_by(f64::total_cmp);
        let tail = (1.0 - confidence) / 2.0;
        let (low, high) = (quantile(&draws, tail), quantile(&draws, 1.0 - tail));
        Self { value, low, high, n_draws: draws.len(), n_groups }
    }
}

/// Quantile of ascending numbers with linear interpolation, numpy's default. Nothing without a number, and for a share
/// outside 0 to 1.
///
/// ```
/// assert_eq!(labelloop_eval::bootstrap::quantile(&[1.0, 2.0, 4.0], 0.75), Some(3.0));
/// ```
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    if !(0.0..=1.0).contains(&share) {
        return None;
    }
    let last = sorted.len().checked_sub(1)?;
    let place = share * last as f64;
    let (below, above) = (place.floor() as usize, (place.ceil() as usize).min(last));
    Some(sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64))
}

/// A metric as a function of how often each group was drawn.
pub(crate) struct Sampler {
    classes: Vec<SampledClass>,
    recall_thresholds: Vec<f64>,
    is_f1: bool,
}

/// One class of a [`Sampler`].
#[derive(Default)]
pub(crate) struct SampledClass {
    /// Labels to find, by group.
    pub(crate) labels: Vec<(usize, u32)>,
    /// For each threshold the detections that count, best score first: group, and whether it found a label.
    pub(crate) detections: Vec<Vec<(u32, bool)>>,
}

impl Sampler {
    /// Average precision at COCO's recalls from matches made elsewhere.
    pub(crate) fn from_classes(classes: Vec<SampledClass>) -> Self {
        Self { classes, recall_thresholds: numpy::linspace(0.0, 1.0, 101), is_f1: false }
    }

    pub(crate) fn new(records: &Partial, units: &Units, metric: Metric) -> Result<Self> {
        let params = records.params().clone().check()?;
        let p = params.get();
        let n_thresholds = p.iou_thresholds.len();
        let area = p.areas.iter().position(|area| area.label == "all").unwrap_or(0);
        let ordered = records.ordered();
        let groups: Vec<usize> = ordered.iter().map(|(id, _)| units.group(id)).collect();
        let images: Vec<_> = ordered.iter().map(|(_, record)| *record).collect();
        let (thresholds, min_score) = chosen(&p.iou_thresholds, metric)?;

        let mut classes: Vec<SampledClass> = lines(&images, records.n_classes(), &params)
            .iter()
            .map(|line| {
                let counted = |t: &usize| {
                    let bit = area * n_thresholds + t;
                    let entries = line.entries().filter(|e| min_score <= e.score);
                    entries
                        .filter(|e| e.is_tp(bit) || e.is_fp(bit))
                        .map(|e| (groups[e.image] as u32, e.is_tp(bit)))
                        .collect()
                };
                SampledClass { labels: Vec::new(), detections: thresholds.iter().map(counted).collect() }
            })
            .collect();
        for (image, record) in images.iter().enumerate() {
            for class in record.classes.iter().filter(|class| class.n_labels[area] != 0) {
                classes[class.class as usize].labels.push((groups[image], class.n_labels[area]));
            }
        }
        let is_f1 = matches!(metric, Metric::F1 { .. });
        Ok(Self { classes, recall_thresholds: p.recall_thresholds.clone(), is_f1 })
    }

    /// The metric where group `g` is there `times[g]` times.
    pub(crate) fn value(&self, times: &[u32]) -> Option<f64> {
        if self.is_f1 { self.f1(times) } else { self.ap(times) }
    }

    /// The metric and that of each class by itself.
    pub(crate) fn values_by_class(&self, times: &[u32]) -> (Option<f64>, Vec<Option<f64>>) {
        if self.is_f1 {
            let of = |class| f1(std::slice::from_ref(class), times);
            return (self.f1(times), self.classes.iter().map(of).collect());
        }
        let (present, all) = self.precisions(times);
        let mut values = vec![None; self.classes.len()];
        for (place, class) in present.iter().enumerate() {
            let own: Vec<f64> = all.iter().copied().skip(place).step_by(present.len()).collect();
            values[*class] = numpy::mean(&own);
        }
        (numpy::mean(&all), values)
    }

    fn f1(&self, times: &[u32]) -> Option<f64> {
        f1(&self.classes, times)
    }

    /// Mean over thresholds, recalls and the classes with a label, added in the order of COCO's array.
    fn ap(&self, times: &[u32]) -> Option<f64> {
        numpy::mean(&self.precisions(times).1)
    }

    /// Classes with a label, and interpolated precision by threshold, recall and those classes.
    fn precisions(&self, times: &[u32]) -> (Vec<usize>, Vec<f64>) {
        let present: Vec<(usize, u64)> = self
            .classes
            .iter()
            .enumerate()
            .map(|(k, class)| (k, class.n_labels(times)))
            .filter(|(_, n)| *n != 0)
            .collect();
        let n_thresholds = self.classes.first().map_or(0, |c| c.detections.len());
        let (nr, nk) = (self.recall_thresholds.len(), present.len());
        let mut all = vec![0.0; n_thresholds * nr * nk];
        for (k, (class, n_labels)) in present.iter().enumerate() {
            for (t, detections) in self.classes[*class].detections.iter().enumerate() {
                let points = interpolated(detections, times, *n_labels as f64);
                let mut i = 0;
                for (r, wanted) in self.recall_thresholds.iter().enumerate() {
                    while i < points.len() && points[i].0 < *wanted {
                        i += 1;
                    }
                    let Some(point) = points.get(i) else { break };
                    all[(t * nr + r) * nk + k] = point.1;
                }
            }
        }
        (present.into_iter().map(|(class, _)| class).collect(), all)
    }
}

fn f1(classes: &[SampledClass], times: &[u32]) -> Option<f64> {
    let (mut right, mut wrong, mut labels) = (0u64, 0u64, 0u64);
    for class in classes {
        labels += class.n_labels(times);
        for (group, is_right) in class.detections.iter().flatten() {
            let n = u64::from(times[*group as usize]);
            if *is_right { right += n } else { wrong += n }
        }
    }
    // 2 tp + fp + fn, where tp + fn are the labels.
    let whole = right + wrong + labels;
    (whole != 0).then(|| 2.0 * right as f64 / whole as f64)
}

impl SampledClass {
    fn n_labels(&self, times: &[u32]) -> u64 {
        self.labels.iter().map(|(group, n)| u64::from(times[*group]) * u64::from(*n)).sum()
    }
}

/// Places of the thresholds that a metric looks at, and the lowest score it counts.
fn chosen(thresholds: &[f64], metric: Metric) -> Result<(Vec<usize>, f64)> {
    let (iou, min_score) = match metric {
        Metric::Map => return Ok(((0..thresholds.len()).collect(), 0.0)),
        Metric::Map50 => (0.5, 0.0),
        Metric::F1 { iou, min_score } => (iou, min_score),
    };
    check_share("min_score", min_score)?;
    match thresholds.iter().position(|t| *t == iou) {
        Some(t) => Ok((vec![t], min_score)),
        None => Err(EvalError::UnknownThreshold { found: iou, known: thresholds.to_vec() }),
    }
}

/// Recall after each right detection, with the best precision there or at any higher recall. A detection that is
/// there `n` times moves both `n` steps at once: the steps between never have the best precision.
fn interpolated(detections: &[(u32, bool)], times: &[u32], n_labels: f64) -> Vec<(f64, f64)> {
    let (mut tp, mut fp) = (0u64, 0u64);
    let mut points = Vec::new();
    for (group, is_right) in detections {
        let n = u64::from(times[*group as usize]);
        if !is_right {
            fp += n;
        } else if n != 0 {
            tp += n;
            let (tp, fp) = (tp as f64, fp as f64);
            points.push((tp / n_labels, tp / (fp + tp + SPACING)));
        }
    }
    let mut best = 0.0f64;
    for point in points.iter_mut().rev() {
        best = best.max(point.1);
        point.1 = best;
    }
    points
}

#[cfg(test)]
mod tests {
    use labelloop_core::{BBox, ClassIdx, LabelledBox, ScoredBox};
    use proptest::prelude::*;

    use super::*;
    use crate::coco::{CocoParams, evaluate, observe_all};
    use crate::{ImageCase, evaluate_at};

    type Owned = (SampleId, Vec<LabelledBox>, Vec<ScoredBox>);

    fn cases(pictures: &[Owned]) -> Vec<ImageCase<'_>> {
        let case = |(id, labels, detections)| ImageCase { id, size: None, labels, detections };
        pictures.iter().map(|(id, labels, detections)| case((id, labels, detections))).collect()
    }

    /// One picture with a label at each place, and detections at places with the errors and scores given.
    fn picture(i: usize, labels: &[u8], detections: &[(u8, u8, u8)]) -> Owned {
        let at = |place: u8| f64::from(place % 4) * 100.0;
        let label = |place: &u8| {
            let bbox = BBox::new(at(*place), f64::from(*place / 4) * 60.0, 50.0, 50.0).unwrap();
            LabelledBox::new(ClassIdx(u32::from(*place) % 2), bbox)
        };
        // Scores differ within the picture and tie across pictures: copies of a picture are drawn detection by
        // detection, so equal scores in one picture would be lined up otherwise than in pictures repeated as a whole.
        let detection = |(j, (place, shift, score)): (usize, &(u8, u8, u8))| {
            let y = f64::from(*place / 4) * 60.0;
            let bbox = BBox::new(at(*place) + f64::from(*shift), y, 50.0, 50.0).unwrap();
            ScoredBox::new(ClassIdx(u32::from(*place) % 2), bbox, f64::from(*score) / 10.0 + j as f64 / 64.0)
                .unwrap()
        };
        let id = SampleId::new(format!("{i:02}")).unwrap();
        (id, labels.iter().map(label).collect(), detections.iter().enumerate().map(detection).collect())
    }

    fn pictures() -> impl Strategy<Value = Vec<Owned>> {
        let labels = prop::collection::btree_set(0u8..8, 0..4);
        let detections = prop::collection::vec((0u8..8, 0u8..25, 0u8..=8), 0..5);
        prop::collection::vec((labels, detections), 1..5).prop_map(|all| {
            let owned = all.into_iter().enumerate();
            owned.map(|(i, (l, d))| picture(i, &l.into_iter().collect::<Vec<_>>(), &d)).collect()
        })
    }

    /// Every picture as often as it was drawn, copies next to one another.
    fn repeated(pictures: &[Owned], times: &[u32]) -> Vec<Owned> {
        let copies = pictures.iter().zip(times).flat_map(|((id, labels, detections), n)| {
            (0..*n).map(move |i| {
                (SampleId::new(format!("{id}-{i}")).unwrap(), labels.clone(), detections.clone())
            })
        });
        copies.collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn weights_are_repeated_pictures(pictures in pictures(), times in prop::collection::vec(0u32..4, 5)) {
            let (params, times) = (CocoParams::default(), &times[..pictures.len()]);
            let records = observe_all(&cases(&pictures), 2, &params).unwrap();
            let units = Units::new(&records, None).unwrap();
            let again = repeated(&pictures, times);
            let value = |metric| Sampler::new(&records, &units, metric).unwrap().value(times);
            let whole = evaluate(&cases(&again), 2, &params).unwrap();
            prop_assert_eq!(value(Metric::Map), whole.map());
            prop_assert_eq!(value(Metric::Map50), whole.map50());
            let f1 = value(Metric::F1 { iou: 0.5, min_score: 0.25 });
            prop_assert_eq!(f1, evaluate_at(&cases(&again), 2, 0.5, 0.25).unwrap().f1);
        }

        #[test]
        fn intervals_hold_the_median_and_do_not_depend_on_order(pictures in pictures(), seed in any::<u64>()) {
            let params = BootstrapParams { seed: Seed::new(seed), n_draws: 40, ..Default::default() };
            let records = observe_all(&cases(&pictures), 2, &CocoParams::default()).unwrap();
            let mut turned = cases(&pictures);
            turned.reverse();
            let turned = observe_all(&turned, 2, &CocoParams::default()).unwrap();
            let interval = ci(&records, None, Metric::Map, &params).unwrap();
            prop_assert_eq!(interval, ci(&turned, None, Metric::Map, &params).unwrap());
            prop_assert!(interval.low <= interval.high);
            prop_assert!(interval.low.is_none_or(|v| (0.0..=1.0).contains(&v)));
        }
    }

    fn four() -> Partial {
        let pictures: Vec<Owned> = (0..4).map(|i| picture(i, &[0, 1], &[(0, 0, 7)][..i % 2])).collect();
        observe_all(&cases(&pictures), 2, &CocoParams::default()).unwrap()
    }

    #[test]
    fn groups_are_drawn_as_a_whole() {
        let key = |key: &str| GroupKey::new(key).unwrap();
        let ids: Vec<SampleId> = four().image_ids().cloned().collect();
        let one: BTreeMap<_, _> = ids.iter().map(|id| (id.clone(), key("drive"))).collect();
        let interval = ci(&four(), Some(&one), Metric::Map, &BootstrapParams::default()).unwrap();
        assert_eq!((interval.low, interval.high, interval.n_groups), (interval.value, interval.value, 1));
        let alone = ci(&four(), None, Metric::Map, &BootstrapParams::default()).unwrap();
        assert!(alone.low < alone.high && alone.n_groups == 4);
    }

    #[test]
    fn a_picture_without_a_group_is_refused() {
        let found = ci(&four(), Some(&BTreeMap::new()), Metric::Map, &BootstrapParams::default());
        assert!(matches!(found, Err(EvalError::MissingGroup { .. })));
    }

    #[test]
    fn a_threshold_that_was_not_evaluated_is_refused() {
        let metric = Metric::F1 { iou: 0.42, min_score: 0.5 };
        let found = ci(&four(), None, metric, &BootstrapParams::default());
        assert!(matches!(found, Err(EvalError::UnknownThreshold { .. })));
        let metric = Metric::F1 { iou: 0.5, min_score: f64::NAN };
        assert!(ci(&four(), None, metric, &BootstrapParams::default()).is_err());
    }

    #[test]
    fn invalid_parameters_are_refused() {
        assert!(BootstrapParams { n_draws: 0, ..Default::default() }.check().is_err());
        for confidence in [f64::NAN, 0.0, 1.0, 2.0] {
            assert!(BootstrapParams { confidence, ..Default::default() }.check().is_err(), "{confidence}");
        }
    }

    #[test]
    fn defaults_are_those_documented() {
        let params = BootstrapParams::default();
        assert_eq!((params.n_draws, params.confidence, params.seed), (200, 0.95, Seed::new(0)));
    }

    #[test]
    fn no_picture_has_no_interval() {
        let empty = observe_all(&[], 2, &CocoParams::default()).unwrap();
        let interval = ci(&empty, None, Metric::Map, &BootstrapParams::default()).unwrap();
        assert_eq!((interval.value, interval.low, interval.n_draws), (None, None, 0));
    }

    #[test]
    fn quantiles_are_those_of_numpy() {
        // numpy 2.4.6: np.quantile([1, 2, 4, 8], [0, .025, .5, .975, 1])
        let found = [0.0, 0.025, 0.5, 0.975, 1.0].map(|q| quantile(&[1.0, 2.0, 4.0, 8.0], q).unwrap());
        for (found, expected) in found.iter().zip([1.0, 1.075, 3.0, 7.7, 8.0]) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        assert_eq!(quantile(&[], 0.5), None);
        assert!([-0.1, 1.1, f64::NAN].iter().all(|share| quantile(&[1.0], *share).is_none()));
    }
}
