use super::plan::Light;
use super::texture::Colour;

/// How a picture is lit: what [`Lighting::at`] does to the colour at a place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lighting {
    light: Light,
    /// Where the lamp or sun is, as shares of the sides.
    lamp: [f32; 2],
    /// Brightness of this capture, near 1.
    gain: f32,
}

impl Lighting {
    pub(crate) fn new(light: Light, lamp: [f64; 2], gain: f64) -> Self {
        Self { light, lamp: lamp.map(|v| v as f32), gain: gain as f32 }
    }

    /// How much stronger the sensor's noise is than by daylight.
    pub(crate) fn noise_factor(self) -> f32 {
        match self.light {
            Light::Day | Light::Glare => 1.0,
            Light::Dusk => 1.4,
            Light::Night => 2.0,
        }
    }

    /// Light that comes from a colour at a place, given as shares of the sides.
    pub(crate) fn at(self, c: Colour, [x, y]: [f32; 2]) -> Colour {
        let (dx, dy) = (1.33 * (x - self.lamp[0]), y - self.lamp[1]);
        let near = 1.0 / (1.0 + 7.0 * (dx * dx + dy * dy));
        let (tint, veil) = match self.light {
            Light::Day => ([1.0, 1.0, 1.0], 0.0),
            Light::Dusk => {
                let side = 0.60 + 0.35 * (1.0 - (x - self.lamp[0]).abs());
                ([side, side * 0.78, side * 0.62], 0.02)
            }
            Light::Night => {
                let pool = 0.55 * near * near;
                ([0.27 + pool, 0.29 + 0.9 * pool, 0.40 + 0.6 * pool], 0.01)
            }
            Light::Glare => ([0.95, 0.92, 0.85], 0.75 * near * near),
        };
        let lit = |i: usize| (c[i] * tint[i] * (1.0 - veil) + veil) * self.gain;
        [lit(0), lit(1), lit(2)]
    }
}
