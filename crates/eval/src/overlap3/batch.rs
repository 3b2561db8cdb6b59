use super::Upright;

/// Defines a batch and its kernel for one kind of number, with the sine of the least turn and the turn below which the sine
/// is taken of the difference; single precision has no use for that.
macro_rules! batch {
    ($(#[$doc:meta])* $name:ident, $real:ident, $least_turn:expr, $nearly_parallel:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct $name {
            x: Vec<$real>,
            y: Vec<$real>,
            half_length: Vec<$real>,
            half_width: Vec<$real>,
            yaw: Vec<$real>,
            sin: Vec<$real>,
            cos: Vec<$real>,
        }

        impl $name {
            /// Boxes as seen from an origin on the ground.
            pub fn new(boxes: &[Upright], origin: [f64; 2]) -> Self {
                let column = |of: fn(&Upright, [f64; 2]) -> f64| {
                    boxes.iter().map(|b| of(b, origin) as $real).collect()
                };
                Self {
                    x: column(|b, o| b.x - o[0]),
                    y: column(|b, o| b.y - o[1]),
                    half_length: column(|b, _| b.length / 2.0),
                    half_width: column(|b, _| b.width / 2.0),
                    yaw: column(|b, _| b.yaw),
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
            pub fn iou_bev(&self, other: &Self, out: &mut [$real]) {
                let n = out.len().min(self.len()).min(other.len());
                let (a, b) = (self.columns(n), other.columns(n));
                for (i, out) in out[..n].iter_mut().enumerate() {
                    *out = Self::iou(a.map(|c| c[i]), b.map(|c| c[i]));
                }
            }

            fn columns(&self, n: usize) -> [&[$real]; 7] {
                [&self.x, &self.y, &self.half_length, &self.half_width, &self.yaw, &self.sin, &self.cos]
                    .map(|c| &c[..n])
            }

            /// As [`Upright::iou_bev`], without a branch, so that the compiler takes several pairs at once.
            #[inline(always)]
            fn iou(
                [ax, ay, al, aw, ayaw, asin, acos]: [$real; 7],
                [bx, by, bl, bw, byaw, bsin, bcos]: [$real; 7],
            ) -> $real {
                let (dx, dy) = (bx - ax, by - ay);
                let x = dx * acos + dy * asin;
                let y = dy * acos - dx * asin;
                let turn = byaw - ayaw;
                let far_sin = bsin * acos - bcos * asin;
                let turn_sin = if turn.abs() < $nearly_parallel { Self::small_sine(turn) } else { far_sin };
                let turn_cos = if turn == 0.0 { 1.0 } else { bcos * acos + bsin * asin };
                let y = if turn_sin * turn_cos < 0.0 { -y } else { y };
                let (sin, cos) = (Self::max(turn_sin.abs(), $least_turn), Self::max(turn_cos.abs(), $least_turn));
                let (ux, uy, vx, vy) = (bl * cos, bl * sin, bw * sin, bw * cos);
                let (left, top) = ([x - (ux + vx), y - (uy - vy)], [x + (ux - vx), y + (uy + vy)]);
                let (right, bottom) = ([x + (ux + vx), y + (uy - vy)], [x - (ux - vx), y - (uy + vy)]);
                let (tan, cot) = (sin / cos, cos / sin);
                let mirrored = |[x, y]: [$real; 2]| [-x, y];
                let rising = |from, to| Self::rising_edge([al, aw], from, to, tan, cot);
                let falling = |from, to| Self::rising_edge([al, aw], mirrored(to), mirrored(from), cot, tan);
                let upper = rising(left, top) + falling(top, right);
                let lower = rising(bottom, right) + falling(left, bottom);
                let (a, b) = ((al + al) * (aw + aw), (bl + bl) * (bw + bw));
                let shared = Self::max(Self::min(Self::min((upper - lower) * 0.5, a), b), 0.0);
                shared / Self::max(a + b - shared, $real::MIN_POSITIVE)
            }

            /// As `upright::rising_edges`.
            #[inline(always)]
            fn rising_edge(
                [hx, hy]: [$real; 2],
                a: [$real; 2],
                b: [$real; 2],
                slope: $real,
                inverse: $real,
            ) -> $real {
                let clamp = |v: $real, h: $real| Self::max(Self::min(v, h), -h);
                let (xa, xb) = (clamp(a[0], hx), clamp(b[0], hx));
                let ya = a[1] + slope * (xa - a[0]);
                let yb = b[1] + slope * (xb - b[0]);
                let width = xb - xa;
                let (ca, cb) = (clamp(ya, hy), clamp(yb, hy));
                let (over, below) = (Self::max(yb - hy, 0.0), Self::max(-hy - ya, 0.0));
                let (under, above) = (hy - ca, hy + cb);
                let bend_over = Self::min(over * under * inverse, width * Self::min(over, under));
                let bend_below = Self::min(below * above * inverse, width * Self::min(below, above));
                width * (ca + cb) + bend_over - bend_below
            }

            /// As `upright::small_sine`.
            #[inline(always)]
            fn small_sine(angle: $real) -> $real {
                let z = angle * angle;
                let (z2, cube) = (z * z, angle * z);
                let [s3, s5, s7, s9]: [$real; 4] = [-1.0 / 6.0, 1.0 / 120.0, -1.0 / 5040.0, 1.0 / 362_880.0];
                let [s11, s13, s15]: [$real; 3] =
                    [-1.0 / 39_916_800.0, 1.0 / 6_227_020_800.0, -1.0 / 1_307_674_368_000.0];
                let low = (s3 + s5 * z) + z2 * (s7 + s9 * z);
                let high = (s11 + s13 * z) + z2 * s15;
                angle + cube * (low + (z2 * z2) * high)
            }

            // One instruction each, where the methods of the same names also promise something about NaN.
            #[inline(always)]
            fn min(a: $real, b: $real) -> $real {
                if a < b { a } else { b }
            }

            #[inline(always)]
            fn max(a: $real, b: $real) -> $real {
                if b < a { a } else { b }
            }
        }
    };
}

batch! {
    /// Many upright boxes in `f32`, one list for each number, for overlaps many at a time.
    ///
    /// Coordinates are kept from a common origin, since a map's coordinates are too large for 32 bits. IoUs are right to
    /// about 1e-6 for boxes within 100 m of the origin that are not thinner than centimetres.
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
    BatchF32, f32, 1e-12, 0.0
}

batch! {
    /// Many upright boxes in `f64`, as [`BatchF32`]: as exact as [`Upright`], at half the cost.
    ///
    /// ```
    /// use labelloop_eval::overlap3::{BatchF64, Upright};
    ///
    /// let car = |x| Upright::from_row([x, 0.0, 0.0, 4.0, 2.0, 1.5, 0.3]).unwrap();
    /// let cars = BatchF64::new(&[car(0.0), car(1.0)], [0.0, 0.0]);
    /// let mut iou = [0.0; 2];
    /// cars.iou_bev(&cars, &mut iou);
    /// assert_eq!(iou, [1.0, 1.0]);
    /// ```
    BatchF64, f64, 1e-200, 0.5
}
