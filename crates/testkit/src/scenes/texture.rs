/// Red, green, blue; 0 is black and 1 white.
pub(crate) type Colour = [f32; 3];

/// A number in `[0, 1)` that depends on a whole-numbered place alone.
pub(crate) fn speckle(seed: u32, x: i32, y: i32) -> f32 {
    let mut h = seed ^ (x as u32).wrapping_mul(0x9E37_79B1) ^ (y as u32).wrapping_mul(0x85EB_CA77);
    h = (h ^ (h >> 16)).wrapping_mul(0x7FEB_352D);
    h = (h ^ (h >> 15)).wrapping_mul(0x846C_A68B);
    (h >> 16) as f32 / 65_536.0
}

/// Smooth noise in `[0, 1)`: speckles at whole numbers, blended in between (value noise with a smoothstep).
pub(crate) fn noise(seed: u32, x: f32, y: f32) -> f32 {
    let (fx, fy) = (x.floor(), y.floor());
    let (ix, iy) = (fx as i32, fy as i32);
    let (tx, ty) = (smooth(x - fx), smooth(y - fy));
    let top = lerp(speckle(seed, ix, iy), speckle(seed, ix + 1, iy), tx);
    let bottom = lerp(speckle(seed, ix, iy + 1), speckle(seed, ix + 1, iy + 1), tx);
    lerp(top, bottom, ty)
}

/// Two octaves of [`noise`].
pub(crate) fn cloud(seed: u32, x: f32, y: f32) -> f32 {
    0.65 * noise(seed, x, y) + 0.35 * noise(seed ^ 0xA5A5, 2.3 * x, 2.3 * y)
}

/// Whether the place is on an even field of a chequered floor with fields of side 1.
pub(crate) fn is_even_field(x: f32, y: f32) -> bool {
    (x.floor() as i32 + y.floor() as i32).rem_euclid(2) == 0
}

/// Whether the place is on the first half of its stripe of width 1.
pub(crate) fn is_stripe(x: f32) -> bool {
    x - x.floor() < 0.5
}

pub(crate) fn lerp(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

pub(crate) fn mix(a: Colour, b: Colour, t: f32) -> Colour {
    [lerp(a[0], b[0], t), lerp(a[1], b[1], t), lerp(a[2], b[2], t)]
}

pub(crate) fn scale(c: Colour, by: f32) -> Colour {
    [c[0] * by, c[1] * by, c[2] * by]
}

fn smooth(t: f32) -> f32 {
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_meets_its_speckles_and_stays_in_range() {
        assert_eq!(noise(5, 3.0, -2.0), speckle(5, 3, -2));
        for i in 0..1000 {
            let n = cloud(9, i as f32 * 0.37, i as f32 * -0.11);
            assert!((0.0..1.0).contains(&n), "{n}");
        }
    }

    #[test]
    fn speckles_are_spread_evenly() {
        let mean: f32 = (0..10_000).map(|i| speckle(1, i % 100, i / 100)).sum::<f32>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }

    #[test]
    fn fields_and_stripes_alternate_below_zero_too() {
        assert!(is_even_field(0.5, 0.5) && !is_even_field(-0.5, 0.5) && is_even_field(-0.5, -0.5));
        assert!(is_stripe(0.2) && !is_stripe(0.7) && is_stripe(-0.9));
    }
}
