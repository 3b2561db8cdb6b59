use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use labelloop_core::{GroupKey, SampleId};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::attribute::{Place, SliceValidParams, Value};
use super::{SliceBy, SliceParams};
use crate::bootstrap::{BootstrapParams, Interval, SampledClass, Sampler, Units};
use crate::case::checked_by_id;
use crate::coco::by_score;
use crate::matching::{DetectionOutcome, ImageMatch, LabelOutcome, matched};
use crate::{ImageCase, Result};

/// How good a detector is on one slice. Numbers are nothing where they do not exist, and intervals have no ends where none
/// were asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SliceRow {
    /// The attribute.
    pub by: String,
    /// Its value in the slice.
    pub value: String,
    /// Pictures with a label or a detection of the slice.
    pub n_images: usize,
    /// Labels to find.
    pub n_labels: usize,
    /// Detections from the score on that found a label.
    pub tp: u64,
    /// Detections from the score on that found none.
    pub fp: u64,
    /// Labels that no detection from the score on found.
    pub fn_: u64,
    /// Average precision at the IoU by COCO's formula, over the classes with a label in the slice.
    pub ap: Interval,
    /// `tp / (tp + fp)`.
    pub precision: Interval,
    /// `tp / (tp + fn)`.
    pub recall: Interval,
    /// `2 tp / (2 tp + fp + fn)`.
    pub f1: Interval,
}

/// How good a detector is on each slice. Printing gives a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SliceReport {
    /// What it was made with.
    pub params: SliceParams,
    /// Slices in the order of attributes and, within one, from tiny to large, from corner to centre, and so on; the
    /// caller's own values by their text.
    pub rows: Vec<SliceRow>,
}

/// Scores a detector slice by slice.
///
/// With `bootstrap` every number has a percentile interval from draws of groups of pictures; without `groups` every
/// picture is its own. All slices are scored on the same draws. O(detections x labels) per picture for the matching,
/// then O(draws x detections) for each attribute.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, LabelledBox, SampleId, ScoredBox};
/// use labelloop_eval::ImageCase;
/// use labelloop_eval::slices::{SliceBy, SliceParams, evaluate};
///
/// let id = SampleId::new("1")?;
/// let (near, far) = (BBox::new(0.0, 0.0, 100.0, 100.0)?, BBox::new(300.0, 0.0, 10.0, 10.0)?);
/// let labels = [LabelledBox::new(ClassIdx(0), near), LabelledBox::new(ClassIdx(0), far)];
/// let detections = [ScoredBox::new(ClassIdx(0), near, 0.9)?];
/// let case = ImageCase { id: &id, size: None, labels: &labels, detections: &detections };
///
/// let report = evaluate(&[case], 1, &[SliceBy::Size], None, &SliceParams::default(), None)?;
/// let recalls: Vec<_> = report.rows.iter().map(|r| (r.value.as_str(), r.recall.value)).collect();
/// assert_eq!(recalls, [("tiny", Some(0.0)), ("large", Some(1.0))]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`SliceParams::check`] and [`BootstrapParams::check`]; [`crate::EvalError::LabelValues`] for a list that
/// does not fit the labels of its picture; [`crate::EvalError::MissingGroup`] for a picture without a group; and for the
/// input as [`crate::coco::evaluate`].
pub fn evaluate(
    cases: &[ImageCase<'_>],
    n_classes: usize,
    by: &[SliceBy],
    groups: Option<&BTreeMap<SampleId, GroupKey>>,
    params: &SliceParams,
    bootstrap: Option<&BootstrapParams>,
) -> Result<SliceReport> {
    let params = params.clone().check()?;
    let bootstrap = bootstrap.cloned().map(BootstrapParams::check).transpose()?;
    let cases = checked_by_id(cases, n_classes)?;
    let units = Units::of(&cases.iter().map(|case| case.id).collect::<Vec<_>>(), groups)?;
    let samplers = samplers(&cases, n_classes, by, &units, &params)?;
    let everything = vec![1; units.n_groups];
    let draws: Vec<Vec<[Option<f64>; 4]>> = bootstrap.as_ref().map_or_else(Vec::new, |b| {
        let one = |draw| {
            let times = units.draw(b.get().seed, draw);
            samplers.iter().map(|(_, sampler)| sampler.numbers(&times)).collect()
        };
        (0..b.get().n_draws).into_par_iter().map(one).collect()
    });
    let confidence = bootstrap.as_ref().map_or(0.95, |b| b.get().confidence);
    let row = |(i, (key, sampler)): (usize, &(SliceKey, SliceSampler))| {
        let values = sampler.numbers(&everything);
        let interval = |m: usize| {
            let drawn = draws.iter().filter_map(|draw| draw[i][m]).collect();
            Interval::new(values[m], drawn, confidence, units.n_groups)
        };
        let [tp, fp, labels] = sampler.counts(&everything);
        SliceRow {
            by: by[key.0].name().to_owned(),
            value: key.1.1.clone(),
            n_images: sampler.n_images,
            n_labels: labels as usize,
            tp,
            fp,
            fn_: labels - tp,
            ap: interval(0),
            precision: interval(1),
            recall: interval(2),
            f1: interval(3),
        }
    };
    let rows = samplers.iter().enumerate().map(row).collect();
    Ok(SliceReport { params: params.get().clone(), rows })
}

/// Place of the attribute and value.
pub(crate) type SliceKey = (usize, Value);

/// The numbers of a slice as a function of how often each group was drawn.
pub(crate) struct SliceSampler {
    precision: Sampler,
    /// Group, right detections, wrong detections, labels.
    counts: Vec<(usize, [u32; 3])>,
    n_images: usize,
}

impl SliceSampler {
    /// Average precision alone.
    pub(crate) fn ap(&self, times: &[u32]) -> Option<f64> {
        self.precision.value(times)
    }

    /// Average precision, precision, recall, F1.
    fn numbers(&self, times: &[u32]) -> [Option<f64>; 4] {
        let [tp, fp, labels] = self.counts(times);
        let share = |part: u64, whole: u64| (whole != 0).then(|| part as f64 / whole as f64);
        [self.ap(times), share(tp, tp + fp), share(tp, labels), share(2 * tp, tp + fp + labels)]
    }

    fn counts(&self, times: &[u32]) -> [u64; 3] {
        let mut sums = [0; 3];
        for (group, counts) in &self.counts {
            let n = u64::from(times[*group]);
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += n * u64::from(*count));
        }
        sums
    }
}

/// What lies in a slice.
#[derive(Default)]
struct Content {
    /// Picture and class of each label.
    labels: Vec<(usize, usize)>,
    detections: Vec<Found>,
}

/// A detection that counts. The derived order is not used: scores are compared as numbers.
#[derive(Clone, Copy)]
struct Found {
    score: f64,
    image: usize,
    place: usize,
    class: usize,
    is_right: bool,
}

/// The slices of every attribute, by attribute and value. Cases are by id.
pub(crate) fn samplers(
    cases: &[&ImageCase<'_>],
    n_classes: usize,
    by: &[SliceBy],
    units: &Units,
    params: &SliceValidParams,
) -> Result<Vec<(SliceKey, SliceSampler)>> {
    let params = params.get();
    // Matched once for all scores: those below the limit change nothing above it.
    let matches: Vec<ImageMatch> = cases.par_iter().map(|case| matched(case, params.iou, 0.0)).collect();
    let groups: Vec<usize> = cases.iter().map(|case| units.group(case.id)).collect();
    let mut all = Vec::new();
    for (number, by) in by.iter().enumerate() {
        for case in cases {
            by.check(case)?;
        }
        for (value, content) in contents(cases, &matches, by, params) {
            all.push(((number, value), sampler(content, &groups, n_classes, params.min_score)));
        }
    }
    Ok(all)
}

fn contents(
    cases: &[&ImageCase<'_>],
    matches: &[ImageMatch],
    by: &SliceBy,
    params: &SliceParams,
) -> BTreeMap<Value, Content> {
    let mut slices: BTreeMap<Value, Content> = BTreeMap::new();
    let mut everywhere = Vec::new();
    for (image, (case, found)) in cases.iter().zip(matches).enumerate() {
        for (gt_idx, outcome) in found.labels.iter().enumerate() {
            if !matches!(outcome, LabelOutcome::Crowd)
                && let Some(value) = by.of_label(case, gt_idx, params)
            {
                let class = case.labels[gt_idx].class.as_usize();
                slices.entry(value).or_default().labels.push((image, class));
            }
        }
        for (place, outcome) in found.detections.iter().enumerate() {
            let (slice, is_right) = match *outcome {
                DetectionOutcome::BelowScore | DetectionOutcome::Absorbed { .. } => continue,
                DetectionOutcome::Matched { gt_idx, .. } => (by.of_label(case, gt_idx, params).into(), true),
                outcome => (by.of_wrong(case, place, outcome, params), false),
            };
            let detection = &case.detections[place];
            let (score, class) = (detection.score(), detection.class().as_usize());
            let found = Found { score, image, place, class, is_right };
            match slice {
                Place::None => {}
                Place::One(value) => slices.entry(value).or_default().detections.push(found),
                Place::Every => everywhere.push(found),
            }
        }
    }
    slices.values_mut().for_each(|content| content.detections.extend(&everywhere));
    slices
}

fn sampler(mut content: Content, groups: &[usize], n_classes: usize, min_score: f64) -> SliceSampler {
    let order =
        |a: &Found, b: &Found| by_score(a.score, b.score).then((a.image, a.place).cmp(&(b.image, b.place)));
    content.detections.sort_by(order);
    let empty = || SampledClass { labels: Vec::new(), detections: vec![Vec::new()] };
    let mut classes: Vec<SampledClass> = (0..n_classes).map(|_| empty()).collect();
    let mut counts: BTreeMap<usize, [u32; 3]> = BTreeMap::new();
    let mut images = BTreeSet::new();
    for (image, class) in &content.labels {
        let group = groups[*image];
        classes[*class].labels.push((group, 1));
        counts.entry(group).or_default()[2] += 1;
        images.insert(*image);
    }
    for found in &content.detections {
        let group = groups[found.image];
        // Groups are pictures at most, and a picture has a number of 32 bits wherever memory holds it.
        classes[found.class].detections[0].push((group as u32, found.is_right));
        if min_score <= found.score {
            counts.entry(group).or_default()[usize::from(!found.is_right)] += 1;
        }
        images.insert(found.image);
    }
    SliceSampler {
        precision: Sampler::from_classes(classes),
        counts: counts.into_iter().collect(),
        n_images: images.len(),
    }
}

impl fmt::Display for SliceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |row: &SliceRow| format!("{} {}", row.by, row.value);
        let width = self.rows.iter().map(|r| name(r).chars().count()).max().unwrap_or(0).max(5);
        let ap = format!("AP{:.0}", self.params.iou * 100.0);
        let (precision, recall) = ("precision", "recall");
        let head =
            format!("{:<width$}  {:>6}  {:>7}  {ap:<20}  {precision:<20}", "slice", "images", "labels");
        writeln!(f, "{head}  {recall:<20}  F1")?;
        for row in &self.rows {
            let number = |interval: &Interval| {
                let end = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"));
                let Interval { value, low, high, .. } = interval;
                let ends = low.zip(*high).map(|(l, h)| format!(" [{l:.3}, {h:.3}]")).unwrap_or_default();
                format!("{}{ends}", end(*value))
            };
            let line = format!(
                "{:<width$}  {:>6}  {:>7}  {:<20}  {:<20}  {:<20}  {:<20}",
                name(row),
                row.n_images,
                row.n_labels,
                number(&row.ap),
                number(&row.precision),
                number(&row.recall),
                number(&row.f1)
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
