//! A snapshot as columns. Rows are in the order of field, sample and position.

use std::collections::BTreeMap;

use labelloop_core::{CuboidFrame, CuboidOrigin, Extra, Rotation, SampleId, SliceKind, Split};

use super::frame::Columns;
use crate::dataset::Field;
use crate::{Dataset, Sample};

pub(super) fn samples(d: &Dataset) -> Columns {
    let all: Vec<&Sample> = d.samples.values().collect();
    let tags: Vec<String> = all.iter().map(|s| tag_text(s)).collect();
    let extra: Vec<Option<String>> = all.iter().map(|s| extra_text(&s.extra)).collect();
    Columns::new()
        .with("id", column(&all, |s| s.id.as_str()))
        .with("capture", column(&all, |s| s.capture.as_str()))
        .with("group", column(&all, |s| s.group.as_str()))
        .with("slice", column(&all, |s| s.slice.as_str()))
        .with("kind", column(&all, |s| kind_name(s.kind)))
        .with("file_name", column(&all, |s| s.file_name.as_str()))
        .with("width", column(&all, |s| s.size.map(labelloop_core::ImageSize::width)))
        .with("height", column(&all, |s| s.size.map(labelloop_core::ImageSize::height)))
        .with("split", column(&all, |s| s.split.map(Split::as_str)))
        .with("status", column(&all, |s| s.status.as_str()))
        .with("batch", column(&all, |s| s.batch))
        .with("parent", column(&all, |s| s.parent.as_ref().map(SampleId::as_str)))
        .with("tags", tags)
        .with("extra", extra)
}

/// One row per sample and field that someone looked at, with the number of objects: 0 is an answer too.
pub(super) fn labelled(d: &Dataset) -> Columns {
    let mut rows: Vec<(&str, &str, &str, u32)> = vec![];
    push_counts(&mut rows, super::BOXES, &d.boxes);
    push_counts(&mut rows, super::CUBOIDS, &d.cuboids);
    push_counts(&mut rows, super::PREDICTIONS, &d.predictions);
    Columns::new()
        .with("table", column(&rows, |r| r.0))
        .with("field", column(&rows, |r| r.1))
        .with("sample", column(&rows, |r| r.2))
        .with("n", column(&rows, |r| r.3))
}

pub(super) fn boxes(d: &Dataset) -> Columns {
    let rows = rows(&d.boxes);
    let extra: Vec<Option<String>> = rows.iter().map(|r| extra_text(&r.item.extra)).collect();
    let columns = keys(&rows, |b| d.schema.name(b.class).unwrap_or_default(), |b| b.class.0);
    rectangles(columns, &rows, |b| b.bbox.to_xywh())
        .with("area", column(&rows, |r| r.item.area))
        .with("is_crowd", column(&rows, |r| r.item.is_crowd))
        .with("annotator", column(&rows, |r| r.item.annotator.as_deref()))
        .with("extra", extra)
}

pub(super) fn cuboids(d: &Dataset) -> Columns {
    let rows = rows(&d.cuboids);
    let mut columns = keys(&rows, |c| d.schema.name(c.class).unwrap_or_default(), |c| c.class.0);
    for (i, name) in ["x", "y", "z"].into_iter().enumerate() {
        columns = columns.with(name, column(&rows, |r| r.item.cuboid.position()[i]));
    }
    for (i, name) in ["length", "width", "height"].into_iter().enumerate() {
        columns = columns.with(name, column(&rows, |r| r.item.cuboid.size()[i]));
    }
    // Upright cuboids are told by their yaw; the words of any other rotation are kept beside it.
    let rotations: Vec<Option<String>> = column(&rows, |r| match r.item.cuboid.rotation() {
        Rotation::Yaw(_) => None,
        turned => serde_json::to_string(&turned).ok(),
    });
    columns
        .with("yaw", column(&rows, |r| r.item.cuboid.yaw()))
        .with("frame", column(&rows, |r| frame_name(r.item.cuboid.frame())))
        .with("origin", column(&rows, |r| origin_name(r.item.cuboid.origin())))
        .with("rotation", rotations)
        .with("annotator", column(&rows, |r| r.item.annotator.as_deref()))
}

pub(super) fn predictions(d: &Dataset) -> Columns {
    let rows = rows(&d.predictions);
    let columns = keys(&rows, |b| d.schema.name(b.class()).unwrap_or_default(), |b| b.class().0);
    rectangles(columns, &rows, |b| b.bbox().to_xywh()).with("score", column(&rows, |r| r.item.score()))
}

pub(super) fn scores(d: &Dataset) -> Columns {
    let rows: Vec<(&str, &str, f64)> = d
        .scores
        .iter()
        .flat_map(|(name, scores)| scores.iter().map(move |(id, v)| (name.as_str(), id.as_str(), *v)))
        .collect();
    Columns::new()
        .with("name", column(&rows, |r| r.0))
        .with("sample", column(&rows, |r| r.1))
        .with("value", column(&rows, |r| r.2))
}

struct Row<'a, T> {
    field: &'a str,
    sample: &'a str,
    position: u32,
    item: &'a T,
}

fn rows<T>(fields: &BTreeMap<String, Field<T>>) -> Vec<Row<'_, T>> {
    let mut rows = vec![];
    for (field, labels) in fields {
        for (id, items) in labels {
            rows.extend((0u32..).zip(items).map(|(position, item)| Row {
                field,
                sample: id.as_str(),
                position,
                item,
            }));
        }
    }
    rows
}

/// The class number is what counts; its name is there for people who read the table.
fn keys<'a, T>(rows: &[Row<'a, T>], name: impl Fn(&'a T) -> &'a str, class: impl Fn(&T) -> u32) -> Columns {
    Columns::new()
        .with("field", column(rows, |r| r.field))
        .with("sample", column(rows, |r| r.sample))
        .with("position", column(rows, |r| r.position))
        .with("class", column(rows, |r| class(r.item)))
        .with("class_name", column(rows, |r| name(r.item)))
}

fn rectangles<T>(mut columns: Columns, rows: &[Row<'_, T>], xywh: impl Fn(&T) -> [f64; 4]) -> Columns {
    for (i, name) in ["x", "y", "width", "height"].into_iter().enumerate() {
        columns = columns.with(name, column(rows, |r| xywh(r.item)[i]));
    }
    columns
}

fn push_counts<'a, T>(
    rows: &mut Vec<(&'a str, &'a str, &'a str, u32)>,
    table: &'static str,
    fields: &'a BTreeMap<String, Field<T>>,
) {
    for (field, labels) in fields {
        let count = |items: &Vec<T>| u32::try_from(items.len()).unwrap_or(u32::MAX);
        rows.extend(labels.iter().map(|(id, items)| (table, field.as_str(), id.as_str(), count(items))));
    }
}

fn column<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

/// Tags separated by line feeds, which no tag can hold.
fn tag_text(sample: &Sample) -> String {
    sample.tags.iter().map(crate::Tag::as_str).collect::<Vec<_>>().join("\n")
}

fn extra_text(extra: &Extra) -> Option<String> {
    if extra.is_empty() { None } else { serde_json::to_string(extra).ok() }
}

pub(super) fn kind_name(kind: SliceKind) -> &'static str {
    match kind {
        SliceKind::PointCloud => "point_cloud",
        _ => "image",
    }
}

pub(super) fn origin_name(origin: CuboidOrigin) -> &'static str {
    match origin {
        CuboidOrigin::Centre => "centre",
        CuboidOrigin::BottomCentre => "bottom_centre",
    }
}

pub(super) fn frame_name(frame: CuboidFrame) -> &'static str {
    match frame {
        CuboidFrame::Lidar => "lidar",
        CuboidFrame::Global => "global",
        CuboidFrame::KittiCamera => "kitti_camera",
        _ => "unknown",
    }
}
