//! COCO's protocol for boxes: average precision and recall over IoU thresholds, areas and detection limits,
//! bit-identical in `f64` to pycocotools 2.0.11.
//!
//! ```
//! use labelloop_core::{BBox, ClassIdx, LabelledBox, SampleId, ScoredBox};
//! use labelloop_eval::{ImageCase, coco};
//!
//! let id = SampleId::new("17")?;
//! let bbox = BBox::new(100.0, 100.0, 50.0, 50.0)?;
//! let labels = [LabelledBox::new(ClassIdx(0), bbox)];
//! let detections = [ScoredBox::new(ClassIdx(0), bbox, 0.9)?];
//! let case = ImageCase { id: &id, size: None, labels: &labels, detections: &detections };
//!
//! let result = coco::evaluate(&[case], 1, &coco::CocoParams::default())?;
//! assert_eq!(result.map(), Some(0.9999999999999998)); // as pycocotools rounds a perfect result
//! assert_eq!(result.stats[3], -1.0); // no small object
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where the numbers differ from pycocotools on purpose
//!
//! | input | pycocotools | here | why |
//! |---|---|---|---|
//! | no detections at all | crashes (`IndexError`) | precision and recall 0 where there are labels | an untrained detector is a valid one |
//! | annotation id 0 | its detection counts as a false positive | matched like any other | an id is a name, not a truth value |
//! | NaN or infinite score, score outside 0 to 1 | sorted somewhere | refused when the [`ScoredBox`] is made | no order is right |
//! | NaN or infinite box, negative width | kept, sometimes matched | refused when the [`BBox`] is made | no overlap is right |
//! | `iscrowd` or `area` missing | crashes (`KeyError`) | no crowd; area of the box | the obvious reading |
//! | NaN, infinite or negative area | in all or in no area range | [`EvalError::InvalidArea`] | same reason as for boxes |
//! | class outside the schema | left out silently | [`EvalError::ClassOutOfRange`] | a slip in class numbers must not look like a weak detector |
//! | picture listed twice | labels merged silently | [`EvalError::DuplicateImage`] | |
//! | overlap that over- or underflows to NaN | matches | does not match | |
//! | `stats` with other parameters than the default | -1 or a crash | over the largest, and the first three, of `max_dets` | a number was asked for |
//!
//! [`ScoredBox`]: labelloop_core::ScoredBox
//! [`BBox`]: labelloop_core::BBox
//! [`EvalError::InvalidArea`]: crate::EvalError::InvalidArea
//! [`EvalError::ClassOutOfRange`]: crate::EvalError::ClassOutOfRange
//! [`EvalError::DuplicateImage`]: crate::EvalError::DuplicateImage

mod accumulate;
mod kernel;
mod line;
pub(crate) mod numpy;
mod order;
mod params;
mod partial;
mod record;
mod result;
mod rows;
mod table;
mod transpose;

pub(crate) use accumulate::SPACING;
pub(crate) use line::lines;
pub(crate) use order::{by_score, detections_by_score};
pub use params::{AreaRange, CocoParams, CocoValidParams, ImageOrder};
pub use partial::{Partial, observe, observe_all};
pub use result::CocoResult;
pub use rows::{Rows, evaluate_rows};
pub use table::{ClassRow, ClassTable};

use labelloop_core::{DetectionRow, LabelRow, LabelledBox};

use crate::case::checked_by_id;
use crate::{EvalError, ImageCase, Result};

/// Evaluates detections against labels with COCO's protocol, `n_classes` classes numbered from 0.
///
/// O(detections x labels) per picture and class for the overlaps, O(n log n) per class for the sort.
///
/// # Errors
/// Those of [`CocoParams::check`]; [`crate::EvalError::ClassOutOfRange`], [`crate::EvalError::InvalidArea`] and
/// [`crate::EvalError::DuplicateImage`] for the input.
pub fn evaluate(cases: &[ImageCase<'_>], n_classes: usize, params: &CocoParams) -> Result<CocoResult> {
    let params = params.clone().check()?;
    let mut cases = checked_by_id(cases, n_classes)?;
    // Stable, so ids decide where there are no ranks and between equal ones.
    cases.sort_by_cached_key(|case| {
        let rank = params.rank(case.id);
        (rank.is_none(), rank)
    });
    let (mut labels, mut detections) = (Vec::new(), Vec::new());
    for (image, case) in (0..).zip(&cases) {
        for (index, label) in case.labels.iter().enumerate() {
            labels.push(label_row(case, image, index, label)?);
        }
        detections.extend(case.detections.iter().map(|found| DetectionRow::of(image, *found)));
    }
    let table = Rows { n_images: cases.len(), n_classes, labels: &labels, detections: &detections };
    rows::evaluate_valid(&table, &params)
}

fn label_row(case: &ImageCase<'_>, image: u32, index: usize, label: &LabelledBox) -> Result<LabelRow> {
    let mut row = LabelRow::new(image, label.class, label.bbox);
    row.is_crowd = label.is_crowd;
    let Some(area) = label.area else { return Ok(row) };
    let refused = |_| EvalError::InvalidArea { image: case.id.to_string(), index, found: area };
    row.with_area(area).map_err(refused)
}
