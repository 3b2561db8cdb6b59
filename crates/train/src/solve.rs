//! Ridge regression from summed normal equations.

use nalgebra::{Cholesky, DMatrix};
use ndarray::Array2;

use crate::partial::{N_BOX, Normal, Sums, from_units};
use crate::{Result, TrainError};

/// The constant is hardly penalised: this share of the penalty keeps the system solvable.
const CONSTANT_PENALTY: f64 = 1e-3;

/// Read-out of the heat map (features x classes) and of the boxes (features x 4), and each class's mean box
/// (classes x 4).
pub(crate) struct Solution {
    pub(crate) heat: Array2<f32>,
    pub(crate) boxes: Array2<f32>,
    pub(crate) class_boxes: Array2<f32>,
}

pub(crate) fn solve(sums: &Sums, n_classes: usize, lambda: f64) -> Result<Solution> {
    let heat = ridge(&sums.heat, &moments(&sums.heat), lambda, "heat map")?;
    let class_boxes = class_boxes(sums, n_classes);
    // Boxes are learned as differences from their class's mean, so that the penalty draws them to that mean. The
    // differences' moments follow from sums: those of the boxes less mean times those of the class's weight.
    let raw = moments(&sums.boxes);
    let centred = DMatrix::from_fn(sums.boxes.n_features, N_BOX, |i, k| {
        (0..n_classes).fold(raw[(i, k)], |sum, c| sum - class_boxes[(c, k)] * raw[(i, N_BOX + c)])
    });
    let boxes = ridge(&sums.boxes, &centred, lambda, "boxes")?;
    let class_boxes = Array2::from_shape_fn((n_classes, N_BOX), |at| class_boxes[at] as f32);
    Ok(Solution { heat, boxes, class_boxes })
}

/// Weighted mean of each class's box targets; zeros for a class without labels.
fn class_boxes(sums: &Sums, n_classes: usize) -> DMatrix<f64> {
    let boxes = &sums.boxes;
    let constant = boxes.n_features - 1;
    DMatrix::from_fn(n_classes, N_BOX, |c, k| {
        let weight = from_units(boxes.moments[constant * boxes.n_outputs + N_BOX + c]);
        if 0.0 < weight { from_units(sums.class_sums[N_BOX * c + k]) / weight } else { 0.0 }
    })
}

fn moments(sums: &Normal<i64>) -> DMatrix<f64> {
    DMatrix::from_fn(sums.n_features, sums.n_outputs, |i, j| from_units(sums.moments[i * sums.n_outputs + j]))
}

/// Weights (features x outputs) that minimise the weighted squared error plus `lambda` times the squared weights
/// (Hoerl and Kennard 1970, equation 2.1). The last feature is the constant.
fn ridge(sums: &Normal<i64>, moments: &DMatrix<f64>, lambda: f64, what: &'static str) -> Result<Array2<f32>> {
    let n = sums.n_features;
    let mut gram = DMatrix::<f64>::zeros(n, n);
    let mut packed = sums.gram.iter();
    for i in 0..n {
        for (j, sum) in (i..n).zip(&mut packed) {
            // The factorisation reads the lower triangle only.
            gram[(j, i)] = from_units(*sum);
        }
        gram[(i, i)] += if i + 1 == n { lambda * CONSTANT_PENALTY } else { lambda };
    }
    let refuse = || TrainError::NotPositiveDefinite { what, lambda };
    let solved = Cholesky::new(gram).ok_or_else(refuse)?.solve(moments);
    if solved.iter().any(|v| !v.is_finite()) {
        return Err(refuse());
    }
    Ok(Array2::from_shape_fn((n, moments.ncols()), |at| solved[at] as f32))
}
