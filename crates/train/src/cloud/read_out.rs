//! Random features of a description, what is read from them by ridge regression, and how sure that is.

use labelloop_core::Seed;
use nalgebra::{Cholesky, DMatrix};

use super::describe::N_INPUTS;
use crate::{Result, TrainError};

/// Inputs that each random feature looks at.
const N_TAPS: u64 = 4;
/// Standardised inputs are cut here, so that one strange cluster does not swing everything.
const MOST_DEVIATIONS: f64 = 5.0;
/// The constant is hardly penalised.
const CONSTANT_PENALTY: f64 = 1e-3;
const NEWTON_STEPS: usize = 60;

/// Standardises inputs, then adds random ReLU features of them and a constant.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hidden {
    /// Mean and one over the deviation of each input.
    pub(crate) scale: [[f64; 2]; N_INPUTS],
    /// Offset, inputs and weights of each feature.
    taps: Vec<(f64, Vec<(usize, f64)>)>,
}

impl Hidden {
    pub(crate) fn new(scale: [[f64; 2]; N_INPUTS], n_random: usize, seed: Seed) -> Self {
        let seed = seed.stream("cloud features");
        let (offsets, inputs, weights) =
            (seed.stream("offsets"), seed.stream("inputs"), seed.stream("weights"));
        let taps = (0..n_random as u64).map(|j| {
            let tap = |k: u64| {
                let at = j * N_TAPS + k;
                (inputs.below(at, N_INPUTS), weights.normal(at) / (N_TAPS as f64).sqrt())
            };
            (0.7 * offsets.normal(j), (0..N_TAPS).map(tap).collect())
        });
        Self { scale, taps: taps.collect() }
    }

    /// Fitted to some rows of inputs.
    pub(crate) fn fitted(rows: &[[f64; N_INPUTS]], n_random: usize, seed: Seed) -> Self {
        let n = rows.len().max(1) as f64;
        let scale = std::array::from_fn(|i| {
            let mean = rows.iter().map(|r| r[i]).sum::<f64>() / n;
            let variance = rows.iter().map(|r| (r[i] - mean).powi(2)).sum::<f64>() / n;
            [mean, if 1e-12 < variance { 1.0 / variance.sqrt() } else { 0.0 }]
        });
        Self::new(scale, n_random, seed)
    }

    pub(crate) fn width(&self) -> usize {
        N_INPUTS + self.taps.len() + 1
    }

    /// Standardised inputs, random features, 1.
    pub(crate) fn of(&self, inputs: &[f64; N_INPUTS]) -> Vec<f64> {
        let standard = |(v, [mean, scale]): (&f64, &[f64; 2])| {
            ((v - mean) * scale).clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS)
        };
        let mut row: Vec<f64> = inputs.iter().zip(&self.scale).map(standard).collect();
        for (offset, taps) in &self.taps {
            let sum = taps.iter().fold(*offset, |sum, (i, weight)| sum + weight * row[*i]);
            row.push(sum.max(0.0));
        }
        row.push(1.0);
        row
    }
}

/// Normal equations of a weighted ridge regression; sums, so those of parts can be added and taken away.
#[derive(Debug, Clone)]
pub(crate) struct Normal {
    gram: DMatrix<f64>,
    moments: DMatrix<f64>,
}

impl Normal {
    /// Of rows with their weights and targets (rows x outputs).
    pub(crate) fn of(rows: &[&[f64]], weights: &[f64], targets: &DMatrix<f64>, width: usize) -> Self {
        let scaled = DMatrix::from_fn(rows.len(), width, |i, j| rows[i][j] * weights[i].sqrt());
        let aims = DMatrix::from_fn(rows.len(), targets.ncols(), |i, k| targets[(i, k)] * weights[i].sqrt());
        let flat = scaled.transpose();
        Self { gram: &flat * &scaled, moments: &flat * &aims }
    }

    pub(crate) fn plus(mut self, other: &Self) -> Self {
        self.gram += &other.gram;
        self.moments += &other.moments;
        self
    }

    pub(crate) fn minus(mut self, other: &Self) -> Self {
        self.gram -= &other.gram;
        self.moments -= &other.moments;
        self
    }

    /// Weights (width x outputs) that minimise the weighted squared error plus `lambda` times the squared weights (Hoerl
    /// and Kennard 1970, equation 2.1). The last feature is the constant.
    pub(crate) fn solve(mut self, lambda: f64, what: &'static str) -> Result<DMatrix<f64>> {
        let n = self.gram.nrows();
        for i in 0..n {
            self.gram[(i, i)] += if i + 1 == n { lambda * CONSTANT_PENALTY } else { lambda };
        }
        let refuse = || TrainError::NotPositiveDefinite { what, lambda };
        let solved = Cholesky::new(self.gram).ok_or_else(refuse)?.solve(&self.moments);
        if solved.iter().all(|v| v.is_finite()) { Ok(solved) } else { Err(refuse()) }
    }
}

/// What a row gives.
pub(crate) fn read(row: &[f64], weights: &DMatrix<f64>) -> Vec<f64> {
    (0..weights.ncols())
        .map(|k| row.iter().zip(weights.column(k).iter()).fold(0.0, |sum, (v, w)| sum + v * w))
        .collect()
}

/// Slope and offset of the logistic curve that turns outputs into probabilities (Platt 1999, with the targets of his
/// equation 3 and the Newton steps of Lin, Lin and Weng 2007, algorithm 1).
pub(crate) fn calibrate(outputs: &[(f64, bool)]) -> [f64; 2] {
    let n_true = outputs.iter().filter(|(_, is)| *is).count() as f64;
    let n_false = outputs.len() as f64 - n_true;
    let (aim_true, aim_false) = ((n_true + 1.0) / (n_true + 2.0), 1.0 / (n_false + 2.0));
    let aim = |is: bool| if is { aim_true } else { aim_false };
    let loss = |[slope, offset]: [f64; 2]| {
        let one = |(f, is): &(f64, bool)| {
            let s = slope * f + offset;
            // ln(1 + e^s) - aim * s, without overflow.
            s.max(0.0) + (-s.abs()).exp().ln_1p() - aim(*is) * s
        };
        outputs.iter().map(one).sum::<f64>() + PRIOR * (slope - PRIOR_SLOPE).powi(2)
    };
    let mut at = [PRIOR_SLOPE, ((n_true + 1.0) / (n_false + 1.0)).ln()];
    for _ in 0..NEWTON_STEPS {
        let (mut gradient, mut hessian) =
            ([2.0 * PRIOR * (at[0] - PRIOR_SLOPE), 0.0], [2.0 * PRIOR + 1e-9, 0.0, 1e-9]);
        for (f, is) in outputs {
            let p = probability(*f, at);
            let (error, curve) = (p - aim(*is), p * (1.0 - p));
            gradient = [gradient[0] + error * f, gradient[1] + error];
            hessian = [hessian[0] + curve * f * f, hessian[1] + curve * f, hessian[2] + curve];
        }
        let determinant = hessian[0] * hessian[2] - hessian[1] * hessian[1];
        let step = [
            (hessian[2] * gradient[0] - hessian[1] * gradient[1]) / determinant,
            (hessian[0] * gradient[1] - hessian[1] * gradient[0]) / determinant,
        ];
        let before = loss(at);
        let tries =
            (0..12).map(|halvings| 0.5f64.powi(halvings)).map(|t| [at[0] - t * step[0], at[1] - t * step[1]]);
        match tries.into_iter().find(|next| loss(*next) < before) {
            Some(next) => at = next,
            None => break,
        }
    }
    at
}

/// Few outputs must not make the curve a step: the slope is drawn to that of outputs which are 1 for objects and 0 for
/// others.
const PRIOR_SLOPE: f64 = 6.0;
const PRIOR: f64 = 0.01;

/// The probability that an output stands for.
pub(crate) fn probability(output: f64, [slope, offset]: [f64; 2]) -> f64 {
    1.0 / (1.0 + (-(slope * output + offset)).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_back() {
        let rows: Vec<Vec<f64>> = (0..20).map(|i| vec![f64::from(i) / 10.0 - 1.0, 1.0]).collect();
        let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
        let targets = DMatrix::from_fn(20, 1, |i, _| 3.0 * rows[i][0] + 2.0);
        let solved = Normal::of(&rows, &[1.0; 20], &targets, 2).solve(1e-6, "line").unwrap();
        assert!((solved[(0, 0)] - 3.0).abs() < 1e-4 && (solved[(1, 0)] - 2.0).abs() < 1e-4);
        assert!((read(&[0.5, 1.0], &solved)[0] - 3.5).abs() < 1e-4);
    }

    #[test]
    fn a_part_taken_away_was_never_in() {
        let rows: Vec<Vec<f64>> = (0..9).map(|i| vec![f64::from(i * i % 7), 1.0]).collect();
        let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
        let targets = DMatrix::from_fn(9, 1, |i, _| i as f64);
        let (head, tail) = (targets.rows(0, 5).into_owned(), targets.rows(5, 4).into_owned());
        let part = Normal::of(&rows[5..], &[1.0; 4], &tail, 2);
        let rest = Normal::of(&rows, &[1.0; 9], &targets, 2).minus(&part).solve(0.1, "rest").unwrap();
        let direct = Normal::of(&rows[..5], &[1.0; 5], &head, 2).solve(0.1, "direct").unwrap();
        assert!((rest - direct).abs().max() < 1e-9);
    }

    #[test]
    fn calibrated_outputs_are_as_often_right_as_they_say() {
        let truth = [8.0, -3.0];
        let output = |i: u64| Seed::new(4).unit(i);
        let outputs: Vec<(f64, bool)> =
            (0..5000).map(|i| (output(i), Seed::new(3).unit(i) < probability(output(i), truth))).collect();
        let curve = calibrate(&outputs);
        for k in 0..5 {
            let f = f64::from(k) / 4.0;
            assert!((probability(f, curve) - probability(f, truth)).abs() < 0.04, "{f}: {curve:?}");
        }
        assert!(0.0 < curve[0]);
    }

    #[test]
    fn few_or_no_examples_give_a_usable_curve() {
        for outputs in [
            &[][..],
            &[(0.9, true)],
            &[(0.1, false)],
            &[(0.9, true), (0.0, false)],
            &[(0.5, true), (0.5, false)],
        ] {
            let curve = calibrate(outputs);
            assert!(curve.iter().all(|v| v.is_finite()) && 0.0 < curve[0], "{outputs:?} {curve:?}");
        }
    }

    #[test]
    fn constants_among_the_inputs_are_read_as_nothing() {
        let hidden = Hidden::fitted(&[[1.5; N_INPUTS]; 4], 16, Seed::new(1));
        assert_eq!(hidden.of(&[9.0; N_INPUTS])[..N_INPUTS], [0.0; N_INPUTS]);
        assert_eq!(hidden.width(), N_INPUTS + 17);
        assert_eq!(hidden.of(&[9.0; N_INPUTS]).len(), hidden.width());
    }
}
