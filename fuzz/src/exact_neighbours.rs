use labelloop_index::{ExactIndex, Metric, RowFilter, UseCodes};
use ndarray::Array2;

use crate::bytes::Bytes;

/// Any rows, queries, filter and k: an answer or an error, the same with codes and without, and the answer is that of sorting
/// all scores.
pub fn exact_neighbours(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let metric = [Metric::Cosine, Metric::Dot, Metric::L2][bytes.below(3)];
    let (n_dims, n_rows, n_queries, k) = (bytes.below(20), bytes.below(90), bytes.below(9), bytes.below(30));
    let filtered = bytes.below(2) == 1;
    let mask: Vec<bool> = (0..n_rows).map(|_| !filtered || bytes.below(3) != 0).collect();
    // The rest of the bytes, over and over, so that large arrays need no large input.
    let rest: Vec<f32> = std::iter::from_fn(|| (!bytes.is_empty()).then(|| bytes.number() as f32)).collect();
    let entry = |i: usize| rest.get(i % rest.len().max(1)).copied().unwrap_or(1.0);
    let pool = Array2::from_shape_fn((n_rows, n_dims), |(i, j)| entry(i * n_dims + j));
    let queries = Array2::from_shape_fn((n_queries, n_dims), |(i, j)| entry((i + 3) * (n_dims + 2) + j));
    let filter = RowFilter::from_mask(&mask);
    let answers = [UseCodes::Never, UseCodes::Always].map(|codes| {
        let index = ExactIndex::new(pool.view(), metric)?.with_codes(codes);
        index.search(queries.view(), k, Some(&filter))
    });
    // Errors hold what was found, and what was found may be NaN.
    assert_eq!(format!("{:?}", answers[0]), format!("{:?}", answers[1]), "codes change the answer");
    let Ok(found) = &answers[0] else { return };
    let sign = if metric.higher_is_closer() { -1.0 } else { 1.0 };
    for (query, row) in queries.rows().into_iter().enumerate() {
        let mut all: Vec<(f64, u32)> =
            (filter.rows()).map(|other| (sign * metric.score(row, pool.row(other)), other as u32)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let expected: Vec<u32> = all.into_iter().take(k).map(|(_, other)| other).collect();
        assert_eq!(found.ids.row(query).to_vec(), expected, "not the closest rows");
    }
}
