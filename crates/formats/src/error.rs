use std::path::{Path, PathBuf};

use labelloop_core::CoreError;

use crate::Warning;

/// Why a file could not be read or written, with the place and what was expected there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Bytes that are not text.
    #[error("{}, line {line}: expected UTF-8 text", path.display())]
    NotUtf8 {
        /// File.
        path: PathBuf,
        /// Line of the first bad byte, from 1.
        line: usize,
    },
    /// Text that is not JSON, YAML or XML.
    #[error("{}, line {line}: {reason}", path.display())]
    Syntax {
        /// File.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What the parser said.
        reason: String,
    },
    /// A file that is well formed but not of this format.
    #[error("{}: {place}: expected {expected}", path.display())]
    Structure {
        /// File.
        path: PathBuf,
        /// Where in the file.
        place: String,
        /// What should have been there.
        expected: &'static str,
    },
    /// What would have been a warning, under [`crate::Strictness::Strict`].
    #[error("{0}")]
    Refused(Box<Warning>),
    /// A list of classes that cannot be a schema.
    #[error("{}: {source}", path.display())]
    Schema {
        /// File.
        path: PathBuf,
        /// What is wrong with the list.
        source: CoreError,
    },
    /// A label whose class the schema of its own set does not hold.
    #[error("sample {sample}: class number {class}: expected less than {n_classes}")]
    ClassOutOfRange {
        /// Sample of the label.
        sample: String,
        /// Class number of the label.
        class: u32,
        /// Classes in the schema.
        n_classes: usize,
    },
    /// Two samples of one name.
    #[error("sample {sample} occurs more than once: expected distinct samples")]
    DuplicateSample {
        /// The name.
        sample: String,
    },
    /// A sample that the target file does not know.
    #[error("sample {sample} is not in the data set: expected one of its {n_samples} samples")]
    UnknownSample {
        /// The sample asked for.
        sample: String,
        /// Samples there are.
        n_samples: usize,
    },
    /// A name that would lead a file out of its folder.
    #[error("{name:?} cannot name a file: expected a relative path that stays in its folder")]
    UnsafeName {
        /// The name.
        name: String,
    },
    /// Two classes or samples that the format would write under one name.
    #[error("{first:?} and {second:?} would both be written as {written:?}: expected distinct names")]
    NameClash {
        /// The first of them.
        first: String,
        /// The second of them.
        second: String,
        /// Their common name.
        written: String,
    },
    /// A sample without a size, in a format whose numbers are relative to it.
    #[error("sample {sample} has no image size: expected width and height, which this format divides by")]
    NoSize {
        /// The sample.
        sample: String,
    },
    /// An extra field that is not JSON text.
    #[error("{place}: extra field {key:?}: {reason}")]
    InvalidExtra {
        /// Sample or file.
        place: String,
        /// Key of the field.
        key: String,
        /// What the parser said.
        reason: String,
    },
    /// A folder that already holds something.
    #[error("{}: expected a folder that is empty or does not exist yet", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// An export without a single labelled sample.
    #[error("{}: none of {n_samples} samples is labelled and asked for: expected at least 1", path.display())]
    NothingToWrite {
        /// Where the export was to go.
        path: PathBuf,
        /// Samples in the set.
        n_samples: usize,
    },
    /// A word that names no format.
    #[error("format {found:?}: expected one of {}", crate::Format::ALL.map(crate::Format::as_str).join(", "))]
    UnknownFormat {
        /// The word.
        found: String,
    },
    /// An archive in place of what is in it.
    #[error("{}: an archive: expected the files that are in it; unpack it first", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
    },
    /// A table that cannot be read or written as Parquet.
    #[error("{}: {reason}", path.display())]
    Table {
        /// File.
        path: PathBuf,
        /// What the Parquet library said.
        reason: String,
    },
}

impl FormatError {
    /// The file or folder at fault, where there is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Io { path, .. }
            | Self::NotUtf8 { path, .. }
            | Self::Syntax { path, .. }
            | Self::Structure { path, .. }
            | Self::Schema { path, .. }
            | Self::Occupied { path }
            | Self::Archive { path }
            | Self::Table { path, .. }
            | Self::NothingToWrite { path, .. } => Some(path),
            Self::Refused(warning) => Some(&warning.path),
            _ => None,
        }
    }

    /// The line at fault, from 1, where it is known.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::NotUtf8 { line, .. } | Self::Syntax { line, .. } => Some(*line),
            Self::Refused(warning) => warning.line,
            _ => None,
        }
    }
}

/// Result with [`FormatError`].
pub type Result<T, E = FormatError> = std::result::Result<T, E>;
