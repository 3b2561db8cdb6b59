//! From a cluster and a class to a box.

use std::f64::consts::{FRAC_PI_2, TAU};

use labelloop_core::{Cuboid, CuboidFrame};

use super::describe::Description;
use super::outline::Rectangle;

/// Sectors of headings whose share among a class's labels is told.
pub(crate) const N_SECTORS: usize = 24;
/// Distance of a point from the nearest edge that costs as much as a heading that is e times rarer, metres.
const EDGE_SCALE: f64 = 0.1;
/// Points that count towards that at most: they are not independent.
const MOST_VOTES: f64 = 20.0;
/// Metres that the points reach beyond the class's size, at the same cost.
const EXCESS_SCALE: f64 = 0.1;
/// Metres that the points fall short of it: much milder, since the far sides are not seen.
const DEFICIT_SCALE: f64 = 1.0;
/// Labels that every sector has before counting.
const SECTOR_PRIOR: f64 = 0.5;

/// The sector of a heading.
pub(crate) fn sector(yaw: f64) -> usize {
    let turns = (yaw / TAU).rem_euclid(1.0);
    (turns * N_SECTORS as f64).round() as usize % N_SECTORS
}

/// A box of this size around a cluster: turned as its edges, its size and the class's headings suggest, and reaching away
/// from the sensor where only near faces are seen.
///
/// `bottom` is metres above the ground. None for sizes that are no box.
pub(crate) fn place(
    cluster: &Description,
    size: [f64; 3],
    bottom: f64,
    sectors: &[f64; N_SECTORS],
) -> Option<Cuboid> {
    let total = sectors.iter().sum::<f64>() + SECTOR_PRIOR * N_SECTORS as f64;
    let votes = (cluster.n_points as f64).min(MOST_VOTES);
    let mut least: Option<(f64, &Rectangle, usize)> = None;
    for quarters in 0..4 {
        for r in &cluster.rectangles {
            let rarity = (total / (sectors[sector(yaw(r, quarters))] + SECTOR_PRIOR)).ln();
            let cost = votes * r.spread / EDGE_SCALE + misfit(sides(r, quarters), size) + rarity;
            if least.is_none_or(|(found, ..)| cost < found) {
                least = Some((cost, r, quarters));
            }
        }
    }
    let (_, r, quarters) = least?;
    let [length, width, height] = size;
    let [first, second] = if quarters.is_multiple_of(2) { [length, width] } else { [width, length] };
    let (u, v) = (middle(r.low[0], r.high[0], first), middle(r.low[1], r.high[1], second));
    let (sin, cos) = r.heading.sin_cos();
    let centre = [u * cos - v * sin, u * sin + v * cos, cluster.ground + bottom + height / 2.0];
    let yaw = yaw(r, quarters);
    // In (-pi, pi], as labels are.
    let yaw = if std::f64::consts::PI < yaw { yaw - TAU } else { yaw };
    Cuboid::new(centre, size, yaw, CuboidFrame::Lidar).ok()
}

fn yaw(r: &Rectangle, quarters: usize) -> f64 {
    r.heading + FRAC_PI_2 * quarters as f64
}

/// Extents along length and width.
fn sides(r: &Rectangle, quarters: usize) -> [f64; 2] {
    let [a, b] = r.sides();
    if quarters.is_multiple_of(2) { [a, b] } else { [b, a] }
}

fn misfit(found: [f64; 2], size: [f64; 3]) -> f64 {
    (0..2)
        .map(|i| (found[i] - size[i]).max(0.0) / EXCESS_SCALE + (size[i] - found[i]).max(0.0) / DEFICIT_SCALE)
        .sum()
}

/// Middle of a side of this length around points from `low` to `high`: the sensor, at 0, sees the near end.
fn middle(low: f64, high: f64, side: f64) -> f64 {
    let seen = (low + high) / 2.0;
    if side <= high - low {
        seen
    } else if 0.0 < low {
        low + side / 2.0
    } else if high < 0.0 {
        high - side / 2.0
    } else {
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::super::describe::describe;
    use super::super::scan::Standing;
    use super::*;

    /// The rear of a car that heads away, and a strip of its side.
    fn rear(heading: f64) -> Description {
        let (sin, cos) = heading.sin_cos();
        let face = (0..40).map(|i| [0.0, f64::from(i) / 40.0 * 1.8 - 0.9]);
        let side = (0..40).map(|i| [f64::from(i) / 40.0, -0.9]);
        let points: Vec<Standing> = face
            .chain(side)
            .enumerate()
            .map(|(i, [u, v])| {
                let height = 0.3 + (i % 7) as f64 / 6.0;
                Standing {
                    x: 12.0 + u * cos - v * sin,
                    y: 3.0 + u * sin + v * cos,
                    z: height - 1.7,
                    height,
                    intensity: 0.2,
                }
            })
            .collect();
        describe(&points)
    }

    #[test]
    fn a_box_reaches_away_from_the_sensor() {
        for heading in [0.0, 0.2] {
            let mut sectors = [0.0; N_SECTORS];
            sectors[0] = 50.0;
            let found = place(&rear(heading), [4.2, 1.8, 1.5], 0.0, &sectors).unwrap();
            let (sin, cos) = heading.sin_cos();
            let expected = [12.0 + 2.1 * cos, 3.0 + 2.1 * sin, -1.7 + 0.75];
            for (f, e) in found.centre().iter().zip(expected) {
                assert!((f - e).abs() < 0.15, "{heading}: {found:?}");
            }
            assert!((found.yaw() - heading).abs() < 0.05);
        }
    }

    #[test]
    fn the_class_says_which_end_is_the_front() {
        let mut sectors = [0.0; N_SECTORS];
        sectors[N_SECTORS / 2] = 50.0;
        let found = place(&rear(0.0), [4.2, 1.8, 1.5], 0.0, &sectors).unwrap();
        assert!((found.yaw().abs() - std::f64::consts::PI).abs() < 0.05, "{found:?}");
        assert!((found.centre()[0] - 14.1).abs() < 0.15);
    }

    #[test]
    fn sectors_go_round() {
        assert_eq!((sector(0.0), sector(0.1), sector(-0.1), sector(TAU)), (0, 0, 0, 0));
        assert_eq!((sector(FRAC_PI_2), sector(-FRAC_PI_2)), (6, 18));
        assert_eq!(sector(-1e-17), 0);
    }

    #[test]
    fn sides_that_are_seen_whole_are_centred() {
        assert_eq!(middle(-1.0, 1.0, 4.0), 0.0);
        assert_eq!(middle(5.0, 9.0, 3.0), 7.0);
        assert_eq!((middle(5.0, 6.0, 4.0), middle(-6.0, -5.0, 4.0)), (7.0, -7.0));
    }
}
