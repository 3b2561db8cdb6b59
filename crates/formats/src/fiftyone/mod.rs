//! FiftyOne's own export (`fiftyone.types.FiftyOneDataset`): `samples.json` and `metadata.json` in one folder.
//!
//! | FiftyOne | here |
//! |---|---|
//! | `filepath` | `file_name`; without its ending the sample's id unless `sample_id` names it |
//! | `metadata.width`, `height` | `size`; without them the header of the image |
//! | `group` (id and name) | `capture` and `slice` |
//! | `split_group`, `sample_id` | `group`, `id`; ours |
//! | `labelled_by`, `labelled_at` | `labelled_by`; ours |
//! | `source_id` | `extra["id"]`: what another format numbered it with; `id` is FiftyOne's own |
//! | `ground_truth` null / empty | `boxes: None` / `Some` and empty |
//! | detection `bounding_box` in shares, `iscrowd`, `area`, `annotator` | the label's fields |
//! | other fields of a detection, `attributes` and `tags` where not empty | `extra` of the label |
//! | other fields of a sample, `tags` where not empty | `extra` of the sample |
//! | `default_classes` or `classes.ground_truth` | the schema |
//! | other fields of `metadata.json` | `extra` of the set |
//!
//! A round trip moves edges by less than 1e-9 pixels and carries everything else of the table as it was written. Where
//! there is no field `ground_truth`, the only field of detections is read, and written as `ground_truth`. Point clouds
//! are counted in the warnings.

mod read;
mod write;

pub use read::read;
pub use write::write;

const LABELS: &str = "ground_truth";
/// What another format numbered a sample or label with: `id` is FiftyOne's own.
const SOURCE_ID: &str = "source_id";
