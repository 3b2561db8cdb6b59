use labelloop_core::BBox;

use crate::crop::Window;
use crate::{Result, RgbImage};

/// How much the pixels of a box stand out from what surrounds them, in `[0, 1]`.
///
/// The root of the mean squared distance between the luma of the box's pixels and the mean luma of their surround,
/// divided by 255. The surround is the box doubled about its centre, without the box, as far as the picture reaches
/// (at least one pixel on each side). Where nothing surrounds the box, its own mean takes that place, and what is left
/// is the RMS contrast of Peli (1990, "Contrast in complex images", eq. 3 with luma scaled to `[0, 1]`).
///
/// 0 is a box of one grey on the same grey, 1 is black on white or white on black; 0.1 and less is hard to see.
/// Luma is Rec. 601: `0.299 R + 0.587 G + 0.114 B`; sums are exact integers. Linear in the pixels of the doubled box.
///
/// ```
/// use labelloop_core::{BBox, ImageSize};
/// use labelloop_media::{RgbImage, contrast};
///
/// let mut picture = RgbImage::filled(ImageSize::new(9, 9)?, [0; 3]);
/// let dot = BBox::new(4.0, 4.0, 1.0, 1.0)?;
/// assert_eq!(contrast(&picture, dot)?, 0.0);
/// picture.set(4, 4, [255; 3]);
/// assert_eq!(contrast(&picture, dot)?, 1.0);
/// # Ok::<(), labelloop_media::MediaError>(())
/// ```
///
/// # Errors
/// [`MediaError::OutsidePicture`](crate::MediaError::OutsidePicture) for a box without area in the picture.
pub fn contrast(picture: &RgbImage, bbox: BBox) -> Result<f64> {
    let size = picture.size();
    let inner = Window::around(bbox, size, 0.0)?;
    let margin = |from: u32, to: u32| (to - from).div_ceil(2);
    let (across, down) = (margin(inner.left, inner.right), margin(inner.top, inner.bottom));
    let outer = Window {
        left: inner.left.saturating_sub(across),
        top: inner.top.saturating_sub(down),
        right: inner.right.saturating_add(across).min(size.width()),
        bottom: inner.bottom.saturating_add(down).min(size.height()),
    };
    let inside = Sums::of(picture, inner);
    let surround = Sums::of(picture, outer).without(inside);
    let reference = surround.mean().or(inside.mean()).unwrap_or(0.0);
    Ok((inside.mean_square_about(reference).sqrt() / FULL_SCALE).clamp(0.0, 1.0))
}

/// Luma of white, in thousandths of a grey level.
const FULL_SCALE: f64 = 255_000.0;

/// Exact sums of luma, so that neither the order nor the number of pixels rounds anything.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    n_pixels: u64,
    luma: u64,
    squares: u128,
}

impl Sums {
    fn of(picture: &RgbImage, window: Window) -> Self {
        let mut sums = Self::default();
        for y in window.top..window.bottom {
            let row = &picture.row(y)[3 * window.left as usize..3 * window.right as usize];
            for pixel in row.chunks_exact(3) {
                let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(u64::from);
                let luma = 299 * r + 587 * g + 114 * b;
                sums.n_pixels += 1;
                sums.luma += luma;
                sums.squares += u128::from(luma * luma);
            }
        }
        sums
    }

    fn without(self, part: Self) -> Self {
        Self {
            n_pixels: self.n_pixels - part.n_pixels,
            luma: self.luma - part.luma,
            squares: self.squares - part.squares,
        }
    }

    fn mean(self) -> Option<f64> {
        (0 < self.n_pixels).then(|| self.luma as f64 / self.n_pixels as f64)
    }

    /// Mean of `(luma - reference)^2`, as variance plus squared distance of the means: both terms are at least 0.
    fn mean_square_about(self, reference: f64) -> f64 {
        let Some(mean) = self.mean() else { return 0.0 };
        let n = u128::from(self.n_pixels);
        let spread = (n * self.squares).saturating_sub(u128::from(self.luma) * u128::from(self.luma));
        let variance = spread as f64 / (n * n) as f64;
        variance + (mean - reference) * (mean - reference)
    }
}

#[cfg(test)]
mod tests {
    use labelloop_core::ImageSize;
    use proptest::prelude::*;

    use super::*;
    use crate::MediaError;

    fn picture(width: u32, height: u32, pixels: Vec<u8>) -> RgbImage {
        RgbImage::new(ImageSize::new(width, height).unwrap(), pixels).unwrap()
    }

    fn luma(p: [u8; 3]) -> f64 {
        0.299 * f64::from(p[0]) + 0.587 * f64::from(p[1]) + 0.114 * f64::from(p[2])
    }

    /// Word for word what the documentation says, with floats and two passes.
    fn by_definition(image: &RgbImage, [x, y, w, h]: [u32; 4]) -> f64 {
        let (mx, my) = (w.div_ceil(2), h.div_ceil(2));
        let (mut inside, mut surround) = (Vec::new(), Vec::new());
        for py in 0..image.size().height() {
            for px in 0..image.size().width() {
                let value = luma(image.pixel(px, py));
                if x <= px && px < x + w && y <= py && py < y + h {
                    inside.push(value);
                } else if x <= px + mx && px < x + w + mx && y <= py + my && py < y + h + my {
                    surround.push(value);
                }
            }
        }
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        let reference = if surround.is_empty() { mean(&inside) } else { mean(&surround) };
        mean(&inside.iter().map(|v| (v - reference).powi(2)).collect::<Vec<_>>()).sqrt() / 255.0
    }

    #[test]
    fn a_box_that_is_the_picture_has_its_own_rms_contrast() {
        let halves = picture(2, 1, vec![0, 0, 0, 255, 255, 255]);
        let all = BBox::new(0.0, 0.0, 2.0, 1.0).unwrap();
        assert!((contrast(&halves, all).unwrap() - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_stronger_difference_is_a_higher_contrast() {
        let on_grey = |level: u8| {
            let mut image = picture(12, 12, vec![100; 432]);
            (4..8).for_each(|y| (4..8).for_each(|x| image.set(x, y, [level; 3])));
            contrast(&image, BBox::new(4.0, 4.0, 4.0, 4.0).unwrap()).unwrap()
        };
        let found = [100, 110, 140, 200, 255].map(on_grey);
        assert!(found.is_sorted_by(|a, b| a < b), "{found:?}");
        assert!((found[1] - 10.0 / 255.0).abs() < 1e-12);
    }

    #[test]
    fn a_box_outside_is_refused() {
        let image = picture(2, 1, vec![0; 6]);
        let outside = BBox::new(2.0, 0.0, 2.0, 1.0).unwrap();
        assert!(matches!(contrast(&image, outside), Err(MediaError::OutsidePicture { .. })));
    }

    proptest! {
        #[test]
        fn it_is_what_the_definition_says(
            bytes in proptest::collection::vec(any::<u8>(), 3 * 8 * 6),
            x in 0..8u32, y in 0..6u32, w in 1..9u32, h in 1..7u32,
        ) {
            let image = picture(8, 6, bytes);
            let (w, h) = (w.min(8 - x), h.min(6 - y));
            let bbox = BBox::new(f64::from(x), f64::from(y), f64::from(w), f64::from(h)).unwrap();
            let found = contrast(&image, bbox).unwrap();
            prop_assert!((0.0..=1.0).contains(&found));
            prop_assert!((found - by_definition(&image, [x, y, w, h])).abs() < 1e-9);
        }

        #[test]
        fn black_and_white_exchanged_change_nothing(
            bytes in proptest::collection::vec(any::<u8>(), 3 * 5 * 5),
        ) {
            let negative = picture(5, 5, bytes.iter().map(|v| 255 - v).collect());
            let bbox = BBox::new(1.0, 2.0, 3.0, 2.0).unwrap();
            let both = [picture(5, 5, bytes), negative].map(|p| contrast(&p, bbox).unwrap());
            prop_assert!((both[0] - both[1]).abs() < 1e-9);
        }
    }
}
