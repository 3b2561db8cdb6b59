//! The two roads against each other.
#![allow(clippy::print_stderr)]

mod made;

use std::path::{Path, PathBuf};

use labelloop_core::DetectionRow;
use proptest::prelude::*;

use self::made::{Dice, Style, files};
use super::parallel::Cut;
use super::{CocoRows, blocks, careful, detections, labels};
use crate::{FormatError, Result, Strictness, Warning};

const WHOLE: Cut = Cut { max_parts: 1, min_bytes: 1 };

fn fast_labels(bytes: &[u8]) -> Option<CocoRows> {
    labels::labels(bytes, WHOLE)
}

fn careful_labels(bytes: &[u8]) -> Result<CocoRows> {
    careful::labels(Path::new("gt.json"), bytes.to_vec(), Strictness::Lenient)
}

fn fast_detections(bytes: &[u8], of: &CocoRows) -> Option<Vec<DetectionRow>> {
    detections::detections(bytes, of, WHOLE)
}

fn careful_detections(bytes: &[u8], of: &CocoRows) -> Result<(Vec<DetectionRow>, Vec<Warning>)> {
    careful::detections(Path::new("dt.json"), bytes.to_vec(), of, Strictness::Lenient)
}

/// Whether the fast road is taken; where it is, the careful one must come to the same without a word, and so must any
/// number of parts.
fn labels_agree(bytes: &[u8]) -> bool {
    let fast = fast_labels(bytes);
    for max_parts in [2, 3, 7] {
        assert_eq!(labels::labels(bytes, Cut { max_parts, min_bytes: 1 }), fast, "{max_parts} parts");
    }
    if let Some(fast) = &fast {
        let careful = careful_labels(bytes).unwrap();
        // The text of it tells -0.0 from 0.0.
        assert_eq!(format!("{careful:?}"), format!("{fast:?}"), "{}", String::from_utf8_lossy(bytes));
    }
    fast.is_some()
}

fn detections_agree(bytes: &[u8], of: &CocoRows) -> bool {
    let fast = fast_detections(bytes, of);
    for max_parts in [2, 3, 7] {
        let parts = detections::detections(bytes, of, Cut { max_parts, min_bytes: 1 });
        assert_eq!(parts, fast, "{max_parts} parts");
    }
    for block in [40, 97, 300] {
        let cut = Cut { max_parts: block % 2 + 1, min_bytes: 1 };
        let rows = blocks::detections_in_blocks(bytes, bytes.len() as u64, block, cut, of).unwrap();
        assert!(rows.is_none() || rows == fast, "blocks of {block} bytes");
    }
    if let Some(fast) = &fast {
        let (rows, warnings) = careful_detections(bytes, of).unwrap();
        assert_eq!(warnings, [], "{}", String::from_utf8_lossy(bytes));
        assert_eq!(format!("{rows:?}"), format!("{fast:?}"), "{}", String::from_utf8_lossy(bytes));
    }
    fast.is_some()
}

/// A few bytes changed, taken out, put in or said twice.
fn spoilt(mut bytes: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    const LIKELY: &[u8] = b"{}[]\",:.-+eE0123456789 \n\\tfnuN\xff\xc3\x00";
    for _ in 0..1 + dice.below(3) {
        if bytes.is_empty() {
            break;
        }
        let at = dice.below(bytes.len());
        let byte = if dice.below(3) == 0 { dice.below(256) as u8 } else { LIKELY[dice.below(LIKELY.len())] };
        match dice.below(5) {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            2 => _ = bytes.remove(at),
            3 => bytes.truncate(at),
            _ => {
                let end = (at + dice.below(60)).min(bytes.len());
                let twice = bytes[at..end].to_vec();
                bytes.splice(end..end, twice);
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn plain_files_take_the_fast_road_and_both_agree(seed in any::<u64>(), style in 0..4usize) {
        let (truth, found) = files(seed, Style::ALL[style]);
        prop_assert!(labels_agree(&truth), "{}", String::from_utf8_lossy(&truth));
        let rows = careful_labels(&truth).unwrap();
        prop_assert!(rows.warnings.is_empty(), "{:?}", rows.warnings);
        prop_assert!(detections_agree(&found, &rows), "{}", String::from_utf8_lossy(&found));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn spoilt_files_agree_or_are_left_to_the_careful_road(seed in any::<u64>(), style in 0..4usize) {
        let (truth, found) = files(seed, Style::ALL[style]);
        let dice = &mut Dice::new(!seed);
        let rows = careful_labels(&truth).unwrap();
        labels_agree(&spoilt(truth, dice));
        detections_agree(&spoilt(found, dice), &rows);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..90)) {
        labels_agree(&bytes);
        detections_agree(&bytes, &one_image());
    }
}

fn one_image() -> CocoRows {
    careful_labels(truth("").as_bytes()).unwrap()
}

/// One picture, id 1, one class, id 5, and these annotations.
fn truth(annotations: &str) -> String {
    truth_of("{\"id\": 1, \"width\": 64, \"height\": 48}", "{\"id\": 5, \"name\": \"car\"}", annotations)
}

fn truth_of(images: &str, categories: &str, annotations: &str) -> String {
    format!(
        "{{\"images\": [{images}],\n \"categories\": [{categories}],\n \"annotations\": [{annotations}]}}"
    )
}

const LABEL: &str =
    r#"{"id": 3, "image_id": 1, "category_id": 5, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}"#;
const FOUND: &str = r#"[{"image_id": 1, "category_id": 5, "bbox": [1, 2, 3, 4], "score": 0.5}]"#;

#[test]
fn the_fast_road_steps_aside_for_labels_out_of_the_ordinary() {
    assert!(labels_agree(truth(LABEL).as_bytes()));
    for (from, to) in [
        ("\"id\": 3,", "\"id\": null,"),
        ("\"id\": 3,", "\"id\": 3.5,"),
        ("\"id\": 3,", "\"id\": 3, \"id\": 4,"),
        ("\"id\": 3,", "\"x\": 3, \"x\": 4,"),
        ("\"id\": 3,", "\"\\u0069d\": 3,"),
        ("\"id\": 3,", "\"id\": -0,"),
        ("\"id\": 3,", "\"x\": NaN,"),
        ("\"id\": 3,", "\"x\": 01,"),
        ("\"id\": 3,", "\"x\": tru,"),
        ("\"id\": 3,", "\"x\": \"\\x\","),
        ("\"id\": 3,", "\"x\": \"\n\","),
        ("\"image_id\": 1", "\"image_id\": 2"),
        ("\"image_id\": 1", "\"image_id\": 1.0"),
        ("\"image_id\": 1", "\"image_id\": \"1\""),
        ("\"image_id\": 1", "\"image_id\": 99999999999999999999"),
        ("\"image_id\": 1", "\"image\": 1"),
        ("\"category_id\": 5", "\"category_id\": 6"),
        ("\"category_id\": 5", "\"category_id\": \"5\""),
        ("\"category_id\": 5", "\"category\": 5"),
        ("[1, 2, 3, 4]", "[1, 2, 3]"),
        ("[1, 2, 3, 4]", "[1, 2, 3, 4, 5]"),
        ("[1, 2, 3, 4]", "[1, 2, -3, 4]"),
        ("[1, 2, 3, 4]", "[1, 2, 3, 1e400]"),
        ("[1, 2, 3, 4]", "[1, 2, 3, 4.]"),
        ("[1, 2, 3, 4]", "[1, 2, 3, NaN]"),
        ("[1, 2, 3, 4]", "[1, 2, 3, \"4\"]"),
        ("[1, 2, 3, 4]", "[1e308, 2, 1.7e308, 4]"),
        ("[1, 2, 3, 4]", "null"),
        ("\"bbox\"", "\"box\""),
        ("\"area\": 12", "\"area\": -1"),
        ("\"area\": 12", "\"area\": null"),
        ("\"iscrowd\": 0", "\"iscrowd\": 2"),
        ("\"iscrowd\": 0", "\"iscrowd\": 1.0"),
        ("\"iscrowd\": 0", "\"iscrowd\": null"),
        ("\"iscrowd\": 0}", "\"iscrowd\": 0},"),
        ("\"iscrowd\": 0}", "\"iscrowd\": 0}, 7"),
        ("\"iscrowd\": 0}", "\"iscrowd\": 0,}"),
        ("\"iscrowd\": 0}", "\"iscrowd\": 0"),
    ] {
        let text = truth(&LABEL.replacen(from, to, 1));
        assert!(text.contains(to));
        assert!(!labels_agree(text.as_bytes()), "{to}");
    }
    let twice = truth(&format!("{LABEL}, {LABEL}"));
    assert!(!labels_agree(twice.as_bytes()), "an id that is taken");
}

#[test]
fn the_fast_road_steps_aside_for_pictures_and_classes_out_of_the_ordinary() {
    let (image, class) = (r#"{"id": 1}"#, r#"{"id": 5, "name": "car"}"#);
    assert!(labels_agree(truth_of(image, class, "").as_bytes()));
    assert!(labels_agree(truth_of("", class, "").as_bytes()), "no picture at all");
    for bad in [
        r#"{}"#,
        r#"{"id": null}"#,
        r#"{"id": 1.5}"#,
        r#"{"id": 1}, {"id": 1}"#,
        r#"{"id": "a"}, {"id": "\u0061"}"#,
        r#"{"id": "\ud800"}"#,
        r#"{"id": 1, "width": 0, "height": 1}"#,
        r#"{"id": 1, "width": -1, "height": 1}"#,
        r#"{"id": 1, "width": 1.0, "height": 1}"#,
        r#"{"id": 1, "width": 4294967296, "height": 1}"#,
        "[]",
        "null",
    ] {
        assert!(!labels_agree(truth_of(bad, class, "").as_bytes()), "{bad}");
    }
    for bad in [
        "",
        r#"{"id": 5}"#,
        r#"{"name": "car"}"#,
        r#"{"id": "5", "name": "car"}"#,
        r#"{"id": 5, "name": ""}"#,
        r#"{"id": 5, "name": 7}"#,
        r#"{"id": 5, "name": "car"}, {"id": 5, "name": "van"}"#,
        r#"{"id": 5, "name": "car"}, {"id": 6, "name": "Car"}"#,
    ] {
        assert!(!labels_agree(truth_of(image, bad, "").as_bytes()), "{bad}");
    }
}

#[test]
fn the_fast_road_steps_aside_for_files_out_of_the_ordinary() {
    let plain = truth(LABEL);
    for bad in [
        String::new(),
        "[]".to_owned(),
        format!("\u{feff}{plain}"),
        format!("{plain} x"),
        plain[..plain.len() - 1].to_owned(),
        plain.replacen("\"images\"", "\"pictures\"", 1),
        plain.replacen("\"annotations\"", "\"labels\"", 1),
        plain.replacen("\"categories\"", "\"classes\"", 1),
        plain.replacen("\"images\"", "\"info\": 1, \"info\": 2, \"images\"", 1),
        plain.replacen("\"images\": [", "\"images\": 7, \"x\": [", 1),
        plain.replacen(
            "\"images\"",
            &format!("\"deep\": {}{}, \"images\"", "[".repeat(129), "]".repeat(129)),
            1,
        ),
        plain.replacen("\"images\"", &format!("\"deep\": {}, \"images\"", "[".repeat(100_000)), 1),
    ] {
        assert!(!labels_agree(bad.as_bytes()), "{bad}");
    }
    assert!(!labels_agree(&[plain.as_bytes(), b"\xff"].concat()), "bytes that are no text");
    let bad_text = plain.replacen("\"id\": 3", "\"x\": \"?\"", 1).into_bytes();
    let bad_text: Vec<u8> = bad_text.into_iter().map(|b| if b == b'?' { 0xff } else { b }).collect();
    assert!(!labels_agree(&bad_text));
    assert!(matches!(careful_labels(&bad_text), Err(FormatError::NotUtf8 { line: 3, .. })));
}

#[test]
fn the_fast_road_steps_aside_for_detections_out_of_the_ordinary() {
    let of = one_image();
    assert!(detections_agree(FOUND.as_bytes(), &of));
    assert!(detections_agree(b" [ ] \n", &of));
    for score in ["1.5", "-0.5", "1e300"] {
        assert!(detections_agree(FOUND.replacen("0.5", score, 1).as_bytes(), &of), "{score}");
    }
    for (from, to) in [
        ("0.5", "NaN"),
        ("0.5", "null"),
        ("0.5", "\"0.5\""),
        ("0.5", "1e999"),
        ("\"score\"", "\"confidence\""),
        ("\"score\"", "\"score\": 0.1, \"score\""),
        ("\"image_id\": 1", "\"image_id\": 2"),
        ("\"image_id\": 1", "\"image_id\": -1"),
        ("\"image_id\": 1", "\"image_id\": 0"),
        ("\"category_id\": 5", "\"category_id\": 4"),
        ("[1, 2, 3, 4]", "[1, 2, 3, -4]"),
        ("}]", "}"),
        ("}]", "}]]"),
        ("}]", "},]"),
        ("[{", "[null, {"),
        ("[{", "{\"a\": [{"),
    ] {
        let text = FOUND.replacen(from, to, 1);
        assert!(text.contains(to));
        assert!(!detections_agree(text.as_bytes(), &of), "{to}");
    }
}

#[test]
fn ids_that_are_not_in_order_are_left_to_the_careful_road() {
    let mut of = one_image();
    of.category_ids = vec![9, 5];
    assert!(fast_detections(FOUND.as_bytes(), &of).is_none());
    assert_eq!(careful_detections(FOUND.as_bytes(), &of).unwrap().0[0].class.0, 1);
}

#[test]
fn cuts_in_strings_and_nested_lists_fool_nobody() {
    let note = r#""note": "}, {", "more": [{"image_id": 1}, {"image_id": 1}], "deep": {"a": [{}, {}]}"#;
    let one = format!("{{{note}, {}", &FOUND[2..FOUND.len() - 1]);
    let text = format!("[{}]", vec![one; 40].join(", "));
    let of = one_image();
    for max_parts in 1..60 {
        let rows = detections::detections(text.as_bytes(), &of, Cut { max_parts, min_bytes: 1 }).unwrap();
        assert_eq!(rows.len(), 40, "{max_parts} parts");
    }
}

#[test]
fn plain_lists_are_read_in_blocks() {
    let of = one_image();
    for (comma, n_behind) in [(", ", 0), (",", 3), (",\n  ", 200)] {
        let one = &FOUND[1..FOUND.len() - 1];
        let text = format!(" [{}]{}", vec![one; 40].join(comma), " ".repeat(n_behind));
        for block in 120..400 {
            let cut = Cut { max_parts: 1 + block % 3, min_bytes: 50 };
            let rows = blocks::detections_in_blocks(text.as_bytes(), 9, block, cut, &of).unwrap();
            // White space that fills a block leaves no object to go on with.
            assert!(rows.is_some() || n_behind == 200, "blocks of {block} bytes");
            assert!(rows.is_none_or(|rows| rows == fast_detections(text.as_bytes(), &of).unwrap()));
        }
    }
    let of_nothing = blocks::detections_in_blocks(&b"[]"[..], 2, 40, WHOLE, &of).unwrap();
    assert_eq!(of_nothing, Some(vec![]));
}

#[test]
fn long_files_come_to_what_their_bytes_do() {
    let folder = tempfile::tempdir().unwrap();
    let (path, of) = (folder.path().join("dt.json"), one_image());
    let one = &FOUND[1..FOUND.len() - 1];
    for last in [one.to_owned(), one.replacen("3, 4]", "3, -4]", 1)] {
        let text = format!("[{}, {last}]", vec![one; 30_000].join(", "));
        std::fs::write(&path, &text).unwrap();
        let in_blocks = blocks::detections_of_file(&path, &of).unwrap();
        assert_eq!(in_blocks.is_some(), last == one);
        let from_file = super::read_detection_rows(&path, &of, Strictness::Lenient).unwrap();
        let from_slice =
            super::detection_rows_from_slice(&path, text.as_bytes(), &of, Strictness::Lenient).unwrap();
        assert_eq!(from_file, from_slice);
        let n_warnings = usize::from(last != one);
        assert_eq!((from_file.0.len(), from_file.1.len()), (30_001 - n_warnings, n_warnings));
    }
}

fn shared(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("LABELLOOP_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let path = folder.join(name);
    if !path.exists() {
        eprintln!("left out: {} is not there", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn the_public_hundred_pictures_take_the_fast_road() {
    let Some(folder) = shared("conformance/eval2d/coco100") else { return };
    let gt = std::fs::read(folder.join("gt.json")).unwrap();
    let dt = std::fs::read(folder.join("dt.json")).unwrap();
    assert!(labels_agree(&gt));
    let rows = fast_labels(&gt).unwrap();
    assert_eq!((rows.image_ids.len(), rows.labels.len(), rows.category_ids.len()), (100, 839, 80));
    assert!(detections_agree(&dt, &rows));
    assert_eq!(fast_detections(&dt, &rows).unwrap().len(), 734);
}
