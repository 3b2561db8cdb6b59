//! `embed` as people and scripts call it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::path::Path;
use std::process::{Command, Output};

use labelloop_core::ImageSize;
use labelloop_media::{RgbImage, encode_jpeg, encode_png};
use ndarray::Array2;

/// A folder `in` with four pictures, one of them in a folder below, and things that are none.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let images = dir.path().join("in");
    std::fs::create_dir_all(images.join("below")).unwrap();
    let picture = |i: u8| RgbImage::filled(ImageSize::new(40, 30).unwrap(), [i, 2 * i, 200 - i]);
    let write = |name: &str, bytes: Vec<u8>| std::fs::write(images.join(name), bytes).unwrap();
    write("a.png", encode_png(&picture(10)).unwrap());
    write("B.JPG", encode_jpeg(&picture(60), 90).unwrap());
    write("below/c.jpeg", encode_jpeg(&picture(90), 90).unwrap());
    // The ending lies, and the picture counts all the same.
    write("d.jpg", encode_png(&picture(30)).unwrap());
    write("notes.txt", b"not a picture".to_vec());
    write("e.gif", b"GIF89a".to_vec());
    write("README", Vec::new());
    dir
}

fn labelloop(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_labelloop")).current_dir(dir).args(args).output().unwrap()
}

fn embed(dir: &Path, args: &[&str]) -> serde_json::Value {
    let output = labelloop(dir, &[&["embed", "--json"], args].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| unreachable!("{e}: {output:?}"))
}

fn words(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_folder_becomes_a_table_and_a_matrix_with_the_same_rows() {
    let dir = folder();
    let told = embed(dir.path(), &["in", "--out", "v.npy"]);
    assert_eq!((told["n_samples"].as_u64(), told["n_computed"].as_u64()), (Some(4), Some(4)));
    assert_eq!(told["skipped"], serde_json::json!({ ".gif": 1, ".txt": 1, "without an ending": 1 }));
    assert_eq!((told["n_skipped"].as_u64(), told["n_failed"].as_u64()), (Some(3), Some(0)));
    let ids: Vec<String> =
        serde_json::from_slice(&std::fs::read(dir.path().join("v.json")).unwrap()).unwrap();
    assert_eq!(ids, ["B.JPG", "a.png", "below/c.jpeg", "d.jpg"]);
    let matrix: Array2<f32> = ndarray_npy::read_npy(dir.path().join("v.npy")).unwrap();
    assert_eq!(matrix.dim(), (4, told["n_dims"].as_u64().unwrap() as usize));
    // A table from the same store computes nothing.
    let told = embed(dir.path(), &["in", "--out", "v.parquet"]);
    assert_eq!((told["n_computed"].as_u64(), told["n_cached"].as_u64()), (Some(0), Some(4)));
    let table = labelloop_embed::EmbeddingTable::read_parquet(&dir.path().join("v.parquet")).unwrap();
    assert_eq!(table.embeddings().vectors(), matrix);
    assert_eq!(table.model().unwrap().digest, told["model"]["digest"].as_str().unwrap());
}

#[test]
fn failures_are_told_by_kind_and_kept_beside_the_output() {
    let dir = folder();
    for i in 0..12 {
        std::fs::write(dir.path().join(format!("in/bad{i:02}.jpg")), b"not a picture").unwrap();
    }
    std::fs::write(dir.path().join("in/empty.png"), b"").unwrap();
    let output = labelloop(dir.path(), &["embed", "in", "--out", "v.parquet"]);
    let (told, _) = words(&output);
    assert!(output.status.success(), "{output:?}");
    assert!(told.contains("4 pictures x") && told.contains("13 could not be read"), "{told}");
    assert!(told.contains("12 ") && told.contains("1 empty"), "{told}");
    assert!(told.contains("in/bad09.jpg") && !told.contains("bad10"), "{told}");
    assert!(told.contains("and 3 more in v.failures.json"), "{told}");
    let all: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.path().join("v.failures.json")).unwrap()).unwrap();
    assert_eq!(all["failures"].as_array().unwrap().len(), 13);
    assert_eq!(all["by_kind"]["empty"].as_u64(), Some(1));

    let strict = labelloop(dir.path(), &["embed", "in", "--out", "s.parquet", "--strict"]);
    assert_eq!(strict.status.code(), Some(1));
    assert!(words(&strict).1.contains("13 files have no vector"), "{strict:?}");
    assert!(!dir.path().join("s.parquet").exists() && dir.path().join("s.failures.json").exists());

    for i in 0..12 {
        std::fs::remove_file(dir.path().join(format!("in/bad{i:02}.jpg"))).unwrap();
    }
    std::fs::remove_file(dir.path().join("in/empty.png")).unwrap();
    embed(dir.path(), &["in", "--out", "v.parquet", "--strict"]);
    assert!(
        !dir.path().join("v.failures.json").exists(),
        "an old list of failures would be taken for this run's"
    );
}

#[test]
fn files_one_by_one_and_lists_are_taken_as_they_are_named() {
    let dir = folder();
    std::fs::copy(dir.path().join("in/a.png"), dir.path().join("odd.picture")).unwrap();
    std::fs::write(dir.path().join("list.txt"), "in/a.png\n\nin/below/c.jpeg\n").unwrap();
    let told = embed(dir.path(), &["odd.picture", "list.txt", "--out", "v.npy", "--store", "kept"]);
    assert_eq!((told["n_samples"].as_u64(), told["n_computed"].as_u64()), (Some(3), Some(2)));
    let ids: Vec<String> =
        serde_json::from_slice(&std::fs::read(dir.path().join("v.json")).unwrap()).unwrap();
    assert_eq!(ids, ["in/a.png", "in/below/c.jpeg", "odd.picture"]);
    assert!(dir.path().join("kept").is_dir() && !dir.path().join("v.vectors").exists());
}

#[test]
fn tables_go_on_to_neighbours_and_selection() {
    let dir = folder();
    embed(dir.path(), &["in", "--out", "v.parquet"]);
    embed(dir.path(), &["in", "--out", "v.npy"]);
    for file in ["v.parquet", "v.npy"] {
        let ids = format!("{file}.ids.npy");
        let args = ["neighbors", file, file, "-k", "2", "--out", &ids, "--json"];
        assert!(labelloop(dir.path(), &args).status.success());
    }
    let [one, two] =
        ["v.parquet.ids.npy", "v.npy.ids.npy"].map(|name| std::fs::read(dir.path().join(name)).unwrap());
    assert_eq!(one, two);
    let output =
        labelloop(dir.path(), &["select", "k-center", "v.parquet", "-k", "2", "--out", "ids.npy", "--json"]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn wrong_use_is_told_before_the_work() {
    let dir = folder();
    for (args, status, part) in [
        (&["embed", "in"][..], 2, "expected --out"),
        (&["embed", "in", "--out", "v.csv"], 2, "ends in .parquet or .npy"),
        (&["embed", "--out", "v.npy"], 2, "IMAGES"),
        (&["embed", "in", "--out", "v.npy", "--backend", "gpu"], 2, "auto"),
        (&["embed", "in", "--out", "v.npy", "--model", "no.onnx"], 1, "no."),
        (&["embed", "no such folder.txt", "--out", "v.npy"], 1, "no such folder.txt"),
        (&["embed", "in/a.png", "in/a.png", "--out", "v.npy"], 1, "in/a.png"),
    ] {
        let output = labelloop(dir.path(), args);
        let (_, told) = words(&output);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {told}");
        assert!(told.contains(part), "{args:?}: {told}");
        assert!(!dir.path().join("v.npy").exists());
    }
    std::fs::create_dir(dir.path().join("empty")).unwrap();
    let output = labelloop(dir.path(), &["embed", "empty", "--out", "v.npy"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(words(&output).1.contains("no pictures"), "{output:?}");
}

#[test]
fn a_store_in_use_is_refused_and_left_whole() {
    let dir = folder();
    let store = labelloop_embed::VectorStore::open(
        &dir.path().join("v.vectors"),
        &labelloop_embed::Descriptor::default(),
    );
    let output = labelloop(dir.path(), &["embed", "in", "--out", "v.npy"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(words(&output).1.contains("another run"), "{output:?}");
    drop(store);
    assert_eq!(embed(dir.path(), &["in", "--out", "v.npy"])["n_computed"].as_u64(), Some(4));
}

/// Ctrl-C: the program says so by its status, and the next run goes on.
#[cfg(unix)]
#[test]
fn an_interrupted_run_goes_on_from_where_it_was() {
    let dir = folder();
    for i in 0..600u32 {
        let size = ImageSize::new(900, 700).unwrap();
        let mut picture = RgbImage::filled(size, [7, 99, 200]);
        picture.pixels_mut()[..4].copy_from_slice(&i.to_le_bytes());
        std::fs::write(dir.path().join(format!("in/{i:04}.png")), encode_png(&picture).unwrap()).unwrap();
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_labelloop"))
        .current_dir(dir.path())
        .args(["embed", "in", "--out", "v.npy", "--quiet"])
        .spawn()
        .unwrap();
    let keys = || {
        let files = std::fs::read_dir(dir.path().join("v.vectors")).into_iter().flatten().flatten();
        let mut keys = files.filter(|f| f.path().extension().is_some_and(|e| e == "keys"));
        keys.next().map_or(0, |f| f.metadata().unwrap().len())
    };
    while keys() < 64 * 20 {
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(child.try_wait().unwrap().is_none(), "it was done before it was interrupted");
    }
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let told = embed(dir.path(), &["in", "--out", "v.npy"]);
    let [n_computed, n_cached] = ["n_computed", "n_cached"].map(|name| told[name].as_u64().unwrap());
    assert!(19 <= n_cached && n_computed + n_cached == 604, "{n_computed} computed, {n_cached} kept");
}
