//! What the learner sees of a picture: hand-made channels on a grid of cells, and random ReLU features of them.

use std::ops::Range;

use labelloop_core::{ImageSize, Seed};
use labelloop_media::RgbImage;
use ndarray::{Array2, Axis, Slice};

use crate::GridValidParams;

/// Mean and deviation of three colours, and light's slope in six directions.
const N_CHANNELS: usize = 12;
/// Radii of the box filters, in cells, at the cell itself.
const CENTRE_BLURS: [usize; 4] = [0, 1, 3, 7];
/// Distance of the eight neighbours and radius of the box filter there, in cells.
const RINGS: [(usize, usize); 4] = [(1, 0), (3, 1), (6, 2), (9, 3)];
/// Distances to the four borders.
const N_BORDERS: usize = 4;
/// Farther from a border than this many cells, it does not matter how far.
const BORDER_REACH: f32 = 9.0;
const N_INPUTS: usize = N_CHANNELS * (CENTRE_BLURS.len() + 8 * RINGS.len()) + N_BORDERS;
/// Share of the inputs that a random feature looks at.
const TAP_SHARE: f64 = 0.05;
/// Standard deviation of a random feature's offset.
const OFFSET_SPREAD: f64 = 0.5;
/// Cells that go through the projection at once; their inputs fit a core's cache.
const CHUNK: usize = 256;

/// The cells of one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) size: ImageSize,
    pub(crate) stride: u32,
    pub(crate) n_columns: usize,
    pub(crate) n_rows: usize,
}

impl Grid {
    pub(crate) fn new(size: ImageSize, stride: u32) -> Self {
        let cells = |side: u32| side.div_ceil(stride) as usize;
        Self { size, stride, n_columns: cells(size.width()), n_rows: cells(size.height()) }
    }

    pub(crate) fn n_cells(&self) -> usize {
        self.n_columns * self.n_rows
    }

    /// Cells whose middles are at most so far from a place, across and down.
    pub(crate) fn cells_within(&self, x: f64, y: f64, dx: f64, dy: f64) -> impl Iterator<Item = usize> {
        let stride = f64::from(self.stride);
        let low = |v: f64| (v / stride - 0.5).ceil().max(0.0) as usize;
        let high = |v: f64, n: usize| ((v / stride - 0.5).floor() + 1.0).clamp(0.0, n as f64) as usize;
        let (columns, n_columns) = (low(x - dx)..high(x + dx, self.n_columns), self.n_columns);
        (low(y - dy)..high(y + dy, self.n_rows))
            .flat_map(move |row| columns.clone().map(move |c| row * n_columns + c))
    }

    /// The cell and its neighbours that exist, up to nine, in order.
    pub(crate) fn around(&self, cell: usize) -> impl Iterator<Item = usize> {
        let (x, y, n_columns) = (cell % self.n_columns, cell / self.n_columns, self.n_columns);
        let columns = x.saturating_sub(1)..(x + 2).min(n_columns);
        let rows = y.saturating_sub(1)..(y + 2).min(self.n_rows);
        rows.flat_map(move |row| columns.clone().map(move |column| row * n_columns + column))
    }

    /// Middle of a cell in pixels.
    pub(crate) fn centre(&self, cell: usize) -> (f64, f64) {
        let stride = f64::from(self.stride);
        ((((cell % self.n_columns) as f64) + 0.5) * stride, (((cell / self.n_columns) as f64) + 0.5) * stride)
    }
}

/// Random ReLU features of every cell of one picture; keep them to learn from and detect in the picture many times.
///
/// Takes `4 * n_random_features` bytes per cell.
#[derive(Debug, Clone, PartialEq)]
pub struct GridFeatures {
    pub(crate) grid: Grid,
    /// Shape: cells x (random features + 1).
    pub(crate) hidden: Array2<f32>,
    pub(crate) tag: FeatureTag,
}

impl GridFeatures {
    /// Bytes of memory that they take, to decide how many to keep.
    pub fn n_bytes(&self) -> usize {
        self.hidden.len() * size_of::<f32>()
    }
}

/// What features depend on beside the picture; two makers with the same tag make the same features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FeatureTag {
    pub(crate) stride: u32,
    pub(crate) n_random: usize,
    pub(crate) seed: Seed,
}

/// The random projection; a function of the seed, its width and the stride alone.
///
/// Each feature looks at a few inputs only. With all inputs in every feature, the smooth surroundings, which many
/// inputs agree on, drown the details.
#[derive(Debug, Clone)]
pub(crate) struct Projection {
    pub(crate) tag: FeatureTag,
    features: Vec<RandomFeature>,
}

/// `max(0, offset + sum of weight * input)`.
#[derive(Debug, Clone)]
struct RandomFeature {
    offset: f32,
    /// Input and weight.
    taps: Vec<(usize, f32)>,
}

impl Projection {
    pub(crate) fn new(params: &GridValidParams, stride: u32) -> Self {
        let p = params.get();
        let n_random = p.n_random_features;
        let seed = p.seed.stream("random features");
        let (mask, offsets) = (seed.stream("mask"), seed.stream("offsets"));
        // The sum of the taps has unit variance where inputs have.
        let gain = 1.0 / (N_INPUTS as f64 * TAP_SHARE).sqrt();
        let tap = |i: usize, j: usize| {
            let at = (i * n_random + j) as u64;
            (mask.unit(at) < TAP_SHARE).then(|| (i, (gain * seed.normal(at)) as f32))
        };
        let features = (0..n_random).map(|j| RandomFeature {
            offset: (OFFSET_SPREAD * offsets.normal(j as u64)) as f32,
            taps: (0..N_INPUTS).filter_map(|i| tap(i, j)).collect(),
        });
        Self { tag: FeatureTag { stride, n_random, seed: p.seed }, features: features.collect() }
    }

    /// Random features of one picture, with a constant 1 as the last.
    pub(crate) fn features(&self, image: &RgbImage) -> GridFeatures {
        let grid = Grid::new(image.size(), self.tag.stride);
        let mut hidden = Array2::zeros((grid.n_cells(), self.features.len() + 1));
        self.each_chunk(image, grid, |cells, block| {
            hidden.slice_axis_mut(Axis(0), Slice::from(cells)).assign(&block.t());
        });
        GridFeatures { grid, hidden, tag: self.tag }
    }

    /// Applies linear read-outs (shape: features + 1 x outputs) to every cell without keeping the features.
    pub(crate) fn read_out(&self, image: &RgbImage, weights: &Array2<f32>) -> (Grid, Array2<f32>) {
        let grid = Grid::new(image.size(), self.tag.stride);
        let mut out = Array2::zeros((grid.n_cells(), weights.ncols()));
        self.each_chunk(image, grid, |cells, block| {
            out.slice_axis_mut(Axis(0), Slice::from(cells)).assign(&block.t().dot(weights));
        });
        (grid, out)
    }

    /// Hands over the features of some cells at a time (shape: features + 1 x cells).
    fn each_chunk(&self, image: &RgbImage, grid: Grid, mut take: impl FnMut(Range<usize>, &Array2<f32>)) {
        let inputs = Inputs::of(image, grid);
        for start in (0..grid.n_cells()).step_by(CHUNK) {
            let cells = start..(start + CHUNK).min(grid.n_cells());
            let planes = inputs.rows(cells.clone()).reversed_axes().as_standard_layout().into_owned();
            take(cells, &self.activate(&planes));
        }
    }

    /// Features of cells (features + 1 x cells) from their inputs (inputs x cells).
    fn activate(&self, planes: &Array2<f32>) -> Array2<f32> {
        let mut out = Array2::ones((self.features.len() + 1, planes.ncols()));
        for (mut row, feature) in out.axis_iter_mut(Axis(0)).zip(&self.features) {
            row.fill(feature.offset);
            for (input, weight) in &feature.taps {
                row.scaled_add(*weight, &planes.row(*input));
            }
            // The bound keeps freak pictures from dominating the sums.
            row.mapv_inplace(|v| v.clamp(0.0, 30.0));
        }
        out
    }
}

/// The channels of a picture at every blur that the inputs need, cells x channels each.
struct Inputs {
    grid: Grid,
    /// By radius of the box filter.
    blurred: Vec<(usize, Array2<f32>)>,
}

impl Inputs {
    fn of(image: &RgbImage, grid: Grid) -> Self {
        let sharp = channels(image, grid);
        let mut radii: Vec<usize> = CENTRE_BLURS.into_iter().chain(RINGS.map(|(_, blur)| blur)).collect();
        radii.sort_unstable();
        radii.dedup();
        let blurred = radii.into_iter().map(|r| (r, box_blur(&sharp, grid, r))).collect();
        Self { grid, blurred }
    }

    fn at(&self, radius: usize) -> &Array2<f32> {
        // Every radius of the two tables is computed above.
        &self.blurred[self.blurred.iter().position(|(r, _)| *r == radius).unwrap_or(0)].1
    }

    /// Inputs of some cells, one row each.
    fn rows(&self, cells: Range<usize>) -> Array2<f32> {
        let mut out = Array2::zeros((cells.len(), N_INPUTS));
        let centres: Vec<&Array2<f32>> = CENTRE_BLURS.iter().map(|r| self.at(*r)).collect();
        let rings: Vec<(usize, &Array2<f32>)> = RINGS.iter().map(|(d, r)| (*d, self.at(*r))).collect();
        for (mut row, cell) in out.axis_iter_mut(Axis(0)).zip(cells) {
            if let Some(row) = row.as_slice_mut() {
                self.fill(row, cell, &centres, &rings);
            }
        }
        out
    }

    fn fill(&self, row: &mut [f32], cell: usize, centres: &[&Array2<f32>], rings: &[(usize, &Array2<f32>)]) {
        let (nc, nr) = (self.grid.n_columns as isize, self.grid.n_rows as isize);
        let (cx, cy) = ((cell % self.grid.n_columns) as isize, (cell / self.grid.n_columns) as isize);
        let mut at = 0;
        let mut push = |from: &Array2<f32>, x: isize, y: isize| {
            let other = (y.clamp(0, nr - 1) * nc + x.clamp(0, nc - 1)) as usize;
            if let Some(values) = from.row(other).to_slice() {
                row[at..at + N_CHANNELS].copy_from_slice(values);
            }
            at += N_CHANNELS;
        };
        for from in centres {
            push(from, cx, cy);
        }
        for (distance, from) in rings {
            let d = *distance as isize;
            // Diagonal neighbours stand at the same distance as straight ones.
            let e = ((d as f64) * std::f64::consts::FRAC_1_SQRT_2).round().max(1.0) as isize;
            for (dx, dy) in [(d, 0), (e, e), (0, d), (-e, e), (-d, 0), (-e, -e), (0, -d), (e, -e)] {
                push(from, cx + dx, cy + dy);
            }
        }
        for (k, d) in [cx, cy, nc - 1 - cx, nr - 1 - cy].into_iter().enumerate() {
            row[at + k] = 2.0 * (d as f32 / BORDER_REACH).min(1.0) - 1.0;
        }
    }
}

/// Channels of every cell, in fixed units: about zero mean and unit spread in photographs. Fixed, because units taken
/// from the pictures at hand would make what one picture adds depend on the others.
fn channels(image: &RgbImage, grid: Grid) -> Array2<f32> {
    let (mut sums, counts) = cell_sums(image, grid);
    for (mut row, count) in sums.axis_iter_mut(Axis(0)).zip(&counts) {
        for c in 0..3 {
            let mean = row[c] / count;
            let deviation = (row[3 + c] / count - mean * mean).max(0.0).sqrt();
            row[c] = (mean - 0.5) / 0.25;
            row[3 + c] = (deviation.sqrt() - 0.2) / 0.12;
        }
        for k in 6..N_CHANNELS {
            row[k] = ((row[k] / count).sqrt() - 0.12) / 0.1;
        }
    }
    sums
}

/// Per cell: sums of the three colours, of their squares, and of the light's slope along six directions where it
/// rises; and the number of pixels.
fn cell_sums(image: &RgbImage, grid: Grid) -> (Array2<f32>, Vec<f32>) {
    let (w, h) = (image.size().width() as usize, image.size().height() as usize);
    let light =
        |p: &[u8]| (0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2])) / 255.0;
    let light: Vec<f32> = image.pixels().chunks_exact(3).map(light).collect();
    let mut sums = vec![[0.0f32; N_CHANNELS]; grid.n_cells()];
    let mut counts = vec![0.0f32; grid.n_cells()];
    let stride = grid.stride as usize;
    let half_root = 0.75f32.sqrt();
    for (y, pixels) in image.pixels().chunks_exact(3 * w).enumerate() {
        let (here, up, down) = (y * w, y.saturating_sub(1) * w, (y + 1).min(h - 1) * w);
        for (x, pixel) in pixels.chunks_exact(3).enumerate() {
            let cell = (y / stride) * grid.n_columns + x / stride;
            let gx = light[here + (x + 1).min(w - 1)] - light[here + x.saturating_sub(1)];
            let gy = light[down + x] - light[up + x];
            let v = &mut sums[cell];
            counts[cell] += 1.0;
            for (c, value) in pixel.iter().enumerate() {
                let value = f32::from(*value) / 255.0;
                v[c] += value;
                v[3 + c] += value * value;
            }
            let (a, b) = (0.5 * gx + half_root * gy, -0.5 * gx + half_root * gy);
            for (sum, slope) in v[6..].iter_mut().zip([gx, a, b, -gx, -a, -b]) {
                *sum += slope.max(0.0);
            }
        }
    }
    (Array2::from(sums), counts)
}

/// Mean over the square of `2 * radius + 1` cells around each cell, of those that exist.
fn box_blur(sharp: &Array2<f32>, grid: Grid, radius: usize) -> Array2<f32> {
    if radius == 0 {
        return sharp.clone();
    }
    let across = blur_lines(sharp, grid.n_rows, grid.n_columns, grid.n_columns, 1, radius);
    blur_lines(&across, grid.n_columns, grid.n_rows, 1, grid.n_columns, radius)
}

/// Running mean along `n_lines` lines of `length` cells; `between` cells apart, with `step` from cell to cell.
fn blur_lines(
    from: &Array2<f32>,
    n_lines: usize,
    length: usize,
    between: usize,
    step: usize,
    radius: usize,
) -> Array2<f32> {
    let mut out = Array2::zeros(from.raw_dim());
    for line in 0..n_lines {
        let at = |i: usize| line * between + i * step;
        let mut sum = [0.0f64; N_CHANNELS];
        let mut count = 0.0f64;
        for i in 0..length.min(radius) {
            count += 1.0;
            sum.iter_mut().zip(from.row(at(i))).for_each(|(s, v)| *s += f64::from(*v));
        }
        for i in 0..length {
            if i + radius < length {
                count += 1.0;
                sum.iter_mut().zip(from.row(at(i + radius))).for_each(|(s, v)| *s += f64::from(*v));
            }
            if radius < i {
                count -= 1.0;
                sum.iter_mut().zip(from.row(at(i - radius - 1))).for_each(|(s, v)| *s -= f64::from(*v));
            }
            out.row_mut(at(i)).iter_mut().zip(&sum).for_each(|(o, s)| *o = (s / count) as f32);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GridParams;

    fn grid(w: u32, h: u32, stride: u32) -> Grid {
        Grid::new(ImageSize::new(w, h).unwrap(), stride)
    }

    #[test]
    fn running_means_are_those_of_the_definition() {
        let grid = grid(7 * 8, 5 * 8, 8);
        let sharp = Array2::from_shape_fn((35, N_CHANNELS), |(i, c)| ((i * 7 + c * 3) % 11) as f32);
        for radius in [0usize, 1, 3, 7] {
            let fast = box_blur(&sharp, grid, radius);
            for (y, x) in (0..5usize).flat_map(|y| (0..7usize).map(move |x| (y, x))) {
                let rows = y.saturating_sub(radius)..(y + radius + 1).min(5);
                let cells: Vec<usize> = rows
                    .flat_map(|r| (x.saturating_sub(radius)..(x + radius + 1).min(7)).map(move |c| r * 7 + c))
                    .collect();
                let mean = cells.iter().map(|c| sharp[(*c, 4)]).sum::<f32>() / cells.len() as f32;
                assert!((fast[(y * 7 + x, 4)] - mean).abs() < 1e-4, "{radius} {y} {x}");
            }
        }
    }

    #[test]
    fn cells_within_are_those_of_the_definition() {
        let grid = grid(50, 37, 8);
        for (x, y, dx, dy) in
            [(20.0, 10.0, 9.0, 5.0), (0.0, 0.0, 3.0, 3.0), (-90.0, 5.0, 8.0, 8.0), (49.0, 36.0, 99.0, 1e9)]
        {
            let slow: Vec<usize> = (0..grid.n_cells())
                .filter(|c| (grid.centre(*c).0 - x).abs() <= dx && (grid.centre(*c).1 - y).abs() <= dy)
                .collect();
            assert_eq!(grid.cells_within(x, y, dx, dy).collect::<Vec<_>>(), slow);
        }
    }

    #[test]
    fn neighbours_stop_at_the_borders() {
        let grid = grid(24, 24, 8);
        assert_eq!(grid.around(0).collect::<Vec<_>>(), [0, 1, 3, 4]);
        assert_eq!(grid.around(4).count(), 9);
        assert_eq!(grid.around(8).collect::<Vec<_>>(), [4, 5, 7, 8]);
    }

    #[test]
    fn the_last_feature_is_the_constant() {
        let params = GridParams { n_random_features: 16, ..GridParams::default() }.check().unwrap();
        let image = RgbImage::new(ImageSize::new(33, 9).unwrap(), vec![77; 33 * 9 * 3]).unwrap();
        let features = Projection::new(&params, 8).features(&image);
        assert_eq!(features.hidden.dim(), (5 * 2, 17));
        assert!(features.hidden.column(16).iter().all(|v| *v == 1.0));
        assert!(features.hidden.iter().all(|v| (0.0..=30.0).contains(v)));
    }
}
