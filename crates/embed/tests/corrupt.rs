//! Files of every kind that should not stop a run: each gives a vector, or a reason of the right kind that names it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may unwrap as tests do")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use labelloop_core::{ImageSize, SampleId, Seed, Silent};
use labelloop_embed::{Descriptor, EmbedRun, FailureKind, embed_all};
use labelloop_media::{RgbImage, encode_jpeg, encode_png};

fn noise(width: u32, height: u32) -> RgbImage {
    let n_bytes = u64::from(3 * width * height);
    let pixels = (0..n_bytes).map(|i| Seed::new(5).bits(i) as u8).collect();
    RgbImage::new(ImageSize::new(width, height).unwrap(), pixels).unwrap()
}

/// Pictures that another program wrote.
fn fixture(name: &str) -> Vec<u8> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../media/tests/data");
    fs::read(data.join(name)).unwrap()
}

/// What the folder should come to: a kind of failure and words of its reason, or a vector.
#[derive(Default)]
struct Folder {
    expected: BTreeMap<String, Option<(FailureKind, &'static str)>>,
}

impl Folder {
    fn good(&mut self, root: &Path, name: &str, bytes: &[u8]) {
        fs::write(root.join(name), bytes).unwrap();
        self.expected.insert(name.to_owned(), None);
    }

    fn bad(&mut self, root: &Path, name: &str, bytes: &[u8], kind: FailureKind, words: &'static str) {
        fs::write(root.join(name), bytes).unwrap();
        self.expected.insert(name.to_owned(), Some((kind, words)));
    }

    fn run(&self, root: &Path) -> EmbedRun {
        let item = |name: &String| (SampleId::new(name.clone()).unwrap(), root.join(name));
        let items: Vec<(SampleId, PathBuf)> = self.expected.keys().map(item).collect();
        embed_all(&items, &Descriptor::default(), None, &Silent).unwrap()
    }

    fn check(&self, root: &Path) {
        let run = self.run(root);
        let failures: BTreeMap<_, _> = run.failures.iter().map(|f| (f.id.to_string(), f)).collect();
        for (name, expected) in &self.expected {
            match (expected, failures.get(name)) {
                (None, found) => assert!(found.is_none(), "{name}: {found:?}"),
                (Some(_), None) => panic!("{name} was read"),
                (Some((kind, words)), Some(found)) => {
                    assert_eq!(found.kind, *kind, "{}", found.reason);
                    assert!(found.reason.contains(words), "{}", found.reason);
                    assert!(found.reason.contains(name.as_str()), "{}", found.reason);
                    assert_eq!(found.reason.matches(name.as_str()).count(), 1, "{}", found.reason);
                }
            }
        }
        let n_good = self.expected.values().filter(|e| e.is_none()).count();
        assert_eq!(run.embeddings.n_samples(), n_good);
    }
}

/// The checksum of PNG chunks (RFC 2083, appendix 15), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let shift = |c: u32| if c & 1 == 1 { 0xEDB8_8320 ^ (c >> 1) } else { c >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |c, _| shift(c)))
}

/// A PNG whose header states other sides.
fn png_saying(width: u32, height: u32) -> Vec<u8> {
    let mut png = encode_png(&noise(2, 2)).unwrap();
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    png
}

/// A JPEG whose frame header has another marker or precision.
fn jpeg_with(jpeg: &[u8], marker: u8, precision: u8) -> Vec<u8> {
    let at = jpeg.windows(2).position(|pair| pair[0] == 0xFF && matches!(pair[1], 0xC0..=0xC2)).unwrap();
    let mut jpeg = jpeg.to_vec();
    (jpeg[at + 1], jpeg[at + 4]) = (marker, precision);
    jpeg
}

#[test]
fn files_of_any_kind_have_a_vector_or_a_reason() {
    use FailureKind as K;
    let temp = tempfile::tempdir().unwrap();
    let (root, mut folder) = (temp.path(), Folder::default());
    let (png, jpeg) = (encode_png(&noise(60, 40)).unwrap(), encode_jpeg(&noise(60, 40), 85).unwrap());

    folder.good(root, "really_a_png.jpg", &png);
    folder.good(root, "really_a_jpeg.png", &jpeg);
    folder.good(root, "bytes_after_the_end.jpg", &[jpeg.as_slice(), &[7; 999]].concat());
    folder.good(root, "bytes_after_the_end.png", &[png.as_slice(), &[7; 999]].concat());
    folder.good(root, "one_pixel.png", &encode_png(&noise(1, 1)).unwrap());
    folder.good(root, "sequential_extended.jpg", &jpeg_with(&jpeg, 0xC1, 8));

    folder.bad(root, "empty.jpg", b"", K::Empty, "empty");
    folder.bad(root, "text.jpg", b"see the other folder", K::OtherFormat, "text: expected a JPEG or PNG");
    folder.bad(root, "page.jpg", b"<!DOCTYPE html>\n<p>404", K::OtherFormat, "a web page");
    folder.bad(root, "gif.jpg", b"GIF89a\x01\0\x01\0", K::OtherFormat, "a GIF picture");
    folder.bad(root, "webp.jpg", b"RIFF\x20\0\0\0WEBPVP8L", K::OtherFormat, "a WebP picture");
    folder.bad(root, "bmp.jpg", b"BM\x46\0\0\0", K::OtherFormat, "a BMP picture");
    folder.bad(root, "tiff.jpg", b"II*\0\x08\0\0\0", K::OtherFormat, "a TIFF picture");
    folder.bad(root, "heic.jpg", b"\0\0\0\x18ftypheic\0\0\0\0", K::OtherFormat, "a HEIC picture");
    folder.bad(root, "zeros.jpg", &[0; 4000], K::OtherFormat, "zeros");
    folder.bad(root, "late.jpg", &[b"\r\n", jpeg.as_slice()].concat(), K::OtherFormat, "after other bytes");
    folder.bad(root, "lossless.jpg", &jpeg_with(&jpeg, 0xC3, 8), K::Unsupported, "lossless");
    folder.bad(root, "arithmetic.jpg", &jpeg_with(&jpeg, 0xC9, 8), K::Unsupported, "arithmetic");
    folder.bad(root, "twelve_bits.jpg", &jpeg_with(&jpeg, 0xC1, 12), K::Unsupported, "12 bits");
    folder.bad(root, "huge.png", &png_saying(50_000, 50_000), K::TooLarge, "50000 x 50000");
    folder.bad(root, "square.png", &png_saying(30_000, 30_000), K::TooLarge, "30000 x 30000");
    folder.bad(root, "no_width.png", &png_saying(0, 30), K::NotDecoded, "not a readable picture");
    let twice = [&jpeg[..2], &jpeg].concat();
    folder.bad(root, "two_starts.jpg", &twice, K::NotDecoded, "not a readable picture");
    let mut flipped = png.clone();
    flipped[60] ^= 1;
    folder.bad(root, "checksum.png", &flipped, K::NotDecoded, "not a readable picture");
    folder.check(root);
}

#[test]
fn pictures_cut_anywhere_have_a_reason() {
    let temp = tempfile::tempdir().unwrap();
    let (root, mut folder) = (temp.path(), Folder::default());
    let (png, jpeg) = (encode_png(&noise(30, 20)).unwrap(), encode_jpeg(&noise(30, 20), 85).unwrap());
    let progressive = fixture("waves_progressive.jpg");
    for (name, whole, last) in
        [("p", &png, png.len() - 16), ("j", &jpeg, jpeg.len()), ("s", &progressive, progressive.len())]
    {
        for n_bytes in (8..last).step_by(37) {
            folder.bad(
                root,
                &format!("{name}{n_bytes}.jpg"),
                &whole[..n_bytes],
                FailureKind::Truncated,
                "whole file",
            );
        }
    }
    assert!(150 < folder.expected.len());
    folder.check(root);
}

#[test]
fn pictures_of_every_colour_type_and_turn_have_a_vector() {
    let temp = tempfile::tempdir().unwrap();
    let (root, mut folder) = (temp.path(), Folder::default());
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../media/tests/data");
    for entry in fs::read_dir(data).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".jpg") || name.ends_with(".png") {
            folder.good(root, &name, &fixture(&name));
        }
    }
    // Exif that cannot be read is no Exif: a wrong byte order, offsets that point outside, a turn that there is not.
    let turned = fixture("orientation_6.jpg");
    let exif = turned.windows(4).position(|w| w == b"Exif").unwrap();
    for (i, at) in (exif + 6..exif + 32).enumerate() {
        for value in [0, 0x7F, 0xFF] {
            let mut damaged = turned.clone();
            damaged[at] = value;
            folder.good(root, &format!("exif_{i}_{value}.jpg"), &damaged);
        }
    }
    assert_eq!(folder.expected.len(), 38 + 78);
    folder.check(root);
}

#[test]
fn panoramas_have_a_vector() {
    let temp = tempfile::tempdir().unwrap();
    let (root, mut folder) = (temp.path(), Folder::default());
    let wide = RgbImage::filled(ImageSize::new(30_000, 1000).unwrap(), [90, 120, 40]);
    folder.good(root, "wide.png", &encode_png(&wide).unwrap());
    folder.good(root, "wide.jpg", &encode_jpeg(&wide, 80).unwrap());
    let tall = RgbImage::filled(ImageSize::new(3, 65_535).unwrap(), [9, 120, 40]);
    folder.good(root, "tall.jpg", &encode_jpeg(&tall, 80).unwrap());
    folder.good(root, "tall.png", &encode_png(&tall).unwrap());
    folder.check(root);
}

#[cfg(unix)]
#[test]
fn what_is_no_file_has_a_reason_and_is_not_waited_for() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let temp = tempfile::tempdir().unwrap();
    let (root, mut folder) = (temp.path(), Folder::default());
    folder.good(root, "good.png", &encode_png(&noise(9, 9)).unwrap());
    symlink(root.join("good.png"), root.join("link.png")).unwrap();
    folder.expected.insert("link.png".to_owned(), None);
    symlink(root.join("nothing"), root.join("broken.png")).unwrap();
    folder.expected.insert("broken.png".to_owned(), Some((FailureKind::Unreadable, "")));
    symlink("/dev/zero", root.join("zero.png")).unwrap();
    folder.expected.insert("zero.png".to_owned(), Some((FailureKind::NotAFile, "")));
    fs::create_dir(root.join("folder.png")).unwrap();
    folder.expected.insert("folder.png".to_owned(), Some((FailureKind::NotAFile, "")));
    if std::process::Command::new("mkfifo").arg(root.join("pipe.png")).status().is_ok_and(|s| s.success()) {
        folder.expected.insert("pipe.png".to_owned(), Some((FailureKind::NotAFile, "")));
    }
    let sparse = fs::File::create(root.join("sparse.png")).unwrap();
    if sparse.set_len(1 << 40).is_ok() {
        folder.expected.insert("sparse.png".to_owned(), Some((FailureKind::TooLarge, "1099511627776 bytes")));
    }
    let locked = root.join("locked.png");
    fs::write(&locked, b"x").unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o0)).unwrap();
    if fs::read(&locked).is_err() {
        folder.expected.insert("locked.png".to_owned(), Some((FailureKind::Unreadable, "")));
    } else {
        eprintln!("left out: this user reads files without permission");
    }
    folder.check(root);
}
