//! Decoding at a part of the size: which part, how close to averaging the whole picture, and that nothing else differs.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::Path;

use labelloop_core::{ImageSize, Seed};
use labelloop_media::{
    DecodeLimits, MediaErrorKind, RgbImage, decode, decode_named, decode_reduced, encode_jpeg, encode_png,
};
use proptest::prelude::*;

fn size(width: u32, height: u32) -> ImageSize {
    ImageSize::new(width, height).unwrap()
}

fn reduced(bytes: &[u8], width: u32, height: u32) -> RgbImage {
    decode_reduced(bytes, DecodeLimits::default(), "a.jpg", size(width, height)).unwrap()
}

/// A smooth surface with some noise on it, as photographs have.
fn photograph(width: u32, height: u32) -> RgbImage {
    let mut picture = RgbImage::filled(size(width, height), [0; 3]);
    let seed = Seed::new(3);
    for y in 0..height {
        for x in 0..width {
            let wave =
                |a: f64, b: f64| 100.0 + 60.0 * (f64::from(x) / a).sin() + 50.0 * (f64::from(y) / b).cos();
            let noise = f64::from(seed.bits(u64::from(y * width + x)).to_le_bytes()[0] % 16);
            picture.set(
                x,
                y,
                [(37.0, 19.0), (23.0, 41.0), (61.0, 29.0)].map(|(a, b)| (wave(a, b) + noise) as u8),
            );
        }
    }
    picture
}

/// Means of square blocks: what the smaller picture should be, from the whole one.
fn averaged(picture: &RgbImage, divisor: u32) -> RgbImage {
    let (width, height) = (picture.size().width(), picture.size().height());
    let mut out = RgbImage::filled(size(width.div_ceil(divisor), height.div_ceil(divisor)), [0; 3]);
    for y in 0..out.size().height() {
        for x in 0..out.size().width() {
            let mut sums = [0u32; 4];
            for (px, py) in (0..divisor).flat_map(|dy| (0..divisor).map(move |dx| (dx, dy))) {
                if let Some(pixel) = picture.get(x * divisor + px, y * divisor + py) {
                    (0..3).for_each(|c| sums[c] += u32::from(pixel[c]));
                    sums[3] += 1;
                }
            }
            out.set(x, y, [0, 1, 2].map(|c| ((sums[c] + sums[3] / 2) / sums[3]) as u8));
        }
    }
    out
}

/// Peak signal to noise ratio in decibels.
fn psnr(a: &RgbImage, b: &RgbImage) -> f64 {
    assert_eq!(a.size(), b.size());
    let squares = a.pixels().iter().zip(b.pixels()).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
    let mean = squares.sum::<f64>() / a.pixels().len() as f64;
    10.0 * (255.0 * 255.0 / mean.max(1e-9)).log10()
}

#[test]
fn photographs_are_close_to_means_of_the_whole() {
    for (width, height) in [(640, 480), (333, 251)] {
        let bytes = encode_jpeg(&photograph(width, height), 90).unwrap();
        let whole = decode(&bytes).unwrap();
        for divisor in [4, 8] {
            let found = reduced(&bytes, width.div_ceil(divisor), height.div_ceil(divisor));
            let quality = psnr(&found, &averaged(&whole, divisor));
            assert!(38.0 < quality, "{width} x {height} / {divisor}: {quality} dB");
        }
    }
}

#[test]
fn real_photographs_are_close_to_means_of_the_whole() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = std::env::var_os("LABELLOOP_SHARED").map_or(here.join("../../../shared"), Into::into);
    let mut n = 0;
    for set in ["bccd", "cards"] {
        let Ok(folder) = std::fs::read_dir(shared.join("data").join(set).join("images")) else {
            eprintln!("left out: no {set} pictures");
            continue;
        };
        let mut paths = folder.map(|e| e.unwrap().path()).collect::<Vec<_>>();
        paths.sort();
        for path in paths.iter().step_by(25) {
            let bytes = std::fs::read(path).unwrap();
            let whole = decode(&bytes).unwrap();
            let (width, height) = (whole.size().width(), whole.size().height());
            for (divisor, floor) in [(4, 32.0), (8, 32.0)] {
                let found = reduced(&bytes, width.div_ceil(divisor), height.div_ceil(divisor));
                let quality = psnr(&found, &averaged(&whole, divisor));
                assert!(floor < quality, "{} / {divisor}: {quality} dB", path.display());
                n += 1;
            }
        }
    }
    eprintln!("{n} photographs compared");
}

#[test]
fn other_formats_and_small_pictures_come_whole() {
    let picture = photograph(100, 60);
    let png = encode_png(&picture).unwrap();
    assert_eq!(reduced(&png, 1, 1), picture);
    let jpeg = encode_jpeg(&picture, 90).unwrap();
    let whole = decode(&jpeg).unwrap();
    for (width, height) in [(26, 1), (1, 16), (101, 61), (u32::MAX, u32::MAX)] {
        assert_eq!(reduced(&jpeg, width, height), whole);
    }
    assert_eq!(reduced(&jpeg, 25, 15).size(), size(25, 15));
}

#[test]
fn the_least_sides_are_those_of_the_upright_picture() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/waves_turn_6.jpg");
    let bytes = std::fs::read(data).unwrap();
    assert_eq!(decode(&bytes).unwrap().size(), size(137, 203));
    assert_eq!(reduced(&bytes, 18, 26).size(), size(18, 26));
    assert_eq!(reduced(&bytes, 26, 18).size(), size(35, 51), "an eighth is only 18 wide");
}

#[test]
fn refusals_are_those_of_whole_pictures() {
    let limits = DecodeLimits { max_pixels: 6000, max_bytes: 1 << 20 };
    let whole = encode_jpeg(&photograph(100, 60), 80).unwrap();
    let large = encode_jpeg(&photograph(100, 61), 80).unwrap();
    let cut = &whole[..whole.len() / 2];
    for (bytes, kind) in [
        (&large[..], MediaErrorKind::TooLarge),
        (cut, MediaErrorKind::Truncated),
        (b"", MediaErrorKind::Empty),
        (b"text", MediaErrorKind::OtherFormat),
    ] {
        let refused = decode_reduced(bytes, limits, "a.jpg", size(1, 1)).unwrap_err();
        assert_eq!(refused.kind(), kind);
        assert_eq!(refused.to_string(), decode_named(bytes, limits, "a.jpg").unwrap_err().to_string());
    }
    assert!(decode_reduced(&whole, limits, "a.jpg", size(1, 1)).is_ok());
}

proptest! {
    #[test]
    fn the_picture_is_never_smaller_than_asked_where_the_whole_is_not(
        width in 1..90u32, height in 1..90u32, least_width in 1..90u32, least_height in 1..90u32,
    ) {
        let bytes = encode_jpeg(&photograph(width, height), 75).unwrap();
        let found = reduced(&bytes, least_width, least_height).size();
        prop_assert!(least_width.min(width) <= found.width());
        prop_assert!(least_height.min(height) <= found.height());
        let divisor = [8, 4, 1].into_iter().find(|d| found == size(width.div_ceil(*d), height.div_ceil(*d)));
        prop_assert!(divisor.is_some(), "{:?}", found);
    }
}
