use std::fmt;
use std::str::FromStr;

use labelloop_core::{AnnotationSet, ClassSchema};

use crate::{FormatError, Warning};

/// The annotation formats that this crate speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Format {
    /// COCO `instances.json`.
    Coco,
    /// A YOLO folder with `dataset.yaml`.
    Yolo,
    /// A Pascal VOC folder with `Annotations`.
    Voc,
    /// A KITTI folder with `label_2`.
    Kitti,
    /// A CVAT for images 1.1 XML file.
    Cvat,
    /// A Label Studio JSON file of tasks.
    LabelStudio,
    /// A FiftyOneDataset folder with `samples.json`.
    FiftyOne,
    /// A folder of Parquet tables.
    #[cfg(feature = "parquet")]
    Parquet,
}

/// Formats there are.
const N: usize = if cfg!(feature = "parquet") { 8 } else { 7 };

impl Format {
    /// All formats, in the order of reports.
    pub const ALL: [Format; N] = [
        Format::Coco,
        Format::Yolo,
        Format::Voc,
        Format::Kitti,
        Format::Cvat,
        Format::LabelStudio,
        Format::FiftyOne,
        #[cfg(feature = "parquet")]
        Format::Parquet,
    ];

    /// Name on a command line.
    ///
    /// ```
    /// use labelloop_formats::Format;
    ///
    /// assert_eq!("label-studio".parse::<Format>()?, Format::LabelStudio);
    /// assert_eq!(Format::LabelStudio.as_str(), "label-studio");
    /// assert!("excel".parse::<Format>().is_err());
    /// # Ok::<(), labelloop_formats::FormatError>(())
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Coco => "coco",
            Format::Yolo => "yolo",
            Format::Voc => "voc",
            Format::Kitti => "kitti",
            Format::Cvat => "cvat",
            Format::LabelStudio => "label-studio",
            Format::FiftyOne => "fiftyone",
            #[cfg(feature = "parquet")]
            Format::Parquet => "parquet",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        Self::ALL
            .into_iter()
            .find(|f| f.as_str() == text)
            .ok_or_else(|| FormatError::UnknownFormat { found: text.to_owned() })
    }
}

/// What a reader does where the source is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// The first thing that would be a warning ends the reading with [`FormatError::Refused`].
    Strict,
    /// Leaves out what cannot be understood and says so in a warning.
    #[default]
    Lenient,
}

/// What an image without annotations means in a format that cannot say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WithoutAnnotations {
    /// Somebody looked and there is no object.
    #[default]
    Empty,
    /// Nobody looked yet.
    Unlabelled,
}

/// How to read any format but COCO, which has [`crate::coco::ReadOptions`].
///
/// ```
/// use labelloop_formats::{ReadOptions, Strictness, WithoutAnnotations};
///
/// let options = ReadOptions::default();
/// assert_eq!(options.strictness, Strictness::Lenient);
/// assert_eq!(options.images_without_annotations, WithoutAnnotations::Empty);
/// assert_eq!(options.schema, None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadOptions {
    /// Errors or warnings.
    pub strictness: Strictness,
    /// Classes to read. `None`: those of the source; where the source lists none, the names that occur, sorted, with
    /// a warning that says so.
    pub schema: Option<ClassSchema>,
    /// Meaning of an image without annotations where the format cannot tell (CVAT).
    pub images_without_annotations: WithoutAnnotations,
}

/// What a reader understood, and what it did not.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The labelled samples.
    pub set: AnnotationSet,
    /// What was wrong or left out, in the order of the source.
    pub warnings: Vec<Warning>,
}

/// What an exporter does with the media files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaMode {
    /// Copies them.
    Copy,
    /// Makes symbolic links to them.
    Link,
    /// Leaves them where they are.
    None,
}
