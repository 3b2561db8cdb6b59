use labelloop_index::{IndexError, Metric, Role};
use ndarray::{ArrayView1, ArrayView2};
use rayon::prelude::*;

use super::DuplicatePair;
use crate::Result;

/// Columns after which a sum of squares is compared with its limit.
const CHUNK: usize = 32;

/// The definition: distances in f64.
pub(super) struct Exact<'a> {
    rows: ArrayView2<'a, f32>,
    pub(super) radius: f64,
    pub(super) metric: Metric,
    pub(super) norms: Vec<f64>,
    /// What rows are multiplied by before their Euclidean distance is taken: 1 over the norm under cosine.
    factors: Option<Vec<f64>>,
    /// Euclidean distance of rows times factors above which the definition cannot give `radius` or less.
    pub(super) euclidean: f64,
}

impl<'a> Exact<'a> {
    /// `rows` are in standard layout and finite; a zero vector has no cosine.
    pub(super) fn new(rows: ArrayView2<'a, f32>, radius: f64, metric: Metric) -> Result<Self> {
        let numbers: Vec<ArrayView1<'_, f32>> = rows.rows().into_iter().collect();
        let norms: Vec<f64> = numbers.par_iter().map(|r| Metric::Dot.score(*r, *r).sqrt()).collect();
        let cosine = metric == Metric::Cosine;
        if let Some(row) = norms.iter().position(|n| cosine && !(0.0 < *n)) {
            return Err(IndexError::ZeroVector { role: Role::Pool, row }.into());
        }
        let factors = cosine.then(|| norms.iter().map(|n| 1.0 / n).collect());
        let euclidean = euclidean_radius(radius, metric, rows.ncols());
        Ok(Self { rows, radius, metric, norms, factors, euclidean })
    }

    pub(super) fn factors(&self) -> Option<&[f64]> {
        self.factors.as_deref()
    }

    /// Nanoseconds of checking a pair, as measured.
    pub(super) fn cost(&self) -> f64 {
        30.0 + 0.8 * self.rows.ncols() as f64
    }

    /// The pair, where it is one.
    pub(super) fn pair(&self, a: usize, b: usize) -> Option<DuplicatePair> {
        let (first, second) = (a.min(b), a.max(b));
        if self.is_far(first, second) {
            return None;
        }
        let score = self.metric.score(self.rows.row(first), self.rows.row(second));
        let distance = if self.metric == Metric::L2 { score } else { 1.0 - score };
        (distance <= self.radius).then_some(DuplicatePair { first, second, distance })
    }

    /// Most candidates differ long before their last column.
    fn is_far(&self, first: usize, second: usize) -> bool {
        let (a, b) = (self.rows.row(first), self.rows.row(second));
        let (Some(a), Some(b)) = (a.to_slice(), b.to_slice()) else {
            return false;
        };
        let (f, g) = self.factors.as_ref().map_or((1.0, 1.0), |factors| (factors[first], factors[second]));
        let limit = self.euclidean * self.euclidean;
        let mut sum = 0.0;
        for (a, b) in a.chunks(CHUNK).zip(b.chunks(CHUNK)) {
            let mut lanes = [0.0f64; 4];
            for (a, b) in a.chunks(4).zip(b.chunks(4)) {
                for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
                    let apart = f64::from(*a) * f - f64::from(*b) * g;
                    *lane += apart * apart;
                }
            }
            sum += lanes.iter().sum::<f64>();
            if sum > limit {
                return true;
            }
        }
        false
    }
}

/// With `a` and `b` of length 1, `|a - b|^2 = 2 (1 - cos)`. What is added is more than the definition and the sum of
/// squares can be off by rounding in f64: a relative error of `columns + 8` units, under cosine of products of length 1.
fn euclidean_radius(radius: f64, metric: Metric, n_columns: usize) -> f64 {
    let units = (4 * n_columns + 64) as f64 * f64::EPSILON;
    match metric {
        Metric::L2 => radius * (1.0 + units),
        _ => (2.0 * (radius + units)).sqrt() * (1.0 + units),
    }
}
