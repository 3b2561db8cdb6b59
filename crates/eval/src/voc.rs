//! Average precision as Pascal VOC defines it, from the same matching as everything else here.
//!
//! The formulas are those of the VOC devkit: 11-point interpolation (Everingham et al. 2010, section 4.2) and the area
//! under the interpolated curve that replaced it in 2010. The matching is COCO's greedy one: the devkit tries only the
//! label of the largest overlap, compares with `>` and counts pixels with `+ 1`, so its numbers differ a little. Crowds
//! take the role of VOC's difficult objects.

use serde::{Deserialize, Serialize};

use crate::threshold::Verdicts;
use crate::{ImageCase, Result};

/// How the curve of precision over recall becomes one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VocMethod {
    /// Mean of the best precision at recalls of 0, .1 … 1: VOC 2007.
    ElevenPoint,
    /// Area under the curve of the best precision at each recall or above: VOC 2010 and later.
    AllPoint,
}

/// Average precision class by class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VocResult {
    /// For each class; nothing where the class has no label.
    pub ap: Vec<Option<f64>>,
    /// Mean over the classes with a label; nothing where there is none.
    pub map: Option<f64>,
}

/// Average precision at one IoU, by VOC's formulas.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, LabelledBox, SampleId, ScoredBox};
/// use labelloop_eval::{ImageCase, voc};
///
/// let id = SampleId::new("1")?;
/// let bbox = BBox::new(0.0, 0.0, 10.0, 10.0)?;
/// let labels = [
///     LabelledBox::new(ClassIdx(0), bbox),
///     LabelledBox::new(ClassIdx(0), BBox::new(50.0, 0.0, 10.0, 10.0)?),
/// ];
/// let detections = [ScoredBox::new(ClassIdx(0), bbox, 0.9)?];
/// let case = ImageCase { id: &id, size: None, labels: &labels, detections: &detections };
/// assert_eq!(voc::evaluate(&[case], 1, 0.5, voc::VocMethod::AllPoint)?.map, Some(0.5));
/// // Recalls of 0, .1 … .5 are reached: six of eleven.
/// assert_eq!(voc::evaluate(&[case], 1, 0.5, voc::VocMethod::ElevenPoint)?.map, Some(6.0 / 11.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`crate::EvalError::InvalidParam`] unless `iou` is in `(0, 1]`; and for the input as [`crate::coco::evaluate`].
pub fn evaluate(cases: &[ImageCase<'_>], n_classes: usize, iou: f64, method: VocMethod) -> Result<VocResult> {
    let verdicts = Verdicts::new(cases, n_classes, iou)?;
    let mut lines: Vec<Vec<bool>> = vec![Vec::new(); n_classes];
    for (_, class, is_right) in &verdicts.detections {
        lines[class.as_usize()].push(*is_right);
    }
    let ap: Vec<Option<f64>> = lines
        .iter()
        .zip(&verdicts.n_labels)
        .map(|(line, n_labels)| (*n_labels != 0).then(|| average_precision(line, *n_labels, method)))
        .collect();
    let defined: Vec<f64> = ap.iter().flatten().copied().collect();
    Ok(VocResult { map: crate::coco::numpy::mean(&defined), ap })
}

fn average_precision(line: &[bool], n_labels: usize, method: VocMethod) -> f64 {
    let points = interpolated(line, n_labels);
    match method {
        VocMethod::ElevenPoint => {
            let best = |wanted: f64| points.iter().find(|p| wanted <= p.0).map_or(0.0, |p| p.1);
            // `i * 0.1` as the devkit's range gives it, not the nearest decimal.
            (0..=10).map(|i| best(f64::from(i) * 0.1)).sum::<f64>() / 11.0
        }
        VocMethod::AllPoint => {
            let mut before = 0.0;
            let mut area = 0.0;
            for (recall, precision) in points {
                area += (recall - before) * precision;
                before = recall;
            }
            area
        }
    }
}

/// Recall after each right detection, with the best precision there or at any higher recall.
fn interpolated(line: &[bool], n_labels: usize) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    for (i, _) in line.iter().enumerate().filter(|(_, is_right)| **is_right) {
        let tp = (points.len() + 1) as f64;
        points.push((tp / n_labels as f64, tp / (i + 1) as f64));
    }
    let mut best = 0.0f64;
    for point in points.iter_mut().rev() {
        best = best.max(point.1);
        point.1 = best;
    }
    points
}
