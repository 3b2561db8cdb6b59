//! `neighbors` as people and scripts call it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::path::Path;
use std::process::{Command, Output};

use ndarray::{Array1, Array2, array};

/// A folder with 3,000 rows of 40 crowds, the first 20 of which ask.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let wave = |i: usize, j: usize, f: f64| ((i * 7 + j * 13) as f64 * f).sin();
    let pool = Array2::from_shape_fn((3000, 8), |(i, j)| {
        (4.0 * wave(i % 40, j, 1.7) + wave(i, 31 * j, 0.61)) as f32
    });
    ndarray_npy::write_npy(dir.path().join("pool.npy"), &pool).unwrap();
    let queries = pool.select(ndarray::Axis(0), &(0..20).collect::<Vec<_>>());
    ndarray_npy::write_npy(dir.path().join("query.npy"), &queries).unwrap();
    dir
}

fn neighbors(dir: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_labelloop"))
        .current_dir(dir)
        .args(["neighbors", "query.npy", "pool.npy", "-k", "5", "--out", "ids.npy", "--json"])
        .args(more)
        .output()
        .unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| unreachable!("{e}: {output:?}"))
}

fn ids(dir: &Path) -> Array2<i64> {
    ndarray_npy::read_npy(dir.join("ids.npy")).unwrap()
}

#[test]
fn one_batch_is_scanned_exactly_and_says_why() {
    let dir = folder();
    let told = json(&neighbors(dir.path(), &["--scores", "scores.npy"]));
    assert_eq!((told["method"].as_str(), told["metric"].as_str()), (Some("exact"), Some("cosine")));
    assert!(!told["reason"].as_str().unwrap().is_empty() && told["recall"].is_null());
    assert!((0..20).all(|row| ids(dir.path())[[row, 0]] == row as i64));
    let scores: Array2<f32> = ndarray_npy::read_npy(dir.path().join("scores.npy")).unwrap();
    assert!(scores.column(0).iter().all(|score| 0.999 < *score));
}

#[test]
fn a_graph_is_written_once_and_read_again() {
    let dir = folder();
    let graph = ["--method", "hnsw", "--metric", "l2", "--index", "graph.bin", "--audit", "10"];
    let told = json(&neighbors(dir.path(), &graph));
    assert_eq!((told["method"].as_str(), told["reason"].as_str()), (Some("hnsw"), Some("it was asked for")));
    assert!(0.95 <= told["recall"].as_f64().unwrap());
    let (bytes, first) = (std::fs::read(dir.path().join("graph.bin")).unwrap(), ids(dir.path()));
    let again = neighbors(dir.path(), &[&graph[..], &["--threads", "1", "--beam", "64"]].concat());
    assert!(again.status.success(), "{again:?}");
    assert_eq!((std::fs::read(dir.path().join("graph.bin")).unwrap(), ids(dir.path())), (bytes, first));

    let other = neighbors(dir.path(), &["--method", "hnsw", "--index", "graph.bin"]);
    assert_eq!(other.status.code(), Some(2));
    assert!(json(&other)["error"]["message"].as_str().unwrap().contains("\"l2\""), "{other:?}");
}

#[test]
fn a_damaged_graph_is_refused_and_left_alone() {
    let dir = folder();
    let graph = ["--method", "hnsw", "--index", "graph.bin"];
    assert!(neighbors(dir.path(), &graph).status.success());
    let path = dir.path().join("graph.bin");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let refused = neighbors(dir.path(), &graph);
    assert_eq!(refused.status.code(), Some(1));
    let message = json(&refused)["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("graph.bin") && message.contains("checksum"), "{message}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn only_allowed_rows_come_back() {
    let dir = folder();
    let allowed: Array1<i64> = (0..3000).filter(|row| row % 3 == 1).collect();
    ndarray_npy::write_npy(dir.path().join("allowed.npy"), &allowed).unwrap();
    for method in ["exact", "hnsw"] {
        let output = neighbors(dir.path(), &["--method", method, "--allowed", "allowed.npy"]);
        assert!(output.status.success(), "{output:?}");
        assert!(ids(dir.path()).iter().all(|row| row % 3 == 1));
    }
    ndarray_npy::write_npy(dir.path().join("allowed.npy"), &array![3000i64]).unwrap();
    let unknown = neighbors(dir.path(), &["--allowed", "allowed.npy"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(json(&unknown)["error"]["message"].as_str().unwrap().contains("row 3000, expected 0 to 2999"));
}

#[test]
fn an_exact_scan_has_no_index_file() {
    let dir = folder();
    let refused = neighbors(dir.path(), &["--method", "exact", "--index", "graph.bin"]);
    assert_eq!(refused.status.code(), Some(2));
    let zero = neighbors(dir.path(), &["--method", "hnsw", "--beam", "0"]);
    assert!(json(&zero)["error"]["message"].as_str().unwrap().contains("search_beam is 0"), "{zero:?}");
}
