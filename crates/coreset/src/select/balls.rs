//! Which rows are within a radius of which, decided in f64 but mostly by products in f32.

use labelloop_core::Progress;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use super::Setting;
use super::methods::squared_of;
use super::similarity::{Part, Points, few_products, mean, scaled};
use crate::Result;
use crate::geometry::squared;

/// Rows of one matrix product.
const ROWS: usize = 64;
/// Columns of one matrix product.
const COLUMNS: usize = 2048;
/// Rows for which a product of matrices does not pay.
const FEW: usize = 4;
/// Columns that are looked at together first.
const STRIP: usize = 32;

pub(crate) struct Balls<'a> {
    setting: Setting<'a>,
    radius: f64,
    /// Rows and labelled rows in radii, and the squared radius there.
    rows: Points,
    labelled: Points,
    squared_radius: f64,
}

impl<'a> Balls<'a> {
    pub(crate) fn new(setting: &Setting<'a>, radius: f64) -> Self {
        let euclidean = squared_of(setting.metric, radius).sqrt();
        let unit = if 0.0 < euclidean { euclidean } else { 1.0 };
        let mean = mean(setting.rows);
        Self {
            setting: setting.clone(),
            radius,
            rows: Points::new(scaled(setting.rows, &mean, unit)),
            labelled: Points::new(scaled(setting.labelled, &mean, unit)),
            squared_radius: if 0.0 < euclidean { 1.0 } else { 0.0 },
        }
    }

    /// Adds the mass of each of `balls` to every row within the radius of it.
    pub(crate) fn add(
        &self,
        balls: &[usize],
        masses: &[u64],
        sums: &mut [u64],
        progress: &dyn Progress,
    ) -> Result<()> {
        for (i, some) in balls.chunks(ROWS).enumerate() {
            progress.step("balls", (i * ROWS) as u64, balls.len() as u64)?;
            self.each(some, sums, |sum, ball| *sum += masses[ball]);
        }
        Ok(())
    }

    /// Takes the mass of each of `balls` off every row within the radius of it.
    pub(crate) fn subtract(&self, balls: &[usize], masses: &[u64], sums: &mut [u64]) {
        for some in balls.chunks(ROWS) {
            self.each(some, sums, |sum, ball| *sum -= masses[ball]);
        }
    }

    /// The rows within the radius of a row, itself included, in order.
    pub(crate) fn reached_by(&self, row: usize) -> Vec<usize> {
        let mut reached = vec![false; self.rows.len()];
        self.each(&[row], &mut reached, |reached, _| *reached = true);
        (0..reached.len()).filter(|row| reached[*row]).collect()
    }

    /// The rows within the radius of any labelled row, in order.
    pub(crate) fn reached_by_labelled(&self, progress: &dyn Progress) -> Result<Vec<usize>> {
        let n = self.labelled.len();
        let mut reached = vec![false; self.rows.len()];
        for start in (0..n).step_by(ROWS) {
            progress.step("labelled balls", start as u64, n as u64)?;
            let some: Vec<usize> = (start..n.min(start + ROWS)).collect();
            let left = self.labelled.part(start..start + some.len());
            self.pairs(left, self.setting.labelled, &some, &mut reached, |reached, _| *reached = true);
        }
        Ok((0..reached.len()).filter(|row| reached[*row]).collect())
    }

    fn each<T: Send>(&self, balls: &[usize], values: &mut [T], note: impl Fn(&mut T, usize) + Sync) {
        let gathered = self.rows.gathered(balls);
        self.pairs(gathered.part(0..balls.len()), self.setting.rows, balls, values, note);
    }

    /// Calls `note` with the value of each row within the radius and the ball; a value is noted in the order of balls.
    fn pairs<T: Send>(
        &self,
        left: Part<'_>,
        left_rows: ArrayView2<'_, f32>,
        balls: &[usize],
        values: &mut [T],
        note: impl Fn(&mut T, usize) + Sync,
    ) {
        // The rounding error of a product of length d is at most `d u |a| |b|` (Higham, section 3.1); the rest is for
        // the rounding of scaled rows.
        let relative = (self.setting.rows.ncols() + 16) as f32 * f32::EPSILON;
        let limit = self.squared_radius as f32;
        values.par_chunks_mut(COLUMNS).enumerate().for_each(|(block, values)| {
            let first = block * COLUMNS;
            let right = self.rows.part(first..first + values.len());
            let mut products = Array2::zeros((left.len(), right.len()));
            if left.len() <= FEW {
                few_products(left, right, products.view_mut());
            } else {
                general_mat_mul(1.0, &left.vectors, &right.vectors.t(), 0.0, &mut products);
            }
            for (i, products) in products.rows().into_iter().enumerate() {
                let (own, products) = (left.squared[i], products.to_slice().unwrap_or_default());
                let strips = products.chunks(STRIP).zip(right.squared.chunks(STRIP)).enumerate();
                for (strip, (products, squared)) in strips {
                    let is_far = |(product, other): (&f32, &f32)| {
                        let lengths = own + other;
                        lengths - 2.0 * product > limit + relative * lengths
                    };
                    // Without a branch in it this loop is vectorised, and most strips end here.
                    if products.iter().zip(squared).fold(true, |far, pair| far & is_far(pair)) {
                        continue;
                    }
                    for (j, pair) in products.iter().zip(squared).enumerate() {
                        let column = strip * STRIP + j;
                        let lengths = own + pair.1;
                        let is_sure = lengths - 2.0 * pair.0 < limit - relative * lengths;
                        if !is_far(pair)
                            && (is_sure || self.is_within(left_rows.row(balls[i]), first + column))
                        {
                            note(&mut values[column], balls[i]);
                        }
                    }
                }
            }
        });
    }

    fn is_within(&self, ball: ndarray::ArrayView1<'_, f32>, row: usize) -> bool {
        let other = self.setting.rows.row(row);
        let pair = ball.to_slice().zip(other.to_slice());
        pair.is_some_and(|(a, b)| self.setting.distance(squared(a, b)) <= self.radius)
    }
}
