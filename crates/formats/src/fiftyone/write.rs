use std::path::Path;

use labelloop_core::{AnnotationSet, ClassSchema, Extra, LabelledBox, LabelledBy, SampleRecord, SliceKind};

use super::read::{group_of, size_and_more};
use super::{LABELS, SOURCE_ID};
use crate::files::StagedFolder;
use crate::json::{self, ObjectText};
use crate::loss::{self, Holds, Losses};
use crate::{Format, FormatError, Lost, Result, Warning, files, people};

const HOLDS: Holds = Holds {
    unlabelled_marks: true,
    sizes: true,
    groups: true,
    captures: true,
    areas: true,
    crowds: true,
    annotators: true,
    labelled_by: true,
    file_field: |key, raw| match key {
        "default_classes" => false,
        "media_type" => raw != "\"group\"",
        "classes" => serde_json::from_str::<json::Object<'_>>(raw)
            .is_ok_and(|by_field| !by_field.0.is_empty() && !by_field.0.contains_key(LABELS)),
        _ => true,
    },
    sample_field: holds_sample_field,
    label_field: |label, key, raw| match key {
        "_cls" | "label" | "bounding_box" | "iscrowd" | "area" | SOURCE_ID => false,
        "annotator" => people::is_foreign(raw, label.annotator.is_some()),
        _ => true,
    },
};

fn holds_sample_field(sample: &SampleRecord, key: &str, raw: &str) -> bool {
    let by = |has: fn(&LabelledBy) -> bool| sample.labelled_by.as_ref().is_some_and(has);
    match key {
        "filepath" | "sample_id" | "split_group" | "_media_type" | LABELS | SOURCE_ID => false,
        "metadata" => size_and_more(raw).is_some_and(|said| said == sample.size),
        "group" => !has_rig(sample) && group_of(raw).is_none(),
        people::BY => people::is_foreign(raw, by(|b| b.annotator.is_some())),
        people::AT => people::is_foreign(raw, by(|b| b.at.is_some())),
        _ => true,
    }
}

/// Writes all pictures as a FiftyOneDataset folder in order of sample id, one on each line; the folder is built beside its
/// place and moved there once complete. Media files are not copied: `filepath` is the sample's file name.
///
/// # Errors
/// [`FormatError::Occupied`], [`FormatError::NoSize`] for a labelled sample without a size,
/// [`FormatError::InvalidExtra`], [`FormatError::Io`], [`FormatError::ClassOutOfRange`] and
/// [`FormatError::DuplicateSample`].
pub fn write(dir: &Path, set: &AnnotationSet) -> Result<Vec<Warning>> {
    loss::check(set)?;
    let mut pictures: Vec<&SampleRecord> =
        set.samples.iter().filter(|s| s.kind == SliceKind::Image).collect();
    pictures.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let mut losses = Losses::of(set, pictures.iter().copied(), &HOLDS);
    losses.add(Lost::PointClouds, set.samples.len() - pictures.len());
    losses.add(Lost::FileNames, loss::file_names(pictures.iter().copied(), files::safe_relative)?);
    let grouped = pictures.iter().any(|s| has_rig(s));

    let samples: Vec<String> =
        pictures.into_iter().map(|s| sample_text(s, &set.schema)).collect::<Result<_>>()?;
    let folder = StagedFolder::new(dir)?;
    folder.write("samples.json", &format!("{{\"samples\": {}}}\n", json::lines(&samples)))?;
    folder.write("metadata.json", &metadata(set, grouped)?)?;
    folder.finish()?;
    Ok(losses.into_warnings(dir, Format::FiftyOne))
}

fn has_rig(sample: &SampleRecord) -> bool {
    sample.capture.as_str() != sample.id.as_str() || sample.slice != "main"
}

fn metadata(set: &AnnotationSet, grouped: bool) -> Result<String> {
    let names: Vec<String> = set.schema.names().iter().map(|n| json::quoted(n)).collect();
    let names = format!("[{}]", names.join(", "));
    let mut text = ObjectText::new();
    let extra = HOLDS.file_extra(set);
    if !extra.contains_key("media_type") && grouped {
        text.string("media_type", "group");
    }
    text.raw("default_classes", &names);
    text.extra("metadata.json", &extra, &[])?;
    Ok(format!("{}\n", text.finish()))
}

fn sample_text(sample: &SampleRecord, schema: &ClassSchema) -> Result<String> {
    let id = sample.id.as_str();
    let mut text = ObjectText::new();
    text.string("filepath", &sample.file_name).string("sample_id", id);
    if sample.group.as_str() != id {
        text.string("split_group", sample.group.as_str());
    }
    if has_rig(sample) {
        let mut group = ObjectText::new();
        group.string("_cls", "Group").string("id", sample.capture.as_str()).string("name", &sample.slice);
        text.raw("group", &group.finish());
    }
    let extra = HOLDS.sample_extra(sample);
    if let (Some(size), None) = (sample.size, extra.get("metadata")) {
        let mut metadata = ObjectText::new();
        metadata
            .string("_cls", "ImageMetadata")
            .raw("width", &size.width().to_string())
            .raw("height", &size.height().to_string());
        text.raw("metadata", &metadata.finish());
    }
    match &sample.boxes {
        None => text.raw(LABELS, "null"),
        Some(labels) => {
            let texts: Vec<String> =
                labels.iter().map(|l| detection(sample, l, schema)).collect::<Result<_>>()?;
            let mut detections = ObjectText::new();
            detections.string("_cls", "Detections").raw("detections", &format!("[{}]", texts.join(", ")));
            text.raw(LABELS, &detections.finish())
        }
    };
    people::put(&mut text, sample.labelled_by.as_ref());
    put_source_id(&mut text, &extra);
    text.extra(id, &extra, &["id"])?;
    text.string("_media_type", "image").raw("tags", "[]");
    Ok(text.finish())
}

fn detection(sample: &SampleRecord, label: &LabelledBox, schema: &ClassSchema) -> Result<String> {
    let id = sample.id.as_str();
    let size = sample.size.ok_or_else(|| FormatError::NoSize { sample: id.to_owned() })?;
    let shares = label.bbox.to_relative(size).map(json::number).join(", ");
    let mut text = ObjectText::new();
    text.string("_cls", "Detection")
        .string("label", schema.name(label.class).unwrap_or_default())
        .raw("bounding_box", &format!("[{shares}]"));
    if label.is_crowd {
        text.raw("iscrowd", "1");
    }
    if let Some(area) = label.area {
        text.raw("area", &json::number(area));
    }
    if let Some(annotator) = &label.annotator {
        text.string("annotator", annotator);
    }
    put_source_id(&mut text, &label.extra);
    text.extra(id, &HOLDS.label_extra(label), &["id"])?;
    text.raw("attributes", "{}").raw("tags", "[]");
    Ok(text.finish())
}

fn put_source_id(text: &mut ObjectText, extra: &Extra) {
    if let Some(number) = extra.get("id").filter(|raw| json::scalar_text(raw).is_some()) {
        text.raw(SOURCE_ID, number);
    }
}
