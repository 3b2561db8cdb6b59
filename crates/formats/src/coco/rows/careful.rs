//! The careful road: every record as text first, every complaint with its line. It alone judges unusual files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use labelloop_core::{ClassIdx, DetectionRow, ImageSize, LabelRow};
use serde_json::value::RawValue;

use super::CocoRows;
use crate::coco::detections::detection;
use crate::coco::read::{Categories, ID, Reader, area_of, bbox_of, class_of, crowd_of, note_shared_id};
use crate::coco::{CocoId, ReadOptions};
use crate::json::{self, Object, Record, Source};
use crate::warning::Notes;
use crate::{Result, Strictness, Warning, WarningKind, files};

/// Labels from the bytes of an instances file.
pub(super) fn labels(path: &Path, bytes: Vec<u8>, strictness: Strictness) -> Result<CocoRows> {
    let mut notes = Notes::new(path, strictness);
    let text = json::without_words(files::text_of(path, bytes)?, &mut notes)?;
    let source = Source::new(path, &text);
    let mut top: Object<'_> = source.parse_all()?;
    let options = ReadOptions::default();
    let categories = Reader { source: &source, notes: &mut notes, options: &options }.categories(&mut top)?;
    let images = images(&source, &mut top, &mut notes)?;
    let labels = annotations(&source, &mut top, &categories, &images, &mut notes)?;
    let (image_ids, sizes) = images.into_iter().unzip();
    let Categories { schema, ids: category_ids, .. } = categories;
    Ok(CocoRows { image_ids, sizes, schema, category_ids, labels, warnings: notes.into_warnings() })
}

/// Detections from the bytes of a results file.
pub(super) fn detections(
    path: &Path,
    bytes: Vec<u8>,
    of: &CocoRows,
    strictness: Strictness,
) -> Result<(Vec<DetectionRow>, Vec<Warning>)> {
    let mut notes = Notes::new(path, strictness);
    let text = json::without_words(files::text_of(path, bytes)?, &mut notes)?;
    let source = Source::new(path, &text);
    let images: BTreeMap<&CocoId, u32> = of.image_ids.iter().zip(0..).collect();
    let classes: BTreeMap<i64, ClassIdx> = of.category_ids.iter().copied().zip((0..).map(ClassIdx)).collect();
    let list: &RawValue = source.parse_all()?;
    let mut rows = Vec::new();
    for record in source.records("top level", list, &mut notes)? {
        let line = Some(record.line);
        let row = detection(record, &images, &classes).and_then(|d| {
            DetectionRow::new(d.image, d.class, d.bbox, d.score).map_err(|reason| d.refused(reason))
        });
        match row {
            Ok(row) => rows.push(row),
            Err(kind) => notes.note(line, kind)?,
        }
    }
    Ok((rows, notes.into_warnings()))
}

/// Sizes by id, which puts the pictures in the order of their ids.
fn images<'a>(
    source: &Source<'a>,
    top: &mut Object<'a>,
    notes: &mut Notes,
) -> Result<BTreeMap<CocoId, Option<ImageSize>>> {
    let list = top.take("images").ok_or_else(|| source.structure("images", "a list"))?;
    let mut images = BTreeMap::new();
    for mut record in source.records("images", list, notes)? {
        let id: CocoId = match record.required("id", ID) {
            Ok(id) => id,
            Err(kind) => {
                notes.note(Some(record.line), kind)?;
                continue;
            }
        };
        if images.contains_key(&id) {
            let kind = WarningKind::DuplicateId { place: record.place, id: id.to_string() };
            notes.note(Some(record.line), kind)?;
            continue;
        }
        let size = match size(&mut record) {
            Ok(size) => size,
            Err(kind) => notes.note(Some(record.line), kind).map(|()| None)?,
        };
        images.insert(id, size);
    }
    Ok(images)
}

/// A size that is not stated in full is no complaint, for no metric asks for it; one that is stated wrongly is.
fn size(record: &mut Record<'_>) -> Result<Option<ImageSize>, WarningKind> {
    const EXPECTED: &str = "a whole number from 1 to 4294967295";
    let width: Option<u32> = record.optional("width", EXPECTED)?;
    let height: Option<u32> = record.optional("height", EXPECTED)?;
    let (Some(width), Some(height)) = (width, height) else { return Ok(None) };
    let refused = |reason| WarningKind::Refused { place: record.place.clone(), reason };
    ImageSize::new(width, height).map(Some).map_err(refused)
}

fn annotations<'a>(
    source: &Source<'a>,
    top: &mut Object<'a>,
    categories: &Categories,
    images: &BTreeMap<CocoId, Option<ImageSize>>,
    notes: &mut Notes,
) -> Result<Vec<LabelRow>> {
    let mut rows = Vec::new();
    let Some(list) = top.take("annotations") else {
        let place = "top level".to_owned();
        notes.note(None, WarningKind::MissingField { place, field: "annotations" })?;
        return Ok(rows);
    };
    let index: BTreeMap<&CocoId, u32> = images.keys().zip(0..).collect();
    let mut seen = BTreeSet::new();
    for record in source.records("annotations", list, notes)? {
        let line = record.line;
        note_shared_id(&record, &mut seen, notes)?;
        match label(record, &index, &categories.index) {
            Ok(row) => rows.push(row),
            Err(kind) => notes.note(Some(line), kind)?,
        }
    }
    Ok(rows)
}

fn label(
    mut record: Record<'_>,
    images: &BTreeMap<&CocoId, u32>,
    classes: &BTreeMap<i64, ClassIdx>,
) -> Result<LabelRow, WarningKind> {
    let id: CocoId = record.required("image_id", ID)?;
    let place = format!("{}.image_id", record.place);
    let image = *images.get(&id).ok_or_else(|| WarningKind::UnknownImage { place, id: id.to_string() })?;
    let class = class_of(&mut record, classes)?;
    let bbox = bbox_of(&mut record)?;
    let mut row = LabelRow::new(image, class, bbox);
    if let Some(area) = area_of(&mut record)? {
        let refused = |reason| WarningKind::Refused { place: format!("{}.area", record.place), reason };
        row = row.with_area(area).map_err(refused)?;
    }
    row.is_crowd = crowd_of(&mut record)?;
    Ok(row)
}
