use std::collections::BTreeMap;

use labelloop_core::SampleId;
use serde::{Deserialize, Serialize};

use crate::error::check_share;
use crate::{EvalError, Result};

/// What the protocol asks of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassRule {
    /// Name, unique among the classes.
    pub name: String,
    /// Metres from the vehicle on the ground, from which on boxes are left out.
    pub max_range: f64,
    /// Whether front and back look alike, so that headings half a turn apart are the same (barriers).
    #[serde(default)]
    pub is_symmetric: bool,
    /// Whether the error of the heading is defined (not for traffic cones).
    #[serde(default = "yes")]
    pub has_orientation: bool,
    /// Whether the error of the velocity is defined (not for what cannot move).
    #[serde(default = "yes")]
    pub has_velocity: bool,
    /// Whether the error of the attribute is defined.
    #[serde(default = "yes")]
    pub has_attribute: bool,
    /// Whether boxes inside a bicycle rack are left out (bicycles, motorcycles).
    #[serde(default)]
    pub leaves_racks_out: bool,
}

fn yes() -> bool {
    true
}

impl ClassRule {
    /// A class with a heading, a velocity and attributes.
    pub fn new(name: impl Into<String>, max_range: f64) -> Self {
        Self {
            name: name.into(),
            max_range,
            is_symmetric: false,
            has_orientation: true,
            has_velocity: true,
            has_attribute: true,
            leaves_racks_out: false,
        }
    }
}

/// The ten detection classes with their ranges (Caesar et al. 2020, section 3 and the detection task's page).
fn official_classes() -> Vec<ClassRule> {
    let cycle = |name| ClassRule { leaves_racks_out: true, ..ClassRule::new(name, 40.0) };
    let still = |name| ClassRule { has_velocity: false, has_attribute: false, ..ClassRule::new(name, 30.0) };
    vec![
        ClassRule::new("car", 50.0),
        ClassRule::new("truck", 50.0),
        ClassRule::new("bus", 50.0),
        ClassRule::new("trailer", 50.0),
        ClassRule::new("construction_vehicle", 50.0),
        ClassRule::new("pedestrian", 40.0),
        cycle("motorcycle"),
        cycle("bicycle"),
        ClassRule { has_orientation: false, ..still("traffic_cone") },
        ClassRule { is_symmetric: true, ..still("barrier") },
    ]
}

/// What happens to a sample with more detections than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Excess {
    /// [`EvalError::TooManyBoxes`], as the benchmark refuses such a submission.
    #[default]
    Refuse,
    /// The best scores are kept, of equal ones the later; the others are left out with a reason and a warning.
    KeepBest,
}

/// What a class without a single label counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbsentClasses {
    /// An average precision of 0 and errors of 1, as in the benchmark.
    #[default]
    Zero,
    /// Nothing: means are over the other classes.
    LeaveOut,
}

/// In which order samples are lined up before detections are sorted by score: of equal scores the one of the later
/// sample goes first. It decides between exactly equal scores of one class, and nothing else.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleOrder {
    /// By the text of the id.
    #[default]
    Id,
    /// By a number given for each id, such as its place in the file of detections, which is the devkit's order; ids
    /// without one come last, by text.
    Ranked(BTreeMap<SampleId, i64>),
}

/// What nuScenes' detection protocol is run with. The defaults are the benchmark's (`detection_cvpr_2019`).
///
/// ```
/// use labelloop_eval::nuscenes::NuscenesParams;
///
/// let params = NuscenesParams::default();
/// assert_eq!(params.distances, [0.5, 1.0, 2.0, 4.0]);
/// assert_eq!((params.classes.len(), params.classes[5].name.as_str()), (10, "pedestrian"));
/// assert!(NuscenesParams { tp_distance: 3.0, ..params }.check().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NuscenesParams {
    /// Classes in the order of their numbers. Default: the ten of the benchmark.
    pub classes: Vec<ClassRule>,
    /// Distances of centres on the ground below which a detection finds a label, in metres, ascending, at most 64.
    /// Default: .5, 1, 2, 4.
    pub distances: Vec<f64>,
    /// Which of them the errors of true positives are measured at. Default: 2.
    pub tp_distance: f64,
    /// Recall above which precision and errors count. Default: .1.
    pub min_recall: f64,
    /// Precision above which it counts. Default: .1.
    pub min_precision: f64,
    /// Detections allowed in a sample, of all classes together and before any filter. Default: 500.
    pub max_boxes: usize,
    /// What happens beyond that. Default: an error.
    pub excess: Excess,
    /// Whether boxes beyond their class's range are left out. Default: yes.
    pub range_filter: bool,
    /// Whether labels without a lidar or radar point are left out. Default: yes.
    pub point_filter: bool,
    /// Weight of the mean average precision in the detection score, where each error weighs 1. Default: 5.
    pub ap_weight: f64,
    /// What a class without labels counts. Default: as in the benchmark, 0.
    pub absent_classes: AbsentClasses,
    /// What decides between equal scores of different samples. Default: the text of the id.
    pub sample_order: SampleOrder,
}

impl Default for NuscenesParams {
    fn default() -> Self {
        Self {
            classes: official_classes(),
            distances: vec![0.5, 1.0, 2.0, 4.0],
            tp_distance: 2.0,
            min_recall: 0.1,
            min_precision: 0.1,
            max_boxes: 500,
            excess: Excess::Refuse,
            range_filter: true,
            point_filter: true,
            ap_weight: 5.0,
            absent_classes: AbsentClasses::Zero,
            sample_order: SampleOrder::Id,
        }
    }
}

/// Parameters that were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct NuscenesValidParams(NuscenesParams);

impl NuscenesParams {
    /// # Errors
    /// [`EvalError::EmptyParam`], [`EvalError::InvalidParam`] and [`EvalError::Unsorted`] for lists and numbers out of
    /// range; [`EvalError::UnknownDistance`] when `tp_distance` is not among `distances`;
    /// [`EvalError::InvalidClass`] for a name used twice.
    pub fn check(self) -> Result<NuscenesValidParams> {
        check_classes(&self.classes)?;
        check_distances(&self.distances)?;
        if !self.distances.contains(&self.tp_distance) {
            return Err(EvalError::UnknownDistance { found: self.tp_distance, known: self.distances });
        }
        check_share("min_recall", self.min_recall)?;
        check_share("min_precision", self.min_precision)?;
        if self.min_precision == 1.0 {
            let expected = "a number below 1";
            return Err(EvalError::InvalidParam { name: "min_precision", found: 1.0, expected });
        }
        if self.max_boxes == 0 {
            return Err(EvalError::InvalidParam { name: "max_boxes", found: 0.0, expected: "at least 1" });
        }
        if !(0.0 <= self.ap_weight && self.ap_weight.is_finite()) {
            let expected = "a finite number of at least 0";
            return Err(EvalError::InvalidParam { name: "ap_weight", found: self.ap_weight, expected });
        }
        Ok(NuscenesValidParams(self))
    }
}

fn check_classes(classes: &[ClassRule]) -> Result<()> {
    if classes.is_empty() {
        return Err(EvalError::EmptyParam { name: "classes" });
    }
    for (place, rule) in classes.iter().enumerate() {
        if !(0.0 < rule.max_range) {
            let expected = "a number above 0";
            return Err(EvalError::InvalidParam { name: "max_range", found: rule.max_range, expected });
        }
        if classes[..place].iter().any(|other| other.name == rule.name) {
            return Err(EvalError::InvalidClass { found: rule.name.clone(), expected: "a name used once" });
        }
    }
    Ok(())
}

fn check_distances(distances: &[f64]) -> Result<()> {
    const NAME: &str = "distances";
    if distances.is_empty() {
        return Err(EvalError::EmptyParam { name: NAME });
    }
    if 64 < distances.len() {
        let found = distances.len() as f64;
        return Err(EvalError::InvalidParam { name: NAME, found, expected: "at most 64 of them" });
    }
    if let Some(found) = distances.iter().find(|d| !(0.0 < **d && d.is_finite())) {
        let expected = "finite numbers above 0";
        return Err(EvalError::InvalidParam { name: NAME, found: *found, expected });
    }
    match distances.windows(2).find(|pair| pair[1] <= pair[0]) {
        Some(pair) => Err(EvalError::Unsorted { name: NAME, before: pair[0], after: pair[1] }),
        None => Ok(()),
    }
}

impl NuscenesValidParams {
    /// The parameters.
    pub fn get(&self) -> &NuscenesParams {
        &self.0
    }

    /// The same without the order of samples, which each record carries by itself.
    pub(super) fn without_order(&self) -> NuscenesParams {
        NuscenesParams { sample_order: SampleOrder::Id, ..self.0.clone() }
    }

    pub(super) fn rank(&self, id: &SampleId) -> Option<i64> {
        match &self.0.sample_order {
            SampleOrder::Id => None,
            SampleOrder::Ranked(ranks) => ranks.get(id).copied(),
        }
    }

    /// Place of the distance that errors are measured at.
    pub(super) fn tp_place(&self) -> usize {
        self.0.distances.iter().position(|d| *d == self.0.tp_distance).unwrap_or(0)
    }

    /// The place among the 101 recalls from which on they count.
    pub(super) fn first_recall(&self) -> usize {
        (100.0 * self.0.min_recall).round_ties_even() as usize + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_documented() {
        let p = NuscenesParams::default();
        let ranges: Vec<(&str, f64)> = p.classes.iter().map(|c| (c.name.as_str(), c.max_range)).collect();
        assert_eq!(
            ranges,
            [
                ("car", 50.0),
                ("truck", 50.0),
                ("bus", 50.0),
                ("trailer", 50.0),
                ("construction_vehicle", 50.0),
                ("pedestrian", 40.0),
                ("motorcycle", 40.0),
                ("bicycle", 40.0),
                ("traffic_cone", 30.0),
                ("barrier", 30.0)
            ]
        );
        let having = |of: fn(&ClassRule) -> bool| p.classes.iter().filter(|c| of(c)).count();
        assert_eq!((having(|c| c.has_orientation), having(|c| c.has_velocity)), (9, 8));
        assert_eq!((having(|c| c.has_attribute), having(|c| c.is_symmetric)), (8, 1));
        assert_eq!(having(|c| c.leaves_racks_out), 2);
        assert_eq!((p.distances.as_slice(), p.tp_distance), ([0.5, 1.0, 2.0, 4.0].as_slice(), 2.0));
        assert_eq!((p.min_recall, p.min_precision, p.max_boxes, p.ap_weight), (0.1, 0.1, 500, 5.0));
        assert_eq!((p.excess, p.absent_classes), (Excess::Refuse, AbsentClasses::Zero));
        assert!(p.range_filter && p.point_filter && p.sample_order == SampleOrder::Id);
        let valid = p.check().unwrap();
        assert_eq!((valid.tp_place(), valid.first_recall()), (2, 11));
    }

    #[test]
    fn classes_are_needed_once_each() {
        let with = |classes| NuscenesParams { classes, ..Default::default() }.check();
        assert_eq!(with(vec![]), Err(EvalError::EmptyParam { name: "classes" }));
        let twice = vec![ClassRule::new("car", 1.0), ClassRule::new("car", 2.0)];
        assert_eq!(
            with(twice),
            Err(EvalError::InvalidClass { found: "car".to_owned(), expected: "a name used once" })
        );
        for range in [0.0, -1.0, f64::NAN] {
            assert!(with(vec![ClassRule::new("car", range)]).is_err(), "{range}");
        }
        assert!(with(vec![ClassRule::new("car", f64::INFINITY)]).is_ok(), "a class may have no limit");
    }

    #[test]
    fn distances_ascend_from_above_0() {
        let with = |distances: Vec<f64>| NuscenesParams { distances, ..Default::default() }.check();
        assert_eq!(with(vec![]), Err(EvalError::EmptyParam { name: "distances" }));
        for bad in [vec![0.0, 2.0], vec![-1.0, 2.0], vec![2.0, f64::NAN], vec![2.0, f64::INFINITY]] {
            assert!(matches!(with(bad), Err(EvalError::InvalidParam { name: "distances", .. })));
        }
        assert!(matches!(with(vec![2.0, 2.0]), Err(EvalError::Unsorted { .. })));
        assert!(with((1..=64).map(f64::from).collect()).is_ok());
        assert!(with((1..=65).map(f64::from).collect()).is_err());
    }

    #[test]
    fn errors_are_measured_at_one_of_the_distances() {
        for tp_distance in [1.5, f64::NAN] {
            let found = NuscenesParams { tp_distance, ..Default::default() }.check();
            assert!(matches!(found, Err(EvalError::UnknownDistance { .. })));
        }
    }

    #[test]
    fn floors_are_shares() {
        for bad in [f64::NAN, -0.1, 1.1] {
            assert!(NuscenesParams { min_recall: bad, ..Default::default() }.check().is_err());
            assert!(NuscenesParams { min_precision: bad, ..Default::default() }.check().is_err());
        }
        assert!(NuscenesParams { min_precision: 1.0, ..Default::default() }.check().is_err());
        assert!(NuscenesParams { min_recall: 1.0, ..Default::default() }.check().is_ok());
    }

    #[test]
    fn at_least_one_box_is_allowed() {
        assert!(NuscenesParams { max_boxes: 0, ..Default::default() }.check().is_err());
    }

    #[test]
    fn weights_are_finite_and_not_negative() {
        for ap_weight in [f64::NAN, -1.0, f64::INFINITY] {
            assert!(NuscenesParams { ap_weight, ..Default::default() }.check().is_err());
        }
    }

    #[test]
    fn parameters_come_from_few_words() {
        let text = r#"{"classes": [{"name": "forklift", "max_range": 20}], "absent_classes": "leave_out"}"#;
        let params: NuscenesParams = serde_json::from_str(text).unwrap();
        assert_eq!(params.classes, [ClassRule::new("forklift", 20.0)]);
        assert_eq!(params.absent_classes, AbsentClasses::LeaveOut);
        assert!(serde_json::from_str::<NuscenesParams>(r#"{"distance": 1}"#).is_err());
    }
}
