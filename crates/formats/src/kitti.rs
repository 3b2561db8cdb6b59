//! KITTI object labels: one text file per image.
//!
//! ```text
//! label_2/000008.txt   type truncated occluded alpha left top right bottom height width length x y z rotation_y [score]
//! classes.txt          ours: the classes in order, one on each line
//! image_sizes.tsv      ours: file, width, height
//! ```
//!
//! The columns are those of the object development kit's readme. The box is read into the label; what belongs to three
//! dimensions is in the frame of the camera and stays in `extra` (`truncated`, `occluded`, `alpha`, `dimensions` as
//! height, width, length, `location`, `rotation_y`, `score`), absent where KITTI's word for unknown stands. `DontCare` is no
//! class: its boxes are kept in the sample's `extra["dont_care"]`.
//!
//! That is [`read()`] and [`write()`], for which a picture is all there is. [`read_captures`] and [`write_captures`] take the
//! folder for what it is, captures of two cameras and a lidar: they bring the cuboids into the lidar's frame by the
//! [`Calibration`], and give the lines of labels that nobody changed back word for word.
//!
//! A round trip moves edges by less than 1e-9 pixels and carries ids, file names, sizes, classes in order, boxes,
//! verified-empty images and KITTI's own fields bit by bit. A class name cannot hold a space in KITTI; it is written
//! with `_` and counted. Everything else is counted in the warnings of [`write()`].

mod calibration;
mod captures;
mod columns;
mod link;
mod write_captures;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use labelloop_core::{AnnotationSet, BBox, ClassSchema, Extra, ImageSize, SampleRecord};
use serde::de::DeserializeOwned;

use crate::files::{self, StagedFolder};
use crate::loss::{self, Holds};
use crate::named::{self, Named};
use crate::voc::labelled_pictures;
use crate::warning::{Notes, invalid};
use crate::{Format, FormatError, Imported, Lost, ReadOptions, Result, Warning, WarningKind, json, sizes};

pub use calibration::Calibration;
pub use captures::{CaptureGroups, CaptureOptions, read_captures};
pub use write_captures::write_captures;

const DONT_CARE: &str = "DontCare";
const CLASSES: &str = "classes.txt";
/// Key in `extra`, number of columns, and the value that stands for unknown.
const FIELDS: [(&str, usize, f64); 6] = [
    ("truncated", 1, -1.0),
    ("occluded", 1, -1.0),
    ("alpha", 1, -10.0),
    ("dimensions", 3, -1.0),
    ("location", 3, -1000.0),
    ("rotation_y", 1, -10.0),
];
/// The first three fields stand before the box, the others behind it.
const N_BEFORE_BOX: usize = 3;

const HOLDS: Holds = Holds {
    unlabelled_marks: true,
    sizes: true,
    sample_field: |_, key, raw| key == "dont_care" && serde_json::from_str::<Vec<[f64; 4]>>(raw).is_ok(),
    label_field: |_, key, raw| is_column(key, raw),
    ..Holds::NOTHING
};

/// Whether a field of a label is one of KITTI's columns.
fn is_column(key: &str, raw: &str) -> bool {
    let width = FIELDS.iter().find(|(name, ..)| *name == key).map(|(_, width, _)| *width);
    match width {
        Some(1) => serde_json::from_str::<f64>(raw).is_ok(),
        Some(_) => serde_json::from_str::<[f64; 3]>(raw).is_ok(),
        None => key == "score" && serde_json::from_str::<f64>(raw).is_ok(),
    }
}

/// Reads a folder with `label_2`, or a folder of label files, in order of their names.
///
/// File name and size are those of `image_2` or of `image_sizes.tsv`; a sample without either has no size. The classes
/// are those of `classes.txt`; without it and without [`ReadOptions::schema`] those that occur, sorted, with a warning.
/// Lenient reading leaves out lines that are not 15 or 16 columns.
///
/// # Errors
/// [`FormatError::Io`], [`FormatError::NotUtf8`], [`FormatError::Schema`]; [`FormatError::Refused`] under
/// [`crate::Strictness::Strict`].
pub fn read(dir: &Path, options: &ReadOptions) -> Result<Imported> {
    files::refuse_archive(dir)?;
    let mut notes = Notes::new(dir, options.strictness);
    let inner = dir.join("label_2");
    let folder = if inner.is_dir() { inner.clone() } else { dir.to_owned() };
    let images = images(dir, &mut notes)?;
    let mut samples = Vec::new();
    for file in files::files_below(&folder)? {
        if files::ending(&file) != Some("txt") || (folder != inner && file == CLASSES) {
            continue;
        }
        let path = Rc::new(folder.join(&file));
        samples.extend(sample(files::stem(&file), &path, &images, &mut notes)?);
    }
    let set = named::resolve(dir, samples, read_classes(dir)?, options, &mut notes)?;
    Ok(Imported { set, warnings: notes.into_warnings() })
}

fn read_classes(dir: &Path) -> Result<Option<ClassSchema>> {
    let path = dir.join(CLASSES);
    if !path.is_file() {
        return Ok(None);
    }
    let text = files::read_text(&path)?;
    let names = text.lines().filter(|l| !l.trim().is_empty());
    ClassSchema::new(names).map(Some).map_err(|source| FormatError::Schema { path, source })
}

/// File name and size by sample id.
fn images(dir: &Path, notes: &mut Notes) -> Result<BTreeMap<String, (String, Option<ImageSize>)>> {
    let listed = sizes::read(dir, notes)?;
    let by_id = |(file, listed): (String, sizes::Listed)| {
        let id = files::stem(file.strip_prefix("image_2/").unwrap_or(&file)).to_owned();
        (id, (listed.file_name(dir, &file), Some(listed.size)))
    };
    let mut images: BTreeMap<_, _> = listed.into_iter().map(by_id).collect();
    let folder = dir.join("image_2");
    if folder.is_dir() {
        for file in files::files_below(&folder)? {
            let size = files::image_size(&folder.join(&file))?;
            let id = files::stem(&file).to_owned();
            let listed = images.get(&id).and_then(|(_, size)| *size);
            images.insert(id, (format!("image_2/{file}"), size.or(listed)));
        }
    }
    Ok(images)
}

fn sample(
    id: &str,
    path: &Rc<PathBuf>,
    images: &BTreeMap<String, (String, Option<ImageSize>)>,
    notes: &mut Notes,
) -> Result<Option<(SampleRecord, Vec<Named>)>> {
    let (file_name, size) = images.get(id).cloned().unwrap_or_else(|| (format!("image_2/{id}.png"), None));
    let unit = ImageSize::new(1, 1);
    let mut record = match size.map_or(unit, Ok).and_then(|s| SampleRecord::image(id, file_name, s)) {
        Ok(record) => SampleRecord { size, boxes: Some(Vec::new()), ..record },
        Err(reason) => {
            notes.note_in(path, None, WarningKind::Refused { place: "file name".to_owned(), reason })?;
            return Ok(None);
        }
    };
    let (mut labels, mut ignored) = (Vec::new(), Vec::new());
    for (i, line) in files::read_text(path)?.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        match label(line, path, i + 1) {
            Ok(named) if named.class == DONT_CARE => ignored.push(named.label.bbox),
            Ok(named) => labels.push(named),
            Err(kind) => notes.note_in(path, Some(i + 1), kind)?,
        }
    }
    if !ignored.is_empty() {
        let boxes: Vec<String> = ignored.into_iter().map(|b| json_list(&b.to_corners())).collect();
        record.extra.insert("dont_care".to_owned(), format!("[{}]", boxes.join(", ")));
    }
    Ok(Some((record, labels)))
}

fn json_list(numbers: &[f64]) -> String {
    format!("[{}]", numbers.iter().map(|n| json::number(*n)).collect::<Vec<_>>().join(", "))
}

fn label(line: &str, path: &Rc<PathBuf>, number: usize) -> Result<Named, WarningKind> {
    const EXPECTED: &str = "a type and 14 or 15 finite numbers";
    let wrong = || invalid("label", EXPECTED, line);
    let words: Vec<&str> = line.split_whitespace().collect();
    if !matches!(words.len(), 15 | 16) {
        return Err(wrong());
    }
    let numbers: Vec<f64> =
        words[1..].iter().filter_map(|w| w.parse().ok()).filter(|n: &f64| n.is_finite()).collect();
    if numbers.len() + 1 != words.len() {
        return Err(wrong());
    }
    let bbox = BBox::from_corners(numbers[3], numbers[4], numbers[5], numbers[6])
        .map_err(|reason| WarningKind::Refused { place: "label".to_owned(), reason })?;
    let mut named = Named::new(words[0].to_owned(), bbox, path, Some(number), "label".to_owned());
    let mut at = 0;
    for (i, (key, width, unknown)) in FIELDS.into_iter().enumerate() {
        at += if i == N_BEFORE_BOX { 4 } else { 0 };
        let values = &numbers[at..at + width];
        at += width;
        if values.iter().any(|v| *v != unknown) {
            let text = if width == 1 { json::number(values[0]) } else { json_list(values) };
            named.label.extra.insert(key.to_owned(), text);
        }
    }
    if let Some(score) = numbers.get(at) {
        named.label.extra.insert("score".to_owned(), json::number(*score));
    }
    Ok(named)
}

/// Writes the labelled pictures as a KITTI folder, which is built beside its place and moved there once complete. Media
/// files are not copied.
///
/// Samples that nobody looked at and point clouds are left out and counted in the warnings. Fields that a label does not
/// have are written with KITTI's word for unknown: -1, -10 or -1000.
///
/// # Errors
/// [`FormatError::Occupied`], [`FormatError::NothingToWrite`], [`FormatError::UnsafeName`], [`FormatError::NameClash`]
/// for classes that differ in spaces only, [`FormatError::InvalidExtra`], [`FormatError::Io`],
/// [`FormatError::ClassOutOfRange`] and [`FormatError::DuplicateSample`].
pub fn write(dir: &Path, set: &AnnotationSet) -> Result<Vec<Warning>> {
    let (labelled, mut losses) = labelled_pictures(dir, set, &HOLDS)?;
    let (words, n_changed) = class_words(&set.schema)?;
    losses.add(Lost::ClassNames, n_changed);
    let folder = StagedFolder::new(dir)?;
    let mut listed = String::new();
    for sample in labelled {
        let id = sample.id.as_str();
        folder.write(&format!("label_2/{}", files::named_after(id, "txt")?), &label_text(sample, &words)?)?;
        let original = files::safe_relative(&sample.file_name)
            .ok_or_else(|| FormatError::UnsafeName { name: sample.file_name.clone() })?;
        let ending = files::ending(&original).unwrap_or("png");
        let renamed = match sample.size {
            Some(size) => {
                let image = format!("image_2/{}", files::named_after(id, ending)?);
                sizes::add(&mut listed, &image, size, &original);
                original != sample.file_name
            }
            None => sample.file_name != format!("image_2/{}", files::named_after(id, "png")?),
        };
        losses.add(Lost::FileNames, usize::from(renamed));
    }
    folder.write(sizes::SIZES, &listed)?;
    folder.write(CLASSES, &format!("{}\n", words.join("\n")))?;
    folder.finish()?;
    Ok(losses.into_warnings(dir, Format::Kitti))
}

/// Class names as single words, none of which is that of ignored regions.
fn class_words(schema: &ClassSchema) -> Result<(Vec<String>, usize)> {
    let plain = |c: char| if c.is_whitespace() || c == '\u{feff}' { '_' } else { c };
    loss::class_words(schema, |name| match name {
        DONT_CARE => format!("{DONT_CARE}_"),
        name => name.chars().map(plain).collect(),
    })
}

fn label_text(sample: &SampleRecord, words: &[String]) -> Result<String> {
    let mut text = String::new();
    let id = sample.id.as_str();
    for label in sample.boxes.iter().flatten() {
        let fields = HOLDS.label_extra(label);
        add_line(&mut text, id, &words[label.class.as_usize()], &label.bbox.to_corners(), &fields)?;
    }
    let ignored: Vec<[f64; 4]> = field(id, &HOLDS.sample_extra(sample), "dont_care")?.unwrap_or_default();
    for corners in ignored {
        add_line(&mut text, id, DONT_CARE, &corners, &Extra::new())?;
    }
    Ok(text)
}

fn add_line(text: &mut String, id: &str, word: &str, corners: &[f64; 4], extra: &Extra) -> Result<()> {
    let mut columns = vec![word.to_owned()];
    for (i, (key, width, unknown)) in FIELDS.into_iter().enumerate() {
        if i == N_BEFORE_BOX {
            columns.extend(corners.iter().map(ToString::to_string));
        }
        let values = if width == 1 {
            field::<f64>(id, extra, key)?.map(|v| vec![v])
        } else {
            field::<[f64; 3]>(id, extra, key)?.map(Vec::from)
        };
        columns.extend(values.unwrap_or_else(|| vec![unknown; width]).iter().map(ToString::to_string));
    }
    columns.extend(field::<f64>(id, extra, "score")?.map(|s| s.to_string()));
    // Writing to a text cannot fail.
    let _ = writeln!(text, "{}", columns.join(" "));
    Ok(())
}

fn field<T: DeserializeOwned>(id: &str, extra: &Extra, key: &str) -> Result<Option<T>> {
    let parse = |text: &String| {
        serde_json::from_str(text).map_err(|e| FormatError::InvalidExtra {
            place: id.to_owned(),
            key: key.to_owned(),
            reason: e.to_string(),
        })
    };
    extra.get(key).map(parse).transpose()
}
