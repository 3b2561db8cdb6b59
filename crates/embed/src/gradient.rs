//! Which way brightness rises in each cell of a grid, in proportion to what its surroundings hold.
//!
//! Histograms of oriented gradients (Dalal and Triggs 2005) with three changes: directions keep their sign, since dark on
//! light is not light on dark; a cell is divided by the mean of the 5 x 5 cells around it; and flatness has a bin of its
//! own, so that a picture without an edge has a vector too.
//!
//! Sums are whole numbers until the last step, and that uses only `+ * /` and square roots, which are exact by IEEE 754:
//! the same picture gives the same bits on every machine and in any order of pixels. Angles come from no `atan2`: a
//! gradient is split into its parts along the two nearest of eight directions.

use crate::histogram::LumaPlane;

/// Cells on each side of the grid.
pub(crate) const N_GRID: usize = 8;
/// Directions, 45 degrees apart, the first to the right, the next to the lower right.
const N_DIRECTIONS: usize = 8;
/// Bins of a cell: the directions, and flat.
pub(crate) const N_BINS: usize = N_DIRECTIONS + 1;
/// Gradient (grey levels per two pixels) on average around a cell that counts half as flat: above the noise of a sensor.
const HALF_FLAT: f64 = 16.0;
/// How many cells away still are surroundings.
const REACH: usize = 2;

/// Shares of every bin of every cell, row by row; they add up to 1.
pub(crate) fn shares(luma: &LumaPlane) -> Vec<f64> {
    let sums = sums(luma);
    let cell_side = luma.side() / N_GRID;
    // A pixel's weights over all cells add up to the square of twice the side of a cell, and so does a cell's over pixels.
    let per_cell = ((2 * cell_side * cell_side) as f64).powi(2);
    let cells: Vec<[f64; N_DIRECTIONS]> = sums.iter().map(lengths).collect();
    let totals: Vec<f64> = cells.iter().map(|cell| cell.iter().sum::<f64>() / per_cell).collect();
    let mut shares = Vec::with_capacity(N_GRID * N_GRID * N_BINS);
    for (at, cell) in cells.iter().enumerate() {
        let by = around(&totals, at) + HALF_FLAT;
        shares.extend(cell.iter().map(|length| length / per_cell / by));
        shares.push(HALF_FLAT / by);
    }
    let total: f64 = shares.iter().sum();
    shares.iter_mut().for_each(|share| *share /= total);
    shares
}

/// Sums along axes are lengths already; along diagonals they are in steps of one pixel to the side and one down.
fn lengths(cell: &[u64; N_DIRECTIONS]) -> [f64; N_DIRECTIONS] {
    std::array::from_fn(|k| {
        let by = if k.is_multiple_of(2) { 1.0 } else { std::f64::consts::SQRT_2 };
        cell[k] as f64 * by
    })
}

/// Mean over the cells at most [`REACH`] away that are on the grid.
fn around(totals: &[f64], at: usize) -> f64 {
    let near = |v: usize| v.saturating_sub(REACH)..(v + REACH + 1).min(N_GRID);
    let (rows, columns) = (near(at / N_GRID), near(at % N_GRID));
    let n = rows.len() * columns.len();
    rows.flat_map(|y| columns.clone().map(move |x| totals[y * N_GRID + x])).sum::<f64>() / n as f64
}

/// Gradients by cell and direction: each pixel is shared between the four nearest cells, in proportion to how near their
/// centres are, and what would fall off the grid is left out.
fn sums(luma: &LumaPlane) -> Vec<[u64; N_DIRECTIONS]> {
    let mut sums = vec![[0; N_DIRECTIONS]; N_GRID * N_GRID];
    let places: Vec<[Option<(usize, u64)>; 2]> = (0..luma.side()).map(|v| near(v, luma.side())).collect();
    for (y, of_y) in places.iter().enumerate() {
        for (x, of_x) in places.iter().enumerate() {
            let [(axis, along), (diagonal, slant)] = parts(luma.slope(x, y));
            for (row, wy) in of_y.iter().flatten() {
                for (column, wx) in of_x.iter().flatten() {
                    let cell = &mut sums[row * N_GRID + column];
                    cell[axis] += wx * wy * along;
                    cell[diagonal] += wx * wy * slant;
                }
            }
        }
    }
    sums
}

/// The two cells along one side whose centres are nearest to a pixel, with weights that add up to twice a cell's side.
fn near(pixel: usize, side: usize) -> [Option<(usize, u64)>; 2] {
    let cell_side = side / N_GRID;
    // From the centre of a cell half a cell off the grid, in half pixels, so that nothing is negative.
    let from = 2 * pixel + 1 + cell_side;
    let (cell, past) = (from / (2 * cell_side), from % (2 * cell_side));
    let on_grid = |cell: Option<usize>, weight: usize| {
        cell.filter(|cell| *cell < N_GRID).map(|cell| (cell, weight as u64))
    };
    [on_grid(cell.checked_sub(1), 2 * cell_side - past), on_grid(Some(cell), past)]
}

/// A gradient as steps along the nearest axis and along the nearest diagonal, with the numbers of these directions.
fn parts([gx, gy]: [i32; 2]) -> [(usize, u64); 2] {
    let (across, down) = (gx.unsigned_abs(), gy.unsigned_abs());
    let axis = match (down <= across, 0 <= gx, 0 <= gy) {
        (true, true, _) => 0,
        (true, false, _) => 4,
        (false, _, true) => 2,
        (false, _, false) => 6,
    };
    let diagonal = match (0 <= gx, 0 <= gy) {
        (true, true) => 1,
        (false, true) => 3,
        (false, false) => 5,
        (true, false) => 7,
    };
    [(axis, u64::from(across.abs_diff(down))), (diagonal, u64::from(across.min(down)))]
}

#[cfg(test)]
mod tests {
    use labelloop_core::{ImageSize, Seed};
    use labelloop_media::RgbImage;
    use proptest::prelude::*;

    use super::*;

    fn plane(side: u32, luma: impl Fn(u32, u32) -> u8) -> LumaPlane {
        let mut picture = RgbImage::filled(ImageSize::new(side, side).unwrap(), [0; 3]);
        for (x, y) in (0..side).flat_map(|x| (0..side).map(move |y| (x, y))) {
            picture.set(x, y, [luma(x, y); 3]);
        }
        LumaPlane::of(&picture)
    }

    fn cell(shares: &[f64], x: usize, y: usize) -> &[f64] {
        &shares[(y * N_GRID + x) * N_BINS..][..N_BINS]
    }

    #[test]
    fn a_plain_picture_is_flat_everywhere() {
        let shares = shares(&plane(32, |_, _| 77));
        for cell in shares.chunks(N_BINS) {
            assert!(cell[..N_DIRECTIONS].iter().all(|s| *s == 0.0));
            assert!((cell[N_DIRECTIONS] - 1.0 / 64.0).abs() < 1e-12);
        }
    }

    #[test]
    fn ramps_point_where_they_rise() {
        let byte = |v: u32| u8::try_from(v).unwrap();
        let ramps: [(usize, LumaPlane); 5] = [
            (0, plane(32, |x, _| byte(7 * x))),
            (2, plane(32, |_, y| byte(7 * y))),
            (4, plane(32, |x, _| byte(250 - 7 * x))),
            (6, plane(32, |_, y| byte(250 - 7 * y))),
            (1, plane(32, |x, y| byte(3 * x + 3 * y))),
        ];
        for (expected, ramp) in ramps {
            let shares = shares(&ramp);
            let inner = cell(&shares, 4, 4);
            let rest: f64 = (0..N_DIRECTIONS).filter(|k| *k != expected).map(|k| inner[k]).sum();
            assert!(0.2 / 64.0 < inner[expected] && rest < 1e-12, "{expected}: {inner:?}");
        }
    }

    #[test]
    fn an_edge_is_in_its_cells_and_nowhere_far_away() {
        let edge = sums(&plane(64, |x, _| if x < 20 { 0 } else { 200 }));
        for (at, cell) in edge.iter().enumerate() {
            let total: u64 = cell.iter().sum();
            assert_eq!(0 < total, (1..=3).contains(&(at % N_GRID)), "cell {at}: {total}");
        }
    }

    #[test]
    fn weights_of_a_pixel_add_up_inside_the_grid() {
        for side in [8, 16, 40, 64, 128] {
            let cell_side = side / N_GRID;
            for pixel in 0..side {
                let total: u64 = near(pixel, side).iter().flatten().map(|(_, w)| w).sum();
                let is_inside = cell_side / 2 <= pixel && pixel < side - cell_side / 2;
                assert!(!is_inside || total == 2 * cell_side as u64, "pixel {pixel} of {side}: {total}");
                assert!(total <= 2 * cell_side as u64);
            }
        }
    }

    proptest! {
        #[test]
        fn parts_add_up_to_the_gradient(gx in -255..=255i32, gy in -255..=255i32) {
            let step = [[1, 0], [1, 1], [0, 1], [-1, 1], [-1, 0], [-1, -1], [0, -1], [1, -1]];
            let mut sum = [0, 0];
            for (k, n) in parts([gx, gy]) {
                let n = i32::try_from(n).unwrap();
                sum = [sum[0] + n * step[k][0], sum[1] + n * step[k][1]];
            }
            prop_assert_eq!(sum, [gx, gy]);
        }

        #[test]
        fn a_brighter_picture_with_more_contrast_has_nearly_the_same_shape(seed in any::<u64>()) {
            let noise = Seed::new(seed);
            let level = |x: u32, y: u32| noise.bits(u64::from(x / 5 * 64 + y / 5)).to_le_bytes()[0] / 4;
            let faint = shares(&plane(64, |x, y| 60 + level(x, y)));
            let strong = shares(&plane(64, |x, y| 20 + 3 * level(x, y)));
            let shape = |s: &[f64]| {
                let edges: Vec<f64> = s.chunks(N_BINS).flat_map(|c| c[..N_DIRECTIONS].to_vec()).collect();
                let total: f64 = edges.iter().sum();
                edges.iter().map(|e| e / total).collect::<Vec<_>>()
            };
            let off: f64 = shape(&faint).iter().zip(shape(&strong)).map(|(a, b)| (a - b).abs()).sum();
            prop_assert!(off < 0.1, "{}", off);
        }

        #[test]
        fn shares_add_up_to_one(seed in any::<u64>(), cells in 1..6u32) {
            let noise = Seed::new(seed);
            let shares = shares(&plane(8 * cells, |x, y| noise.bits(u64::from(64 * x + y)).to_le_bytes()[0]));
            prop_assert_eq!(shares.len(), 64 * N_BINS);
            prop_assert!(shares.iter().all(|s| 0.0 <= *s));
            prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }
}
