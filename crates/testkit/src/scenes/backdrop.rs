use super::plan::Ground;
use super::texture::{Colour, cloud, is_even_field, mix, noise, scale, speckle};

/// The ground at `x` metres to the right and `z` metres away.
///
/// Fine structure fades with distance, where a pixel covers more of the ground than the structure is wide.
pub(crate) fn ground(kind: Ground, seed: u32, x: f32, z: f32) -> Colour {
    let sharp = (9.0 / z).min(1.0);
    let rough = (cloud(seed, 1.7 * x, 1.1 * z) - 0.5) * sharp;
    let grain = (noise(seed ^ 0x77, 6.0 * x, 4.0 * z) - 0.5) * sharp * sharp;
    match kind {
        Ground::Asphalt => asphalt(seed, x, z, 0.10 * rough + 0.10 * grain),
        Ground::Paving => {
            let slab = if is_even_field(x / 1.1, z / 1.6) { 0.04 } else { -0.04 };
            lighter([0.55, 0.51, 0.46], sharp * slab + 0.10 * rough + 0.06 * grain)
        }
        Ground::Grass => lighter(mix([0.24, 0.40, 0.14], [0.42, 0.44, 0.18], 0.5 + rough), 0.22 * grain),
        Ground::Dirt => lighter(mix([0.42, 0.31, 0.20], [0.56, 0.46, 0.33], 0.5 + rough), 0.14 * grain),
        Ground::Snow => lighter([0.84, 0.86, 0.90], 0.10 * rough + 0.03 * grain),
    }
}

/// What is above the horizon: `x` pixels to the right and `up` pixels above it, at 192 pixels across.
pub(crate) fn skyline(kind: Ground, seed: u32, x: f32, up: f32) -> Colour {
    let sky = mix([0.80, 0.86, 0.92], [0.45, 0.62, 0.85], (up / 40.0).min(1.0));
    let is_town = matches!(kind, Ground::Asphalt | Ground::Paving);
    if is_town { houses(seed, x, up).unwrap_or(sky) } else { trees(seed, x, up).unwrap_or(sky) }
}

/// A street of four lanes with broken lines between them, which fade before they get finer than pixels.
fn asphalt(seed: u32, x: f32, z: f32, rough: f32) -> Colour {
    let plain = lighter([0.33, 0.33, 0.34], rough);
    let across = (x + 2.0 * speckle(seed, 3, 3) - 1.0) / 3.4;
    let is_mark = (across - across.round()).abs() < 0.022 && across.abs() < 2.2 && (z / 3.0).fract() < 0.55;
    let fade = ((34.0 - z) / 16.0).clamp(0.0, 1.0);
    if is_mark { mix(plain, [0.78, 0.78, 0.74], fade) } else { plain }
}

fn houses(seed: u32, x: f32, up: f32) -> Option<Colour> {
    let plot = (x / 26.0).floor();
    let at = |k: i32| speckle(seed, plot as i32, k);
    if up > 12.0 + 40.0 * at(1) {
        return None;
    }
    let wall = mix([0.55, 0.36, 0.28], [0.74, 0.70, 0.62], at(2));
    let (wx, wy) = ((x / 6.5).fract().abs(), (up / 7.5).fract());
    let is_window = (0.3..0.75).contains(&wx) && (0.35..0.8).contains(&wy);
    Some(if is_window { [0.26, 0.30, 0.36] } else { scale(wall, 0.92 + 0.16 * noise(seed, x, up)) })
}

fn trees(seed: u32, x: f32, up: f32) -> Option<Colour> {
    let top = 5.0 + 22.0 * cloud(seed ^ 0x3C, x / 15.0, 0.5);
    let leaf = mix([0.14, 0.26, 0.12], [0.28, 0.36, 0.17], cloud(seed, x / 2.5, up / 2.5));
    (up < top).then_some(leaf)
}

fn lighter(c: Colour, by: f32) -> Colour {
    [c[0] + by, c[1] + by, c[2] + by]
}
