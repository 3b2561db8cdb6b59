use std::collections::BTreeSet;

use labelloop_coreset::select::{Candidates, Method, SelectParams};
use labelloop_coreset::{
    DuplicateParams, KMeansParams, KMedoidsParams, MeanShiftParams, Metric, OutlierParams, SearchPlan,
    isolation,
};
use ndarray::Array2;

/// Rows that are looked at.
const MOST: usize = 96;

/// Any numbers as rows: near-duplicates by two plans, clusterings, scores and selections.
///
/// The first byte gives the columns, the second k, the third the radius; the rest are numbers of four bytes.
pub fn clusterings(data: &[u8]) {
    let [columns, k, radius, numbers @ ..] = data else { return };
    let (n_columns, k) = (1 + usize::from(columns % 20), 1 + usize::from(k % 12));
    let values: Vec<f32> =
        numbers.chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect();
    let n = (values.len() / n_columns).min(MOST);
    let rows = Array2::from_shape_fn((n, n_columns), |(i, j)| values[i * n_columns + j]);
    let finite = rows.iter().all(|v| v.is_finite());
    for metric in [Metric::L2, Metric::Cosine] {
        duplicates(&rows, f64::from(*radius) / 64.0, metric, finite);
    }
    means(&rows, k, finite);
    medoids(&rows, k, finite);
    scores(&rows, finite);
    selections(&rows, k, finite);
}

fn duplicates(rows: &Array2<f32>, radius: f64, metric: Metric, finite: bool) {
    let by = |plan| DuplicateParams { radius, metric, plan, ..Default::default() };
    let [tree, products] =
        [SearchPlan::Projected, SearchPlan::Blocked].map(|plan| by(plan).pairs(rows.view()));
    assert_eq!(tree.as_ref().ok(), products.as_ref().ok(), "two plans, two answers");
    assert!(finite || tree.is_err(), "a number that is none was taken");
    let [tree, products] =
        [SearchPlan::Projected, SearchPlan::Blocked].map(|plan| by(plan).groups(rows.view(), None));
    assert_eq!(tree.as_ref().ok(), products.as_ref().ok(), "two plans, two answers");
    if let Ok(groups) = tree {
        let redundant: BTreeSet<usize> = groups.redundant_rows().collect();
        assert!(groups.groups.iter().all(|g| g.kept.iter().all(|row| !redundant.contains(row))));
    }
}

fn means(rows: &Array2<f32>, k: usize, finite: bool) {
    let found = KMeansParams { k, max_iterations: 20, ..Default::default() }.fit(rows.view());
    assert_eq!(found.is_ok(), finite);
    if let Ok(found) = found {
        assert!(found.centers.nrows() <= k && found.assigned.len() == rows.nrows());
        assert!(found.assigned.iter().all(|c| (*c as usize) < found.centers.nrows()));
        assert!(found.inertia.is_finite() && found.centers.iter().all(|v| v.is_finite()));
    }
}

fn medoids(rows: &Array2<f32>, k: usize, finite: bool) {
    let found = KMedoidsParams { k, ..Default::default() }.fit(rows.view());
    assert_eq!(found.is_ok(), finite);
    if let Ok(found) = found {
        let distinct: BTreeSet<usize> = found.medoids.iter().copied().collect();
        assert!(distinct.len() == found.medoids.len() && distinct.len() <= k && found.loss.is_finite());
    }
}

fn scores(rows: &Array2<f32>, finite: bool) {
    let outliers = OutlierParams { n_neighbours: 5, ..Default::default() }.score(rows.view());
    assert_eq!(outliers.is_ok(), finite);
    assert!(outliers.iter().flatten().all(|score| score.is_finite()));
    let alone = isolation(rows.view(), None);
    assert!(alone.iter().flatten().all(|score| (0.0..=1.0).contains(score)));
    let modes = MeanShiftParams { max_iterations: 30, ..Default::default() }.centers(rows.view());
    assert!(modes.iter().all(|centers| centers.nrows() <= rows.nrows()));
}

fn selections(rows: &Array2<f32>, k: usize, finite: bool) {
    let (labelled, pool) = rows.view().split_at(ndarray::Axis(0), rows.nrows() / 4);
    let Ok(candidates) = Candidates::new(pool).and_then(|c| c.given(labelled)) else {
        assert!(!finite);
        return;
    };
    for name in ["k-means", "k-means-plus-plus", "k-medoids", "typiclust", "isolation", "outlier"] {
        let method = Method::from_name(name).expect("the method is there");
        let found =
            SelectParams::by(method).select(&candidates, k).expect("finite rows can be selected from");
        let distinct: BTreeSet<usize> = found.rows().into_iter().collect();
        assert_eq!((distinct.len(), found.picks.len()), (k.min(pool.nrows()), k.min(pool.nrows())), "{name}");
    }
}
