//! `labelloop duplicates`.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod common;

use std::path::Path;
use std::process::{Command, Output};

use labelloop_core::{ImageSize, Seed};
use labelloop_media::{RgbImage, encode_jpeg, encode_png, resize};
use serde_json::{Value, json};

fn labelloop(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_labelloop")).args(args).output().unwrap()
}

fn document(args: &[&str]) -> Value {
    let out = labelloop(args);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

/// Random rectangles on each other, with noise.
fn scene(seed: u64) -> RgbImage {
    let draw = |i: u64, n: usize| Seed::new(seed).below(i, n) as u32;
    let mut picture = common::rectangles(seed, (160, 120), 30, (70, 60));
    // Noise as of a camera, without which a PNG would be smaller than a JPEG.
    for (x, y) in (0..120).flat_map(|y| (0..160).map(move |x| (x, y))) {
        let noise = draw(1000 + u64::from(160 * y + x), 8) as u8;
        picture.set(x, y, picture.pixel(x, y).map(|v| v.saturating_add(noise)));
    }
    picture
}

fn mirrored(picture: &RgbImage) -> RgbImage {
    let (width, mut out) = (picture.size().width(), picture.clone());
    for (x, y) in (0..picture.size().height()).flat_map(|y| (0..width).map(move |x| (x, y))) {
        out.set(x, y, picture.pixel(width - 1 - x, y));
    }
    out
}

/// Three scenes; of the first a compressed, a smaller and a mirrored copy; two files that are no pictures.
fn fill(folder: &Path) {
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
    for seed in 0..3 {
        put(&format!("scene_{seed}.png"), &encode_png(&scene(seed)).unwrap());
    }
    let small = resize(&scene(0), ImageSize::new(80, 60).unwrap()).unwrap();
    put("a_small_copy.png", &encode_png(&small).unwrap());
    put("copy.jpg", &encode_jpeg(&scene(0), 60).unwrap());
    put("mirror.png", &encode_png(&mirrored(&scene(0))).unwrap());
    put("empty.jpg", b"");
    put("gif.jpg", b"GIF89a....");
}

#[test]
fn copies_are_grouped_and_the_best_is_kept() {
    let temp = tempfile::tempdir().unwrap();
    fill(temp.path());
    let folder = temp.path().to_str().unwrap();
    for bits in ["64", "256"] {
        let found = document(&["duplicates", folder, "--bits", bits, "--json"]);
        assert_eq!((&found["n_pictures"], &found["n_redundant"]), (&json!(6), &json!(2)), "{found}");
        let group = &found["groups"][0];
        assert_eq!(found["groups"].as_array().unwrap().len(), 1);
        assert_eq!(group["kept"][0]["id"], "scene_0.png", "the largest is kept, not the first name");
        let of = |i: usize| (group["redundant"][i]["id"].clone(), group["redundant"][i]["of"].clone());
        assert_eq!(of(0), (json!("copy.jpg"), json!("scene_0.png")));
        assert_eq!(of(1), (json!("a_small_copy.png"), json!("scene_0.png")));
        assert_eq!(group["redundant"][0]["turn"], "upright");
        assert_eq!(found["failures_by_kind"], json!({ "another format": 1, "empty": 1 }));
        assert_eq!(found["failures"][1]["id"], "gif.jpg");
    }
}

#[test]
fn flips_find_mirrored_copies_and_say_so() {
    let temp = tempfile::tempdir().unwrap();
    fill(temp.path());
    let folder = temp.path().to_str().unwrap();
    let found = document(&["duplicates", folder, "--flips", "--json"]);
    let redundant = found["groups"][0]["redundant"].as_array().unwrap();
    assert_eq!(redundant.len(), 3, "{found}");
    let turns = redundant.iter().map(|r| (r["id"].as_str().unwrap(), r["turn"].as_str().unwrap()));
    assert!(
        turns.clone().any(|t| t == ("scene_0.png", "mirrored") || t == ("mirror.png", "mirrored")),
        "{found}"
    );

    let out = labelloop(&["duplicates", folder, "--flips"]);
    let words = String::from_utf8(out.stdout).unwrap();
    assert!(words.starts_with("6 pictures: 3 can be left out, in 1 groups"), "{words}");
    assert!(
        words.contains("mirrored)") && words.contains("2 could not be read: 1 another format, 1 empty"),
        "{words}"
    );
    assert!(words.contains("gif.jpg: a GIF picture"), "{words}");
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let temp = tempfile::tempdir().unwrap();
    fill(temp.path());
    let folder = temp.path().to_str().unwrap();
    let with = |threads| document(&["duplicates", folder, "--flips", "--json", "--threads", threads]);
    assert_eq!(with("1"), with("2"));
}

#[test]
fn wrong_use_is_told() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().to_str().unwrap();
    let out = labelloop(&["duplicates", folder]);
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("no pictures"), "{out:?}");
    fill(temp.path());
    let out = labelloop(&["duplicates", folder, "--radius", "64"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("expected less than the 64 bits"), "{out:?}");
    assert_eq!(labelloop(&["duplicates", folder, "--bits", "128"]).status.code(), Some(2));
}
