use fearless_simd::{Level, dispatch};
use ndarray::{ArrayView1, aview1};
use serde::{Deserialize, Serialize};

/// How closeness is measured.
///
/// ```
/// use labelloop_index::Metric;
/// use ndarray::array;
///
/// let (a, b) = (array![3.0, 4.0], array![4.0, 3.0]);
/// assert_eq!(Metric::Dot.score(a.view(), b.view()), 24.0);
/// assert_eq!(Metric::Cosine.score(a.view(), b.view()), 0.96);
/// assert_eq!(Metric::L2.score(a.view(), b.view()), 2f64.sqrt());
/// assert!(Metric::Cosine.higher_is_closer() && !Metric::L2.higher_is_closer());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Cosine of the angle, in `[-1, 1]`; higher is closer. Needs vectors other than zero.
    #[default]
    Cosine,
    /// Inner product; higher is closer.
    Dot,
    /// Euclidean distance (not its square); lower is closer.
    L2,
}

impl Metric {
    /// Score of two vectors of one length, computed in f64 with a fixed order of additions.
    ///
    /// The cosine with a zero vector is NaN; an index refuses such vectors. Entries beyond the shorter vector do not
    /// count.
    pub fn score(self, a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> f64 {
        let (a, b) = (a.as_standard_layout(), b.as_standard_layout());
        match (a.as_slice(), b.as_slice()) {
            (Some(a), Some(b)) => self.score_slices(a, b, norm(a), norm(b)),
            _ => f64::NAN,
        }
    }

    /// Whether the closest neighbour is the one with the highest score.
    pub fn higher_is_closer(self) -> bool {
        !matches!(self, Metric::L2)
    }

    /// The score of two rows whose norms are known.
    #[inline(always)]
    pub(crate) fn score_slices(self, a: &[f32], b: &[f32], norm_a: f64, norm_b: f64) -> f64 {
        match self {
            Metric::Cosine => (dot(a, b) / (norm_a * norm_b)).clamp(-1.0, 1.0),
            Metric::Dot => dot(a, b),
            Metric::L2 => squared_distance(a, b).sqrt(),
        }
    }
}

/// The scores of one query, by the fastest instructions that the machine has for the same additions in the same order.
pub(crate) struct Scorer<'a> {
    level: Level,
    metric: Metric,
    query: &'a [f32],
    norm: f64,
}

impl<'a> Scorer<'a> {
    pub(crate) fn new(metric: Metric, query: &'a [f32], norm: f64) -> Self {
        Self { level: Level::new(), metric, query, norm }
    }

    /// The score of a row of length `norm`; the same bits as [`Metric::score`].
    pub(crate) fn score(&self, row: &[f32], norm: f64) -> f64 {
        dispatch!(self.level, _ => self.metric.score_slices(self.query, row, self.norm, norm))
    }
}

/// Euclidean length in f64.
pub(crate) fn norm(a: &[f32]) -> f64 {
    dot(a, a).sqrt()
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f64 {
    sum_over_lanes(a, b, |x, y| x * y)
}

#[inline(always)]
fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    sum_over_lanes(a, b, |x, y| (x - y) * (x - y))
}

/// Four partial sums, so that the additions need not wait for each other, joined in a fixed order.
#[inline(always)]
fn sum_over_lanes(a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
    let (a4, b4) = (a.chunks_exact(4), b.chunks_exact(4));
    let rest: f64 =
        a4.remainder().iter().zip(b4.remainder()).map(|(x, y)| term(f64::from(*x), f64::from(*y))).sum();
    let mut lanes = [0.0f64; 4];
    for (x, y) in a4.zip(b4) {
        for (lane, (x, y)) in lanes.iter_mut().zip(x.iter().zip(y)) {
            *lane += term(f64::from(*x), f64::from(*y));
        }
    }
    aview1(&lanes).fold(rest, |sum, lane| sum + lane)
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cosine_is_known_for_easy_angles() {
        let x = array![2.0, 0.0];
        assert_eq!(Metric::Cosine.score(x.view(), array![0.0, 3.0].view()), 0.0);
        assert_eq!(Metric::Cosine.score(x.view(), array![-1.0, 0.0].view()), -1.0);
        assert!(Metric::Cosine.score(x.view(), array![0.0, 0.0].view()).is_nan());
    }

    #[test]
    fn huge_entries_do_not_overflow() {
        let x = array![f32::MAX, f32::MAX];
        assert!(Metric::Dot.score(x.view(), x.view()).is_finite());
        assert_eq!(Metric::Cosine.score(x.view(), x.view()), 1.0);
    }

    #[test]
    fn strided_rows_score_like_contiguous_ones() {
        let m = array![[1.0f32, 2.0], [3.0, 4.0], [5.0, 6.0]];
        let plain = array![1.0f32, 3.0, 5.0];
        assert_eq!(Metric::L2.score(m.column(0), plain.view()), 0.0);
    }

    #[test]
    fn names_are_snake_case() {
        assert_eq!(serde_json::to_string(&Metric::L2).unwrap(), "\"l2\"");
        assert_eq!(serde_json::from_str::<Metric>("\"cosine\"").unwrap(), Metric::default());
    }

    proptest! {
        #[test]
        fn scores_do_not_depend_on_the_order_of_the_two(
            pair in prop::collection::vec((-9.0f32..9.0, -9.0f32..9.0), 1..40),
        ) {
            let (a, b): (Vec<f32>, Vec<f32>) = pair.into_iter().unzip();
            for metric in [Metric::Dot, Metric::L2] {
                prop_assert_eq!(metric.score(aview1(&a), aview1(&b)), metric.score(aview1(&b), aview1(&a)));
            }
        }

        #[test]
        fn lanes_agree_with_the_plain_sum(pair in prop::collection::vec((-9.0f32..9.0, -9.0f32..9.0), 0..40)) {
            let (a, b): (Vec<f32>, Vec<f32>) = pair.into_iter().unzip();
            let plain: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            prop_assert!((dot(&a, &b) - plain).abs() <= 1e-9);
        }
    }
}
