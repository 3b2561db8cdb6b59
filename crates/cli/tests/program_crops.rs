//! `labelloop embed --crops`, `labelloop qa neighbours` and `labelloop project`.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::Path;
use std::process::{Command, Output};

use labelloop_core::{ImageSize, Seed};
use labelloop_media::{RgbImage, save_png};
use serde_json::{Value, json};

fn labelloop(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_labelloop")).args(args).current_dir(folder).output().unwrap()
}

fn document(folder: &Path, args: &[&str]) -> Value {
    let out = labelloop(folder, &[&["--json"], args].concat());
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

/// Ten pictures with a striped and a plain square each; in the last one the labels are swapped.
fn fill(folder: &Path) {
    std::fs::create_dir(folder.join("images")).unwrap();
    let (mut images, mut annotations) = (Vec::new(), Vec::new());
    for number in 0..10u32 {
        let noise = Seed::new(u64::from(number));
        let mut picture = RgbImage::filled(ImageSize::new(80, 40).unwrap(), [90, 120, 90]);
        for (x, y) in (0..24).flat_map(|x| (0..24).map(move |y| (x, y))) {
            let grain = noise.bits(u64::from(24 * x + y)).to_le_bytes()[0] / 16;
            let stripe = if (x / 4) % 2 == 0 { 220 } else { 30 };
            picture.set(8 + x, 8 + y, [stripe + grain; 3]);
            picture.set(48 + x, 8 + y, [140 + grain, 60, 40]);
        }
        save_png(&picture, &folder.join(format!("images/{number}.png"))).unwrap();
        images.push(json!({ "id": number, "file_name": format!("{number}.png"), "width": 80, "height": 40 }));
        for (place, x) in [(0, 8), (1, 48)] {
            let class = 1 + if number == 9 { 1 - place } else { place };
            let id = 100 + 2 * number + place;
            annotations
                .push(json!({ "id": id, "image_id": number, "category_id": class, "bbox": [x, 8, 24, 24] }));
        }
    }
    annotations.push(json!({ "id": 999, "image_id": 0, "category_id": 1, "bbox": [60, 30, 2, 2] }));
    let categories = [(1, "striped"), (2, "plain")].map(|(id, name)| json!({ "id": id, "name": name }));
    let labels = json!({ "images": images, "annotations": annotations, "categories": categories });
    std::fs::write(folder.join("labels.json"), labels.to_string()).unwrap();
}

const EMBED: [&str; 6] = ["embed", "images", "--crops", "labels.json", "--out", "crops.parquet"];

#[test]
fn swapped_labels_are_found_among_crops() {
    let temp = tempfile::tempdir().unwrap();
    fill(temp.path());
    let made = document(temp.path(), &EMBED);
    assert_eq!((&made["n_objects"], &made["n_computed"]), (&json!(20), &json!(20)));
    assert!(made["failures"][0]["reason"].as_str().unwrap().contains("2.0 x 2.0 pixels to be seen"));
    let again = document(temp.path(), &EMBED);
    assert_eq!((&again["n_computed"], &again["n_stored"]), (&json!(0), &json!(20)));
    let lineage: Value =
        serde_json::from_slice(&std::fs::read(temp.path().join("crops.crops.json")).unwrap()).unwrap();
    assert_eq!((&lineage[0]["id"], &lineage[0]["parent"]), (&json!("0#100"), &json!("0")));

    let ask = ["qa", "neighbours", "--crops", "crops.parquet", "--labels", "labels.json"];
    let found = document(temp.path(), &ask);
    assert_eq!(found["n_suspects"], 2);
    assert_eq!((&found["suspects"][0]["image"], &found["suspects"][1]["image"]), (&json!("9"), &json!("9")));
    let words = String::from_utf8(labelloop(temp.path(), &ask).stdout).unwrap();
    assert!(
        words
            .contains("labelled plain, but of its 10 nearest in other pictures 9 are striped and 1 is plain"),
        "{words}"
    );

    let near = document(temp.path(), &[&ask[..], &["--of", "3#107", "--k", "4"]].concat());
    assert_eq!(near["class"], "plain");
    assert_eq!(near["nearest"].as_array().unwrap().len(), 4);
}

#[test]
fn rows_are_laid_out_and_coloured() {
    let temp = tempfile::tempdir().unwrap();
    fill(temp.path());
    document(temp.path(), &EMBED);
    let colours =
        (0..10).flat_map(|n| [0, 1].map(|p| format!("{n}#{},{}\n", 100 + 2 * n + p, ["a", "b"][p])));
    let csv = format!("id,class\n{}", colours.collect::<String>());
    std::fs::write(temp.path().join("classes.csv"), csv).unwrap();
    std::fs::write(temp.path().join("test.txt"), "4#108\n4#109\n").unwrap();
    for method in ["pca", "tsne"] {
        let args = [
            "project",
            "crops.parquet",
            "--method",
            method,
            "--color-by",
            "classes.csv",
            "--exclude-from-fit",
            "test.txt",
            "--out",
            "map.svg",
            "--out",
            "map.png",
            "--out",
            "map.csv",
        ];
        let made = document(temp.path(), &args);
        assert_eq!((&made["n_rows"], &made["n_fitted"]), (&json!(20), &json!(18)));
        let [svg, csv] =
            ["map.svg", "map.csv"].map(|f| std::fs::read_to_string(temp.path().join(f)).unwrap());
        assert!(svg.contains("a (10)") && svg.contains("not fitted on (2)"));
        assert!(std::fs::read(temp.path().join("map.png")).unwrap().starts_with(b"\x89PNG"));
        assert_eq!(csv.lines().filter(|l| l.contains(",false,")).count(), 2);
        let one = document(temp.path(), &[&["--threads", "1"], &args[..]].concat());
        assert_eq!((one, csv), (made, std::fs::read_to_string(temp.path().join("map.csv")).unwrap()));
    }
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let temp = tempfile::tempdir().unwrap();
    fill(temp.path());
    document(temp.path(), &EMBED);
    std::fs::write(temp.path().join("three.json"), "[1, 2, 3]").unwrap();
    std::fs::write(temp.path().join("who.txt"), "nobody\n").unwrap();
    let cases: [(&[&str], &str); 5] = [
        (&["project", "crops.parquet", "--out", "map.gif"], "ends in .svg, .png or .csv"),
        (
            &["project", "crops.parquet", "--out", "m.svg", "--color-by", "three.json"],
            "3 values, expected 20",
        ),
        (&["project", "crops.parquet", "--out", "m.svg", "--exclude-from-fit", "who.txt"], "nobody"),
        (
            &["project", "crops.parquet", "--out", "m.svg", "--method", "tsne", "--perplexity", "0"],
            "perplexity 0",
        ),
        (&["qa", "neighbours", "--crops", "crops.parquet", "--labels", "labels.json", "--of", "x#1"], "x#1"),
    ];
    for (args, expected) in cases {
        let out = labelloop(temp.path(), args);
        let words = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success() && words.contains(expected), "{args:?}: {words}");
    }
}
