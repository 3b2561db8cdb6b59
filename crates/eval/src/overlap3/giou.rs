use labelloop_core::Cuboid;

use super::Upright;
use super::full::shared_volume;
use super::iou::check_frames;
use crate::Result;

/// Generalised IoU on the ground (Rezatofighi et al. 2019, algorithm 1): IoU less the share of the convex hull that neither
/// covers, in `(-1, 1]`. It tells how far apart boxes are that do not meet.
///
/// ```
/// use labelloop_core::{Cuboid, CuboidFrame};
/// use labelloop_eval::overlap3::giou_bev;
///
/// let car = |x| Cuboid::new([x, 0.0, 0.0], [4.0, 2.0, 1.5], 0.0, CuboidFrame::Lidar).unwrap();
/// // 16 of 40 square metres of hull are covered.
/// assert!((giou_bev(&car(0.0), &car(16.0))? - (-24.0 / 40.0)).abs() < 1e-15);
/// # Ok::<(), labelloop_eval::EvalError>(())
/// ```
///
/// # Errors
/// [`crate::EvalError::MixedFrames`].
pub fn giou_bev(a: &Cuboid, b: &Cuboid) -> Result<f64> {
    check_frames(a, b)?;
    let (left, right) = (Upright::new(a), Upright::new(b));
    let overlap = left.overlap(&right);
    let mut points = [a.ground_corners(), b.ground_corners()].concat();
    let covered = left.area() + right.area() - overlap.inter_bev;
    Ok(less_gap(overlap.iou_bev, covered, hull_area(&mut points)))
}

/// Generalised IoU of the volumes, with the convex hull of both boxes, however they are turned.
///
/// # Errors
/// [`crate::EvalError::MixedFrames`].
pub fn giou_3d(a: &Cuboid, b: &Cuboid) -> Result<f64> {
    let iou = super::iou_3d(a, b)?;
    let shared = if a.is_upright() && b.is_upright() {
        Upright::new(a).overlap(&Upright::new(b)).inter_vol
    } else {
        shared_volume(a, b)
    };
    let covered = a.volume() + b.volume() - shared;
    Ok(less_gap(iou, covered, hull_volume(&[a.corners(), b.corners()].concat())))
}

/// Rounding may make the hull a little smaller than what it holds.
fn less_gap(iou: f64, covered: f64, hull: f64) -> f64 {
    if hull <= covered { iou } else { iou - (hull - covered) / hull }
}

/// Area of the convex hull, by its lower and upper chain (Andrew 1979).
fn hull_area(points: &mut [[f64; 2]]) -> f64 {
    points.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    let lower = chain(points.iter());
    let upper = chain(points.iter().rev());
    let origin = points[0];
    let from_origin = |p: &[f64; 2]| [p[0] - origin[0], p[1] - origin[1]];
    let ring: Vec<[f64; 2]> =
        lower[..lower.len() - 1].iter().chain(&upper[..upper.len() - 1]).map(from_origin).collect();
    let next = ring.iter().cycle().skip(1);
    ring.iter().zip(next).map(|(a, b)| a[0] * b[1] - a[1] * b[0]).sum::<f64>() / 2.0
}

fn chain<'p>(points: impl Iterator<Item = &'p [f64; 2]>) -> Vec<[f64; 2]> {
    let mut chain: Vec<[f64; 2]> = Vec::new();
    for p in points {
        while let [.., a, b] = chain[..] {
            if 0.0 < (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]) {
                break;
            }
            chain.pop();
        }
        chain.push(*p);
    }
    chain
}

/// Volume of the convex hull of the corners of two boxes: it begins as a tetrahedron in the first one and grows by the
/// corners that lie outside, one after the other.
///
/// A corner in the plane of a face, up to rounding, is no corner of the hull; what is left out then is rounding as well.
fn hull_volume(points: &[[f64; 3]]) -> f64 {
    let size =
        points.iter().flatten().zip(points[0].iter().cycle()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let rounding = size * size * size * 1e-13;
    // Three neighbours of the first corner of a box span it.
    let seed = [0, 1, 3, 4];
    let middle = [0, 1, 2].map(|i| seed.iter().map(|p| points[*p][i]).sum::<f64>() / 4.0);
    let mut faces: Vec<[usize; 3]> = Vec::new();
    for skipped in 0..4 {
        let mut face = [0, 1, 2].map(|i| seed[(skipped + 1 + i) % 4]);
        if volume_below(points, face, middle) < 0.0 {
            face.swap(1, 2);
        }
        faces.push(face);
    }
    for (place, point) in points.iter().enumerate().filter(|(i, _)| !seed.contains(i)) {
        let (seen, hidden): (Vec<_>, Vec<_>) =
            faces.iter().partition(|face| volume_below(points, **face, *point) < -rounding);
        let edges = |f: &[usize; 3]| [[f[0], f[1]], [f[1], f[2]], [f[2], f[0]]];
        let seen_edges: Vec<[usize; 2]> = seen.iter().flat_map(edges).collect();
        let horizon = seen_edges.iter().filter(|[a, b]| !seen_edges.contains(&[*b, *a]));
        faces = hidden.into_iter().chain(horizon.map(|[a, b]| [*a, *b, place])).collect();
    }
    faces.iter().map(|face| volume_below(points, *face, middle)).sum()
}

/// Volume of the tetrahedron between a face and a point, positive below the face.
fn volume_below(points: &[[f64; 3]], face: [usize; 3], below: [f64; 3]) -> f64 {
    let [a, b, c] = face.map(|p| [0, 1, 2].map(|i| points[p][i] - below[i]));
    (a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0])
        + a[2] * (b[0] * c[1] - b[1] * c[0]))
        / 6.0
}

#[cfg(test)]
mod tests {
    use labelloop_core::{CuboidFrame, CuboidOrigin, Rotation};
    use proptest::prelude::*;

    use super::super::{bev_iou, iou_3d};
    use super::*;

    fn cuboid() -> impl Strategy<Value = Cuboid> {
        let turn = prop_oneof![
            Just(Rotation::Yaw(0.0)),
            (-4.0..4.0f64).prop_map(Rotation::Yaw),
            [-4.0..4.0f64, -1.5..1.5f64, -4.0..4.0f64].prop_map(Rotation::Euler),
        ];
        ([-4.0..4.0f64, -4.0..4.0f64, -2.0..2.0f64], [0.1..5.0f64, 0.1..5.0f64, 0.1..5.0f64], turn).prop_map(
            |(centre, size, turn)| {
                Cuboid::posed(centre, CuboidOrigin::Centre, size, turn, CuboidFrame::Lidar).unwrap()
            },
        )
    }

    #[test]
    fn hulls_of_stacked_cubes_are_their_boxes() {
        let cube = |x, z| Cuboid::new([x, 0.0, z], [2.0; 3], 0.0, CuboidFrame::Lidar).unwrap();
        let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(close(giou_3d(&cube(0.0, 0.0), &cube(0.0, 4.0)).unwrap(), -8.0 / 24.0));
        assert!(close(giou_3d(&cube(0.0, 0.0), &cube(1.0, 0.0)).unwrap(), 1.0 / 3.0));
        // A slanted prism over a square: 2 wide, its side a parallelogram's hull.
        assert!(close(giou_3d(&cube(0.0, 0.0), &cube(4.0, 4.0)).unwrap(), -(40.0 - 16.0) / 40.0));
    }

    proptest! {
        #[test]
        fn equal_boxes_have_one_and_others_less(a in cuboid(), b in cuboid()) {
            prop_assert!((giou_3d(&a, &a).unwrap() - 1.0).abs() < 1e-12);
            prop_assert!((giou_bev(&a, &a).unwrap() - 1.0).abs() < 1e-12);
            for (giou, iou) in [(giou_3d(&a, &b).unwrap(), iou_3d(&a, &b).unwrap()), (giou_bev(&a, &b).unwrap(), bev_iou(&a, &b).unwrap())] {
                prop_assert!(-1.0 < giou && giou <= iou, "{} {}", giou, iou);
            }
        }

        #[test]
        fn either_may_be_asked(a in cuboid(), b in cuboid()) {
            prop_assert!((giou_3d(&a, &b).unwrap() - giou_3d(&b, &a).unwrap()).abs() < 1e-11);
            prop_assert!((giou_bev(&a, &b).unwrap() - giou_bev(&b, &a).unwrap()).abs() < 1e-11);
        }

        #[test]
        fn a_hull_holds_what_random_points_of_both_boxes_mix_to(a in cuboid(), b in cuboid()) {
            // The hull's volume is at least that of each box, and at most that of the box along the axes around both.
            let points = [a.corners(), b.corners()].concat();
            let hull = hull_volume(&points);
            let extent: f64 = (0..3).map(|i| {
                let axis = points.iter().map(|p| p[i]);
                axis.clone().fold(f64::NEG_INFINITY, f64::max) - axis.fold(f64::INFINITY, f64::min)
            }).product();
            prop_assert!(a.volume().max(b.volume()) <= hull * (1.0 + 1e-11) && hull <= extent * (1.0 + 1e-11));
        }
    }
}
