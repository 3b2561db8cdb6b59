use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{CaptureId, ClassSchema, GroupKey, ImageSize, LabelledBox, LabelledCuboid, SampleId};

/// What a format said beyond the fields we know: JSON text by key. Kept so that a round trip loses nothing.
pub type Extra = BTreeMap<String, String>;

/// What kind of medium a slice of a capture is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SliceKind {
    /// A picture.
    Image,
    /// A point cloud.
    PointCloud,
}

/// One picture or point cloud as formats read it and datasets take it in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleRecord {
    /// Stable name of the sample.
    pub id: SampleId,
    /// What was recorded at the same instant; a lone picture is its own capture.
    pub capture: CaptureId,
    /// The unit that a split keeps together; a lone picture is its own group.
    pub group: GroupKey,
    /// Name of this slice within its capture: `left`, `right`, `pcd`; `main` where there is only one.
    pub slice: String,
    /// Picture or point cloud.
    pub kind: SliceKind,
    /// Media file, relative to the media folder, with forward slashes.
    pub file_name: String,
    /// Pixels, for a picture.
    pub size: Option<ImageSize>,
    /// Labels of the picture. `None`: nobody looked yet. `Some` and empty: verified to hold no object.
    pub boxes: Option<Vec<LabelledBox>>,
    /// Labels of the point cloud, with the same meaning of `None`.
    pub cuboids: Option<Vec<LabelledCuboid>>,
    /// Who answered for the labels and when, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labelled_by: Option<LabelledBy>,
    /// Fields of the source that we do not interpret.
    pub extra: Extra,
}

/// Who looked at a sample as a whole, and when: also "there is nothing here" has an author.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LabelledBy {
    /// Name or number of the person, or of the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotator: Option<String>,
    /// When, as the labelling tool wrote it; RFC 3339 in all tools that we know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

impl LabelledBy {
    /// Somebody, at an unknown time.
    pub fn person(annotator: impl Into<String>) -> Self {
        Self { annotator: Some(annotator.into()), at: None }
    }
}

impl SampleRecord {
    /// A lone picture: its own capture and group, slice `main`, no labels yet.
    ///
    /// # Errors
    /// [`crate::CoreError::InvalidId`] when the id is not a valid name.
    pub fn image(id: &str, file_name: impl Into<String>, size: ImageSize) -> crate::Result<Self> {
        let id = SampleId::new(id)?;
        let capture = CaptureId::from(&id);
        let group = GroupKey::from(&capture);
        Ok(Self {
            id,
            capture,
            group,
            slice: "main".to_owned(),
            kind: SliceKind::Image,
            file_name: file_name.into(),
            size: Some(size),
            boxes: None,
            cuboids: None,
            labelled_by: None,
            extra: Extra::new(),
        })
    }
}

/// A set of labelled samples with the schema that their class numbers refer to: what every reader returns and every
/// writer takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnnotationSet {
    /// Classes in order.
    pub schema: ClassSchema,
    /// Samples in the order of the source.
    pub samples: Vec<SampleRecord>,
    /// Fields of the file itself that we do not interpret.
    pub extra: Extra,
}

impl AnnotationSet {
    /// Number of labelled boxes over all samples.
    pub fn n_boxes(&self) -> usize {
        self.samples.iter().filter_map(|s| s.boxes.as_ref()).map(Vec::len).sum()
    }
}
