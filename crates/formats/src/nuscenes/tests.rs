use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::WarningKind;

const CAR: &str =
    r#""translation": [1, 2, 3], "size": [1, 2, 3], "rotation": [1, 0, 0, 0], "detection_name": "car""#;

fn options(strictness: Strictness) -> ReadOptions {
    ReadOptions { strictness, ..ReadOptions::default() }
}

fn labels(text: &str, strictness: Strictness) -> Result<NuscenesRows> {
    labels_from_slice(Path::new("gt.json"), text.as_bytes(), &options(strictness))
}

fn detections(text: &str, strictness: Strictness) -> Result<NuscenesRows> {
    let of = labels(r#"{"results": {"a": [], "b": []}}"#, Strictness::Strict).unwrap();
    detections_from_slice(Path::new("found.json"), text.as_bytes(), &of, &options(strictness))
}

fn one(fields: &str) -> String {
    format!(r#"{{"results": {{"a": [{{{fields}}}]}}}}"#)
}

/// A box that is refused by strict reading, and left out by lenient reading with the same words.
fn refused(text: &str, role: Role) -> String {
    let read = if role == Role::Labels { labels } else { detections };
    let strict = read(text, Strictness::Strict).unwrap_err();
    assert!(matches!(strict, FormatError::Refused(_)), "{strict}");
    let lenient = read(text, Strictness::Lenient).unwrap();
    assert_eq!((lenient.rows.len(), lenient.warnings.len()), (0, 1));
    assert_eq!(lenient.warnings[0].to_string(), strict.to_string());
    strict.to_string()
}

#[test]
fn everything_is_read() {
    let text = r#"{"meta": {"use_lidar": true, "frame": "ego"}, "results": {"b": [], "a": [
        {"sample_token": "a", "translation": [1, 2, 3], "size": [1.5, 4, 2], "rotation": [0, 0, 0, 1], "velocity": [1, 0.5],
         "detection_name": "bus", "detection_score": 0.25, "attribute_name": "vehicle.moving",
         "ego_translation": [4, 5, 6], "num_pts": 7, "token": {"more": [1]}}]},
        "racks": {"a": [{"translation": [0, 0, 0], "size": [1, 2, 3], "rotation": [1, 0, 0, 0]}]},
        "scenes": {"b": "scene-1", "a": "scene-1"}}"#;
    let rows = labels(text, Strictness::Strict).unwrap();
    let expected = NuscenesRow {
        sample: 1,
        class: ClassIdx(2),
        cuboid: Cuboid::from_nuscenes(
            [1.0, 2.0, 3.0],
            [1.5, 4.0, 2.0],
            [0.0, 0.0, 0.0, 1.0],
            CuboidFrame::Lidar,
        )
        .unwrap(),
        velocity: Some([1.0, 0.5]),
        attribute: Some(5),
        ego: Some([4.0, 5.0, 6.0]),
        n_points: Some(7),
        score: Some(0.25),
    };
    assert_eq!((rows.rows.as_slice(), rows.frame), ([expected].as_slice(), CuboidFrame::Lidar));
    assert_eq!(rows.samples.iter().map(SampleId::as_str).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!((rows.racks.len(), rows.racks[0].0, rows.scenes.len()), (1, 1, 2));
    assert!(rows.warnings.is_empty());
}

#[test]
fn what_may_be_missing_may_be_missing() {
    let rows = labels(&one(CAR), Strictness::Strict).unwrap();
    let row = rows.rows[0];
    assert_eq!(
        (row.velocity, row.attribute, row.ego, row.n_points, row.score),
        (None, None, None, None, None)
    );
    assert_eq!(rows.frame, CuboidFrame::Global);
    let unknown = format!(
        r#"{CAR}, "velocity": [NaN, NaN], "attribute_name": "", "num_pts": -1, "detection_score": -1"#
    );
    let row = labels(&one(&unknown), Strictness::Strict).unwrap().rows[0];
    assert_eq!((row.velocity, row.attribute, row.n_points, row.score), (None, None, None, Some(-1.0)));
    let half = format!(r#"{CAR}, "velocity": [null, 1.0]"#);
    assert_eq!(labels(&one(&half), Strictness::Strict).unwrap().rows[0].velocity, None);
}

#[test]
fn each_bad_number_has_its_place() {
    let with = |field: &str, value: &str| {
        let fields = CAR.split(", \"").filter(|f| !f.trim_start_matches('"').starts_with(field));
        let kept: Vec<String> = fields.map(|f| format!("\"{}", f.trim_start_matches('"'))).collect();
        format!("{{\"results\": {{\n\"a\": [\n{{{}, \"{field}\": {value}}}]}}}}", kept.join(", "))
    };
    for (field, value, part) in [
        ("translation", "[NaN, 0, 0]", "x"),
        ("translation", "[1e999, 0, 0]", "translation"),
        ("translation", "[1, 2]", "three numbers"),
        ("translation", "null", "missing"),
        ("size", "[0, 1, 1]", "width"),
        ("size", "[1, -2, 1]", "length"),
        ("size", "[1, 1, Infinity]", "height"),
        ("rotation", "[2, 0, 0, 0]", "quaternion"),
        ("rotation", "[0, 0, 0, 0]", "quaternion"),
        ("rotation", "[1, 0, 0]", "four numbers"),
        ("velocity", "[Infinity, 0]", "velocity"),
        ("velocity", "\"fast\"", "two numbers"),
        ("detection_name", "\"cart\"", "did you mean \"car\""),
        ("detection_name", "7", "a name"),
        ("attribute_name", "\"asleep\"", "known attribute"),
        ("ego_translation", "[NaN, 0, 0]", "ego_translation"),
        ("num_pts", "-2", "num_pts"),
        ("num_pts", "1.5", "whole number"),
        ("sample_token", "\"b\"", "the list it is in"),
    ] {
        let said = refused(&with(field, value), Role::Labels);
        assert!(
            said.starts_with("gt.json, line 3: results.a[0]") && said.contains(part),
            "{field} {value}: {said}"
        );
    }
}

#[test]
fn detections_need_a_score() {
    for (score, part) in [
        ("", "is missing"),
        (", \"detection_score\": NaN", "at least 0"),
        (", \"detection_score\": -1", "at least 0"),
    ] {
        let said = refused(&one(&format!("{CAR}{score}")), Role::Detections);
        assert!(said.contains("detection_score") && said.contains(part), "{said}");
    }
    let good = one(&format!("{CAR}, \"detection_score\": 1"));
    assert_eq!(detections(&good, Strictness::Strict).unwrap().rows[0].score, Some(1.0));
}

#[test]
fn samples_are_those_of_the_labels_once_each() {
    let strange = r#"{"results": {"a": [], "z": []}}"#;
    assert!(matches!(
        detections(strange, Strictness::Lenient),
        Err(FormatError::UnknownSample { n_samples: 2, .. })
    ));
    let twice = labels("{\"results\": {\"a\": [],\n\"a\": []}}", Strictness::Lenient).unwrap_err();
    assert!(matches!(twice, FormatError::Syntax { line: 2, .. }), "{twice}");
    let rack = r#"{"results": {}, "racks": {"z": []}}"#;
    assert!(matches!(labels(rack, Strictness::Lenient), Err(FormatError::UnknownSample { .. })));
    let scene = r#"{"results": {}, "scenes": {"z": "s"}}"#;
    assert!(matches!(labels(scene, Strictness::Lenient), Err(FormatError::UnknownSample { .. })));
}

#[test]
fn frames_are_known_and_shared() {
    let moon = labels(r#"{"meta": {"frame": "moon"}, "results": {}}"#, Strictness::Lenient).unwrap_err();
    assert!(matches!(moon, FormatError::Structure { ref place, .. } if place == "meta.frame"), "{moon}");
    let other = r#"{"meta": {"frame": "lidar"}, "results": {"a": []}}"#;
    assert!(matches!(detections(other, Strictness::Lenient), Err(FormatError::Structure { .. })));
    let same = r#"{"meta": {"frame": "global"}, "results": {"a": []}}"#;
    assert!(detections(same, Strictness::Strict).is_ok());
}

#[test]
fn files_of_other_shapes_are_refused() {
    for text in [
        "",
        "[]",
        "null",
        "{}",
        "{\"results\": []}",
        "{\"results\": {\"a\": {}}}",
        "{\"results\": {\"\": []}}",
        "{\"results\": {}} x",
    ] {
        let found = labels(text, Strictness::Lenient);
        assert!(
            matches!(found, Err(FormatError::Structure { .. } | FormatError::Syntax { .. })),
            "{text}: {found:?}"
        );
    }
    let found = labels_from_slice(Path::new("x"), b"\xff", &ReadOptions::default());
    assert!(matches!(found, Err(FormatError::NotUtf8 { .. })));
    assert!(matches!(
        read_labels(&PathBuf::from("/no/such/file"), &ReadOptions::default()),
        Err(FormatError::Io { .. })
    ));
}

#[test]
fn an_entry_that_is_no_object_is_left_out_alone() {
    let text = format!(r#"{{"results": {{"a": [7, {{{CAR}}}]}}}}"#);
    let found = labels(&text, Strictness::Lenient).unwrap();
    assert_eq!((found.rows.len(), found.warnings.len()), (1, 1));
    assert!(matches!(found.warnings[0].kind, WarningKind::InvalidValue { .. }));
}

#[test]
fn bad_racks_and_scenes_have_their_place() {
    let rack = r#"{"results": {"a": []}, "racks": {"a": [{"translation": [0, 0, 0], "size": [1, 2, 0], "rotation": [1, 0, 0, 0]}]}}"#;
    let found = labels(rack, Strictness::Lenient).unwrap();
    assert!(found.racks.is_empty() && found.warnings[0].to_string().contains("racks.a[0]"));
    let scene = labels(r#"{"results": {"a": []}, "scenes": {"a": 7}}"#, Strictness::Lenient).unwrap_err();
    assert!(matches!(scene, FormatError::Structure { ref place, .. } if place == "scenes.a"));
}

#[test]
fn classes_and_attributes_can_be_ones_own() {
    let options = ReadOptions {
        classes: ClassSchema::new(["forklift"]).unwrap(),
        attributes: vec!["loaded".to_owned()],
        strictness: Strictness::Strict,
    };
    let text = one(&CAR.replace("\"car\"", "\"forklift\", \"attribute_name\": \"loaded\""));
    let rows = labels_from_slice(Path::new("gt.json"), text.as_bytes(), &options).unwrap();
    assert_eq!((rows.rows[0].class, rows.rows[0].attribute), (ClassIdx(0), Some(0)));
}

proptest! {
    #[test]
    fn both_roads_read_the_same(n in 1usize..5, x in -1e3..1e3f64, score in 0.0..1.0f64, name in 0usize..10) {
        // A field that only the careful road can read: an escape in a text is no trouble, a duplicate list entry is.
        let fields = format!(
            r#""translation": [{x}, 2, 3], "size": [1, 2, 3], "rotation": [1, 0, 0, 0], "detection_name": "{}", "detection_score": {score}"#,
            CLASSES[name]
        );
        let list = vec![format!("{{{fields}}}"); n].join(",\n");
        let good = labels(&format!(r#"{{"results": {{"a": [{list}]}}}}"#), Strictness::Lenient).unwrap();
        let odd = labels(&format!(r#"{{"results": {{"a": [{list}, 7]}}}}"#), Strictness::Lenient).unwrap();
        prop_assert_eq!(good.rows, odd.rows);
        prop_assert_eq!((good.warnings.len(), odd.warnings.len()), (0, 1));
    }
}
