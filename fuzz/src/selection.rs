use labelloop_coreset::Metric;
use labelloop_coreset::select::{
    Balance, Candidates, Ended, Method, Search, SelectParams, Selection, Weighted,
};
use ndarray::Array2;

use crate::bytes::Bytes;

/// Rows, labelled rows, groups, weights and parameters made of the bytes: refused, or selected from as promised.
pub fn select(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let params = params(&mut bytes);
    let (n_rows, n_dims, n_labelled) = (bytes.below(14), bytes.below(4), bytes.below(4));
    let k = bytes.below(17);
    let parts = bytes.byte();
    let groups: Vec<u32> = (0..n_rows).map(|_| bytes.below(3) as u32).collect();
    let weights: Vec<f64> = (0..n_rows).map(|_| bytes.number()).collect();
    let mut array = |rows| Array2::from_shape_simple_fn((rows, n_dims), || bytes.number() as f32);
    let (labelled, rows) = (array(n_labelled), array(n_rows));
    let Ok(mut candidates) = Candidates::new(rows.view()) else { return };
    if parts & 1 > 0 {
        let Ok(given) = candidates.given(labelled.view()) else { return };
        candidates = given;
    }
    if parts & 2 > 0 {
        candidates = candidates.grouped(&groups).expect("one group for each row");
    }
    if parts & 4 > 0 {
        let Ok(weighted) = candidates.weighted(&weights) else { return };
        candidates = weighted;
    }
    let Ok(found) = params.select(&candidates, k) else { return };
    check(&found, n_rows, k);
    if let (Some(most), true) = (params.per_group, parts & 2 > 0) {
        let of = |group| found.picks.iter().filter(|pick| groups[pick.row] == group).count();
        assert!((0..3).all(|group| of(group) <= most), "a group has more than its quota");
    }
    assert_eq!(params.select(&candidates, k).as_ref(), Ok(&found), "the same again");
}

fn params(bytes: &mut Bytes<'_>) -> SelectParams {
    let names = Method::names();
    let objectives = (0..1 + bytes.below(4) / 2).map(|_| {
        let method = Method::from_name(names[bytes.below(names.len())]).expect("a name of the list");
        Weighted { method, strength: if bytes.below(4) == 0 { -bytes.number() } else { 1.0 } }
    });
    SelectParams {
        objectives: objectives.collect(),
        balance: if bytes.below(2) == 0 { Balance::EachStep } else { Balance::FirstStep },
        search: if bytes.below(3) == 0 {
            Search::Stochastic { epsilon: bytes.number() }
        } else {
            Search::Exact
        },
        per_group: Some(bytes.below(4)).filter(|n| *n > 0),
        min_distance: Some(bytes.number()).filter(|d| *d < 64.0),
        metric: if bytes.below(3) == 0 { Metric::Cosine } else { Metric::L2 },
        seed: u64::from(bytes.byte()),
    }
}

fn check(found: &Selection, n_rows: usize, k: usize) {
    let mut picked = vec![false; n_rows];
    for (rank, pick) in found.picks.iter().enumerate() {
        assert!(!std::mem::replace(&mut picked[pick.row], true), "row {} was picked twice", pick.row);
        assert_eq!(pick.rank, rank);
        assert!(!pick.reason.to_string().is_empty());
    }
    let n = found.picks.len();
    let sound = match found.ended {
        Ended::Full => n == k,
        Ended::RowsExhausted => n == n_rows && n < k,
        Ended::QuotaReached | Ended::MinDistance => n < k && n < n_rows,
    };
    assert!(sound, "{n} of {n_rows} rows, {k} asked for: {:?}", found.ended);
}
