//! Clusterings, outliers and uniqueness against values of other tools; see golden/SOURCE.md.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::path::Path;

use labelloop_coreset::select::{Candidates, Method, SelectParams};
use labelloop_coreset::{
    KMeansParams, KMedoidsParams, MeanShiftParams, OutlierParams, OutlierScore, TypiClustParams, uniqueness,
};
use ndarray::Array2;
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Deserialize)]
struct Golden<T> {
    cases: Vec<T>,
}

fn cases<T: DeserializeOwned>(name: &str, at_least: usize) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/cluster_{name}.json"));
    let golden: Golden<T> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert!(golden.cases.len() >= at_least, "the number of cases only rises");
    golden.cases
}

fn rows(rows: &[Vec<f32>]) -> Array2<f32> {
    Array2::from_shape_fn((rows.len(), rows[0].len()), |(i, j)| rows[i][j])
}

fn close(found: &[f64], expected: &[f64], relative: f64) {
    assert_eq!(found.len(), expected.len());
    for (row, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= relative * e.abs().max(1e-3), "row {row}: {f} instead of {e}");
    }
}

/// Whether two labellings are the same but for the names of labels.
fn same_partition(a: &[u32], b: &[u32]) -> bool {
    a.len() == b.len() && (0..a.len()).all(|i| (0..i).all(|j| (a[i] == a[j]) == (b[i] == b[j])))
}

#[derive(Deserialize)]
struct Outliers {
    rows: Vec<Vec<f32>>,
    n_neighbours: usize,
    lof: Vec<f64>,
    kth: Vec<f64>,
    mean: Vec<f64>,
}

#[test]
fn outliers_are_those_of_scikit_learn() {
    for case in cases::<Outliers>("outliers", 4) {
        let by = |score| {
            let params = OutlierParams { n_neighbours: case.n_neighbours, score };
            params.score(rows(&case.rows).view()).unwrap()
        };
        close(&by(OutlierScore::Lof), &case.lof, 1e-9);
        close(&by(OutlierScore::Kth), &case.kth, 1e-9);
        close(&by(OutlierScore::Mean), &case.mean, 1e-9);
    }
}

#[derive(Deserialize)]
struct Unique {
    rows: Vec<Vec<f32>>,
    uniqueness: Vec<f64>,
}

#[test]
fn uniqueness_is_its_definition_over_neighbours_of_scikit_learn() {
    for case in cases::<Unique>("uniqueness", 3) {
        let found: Vec<f64> =
            uniqueness(rows(&case.rows).view()).unwrap().into_iter().map(f64::from).collect();
        close(&found, &case.uniqueness, 1e-6);
    }
}

#[derive(Deserialize)]
struct Means {
    rows: Vec<Vec<f32>>,
    k: usize,
    apart: bool,
    labels: Vec<u32>,
    inertia: f64,
}

#[test]
fn k_means_ends_where_scikit_learn_does() {
    for case in cases::<Means>("k_means", 3) {
        let n_starts = if case.apart { 1 } else { 20 };
        let params = KMeansParams { k: case.k, n_starts, tolerance: 0.0, ..Default::default() };
        let found = params.fit(rows(&case.rows).view()).unwrap();
        if case.apart {
            assert!(same_partition(&found.assigned, &case.labels));
            close(&[found.inertia], &[case.inertia], 1e-5);
        }
        assert!(found.inertia <= 1.1 * case.inertia && case.inertia <= found.inertia * (1.0 + 1e-5));
    }
}

#[derive(Deserialize)]
struct Medoids {
    rows: Vec<Vec<f32>>,
    k: usize,
    start: Vec<usize>,
    medoids: Vec<usize>,
    loss: f64,
    best_of_200: f64,
}

#[test]
fn k_medoids_walks_where_fasterpam_does() {
    for case in cases::<Medoids>("k_medoids", 4) {
        let params = KMedoidsParams { k: case.k, ..Default::default() };
        let walked = params.check().unwrap().fit_from(rows(&case.rows).view(), &case.start).unwrap();
        close(&[walked.loss], &[case.loss], 1e-6);
        // Where two rows serve as well as each other, either may be the medoid.
        let shared = walked.medoids.iter().filter(|row| case.medoids.contains(row)).count();
        assert!(shared + 1 >= case.k, "{:?} instead of {:?}", walked.medoids, case.medoids);
        let found = params.fit(rows(&case.rows).view()).unwrap();
        assert!(found.loss <= 1.03 * case.best_of_200 && case.best_of_200 <= found.loss * (1.0 + 1e-6));
    }
}

#[derive(Deserialize)]
struct Typical {
    rows: Vec<Vec<f32>>,
    n_neighbours: usize,
    n_picks: usize,
    picks: Vec<usize>,
}

#[test]
fn typiclust_picks_what_scikit_activeml_picks() {
    for case in cases::<Typical>("typiclust", 3) {
        let typical = TypiClustParams { n_neighbours: case.n_neighbours, ..Default::default() };
        let rows = rows(&case.rows);
        let params = SelectParams::by(Method::Typiclust(typical));
        let found = params.select(&Candidates::new(rows.view()).unwrap(), case.n_picks).unwrap();
        // The order of clusters that are equally covered is by size with us and not defined there.
        let sorted = |mut rows: Vec<usize>| {
            rows.sort_unstable();
            rows
        };
        assert_eq!(sorted(found.rows()), sorted(case.picks));
    }
}

#[derive(Deserialize)]
struct Shifts {
    rows: Vec<Vec<f32>>,
    bandwidth: Option<f64>,
    centers: Vec<Vec<f32>>,
}

#[test]
fn mean_shift_rests_where_scikit_learn_does() {
    for case in cases::<Shifts>("mean_shift", 3) {
        let params = MeanShiftParams { bandwidth: case.bandwidth, ..Default::default() };
        let found = params.centers(rows(&case.rows).view()).unwrap();
        let expected = rows(&case.centers);
        assert_eq!(found.dim(), expected.dim());
        for (f, e) in found.iter().zip(&expected) {
            assert!((f - e).abs() <= 1e-4, "{found:?} instead of {expected:?}");
        }
    }
}
