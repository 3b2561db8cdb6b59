use labelloop_core::ClassIdx;
use serde::{Deserialize, Serialize};

use super::errors::{TpErrors, centre_distance, ground};
use super::filter::{FilterReason, filter};
use super::record::{Matcher, Members, members};
use super::{NuscenesParams, NuscenesValidParams, SampleCase};
use crate::Result;

/// What became of a detection, at [`NuscenesParams::tp_distance`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum DetectionOutcome {
    /// Takes no part.
    Filtered {
        /// Why.
        reason: FilterReason,
    },
    /// Finds a label.
    TruePositive {
        /// The label's place in its sample.
        label: usize,
        /// How far off it is.
        errors: TpErrors,
    },
    /// Near enough to a label of its class that another detection took.
    Duplicate {
        /// The nearest such label.
        label: usize,
        /// Metres to it.
        distance: f64,
    },
    /// Near enough to a label, but of another class.
    WrongClass {
        /// The nearest such label.
        label: usize,
        /// The label's class.
        class: ClassIdx,
        /// Metres to it.
        distance: f64,
    },
    /// Not near enough to a label of its class, but within the largest distance that is evaluated.
    Localisation {
        /// The nearest such label.
        label: usize,
        /// Metres to it.
        distance: f64,
    },
    /// Near nothing.
    Background,
}

/// What became of a label, at [`NuscenesParams::tp_distance`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum LabelOutcome {
    /// Takes no part.
    Filtered {
        /// Why.
        reason: FilterReason,
    },
    /// A true positive's label.
    Found {
        /// The detection's place in its sample.
        detection: usize,
        /// How far off it is.
        errors: TpErrors,
    },
    /// Not found, and the nearest detection near enough is of another class.
    WrongClass {
        /// That detection.
        detection: usize,
        /// Its class.
        class: ClassIdx,
        /// Metres to it.
        distance: f64,
    },
    /// Not found, but a detection of its class lies within the largest distance that is evaluated.
    Localisation {
        /// The nearest such detection.
        detection: usize,
        /// Metres to it.
        distance: f64,
    },
    /// Nothing is near.
    Missed,
}

/// What became of every box of a sample, in the order of its boxes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleOutcomes {
    /// Labels.
    pub labels: Vec<LabelOutcome>,
    /// Detections.
    pub detections: Vec<DetectionOutcome>,
}

/// Says of every box of a sample what became of it and why.
///
/// The matches are those that [`super::evaluate`] counts at [`NuscenesParams::tp_distance`]. Boxes that are left out are
/// no neighbours either. O(boxes²).
///
/// ```
/// use labelloop_core::{ClassIdx, Cuboid, CuboidFrame, SampleId};
/// use labelloop_eval::nuscenes::{
///     DetectionBox, DetectionOutcome, LabelBox, LabelOutcome, NuscenesParams, SampleCase, outcomes,
/// };
///
/// let at = |x| Cuboid::new([x, 2.0, 0.5], [4.5, 1.9, 1.7], 0.1, CuboidFrame::Lidar);
/// let labels = [LabelBox::new(ClassIdx(0), at(10.0)?)];
/// let found = [0.9, 0.5].map(|score| DetectionBox::new(ClassIdx(0), labels[0].cuboid, score));
/// let id = SampleId::new("a")?;
/// let case = SampleCase { id: &id, labels: &labels, detections: &found, racks: &[] };
/// let outcomes = outcomes(&case, &NuscenesParams::default())?;
/// assert!(matches!(outcomes.labels[0], LabelOutcome::Found { detection: 0, .. }));
/// assert_eq!(outcomes.detections[1], DetectionOutcome::Duplicate { label: 0, distance: 0.0 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`super::evaluate`].
pub fn outcomes(case: &SampleCase<'_>, params: &NuscenesParams) -> Result<SampleOutcomes> {
    let params = params.clone().check()?;
    let filtered = filter(case, &params)?;
    let members = members(case, &filtered, params.get().classes.len());
    let mut judge = Judge::new(case, &params, &members);
    judge.match_all();
    let detections = filtered.detections.iter().enumerate().map(|(i, reason)| match reason {
        Some(reason) => DetectionOutcome::Filtered { reason: *reason },
        None => judge.detection(i),
    });
    let labels = filtered.labels.iter().enumerate().map(|(i, reason)| match reason {
        Some(reason) => LabelOutcome::Filtered { reason: *reason },
        None => judge.label(i),
    });
    Ok(SampleOutcomes { labels: labels.collect(), detections: detections.collect() })
}

/// One sample with its matches.
struct Judge<'a> {
    case: &'a SampleCase<'a>,
    members: &'a [Members],
    tp_distance: f64,
    reach: f64,
    params: &'a NuscenesValidParams,
    /// For each detection its label, for each label its detection, with the errors.
    label_of: Vec<Option<(usize, TpErrors)>>,
    detection_of: Vec<Option<(usize, TpErrors)>>,
}

/// A neighbour: place, class, metres.
type Near = (usize, ClassIdx, f64);

impl<'a> Judge<'a> {
    fn new(case: &'a SampleCase<'a>, params: &'a NuscenesValidParams, members: &'a [Members]) -> Self {
        let p = params.get();
        Self {
            case,
            members,
            tp_distance: p.tp_distance,
            reach: p.distances.last().copied().unwrap_or(p.tp_distance),
            params,
            label_of: vec![None; case.detections.len()],
            detection_of: vec![None; case.labels.len()],
        }
    }

    fn match_all(&mut self) {
        let mut matcher = Matcher::default();
        for (members, rule) in self.members.iter().zip(&self.params.get().classes) {
            matcher.measure(self.case, members, self.tp_distance);
            matcher.match_at(members, self.tp_distance, |detection, link| {
                let detection = members.detections[detection] as usize;
                let label = members.labels[link.partner as usize] as usize;
                let (l, d) = (&self.case.labels[label], &self.case.detections[detection]);
                let errors = TpErrors::at(link.closeness, l, d, rule);
                self.label_of[detection] = Some((label, errors));
                self.detection_of[label] = Some((detection, errors));
            });
        }
    }

    fn detection(&self, i: usize) -> DetectionOutcome {
        if let Some((label, errors)) = self.label_of[i] {
            return DetectionOutcome::TruePositive { label, errors };
        }
        let found = &self.case.detections[i];
        let place = ground(&found.cuboid);
        let own = self.nearest_label(place, |class| class == found.class);
        let other = self.nearest_label(place, |class| class != found.class);
        match (own, other) {
            (Some((label, _, distance)), _) if distance < self.tp_distance => {
                DetectionOutcome::Duplicate { label, distance }
            }
            (_, Some((label, class, distance))) if distance < self.tp_distance => {
                DetectionOutcome::WrongClass { label, class, distance }
            }
            (Some((label, _, distance)), _) if distance < self.reach => {
                DetectionOutcome::Localisation { label, distance }
            }
            _ => DetectionOutcome::Background,
        }
    }

    fn label(&self, i: usize) -> LabelOutcome {
        if let Some((detection, errors)) = self.detection_of[i] {
            return LabelOutcome::Found { detection, errors };
        }
        let label = &self.case.labels[i];
        let place = ground(&label.cuboid);
        let own = self.nearest_detection(place, |class| class == label.class);
        let other = self.nearest_detection(place, |class| class != label.class);
        match (own, other) {
            (_, Some((detection, class, distance))) if distance < self.tp_distance => {
                LabelOutcome::WrongClass { detection, class, distance }
            }
            (Some((detection, _, distance)), _) if distance < self.reach => {
                LabelOutcome::Localisation { detection, distance }
            }
            _ => LabelOutcome::Missed,
        }
    }

    fn nearest_label(&self, place: [f64; 2], is_asked: impl Fn(ClassIdx) -> bool) -> Option<Near> {
        let labels = self.members.iter().flat_map(|m| &m.labels).map(|i| *i as usize);
        let near = labels.map(|i| (i, &self.case.labels[i]));
        nearest(near.map(|(i, l)| (i, l.class, centre_distance(place, ground(&l.cuboid)))), is_asked)
    }

    fn nearest_detection(&self, place: [f64; 2], is_asked: impl Fn(ClassIdx) -> bool) -> Option<Near> {
        let detections = self.members.iter().flat_map(|m| &m.detections).map(|i| *i as usize);
        let near = detections.map(|i| (i, &self.case.detections[i]));
        nearest(near.map(|(i, d)| (i, d.class, centre_distance(place, ground(&d.cuboid)))), is_asked)
    }
}

/// The nearest, the first of equals.
fn nearest(near: impl Iterator<Item = Near>, is_asked: impl Fn(ClassIdx) -> bool) -> Option<Near> {
    near.filter(|(_, class, _)| is_asked(*class)).min_by(|a, b| a.2.total_cmp(&b.2).then(a.0.cmp(&b.0)))
}

#[cfg(test)]
mod tests {
    use labelloop_core::{Cuboid, CuboidFrame, SampleId};

    use super::super::{DetectionBox, LabelBox, evaluate};
    use super::*;

    fn at(x: f64) -> Cuboid {
        Cuboid::new([x, 0.0, 0.0], [2.0, 1.0, 1.0], 0.0, CuboidFrame::Lidar).unwrap()
    }

    fn run(labels: &[(u32, f64)], detections: &[(u32, f64, f64)]) -> SampleOutcomes {
        let labels: Vec<_> = labels.iter().map(|(k, x)| LabelBox::new(ClassIdx(*k), at(*x))).collect();
        let found: Vec<_> =
            detections.iter().map(|(k, x, s)| DetectionBox::new(ClassIdx(*k), at(*x), *s)).collect();
        let id = SampleId::new("s").unwrap();
        let case = SampleCase { id: &id, labels: &labels, detections: &found, racks: &[] };
        let outcomes = outcomes(&case, &NuscenesParams::default()).unwrap();
        let result = evaluate(&[case], &NuscenesParams::default()).unwrap();
        let n_right: u64 = result.classes.iter().map(|c| c.n_matched[2]).sum();
        let is_right = |o: &&DetectionOutcome| matches!(o, DetectionOutcome::TruePositive { .. });
        assert_eq!(outcomes.detections.iter().filter(is_right).count() as u64, n_right);
        outcomes
    }

    #[test]
    fn every_detection_has_its_reason() {
        let found = run(
            &[(0, 10.0), (1, 20.0)],
            &[(0, 10.5, 0.9), (0, 11.0, 0.8), (0, 19.0, 0.7), (0, 13.0, 0.6), (0, 40.0, 0.5), (0, 50.0, 0.4)],
        );
        let [a, b, c, d, e, f] = found.detections[..] else { unreachable!("six went in") };
        assert!(
            matches!(a, DetectionOutcome::TruePositive { label: 0, errors } if errors.translation == 0.5)
        );
        assert_eq!(b, DetectionOutcome::Duplicate { label: 0, distance: 1.0 });
        assert_eq!(c, DetectionOutcome::WrongClass { label: 1, class: ClassIdx(1), distance: 1.0 });
        assert_eq!(d, DetectionOutcome::Localisation { label: 0, distance: 3.0 });
        assert_eq!(e, DetectionOutcome::Background);
        assert_eq!(f, DetectionOutcome::Filtered { reason: FilterReason::OutOfRange });
    }

    #[test]
    fn every_label_has_its_reason() {
        let found = run(
            &[(0, 10.0), (0, 20.0), (0, 30.0), (0, 40.0), (0, 60.0)],
            &[(0, 10.0, 0.9), (1, 21.0, 0.9), (0, 33.0, 0.9)],
        );
        let [a, b, c, d, e] = found.labels[..] else { unreachable!("five went in") };
        assert!(matches!(a, LabelOutcome::Found { detection: 0, .. }));
        assert_eq!(b, LabelOutcome::WrongClass { detection: 1, class: ClassIdx(1), distance: 1.0 });
        assert_eq!(c, LabelOutcome::Localisation { detection: 2, distance: 3.0 });
        assert_eq!(d, LabelOutcome::Missed);
        assert_eq!(e, LabelOutcome::Filtered { reason: FilterReason::OutOfRange });
    }

    #[test]
    fn the_better_score_takes_and_the_nearest_is_taken() {
        let found = run(&[(0, 10.0), (0, 11.0)], &[(0, 10.4, 0.5), (0, 10.0, 0.9)]);
        assert!(matches!(found.detections[1], DetectionOutcome::TruePositive { label: 0, .. }));
        assert!(matches!(found.detections[0], DetectionOutcome::TruePositive { label: 1, .. }));
    }
}
