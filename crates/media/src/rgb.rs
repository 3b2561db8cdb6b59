use std::path::Path;

use labelloop_core::ImageSize;

use crate::{MediaError, Result};

/// A decoded picture: 8-bit red, green, blue, row by row from the upper left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RgbImage {
    size: ImageSize,
    pixels: Vec<u8>,
}

impl RgbImage {
    /// Takes `3 * width * height` bytes.
    ///
    /// # Errors
    /// [`MediaError::PixelCount`] for another number of bytes.
    pub fn new(size: ImageSize, pixels: Vec<u8>) -> Result<Self> {
        let expected = 3 * size.width() as usize * size.height() as usize;
        if pixels.len() != expected {
            return Err(MediaError::PixelCount {
                found: pixels.len(),
                width: size.width(),
                height: size.height(),
                expected,
            });
        }
        Ok(Self { size, pixels })
    }

    /// Sides in pixels.
    pub fn size(&self) -> ImageSize {
        self.size
    }

    /// All bytes, row by row.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// All bytes, row by row, to be written to.
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }

    /// Red, green, blue of column `x` in row `y`.
    ///
    /// # Panics
    /// When the place is outside the picture, as indexing a slice does.
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        let at = 3 * (y as usize * self.size.width() as usize + x as usize);
        [self.pixels[at], self.pixels[at + 1], self.pixels[at + 2]]
    }
}

/// Decodes JPEG or PNG bytes of any colour type to 8-bit RGB.
///
/// # Errors
/// [`MediaError::Decode`] with the decoder's reason.
pub fn decode(bytes: &[u8]) -> Result<RgbImage> {
    decode_from(bytes, "bytes in memory")
}

/// Reads and decodes a file.
///
/// # Errors
/// [`MediaError::Io`] or [`MediaError::Decode`], both naming the file.
pub fn load(path: &Path) -> Result<RgbImage> {
    let bytes = std::fs::read(path).map_err(|source| MediaError::Io { path: path.to_owned(), source })?;
    decode_from(&bytes, &path.display().to_string())
}

fn decode_from(bytes: &[u8], place: &str) -> Result<RgbImage> {
    let refused = |reason: String| MediaError::Decode { place: place.to_owned(), reason };
    let picture = image::load_from_memory(bytes).map_err(|e| refused(e.to_string()))?.to_rgb8();
    let size = ImageSize::new(picture.width(), picture.height())?;
    RgbImage::new(size, picture.into_raw())
}
