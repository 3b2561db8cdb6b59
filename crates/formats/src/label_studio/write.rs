use std::path::Path;

use labelloop_core::{
    AnnotationSet, BBox, Extra, ImageSize, LabelledBox, SampleRecord, ScoredBox, SliceKind,
};

use super::{FIELDS, FROM_NAME, OF_RESULT, Said, TO_NAME, UPDATED, labelling_config, last_of, text_in};
use crate::coco::Detections;
use crate::json::{self, ObjectText};
use crate::loss::{self, Holds, Losses};
use crate::{Format, FormatError, Lost, Result, Warning, files, people};

const HOLDS: Holds = Holds {
    unlabelled_marks: true,
    sizes: true,
    groups: true,
    captures: true,
    annotators: true,
    labelled_by: true,
    sample_field: holds_sample_field,
    label_field: |_, key, _| !OF_RESULT.contains(&key),
    ..Holds::NOTHING
};

fn holds_sample_field(sample: &SampleRecord, key: &str, raw: &str) -> bool {
    match key {
        "image" => serde_json::from_str::<String>(raw).is_ok_and(|image| image != sample.file_name),
        "sample_id" | "file_name" | "width" | "height" | "group" | "capture" | "slice" => false,
        people::BY | people::AT => people::is_foreign(raw, sample.labelled_by.is_some()),
        FIELDS => fields_of_annotations(sample).is_some(),
        key => match key.strip_prefix("task.") {
            Some(field) => !matches!(field, "id" | "data" | "annotations"),
            None => true,
        },
    }
}

/// Kept fields of the annotations that will be written, where there is one object for each.
fn fields_of_annotations(sample: &SampleRecord) -> Option<Vec<json::Object<'_>>> {
    let fields: Vec<json::Object<'_>> = serde_json::from_str(sample.extra.get(FIELDS)?).ok()?;
    let n_written = by_annotator(sample)?.len();
    let is_free = |o: &json::Object<'_>| {
        let cancelled = o.0.get("was_cancelled").is_some_and(|raw| raw.get() != "false");
        let ours = ["completed_by", "result"].iter().any(|key| o.0.contains_key(*key));
        // The time of a lone annotation is the sample's.
        let timed = o.0.get(UPDATED).is_some_and(|raw| raw.get().starts_with('"'));
        !(cancelled || ours || n_written == 1 && timed)
    };
    let says_any = fields.iter().any(|o| !o.0.is_empty());
    (fields.len() == n_written && says_any && fields.iter().all(is_free)).then_some(fields)
}

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
    for sample in &pictures {
        if options.predictions.is_some_and(|p| p.contains_key(&sample.id)) {
            let kept = sample.extra.contains_key("task.predictions");
            losses.add(Lost::OlderProposals, usize::from(kept));
        }
    }
    losses.add(Lost::FileNames, loss::file_names(pictures.iter().copied(), files::safe_relative)?);
    let (words, n_changed) = loss::class_words(&set.schema, crate::xml::as_attribute)?;
    losses.add(Lost::ClassNames, n_changed);
    let tasks: Vec<String> = pictures.into_iter().map(|s| task(s, &words, options)).collect::<Result<_>>()?;
    files::write_atomic(&path.with_extension("config.xml"), &labelling_config(&set.schema))?;
    files::write_atomic(path, &format!("{}\n", json::lines(&tasks)))?;
    Ok(losses.into_warnings(path, Format::LabelStudio))
}

fn task(sample: &SampleRecord, words: &[String], options: &WriteOptions<'_>) -> Result<String> {
    let id = sample.id.as_str();
    let extra = HOLDS.sample_extra(sample);
    let mut text = ObjectText::new();
    if let Some(given) = sample.extra.get("id").filter(|raw| serde_json::from_str::<i64>(raw).is_ok()) {
        text.raw("id", given);
    }
    let annotations = annotations(sample, words)?;
    text.raw("data", &data(sample, &extra, annotations.tells_who, options)?);
    text.raw("annotations", &annotations.text);
    if let Some(found) = options.predictions.and_then(|p| p.get(&sample.id)) {
        text.raw("predictions", &prediction(sample, found, words, options.model_version)?);
    }
    let of_task = |(key, raw): (&String, &String)| Some((key.strip_prefix("task.")?.to_owned(), raw.clone()));
    let fields = extra.iter().filter_map(of_task).collect();
    text.extra(id, &fields, &[])?;
    Ok(text.finish())
}

fn data(sample: &SampleRecord, extra: &Extra, tells_who: bool, options: &WriteOptions<'_>) -> Result<String> {
    let mut text = ObjectText::new();
    let file_name = files::safe_relative(&sample.file_name)
        .ok_or_else(|| FormatError::UnsafeName { name: sample.file_name.clone() })?;
    if !extra.contains_key("image") {
        text.string("image", &format!("{}{file_name}", options.image_prefix));
    }
    text.string("sample_id", sample.id.as_str()).string("file_name", &file_name);
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
    if !tells_who {
        people::put(&mut text, sample.labelled_by.as_ref());
    }
    let of_data =
        |(key, _): &(&String, &String)| !key.starts_with("task.") && !matches!(key.as_str(), "id" | FIELDS);
    let fields = extra.iter().filter(of_data).map(|(k, v)| (k.clone(), v.clone())).collect();
    text.extra(own, &fields, &[])?;
    Ok(text.finish())
}

/// The labels of each annotator, in the order in which they first occur; one annotation without labels where somebody
/// looked and there is no object.
fn by_annotator(sample: &SampleRecord) -> Option<Vec<(Option<&str>, Vec<&LabelledBox>)>> {
    let mut by_annotator: Vec<(Option<&str>, Vec<&LabelledBox>)> = Vec::new();
    for label in sample.boxes.as_ref()? {
        let annotator = label.annotator.as_deref();
        match by_annotator.iter_mut().find(|(a, _)| *a == annotator) {
            Some((_, theirs)) => theirs.push(label),
            None => by_annotator.push((annotator, vec![label])),
        }
    }
    if by_annotator.is_empty() {
        let who = sample.labelled_by.as_ref().and_then(|by| by.annotator.as_deref());
        by_annotator.push((who, Vec::new()));
    }
    Some(by_annotator)
}

struct Annotations {
    text: String,
    /// Whether there is an annotation to say who labelled.
    tells_who: bool,
}

fn annotations(sample: &SampleRecord, words: &[String]) -> Result<Annotations> {
    let Some(by_annotator) = by_annotator(sample) else {
        return Ok(Annotations { text: "[]".to_owned(), tells_who: false });
    };
    let n = by_annotator.len();
    let mut fields = fields_of_annotations(sample).unwrap_or_default();
    fields.resize_with(n, json::Object::default);
    let at = sample.labelled_by.as_ref().and_then(|by| by.at.clone()).filter(|_| n == 1);
    let said: Vec<Said> = by_annotator
        .iter()
        .zip(&fields)
        .map(|((annotator, _), fields)| Said {
            annotator: annotator.map(str::to_owned),
            at: at.clone().or_else(|| fields.0.get(UPDATED).and_then(|raw| text_in(raw.get()))),
        })
        .collect();
    let differs = last_of(&said) != sample.labelled_by;
    let (mut texts, mut n_before) = (Vec::new(), 0);
    for (i, ((annotator, labels), fields)) in by_annotator.into_iter().zip(fields).enumerate() {
        let mut text = ObjectText::new();
        if let Some(annotator) = annotator {
            text.raw("completed_by", &completed_by(annotator));
        }
        if let Some(at) = &at {
            text.string(UPDATED, at);
        }
        if i == 0 && differs {
            people::put(&mut text, sample.labelled_by.as_ref());
            text.raw(people::BY, "null");
        }
        let mut results = Vec::new();
        for label in labels {
            n_before += 1;
            results.push(rectangle(sample, label, words, n_before)?);
        }
        text.raw("result", &format!("[{}]", results.join(", ")));
        text.extra(sample.id.as_str(), &fields.into_extra(), &[])?;
        texts.push(text.finish());
    }
    Ok(Annotations { text: format!("[{}]", texts.join(", ")), tells_who: true })
}

/// A number is a user of the server, anything else an address.
fn completed_by(annotator: &str) -> String {
    match annotator.parse::<i64>() {
        Ok(n) if n.to_string() == annotator => n.to_string(),
        _ => format!("{{\"email\": {}}}", json::quoted(annotator)),
    }
}

fn rectangle(sample: &SampleRecord, label: &LabelledBox, words: &[String], number: usize) -> Result<String> {
    let id = sample.id.as_str();
    let size = sample.size.ok_or_else(|| FormatError::NoSize { sample: id.to_owned() })?;
    let mut text = ObjectText::new();
    if !label.extra.contains_key("id") {
        text.string("id", &format!("box-{number}"));
    }
    text.string("type", "rectanglelabels")
        .string("from_name", FROM_NAME)
        .string("to_name", TO_NAME)
        .raw("original_width", &size.width().to_string())
        .raw("original_height", &size.height().to_string())
        .raw("image_rotation", "0")
        .raw("value", &value(label.bbox, size, &words[label.class.as_usize()]));
    text.extra(id, &HOLDS.label_extra(label), &[])?;
    Ok(text.finish())
}

fn value(bbox: BBox, size: ImageSize, class: &str) -> String {
    let [x, y, width, height] = bbox.to_relative(size).map(|share| json::number(share * 100.0));
    let mut text = ObjectText::new();
    text.raw("x", &x).raw("y", &y).raw("width", &width).raw("height", &height).raw("rotation", "0");
    text.raw("rectanglelabels", &format!("[{}]", json::quoted(class)));
    text.finish()
}

fn prediction(sample: &SampleRecord, found: &[ScoredBox], words: &[String], model: &str) -> Result<String> {
    let mut results = Vec::new();
    for (i, scored) in found.iter().enumerate() {
        let mut label = LabelledBox::new(scored.class(), scored.bbox());
        label.extra.insert("score".to_owned(), json::number(scored.score()));
        label.extra.insert("id".to_owned(), json::quoted(&format!("proposal-{}", i + 1)));
        results.push(rectangle(sample, &label, words, i + 1)?);
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
