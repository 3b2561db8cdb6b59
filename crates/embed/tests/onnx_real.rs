//! The real network, where it is at hand: both backends, and what Python makes of the same pictures.
#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, reason = "a test may end at the first surprise")]
#![allow(clippy::print_stderr, reason = "what is left out should be seen")]

use std::path::{Path, PathBuf};

use labelloop_core::{ImageSize, Seed};
use labelloop_embed::{Backend, Embedder, OnnxModel, OnnxParams, PictureEmbedder};
use labelloop_media::RgbImage;

fn shared(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("LABELLOOP_SHARED").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"));
    let path = root.join("models").join(name);
    if !path.is_file() {
        eprintln!("left out: {} is not there", path.display());
        return None;
    }
    Some(path)
}

fn model(backend: Backend) -> Option<OnnxModel> {
    let path = shared("efficientnet_lite0_embedding.onnx")?;
    let description = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/onnx/efficientnet_lite0.toml");
    let params = OnnxParams { description: Some(description), backend, ..OnnxParams::of(path) };
    match params.load() {
        Ok(model) => Some(model),
        Err(reason) => {
            eprintln!("left out: {reason}");
            None
        }
    }
}

/// A smooth picture with some noise, so that it has all frequencies.
fn picture(seed: u64, width: u32, height: u32) -> RgbImage {
    let bits = Seed::new(seed);
    let mut picture = RgbImage::filled(ImageSize::new(width, height).unwrap(), [0; 3]);
    for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
        let wave = |k: u32| 100 + ((x * (k + 1) / 3 + y * (4 - k) / 5) % 100) as u8;
        let noise = bits.bits(u64::from(y * width + x)).to_le_bytes();
        picture.set(x, y, [0, 1, 2].map(|c| wave(c) + noise[c as usize] % 40));
    }
    picture
}

#[test]
fn vectors_of_the_runtime_are_steady_and_of_length_one() {
    let Some(model) = model(Backend::Runtime) else { return };
    assert_eq!((model.n_dims(), model.backend()), (1280, Backend::Runtime));
    let start = std::time::Instant::now();
    let first = model.embed_picture(&picture(1, 640, 480)).unwrap();
    eprintln!("{:?} {:?}", start.elapsed(), model.library());
    assert_eq!(first, model.embed_picture(&picture(1, 640, 480)).unwrap());
    let length: f32 = first.iter().map(|v| v * v).sum();
    assert!((length - 1.0).abs() < 1e-5);
}

#[cfg(feature = "onnx-tract")]
#[test]
fn both_backends_agree() {
    let (Some(a), Some(b)) = (model(Backend::Runtime), model(Backend::Tract)) else { return };
    assert_ne!(a.digest(), b.digest());
    let start = std::time::Instant::now();
    let [x, y] = [&a, &b].map(|m| m.embed_picture(&picture(1, 640, 480)).unwrap());
    eprintln!("{:?}", start.elapsed());
    let cos: f64 = x.iter().zip(&y).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    let worst = x.iter().zip(&y).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    eprintln!("1 - cos {}, worst {worst}", 1.0 - cos);
    assert!(worst < 1e-5);
}
