//! Pictures written by another program, pictures of every PNG colour type, and files that are broken.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::{Path, PathBuf};

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use labelloop_core::ImageSize;
use labelloop_media::{
    DecodeLimits, MediaError, MediaErrorKind, RgbImage, decode, decode_reduced, decode_within, encode_jpeg,
    encode_png, load, probe_size,
};
use proptest::prelude::*;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn png(bytes: &[u8], width: u32, height: u32, colour: ExtendedColorType) -> Vec<u8> {
    let mut out = Vec::new();
    PngEncoder::new(&mut out).write_image(bytes, width, height, colour).unwrap();
    out
}

fn noise(width: u32, height: u32) -> RgbImage {
    let size = ImageSize::new(width, height).unwrap();
    let n_bytes = u64::from(3 * width * height);
    let seed = labelloop_core::Seed::new(5);
    RgbImage::new(size, (0..n_bytes).map(|i| seed.bits(i).to_le_bytes()[0]).collect()).unwrap()
}

fn expected() -> serde_json::Map<String, serde_json::Value> {
    let text = std::fs::read_to_string(data("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Conversions from inks differ more than roundings do.
fn tolerance(name: &str) -> u64 {
    if ["cmyk", "ycck"].iter().any(|inks| name.contains(inks)) { 8 } else { 3 }
}

fn assert_pixel(name: &str, found: [u8; 3], wanted: &serde_json::Value, tolerance: u64) {
    for (channel, value) in found.into_iter().enumerate() {
        let apart = u64::from(value).abs_diff(wanted[channel].as_u64().unwrap());
        assert!(apart <= tolerance, "{name}: {found:?} for {wanted}");
    }
}

#[test]
fn files_of_another_program_have_its_sizes_and_colours() {
    let cases = expected();
    assert_eq!(cases.len(), 38, "the number of cases only rises");
    for (name, case) in cases.iter().filter(|(name, _)| !name.starts_with("waves_")) {
        let picture = load(&data(name)).unwrap();
        let (w, h) = (picture.size().width(), picture.size().height());
        assert_eq!(case["size"], serde_json::json!([w, h]), "{name}");
        assert_eq!(probe_size(&data(name)).unwrap(), picture.size(), "{name}");
        let middles = [(w / 4, h / 4), (3 * w / 4, h / 4), (w / 4, 3 * h / 4), (3 * w / 4, 3 * h / 4)];
        for (quarter, (x, y)) in middles.into_iter().enumerate() {
            assert_pixel(name, picture.pixel(x, y), &case["quarters"][quarter], tolerance(name));
        }
    }
}

#[test]
fn jpegs_of_every_kind_have_the_sizes_and_colours_of_another_program_at_every_scale() {
    let cases = expected();
    let mut n_reduced = 0;
    for (name, case) in cases.iter().filter(|(name, _)| name.starts_with("waves_")) {
        let bytes = std::fs::read(data(name)).unwrap();
        for divisor in ["1", "4", "8"] {
            let wanted = &case[divisor];
            let side = |i: usize| u32::try_from(wanted["size"][i].as_u64().unwrap()).unwrap();
            let at_least = ImageSize::new(side(0), side(1)).unwrap();
            let picture = decode_reduced(&bytes, DecodeLimits::default(), name, at_least).unwrap();
            if name == "waves_cmyk.jpg" && divisor != "1" {
                assert_eq!(picture, decode(&bytes).unwrap(), "inks come whole");
                continue;
            }
            assert_eq!(picture.size(), at_least, "{name} / {divisor}");
            // Subsampled colours are made of fewer coefficients than their means.
            let full_colour = ["444", "grey", "rgb"].iter().any(|kind| name.contains(kind));
            let tolerance = if divisor == "1" || full_colour { tolerance(name) } else { 12 };
            for (i, wanted) in wanted["grid"].as_array().unwrap().iter().enumerate() {
                let (x, y) = (i as u32 % 5, i as u32 / 5);
                let at = (side(0) * (2 * x + 1) / 10, side(1) * (2 * y + 1) / 8);
                assert_pixel(name, picture.pixel(at.0, at.1), wanted, tolerance);
            }
            n_reduced += 1;
        }
    }
    assert_eq!(n_reduced, 15 * 3 - 2);
}

#[test]
fn grey_is_repeated_in_three_channels() {
    let found = decode(&png(&[0, 100, 255], 3, 1, ExtendedColorType::L8)).unwrap();
    assert_eq!(found.pixels(), [0, 0, 0, 100, 100, 100, 255, 255, 255]);
}

#[test]
fn alpha_is_dropped_and_not_blended() {
    let found = decode(&png(&[10, 20, 30, 0, 40, 50, 60, 255], 2, 1, ExtendedColorType::Rgba8)).unwrap();
    assert_eq!(found.pixels(), [10, 20, 30, 40, 50, 60]);
    let found = decode(&png(&[10, 0, 20, 255], 2, 1, ExtendedColorType::La8)).unwrap();
    assert_eq!(found.pixels(), [10, 10, 10, 20, 20, 20]);
}

#[test]
fn sixteen_bits_are_scaled_to_eight() {
    let samples = [0u16, 0x8080, 0xFFFF].into_iter().flat_map(u16::to_ne_bytes).collect::<Vec<_>>();
    let found = decode(&png(&samples, 1, 1, ExtendedColorType::Rgb16)).unwrap();
    assert_eq!(found.pixels(), [0, 0x80, 0xFF]);
    let found = decode(&png(&samples, 3, 1, ExtendedColorType::L16)).unwrap();
    assert_eq!(found.pixels(), [0, 0, 0, 0x80, 0x80, 0x80, 0xFF, 0xFF, 0xFF]);
}

#[test]
fn the_content_decides_on_the_format_not_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("really_a_png.jpg");
    std::fs::write(&path, encode_png(&noise(5, 4)).unwrap()).unwrap();
    assert_eq!(load(&path).unwrap(), noise(5, 4));
}

#[test]
fn a_missing_file_an_empty_file_and_a_text_are_errors_with_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    for read in [|p: &Path| load(p).map(|i| i.size()), |p: &Path| probe_size(p)] {
        let _ = std::fs::remove_file(&path);
        assert!(matches!(read(&path), Err(MediaError::Io { path: p, .. }) if p == path));
        for (content, kind) in [
            (b"".as_slice(), MediaErrorKind::Empty),
            (b"hello", MediaErrorKind::OtherFormat),
            (
                b"GIF89a",
                if cfg!(feature = "gif") { MediaErrorKind::Damaged } else { MediaErrorKind::OtherFormat },
            ),
            (b"\x89PNG\r\n\x1a\n", MediaErrorKind::Truncated),
        ] {
            std::fs::write(&path, content).unwrap();
            let refused = read(&path).unwrap_err();
            assert_eq!(refused.kind(), kind, "{refused}");
            assert!(refused.to_string().contains("a.png"), "{refused}");
        }
    }
    assert!(matches!(load(folder.path()), Err(MediaError::NotAFile { .. })), "a folder is not a picture");
}

#[test]
fn a_png_cut_anywhere_is_refused() {
    let whole = encode_png(&noise(20, 20)).unwrap();
    // The last 16 bytes are the checksum of the data and the end chunk: without them all pixels may be there.
    for n_bytes in 8..whole.len() - 16 {
        let refused = decode(&whole[..n_bytes]).unwrap_err();
        assert_eq!(refused.kind(), MediaErrorKind::Truncated, "{n_bytes}: {refused}");
    }
}

#[test]
fn a_jpeg_cut_anywhere_is_refused() {
    let whole = encode_jpeg(&noise(48, 48), 90).unwrap();
    for n_bytes in 3..whole.len() {
        match decode(&whole[..n_bytes]) {
            Err(MediaError::TruncatedJpeg { n_bytes: found, .. }) => assert_eq!(found, n_bytes),
            other => panic!("{n_bytes}: {other:?}"),
        }
    }
}

#[test]
fn a_progressive_jpeg_cut_between_scans_is_refused() {
    let whole = std::fs::read(data("progressive.jpg")).unwrap();
    assert!(decode(&whole).is_ok());
    assert!(decode(&whole[..whole.len() * 3 / 4]).is_err());
}

#[test]
fn a_header_that_asks_for_gigabytes_is_refused_before_decoding() {
    let mut bomb = encode_png(&noise(1, 1)).unwrap();
    // Width and height follow the signature (8), the chunk's length and name (8); then 5 bytes and the checksum.
    bomb[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    bomb[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    let crc = crc32(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&crc.to_be_bytes());
    let refused = decode(&bomb).unwrap_err();
    assert!(matches!(refused, MediaError::TooLarge { width: 60_000, height: 60_000, .. }), "{refused}");
}

#[test]
fn limits_are_inclusive() {
    let (bytes, limits) = (encode_png(&noise(10, 10)).unwrap(), DecodeLimits::default());
    assert!(decode_within(&bytes, DecodeLimits { max_pixels: 100, ..limits }).is_ok());
    let refused = decode_within(&bytes, DecodeLimits { max_pixels: 99, ..limits }).unwrap_err();
    assert_eq!(refused.to_string(), "bytes in memory: 10 x 10 pixels: expected at most 99 pixels");
    let n_bytes = bytes.len() as u64;
    assert!(decode_within(&bytes, DecodeLimits { max_bytes: n_bytes, ..limits }).is_ok());
    let refused = decode_within(&bytes, DecodeLimits { max_bytes: n_bytes - 1, ..limits }).unwrap_err();
    assert!(matches!(refused, MediaError::TooManyBytes { .. }), "{refused}");
}

/// The checksum of PNG chunks (RFC 2083, appendix 15), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let shift = |c: u32| if c & 1 == 1 { 0xEDB8_8320 ^ (c >> 1) } else { c >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |c, _| shift(c)))
}

proptest! {
    #[test]
    fn flipped_bytes_give_a_picture_or_an_error_but_no_panic(
        at in proptest::collection::vec((0..4000usize, any::<u8>()), 1..12), is_jpeg in any::<bool>(),
    ) {
        let picture = noise(24, 24);
        let mut bytes = if is_jpeg { encode_jpeg(&picture, 85) } else { encode_png(&picture) }.unwrap();
        let n_bytes = bytes.len();
        for (place, value) in at {
            bytes[place % n_bytes] = value;
        }
        let _ = decode_within(&bytes, DecodeLimits { max_pixels: 1_000_000, ..DecodeLimits::default() });
    }

    #[test]
    fn any_bytes_give_an_error_but_no_panic(tail in proptest::collection::vec(any::<u8>(), 0..300), head in 0..3usize) {
        let mut bytes = [b"\xff\xd8\xff".as_slice(), b"\x89PNG\r\n\x1a\n", b""][head].to_vec();
        bytes.extend(tail);
        let limits = DecodeLimits { max_pixels: 1_000_000, ..DecodeLimits::default() };
        prop_assert!(decode_within(&bytes, limits).is_err());
    }
}
