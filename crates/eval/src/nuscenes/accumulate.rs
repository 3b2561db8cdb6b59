use rayon::prelude::*;

use super::line::Line;
use super::result::{ClassResult, Curve, ErrorCurves, TpMeans};
use super::track::{ErrorTrack, N_RECALLS, Read, Track};
use super::{AbsentClasses, ClassRule, FilterCounts, NuscenesValidParams};
use crate::coco::numpy;

/// Curves and numbers of every class.
pub(super) fn accumulate(lines: &[Line<'_>], params: &NuscenesValidParams) -> Vec<ClassResult> {
    let p = params.get();
    lines.par_iter().zip(&p.classes).map(|(line, rule)| class_result(line, rule, params)).collect()
}

fn class_result(line: &Line<'_>, rule: &ClassRule, params: &NuscenesValidParams) -> ClassResult {
    let p = params.get();
    let once = |_: u32| 1;
    let n_labels = n_labels(line, once);
    let counts = n_labels != 0 || p.absent_classes == AbsentClasses::Zero;
    let (mut curves, mut ap_by_distance, mut n_matched) = (Vec::new(), Vec::new(), Vec::new());
    for (t, distance) in p.distances.iter().enumerate() {
        let track = track(line, t, n_labels, once);
        let Read { precision, confidence } = track.read();
        ap_by_distance.push(counts.then(|| average_precision(&precision, params)));
        n_matched.push(track.n_hits() as u64);
        curves.push(Curve { distance: *distance, precision, confidence });
    }
    let tp = &curves[params.tp_place()].confidence;
    let track = error_track(line, once);
    let errors = ErrorCurves::new(|which| track.read(which, tp));
    let tp_errors =
        if counts { tp_means(tp, |which| track.read(which, tp), rule, params) } else { TpMeans::default() };
    let (mut filtered_labels, mut filtered_detections) = (FilterCounts::default(), FilterCounts::default());
    for (_, record) in &line.records {
        filtered_labels.add(&record.filtered_labels);
        filtered_detections.add(&record.filtered_detections);
    }
    ClassResult {
        name: rule.name.clone(),
        ap: counts.then(|| mean_of(&ap_by_distance)).flatten(),
        ap_by_distance,
        tp_errors,
        n_labels,
        n_detections: line.entries.iter().filter(|e| e.ignored >> params.tp_place() & 1 == 0).count() as u64,
        n_matched,
        filtered_labels,
        filtered_detections,
        curves,
        error_curves: errors,
    }
}

/// Labels that count where sample `s` is there `times(s)` times.
pub(super) fn n_labels(line: &Line<'_>, times: impl Fn(u32) -> u32) -> u64 {
    line.records.iter().map(|(s, record)| u64::from(times(*s)) * u64::from(record.n_labels)).sum()
}

/// Detections at distance number `t` where sample `s` is there `times(s)` times, copies next to one another.
pub(super) fn track(line: &Line<'_>, t: usize, n_labels: u64, times: impl Fn(u32) -> u32) -> Track {
    let mut track = Track::new(n_labels);
    for entry in line.entries.iter().filter(|entry| entry.ignored >> t & 1 == 0) {
        for _ in 0..times(entry.sample) {
            track.push(entry.score, entry.hits >> t & 1 == 1);
        }
    }
    track
}

/// The same for the errors of matches.
pub(super) fn error_track(line: &Line<'_>, times: impl Fn(u32) -> u32) -> ErrorTrack {
    let mut track = ErrorTrack::default();
    for entry in &line.entries {
        let Some(errors) = entry.errors else { continue };
        for _ in 0..times(entry.sample) {
            track.push(entry.score, errors);
        }
    }
    track
}

/// Mean over the recalls above the floor of the precision above its floor, of what there is above it (Caesar et al. 2020,
/// equation 1).
pub(super) fn average_precision(precision: &[f64], params: &NuscenesValidParams) -> f64 {
    let floor = params.get().min_precision;
    let above: Vec<f64> =
        precision.iter().skip(params.first_recall()).map(|v| (v - floor).max(0.0)).collect();
    // Rounding may lift a perfect curve a little above 1.
    (numpy::mean(&above).unwrap_or(0.0) / (1.0 - floor)).min(1.0)
}

/// The errors of a class: means over recalls from the floor up to the highest that is reached, 1 where it is not; none
/// where the class does not define them.
pub(super) fn tp_means(
    confidence: &[f64],
    read: impl Fn(usize) -> Vec<f64>,
    rule: &ClassRule,
    params: &NuscenesValidParams,
) -> TpMeans {
    // The highest recall reached is the last whose confidence is not 0, whatever the scores are: so does the devkit.
    let last = (0..N_RECALLS).rev().find(|i| confidence[*i] != 0.0).unwrap_or(0);
    let first = params.first_recall();
    let mean = |which: usize| {
        if last < first { Some(1.0) } else { numpy::mean(&read(which)[first..=last]) }
    };
    TpMeans {
        translation: mean(0),
        scale: mean(1),
        orientation: rule.has_orientation.then(|| mean(2)).flatten(),
        velocity: rule.has_velocity.then(|| mean(3)).flatten(),
        attribute: rule.has_attribute.then(|| mean(4)).flatten(),
    }
}

/// Mean of what is defined.
pub(super) fn mean_of(values: &[Option<f64>]) -> Option<f64> {
    numpy::mean(&values.iter().flatten().copied().collect::<Vec<_>>())
}

/// The detection score (Caesar et al. 2020, equation 3): five parts average precision, one part each for what every
/// error leaves of 1. An error that no class defines counts as 1.
pub(super) fn detection_score(mean_ap: f64, errors: &TpMeans, ap_weight: f64) -> f64 {
    let errors = errors.to_array();
    let left: f64 = errors.iter().map(|e| (1.0 - e.unwrap_or(1.0)).max(0.0)).sum();
    (ap_weight * mean_ap + left) / (ap_weight + errors.len() as f64)
}
