use labelloop_core::Cuboid;

/// A face of a box clipped by the four sides of another one's ground plan has at most eight corners; clipping it by height
/// adds one each time.
const MAX_CORNERS: usize = 12;

/// Volume that two boxes share which are turned in any way, in one frame.
///
/// In the frame of the larger box, which is `[-h, h]` on all axes there, the volume is the sum over the faces of the smaller
/// one of the integral of `clamp(z)` over what the face covers of the larger one's ground plan, counted positive for
/// faces that look up and negative for those that look down (divergence theorem). The terms are continuous, so faces that
/// lie in one plane need no decision.
pub(super) fn shared_volume(a: &Cuboid, b: &Cuboid) -> f64 {
    let key = |c: &Cuboid| (c.volume(), c.centre(), c.size());
    let (large, small) = if key(b) <= key(a) { (a, b) } else { (b, a) };
    let (from, to) = (large.centre(), small.centre());
    let apart = [0, 1, 2].map(|i| to[i] - from[i]);
    if reach(large) + reach(small) < dot(apart, apart).sqrt() {
        return 0.0;
    }
    let half = large.size().map(|side| side / 2.0);
    let shared: f64 = faces_in_frame_of(large, small, apart).iter().map(|face| under(face, half)).sum();
    shared.clamp(0.0, small.volume())
}

/// Half the diagonal, with room for rounding.
fn reach(c: &Cuboid) -> f64 {
    dot(c.size(), c.size()).sqrt() * (0.5 + 1e-12)
}

type Quad = [[f64; 3]; 4];

/// The faces of `small`, corners counter-clockwise seen from outside, in the axes of `large` from its centre.
fn faces_in_frame_of(large: &Cuboid, small: &Cuboid, apart: [f64; 3]) -> [Quad; 6] {
    let (frame, axes) = (transposed(large.axes()), transposed(small.axes()));
    let centre = frame.map(|axis| dot(axis, apart));
    let half: [[f64; 3]; 3] = [0, 1, 2].map(|k| frame.map(|axis| dot(axis, axes[k]) * small.size()[k] / 2.0));
    std::array::from_fn(|i| {
        let (k, sign) = (i / 2, if i % 2 == 0 { 1.0 } else { -1.0 });
        let (u, v) = (half[(k + 1) % 3], half[(k + 2) % 3]);
        [[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]].map(|[s, t]| {
            // The other way round on the far side, so that it is counter-clockwise from there.
            [0, 1, 2].map(|j| centre[j] + sign * half[k][j] + s * sign * u[j] + t * v[j])
        })
    })
}

/// Integral of `clamp(z, -h, h)` over the part of a face that lies over the ground plan, signed by where the face looks.
fn under(face: &Quad, [hx, hy, hz]: [f64; 3]) -> f64 {
    let mut polygon = Polygon::of(face);
    for (axis, h) in [(0, hx), (1, hy)] {
        polygon = polygon.below(axis, h, 1.0).below(axis, h, -1.0);
    }
    let (inside, above, below) =
        (polygon.below(2, hz, 1.0).below(2, hz, -1.0), polygon.above(hz, 1.0), polygon.above(hz, -1.0));
    inside.moment() + hz * (above.area() - below.area())
}

/// A convex polygon in space; areas and integrals are those of its shadow on the ground, negative where it looks down.
#[derive(Clone, Copy)]
struct Polygon {
    corners: [[f64; 3]; MAX_CORNERS],
    n: usize,
}

impl Polygon {
    fn of(face: &Quad) -> Self {
        let mut corners = [[0.0; 3]; MAX_CORNERS];
        corners[..4].copy_from_slice(face);
        Self { corners, n: 4 }
    }

    fn corners(&self) -> &[[f64; 3]] {
        &self.corners[..self.n]
    }

    /// The part with `sign * coordinate <= limit` (Sutherland and Hodgman 1974).
    fn below(&self, axis: usize, limit: f64, sign: f64) -> Self {
        self.part(|corner| limit - sign * corner[axis])
    }

    /// The part beyond a height.
    fn above(&self, limit: f64, sign: f64) -> Self {
        self.part(|corner| sign * corner[2] - limit)
    }

    /// The part where a linear function is not negative.
    fn part(&self, inside: impl Fn(&[f64; 3]) -> f64) -> Self {
        if self.corners().iter().all(|c| 0.0 <= inside(c)) {
            return *self;
        }
        let mut out = Self { corners: [[0.0; 3]; MAX_CORNERS], n: 0 };
        let Some(mut from) = self.corners().last() else { return out };
        let mut from_inside = inside(from);
        for to in self.corners() {
            let to_inside = inside(to);
            if (from_inside < 0.0) != (to_inside < 0.0) {
                let share = from_inside / (from_inside - to_inside);
                out.push([0, 1, 2].map(|i| from[i] + share * (to[i] - from[i])));
            }
            if 0.0 <= to_inside {
                out.push(*to);
            }
            (from, from_inside) = (to, to_inside);
        }
        out
    }

    fn push(&mut self, corner: [f64; 3]) {
        // Rounding could make a polygon not quite convex; what does not fit lies between its neighbours to the last bit.
        if self.n < MAX_CORNERS {
            self.corners[self.n] = corner;
            self.n += 1;
        }
    }

    fn area(&self) -> f64 {
        self.triangles().map(|(area, _)| area).sum()
    }

    /// Integral of z.
    fn moment(&self) -> f64 {
        self.triangles().map(|(area, height)| area * height).sum()
    }

    /// Area and mean height of the triangles of a fan.
    fn triangles(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let corners = self.corners();
        (2..corners.len()).map(move |i| {
            let ([ox, oy, oz], [ax, ay, az], [bx, by, bz]) = (corners[0], corners[i - 1], corners[i]);
            let area = ((ax - ox) * (by - oy) - (ay - oy) * (bx - ox)) / 2.0;
            (area, (oz + az + bz) / 3.0)
        })
    }
}

fn transposed(m: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    [0, 1, 2].map(|i| m.map(|row| row[i]))
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}
