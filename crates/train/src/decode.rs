//! From the read-outs of cells to boxes: peaks, votes of the cells around them, and one box per object.

use labelloop_core::{BBox, ClassIdx, ScoredBox};
use ndarray::Array2;

use crate::features::Grid;
use crate::partial::N_BOX;
use crate::{GridParams, Result};

/// Logarithms of sizes in cells are held to this range: from a twentieth of a cell to a thousand.
const LOG_SIZES: (f64, f64) = (-3.0, 7.0);

/// Objects in `out` (shape: cells x (classes + 4)).
pub(crate) fn decode(
    grid: Grid,
    out: &Array2<f32>,
    class_boxes: &Array2<f32>,
    params: &GridParams,
) -> Result<Vec<ScoredBox>> {
    let mut found = Vec::new();
    for class in 0..class_boxes.nrows() {
        for cell in 0..grid.n_cells() {
            let height = out[(cell, class)];
            if f64::from(height) < params.score_floor
                || !height.is_finite()
                || !is_peak(grid, out, class, cell)
            {
                continue;
            }
            if let Some(bbox) = voted_box(grid, out, class_boxes, class, cell)?.clipped(grid.size) {
                let score = f64::from(height).clamp(0.0, 1.0);
                found.push((height, ScoredBox::new(ClassIdx(class as u32), bbox, score)?));
            }
        }
    }
    // Found by class and position, and the sort keeps that order among equals. Heights above 1 still rank.
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    Ok(suppress(found.into_iter().map(|(_, b)| b), params))
}

/// Keeps the best of boxes of one class that overlap too much.
fn suppress(ranked: impl Iterator<Item = ScoredBox>, params: &GridParams) -> Vec<ScoredBox> {
    let mut kept: Vec<ScoredBox> = Vec::new();
    for next in ranked {
        if kept.len() == params.max_detections {
            break;
        }
        let rival = |k: &ScoredBox| k.class() == next.class() && params.nms_iou < k.bbox().iou(next.bbox());
        if !kept.iter().any(rival) {
            kept.push(next);
        }
    }
    kept
}

/// No neighbour is higher, and of equals it is the first.
fn is_peak(grid: Grid, out: &Array2<f32>, class: usize, cell: usize) -> bool {
    let height = out[(cell, class)];
    grid.around(cell).all(|other| {
        let rival = out[(other, class)];
        rival < height || (rival == height && cell <= other) || rival.is_nan()
    })
}

/// Mean of the boxes that the cell and its neighbours propose, weighted by the square of their heights.
fn voted_box(
    grid: Grid,
    out: &Array2<f32>,
    class_boxes: &Array2<f32>,
    class: usize,
    cell: usize,
) -> Result<BBox> {
    let stride = f64::from(grid.stride);
    let n_classes = class_boxes.nrows();
    let mut sums = [0.0f64; N_BOX];
    let mut mass = 0.0;
    for voter in grid.around(cell) {
        // The floor keeps the mass above zero where a floor of 0 lets flat places through.
        let weight = f64::from(out[(voter, class)].max(1e-6)).powi(2);
        let (x, y) = grid.centre(voter);
        let value = |k: usize| f64::from(out[(voter, n_classes + k)]) + f64::from(class_boxes[(class, k)]);
        let proposal = [x + stride * value(0), y + stride * value(1), value(2), value(3)];
        sums.iter_mut().zip(proposal).for_each(|(s, v)| *s += weight * v);
        mass += weight;
    }
    let [x, y, w, h] = sums.map(|s| s / mass);
    let side = |log: f64| stride * log.clamp(LOG_SIZES.0, LOG_SIZES.1).exp();
    Ok(BBox::new(x - side(w) / 2.0, y - side(h) / 2.0, side(w), side(h))?)
}
