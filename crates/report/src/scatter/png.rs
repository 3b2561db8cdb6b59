use labelloop_core::ImageSize;
use labelloop_media::{RgbImage, encode_png};

use super::Rgb;
use super::canvas::Canvas;
use super::font;
use crate::{ReportError, Result};

/// Pixels for each unit.
const SCALE: f64 = 2.0;

/// Pixels in the making.
pub(super) struct PngCanvas {
    picture: RgbImage,
}

impl PngCanvas {
    pub(super) fn new(width: f64, height: f64) -> Result<Self> {
        let [width, height] = [width, height].map(|v| (v * SCALE) as u32);
        let size = ImageSize::new(width, height).map_err(|e| ReportError::Chart { reason: e.to_string() })?;
        Ok(Self { picture: RgbImage::filled(size, [255; 3]) })
    }

    pub(super) fn finish(self) -> Result<Vec<u8>> {
        encode_png(&self.picture).map_err(|e| ReportError::Chart { reason: e.to_string() })
    }

    /// Mixes a colour in wherever `cover` of a pixel's middle says so, from 0 to 1; the places are pixels.
    fn mix(&mut self, [left, top, right, bottom]: [f64; 4], colour: Rgb, cover: impl Fn(f64, f64) -> f64) {
        let clamped = |v: f64, most: u32| v.clamp(0.0, f64::from(most)) as u32;
        let (width, height) = (self.picture.size().width(), self.picture.size().height());
        for y in clamped(top.floor(), height)..clamped(bottom.ceil(), height) {
            for x in clamped(left.floor(), width)..clamped(right.ceil(), width) {
                let share = cover(f64::from(x) + 0.5, f64::from(y) + 0.5);
                if 0.0 < share {
                    let old = self.picture.pixel(x, y);
                    let mixed =
                        |c: usize| f64::from(old[c]) + share * (f64::from(colour[c]) - f64::from(old[c]));
                    self.picture.set(x, y, [0, 1, 2].map(|c| mixed(c).round() as u8));
                }
            }
        }
    }
}

impl Canvas for PngCanvas {
    fn rect(&mut self, [x, y, w, h]: [f64; 4], colour: Rgb) {
        let [left, top, right, bottom] = [x, y, x + w, y + h].map(|v| (v * SCALE).round());
        self.mix([left, top, right, bottom], colour, |_, _| 1.0);
    }

    fn frame(&mut self, [x, y, w, h]: [f64; 4], colour: Rgb) {
        for line in [[x, y, w, 1.0], [x, y + h - 1.0, w, 1.0], [x, y, 1.0, h], [x + w - 1.0, y, 1.0, h]] {
            self.rect(line, colour);
        }
    }

    fn discs(&mut self, centres: &[[f64; 2]], radius: f64, colour: Rgb, alpha: f64) {
        let r = radius * SCALE;
        for [x, y] in centres.iter().map(|c| c.map(|v| v * SCALE)) {
            self.mix([x - r - 1.0, y - r - 1.0, x + r + 1.0, y + r + 1.0], colour, |px, py| {
                alpha * (r + 0.5 - (px - x).hypot(py - y)).clamp(0.0, 1.0)
            });
        }
    }

    fn ring(&mut self, centre: [f64; 2], radius: f64, colour: Rgb, alpha: f64) {
        let ([x, y], r) = (centre.map(|v| v * SCALE), radius * SCALE);
        let half = (radius * 0.45).max(0.7) * SCALE / 2.0;
        let reach = r + half + 1.0;
        self.mix([x - reach, y - reach, x + reach, y + reach], colour, |px, py| {
            alpha * (half + 0.5 - ((px - x).hypot(py - y) - r).abs()).clamp(0.0, 1.0)
        });
    }

    fn text(&mut self, [x, y]: [f64; 2], size: f64, colour: Rgb, words: &str) {
        // Letters are 7 dots high, of about as many units as the letters of a font of this size.
        let dot = (size * SCALE / 10.0).round().max(1.0);
        let (left, base) = ((x * SCALE).round(), (y * SCALE).round());
        for (n, c) in words.chars().enumerate() {
            let at = left + n as f64 * (font::WIDTH as f64 + 1.0) * dot;
            for (column, row) in font::dots(c) {
                let (dx, dy) = (at + column as f64 * dot, base + (row as f64 - 7.0) * dot);
                self.mix([dx, dy, dx + dot, dy + dot], colour, |_, _| 1.0);
            }
        }
    }
}
