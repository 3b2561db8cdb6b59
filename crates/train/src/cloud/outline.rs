//! Rectangles around a cluster seen from above, one for each heading.

use super::scan::Standing;

/// Headings that are tried within a quarter turn.
pub(crate) const N_HEADINGS: usize = 45;
/// More points than this are thinned out evenly.
const MOST_POINTS: usize = 512;

/// The smallest rectangle around the points whose first axis has this heading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rectangle {
    /// Radians, below a quarter turn.
    pub(crate) heading: f64,
    /// Least place along the first and second axis, metres from the sensor.
    pub(crate) low: [f64; 2],
    /// Greatest place.
    pub(crate) high: [f64; 2],
    /// Mean distance of the points to the nearest edge: small where the points are on the faces that the sensor sees
    /// (the closeness of Zhang et al. 2017, "Efficient L-shape fitting for vehicle detection", with the distance itself
    /// in place of its inverse, which has no scale to choose).
    pub(crate) spread: f64,
}

impl Rectangle {
    pub(crate) fn sides(&self) -> [f64; 2] {
        [self.high[0] - self.low[0], self.high[1] - self.low[1]]
    }
}

/// One rectangle for each heading, rising.
///
/// Time: O(headings x points), of which 512 at most are looked at.
pub(crate) fn rectangles(points: &[Standing]) -> Vec<Rectangle> {
    let step = points.len().div_ceil(MOST_POINTS).max(1);
    let thin: Vec<[f64; 2]> = points.iter().step_by(step).map(|p| [p.x, p.y]).collect();
    let quarter = std::f64::consts::FRAC_PI_2;
    (0..N_HEADINGS).map(|k| rectangle(&thin, quarter * k as f64 / N_HEADINGS as f64)).collect()
}

/// The rectangle whose edges are nearest to the points; the smaller one, then the first, of equals.
pub(crate) fn best(rectangles: &[Rectangle]) -> Option<&Rectangle> {
    let area = |r: &Rectangle| r.sides()[0] * r.sides()[1];
    rectangles.iter().min_by(|a, b| a.spread.total_cmp(&b.spread).then(area(a).total_cmp(&area(b))))
}

fn rectangle(points: &[[f64; 2]], heading: f64) -> Rectangle {
    let (sin, cos) = heading.sin_cos();
    let turned = || points.iter().map(|[x, y]| [x * cos + y * sin, y * cos - x * sin]);
    let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
    for p in turned() {
        for i in 0..2 {
            (low[i], high[i]) = (low[i].min(p[i]), high[i].max(p[i]));
        }
    }
    let to_edge =
        |p: [f64; 2]| (0..2).map(|i| (p[i] - low[i]).min(high[i] - p[i])).fold(f64::INFINITY, f64::min);
    let spread = turned().map(to_edge).sum::<f64>() / points.len().max(1) as f64;
    Rectangle { heading, low, high, spread }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An L of two faces, turned and moved.
    fn corner(heading: f64) -> Vec<Standing> {
        let (sin, cos) = heading.sin_cos();
        let face =
            (0..30).map(|i| [0.0, f64::from(i) / 15.0]).chain((0..30).map(|i| [f64::from(i) / 7.0, 0.0]));
        face.map(|[u, v]| Standing {
            x: 10.0 + u * cos - v * sin,
            y: 4.0 + u * sin + v * cos,
            z: 0.0,
            height: 1.0,
            intensity: 0.0,
        })
        .collect()
    }

    #[test]
    fn two_faces_give_heading_and_sides() {
        for degrees in [0.0f64, 10.0, 44.0, 80.0] {
            let all = rectangles(&corner(degrees.to_radians()));
            let r = best(&all).unwrap();
            assert!((r.heading.to_degrees() - degrees).abs() < 1.01, "{degrees}: {r:?}");
            let [along, across] = r.sides();
            assert!((along - 29.0 / 7.0).abs() < 0.1 && (across - 29.0 / 15.0).abs() < 0.1, "{r:?}");
            assert!(r.spread < 0.05);
        }
    }

    #[test]
    fn one_point_is_a_rectangle_without_area() {
        let all = rectangles(&corner(0.3)[..1]);
        assert_eq!(all.len(), N_HEADINGS);
        assert!(all.iter().all(|r| r.sides() == [0.0; 2] && r.spread == 0.0));
        assert_eq!(best(&all).unwrap().heading, 0.0);
        assert!(best(&[]).is_none());
    }
}
