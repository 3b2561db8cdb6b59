use serde::{Deserialize, Serialize};

use super::filter::{Difficulty, FilterReason, Standing};
use super::input::{Frame, checked_by_id};
use super::kernel::{Pair, Problem, Standings};
use super::params::{KittiParams, Metric};
use super::view::{View, Words};
use crate::Result;

/// What became of a label.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelOutcome {
    /// Found: a true positive.
    Matched {
        /// The detection.
        dt_idx: usize,
        /// Their overlap.
        overlap: f64,
    },
    /// Found by nothing but a detection that does not count, so that it is neither found nor missed.
    FoundByIgnored {
        /// The detection.
        dt_idx: usize,
        /// Their overlap.
        overlap: f64,
        /// Why the detection does not count.
        reason: FilterReason,
    },
    /// Not found: a false negative.
    Missed,
    /// It does not count.
    Ignored {
        /// Why.
        reason: FilterReason,
        /// The detection that found it all the same, which does not count either.
        dt_idx: Option<usize>,
    },
    /// Of another class.
    OtherClass,
}

/// What became of a detection.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetectionOutcome {
    /// It found a label: a true positive.
    Matched {
        /// The label.
        gt_idx: usize,
        /// Their overlap.
        overlap: f64,
    },
    /// It found a label that does not count.
    OnIgnored {
        /// The label.
        gt_idx: usize,
        /// Their overlap.
        overlap: f64,
        /// Why the label does not count.
        reason: FilterReason,
    },
    /// It found nothing: a false positive.
    False,
    /// It found nothing, in a region that people left out.
    DontCare,
    /// It does not count.
    Ignored {
        /// Why.
        reason: FilterReason,
        /// The label that it found all the same.
        gt_idx: Option<usize>,
    },
    /// Its score is too low to take part.
    BelowScore,
    /// Of another class.
    OtherClass,
}

/// What became of each label and detection of a frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrameOutcomes {
    /// By label, as given.
    pub labels: Vec<LabelOutcome>,
    /// By detection, as given.
    pub detections: Vec<DetectionOutcome>,
}

/// Says of every object of a frame what became of it, with the reason, when detections from `min_score` on take part: the
/// matching that the counts behind precision come from.
///
/// ```
/// use labelloop_core::{BBox, SampleId};
/// use labelloop_eval::kitti::{
///     Detection, DetectionOutcome, Difficulty, FilterReason, Frame, KittiParams, Label, LabelOutcome, Metric, outcomes,
/// };
///
/// let id = SampleId::new("000042")?;
/// let (near, far) = (BBox::new(0.0, 0.0, 60.0, 60.0)?, BBox::new(300.0, 0.0, 30.0, 30.0)?);
/// let labels = [Label::new("Car", Some(near), None), Label::new("Car", Some(far), None)];
/// let found = [Detection::new("Car", Some(near), None, 2.0), Detection::new("Car", Some(far), None, 1.0)];
/// let frame = Frame { id: &id, labels: &labels, detections: &found };
///
/// let seen = outcomes(&frame, "Car", Difficulty::Easy, Metric::Bbox, 0.0, &KittiParams::default())?;
/// assert_eq!(seen.labels[0], LabelOutcome::Matched { dt_idx: 0, overlap: 1.0 });
/// let reason = FilterReason::BelowMinHeight;
/// assert_eq!(seen.labels[1], LabelOutcome::Ignored { reason, dt_idx: Some(1) });
/// assert_eq!(seen.detections[1], DetectionOutcome::Ignored { reason, gt_idx: Some(1) });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`super::evaluate`], and [`crate::EvalError::UnknownClass`].
pub fn outcomes(
    frame: &Frame<'_>,
    class: &str,
    difficulty: Difficulty,
    metric: Metric,
    min_score: f64,
    params: &KittiParams,
) -> Result<FrameOutcomes> {
    let params = params.clone().check()?;
    checked_by_id(std::slice::from_ref(frame))?;
    let (class, overlap) = (params.class(class)?, metric.overlap());
    let words = Words::new(&params);
    let view = View::new(frame, &params, &words, None)?;
    let standings = Standings::new(&view, class, difficulty, overlap);
    let pairs = Problem::new(&view, class, overlap, &standings).pairs(min_score);
    let of_label = |i: usize| label(i, &standings, pairs.iter().find(|p| p.label == i));
    let of_detection = |i: usize| match pairs.iter().find(|p| p.detection == i) {
        _ if !(min_score <= frame.detections[i].score) && standings.detections[i] != Standing::Absent => {
            DetectionOutcome::BelowScore
        }
        pair => detection(i, &standings, pair, view.is_covered(class, overlap, i)),
    };
    Ok(FrameOutcomes {
        labels: (0..frame.labels.len()).map(of_label).collect(),
        detections: (0..frame.detections.len()).map(of_detection).collect(),
    })
}

fn label(i: usize, standings: &Standings, pair: Option<&Pair>) -> LabelOutcome {
    let by = pair.map(|p| (p.detection, p.overlap, standings.detections[p.detection]));
    match (standings.labels[i], by) {
        (Standing::Absent, _) => LabelOutcome::OtherClass,
        (Standing::Ignored(reason), by) => LabelOutcome::Ignored { reason, dt_idx: by.map(|by| by.0) },
        (Standing::Counts, None) => LabelOutcome::Missed,
        (Standing::Counts, Some((dt_idx, overlap, Standing::Ignored(reason)))) => {
            LabelOutcome::FoundByIgnored { dt_idx, overlap, reason }
        }
        (Standing::Counts, Some((dt_idx, overlap, _))) => LabelOutcome::Matched { dt_idx, overlap },
    }
}

fn detection(i: usize, standings: &Standings, pair: Option<&Pair>, is_covered: bool) -> DetectionOutcome {
    let on = pair.map(|p| (p.label, p.overlap, standings.labels[p.label]));
    match (standings.detections[i], on) {
        (Standing::Absent, _) => DetectionOutcome::OtherClass,
        (Standing::Ignored(reason), on) => DetectionOutcome::Ignored { reason, gt_idx: on.map(|on| on.0) },
        (Standing::Counts, None) if is_covered => DetectionOutcome::DontCare,
        (Standing::Counts, None) => DetectionOutcome::False,
        (Standing::Counts, Some((gt_idx, overlap, Standing::Ignored(reason)))) => {
            DetectionOutcome::OnIgnored { gt_idx, overlap, reason }
        }
        (Standing::Counts, Some((gt_idx, overlap, _))) => DetectionOutcome::Matched { gt_idx, overlap },
    }
}

#[cfg(test)]
mod tests {
    use labelloop_core::{BBox, SampleId};

    use super::*;
    use crate::EvalError;
    use crate::kitti::{Detection, Label};

    fn at(x: f64, height: f64) -> Option<BBox> {
        Some(BBox::from_corners(x, 0.0, x + 100.0, height).unwrap())
    }

    fn of(labels: &[Label], detections: &[Detection], min_score: f64) -> FrameOutcomes {
        let id = SampleId::new("a").unwrap();
        let frame = Frame { id: &id, labels, detections };
        outcomes(&frame, "car", Difficulty::Easy, Metric::Bbox, min_score, &KittiParams::default()).unwrap()
    }

    #[test]
    fn every_object_has_an_outcome_with_its_reason() {
        let labels = [
            Label::new("Car", at(0.0, 50.0), None),
            Label::new("Van", at(200.0, 50.0), None),
            Label::new("Car", at(400.0, 50.0), None),
            Label::new("Pedestrian", at(600.0, 50.0), None),
            Label::new("DontCare", at(800.0, 50.0), None),
            Label { occlusion: 2, ..Label::new("Car", at(1000.0, 50.0), None) },
            Label::new("Car", at(1200.0, 40.0), None),
        ];
        let car = |x, height, score| Detection::new("Car", at(x, height), None, score);
        let detections = [
            car(0.0, 50.0, 0.9),
            car(200.0, 50.0, 0.9),
            car(400.0, 50.0, 0.1),
            Detection::new("Cyclist", at(600.0, 50.0), None, 0.9),
            car(800.0, 50.0, 0.9),
            car(300.0, 50.0, 0.9),
            car(1200.0, 39.0, 0.9),
        ];
        let found = of(&labels, &detections, 0.5);
        let (dt_idx, overlap, reason) = (6, 39.0 / 40.0, FilterReason::BelowMinHeight);
        assert_eq!(
            found.labels,
            [
                LabelOutcome::Matched { dt_idx: 0, overlap: 1.0 },
                LabelOutcome::Ignored { reason: FilterReason::Neighbour, dt_idx: Some(1) },
                LabelOutcome::Missed,
                LabelOutcome::OtherClass,
                LabelOutcome::OtherClass,
                LabelOutcome::Ignored { reason: FilterReason::Occluded, dt_idx: None },
                LabelOutcome::FoundByIgnored { dt_idx, overlap, reason },
            ]
        );
        assert_eq!(
            found.detections,
            [
                DetectionOutcome::Matched { gt_idx: 0, overlap: 1.0 },
                DetectionOutcome::OnIgnored { gt_idx: 1, overlap: 1.0, reason: FilterReason::Neighbour },
                DetectionOutcome::BelowScore,
                DetectionOutcome::OtherClass,
                DetectionOutcome::DontCare,
                DetectionOutcome::False,
                DetectionOutcome::Ignored { reason, gt_idx: Some(6) },
            ]
        );
    }

    #[test]
    fn outcomes_are_stored_as_words() {
        let found = of(&[Label::new("Car", at(0.0, 50.0), None)], &[], 0.0);
        assert_eq!(serde_json::to_string(&found).unwrap(), r#"{"labels":["missed"],"detections":[]}"#);
    }

    #[test]
    fn what_cannot_be_evaluated_is_refused() {
        let id = SampleId::new("a").unwrap();
        let params = KittiParams::default();
        let frame = Frame { id: &id, labels: &[], detections: &[] };
        let tram = outcomes(&frame, "Tram", Difficulty::Easy, Metric::Bbox, 0.0, &params);
        assert!(matches!(tram, Err(EvalError::UnknownClass { .. })));
        let detections = [Detection::new("Car", None, None, f64::NAN)];
        let frame = Frame { detections: &detections, ..frame };
        assert!(outcomes(&frame, "Car", Difficulty::Easy, Metric::Bbox, 0.0, &params).is_err());
    }
}
