//! Networks of a few hundred bytes: every layout, pooling and check, by both backends, beside what Python makes of them.
#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end at the first surprise")]
#![allow(clippy::print_stderr, reason = "what is left out should be seen")]

use std::path::{Path, PathBuf};

use labelloop_core::{ImageSize, SampleId, Silent};
use labelloop_embed::{
    Backend, DescriptionParams, EmbedError, Embedder, OnnxError, OnnxModel, OnnxParams, PictureEmbedder,
    embed_all,
};
use labelloop_media::{RgbImage, encode_png, save_png};

const COMMON: &str = "fit = \"stretch\"\nmean = [0.5, 0.5, 0.5]\ndeviation = [0.25, 0.25, 0.25]\n";

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/onnx").join(name)
}

/// The backends at hand; a library that is not there is said to be left out.
fn backends() -> Vec<Backend> {
    let mut backends = Vec::new();
    if cfg!(feature = "onnx-tract") {
        backends.push(Backend::Tract);
    }
    match load(Backend::Runtime, "nchw", "") {
        Err(EmbedError::Onnx(reason)) if matches!(*reason, OnnxError::NoRuntime { .. }) => {
            eprintln!("left out: the ONNX runtime library: {reason}");
        }
        _ => backends.push(Backend::Runtime),
    }
    backends
}

fn load(backend: Backend, network: &str, keys: &str) -> Result<OnnxModel, EmbedError> {
    load_file(backend, &data(&format!("{network}.onnx")), keys)
}

fn load_file(backend: Backend, path: &Path, keys: &str) -> Result<OnnxModel, EmbedError> {
    let size = if keys.contains("size") { "" } else { "size = 8\n" };
    let norm = if keys.contains("l2_norm") { "" } else { "l2_norm = false\n" };
    let text = format!("{COMMON}{size}{norm}{keys}");
    let description = DescriptionParams::from_toml(&text).unwrap().check().unwrap();
    let params = OnnxParams { backend, n_sessions: Some(2), ..OnnxParams::of(path) };
    params.check()?.load_described(&description)
}

fn refusal(backend: Backend, network: &str, keys: &str) -> OnnxError {
    match load(backend, network, keys) {
        Err(EmbedError::Onnx(error)) => *error,
        other => panic!("{backend}, {network}: {other:?}"),
    }
}

/// The picture of the script that made the networks.
fn picture(width: u32, height: u32) -> RgbImage {
    let mut picture = RgbImage::filled(ImageSize::new(width, height).unwrap(), [0; 3]);
    for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
        picture.set(x, y, [0, 1, 2].map(|c| ((37 * x + 101 * y + 59 * c + 7 * x * y) % 256) as u8));
    }
    picture
}

#[test]
fn vectors_are_those_of_python() {
    let expected: serde_json::Value = serde_json::from_str(include_str!("data/onnx/expected.json")).unwrap();
    let tolerance = expected["tolerance"].as_f64().unwrap();
    let cases = expected["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 16);
    for backend in backends() {
        for case in cases {
            let (network, keys) = (case["network"].as_str().unwrap(), case["keys"].as_str().unwrap());
            let model = load(backend, network, keys).unwrap();
            let side = |s: ImageSize| picture(s.width(), s.height());
            let found = model.embed_picture(&side(model.description().size())).unwrap();
            let expected: Vec<_> =
                case["vector"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
            assert_eq!((found.len(), model.n_dims()), (expected.len(), expected.len()));
            for (a, b) in found.iter().zip(&expected) {
                let near = (f64::from(*a) - b).abs() <= tolerance * b.abs().max(1.0);
                assert!(near, "{backend}, {network}, {keys}: {found:?}, expected {expected:?}");
            }
        }
    }
}

#[test]
fn a_picture_in_a_file_is_the_same_as_in_memory() {
    for backend in backends() {
        let model = load(backend, "nchw", "").unwrap();
        let bytes = encode_png(&picture(31, 17)).unwrap();
        let from_file = model.embed_bytes(&bytes, Path::new("a.png")).unwrap();
        assert_eq!(from_file, model.embed_picture(&picture(31, 17)).unwrap());
        let refused = model.embed_bytes(b"", Path::new("empty.png")).unwrap_err().to_string();
        assert!(refused.contains("empty.png"), "{refused}");
    }
}

#[test]
fn many_threads_give_the_bits_of_one() {
    for backend in backends() {
        let model = load(backend, "tokens", "pooling = \"mean-tokens\"").unwrap();
        let alone: Vec<_> = (1..20).map(|w| model.embed_picture(&picture(w, 9)).unwrap()).collect();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for (w, expected) in (1..20).zip(&alone) {
                        assert_eq!(model.embed_picture(&picture(w, 9)).unwrap(), *expected);
                    }
                });
            }
        });
    }
}

#[test]
fn whole_folders_go_through_embed_all() {
    for backend in backends() {
        let folder = tempfile::tempdir().unwrap();
        let model = load(backend, "nchw", "l2_norm = true").unwrap();
        let mut items = Vec::new();
        for i in 0..9u32 {
            let path = folder.path().join(format!("{i}.png"));
            save_png(&picture(8 + i, 8), &path).unwrap();
            items.push((SampleId::new(format!("s{i}")).unwrap(), path));
        }
        std::fs::write(&items[3].1, b"not a picture").unwrap();
        let store = folder.path().join("vectors");
        let run = embed_all(&items, &model, Some(&store), &Silent).unwrap();
        assert_eq!((run.n_computed, run.n_cached, run.failures.len()), (8, 0, 1));
        let again = embed_all(&items, &model, Some(&store), &Silent).unwrap();
        assert_eq!((again.n_computed, again.n_cached), (0, 8));
        assert_eq!(again.embeddings, run.embeddings);
    }
}

#[test]
fn numbers_that_are_not_finite_are_an_error_of_that_picture() {
    for backend in backends() {
        let model = load(backend, "root", "").unwrap();
        match model.embed_picture(&picture(8, 8)) {
            Err(EmbedError::Onnx(error)) => assert!(matches!(*error, OnnxError::NotFinite { .. }), "{error}"),
            other => panic!("{backend}: {other:?}"),
        }
    }
}

#[test]
fn a_vector_of_zeros_has_no_direction() {
    for backend in backends() {
        // All channels are far below what the network's positive part lets through.
        let dark = RgbImage::filled(ImageSize::new(10, 6).unwrap(), [128; 3]);
        let plain = load(backend, "wide", "size = [10, 6]").unwrap().embed_picture(&dark).unwrap();
        let divided = load(backend, "wide", "size = [10, 6]\nl2_norm = true").unwrap().embed_picture(&dark);
        if plain.iter().all(|v| *v == 0.0) {
            let error = divided.unwrap_err().to_string();
            assert!(error.contains("are 0"), "{error}");
        } else {
            let length: f32 = divided.unwrap().iter().map(|v| v * v).sum();
            assert!((length - 1.0).abs() < 1e-5);
        }
    }
}

#[test]
fn inputs_that_do_not_take_the_picture_are_named() {
    for backend in backends() {
        let shapes = [
            ("nhwc", ""),
            ("nchw", "layout = \"nhwc\""),
            ("flat", ""),
            ("grey", ""),
            ("eight", ""),
            ("nchw", "size = 16"),
            ("half", ""),
        ];
        for (network, keys) in shapes {
            let error = refusal(backend, network, keys);
            assert!(matches!(error, OnnxError::Input { .. }), "{backend}, {network}: {error}");
        }
        let error = refusal(backend, "grey", "").to_string();
        let words = "grey.onnx: input images takes f32 [?, 1, 8, 8]: expected f32 [1, 3, 8, 8] as described";
        assert!(error.ends_with(words), "{backend}: {error}");
        assert!(refusal(backend, "half", "").to_string().contains("f16"));
        let error = refusal(backend, "two_inputs", "");
        assert!(
            matches!(&error, OnnxError::Inputs { found, .. } if *found == ["images", "shift"]),
            "{error}"
        );
    }
}

#[test]
fn outputs_that_make_no_vector_are_named() {
    for backend in backends() {
        let wrong = [
            ("map", ""),
            ("map", "pooling = \"cls\""),
            ("nchw", "pooling = \"mean-tokens\""),
            ("nchw", "pooling = \"global-average\""),
            ("tokens", ""),
            ("tokens", "pooling = \"mean-patches\"\nprefix_tokens = 5"),
        ];
        for (network, keys) in wrong {
            let error = refusal(backend, network, keys);
            assert!(matches!(error, OnnxError::Output { .. }), "{backend}, {network}: {error}");
        }
        let error = refusal(backend, "tokens", "").to_string();
        let words =
            "output last_hidden_state gives f32 [1, 5, 6]: expected f32 [1, dims] for the pooling described";
        assert!(error.ends_with(words), "{backend}: {error}");
        let error = refusal(backend, "tokens", "output = \"logits\"").to_string();
        assert!(
            error.ends_with(
                "outputs [\"last_hidden_state\", \"pooler_output\"]: expected \"logits\" among them"
            ),
            "{error}"
        );
    }
}

#[test]
fn every_part_of_a_model_is_in_the_digest() {
    for backend in backends() {
        let mut digests = vec![
            load(backend, "nchw", "").unwrap().digest(),
            load(backend, "nchw", "channels = \"bgr\"").unwrap().digest(),
            load(backend, "nchw", "l2_norm = true").unwrap().digest(),
            load(backend, "nchw", "filter = \"lanczos\"").unwrap().digest(),
            load(backend, "nchw", "reduced_decode = true").unwrap().digest(),
            load(backend, "nchw", "range = 255").unwrap().digest(),
            load(backend, "open", "").unwrap().digest(),
            load(backend, "tokens", "output = \"pooler_output\"").unwrap().digest(),
            load(backend, "tokens", "output = \"last_hidden_state\"\npooling = \"cls\"").unwrap().digest(),
        ];
        assert_eq!(digests[0], load(backend, "nchw", "").unwrap().digest());
        let n = digests.len();
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), n);
    }
}

#[test]
fn two_backends_are_two_digests_in_one_process() {
    let backends = backends();
    let mut digests: Vec<_> = backends.iter().map(|b| load(*b, "nchw", "").unwrap().digest()).collect();
    digests.dedup();
    assert_eq!(digests.len(), backends.len());
}

#[test]
fn weights_beside_the_model_are_in_the_digest_too() {
    for backend in backends() {
        let folder = tempfile::tempdir().unwrap();
        let [model, weights] = ["external.onnx", "external.bin"].map(|name| folder.path().join(name));
        std::fs::copy(data("external.onnx"), &model).unwrap();
        std::fs::copy(data("external.bin"), &weights).unwrap();
        let before = load_file(backend, &model, "").unwrap();
        assert_eq!(before.digest(), load(backend, "external", "").unwrap().digest());
        let mut bytes = std::fs::read(&weights).unwrap();
        bytes[3] ^= 1;
        std::fs::write(&weights, &bytes).unwrap();
        assert_ne!(load_file(backend, &model, "").unwrap().digest(), before.digest());
        std::fs::remove_file(&weights).unwrap();
        let missing = load_file(backend, &model, "").unwrap_err().to_string();
        assert!(missing.contains("external.bin"), "{missing}");
    }
}

#[test]
fn a_model_that_was_built_without_a_description_says_where_one_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    std::fs::copy(data("nchw.onnx"), &path).unwrap();
    let missing = OnnxParams::of(&path).load().unwrap_err().to_string();
    assert!(missing.contains("m.toml: no such file: expected the description"), "{missing}");
    std::fs::write(folder.path().join("m.toml"), "preset = \"imagenet\"\nsise = 8\n").unwrap();
    let wrong = OnnxParams::of(&path).load().unwrap_err().to_string();
    assert!(
        wrong.contains("m.toml: line 2: unknown field `sise`, expected one of `preset`, `size`"),
        "{wrong}"
    );
    std::fs::write(folder.path().join("m.toml"), "size = 8\nfit = \"stretch\"\nmean = [0, 1e9, 0]").unwrap();
    let wrong = OnnxParams::of(&path).load().unwrap_err().to_string();
    assert!(wrong.contains("m.toml: mean = 1000000000: expected numbers from -1e6 to 1e6"), "{wrong}");
    std::fs::write(folder.path().join("m.toml"), "size = 8").unwrap();
    for backend in backends() {
        let model = OnnxParams { backend, ..OnnxParams::of(&path) }.load().unwrap();
        let length: f32 = model.embed_picture(&picture(20, 9)).unwrap().iter().map(|v| v * v).sum();
        assert!((length - 1.0).abs() < 1e-5);
    }
}

#[cfg(not(feature = "onnx-tract"))]
#[test]
fn a_backend_that_is_not_compiled_in_says_what_it_needs() {
    let error = refusal(Backend::Tract, "nchw", "").to_string();
    assert_eq!(error, "backend tract: expected a program built with the feature onnx-tract");
}

#[test]
fn files_that_are_no_models_are_refused_before_a_backend_sees_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    let whole = std::fs::read(data("nchw.onnx")).unwrap();
    let png = encode_png(&picture(8, 8)).unwrap();
    for (bytes, words) in [
        (&b""[..], "0 bytes: expected a model"),
        (b"preset = \"imagenet\"", "not an ONNX model"),
        (&png, "not an ONNX model"),
        (&whole[..whole.len() / 2], "a field is longer than what follows"),
        (b"\x08\x08", "2 bytes without a graph: expected one"),
        (b"\x3a\x00", "a graph without nodes: expected at least 1"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        for backend in [Backend::Auto, Backend::Runtime, Backend::Tract] {
            let error = load_file(backend, &path, "").unwrap_err().to_string();
            assert!(error.contains("m.onnx") && error.contains(words), "{error}");
        }
    }
    let missing = load_file(Backend::Auto, &folder.path().join("none.onnx"), "").unwrap_err();
    assert!(matches!(&missing, EmbedError::Onnx(e) if matches!(**e, OnnxError::Io { .. })), "{missing}");
}
