//! Similarities of many rows at once, by matrix products in f32.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, Slice};
use serde::{Deserialize, Serialize};
use std::ops::Range;

use super::Setting;
use super::candidates::unit_rows;
use crate::geometry::squared;
use crate::{ParamError, Result};

/// Rows whose distances the median is taken of.
const SAMPLE: usize = 256;
/// Squared lengths above which a difference of products no longer tells how close two points are.
const LARGE: f32 = 200.0;
/// Squared distances, in bandwidths, from which on a Gaussian is 0 for every purpose.
const FAR: f32 = 80.0;

/// How similar two rows are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kernel {
    /// Cosine of the angle; what points away counts as 0. Zero vectors are refused.
    Cosine,
    /// `exp(-distance^2 / (2 bandwidth^2))`. Without a bandwidth, the median distance of rows: of all pairs among 256 rows
    /// that the seed draws; 1 where that is 0.
    Rbf {
        /// The distance at which similarity has fallen to `exp(-1/2)`, about .61.
        bandwidth: Option<f64>,
    },
}

impl Kernel {
    pub(crate) fn check(self) -> Result<(), ParamError> {
        match self {
            Kernel::Rbf { bandwidth: Some(found) } if !(0.0 < found && found.is_finite()) => {
                Err(ParamError::Bandwidth { found })
            }
            _ => Ok(()),
        }
    }
}

/// Rows and labelled rows, scaled so that a product tells their similarity.
pub(crate) struct Space {
    pub(crate) rows: Points,
    pub(crate) labelled: Points,
    gaussian: bool,
}

pub(crate) struct Points {
    vectors: Array2<f32>,
    squared: Vec<f32>,
}

/// Some points in a row.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) vectors: ArrayView2<'a, f32>,
    pub(crate) squared: &'a [f32],
}

impl Points {
    pub(crate) fn new(vectors: Array2<f32>) -> Self {
        let length = |row: ndarray::ArrayView1<'_, f32>| row.iter().map(|v| v * v).sum();
        let squared = vectors.rows().into_iter().map(length).collect();
        Self { vectors, squared }
    }

    pub(crate) fn len(&self) -> usize {
        self.squared.len()
    }

    pub(crate) fn part(&self, range: Range<usize>) -> Part<'_> {
        let vectors = self.vectors.slice_axis(Axis(0), Slice::from(range.clone()));
        Part { vectors, squared: &self.squared[range] }
    }

    pub(crate) fn gathered(&self, rows: &[usize]) -> Points {
        let squared = rows.iter().map(|row| self.squared[*row]).collect();
        Points { vectors: self.vectors.select(Axis(0), rows), squared }
    }
}

impl Part<'_> {
    pub(crate) fn len(self) -> usize {
        self.squared.len()
    }
}

impl Space {
    /// # Errors
    /// A zero vector where the kernel is the cosine.
    pub(crate) fn new(setting: &Setting<'_>, kernel: Kernel) -> Result<Self> {
        let (rows, labelled) = (setting.rows, setting.labelled);
        match kernel {
            Kernel::Cosine => Ok(Self {
                rows: Points::new(unit_rows(rows, "candidates")?),
                labelled: Points::new(unit_rows(labelled, "labelled")?),
                gaussian: false,
            }),
            Kernel::Rbf { bandwidth } => {
                let unit = bandwidth.unwrap_or_else(|| median_distance(setting));
                let mean = mean(rows);
                Ok(Self {
                    rows: Points::new(scaled(rows, &mean, unit)),
                    labelled: Points::new(scaled(labelled, &mean, unit)),
                    gaussian: true,
                })
            }
        }
    }

    /// Writes the similarity of each of `left` (rows of `out`) to each of `right` (columns of `out`).
    pub(crate) fn similarities(&self, left: Part<'_>, right: Part<'_>, mut out: ArrayViewMut2<'_, f32>) {
        general_mat_mul(1.0, &left.vectors, &right.vectors.t(), 0.0, &mut out);
        self.turn_products(left, right, out);
    }

    /// Similarities of few rows, one product of a matrix with a vector each: a product of matrices would first lay all
    /// of `right` out anew. Its last bits may differ from those of [`similarities`](Self::similarities).
    pub(crate) fn similarities_of_few(&self, left: Part<'_>, right: Part<'_>) -> Array2<f32> {
        let mut out = Array2::zeros((left.len(), right.len()));
        few_products(left, right, out.view_mut());
        self.turn_products(left, right, out.view_mut());
        out
    }

    fn turn_products(&self, left: Part<'_>, right: Part<'_>, mut out: ArrayViewMut2<'_, f32>) {
        if !self.gaussian {
            return;
        }
        for (i, (mut row, own)) in out.rows_mut().into_iter().zip(left.squared).enumerate() {
            let Some(row) = row.as_slice_mut() else { continue };
            if *own < LARGE / 2.0 && right.squared.iter().all(|other| *other < LARGE / 2.0) {
                for (value, other) in row.iter_mut().zip(right.squared) {
                    *value = exp_of_minus_half((own + other - 2.0 * *value).max(0.0));
                }
            } else {
                // The error of a product of length d is at most `d u |a| |b|` (Higham, section 3.1).
                let relative = (left.vectors.ncols() + 8) as f32 * f32::EPSILON;
                for (j, (value, other)) in row.iter_mut().zip(right.squared).enumerate() {
                    let lengths = own + other;
                    let is_far = lengths - 2.0 * *value > FAR + relative * lengths;
                    let pair = (left.vectors.row(i), right.vectors.row(j));
                    *value = exp_of_minus_half(if is_far { FAR } else { exact(pair) });
                }
            }
        }
    }
}

/// The inner products of few rows with many.
pub(crate) fn few_products(left: Part<'_>, right: Part<'_>, mut out: ArrayViewMut2<'_, f32>) {
    for (row, mut out) in left.vectors.rows().into_iter().zip(out.rows_mut()) {
        out.assign(&right.vectors.dot(&row));
    }
}

/// The squared distance in f64, where a difference of large products would not tell.
fn exact((a, b): (ndarray::ArrayView1<'_, f32>, ndarray::ArrayView1<'_, f32>)) -> f32 {
    match (a.to_slice(), b.to_slice()) {
        (Some(a), Some(b)) => squared(a, b).min(f64::from(FAR)) as f32,
        _ => FAR,
    }
}

/// `exp(-x / 2)` for `x >= 0`, to 3e-7 of its value; a plain loop over it is vectorised.
///
/// `2^n` by its exponent bits, the rest by the series of the exponential (range reduction of Cody and Waite 1980).
#[inline]
fn exp_of_minus_half(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to a whole number
    let x = (-0.5 * x).max(-80.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let rest = (x - whole * 0.693_359_4) + whole * 2.121_944_4e-4;
    let series = 1.0 / 720.0;
    let series = series * rest + 1.0 / 120.0;
    let series = series * rest + 1.0 / 24.0;
    let series = series * rest + 1.0 / 6.0;
    let series = series * rest + 0.5;
    let series = series * rest + 1.0;
    let series = series * rest + 1.0;
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127);
    series * f32::from_bits(exponent << 23)
}

pub(crate) fn mean(rows: ArrayView2<'_, f32>) -> Vec<f64> {
    let mut mean = vec![0.0; rows.ncols()];
    for row in rows.rows() {
        mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    mean.iter_mut().for_each(|sum| *sum /= rows.nrows().max(1) as f64);
    mean
}

/// Differences of scaled rows are distances in units. Centring keeps their products small and so exact.
pub(crate) fn scaled(rows: ArrayView2<'_, f32>, mean: &[f64], unit: f64) -> Array2<f32> {
    const LIMIT: f64 = 1e15;
    let scale =
        |(i, j): (usize, usize)| ((f64::from(rows[[i, j]]) - mean[j]) / unit).clamp(-LIMIT, LIMIT) as f32;
    Array2::from_shape_fn(rows.dim(), scale)
}

/// The median of the distances of all pairs among some rows, as they are; 1 where that is 0 or there are no pairs.
pub(crate) fn median_distance(setting: &Setting<'_>) -> f64 {
    let rows = setting.rows;
    let mut drawn = setting.seed.stream("bandwidth").permutation(rows.nrows());
    drawn.truncate(SAMPLE);
    let mut distances = Vec::with_capacity(SAMPLE * SAMPLE / 2);
    for (i, a) in drawn.iter().enumerate() {
        for b in &drawn[..i] {
            let (a, b) = (rows.row(*a), rows.row(*b));
            distances.extend(a.to_slice().zip(b.to_slice()).map(|(a, b)| squared(a, b).sqrt()));
        }
    }
    if distances.is_empty() {
        return 1.0;
    }
    let middle = distances.len() / 2;
    let median = *distances.select_nth_unstable_by(middle, f64::total_cmp).1;
    if 0.0 < median { median } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use labelloop_core::{Seed, Silent};
    use labelloop_index::Metric;
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;

    fn setting<'a>(rows: ArrayView2<'a, f32>, labelled: ArrayView2<'a, f32>) -> Setting<'a> {
        let seed = Seed::new(1);
        Setting { rows, labelled, weights: None, k: 1, metric: Metric::L2, seed, progress: &Silent }
    }

    fn all(rows: ArrayView2<'_, f32>, kernel: Kernel) -> Array2<f32> {
        let none = Array2::zeros((0, rows.ncols()));
        let space = Space::new(&setting(rows, none.view()), kernel).unwrap();
        let n = rows.nrows();
        let mut out = Array2::zeros((n, n));
        space.similarities(space.rows.part(0..n), space.rows.part(0..n), out.view_mut());
        out
    }

    #[test]
    fn bandwidths_are_checked() {
        for bandwidth in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let kernel = Kernel::Rbf { bandwidth: Some(bandwidth) };
            assert!(matches!(kernel.check(), Err(ParamError::Bandwidth { .. })));
        }
        assert_eq!(Kernel::Rbf { bandwidth: None }.check(), Ok(()));
    }

    #[test]
    fn exponentials_are_those_of_the_library() {
        for i in 0..40_000 {
            let x = i as f32 * 0.002;
            let expected = (-0.5 * f64::from(x)).exp();
            assert!((f64::from(exp_of_minus_half(x)) / expected - 1.0).abs() < 3e-7, "{x}");
        }
        assert_eq!(exp_of_minus_half(0.0), 1.0);
        assert!(exp_of_minus_half(f32::INFINITY) < 1e-30);
    }

    #[test]
    fn the_median_distance_is_of_pairs() {
        let (rows, none) = (array![[0.0f32], [1.0], [3.0]], Array2::zeros((0, 1)));
        assert_eq!(median_distance(&setting(rows.view(), none.view())), 2.0);
        let equal = Array2::ones((9, 1));
        assert_eq!(median_distance(&setting(equal.view(), none.view())), 1.0);
        assert_eq!(median_distance(&setting(none.view(), none.view())), 1.0);
    }

    #[test]
    fn rows_far_from_all_others_are_similar_to_their_copies() {
        let rows = array![[0.0f32], [1.0], [1e6], [1e6], [1e6 + 1.0], [f32::MAX], [f32::MIN]];
        let found = all(rows.view(), Kernel::Rbf { bandwidth: Some(1.0) });
        assert_eq!((found[[2, 3]], found[[2, 2]], found[[5, 5]]), (1.0, 1.0, 1.0));
        assert!((found[[2, 4]] - 0.606_530_66).abs() < 1e-6);
        assert!(found[[0, 2]] < 1e-15 && found[[5, 6]] < 1e-15 && found[[0, 5]] < 1e-15);
    }

    proptest! {
        #[test]
        fn similarities_are_those_of_the_definition(
            seed: u64, n in 1usize..20, d in 1usize..12, spread in -2i32..3, h in 0.05f64..3.0,
        ) {
            let s = Seed::new(seed);
            let far = 10f64.powi(spread);
            let rows = Array2::from_shape_fn((n, d), |(i, j)| {
                (s.normal((d * i + j) as u64) + if i % 2 == 0 { far } else { 0.0 }) as f32
            });
            let found = all(rows.view(), Kernel::Rbf { bandwidth: Some(h) });
            let cosines = all(rows.view(), Kernel::Cosine);
            for i in 0..n {
                for j in 0..n {
                    let distance = Metric::L2.score(rows.row(i), rows.row(j));
                    let expected = (-distance * distance / (2.0 * h * h)).exp();
                    prop_assert!((f64::from(found[[i, j]]) - expected).abs() < 2e-4, "{} {expected}", found[[i, j]]);
                    let expected = Metric::Cosine.score(rows.row(i), rows.row(j));
                    prop_assert!((f64::from(cosines[[i, j]]) - expected).abs() < 1e-5);
                }
            }
        }
    }
}
