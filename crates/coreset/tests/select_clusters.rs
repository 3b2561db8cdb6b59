//! Clusterings as methods of `select`: the picks are those of the definitions.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use labelloop_core::Seed;
use labelloop_coreset::select::{Candidates, Ended, Method, Reason, SelectParams};
use labelloop_coreset::{Metric, isolation};
use ndarray::{Array2, Axis, concatenate};
use proptest::prelude::*;

const CLUSTERINGS: [&str; 3] = ["k-means", "k-medoids", "typiclust"];

fn by(name: &str) -> SelectParams {
    SelectParams::by(Method::from_name(name).unwrap())
}

/// Groups of rows far from each other, the first the largest.
fn blobs(seed: u64, sizes: &[usize]) -> (Array2<f32>, Vec<usize>) {
    let of: Vec<usize> = sizes.iter().enumerate().flat_map(|(blob, n)| vec![blob; *n]).collect();
    let s = Seed::new(seed);
    let rows = Array2::from_shape_fn((of.len(), 3), |(i, j)| {
        let center = if j == of[i] % 3 { 100.0 * (1 + of[i] / 3) as f64 } else { 0.0 };
        (center + s.normal((3 * i + j) as u64)) as f32
    });
    (rows, of)
}

fn distance(rows: &Array2<f32>, a: usize, b: usize) -> f64 {
    Metric::L2.score(rows.row(a), rows.row(b))
}

#[test]
fn one_row_of_each_blob_the_largest_first() {
    let (rows, of) = blobs(1, &[30, 20, 12, 8]);
    for name in CLUSTERINGS {
        let found = by(name).select(&Candidates::new(rows.view()).unwrap(), 4).unwrap();
        let blobs: Vec<usize> = found.rows().into_iter().map(|row| of[row]).collect();
        assert_eq!(blobs, [0, 1, 2, 3], "{name}");
        assert!(matches!(found.picks[0].reason, Reason::Cluster { size: 30, known: 0, .. }), "{name}");
    }
}

#[test]
fn k_medoids_picks_medoids() {
    let (rows, of) = blobs(2, &[15, 9]);
    let found = by("k-medoids").select(&Candidates::new(rows.view()).unwrap(), 2).unwrap().rows();
    for (blob, picked) in found.into_iter().enumerate() {
        let members: Vec<usize> = (0..rows.nrows()).filter(|row| of[*row] == blob).collect();
        let sum = |row: usize| members.iter().map(|other| distance(&rows, row, *other)).sum::<f64>();
        assert!(members.iter().all(|row| sum(picked) <= sum(*row) + 1e-5));
    }
}

#[test]
fn k_means_picks_the_row_nearest_to_each_mean() {
    let (rows, of) = blobs(3, &[15, 9]);
    let found = by("k-means").select(&Candidates::new(rows.view()).unwrap(), 2).unwrap().rows();
    for (blob, picked) in found.into_iter().enumerate() {
        let members: Vec<usize> = (0..rows.nrows()).filter(|row| of[*row] == blob).collect();
        let mean = rows.select(Axis(0), &members).mean_axis(Axis(0)).unwrap();
        let to_mean = |row: usize| Metric::L2.score(rows.row(row), mean.view());
        assert!(members.iter().all(|row| to_mean(picked) <= to_mean(*row) + 1e-4));
    }
}

#[test]
fn what_is_labelled_is_not_picked_again() {
    let (rows, of) = blobs(4, &[30, 20, 12]);
    let labelled = rows.select(Axis(0), &[0, 55]);
    for name in CLUSTERINGS {
        let candidates = Candidates::new(rows.view()).unwrap().given(labelled.view()).unwrap();
        let found = by(name).select(&candidates, 1).unwrap().rows();
        assert_eq!(of[found[0]], 1, "{name}");
    }
}

#[test]
fn a_quota_moves_picks_to_other_clusters() {
    let (rows, of) = blobs(5, &[30, 20]);
    let groups: Vec<u32> = of.iter().map(|blob| *blob as u32).collect();
    for name in CLUSTERINGS {
        let candidates = Candidates::new(rows.view()).unwrap().grouped(&groups).unwrap();
        let found = SelectParams { per_group: Some(3), ..by(name) }.select(&candidates, 9).unwrap();
        assert_eq!((found.picks.len(), found.ended), (6, Ended::QuotaReached), "{name}");
    }
}

#[test]
fn isolation_of_labelled_rows_copies_is_none() {
    let (rows, _) = blobs(6, &[9, 9]);
    let far = Array2::from_elem((1, 3), 5000.0f32);
    let pool = concatenate(Axis(0), &[rows.view(), far.view()]).unwrap();
    let first = by("isolation").select(&Candidates::new(pool.view()).unwrap(), 1).unwrap();
    assert_eq!(first.rows(), [18]);
    let labelled = Array2::from_elem((3, 3), 5000.0f32);
    assert_eq!(isolation(pool.view(), Some(labelled.view())).unwrap()[18], 0.0);
    let given = Candidates::new(pool.view()).unwrap().given(labelled.view()).unwrap();
    assert_ne!(by("isolation").select(&given, 1).unwrap().rows(), [18]);
}

proptest! {
    #[test]
    fn clusterings_pick_one_row_of_each_blob(seed: u64, sizes in prop::collection::vec(6usize..20, 1..5)) {
        let (rows, of) = blobs(seed, &sizes);
        for name in CLUSTERINGS {
            for metric in [Metric::L2, Metric::Cosine] {
                let params = SelectParams { metric, seed, ..by(name) };
                let found = params.select(&Candidates::new(rows.view()).unwrap(), sizes.len()).unwrap();
                prop_assert_eq!(found.picks.len(), sizes.len());
                // Under cosine blobs of one direction are one.
                if metric == Metric::L2 && name == "k-medoids" {
                    let mut blobs: Vec<usize> = found.rows().into_iter().map(|row| of[row]).collect();
                    blobs.sort_unstable();
                    blobs.dedup();
                    prop_assert_eq!(blobs.len(), sizes.len());
                }
            }
        }
    }
}
