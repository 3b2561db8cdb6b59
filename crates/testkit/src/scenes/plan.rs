use labelloop_core::ClassIdx;
use serde::{Deserialize, Serialize};

use super::SceneValidParams;
use super::camera::Camera;
use super::draws::Draws;
use super::texture::Colour;

/// Names of the classes, from common to rare.
pub(crate) const CLASS_NAMES: [&str; 6] = ["car", "pedestrian", "van", "cyclist", "sign", "animal"];

/// What a sequence shows, from the most redundant to the rarest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SceneKind {
    /// A long recording in which little happens.
    Dull,
    /// A busy street.
    Town,
    /// A country road, where the animals are.
    Rural,
}

/// How a sequence is lit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Light {
    /// Even and white.
    Day,
    /// Dimmer, warm, from one side.
    Dusk,
    /// Dark and blue with one lamp.
    Night,
    /// A low sun in the picture that washes out what is near it.
    Glare,
}

/// What the ground is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ground {
    /// Grey with lane marks.
    Asphalt,
    /// Chequered slabs.
    Paving,
    /// Green and rough.
    Grass,
    /// Brown and blotchy.
    Dirt,
    /// Bright and smooth.
    Snow,
}

/// What a sequence is about; the same for all of its captures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SceneTraits {
    /// What it shows.
    pub kind: SceneKind,
    /// How it is lit.
    pub light: Light,
    /// What is under the objects.
    pub ground: Ground,
}

/// Things without a label that a detector may take for objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clutter {
    Bush,
    Bin,
    Cone,
    Crate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Object(ClassIdx),
    Clutter(Clutter),
}

/// How an actor is painted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Livery {
    pub(crate) main: Colour,
    pub(crate) second: Colour,
    /// Which pattern or form of its kind, 0 to 3.
    pub(crate) pattern: usize,
    pub(crate) seed: u32,
    pub(crate) is_mirrored: bool,
}

/// A thing that stands on the ground, as a board across the line of sight with some depth behind it; metres.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Actor {
    pub(crate) role: Role,
    pub(crate) livery: Livery,
    /// Middle, to the right of the left camera.
    pub(crate) x: f64,
    /// Distance of the front.
    pub(crate) z: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) depth: f64,
    /// Move to the right from one capture to the next.
    pub(crate) speed: f64,
}

/// All that the captures of one sequence share.
#[derive(Debug, Clone)]
pub(crate) struct ScenePlan {
    pub(crate) traits: SceneTraits,
    pub(crate) n_captures: usize,
    pub(crate) camera: Camera,
    /// From far to near.
    pub(crate) actors: Vec<Actor>,
    pub(crate) backdrop_seed: u32,
    /// Where the lamp or the sun is, as shares of the sides.
    pub(crate) lamp: [f64; 2],
}

/// Size and looks of one class: metres, and the height on a picture of 192 pixels across.
struct Build {
    height: f64,
    /// Width over height.
    aspect: f64,
    depth: f64,
    pixels: [f64; 2],
    speed: f64,
    main: &'static [Colour],
    second: &'static [Colour],
}

/// How often each class occurs in each kind of scene.
fn class_weights(kind: SceneKind) -> [f64; 6] {
    match kind {
        SceneKind::Dull => [0.52, 0.26, 0.16, 0.04, 0.02, 0.0],
        SceneKind::Town => [0.24, 0.30, 0.22, 0.16, 0.08, 0.0],
        SceneKind::Rural => [0.17, 0.12, 0.15, 0.20, 0.16, 0.20],
    }
}

pub(crate) fn plan(valid: &SceneValidParams, g: usize) -> ScenePlan {
    let mut d = Draws::new(valid.seed(g).stream("plan"));
    let (kind, place) = kind_of(valid, g);
    let light = light_of(valid, kind, place, &mut d);
    let traits = SceneTraits { kind, light, ground: ground_of(kind, &mut d) };
    let camera = Camera::new(valid.size(), d.range(0.19, 0.25));
    let mut actors = Vec::new();
    let n_objects = match kind {
        SceneKind::Dull => 3 + d.below(2),
        SceneKind::Town => 5 + d.below(4),
        SceneKind::Rural => 3 + d.below(3),
    };
    for _ in 0..n_objects {
        let class = d.weighted(&class_weights(kind));
        place_actor(Role::Object(ClassIdx(class as u32)), &build(class), &camera, &mut actors, &mut d);
    }
    for _ in 0..d.below(3) {
        let clutter = d.pick(&[Clutter::Bush, Clutter::Bin, Clutter::Cone, Clutter::Crate]);
        place_actor(Role::Clutter(clutter), &clutter_build(clutter), &camera, &mut actors, &mut d);
    }
    actors.sort_by(|a, b| b.z.total_cmp(&a.z));
    let backdrop_seed = d.bits32();
    let lamp = [d.range(0.1, 0.9), d.range(0.05, 0.5)];
    ScenePlan { traits, n_captures: n_captures(valid, kind, place), camera, actors, backdrop_seed, lamp }
}

/// The kind of a sequence and its place among those of its kind.
fn kind_of(valid: &SceneValidParams, g: usize) -> (SceneKind, usize) {
    let p = valid.params();
    let n_dull = (p.dull_share * p.n_groups as f64).round() as usize;
    let n_rural = (p.rural_share * (p.n_groups - n_dull) as f64).round() as usize;
    let rank = valid.rank(g);
    if rank < n_dull {
        (SceneKind::Dull, rank)
    } else if rank < n_dull + n_rural {
        (SceneKind::Rural, rank - n_dull)
    } else {
        (SceneKind::Town, rank - n_dull - n_rural)
    }
}

fn n_captures(valid: &SceneValidParams, kind: SceneKind, place: usize) -> usize {
    let mean = valid.params().captures_per_group;
    match kind {
        SceneKind::Dull => mean * (2 + place % 3),
        SceneKind::Town | SceneKind::Rural => (mean * (1 + place % 3)).div_ceil(4),
    }
}

/// Nights are spread evenly over the sequences that are not dull, so that their share is met at any seed.
fn light_of(valid: &SceneValidParams, kind: SceneKind, place: usize, d: &mut Draws) -> Light {
    let share = valid.params().night_share;
    let nights_before = |n: usize| (n as f64 * share).floor();
    if kind == SceneKind::Dull {
        d.pick(&[Light::Day, Light::Day, Light::Dusk])
    } else if nights_before(place) < nights_before(place + 1) {
        Light::Night
    } else {
        d.pick(&[Light::Day, Light::Day, Light::Dusk, Light::Glare])
    }
}

fn ground_of(kind: SceneKind, d: &mut Draws) -> Ground {
    match kind {
        SceneKind::Dull => Ground::Asphalt,
        SceneKind::Town => d.pick(&[Ground::Asphalt, Ground::Paving, Ground::Paving, Ground::Snow]),
        SceneKind::Rural => d.pick(&[Ground::Grass, Ground::Grass, Ground::Dirt, Ground::Snow]),
    }
}

/// Puts a thing where it does not hide too much of another or is hidden itself; leaves it out after a few attempts.
fn place_actor(role: Role, build: &Build, camera: &Camera, actors: &mut Vec<Actor>, d: &mut Draws) {
    let livery = Livery {
        main: d.pick(build.main),
        second: d.pick(build.second),
        pattern: d.below(4),
        seed: d.bits32(),
        is_mirrored: d.below(2) == 1,
    };
    let width = build.height * build.aspect * d.range(0.9, 1.1);
    for _ in 0..12 {
        let pixels = d.range(build.pixels[0], build.pixels[1]);
        let z = camera.distance_of(build.height, pixels);
        let x = camera.sideways(d.range(0.04, 0.96), z);
        let actor = Actor {
            role,
            livery,
            x,
            z,
            width,
            height: build.height,
            depth: build.depth,
            speed: build.speed * d.range(-1.0, 1.0),
        };
        if actors.iter().all(|other| overlap(camera, &actor, other) < 0.35) {
            actors.push(actor);
            return;
        }
    }
}

/// Area that two boards share in the picture over that of the smaller one.
fn overlap(camera: &Camera, a: &Actor, b: &Actor) -> f64 {
    let ([al, at, ar, ab], [bl, bt, br, bb]) = (camera.board(a, 0.0), camera.board(b, 0.0));
    let shared = (ar.min(br) - al.max(bl)).max(0.0) * (ab.min(bb) - at.max(bt)).max(0.0);
    shared / ((ar - al) * (ab - at)).min((br - bl) * (bb - bt))
}

fn build(class: usize) -> Build {
    let (height, aspect, depth, pixels, speed) = match class {
        0 => (1.6, 1.9, 1.8, [17.0, 31.0], 0.06),
        1 => (1.75, 0.46, 0.5, [29.0, 50.0], 0.03),
        2 => (2.4, 1.5, 2.0, [26.0, 42.0], 0.05),
        3 => (1.8, 0.95, 0.6, [29.0, 48.0], 0.06),
        4 => (2.3, 0.46, 0.2, [32.0, 54.0], 0.0),
        _ => (1.2, 1.35, 0.6, [21.0, 38.0], 0.03),
    };
    let (main, second) = PALETTES[class.min(5)];
    Build { height, aspect, depth, pixels, speed, main, second }
}

fn clutter_build(clutter: Clutter) -> Build {
    let (height, aspect, pixels, main): (_, _, _, &[Colour]) = match clutter {
        Clutter::Bush => (1.3, 1.2, [14.0, 32.0], &[[0.16, 0.34, 0.12], [0.30, 0.36, 0.14]]),
        Clutter::Bin => (1.1, 0.7, [14.0, 28.0], &[[0.25, 0.3, 0.27], [0.2, 0.26, 0.4]]),
        Clutter::Cone => (0.8, 0.8, [12.0, 22.0], &[[0.95, 0.42, 0.1]]),
        Clutter::Crate => (1.0, 1.3, [13.0, 26.0], &[[0.55, 0.4, 0.22], [0.5, 0.5, 0.48]]),
    };
    Build { height, aspect, depth: 0.6, pixels, speed: 0.0, main, second: &[[0.9, 0.9, 0.88]] }
}

/// Main and second colours of each class.
const PALETTES: [(&[Colour], &[Colour]); 6] = [
    (
        &[[0.75, 0.10, 0.10], [0.12, 0.25, 0.65], [0.15, 0.16, 0.18], [0.10, 0.42, 0.25]],
        &[[0.9, 0.9, 0.9], [0.1, 0.1, 0.1]],
    ),
    (
        &[[0.70, 0.15, 0.20], [0.20, 0.35, 0.70], [0.45, 0.20, 0.50]],
        &[[0.12, 0.14, 0.25], [0.15, 0.12, 0.10], [0.50, 0.45, 0.35]],
    ),
    (
        &[[0.92, 0.92, 0.90], [0.92, 0.88, 0.70], [0.95, 0.72, 0.20]],
        &[[0.80, 0.15, 0.12], [0.10, 0.30, 0.60], [0.15, 0.45, 0.20]],
    ),
    (
        &[[0.85, 0.95, 0.15], [1.00, 0.35, 0.55], [1.00, 0.55, 0.10], [0.20, 0.90, 0.85]],
        &[[0.10, 0.10, 0.12], [0.75, 0.10, 0.15], [0.90, 0.90, 0.90]],
    ),
    (&[[0.85, 0.08, 0.10], [0.08, 0.25, 0.80]], &[[0.95, 0.95, 0.95]]),
    (
        &[[0.42, 0.26, 0.13], [0.62, 0.45, 0.26], [0.20, 0.15, 0.12], [0.70, 0.66, 0.60]],
        &[[0.93, 0.90, 0.84], [0.25, 0.18, 0.12]],
    ),
];
