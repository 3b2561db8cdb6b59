use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use labelloop_core::CoreError;

use crate::{Format, FormatError, Lost, Result, Strictness};

/// Something in a source that was wrong or could not be kept, told in one sentence by its `Display`.
///
/// ```
/// use labelloop_formats::{Warning, WarningKind};
///
/// let warning = Warning {
///     path: "instances.json".into(),
///     line: Some(12),
///     kind: WarningKind::MissingField { place: "annotations[17]".to_owned(), field: "bbox" },
/// };
/// assert_eq!(warning.to_string(), "instances.json, line 12: annotations[17]: field \"bbox\" is missing");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Warning {
    /// File or folder that was read or written.
    pub path: PathBuf,
    /// Line in the file, from 1, where there is one to point to.
    pub line: Option<usize>,
    /// What is wrong.
    pub kind: WarningKind,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.kind)
    }
}

/// What is wrong. A `place` is a path into the file: `annotations[17].bbox`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum WarningKind {
    /// A record without something that it needs.
    MissingField {
        /// The record.
        place: String,
        /// The field.
        field: &'static str,
    },
    /// A value of the wrong kind.
    InvalidValue {
        /// The value's place.
        place: String,
        /// What it should have been.
        expected: &'static str,
        /// What it is, cut to a readable length.
        found: String,
    },
    /// Numbers or names that the vocabulary refuses: a negative size, an empty name, a score above 1.
    Refused {
        /// The value's place.
        place: String,
        /// Why.
        reason: CoreError,
    },
    /// A box that leaves its picture by more than a pixel. It is kept.
    OutsideImage {
        /// The box.
        place: String,
    },
    /// An id that an earlier record has; the later record is left out.
    DuplicateId {
        /// The later record.
        place: String,
        /// The id.
        id: String,
    },
    /// An id that an earlier label has. Both are kept: merged files have such ids, and the boxes are labels all the same.
    SharedId {
        /// The later label.
        place: String,
        /// The id.
        id: String,
    },
    /// A media file that an earlier record has; the later record is left out.
    DuplicateFileName {
        /// The later record.
        place: String,
        /// The file name.
        file_name: String,
    },
    /// A file name that leads out of its folder.
    UnsafePath {
        /// The name's place.
        place: String,
        /// The name.
        found: String,
    },
    /// A label of an image that is not there.
    UnknownImage {
        /// The label.
        place: String,
        /// The image's id as given.
        id: String,
    },
    /// A label of a class that is not in the schema. A class is never made up.
    UnknownClass {
        /// The label.
        place: String,
        /// The class as given.
        found: String,
        /// The closest name of the schema, where one is close.
        nearest: Option<String>,
    },
    /// Labels left out because their image was.
    DroppedWithImage {
        /// Number of labels.
        n_boxes: usize,
    },
    /// Numbers that are not numbers; JSON has no word for them.
    NotFinite {
        /// How many `NaN`, `Infinity` and `-Infinity` there are; they are read as text.
        count: usize,
    },
    /// The source does not list its classes; those that occur were taken, sorted by name.
    SchemaInferred {
        /// Number of classes.
        n_classes: usize,
    },
    /// The list of classes has another length than the source claims.
    ClassCount {
        /// The claim.
        claimed: usize,
        /// The names listed.
        listed: usize,
    },
    /// More than one annotation of a task; the labels of all are kept, told apart by annotator.
    SeveralAnnotations {
        /// The task.
        place: String,
        /// Number of annotations.
        count: usize,
    },
    /// A capture whose cuboids stay in the camera's frame, because nothing says where the lidar is.
    MissingCalibration {
        /// The file that would say it.
        place: String,
        /// Number of cuboids.
        n_cuboids: usize,
    },
    /// Things in the source that our records cannot hold.
    NotRead {
        /// What they are: `polygon`, `skeleton`.
        what: String,
        /// How many.
        count: usize,
    },
    /// Things in the set that the format written cannot hold.
    NotCarried {
        /// Format written.
        format: Format,
        /// What they are.
        what: Lost,
        /// How many.
        count: usize,
        /// Names of the fields, sorted, where it is fields.
        names: Vec<String>,
    },
}

impl WarningKind {
    /// Whether a label or its image may have been left out because of it. Whoever counts what people missed cannot go on
    /// then, as the reader's loss would look like theirs.
    ///
    /// ```
    /// use labelloop_formats::WarningKind;
    ///
    /// let no_box = WarningKind::MissingField { place: "annotations[17]".to_owned(), field: "bbox" };
    /// assert!(no_box.may_lose_labels());
    /// assert!(!WarningKind::OutsideImage { place: "annotations[3]".to_owned() }.may_lose_labels());
    /// ```
    pub fn may_lose_labels(&self) -> bool {
        matches!(
            self,
            Self::MissingField { .. }
                | Self::InvalidValue { .. }
                | Self::Refused { .. }
                | Self::DuplicateId { .. }
                | Self::DuplicateFileName { .. }
                | Self::UnsafePath { .. }
                | Self::UnknownImage { .. }
                | Self::UnknownClass { .. }
                | Self::DroppedWithImage { .. }
        )
    }
}

impl fmt::Display for WarningKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingField { place, field } => write!(f, "{place}: field {field:?} is missing"),
            Self::InvalidValue { place, expected, found } => {
                write!(f, "{place} is {found}: expected {expected}")
            }
            Self::Refused { place, reason } => write!(f, "{place}: {reason}"),
            Self::OutsideImage { place } => write!(f, "{place}: box leaves its picture; kept as it is"),
            Self::DuplicateId { place, id } => write!(f, "{place}: id {id} is taken; left out"),
            Self::SharedId { place, id } => write!(f, "{place}: id {id} is taken; kept all the same"),
            Self::DuplicateFileName { place, file_name } => {
                write!(f, "{place}: file {file_name:?} is taken; left out")
            }
            Self::UnsafePath { place, found } => {
                write!(f, "{place}: file name {found:?} leads out of its folder; left out")
            }
            Self::UnknownImage { place, id } => write!(f, "{place}: there is no image {id}; left out"),
            Self::UnknownClass { place, found, nearest } => {
                write!(f, "{place}: class {found} is not in the schema; left out")?;
                nearest.as_ref().map_or(Ok(()), |n| write!(f, "; did you mean {n:?}?"))
            }
            Self::DroppedWithImage { n_boxes } => write!(f, "{n_boxes} labels left out with their images"),
            Self::NotFinite { count } => write!(f, "{count} numbers are NaN or infinite; read as text"),
            Self::SchemaInferred { n_classes } => {
                write!(f, "the classes are not listed; took the {n_classes} that occur, sorted by name")
            }
            Self::ClassCount { claimed, listed } => {
                write!(f, "{claimed} classes are claimed and {listed} listed; took the list")
            }
            Self::SeveralAnnotations { place, count } => {
                write!(f, "{place}: {count} annotations; kept the labels of all")
            }
            Self::MissingCalibration { place, n_cuboids } => {
                write!(f, "{place} is missing: {n_cuboids} cuboids stay in the frame of the camera")
            }
            Self::NotRead { what, count } => {
                write!(f, "{count} of {what} not read: our records cannot hold them")
            }
            Self::NotCarried { format, what, count, names } => {
                write!(f, "{count} {what} not written: {format} cannot hold them")?;
                if names.is_empty() { Ok(()) } else { write!(f, " ({})", names.join(", ")) }
            }
        }
    }
}

/// Collects warnings, or turns the first into an error.
#[derive(Debug)]
pub(crate) struct Notes {
    path: PathBuf,
    strictness: Strictness,
    warnings: Vec<Warning>,
    unread: BTreeMap<String, usize>,
}

impl Notes {
    pub(crate) fn new(path: &Path, strictness: Strictness) -> Self {
        Self { path: path.to_owned(), strictness, warnings: Vec::new(), unread: BTreeMap::new() }
    }

    /// Notes something about the file at hand.
    pub(crate) fn note(&mut self, line: Option<usize>, kind: WarningKind) -> Result<()> {
        let path = self.path.clone();
        self.note_in(&path, line, kind)
    }

    /// Notes something about another file of the same folder.
    pub(crate) fn note_in(&mut self, path: &Path, line: Option<usize>, kind: WarningKind) -> Result<()> {
        let warning = Warning { path: path.to_owned(), line, kind };
        match self.strictness {
            Strictness::Strict => Err(FormatError::Refused(Box::new(warning))),
            Strictness::Lenient => {
                self.warnings.push(warning);
                Ok(())
            }
        }
    }

    /// Counts something that our records cannot hold; told once per kind at the end.
    pub(crate) fn unread(&mut self, what: &str) -> Result<()> {
        if self.strictness == Strictness::Strict {
            return self.note(None, WarningKind::NotRead { what: what.to_owned(), count: 1 });
        }
        *self.unread.entry(what.to_owned()).or_default() += 1;
        Ok(())
    }

    /// All warnings, those that were counted last.
    pub(crate) fn into_warnings(self) -> Vec<Warning> {
        let Self { path, mut warnings, unread, .. } = self;
        warnings.extend(unread.into_iter().map(|(what, count)| Warning {
            path: path.clone(),
            line: None,
            kind: WarningKind::NotRead { what, count },
        }));
        warnings
    }
}

/// A text that is not what it should be.
pub(crate) fn invalid(place: impl Into<String>, expected: &'static str, found: &str) -> WarningKind {
    WarningKind::InvalidValue {
        place: place.into(),
        expected,
        found: format!("{:?}", crate::json::shortened(found)),
    }
}
