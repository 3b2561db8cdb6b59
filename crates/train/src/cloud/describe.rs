//! What is told of a cluster, for a class to be read from.

use nalgebra::{Matrix3, SymmetricEigen};

use super::outline::{Rectangle, best, rectangles};
use super::scan::Standing;

/// Numbers that describe a cluster.
pub(crate) const N_INPUTS: usize = 30;
/// Keeps logarithms of lengths finite, in metres.
const LEAST_LENGTH: f64 = 0.02;

/// A cluster in numbers.
#[derive(Debug, Clone)]
pub(crate) struct Description {
    pub(crate) inputs: [f64; N_INPUTS],
    /// Rectangles around it, by heading.
    pub(crate) rectangles: Vec<Rectangle>,
    pub(crate) n_points: usize,
    /// Height of the ground under it.
    pub(crate) ground: f64,
}

/// The description of some points, of which there must be at least one.
///
/// Lengths as the sensor sees them (along and across the line of sight) stand beside those of the box, because the box of
/// a thing that is seen from one side only is poorly known.
pub(crate) fn describe(points: &[Standing]) -> Description {
    let rectangles = rectangles(points);
    let n = points.len().max(1) as f64;
    let mean = |of: &dyn Fn(&Standing) -> f64| points.iter().map(of).sum::<f64>() / n;
    let spread = |of: &dyn Fn(&Standing) -> f64| {
        let middle = mean(of);
        mean(&|p| (of(p) - middle).powi(2)).sqrt()
    };
    let (x, y) = (mean(&|p| p.x), mean(&|p| p.y));
    let range = x.hypot(y).max(LEAST_LENGTH);
    let sight = [x / range, y / range];
    let along = move |p: &Standing| p.x * sight[0] + p.y * sight[1];
    let across = move |p: &Standing| p.y * sight[0] - p.x * sight[1];
    let height = |p: &Standing| p.height;
    let (low, high) = extent(points, &height);
    let [long, short, turn, edge] = outline(&rectangles, sight);
    let ln = |length: f64| length.max(LEAST_LENGTH).ln();
    let sights = [along_extent(points, &along), along_extent(points, &across)];
    let [line, plane, ball] = flatness(points);
    let quarters = quarters(points, low, high);
    let (upper, lower) = halves(points, &across, (low + high) / 2.0);
    let inputs = [
        n.ln(),
        n.ln() + 2.0 * range.ln(),
        range,
        long,
        short,
        ln(long),
        ln(short),
        turn,
        edge,
        low,
        high,
        ln(high),
        high - low,
        mean(&height),
        spread(&height),
        mean(&|p| p.intensity),
        spread(&|p| p.intensity),
        sights[0],
        sights[1],
        ln(sights[1]),
        line,
        plane,
        ball,
        quarters[0],
        quarters[1],
        quarters[2],
        quarters[3],
        upper,
        lower,
        n.ln() + 2.0 * range.ln() - ln(sights[1]) - ln(high),
    ];
    Description { inputs, rectangles, n_points: points.len(), ground: mean(&|p| p.z - p.height) }
}

fn extent(points: &[Standing], of: &dyn Fn(&Standing) -> f64) -> (f64, f64) {
    points.iter().map(of).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)))
}

fn along_extent(points: &[Standing], of: &dyn Fn(&Standing) -> f64) -> f64 {
    let (low, high) = extent(points, of);
    high - low
}

/// Longer and shorter side of the best rectangle, how much the longer one is turned towards the line of sight, and how
/// near the points are to the edges.
fn outline(rectangles: &[Rectangle], sight: [f64; 2]) -> [f64; 4] {
    let Some(r) = best(rectangles) else { return [0.0; 4] };
    let [a, b] = r.sides();
    let (sin, cos) = r.heading.sin_cos();
    let first = (cos * sight[0] + sin * sight[1]).abs();
    let second = (cos * sight[1] - sin * sight[0]).abs();
    if a < b { [b, a, second, r.spread] } else { [a, b, first, r.spread] }
}

/// Shares of the points' scatter that make a line, a plane and a ball (Demantké et al. 2011, equations 2 to 4).
fn flatness(points: &[Standing]) -> [f64; 3] {
    let n = points.len().max(1) as f64;
    let place = |p: &Standing| [p.x, p.y, p.z];
    let mut mean = [0.0; 3];
    for p in points {
        (0..3).for_each(|i| mean[i] += place(p)[i] / n);
    }
    let mut scatter = Matrix3::<f64>::zeros();
    for p in points {
        let d: [f64; 3] = std::array::from_fn(|i| place(p)[i] - mean[i]);
        (0..9).for_each(|k| scatter[(k / 3, k % 3)] += d[k / 3] * d[k % 3] / n);
    }
    let mut widths: Vec<f64> =
        SymmetricEigen::new(scatter).eigenvalues.iter().map(|v| v.max(0.0).sqrt()).collect();
    widths.sort_unstable_by(|a, b| b.total_cmp(a));
    let largest = widths[0].max(1e-6);
    [(widths[0] - widths[1]) / largest, (widths[1] - widths[2]) / largest, widths[2] / largest]
}

/// Share of the points in each quarter of the height, from below.
fn quarters(points: &[Standing], low: f64, high: f64) -> [f64; 4] {
    let mut shares = [0.0; 4];
    let height = (high - low).max(LEAST_LENGTH);
    for p in points {
        let quarter = (4.0 * (p.height - low) / height).clamp(0.0, 3.0) as usize;
        shares[quarter] += 1.0 / points.len() as f64;
    }
    shares
}

/// Width across the line of sight of the upper and of the lower half.
fn halves(points: &[Standing], across: &dyn Fn(&Standing) -> f64, middle: f64) -> (f64, f64) {
    let width = |is_upper: bool| {
        let half: Vec<Standing> =
            points.iter().filter(|p| (middle < p.height) == is_upper).copied().collect();
        if half.is_empty() { 0.0 } else { along_extent(&half, across) }
    };
    (width(true), width(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(n: usize) -> Vec<Standing> {
        (0..n * n)
            .map(|i| {
                let (u, v) = ((i % n) as f64 / (n - 1) as f64, (i / n) as f64 / (n - 1) as f64);
                Standing { x: 10.0, y: 2.0 * u - 1.0, z: v - 1.4, height: 0.3 + v, intensity: 0.5 }
            })
            .collect()
    }

    #[test]
    fn a_board_across_the_line_of_sight_is_told_as_one() {
        let d = describe(&board(9));
        let i = d.inputs;
        assert!((i[2] - 10.0).abs() < 1e-9, "range");
        assert!((i[3] - 2.0).abs() < 0.01 && i[4] < 1e-9, "sides {} {}", i[3], i[4]);
        assert!(i[7] < 1e-6, "the long side is across the line of sight");
        assert!((i[9] - 0.3).abs() < 1e-9 && (i[10] - 1.3).abs() < 1e-9, "heights");
        assert!((i[15] - 0.5).abs() < 1e-9 && i[16] < 1e-9, "intensity");
        assert!(i[17] < 1e-9 && (i[18] - 2.0).abs() < 1e-9, "as seen");
        assert!((i[20] + i[21] + i[22] - 1.0).abs() < 1e-9 && i[22] < 1e-6, "flat");
        assert!((i[23..27].iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!((d.ground + 1.7).abs() < 1e-9 && d.n_points == 81);
    }

    #[test]
    fn all_numbers_are_finite_for_the_least_of_clusters() {
        let one = [Standing { x: 0.0, y: 0.0, z: 0.0, height: 0.3, intensity: 0.0 }; 3];
        assert!(describe(&one).inputs.iter().all(|v| v.is_finite()));
    }
}
