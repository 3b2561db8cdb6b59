//! `iou3d` as people and scripts call it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::process::{Command, Output};

use ndarray::Array2;
use ndarray_npy::{ReadNpyExt, WriteNpyExt};

fn iou3d(rows: &Array2<f64>) -> (Output, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let (pairs, out) = (dir.path().join("pairs.npy"), dir.path().join("out.npy"));
    rows.write_npy(std::fs::File::create(&pairs).unwrap()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_labelloop"))
        .args(["iou3d", pairs.to_str().unwrap(), "--out", out.to_str().unwrap()])
        .output()
        .unwrap();
    (output, dir)
}

#[test]
fn rows_of_pairs_become_rows_of_overlaps() {
    let car = [1.0, 2.0, 0.5, 4.0, 2.0, 1.5, 0.3];
    let flat = [1.0, 2.0, 0.5, 4.0, 0.0, 1.5, 0.3];
    let rows = Array2::from_shape_vec((2, 14), [car, car, car, flat].concat()).unwrap();
    let (output, dir) = iou3d(&rows);
    assert!(output.status.success(), "{output:?}");
    let out = Array2::<f64>::read_npy(std::fs::File::open(dir.path().join("out.npy")).unwrap()).unwrap();
    assert_eq!(out.row(0).to_vec(), [8.0, 1.0, 12.0, 1.0]);
    assert_eq!(out.row(1).to_vec(), [0.0; 4]);
}

#[test]
fn rows_that_are_no_cuboids_are_named() {
    let mut rows = Array2::<f64>::ones((2, 14));
    rows[[1, 4]] = -2.0;
    let (output, _dir) = iou3d(&rows);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(told.contains("pairs.npy, row 1") && told.contains("width is -2"), "{told}");
    let (output, _dir) = iou3d(&Array2::ones((2, 7)));
    assert!(String::from_utf8(output.stderr).unwrap().contains("7 columns, expected 14"));
}
