//! The real network, where it is at hand: both backends, and what Python makes of the same pictures.
#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end at the first surprise")]
#![allow(clippy::print_stderr, reason = "what is left out and how near vectors are should be seen")]

use std::path::{Path, PathBuf};

use labelloop_core::ImageSize;
use labelloop_embed::{
    Backend, DescriptionParams, EmbedError, Embedder, OnnxError, OnnxModel, OnnxParams, PictureEmbedder,
    read_npy,
};
use labelloop_media::{RgbImage, encode_jpeg};

/// How far apart two backends' vectors of length 1 may be, in any number.
#[cfg(feature = "onnx-tract")]
const BACKENDS_TOLERANCE: f32 = 1e-5;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/onnx").join(name)
}

fn network() -> Option<PathBuf> {
    let root = std::env::var_os("LABELLOOP_SHARED").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"));
    let path = root.join("models/efficientnet_lite0_embedding.onnx");
    if !path.is_file() {
        eprintln!("left out: {} is not there", path.display());
        return None;
    }
    Some(path)
}

fn load(backend: Backend, keys: &str) -> Option<OnnxModel> {
    let text = std::fs::read_to_string(data("efficientnet_lite0.toml")).unwrap();
    let description = DescriptionParams::from_toml(&format!("{text}{keys}")).unwrap().check().unwrap();
    let params = OnnxParams { backend, ..OnnxParams::of(network()?) };
    match params.check().unwrap().load_described(&description) {
        Ok(model) => Some(model),
        Err(EmbedError::Onnx(reason)) if matches!(*reason, OnnxError::NoRuntime { .. }) => {
            eprintln!("left out: {reason}");
            None
        }
        Err(reason) => panic!("{reason}"),
    }
}

fn backends() -> &'static [Backend] {
    if cfg!(feature = "onnx-tract") { &[Backend::Runtime, Backend::Tract] } else { &[Backend::Runtime] }
}

/// The picture of the script that made the reference.
fn picture(width: u32, height: u32) -> RgbImage {
    let mut picture = RgbImage::filled(ImageSize::new(width, height).unwrap(), [0; 3]);
    for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
        let value = |c: u32| {
            let noise = (x * 7919 + y * 104_729 + c * 1_299_709) % 97;
            let wave = (x * (c + 2) + y * (5 - c)) % 64 * 2;
            ((wave + noise + 255 * ((x / 50 + y / 70) % 2)) % 256) as u8
        };
        picture.set(x, y, [value(0), value(1), value(2)]);
    }
    picture
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn vectors_are_those_of_pillow_and_onnxruntime_in_python() {
    let expected = read_npy(&data("efficientnet_lite0.npy")).unwrap();
    for backend in backends() {
        let Some(model) = load(*backend, "l2_norm = false") else { continue };
        assert_eq!((model.n_dims(), model.backend(), model.output()), (1280, *backend, "embedding"));
        for (row, (width, height)) in expected.rows().into_iter().zip([(640, 480), (375, 500), (200, 150)]) {
            let (row, found) = (row.to_vec(), model.embed_picture(&picture(width, height)).unwrap());
            let largest = row.iter().copied().fold(0.0, f32::max);
            let (apart, worst) = (1.0 - cosine(&found, &row), worst(&found, &row));
            eprintln!(
                "{backend}, {width} x {height}: 1 - cosine {apart:.2e}, at most {worst:.2e} of {largest:.2}"
            );
            assert!(apart < 1e-4 && worst < 0.05 * largest);
        }
    }
}

#[cfg(feature = "onnx-tract")]
#[test]
fn both_backends_agree() {
    let (Some(runtime), Some(tract)) = (load(Backend::Runtime, ""), load(Backend::Tract, "")) else { return };
    assert_ne!(runtime.digest(), tract.digest());
    for (width, height) in [(640, 480), (375, 500), (200, 150), (64, 64), (1, 1)] {
        let [a, b] = [&runtime, &tract].map(|model| model.embed_picture(&picture(width, height)).unwrap());
        eprintln!(
            "{width} x {height}: at most {:.2e} apart, 1 - cosine {:.2e}",
            worst(&a, &b),
            1.0 - cosine(&a, &b)
        );
        assert!(worst(&a, &b) < BACKENDS_TOLERANCE);
    }
}

#[test]
fn vectors_have_length_one_and_the_same_bits_on_any_thread() {
    for backend in backends() {
        let Some(model) = load(*backend, "") else { continue };
        let bytes = encode_jpeg(&picture(320, 240), 90).unwrap();
        let first = model.embed_bytes(&bytes, Path::new("a.jpg")).unwrap();
        let length: f32 = first.iter().map(|v| v * v).sum();
        assert!((length - 1.0).abs() < 1e-5);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| assert_eq!(model.embed_bytes(&bytes, Path::new("b.jpg")).unwrap(), first));
            }
        });
    }
}

#[test]
fn more_threads_for_a_picture_give_the_same_bits() {
    let (Some(path), Some(one)) = (network(), load(Backend::Runtime, "")) else { return };
    let params = OnnxParams { n_threads_per_session: 2, n_sessions: Some(1), ..OnnxParams::of(path) };
    let params = OnnxParams { backend: Backend::Runtime, ..params };
    let two = params.check().unwrap().load_described(one.description()).unwrap();
    let found = [&one, &two].map(|model| model.embed_picture(&picture(640, 480)).unwrap());
    assert_eq!(found[0], found[1]);
}
