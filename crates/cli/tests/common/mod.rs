//! Pictures that look like nothing else.

use labelloop_core::{ImageSize, Seed};
use labelloop_media::RgbImage;

/// `n` random rectangles on each other, none larger than `most`.
pub(crate) fn rectangles(seed: u64, (width, height): (u32, u32), n: u64, most: (usize, usize)) -> RgbImage {
    let draw = |i: u64, n: usize| Seed::new(seed).below(i, n) as u32;
    let mut picture = RgbImage::filled(ImageSize::new(width, height).unwrap(), [90, 90, 90]);
    for i in (0..n).map(|i| 8 * i) {
        let (left, top) = (draw(i, width as usize), draw(i + 1, height as usize));
        let (w, h) = (draw(i + 2, most.0), draw(i + 3, most.1));
        let colour = [4, 5, 6].map(|c| draw(i + c, 256) as u8);
        (top..top + h).for_each(|y| (left..left + w).for_each(|x| picture.set(x, y, colour)));
    }
    picture
}
