use labelloop_core::{ImageSize, Seed};
use proptest::prelude::*;

use super::*;
use crate::{decode, encode_jpeg, resize};

fn size(width: u32, height: u32) -> ImageSize {
    ImageSize::new(width, height).unwrap()
}

/// Random rectangles on each other: edges give pictures the falling spectrum that photographs have.
fn scene(seed: u64, width: u32, height: u32) -> RgbImage {
    let draw = |i: u64| Seed::new(seed).unit(i);
    let mut picture = RgbImage::filled(size(width, height), [110; 3]);
    for i in (0..40).map(|i| 8 * i) {
        let span = |at: u64, side: u32| {
            let (middle, half) = (draw(at), 0.02 + 0.25 * draw(at + 1).powi(2));
            let place = |v: f64| (v.clamp(0.0, 1.0) * f64::from(side)).round() as u32;
            place(middle - half)..place(middle + half)
        };
        let colour = [4, 5, 6].map(|c| (255.0 * draw(i + c)) as u8);
        let (columns, rows) = (span(i, width), span(i + 2, height));
        rows.for_each(|y| columns.clone().for_each(|x| picture.set(x, y, colour)));
    }
    picture
}

fn mapped(picture: &RgbImage, f: impl Fn(u8) -> u8) -> RgbImage {
    RgbImage::new(picture.size(), picture.pixels().iter().map(|v| f(*v)).collect()).unwrap()
}

/// The picture laid as said, pixel by pixel.
fn turned(picture: &RgbImage, turn: PictureTurn) -> RgbImage {
    let (transposed, mirrored, flipped) = turn.steps();
    let (w, h) = (picture.size().width(), picture.size().height());
    let (w, h) = if transposed { (h, w) } else { (w, h) };
    let mut out = RgbImage::filled(size(w, h), [0; 3]);
    for (x, y) in (0..h).flat_map(|y| (0..w).map(move |x| (x, y))) {
        let (sx, sy) = (if mirrored { w - 1 - x } else { x }, if flipped { h - 1 - y } else { y });
        out.set(x, y, if transposed { picture.pixel(sy, sx) } else { picture.pixel(sx, sy) });
    }
    out
}

/// The transform written from its definition, in floating point and without a table.
fn by_definition(grey: &[u8], n: usize, n_low: usize) -> Vec<f64> {
    let wave = |k: usize, x: usize| (std::f64::consts::PI * k as f64 * (x as f64 + 0.5) / n as f64).cos();
    let mut out = Vec::new();
    for (u, v) in (0..n_low).flat_map(|u| (0..n_low).map(move |v| (u, v))) {
        let pixel = |y: usize, x: usize| f64::from(grey[y * n + x]) * wave(u, y) * wave(v, x);
        out.push((0..n).flat_map(|y| (0..n).map(move |x| (y, x))).map(|(y, x)| pixel(y, x)).sum());
    }
    out
}

#[test]
fn the_transform_is_that_of_the_definition() {
    for seed in 0..5 {
        let grey = small_grey(&scene(seed, 70, 90), 32).unwrap();
        let found = lowest(&grey, &cosines::<8>());
        let scale = f64::from(1u32 << COSINE_BITS).powi(2);
        for (found, wanted) in found.iter().flatten().zip(by_definition(&grey, 32, 8)) {
            assert!((*found as f64 / scale - wanted).abs() < 0.2, "{found} {wanted}");
        }
    }
}

#[test]
fn half_of_the_bits_are_set_where_no_coefficients_tie() {
    for seed in 0..20 {
        let picture = scene(seed, 64, 48);
        assert_eq!(phash64(&picture).unwrap().0.count_ones(), 32);
        assert_eq!(phash256(&picture).unwrap().0.iter().map(|w| w.count_ones()).sum::<u32>(), 128);
    }
}

#[test]
fn flat_pictures_of_any_grey_have_the_bit_of_the_mean_alone_and_black_ones_none() {
    for grey in 1..=255 {
        assert_eq!(phash64(&RgbImage::filled(size(7, 5), [grey; 3])).unwrap(), Phash64(1 << 63));
    }
    assert_eq!(phash64(&RgbImage::filled(size(7, 5), [0; 3])).unwrap(), Phash64(0));
}

#[test]
fn turned_pictures_of_the_small_size_have_the_hashes_that_were_told_to_the_bit() {
    for seed in 0..10 {
        let (small, large) = (scene(seed, 32, 32), scene(seed, 64, 64));
        let (told64, told256) = (phash64_turned(&small).unwrap(), phash256_turned(&large).unwrap());
        for (i, turn) in PictureTurn::ALL.into_iter().enumerate() {
            assert_eq!(told64[i], phash64(&turned(&small, turn)).unwrap(), "{turn}");
            assert_eq!(told256[i], phash256(&turned(&large, turn)).unwrap(), "{turn}");
        }
    }
}

#[test]
fn turned_pictures_of_other_sizes_are_within_few_bits_of_what_was_told() {
    for seed in 0..10 {
        let picture = scene(seed, 131, 87);
        let (told64, told256) = (phash64_turned(&picture).unwrap(), phash256_turned(&picture).unwrap());
        for (i, turn) in PictureTurn::ALL.into_iter().enumerate() {
            let laid = turned(&picture, turn);
            assert!(told64[i].distance(phash64(&laid).unwrap()) <= 2, "{turn}");
            assert!(told256[i].distance(phash256(&laid).unwrap()) <= 24, "{turn}");
        }
    }
}

#[test]
fn brightness_contrast_size_and_compression_move_few_bits() {
    for seed in 0..10 {
        let picture = scene(seed, 160, 120);
        let hash = phash64(&picture).unwrap();
        let brighter = mapped(&picture, |v| v.saturating_add(12));
        let flatter = mapped(&picture, |v| 32 + v / 4 * 3);
        let smaller = resize(&picture, size(120, 90)).unwrap();
        let compressed = decode(&encode_jpeg(&picture, 40).unwrap()).unwrap();
        for (what, changed) in
            [("brighter", brighter), ("flatter", flatter), ("smaller", smaller), ("compressed", compressed)]
        {
            let distance = hash.distance(phash64(&changed).unwrap());
            assert!(distance <= 6, "{what}: {distance}");
        }
    }
}

#[test]
fn other_pictures_are_far() {
    let hashes = (0..40).map(|seed| phash64(&scene(seed, 64, 64)).unwrap()).collect::<Vec<_>>();
    let pairs = (0..40).flat_map(|a| (0..a).map(move |b| (a, b)));
    let distances = pairs.map(|(a, b)| hashes[a].distance(hashes[b])).collect::<Vec<_>>();
    let mean = f64::from(distances.iter().sum::<u32>()) / distances.len() as f64;
    assert!(24.0 < mean, "{mean}");
    assert!(distances.iter().all(|d| 6 < *d), "{:?}", distances.iter().min());
}

#[test]
fn the_hexadecimal_form_begins_with_the_mean() {
    assert_eq!(Phash64(1 << 63).to_string(), "8000000000000000");
    assert_eq!(Phash256([1, 0, 0, 2]).to_string(), format!("{:0>16}{}{:0>16}", 1, "0".repeat(32), 2));
}

proptest! {
    #[test]
    fn any_picture_has_hashes(width in 1..40u32, height in 1..40u32, seed in any::<u64>()) {
        let n_bytes = u64::from(3 * width * height);
        let pixels = (0..n_bytes).map(|i| Seed::new(seed).bits(i) as u8).collect();
        let picture = RgbImage::new(size(width, height), pixels).unwrap();
        prop_assert!(phash64(&picture).unwrap().0.count_ones() <= 32);
        prop_assert_eq!(phash256_turned(&picture).unwrap()[0], phash256(&picture).unwrap());
    }

    #[test]
    fn distance_is_a_metric(a in any::<u64>(), b in any::<u64>(), c in any::<u64>()) {
        let (a, b, c) = (Phash64(a), Phash64(b), Phash64(c));
        prop_assert_eq!(a.distance(a), 0);
        prop_assert_eq!(a.distance(b), b.distance(a));
        prop_assert!(a.distance(c) <= a.distance(b) + b.distance(c));
    }
}
