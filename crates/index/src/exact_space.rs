use ndarray::{Array2, ArrayView2, Axis};

use crate::Metric;

/// The keys of a scan: for each query a number for each row, and the row with the highest one is closest.
///
/// `key = scale * (query . row) + weight * bias`, where the query is brought to a length of at most 1 and the scales see to it
/// that no row counts as longer than 1. So keys stay near 1 whatever the sizes of the numbers are, and their rounding error
/// has one bound.
///
/// | metric | query | scale | weight | bias |
/// |---|---|---|---|---|
/// | cosine | `q / norm(q)` | `1 / norm(x)` | 0 | 0 |
/// | dot | `q / norm(q)` | c | 0 | 0 |
/// | L2 | `2 c q / (1 + 2 c norm(q))` | c | `1 / (1 + 2 c norm(q))` | `-(c norm(x))^2` |
///
/// Here c is the power of two that brings the longest row to a length from 1/2 to 1. The keys of L2 rank by
/// `norm(q)^2 - norm(q - x)^2 = 2 q . x - norm(x)^2`.
#[derive(Debug, Clone)]
pub(crate) struct Space {
    metric: Metric,
    /// The rows brought to size, where products with the rows as they are could overflow or vanish.
    resized: Option<Array2<f32>>,
    pub(crate) scale: Vec<f32>,
    pub(crate) bias: Vec<f32>,
    /// The factor c.
    unit: f64,
}

/// Queries as a [`Space`] needs them.
#[derive(Debug, Clone)]
pub(crate) struct Keyed {
    /// Queries of length at most 1, shape: queries x dimensions.
    pub(crate) rows: Array2<f32>,
    pub(crate) weight: Vec<f32>,
    /// How far apart two keys of a query must be for their order to be certain.
    pub(crate) slack: Vec<f64>,
}

impl Space {
    pub(crate) fn new(pool: ArrayView2<'_, f32>, norms: &[f64], metric: Metric) -> Self {
        let longest = norms.iter().copied().fold(0.0, f64::max);
        let unit = if 0.0 < longest { (-longest.log2().ceil()).exp2() } else { 1.0 };
        let factor = |norm: f64| if metric == Metric::Cosine { 1.0 / norm } else { unit };
        let tame = norms.iter().all(|norm| *norm == 0.0 || is_tame(*norm));
        let resized = (!tame).then(|| {
            let mut rows = pool.to_owned();
            for (mut row, norm) in rows.axis_iter_mut(Axis(0)).zip(norms) {
                row.mapv_inplace(|x| (f64::from(x) * factor(*norm)) as f32);
            }
            rows
        });
        let scale = norms.iter().map(|norm| if tame { factor(*norm) as f32 } else { 1.0 }).collect();
        let bias = norms
            .iter()
            .map(|norm| if metric == Metric::L2 { -(unit * norm).powi(2) as f32 } else { 0.0 })
            .collect();
        Self { metric, resized, scale, bias, unit }
    }

    /// The rows that keys are computed of.
    pub(crate) fn rows<'a>(&'a self, pool: &'a Array2<f32>) -> &'a Array2<f32> {
        self.resized.as_ref().unwrap_or(pool)
    }

    /// Queries brought to size. `norms` are their lengths.
    pub(crate) fn keyed(&self, queries: ArrayView2<'_, f32>, norms: &[f64]) -> Keyed {
        let mut rows = queries.to_owned();
        let (mut weight, mut slack) = (Vec::with_capacity(norms.len()), Vec::with_capacity(norms.len()));
        for (mut row, norm) in rows.axis_iter_mut(Axis(0)).zip(norms) {
            let reach = 2.0 * self.unit * norm;
            let (length, share) = match self.metric {
                Metric::L2 => (reach / (1.0 + reach), 1.0 / (1.0 + reach)),
                Metric::Cosine | Metric::Dot => (1.0, 0.0),
            };
            // In two steps, as the quotient of lengths alone may overflow.
            row.mapv_inplace(|q| if *norm == 0.0 { 0.0 } else { (f64::from(q) / norm * length) as f32 });
            weight.push(share as f32);
            // The score itself is computed in f64: where a query is so far away that its distances to the rows are alike to
            // f64's last digits, those digits decide, and the keys must leave all such rows in.
            let distance = if self.metric == Metric::L2 { (1.0 + 0.5 * reach).powi(2) * share } else { 0.0 };
            let rounding = (queries.ncols() as f64 + 16.0) * f64::EPSILON * distance;
            slack.push(slack_of(queries.ncols()) * (length + share) + rounding);
        }
        Keyed { rows, weight, slack }
    }
}

/// How far apart two keys of size 1 must be for their order to be certain.
///
/// With the unit roundoff `u = 2^-24`, a product of length d is wrong by at most `d u / (1 - d u)` times the lengths of the
/// two (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1), in whatever order it is summed, with fused
/// additions or without. Entries, scales, weights and biases are rounded once each, and the key twice: together less than
/// 8 u. Two keys are wrong by twice that, and twice u is f32's epsilon.
fn slack_of(n_dims: usize) -> f64 {
    let steps = n_dims as f64 + 16.0;
    let lost = steps * f64::from(f32::EPSILON);
    // Numbers below the smallest normal one lose at most 2^-150 each; 1e-30 is more than any row has of them.
    if lost < 0.5 { lost / (1.0 - lost) + 1e-30 } else { f64::INFINITY }
}

/// Whether products with numbers of this size stay well inside the range of f32.
fn is_tame(norm: f64) -> bool {
    (1e-9..=1e9).contains(&norm)
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;
    use crate::Role;
    use crate::checks::checked_norms;

    fn key(space: &Space, pool: &Array2<f32>, keyed: &Keyed, query: usize, row: usize) -> f64 {
        let (q, x) = (keyed.rows.row(query), space.rows(pool).row(row).to_owned());
        let dot: f64 = q.iter().zip(&x).map(|(q, x)| f64::from(*q) * f64::from(*x)).sum();
        f64::from(space.scale[row]) * dot + f64::from(keyed.weight[query]) * f64::from(space.bias[row])
    }

    #[test]
    fn keys_of_huge_and_tiny_rows_are_finite_and_near_one() {
        for size in [1e-44f32, 1e-30, 1.0, 1e30, 3e38] {
            let pool = array![[size, 0.0], [0.5 * size, 0.5 * size]];
            for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
                let norms = checked_norms(pool.view(), metric, Role::Pool).unwrap();
                let space = Space::new(pool.view(), &norms, metric);
                let keyed = space.keyed(pool.view(), &norms);
                let own = key(&space, &pool, &keyed, 0, 0);
                assert!((0.1..=1.01).contains(&own), "{metric:?} {size} {own}");
                assert!(key(&space, &pool, &keyed, 0, 1) < own, "{metric:?} {size}");
            }
        }
    }

    #[test]
    fn nothing_is_certain_of_rows_of_millions_of_numbers() {
        assert_eq!(slack_of(1 << 23), f64::INFINITY);
        assert!(slack_of(768) < 1e-4);
    }

    proptest! {
        #[test]
        fn keys_rank_as_scores_do(
            rows in prop::collection::vec(prop::collection::vec(-9.0f32..9.0, 3), 3..4), exponent in -30i32..30,
        ) {
            let size = 10f32.powi(exponent);
            let rows = Array2::from_shape_fn((3, 3), |(i, j)| rows[i][j] * size);
            for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
                let Ok(norms) = checked_norms(rows.view(), metric, Role::Pool) else { continue };
                let space = Space::new(rows.view(), &norms, metric);
                let keyed = space.keyed(rows.view(), &norms);
                let keys = [1, 2].map(|row| key(&space, &rows, &keyed, 0, row));
                let sign = if metric.higher_is_closer() { 1.0 } else { -1.0 };
                let scores = [1, 2].map(|row| sign * metric.score(rows.row(0), rows.row(row)));
                if (keys[0] - keys[1]).abs() > keyed.slack[0] {
                    prop_assert_eq!(keys[0] < keys[1], scores[0] < scores[1]);
                }
            }
        }
    }
}
