use super::Upright;

/// Many upright boxes in `f32`, one list for each number, for overlaps many at a time.
///
/// Coordinates are kept from a common origin, since a map's coordinates are too large for 32 bits. IoUs are right to about
/// 1e-5 for boxes within 100 m of the origin; where a decision hangs on the last digits use [`Upright`].
///
/// ```
/// use labelloop_eval::overlap3::{BatchF32, Upright};
///
/// let car = |x| Upright::from_row([x, 0.0, 0.0, 4.0, 2.0, 1.5, 0.3]).unwrap();
/// let labels = BatchF32::new(&[car(0.0), car(10.0)], [0.0, 0.0]);
/// let found = BatchF32::new(&[car(0.0), car(30.0)], [0.0, 0.0]);
/// let mut iou = [0.0; 2];
/// labels.iou_bev(&found, &mut iou);
/// assert!((iou[0] - 1.0).abs() < 1e-5 && iou[1] == 0.0);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BatchF32 {
    x: Vec<f32>,
    y: Vec<f32>,
    half_length: Vec<f32>,
    half_width: Vec<f32>,
    sin: Vec<f32>,
    cos: Vec<f32>,
}

impl BatchF32 {
    /// Boxes as seen from an origin on the ground.
    pub fn new(boxes: &[Upright], origin: [f64; 2]) -> Self {
        let column = |of: fn(&Upright, [f64; 2]) -> f64| boxes.iter().map(|b| of(b, origin) as f32).collect();
        Self {
            x: column(|b, o| b.x - o[0]),
            y: column(|b, o| b.y - o[1]),
            half_length: column(|b, _| b.length / 2.0),
            half_width: column(|b, _| b.width / 2.0),
            sin: column(|b, _| b.sin),
            cos: column(|b, _| b.cos),
        }
    }

    /// Boxes there are.
    pub fn len(&self) -> usize {
        self.x.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.x.is_empty()
    }

    /// IoU on the ground of the first box of each, the second of each, and so on; as many as the shortest list has.
    pub fn iou_bev(&self, other: &Self, out: &mut [f32]) {
        let n = out.len().min(self.len()).min(other.len());
        let (a, b) = (self.columns(n), other.columns(n));
        for (i, out) in out[..n].iter_mut().enumerate() {
            *out = iou(a.map(|c| c[i]), b.map(|c| c[i]));
        }
    }

    fn columns(&self, n: usize) -> [&[f32]; 6] {
        [&self.x, &self.y, &self.half_length, &self.half_width, &self.sin, &self.cos].map(|c| &c[..n])
    }
}

/// As `Upright::iou_bev`, without a branch, so that the compiler takes several pairs at once.
#[inline]
fn iou([ax, ay, al, aw, asin, acos]: [f32; 6], [bx, by, bl, bw, bsin, bcos]: [f32; 6]) -> f32 {
    let (dx, dy) = (bx - ax, by - ay);
    let x = dx * acos + dy * asin;
    let y = dy * acos - dx * asin;
    let turn_sin = bsin * acos - bcos * asin;
    let turn_cos = bcos * acos + bsin * asin;
    let y = if turn_sin * turn_cos < 0.0 { -y } else { y };
    // Parallel boxes are turned by next to nothing instead: slopes stay finite, and the area changes by less than rounding.
    let (sin, cos) = (max(turn_sin.abs(), 1e-8), max(turn_cos.abs(), 1e-8));
    let (ux, uy, vx, vy) = (bl * cos, bl * sin, bw * sin, bw * cos);
    let left = [x - ux - vx, y - uy + vy];
    let top = [x + ux - vx, y + uy + vy];
    let right = [x + ux + vx, y + uy - vy];
    let bottom = [x - ux + vx, y - uy - vy];
    let (tan, cot) = (sin / cos, cos / sin);
    let upper = under(al, aw, left, top, tan, cot) + under(al, aw, top, right, -cot, -tan);
    let lower = under(al, aw, left, bottom, -cot, -tan) + under(al, aw, bottom, right, tan, cot);
    let (a, b) = (4.0 * al * aw, 4.0 * bl * bw);
    let shared = max(min(min(upper - lower, a), b), 0.0);
    shared / max(a + b - shared, f32::MIN_POSITIVE)
}

#[inline]
fn under(hx: f32, hy: f32, a: [f32; 2], b: [f32; 2], slope: f32, inverse: f32) -> f32 {
    let (xa, xb) = (clamp(a[0], hx), clamp(b[0], hx));
    let ya = a[1] + slope * (xa - a[0]);
    let yb = b[1] + slope * (xb - b[0]);
    let width = xb - xa;
    let (ca, cb) = (clamp(ya, hy), clamp(yb, hy));
    let over = max(max(ya - ca, yb - cb), 0.0);
    let below = max(max(ca - ya, cb - yb), 0.0);
    let inverse = inverse.abs();
    let (room_below, room_above) = (hy - min(ca, cb), max(ca, cb) + hy);
    let bend_over = min(over * room_below * inverse, width * min(over, room_below));
    let bend_below = min(below * room_above * inverse, width * min(below, room_above));
    (width * (ca + cb) + bend_over - bend_below) * 0.5
}

// As one instruction each: `f32::min` also promises something about NaN.
#[inline]
fn min(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

#[inline]
fn max(a: f32, b: f32) -> f32 {
    if b < a { a } else { b }
}

#[inline]
fn clamp(v: f32, h: f32) -> f32 {
    max(min(v, h), -h)
}
