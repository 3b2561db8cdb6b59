//! What comes in: idempotence, policies, classes by name, and refusals that change nothing.

use crate::common::{a_box, id, image, labelled, schema, set_of, slice};
use labelloop_core::{ClassIdx, ClassSchema, CoreError, Cuboid, CuboidFrame, LabelledCuboid, SampleRecord};
use labelloop_dataset::{
    BoxPolicy, BoxRule, Dataset, DatasetError, GROUND_TRUTH, HUMAN_LABELS, SplitParams, Status,
};

fn empty() -> Dataset {
    Dataset::new("demo", schema())
}

fn refused(d: &mut Dataset, samples: Vec<SampleRecord>) -> DatasetError {
    let before = d.clone();
    let e = d.import(&set_of(samples), GROUND_TRUTH, BoxPolicy::default()).unwrap_err();
    assert_eq!(*d, before, "a refused import changes nothing");
    e
}

#[test]
fn importing_twice_changes_nothing() {
    let mut d = empty();
    let set = set_of(vec![labelled("a", vec![a_box(0, [1.0, 1.0, 5.0, 5.0])]), image("b")]);
    let first = d.import(&set, GROUND_TRUTH, BoxPolicy::default()).unwrap();
    assert_eq!((first.n_new, first.n_unchanged, first.n_boxes), (2, 0, 1));
    let before = d.clone();
    let second = d.import(&set, GROUND_TRUTH, BoxPolicy::default()).unwrap();
    assert_eq!((second.n_new, second.n_unchanged), (0, 2));
    assert_eq!(d, before);
}

#[test]
fn other_content_under_a_known_id_is_refused() {
    let mut d = empty();
    d.import(&set_of(vec![labelled("a", vec![])]), GROUND_TRUTH, BoxPolicy::default()).unwrap();
    let moved = SampleRecord { file_name: "elsewhere.png".into(), ..labelled("a", vec![]) };
    assert_eq!(
        refused(&mut d, vec![image("new"), moved]).to_string(),
        "sample a is already there with another file name: found elsewhere.png, expected a.png"
    );
    let relabelled = labelled("a", vec![a_box(0, [1.0, 1.0, 5.0, 5.0])]);
    assert!(matches!(refused(&mut d, vec![relabelled]), DatasetError::SampleConflict { what: "boxes", .. }));
}

#[test]
fn the_same_id_twice_in_one_set_must_agree() {
    let mut d = empty();
    let twice = vec![labelled("a", vec![]), labelled("a", vec![a_box(1, [1.0, 1.0, 5.0, 5.0])])];
    assert!(matches!(refused(&mut d, twice), DatasetError::SampleConflict { .. }));
    d.import(&set_of(vec![image("a"), image("a")]), GROUND_TRUTH, BoxPolicy::default()).unwrap();
    assert_eq!(d.samples().len(), 1);
}

#[test]
fn another_field_may_be_added_later() {
    let mut d = empty();
    d.import(&set_of(vec![image("a")]), GROUND_TRUTH, BoxPolicy::default()).unwrap();
    let report = d.import(&set_of(vec![labelled("a", vec![])]), HUMAN_LABELS, BoxPolicy::default()).unwrap();
    assert_eq!((report.n_new, report.n_labelled), (0, 1));
    assert_eq!(d.boxes(HUMAN_LABELS, &id("a")).unwrap(), Some(&[][..]));
    assert_eq!(d.boxes(GROUND_TRUTH, &id("a")).unwrap(), None);
    assert_eq!(d.samples()["a"].status, Status::Unlabeled);
}

#[test]
fn classes_are_matched_by_name() {
    let mut d = empty();
    let mut set = set_of(vec![labelled("a", vec![a_box(1, [1.0, 1.0, 5.0, 5.0])])]);
    set.schema = ClassSchema::new(["van", "car"]).unwrap();
    d.import(&set, GROUND_TRUTH, BoxPolicy::default()).unwrap();
    assert_eq!(d.boxes(GROUND_TRUTH, &id("a")).unwrap().unwrap()[0].class, ClassIdx(0));
}

#[test]
fn unknown_classes_are_refused_or_listed() {
    let mut d = empty();
    let cuboid = Cuboid::new([0.0; 3], [1.0; 3], 0.0, CuboidFrame::Lidar).unwrap();
    let mut record = labelled("a", vec![a_box(0, [1.0, 1.0, 5.0, 5.0]), a_box(1, [1.0, 1.0, 5.0, 5.0])]);
    record.cuboids = Some(vec![LabelledCuboid { class: ClassIdx(0), cuboid, annotator: None }]);
    let mut set = set_of(vec![record]);
    set.schema = ClassSchema::new(["Car", "van"]).unwrap();
    let e = d.import(&set, GROUND_TRUTH, BoxPolicy::default()).unwrap_err();
    assert!(matches!(e, DatasetError::Core(CoreError::UnknownClass { nearest: Some(n), .. }) if n == "car"));
    assert!(d.samples().is_empty());

    let lenient = BoxPolicy { strict: false, ..BoxPolicy::default() };
    let report = d.import(&set, GROUND_TRUTH, lenient).unwrap();
    assert_eq!(report.unknown_classes["Car"], 2);
    assert_eq!(report.quarantined.iter().filter(|q| q.bbox.is_none()).count(), 1);
    assert_eq!((report.n_boxes, report.n_cuboids), (1, 0));
}

#[test]
fn an_unused_unknown_class_is_no_error() {
    let mut set = set_of(vec![labelled("a", vec![a_box(0, [1.0, 1.0, 5.0, 5.0])])]);
    set.schema = ClassSchema::new(["car", "boat"]).unwrap();
    assert_eq!(empty().import(&set, GROUND_TRUTH, BoxPolicy::default()).unwrap().n_boxes, 1);
}

#[test]
fn a_class_number_outside_its_own_schema_is_refused() {
    let record = labelled("a", vec![a_box(7, [1.0, 1.0, 5.0, 5.0])]);
    assert!(matches!(refused(&mut empty(), vec![record]), DatasetError::ClassOutOfSchema { found: 7, .. }));
}

#[test]
fn degenerate_and_outside_boxes_follow_the_policy() {
    let boxes = vec![
        a_box(0, [1.0, 1.0, 0.0, 5.0]),
        a_box(0, [-5.0, 1.0, 10.0, 5.0]),
        a_box(0, [100.0, 1.0, 10.0, 5.0]),
        a_box(0, [-0.5, 0.0, 10.0, 5.0]),
    ];
    let set = set_of(vec![labelled("a", boxes)]);
    let with = |degenerate, outside| {
        let policy = BoxPolicy { degenerate, outside, ..BoxPolicy::default() };
        empty().import(&set, GROUND_TRUTH, policy).unwrap()
    };
    let r = with(BoxRule::Reject, BoxRule::Clip);
    assert_eq!((r.n_boxes, r.n_clipped, r.n_degenerate_rejected, r.n_outside_rejected), (2, 1, 1, 1));
    let r = with(BoxRule::Keep, BoxRule::Keep);
    assert_eq!((r.n_boxes, r.n_degenerate_kept, r.n_outside_kept), (4, 1, 2));
    let r = with(BoxRule::Clip, BoxRule::Reject);
    assert_eq!((r.n_boxes, r.n_degenerate_rejected, r.n_outside_rejected), (1, 1, 2));
}

#[test]
fn a_capture_has_distinct_slices_and_one_group() {
    let mut d = empty();
    let first = vec![slice("l", "c", "g", "left")];
    d.import(&set_of(first), GROUND_TRUTH, BoxPolicy::default()).unwrap();
    let e = refused(&mut d, vec![slice("l2", "c", "g", "left")]);
    assert!(matches!(e, DatasetError::DuplicateSlice { .. }), "{e}");
    let e = refused(&mut d, vec![slice("r", "c", "other", "right")]);
    assert!(matches!(e, DatasetError::TornCapture { .. }), "{e}");
    d.import(&set_of(vec![slice("r", "c", "g", "right")]), GROUND_TRUTH, BoxPolicy::default()).unwrap();
}

#[test]
fn bad_policies_and_field_names_are_refused() {
    let set = set_of(vec![image("a")]);
    let policy = BoxPolicy { slack: f64::NAN, ..BoxPolicy::default() };
    assert!(matches!(empty().import(&set, GROUND_TRUTH, policy), Err(DatasetError::InvalidSlack { .. })));
    let e = empty().import(&set, "", BoxPolicy::default());
    assert!(matches!(e, Err(DatasetError::InvalidFieldName { .. })));
}

#[test]
fn test_samples_take_no_new_labels_but_the_same_ones() {
    let mut d = crate::common::dataset(40);
    d.split(&SplitParams::default()).unwrap();
    let test = d.members::<labelloop_core::FrozenTest>().ids()[0].clone();
    let other = vec![labelled(test.as_str(), vec![])];
    assert!(matches!(refused(&mut d, other.clone()), DatasetError::FrozenTest { .. }));
    let e = d.import(&set_of(other), HUMAN_LABELS, BoxPolicy::default()).unwrap_err();
    assert!(e.is_refusal());
    let record = d.sample(&test).unwrap().to_record();
    assert_eq!(d.import(&set_of(vec![record]), GROUND_TRUTH, BoxPolicy::default()).unwrap().n_unchanged, 1);
}

#[test]
fn new_samples_wait_for_the_next_split() {
    let mut d = crate::common::dataset(40);
    d.split(&SplitParams::default()).unwrap();
    let before = d.group_splits();
    d.import(&set_of(vec![image("late")]), GROUND_TRUTH, BoxPolicy::default()).unwrap();
    assert_eq!(d.samples()["late"].split, None);
    assert!(!d.unlabeled_pool().contains(&id("late")));
    let report = d.split(&SplitParams::default()).unwrap();
    assert_eq!(report.n_new_groups, 1);
    for (group, split) in before {
        assert_eq!(report.assignment[&group], split, "{group}");
    }
    assert!(d.samples()["late"].split.is_some());
}
