use std::collections::BTreeMap;
use std::path::Path;

use labelloop_core::{BBox, ClassIdx, CoreError, SampleId, ScoredBox};
use serde_json::value::RawValue;

use super::read::{bbox_of, class_of};
use super::write::{bbox_text, id_text};
use super::{CocoDataset, CocoId};
use crate::json::{self, ObjectText, Record, Source};
use crate::warning::Notes;
use crate::{FormatError, Result, Strictness, Warning, WarningKind, files};

/// What a detector proposes, by sample.
pub type Detections = BTreeMap<SampleId, Vec<ScoredBox>>;

/// Reads detections in COCO's results format, a list of `{image_id, category_id, bbox, score}`, in the order of the
/// file. Samples without a detection have no entry. What cannot be understood is left out with a warning.
///
/// # Errors
/// As [`super::read`], but never [`FormatError::Refused`].
pub fn read_detections(path: &Path, dataset: &CocoDataset) -> Result<(Detections, Vec<Warning>)> {
    read_detections_with(path, dataset, Strictness::Lenient)
}

/// [`read_detections`] with a choice of strictness.
///
/// # Errors
/// As [`read_detections`]; [`FormatError::Refused`] for the first would-be warning under [`Strictness::Strict`].
pub fn read_detections_with(
    path: &Path,
    dataset: &CocoDataset,
    strictness: Strictness,
) -> Result<(Detections, Vec<Warning>)> {
    let mut notes = Notes::new(path, strictness);
    let text = json::read(path, &mut notes)?;
    let source = Source::new(path, &text);
    let samples: BTreeMap<&CocoId, &SampleId> = dataset.image_ids.iter().map(|(s, id)| (id, s)).collect();
    let classes = dataset.category_ids.iter().copied().zip((0..).map(ClassIdx)).collect();
    let list: &RawValue = source.parse_all()?;
    let mut detections = Detections::new();
    for record in source.records("top level", list, &mut notes)? {
        let line = Some(record.line);
        let found = detection(record, &samples, &classes).and_then(|d| Ok((d.image, d.scored()?)));
        match found {
            Ok((sample, scored)) => detections.entry(sample.clone()).or_default().push(scored),
            Err(kind) => notes.note(line, kind)?,
        }
    }
    Ok((detections, notes.into_warnings()))
}

/// One entry of a results file.
pub(super) struct Detection<T> {
    /// What stands for the picture.
    pub(super) image: T,
    pub(super) class: ClassIdx,
    pub(super) bbox: BBox,
    pub(super) score: f64,
    place: String,
}

impl<T> Detection<T> {
    /// What a score that is refused is told as.
    pub(super) fn refused(&self, reason: CoreError) -> WarningKind {
        WarningKind::Refused { place: format!("{}.score", self.place), reason }
    }

    fn scored(&self) -> Result<ScoredBox, WarningKind> {
        ScoredBox::new(self.class, self.bbox, self.score).map_err(|reason| self.refused(reason))
    }
}

pub(super) fn detection<T: Copy>(
    mut record: Record<'_>,
    samples: &BTreeMap<&CocoId, T>,
    classes: &BTreeMap<i64, ClassIdx>,
) -> Result<Detection<T>, WarningKind> {
    let id: CocoId = record.required("image_id", "a whole number or a text")?;
    let place = format!("{}.image_id", record.place);
    let image = *samples.get(&id).ok_or_else(|| WarningKind::UnknownImage { place, id: id.to_string() })?;
    let class = class_of(&mut record, classes)?;
    let bbox = bbox_of(&mut record)?;
    let score: f64 = record.required("score", "a number")?;
    Ok(Detection { image, class, bbox, score, place: record.place })
}

/// Writes detections in COCO's results format, in order of sample, in one step.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use labelloop_core::{AnnotationSet, BBox, ClassIdx, ClassSchema, Extra, ImageSize, SampleRecord, ScoredBox};
/// use labelloop_formats::coco::{CocoDataset, read_detections, write_detections};
///
/// let sample = SampleRecord::image("a", "a.png", ImageSize::new(64, 64)?)?;
/// let found = BTreeMap::from([(
///     sample.id.clone(),
///     vec![ScoredBox::new(ClassIdx(0), BBox::new(1.0, 2.0, 3.0, 4.0)?, 0.9)?],
/// )]);
/// let set = AnnotationSet { schema: ClassSchema::new(["car"])?, samples: vec![sample], extra: Extra::new() };
/// let dataset = CocoDataset::of(set)?;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("detections.json");
/// write_detections(&path, &found, &dataset)?;
/// assert_eq!(read_detections(&path, &dataset)?, (found, vec![]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`FormatError::UnknownSample`] and [`FormatError::ClassOutOfRange`] for detections that are not of this data set,
/// [`FormatError::Io`].
pub fn write_detections(path: &Path, detections: &Detections, dataset: &CocoDataset) -> Result<()> {
    let mut entries = Vec::new();
    for (sample, found) in detections {
        let image = dataset.image_ids.get(sample).ok_or_else(|| FormatError::UnknownSample {
            sample: sample.to_string(),
            n_samples: dataset.image_ids.len(),
        })?;
        for scored in found {
            entries.push(detection_text(image, sample, scored, &dataset.category_ids)?);
        }
    }
    let mut text = json::lines(&entries);
    text.push('\n');
    files::write_atomic(path, &text)
}

fn detection_text(
    image: &CocoId,
    sample: &SampleId,
    scored: &ScoredBox,
    categories: &[i64],
) -> Result<String> {
    let category = categories.get(scored.class().as_usize()).ok_or_else(|| FormatError::ClassOutOfRange {
        sample: sample.to_string(),
        class: scored.class().0,
        n_classes: categories.len(),
    })?;
    let mut text = ObjectText::new();
    text.raw("image_id", &id_text(image))
        .raw("category_id", &category.to_string())
        .raw("bbox", &bbox_text(scored.bbox()))
        .raw("score", &json::number(scored.score()));
    Ok(text.finish())
}
