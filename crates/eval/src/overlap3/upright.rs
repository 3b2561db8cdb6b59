use std::ops::{Add, Mul, Sub};

use labelloop_core::{CoreError, Cuboid, CuboidFrame};

use crate::Result;

/// Headings that differ by less than this are subtracted before the sine is taken, which keeps it exact to its last
/// bits; farther apart the sines and cosines that were prepared are good enough.
const NEARLY_PARALLEL: f64 = 0.5;

/// Sine of the least turn between two boxes; it must be tiny, and its inverse times any length of a box finite.
const LEAST_TURN: f64 = 1e-200;

/// An upright box with what its overlap needs, for boxes that are looked at many times.
///
/// Ground coordinates are x and y, in KITTI's camera frame x and -z; sizes may be 0, and then nothing overlaps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Upright {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) z: f64,
    pub(super) length: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) yaw: f64,
    pub(super) sin: f64,
    pub(super) cos: f64,
    pub(super) area: f64,
    /// Half the diagonal on the ground.
    pub(super) radius: f64,
}

/// What two upright boxes share.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Overlap {
    /// Shared ground, square metres.
    pub inter_bev: f64,
    /// Shared ground over ground covered by either, in `[0, 1]`.
    pub iou_bev: f64,
    /// Shared volume, cubic metres.
    pub inter_vol: f64,
    /// Shared volume over volume covered by either, in `[0, 1]`.
    pub iou_3d: f64,
}

impl Upright {
    /// The box as it stands; a tilted one is taken as upright with its heading.
    pub fn new(cuboid: &Cuboid) -> Self {
        let [x, y, z] = cuboid.centre();
        let ground = match cuboid.frame() {
            CuboidFrame::KittiCamera => [x, -z, -y],
            _ => [x, y, z],
        };
        Self::prepared(ground, cuboid.size(), cuboid.yaw())
    }

    /// From x, y, z of the centre, length, width, height and yaw. Sizes of 0 are let in: such a box shares nothing.
    ///
    /// ```
    /// use labelloop_eval::overlap3::Upright;
    ///
    /// let flat = Upright::from_row([0.0, 0.0, 0.0, 4.0, 0.0, 1.5, 0.3])?;
    /// assert_eq!(flat.overlap(&flat).iou_3d, 0.0);
    /// assert!(Upright::from_row([0.0, 0.0, 0.0, 4.0, -2.0, 1.5, 0.3]).is_err());
    /// # Ok::<(), labelloop_eval::EvalError>(())
    /// ```
    ///
    /// # Errors
    /// [`CoreError::InvalidCuboid`] for numbers that are not finite and sizes below 0.
    pub fn from_row(row: [f64; 7]) -> Result<Self> {
        const NAMES: [&str; 7] = ["x", "y", "z", "length", "width", "height", "yaw"];
        for (i, (field, found)) in NAMES.into_iter().zip(row).enumerate() {
            let (is_size, is_finite) = ((3..6).contains(&i), found.is_finite());
            if !is_finite || (is_size && found < 0.0) {
                let expected = if is_size { "a finite number of at least 0" } else { "a finite number" };
                return Err(CoreError::InvalidCuboid { field, found, expected }.into());
            }
        }
        let [x, y, z, length, width, height, yaw] = row;
        Ok(Self::prepared([x, y, z], [length, width, height], yaw))
    }

    fn prepared([x, y, z]: [f64; 3], [length, width, height]: [f64; 3], yaw: f64) -> Self {
        let (sin, cos) = yaw.sin_cos();
        let radius = length.hypot(width) / 2.0;
        Self { x, y, z, length, width, height, yaw, sin, cos, area: length * width, radius }
    }

    /// Square metres on the ground.
    pub fn area(&self) -> f64 {
        self.area
    }

    /// Cubic metres.
    pub fn volume(&self) -> f64 {
        self.area * self.height
    }

    /// What this box shares with another one; the same bits whichever of the two is asked.
    pub fn overlap(&self, other: &Self) -> Overlap {
        let inter_bev = self.shared_area(other);
        let inter_vol = inter_bev * self.shared_height(other);
        Overlap {
            inter_bev,
            iou_bev: share_of_union(inter_bev, self.area, other.area),
            inter_vol,
            iou_3d: share_of_union(inter_vol, self.volume(), other.volume()),
        }
    }

    /// Intersection over union on the ground.
    #[inline]
    pub fn iou_bev(&self, other: &Self) -> f64 {
        share_of_union(self.shared_area(other), self.area, other.area)
    }

    /// Intersection over union of the volumes.
    #[inline]
    pub fn iou_3d(&self, other: &Self) -> f64 {
        let height = self.shared_height(other);
        if height <= 0.0 {
            return 0.0;
        }
        share_of_union(self.shared_area(other) * height, self.volume(), other.volume())
    }

    /// Metres of height that both have.
    #[inline]
    pub(super) fn shared_height(&self, other: &Self) -> f64 {
        shared_length(self.height, other.height, other.z - self.z)
    }

    /// Whether the circles around the two boxes are apart.
    #[inline]
    pub(super) fn is_far_from(&self, other: &Self) -> bool {
        let (dx, dy, reach) = (other.x - self.x, other.y - self.y, self.radius + other.radius);
        // Rounding may make a circle too small by some last bits, and the boxes touch it in four points only.
        reach * reach * (1.0 + 1e-12) < dx * dx + dy * dy
    }

    /// Square metres that both cover.
    #[inline]
    pub(super) fn shared_area(&self, other: &Self) -> f64 {
        if self.is_far_from(other) {
            return 0.0;
        }
        let (large, small) = if self.goes_before(other) { (self, other) } else { (other, self) };
        let (dx, dy) = (small.x - large.x, small.y - large.y);
        let x = dx * large.cos + dy * large.sin;
        let y = dy * large.cos - dx * large.sin;
        let (sin, cos) = large.turn_to(small);
        // A mirror at the x axis makes any turn one between 0 and a quarter.
        let y = if sin * cos < 0.0 { -y } else { y };
        let half = [small.length / 2.0, small.width / 2.0];
        let shared = crossed([large.length / 2.0, large.width / 2.0], [x, y], half, sin.abs(), cos.abs());
        // Rounding must not make a part larger than the whole.
        max(min(shared, small.area), 0.0)
    }

    /// An order of boxes that does not depend on who is asked: the larger one first, equal ones by their numbers.
    #[inline]
    fn goes_before(&self, other: &Self) -> bool {
        if self.area == other.area {
            let key = |b: &Self| [b.x, b.y, b.length, b.width, b.yaw];
            return key(other) <= key(self);
        }
        other.area < self.area
    }

    /// Sine and cosine of the turn from this heading to another one.
    #[inline]
    fn turn_to(&self, other: &Self) -> (f64, f64) {
        let turn = other.yaw - self.yaw;
        // The sum of squares of a sine and a cosine may round to less than 1.
        let cos = if turn == 0.0 { 1.0 } else { other.cos * self.cos + other.sin * self.sin };
        if turn.abs() < NEARLY_PARALLEL {
            return (small_sine(turn), cos);
        }
        (other.sin * self.cos - other.cos * self.sin, cos)
    }
}

/// The series of the sine, exact to the last bit or two for angles below a half; the difference of two near angles has no
/// rounding, that of two products of sines and cosines has.
#[inline]
fn small_sine(angle: f64) -> f64 {
    let [s3, s5, s7, s9, s11, s13, s15] = [
        -1.0 / 6.0,
        1.0 / 120.0,
        -1.0 / 5040.0,
        1.0 / 362_880.0,
        -1.0 / 39_916_800.0,
        1.0 / 6_227_020_800.0,
        -1.0 / 1_307_674_368_000.0,
    ];
    // Estrin's order: short chains that processors work on side by side.
    let z = angle * angle;
    let (z2, cube) = (z * z, angle * z);
    let low = (s3 + s5 * z) + z2 * (s7 + s9 * z);
    let high = (s11 + s13 * z) + z2 * s15;
    angle + cube * (low + (z2 * z2) * high)
}

/// What two stretches share whose middles are `distance` apart.
#[inline]
fn shared_length(a: f64, b: f64, distance: f64) -> f64 {
    max(min(min(a, b), (a + b) / 2.0 - distance.abs()), 0.0)
}

/// `shared / (a + b - shared)`, 0 where nothing is shared.
#[inline]
pub(super) fn share_of_union(shared: f64, a: f64, b: f64) -> f64 {
    if !(0.0 < shared) {
        return 0.0;
    }
    // Halves, since the sum of two sizes may overflow where neither does.
    let union = (a / 2.0 + b / 2.0 - shared / 2.0) * 2.0;
    if union.is_finite() {
        (shared / union).min(1.0)
    } else {
        (shared / 2.0) / (a / 2.0 + b / 2.0 - shared / 2.0)
    }
}

/// Area that a rectangle around the origin, `[-hx, hx] x [-hy, hy]`, shares with one around `(x, y)` of half sides `half`,
/// turned by an angle between 0 and a quarter, whose left, top, right and bottom corner are known therefore.
///
/// Parallel boxes are turned by next to nothing instead: it keeps slopes finite and is far below rounding.
#[inline]
fn crossed([hx, hy]: [f64; 2], [x, y]: [f64; 2], half: [f64; 2], sin: f64, cos: f64) -> f64 {
    let (sin, cos) = (max(sin, LEAST_TURN), max(cos, LEAST_TURN));
    let (ux, uy) = (half[0] * cos, half[0] * sin);
    let (vx, vy) = (half[1] * sin, half[1] * cos);
    let (left, top) = ([x - (ux + vx), y - (uy - vy)], [x + (ux - vx), y + (uy + vy)]);
    let (right, bottom) = ([x + (ux + vx), y + (uy - vy)], [x - (ux - vx), y - (uy + vy)]);
    // Two of the edges rise to the right: left to top, and bottom to right below it. Seen in a mirror the other two do.
    let rising = rising_edges([hx, hy], [left, bottom], [top, right], sin / cos, cos / sin);
    let mirrored = |[x, y]: [f64; 2]| [-x, y];
    let (from, to) = ([mirrored(right), mirrored(bottom)], [mirrored(top), mirrored(left)]);
    let falling = rising_edges([hx, hy], from, to, cos / sin, sin / cos);
    (rising.0[0] + falling.0[0] - (rising.0[1] + falling.0[1])) / 2.0
}

/// Twice the integral over `[-hx, hx]` of the height `clamp(y, -hy, hy)` of two edges that run to the right and up, with their
/// slope and the inverse of it.
///
/// The trapezoid under the clamped ends is right but for where the edge crosses a border: an edge that rises above the
/// border by `over` and begins `under` it has `over * under / slope` more than twice the trapezoid.
#[inline(always)]
fn rising_edges(
    [hx, hy]: [f64; 2],
    from: [[f64; 2]; 2],
    to: [[f64; 2]; 2],
    slope: f64,
    inverse: f64,
) -> Pair {
    let column = |ends: [[f64; 2]; 2], axis: usize| Pair([ends[0][axis], ends[1][axis]]);
    let (ax, ay, bx, by) = (column(from, 0), column(from, 1), column(to, 0), column(to, 1));
    let (hx, hy, slope, inverse) = (Pair([hx; 2]), Pair([hy; 2]), Pair([slope; 2]), Pair([inverse; 2]));
    let (xa, xb) = (ax.clamp(hx), bx.clamp(hx));
    let ya = ay + slope * (xa - ax);
    let yb = by + slope * (xb - bx);
    let width = xb - xa;
    let (ca, cb) = (ya.clamp(hy), yb.clamp(hy));
    let (over, below) = ((yb - hy).max(Pair([0.0; 2])), (Pair([0.0; 2]) - hy - ya).max(Pair([0.0; 2])));
    let (under, above) = (hy - ca, hy + cb);
    // Where the slope is next to nothing, `over` may be but rounding: the second bound keeps it from being blown up.
    let bend_over = (over * under * inverse).min(width * over.min(under));
    let bend_below = (below * above * inverse).min(width * below.min(above));
    width * (ca + cb) + bend_over - bend_below
}

/// Two numbers that processors work on at once.
#[derive(Clone, Copy)]
struct Pair([f64; 2]);

impl Pair {
    #[inline(always)]
    fn min(self, o: Self) -> Self {
        Self([min(self.0[0], o.0[0]), min(self.0[1], o.0[1])])
    }

    #[inline(always)]
    fn max(self, o: Self) -> Self {
        Self([max(self.0[0], o.0[0]), max(self.0[1], o.0[1])])
    }

    #[inline(always)]
    fn clamp(self, h: Self) -> Self {
        self.min(h).max(Self([0.0; 2]) - h)
    }
}

impl Add for Pair {
    type Output = Self;

    #[inline(always)]
    fn add(self, o: Self) -> Self {
        Self([self.0[0] + o.0[0], self.0[1] + o.0[1]])
    }
}

impl Sub for Pair {
    type Output = Self;

    #[inline(always)]
    fn sub(self, o: Self) -> Self {
        Self([self.0[0] - o.0[0], self.0[1] - o.0[1]])
    }
}

impl Mul for Pair {
    type Output = Self;

    #[inline(always)]
    fn mul(self, o: Self) -> Self {
        Self([self.0[0] * o.0[0], self.0[1] * o.0[1]])
    }
}

// One instruction each: `f64::min` also promises something about NaN. The second argument is the answer where the first
// is NaN, which an infinite slope times no width is.
#[inline(always)]
fn min(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

#[inline(always)]
fn max(a: f64, b: f64) -> f64 {
    if b < a { a } else { b }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::{FRAC_PI_2, PI};

    use proptest::prelude::*;

    use super::*;

    fn row() -> impl Strategy<Value = [f64; 7]> {
        let size = || prop_oneof![0.1..6.0f64, Just(2.0), Just(4.0), 1e-3..1e-2f64];
        let yaw = prop_oneof![-4.0..4.0f64, Just(0.0), Just(FRAC_PI_2), Just(PI), -1e-9..1e-9f64];
        let place = || prop_oneof![-5.0..5.0f64, Just(0.0), Just(2.0)];
        (place(), place(), place(), size(), size(), size(), yaw)
            .prop_map(|(x, y, z, l, w, h, yaw)| [x, y, z, l, w, h, yaw])
    }

    fn upright(row: [f64; 7]) -> Upright {
        Upright::from_row(row).unwrap()
    }

    /// The definition: clip one rectangle by the four sides of the other, corner by corner, and take the polygon's area.
    fn area_by_clipping(a: &Upright, b: &Upright) -> f64 {
        let corners = |u: &Upright| {
            [[0.5, 0.5], [-0.5, 0.5], [-0.5, -0.5], [0.5, -0.5]].map(|[s, t]| {
                let (p, q) = (s * u.length, t * u.width);
                [u.x + p * u.cos - q * u.sin, u.y + p * u.sin + q * u.cos]
            })
        };
        let mut polygon = corners(a).to_vec();
        let sides = corners(b);
        for i in 0..4 {
            let ([ax, ay], [bx, by]) = (sides[i], sides[(i + 1) % 4]);
            let inside = |p: &[f64; 2]| (bx - ax) * (p[1] - ay) - (by - ay) * (p[0] - ax);
            let mut kept = Vec::new();
            for (j, to) in polygon.iter().enumerate() {
                let from = &polygon[(j + polygon.len() - 1) % polygon.len()];
                let (f, t) = (inside(from), inside(to));
                if (f < 0.0) != (t < 0.0) {
                    let share = f / (f - t);
                    kept.push([from[0] + share * (to[0] - from[0]), from[1] + share * (to[1] - from[1])]);
                }
                if 0.0 <= t {
                    kept.push(*to);
                }
            }
            polygon = kept;
        }
        let n = polygon.len();
        (0..n)
            .map(|i| polygon[i][0] * polygon[(i + 1) % n][1] - polygon[i][1] * polygon[(i + 1) % n][0])
            .sum::<f64>()
            / 2.0
    }

    #[test]
    fn numbers_that_no_box_has_are_refused() {
        for (place, bad) in
            [(0, f64::NAN), (1, f64::INFINITY), (3, -1.0), (5, f64::NAN), (6, f64::NEG_INFINITY)]
        {
            let mut row = [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0];
            row[place] = bad;
            assert!(Upright::from_row(row).is_err(), "{place}");
        }
    }

    #[test]
    fn the_smallest_turn_there_is_breaks_nothing() {
        let at = |yaw| upright([0.0, 0.0, 0.0, 4.0, 2.0, 1.0, yaw]);
        for yaw in [f64::from_bits(1), f64::MIN_POSITIVE, 1e-300, 1e-200, 1e-17] {
            assert_eq!(at(0.0).iou_bev(&at(yaw)), 1.0, "{yaw:e}");
        }
    }

    #[test]
    fn the_camera_frame_turns_the_same_way() {
        // A box ahead, and one that is turned about the camera's y: seen from above they share what they share in lidar.
        let lidar =
            |x: f64, y: f64, yaw| Cuboid::new([x, y, 0.0], [4.0, 2.0, 1.5], yaw, CuboidFrame::Lidar).unwrap();
        let (a, b) = (lidar(10.0, 1.0, 0.2), lidar(11.0, 1.5, 0.9));
        let [c, d] = [a, b].map(|c| c.with_axes_of(CuboidFrame::KittiCamera));
        let (seen, in_camera) =
            (Upright::new(&a).overlap(&Upright::new(&b)), Upright::new(&c).overlap(&Upright::new(&d)));
        assert!(0.1 < seen.iou_3d && (seen.iou_3d - in_camera.iou_3d).abs() < 1e-14);
        assert!((seen.iou_bev - in_camera.iou_bev).abs() < 1e-14);
    }

    proptest! {
        #[test]
        fn clipping_finds_the_same_area(a in row(), b in row()) {
            let (a, b) = (upright(a), upright(b));
            prop_assert!((a.shared_area(&b) - area_by_clipping(&a, &b)).abs() < 1e-9 * (a.area + b.area));
        }

        #[test]
        fn overlap_is_symmetric_and_a_share(a in row(), b in row()) {
            let (a, b) = (upright(a), upright(b));
            let found = a.overlap(&b);
            prop_assert_eq!(found, b.overlap(&a));
            prop_assert!((0.0..=1.0).contains(&found.iou_bev) && (0.0..=1.0).contains(&found.iou_3d));
            prop_assert!(found.iou_3d <= 1.0 && found.inter_vol <= a.volume().min(b.volume()));
            prop_assert_eq!(found.iou_bev, a.iou_bev(&b));
            prop_assert_eq!(found.iou_3d, a.iou_3d(&b));
            let same = a.overlap(&a);
            prop_assert_eq!((same.iou_bev, same.iou_3d), (1.0, 1.0));
        }

        #[test]
        fn a_move_of_both_changes_nothing(a in row(), b in row(), dx in -50.0..50.0f64, turn in -3.0..3.0f64) {
            let (sin, cos) = turn.sin_cos();
            let moved = |[x, y, z, l, w, h, yaw]: [f64; 7]| {
                upright([x * cos - y * sin + dx, x * sin + y * cos, z, l, w, h, yaw + turn])
            };
            let (before, after) = (upright(a).iou_3d(&upright(b)), moved(a).iou_3d(&moved(b)));
            prop_assert!((before - after).abs() < 1e-10, "{} {}", before, after);
        }

        #[test]
        fn growing_the_inner_one_of_nested_boxes_grows_the_iou(yaw in -4.0..4.0f64, share in 0.1..0.6f64) {
            let outer = upright([0.0, 0.0, 0.0, 4.0, 4.0, 4.0, 0.3]);
            let inner = |s: f64| upright([0.0, 0.0, 0.0, 4.0 * s, 4.0 * s, 4.0 * s, yaw]);
            prop_assert!(outer.iou_3d(&inner(share)) < outer.iou_3d(&inner(share + 0.05)));
        }

        #[test]
        fn small_sines_are_sines(angle in -0.5..0.5f64) {
            // Two last bits: a number and its neighbour differ by up to 2.2e-16 of themselves.
            prop_assert!((small_sine(angle) - angle.sin()).abs() <= 4.5e-16 * angle.sin().abs());
        }
    }
}
