use labelloop_core::ImageSize;
use labelloop_media::RgbImage;

use super::backdrop;
use super::camera::{Camera, MAST};
use super::light::Lighting;
use super::plan::{Actor, Ground};
use super::sprite::sprite;
use super::texture::{Colour, mix, scale, speckle};
use crate::Result;

/// What one camera sees at one instant.
pub(crate) struct Shot<'a> {
    pub(crate) size: ImageSize,
    pub(crate) camera: Camera,
    /// Metres to the right of the left camera.
    pub(crate) shift: f64,
    pub(crate) ground: Ground,
    pub(crate) backdrop_seed: u32,
    /// From far to near, where they are at this instant.
    pub(crate) actors: &'a [Actor],
    pub(crate) lighting: Lighting,
    /// Deviation of the sensor's noise, in steps of 8 bits.
    pub(crate) noise: f32,
    pub(crate) noise_seed: u32,
}

/// How much of an actor is in a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Pixels that it would cover if nothing were in front of it and the picture had no edge.
    pub(crate) n_total: u32,
    /// Pixels of the picture that show it.
    pub(crate) n_visible: u32,
    /// First column, first row, one past the last column and row of those.
    pub(crate) corners: [u32; 4],
}

impl Seen {
    const NOTHING: Self = Self { n_total: 0, n_visible: 0, corners: [u32::MAX, u32::MAX, 0, 0] };

    fn add(&mut self, x: u32, y: u32) {
        self.n_visible += 1;
        let [l, t, r, b] = self.corners;
        self.corners = [l.min(x), t.min(y), r.max(x + 1), b.max(y + 1)];
    }
}

/// Paints the picture and tells how much is seen of each actor.
pub(crate) fn paint(shot: &Shot<'_>) -> Result<(RgbImage, Vec<Seen>)> {
    let mut canvas = Canvas::new(shot);
    let totals: Vec<u32> = (0u16..).zip(shot.actors).map(|(i, a)| canvas.draw(shot, i, a)).collect();
    let mut seen = vec![Seen::NOTHING; shot.actors.len()];
    for (at, owner) in canvas.owner.iter().enumerate() {
        if let Some(s) = seen.get_mut(usize::from(*owner)) {
            s.add((at % canvas.width) as u32, (at / canvas.width) as u32);
        }
    }
    for (s, n_total) in seen.iter_mut().zip(totals) {
        s.n_total = n_total;
    }
    Ok((RgbImage::new(shot.size, develop(shot, &canvas.colours))?, seen))
}

struct Canvas {
    width: usize,
    height: usize,
    colours: Vec<Colour>,
    /// Which actor a pixel shows; [`NOBODY`] for the backdrop.
    owner: Vec<u16>,
}

const NOBODY: u16 = u16::MAX;

impl Canvas {
    fn new(shot: &Shot<'_>) -> Self {
        let (width, height) = (shot.size.width() as usize, shot.size.height() as usize);
        let colours = (0..width * height).map(|at| backdrop_at(shot, at % width, at / width)).collect();
        Self { width, height, colours, owner: vec![NOBODY; width * height] }
    }

    /// Paints an actor with its shadow over what is there; tells how many pixels it has, inside the picture or not.
    fn draw(&mut self, shot: &Shot<'_>, index: u16, actor: &Actor) -> u32 {
        let board = shot.camera.board(actor, shot.shift);
        self.shade(board);
        let [left, top, right, bottom] = board;
        let aspect = (actor.width / actor.height) as f32;
        let mut n_total = 0;
        for y in top.floor() as i64..bottom.ceil() as i64 {
            for x in left.floor() as i64..right.ceil() as i64 {
                let (coverage, colour) = sample(actor, aspect, board, [x as f64, y as f64]);
                if coverage < 0.5 {
                    continue;
                }
                n_total += 1;
                if let Some(at) = self.place(x, y) {
                    self.colours[at] = mix(self.colours[at], colour, coverage);
                    self.owner[at] = index;
                }
            }
        }
        n_total
    }

    /// Darkens the ground around the feet of an actor.
    fn shade(&mut self, [left, _, right, bottom]: [f64; 4]) {
        let (middle, rx) = ((left + right) / 2.0, 0.56 * (right - left));
        let ry = 0.22 * rx;
        for y in (bottom - ry).floor() as i64..(bottom + ry).ceil() as i64 {
            for x in (middle - rx).floor() as i64..(middle + rx).ceil() as i64 {
                let (dx, dy) = ((x as f64 + 0.5 - middle) / rx, (y as f64 + 0.5 - bottom) / ry);
                let depth = (1.0 - dx * dx - dy * dy) as f32;
                if let Some(at) = self.place(x, y).filter(|_| 0.0 < depth) {
                    self.colours[at] = scale(self.colours[at], 1.0 - 0.5 * depth.min(0.8));
                }
            }
        }
    }

    fn place(&self, x: i64, y: i64) -> Option<usize> {
        let (x, y) = (usize::try_from(x).ok()?, usize::try_from(y).ok()?);
        (x < self.width && y < self.height).then(|| y * self.width + x)
    }
}

/// Share of a pixel that an actor covers and its mean colour there, from four points of the pixel.
fn sample(actor: &Actor, aspect: f32, board: [f64; 4], [x, y]: [f64; 2]) -> (f32, Colour) {
    let [left, top, right, bottom] = board;
    let (mut n, mut sum) = (0.0f32, [0.0f32; 3]);
    for (dx, dy) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
        let u = ((x + dx - left) / (right - left)) as f32;
        let v = ((y + dy - top) / (bottom - top)) as f32;
        if !(0.0..1.0).contains(&u) || !(0.0..1.0).contains(&v) {
            continue;
        }
        if let Some(c) = sprite(actor.role, &actor.livery, [u, v], aspect) {
            n += 1.0;
            sum = [sum[0] + c[0], sum[1] + c[1], sum[2] + c[2]];
        }
    }
    (n / 4.0, if 0.0 < n { scale(sum, 1.0 / n) } else { sum })
}

fn backdrop_at(shot: &Shot<'_>, x: usize, y: usize) -> Colour {
    let camera = &shot.camera;
    let (right, down) = (x as f64 + 0.5 - camera.cx, y as f64 + 0.5 - camera.horizon);
    if down < 0.5 {
        let unit = 192.0 / f64::from(shot.size.width());
        let across = (right + 1000.0) * unit;
        return backdrop::skyline(shot.ground, shot.backdrop_seed, across as f32, (-down * unit) as f32);
    }
    let z = camera.focal * MAST / down;
    let aside = right * z / camera.focal + shot.shift;
    backdrop::ground(shot.ground, shot.backdrop_seed, aside as f32, z.min(300.0) as f32)
}

/// Lights the colours, adds the sensor's noise and rounds to 8 bits.
fn develop(shot: &Shot<'_>, colours: &[Colour]) -> Vec<u8> {
    let (w, h) = (shot.size.width(), shot.size.height());
    let spread = shot.noise * shot.lighting.noise_factor();
    let mut pixels = Vec::with_capacity(3 * colours.len());
    for (at, colour) in (0u32..).zip(colours) {
        let (x, y) = (at % w, at / w);
        let lit = shot.lighting.at(*colour, [x as f32 / w as f32, y as f32 / h as f32]);
        for (channel, value) in (0i32..).zip(lit) {
            let grain = spread * bell(shot.noise_seed, 3 * x as i32 + channel, y as i32);
            pixels.push((255.0 * value + grain + 0.5).clamp(0.0, 255.0) as u8);
        }
    }
    pixels
}

/// About normal, mean 0 and deviation 1: two speckles added up.
fn bell(seed: u32, x: i32, y: i32) -> f32 {
    (speckle(seed, x, y) + speckle(seed ^ 0x5BD1, x, y) - 1.0) * 2.449_49
}
