use labelloop_core::{Cuboid, CuboidFrame};
use serde::{Deserialize, Serialize};

use super::errors::centre_distance;
use super::{Excess, NuscenesValidParams, SampleCase};
use crate::{EvalError, Result};

/// Why a box takes no part in the evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilterReason {
    /// One detection more than a sample may have.
    TooMany,
    /// As far from the vehicle as its class's range, or farther.
    OutOfRange,
    /// A label without a lidar or radar point.
    NoPoints,
    /// A cycle in a bicycle rack.
    BikeRack,
}

impl FilterReason {
    /// All reasons, in the order in which they are looked at.
    pub const ALL: [Self; 4] = [Self::TooMany, Self::OutOfRange, Self::NoPoints, Self::BikeRack];
}

/// Boxes left out, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FilterCounts {
    /// Of [`FilterReason::TooMany`].
    pub too_many: u64,
    /// Of [`FilterReason::OutOfRange`].
    pub out_of_range: u64,
    /// Of [`FilterReason::NoPoints`].
    pub no_points: u64,
    /// Of [`FilterReason::BikeRack`].
    pub bike_rack: u64,
}

impl FilterCounts {
    /// Boxes left out for one reason.
    pub fn of(&self, reason: FilterReason) -> u64 {
        match reason {
            FilterReason::TooMany => self.too_many,
            FilterReason::OutOfRange => self.out_of_range,
            FilterReason::NoPoints => self.no_points,
            FilterReason::BikeRack => self.bike_rack,
        }
    }

    /// Boxes left out for any reason.
    pub fn total(&self) -> u64 {
        FilterReason::ALL.iter().map(|reason| self.of(*reason)).sum()
    }

    pub(super) fn count(&mut self, reason: FilterReason) {
        let slot = match reason {
            FilterReason::TooMany => &mut self.too_many,
            FilterReason::OutOfRange => &mut self.out_of_range,
            FilterReason::NoPoints => &mut self.no_points,
            FilterReason::BikeRack => &mut self.bike_rack,
        };
        *slot += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.too_many += other.too_many;
        self.out_of_range += other.out_of_range;
        self.no_points += other.no_points;
        self.bike_rack += other.bike_rack;
    }
}

/// Why each box of a sample is left out, if it is.
#[derive(Debug, Default)]
pub(super) struct Filtered {
    pub(super) labels: Vec<Option<FilterReason>>,
    pub(super) detections: Vec<Option<FilterReason>>,
}

/// Checks a sample's boxes and filters them.
pub(super) fn filter(case: &SampleCase<'_>, params: &NuscenesValidParams) -> Result<Filtered> {
    let frame = frame(case);
    let mut filtered =
        Filtered { labels: Vec::with_capacity(case.labels.len()), detections: too_many(case, params)? };
    for (index, label) in case.labels.iter().enumerate() {
        let place = Place { case, what: "label", index, frame };
        place.check(params, label.class.as_usize(), &label.cuboid, label.velocity, label.ego)?;
        let reason =
            place.reason(params, label.class.as_usize(), &label.cuboid, label.ego, label.n_points)?;
        filtered.labels.push(reason);
    }
    for (index, found) in case.detections.iter().enumerate() {
        let place = Place { case, what: "detection", index, frame };
        place.check(params, found.class.as_usize(), &found.cuboid, found.velocity, found.ego)?;
        place.check_score(found.score)?;
        if filtered.detections[index].is_none() {
            let class = found.class.as_usize();
            filtered.detections[index] = place.reason(params, class, &found.cuboid, found.ego, None)?;
        }
    }
    Ok(filtered)
}

/// The frame that all boxes of the sample should be in: that of the first.
fn frame(case: &SampleCase<'_>) -> Option<CuboidFrame> {
    let labels = case.labels.iter().map(|b| b.cuboid.frame());
    labels.chain(case.detections.iter().map(|b| b.cuboid.frame())).next()
}

fn too_many(case: &SampleCase<'_>, params: &NuscenesValidParams) -> Result<Vec<Option<FilterReason>>> {
    let p = params.get();
    let mut reasons = vec![None; case.detections.len()];
    if reasons.len() <= p.max_boxes {
        return Ok(reasons);
    }
    if p.excess == Excess::Refuse {
        return Err(EvalError::TooManyBoxes {
            image: case.id.to_string(),
            found: reasons.len(),
            max: p.max_boxes,
        });
    }
    let mut order: Vec<usize> = (0..reasons.len()).rev().collect();
    // Stable, so of equal scores the later stay first.
    order.sort_by(|a, b| case.detections[*b].score.total_cmp(&case.detections[*a].score));
    order.iter().skip(p.max_boxes).for_each(|i| reasons[*i] = Some(FilterReason::TooMany));
    Ok(reasons)
}

/// One box of a sample, for messages.
struct Place<'a> {
    case: &'a SampleCase<'a>,
    what: &'static str,
    index: usize,
    frame: Option<CuboidFrame>,
}

impl Place<'_> {
    fn check(
        &self,
        params: &NuscenesValidParams,
        class: usize,
        cuboid: &Cuboid,
        velocity: Option<[f64; 2]>,
        ego: Option<[f64; 3]>,
    ) -> Result<()> {
        let n_classes = params.get().classes.len();
        let (image, what, index) = (self.case.id, self.what, self.index);
        if n_classes <= class {
            let found = class as u32;
            return Err(EvalError::ClassOutOfRange {
                image: image.to_string(),
                what,
                index,
                found,
                n_classes,
            });
        }
        let found = cuboid.frame();
        let wrong =
            |expected| Err(EvalError::WrongFrame { image: image.to_string(), what, index, found, expected });
        if found == CuboidFrame::KittiCamera {
            return wrong("one with x and y on the ground");
        }
        if self.frame.is_some_and(|first| found != first) {
            return wrong("that of the first box of the sample");
        }
        for v in velocity.into_iter().flatten() {
            self.check_number("velocity", v)?;
        }
        for v in ego.into_iter().flatten() {
            self.check_number("ego", v)?;
        }
        Ok(())
    }

    fn check_number(&self, field: &'static str, found: f64) -> Result<()> {
        if found.is_finite() {
            return Ok(());
        }
        let (image, what, index) = (self.case.id.to_string(), self.what, self.index);
        Err(EvalError::NotFinite { image, what, index, field, found })
    }

    /// The devkit has no answer to scores below 0, because a confidence of 0 stands for a recall that is not reached.
    fn check_score(&self, found: f64) -> Result<()> {
        if 0.0 <= found && found.is_finite() {
            return Ok(());
        }
        Err(EvalError::InvalidScore { image: self.case.id.to_string(), index: self.index, found })
    }

    fn reason(
        &self,
        params: &NuscenesValidParams,
        class: usize,
        cuboid: &Cuboid,
        ego: Option<[f64; 3]>,
        n_points: Option<u32>,
    ) -> Result<Option<FilterReason>> {
        let p = params.get();
        let rule = &p.classes[class];
        if p.range_filter && rule.max_range <= self.range(cuboid, ego)? {
            return Ok(Some(FilterReason::OutOfRange));
        }
        if p.point_filter && n_points == Some(0) {
            return Ok(Some(FilterReason::NoPoints));
        }
        let is_racked =
            rule.leaves_racks_out && self.case.racks.iter().any(|rack| holds(rack, cuboid.centre()));
        Ok(is_racked.then_some(FilterReason::BikeRack))
    }

    /// Distance from the vehicle on the ground.
    fn range(&self, cuboid: &Cuboid, ego: Option<[f64; 3]>) -> Result<f64> {
        range(cuboid, ego).ok_or_else(|| {
            let (image, what, index) = (self.case.id.to_string(), self.what, self.index);
            EvalError::UnknownRange { image, what, index }
        })
    }
}

/// Metres from the vehicle on the ground, where that can be known.
pub(super) fn range(cuboid: &Cuboid, ego: Option<[f64; 3]>) -> Option<f64> {
    let own = || (cuboid.frame() == CuboidFrame::Lidar).then(|| cuboid.centre());
    let [x, y, _] = ego.or_else(own)?;
    Some(centre_distance([x, y], [0.0; 2]))
}

/// Whether a point is in a cuboid or on its surface.
fn holds(cuboid: &Cuboid, point: [f64; 3]) -> bool {
    let (centre, axes, size) = (cuboid.centre(), cuboid.axes(), cuboid.size());
    let offset = [0, 1, 2].map(|i| point[i] - centre[i]);
    (0..3).all(|axis| {
        let along: f64 = (0..3).map(|i| offset[i] * axes[i][axis]).sum();
        along.abs() <= size[axis] / 2.0
    })
}

#[cfg(test)]
mod tests {
    use labelloop_core::{ClassIdx, SampleId};

    use super::super::{DetectionBox, LabelBox, NuscenesParams};
    use super::*;

    const CAR: ClassIdx = ClassIdx(0);
    const BICYCLE: ClassIdx = ClassIdx(7);

    fn at(x: f64, frame: CuboidFrame) -> Cuboid {
        Cuboid::new([x, 0.0, 0.0], [2.0, 1.0, 1.0], 0.0, frame).unwrap()
    }

    fn run(
        labels: &[LabelBox],
        detections: &[DetectionBox],
        racks: &[Cuboid],
        params: &NuscenesParams,
    ) -> Result<Filtered> {
        let id = SampleId::new("s").unwrap();
        filter(&SampleCase { id: &id, labels, detections, racks }, &params.clone().check().unwrap())
    }

    #[test]
    fn the_range_ends_before_its_number() {
        let labels = [49.99, 50.0, -50.0].map(|x| LabelBox::new(CAR, at(x, CuboidFrame::Lidar)));
        let found = run(&labels, &[], &[], &NuscenesParams::default()).unwrap();
        let far = Some(FilterReason::OutOfRange);
        assert_eq!(found.labels, [None, far, far]);
        let all = NuscenesParams { range_filter: false, ..Default::default() };
        assert_eq!(run(&labels, &[], &[], &all).unwrap().labels, [None; 3]);
    }

    #[test]
    fn a_box_on_the_map_needs_its_place_from_the_vehicle() {
        let label = LabelBox::new(CAR, at(600.0, CuboidFrame::Global));
        let params = NuscenesParams::default();
        assert_eq!(
            run(&[label], &[], &[], &params).unwrap_err(),
            EvalError::UnknownRange { image: "s".to_owned(), what: "label", index: 0 }
        );
        let near = LabelBox { ego: Some([30.0, 30.0, 99.0]), ..label };
        assert_eq!(run(&[near], &[], &[], &params).unwrap().labels, [None]);
        let free = NuscenesParams { range_filter: false, ..params };
        assert_eq!(run(&[label], &[], &[], &free).unwrap().labels, [None]);
    }

    #[test]
    fn labels_without_points_are_left_out_unless_nobody_counted() {
        let labels = [None, Some(0), Some(1)]
            .map(|n_points| LabelBox { n_points, ..LabelBox::new(CAR, at(1.0, CuboidFrame::Lidar)) });
        let found = run(&labels, &[], &[], &NuscenesParams::default()).unwrap();
        assert_eq!(found.labels, [None, Some(FilterReason::NoPoints), None]);
        let all = NuscenesParams { point_filter: false, ..Default::default() };
        assert_eq!(run(&labels, &[], &[], &all).unwrap().labels, [None; 3]);
    }

    #[test]
    fn cycles_in_racks_are_left_out_on_both_sides_and_cars_are_not() {
        let rack = Cuboid::new([5.0, 0.0, 0.0], [4.0, 2.0, 2.0], 0.5, CuboidFrame::Lidar).unwrap();
        let labels = [BICYCLE, CAR].map(|class| LabelBox::new(class, at(5.5, CuboidFrame::Lidar)));
        let detections = [5.5, 7.5].map(|x| DetectionBox::new(BICYCLE, at(x, CuboidFrame::Lidar), 0.5));
        let found = run(&labels, &detections, &[rack], &NuscenesParams::default()).unwrap();
        let racked = Some(FilterReason::BikeRack);
        assert_eq!((found.labels, found.detections), (vec![racked, None], vec![racked, None]));
    }

    #[test]
    fn too_many_detections_are_refused_or_cut() {
        let scores = [0.5, 0.9, 0.5, 0.1, 0.5];
        let detections = scores.map(|s| DetectionBox::new(CAR, at(1.0, CuboidFrame::Lidar), s));
        let refuse = NuscenesParams { max_boxes: 3, ..Default::default() };
        assert_eq!(
            run(&[], &detections, &[], &refuse).unwrap_err(),
            EvalError::TooManyBoxes { image: "s".to_owned(), found: 5, max: 3 }
        );
        let keep = NuscenesParams { excess: Excess::KeepBest, ..refuse };
        let cut = Some(FilterReason::TooMany);
        let found = run(&[], &detections, &[], &keep).unwrap();
        assert_eq!(found.detections, [cut, None, None, cut, None], "of equal scores the later are kept");
        let enough = NuscenesParams { max_boxes: 5, ..Default::default() };
        assert_eq!(run(&[], &detections, &[], &enough).unwrap().detections, [None; 5]);
    }

    #[test]
    fn numbers_that_are_none_are_refused_with_their_place() {
        let good = DetectionBox::new(CAR, at(1.0, CuboidFrame::Lidar), 0.5);
        let params = NuscenesParams::default();
        for (field, bad) in [
            ("score", DetectionBox { score: f64::NAN, ..good }),
            ("score", DetectionBox { score: -0.1, ..good }),
            ("velocity", DetectionBox { velocity: Some([0.0, f64::NAN]), ..good }),
            ("ego", DetectionBox { ego: Some([f64::INFINITY, 0.0, 0.0]), ..good }),
        ] {
            let said = run(&[], &[good, bad], &[], &params).unwrap_err().to_string();
            assert!(said.contains("e s, detection 1") && said.contains(field), "{said}");
        }
        let strange = DetectionBox { class: ClassIdx(10), ..good };
        assert!(matches!(
            run(&[], &[strange], &[], &params),
            Err(EvalError::ClassOutOfRange { found: 10, .. })
        ));
    }

    #[test]
    fn frames_are_not_mixed_and_cameras_have_no_ground() {
        let params = NuscenesParams { range_filter: false, ..Default::default() };
        let label = LabelBox::new(CAR, at(1.0, CuboidFrame::Lidar));
        let found = DetectionBox::new(CAR, at(1.0, CuboidFrame::Global), 0.5);
        assert!(matches!(run(&[label], &[found], &[], &params), Err(EvalError::WrongFrame { .. })));
        let camera = LabelBox::new(CAR, at(1.0, CuboidFrame::KittiCamera));
        assert!(matches!(run(&[camera], &[], &[], &params), Err(EvalError::WrongFrame { .. })));
    }
}
