use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use labelloop_core::ImageSize;

use crate::{DecodeLimits, MediaError, Result, RgbImage};

/// How the pixels around a new one are weighed; the support of all but [`Nearest`](Self::Nearest) grows with the
/// reduction, so that fine texture is averaged and not skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResizeFilter {
    /// The pixel in which the middle of the new one falls (Pillow's `NEAREST`).
    Nearest,
    /// The mean of the pixels that the new one covers (`BOX`).
    Box,
    /// A triangle, one new pixel wide on each side (`BILINEAR`).
    Triangle,
    /// The cubic of Catmull and Rom, a = -0.5, two new pixels wide on each side (`BICUBIC`).
    CatmullRom,
    /// A sinc under a sinc, three new pixels wide on each side (`LANCZOS`).
    Lanczos3,
}

/// The picture at another size; the sides' ratio is the caller's choice.
///
/// A triangle filter whose support grows with the reduction, so that fine texture is averaged and not skipped
/// (Pillow's `BILINEAR`, to a step of 255). The arithmetic is fixed-point on 8-bit values: the same picture gives the same bytes on
/// every run and thread.
///
/// ```
/// use labelloop_core::ImageSize;
/// use labelloop_media::{RgbImage, resize};
///
/// let picture = RgbImage::filled(ImageSize::new(640, 480)?, [10, 200, 30]);
/// let small = resize(&picture, ImageSize::new(64, 64)?)?;
/// assert_eq!(small.pixel(63, 63), [10, 200, 30]);
/// # Ok::<(), labelloop_media::MediaError>(())
/// ```
///
/// # Errors
/// [`MediaError::TooLarge`] when the size asked for exceeds the pixels of [`DecodeLimits::default`].
pub fn resize(picture: &RgbImage, size: ImageSize) -> Result<RgbImage> {
    if DecodeLimits::default().max_pixels < u64::from(size.width()) * u64::from(size.height()) {
        return Err(too_large(size));
    }
    if size == picture.size() {
        return Ok(picture.clone());
    }
    // Rows first is quicker, and the built-in descriptor's bits rest on it.
    let whole = [0.0, 0.0, f64::from(picture.size().width()), f64::from(picture.size().height())];
    pass(picture, whole, size, ResizeFilter::Triangle)
}

/// As [`resize`], by any filter: what Pillow's `Image.resize` gives, to a step of 255 in
/// a few values of a thousand.
///
/// ```
/// use labelloop_core::ImageSize;
/// use labelloop_media::{ResizeFilter, RgbImage, resize_with};
///
/// let mut edge = RgbImage::filled(ImageSize::new(8, 1)?, [0; 3]);
/// (4..8).for_each(|x| edge.set(x, 0, [200; 3]));
/// let half = ImageSize::new(4, 1)?;
/// let columns = |filter| resize_with(&edge, half, filter).map(|p| [0, 1, 2, 3].map(|x| p.pixel(x, 0)[0]));
/// assert_eq!(columns(ResizeFilter::Box)?, [0, 0, 200, 200]);
/// assert_eq!(columns(ResizeFilter::Triangle)?, [0, 25, 175, 200]);
/// # Ok::<(), labelloop_media::MediaError>(())
/// ```
///
/// # Errors
/// As [`resize`].
pub fn resize_with(picture: &RgbImage, size: ImageSize, filter: ResizeFilter) -> Result<RgbImage> {
    resize_window(picture, size, (0, 0), size, filter)
}

/// A window of what [`resize_with`] would give, of which only the window is computed.
///
/// The window's left and top are pixels of the picture at its new size, `whole`.
///
/// ```
/// use labelloop_core::ImageSize;
/// use labelloop_media::{ResizeFilter, RgbImage, resize_window};
///
/// let picture = RgbImage::filled(ImageSize::new(640, 480)?, [10, 200, 30]);
/// let [whole, window] = [ImageSize::new(341, 256)?, ImageSize::new(224, 224)?];
/// let middle = resize_window(&picture, whole, (58, 16), window, ResizeFilter::CatmullRom)?;
/// assert_eq!(middle.size(), window);
/// # Ok::<(), labelloop_media::MediaError>(())
/// ```
///
/// # Errors
/// As [`resize`], and [`MediaError::OutsideResized`] when the window reaches out of the whole.
pub fn resize_window(
    picture: &RgbImage,
    whole: ImageSize,
    (left, top): (u32, u32),
    window: ImageSize,
    filter: ResizeFilter,
) -> Result<RgbImage> {
    if DecodeLimits::default().max_pixels < u64::from(window.width()) * u64::from(window.height()) {
        return Err(too_large(window));
    }
    let reaches = |from: u32, side: u32, end: u32| u64::from(end) < u64::from(from) + u64::from(side);
    if reaches(left, window.width(), whole.width()) || reaches(top, window.height(), whole.height()) {
        return Err(MediaError::OutsideResized { left, top, window, whole });
    }
    let from = picture.size();
    if whole == from && window == from {
        return Ok(picture.clone());
    }
    // The same scale and centres as those of the whole: its pixels, not those of a picture cut out before.
    let [x, y] = [
        f64::from(from.width()) / f64::from(whole.width()),
        f64::from(from.height()) / f64::from(whole.height()),
    ];
    let part = [
        f64::from(left) * x,
        f64::from(top) * y,
        f64::from(window.width()) * x,
        f64::from(window.height()) * y,
    ];
    let within = [
        part[0],
        part[1],
        part[2].min(f64::from(from.width()) - part[0]),
        part[3].min(f64::from(from.height()) - part[1]),
    ];
    convolve(picture, within, window, filter)
}

/// The part `[left, top, width, height]` of a picture at another size: columns before rows, as Pillow has it.
///
/// Both passes round and clamp to 8 bits, which shows: cubic and sinc go beyond the values they lie between, so that the
/// other order is up to 6 of 255 away; for the other filters it is 1, in a tenth of the values.
fn convolve(picture: &RgbImage, part: [f64; 4], size: ImageSize, filter: ResizeFilter) -> Result<RgbImage> {
    let Some(support) = filter.support() else { return pass(picture, part, size, filter) };
    let [left, top, width, height] = part;
    let n_rows = picture.size().height();
    let reach = support * (height / f64::from(size.height())).max(1.0) + 1.0;
    let first = ((top - reach).max(0.0) as u32).min(n_rows - 1);
    let last = ((top + height + reach).ceil().max(1.0) as u32).clamp(first + 1, n_rows);
    let band = [left, f64::from(first), width, f64::from(last - first)];
    let narrow = pass(picture, band, ImageSize::new(size.width(), last - first)?, filter)?;
    pass(&narrow, [0.0, top - f64::from(first), f64::from(size.width()), height], size, filter)
}

/// One call of the resizer, which leaves out the direction in which nothing changes.
fn pass(picture: &RgbImage, part: [f64; 4], size: ImageSize, filter: ResizeFilter) -> Result<RgbImage> {
    let refused = || too_large(size);
    let (from_width, from_height) = (picture.size().width(), picture.size().height());
    // Typed, since the untyped call would compile the resizer for each of its dozen kinds of pixels.
    let source = TypedImageRef::<U8x3>::from_buffer(from_width, from_height, picture.pixels())
        .map_err(|_| too_large(picture.size()))?;
    let mut resized = RgbImage::filled(size, [0; 3]);
    let mut target = TypedImage::<U8x3>::from_buffer(size.width(), size.height(), resized.pixels_mut())
        .map_err(|_| refused())?;
    let options =
        ResizeOptions::new().resize_alg(filter.algorithm()).crop(part[0], part[1], part[2], part[3]);
    // The part is inside, whose absence is the resizer's reason to refuse.
    Resizer::new().resize_typed(&source, &mut target, &options).map_err(|_| refused())?;
    Ok(resized)
}

impl ResizeFilter {
    /// How many new pixels a filter reaches to each side.
    fn support(self) -> Option<f64> {
        match self {
            Self::Nearest => None,
            Self::Box => Some(0.5),
            Self::Triangle => Some(1.0),
            Self::CatmullRom => Some(2.0),
            Self::Lanczos3 => Some(3.0),
        }
    }

    fn algorithm(self) -> ResizeAlg {
        ResizeAlg::Convolution(match self {
            Self::Nearest => return ResizeAlg::Nearest,
            Self::Box => FilterType::Box,
            Self::Triangle => FilterType::Bilinear,
            Self::CatmullRom => FilterType::CatmullRom,
            Self::Lanczos3 => FilterType::Lanczos3,
        })
    }
}

fn too_large(size: ImageSize) -> MediaError {
    MediaError::TooLarge {
        place: "picture to be resized".to_owned(),
        width: size.width(),
        height: size.height(),
        max_pixels: DecodeLimits::default().max_pixels,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn size(width: u32, height: u32) -> ImageSize {
        ImageSize::new(width, height).unwrap()
    }

    /// The definition: each output is a mean weighted by a triangle as wide as one output pixel on each side.
    fn by_definition(row: &[u8], n_out: usize) -> Vec<f64> {
        let scale = row.len() as f64 / n_out as f64;
        let support = scale.max(1.0);
        (0..n_out)
            .map(|out| {
                let centre = (out as f64 + 0.5) * scale;
                let weights = row.iter().enumerate().map(|(i, v)| {
                    let weight = (1.0 - ((i as f64 + 0.5 - centre) / support).abs()).max(0.0);
                    (weight, weight * f64::from(*v))
                });
                let (total, sum) = weights.fold((0.0, 0.0), |(t, s), (w, v)| (t + w, s + v));
                sum / total
            })
            .collect()
    }

    #[test]
    fn the_same_size_is_the_same_picture() {
        let picture = RgbImage::new(size(2, 2), (0..12).collect()).unwrap();
        assert_eq!(resize(&picture, size(2, 2)).unwrap(), picture);
    }

    #[test]
    fn one_pixel_fills_any_size() {
        let dot = RgbImage::filled(size(1, 1), [7, 8, 9]);
        assert_eq!(resize(&dot, size(5, 3)).unwrap(), RgbImage::filled(size(5, 3), [7, 8, 9]));
    }

    #[test]
    fn fine_stripes_become_grey() {
        let mut stripes = RgbImage::filled(size(256, 4), [0; 3]);
        for y in 0..4 {
            (0..256).step_by(2).for_each(|x| stripes.set(x, y, [254; 3]));
        }
        let small = resize(&stripes, size(16, 4)).unwrap();
        assert!(small.pixels().iter().all(|v| v.abs_diff(127) <= 2), "{:?}", small.row(0));
    }

    #[test]
    fn absurd_sizes_are_refused() {
        let dot = RgbImage::filled(size(1, 1), [0; 3]);
        let refused = resize(&dot, size(u32::MAX, u32::MAX)).unwrap_err();
        assert!(matches!(refused, MediaError::TooLarge { width: u32::MAX, .. }), "{refused}");
    }

    proptest! {
        #[test]
        fn a_row_is_what_the_definition_says(
            row in proptest::collection::vec(any::<u8>(), 1..40),
            n_out in 1..40usize,
        ) {
            let pixels = row.iter().flat_map(|v| [*v; 3]).collect();
            let picture = RgbImage::new(size(u32::try_from(row.len()).unwrap(), 1), pixels).unwrap();
            let found = resize(&picture, size(u32::try_from(n_out).unwrap(), 1)).unwrap();
            for (x, expected) in by_definition(&row, n_out).iter().enumerate() {
                let value = f64::from(found.pixels()[3 * x]);
                prop_assert!((value - expected).abs() <= 1.0, "column {}: {} for {}", x, value, expected);
            }
        }
    }
}
