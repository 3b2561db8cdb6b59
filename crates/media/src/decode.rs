use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};
use labelloop_core::ImageSize;

use crate::{MediaError, Result, RgbImage, jpeg};

pub(crate) const IN_MEMORY: &str = "bytes in memory";

/// How large a picture may say it is before a byte of it is decoded.
///
/// A file of a few kilobytes can ask for gigabytes (a decompression bomb). The check reads the header only.
///
/// ```
/// let limits = labelloop_media::DecodeLimits::default();
/// assert_eq!(limits.max_pixels, 100_000_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Width times height; at most 8 bytes of memory are used for each while decoding. Default: 100 million, more
    /// than the cameras that detection data comes from.
    pub max_pixels: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { max_pixels: 100_000_000 }
    }
}

/// Decodes JPEG or PNG bytes of any colour type to 8-bit RGB, upright, within [`DecodeLimits::default`].
///
/// Grey is repeated in all three channels, alpha is dropped, 16-bit values are scaled to 8 bits, palettes and CMYK
/// are converted, and the orientation that a camera noted in the Exif block is applied.
///
/// ```
/// use labelloop_core::ImageSize;
/// use labelloop_media::{RgbImage, decode, encode_png};
///
/// let picture = RgbImage::filled(ImageSize::new(4, 3)?, [200, 10, 10]);
/// assert_eq!(decode(&encode_png(&picture)?)?, picture);
/// assert!(decode(b"not a picture").is_err());
/// # Ok::<(), labelloop_media::MediaError>(())
/// ```
///
/// # Errors
/// [`MediaError::Decode`] with the decoder's reason, [`MediaError::TruncatedJpeg`] or [`MediaError::TooLarge`].
pub fn decode(bytes: &[u8]) -> Result<RgbImage> {
    decode_within(bytes, DecodeLimits::default())
}

/// As [`decode`], with limits of one's own.
///
/// # Errors
/// As [`decode`].
pub fn decode_within(bytes: &[u8], limits: DecodeLimits) -> Result<RgbImage> {
    decode_named(bytes, limits, IN_MEMORY)
}

/// As [`decode_within`], for bytes that somebody else read: errors call them `place`.
///
/// ```
/// use labelloop_media::{DecodeLimits, decode_named};
///
/// let refused = decode_named(b"", DecodeLimits::default(), "board 7").unwrap_err();
/// assert!(refused.to_string().starts_with("board 7: not a readable picture"));
/// ```
///
/// # Errors
/// As [`decode`].
pub fn decode_named(bytes: &[u8], limits: DecodeLimits, place: &str) -> Result<RgbImage> {
    let allocation = limits.max_pixels.saturating_mul(8);
    let mut within = Limits::default();
    within.max_alloc = Some(allocation.max(1 << 20));
    let opened = open(Cursor::new(bytes), within, place)?;
    let (width, height) = opened.decoder.dimensions();
    if limits.max_pixels < u64::from(width) * u64::from(height) {
        let place = place.to_owned();
        return Err(MediaError::TooLarge { place, width, height, max_pixels: limits.max_pixels });
    }
    if jpeg::is_jpeg(bytes) && !jpeg::is_whole(bytes) {
        return Err(MediaError::TruncatedJpeg { place: place.to_owned(), n_bytes: bytes.len() });
    }
    opened.into_rgb()
}

/// Reads and decodes a file; the content decides on the format, not the name.
///
/// # Errors
/// [`MediaError::Io`] or as [`decode`]; all of them name the file.
pub fn load(path: &Path) -> Result<RgbImage> {
    load_within(path, DecodeLimits::default())
}

/// As [`load`], with limits of one's own.
///
/// # Errors
/// As [`load`].
pub fn load_within(path: &Path, limits: DecodeLimits) -> Result<RgbImage> {
    let bytes = std::fs::read(path).map_err(|source| MediaError::Io { path: path.to_owned(), source })?;
    decode_named(&bytes, limits, &path.display().to_string())
}

/// Sides of the picture that [`load`] would return, from the header alone: no pixel is decoded.
///
/// # Errors
/// [`MediaError::Io`] or [`MediaError::Decode`], both naming the file.
pub fn probe_size(path: &Path) -> Result<ImageSize> {
    let file = File::open(path).map_err(|source| MediaError::Io { path: path.to_owned(), source })?;
    let place = path.display().to_string();
    let mut opened = open(BufReader::new(file), Limits::default(), &place)?;
    opened.upright_size()
}

/// A picture whose header has been read.
struct Opened<'a, D> {
    decoder: D,
    place: &'a str,
}

fn open<'a, R: BufRead + Seek + 'a>(
    from: R,
    limits: Limits,
    place: &'a str,
) -> Result<Opened<'a, impl ImageDecoder + 'a>> {
    let mut reader = ImageReader::new(from).with_guessed_format().map_err(|e| refused(place, &e))?;
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|e| refused(place, &e))?;
    Ok(Opened { decoder, place })
}

impl<D: ImageDecoder> Opened<'_, D> {
    fn orientation(&mut self) -> Result<Orientation> {
        self.decoder.orientation().map_err(|e| refused(self.place, &e))
    }

    fn upright_size(&mut self) -> Result<ImageSize> {
        let (width, height) = self.decoder.dimensions();
        let swapped = matches!(
            self.orientation()?,
            Orientation::Rotate90
                | Orientation::Rotate270
                | Orientation::Rotate90FlipH
                | Orientation::Rotate270FlipH
        );
        let (width, height) = if swapped { (height, width) } else { (width, height) };
        Ok(ImageSize::new(width, height)?)
    }

    fn into_rgb(mut self) -> Result<RgbImage> {
        let orientation = self.orientation()?;
        let mut picture = DynamicImage::from_decoder(self.decoder).map_err(|e| refused(self.place, &e))?;
        picture.apply_orientation(orientation);
        let picture = picture.into_rgb8();
        let size = ImageSize::new(picture.width(), picture.height())?;
        RgbImage::new(size, picture.into_raw())
    }
}

fn refused(place: &str, reason: &dyn std::fmt::Display) -> MediaError {
    MediaError::Decode { place: place.to_owned(), reason: reason.to_string() }
}
