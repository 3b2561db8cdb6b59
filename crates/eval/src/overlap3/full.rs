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

/// Integral of `clamp(z, -h, h)` over the part of a face that lies over the ground plan, signed by where the face looks: the
/// integral of z, less what is above the ceiling, and more by what is below the floor.
fn under(face: &Quad, [hx, hy, hz]: [f64; 3]) -> f64 {
    let (mut one, mut other) = (Polygon::of(face), Polygon::EMPTY);
    let (mut polygon, mut spare) = (&mut one, &mut other);
    for (axis, sign, limit) in [(0, 1.0, hx), (0, -1.0, hx), (1, 1.0, hy), (1, -1.0, hy)] {
        if polygon.cut(axis, sign, limit, spare) {
            (polygon, spare) = (spare, polygon);
        }
    }
    let whole = polygon.moment(0.0);
    let (lowest, highest) = polygon.heights();
    let beyond = |sign: f64| {
        let mut part = Polygon::EMPTY;
        let is_cut = polygon.cut(2, -sign, -hz, &mut part);
        if is_cut { part.moment(sign * hz) } else { polygon.moment(sign * hz) }
    };
    let above = if hz < highest { beyond(1.0) } else { 0.0 };
    let below = if lowest < -hz { beyond(-1.0) } else { 0.0 };
    whole - above - below
}

/// A convex polygon in space; areas and integrals are those of its shadow on the ground, negative where it looks down.
#[derive(Clone, Copy)]
struct Polygon {
    corners: [[f64; 3]; MAX_CORNERS],
    n: usize,
}

impl Polygon {
    const EMPTY: Self = Self { corners: [[0.0; 3]; MAX_CORNERS], n: 0 };

    fn of(face: &Quad) -> Self {
        let mut polygon = Self { n: 4, ..Self::EMPTY };
        polygon.corners[..4].copy_from_slice(face);
        polygon
    }

    fn corners(&self) -> &[[f64; 3]] {
        &self.corners[..self.n]
    }

    /// Writes the part with `sign * coordinate <= limit` (Sutherland and Hodgman 1974); nothing where that is all of it.
    #[inline]
    fn cut(&self, axis: usize, sign: f64, limit: f64, part: &mut Self) -> bool {
        let mut room = [0.0; MAX_CORNERS];
        let mut least = 0.0f64;
        for (room, corner) in room.iter_mut().zip(self.corners()) {
            *room = limit - sign * corner[axis];
            least = least.min(*room);
        }
        if 0.0 <= least {
            return false;
        }
        part.n = 0;
        let mut before = self.n.saturating_sub(1);
        for at in 0..self.n {
            let (r, s) = (room[before], room[at]);
            if (r < 0.0) != (s < 0.0) {
                let (from, to, share) = (&self.corners[before], &self.corners[at], r / (r - s));
                part.push([0, 1, 2].map(|i| from[i] + share * (to[i] - from[i])));
            }
            if 0.0 <= s {
                part.push(self.corners[at]);
            }
            before = at;
        }
        true
    }

    #[inline]
    fn push(&mut self, corner: [f64; 3]) {
        // Rounding could make a polygon not quite convex; what does not fit lies between its neighbours to the last bit.
        if self.n < MAX_CORNERS {
            self.corners[self.n] = corner;
            self.n += 1;
        }
    }

    fn heights(&self) -> (f64, f64) {
        self.corners().iter().fold((0.0, 0.0), |(low, high): (f64, f64), c| (low.min(c[2]), high.max(c[2])))
    }

    /// Integral of the height above `floor`, over the triangles of a fan.
    fn moment(&self, floor: f64) -> f64 {
        let [first, rest @ ..] = self.corners() else { return 0.0 };
        let [ox, oy, oz] = *first;
        let triangle = |pair: &[[f64; 3]]| {
            let ([ax, ay, az], [bx, by, bz]) = (pair[0], pair[1]);
            let doubled = (ax - ox) * (by - oy) - (ay - oy) * (bx - ox);
            doubled * ((oz - floor) + (az - floor) + (bz - floor))
        };
        rest.windows(2).map(triangle).sum::<f64>() / 6.0
    }
}

fn transposed(m: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    [0, 1, 2].map(|i| m.map(|row| row[i]))
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}
