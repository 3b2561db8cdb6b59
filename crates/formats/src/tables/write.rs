use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, UInt32Array};
use arrow_schema::{Field, Schema};
use labelloop_core::{
    AnnotationSet, ClassIdx, ClassSchema, Extra, LabelledBox, LabelledCuboid, SampleRecord, SliceKind,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::{BOXES, CUBOIDS, Column, SAMPLES, VERSION};
use crate::files::{self, StagedFolder, io_error};
use crate::json::{self, ObjectText};
use crate::loss::{self, Losses};
use crate::{Format, FormatError, Lost, Result, Warning};

/// Writes a set as a folder of Parquet tables, in order of sample id; the folder is built beside its place and moved there
/// once complete.
///
/// ```
/// use labelloop_core::{AnnotationSet, ClassSchema, Extra, ImageSize, SampleRecord};
/// use labelloop_formats::tables;
///
/// let sample = SampleRecord::image("a", "a.png", ImageSize::new(64, 48)?)?;
/// let set = AnnotationSet { schema: ClassSchema::new(["car"])?, samples: vec![sample], extra: Extra::new() };
/// let folder = tempfile::tempdir()?;
/// let out = folder.path().join("tables");
/// assert_eq!(tables::write(&out, &set)?, []);
/// assert_eq!(tables::read(&out, &Default::default())?.set, set);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`FormatError::Occupied`], [`FormatError::UnsafeName`], [`FormatError::InvalidExtra`], [`FormatError::Io`],
/// [`FormatError::Table`], [`FormatError::ClassOutOfRange`] and [`FormatError::DuplicateSample`].
pub fn write(dir: &Path, set: &AnnotationSet) -> Result<Vec<Warning>> {
    loss::check(set)?;
    let mut samples: Vec<&SampleRecord> = set.samples.iter().collect();
    samples.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let mut losses = Losses::default();
    let mut names = Vec::with_capacity(samples.len());
    for sample in &samples {
        let name = files::safe_relative(&sample.file_name)
            .ok_or_else(|| FormatError::UnsafeName { name: sample.file_name.clone() })?;
        losses.add(Lost::FileNames, usize::from(name != sample.file_name));
        names.push(name);
    }
    let folder = StagedFolder::new(dir)?;
    folder.write("schema.json", &schema_text(set)?)?;
    table(&folder, "samples.parquet", &SAMPLES, sample_columns(&samples, &names)?)?;
    table(&folder, "boxes.parquet", &BOXES, box_columns(&samples, &set.schema)?)?;
    if samples.iter().any(|s| s.cuboids.as_ref().is_some_and(|c| !c.is_empty())) {
        table(&folder, "cuboids.parquet", &CUBOIDS, cuboid_columns(&samples, &set.schema))?;
    }
    folder.finish()?;
    Ok(losses.into_warnings(dir, Format::Parquet))
}

fn schema_text(set: &AnnotationSet) -> Result<String> {
    let names: Vec<String> = set.schema.names().iter().map(|n| json::quoted(n)).collect();
    let mut extra = ObjectText::new();
    extra.extra("set", &set.extra, &[])?;
    let mut text = ObjectText::new();
    text.raw("version", &VERSION.to_string()).raw("classes", &format!("[{}]", names.join(", ")));
    text.raw("extra", &extra.finish());
    Ok(format!("{}\n", text.finish()))
}

fn table(folder: &StagedFolder, name: &str, columns: &[Column], arrays: Vec<ArrayRef>) -> Result<()> {
    let path = folder.file(name)?;
    let refused = |reason: String| FormatError::Table { path: path.clone(), reason };
    let fields = columns.iter().map(|(name, kind, null)| Field::new(*name, kind.clone(), *null));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(|e| refused(e.to_string()))?;
    let file = std::fs::File::create(&path).map_err(io_error(&path))?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let written = ArrowWriter::try_new(file, schema, Some(properties)).and_then(|mut writer| {
        writer.write(&batch)?;
        writer.close()
    });
    written.map(drop).map_err(|e| refused(e.to_string()))
}

fn texts<'s>(values: impl Iterator<Item = &'s str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn optional<'s>(values: impl Iterator<Item = Option<&'s str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn sample_columns(samples: &[&SampleRecord], names: &[String]) -> Result<Vec<ArrayRef>> {
    let all = || samples.iter().copied();
    let side = |of: fn(labelloop_core::ImageSize) -> u32| -> ArrayRef {
        Arc::new(all().map(|s| s.size.map(of)).collect::<UInt32Array>())
    };
    let flag = |of: fn(&SampleRecord) -> bool| -> ArrayRef {
        Arc::new(all().map(|s| Some(of(s))).collect::<BooleanArray>())
    };
    let kind = |s: &SampleRecord| if s.kind == SliceKind::PointCloud { "point_cloud" } else { "image" };
    let extras: Vec<Option<String>> =
        all().map(|s| extra_text(s.id.as_str(), &s.extra)).collect::<Result<_>>()?;
    Ok(vec![
        texts(all().map(|s| s.id.as_str())),
        texts(all().map(|s| s.capture.as_str())),
        texts(all().map(|s| s.group.as_str())),
        texts(all().map(|s| s.slice.as_str())),
        texts(all().map(kind)),
        texts(names.iter().map(String::as_str)),
        side(labelloop_core::ImageSize::width),
        side(labelloop_core::ImageSize::height),
        flag(|s| s.boxes.is_some()),
        flag(|s| s.cuboids.is_some()),
        optional(all().map(|s| s.labelled_by.as_ref()?.annotator.as_deref())),
        optional(all().map(|s| s.labelled_by.as_ref()?.at.as_deref())),
        optional(extras.iter().map(Option::as_deref)),
    ])
}

/// JSON text of an object; nothing where there is no field.
fn extra_text(id: &str, extra: &Extra) -> Result<Option<String>> {
    if extra.is_empty() {
        return Ok(None);
    }
    let mut text = ObjectText::new();
    text.extra(id, extra, &[])?;
    Ok(Some(text.finish()))
}

/// The first three columns of labels.
fn label_columns<'s>(labels: &[(&'s str, ClassIdx)], schema: &'s ClassSchema) -> Vec<ArrayRef> {
    vec![
        texts(labels.iter().map(|(sample, _)| *sample)),
        Arc::new(UInt32Array::from_iter_values(labels.iter().map(|(_, class)| class.0))),
        texts(labels.iter().map(|(_, class)| schema.name(*class).unwrap_or_default())),
    ]
}

fn box_columns(samples: &[&SampleRecord], schema: &ClassSchema) -> Result<Vec<ArrayRef>> {
    let of = |s: &&'_ SampleRecord| s.boxes.as_ref().map_or(0, Vec::len);
    let mut rows: Vec<(&str, &LabelledBox)> = Vec::with_capacity(samples.iter().map(of).sum());
    for sample in samples {
        rows.extend(sample.boxes.iter().flatten().map(|label| (sample.id.as_str(), label)));
    }
    let classes: Vec<_> = rows.iter().map(|(id, label)| (*id, label.class)).collect();
    let mut columns = label_columns(&classes, schema);
    for i in 0..4 {
        columns.push(Arc::new(Float64Array::from_iter_values(rows.iter().map(|(_, l)| l.bbox.to_xywh()[i]))));
    }
    let extras: Vec<Option<String>> =
        rows.iter().map(|(id, l)| extra_text(id, &l.extra)).collect::<Result<_>>()?;
    columns.push(Arc::new(rows.iter().map(|(_, l)| l.area).collect::<Float64Array>()));
    columns.push(Arc::new(rows.iter().map(|(_, l)| Some(l.is_crowd)).collect::<BooleanArray>()));
    columns.push(optional(rows.iter().map(|(_, l)| l.annotator.as_deref())));
    columns.push(optional(extras.iter().map(Option::as_deref)));
    Ok(columns)
}

fn cuboid_columns(samples: &[&SampleRecord], schema: &ClassSchema) -> Vec<ArrayRef> {
    let mut rows: Vec<(&str, &LabelledCuboid)> = Vec::new();
    for sample in samples {
        rows.extend(sample.cuboids.iter().flatten().map(|label| (sample.id.as_str(), label)));
    }
    let classes: Vec<_> = rows.iter().map(|(id, label)| (*id, label.class)).collect();
    // Finite numbers and words of a closed list: serde has no way to fail.
    let written: Vec<String> =
        rows.iter().map(|(_, l)| serde_json::to_string(&l.cuboid).unwrap_or_default()).collect();
    let mut columns = label_columns(&classes, schema);
    columns.push(texts(written.iter().map(String::as_str)));
    columns.push(optional(rows.iter().map(|(_, l)| l.annotator.as_deref())));
    columns
}
