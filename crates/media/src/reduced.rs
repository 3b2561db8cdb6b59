use image::{DynamicImage, GrayImage, ImageBuffer, Pixel};
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
/// Where colours have fewer samples than brightness, as in most photographs, twice that part is decoded and halved, so that
/// no colours are lost; an eighth then costs what a quarter costs, and a quarter about as much as the whole.
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
    let fits = |(width, height): (u32, u32)| at_least.0 <= width && at_least.1 <= height;
    let divisor = DIVISORS.into_iter().find(|divisor| fits(divided(sides, *divisor)))?;
    if !jpeg::has_subsampling(bytes) {
        return scaled(bytes, sides, divisor);
    }
    // Blocks of subsampled colours stand for twice the pixels, and at the same scale they would give half the colours
    // that the picture has there.
    let twice = scaled(bytes, sides, divisor / 2)?;
    Some(match twice {
        DynamicImage::ImageRgb8(picture) => halved(&picture).into(),
        grey => halved(&grey.into_luma8()).into(),
    })
}

fn divided(sides: (u32, u32), divisor: u32) -> (u32, u32) {
    (sides.0.div_ceil(divisor), sides.1.div_ceil(divisor))
}

/// All components at the same part of their own size.
fn scaled(bytes: &[u8], sides: (u32, u32), divisor: u32) -> Option<DynamicImage> {
    let wanted = divided(sides, divisor);
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

/// Means of two by two pixels, and of those there are at the right and lower edge.
fn halved<P>(picture: &ImageBuffer<P, Vec<u8>>) -> ImageBuffer<P, Vec<u8>>
where
    P: Pixel<Subpixel = u8>,
{
    let (width, height) = picture.dimensions();
    let n_channels = usize::from(P::CHANNEL_COUNT);
    let row = |y: u32| &picture.as_raw()[(y * width) as usize * n_channels..][..width as usize * n_channels];
    let mut out = ImageBuffer::new(width.div_ceil(2), height.div_ceil(2));
    for (y, means) in out.as_mut().chunks_exact_mut(width.div_ceil(2) as usize * n_channels).enumerate() {
        let y = 2 * y as u32;
        let (upper, lower) = (row(y), row((y + 1).min(height - 1)));
        for (i, mean) in means.iter_mut().enumerate() {
            let left = i / n_channels * 2 * n_channels + i % n_channels;
            let right = if left + n_channels < upper.len() { left + n_channels } else { left };
            let sum =
                [upper[left], upper[right], lower[left], lower[right]].map(u16::from).iter().sum::<u16>();
            *mean = ((sum + 2) / 4) as u8;
        }
    }
    out
}
