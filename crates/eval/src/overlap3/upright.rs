use labelloop_core::{CoreError, Cuboid, CuboidFrame};

use crate::Result;

/// Headings that differ by less than this are subtracted before the sine is taken, which keeps it exact to its last
/// bits; farther apart the sines and cosines that were prepared are good enough.
const NEARLY_PARALLEL: f64 = 0.125;

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
        let shared = if sin == 0.0 {
            shared_length(large.length, small.length, x) * shared_length(large.width, small.width, y)
        } else if cos == 0.0 {
            shared_length(large.length, small.width, x) * shared_length(large.width, small.length, y)
        } else {
            let half = [small.length / 2.0, small.width / 2.0];
            crossed(
                large.length / 2.0,
                large.width / 2.0,
                [x, y],
                half,
                [sin.abs(), cos.abs()],
                sin * cos < 0.0,
            )
        };
        // A box of no area shares none, and rounding must not make a part larger than the whole.
        shared.min(small.area).max(0.0)
    }

    /// An order of boxes that does not depend on who is asked: the larger one first, equal ones by their numbers.
    #[inline]
    fn goes_before(&self, other: &Self) -> bool {
        if self.area != other.area {
            return other.area < self.area;
        }
        let key = |b: &Self| [b.x, b.y, b.length, b.width, b.yaw];
        key(other) <= key(self)
    }

    /// Sine and cosine of the turn from this heading to another one.
    #[inline]
    fn turn_to(&self, other: &Self) -> (f64, f64) {
        let cos = other.cos * self.cos + other.sin * self.sin;
        let turn = other.yaw - self.yaw;
        if turn.abs() < NEARLY_PARALLEL {
            // The subtraction is exact, and seven terms of the series are exact to the last bit or two.
            let square = turn * turn;
            let series = 1.0 / 6.0
                - square
                    * (1.0 / 120.0
                        - square * (1.0 / 5040.0 - square * (1.0 / 362_880.0 - square / 39_916_800.0)));
            return (turn - turn * square * series, cos);
        }
        (other.sin * self.cos - other.cos * self.sin, cos)
    }
}

/// What two stretches share whose middles are `distance` apart.
#[inline]
fn shared_length(a: f64, b: f64, distance: f64) -> f64 {
    a.min(b).min((a + b) / 2.0 - distance.abs()).max(0.0)
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

/// Area that a rectangle around the origin, `[-hx, hx] x [-hy, hy]`, shares with one around `centre` of half sides
/// `half`, turned by an angle of the given absolute sine and cosine, to the right where `is_mirrored`.
///
/// A mirror at the x axis makes any turn one between 0 and a quarter; then the left, top, right and bottom corner are known.
#[inline]
fn crossed(
    hx: f64,
    hy: f64,
    centre: [f64; 2],
    half: [f64; 2],
    [sin, cos]: [f64; 2],
    is_mirrored: bool,
) -> f64 {
    let (x, y) = (centre[0], if is_mirrored { -centre[1] } else { centre[1] });
    let (ux, uy) = (half[0] * cos, half[0] * sin);
    let (vx, vy) = (half[1] * sin, half[1] * cos);
    let left = [x - ux - vx, y - uy + vy];
    let top = [x + ux - vx, y + uy + vy];
    let right = [x + ux + vx, y + uy - vy];
    let bottom = [x - ux + vx, y - uy - vy];
    let (tan, cot) = (sin / cos, cos / sin);
    let clip = Clip { hx, hy };
    let upper = clip.under(left, top, tan, cot) + clip.under(top, right, -cot, -tan);
    let lower = clip.under(left, bottom, -cot, -tan) + clip.under(bottom, right, tan, cot);
    upper - lower
}

/// The rectangle `[-hx, hx] x [-hy, hy]`.
#[derive(Clone, Copy)]
struct Clip {
    hx: f64,
    hy: f64,
}

impl Clip {
    /// Integral over `[-hx, hx]` of the height `clamp(y, -hy, hy)` of an edge that runs to the right, from `a` to `b`, with
    /// its slope and the inverse of it.
    ///
    /// The trapezoid under the clamped ends is right but for where the edge crosses a border: an edge that rises above the
    /// border by `over` and lies `under` it elsewhere has `over * under / (2 |slope|)` more than the trapezoid.
    #[inline]
    fn under(self, a: [f64; 2], b: [f64; 2], slope: f64, inverse: f64) -> f64 {
        let xa = a[0].clamp(-self.hx, self.hx);
        let xb = b[0].clamp(-self.hx, self.hx);
        let ya = a[1] + slope * (xa - a[0]);
        let yb = b[1] + slope * (xb - b[0]);
        let width = xb - xa;
        let (ca, cb) = (ya.clamp(-self.hy, self.hy), yb.clamp(-self.hy, self.hy));
        let over = (ya - ca).max(yb - cb).max(0.0);
        let below = (ca - ya).max(cb - yb).max(0.0);
        let bend = |beyond: f64, within: f64| {
            // Where the slope is next to nothing, `beyond` may be but rounding: the bound keeps it from being blown up.
            (beyond * within * inverse.abs()).min(width * beyond.min(within))
        };
        (width * (ca + cb) + bend(over, self.hy - ca.min(cb)) - bend(below, ca.max(cb) + self.hy)) / 2.0
    }
}
