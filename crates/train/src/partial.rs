//! What one labelled picture adds to the normal equations, and sums of that which do not depend on order.

use labelloop_core::{LabelledBox, SampleId};
use ndarray::{Array2, Axis, Slice};

use crate::features::{FeatureTag, GridFeatures};
use crate::lessons::Lessons;
use crate::{GridValidParams, Result, TrainError};

/// Outputs of the box regression: middle's offset in x and y in cells, logarithms of width and height in cells.
pub(crate) const N_BOX: usize = 4;
/// Columns of a Gram matrix that are computed at once.
const BLOCK: usize = 128;
/// Binary places that sums keep. Whole numbers add up to the same in any order, which floats do not. A unit of 2^-16
/// is far below the penalty's scale and leaves room for sums up to 10^14.
const UNITS: f64 = 65536.0;

/// What one labelled picture adds to a learner: its part of the normal equations.
///
/// Keep it to add the picture to several learners of the same parameters, or to take it out of one again. Takes about
/// `4 * n_random_features^2` bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct GridPartial {
    pub(crate) tag: FeatureTag,
    pub(crate) n_classes: usize,
    pub(crate) heat: Normal<f32>,
    /// Outputs: the four of the box, then the weight of each class.
    pub(crate) boxes: Normal<f32>,
    /// Classes x 4: weighted sums of the box targets.
    pub(crate) class_sums: Vec<f32>,
    pub(crate) n_objects: u64,
}

impl GridPartial {
    /// Number of usable labels in the picture.
    pub fn n_objects(&self) -> u64 {
        self.n_objects
    }

    pub(crate) fn of(
        features: &GridFeatures,
        id: &SampleId,
        labels: &[LabelledBox],
        params: &GridValidParams,
        n_classes: usize,
    ) -> Result<Self> {
        refuse_alien_classes(id, labels, n_classes)?;
        let lessons = Lessons::of(features.grid, id, labels, params, n_classes);
        let heat = normal(&features.hidden, &lessons.rows, &lessons.weights, &lessons.heat);
        let boxes = normal(&features.hidden, &lessons.box_rows, &lessons.box_weights, &lessons.boxes);
        let class_sums = lessons.class_sums(n_classes);
        Ok(Self { tag: features.tag, n_classes, heat, boxes, class_sums, n_objects: lessons.n_objects })
    }
}

/// # Errors
/// [`TrainError::ClassOutOfRange`] for the first label of a class that there is not.
pub(crate) fn refuse_alien_classes(id: &SampleId, labels: &[LabelledBox], n_classes: usize) -> Result<()> {
    match labels.iter().map(|l| l.class.as_usize()).find(|c| n_classes <= *c) {
        Some(found) => Err(TrainError::ClassOutOfRange { id: id.to_string(), found, n_classes }),
        None => Ok(()),
    }
}

/// One system of normal equations: the upper triangle of the Gram matrix row by row, and the right-hand sides.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Normal<T> {
    pub(crate) n_features: usize,
    pub(crate) n_outputs: usize,
    pub(crate) gram: Vec<T>,
    /// Row by row, features x outputs.
    pub(crate) moments: Vec<T>,
}

impl<T: Clone + Default> Normal<T> {
    pub(crate) fn zero(n_features: usize, n_outputs: usize) -> Self {
        let gram = vec![T::default(); n_features * (n_features + 1) / 2];
        Self { n_features, n_outputs, gram, moments: vec![T::default(); n_features * n_outputs] }
    }
}

/// Sums over pictures; whole numbers, so that any order of adding and taking away gives the same bits.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sums {
    pub(crate) heat: Normal<i64>,
    pub(crate) boxes: Normal<i64>,
    pub(crate) class_sums: Vec<i64>,
    pub(crate) n_objects: u64,
}

impl Sums {
    pub(crate) fn zero(n_features: usize, n_classes: usize) -> Self {
        let heat = Normal::zero(n_features, n_classes);
        let boxes = Normal::zero(n_features, N_BOX + n_classes);
        Self { heat, boxes, class_sums: vec![0; N_BOX * n_classes], n_objects: 0 }
    }

    pub(crate) fn add(&mut self, part: &GridPartial) {
        self.each(part, i64::saturating_add);
        self.n_objects += part.n_objects;
    }

    pub(crate) fn subtract(&mut self, part: &GridPartial) {
        self.each(part, i64::saturating_sub);
        self.n_objects = self.n_objects.saturating_sub(part.n_objects);
    }

    fn each(&mut self, part: &GridPartial, join: impl Fn(i64, i64) -> i64) {
        let parts =
            [&part.heat.gram, &part.heat.moments, &part.boxes.gram, &part.boxes.moments, &part.class_sums];
        for (sums, parts) in self.pairs(parts) {
            sums.iter_mut().zip(parts).for_each(|(s, p)| *s = join(*s, to_units(*p)));
        }
    }

    fn pairs<'a, T>(&'a mut self, others: [&'a Vec<T>; 5]) -> [(&'a mut Vec<i64>, &'a Vec<T>); 5] {
        let [a, b, c, d, e] = others;
        [
            (&mut self.heat.gram, a),
            (&mut self.heat.moments, b),
            (&mut self.boxes.gram, c),
            (&mut self.boxes.moments, d),
            (&mut self.class_sums, e),
        ]
    }
}

fn to_units(value: f32) -> i64 {
    (f64::from(value) * UNITS).round() as i64
}

/// The number that a sum stands for.
pub(crate) fn from_units(sum: i64) -> f64 {
    sum as f64 / UNITS
}

/// Weighted Gram matrix and moments of some rows (of rows x features and as many target rows).
fn normal(hidden: &Array2<f32>, rows: &[usize], weights: &[f32], targets: &Array2<f32>) -> Normal<f32> {
    let n = hidden.ncols();
    let mut out = Normal::zero(n, targets.ncols());
    let mut scaled = hidden.select(Axis(0), rows);
    let mut targets = targets.clone();
    let both = scaled.axis_iter_mut(Axis(0)).zip(targets.axis_iter_mut(Axis(0)));
    for ((mut row, mut target), weight) in both.zip(weights) {
        row *= weight.sqrt();
        target *= weight.sqrt();
    }
    let mut at = 0;
    for top in (0..n).step_by(BLOCK) {
        // Blocks on and above the diagonal; the rest is their mirror image.
        let end = (top + BLOCK).min(n);
        let right = scaled.slice_axis(Axis(1), Slice::from(top..));
        let product = scaled.slice_axis(Axis(1), Slice::from(top..end)).t().dot(&right);
        for (i, row) in product.axis_iter(Axis(0)).enumerate() {
            let length = n - top - i;
            out.gram[at..at + length].iter_mut().zip(row.iter().skip(i)).for_each(|(o, v)| *o = *v);
            at += length;
        }
    }
    out.moments.iter_mut().zip(&scaled.t().dot(&targets)).for_each(|(o, v)| *o = *v);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packed_gram_matrix_is_that_of_the_definition() {
        let hidden = Array2::from_shape_fn((7, 150), |(i, j)| ((i * 31 + j * 17) % 13) as f32 - 4.0);
        let targets = Array2::from_shape_fn((3, 2), |(i, j)| i as f32 - 2.0 * j as f32);
        let (rows, weights) = ([0, 3, 6], [1.0f32, 2.5, 0.5]);
        let out = normal(&hidden, &rows, &weights, &targets);
        let mut at = 0;
        for i in 0..150 {
            for j in i..150 {
                let slow: f32 =
                    (0..3).map(|r| weights[r] * hidden[(rows[r], i)] * hidden[(rows[r], j)]).sum();
                assert!((out.gram[at] - slow).abs() < 1e-2, "{i} {j}");
                at += 1;
            }
            for k in 0..2 {
                let slow: f32 = (0..3).map(|r| weights[r] * hidden[(rows[r], i)] * targets[(r, k)]).sum();
                assert!((out.moments[2 * i + k] - slow).abs() < 1e-2);
            }
        }
        assert_eq!(at, out.gram.len());
    }

    #[test]
    fn no_rows_add_nothing() {
        let hidden = Array2::<f32>::ones((4, 5));
        let out = normal(&hidden, &[], &[], &Array2::zeros((0, 3)));
        assert!(out.gram.iter().chain(&out.moments).all(|v| *v == 0.0));
        assert_eq!((out.gram.len(), out.moments.len()), (15, 15));
    }

    #[test]
    fn units_lose_less_than_one_part_in_two_to_the_sixteen() {
        for value in [0.0f32, 1.0, -3.25, 12345.678, -1e6] {
            assert!((from_units(to_units(value)) - f64::from(value)).abs() <= 0.5 / UNITS);
        }
    }
}
