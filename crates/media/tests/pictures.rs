//! Pictures written by another program, pictures of every PNG colour type, and files that are broken.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::{Path, PathBuf};

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use labelloop_core::ImageSize;
use labelloop_media::{
    DecodeLimits, MediaError, RgbImage, decode, decode_within, encode_jpeg, encode_png, load, probe_size,
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

#[test]
fn files_of_another_program_have_its_sizes_and_colours() {
    let text = std::fs::read_to_string(data("expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
    let cases = expected.as_object().unwrap();
    assert_eq!(cases.len(), 13, "the number of cases only rises");
    for (name, case) in cases {
        let picture = load(&data(name)).unwrap();
        let (w, h) = (picture.size().width(), picture.size().height());
        assert_eq!(case["size"], serde_json::json!([w, h]), "{name}");
        assert_eq!(probe_size(&data(name)).unwrap(), picture.size(), "{name}");
        let middles = [(w / 4, h / 4), (3 * w / 4, h / 4), (w / 4, 3 * h / 4), (3 * w / 4, 3 * h / 4)];
        let tolerance = if name == "cmyk.jpg" { 8 } else { 3 };
        for (quarter, (x, y)) in middles.into_iter().enumerate() {
            for (channel, found) in picture.pixel(x, y).into_iter().enumerate() {
                let wanted = case["quarters"][quarter][channel].as_u64().unwrap();
                assert!(
                    u64::from(found).abs_diff(wanted) <= tolerance,
                    "{name} {quarter} {channel}: {found} {wanted}"
                );
            }
        }
    }
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
        for content in [b"".as_slice(), b"hello", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a"] {
            std::fs::write(&path, content).unwrap();
            let refused = read(&path).unwrap_err();
            assert!(matches!(&refused, MediaError::Decode { .. }), "{refused}");
            assert!(refused.to_string().contains("a.png"), "{refused}");
        }
    }
    assert!(matches!(load(folder.path()), Err(MediaError::Io { .. })), "a folder is not a picture");
}

#[test]
fn a_png_cut_anywhere_is_refused() {
    let whole = encode_png(&noise(20, 20)).unwrap();
    // The last 16 bytes are the checksum of the data and the end chunk: without them all pixels may be there.
    for n_bytes in (0..whole.len() - 16).step_by(7) {
        assert!(matches!(decode(&whole[..n_bytes]), Err(MediaError::Decode { .. })), "{n_bytes}");
    }
}

#[test]
fn a_jpeg_cut_anywhere_is_refused() {
    let whole = encode_jpeg(&noise(48, 48), 90).unwrap();
    let mut n_truncated = 0;
    for n_bytes in (0..whole.len()).step_by(7) {
        match decode(&whole[..n_bytes]) {
            Err(MediaError::TruncatedJpeg { n_bytes: found, .. }) => {
                assert_eq!(found, n_bytes);
                n_truncated += 1;
            }
            Err(MediaError::Decode { .. }) => {}
            other => panic!("{n_bytes}: {other:?}"),
        }
    }
    assert!(100 < n_truncated, "most cuts are inside the scan: {n_truncated}");
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
    let bytes = encode_png(&noise(10, 10)).unwrap();
    assert!(decode_within(&bytes, DecodeLimits { max_pixels: 100 }).is_ok());
    let refused = decode_within(&bytes, DecodeLimits { max_pixels: 99 }).unwrap_err();
    assert_eq!(refused.to_string(), "bytes in memory: 10 x 10 pixels: expected at most 99 pixels");
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
        let _ = decode_within(&bytes, DecodeLimits { max_pixels: 1_000_000 });
    }

    #[test]
    fn any_bytes_give_an_error_but_no_panic(tail in proptest::collection::vec(any::<u8>(), 0..300), head in 0..3usize) {
        let mut bytes = [b"\xff\xd8\xff".as_slice(), b"\x89PNG\r\n\x1a\n", b""][head].to_vec();
        bytes.extend(tail);
        let limits = DecodeLimits { max_pixels: 1_000_000 };
        prop_assert!(decode_within(&bytes, limits).is_err());
    }
}
