use std::path::PathBuf;

use labelloop_core::{BBox, ImageSize};

use crate::{LasProblem, PcdProblem, PointPlace};

/// What went wrong with a picture or a point cloud, with the file where there is one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// The file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// File at fault.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bytes are not a picture that we can decode.
    #[error("{place}: not a readable picture: {reason}")]
    Decode {
        /// File, or `bytes in memory`.
        place: String,
        /// What the decoder said.
        reason: String,
    },
    /// A folder, a pipe, a socket or a device where a file should be.
    #[error("{path}: {found}: expected a file")]
    NotAFile {
        /// The place at fault.
        path: PathBuf,
        /// What is there, with an article.
        found: &'static str,
    },
    /// A file of more bytes than the limit; nothing of it was read.
    #[error("{place}: {n_bytes} bytes: expected at most {max_bytes} bytes")]
    TooManyBytes {
        /// File, or `bytes in memory`.
        place: String,
        /// Bytes there are.
        n_bytes: u64,
        /// The limit.
        max_bytes: u64,
    },
    /// No bytes at all.
    #[error("{place}: empty: expected {expected}")]
    Empty {
        /// File, or `bytes in memory`.
        place: String,
        /// Which formats are read.
        expected: &'static str,
    },
    /// Bytes of another format than those that are read, whatever the file's name says.
    #[error("{place}: {found}: expected {expected}")]
    OtherFormat {
        /// File, or `bytes in memory`.
        place: String,
        /// What the bytes look like, with an article.
        found: &'static str,
        /// Which formats are read.
        expected: &'static str,
    },
    /// A JPEG of a coding that is not read.
    #[error("{place}: a JPEG of {found}: expected baseline or progressive Huffman coding of 8 bits a sample")]
    UnsupportedJpeg {
        /// File, or `bytes in memory`.
        place: String,
        /// The coding found.
        found: &'static str,
    },
    /// A JPEG of so many scans that it was made to be slow.
    #[error("{place}: a JPEG of {n_scans} scans: expected at most {max_scans}")]
    TooManyScans {
        /// File, or `bytes in memory`.
        place: String,
        /// Scans there are.
        n_scans: usize,
        /// The limit.
        max_scans: usize,
    },
    /// A picture of another format than JPEG that stops early.
    #[error("{place}: the picture ends after {n_bytes} bytes: expected a whole file")]
    TruncatedPicture {
        /// File, or `bytes in memory`.
        place: String,
        /// Bytes there were.
        n_bytes: u64,
    },
    /// A JPEG that stops before its end marker: a decoder would fill the rest with grey and say nothing.
    #[error("{place}: the JPEG ends after {n_bytes} bytes without its end marker: expected a whole file")]
    TruncatedJpeg {
        /// File, or `bytes in memory`.
        place: String,
        /// Bytes there were.
        n_bytes: usize,
    },
    /// A picture with more pixels than the limit: a decompression bomb, or a side that is a typing error.
    #[error("{place}: {width} x {height} pixels: expected at most {max_pixels} pixels")]
    TooLarge {
        /// File, `bytes in memory`, or the picture asked for.
        place: String,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The limit.
        max_pixels: u64,
    },
    /// A window that reaches out of the picture it should be cut from.
    #[error(
        "window of {} x {} pixels from column {left}, row {top} of {} x {} pixels: expected it inside",
        window.width(), window.height(), whole.width(), whole.height()
    )]
    OutsideResized {
        /// First column.
        left: u32,
        /// First row.
        top: u32,
        /// Sides of the window.
        window: ImageSize,
        /// Sides of the picture at its new size.
        whole: ImageSize,
    },
    /// The encoder refused the picture.
    #[error("{width} x {height} picture cannot be written as {format}: {reason}")]
    Encode {
        /// `PNG` or `JPEG`.
        format: &'static str,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// What the encoder said.
        reason: String,
    },
    /// A JPEG quality outside 1 to 100.
    #[error("JPEG quality {found}: expected a number from 1 to 100")]
    InvalidQuality {
        /// The value found.
        found: u8,
    },
    /// Pixel data that does not fill the picture.
    #[error("{found} bytes of pixels for {width} x {height}: expected {expected}")]
    PixelCount {
        /// Bytes given.
        found: usize,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Bytes needed.
        expected: u128,
    },
    /// A box without area in the picture.
    #[error("box {:?} has no area inside the {} x {} picture", bbox.to_xywh(), size.width(), size.height())]
    OutsidePicture {
        /// The box: left, top, width, height.
        bbox: BBox,
        /// Sides of the picture.
        size: ImageSize,
    },
    /// A point file that ends in the middle of a point.
    #[error(
        "{place}: {n_bytes} bytes are {n_points} points and {n_left} bytes more: expected a multiple of \
        {point_bytes}"
    )]
    TruncatedPoints {
        /// File, or `bytes in memory`.
        place: String,
        /// Bytes found.
        n_bytes: u64,
        /// Whole points among them.
        n_points: u64,
        /// Bytes after the last whole point.
        n_left: u64,
        /// Bytes of a point.
        point_bytes: u64,
    },
    /// A file that says to hold more points than the limit.
    #[error("{place}: {n_points} points: expected at most {max_points}")]
    TooManyPoints {
        /// File, or `bytes in memory`.
        place: String,
        /// Points there would be.
        n_points: u64,
        /// The limit.
        max_points: u64,
    },
    /// A file whose name does not tell what kind of point file it is.
    #[error(
        "{path}: not a name of a point file: expected one that ends in .bin, .pcd.bin, .pcd, .las or .laz"
    )]
    UnknownPointFormat {
        /// File at fault.
        path: PathBuf,
    },
    /// A PCD file that cannot be read.
    #[error("{place}, {at}: {problem}")]
    Pcd {
        /// File, or `bytes in memory`.
        place: String,
        /// Where in it.
        at: PointPlace,
        /// What is wrong there.
        problem: Box<PcdProblem>,
    },
    /// A LAS or LAZ file that cannot be read.
    #[error("{place}: {problem}")]
    Las {
        /// File, or `bytes in memory`.
        place: String,
        /// What is wrong with it.
        problem: Box<LasProblem>,
    },
    /// An origin of a cloud that is no place.
    #[error("origin {found:?}: expected finite coordinates")]
    InvalidOrigin {
        /// The coordinates found.
        found: [f64; 3],
    },
    /// A cloud with an origin, to be written in a format that has no place for it.
    #[error(
        "{path}: the format has no place for the origin {origin:?} of the cloud: expected an origin of zero"
    )]
    OriginLost {
        /// The file that would have been written.
        path: PathBuf,
        /// The origin.
        origin: [f64; 3],
    },
    /// An extent of the bird's-eye view that is not a positive number.
    #[error("bird's-eye extent {found} m: expected a finite number above 0")]
    InvalidExtent {
        /// The value found.
        found: f64,
    },
    /// A bird's-eye view with no pixels or too many.
    #[error("bird's-eye view of {found} pixels a side: expected 1 to {max}")]
    InvalidBevSize {
        /// The value found.
        found: u32,
        /// The largest side.
        max: u32,
    },
    /// Heights that leave nothing between them.
    #[error("heights from {lowest} to {highest} m: expected finite ones, the second higher")]
    InvalidHeights {
        /// The lowest.
        lowest: f64,
        /// The highest.
        highest: f64,
    },
    /// An intensity that cannot be the full one.
    #[error("full intensity {found}: expected a finite number above 0")]
    InvalidIntensity {
        /// The value found.
        found: f64,
    },
    /// A value that the vocabulary refuses.
    #[error(transparent)]
    Core(#[from] labelloop_core::CoreError),
}

/// Result with [`MediaError`].
pub type Result<T, E = MediaError> = std::result::Result<T, E>;
