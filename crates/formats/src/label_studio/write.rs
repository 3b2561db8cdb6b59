use std::path::Path;

use labelloop_core::{
    AnnotationSet, BBox, ClassIdx, ClassSchema, ImageSize, LabelledBox, SampleRecord, ScoredBox, SliceKind,
};

use super::{FROM_NAME, TO_NAME, labelling_config};
use crate::coco::Detections;
use crate::json::{self, ObjectText};
use crate::loss::{self, Holds, Losses};
use crate::{Format, FormatError, Lost, Result, Warning, files};

const HOLDS: Holds = Holds {
    unlabelled_marks: true,
    sizes: true,
    groups: true,
    captures: true,
    areas: false,
    crowds: false,
    annotators: true,
    all_label_fields: true,
    all_sample_fields: true,
    all_file_fields: false,
    label_fields: &[],
    sample_fields: &[],
    file_fields: &[],
};

/// What goes into the tasks besides the set.
///
/// ```
/// let options = labelloop_formats::label_studio::WriteOptions::default();
/// assert_eq!((options.model_version, options.image_prefix), ("labelloop", ""));
/// assert!(options.predictions.is_none());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct WriteOptions<'a> {
    /// Proposals of a model, shown to people as pre-annotations.
    pub predictions: Option<&'a Detections>,
    /// Name of that model.
    pub model_version: &'a str,
    /// What stands before the file name to make it an address, such as `/data/local-files/?d=`.
    pub image_prefix: &'a str,
}

impl Default for WriteOptions<'_> {
    fn default() -> Self {
        Self { predictions: None, model_version: "labelloop", image_prefix: "" }
    }
}

/// Writes all pictures as a list of tasks in order of sample id, one on each line, in one step; and beside it, with the
/// ending `config.xml`, the labelling configuration, which names the classes.
///
/// # Errors
/// [`FormatError::NoSize`] for a labelled sample without a size, [`FormatError::UnknownSample`] for a proposal without a
/// sample, [`FormatError::InvalidExtra`], [`FormatError::Io`], [`FormatError::ClassOutOfRange`] and
/// [`FormatError::DuplicateSample`].
pub fn write(path: &Path, set: &AnnotationSet, options: &WriteOptions<'_>) -> Result<Vec<Warning>> {
    loss::check(set)?;
    let mut pictures: Vec<&SampleRecord> =
        set.samples.iter().filter(|s| s.kind == SliceKind::Image).collect();
    pictures.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    if let Some(predictions) = options.predictions {
        loss::check_predictions(set, predictions)?;
    }
    let mut losses = Losses::of(set, pictures.iter().copied(), &HOLDS);
    losses.add(Lost::PointClouds, set.samples.len() - pictures.len());
    let tasks: Vec<String> =
        pictures.into_iter().map(|s| task(s, &set.schema, options)).collect::<Result<_>>()?;
    files::write_atomic(&path.with_extension("config.xml"), &labelling_config(&set.schema))?;
    files::write_atomic(path, &format!("{}\n", json::lines(&tasks)))?;
    Ok(losses.into_warnings(path, Format::LabelStudio))
}

fn task(sample: &SampleRecord, schema: &ClassSchema, options: &WriteOptions<'_>) -> Result<String> {
    let id = sample.id.as_str();
    let mut text = ObjectText::new();
    if let Some(given) = sample.extra.get("id").filter(|raw| serde_json::from_str::<i64>(raw).is_ok()) {
        text.raw("id", given);
    }
    text.raw("data", &data(sample, options)?);
    text.raw("annotations", &annotations(sample, schema)?);
    if let Some(found) = options.predictions.and_then(|p| p.get(&sample.id)) {
        text.raw("predictions", &prediction(sample, found, schema, options.model_version)?);
    }
    let of_task = |(key, raw): (&String, &String)| Some((key.strip_prefix("task.")?.to_owned(), raw.clone()));
    let fields = sample.extra.iter().filter_map(of_task).collect();
    text.extra(id, &fields, &["id"])?;
    Ok(text.finish())
}

fn data(sample: &SampleRecord, options: &WriteOptions<'_>) -> Result<String> {
    let mut text = ObjectText::new();
    if !sample.extra.contains_key("image") {
        text.string("image", &format!("{}{}", options.image_prefix, sample.file_name));
    }
    text.string("sample_id", sample.id.as_str()).string("file_name", &sample.file_name);
    if let Some(size) = sample.size {
        text.raw("width", &size.width().to_string()).raw("height", &size.height().to_string());
    }
    let (own, main) = (sample.id.as_str(), "main");
    let named = [("group", sample.group.as_str(), own), ("capture", sample.capture.as_str(), own)];
    for (key, value, default) in named.into_iter().chain([("slice", sample.slice.as_str(), main)]) {
        if value != default {
            text.string(key, value);
        }
    }
    let of_data = |(key, _): &(&String, &String)| {
        !key.starts_with("task.") && !matches!(key.as_str(), "id" | "annotation_fields")
    };
    let fields = sample.extra.iter().filter(of_data).map(|(k, v)| (k.clone(), v.clone())).collect();
    text.extra(own, &fields, &[])?;
    Ok(text.finish())
}

/// One annotation for each annotator, in the order in which they first occur.
fn annotations(sample: &SampleRecord, schema: &ClassSchema) -> Result<String> {
    let Some(labels) = &sample.boxes else { return Ok("[]".to_owned()) };
    let mut by_annotator: Vec<(Option<&str>, Vec<&LabelledBox>)> = Vec::new();
    for label in labels {
        let annotator = label.annotator.as_deref();
        match by_annotator.iter_mut().find(|(a, _)| *a == annotator) {
            Some((_, theirs)) => theirs.push(label),
            None => by_annotator.push((annotator, vec![label])),
        }
    }
    if by_annotator.is_empty() {
        by_annotator.push((None, Vec::new()));
    }
    let fields = sample.extra.get("annotation_fields");
    let fields: Vec<json::Object<'_>> =
        fields.and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or_default();
    let mut fields = if fields.len() == by_annotator.len() { fields } else { Vec::new() }.into_iter();
    let mut texts = Vec::new();
    let mut n_before = 0;
    for (annotator, labels) in by_annotator {
        let mut text = ObjectText::new();
        if let Some(annotator) = annotator {
            text.raw("completed_by", &completed_by(annotator));
        }
        let mut results = Vec::new();
        for label in labels {
            n_before += 1;
            results.push(rectangle(sample, label.class, label.bbox, schema, n_before, Some(label))?);
        }
        text.raw("result", &format!("[{}]", results.join(", ")));
        text.extra(sample.id.as_str(), &fields.next().unwrap_or_default().into_extra(), &[])?;
        texts.push(text.finish());
    }
    Ok(format!("[{}]", texts.join(", ")))
}

/// A number is a user of the server, anything else an address.
fn completed_by(annotator: &str) -> String {
    match annotator.parse::<i64>() {
        Ok(n) if n.to_string() == annotator => n.to_string(),
        _ => format!("{{\"email\": {}}}", json::quoted(annotator)),
    }
}

fn rectangle(
    sample: &SampleRecord,
    class: ClassIdx,
    bbox: BBox,
    schema: &ClassSchema,
    number: usize,
    label: Option<&LabelledBox>,
) -> Result<String> {
    let id = sample.id.as_str();
    let size = sample.size.ok_or_else(|| FormatError::NoSize { sample: id.to_owned() })?;
    let mut text = ObjectText::new();
    if label.is_none_or(|l| !l.extra.contains_key("id")) {
        text.string("id", &format!("box-{number}"));
    }
    text.string("type", "rectanglelabels")
        .string("from_name", FROM_NAME)
        .string("to_name", TO_NAME)
        .raw("original_width", &size.width().to_string())
        .raw("original_height", &size.height().to_string())
        .raw("image_rotation", "0")
        .raw("value", &value(bbox, size, schema.name(class).unwrap_or_default()));
    if let Some(label) = label {
        text.extra(id, &label.extra, &[])?;
    }
    Ok(text.finish())
}

fn value(bbox: BBox, size: ImageSize, class: &str) -> String {
    let [x, y, width, height] = bbox.to_relative(size).map(|share| json::number(share * 100.0));
    let mut text = ObjectText::new();
    text.raw("x", &x).raw("y", &y).raw("width", &width).raw("height", &height).raw("rotation", "0");
    text.raw("rectanglelabels", &format!("[{}]", json::quoted(class)));
    text.finish()
}

fn prediction(
    sample: &SampleRecord,
    found: &[ScoredBox],
    schema: &ClassSchema,
    model: &str,
) -> Result<String> {
    let mut results = Vec::new();
    for (i, scored) in found.iter().enumerate() {
        let mut label = LabelledBox::new(scored.class(), scored.bbox());
        label.extra.insert("score".to_owned(), json::number(scored.score()));
        label.extra.insert("id".to_owned(), json::quoted(&format!("proposal-{}", i + 1)));
        results.push(rectangle(sample, scored.class(), scored.bbox(), schema, i + 1, Some(&label))?);
    }
    let mut text = ObjectText::new();
    text.string("model_version", model);
    if !found.is_empty() {
        let mean = found.iter().map(ScoredBox::score).sum::<f64>() / found.len() as f64;
        text.raw("score", &json::number(mean));
    }
    text.raw("result", &format!("[{}]", results.join(", ")));
    Ok(format!("[{}]", text.finish()))
}
