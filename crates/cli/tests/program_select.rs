//! `select METHOD` as people and scripts call it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::path::Path;
use std::process::{Command, Output};

use labelloop_coreset::select::Method;
use ndarray::{Array1, Array2};

/// A folder with 40 rows of four crowds, the last row far from all, and what may go with them.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let rows = Array2::from_shape_fn((40, 3), |(i, j)| {
        let crowd = (i % 4) as f32 * 5.0 + 1.0;
        if i == 39 { 99.0 } else { crowd + ((i * 7 + j * 13) as f32 * 1.7).sin() }
    });
    ndarray_npy::write_npy(dir.path().join("rows.npy"), &rows).unwrap();
    ndarray_npy::write_npy(dir.path().join("labelled.npy"), &Array1::from(vec![0i64, 39])).unwrap();
    ndarray_npy::write_npy(dir.path().join("groups.npy"), &Array1::from_shape_fn(40, |i| -((i % 4) as i64)))
        .unwrap();
    ndarray_npy::write_npy(dir.path().join("weights.npy"), &Array1::from_shape_fn(40, |i| (i % 3) as f64))
        .unwrap();
    dir
}

fn select(dir: &Path, method: &str, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_labelloop"))
        .current_dir(dir)
        .args(["select", method, "rows.npy", "--out", "ids.npy", "--json"])
        .args(more)
        .output()
        .unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| unreachable!("{e}: {output:?}"))
}

fn ids(dir: &Path) -> Vec<i64> {
    ndarray_npy::read_npy::<_, Array1<i64>>(dir.join("ids.npy")).unwrap().to_vec()
}

#[test]
fn every_method_selects_and_gives_reasons() {
    let dir = folder();
    for method in Method::names() {
        let more = ["-k", "6", "--labeled", "labelled.npy", "--weights", "weights.npy", "--metric", "cosine"];
        let told = json(&select(dir.path(), method, &more));
        assert_eq!(told["picks"].as_array().unwrap().len(), 6, "{method}");
        let ids = ids(dir.path());
        assert!(ids.iter().all(|id| (1..39).contains(id)), "{method} {ids:?}");
        assert_eq!(told["ended"], "full");
        assert!(told["picks"][0]["reason"]["text"].as_str().unwrap().len() > 5);
        let again = json(&select(dir.path(), method, &[&more[..], &["--threads", "1"]].concat()));
        assert_eq!(again, told, "{method}");
    }
}

#[test]
fn quotas_and_distances_are_kept() {
    let dir = folder();
    let told =
        json(&select(dir.path(), "k-center", &["-k", "40", "--groups", "groups.npy", "--per-group", "2"]));
    assert_eq!((told["ended"].as_str(), ids(dir.path()).len()), (Some("quota_reached"), 8));
    let told = json(&select(
        dir.path(),
        "random",
        &["-k", "40", "--min-distance", "4", "--labeled", "labelled.npy"],
    ));
    assert_eq!(told["ended"], "min_distance");
    assert!(ids(dir.path()).len() < 10);
}

#[test]
fn objectives_are_mixed_and_parameters_set() {
    let dir = folder();
    let more = ["-k", "5", "--param", "radius={\"fixed\":2.0}", "--objective", "uniqueness=-0.5"];
    let told = json(&select(dir.path(), "prob-cover", &more));
    assert_eq!(told["picks"][0]["reason"]["data"]["parts"][1]["strength"], -0.5);
    assert_eq!(told["params"]["objectives"][0]["radius"]["fixed"], 2.0);
}

#[test]
fn wrong_usage_and_wrong_files_are_told_apart() {
    let dir = folder();
    let status =
        |method, more: &[&str]| select(dir.path(), method, &[&["-k", "2"], more].concat()).status.code();
    assert_eq!(status("best", &[]), Some(2));
    assert_eq!(status("random", &["--objective", "best=1"]), Some(2));
    assert_eq!(status("random", &["--objective", "zcore=much"]), Some(2));
    assert_eq!(status("random", &["--min-distance", "NaN"]), Some(2));
    assert_eq!(status("zcore", &["--param", "n_draw=5"]), Some(2));
    assert_eq!(status("random", &["--per-group", "2"]), Some(2));
    assert_eq!(status("random", &["--weights", "labelled.npy"]), Some(1));
    assert_eq!(status("random", &["--labeled", "groups.npy"]), Some(1));
    ndarray_npy::write_npy(dir.path().join("few.npy"), &Array1::from(vec![1.0f64])).unwrap();
    let few = select(dir.path(), "random", &["-k", "2", "--weights", "few.npy"]);
    assert_eq!(json(&few)["error"]["message"], "few.npy: 1 entries, expected 40, one for each row");
}

#[test]
fn reasons_name_rows_in_the_numbers_of_the_file() {
    let dir = folder();
    let told = json(&select(dir.path(), "k-center", &["-k", "9", "--labeled", "labelled.npy"]));
    let ids = ids(dir.path());
    for pick in told["picks"].as_array().unwrap() {
        let nearest = &pick["reason"]["data"]["nearest"];
        match nearest["pick"].as_i64() {
            Some(row) => assert!(ids.contains(&row), "{row} in {ids:?}"),
            None => assert!([Some(0), Some(39)].contains(&nearest["labelled"].as_i64()), "{nearest}"),
        }
    }
}
