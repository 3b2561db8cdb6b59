//! Whether a score of .8 means that four of five detections are right.
//!
//! Scores are compared with precision, bin by bin. The expected calibration error (Naeini, Cooper and Hauskrecht 2015;
//! Guo et al. 2017, equation 3) bins by score alone:
//!
//! ```text
//! ECE = sum over bins of n(bin) / n * |precision(bin) - mean score(bin)|
//! ```
//!
//! The detection calibration error (Küppers, Kronenberger, Shantia and Haselhoff 2020, "Multivariate Confidence
//! Calibration for Object Detection", equation 6) is the same sum over bins of score and of where and how large the box
//! is, because a detector may well be right in the middle of pictures and overconfident at their edges. Bins with few
//! detections are left out there, as section 4 of the paper does; the weights of the others add up to 1.

use labelloop_core::{BBox, ClassIdx, ImageSize};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::case::checked_by_id;
use crate::coco::by_score;
use crate::error::{check_iou, check_share};
use crate::matching::{DetectionOutcome, matched};
use crate::{EvalError, ImageCase, Result};

/// How scores are compared with precision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CalibrationParams {
    /// IoU from which a detection is right. Default: .5.
    pub iou: f64,
    /// Score from which a detection takes part. Default: 0. The paper takes .3, because a detector's many detections of
    /// scores near 0 are all wrong, all told so, and hide the rest.
    pub min_score: f64,
    /// Bins of the score, for the error over scores alone. Default: 20, the paper's.
    pub n_bins: usize,
    /// Bins in each direction, for the errors over score and two numbers of the box. Default: 8, the paper's.
    pub n_bins_pair: usize,
    /// Bins in each direction, for the error over score and all four numbers of the box. Default: 5, the paper's.
    pub n_bins_all: usize,
    /// Detections that a bin of score and box needs to count. Default: 8, the paper's.
    pub min_per_bin: usize,
}

impl Default for CalibrationParams {
    fn default() -> Self {
        Self { iou: 0.5, min_score: 0.0, n_bins: 20, n_bins_pair: 8, n_bins_all: 5, min_per_bin: 8 }
    }
}

/// Parameters that were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct CalibrationValidParams(CalibrationParams);

impl CalibrationParams {
    /// # Errors
    /// [`EvalError::InvalidParam`] unless `iou` is in `(0, 1]`, `min_score` in `[0, 1]`, each number of bins from 1 to
    /// 1000 and `min_per_bin` at least 1.
    pub fn check(self) -> Result<CalibrationValidParams> {
        check_iou(self.iou)?;
        check_share("min_score", self.min_score)?;
        let bins =
            [("n_bins", self.n_bins), ("n_bins_pair", self.n_bins_pair), ("n_bins_all", self.n_bins_all)];
        for (name, n) in bins {
            if !(1..=1000).contains(&n) {
                let expected = "a number from 1 to 1000";
                return Err(EvalError::InvalidParam { name, found: n as f64, expected });
            }
        }
        if self.min_per_bin == 0 {
            return Err(EvalError::InvalidParam { name: "min_per_bin", found: 0.0, expected: "at least 1" });
        }
        Ok(CalibrationValidParams(self))
    }
}

impl CalibrationValidParams {
    /// The parameters.
    pub fn get(&self) -> &CalibrationParams {
        &self.0
    }
}

/// Detections of similar score.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Lower end of the scores; of the lowest score in the bin where bins are equally full.
    pub low: f64,
    /// Upper end of the scores; of the highest score in the bin where bins are equally full.
    pub high: f64,
    /// Detections in the bin.
    pub count: usize,
    /// Their mean score.
    pub score: f64,
    /// Share of them that found a label.
    pub precision: f64,
}

/// How far scores are from precision. Errors are in `[0, 1]`, 0 is perfect; nothing where no detection counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibrationReport {
    /// What it was made with.
    pub params: CalibrationParams,
    /// Detections that count: those that reach the score and lie in no crowd.
    pub n_detections: usize,
    /// Expected calibration error over bins of equal width.
    pub ece: Option<f64>,
    /// Largest gap between score and precision in those bins.
    pub mce: Option<f64>,
    /// Mean score less precision: above 0 the detector is too sure of itself, below 0 too timid.
    pub bias: Option<f64>,
    /// Expected calibration error over bins that are equally full.
    pub ece_equal_mass: Option<f64>,
    /// Bins of equal width that hold a detection, by score: a reliability diagram.
    pub bins: Vec<CalibrationBin>,
    /// Bins that are equally full, by score. Equal scores stay together, so they are full as nearly as that allows.
    pub bins_equal_mass: Vec<CalibrationBin>,
    /// Expected calibration error over bins of equal width for each class.
    pub ece_by_class: Vec<Option<f64>>,
    /// Error over bins of score and the middle of the box.
    pub d_ece_position: Option<f64>,
    /// Error over bins of score and width and height of the box.
    pub d_ece_size: Option<f64>,
    /// Error over bins of score, middle, width and height of the box.
    pub d_ece_all: Option<f64>,
    /// Detections whose picture has a known size, which errors over boxes are limited to.
    pub n_sized: usize,
}

/// Compares scores with precision at one IoU.
///
/// Numbers of boxes are shares of the picture's sides, cut off at 0 and 1. Number `v` of `n` bins lies in bin
/// `floor(v n)`, and 1 in the last. O(detections x labels) per picture, then O(n log n).
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, LabelledBox, SampleId, ScoredBox};
/// use labelloop_eval::ImageCase;
/// use labelloop_eval::calibration::{CalibrationParams, evaluate};
///
/// let id = SampleId::new("1")?;
/// let bbox = BBox::new(0.0, 0.0, 10.0, 10.0)?;
/// let labels = [LabelledBox::new(ClassIdx(0), bbox)];
/// // Two detections as sure as each other, of which one is right.
/// let detections = [ScoredBox::new(ClassIdx(0), bbox, 0.75)?, ScoredBox::new(ClassIdx(0), bbox, 0.75)?];
/// let case = ImageCase { id: &id, size: None, labels: &labels, detections: &detections };
/// let report = evaluate(&[case], 1, &CalibrationParams::default())?;
/// assert_eq!((report.ece, report.bias), (Some(0.25), Some(0.25)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`CalibrationParams::check`]; and for the input as [`crate::coco::evaluate`].
pub fn evaluate(
    cases: &[ImageCase<'_>],
    n_classes: usize,
    params: &CalibrationParams,
) -> Result<CalibrationReport> {
    let CalibrationValidParams(params) = params.clone().check()?;
    let found = judged(cases, n_classes, &params)?;
    let bins = equal_width(&found, params.n_bins);
    let bins_equal_mass = equal_mass(&found, params.n_bins);
    let mut by_class: Vec<Vec<Judged>> = vec![Vec::new(); n_classes];
    found.iter().for_each(|d| by_class[d.class.as_usize()].push(*d));
    let over_boxes = |n: usize, numbers: &[usize]| d_ece(&found, n, numbers, params.min_per_bin);
    Ok(CalibrationReport {
        n_detections: found.len(),
        ece: ece(&bins),
        mce: bins.iter().map(CalibrationBin::gap).reduce(f64::max),
        bias: bin_of(&found).map(|all| all.score - all.precision),
        ece_equal_mass: ece(&bins_equal_mass),
        ece_by_class: by_class.iter().map(|class| ece(&equal_width(class, params.n_bins))).collect(),
        d_ece_position: over_boxes(params.n_bins_pair, &[0, 1]),
        d_ece_size: over_boxes(params.n_bins_pair, &[2, 3]),
        d_ece_all: over_boxes(params.n_bins_all, &[0, 1, 2, 3]),
        n_sized: found.iter().filter(|d| d.box_shares.is_some()).count(),
        bins,
        bins_equal_mass,
        params,
    })
}

impl CalibrationBin {
    fn gap(&self) -> f64 {
        (self.score - self.precision).abs()
    }
}

/// A detection that counts.
#[derive(Debug, Clone, Copy)]
struct Judged {
    score: f64,
    class: ClassIdx,
    is_right: bool,
    /// Middle, width and height as shares of the picture, where its size is known.
    box_shares: Option<[f64; 4]>,
}

/// Detections by ascending score, then by picture, so that sums are formed in one order whatever comes first.
fn judged(cases: &[ImageCase<'_>], n_classes: usize, params: &CalibrationParams) -> Result<Vec<Judged>> {
    let cases = checked_by_id(cases, n_classes)?;
    let mut all: Vec<Judged> =
        cases.par_iter().flat_map_iter(|case| judged_image(case, params.iou, params.min_score)).collect();
    all.sort_by(|a, b| by_score(b.score, a.score));
    Ok(all)
}

fn judged_image(case: &ImageCase<'_>, iou: f64, min_score: f64) -> Vec<Judged> {
    let found = matched(case, iou, min_score);
    let counted = case.detections.iter().zip(found.detections);
    counted
        .filter_map(|(detection, outcome)| {
            let is_right = match outcome {
                DetectionOutcome::BelowScore | DetectionOutcome::Absorbed { .. } => return None,
                outcome => matches!(outcome, DetectionOutcome::Matched { .. }),
            };
            Some(Judged {
                score: detection.score(),
                class: detection.class(),
                is_right,
                box_shares: case.size.map(|size| box_shares(detection.bbox(), size)),
            })
        })
        .collect()
}

fn box_shares(bbox: BBox, size: ImageSize) -> [f64; 4] {
    bbox.to_yolo(size).map(|v| v.clamp(0.0, 1.0))
}

fn bin_index(value: f64, n: usize) -> usize {
    ((value * n as f64).floor() as usize).min(n - 1)
}

/// What detections have in common; nothing of none.
fn bin_of(found: &[Judged]) -> Option<CalibrationBin> {
    let (first, last) = (found.first()?, found.last()?);
    let count = found.len();
    let n_right = found.iter().filter(|d| d.is_right).count();
    let score = found.iter().map(|d| d.score).sum::<f64>() / count as f64;
    Some(CalibrationBin {
        low: first.score,
        high: last.score,
        count,
        score,
        precision: n_right as f64 / count as f64,
    })
}

/// Bins of equal width that hold a detection.
fn equal_width(found: &[Judged], n: usize) -> Vec<CalibrationBin> {
    let spans = found.chunk_by(|a, b| bin_index(a.score, n) == bin_index(b.score, n));
    let bin = |span: &[Judged]| {
        let i = bin_index(span[0].score, n);
        let ends = (i as f64 / n as f64, (i + 1) as f64 / n as f64);
        bin_of(span).map(|bin| CalibrationBin { low: ends.0, high: ends.1, ..bin })
    };
    spans.filter_map(bin).collect()
}

/// Bins that are equally full: detection `i` of `m` lies in bin `floor(i n / m)`, and equal scores lie where the first
/// of them does.
fn equal_mass(found: &[Judged], n: usize) -> Vec<CalibrationBin> {
    let mut bin_numbers = Vec::with_capacity(found.len());
    for (i, detection) in found.iter().enumerate() {
        let is_tied = 0 < i && found[i - 1].score == detection.score;
        bin_numbers.push(if is_tied { bin_numbers[i - 1] } else { i * n / found.len() });
    }
    let mut start = 0;
    let spans = bin_numbers.chunk_by(|a, b| a == b).map(|span| {
        start += span.len();
        &found[start - span.len()..start]
    });
    spans.filter_map(bin_of).collect()
}

fn ece(bins: &[CalibrationBin]) -> Option<f64> {
    let whole: usize = bins.iter().map(|bin| bin.count).sum();
    (whole != 0).then(|| bins.iter().map(|bin| bin.count as f64 * bin.gap()).sum::<f64>() / whole as f64)
}

/// The error over bins of the score and some of the box's numbers, among bins that are full enough.
fn d_ece(found: &[Judged], n: usize, numbers: &[usize], min_per_bin: usize) -> Option<f64> {
    let mut cells: std::collections::BTreeMap<Vec<usize>, Vec<Judged>> = std::collections::BTreeMap::new();
    for detection in found {
        let Some(shares) = detection.box_shares else { continue };
        let mut cell = vec![bin_index(detection.score, n)];
        cell.extend(numbers.iter().map(|i| bin_index(shares[*i], n)));
        cells.entry(cell).or_default().push(*detection);
    }
    let full = cells.values().filter(|cell| min_per_bin <= cell.len());
    ece(&full.filter_map(|cell| bin_of(cell)).collect::<Vec<_>>())
}
