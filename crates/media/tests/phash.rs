//! Perceptual hashes beside those of Python's `imagehash` (`conformance/phash_reference.py`), and on real pictures.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::{Path, PathBuf};

use labelloop_core::ImageSize;
use labelloop_media::{Phash64, decode, encode_jpeg, load, phash64, phash64_turned, phash256, resize};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/phash").join(name)
}

/// Bits in which two hexadecimal numbers differ.
fn apart(a: &str, b: &str) -> u32 {
    let bits = |c: char| c.to_digit(16).unwrap();
    assert_eq!(a.len(), b.len());
    a.chars().zip(b.chars()).map(|(a, b)| (bits(a) ^ bits(b)).count_ones()).sum()
}

#[test]
fn hashes_are_those_of_imagehash() {
    let text = std::fs::read_to_string(data("expected.json")).unwrap();
    let cases: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(cases.len(), 10, "the number of cases only rises");
    for (name, case) in cases {
        let picture = load(&data(&name)).unwrap();
        let turned = phash64_turned(&picture).unwrap();
        let wanted = |key: &str| case[key].as_str().unwrap().to_owned();
        let off = [
            apart(&phash64(&picture).unwrap().to_string(), &wanted("phash64")),
            apart(&phash256(&picture).unwrap().to_string(), &wanted("phash256")),
            apart(&turned[1].to_string(), &wanted("mirrored")),
            apart(&turned[5].to_string(), &wanted("quarter_turn")),
        ];
        eprintln!("{name}: {off:?} bits apart, {} coefficients close to the median", case["n_close"]);
        // Small pictures are enlarged: high frequencies are nearly 0 then, and so is the median of 256 of them, so that one
        // level of grey by which two resizers differ decides on their bits.
        let smallest = picture.size().width().min(picture.size().height());
        let allowed = if 32 <= smallest { [0; 4] } else { [4, 80, 4, 4] };
        assert!(off.iter().zip(allowed).all(|(off, allowed)| *off <= allowed), "{name}: {off:?}");
    }
}

#[test]
fn copies_of_real_pictures_are_near_and_other_pictures_far() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = std::env::var_os("LABELLOOP_SHARED").map_or(here.join("../../../shared"), Into::into);
    let Ok(folder) = std::fs::read_dir(shared.join("data/bccd/images")) else {
        eprintln!("left out: no bccd pictures");
        return;
    };
    let mut paths = folder.map(|e| e.unwrap().path()).collect::<Vec<_>>();
    paths.sort();
    let mut hashes: Vec<Phash64> = Vec::new();
    for path in paths.iter().step_by(12) {
        let picture = load(path).unwrap();
        let hash = phash64(&picture).unwrap();
        let compressed = decode(&encode_jpeg(&picture, 60).unwrap()).unwrap();
        let smaller = resize(&picture, ImageSize::new(320, 240).unwrap()).unwrap();
        for copy in [compressed, smaller] {
            assert!(hash.distance(phash64(&copy).unwrap()) <= 6, "{}", path.display());
        }
        hashes.push(hash);
    }
    let pairs = (0..hashes.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
    let mean = pairs.clone().map(|(a, b)| f64::from(hashes[a].distance(hashes[b]))).sum::<f64>()
        / pairs.count() as f64;
    assert!(20.0 < mean, "{mean}");
}
