use super::plan::{Clutter, Livery, Role};
use super::texture::{Colour, cloud, is_even_field, is_stripe, lerp, mix, noise, scale};

const GLASS: Colour = [0.16, 0.20, 0.26];
const TYRE: Colour = [0.06, 0.06, 0.07];
const SKIN: Colour = [0.82, 0.60, 0.47];
const STEEL: Colour = [0.50, 0.51, 0.53];

/// A place on an actor's board: `u` to the right and `v` down, both from 0 to 1; `a` is width over height.
#[derive(Debug, Clone, Copy)]
struct Place {
    u: f32,
    v: f32,
    a: f32,
}

impl Place {
    /// Distance from a point of the board, in heights of the board.
    fn from(self, u: f32, v: f32) -> f32 {
        let (dx, dy) = ((self.u - u) * self.a, self.v - v);
        (dx * dx + dy * dy).sqrt()
    }

    fn within(self, u: [f32; 2], v: [f32; 2]) -> bool {
        u[0] <= self.u && self.u < u[1] && v[0] <= self.v && self.v < v[1]
    }
}

/// The colour of an actor at a place of its board, or nothing where one looks past it.
pub(crate) fn sprite(role: Role, livery: &Livery, [u, v]: [f32; 2], aspect: f32) -> Option<Colour> {
    let u = if livery.is_mirrored { 1.0 - u } else { u };
    let p = Place { u, v, a: aspect };
    match role {
        Role::Object(class) => match class.0 {
            0 => car(p, livery),
            1 => pedestrian(p, livery),
            2 => van(p, livery),
            3 => cyclist(p, livery),
            4 => sign(p, livery),
            _ => animal(p, livery),
        },
        Role::Clutter(Clutter::Bush) => bush(p, livery),
        Role::Clutter(Clutter::Bin) => bin(p, livery),
        Role::Clutter(Clutter::Cone) => cone(p, livery),
        Role::Clutter(Clutter::Crate) => Some(crate_of_planks(p, livery)),
    }
}

/// A low body with a slanted cabin of dark glass on two wheels.
fn car(p: Place, l: &Livery) -> Option<Colour> {
    if let Some(c) = wheels(p, [0.20, 0.79], 0.17) {
        return Some(c);
    }
    let slant = (0.46 - p.v) * 0.28;
    if p.v < 0.46 {
        let (left, right) = (0.20 + slant, 0.88 - 0.7 * slant);
        let is_cabin = left < p.u && p.u < right;
        let is_glass = p.v > 0.08 && left + 0.05 < p.u && p.u < right - 0.05 && (p.u - 0.54).abs() > 0.025;
        return is_cabin.then_some(if is_glass { GLASS } else { l.main });
    }
    if 0.88 < p.v || (p.u < 0.03 && p.v < 0.56) {
        return None;
    }
    if p.within([0.0, 0.06], [0.56, 0.66]) {
        return Some([1.0, 0.95, 0.7]);
    }
    let shaded = scale(l.main, lerp(1.1, 0.6, (p.v - 0.46) / 0.42));
    Some(match l.pattern {
        0 if (0.60..0.68).contains(&p.v) => l.second,
        1 if p.u > 0.5 && is_stripe(p.u * 9.0) && p.v < 0.7 => mix(l.main, l.second, 0.5),
        _ => shaded,
    })
}

/// A tall bright box with one window at the front and a painted side.
fn van(p: Place, l: &Livery) -> Option<Colour> {
    if let Some(c) = wheels(p, [0.19, 0.80], 0.13) {
        return Some(c);
    }
    if p.v > 0.90 || (p.u < 0.20 && p.v < 0.36 - 1.8 * p.u) {
        return None;
    }
    if p.within([0.05, 0.24], [0.14, 0.44]) {
        return Some(GLASS);
    }
    let body = scale(l.main, lerp(1.05, 0.75, p.v));
    if p.u < 0.29 || !(0.12..0.76).contains(&p.v) {
        return Some(body);
    }
    Some(match l.pattern {
        0 if is_stripe(p.v * 6.0) => l.second,
        1 if is_even_field(p.u * 9.0, p.v * 6.0) => l.second,
        2 if p.from(0.64, 0.44) < 0.24 => l.second,
        3 if (0.50..0.76).contains(&p.v) => l.second,
        _ => body,
    })
}

/// A head, a coat and two legs.
fn pedestrian(p: Place, l: &Livery) -> Option<Colour> {
    if p.from(0.5, 0.10) < 0.10 {
        return Some(if p.v < 0.07 { scale(l.second, 0.7) } else { SKIN });
    }
    let half = lerp(0.34, 0.46, (p.v - 0.19) / 0.4);
    if (0.19..0.60).contains(&p.v) && (p.u - 0.5).abs() < half {
        let is_marked = match l.pattern {
            0 => is_stripe(p.v * 14.0),
            1 => is_even_field(p.u * 5.0, p.v * 11.0),
            2 => p.v > 0.50,
            _ => false,
        };
        let is_arm = (p.u - 0.5).abs() > half - 0.11;
        let coat = if is_marked { mix(l.main, [0.95, 0.95, 0.92], 0.6) } else { l.main };
        return Some(if is_arm { scale(coat, 0.7) } else { coat });
    }
    let gap = 0.03 + 0.16 * (p.v - 0.60);
    let is_leg = p.v >= 0.60 && (gap..0.34).contains(&(p.u - 0.5).abs());
    is_leg.then_some(if p.v > 0.95 { TYRE } else { l.second })
}

/// A bright rider, bent forward, above two thin wheels.
fn cyclist(p: Place, l: &Livery) -> Option<Colour> {
    if p.from(0.36, 0.11) < 0.105 {
        return Some(if p.v < 0.11 { l.main } else { SKIN });
    }
    let lean = 0.40 + 0.42 * (p.v - 0.20);
    if (0.19..0.50).contains(&p.v) && (p.u - lean).abs() < 0.17 {
        return Some(if l.pattern == 0 && is_stripe(p.v * 12.0) { l.second } else { l.main });
    }
    if (0.26..0.34).contains(&p.v) && (0.14..0.34).contains(&p.u) {
        return Some(scale(l.main, 0.8));
    }
    let leg = 0.53 - 0.20 * (p.v - 0.5);
    if (0.48..0.84).contains(&p.v) && (p.u - leg).abs() < 0.075 {
        return Some([0.12, 0.12, 0.15]);
    }
    let ring = p.from(0.22, 0.78).min(p.from(0.77, 0.78));
    if (0.145..0.215).contains(&ring) {
        return Some(TYRE);
    }
    let is_frame = (0.55..0.62).contains(&p.v) && (0.22..0.72).contains(&p.u);
    let is_fork = p.v > 0.36 && p.v < 0.78 && (p.u - 0.20).abs() < 0.03;
    (is_frame || is_fork || ring < 0.03).then_some(l.second)
}

/// A plate of one of four forms on a post.
fn sign(p: Place, l: &Livery) -> Option<Colour> {
    let plate = 0.5 * p.a;
    let r = p.from(0.5, plate) / plate;
    let diamond = (p.u - 0.5).abs() * 2.0 + (p.v - plate).abs() / plate;
    let up = p.v / (2.0 * plate);
    let triangle = if up < 1.0 { (p.u - 0.5).abs() * 2.0 - up } else { 1.0 };
    let painted = match l.pattern {
        0 if r < 1.0 => Some(if r > 0.66 || (p.v - plate).abs() < 0.09 * plate { l.main } else { l.second }),
        1 if diamond < 1.0 => Some(if diamond > 0.72 { l.second } else { l.main }),
        2 if triangle < 0.0 => Some(if triangle > -0.26 || up > 0.87 { l.main } else { l.second }),
        3 if r < 1.0 => Some(if (p.u - 0.5).abs() < 0.16 && r < 0.75 { l.second } else { l.main }),
        _ => None,
    };
    painted.or_else(|| (p.v > plate && (p.u - 0.5).abs() < 0.09).then_some(STEEL))
}

/// A blotched body on four legs, head raised to one side.
fn animal(p: Place, l: &Livery) -> Option<Colour> {
    let (bu, bv) = ((p.u - 0.56) / 0.40, (p.v - 0.44) / 0.25);
    let is_body = bu * bu + bv * bv < 1.0;
    let is_neck = (0.12..0.46).contains(&p.v) && (p.u - 0.10 - 0.42 * p.v).abs() < 0.09;
    let is_head = p.from(0.13, 0.15) < 0.15 || (p.v < 0.12 && (p.u - 0.20).abs() < 0.035);
    let is_leg = p.v > 0.55 && [0.26, 0.38, 0.74, 0.88].iter().any(|u| (p.u - u).abs() < 0.045);
    let is_tail = p.u > 0.92 && (0.30..0.62).contains(&p.v);
    if !(is_body || is_neck || is_head || is_leg || is_tail) {
        return None;
    }
    let blotch = noise(l.seed, p.u * 6.0, p.v * 5.0);
    let coat = match l.pattern {
        0 | 1 if blotch > 0.55 && !is_leg => l.second,
        2 if is_stripe(p.u * 8.0 + 0.6 * blotch) && is_body => l.second,
        _ => scale(l.main, 0.8 + 0.4 * blotch),
    };
    Some(if is_leg || p.v > 0.62 { scale(coat, 0.65) } else { coat })
}

fn bush(p: Place, l: &Livery) -> Option<Colour> {
    let rough = 0.36 + 0.2 * noise(l.seed, p.u * 7.0, p.v * 7.0);
    let (du, dv) = (p.u - 0.5, p.v - 0.55);
    (du * du + dv * dv < rough * rough).then(|| scale(l.main, 0.5 + cloud(l.seed, p.u * 14.0, p.v * 14.0)))
}

fn bin(p: Place, l: &Livery) -> Option<Colour> {
    if p.v < 0.14 {
        return Some(scale(l.main, 0.6));
    }
    let is_inside = (p.u - 0.5).abs() < lerp(0.46, 0.38, p.v);
    is_inside.then_some(if is_stripe(p.u * 6.0) { l.main } else { scale(l.main, 0.8) })
}

fn cone(p: Place, l: &Livery) -> Option<Colour> {
    if p.v > 0.88 {
        return Some(scale(l.main, 0.7));
    }
    let is_inside = (p.u - 0.5).abs() < 0.06 + 0.30 * p.v;
    is_inside.then_some(if (0.35..0.60).contains(&p.v) { l.second } else { l.main })
}

fn crate_of_planks(p: Place, l: &Livery) -> Colour {
    let is_gap = (p.v * 4.0).fract() < 0.14 || p.u < 0.05 || p.u > 0.95;
    if is_gap { scale(l.main, 0.5) } else { scale(l.main, 0.8 + 0.4 * noise(l.seed, p.u * 3.0, p.v * 16.0)) }
}

fn wheels(p: Place, at: [f32; 2], radius: f32) -> Option<Colour> {
    let r = at.iter().map(|u| p.from(*u, 1.0 - radius)).fold(f32::INFINITY, f32::min);
    (r < radius).then_some(if r < 0.45 * radius { STEEL } else { TYRE })
}

#[cfg(test)]
mod tests {
    use labelloop_core::ClassIdx;

    use super::*;

    fn covered(class: u32, pattern: usize) -> f32 {
        let livery = Livery { main: [0.5; 3], second: [0.9; 3], pattern, seed: 1, is_mirrored: false };
        let aspect = [1.9, 0.44, 1.5, 0.95, 0.46, 1.35][class as usize];
        let n = 40;
        let hits = (0..n * n)
            .filter(|i| {
                let at = [(i % n) as f32 / n as f32, (i / n) as f32 / n as f32];
                sprite(Role::Object(ClassIdx(class)), &livery, at, aspect).is_some()
            })
            .count();
        hits as f32 / (n * n) as f32
    }

    #[test]
    fn every_class_fills_a_fair_part_of_its_board() {
        for class in 0..6 {
            for pattern in 0..4 {
                let share = covered(class, pattern);
                assert!((0.25..0.98).contains(&share), "class {class}, pattern {pattern}: {share}");
            }
        }
    }
}
