//! Resizing, beside what Pillow makes of the same pictures.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may end at the first surprise, and says figures"
)]

use std::collections::BTreeMap;

use labelloop_core::ImageSize;
use labelloop_media::{MediaError, ResizeFilter, RgbImage, resize, resize_window, resize_with};
use serde_json::Value;

const FILTERS: [(&str, ResizeFilter); 5] = [
    ("NEAREST", ResizeFilter::Nearest),
    ("BOX", ResizeFilter::Box),
    ("BILINEAR", ResizeFilter::Triangle),
    ("BICUBIC", ResizeFilter::CatmullRom),
    ("LANCZOS", ResizeFilter::Lanczos3),
];

fn size(width: u32, height: u32) -> ImageSize {
    ImageSize::new(width, height).unwrap()
}

/// The picture of the script that made the cases.
fn picture(width: u32, height: u32) -> RgbImage {
    let mut picture = RgbImage::filled(size(width, height), [0; 3]);
    for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
        let value = |c: u32| {
            let noise = (x * 7919 + y * 104_729 + c * 1_299_709) % 97;
            let wave = (x * (c + 2) + y * (5 - c)) % 64 * 2;
            ((wave + noise + 255 * ((x / 5 + y / 7) % 2)) % 256) as u8
        };
        picture.set(x, y, [value(0), value(1), value(2)]);
    }
    picture
}

fn pair(value: &Value) -> (u32, u32) {
    let side = |i: usize| u32::try_from(value[i].as_u64().unwrap()).unwrap();
    (side(0), side(1))
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

#[test]
fn every_filter_is_that_of_pillow_to_a_step() {
    let cases: Value = serde_json::from_str(include_str!("data/resize/pillow.json")).unwrap();
    let cases = cases["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 35);
    let mut worst: BTreeMap<&str, (u8, usize, usize)> = BTreeMap::new();
    for case in cases {
        let (name, filter) = FILTERS.into_iter().find(|(name, _)| case["filter"] == *name).unwrap();
        let [(width, height), (to_width, to_height)] = ["from", "to"].map(|key| pair(&case[key]));
        let (source, whole) = (picture(width, height), size(to_width, to_height));
        let found = match case["window"].as_array() {
            None => resize_with(&source, whole, filter).unwrap(),
            Some(window) => {
                let (corner, sides) = (pair(&case["window"]), pair(&Value::from(window[2..].to_vec())));
                resize_window(&source, whole, corner, size(sides.0, sides.1), filter).unwrap()
            }
        };
        let expected = bytes(case["pixels"].as_str().unwrap());
        assert_eq!(found.pixels().len(), expected.len());
        let entry = worst.entry(name).or_default();
        for (a, b) in found.pixels().iter().zip(&expected) {
            *entry = (entry.0.max(a.abs_diff(*b)), entry.1 + usize::from(a != b), entry.2 + 1);
        }
    }
    for (name, (steps, n_other, n)) in &worst {
        eprintln!("{name}: at most {steps} of 255, {n_other} of {n} values differ");
        assert!(*steps <= 1, "{name}");
        assert!(n_other * 100 <= *n, "{name}");
    }
}

#[test]
fn a_window_is_cut_out_of_the_whole() {
    let source = picture(61, 47);
    for (name, filter) in FILTERS {
        for whole in [size(33, 25), size(61, 47), size(90, 70)] {
            let all = resize_with(&source, whole, filter).unwrap();
            let (left, top, window) = (5, 3, size(20, 19));
            let part = resize_window(&source, whole, (left, top), window, filter).unwrap();
            for (x, y) in (0..19).flat_map(|y| (0..20).map(move |x| (x, y))) {
                let (found, expected) = (part.pixel(x, y), all.pixel(left + x, top + y));
                let near = found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 1);
                assert!(near, "{name} at {x}, {y}: {found:?}, {expected:?}");
            }
        }
    }
}

#[test]
fn windows_outside_are_refused() {
    let source = picture(10, 10);
    for (corner, window) in
        [((0, 0), size(6, 5)), ((3, 0), size(3, 3)), ((0, 3), size(1, 3)), ((u32::MAX, 0), size(1, 1))]
    {
        let refused = resize_window(&source, size(5, 5), corner, window, ResizeFilter::Box).unwrap_err();
        assert!(matches!(refused, MediaError::OutsideResized { .. }), "{refused}");
    }
    let refused = resize_window(&source, size(5, 5), (1, 0), size(5, 2), ResizeFilter::Box).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "window of 5 x 2 pixels from column 1, row 0 of 5 x 5 pixels: expected it inside"
    );
}

#[test]
fn a_window_of_an_enormous_whole_is_cheap_and_right() {
    let source = picture(40, 30);
    let found =
        resize_window(&source, size(400_000, 300_000), (200_000, 150_000), size(3, 2), ResizeFilter::Nearest);
    assert_eq!(found.unwrap().pixel(1, 1), source.pixel(20, 15));
}

#[test]
fn resize_is_the_triangle_to_a_step() {
    let source = picture(33, 21);
    let by_name = resize_with(&source, size(10, 11), ResizeFilter::Triangle).unwrap();
    let quick = resize(&source, size(10, 11)).unwrap();
    assert!(quick.pixels().iter().zip(by_name.pixels()).all(|(a, b)| a.abs_diff(*b) <= 1));
}
