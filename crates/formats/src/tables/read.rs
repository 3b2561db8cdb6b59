use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt32Type};
use arrow_array::{Array, ArrayRef, RecordBatch, new_null_array};
use labelloop_core::{
    BBox, CaptureId, ClassSchema, Cuboid, Extra, GroupKey, ImageSize, LabelledBy, LabelledCuboid, SampleId,
    SampleRecord, SliceKind,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{BOXES, CUBOIDS, Column, SAMPLES, VERSION};
use crate::files::{self, io_error};
use crate::json::{Object, Source};
use crate::named::{self, Named};
use crate::warning::Notes;
use crate::{FormatError, Imported, ReadOptions, Result, WarningKind};

/// Reads a folder of Parquet tables, samples in the order of their table.
///
/// Without `schema.json` and without [`ReadOptions::schema`] the classes are those that occur, sorted, with a warning.
/// Lenient reading leaves out, with a warning each, samples without a usable name and labels without a usable sample, class
/// or place. Tables of a later version, without a column that is needed, or damaged are errors.
///
/// # Errors
/// [`FormatError::Io`], [`FormatError::Table`], [`FormatError::Structure`], [`FormatError::Syntax`],
/// [`FormatError::Schema`]; [`FormatError::Refused`] under [`crate::Strictness::Strict`].
pub fn read(dir: &Path, options: &ReadOptions) -> Result<Imported> {
    files::refuse_archive(dir)?;
    let mut notes = Notes::new(dir, options.strictness);
    let (listed, extra) = described(dir)?;
    let mut found = samples(dir, &mut notes)?;
    boxes(dir, &mut found, &mut notes)?;
    let cuboids = cuboids(dir, &mut notes)?;
    let named = found.order.iter().filter_map(|id| found.samples.remove(id)).collect();
    let mut set = named::resolve(dir, named, listed, options, &mut notes)?;
    set.extra = extra;
    add_cuboids(&mut set, cuboids, &dir.join("cuboids.parquet"), &mut notes)?;
    Ok(Imported { set, warnings: notes.into_warnings() })
}

fn described(dir: &Path) -> Result<(Option<ClassSchema>, Extra)> {
    let path = dir.join("schema.json");
    if !path.is_file() {
        return Ok((None, Extra::new()));
    }
    let text = files::read_text(&path)?;
    let source = Source::new(&path, &text);
    let mut top: Object<'_> = source.parse_all()?;
    let version = top.take("version").and_then(|raw| serde_json::from_str::<u64>(raw.get()).ok());
    if version != Some(VERSION) {
        return Err(source.structure("version", "1, the only version there is"));
    }
    let names = top.take("classes").and_then(|raw| serde_json::from_str::<Vec<String>>(raw.get()).ok());
    let names = names.ok_or_else(|| source.structure("classes", "a list of names"))?;
    let extra = top.take("extra").map(|raw| source.parse::<Object<'_>>(raw.get())).transpose()?;
    let schema =
        ClassSchema::new(names).map_err(|source| FormatError::Schema { path: path.clone(), source })?;
    Ok((Some(schema), extra.unwrap_or_default().into_extra()))
}

/// The rows of a file with the columns that are asked for, in that order.
fn rows(path: &Path, columns: &[Column], notes: &mut Notes) -> Result<Vec<Vec<ArrayRef>>> {
    let file = File::open(path).map_err(io_error(path))?;
    let refused = |reason: String| FormatError::Table { path: path.to_owned(), reason };
    // The library answers most damage with an error and some with a panic.
    let read = std::panic::catch_unwind(|| {
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)?.build()?;
        reader.collect::<Result<Vec<RecordBatch>, _>>().map_err(parquet::errors::ParquetError::from)
    });
    let batches = read.map_err(|_| refused("a damaged Parquet file".to_owned()))?;
    let batches = batches.map_err(|e| refused(e.to_string()))?;
    if let Some(first) = batches.first() {
        let known: BTreeSet<&str> = columns.iter().map(|(name, ..)| *name).collect();
        for field in first.schema().fields().iter().filter(|f| !known.contains(f.name().as_str())) {
            notes.unread(&format!("column {}", field.name()))?;
        }
    }
    let of_batch = |batch: RecordBatch| columns.iter().map(|c| column(&batch, c, path)).collect();
    batches.into_iter().map(of_batch).collect()
}

/// A column by name, cast to the type that is meant.
fn column(batch: &RecordBatch, (name, kind, may_miss): &Column, path: &Path) -> Result<ArrayRef> {
    let refused = |reason: String| FormatError::Table {
        path: path.to_owned(),
        reason: format!("column {name}: {reason}"),
    };
    let Some(found) = batch.column_by_name(name) else {
        return match may_miss {
            true => Ok(new_null_array(kind, batch.num_rows())),
            false => Err(refused("is missing".to_owned())),
        };
    };
    let safe = arrow_cast::CastOptions { safe: false, ..Default::default() };
    let cast = arrow_cast::cast_with_options(found, kind, &safe).map_err(|e| refused(e.to_string()))?;
    if !may_miss && 0 < cast.null_count() {
        return Err(refused(format!("{} values are null", cast.null_count())));
    }
    Ok(cast)
}

fn text(array: &ArrayRef, row: usize) -> Option<&str> {
    let texts = array.as_string::<i32>();
    texts.is_valid(row).then(|| texts.value(row))
}

fn owned(array: &ArrayRef, row: usize) -> Option<String> {
    text(array, row).map(str::to_owned)
}

fn required(array: &ArrayRef, row: usize) -> String {
    owned(array, row).unwrap_or_default()
}

fn flag(array: &ArrayRef, row: usize) -> bool {
    array.as_boolean().value(row)
}

fn number(array: &ArrayRef, row: usize) -> Option<f64> {
    let numbers = array.as_primitive::<Float64Type>();
    numbers.is_valid(row).then(|| numbers.value(row))
}

/// Samples by id, and their order.
#[derive(Default)]
struct Found {
    samples: BTreeMap<SampleId, (SampleRecord, Vec<Named>)>,
    order: Vec<SampleId>,
}

fn samples(dir: &Path, notes: &mut Notes) -> Result<Found> {
    let path = dir.join("samples.parquet");
    let (mut found, mut n) = (Found::default(), 0);
    for columns in rows(&path, &SAMPLES, notes)? {
        for row in 0..columns[0].len() {
            n += 1;
            let place = format!("row {n}");
            match sample(&columns, row, &place) {
                Ok(sample) if found.samples.contains_key(&sample.id) => {
                    let id = sample.id.to_string();
                    notes.note_in(&path, None, WarningKind::DuplicateId { place, id })?;
                }
                Ok(sample) => {
                    found.order.push(sample.id.clone());
                    found.samples.insert(sample.id.clone(), (sample, Vec::new()));
                }
                Err(kind) => notes.note_in(&path, None, kind)?,
            }
        }
    }
    Ok(found)
}

fn sample(columns: &[ArrayRef], row: usize, place: &str) -> Result<SampleRecord, WarningKind> {
    let refused = |reason| WarningKind::Refused { place: place.to_owned(), reason };
    let [id, capture, group, slice, kind, file_name, width, height, looked_at, in_cloud, by, at, extra] =
        columns
    else {
        return Err(WarningKind::MissingField { place: place.to_owned(), field: "columns" });
    };
    let given = required(file_name, row);
    let file_name = files::safe_relative(&given)
        .ok_or_else(|| WarningKind::UnsafePath { place: place.to_owned(), found: given.clone() })?;
    let side = |array: &ArrayRef| {
        let sides = array.as_primitive::<UInt32Type>();
        sides.is_valid(row).then(|| sides.value(row))
    };
    let size = side(width).zip(side(height)).map(|(w, h)| ImageSize::new(w, h)).transpose();
    let (annotator, at) = (owned(by, row), owned(at, row));
    let labelled_by = (annotator.is_some() || at.is_some()).then_some(LabelledBy { annotator, at });
    let kind = match text(kind, row) {
        Some("image") => SliceKind::Image,
        Some("point_cloud") => SliceKind::PointCloud,
        other => {
            return Err(WarningKind::InvalidValue {
                place: format!("{place}: kind"),
                expected: "image or point_cloud",
                found: format!("{:?}", crate::json::shortened(other.unwrap_or_default())),
            });
        }
    };
    Ok(SampleRecord {
        id: SampleId::new(required(id, row)).map_err(refused)?,
        capture: CaptureId::new(required(capture, row)).map_err(refused)?,
        group: GroupKey::new(required(group, row)).map_err(refused)?,
        slice: required(slice, row),
        kind,
        file_name,
        size: size.map_err(refused)?,
        boxes: flag(looked_at, row).then(Vec::new),
        cuboids: flag(in_cloud, row).then(Vec::new),
        labelled_by,
        extra: extra_of(extra, row, place)?,
    })
}

fn extra_of(array: &ArrayRef, row: usize, place: &str) -> Result<Extra, WarningKind> {
    let Some(raw) = text(array, row) else { return Ok(Extra::new()) };
    let object = serde_json::from_str::<Object<'_>>(raw).map_err(|_| WarningKind::InvalidValue {
        place: format!("{place}: extra"),
        expected: "a JSON object",
        found: format!("{:?}", crate::json::shortened(raw)),
    })?;
    Ok(object.into_extra())
}

fn boxes(dir: &Path, found: &mut Found, notes: &mut Notes) -> Result<()> {
    let path = Rc::new(dir.join("boxes.parquet"));
    let mut n = 0;
    for columns in rows(&path, &BOXES, notes)? {
        for row in 0..columns[0].len() {
            n += 1;
            let place = format!("row {n}");
            let id = required(&columns[0], row);
            match (found.samples.get_mut(id.as_str()), label(&columns, row, place.clone(), &path)) {
                (Some((_, labels)), Ok(label)) => labels.push(label),
                (None, _) => notes.note_in(&path, None, WarningKind::UnknownImage { place, id })?,
                (_, Err(kind)) => notes.note_in(&path, None, kind)?,
            }
        }
    }
    Ok(())
}

fn label(columns: &[ArrayRef], row: usize, place: String, path: &Rc<PathBuf>) -> Result<Named, WarningKind> {
    let side = |i: usize| number(&columns[i], row).unwrap_or(f64::NAN);
    let bbox = BBox::new(side(3), side(4), side(5), side(6))
        .map_err(|reason| WarningKind::Refused { place: place.clone(), reason })?;
    let extra = extra_of(&columns[10], row, &place)?;
    let mut named = Named::new(required(&columns[2], row), bbox, path, None, place);
    named.label.area = number(&columns[7], row).filter(|area| area.is_finite() && 0.0 <= *area);
    named.label.is_crowd = flag(&columns[8], row);
    named.label.annotator = owned(&columns[9], row);
    named.label.extra = extra;
    Ok(named)
}

struct NamedCuboid {
    sample: String,
    class: String,
    cuboid: Cuboid,
    annotator: Option<String>,
    place: String,
}

fn cuboids(dir: &Path, notes: &mut Notes) -> Result<Vec<NamedCuboid>> {
    let path = dir.join("cuboids.parquet");
    let mut found = Vec::new();
    if !path.is_file() {
        return Ok(found);
    }
    let mut n = 0;
    for columns in rows(&path, &CUBOIDS, notes)? {
        for row in 0..columns[0].len() {
            n += 1;
            let place = format!("row {n}");
            let raw = required(&columns[3], row);
            match serde_json::from_str::<Cuboid>(&raw) {
                Ok(cuboid) => found.push(NamedCuboid {
                    sample: required(&columns[0], row),
                    class: required(&columns[2], row),
                    cuboid,
                    annotator: owned(&columns[4], row),
                    place,
                }),
                Err(_) => {
                    let kind = WarningKind::InvalidValue {
                        place: format!("{place}: cuboid"),
                        expected: "a cuboid as JSON",
                        found: format!("{:?}", crate::json::shortened(&raw)),
                    };
                    notes.note_in(&path, None, kind)?;
                }
            }
        }
    }
    Ok(found)
}

fn add_cuboids(
    set: &mut labelloop_core::AnnotationSet,
    found: Vec<NamedCuboid>,
    path: &Path,
    notes: &mut Notes,
) -> Result<()> {
    let at: BTreeMap<String, usize> =
        set.samples.iter().enumerate().map(|(i, s)| (s.id.to_string(), i)).collect();
    for NamedCuboid { sample, class, cuboid, annotator, place } in found {
        match (at.get(&sample), set.schema.index(&class)) {
            (Some(i), Ok(class)) => {
                let label = LabelledCuboid { class, cuboid, annotator };
                set.samples[*i].cuboids.get_or_insert_default().push(label);
            }
            (None, _) => notes.note_in(path, None, WarningKind::UnknownImage { place, id: sample })?,
            (_, Err(_)) => {
                let nearest = set.schema.nearest(&class).map(str::to_owned);
                notes.note_in(path, None, WarningKind::UnknownClass { place, found: class, nearest })?;
            }
        }
    }
    Ok(())
}
