//! Labels and detections as flat rows, which is what evaluation asks of a COCO file.
//!
//! Unlike [`super::read`] this keeps nothing that no metric asks for: file names, groups, masks, further fields. So a
//! picture without a file name or a size, two pictures of one file name and a box beyond its picture are no complaint
//! here. What costs a label or a detection is.
//!
//! Two roads lead to the rows, and they agree:
//!
//! - The fast road passes over the bytes once. It reads files that are plain in every respect, written in any order of
//!   fields and with any white space, and steps aside at the first thing that is not: text that is not JSON, a key given
//!   twice, an escape in a key, `null` for a field that is read, an id that is taken or not there, a number out of its
//!   range, values nested more than 128 deep, a byte order mark. It says nothing about what it found.
//! - The careful road then reads the whole file and judges it, with file, line, value and expectation.
//!
//! What the fast road accepts the careful one would accept without a warning and give the same rows for, bit by bit;
//! tests hold them against each other on files of many makes and on spoilt ones. All parts of the fast road are safe
//! code, and its result is the same at any number of threads.
//!
//! Why a scanner of our own: with one thread of an AMD EPYC, in memory, for 36,781 labels (6.2 MB), the same with
//! polygons (18.5 MB) and 73,562 detections (8.0 MB), in MB/s:
//!
//! | | labels | with polygons | detections |
//! |---|---|---|---|
//! | this scanner, to rows | 1050 | 1200 | 1040 |
//! | serde_json 1.0.154, to borrowing types | 420 | 580 | 380 |
//! | sonic-rs 0.5.10, the same | 370 | 230 | 350 |
//! | simd-json 0.17.3, the same, and the copy that it writes to | 240 | 210 | 180 |
//!
//! The SIMD parsers were built portably, as ours is, so they cannot count on the newest instructions; beside speed they
//! would not see a key that occurs twice. `examples/read_rows.rs` takes the figures for this scanner and serde_json.

mod blocks;
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
/// reading leaves out, with one warning each: pictures without a usable id or with one that is taken and labels without
/// a usable picture, class, box, area or `iscrowd`; labels that share an `id` are kept with a warning. A size that is not two whole
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
/// Complexity: O(bytes of the file), and O(n log n) in ids that are far apart; memory is the file and its rows for a plain
/// file, a small multiple of it for others.
///
/// # Errors
/// [`crate::FormatError::Io`], [`crate::FormatError::NotUtf8`], [`crate::FormatError::Syntax`],
/// [`crate::FormatError::Structure`], [`crate::FormatError::Schema`]; [`crate::FormatError::Refused`] for the first
/// would-be warning under [`Strictness::Strict`].
pub fn read_rows(path: &Path, strictness: Strictness) -> Result<CocoRows> {
    let bytes = fs::read(path).map_err(io_error(path))?;
    match labels::labels(&bytes, Cut::for_threads(bytes.len())) {
        Some(rows) => Ok(rows),
        None => careful::labels(path, bytes, strictness),
    }
}

/// [`read_rows`] from bytes in memory; the path is for messages.
///
/// # Errors
/// As [`read_rows`], but never [`crate::FormatError::Io`].
pub fn rows_from_slice(path: &Path, bytes: &[u8], strictness: Strictness) -> Result<CocoRows> {
    match labels::labels(bytes, Cut::for_threads(bytes.len())) {
        Some(rows) => Ok(rows),
        None => careful::labels(path, bytes.to_vec(), strictness),
    }
}

/// Reads detections in COCO's results format, a list of `{image_id, category_id, bbox, score}`, in the order of the
/// file. A score may be any finite number. What cannot be understood is left out with a warning.
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
/// assert_eq!(detections[0].score(), 0.5);
/// assert_eq!(
///     warnings[0].to_string(),
///     "dt.json, line 2: top level[1].image_id: there is no image 8; left out"
/// );
/// # Ok::<(), labelloop_formats::FormatError>(())
/// ```
///
/// Complexity: as [`read_rows`]; a long file that is plain is read block by block, so memory is its rows.
///
/// # Errors
/// As [`read_rows`], but never [`crate::FormatError::Schema`].
pub fn read_detection_rows(
    path: &Path,
    of: &CocoRows,
    strictness: Strictness,
) -> Result<(Vec<DetectionRow>, Vec<Warning>)> {
    if let Some(rows) = blocks::detections_of_file(path, of).map_err(io_error(path))? {
        return Ok((rows, Vec::new()));
    }
    let bytes = fs::read(path).map_err(io_error(path))?;
    match detections::detections(&bytes, of, Cut::for_threads(bytes.len())) {
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
    match detections::detections(bytes, of, Cut::for_threads(bytes.len())) {
        Some(rows) => Ok((rows, Vec::new())),
        None => careful::detections(path, bytes.to_vec(), of, strictness),
    }
}
