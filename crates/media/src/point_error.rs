use std::fmt;

/// Where in a file something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PointPlace {
    /// A line of text, from 1.
    Line(u64),
    /// A byte, from 0.
    Byte(u64),
}

impl fmt::Display for PointPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Byte(byte) => write!(f, "byte {byte}"),
        }
    }
}

/// What is wrong with a PCD file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PcdProblem {
    /// The header ends, or the file does, without a line that must be there.
    #[error("no {entry} in the header: expected one")]
    MissingEntry {
        /// First word of the line.
        entry: &'static str,
    },
    /// A line of the header that comes twice.
    #[error("{entry} comes twice: expected one line of it")]
    RepeatedEntry {
        /// First word of the line.
        entry: &'static str,
    },
    /// A line that belongs to no header.
    #[error("{found:?}: expected a line of a PCD header")]
    UnknownEntry {
        /// First word of the line, or as much of it as fits.
        found: String,
    },
    /// A value that its line cannot have.
    #[error("{entry} {found:?}: expected {expected}")]
    Value {
        /// First word of the line.
        entry: &'static str,
        /// The value, or as much of it as fits.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A line that does not speak of every field.
    #[error("{found} values of {entry} for {n_fields} fields: expected one for each")]
    Lengths {
        /// First word of the line.
        entry: &'static str,
        /// Values in it.
        found: usize,
        /// Fields there are.
        n_fields: usize,
    },
    /// A type that has no numbers of this size.
    #[error(
        "field {name:?} is of type {kind} and {size} bytes: expected I or U of 1, 2, 4 or 8, or F of 4 or 8"
    )]
    FieldType {
        /// Name of the field, or as much of it as fits.
        name: String,
        /// `I`, `U` or `F`.
        kind: char,
        /// Bytes of a number.
        size: u32,
    },
    /// No field for a coordinate.
    #[error("no field {name:?}: expected x, y and z")]
    MissingField {
        /// The coordinate.
        name: &'static str,
    },
    /// Two fields for one thing.
    #[error("field {name:?} comes twice: expected one")]
    RepeatedField {
        /// Name of the field.
        name: String,
    },
    /// A field of several numbers where one is needed.
    #[error("field {name:?} holds {count} numbers a point: expected 1")]
    FieldCount {
        /// Name of the field.
        name: String,
        /// Numbers of it for each point.
        count: u32,
    },
    /// Numbers of points that contradict each other.
    #[error("POINTS {n_points} for WIDTH {width} and HEIGHT {height}: expected their product")]
    NumberOfPoints {
        /// What POINTS says.
        n_points: u64,
        /// What WIDTH says.
        width: u64,
        /// What HEIGHT says.
        height: u64,
    },
    /// Another amount of data than the header speaks of.
    #[error("{found} bytes for {n_points} points of {point_bytes} bytes: expected {expected}")]
    DataLength {
        /// Bytes there are.
        found: u64,
        /// Points by the header.
        n_points: u64,
        /// Bytes of a point by the header.
        point_bytes: u64,
        /// Bytes there should be.
        expected: u128,
    },
    /// Another number of lines than the header speaks of.
    #[error("{found} lines of data: expected {expected}")]
    Rows {
        /// Lines there are; where there are too many, up to the first of those.
        found: u64,
        /// Points by the header.
        expected: u64,
    },
    /// A line of data with a wrong number of values.
    #[error("{found} columns: expected {expected}")]
    Columns {
        /// Values in the line.
        found: u64,
        /// Values by the header.
        expected: u64,
    },
    /// A value that is no number of its field's type.
    #[error("column {column} is {found:?}: expected {expected}")]
    Number {
        /// Column, from 1.
        column: u64,
        /// The value, or as much of it as fits.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
    /// Packed data of another length than its file has room for, or than it can have been packed to.
    #[error("{packed} bytes packed from {unpacked}: expected at most {most_packed} and {most_unpacked}")]
    PackedLength {
        /// Packed bytes by the file.
        packed: u64,
        /// Unpacked bytes by the file.
        unpacked: u64,
        /// Bytes that are left of the file.
        most_packed: u64,
        /// What so many packed bytes unpack to at most.
        most_unpacked: u64,
    },
    /// Packed data that breaks off, points to before its beginning, or holds another amount than it says.
    #[error("packed data breaks after {unpacked} bytes: expected it to unpack to {expected}")]
    Packing {
        /// Bytes unpacked until then.
        unpacked: u64,
        /// Bytes there should be.
        expected: u64,
    },
}

/// What is wrong with a LAS or LAZ file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LasProblem {
    /// Bytes that are not a LAS file.
    #[error("not a LAS file: expected LASF as its first bytes")]
    Signature,
    /// A file that ends inside its header.
    #[error("{n_bytes} bytes are no LAS header: expected at least {expected}")]
    ShortHeader {
        /// Bytes there are.
        n_bytes: u64,
        /// Bytes a header of this version has.
        expected: u64,
    },
    /// A version that is not known.
    #[error("LAS version {major}.{minor}: expected 1.0 to 1.4")]
    Version {
        /// The number before the point.
        major: u8,
        /// The number after it.
        minor: u8,
    },
    /// Points that would begin inside the header.
    #[error("points from byte {found}: expected {expected} or later, after the header")]
    Start {
        /// First byte of the points by the header.
        found: u64,
        /// Bytes of the header.
        expected: u64,
    },
    /// A header of a file without points.
    #[error("no points: expected at least 1")]
    NoPoints,
    /// Fewer bytes than the header speaks of.
    #[error(
        "{n_bytes} bytes for {n_points} points of {point_bytes} bytes from byte {start}: expected {expected} or \
        more"
    )]
    Truncated {
        /// Bytes there are.
        n_bytes: u64,
        /// Points by the header.
        n_points: u64,
        /// Bytes of a point by the header.
        point_bytes: u64,
        /// First byte of the points by the header.
        start: u64,
        /// Bytes there should be.
        expected: u128,
    },
    /// A scale or offset that makes no coordinates.
    #[error("{name} {found}: expected a finite number other than 0 for a scale, a finite one for an offset")]
    Transform {
        /// Which number.
        name: &'static str,
        /// The value found.
        found: f64,
    },
    /// A header that the reader refuses.
    #[error("not a readable header: {reason}")]
    Header {
        /// What the reader said.
        reason: String,
    },
    /// A description of the compression that does not fit the points.
    #[error("{what} of the compression is {found}: expected {expected}")]
    Compression {
        /// Which number.
        what: &'static str,
        /// The value found.
        found: u64,
        /// What it may be.
        expected: u64,
    },
    /// Compressed points that cannot be unpacked.
    #[error("{n_points} points cannot be unpacked: {reason}")]
    Unpack {
        /// Points by the header.
        n_points: u64,
        /// What the reader said.
        reason: String,
    },
}
