//! COCO `instances.json`: read and written without loss, and detections in COCO's results format.
//!
//! | COCO | here |
//! |---|---|
//! | image `file_name` | `file_name`; without its ending the sample's id, see [`read`] |
//! | image `id`, annotation `id` | kept in `extra["id"]`, written back, and in [`CocoDataset::image_ids`] |
//! | image `group`, `capture`, `slice` | the record's fields of those names |
//! | image `labelloop_id` | the sample's id where the file name does not give it; ours |
//! | image `labelled_by`, `labelled_at` | `labelled_by`; ours |
//! | image `labelled: false` | `boxes: None`; ours, other programs ignore it |
//! | annotation `bbox`, `area`, `iscrowd` | `bbox`, `area` (`None` where it is that of the box), `is_crowd` |
//! | annotation `annotator` | `annotator`; ours |
//! | `categories` | the schema in order of category id; ids and other fields kept in the set's `extra["categories"]` |
//! | everything else | `extra`, as the very text it was written in |
//!
//! What goes out comes back equal, bit by bit, but for ids given to things that had none and the order of images and
//! annotations, which is that of their ids.
//!
//! Evaluation asks for less and wants it soon: [`read_rows`] and [`read_detection_rows`] give flat rows.
//!
//! COCO cannot hold point clouds and cuboids; [`write()`] counts them in its warnings.
//!
//! ```
//! use labelloop_core::{AnnotationSet, BBox, ClassSchema, Extra, ImageSize, LabelledBox, SampleRecord};
//! use labelloop_formats::coco;
//!
//! let schema = ClassSchema::new(["car", "van"])?;
//! let mut sample = SampleRecord::image("scene-1", "scene-1.png", ImageSize::new(640, 480)?)?;
//! sample.boxes = Some(vec![LabelledBox::new(schema.index("van")?, BBox::new(1.5, 2.0, 30.0, 40.0)?)]);
//! let set = AnnotationSet { schema, samples: vec![sample], extra: Extra::new() };
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("instances.json");
//! assert_eq!(coco::write(&path, &set, &coco::WriteOptions::default())?, []);
//! let back = coco::read(&path, &coco::ReadOptions::default())?;
//! assert_eq!(back.set.samples[0].boxes.as_ref().unwrap()[0].bbox, BBox::new(1.5, 2.0, 30.0, 40.0)?);
//! assert_eq!(back.category_ids, [1, 2]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod detections;
mod ids;
mod read;
mod rows;
mod write;

use std::collections::BTreeMap;
use std::fmt;

use labelloop_core::{AnnotationSet, SampleId};
use serde::{Deserialize, Serialize};

pub use detections::{Detections, read_detections, read_detections_with, write_detections};
pub use read::read;
pub use rows::{CocoRows, detection_rows_from_slice, read_detection_rows, read_rows, rows_from_slice};
pub use write::write;

use crate::{Result, Strictness, Warning, WithoutAnnotations};

/// Field of an image with the sample's id where its file name does not give it; ours.
const OUR_ID: &str = "labelloop_id";

/// An image's id in a COCO file: a whole number nearly always, a text in some.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CocoId {
    /// A whole number.
    Int(i64),
    /// A text.
    Text(String),
}

impl fmt::Display for CocoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CocoId::Int(n) => write!(f, "{n}"),
            CocoId::Text(t) => write!(f, "{t:?}"),
        }
    }
}

/// How to read a COCO file.
///
/// ```
/// use labelloop_formats::{Strictness, WithoutAnnotations, coco};
///
/// let options = coco::ReadOptions::default();
/// assert_eq!(options.strictness, Strictness::Lenient);
/// assert_eq!(options.group_key.as_deref(), Some("group"));
/// assert_eq!(options.images_without_annotations, WithoutAnnotations::Empty);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOptions {
    /// Errors or warnings.
    pub strictness: Strictness,
    /// Field of an image that names what a split keeps together: `group`, `board`, `drive`. Images without it are
    /// their own group, and so are all where this is `None`.
    pub group_key: Option<String>,
    /// Whether an image without annotations was verified to hold no object. COCO cannot tell.
    pub images_without_annotations: WithoutAnnotations,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            strictness: Strictness::Lenient,
            group_key: Some("group".to_owned()),
            images_without_annotations: WithoutAnnotations::Empty,
        }
    }
}

/// How to write a COCO file.
///
/// ```
/// assert_eq!(labelloop_formats::coco::WriteOptions::default().group_key, "group");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOptions {
    /// Field of an image for its split group.
    pub group_key: String,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { group_key: "group".to_owned() }
    }
}

/// A set with the numbers that a COCO file calls its images and classes.
#[derive(Debug, Clone, PartialEq)]
pub struct CocoDataset {
    /// The labelled samples.
    pub set: AnnotationSet,
    /// What was wrong or left out, in the order of the file.
    pub warnings: Vec<Warning>,
    /// COCO's id of each sample.
    pub image_ids: BTreeMap<SampleId, CocoId>,
    /// COCO's category id of each class, by class index.
    pub category_ids: Vec<i64>,
}

impl CocoDataset {
    /// The ids that [`write()`] gives to this set, so that detections can be written for it.
    ///
    /// # Errors
    /// [`crate::FormatError::DuplicateSample`] and [`crate::FormatError::ClassOutOfRange`] for a set that contradicts
    /// itself.
    pub fn of(set: AnnotationSet) -> Result<Self> {
        crate::loss::check(&set)?;
        let image_ids = ids::image_ids(&set).0.into_iter().map(|(s, id)| (s.clone(), id)).collect();
        let category_ids = ids::Categories::of(&set).ids;
        Ok(Self { set, warnings: Vec::new(), image_ids, category_ids })
    }
}
