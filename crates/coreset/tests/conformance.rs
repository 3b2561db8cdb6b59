//! ZCore against cases computed by the reference in numpy, with explicit draws.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::path::{Path, PathBuf};

use labelloop_coreset::{DrawPlan, ZCoreParams, ZCoreScores, rank_by_score};
use ndarray::{Array1, Array2};
use ndarray_npy::{ReadableElement, read_npy};
use serde::Deserialize;

const CASES: [&str; 7] = [
    "dim3_400x16",
    "dups_600x24",
    "gauss_500x32",
    "official_1000x64",
    "relu_1000x64",
    "seed_params_130x512",
    "tiny_3x8",
];

#[derive(Deserialize)]
struct Case {
    redund_nn: usize,
    redund_exp: f64,
    eps: f64,
}

fn folder() -> Option<PathBuf> {
    let root = std::env::var_os("LABELLOOP_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let folder = root.join("conformance/coreset");
    folder.is_dir().then_some(folder)
}

fn read<T: ReadableElement + Copy>(folder: &Path, name: &str) -> Vec<T> {
    read_npy::<_, Array1<T>>(folder.join(name)).unwrap().to_vec()
}

fn scored(folder: &Path) -> ZCoreScores {
    let case: Case = serde_json::from_slice(&std::fs::read(folder.join("case.json")).unwrap()).unwrap();
    let rows: Array2<f32> = read_npy(folder.join("emb_f32.npy")).unwrap();
    let plan = DrawPlan {
        dims: read_npy(folder.join("dims_u32.npy")).unwrap(),
        points: read_npy(folder.join("points_f64.npy")).unwrap(),
    };
    let params = ZCoreParams {
        n_neighbours: case.redund_nn,
        exponent: case.redund_exp,
        eps: case.eps,
        ..Default::default()
    };
    let drawn = params.score_plan(rows.view(), &plan).unwrap();
    let initial: Vec<f64> = read(folder, "init_f64.npy");
    ZCoreScores::from_raw(initial.iter().zip(&drawn.raw).map(|(i, r)| i + r).collect())
}

fn ranking(scores: &[f64]) -> Vec<usize> {
    let rows: Vec<usize> = (0..scores.len()).collect();
    rank_by_score(scores, &rows).unwrap().iter().map(|s| s.row).collect()
}

#[test]
fn seven_cases_agree_with_the_reference() {
    let Some(root) = folder() else {
        eprintln!("left out: the coreset conformance cases were not found; set LABELLOOP_SHARED");
        return;
    };
    for case in CASES {
        let folder = root.join(case);
        let ours = scored(&folder);
        let theirs: Vec<f64> = read(&folder, "raw_canonical_f64.npy");
        let worst = ours.raw.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst <= 1e-6, "{case}: scores differ by {worst}");
        assert_eq!(ranking(&ours.raw), ranking(&theirs), "{case}: selections differ");
        println!("{case}: worst difference {worst:e}");
    }
}

#[test]
fn normalised_scores_agree_where_the_reference_is_canonical() {
    let Some(root) = folder() else {
        eprintln!("left out: the coreset conformance cases were not found; set LABELLOOP_SHARED");
        return;
    };
    // With exact duplicates the reference depends on its sorting routine, so that case has no canonical scores.
    for case in CASES.into_iter().filter(|case| !case.starts_with("dups")) {
        let folder = root.join(case);
        let theirs: Vec<f32> = read(&folder, "score_f64.npy");
        for (row, (a, b)) in scored(&folder).normalised.iter().zip(&theirs).enumerate() {
            assert!((a - b).abs() <= 1e-6, "{case}, row {row}: {a} against {b}");
        }
    }
}
