use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageError};

use crate::{MediaError, Result, RgbImage, disk};

/// Bytes of a PNG file; decoding them gives the same pixels.
///
/// ```
/// use labelloop_core::ImageSize;
/// use labelloop_media::{RgbImage, encode_png};
///
/// let bytes = encode_png(&RgbImage::filled(ImageSize::new(2, 2)?, [1, 2, 3]))?;
/// assert!(bytes.starts_with(b"\x89PNG"));
/// # Ok::<(), labelloop_media::MediaError>(())
/// ```
///
/// # Errors
/// [`MediaError::Encode`] with the encoder's reason.
pub fn encode_png(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    write_with(picture, PngEncoder::new(&mut bytes), "PNG")?;
    Ok(bytes)
}

/// Bytes of a JPEG file of quality 1 (small) to 100 (close to the pixels).
///
/// ```
/// use labelloop_core::ImageSize;
/// use labelloop_media::{RgbImage, decode, encode_jpeg};
///
/// let grey = RgbImage::filled(ImageSize::new(16, 16)?, [128, 128, 128]);
/// assert_eq!(decode(&encode_jpeg(&grey, 90)?)?, grey);
/// assert!(encode_jpeg(&grey, 0).is_err());
/// # Ok::<(), labelloop_media::MediaError>(())
/// ```
///
/// # Errors
/// [`MediaError::InvalidQuality`], or [`MediaError::Encode`] for a side above 65535.
pub fn encode_jpeg(picture: &RgbImage, quality: u8) -> Result<Vec<u8>> {
    if !(1..=100).contains(&quality) {
        return Err(MediaError::InvalidQuality { found: quality });
    }
    let mut bytes = Vec::new();
    write_with(picture, JpegEncoder::new_with_quality(&mut bytes, quality), "JPEG")?;
    Ok(bytes)
}

/// Writes a PNG file, whole or not at all.
///
/// # Errors
/// As [`encode_png`], and [`MediaError::Io`].
pub fn save_png(picture: &RgbImage, path: &Path) -> Result<()> {
    disk::replace(path, &encode_png(picture)?)
}

/// Writes a JPEG file, whole or not at all.
///
/// # Errors
/// As [`encode_jpeg`], and [`MediaError::Io`].
pub fn save_jpeg(picture: &RgbImage, path: &Path, quality: u8) -> Result<()> {
    disk::replace(path, &encode_jpeg(picture, quality)?)
}

fn write_with(picture: &RgbImage, encoder: impl ImageEncoder, format: &'static str) -> Result<()> {
    let (width, height) = (picture.size().width(), picture.size().height());
    encoder
        .write_image(picture.pixels(), width, height, ExtendedColorType::Rgb8)
        .map_err(|e: ImageError| MediaError::Encode { format, width, height, reason: e.to_string() })
}

#[cfg(test)]
mod tests {
    use labelloop_core::ImageSize;
    use proptest::prelude::*;

    use super::*;
    use crate::{decode, load, probe_size};

    fn gradient(width: u32, height: u32) -> RgbImage {
        let mut picture = RgbImage::filled(ImageSize::new(width, height).unwrap(), [0; 3]);
        for y in 0..height {
            for x in 0..width {
                let [r, g] = [x * 255 / width, y * 255 / height].map(|v| u8::try_from(v).unwrap());
                picture.set(x, y, [r, g, 128]);
            }
        }
        picture
    }

    #[test]
    fn files_come_back_from_disk() {
        let folder = tempfile::tempdir().unwrap();
        let picture = gradient(40, 30);
        let [png, jpeg] = ["a.png", "a.jpg"].map(|name| folder.path().join(name));
        save_png(&picture, &png).unwrap();
        save_jpeg(&picture, &jpeg, 95).unwrap();
        assert_eq!(load(&png).unwrap(), picture);
        assert_eq!(probe_size(&png).unwrap(), picture.size());
        assert_eq!(probe_size(&jpeg).unwrap(), picture.size());
        let back = load(&jpeg).unwrap();
        let worst = back.pixels().iter().zip(picture.pixels()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst.unwrap() <= 16, "{worst:?}");
    }

    #[test]
    fn higher_quality_is_closer() {
        let picture = gradient(64, 64);
        let error = |quality| -> u64 {
            let back = decode(&encode_jpeg(&picture, quality).unwrap()).unwrap();
            back.pixels().iter().zip(picture.pixels()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum()
        };
        assert!(error(95) < error(10));
    }

    #[test]
    fn quality_outside_1_to_100_is_refused() {
        for found in [0, 101, 255] {
            assert!(matches!(
                encode_jpeg(&gradient(8, 8), found),
                Err(MediaError::InvalidQuality { found: f }) if f == found
            ));
        }
    }

    #[test]
    fn a_side_beyond_jpeg_is_refused_with_its_size() {
        let long = RgbImage::filled(ImageSize::new(65_536, 1).unwrap(), [0; 3]);
        let refused = encode_jpeg(&long, 90).unwrap_err();
        assert!(matches!(refused, MediaError::Encode { format: "JPEG", width: 65_536, .. }), "{refused}");
    }

    #[test]
    fn the_same_picture_gives_the_same_bytes() {
        let picture = gradient(33, 21);
        assert_eq!(encode_png(&picture).unwrap(), encode_png(&picture).unwrap());
        assert_eq!(encode_jpeg(&picture, 80).unwrap(), encode_jpeg(&picture, 80).unwrap());
    }

    proptest! {
        #[test]
        fn png_keeps_every_pixel(
            (w, h, bytes) in (1..9u32, 1..9u32).prop_flat_map(|(w, h)| {
                (Just(w), Just(h), proptest::collection::vec(any::<u8>(), 3 * (w * h) as usize))
            })
        ) {
            let picture = RgbImage::new(ImageSize::new(w, h).unwrap(), bytes).unwrap();
            prop_assert_eq!(decode(&encode_png(&picture).unwrap()).unwrap(), picture);
        }
    }
}
