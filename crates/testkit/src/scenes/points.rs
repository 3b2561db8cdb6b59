use labelloop_core::{Cuboid, CuboidFrame, Seed};

use super::camera::MAST;
use super::draws::Draws;
use super::plan::{Actor, Role};
use crate::Result;

/// A point of the cloud: x forward, y left, z up in metres, and intensity from 0 to 1.
pub(crate) type Point = [f32; 4];

const N_GROUND: usize = 700;

/// Metres to the side per metre ahead that the sensor sees; the pictures end at 0.6.
const VIEW: f64 = 0.62;

/// The box that an actor fills. Those seen from the side head to the left or right, so that their length is across
/// the line of sight.
pub(crate) fn cuboid(actor: &Actor) -> Result<Cuboid> {
    let centre = [actor.z + actor.depth / 2.0, -actor.x, actor.height / 2.0 - MAST];
    let is_sideways = matches!(actor.role, Role::Object(class) if matches!(class.0, 0 | 2 | 3 | 5));
    let (size, yaw) = if is_sideways {
        let quarter = std::f64::consts::FRAC_PI_2;
        let yaw = if actor.livery.is_mirrored { -quarter } else { quarter };
        ([actor.width, actor.depth, actor.height], yaw)
    } else {
        ([actor.depth, actor.width, actor.height], 0.0)
    };
    Ok(Cuboid::new(centre, size, yaw, CuboidFrame::Lidar)?)
}

/// Points on the ground and on the sides of the actors that face the sensor, as far as nothing nearer hides them and they
/// are in view.
///
/// Complexity: linear in the number of points, several hundred to two thousand, times the number of actors.
pub(crate) fn cloud(actors: &[Actor], seed: Seed) -> Vec<Point> {
    let mut d = Draws::new(seed);
    let mut points: Vec<Point> =
        (0..N_GROUND).map(|_| ground_point(&mut d)).filter(|p| is_seen(*p, actors)).collect();
    for actor in actors {
        let own = (0..n_points(actor)).map(|_| surface_point(actor, &mut d));
        points.extend(own.filter(|p| is_in_view(*p) && is_seen(*p, actors)));
    }
    points
}

/// Falls with the square of distance, as the density of a scanner's rays does.
fn n_points(actor: &Actor) -> usize {
    (3600.0 * actor.width * actor.height / (actor.z * actor.z)).clamp(24.0, 240.0) as usize
}

/// The sensor sees a little more than the pictures, to both sides.
fn is_in_view([x, y, ..]: Point) -> bool {
    y.abs() <= VIEW as f32 * x
}

/// Whether no actor's front stands between the sensor and a point.
fn is_seen([x, y, z, _]: Point, actors: &[Actor]) -> bool {
    let [x, right, up] = [x, -y, z].map(f64::from);
    !actors.iter().filter(|a| a.z < x - 1e-3).any(|a| {
        let share = a.z / x;
        (share * right - a.x).abs() < a.width / 2.0 && share * up + MAST < a.height
    })
}

fn ground_point(d: &mut Draws) -> Point {
    // Squaring puts more points near the sensor than far away.
    let near = d.unit();
    let x = 4.0 + 32.0 * near * near;
    let y = VIEW * x * d.range(-1.0, 1.0);
    [x as f32, y as f32, (0.02 * d.bell() - MAST) as f32, (0.15 + 0.1 * d.unit()) as f32]
}

/// Just inside the front, the top or the side nearer to the sensor, so that an actor's box holds its points however they are
/// rounded.
fn surface_point(actor: &Actor, d: &mut Draws) -> Point {
    let (mut forward, mut across, mut up) = (d.unit(), d.unit(), d.unit());
    match d.weighted(&[0.6, 0.2, 0.2]) {
        0 => forward = 0.0,
        1 => up = 1.0,
        _ => across = if actor.x < 0.0 { 1.0 } else { 0.0 },
    }
    let [forward, across, up] = [forward, across, up].map(|share: f64| 0.005 + 0.99 * share);
    let x = actor.z + actor.depth * forward;
    let right = actor.x + actor.width * (across - 0.5);
    let [r, g, b] = actor.livery.main;
    let intensity = 0.9 * (r + g + b) / 3.0 + 0.1 * d.unit() as f32;
    [x as f32, -right as f32, (actor.height * up - MAST) as f32, intensity]
}
