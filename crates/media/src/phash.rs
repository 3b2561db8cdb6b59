use std::fmt;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use crate::{MediaError, Result, RgbImage};

/// Sides of the small grey picture are so many times the side of the hash.
const OVERSAMPLING: usize = 4;
/// Cosines are whole multiples of 2 to the power of minus this.
const COSINE_BITS: u32 = 20;

/// A perceptual hash of 64 bits: pictures that look alike have hashes that differ in few bits.
///
/// The definition (pHash; Zauner 2010, section 3.2.1, in the form of Python's `imagehash.phash`): the picture is made grey
/// (`(19595 r + 38470 g + 7471 b + 32768) / 65536`, ITU-R BT.601), brought to 32 x 32 pixels by a Lanczos filter of 3
/// lobes whatever its sides were, and transformed by a two-dimensional cosine transform (DCT-II). Of it the 8 x 8 lowest
/// frequencies count, the mean (frequency 0, 0) among them. A bit is 1 where the coefficient is greater than the median of
/// the 64, which is the mean of the two in the middle; so a coefficient that equals the median gives 0. The first bit, for
/// frequency 0, 0, is the highest; horizontal frequencies run fastest.
///
/// Everything is done in whole numbers (cosines to 20 bits after the point), so that the same pixels give the same bits on
/// every machine. A coefficient close to the median still makes a bit that says little: the pixels of another decoder, or
/// one more level of grey somewhere, may turn it. Hashes are compared by [`distance`](Phash64::distance) and a radius, not
/// by equality. On photographs of blood cells, of playing cards and on scans of boards a radius of 4 found at least 98.9% of
/// every kind of copy (compressed, made smaller, brighter, of less contrast) and took at most 125 of a million pairs of
/// different pictures for copies; 256 bits with a radius of 16 all copies and at most 94 of a million.
///
/// ```
/// use labelloop_core::ImageSize;
/// use labelloop_media::{Phash64, RgbImage, phash64};
///
/// let mut picture = RgbImage::filled(ImageSize::new(80, 60)?, [30, 30, 30]);
/// (10..40).for_each(|y| (20..50).for_each(|x| picture.set(x, y, [220, 180, 90])));
/// let hash = phash64(&picture)?;
/// let flat = phash64(&RgbImage::filled(ImageSize::new(9, 9)?, [90, 9, 9]))?;
/// assert_eq!(flat, Phash64(1 << 63), "nothing but the mean");
/// assert!(10 < hash.distance(flat));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phash64(pub u64);

/// A perceptual hash of 256 bits: as [`Phash64`], of the 16 x 16 lowest frequencies of 64 x 64 pixels.
///
/// It tells apart what 64 bits cannot, such as boards of one kind with different defects.
///
/// ```
/// use labelloop_core::ImageSize;
/// use labelloop_media::{RgbImage, phash256};
///
/// let flat = phash256(&RgbImage::filled(ImageSize::new(9, 9)?, [90, 9, 9]))?;
/// assert_eq!(flat.to_string(), format!("8{}", "0".repeat(63)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phash256(pub [u64; 4]);

impl Phash64 {
    /// Bits that differ, 0 to 64.
    pub fn distance(self, other: Self) -> u32 {
        (self.0 ^ other.0).count_ones()
    }
}

impl Phash256 {
    /// Bits that differ, 0 to 256.
    pub fn distance(self, other: Self) -> u32 {
        self.0.iter().zip(other.0).map(|(a, b)| (a ^ b).count_ones()).sum()
    }
}

/// Sixteen hexadecimal digits, as `imagehash` prints them.
impl fmt::Display for Phash64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Sixty-four hexadecimal digits, as `imagehash` prints them.
impl fmt::Display for Phash256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|word| write!(f, "{word:016x}"))
    }
}

/// The eight ways to lay a picture, in the order of [`phash64_turned`].
///
/// ```
/// use labelloop_media::PictureTurn;
///
/// assert_eq!(PictureTurn::ALL[1], PictureTurn::Mirrored);
/// assert_eq!(PictureTurn::QuarterTurn.to_string(), "turned by 90 degrees");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PictureTurn {
    /// As it is.
    Upright,
    /// Left and right changed.
    Mirrored,
    /// Above and below changed.
    UpsideDown,
    /// Turned by 180 degrees.
    HalfTurn,
    /// Rows and columns changed.
    Transposed,
    /// Turned by 90 degrees clockwise.
    QuarterTurn,
    /// Turned by 90 degrees counterclockwise.
    QuarterTurnBack,
    /// Rows and columns changed, then turned by 180 degrees.
    Transverse,
}

impl PictureTurn {
    /// All of them, in the order of the hashes.
    pub const ALL: [Self; 8] = [
        Self::Upright,
        Self::Mirrored,
        Self::UpsideDown,
        Self::HalfTurn,
        Self::Transposed,
        Self::QuarterTurn,
        Self::QuarterTurnBack,
        Self::Transverse,
    ];

    /// Whether rows and columns change places; whether left and right, and above and below, change after that.
    fn steps(self) -> (bool, bool, bool) {
        match self {
            Self::Upright => (false, false, false),
            Self::Mirrored => (false, true, false),
            Self::UpsideDown => (false, false, true),
            Self::HalfTurn => (false, true, true),
            Self::Transposed => (true, false, false),
            Self::QuarterTurn => (true, true, false),
            Self::QuarterTurnBack => (true, false, true),
            Self::Transverse => (true, true, true),
        }
    }
}

impl fmt::Display for PictureTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Upright => "upright",
            Self::Mirrored => "mirrored",
            Self::UpsideDown => "upside down",
            Self::HalfTurn => "turned by 180 degrees",
            Self::Transposed => "transposed",
            Self::QuarterTurn => "turned by 90 degrees",
            Self::QuarterTurnBack => "turned by -90 degrees",
            Self::Transverse => "transposed and turned by 180 degrees",
        })
    }
}

/// The 64-bit hash of a picture.
///
/// # Errors
/// [`MediaError::TooLarge`] where the picture cannot be made smaller.
pub fn phash64(picture: &RgbImage) -> Result<Phash64> {
    Ok(Spectrum::<8>::of(picture)?.hash64(PictureTurn::Upright))
}

/// The 64-bit hashes of a picture laid in eight ways ([`PictureTurn::ALL`]), at the price of one.
///
/// A mirror changes the sign of every second coefficient, and changing rows with columns those of the transform, so that
/// one transform is enough. For pictures of 32 x 32 pixels the hashes are those of the turned pictures to the bit; for
/// others up to the rounding of the filter, which is a bit or two.
///
/// ```
/// use labelloop_core::ImageSize;
/// use labelloop_media::{RgbImage, phash64, phash64_turned};
///
/// let mut picture = RgbImage::filled(ImageSize::new(32, 32)?, [30, 30, 30]);
/// let mut mirrored = picture.clone();
/// for (x, y) in (3..20).flat_map(|x| (5..9).map(move |y| (x, y))) {
///     picture.set(x, y, [200, 99, 9]);
///     mirrored.set(31 - x, y, [200, 99, 9]);
/// }
/// assert_eq!(phash64_turned(&picture)?[1], phash64(&mirrored)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`phash64`].
pub fn phash64_turned(picture: &RgbImage) -> Result<[Phash64; 8]> {
    let spectrum = Spectrum::<8>::of(picture)?;
    Ok(PictureTurn::ALL.map(|turn| spectrum.hash64(turn)))
}

/// The 256-bit hash of a picture.
///
/// # Errors
/// As [`phash64`].
pub fn phash256(picture: &RgbImage) -> Result<Phash256> {
    Ok(Spectrum::<16>::of(picture)?.hash256(PictureTurn::Upright))
}

/// The 256-bit hashes of a picture laid in eight ways, as [`phash64_turned`].
///
/// ```
/// use labelloop_core::ImageSize;
/// use labelloop_media::{RgbImage, phash256, phash256_turned};
///
/// let flat = RgbImage::filled(ImageSize::new(64, 64)?, [30, 30, 30]);
/// assert_eq!(phash256_turned(&flat)?, [phash256(&flat)?; 8]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`phash64`].
pub fn phash256_turned(picture: &RgbImage) -> Result<[Phash256; 8]> {
    let spectrum = Spectrum::<16>::of(picture)?;
    Ok(PictureTurn::ALL.map(|turn| spectrum.hash256(turn)))
}

/// The lowest frequencies of a picture, `N x N` of them, row by row: vertical frequency first.
struct Spectrum<const N: usize> {
    values: [[i64; N]; N],
}

impl<const N: usize> Spectrum<N> {
    fn of(picture: &RgbImage) -> Result<Self> {
        Ok(Self { values: lowest(&small_grey(picture, OVERSAMPLING * N)?, &cosines::<N>()) })
    }

    /// Whether each coefficient of the turned picture is above the median, in the order of the hash.
    fn bits(&self, turn: PictureTurn) -> impl Iterator<Item = bool> {
        let (transposed, mirrored, flipped) = turn.steps();
        let turned = move |row: usize, column: usize| {
            let value = if transposed { self.values[column][row] } else { self.values[row][column] };
            let odd = (mirrored && column % 2 == 1) ^ (flipped && row % 2 == 1);
            if odd { -value } else { value }
        };
        let values = (0..N).flat_map(|row| (0..N).map(move |column| turned(row, column))).collect::<Vec<_>>();
        let mut sorted = values.clone();
        sorted.sort_unstable();
        // The number of coefficients is even. Twice a coefficient is below 2^61.
        let middle = sorted[N * N / 2 - 1] + sorted[N * N / 2];
        values.into_iter().map(move |value| middle < 2 * value)
    }

    fn words<const W: usize>(&self, turn: PictureTurn) -> [u64; W] {
        let mut words = [0; W];
        for (i, bit) in self.bits(turn).enumerate() {
            words[i / 64] |= u64::from(bit) << (63 - i % 64);
        }
        words
    }
}

impl Spectrum<8> {
    fn hash64(&self, turn: PictureTurn) -> Phash64 {
        Phash64(self.words::<1>(turn)[0])
    }
}

impl Spectrum<16> {
    fn hash256(&self, turn: PictureTurn) -> Phash256 {
        Phash256(self.words(turn))
    }
}

/// Cosines of the lowest `N` frequencies at the middles of `4 N` pixels, times a power of two.
///
/// Every angle is brought into the first quarter first, so that values which are opposite by definition are opposite
/// here to the bit: a flat picture then has coefficients of exactly 0, and a mirrored one those of the other exactly.
fn cosines<const N: usize>() -> [Vec<i64>; N] {
    let n = OVERSAMPLING * N;
    // A quarter of a turn is n steps of this angle.
    let step = std::f64::consts::FRAC_PI_2 / n as f64;
    let quarter = (0..=n).map(|i| ((i as f64 * step).cos() * f64::from(1u32 << COSINE_BITS)).round() as i64);
    let quarter = quarter.collect::<Vec<_>>();
    let cosine = |steps: usize| match steps % (4 * n) {
        s if s <= n => quarter[s],
        s if s <= 2 * n => -quarter[2 * n - s],
        s if s <= 3 * n => -quarter[s - 2 * n],
        s => quarter[4 * n - s],
    };
    std::array::from_fn(|frequency| (0..n).map(|x| cosine((2 * x + 1) * frequency)).collect())
}

/// The two-dimensional DCT-II, without factors: they are the same for all that is compared with the median.
///
/// Sums of at most 64 products of 8 and 21 bits, and 64 of 35 and 21, stay within 62 bits.
fn lowest<const N: usize>(grey: &[u8], cosines: &[Vec<i64>; N]) -> [[i64; N]; N] {
    let n = OVERSAMPLING * N;
    let along = |row: &[u8], wave: &[i64]| row.iter().zip(wave).map(|(g, c)| i64::from(*g) * c).sum::<i64>();
    let rows: Vec<[i64; N]> =
        grey.chunks_exact(n).map(|row| std::array::from_fn(|v| along(row, &cosines[v]))).collect();
    std::array::from_fn(|u| {
        std::array::from_fn(|v| rows.iter().zip(&cosines[u]).map(|(row, c)| row[v] * c).sum())
    })
}

fn small_grey(picture: &RgbImage, side: usize) -> Result<Vec<u8>> {
    let grey = picture.pixels().chunks_exact(3).map(|p| luma(p[0], p[1], p[2])).collect::<Vec<_>>();
    let (width, height) = (picture.size().width(), picture.size().height());
    let refused = || MediaError::TooLarge {
        place: "picture to be hashed".to_owned(),
        width,
        height,
        max_pixels: u64::from(u32::MAX),
    };
    let source = TypedImageRef::<U8>::from_buffer(width, height, &grey).map_err(|_| refused())?;
    let mut small = vec![0; side * side];
    let mut target =
        TypedImage::<U8>::from_buffer(side as u32, side as u32, &mut small).map_err(|_| refused())?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    Resizer::new().resize_typed(&source, &mut target, &options).map_err(|_| refused())?;
    Ok(small)
}

/// As Pillow makes grey.
fn luma(red: u8, green: u8, blue: u8) -> u8 {
    let sum = 19595 * u32::from(red) + 38470 * u32::from(green) + 7471 * u32::from(blue) + 32768;
    (sum >> 16) as u8
}

#[cfg(test)]
mod tests;
