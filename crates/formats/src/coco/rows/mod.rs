//! Labels and detections as flat rows, which is what evaluation asks of a COCO file.
//!
//! Unlike [`super::read`] this keeps nothing that no metric asks for: file names, groups, masks, further fields. So a
//! picture without a file name or a size, two pictures of one file name and a box beyond its picture are no complaint
//! here. What costs a label or a detection is.

mod careful;
mod detections;
mod digits;
mod glue;
mod labels;
mod lookup;
mod number;
mod parallel;
mod records;
mod scan;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::Path;

use labelloop_core::{ClassSchema, DetectionRow, ImageSize, LabelRow};

use self::parallel::Cut;
use super::CocoId;
use crate::files::io_error;
use crate::{Result, Strictness, Warning};

/// The labels of a COCO instances file as a long table, with the pictures and classes that its rows point to.
#[derive(Debug, Clone, PartialEq)]
pub struct CocoRows {
    /// COCO's ids of the pictures, ascending: numbers first, then texts.
    pub image_ids: Vec<CocoId>,
    /// Sizes of the pictures in the order of `image_ids`; `None` where the file does not state both sides.
    pub sizes: Vec<Option<ImageSize>>,
    /// The classes in the order of their category ids.
    pub schema: ClassSchema,
    /// COCO's category id of each class, by class index; ascending.
    pub category_ids: Vec<i64>,
    /// The labels in the order of the file; `image` is a place in `image_ids`.
    pub labels: Vec<LabelRow>,
    /// What was wrong or left out, in the order in which it was looked at: categories, pictures, labels.
    pub warnings: Vec<Warning>,
}

/// Reads the labels of a COCO instances file.
///
/// A label without `area` has that of its box, one without `iscrowd` is no crowd, and `id` may be missing. Lenient
/// reading leaves out, with one warning each: pictures without a usable id or with one that is taken, labels with an
/// `id` that is taken and labels without a usable picture, class, box, area or `iscrowd`. A size that is not two whole
/// numbers of at least 1 is a warning, and the picture is kept without it.
///
/// ```
/// use labelloop_formats::{Strictness, coco};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("instances.json");
/// std::fs::write(&path, r#"{
///     "images": [{"id": 9}, {"id": 7, "width": 64, "height": 48}],
///     "categories": [{"id": 3, "name": "car"}],
///     "annotations": [{"id": 1, "image_id": 9, "category_id": 3, "bbox": [8, 8, 16, 16.5]}]
/// }"#)?;
/// let rows = coco::read_rows(&path, Strictness::Strict)?;
/// assert_eq!(rows.image_ids, [coco::CocoId::Int(7), coco::CocoId::Int(9)]);
/// assert_eq!((rows.labels[0].image, rows.labels[0].area()), (1, 264.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Complexity: O(bytes of the file); memory is the file and its rows.
///
/// # Errors
/// [`crate::FormatError::Io`], [`crate::FormatError::NotUtf8`], [`crate::FormatError::Syntax`],
/// [`crate::FormatError::Structure`], [`crate::FormatError::Schema`]; [`crate::FormatError::Refused`] for the first
/// would-be warning under [`Strictness::Strict`].
pub fn read_rows(path: &Path, strictness: Strictness) -> Result<CocoRows> {
    let bytes = fs::read(path).map_err(io_error(path))?;
    match labels::labels(&bytes, Cut::for_threads()) {
        Some(rows) => Ok(rows),
        None => careful::labels(path, bytes, strictness),
    }
}

/// [`read_rows`] from bytes in memory; the path is for messages.
///
/// # Errors
/// As [`read_rows`], but never [`crate::FormatError::Io`].
pub fn rows_from_slice(path: &Path, bytes: &[u8], strictness: Strictness) -> Result<CocoRows> {
    match labels::labels(bytes, Cut::for_threads()) {
        Some(rows) => Ok(rows),
        None => careful::labels(path, bytes.to_vec(), strictness),
    }
}

/// Reads detections in COCO's results format, a list of `{image_id, category_id, bbox, score}`, in the order of the
/// file. What cannot be understood is left out with a warning.
///
/// ```
/// use labelloop_formats::{Strictness, coco};
/// use std::path::Path;
///
/// let truth = br#"{"images": [{"id": 7}], "categories": [{"id": 3, "name": "car"}], "annotations": []}"#;
/// let rows = coco::rows_from_slice(Path::new("gt.json"), truth, Strictness::Strict)?;
/// let found = br#"[{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5},
///                  {"image_id": 8, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}]"#;
/// let (detections, warnings) =
///     coco::detection_rows_from_slice(Path::new("dt.json"), found, &rows, Strictness::Lenient)?;
/// assert_eq!(detections[0].found.score(), 0.5);
/// assert_eq!(
///     warnings[0].to_string(),
///     "dt.json, line 2: top level[1].image_id: there is no image 8; left out"
/// );
/// # Ok::<(), labelloop_formats::FormatError>(())
/// ```
///
/// Complexity: as [`read_rows`].
///
/// # Errors
/// As [`read_rows`], but never [`crate::FormatError::Schema`].
pub fn read_detection_rows(
    path: &Path,
    of: &CocoRows,
    strictness: Strictness,
) -> Result<(Vec<DetectionRow>, Vec<Warning>)> {
    let bytes = fs::read(path).map_err(io_error(path))?;
    match detections::detections(&bytes, of, Cut::for_threads()) {
        Some(rows) => Ok((rows, Vec::new())),
        None => careful::detections(path, bytes, of, strictness),
    }
}

/// [`read_detection_rows`] from bytes in memory; the path is for messages.
///
/// # Errors
/// As [`read_detection_rows`], but never [`crate::FormatError::Io`].
pub fn detection_rows_from_slice(
    path: &Path,
    bytes: &[u8],
    of: &CocoRows,
    strictness: Strictness,
) -> Result<(Vec<DetectionRow>, Vec<Warning>)> {
    match detections::detections(bytes, of, Cut::for_threads()) {
        Some(rows) => Ok((rows, Vec::new())),
        None => careful::detections(path, bytes.to_vec(), of, strictness),
    }
}
