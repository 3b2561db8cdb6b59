use image::{DynamicImage, GrayImage};
use jpeg_decoder::{CodingProcess, Decoder, PixelFormat};
use labelloop_core::ImageSize;

use crate::decode::{open_checked, swaps_sides, upright};
use crate::{DecodeLimits, Result, RgbImage, jpeg};

/// Divisors of the sides for which decoding less costs less, largest first. Half of the size is not among them: with the
/// crates there are, a whole picture is decoded and made smaller in the time of decoding half of it.
const DIVISORS: [u32; 2] = [8, 4];

/// As [`decode_named`](crate::decode_named), for a picture that will be made smaller afterwards: a JPEG is decoded at a
/// quarter or an eighth of its size, the smallest that still has at least `at_least` on both upright sides, where there
/// is one. Other formats, and JPEGs that are not large enough, come whole.
///
/// Sides are rounded up: 1001 pixels are 126 at an eighth. The pixels are means of the blocks that they stand for (the
/// inverse cosine transform of the lowest coefficients), so that what follows may make them smaller still but should not
/// expect the last bit of [`decode_named`](crate::decode_named) with an averaging filter: on photographs they are within
/// 35 to 50 dB of it. What is refused by [`decode_named`](crate::decode_named) before its pixels are decoded is refused
/// alike; damage among the pixels may be noticed by one and not by the other.
///
/// ```
/// use labelloop_core::ImageSize;
/// use labelloop_media::{DecodeLimits, RgbImage, decode_reduced, encode_jpeg};
///
/// let bytes = encode_jpeg(&RgbImage::filled(ImageSize::new(1001, 640)?, [90, 120, 30]), 90)?;
/// let reduced = |side| decode_reduced(&bytes, DecodeLimits::default(), "a.jpg", ImageSize::new(side, side)?);
/// assert_eq!(reduced(80)?.size(), ImageSize::new(126, 80)?);
/// assert_eq!(reduced(81)?.size(), ImageSize::new(251, 160)?);
/// assert_eq!(reduced(161)?.size(), ImageSize::new(1001, 640)?);
/// # Ok::<(), labelloop_media::MediaError>(())
/// ```
///
/// # Errors
/// As [`decode_named`](crate::decode_named).
pub fn decode_reduced(
    bytes: &[u8],
    limits: DecodeLimits,
    place: &str,
    at_least: ImageSize,
) -> Result<RgbImage> {
    let mut opened = open_checked(bytes, limits, place)?;
    if jpeg::is_jpeg(bytes) {
        let orientation = opened.orientation();
        let (width, height) = (at_least.width(), at_least.height());
        let stored = if swaps_sides(orientation) { (height, width) } else { (width, height) };
        if let Some(picture) = reduced(bytes, opened.sides(), stored) {
            return upright(picture, orientation);
        }
    }
    opened.into_rgb()
}

/// The picture at a part of its size; none where no part is large enough, or where the decoder of the whole picture should
/// have the last word.
fn reduced(bytes: &[u8], sides: (u32, u32), at_least: (u32, u32)) -> Option<DynamicImage> {
    let divided = |divisor: u32| (sides.0.div_ceil(divisor), sides.1.div_ceil(divisor));
    let fits = |(width, height): (u32, u32)| at_least.0 <= width && at_least.1 <= height;
    let wanted = DIVISORS.into_iter().map(divided).find(|size| fits(*size))?;
    let mut decoder = Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(4 * (wanted.0 as usize + 64) * (wanted.1 as usize + 64));
    decoder.read_info().ok()?;
    let info = decoder.info()?;
    let same = (u32::from(info.width), u32::from(info.height)) == sides;
    if !same || info.coding_process == CodingProcess::Lossless {
        return None;
    }
    let found = decoder.scale(wanted.0.try_into().ok()?, wanted.1.try_into().ok()?).ok()?;
    let (width, height) = (u32::from(found.0), u32::from(found.1));
    if (width, height) != wanted {
        return None;
    }
    match info.pixel_format {
        PixelFormat::L8 => GrayImage::from_raw(width, height, decoder.decode().ok()?).map(Into::into),
        PixelFormat::RGB24 => {
            image::RgbImage::from_raw(width, height, decoder.decode().ok()?).map(Into::into)
        }
        // Conversions from inks differ among decoders.
        _ => None,
    }
}
