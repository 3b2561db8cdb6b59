use std::io::{BufRead, BufReader, Cursor, ErrorKind, Seek};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use labelloop_core::ImageSize;

use crate::read_file::{open_file, read_file};
use crate::{MediaError, Result, RgbImage, content, jpeg};

pub(crate) const IN_MEMORY: &str = "bytes in memory";

/// How large a picture may be, and may say it is, before a byte of it is decoded.
///
/// A file of a few kilobytes can ask for gigabytes (a decompression bomb). The check reads the header only.
///
/// ```
/// let limits = labelloop_media::DecodeLimits::default();
/// assert_eq!((limits.max_pixels, limits.max_bytes), (100_000_000, 512 << 20));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Width times height; at most 11 bytes of memory are used for each while decoding (3 for an 8-bit RGB picture, 11
    /// for a 16-bit one with alpha). Default: 100 million, more than the cameras that detection data comes from.
    pub max_pixels: u64,
    /// Bytes of the file; more are not even read. Default: 512 MiB, more than 100 million pixels take in practice.
    pub max_bytes: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { max_pixels: 100_000_000, max_bytes: 512 << 20 }
    }
}

/// Decodes JPEG or PNG bytes of any colour type to 8-bit RGB, upright, within [`DecodeLimits::default`].
///
/// Grey is repeated in all three channels, 16-bit values are scaled to 8 bits, palettes and CMYK are converted, and the
/// orientation that a camera noted in the Exif block is applied (a damaged block counts as none). Of an animation the
/// first picture is taken. The content decides on the format, not a name.
///
/// Alpha is dropped: a pixel keeps the colour that is stored for it, however transparent. Training code sees the same
/// (Pillow's `convert("RGB")`, OpenCV's and torchvision's default reading); a background to blend with would be made up.
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
/// [`MediaError::Empty`], [`MediaError::OtherFormat`] that says what the bytes look like, [`MediaError::UnsupportedJpeg`],
/// [`MediaError::TruncatedJpeg`], [`MediaError::TruncatedPicture`], [`MediaError::TooLarge`],
/// [`MediaError::TooManyBytes`], [`MediaError::TooManyScans`], or [`MediaError::Decode`] with the decoder's reason.
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
/// assert!(refused.to_string().starts_with("board 7: empty"));
/// ```
///
/// # Errors
/// As [`decode`].
pub fn decode_named(bytes: &[u8], limits: DecodeLimits, place: &str) -> Result<RgbImage> {
    open_checked(bytes, limits, place)?.into_rgb()
}

/// Reads and decodes a file; the content decides on the format, not the name.
///
/// # Errors
/// As [`read_file`](crate::read_file) or [`decode`]; all of them name the file.
pub fn load(path: &Path) -> Result<RgbImage> {
    load_within(path, DecodeLimits::default())
}

/// As [`load`], with limits of one's own.
///
/// # Errors
/// As [`load`].
pub fn load_within(path: &Path, limits: DecodeLimits) -> Result<RgbImage> {
    let bytes = read_file(path, limits.max_bytes)?;
    decode_named(&bytes, limits, &path.display().to_string())
}

/// Sides of the picture that [`load`] would return, from the header alone: no pixel is decoded.
///
/// # Errors
/// [`MediaError::Io`], [`MediaError::NotAFile`], [`MediaError::Empty`], [`MediaError::OtherFormat`],
/// [`MediaError::TruncatedPicture`] or [`MediaError::Decode`], all naming the file.
pub fn probe_size(path: &Path) -> Result<ImageSize> {
    let io = |source| MediaError::Io { path: path.to_owned(), source };
    let file = open_file(path)?;
    let (place, n_bytes) = (path.display().to_string(), file.metadata().map_err(io)?.len());
    let mut reader = BufReader::new(file);
    let format = known_format(reader.fill_buf().map_err(io)?, &place)?;
    let from = Source { format, place: &place, n_bytes };
    let (width, height) = from.open(reader, beside_pixels(format, DecodeLimits::default()))?.upright_sides();
    Ok(ImageSize::new(width, height)?)
}

/// A picture whose header has been read.
pub(crate) struct Opened<'a, D> {
    decoder: D,
    from: Source<'a>,
}

/// What a picture is read from.
#[derive(Clone, Copy)]
struct Source<'a> {
    format: ImageFormat,
    place: &'a str,
    n_bytes: u64,
}

/// Reads the header, after all that can be refused before a pixel is decoded.
pub(crate) fn open_checked<'a>(
    bytes: &'a [u8],
    limits: DecodeLimits,
    place: &'a str,
) -> Result<Opened<'a, impl ImageDecoder + 'a>> {
    let n_bytes = bytes.len() as u64;
    if limits.max_bytes < n_bytes {
        let place = place.to_owned();
        return Err(MediaError::TooManyBytes { place, n_bytes, max_bytes: limits.max_bytes });
    }
    let format = known_format(bytes, place)?;
    if format == ImageFormat::Jpeg {
        jpeg::check(bytes, place)?;
    }
    let opened = Source { format, place, n_bytes }.open(Cursor::new(bytes), beside_pixels(format, limits))?;
    let (width, height) = opened.decoder.dimensions();
    if limits.max_pixels < u64::from(width) * u64::from(height) {
        let place = place.to_owned();
        return Err(MediaError::TooLarge { place, width, height, max_pixels: limits.max_pixels });
    }
    Ok(opened)
}

/// What decoders may allocate. That of PNG asks for rows and for what is packed beside the picture, such as colour
/// profiles, which may be small in the file and gigabytes unpacked; those of TIFF and WebP for the whole picture.
fn beside_pixels(format: ImageFormat, limits: DecodeLimits) -> Limits {
    let whole = limits.max_pixels.saturating_mul(8).max(1 << 20);
    let mut within = Limits::default();
    within.max_alloc = Some(if format == ImageFormat::Png { whole.min(64 << 20) } else { whole });
    within
}

fn known_format(bytes: &[u8], place: &str) -> Result<ImageFormat> {
    let (place, expected) = (|| place.to_owned(), content::EXPECTED);
    if bytes.is_empty() {
        return Err(MediaError::Empty { place: place(), expected });
    }
    let other = || MediaError::OtherFormat { place: place(), found: content::name(bytes), expected };
    content::format(bytes).ok_or_else(other)
}

impl<'a> Source<'a> {
    fn open<R: BufRead + Seek + 'a>(
        self,
        from: R,
        limits: Limits,
    ) -> Result<Opened<'a, impl ImageDecoder + 'a>> {
        let mut reader = ImageReader::with_format(from, self.format);
        reader.limits(limits);
        let decoder = reader.into_decoder().map_err(|e| self.refused(&e))?;
        Ok(Opened { decoder, from: self })
    }

    fn refused(&self, reason: &ImageError) -> MediaError {
        let (place, n_bytes) = (self.place.to_owned(), self.n_bytes);
        match reason {
            ImageError::IoError(e) if e.kind() == ErrorKind::UnexpectedEof => {
                MediaError::TruncatedPicture { place, n_bytes }
            }
            reason => MediaError::Decode { place, reason: reason.to_string() },
        }
    }
}

impl<D: ImageDecoder> Opened<'_, D> {
    /// A block that cannot be read counts as none, as it does elsewhere.
    pub(crate) fn orientation(&mut self) -> Orientation {
        self.decoder.orientation().unwrap_or(Orientation::NoTransforms)
    }

    /// Width and height as stored.
    pub(crate) fn sides(&self) -> (u32, u32) {
        self.decoder.dimensions()
    }

    fn upright_sides(&mut self) -> (u32, u32) {
        let (width, height) = self.sides();
        if swaps_sides(self.orientation()) { (height, width) } else { (width, height) }
    }

    pub(crate) fn into_rgb(mut self) -> Result<RgbImage> {
        let orientation = self.orientation();
        let decoded = DynamicImage::from_decoder(self.decoder);
        upright(decoded.map_err(|e| self.from.refused(&e))?, orientation)
    }
}

/// Whether a turn makes the width the height.
pub(crate) fn swaps_sides(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// The pixels as 8-bit RGB, turned; neither step copies where there is nothing to do.
pub(crate) fn upright(mut picture: DynamicImage, orientation: Orientation) -> Result<RgbImage> {
    picture.apply_orientation(orientation);
    let picture = picture.into_rgb8();
    let size = ImageSize::new(picture.width(), picture.height())?;
    RgbImage::new(size, picture.into_raw())
}
