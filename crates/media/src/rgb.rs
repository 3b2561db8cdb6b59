use labelloop_core::ImageSize;

use crate::{MediaError, Result};

/// A decoded picture: 8-bit red, green, blue, row by row from the upper left.
///
/// ```
/// use labelloop_core::ImageSize;
/// use labelloop_media::RgbImage;
///
/// let mut picture = RgbImage::filled(ImageSize::new(3, 2)?, [9, 9, 9]);
/// picture.set(2, 1, [255, 0, 0]);
/// assert_eq!(picture.get(2, 1), Some([255, 0, 0]));
/// assert_eq!(picture.get(3, 1), None);
/// # Ok::<(), labelloop_media::MediaError>(())
/// ```
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
        let expected = 3 * u128::from(size.width()) * u128::from(size.height());
        if pixels.len() as u128 != expected {
            let (width, height) = (size.width(), size.height());
            return Err(MediaError::PixelCount { found: pixels.len(), width, height, expected });
        }
        Ok(Self { size, pixels })
    }

    /// A picture of one colour.
    pub fn filled(size: ImageSize, colour: [u8; 3]) -> Self {
        let n_pixels = size.width() as usize * size.height() as usize;
        Self { size, pixels: colour.repeat(n_pixels) }
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

    /// The bytes of row `y`, `3 * width` of them; empty below the picture.
    pub fn row(&self, y: u32) -> &[u8] {
        let stride = 3 * self.size.width() as usize;
        if self.size.height() <= y {
            return &[];
        }
        &self.pixels[y as usize * stride..][..stride]
    }

    /// Red, green, blue of column `x` in row `y`.
    ///
    /// # Panics
    /// When the place is outside the picture, as indexing a slice does; [`RgbImage::get`] does not.
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        let at = 3 * x as usize;
        let row = self.row(y);
        [row[at], row[at + 1], row[at + 2]]
    }

    /// Red, green, blue of column `x` in row `y`, where that is in the picture.
    pub fn get(&self, x: u32, y: u32) -> Option<[u8; 3]> {
        self.holds(x, y).then(|| self.pixel(x, y))
    }

    /// Writes a pixel; a place outside the picture is passed over.
    pub fn set(&mut self, x: u32, y: u32, colour: [u8; 3]) {
        if self.holds(x, y) {
            let at = 3 * (y as usize * self.size.width() as usize + x as usize);
            self.pixels[at..at + 3].copy_from_slice(&colour);
        }
    }

    fn holds(&self, x: u32, y: u32) -> bool {
        x < self.size.width() && y < self.size.height()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(width: u32, height: u32) -> ImageSize {
        ImageSize::new(width, height).unwrap()
    }

    #[test]
    fn too_few_or_too_many_bytes_are_refused() {
        for found in [0, 11, 13] {
            let refused = RgbImage::new(size(2, 2), vec![0; found]).unwrap_err();
            assert!(
                matches!(refused, MediaError::PixelCount { found: f, expected: 12, .. } if f == found),
                "{refused}"
            );
        }
    }

    #[test]
    fn sides_whose_product_overflows_are_refused_not_wrapped() {
        let refused = RgbImage::new(size(u32::MAX, u32::MAX), vec![0; 3]).unwrap_err();
        assert!(matches!(refused, MediaError::PixelCount { found: 3, .. }), "{refused}");
    }

    #[test]
    fn rows_and_pixels_agree() {
        let picture = RgbImage::new(size(2, 2), (0..12).collect()).unwrap();
        assert_eq!(picture.row(1), [6, 7, 8, 9, 10, 11]);
        assert_eq!(picture.pixel(1, 1), [9, 10, 11]);
        assert!(picture.row(2).is_empty());
    }

    #[test]
    fn a_column_past_the_edge_is_not_the_next_row() {
        let mut picture = RgbImage::new(size(2, 2), (0..12).collect()).unwrap();
        assert_eq!(picture.get(2, 0), None);
        picture.set(2, 0, [99, 99, 99]);
        assert_eq!(picture.pixels(), (0..12).collect::<Vec<u8>>());
    }

    #[test]
    #[should_panic]
    fn pixel_outside_panics_as_a_slice_does() {
        RgbImage::filled(size(2, 2), [0; 3]).pixel(2, 0);
    }
}
