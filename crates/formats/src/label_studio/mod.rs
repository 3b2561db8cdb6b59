//! Label Studio: a JSON list of tasks with rectangles in percent, model proposals as pre-annotations, and the labelling
//! configuration of a schema.
//!
//! | Label Studio | here |
//! |---|---|
//! | `data.image` | `file_name`, without scheme, host and `?d=`; kept in `extra["image"]` where it says more |
//! | `data.sample_id`, `group`, `capture`, `slice`, `width`, `height` | the record's fields; ours |
//! | other fields of `data` | `extra`, as they were written |
//! | other fields of the task, among them `predictions` | `extra["task.<field>"]`, as they were written |
//! | no annotation / an empty one | `boxes: None` / `Some` and empty |
//! | `completed_by` | `annotator` of the labels; with `updated_at` the sample's `labelled_by`, the last where there are several |
//! | other fields of annotations | `extra["annotation_fields"]` |
//! | other fields of a rectangle, among them its `id` | `extra` of the label |
//!
//! A round trip moves edges by less than 1e-9 pixels, carries all of the table, and orders the labels of one task by
//! annotator. Stated areas and crowd marks are counted in the warnings of [`write()`].

mod read;
mod write;

use labelloop_core::{ClassSchema, LabelledBy};

pub use read::{read, read_predictions};
pub use write::{WriteOptions, write};

use crate::xml::escape;

/// Key of the fields of annotations, in `extra` of the sample.
const FIELDS: &str = "annotation_fields";
const UPDATED: &str = "updated_at";
/// What the format itself says of a rectangle.
const OF_RESULT: [&str; 7] =
    ["type", "from_name", "to_name", "original_width", "original_height", "image_rotation", "value"];

/// Who made an annotation and when it was last changed.
#[derive(Debug, Clone, Default)]
struct Said {
    annotator: Option<String>,
    at: Option<String>,
}

/// Who answered for the sample: who made its annotation, or of several the one that was changed last. Several without
/// times tell nobody.
fn last_of(said: &[Said]) -> Option<LabelledBy> {
    let last = match said {
        [only] => only,
        several => several.iter().filter(|s| s.at.is_some()).max_by_key(|s| &s.at)?,
    };
    let Said { annotator, at } = last.clone();
    (annotator.is_some() || at.is_some()).then_some(LabelledBy { annotator, at })
}

/// The text that a JSON string holds.
fn text_in(raw: &str) -> Option<String> {
    serde_json::from_str(raw).ok()
}

const FROM_NAME: &str = "label";
const TO_NAME: &str = "image";

/// The labelling configuration of a schema: rectangles with the classes in order.
///
/// ```
/// use labelloop_core::ClassSchema;
/// use labelloop_formats::label_studio::labelling_config;
///
/// let config = labelling_config(&ClassSchema::new(["car", "a < b"])?);
/// assert!(config.contains("<Label value=\"a &lt; b\"/>"));
/// # Ok::<(), labelloop_core::CoreError>(())
/// ```
pub fn labelling_config(schema: &ClassSchema) -> String {
    let labels: String =
        schema.names().iter().map(|n| format!("    <Label value=\"{}\"/>\n", escape(n))).collect();
    format!(
        "<View>\n  <Image name=\"{TO_NAME}\" value=\"$image\"/>\n  \
         <RectangleLabels name=\"{FROM_NAME}\" toName=\"{TO_NAME}\">\n{labels}  </RectangleLabels>\n</View>\n"
    )
}
