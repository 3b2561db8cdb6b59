//! CVAT for images 1.1: one XML file with all images.
//!
//! Read: `image` with name, width and height, `subset`, `task_id`; `box` with its corners, `occluded`, `z_order`, `source`,
//! `group_id` and `attribute`s (in `extra["attributes"]`). Polygons, masks, skeletons, tags and turned boxes are counted
//! as not read.
//!
//! A round trip moves edges by less than 1e-9 pixels and carries ids, file names, sizes, classes in order, boxes and
//! CVAT's own fields. CVAT cannot tell "no object" from "nobody looked";
//! [`ReadOptions::images_without_annotations`] does. Everything else is counted in the warnings of [`write()`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use labelloop_core::{
    AnnotationSet, BBox, ClassSchema, ImageSize, LabelledBox, LabelledBy, SampleId, SampleRecord, ScoredBox,
    SliceKind,
};

use crate::coco::Detections;
use crate::json::ObjectText;
use crate::kept::{comes_back, keep, kept};
use crate::loss::{self, Holds, Losses};
use crate::named::{self, Named};
use crate::warning::{Notes, invalid};
use crate::xml::{self, Element, escape};
use crate::{
    Format, FormatError, Imported, Lost, ReadOptions, Result, Warning, WarningKind, WithoutAnnotations,
    files, json,
};

const IMAGE_FIELDS: [&str; 3] = ["id", "subset", "task_id"];
/// Attribute and the value that need not be kept.
const BOX_FIELDS: [(&str, &str); 4] =
    [("source", "manual"), ("occluded", "0"), ("z_order", "0"), ("group_id", "")];

const HOLDS: Holds = Holds {
    sizes: true,
    // The file names one person and time for all, see `labelled_by`.
    labelled_by: true,
    sample_field: |_, key, raw| IMAGE_FIELDS[1..].contains(&key) && comes_back(raw, xml::as_attribute),
    label_field: |_, key, raw| match key {
        "attributes" => attributes(raw).is_some(),
        key => BOX_FIELDS.iter().any(|(name, default)| {
            let empty = raw == "\"\"" && !default.is_empty();
            *name == key && !empty && comes_back(raw, xml::as_attribute)
        }),
    },
    ..Holds::NOTHING
};
/// Attribute of an image with the sample's id where its file name does not give it; ours.
const OUR_ID: &str = "labelloop_id";

/// Attributes of a box by name, where they are texts that come back; at least one.
fn attributes(raw: &str) -> Option<Vec<(String, String)>> {
    let object: json::Object<'_> = serde_json::from_str(raw).ok()?;
    let texts = object.0.into_iter().map(|(name, raw)| {
        let value: String = serde_json::from_str(raw.get()).ok()?;
        (xml::as_attribute(&name) == name && xml::as_text(&value) == value).then_some((name, value))
    });
    texts.collect::<Option<Vec<_>>>().filter(|texts| !texts.is_empty())
}

/// Reads a CVAT XML file.
///
/// The classes are the labels of `meta`; without them and without [`ReadOptions::schema`] those that occur, sorted, with
/// a warning. A sample's id is its file name without the ending where that is unique, else the file name.
///
/// # Errors
/// [`FormatError::Io`], [`FormatError::NotUtf8`], [`FormatError::Syntax`], [`FormatError::Structure`],
/// [`FormatError::Schema`]; [`FormatError::Refused`] under [`crate::Strictness::Strict`].
pub fn read(path: &Path, options: &ReadOptions) -> Result<Imported> {
    let mut notes = Notes::new(path, options.strictness);
    let root = xml::read(path, "annotations")?;
    let shared = Rc::new(path.to_owned());
    let (mut images, mut file_names) = (Vec::new(), BTreeSet::new());
    for (i, image) in root.children.iter().filter(|c| c.name == "image").enumerate() {
        let place = format!("image {}", i + 1);
        match file_name(image, &place, &mut file_names) {
            Ok(file_name) => images.push((image, place, file_name)),
            Err(kind) => notes.note(Some(image.line), kind)?,
        }
    }
    let people = People::of(&root);
    let names = files::sample_names(images.iter().map(|(_, _, f)| f.as_str()));
    let mut samples = Vec::new();
    for ((image, place, file_name), id) in images.iter().zip(names) {
        let id = image.attribute(OUR_ID).filter(|id| !id.is_empty()).map_or(id, str::to_owned);
        let boxes = match options.images_without_annotations {
            WithoutAnnotations::Empty => Some(Vec::new()),
            WithoutAnnotations::Unlabelled => None,
        };
        if let Some(mut record) = record(image, place, &id, file_name, &mut notes)? {
            record.boxes = boxes;
            record.labelled_by = people.of_image(image);
            samples.push((record, labels(image, place, &shared, &mut notes)?));
        }
    }
    let set = named::resolve(path, samples, listed_classes(path, &root)?, options, &mut notes)?;
    Ok(Imported { set, warnings: notes.into_warnings() })
}

/// Who answered for the pictures: the assignee of the job or task, and when it was last changed.
struct People {
    of_all: Option<LabelledBy>,
    /// Of a project, by the number of the task.
    by_task: BTreeMap<String, LabelledBy>,
}

impl People {
    fn of(root: &Element) -> Self {
        let meta = root.child("meta");
        let one = meta.and_then(|m| m.child("job").or_else(|| m.child("task")));
        let of_all = one.and_then(labelled_by);
        let tasks = meta.and_then(|m| m.child("project")).and_then(|p| p.child("tasks"));
        let by_task = tasks
            .into_iter()
            .flat_map(|t| &t.children)
            .filter_map(|task| Some((task.child_text("id")?.to_owned(), labelled_by(task)?)));
        Self { of_all, by_task: by_task.collect() }
    }

    fn of_image(&self, image: &Element) -> Option<LabelledBy> {
        let task = image.attribute("task_id").and_then(|task| self.by_task.get(task));
        task.or(self.of_all.as_ref()).cloned()
    }
}

/// Assignee and last change of a task or job.
fn labelled_by(task: &Element) -> Option<LabelledBy> {
    let text = |found: Option<&str>| found.filter(|t| !t.is_empty()).map(Into::into);
    let annotator = text(task.child("assignee").and_then(|a| a.child_text("username")));
    let at = text(task.child_text("updated"));
    (annotator.is_some() || at.is_some()).then_some(LabelledBy { annotator, at })
}

fn listed_classes(path: &Path, root: &Element) -> Result<Option<ClassSchema>> {
    let Some(meta) = root.child("meta") else { return Ok(None) };
    let labels = meta.descendants().into_iter().filter(|e| e.name == "labels").flat_map(|l| &l.children);
    // A project lists its labels once more for each task.
    let mut names: Vec<&str> = Vec::new();
    for name in labels.filter(|l| l.name == "label").filter_map(|l| l.child_text("name")) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let refused = |source| FormatError::Schema { path: path.to_owned(), source };
    if names.is_empty() { Ok(None) } else { ClassSchema::new(names).map(Some).map_err(refused) }
}

fn file_name(image: &Element, place: &str, taken: &mut BTreeSet<String>) -> Result<String, WarningKind> {
    let given = image
        .attribute("name")
        .ok_or_else(|| WarningKind::MissingField { place: place.to_owned(), field: "name" })?;
    let file_name = files::safe_relative(given)
        .ok_or_else(|| WarningKind::UnsafePath { place: place.to_owned(), found: given.to_owned() })?;
    if !taken.insert(file_name.clone()) {
        return Err(WarningKind::DuplicateFileName { place: place.to_owned(), file_name });
    }
    Ok(file_name)
}

fn record(
    image: &Element,
    place: &str,
    id: &str,
    file_name: &str,
    notes: &mut Notes,
) -> Result<Option<SampleRecord>> {
    let side = |name| image.attribute(name).and_then(|t| t.parse::<u32>().ok());
    let size = side("width").zip(side("height")).and_then(|(w, h)| ImageSize::new(w, h).ok());
    if size.is_none() {
        let kind = WarningKind::MissingField { place: place.to_owned(), field: "width and height" };
        notes.note(Some(image.line), kind)?;
    }
    let unit = ImageSize::new(1, 1);
    match size.map_or(unit, Ok).and_then(|s| SampleRecord::image(id, file_name, s)) {
        Ok(mut record) => {
            record.size = size;
            for key in IMAGE_FIELDS {
                keep(&mut record.extra, key, image.attribute(key).unwrap_or_default(), "");
            }
            Ok(Some(record))
        }
        Err(reason) => notes
            .note(Some(image.line), WarningKind::Refused { place: place.to_owned(), reason })
            .map(|()| None),
    }
}

fn labels(image: &Element, place: &str, path: &Rc<PathBuf>, notes: &mut Notes) -> Result<Vec<Named>> {
    let mut labels = Vec::new();
    for child in &image.children {
        let turned = child.attribute("rotation").is_some_and(|r| r.parse() != Ok(0.0));
        match child.name.as_str() {
            "box" if turned => notes.unread("turned box")?,
            "box" => match label(child, format!("{place}, box {}", labels.len() + 1), path) {
                Ok(label) => labels.push(label),
                Err(kind) => notes.note(Some(child.line), kind)?,
            },
            other => notes.unread(other)?,
        }
    }
    Ok(labels)
}

fn label(element: &Element, place: String, path: &Rc<PathBuf>) -> Result<Named, WarningKind> {
    let text = |name: &'static str| {
        element.attribute(name).ok_or_else(|| WarningKind::MissingField { place: place.clone(), field: name })
    };
    let edge = |name: &'static str| {
        let text = text(name)?;
        text.parse::<f64>().map_err(|_| invalid(format!("{place}: {name}"), "a number", text))
    };
    let class = text("label")?.to_owned();
    let bbox = BBox::from_corners(edge("xtl")?, edge("ytl")?, edge("xbr")?, edge("ybr")?)
        .map_err(|reason| WarningKind::Refused { place: place.clone(), reason })?;
    let mut named = Named::new(class, bbox, path, Some(element.line), place);
    for (key, default) in BOX_FIELDS {
        keep(&mut named.label.extra, key, element.attribute(key).unwrap_or(default), default);
    }
    let mut attributes = ObjectText::new();
    let mut any = false;
    for child in element.children.iter().filter(|c| c.name == "attribute") {
        attributes.string(child.attribute("name").unwrap_or_default(), child.text());
        any = true;
    }
    if any {
        named.label.extra.insert("attributes".to_owned(), attributes.finish());
    }
    Ok(named)
}

/// What goes into a CVAT file besides the set.
///
/// ```
/// assert!(labelloop_formats::cvat::WriteOptions::default().predictions.is_none());
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct WriteOptions<'a> {
    /// Proposals of a model for samples that nobody looked at: boxes to start from, marked `source="auto"`, with the
    /// score as an attribute `score`. CVAT takes proposals for labels, so those for labelled samples are left out and
    /// counted.
    pub predictions: Option<&'a Detections>,
}

/// Writes all pictures as a CVAT XML file, in one step, in order of their ids; CVAT's task gets the schema as its labels.
///
/// Samples that nobody looked at are written as images without boxes, for that is what people are to label; that CVAT
/// cannot tell them from verified-empty ones is counted in the warnings.
///
/// # Errors
/// [`FormatError::NoSize`], [`FormatError::InvalidExtra`], [`FormatError::Io`], [`FormatError::ClassOutOfRange`] and
/// [`FormatError::DuplicateSample`].
pub fn write(path: &Path, set: &AnnotationSet) -> Result<Vec<Warning>> {
    write_with(path, set, &WriteOptions::default())
}

/// [`write()`] with a model's proposals as boxes to start from.
///
/// ```
/// use std::collections::{BTreeMap, BTreeSet};
///
/// use labelloop_core::{AnnotationSet, BBox, ClassIdx, ClassSchema, Extra, ImageSize, SampleRecord, ScoredBox};
/// use labelloop_formats::cvat::{WriteOptions, write_with};
///
/// let sample = SampleRecord::image("a", "a.png", ImageSize::new(64, 64)?)?;
/// let found = vec![ScoredBox::new(ClassIdx(0), BBox::new(1.0, 2.0, 3.0, 4.0)?, 0.9)?];
/// let found = BTreeMap::from([(sample.id.clone(), found)]);
/// let set = AnnotationSet { schema: ClassSchema::new(["car"])?, samples: vec![sample], extra: Extra::new() };
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("annotations.xml");
/// write_with(&path, &set, &WriteOptions { predictions: Some(&found) })?;
/// assert!(std::fs::read_to_string(&path)?.contains(r#"<box label="car" source="auto""#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`write()`]; [`FormatError::UnknownSample`] for a proposal without a sample.
pub fn write_with(path: &Path, set: &AnnotationSet, options: &WriteOptions<'_>) -> Result<Vec<Warning>> {
    loss::check(set)?;
    let proposed = proposed(set, options.predictions)?;
    let mut pictures: Vec<&SampleRecord> =
        set.samples.iter().filter(|s| s.kind == SliceKind::Image).collect();
    pictures.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let mut losses = Losses::of(set, pictures.iter().copied(), &HOLDS);
    losses.add(Lost::PointClouds, set.samples.len() - pictures.len());
    losses.add(Lost::Proposals, proposed.n_left_out);
    let (words, n_changed) = loss::class_words(&set.schema, xml::as_text)?;
    losses.add(Lost::ClassNames, n_changed);
    let as_read = |name: &str| files::safe_relative(&xml::as_attribute(name));
    losses.add(Lost::FileNames, loss::file_names(pictures.iter().copied(), as_read)?);
    let changed_id = |s: &&&SampleRecord| xml::as_attribute(s.id.as_str()) != s.id.as_str();
    losses.add(Lost::SampleIds, pictures.iter().filter(changed_id).count());
    let by = common_labelled_by(&pictures);
    let untold = pictures.iter().filter(|s| by.is_none() && s.labelled_by.is_some()).count();
    losses.add(Lost::LabelledBy, untold);
    let names: Vec<String> = pictures.iter().filter_map(|s| as_read(&s.file_name)).collect();
    let derived = files::sample_names(names.iter().map(String::as_str));

    let mut text =
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<annotations>\n  <version>1.1</version>\n".to_owned();
    text.push_str("  <meta><task><labels>\n");
    for name in &words {
        // Writing to a text cannot fail, here and below.
        let _ = writeln!(text, "    <label><name>{}</name><type>rectangle</type></label>", escape(name));
    }
    text.push_str("  </labels>");
    add_labelled_by(&mut text, by);
    text.push_str("</task></meta>\n");
    for (i, (sample, derived)) in pictures.into_iter().zip(&derived).enumerate() {
        let labels = proposed.by_sample.get(&sample.id).or(sample.boxes.as_ref());
        add_image(&mut text, i, sample, labels.map_or(&[], Vec::as_slice), &words, derived)?;
    }
    text.push_str("</annotations>\n");
    files::write_atomic(path, &text)?;
    Ok(losses.into_warnings(path, Format::Cvat))
}

/// Who answered for all of the pictures alike, where XML can say it.
fn common_labelled_by<'s>(pictures: &[&'s SampleRecord]) -> Option<&'s LabelledBy> {
    let first = pictures.first()?.labelled_by.as_ref()?;
    let held = |text: Option<&str>| text.is_none_or(|t| !t.is_empty() && xml::as_text(t) == t);
    let alike = pictures.iter().all(|s| s.labelled_by.as_ref() == Some(first));
    (alike && held(first.annotator.as_deref()) && held(first.at.as_deref())).then_some(first)
}

fn add_labelled_by(text: &mut String, by: Option<&LabelledBy>) {
    let Some(by) = by else { return };
    if let Some(annotator) = &by.annotator {
        let _ = write!(text, "<assignee><username>{}</username></assignee>", escape(annotator));
    }
    if let Some(at) = &by.at {
        let _ = write!(text, "<updated>{}</updated>", escape(at));
    }
}

#[derive(Default)]
struct Proposed<'s> {
    by_sample: BTreeMap<&'s SampleId, Vec<LabelledBox>>,
    n_left_out: usize,
}

fn proposed<'s>(set: &'s AnnotationSet, predictions: Option<&'s Detections>) -> Result<Proposed<'s>> {
    let Some(predictions) = predictions else { return Ok(Proposed::default()) };
    loss::check_predictions(set, predictions)?;
    let labelled: BTreeSet<&SampleId> =
        set.samples.iter().filter(|s| s.boxes.is_some()).map(|s| &s.id).collect();
    let mut proposed = Proposed::default();
    for (id, found) in predictions {
        if labelled.contains(id) {
            proposed.n_left_out += found.len();
        } else {
            proposed.by_sample.insert(id, found.iter().map(as_label).collect());
        }
    }
    Ok(proposed)
}

fn as_label(scored: &ScoredBox) -> LabelledBox {
    let mut label = LabelledBox::new(scored.class(), scored.bbox());
    label.extra.insert("source".to_owned(), json::quoted("auto"));
    let score = format!("{{\"score\": \"{}\"}}", scored.score());
    label.extra.insert("attributes".to_owned(), score);
    label
}

fn add_image(
    text: &mut String,
    number: usize,
    sample: &SampleRecord,
    labels: &[LabelledBox],
    words: &[String],
    derived: &str,
) -> Result<()> {
    let size = sample.size.ok_or_else(|| FormatError::NoSize { sample: sample.id.to_string() })?;
    let _ = write!(text, "  <image id=\"{number}\" name=\"{}\"", escape(&sample.file_name));
    if sample.id.as_str() != derived {
        let _ = write!(text, " {OUR_ID}=\"{}\"", escape(sample.id.as_str()));
    }
    let extra = HOLDS.sample_extra(sample);
    for key in &IMAGE_FIELDS[1..] {
        let value = kept(&extra, key, "");
        if !value.is_empty() {
            let _ = write!(text, " {key}=\"{}\"", escape(&value));
        }
    }
    let _ = writeln!(text, " width=\"{}\" height=\"{}\">", size.width(), size.height());
    for label in labels {
        add_box(text, label, words);
    }
    text.push_str("  </image>\n");
    Ok(())
}

fn add_box(text: &mut String, label: &LabelledBox, words: &[String]) {
    let [left, top, right, bottom] = label.bbox.to_corners();
    let extra = HOLDS.label_extra(label);
    let _ = write!(text, "    <box label=\"{}\"", escape(&words[label.class.as_usize()]));
    for (key, default) in BOX_FIELDS {
        let value = kept(&extra, key, default);
        if !value.is_empty() {
            let _ = write!(text, " {key}=\"{}\"", escape(&value));
        }
    }
    let _ = write!(text, " xtl=\"{left}\" ytl=\"{top}\" xbr=\"{right}\" ybr=\"{bottom}\">");
    for (name, value) in extra.get("attributes").and_then(|raw| attributes(raw)).iter().flatten() {
        let _ = write!(text, "<attribute name=\"{}\">{}</attribute>", escape(name), escape(value));
    }
    text.push_str("</box>\n");
}

/// The schema as CVAT's label constructor takes it: the JSON of its "Raw" tab, rectangles with the classes in order.
///
/// ```
/// use labelloop_core::ClassSchema;
/// use labelloop_formats::cvat::labels_config;
///
/// let config = labels_config(&ClassSchema::new(["car", "a \"b\""])?);
/// assert!(config.contains(r#"{"name": "car", "type": "rectangle", "attributes": []}"#));
/// assert!(config.contains(r#""name": "a \"b\"""#));
/// # Ok::<(), labelloop_core::CoreError>(())
/// ```
pub fn labels_config(schema: &ClassSchema) -> String {
    let label = |name: &String| {
        let mut text = ObjectText::new();
        text.string("name", name).string("type", "rectangle").raw("attributes", "[]");
        text.finish()
    };
    let labels: Vec<String> = schema.names().iter().map(label).collect();
    format!("{}\n", json::lines(&labels))
}
