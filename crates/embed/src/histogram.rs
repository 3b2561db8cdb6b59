//! Colours and texture of a cell of a picture, as two histograms that each add up to the number of its pixels.
//!
//! Only `+ - * /` and comparisons are used, all exact by IEEE 754, so that the same picture gives the same bits on every
//! machine.

use labelloop_media::RgbImage;

/// Bins of luma.
const N_LUMA: usize = 6;
/// Bins of each of the two chroma channels; odd, so that grey sits in the middle of a bin.
const N_CHROMA: usize = 5;
/// Bins of colour: luma, blue against yellow, red against green.
pub(crate) const N_COLOUR: usize = N_LUMA + 2 * N_CHROMA;
/// Bins of texture: 0 to 8 lighter neighbours in one run, and all other patterns.
pub(crate) const N_TEXTURE: usize = 10;
/// Bins of a cell.
pub(crate) const N_BINS: usize = N_COLOUR + N_TEXTURE;

/// Sums over the pixels of a cell, in the order colour, texture.
pub(crate) type Cell = [f64; N_BINS];

/// A neighbour must be lighter by this many grey levels to count, so that noise on a smooth wall is no texture.
const LIGHTER_BY: i32 = 4;
/// Chroma at which the compressed scale is half way: most colours outdoors are nearer to grey than this.
const HALF_CHROMA: f64 = 32.0;
/// The 8 neighbours around a pixel, in order.
const RING: [(i32, i32); 8] = [(-1, -1), (0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0)];

/// Histograms of `n_cells * n_cells` cells, row by row. The side must be a multiple of `n_cells`.
pub(crate) fn cells(picture: &RgbImage, luma: &LumaPlane, n_cells: usize) -> Vec<Cell> {
    let cell_side = (luma.side / n_cells).max(1);
    let mut cells = vec![[0.0; N_BINS]; n_cells * n_cells];
    for (y, row) in picture.pixels().chunks_exact(3 * luma.side).enumerate() {
        for (x, pixel) in row.chunks_exact(3).enumerate() {
            let cell = &mut cells[y / cell_side * n_cells + x / cell_side];
            let (colour, texture) = cell.split_at_mut(N_COLOUR);
            add_colour(colour, [pixel[0], pixel[1], pixel[2]]);
            texture[pattern(luma, x, y)] += 1.0;
        }
    }
    cells
}

/// Rounded luma of a square picture, edges repeated outwards.
pub(crate) struct LumaPlane {
    side: usize,
    values: Vec<i32>,
}

impl LumaPlane {
    pub(crate) fn of(picture: &RgbImage) -> Self {
        let values = picture.pixels().chunks_exact(3).map(|p| luma_of([p[0], p[1], p[2]])).collect();
        Self { side: picture.size().width() as usize, values }
    }

    pub(crate) fn side(&self) -> usize {
        self.side
    }

    /// How luma rises to the right and downwards, in grey levels over two pixels.
    pub(crate) fn slope(&self, x: usize, y: usize) -> [i32; 2] {
        [self.at(x, y, (1, 0)) - self.at(x, y, (-1, 0)), self.at(x, y, (0, 1)) - self.at(x, y, (0, -1))]
    }

    fn at(&self, x: usize, y: usize, (dx, dy): (i32, i32)) -> i32 {
        let moved = |v: usize, by: i32| match by {
            -1 => v.saturating_sub(1),
            0 => v,
            _ => (v + 1).min(self.side - 1),
        };
        self.values[moved(y, dy) * self.side + moved(x, dx)]
    }
}

/// Rec. 601 luma, rounded.
fn luma_of([r, g, b]: [u8; 3]) -> i32 {
    (299 * i32::from(r) + 587 * i32::from(g) + 114 * i32::from(b) + 500) / 1000
}

fn add_colour(bins: &mut [f64], pixel: [u8; 3]) {
    let luma = f64::from(luma_of(pixel));
    let chroma = |channel: u8| {
        let distance = f64::from(channel) - luma;
        // From (-1, 1) to (0, 1): fine steps near grey, coarse ones for strong colours.
        f64::midpoint(distance / (distance.abs() + HALF_CHROMA), 1.0)
    };
    let (of_luma, of_chroma) = bins.split_at_mut(N_LUMA);
    let (of_blue, of_red) = of_chroma.split_at_mut(N_CHROMA);
    add_soft(of_luma, luma / 255.0);
    add_soft(of_blue, chroma(pixel[2]));
    add_soft(of_red, chroma(pixel[0]));
}

/// Shares one count, a third for each of the three channels, between the two bins next to a value from 0 to 1.
fn add_soft(bins: &mut [f64], value: f64) {
    let last = bins.len() - 1;
    let place = (value * last as f64).clamp(0.0, last as f64);
    let lower = (place as usize).min(last - 1);
    let share = place - lower as f64;
    bins[lower] += (1.0 - share) / 3.0;
    bins[lower + 1] += share / 3.0;
}

/// Rotation-invariant uniform local binary pattern: how many of the 8 neighbours are lighter when these lie in one
/// run, else 9 (Ojala, Pietikäinen and Mäenpää 2002, eq. 10 with P = 8, R = 1), with a margin against noise.
fn pattern(luma: &LumaPlane, x: usize, y: usize) -> usize {
    let centre = luma.at(x, y, (0, 0));
    let lighter = RING.map(|step| centre + LIGHTER_BY <= luma.at(x, y, step));
    let n_changes = (0..8).filter(|i| lighter[*i] != lighter[(i + 1) % 8]).count();
    if n_changes <= 2 { lighter.iter().filter(|l| **l).count() } else { N_TEXTURE - 1 }
}

#[cfg(test)]
mod tests {
    use labelloop_core::ImageSize;
    use proptest::prelude::*;

    use super::*;

    fn picture(side: u32, colour: impl Fn(u32, u32) -> [u8; 3]) -> RgbImage {
        let mut picture = RgbImage::filled(ImageSize::new(side, side).unwrap(), [0; 3]);
        for (x, y) in (0..side).flat_map(|x| (0..side).map(move |y| (x, y))) {
            picture.set(x, y, colour(x, y));
        }
        picture
    }

    fn cells(picture: &RgbImage, n_cells: usize) -> Vec<Cell> {
        super::cells(picture, &LumaPlane::of(picture), n_cells)
    }

    #[test]
    fn a_plain_picture_is_without_texture() {
        let cell = cells(&picture(16, |_, _| [128; 3]), 1)[0];
        assert_eq!(cell[N_COLOUR], 256.0);
        assert!((cell[N_LUMA + N_CHROMA / 2] - 256.0 / 3.0).abs() < 1e-9, "grey is the middle of chroma");
    }

    #[test]
    fn a_dark_dot_is_a_pattern_of_eight_lighter_neighbours() {
        let dot = picture(16, |x, y| if (x, y) == (8, 8) { [0; 3] } else { [200; 3] });
        assert_eq!(cells(&dot, 1)[0][N_COLOUR + 8], 1.0);
    }

    #[test]
    fn cells_are_where_their_pixels_are() {
        let corner = picture(16, |x, y| if 8 <= x && y < 8 { [255; 3] } else { [0; 3] });
        let white = cells(&corner, 2).iter().map(|c| c[N_LUMA - 1] > 1.0).collect::<Vec<_>>();
        assert_eq!(white, [false, true, false, false]);
    }

    proptest! {
        #[test]
        fn each_histogram_adds_up_to_the_pixels(
            bytes in proptest::collection::vec(any::<u8>(), 3 * 256),
        ) {
            let picture = RgbImage::new(ImageSize::new(16, 16).unwrap(), bytes).unwrap();
            for cell in cells(&picture, 2) {
                prop_assert!(cell.iter().all(|v| 0.0 <= *v));
                let families = [0..N_COLOUR, N_COLOUR..N_BINS];
                for family in families {
                    prop_assert!((cell[family].iter().sum::<f64>() - 64.0).abs() < 1e-9);
                }
            }
        }

        #[test]
        fn the_four_cells_add_up_to_the_whole(bytes in proptest::collection::vec(any::<u8>(), 3 * 256)) {
            let picture = RgbImage::new(ImageSize::new(16, 16).unwrap(), bytes).unwrap();
            let whole = cells(&picture, 1)[0];
            let parts = cells(&picture, 2);
            for bin in 0..N_BINS {
                let sum: f64 = parts.iter().map(|c| c[bin]).sum();
                prop_assert!((sum - whole[bin]).abs() < 1e-9);
            }
        }
    }
}
