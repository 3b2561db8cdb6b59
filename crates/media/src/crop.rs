use labelloop_core::{BBox, ImageSize};

use crate::{MediaError, Result, RgbImage};

/// The pixels that a box touches and `margin_px` more on each side, as far as the picture reaches.
///
/// A pixel that the box covers in part belongs to it: left and top are rounded down, right and bottom up.
///
/// ```
/// use labelloop_core::{BBox, ImageSize};
/// use labelloop_media::{RgbImage, crop};
///
/// let picture = RgbImage::filled(ImageSize::new(100, 50)?, [0; 3]);
/// let cut = crop(&picture, BBox::new(-5.0, 10.5, 20.0, 10.0)?, 2)?;
/// assert_eq!((cut.size().width(), cut.size().height()), (17, 15));
/// # Ok::<(), labelloop_media::MediaError>(())
/// ```
///
/// # Errors
/// [`MediaError::OutsidePicture`] when the box itself, without margin, has no area in the picture.
pub fn crop(picture: &RgbImage, bbox: BBox, margin_px: u32) -> Result<RgbImage> {
    let window = Window::around(bbox, picture.size(), f64::from(margin_px))?;
    let (from, to) = (3 * window.left as usize, 3 * window.right as usize);
    let pixels = (window.top..window.bottom).flat_map(|y| &picture.row(y)[from..to]).copied().collect();
    RgbImage::new(ImageSize::new(window.right - window.left, window.bottom - window.top)?, pixels)
}

/// Whole pixels from left and top to before right and bottom, all inside a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) right: u32,
    pub(crate) bottom: u32,
}

impl Window {
    /// The pixels that the box touches, widened by `margin` pixels on each side and clamped.
    pub(crate) fn around(bbox: BBox, size: ImageSize, margin: f64) -> Result<Self> {
        let inside = bbox.clipped(size).ok_or(MediaError::OutsidePicture { bbox, size })?;
        let [left, top, right, bottom] = inside.to_corners();
        let window = Self {
            left: clamped((left - margin).floor(), size.width() - 1),
            top: clamped((top - margin).floor(), size.height() - 1),
            right: clamped((right + margin).ceil(), size.width()),
            bottom: clamped((bottom + margin).ceil(), size.height()),
        };
        // A box so thin that its right edge rounds to its left one still touches a pixel.
        Ok(Self {
            right: window.right.max(window.left + 1),
            bottom: window.bottom.max(window.top + 1),
            ..window
        })
    }
}

/// A whole number from 0 to `max`; the cast cannot lose anything after the clamp.
fn clamped(value: f64, max: u32) -> u32 {
    value.clamp(0.0, f64::from(max)) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn size(width: u32, height: u32) -> ImageSize {
        ImageSize::new(width, height).unwrap()
    }

    fn numbered() -> RgbImage {
        RgbImage::new(size(4, 3), (0..36).collect()).unwrap()
    }

    fn bbox(xywh: [f64; 4]) -> BBox {
        BBox::try_from(xywh).unwrap()
    }

    fn holds(window: &Window, x: u32, y: u32) -> bool {
        window.left <= x && x < window.right && window.top <= y && y < window.bottom
    }

    #[test]
    fn whole_pixels_are_cut_exactly() {
        let cut = crop(&numbered(), bbox([1.0, 1.0, 2.0, 1.0]), 0).unwrap();
        assert_eq!(cut.size(), size(2, 1));
        assert_eq!(cut.pixels(), [15, 16, 17, 18, 19, 20]);
    }

    #[test]
    fn parts_of_pixels_count_whole() {
        let cut = crop(&numbered(), bbox([1.9, 0.5, 0.2, 0.1]), 0).unwrap();
        assert_eq!(cut.size(), size(2, 1));
    }

    #[test]
    fn the_margin_stops_at_the_edge() {
        let cut = crop(&numbered(), bbox([0.0, 0.0, 1.0, 1.0]), 1).unwrap();
        assert_eq!(cut.size(), size(2, 2));
        assert_eq!(crop(&numbered(), bbox([1.0, 1.0, 1.0, 1.0]), u32::MAX).unwrap(), numbered());
    }

    #[test]
    fn nothing_inside_is_a_typed_error_even_when_the_margin_would_reach() {
        for outside in
            [[4.0, 0.0, 2.0, 2.0], [-3.0, 0.0, 3.0, 1.0], [0.0, 9.0, 1.0, 1.0], [1.0, 1.0, 0.0, 2.0]]
        {
            let refused = crop(&numbered(), bbox(outside), 5).unwrap_err();
            assert!(matches!(refused, MediaError::OutsidePicture { .. }), "{refused}");
        }
        let refused = crop(&numbered(), bbox([9.0, 9.0, 1.0, 1.0]), 0).unwrap_err();
        assert_eq!(refused.to_string(), "box [9.0, 9.0, 1.0, 1.0] has no area inside the 4 x 3 picture");
    }

    proptest! {
        #[test]
        fn every_pixel_that_the_box_overlaps_is_in_and_no_other(
            x in -3.0..6.0f64, y in -3.0..5.0f64, w in 0.0..8.0f64, h in 0.0..8.0f64,
        ) {
            let cut = Window::around(bbox([x, y, w, h]), size(4, 3), 0.0);
            for (px, py) in (0..3).flat_map(|py| (0..4).map(move |px| (px, py))) {
                let pixel = bbox([f64::from(px), f64::from(py), 1.0, 1.0]);
                let touched = 0.0 < pixel.intersection_area(bbox([x, y, w, h]));
                prop_assert_eq!(cut.as_ref().is_ok_and(|c| holds(c, px, py)), touched);
            }
        }
    }
}
