use std::path::{Path, PathBuf};
use std::rc::Rc;

use labelloop_core::{
    AnnotationSet, BBox, CaptureId, ClassSchema, GroupKey, ImageSize, LabelledBy, SampleId, SampleRecord,
    ScoredBox, SliceKind,
};
use serde_json::value::RawValue;

use super::{FIELDS, Said, UPDATED, last_of, text_in};
use crate::coco::Detections;
use crate::json::{self, Object, Record, Source};
use crate::named::{self, Named};
use crate::warning::Notes;
use crate::{FormatError, Imported, ReadOptions, Result, Warning, WarningKind, files, people, xml};

/// Reads a JSON list of tasks, in their order.
///
/// The classes are those of the labelling configuration beside the file: ending `config.xml`, as [`super::write()`] leaves
/// it, or `label_config.xml`, as Label Studio's converter does; without it and without [`ReadOptions::schema`] those that occur, sorted, with a warning. Brushes, polygons, turned
/// rectangles and skipped annotations are counted as not read.
///
/// # Errors
/// [`FormatError::Io`], [`FormatError::NotUtf8`], [`FormatError::Syntax`], [`FormatError::Structure`],
/// [`FormatError::Schema`]; [`FormatError::Refused`] under [`crate::Strictness::Strict`].
pub fn read(path: &Path, options: &ReadOptions) -> Result<Imported> {
    let (set, notes) = read_part(path, options, Part::Annotations)?;
    Ok(Imported { set, warnings: notes.into_warnings() })
}

/// Reads the pre-annotations instead: what models propose, by sample. A rectangle without a score takes that of its
/// prediction.
///
/// # Errors
/// As [`read`].
pub fn read_predictions(path: &Path, options: &ReadOptions) -> Result<(Detections, Vec<Warning>)> {
    let (set, mut notes) = read_part(path, options, Part::Predictions)?;
    let mut found = Detections::new();
    for sample in set.samples {
        let mut scored = Vec::new();
        for label in sample.boxes.into_iter().flatten() {
            let place = format!("prediction of sample {}", sample.id);
            let score = label.extra.get("score").and_then(|raw| serde_json::from_str::<f64>(raw).ok());
            match score.map(|score| ScoredBox::new(label.class, label.bbox, score)) {
                Some(Ok(one)) => scored.push(one),
                Some(Err(reason)) => notes.note(None, WarningKind::Refused { place, reason })?,
                None => notes.note(None, WarningKind::MissingField { place, field: "score" })?,
            }
        }
        if !scored.is_empty() {
            found.insert(sample.id, scored);
        }
    }
    Ok((found, notes.into_warnings()))
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Annotations,
    Predictions,
}

impl Part {
    fn field(self) -> &'static str {
        match self {
            Part::Annotations => "annotations",
            Part::Predictions => "predictions",
        }
    }
}

fn read_part(path: &Path, options: &ReadOptions, part: Part) -> Result<(AnnotationSet, Notes)> {
    let mut notes = Notes::new(path, options.strictness);
    let text = json::read(path, &mut notes)?;
    let source = Source::new(path, &text);
    let list: &RawValue = source.parse_all()?;
    let mut tasks = Vec::new();
    for mut record in source.records("tasks", list, &mut notes)? {
        match data_of(&mut record) {
            Ok((data, file_name)) => tasks.push((record, data, file_name)),
            Err(kind) => notes.note(Some(record.line), kind)?,
        }
    }
    let names = files::sample_names(tasks.iter().map(|(_, _, f)| f.as_str()));
    let mut reader = Reader { source: &source, notes, part, path: Rc::new(path.to_owned()) };
    let mut samples = Vec::new();
    for ((record, data, file_name), name) in tasks.into_iter().zip(names) {
        samples.extend(reader.sample(record, data, &name, file_name)?);
    }
    let mut notes = reader.notes;
    let set = named::resolve(path, samples, configured_classes(path)?, options, &mut notes)?;
    Ok((set, notes))
}

fn configured_classes(path: &Path) -> Result<Option<ClassSchema>> {
    let beside = ["config.xml", "label_config.xml"].map(|ending| path.with_extension(ending));
    let Some(config) = beside.into_iter().find(|config| config.is_file()) else { return Ok(None) };
    let root = xml::read(&config, "View")?;
    let labels = root.descendants().into_iter().filter(|e| e.name == "Label");
    let names: Vec<&str> = labels.filter_map(|l| l.attribute("value")).collect();
    ClassSchema::new(names).map(Some).map_err(|source| FormatError::Schema { path: config, source })
}

/// The fields of `data` and the file name.
fn data_of<'a>(task: &mut Record<'a>) -> Result<(Object<'a>, String), WarningKind> {
    let mut data: Object<'a> = task.required("data", "an object")?;
    let place = format!("{}.data.image", task.place);
    let image = data.0.get("image").and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    let image = image.ok_or_else(|| WarningKind::MissingField { place: place.clone(), field: "image" })?;
    let ours = data.take("file_name").and_then(|raw| json::scalar_text(raw.get()));
    let given = ours.unwrap_or_else(|| address_path(&image).to_owned());
    let file_name = files::safe_relative(&given).ok_or(WarningKind::UnsafePath { place, found: given })?;
    if image == file_name {
        data.take("image");
    }
    Ok((data, file_name))
}

/// What an address says about the file: without `?d=` of local files, without scheme and host, without a first slash.
fn address_path(image: &str) -> &str {
    let path = match (image.split_once("?d="), image.split_once("://")) {
        (Some((_, path)), _) => path,
        (None, Some((_, rest))) => rest.split_once('/').map_or(rest, |(_, path)| path),
        (None, None) => image,
    };
    path.trim_start_matches('/')
}

struct Reader<'r, 'a> {
    source: &'r Source<'a>,
    notes: Notes,
    part: Part,
    path: Rc<PathBuf>,
}

impl<'a> Reader<'_, 'a> {
    fn sample(
        &mut self,
        mut task: Record<'a>,
        mut data: Object<'a>,
        name: &str,
        file_name: String,
    ) -> Result<Option<(SampleRecord, Vec<Named>)>> {
        let mut text = |key| data.take(key).and_then(|raw| json::scalar_text(raw.get()));
        let id = text("sample_id").unwrap_or_else(|| name.to_owned());
        let (group, capture, slice) = (text("group"), text("capture"), text("slice"));
        let (width, height) = (text("width"), text("height"));
        let side = |t: Option<String>| t.and_then(|t| t.parse::<u32>().ok());
        let mut size = side(width).zip(side(height)).and_then(|(w, h)| ImageSize::new(w, h).ok());
        let annotations = task.fields.take(self.part.field());
        let said = people::take(&mut data);
        let Annotated { labels, n: n_annotations, fields, labelled_by } =
            self.annotations(&task.place, annotations, &mut size)?;
        let labelled_by = if n_annotations == 0 { said } else { labelled_by };
        let mut extra = data.into_extra();
        extra.extend(task.fields.0.iter().map(|(key, raw)| match key.as_str() {
            "id" => ("id".to_owned(), raw.get().to_owned()),
            _ => (format!("task.{key}"), raw.get().to_owned()),
        }));
        if fields.iter().any(|f| f != "{}") {
            extra.insert(FIELDS.to_owned(), format!("[{}]", fields.join(", ")));
        }
        let build = || {
            Ok(SampleRecord {
                capture: CaptureId::new(capture.unwrap_or_else(|| id.clone()))?,
                group: GroupKey::new(group.unwrap_or_else(|| id.clone()))?,
                id: SampleId::new(id)?,
                slice: slice.unwrap_or_else(|| "main".to_owned()),
                kind: SliceKind::Image,
                file_name,
                size,
                boxes: (0 < n_annotations).then(Vec::new),
                cuboids: None,
                labelled_by,
                extra,
            })
        };
        match build() {
            Ok(record) => Ok(Some((record, labels))),
            Err(reason) => {
                let kind = WarningKind::Refused { place: task.place, reason };
                self.notes.note(Some(task.line), kind).map(|()| None)
            }
        }
    }

    fn annotations(
        &mut self,
        place: &str,
        list: Option<&'a RawValue>,
        size: &mut Option<ImageSize>,
    ) -> Result<Annotated> {
        let Some(list) = list else { return Ok(Annotated::default()) };
        let (mut labels, mut kept, mut said, mut explicit) = (Vec::new(), Vec::new(), Vec::new(), None);
        let place = format!("{place}.{}", self.part.field());
        for mut record in self.source.records(&place, list, &mut self.notes)? {
            if record.fields.0.get("was_cancelled").is_some_and(|raw| raw.get() == "true") {
                self.notes.unread("skipped annotation")?;
                continue;
            }
            if said.is_empty() {
                explicit = explicit_who(&mut record.fields);
            }
            let annotator = record.fields.take("completed_by").and_then(annotator);
            let score = record.fields.0.get("score").copied();
            if let Some(results) = record.fields.take("result") {
                let results_place = format!("{}.result", record.place);
                for result in self.source.records(&results_place, results, &mut self.notes)? {
                    let line = result.line;
                    match rectangle(result, size, &self.path, &mut self.notes)? {
                        Ok(Some(mut named)) => {
                            named.label.annotator.clone_from(&annotator);
                            if let (Part::Predictions, Some(score)) = (self.part, score) {
                                let slot = named.label.extra.entry("score".to_owned());
                                slot.or_insert_with(|| score.get().to_owned());
                            }
                            labels.push(named);
                        }
                        Ok(None) => {}
                        Err(kind) => self.notes.note(Some(line), kind)?,
                    }
                }
            }
            let at = record.fields.0.get(UPDATED).and_then(|raw| text_in(raw.get()));
            said.push(Said { annotator, at });
            kept.push((record.place, record.fields));
        }
        let n = said.len();
        let fields = fields_text(kept, &said)?;
        if 1 < n && labels.iter().all(|l| l.label.annotator.is_none()) {
            self.notes.note(None, WarningKind::SeveralAnnotations { place, count: n })?;
        }
        Ok(Annotated { labels, n, fields, labelled_by: explicit.unwrap_or_else(|| last_of(&said)) })
    }
}

/// What all annotations of a task say.
#[derive(Default)]
struct Annotated {
    labels: Vec<Named>,
    n: usize,
    /// The fields of each that we do not interpret.
    fields: Vec<String>,
    labelled_by: Option<LabelledBy>,
}

/// What [`super::write()`] says of who labelled where the annotations would say something else.
fn explicit_who(fields: &mut Object<'_>) -> Option<Option<LabelledBy>> {
    let nobody = fields.0.get(people::BY).is_some_and(|raw| raw.get() == "null");
    if nobody {
        fields.0.remove(people::BY);
    }
    let by = people::take(fields);
    (nobody || by.is_some()).then_some(by)
}

/// The time of a lone annotation goes to the sample.
fn fields_text(kept: Vec<(String, Object<'_>)>, said: &[Said]) -> Result<Vec<String>> {
    let is_lone = matches!(said, [Said { at: Some(_), .. }]);
    let mut texts = Vec::with_capacity(kept.len());
    for (place, mut fields) in kept {
        if is_lone {
            fields.0.remove(UPDATED);
        }
        let mut text = json::ObjectText::new();
        text.extra(&place, &fields.into_extra(), &[])?;
        texts.push(text.finish());
    }
    Ok(texts)
}

fn annotator(raw: &RawValue) -> Option<String> {
    json::scalar_text(raw.get()).or_else(|| {
        let mut user: Object<'_> = serde_json::from_str(raw.get()).ok()?;
        let named = user.take("email").or_else(|| user.take("id"))?;
        json::scalar_text(named.get())
    })
}

/// The outer error ends the reading, the inner one costs this rectangle; nothing for what is counted as not read.
fn rectangle(
    mut result: Record<'_>,
    size: &mut Option<ImageSize>,
    path: &Rc<PathBuf>,
    notes: &mut Notes,
) -> Result<Result<Option<Named>, WarningKind>> {
    let kind = result.fields.take("type").and_then(|raw| json::scalar_text(raw.get())).unwrap_or_default();
    let turned = |raw: Option<&RawValue>| {
        raw.is_some_and(|raw| serde_json::from_str::<f64>(raw.get()).is_ok_and(|r| r != 0.0))
    };
    let image_turned = turned(result.fields.take("image_rotation"));
    let mut value: Object<'_> = match result.required("value", "an object") {
        Ok(value) => value,
        Err(kind) => return Ok(Err(kind)),
    };
    if kind != "rectanglelabels" {
        notes.unread(if kind.is_empty() { "result without a type" } else { &kind })?;
        return Ok(Ok(None));
    }
    if image_turned || turned(value.take("rotation")) {
        notes.unread("turned rectangle")?;
        return Ok(Ok(None));
    }
    Ok(plain_rectangle(result, value, size, path).map(Some))
}

fn plain_rectangle(
    mut result: Record<'_>,
    value: Object<'_>,
    size: &mut Option<ImageSize>,
    path: &Rc<PathBuf>,
) -> Result<Named, WarningKind> {
    const SIDE: &str = "a whole number from 1";
    let (width, height) =
        (result.optional::<u32>("original_width", SIDE)?, result.optional::<u32>("original_height", SIDE)?);
    let stated = width.zip(height).and_then(|(w, h)| ImageSize::new(w, h).ok());
    let place = result.place.clone();
    let missing = || WarningKind::MissingField { place: place.clone(), field: "original_width" };
    let own_size = stated.or(*size).ok_or_else(missing)?;
    size.get_or_insert(own_size);
    result.fields.take("from_name");
    result.fields.take("to_name");

    let mut value = Record { place: format!("{place}.value"), line: result.line, fields: value };
    let mut percent = |key| value.required::<f64>(key, "a number of percent");
    let shares = [percent("x")?, percent("y")?, percent("width")?, percent("height")?].map(|p| p / 100.0);
    let classes: Vec<String> = value.required("rectanglelabels", "a list of one class")?;
    let [class] = <[String; 1]>::try_from(classes).map_err(|found| WarningKind::InvalidValue {
        place: format!("{place}.value.rectanglelabels"),
        expected: "a list of one class",
        found: format!("{found:?}"),
    })?;
    let bbox = BBox::from_relative(shares, own_size)
        .map_err(|reason| WarningKind::Refused { place: place.clone(), reason })?;
    let mut named = Named::new(class, bbox, path, Some(result.line), place);
    named.label.extra = result.fields.into_extra();
    Ok(named)
}
