//! The height of the ground, cell by cell.

/// Cells to each side whose low points say where the ground of a cell is.
const WINDOW: isize = 2;
/// Share of a cell's points that may lie below its low point: mirrored returns come from below the ground.
const LOW_SHARE: f64 = 0.1;
/// Share of the window's low points that may lie below the ground: cells full of things have high low points.
const GROUND_SHARE: f64 = 0.3;

/// Heights of the ground at the middles of square cells, in between by bilinear interpolation.
#[derive(Debug)]
pub(crate) struct Ground {
    cell: f64,
    reach: f64,
    n_cells: usize,
    /// Row by row; NaN where no point is near.
    heights: Vec<f64>,
    /// Where nothing is known: the median of what is.
    level: f64,
}

impl Ground {
    /// Points are x, y, z and more; those beyond `reach` along x or y must have been left out.
    ///
    /// Time: O(n log n) for n points, and O(cells).
    pub(crate) fn of(points: &[[f64; 4]], reach: f64, cell: f64) -> Self {
        let n_cells = (2.0 * reach / cell).ceil().max(1.0) as usize;
        let mut ground =
            Self { cell, reach, n_cells, heights: vec![f64::NAN; n_cells * n_cells], level: 0.0 };
        let lows = ground.low_points(points);
        let mut window = Vec::new();
        for (i, height) in (0..n_cells * n_cells).zip(ground.heights.iter_mut()) {
            let (row, column) = ((i / n_cells) as isize, (i % n_cells) as isize);
            window.clear();
            for r in row - WINDOW..=row + WINDOW {
                for c in column - WINDOW..=column + WINDOW {
                    let inside = 0 <= r && 0 <= c && r < n_cells as isize && c < n_cells as isize;
                    window.extend(inside.then(|| lows[r as usize * n_cells + c as usize]));
                }
            }
            window.retain(|low| !low.is_nan());
            *height = quantile(&mut window, GROUND_SHARE).unwrap_or(f64::NAN);
        }
        let mut known: Vec<f64> = ground.heights.iter().copied().filter(|h| !h.is_nan()).collect();
        ground.level = quantile(&mut known, 0.5).unwrap_or(0.0);
        ground
    }

    /// Height of the ground at a place.
    pub(crate) fn at(&self, x: f64, y: f64) -> f64 {
        let place = |v: f64| ((v + self.reach) / self.cell - 0.5).clamp(0.0, (self.n_cells - 1) as f64);
        let (column, row) = (place(x), place(y));
        let (c, r) = (column.floor(), row.floor());
        let (tx, ty) = (column - c, row - r);
        let height = |c: f64, r: f64| self.heights[r as usize * self.n_cells + c as usize];
        let (c1, r1) = (column.ceil(), row.ceil());
        let top = (1.0 - tx) * height(c, r) + tx * height(c1, r);
        let bottom = (1.0 - tx) * height(c, r1) + tx * height(c1, r1);
        let between = (1.0 - ty) * top + ty * bottom;
        if !between.is_nan() {
            return between;
        }
        let nearest = height(column.round(), row.round());
        if nearest.is_nan() { self.level } else { nearest }
    }

    /// The low point of each cell; NaN where there is no point.
    fn low_points(&self, points: &[[f64; 4]]) -> Vec<f64> {
        let last = (self.n_cells - 1) as f64;
        let place = |v: f64| ((v + self.reach) / self.cell).floor().clamp(0.0, last) as usize;
        let mut by_cell: Vec<(usize, f64)> =
            points.iter().map(|p| (place(p[1]) * self.n_cells + place(p[0]), p[2])).collect();
        by_cell.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let mut lows = vec![f64::NAN; self.n_cells * self.n_cells];
        for run in by_cell.chunk_by(|a, b| a.0 == b.0) {
            lows[run[0].0] = run[rank(run.len(), LOW_SHARE)].1;
        }
        lows
    }
}

fn quantile(values: &mut [f64], share: f64) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(rank(values.len(), share)).copied()
}

/// Place of the value below which at most this share of `n` sorted ones lies.
fn rank(n: usize, share: f64) -> usize {
    (n.saturating_sub(1) as f64 * share).floor() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(slope: f64) -> Vec<[f64; 4]> {
        let at = |i: usize| -20.0 + 0.5 * (i % 81) as f64;
        (0..81 * 81).map(|i| [at(i), at(i / 81), slope * at(i) - 1.7, 0.0]).collect()
    }

    #[test]
    fn level_ground_is_found_under_a_car_and_above_mirrored_points() {
        let mut points = plane(0.0);
        for p in &mut points {
            if (4.0..9.0).contains(&p[0]) && p[1].abs() < 1.0 {
                p[2] = -0.2;
            }
        }
        points.extend((0..9).map(|i| [f64::from(i), 3.0, -5.0, 0.0]));
        let ground = Ground::of(&points, 40.0, 2.0);
        for x in -18..18 {
            assert!(
                (ground.at(f64::from(x), 0.0) + 1.7).abs() < 0.05,
                "{x}: {}",
                ground.at(f64::from(x), 0.0)
            );
        }
    }

    #[test]
    fn a_slope_is_followed() {
        let ground = Ground::of(&plane(0.05), 40.0, 2.0);
        for x in -14..14 {
            let x = f64::from(x);
            assert!((ground.at(x, 3.0) - (0.05 * x - 1.7)).abs() < 0.2, "{x}: {}", ground.at(x, 3.0));
        }
    }

    #[test]
    fn far_from_all_points_the_level_is_that_of_most() {
        let ground = Ground::of(&plane(0.0), 100.0, 2.0);
        assert_eq!(ground.at(90.0, -90.0), -1.7);
        assert_eq!(ground.at(1e9, f64::MAX), -1.7);
        assert_eq!(Ground::of(&[], 10.0, 2.0).at(1.0, 1.0), 0.0);
    }
}
