//! Which cells of a labelled picture teach what, and how much.

use labelloop_core::{BBox, LabelledBox, SampleId, Seed};
use ndarray::{Array2, Axis};

use crate::GridValidParams;
use crate::features::Grid;
use crate::partial::N_BOX;

/// A cell teaches the box regression where its object's bump is at least this high.
const BOX_BUMP: f64 = 0.3;
/// Where no bump is this high, a cell is background.
const NEAR_BUMP: f64 = 0.02;
/// Least deviation of a bump in cells, so that the smallest object still covers one.
const LEAST_SIGMA: f64 = 0.4;
/// Weight that the box regression gives to each object, shared among its cells.
const BOX_WEIGHT: f64 = 20.0;

/// Rows (cells) of a picture that take part, with weights and targets.
pub(crate) struct Lessons {
    pub(crate) rows: Vec<usize>,
    pub(crate) weights: Vec<f32>,
    /// Rows x classes: height of the highest bump of the class.
    pub(crate) heat: Array2<f32>,
    pub(crate) box_rows: Vec<usize>,
    pub(crate) box_weights: Vec<f32>,
    /// Box rows x (4 + classes): the box as the cell sees it, then 1 for its class.
    pub(crate) boxes: Array2<f32>,
    pub(crate) n_objects: u64,
}

/// The object with the highest bump at a cell.
#[derive(Debug, Clone, Copy)]
struct Owner {
    bump: f64,
    object: usize,
}

/// An object inside the picture.
struct Object {
    class: usize,
    bbox: BBox,
    /// Sum of the bump's heights over the cells that it owns.
    mass: f64,
}

impl Lessons {
    pub(crate) fn of(
        grid: Grid,
        id: &SampleId,
        labels: &[LabelledBox],
        params: &GridValidParams,
        n_classes: usize,
    ) -> Self {
        let p = params.get();
        let usable = |l: &&LabelledBox| !l.is_crowd && l.bbox.clipped(grid.size).is_some();
        let mut objects: Vec<Object> = labels
            .iter()
            .filter(usable)
            .filter_map(|l| {
                Some(Object { class: l.class.as_usize(), bbox: l.bbox.clipped(grid.size)?, mass: 0.0 })
            })
            .collect();
        let mut ignored = vec![false; grid.n_cells()];
        labels.iter().filter(|l| !usable(l)).for_each(|l| ignore(&mut ignored, grid, l.bbox));
        let (heat, owners) = bumps(grid, &objects, p.heat_sigma, n_classes);
        for owner in owners.iter().filter(|o| NEAR_BUMP <= o.bump) {
            objects[owner.object].mass += owner.bump;
        }
        let keep = Background::new(&owners, &ignored, p.max_background_cells, p.seed, id);
        let mut out = Self::empty(objects.len());
        let mut boxes = Vec::new();
        for (cell, owner) in owners.iter().enumerate() {
            if owner.bump < NEAR_BUMP {
                if !ignored[cell] && keep.takes(cell) {
                    out.push(cell, 1.0 / keep.share);
                }
            } else if !ignored[cell] || BOX_BUMP <= owner.bump {
                let object = &objects[owner.object];
                let share = owner.bump / object.mass;
                out.push(cell, 1.0 + p.positive_weight * owner.bump + p.object_weight * share);
                if BOX_BUMP <= owner.bump {
                    out.box_rows.push(cell);
                    out.box_weights.push((BOX_WEIGHT * share) as f32);
                    boxes.extend(box_targets(grid, cell, object, n_classes));
                }
            }
        }
        out.heat = heat.select(Axis(0), &out.rows);
        // The rows were made to this length one by one.
        out.boxes = Array2::from_shape_vec((out.box_rows.len(), N_BOX + n_classes), boxes)
            .unwrap_or_else(|_| Array2::zeros((out.box_rows.len(), N_BOX + n_classes)));
        out
    }

    fn empty(n_objects: usize) -> Self {
        Self {
            rows: Vec::new(),
            weights: Vec::new(),
            heat: Array2::zeros((0, 0)),
            box_rows: Vec::new(),
            box_weights: Vec::new(),
            boxes: Array2::zeros((0, 0)),
            n_objects: n_objects as u64,
        }
    }

    fn push(&mut self, cell: usize, weight: f64) {
        self.rows.push(cell);
        self.weights.push(weight as f32);
    }

    /// Classes x 4: weighted sums of the box targets of each class.
    pub(crate) fn class_sums(&self, n_classes: usize) -> Vec<f32> {
        let mut sums = vec![0.0; N_BOX * n_classes];
        for (row, weight) in self.boxes.axis_iter(Axis(0)).zip(&self.box_weights) {
            for class in 0..n_classes {
                for k in 0..N_BOX {
                    sums[N_BOX * class + k] += weight * row[N_BOX + class] * row[k];
                }
            }
        }
        sums
    }
}

/// A random part of the background, which stands for all of it.
struct Background {
    share: f64,
    draw: Seed,
}

impl Background {
    fn new(owners: &[Owner], ignored: &[bool], most: usize, seed: Seed, id: &SampleId) -> Self {
        let n = owners.iter().zip(ignored).filter(|(o, i)| o.bump < NEAR_BUMP && !**i).count();
        let share = (most as f64 / n.max(1) as f64).min(1.0);
        Self { share, draw: seed.stream("background").stream(id.as_str()) }
    }

    fn takes(&self, cell: usize) -> bool {
        self.draw.unit(cell as u64) < self.share
    }
}

/// Highest bump per cell and class (cells x classes), and the highest of all classes with its object. A bump is a
/// Gaussian about the object's middle, with deviations in proportion to its sides (Zhou, Wang and Krähenbühl 2019,
/// "Objects as Points", section 3, with a width of our own).
fn bumps(grid: Grid, objects: &[Object], sigma: f64, n_classes: usize) -> (Array2<f32>, Vec<Owner>) {
    let mut heat = Array2::<f32>::zeros((grid.n_cells(), n_classes));
    let mut owners = vec![Owner { bump: 0.0, object: 0 }; grid.n_cells()];
    let least = LEAST_SIGMA * f64::from(grid.stride);
    for (index, object) in objects.iter().enumerate() {
        let (x, y) = object.bbox.centre();
        let (sx, sy) = ((sigma * object.bbox.width()).max(least), (sigma * object.bbox.height()).max(least));
        for cell in grid.cells_within(x, y, 3.5 * sx, 3.5 * sy) {
            let (cx, cy) = grid.centre(cell);
            let bump = (-0.5 * (((cx - x) / sx).powi(2) + ((cy - y) / sy).powi(2))).exp();
            let target = &mut heat[(cell, object.class)];
            *target = target.max(bump as f32);
            if owners[cell].bump < bump {
                owners[cell] = Owner { bump, object: index };
            }
        }
    }
    (heat, owners)
}

/// The object's box as a cell sees it, and 1 for its class.
fn box_targets(grid: Grid, cell: usize, object: &Object, n_classes: usize) -> Vec<f32> {
    let stride = f64::from(grid.stride);
    let ((cx, cy), (x, y)) = (grid.centre(cell), object.bbox.centre());
    let (w, h) = (object.bbox.width() / stride, object.bbox.height() / stride);
    // A sliver of a box at the picture's edge must not teach sizes near minus infinity.
    let mut out: Vec<f32> =
        [(x - cx) / stride, (y - cy) / stride, w.max(0.05).ln(), h.max(0.05).ln()].map(|v| v as f32).to_vec();
    out.extend((0..n_classes).map(|c| if c == object.class { 1.0 } else { 0.0 }));
    out
}

/// Cells that an unusable label touches teach nothing: something may be there.
fn ignore(ignored: &mut [bool], grid: Grid, bbox: BBox) {
    let half = f64::from(grid.stride) / 2.0;
    let [left, top, right, bottom] = bbox.to_corners();
    for (cell, flag) in ignored.iter_mut().enumerate() {
        let (x, y) = grid.centre(cell);
        *flag |= left <= x + half && x - half <= right && top <= y + half && y - half <= bottom;
    }
}
