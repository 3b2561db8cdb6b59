//! What each kind of error costs: the average precision gained by mending that kind and nothing else.
//!
//! Bolya, Foley, Hays and Hoffman 2020, "TIDE: A General Toolbox for Identifying Object Detection Errors". Kinds are
//! those of section 2.2, mended as section 2.3 says:
//!
//! | kind | mended by |
//! |---|---|
//! | localisation | moving the box onto its label: a true positive |
//! | confusion | giving it the label's class: a true positive of that class |
//! | confusion and localisation, duplicate, background | taking the detection away |
//! | missed | taking the label away, so that there is less to find |
//! | all false positives | taking every wrong detection away |
//! | all false negatives | taking every label away that was not found, explained by another error or not |
//!
//! A label can be found once. Where it was found already, a detection whose error is about it is taken away; where
//! several localisation and class errors are about one label, the best-scored one of both kinds is mended and the others
//! go, as in the authors' program.
//!
//! # Where the numbers differ from tidecv 1.0.1 on purpose
//!
//! | matter | tidecv | here | why |
//! |---|---|---|---|
//! | a class that has detections but no label, or none left after mending | counts as 0 | does not count | COCO's rule; the average precision is the one printed elsewhere |
//! | an overlap of exactly the IoU with a label that is taken | localisation | duplicate | such an overlap finds a label, so it is not off its place |
//! | recalls that a threshold meets exactly, such as .7 of 10 labels | met | met or not as the bits of COCO's `linspace` have it | bit by bit COCO's average precision |
//! | detections per picture | 100 | no limit | |

use std::collections::BTreeMap;
use std::fmt;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::bootstrap::{SampledClass, Sampler};
use crate::case::checked_by_id;
use crate::coco::by_score;
use crate::error::{check_iou, check_share};
use crate::failures::KindName;
use crate::matching::{BACKGROUND_IOU, DetectionOutcome, ImageMatch, LabelOutcome, matched_above};
use crate::{EvalError, ImageCase, Result};

/// At which overlaps errors are told apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TideParams {
    /// IoU from which a detection finds a label. Default: .5.
    pub iou: f64,
    /// IoU below which a detection has nothing to do with a label. Default: .1.
    pub background_iou: f64,
    /// Score from which a detection takes part. Default: 0, all of them, as average precision wants it.
    pub min_score: f64,
}

impl Default for TideParams {
    fn default() -> Self {
        Self { iou: 0.5, background_iou: BACKGROUND_IOU, min_score: 0.0 }
    }
}

/// Parameters that were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct TideValidParams(TideParams);

impl TideParams {
    /// # Errors
    /// [`EvalError::InvalidParam`] unless `iou` is in `(0, 1]`, `background_iou` in `(0, iou]` and `min_score` in
    /// `[0, 1]`.
    pub fn check(self) -> Result<TideValidParams> {
        check_iou(self.iou)?;
        check_share("min_score", self.min_score)?;
        let found = self.background_iou;
        if !(0.0 < found && found <= self.iou) {
            let expected = "a number above 0 and up to iou";
            return Err(EvalError::InvalidParam { name: "background_iou", found, expected });
        }
        Ok(TideValidParams(self))
    }
}

impl TideValidParams {
    /// The parameters.
    pub fn get(&self) -> &TideParams {
        &self.0
    }
}

/// How often a kind of error occurs and what it costs.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct TideError {
    /// Errors of the kind.
    pub count: usize,
    /// TIDE's `dAP`: average precision with the kind mended, less average precision as it is; in `[0, 1]`. Nothing
    /// where either does not exist, for instance because no label is left to find.
    pub ap_gain: Option<f64>,
}

/// What the errors of a detector cost, kind by kind. Printing gives a table.
///
/// Gains do not add up to what is missing: mending one kind makes others cheaper or dearer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TideReport {
    /// What it was made with.
    pub params: TideParams,
    /// Average precision as it is: COCO's, at the one IoU, over all classes with a label and without a limit on
    /// detections. Nothing where there is no label.
    pub ap: Option<f64>,
    /// TIDE's six kinds. Labels that a localisation or class error is about do not count as missed.
    pub kinds: BTreeMap<KindName, TideError>,
    /// All wrong detections together.
    pub false_positives: TideError,
    /// All labels that were not found together.
    pub false_negatives: TideError,
}

/// The kinds in the order in which they are told apart.
const KINDS: [KindName; 6] = [
    KindName::Localisation,
    KindName::Confusion,
    KindName::Duplicate,
    KindName::Background,
    KindName::ConfusionAndLocalisation,
    KindName::Missed,
];

/// Finds every error and what mending each kind would gain.
///
/// O(detections x labels) per picture for the matching, O(n log n) for the order of detections and O(n) for each kind.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, LabelledBox, SampleId, ScoredBox};
/// use labelloop_eval::failures::KindName;
/// use labelloop_eval::{ImageCase, tide};
///
/// let id = SampleId::new("1")?;
/// let bbox = BBox::new(0.0, 0.0, 10.0, 10.0)?;
/// let labels = [LabelledBox::new(ClassIdx(0), bbox)];
/// let beside = BBox::new(4.0, 0.0, 10.0, 10.0)?;
/// let detections = [ScoredBox::new(ClassIdx(0), beside, 0.8)?];
/// let case = ImageCase { id: &id, size: None, labels: &labels, detections: &detections };
///
/// let report = tide::evaluate(&[case], 1, &tide::TideParams::default())?;
/// let gain = |kind| report.kinds[&kind].ap_gain.unwrap_or(0.0);
/// assert_eq!(report.ap, Some(0.0));
/// assert!(0.999 < gain(KindName::Localisation) && gain(KindName::Background) == 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`TideParams::check`]; and for the input as [`crate::coco::evaluate`].
pub fn evaluate(cases: &[ImageCase<'_>], n_classes: usize, params: &TideParams) -> Result<TideReport> {
    let TideValidParams(params) = params.clone().check()?;
    let verdicts = Verdicts::new(cases, n_classes, &params)?;
    let ap = verdicts.ap(Mended::Nothing);
    let gain = |mended| verdicts.ap(mended).zip(ap).map(|(better, ap)| better - ap);
    let error = |kind| TideError { count: verdicts.count(kind), ap_gain: gain(Mended::Kind(kind)) };
    let n_wrong = verdicts.detections.iter().filter(|d| d.error.is_some()).count();
    let n_missed: usize = verdicts.labels.iter().map(|l| l.missed + l.explained).sum();
    Ok(TideReport {
        ap,
        kinds: KINDS.into_iter().map(|kind| (kind, error(kind))).collect(),
        false_positives: TideError { count: n_wrong, ap_gain: gain(Mended::FalsePositives) },
        false_negatives: TideError { count: n_missed, ap_gain: gain(Mended::FalseNegatives) },
        params,
    })
}

/// What an oracle puts right.
#[derive(Clone, Copy, PartialEq)]
enum Mended {
    Nothing,
    Kind(KindName),
    FalsePositives,
    FalseNegatives,
}

/// A detection that counts.
struct Verdict {
    score: f64,
    class: usize,
    /// Nothing where it is right.
    error: Option<KindName>,
    /// The class for which it is right once its error is mended; nothing where it is taken away then.
    mended: Option<usize>,
}

/// Labels of a class.
#[derive(Clone, Copy, Default)]
struct Labels {
    all: usize,
    /// Not found, and no error is about them.
    missed: usize,
    /// Not found, but a localisation or class error is about them.
    explained: usize,
}

/// Everything that counts, best score first.
struct Verdicts {
    detections: Vec<Verdict>,
    labels: Vec<Labels>,
}

impl Verdicts {
    fn new(cases: &[ImageCase<'_>], n_classes: usize, params: &TideParams) -> Result<Self> {
        let cases = checked_by_id(cases, n_classes)?;
        let matches: Vec<ImageMatch> = cases
            .par_iter()
            .map(|case| matched_above(case, params.iou, params.background_iou, params.min_score))
            .collect();
        let mut all = Self { detections: Vec::new(), labels: vec![Labels::default(); n_classes] };
        for (case, found) in cases.iter().zip(&matches) {
            all.add(case, found);
        }
        // Stable: pictures by id and places within them decide between equal scores.
        all.detections.sort_by(|a, b| by_score(a.score, b.score));
        Ok(all)
    }

    fn add(&mut self, case: &ImageCase<'_>, found: &ImageMatch) {
        for (label, outcome) in case.labels.iter().zip(&found.labels) {
            let counts = &mut self.labels[label.class.as_usize()];
            match outcome {
                LabelOutcome::Crowd => continue,
                LabelOutcome::Matched { .. } => {}
                LabelOutcome::Missed { explained_by: None } => counts.missed += 1,
                LabelOutcome::Missed { explained_by: Some(_) } => counts.explained += 1,
            }
            counts.all += 1;
        }
        for (dt_idx, outcome) in found.detections.iter().enumerate() {
            let Some((error, about)) = error_of(*outcome) else { continue };
            let is_mended = |gt_idx: &usize| {
                let explained_by = match found.labels[*gt_idx] {
                    LabelOutcome::Missed { explained_by } => explained_by,
                    _ => None,
                };
                explained_by == Some(dt_idx)
            };
            self.detections.push(Verdict {
                score: case.detections[dt_idx].score(),
                class: case.detections[dt_idx].class().as_usize(),
                error,
                mended: about.filter(is_mended).map(|gt_idx| case.labels[gt_idx].class.as_usize()),
            });
        }
    }

    fn count(&self, kind: KindName) -> usize {
        if kind == KindName::Missed {
            return self.labels.iter().map(|labels| labels.missed).sum();
        }
        self.detections.iter().filter(|d| d.error == Some(kind)).count()
    }

    /// Average precision after mending: COCO's rule, so classes without a label left do not count.
    fn ap(&self, mended: Mended) -> Option<f64> {
        let n_labels = |labels: &Labels| match mended {
            Mended::Kind(KindName::Missed) => labels.all - labels.missed,
            Mended::FalseNegatives => labels.all - labels.missed - labels.explained,
            _ => labels.all,
        };
        let mut classes: Vec<SampledClass> = self
            .labels
            .iter()
            .map(|labels| SampledClass {
                labels: vec![(0, u32::try_from(n_labels(labels)).unwrap_or(u32::MAX))],
                detections: vec![Vec::new()],
            })
            .collect();
        for detection in &self.detections {
            let is_mended = match (mended, detection.error) {
                (_, None) => false,
                (Mended::Kind(kind), Some(error)) => kind == error,
                (mended, Some(_)) => mended == Mended::FalsePositives,
            };
            match (is_mended, detection.mended) {
                (false, _) => {
                    classes[detection.class].detections[0].push((0, detection.error.is_none()));
                }
                (true, Some(class)) if mended != Mended::FalsePositives => {
                    classes[class].detections[0].push((0, true));
                }
                (true, _) => {}
            }
        }
        Sampler::from_classes(classes).value(&[1])
    }
}

/// The error of a detection that counts, and the label that a true positive could be made of.
fn error_of(outcome: DetectionOutcome) -> Option<(Option<KindName>, Option<usize>)> {
    Some(match outcome {
        DetectionOutcome::BelowScore | DetectionOutcome::Absorbed { .. } => return None,
        DetectionOutcome::Matched { .. } => (None, None),
        DetectionOutcome::Localisation { gt_idx, .. } => (Some(KindName::Localisation), Some(gt_idx)),
        DetectionOutcome::Confusion { gt_idx, .. } => (Some(KindName::Confusion), Some(gt_idx)),
        DetectionOutcome::Duplicate { .. } => (Some(KindName::Duplicate), None),
        DetectionOutcome::Background => (Some(KindName::Background), None),
        DetectionOutcome::ConfusionAndLocalisation { .. } => (Some(KindName::ConfusionAndLocalisation), None),
    })
}

impl fmt::Display for TideReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"));
        let mut line = |name: &str, error: &TideError| {
            writeln!(f, "{name:<26}  {:>7}  {:>8}", error.count, number(error.ap_gain))
        };
        let names =
            ["localisation", "confusion", "duplicate", "background", "confusion and localisation", "missed"];
        for (kind, name) in KINDS.iter().zip(names) {
            line(name, self.kinds.get(kind).unwrap_or(&TideError::default()))?;
        }
        line("all false positives", &self.false_positives)?;
        line("all false negatives", &self.false_negatives)
    }
}
