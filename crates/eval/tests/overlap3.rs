//! Overlap of cuboids against values of high-precision arithmetic.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test tells what it measured and left out"
)]

use std::path::PathBuf;

use labelloop_core::{Cuboid, CuboidFrame, CuboidOrigin, Rotation};
use labelloop_eval::overlap3::{BatchF32, BatchF64, Upright, bev_matrix, iou_3d, iou_3d_matrix};
use serde::Deserialize;

fn shared(file: &str) -> Option<String> {
    let folder = std::env::var_os("LABELLOOP_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let path = folder.join("conformance/eval3d").join(file);
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        eprintln!("left out: {} is not there", path.display());
    }
    text
}

#[derive(Deserialize)]
struct YawPair {
    category: String,
    a: [f64; 7],
    b: [f64; 7],
    inter_bev: f64,
    iou_bev: f64,
    inter_vol: f64,
    iou_3d: f64,
}

fn yaw_pairs() -> Vec<YawPair> {
    let text = shared("yaw_pairs.jsonl").unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn upright_pairs_of_all_categories_are_exact_to_rounding() {
    let mut worst: std::collections::BTreeMap<String, [f64; 3]> = std::collections::BTreeMap::new();
    for pair in yaw_pairs() {
        let (a, b) = (Upright::from_row(pair.a).unwrap(), Upright::from_row(pair.b).unwrap());
        let found = a.overlap(&b);
        assert_eq!(found, b.overlap(&a), "the same bits either way");
        assert!((0.0..=1.0).contains(&found.iou_bev) && (0.0..=1.0).contains(&found.iou_3d));
        let volume = pair.a[3] * pair.a[4] * pair.a[5];
        let errors = [
            (found.iou_bev - pair.iou_bev).abs(),
            (found.iou_3d - pair.iou_3d).abs(),
            ((found.inter_bev - pair.inter_bev) / (pair.a[3] * pair.a[4]))
                .abs()
                .max(((found.inter_vol - pair.inter_vol) / volume).abs()),
        ];
        let worst = worst.entry(pair.category.clone()).or_default();
        (0..3).for_each(|i| worst[i] = worst[i].max(errors[i]));
        if pair.category == "identical" {
            assert_eq!((found.iou_bev, found.iou_3d), (1.0, 1.0));
        }
    }
    for (category, errors) in worst {
        println!(
            "{category:<22} IoU BEV {:.1e}, 3D {:.1e}, shared parts {:.1e}",
            errors[0], errors[1], errors[2]
        );
        assert!(errors.iter().all(|e| *e <= 1e-13), "{category}: {errors:?}");
    }
}

#[test]
fn matrices_hold_the_pairs() {
    let pairs = yaw_pairs();
    let boxes = |of: fn(&YawPair) -> [f64; 7]| -> Vec<Upright> {
        pairs.iter().step_by(9).map(|p| Upright::from_row(of(p)).unwrap()).collect()
    };
    let (a, b) = (boxes(|p| p.a), boxes(|p| p.b));
    let (bev, volume) = (bev_matrix(&a, &b), iou_3d_matrix(&a, &b));
    for (i, row) in a.iter().enumerate() {
        for (j, column) in b.iter().enumerate() {
            let expected = row.overlap(column);
            assert_eq!(bev[i * b.len() + j], expected.iou_bev, "{i} {j}");
            assert_eq!(volume[i * b.len() + j], expected.iou_3d, "{i} {j}");
        }
    }
}

#[test]
fn batches_of_single_precision_are_near() {
    let mut worst = 0.0f64;
    for pair in yaw_pairs() {
        if pair.category == "thin" || pair.category == "small" {
            continue;
        }
        let [a, b] = [pair.a, pair.b]
            .map(|row| BatchF32::new(&[Upright::from_row(row).unwrap()], [pair.a[0], pair.a[1]]));
        let mut out = [0.0];
        a.iou_bev(&b, &mut out);
        worst = worst.max((f64::from(out[0]) - pair.iou_bev).abs());
    }
    println!("worst error of the f32 batch: {worst:.1e}");
    assert!(worst < 1e-5, "{worst}");
}

#[test]
fn batches_of_double_precision_are_exact_to_rounding() {
    for pair in yaw_pairs() {
        let [a, b] = [pair.a, pair.b]
            .map(|row| BatchF64::new(&[Upright::from_row(row).unwrap()], [pair.a[0], pair.a[1]]));
        let mut out = [0.0];
        a.iou_bev(&b, &mut out);
        assert!((out[0] - pair.iou_bev).abs() <= 1e-13, "{}: {} {}", pair.category, out[0], pair.iou_bev);
        if pair.category == "identical" {
            assert_eq!(out[0], 1.0);
        }
    }
}

#[derive(Deserialize)]
struct FullBox {
    center: [f64; 3],
    lwh: [f64; 3],
    quat_wxyz_unnormalised: [f64; 4],
}

#[derive(Deserialize)]
struct FullPair {
    cat: String,
    a: FullBox,
    b: FullBox,
    inter: f64,
    iou: f64,
}

impl FullBox {
    fn cuboid(&self) -> Cuboid {
        let norm = self.quat_wxyz_unnormalised.iter().map(|v| v * v).sum::<f64>().sqrt();
        let rotation = Rotation::Quaternion(self.quat_wxyz_unnormalised.map(|v| v / norm));
        Cuboid::posed(self.center, CuboidOrigin::Centre, self.lwh, rotation, CuboidFrame::Lidar).unwrap()
    }
}

#[test]
fn boxes_turned_about_all_axes_are_exact_to_rounding() {
    let Some(text) = shared("full_rotation_pairs.json") else { return };
    let pairs: Vec<FullPair> = serde_json::from_str(&text).unwrap();
    let mut worst: std::collections::BTreeMap<&str, f64> = std::collections::BTreeMap::new();
    for pair in &pairs {
        let (a, b) = (pair.a.cuboid(), pair.b.cuboid());
        let found = iou_3d(&a, &b).unwrap();
        assert!((0.0..=1.0).contains(&found));
        let back = found / (1.0 + found) * (a.volume() + b.volume());
        let error = (found - pair.iou).abs().max((back - pair.inter).abs() / a.volume());
        let worst = worst.entry(&pair.cat).or_default();
        *worst = worst.max(error);
    }
    for (category, error) in worst {
        println!("{category:<22} {error:.1e}");
        assert!(error <= 1e-12, "{category}: {error}");
    }
}

#[test]
fn special_pairs_are_numbers_or_errors() {
    let Some(text) = shared("special_pairs.json") else { return };
    let pairs: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let row = |v: &serde_json::Value| -> [f64; 7] {
        let of = |n: &serde_json::Value| match n.as_str() {
            Some("inf") => f64::INFINITY,
            _ => n.as_f64().unwrap_or(f64::NAN),
        };
        v.as_array().unwrap().iter().map(of).collect::<Vec<_>>().try_into().unwrap()
    };
    for pair in &pairs {
        let name = pair["name"].as_str().unwrap();
        let (a, b) = (Upright::from_row(row(&pair["a"])), Upright::from_row(row(&pair["b"])));
        let Some(expected) = pair["iou_3d"].as_f64() else {
            assert!(a.is_err() || b.is_err(), "{name}");
            continue;
        };
        let found = a.unwrap().overlap(&b.unwrap()).iou_3d;
        let tolerance = if name == "huge_vs_tiny" { 1e-36 } else { 1e-12 };
        assert!((found - expected).abs() <= tolerance, "{name}: {found} {expected}");
    }
}

#[test]
fn sizes_of_zero_are_refused_where_a_cuboid_is_made() {
    for size in [[0.0, 2.0, 2.0], [2.0, -2.0, 2.0], [f64::INFINITY, 2.0, 2.0], [2.0, f64::NAN, 2.0]] {
        assert!(Cuboid::new([0.0; 3], size, 0.0, CuboidFrame::Lidar).is_err());
    }
}
