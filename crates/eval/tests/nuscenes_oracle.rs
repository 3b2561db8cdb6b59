//! nuScenes' protocol against a slow one written from the definition, on random scenes; and what must hold of any scene.
//!
//! The oracle knows nothing of records, lines or tracks: it walks over all detections of a class, looks for the nearest
//! free label in a list of all labels, builds whole arrays, and interpolates them point by point.

#![allow(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use std::f64::consts::PI;

use labelloop_core::{ClassIdx, Cuboid, CuboidFrame, SampleId};
use labelloop_eval::nuscenes::{
    ClassResult, ClassRule, DetectionBox, DetectionOutcome, FilterReason, LabelBox, LabelOutcome,
    NuscenesParams, NuscenesResult, NuscenesWarning, Object, Partial, SampleCase, evaluate, observe,
    observe_all, observe_where, outcomes,
};
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct Scene {
    id: SampleId,
    labels: Vec<LabelBox>,
    detections: Vec<DetectionBox>,
}

impl Scene {
    fn case(&self) -> SampleCase<'_> {
        SampleCase { id: &self.id, labels: &self.labels, detections: &self.detections, racks: &[] }
    }
}

fn cases(scenes: &[Scene]) -> Vec<SampleCase<'_>> {
    scenes.iter().map(Scene::case).collect()
}

// The oracle.

/// Average precision by distance and the five errors of one class.
struct Answer {
    ap: [f64; 4],
    errors: [Option<f64>; 5],
}

fn range(cuboid: &Cuboid, ego: Option<[f64; 3]>) -> f64 {
    let [x, y, _] = ego.unwrap_or(cuboid.centre());
    (x * x + y * y).sqrt()
}

fn distance(a: &Cuboid, b: &Cuboid) -> f64 {
    let ([ax, ay, _], [bx, by, _]) = (a.centre(), b.centre());
    ((ax - bx) * (ax - bx) + (ay - by) * (ay - by)).sqrt()
}

/// Value at `x` of the lines between points with ascending `xs`; of equal ones the last counts.
fn interpolate(x: f64, xs: &[f64], ys: &[f64], right: f64) -> f64 {
    let last = xs.len() - 1;
    if xs[last] < x {
        return right;
    }
    let Some(j) = (0..xs.len()).rev().find(|j| xs[*j] <= x) else { return ys[0] };
    if xs[j] == x || j == last {
        return ys[j];
    }
    ys[j] + (x - xs[j]) * (ys[j + 1] - ys[j]) / (xs[j + 1] - xs[j])
}

fn oracle(scenes: &[Scene], class: u32, rule: &ClassRule) -> Answer {
    let mut by_id: Vec<&Scene> = scenes.iter().collect();
    by_id.sort_by(|a, b| a.id.cmp(&b.id));
    let mut labels = Vec::new();
    let mut detections = Vec::new();
    for (s, scene) in by_id.iter().enumerate() {
        let is_asked = |b: &&LabelBox| {
            b.class.0 == class && range(&b.cuboid, b.ego) < rule.max_range && b.n_points != Some(0)
        };
        labels.extend(scene.labels.iter().filter(is_asked).map(|b| (s, b)));
        let is_asked = |b: &&DetectionBox| b.class.0 == class && range(&b.cuboid, b.ego) < rule.max_range;
        detections.extend(scene.detections.iter().filter(is_asked).map(|b| (s, b)));
    }
    // Best first, of equal scores the later.
    let mut order: Vec<usize> = (0..detections.len()).collect();
    order.sort_by(|a, b| detections[*b].1.score.partial_cmp(&detections[*a].1.score).unwrap().then(b.cmp(a)));
    let mut answer = Answer { ap: [0.0; 4], errors: [Some(1.0); 5] };
    for (t, threshold) in [0.5, 1.0, 2.0, 4.0].into_iter().enumerate() {
        let mut is_taken = vec![false; labels.len()];
        let (mut tp, mut fp) = (0.0, 0.0);
        let (mut recalls, mut precisions, mut confidences) = (vec![], vec![], vec![]);
        let mut matches = vec![];
        for i in &order {
            let (s, found) = detections[*i];
            let mut best: Option<(usize, f64)> = None;
            for (l, (sample, label)) in labels.iter().enumerate() {
                let d = distance(&found.cuboid, &label.cuboid);
                if *sample == s && !is_taken[l] && best.is_none_or(|b| d < b.1) {
                    best = Some((l, d));
                }
            }
            match best.filter(|b| b.1 < threshold) {
                Some((l, _)) => {
                    is_taken[l] = true;
                    tp += 1.0;
                    matches.push((found, labels[l].1));
                }
                None => fp += 1.0,
            }
            recalls.push(tp / labels.len() as f64);
            precisions.push(tp / (tp + fp));
            confidences.push(found.score);
        }
        if matches.is_empty() {
            continue;
        }
        // The devkit's recalls, which are `numpy.linspace(0, 1, 101)`: .35 is a little more than 35 / 100.
        let wanted: Vec<f64> = (0..=100).map(|i| f64::from(i) * 0.01).collect();
        let at =
            |ys: &[f64]| -> Vec<f64> { wanted.iter().map(|r| interpolate(*r, &recalls, ys, 0.0)).collect() };
        let precision = at(&precisions);
        answer.ap[t] = precision[11..].iter().map(|p| (p - 0.1).max(0.0)).sum::<f64>() / 90.0 / 0.9;
        if threshold == 2.0 {
            answer.errors = errors(&matches, &at(&confidences), rule);
        }
    }
    if !rule.has_orientation {
        answer.errors[2] = None;
    }
    if !rule.has_velocity {
        answer.errors[3] = None;
    }
    if !rule.has_attribute {
        answer.errors[4] = None;
    }
    answer
}

fn errors(matches: &[(&DetectionBox, &LabelBox)], confidence: &[f64], rule: &ClassRule) -> [Option<f64>; 5] {
    let last = (0..=100).rev().find(|i| confidence[*i] != 0.0).unwrap_or(0);
    // Ascending, as interpolation has it.
    let scores: Vec<f64> = matches.iter().rev().map(|(found, _)| found.score).collect();
    [0, 1, 2, 3, 4].map(|which| {
        if last < 11 {
            return Some(1.0);
        }
        let values: Vec<f64> =
            matches.iter().map(|(found, label)| error(which, found, label, rule)).collect();
        let mut means: Vec<f64> = (1..=values.len())
            .map(|n| {
                let known: Vec<f64> = values[..n].iter().copied().filter(|v| !v.is_nan()).collect();
                if known.is_empty() { 0.0 } else { known.iter().sum::<f64>() / known.len() as f64 }
            })
            .collect();
        if values.iter().all(|v| v.is_nan()) {
            means.fill(1.0);
        }
        means.reverse();
        let top = *means.last().unwrap();
        let read = (11..=last).map(|i| interpolate(confidence[i], &scores, &means, top));
        Some(read.sum::<f64>() / (last - 10) as f64)
    })
}

fn error(which: usize, found: &DetectionBox, label: &LabelBox, rule: &ClassRule) -> f64 {
    match which {
        0 => distance(&found.cuboid, &label.cuboid),
        1 => {
            let (a, b) = (found.cuboid.size(), label.cuboid.size());
            let common: f64 = (0..3).map(|i| a[i].min(b[i])).product();
            1.0 - common / (found.cuboid.volume() + label.cuboid.volume() - common)
        }
        2 => {
            let period = if rule.is_symmetric { PI } else { 2.0 * PI };
            let off = found.cuboid.yaw() - label.cuboid.yaw();
            (-9..=9).map(|k| (off + f64::from(k) * period).abs()).fold(f64::MAX, f64::min)
        }
        3 => match (found.velocity, label.velocity) {
            (Some(a), Some(b)) => ((a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)).sqrt(),
            _ => f64::NAN,
        },
        _ => match label.attribute {
            Some(a) => f64::from(u8::from(found.attribute != Some(a))),
            None => f64::NAN,
        },
    }
}

// Random scenes: few places and scores, so that distances and scores tie.

fn cuboid() -> impl Strategy<Value = Cuboid> {
    let place = prop_oneof![(-8i32..8).prop_map(|n| f64::from(n) * 0.5), -12.0..12.0f64, 25.0..55.0f64];
    let yaw = prop_oneof![Just(0.0), Just(PI / 2.0), Just(PI), -7.0..7.0f64];
    (place.clone(), place, prop::sample::select(vec![0.5, 1.0, 2.0, 4.5]), yaw).prop_map(
        |(x, y, length, yaw)| Cuboid::new([x, y, 0.0], [length, 1.0, 1.5], yaw, CuboidFrame::Lidar).unwrap(),
    )
}

fn class() -> impl Strategy<Value = ClassIdx> {
    prop::sample::select(vec![0, 0, 0, 5, 8, 9]).prop_map(ClassIdx)
}

fn velocity() -> impl Strategy<Value = Option<[f64; 2]>> {
    prop::option::weighted(0.7, [-5.0..5.0f64, -1.0..1.0f64])
}

fn label() -> impl Strategy<Value = LabelBox> {
    let points = prop::option::weighted(0.7, prop::sample::select(vec![0, 1, 7]));
    (class(), cuboid(), velocity(), prop::option::of(0u16..3), points).prop_map(
        |(class, cuboid, velocity, attribute, n_points)| LabelBox {
            velocity,
            attribute,
            n_points,
            ..LabelBox::new(class, cuboid)
        },
    )
}

fn detection() -> impl Strategy<Value = DetectionBox> {
    let score = prop_oneof![prop::sample::select(vec![0.0, 0.25, 0.5, 0.5, 0.75]), 0.0..1.0f64];
    (class(), cuboid(), score, velocity(), prop::option::of(0u16..3)).prop_map(
        |(class, cuboid, score, velocity, attribute)| DetectionBox {
            velocity,
            attribute,
            ..DetectionBox::new(class, cuboid, score)
        },
    )
}

/// Detections of labels, a little off, and strays.
fn scene() -> impl Strategy<Value = Scene> {
    let near = prop::collection::vec((any::<prop::sample::Index>(), 0u8..9, detection()), 0..10);
    (prop::collection::vec(label(), 0..10), near, prop::collection::vec(detection(), 0..5), 0u32..100_000)
        .prop_map(|(labels, near, mut detections, id)| {
            if !labels.is_empty() {
                detections.extend(near.iter().map(|(i, off, like)| {
                    let label = &labels[i.index(labels.len())];
                    let [x, y, z] = label.cuboid.centre();
                    let place = [x + f64::from(*off) * 0.25, y, z];
                    let c = like.cuboid;
                    let cuboid = Cuboid::new(place, c.size(), c.yaw(), CuboidFrame::Lidar).unwrap();
                    DetectionBox { class: label.class, cuboid, ..*like }
                }));
            }
            Scene { id: SampleId::new(format!("{id:05}")).unwrap(), labels, detections }
        })
}

fn scenes() -> impl Strategy<Value = Vec<Scene>> {
    prop::collection::vec(scene(), 1..5).prop_map(|mut scenes| {
        scenes.sort_by(|a, b| a.id.cmp(&b.id));
        scenes.dedup_by(|a, b| a.id == b.id);
        // Not in the order of names.
        scenes.reverse();
        scenes
    })
}

fn run(scenes: &[Scene]) -> NuscenesResult {
    evaluate(&cases(scenes), &NuscenesParams::default()).unwrap()
}

fn close(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() < 1e-12,
        (a, b) => a == b,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn numbers_are_those_of_the_definition(scenes in scenes()) {
        let (result, params) = (run(&scenes), NuscenesParams::default());
        let (mut aps, mut errors) = (vec![], vec![]);
        for (class, rule) in result.classes.iter().zip(&params.classes) {
            let number = params.classes.iter().position(|c| c.name == class.name).unwrap();
            let answer = oracle(&scenes, number as u32, rule);
            for (found, expected) in class.ap_by_distance.iter().zip(answer.ap) {
                prop_assert!(close(*found, Some(expected)), "{}: {found:?} {expected}", class.name);
            }
            for (found, expected) in class.tp_errors.to_array().iter().zip(answer.errors) {
                prop_assert!(close(*found, expected), "{}: {found:?} {expected:?}", class.name);
            }
            aps.extend(answer.ap);
            errors.push(answer.errors);
        }
        let mean_ap = aps.iter().sum::<f64>() / 40.0;
        let left: f64 = (0..5)
            .map(|e| {
                let known: Vec<f64> = errors.iter().filter_map(|of| of[e]).collect();
                (1.0 - known.iter().sum::<f64>() / known.len() as f64).max(0.0)
            })
            .sum();
        prop_assert!(close(result.mean_ap, Some(mean_ap)));
        prop_assert!(close(result.nds, Some((5.0 * mean_ap + left) / 10.0)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn order_and_shards_are_of_no_matter(scenes in scenes(), cut in 0usize..5) {
        let (params, expected) = (NuscenesParams::default(), run(&scenes));
        let mut turned = scenes.clone();
        turned.reverse();
        prop_assert_eq!(run(&turned), expected.clone());
        let all = cases(&scenes);
        let (left, right) = all.split_at(cut.min(all.len()));
        let mut merged = observe_all(right, &params).unwrap();
        merged.merge(observe_all(left, &params).unwrap()).unwrap();
        prop_assert_eq!(merged.finish().unwrap(), expected.clone());
        let stored = serde_json::to_string(&merged).unwrap();
        let read: Partial = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(read.finish().unwrap(), expected);
    }

    #[test]
    fn replaced_samples_are_as_if_they_had_always_been_so(scenes in scenes()) {
        let params = NuscenesParams::default();
        let mut empty = scenes.clone();
        empty[0].detections.clear();
        let mut records = observe_all(&cases(&empty), &params).unwrap();
        records.replace(observe(&scenes[0].case(), &params).unwrap()).unwrap();
        prop_assert_eq!(records.finish().unwrap(), run(&scenes));
    }

    #[test]
    fn only_the_order_of_scores_counts_for_precision(scenes in scenes()) {
        let mut other = scenes.clone();
        for found in other.iter_mut().flat_map(|s| &mut s.detections) {
            // Rising and exact, so that what ties still ties and nothing else does.
            found.score *= if 0.5 <= found.score { 8.0 } else { 4.0 };
        }
        let aps = |r: NuscenesResult| r.classes.into_iter().map(|c| c.ap_by_distance).collect::<Vec<_>>();
        prop_assert_eq!(aps(run(&other)), aps(run(&scenes)));
    }

    #[test]
    fn numbers_are_in_their_ranges(scenes in scenes()) {
        let result = run(&scenes);
        let share = |v: Option<f64>| v.is_none_or(|v| (0.0..=1.0).contains(&v));
        prop_assert!(share(result.mean_ap) && share(result.nds));
        for class in &result.classes {
            let ClassResult { tp_errors: e, ap_by_distance, n_matched, n_labels, .. } = class;
            prop_assert!(ap_by_distance.iter().all(|ap| share(*ap)));
            prop_assert!(share(e.scale) && share(e.attribute));
            prop_assert!(e.translation.is_none_or(|v| (0.0..2.0).contains(&v)));
            prop_assert!(e.orientation.is_none_or(|v| (0.0..=PI + 1e-12).contains(&v)));
            prop_assert!(e.velocity.is_none_or(|v| 0.0 <= v));
            prop_assert!(n_matched.iter().all(|n| n <= n_labels));
            for curve in &class.curves {
                prop_assert!(curve.precision.iter().all(|p| (0.0..=1.0).contains(p)));
                prop_assert!(curve.confidence.windows(2).all(|p| p[1] <= p[0] + 1e-12));
            }
        }
    }

    #[test]
    fn slices_share_labels_out(scenes in scenes(), border in 1.0..40.0f64) {
        let (params, whole) = (NuscenesParams::default(), run(&scenes));
        let slice = |is_near: bool| {
            let wanted = |_: &SampleId, o: Object<'_>| (o.range().unwrap() < border) == is_near;
            observe_where(&cases(&scenes), &params, &wanted).unwrap().finish().unwrap()
        };
        let (near, far) = (slice(true), slice(false));
        for (k, class) in whole.classes.iter().enumerate() {
            let (n, f) = (&near.classes[k], &far.classes[k]);
            prop_assert_eq!(n.n_labels + f.n_labels, class.n_labels);
            prop_assert_eq!(n.n_detections + f.n_detections, class.n_detections);
            for t in 0..4 {
                prop_assert_eq!(n.n_matched[t] + f.n_matched[t], class.n_matched[t]);
            }
        }
        let all = observe_where(&cases(&scenes), &params, &|_, _| true).unwrap();
        prop_assert_eq!(all.finish().unwrap(), whole);
        let stored: Partial = serde_json::from_str(&serde_json::to_string(&all).unwrap()).unwrap();
        prop_assert_eq!(stored, all);
    }

    #[test]
    fn what_became_of_boxes_adds_up(scenes in scenes()) {
        let (params, result) = (NuscenesParams::default(), run(&scenes));
        let all: Vec<_> = scenes.iter().map(|s| outcomes(&s.case(), &params).unwrap()).collect();
        let right = all.iter().flat_map(|o| &o.detections).filter(|o| matches!(o, DetectionOutcome::TruePositive { .. }));
        let found = all.iter().flat_map(|o| &o.labels).filter(|o| matches!(o, LabelOutcome::Found { .. }));
        let n_matched: u64 = result.classes.iter().map(|c| c.n_matched[2]).sum();
        prop_assert_eq!((right.count() as u64, found.count() as u64), (n_matched, n_matched));
        let far = DetectionOutcome::Filtered { reason: FilterReason::OutOfRange };
        let n_far = all.iter().flat_map(|o| &o.detections).filter(|o| **o == far).count() as u64;
        prop_assert_eq!(n_far, result.classes.iter().map(|c| c.filtered_detections.out_of_range).sum::<u64>());
    }
}

/// A label of each class where all can see it, found exactly.
fn perfect() -> Scene {
    let at = |x: f64| Cuboid::new([x, 1.0, 0.0], [2.0, 1.0, 1.0], 0.3, CuboidFrame::Lidar).unwrap();
    let labels = (0..10).map(|k| LabelBox {
        velocity: Some([1.0, 2.0]),
        attribute: Some(1),
        ..LabelBox::new(ClassIdx(k), at(f64::from(k)))
    });
    let labels: Vec<LabelBox> = labels.collect();
    let same = |l: &LabelBox| DetectionBox {
        velocity: l.velocity,
        attribute: l.attribute,
        ..DetectionBox::new(l.class, l.cuboid, 0.5)
    };
    let detections = labels.iter().map(same).collect();
    Scene { id: SampleId::new("s").unwrap(), labels, detections }
}

#[test]
fn perfect_detections_are_perfect() {
    let result = run(&[perfect()]);
    assert_eq!((result.mean_ap, result.nds), (Some(1.0), Some(1.0)));
    assert_eq!(result.tp_errors.to_array(), [Some(0.0); 5]);
    assert!(result.warnings.is_empty());
    let cone = result.class("traffic_cone").unwrap().tp_errors;
    assert_eq!((cone.scale, cone.orientation, cone.velocity, cone.attribute), (Some(0.0), None, None, None));
}

#[test]
fn nothing_at_all_is_an_answer() {
    let result = evaluate(&[], &NuscenesParams::default()).unwrap();
    assert_eq!((result.mean_ap, result.nds, result.n_samples), (Some(0.0), Some(0.0), 0));
    let NuscenesWarning::WithoutLabels { classes } = &result.warnings[0] else {
        unreachable!("ten lack labels")
    };
    assert_eq!(classes.len(), 10);
    let out = NuscenesParams {
        absent_classes: labelloop_eval::nuscenes::AbsentClasses::LeaveOut,
        ..NuscenesParams::default()
    };
    assert_eq!(evaluate(&[], &out).unwrap().mean_ap, None);
}

#[test]
fn a_barrier_has_no_front() {
    let mut scene = perfect();
    for found in &mut scene.detections {
        let c = found.cuboid;
        found.cuboid = Cuboid::new(c.centre(), c.size(), c.yaw() + PI, CuboidFrame::Lidar).unwrap();
    }
    let result = run(&[scene]);
    let turn = |name: &str| result.class(name).unwrap().tp_errors.orientation.unwrap();
    assert!(turn("barrier") < 1e-12 && (turn("car") - PI).abs() < 1e-12);
}

#[test]
fn a_filter_that_takes_nearly_everything_is_told() {
    let mut scene = perfect();
    for label in &mut scene.labels {
        label.n_points = Some(0);
    }
    let result = run(&[scene]);
    let told = NuscenesWarning::FilteredMost {
        what: "labels",
        reason: FilterReason::NoPoints,
        n_filtered: 10,
        n_boxes: 10,
    };
    assert_eq!(result.warnings[0], told);
    assert_eq!(told.to_string(), "10 of 10 labels are left out: without a lidar or radar point");
}

#[test]
fn damaged_records_are_refused_when_read() {
    let records = observe(&perfect().case(), &NuscenesParams::default()).unwrap();
    let json = serde_json::to_value(&records).unwrap();
    assert_eq!(serde_json::from_value::<Partial>(json.clone()).unwrap(), records);
    let damages: [(&str, serde_json::Value); 7] = [
        ("class", 99.into()),
        ("scores", vec![0.5, 0.5].into()),
        ("scores", vec![-1.0].into()),
        ("hits", vec![16].into()),
        ("hits", Vec::<u64>::new().into()),
        ("n_labels", 0.into()),
        ("errors", Vec::<u64>::new().into()),
    ];
    for (field, value) in damages {
        let mut bad = json.clone();
        bad["samples"]["s"]["classes"][0][field] = value;
        let said = serde_json::from_value::<Partial>(bad).unwrap_err().to_string();
        assert!(said.contains("image s is damaged"), "{field}: {said}");
    }
    let mut bad = json;
    bad["params"]["distances"] = Vec::<f64>::new().into();
    assert!(serde_json::from_value::<Partial>(bad).is_err());
}

#[test]
fn partials_of_other_parameters_or_the_same_sample_do_not_merge() {
    let params = NuscenesParams::default();
    let scene = perfect();
    let mut records = observe(&scene.case(), &params).unwrap();
    let before = records.clone();
    assert!(records.merge(before.clone()).is_err());
    let other = NuscenesParams { max_boxes: 7, ..params };
    assert!(records.merge(observe_all(&[], &other).unwrap()).is_err());
    assert!(records.replace(observe_all(&[], &other).unwrap()).is_err());
    assert_eq!(records, before);
    assert!(evaluate(&[scene.case(), scene.case()], &NuscenesParams::default()).is_err());
}

#[test]
fn the_table_says_what_there_is() {
    let text = run(&[perfect()]).to_string();
    assert!(
        text.starts_with(
            "mAP 1.000  NDS 1.000\nmATE 0.000  mASE 0.000  mAOE 0.000  mAVE 0.000  mAAE 0.000\n"
        )
    );
    let cone = text.lines().find(|line| line.starts_with("traffic_cone")).unwrap();
    let cells: Vec<&str> = cone.split_whitespace().collect();
    assert_eq!(
        cells,
        ["traffic_cone", "1", "1.000", "1.000", "1.000", "1.000", "1.000", "0.000", "0.000", "-", "-", "-"]
    );
}
