//! Damaged models: an answer or a typed error by every backend, whatever the bytes are.
#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end at the first surprise")]
#![allow(clippy::print_stderr, reason = "what is left out should be seen")]

use std::path::Path;

use labelloop_core::{ImageSize, Seed};
use labelloop_embed::{Backend, DescriptionParams, EmbedError, OnnxError, OnnxParams, PictureEmbedder};
use labelloop_media::RgbImage;

/// Damaged copies of each network and backend; LABELLOOP_DAMAGED asks for more.
fn n_copies() -> u64 {
    std::env::var("LABELLOOP_DAMAGED").ok().and_then(|n| n.parse().ok()).unwrap_or(60)
}

/// One to three bytes changed, removed or doubled.
fn damaged(whole: &[u8], seed: Seed, i: u64) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for k in 0..=seed.stream("edits").below(i, 3) as u64 {
        let at = seed.stream("at").below(4 * i + k, bytes.len());
        let other = seed.stream("byte").bits(4 * i + k).to_le_bytes()[0];
        match seed.stream("kind").below(4 * i + k, 6) {
            0 => drop(bytes.remove(at)),
            1 => bytes.insert(at, other),
            2 => bytes[at] = 0,
            3 => bytes[at] ^= 1 << (other % 8),
            _ => bytes[at] = other,
        }
    }
    bytes
}

fn survive(backend: Backend, network: &str, keys: &str) -> Option<(usize, usize)> {
    let folder = tempfile::tempdir().unwrap();
    let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/onnx").join(network);
    let (whole, path) = (std::fs::read(whole).unwrap(), folder.path().join(network));
    let keys = format!("size = 8\nfit = \"stretch\"\nl2_norm = false\n{keys}");
    let description = DescriptionParams::from_toml(&keys).unwrap().check().unwrap();
    let picture = RgbImage::filled(ImageSize::new(8, 8).unwrap(), [9, 99, 200]);
    let (mut n_answers, mut n_errors) = (0, 0);
    for i in 0..n_copies() {
        std::fs::write(&path, damaged(&whole, Seed::new(7).stream(network), i)).unwrap();
        let params = OnnxParams { backend, n_sessions: Some(1), ..OnnxParams::of(&path) };
        let loaded = params.check().unwrap().load_described(&description);
        match loaded.and_then(|model| model.embed_picture(&picture)) {
            Ok(vector) => {
                assert!(vector.iter().all(|v| v.is_finite()));
                n_answers += 1;
            }
            Err(EmbedError::Onnx(error)) => {
                if let OnnxError::NoRuntime { .. } = *error {
                    eprintln!("left out: the ONNX runtime library: {error}");
                    return None;
                }
                n_errors += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    Some((n_answers, n_errors))
}

fn all_survive(backend: Backend) {
    for (network, keys) in [
        ("nchw.onnx", ""),
        ("tokens.onnx", "pooling = \"mean-tokens\""),
        ("map_nhwc.onnx", "pooling = \"global-average\"\nlayout = \"nhwc\""),
    ] {
        let Some((n_answers, n_errors)) = survive(backend, network, keys) else { return };
        eprintln!("{backend}, {network}: {n_answers} answers, {n_errors} errors");
        assert!(0 < n_answers && 0 < n_errors);
    }
}

#[test]
fn damaged_models_are_answers_or_errors_of_the_runtime() {
    all_survive(Backend::Runtime);
}

#[cfg(feature = "onnx-tract")]
#[test]
fn damaged_models_are_answers_or_errors_of_tract() {
    // What it panics at is caught; the words need not be in the test's output.
    std::panic::set_hook(Box::new(|_| {}));
    all_survive(Backend::Tract);
}
