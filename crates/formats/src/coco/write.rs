use std::path::Path;

use labelloop_core::{AnnotationSet, LabelledBox, LabelledBy, SampleRecord, SliceKind};

use super::ids::{AnnotationIds, CATEGORIES, Categories, image_ids};
use super::{CocoId, OUR_ID, WriteOptions};
use crate::json::{self, ObjectText};
use crate::loss::{self, Holds, Losses};
use crate::{Format, Lost, Result, Warning, files, people};

pub(super) const HOLDS: Holds = Holds {
    unlabelled_marks: true,
    sizes: true,
    groups: true,
    captures: true,
    areas: true,
    crowds: true,
    annotators: true,
    labelled_by: true,
    file_field: |key, _| !matches!(key, "images" | "annotations"),
    sample_field: holds_sample_field,
    label_field: |label, key, raw| match key {
        "image_id" | "category_id" | "bbox" | "area" | "iscrowd" => false,
        "annotator" => people::is_foreign(raw, label.annotator.is_some()),
        _ => true,
    },
};

/// A field that is called like one of ours comes back where a reader can tell it from ours.
fn holds_sample_field(sample: &SampleRecord, key: &str, raw: &str) -> bool {
    let own = sample.id.as_str();
    match key {
        "file_name" | "width" | "height" | OUR_ID => false,
        "labelled" => sample.boxes.is_some() && !matches!(raw, "true" | "false"),
        "group" => stays(raw, sample.group.as_str(), own),
        "capture" => stays(raw, sample.capture.as_str(), own),
        "slice" => stays(raw, &sample.slice, "main"),
        people::BY => people::is_foreign(raw, by(sample, |b| b.annotator.is_some())),
        people::AT => people::is_foreign(raw, by(sample, |b| b.at.is_some())),
        _ => true,
    }
}

/// A number that names the group stays a number; what names nothing stays where there is nothing to name.
fn stays(raw: &str, value: &str, default: &str) -> bool {
    match json::scalar_text(raw).filter(|text| !text.is_empty()) {
        Some(text) => text == value && json::quoted(&text) != raw,
        None => value == default,
    }
}

fn by(sample: &SampleRecord, has: impl Fn(&LabelledBy) -> bool) -> bool {
    sample.labelled_by.as_ref().is_some_and(has)
}

/// Writes a set as a COCO instances file, in one step: a reader sees the old file or the new one.
///
/// Ids that a source gave are kept; the others are counted up from 1 in order of sample id, so they do not depend on the
/// order of the samples. Images and annotations are sorted by id, one on each line. Images without labels are written,
/// those that nobody looked at with `"labelled": false`. `area` is always written.
///
/// Returns what COCO cannot hold, counted by kind: point clouds, cuboids, ids that are taken.
///
/// Complexity: O(n log n) in images and annotations.
///
/// # Errors
/// [`crate::FormatError::Io`]; [`crate::FormatError::ClassOutOfRange`], [`crate::FormatError::DuplicateSample`] and
/// [`crate::FormatError::InvalidExtra`] for a set that contradicts itself.
pub fn write(path: &Path, set: &AnnotationSet, options: &WriteOptions) -> Result<Vec<Warning>> {
    loss::check(set)?;
    let pictures: Vec<&SampleRecord> = set.samples.iter().filter(|s| s.kind == SliceKind::Image).collect();
    let mut losses = Losses::of(set, pictures.iter().copied(), &HOLDS);
    losses.add(Lost::FileNames, loss::file_names(pictures.iter().copied(), files::safe_relative)?);
    losses.add(Lost::PointClouds, set.samples.len() - pictures.len());

    let categories = Categories::of(set);
    let (ids, n_lost) = image_ids(set);
    losses.add(Lost::Ids, n_lost);
    let mut pictures: Vec<(&CocoId, &SampleRecord)> =
        pictures.into_iter().filter_map(|s| ids.get(&s.id).map(|id| (id, s))).collect();
    pictures.sort_unstable_by_key(|(id, _)| *id);

    let names: Vec<String> =
        pictures.iter().filter_map(|(_, s)| files::safe_relative(&s.file_name)).collect();
    let derived = files::sample_names(names.iter().map(String::as_str));
    let mut images = Vec::with_capacity(pictures.len());
    for ((id, sample), derived) in pictures.iter().zip(&derived) {
        images.push(image_text(id, sample, derived, options)?);
    }
    let (annotations, n_lost) = annotation_texts(&pictures, &categories)?;
    losses.add(Lost::Ids, n_lost);

    let mut top = ObjectText::new();
    top.extra("top level", &HOLDS.file_extra(set), &[CATEGORIES])?;
    top.raw("images", &json::lines(&images));
    top.raw("annotations", &json::lines(&annotations));
    top.raw(CATEGORIES, &json::lines(&category_texts(set, &categories)?));
    let mut text = top.finish();
    text.push('\n');
    files::write_atomic(path, &text)?;
    Ok(losses.into_warnings(path, Format::Coco))
}

pub(super) fn id_text(id: &CocoId) -> String {
    match id {
        CocoId::Int(n) => n.to_string(),
        CocoId::Text(t) => json::quoted(t),
    }
}

fn image_text(id: &CocoId, sample: &SampleRecord, derived: &str, options: &WriteOptions) -> Result<String> {
    let mut text = ObjectText::new();
    text.raw("id", &id_text(id)).string("file_name", &sample.file_name);
    if let Some(size) = sample.size {
        text.raw("width", &size.width().to_string()).raw("height", &size.height().to_string());
    }
    let own = sample.id.as_str();
    if own != derived {
        text.string(OUR_ID, own);
    }
    let named = [
        (options.group_key.as_str(), sample.group.as_str(), own),
        ("capture", sample.capture.as_str(), own),
        ("slice", sample.slice.as_str(), "main"),
    ];
    for (key, value, default) in named {
        // A number that named the group is still in extra, as a number, and is written from there.
        let as_given = sample.extra.get(key).and_then(|raw| json::scalar_text(raw));
        if value != default && as_given.as_deref() != Some(value) {
            text.string(key, value);
        }
    }
    if sample.boxes.is_none() {
        text.raw("labelled", "false");
    }
    people::put(&mut text, sample.labelled_by.as_ref());
    text.extra(own, &HOLDS.sample_extra(sample), &["id"])?;
    Ok(text.finish())
}

/// All annotations in order of id, and how many kept ids could not be used.
fn annotation_texts(
    pictures: &[(&CocoId, &SampleRecord)],
    categories: &Categories,
) -> Result<(Vec<String>, usize)> {
    let mut ids = AnnotationIds::default();
    let mut labels: Vec<(Option<i64>, &CocoId, &SampleRecord, &LabelledBox)> = Vec::new();
    for (image, sample) in pictures {
        for label in sample.boxes.iter().flatten() {
            labels.push((ids.kept(&label.extra), image, sample, label));
        }
    }
    let mut texts = Vec::with_capacity(labels.len());
    for (kept, image, sample, label) in labels {
        let id = kept.unwrap_or_else(|| ids.fresh());
        texts.push((id, annotation_text(id, image, sample, label, categories)?));
    }
    texts.sort_unstable_by_key(|(id, _)| *id);
    Ok((texts.into_iter().map(|(_, text)| text).collect(), ids.n_lost))
}

fn annotation_text(
    id: i64,
    image: &CocoId,
    sample: &SampleRecord,
    label: &LabelledBox,
    categories: &Categories,
) -> Result<String> {
    let mut text = ObjectText::new();
    text.raw("id", &id.to_string())
        .raw("image_id", &id_text(image))
        .raw("category_id", &categories.ids[label.class.as_usize()].to_string())
        .raw("bbox", &bbox_text(label.bbox))
        .raw("area", &json::number(label.effective_area()))
        .raw("iscrowd", if label.is_crowd { "1" } else { "0" });
    if let Some(annotator) = &label.annotator {
        text.string("annotator", annotator);
    }
    text.extra(sample.id.as_str(), &HOLDS.label_extra(label), &["id"])?;
    Ok(text.finish())
}

pub(super) fn bbox_text(bbox: labelloop_core::BBox) -> String {
    format!("[{}]", bbox.to_xywh().map(json::number).join(", "))
}

fn category_texts(set: &AnnotationSet, categories: &Categories) -> Result<Vec<String>> {
    let mut order: Vec<usize> = (0..categories.ids.len()).collect();
    order.sort_unstable_by_key(|i| categories.ids[*i]);
    let text_of = |i: &usize| {
        let mut text = ObjectText::new();
        text.raw("id", &categories.ids[*i].to_string()).string("name", &set.schema.names()[*i]);
        text.extra("categories", &categories.extra[*i], &[])?;
        Ok(text.finish())
    };
    order.iter().map(text_of).collect()
}
