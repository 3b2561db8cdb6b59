//! Pascal VOC folders: one XML file per image.
//!
//! ```text
//! Annotations/a.xml   size, and name, pose, truncated, difficult and bndbox of each object
//! labelmap.txt        the classes in order, as CVAT and Datumaro write it: "car:::"
//! ```
//!
//! `bndbox` is taken as left, top, right, bottom in pixels from 0, as the tools in use write it, with fractions. A round
//! trip moves edges by less than 1e-9 pixels and carries ids, file names, sizes, classes in order, boxes, verified-empty
//! images and VOC's own fields (in `extra`: `folder`, `path`, `segmented`, `depth`; `pose`, `truncated`, `difficult`,
//! `occluded`). Everything else is counted in the warnings of [`write()`].

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use labelloop_core::{AnnotationSet, BBox, ClassSchema, ImageSize, LabelledBox, SampleRecord, SliceKind};

use crate::files::{self, StagedFolder};
use crate::kept::{comes_back, keep, kept};
use crate::loss::{self, Holds, Losses};
use crate::named::{self, Named};
use crate::warning::{Notes, invalid};
use crate::xml::{self, Element, escape};
use crate::{Format, FormatError, Imported, Lost, ReadOptions, Result, Warning, WarningKind};

const SAMPLE_FIELDS: [(&str, &str); 3] = [("folder", ""), ("path", ""), ("segmented", "0")];
const LABEL_FIELDS: [(&str, &str); 4] =
    [("pose", "Unspecified"), ("truncated", "0"), ("difficult", "0"), ("occluded", "0")];

const HOLDS: Holds = Holds {
    unlabelled_marks: true,
    sizes: true,
    sample_field: |_, key, raw| {
        let known = key == "depth" || SAMPLE_FIELDS.iter().any(|(name, _)| *name == key);
        known && comes_back(raw, xml::as_text)
    },
    label_field: |_, key, raw| {
        LABEL_FIELDS.iter().any(|(name, _)| *name == key) && comes_back(raw, xml::as_text)
    },
    ..Holds::NOTHING
};

/// Reads a folder with `Annotations`, or a folder of XML files, in order of their names.
///
/// The classes are those of `labelmap.txt`; without it and without [`ReadOptions::schema`] those that occur, sorted,
/// with a warning.
///
/// Lenient reading leaves out objects without a name or a box; a file that is not XML is an error always.
///
/// # Errors
/// [`FormatError::Io`], [`FormatError::NotUtf8`], [`FormatError::Syntax`], [`FormatError::Structure`],
/// [`FormatError::Schema`]; [`FormatError::Refused`] under [`crate::Strictness::Strict`].
pub fn read(dir: &Path, options: &ReadOptions) -> Result<Imported> {
    files::refuse_archive(dir)?;
    let mut notes = Notes::new(dir, options.strictness);
    let inner = dir.join("Annotations");
    let folder = if inner.is_dir() { inner } else { dir.to_owned() };
    let mut samples = Vec::new();
    for file in files::files_below(&folder)?.iter().filter(|f| files::ending(f) == Some("xml")) {
        let path = Rc::new(folder.join(file));
        let root = xml::read(&path, "annotation")?;
        samples.extend(sample(files::stem(file), &path, &root, &mut notes)?);
    }
    let set = named::resolve(dir, samples, read_label_map(dir)?, options, &mut notes)?;
    Ok(Imported { set, warnings: notes.into_warnings() })
}

fn read_label_map(dir: &Path) -> Result<Option<ClassSchema>> {
    let path = dir.join("labelmap.txt");
    if !path.is_file() {
        return Ok(None);
    }
    let text = files::read_text(&path)?;
    let lines = text.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty());
    // Three fields follow the name, which may hold colons itself.
    let names = lines.map(|line| line.rsplitn(4, ':').nth(3).unwrap_or(line));
    ClassSchema::new(names).map(Some).map_err(|source| FormatError::Schema { path, source })
}

fn sample(
    id: &str,
    path: &Rc<PathBuf>,
    root: &Element,
    notes: &mut Notes,
) -> Result<Option<(SampleRecord, Vec<Named>)>> {
    let given = root.child_text("filename").unwrap_or_default();
    let file_name = files::safe_relative(given).unwrap_or_else(|| format!("{id}.jpg"));
    if given.is_empty() {
        let kind = WarningKind::MissingField { place: "annotation".to_owned(), field: "filename" };
        notes.note_in(path, Some(root.line), kind)?;
    } else if files::safe_relative(given).is_none() {
        let kind = WarningKind::UnsafePath { place: "filename".to_owned(), found: given.to_owned() };
        notes.note_in(path, Some(root.line), kind)?;
        return Ok(None);
    }
    let size = size(path, root, notes)?;
    let unit = ImageSize::new(1, 1);
    let built = size.map_or(unit, Ok).and_then(|s| SampleRecord::image(id, file_name, s));
    let mut record = match built {
        Ok(record) => SampleRecord { size, boxes: Some(Vec::new()), ..record },
        Err(reason) => {
            notes.note_in(path, None, WarningKind::Refused { place: "file name".to_owned(), reason })?;
            return Ok(None);
        }
    };
    for (key, default) in SAMPLE_FIELDS {
        keep(&mut record.extra, key, root.child_text(key).unwrap_or(default), default);
    }
    let depth = root.child("size").and_then(|s| s.child_text("depth")).unwrap_or("3");
    keep(&mut record.extra, "depth", depth, "3");
    let mut labels = Vec::new();
    for child in &root.children {
        match child.name.as_str() {
            "object" => match object(child, path, labels.len(), notes)? {
                Ok(label) => labels.push(label),
                Err(kind) => notes.note_in(path, Some(child.line), kind)?,
            },
            "filename" | "size" | "folder" | "path" | "segmented" => {}
            other => notes.unread(&format!("annotation/{other}"))?,
        }
    }
    Ok(Some((record, labels)))
}

fn size(path: &Path, root: &Element, notes: &mut Notes) -> Result<Option<ImageSize>> {
    let Some(element) = root.child("size") else {
        let kind = WarningKind::MissingField { place: "annotation".to_owned(), field: "size" };
        return notes.note_in(path, Some(root.line), kind).map(|()| None);
    };
    let side = |name| element.child_text(name).and_then(|t| t.parse::<u32>().ok());
    let size = side("width").zip(side("height")).and_then(|(w, h)| ImageSize::new(w, h).ok());
    if size.is_none() {
        let found = element.children.iter().map(Element::text).collect::<Vec<_>>().join(" x ");
        notes.note_in(path, Some(element.line), invalid("size", "width and height from 1", &found))?;
    }
    Ok(size)
}

/// The outer error ends the reading, the inner one costs this object.
fn object(
    element: &Element,
    path: &Rc<PathBuf>,
    n_before: usize,
    notes: &mut Notes,
) -> Result<Result<Named, WarningKind>> {
    let place = format!("object {}", n_before + 1);
    for child in &element.children {
        let known = LABEL_FIELDS.iter().any(|(key, _)| *key == child.name);
        if !known && !matches!(child.name.as_str(), "name" | "bndbox") {
            notes.unread(&format!("object/{}", child.name))?;
        }
    }
    let missing = |field| WarningKind::MissingField { place: place.clone(), field };
    let parsed = || {
        let class = element.child_text("name").filter(|n| !n.is_empty()).ok_or_else(|| missing("name"))?;
        let bndbox = element.child("bndbox").ok_or_else(|| missing("bndbox"))?;
        let edge = |name: &'static str| {
            let text = bndbox.child_text(name).ok_or_else(|| missing(name))?;
            text.parse::<f64>().map_err(|_| invalid(format!("{place}: {name}"), "a number", text))
        };
        let bbox = BBox::from_corners(edge("xmin")?, edge("ymin")?, edge("xmax")?, edge("ymax")?)
            .map_err(|reason| WarningKind::Refused { place: place.clone(), reason })?;
        let mut label = Named::new(class.to_owned(), bbox, path, Some(element.line), place.clone());
        for (key, default) in LABEL_FIELDS {
            keep(&mut label.label.extra, key, element.child_text(key).unwrap_or(default), default);
        }
        Ok(label)
    };
    Ok(parsed())
}

/// Writes the labelled pictures as a VOC folder, which is built beside its place and moved there once complete. Media
/// files are not copied.
///
/// Samples that nobody looked at and point clouds are left out and counted in the warnings.
///
/// # Errors
/// [`FormatError::Occupied`], [`FormatError::NothingToWrite`], [`FormatError::NoSize`], [`FormatError::UnsafeName`],
/// [`FormatError::Io`], [`FormatError::ClassOutOfRange`] and [`FormatError::DuplicateSample`].
pub fn write(dir: &Path, set: &AnnotationSet) -> Result<Vec<Warning>> {
    let (labelled, mut losses) = labelled_pictures(dir, set, &HOLDS)?;
    // A line of the list of classes that begins with the sign is a comment.
    let as_read = |name: &str| match xml::as_text(name) {
        name if name.starts_with('#') => name.replacen('#', "_", 1),
        name => name,
    };
    let (words, n_changed) = loss::class_words(&set.schema, as_read)?;
    losses.add(Lost::ClassNames, n_changed);
    let folder = StagedFolder::new(dir)?;
    for sample in labelled {
        let file = format!("Annotations/{}", files::named_after(sample.id.as_str(), "xml")?);
        let file_name = files::safe_relative(&xml::as_text(&sample.file_name))
            .ok_or_else(|| FormatError::UnsafeName { name: sample.file_name.clone() })?;
        losses.add(Lost::FileNames, usize::from(file_name != sample.file_name));
        folder.write(&file, &annotation(sample, &words)?)?;
    }
    let mut map = "# label:color_rgb:parts:actions\n".to_owned();
    for name in &words {
        let _ = writeln!(map, "{name}:::");
    }
    folder.write("labelmap.txt", &map)?;
    folder.finish()?;
    Ok(losses.into_warnings(dir, Format::Voc))
}

/// What a format that knows labelled pictures only can write of a set, in order of id, and what it cannot.
pub(crate) fn labelled_pictures<'s>(
    out: &Path,
    set: &'s AnnotationSet,
    holds: &Holds,
) -> Result<(Vec<&'s SampleRecord>, Losses)> {
    loss::check(set)?;
    let (pictures, clouds): (Vec<_>, Vec<_>) = set.samples.iter().partition(|s| s.kind == SliceKind::Image);
    let (mut labelled, unlabelled): (Vec<_>, Vec<_>) = pictures.into_iter().partition(|s| s.boxes.is_some());
    if labelled.is_empty() {
        return Err(FormatError::NothingToWrite { path: out.to_owned(), n_samples: set.samples.len() });
    }
    labelled.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let mut losses = Losses::of(set, labelled.iter().copied(), holds);
    losses.add(Lost::PointClouds, clouds.len());
    losses.add(Lost::UnlabelledSamples, unlabelled.len());
    Ok((labelled, losses))
}

fn annotation(sample: &SampleRecord, words: &[String]) -> Result<String> {
    let size = sample.size.ok_or_else(|| FormatError::NoSize { sample: sample.id.to_string() })?;
    let extra = HOLDS.sample_extra(sample);
    let mut text = "<annotation>\n".to_owned();
    for (key, default) in &SAMPLE_FIELDS[..2] {
        let value = kept(&extra, key, default);
        if !value.is_empty() {
            // Writing to a text cannot fail, here and below.
            let _ = writeln!(text, "  <{key}>{}</{key}>", escape(&value));
        }
    }
    let _ = writeln!(text, "  <filename>{}</filename>", escape(&sample.file_name));
    let _ = writeln!(
        text,
        "  <size><width>{}</width><height>{}</height><depth>{}</depth></size>",
        size.width(),
        size.height(),
        escape(&kept(&extra, "depth", "3"))
    );
    let _ = writeln!(text, "  <segmented>{}</segmented>", escape(&kept(&extra, "segmented", "0")));
    for label in sample.boxes.iter().flatten() {
        add_object(&mut text, label, words);
    }
    text.push_str("</annotation>\n");
    Ok(text)
}

fn add_object(text: &mut String, label: &LabelledBox, words: &[String]) {
    let name = &words[label.class.as_usize()];
    let extra = HOLDS.label_extra(label);
    let _ = writeln!(text, "  <object>\n    <name>{}</name>", escape(name));
    for (key, default) in LABEL_FIELDS {
        let _ = writeln!(text, "    <{key}>{}</{key}>", escape(&kept(&extra, key, default)));
    }
    let [left, top, right, bottom] = label.bbox.to_corners();
    let _ = writeln!(
        text,
        "    <bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox>\n  \
         </object>"
    );
}
