//! Columns as a snapshot. Whatever a table says is checked as if a stranger had written it.

use std::collections::BTreeMap;

use labelloop_core::{
    BBox, CaptureId, ClassIdx, Cuboid, CuboidFrame, Extra, GroupKey, ImageSize, LabelledBox, LabelledCuboid,
    SampleId, ScoredBox, SliceKind,
};

use super::encode::{frame_name, kind_name};
use super::frame::Table;
use crate::dataset::Field;
use crate::{Dataset, DatasetError, Result, Sample, Tag};

pub(super) fn samples(d: &mut Dataset, t: &Table) -> Result<()> {
    let (ids, captures, groups) = (t.text("id")?, t.text("capture")?, t.text("group")?);
    let (slices, kinds, files) = (t.text("slice")?, t.text("kind")?, t.text("file_name")?);
    let (widths, heights) = (t.whole_opt("width")?, t.whole_opt("height")?);
    let (splits, statuses, batches) = (t.text_opt("split")?, t.text("status")?, t.whole_opt("batch")?);
    let (parents, tags, extras) = (t.text_opt("parent")?, t.text("tags")?, t.text_opt("extra")?);
    for row in 0..t.n_rows() {
        let at =
            |column: &'static str| move |e: labelloop_core::CoreError| t.bad(column, row, e, "a valid value");
        let size = match (widths[row], heights[row]) {
            (Some(w), Some(h)) => Some(ImageSize::new(w, h).map_err(at("width"))?),
            _ => None,
        };
        let sample = Sample {
            id: SampleId::new(ids[row]).map_err(at("id"))?,
            capture: CaptureId::new(captures[row]).map_err(at("capture"))?,
            group: GroupKey::new(groups[row]).map_err(at("group"))?,
            slice: slices[row].to_owned(),
            kind: kind_of(kinds[row])
                .ok_or_else(|| t.bad("kind", row, kinds[row], "image or point_cloud"))?,
            file_name: files[row].to_owned(),
            size,
            extra: extra_of(t, row, extras[row])?,
            parent: parents[row].map(SampleId::new).transpose().map_err(at("parent"))?,
            split: splits[row].map(str::parse).transpose().map_err(at("split"))?,
            status: statuses[row].parse().map_err(|e| t.bad("status", row, statuses[row], e))?,
            batch: batches[row],
            tags: tags[row]
                .lines()
                .map(Tag::new)
                .collect::<Result<_>>()
                .map_err(|e| t.bad("tags", row, e, "tags separated by line feeds"))?,
        };
        if let Some(twice) = d.samples.insert(sample.id.clone(), sample) {
            return Err(t.bad("id", row, twice.id, "each sample once"));
        }
    }
    Ok(())
}

/// Makes an empty entry for every sample that someone looked at, to be filled from the other tables.
pub(super) fn labelled(d: &mut Dataset, t: &Table) -> Result<()> {
    let (tables, fields, ids) = (t.text("table")?, t.text("field")?, t.text("sample")?);
    let counts = t.whole("n")?;
    for row in 0..t.n_rows() {
        let id = known(d, t, row, ids[row])?;
        let n = counts[row] as usize;
        match tables[row] {
            super::BOXES => open(&mut d.boxes, t, row, fields[row], id, n)?,
            super::CUBOIDS => open(&mut d.cuboids, t, row, fields[row], id, n)?,
            super::PREDICTIONS => open(&mut d.predictions, t, row, fields[row], id, n)?,
            other => return Err(t.bad("table", row, other, "the name of a label table")),
        }
    }
    Ok(())
}

pub(super) fn boxes(d: &mut Dataset, t: &Table) -> Result<()> {
    let rectangles = Rectangles::read(t)?;
    let (areas, crowds) = (t.real_opt("area")?, t.flag("is_crowd")?);
    let (annotators, extras) = (t.text_opt("annotator")?, t.text_opt("extra")?);
    fill(&mut d.boxes, t, |row| {
        Ok(LabelledBox {
            class: class_of(t, row, rectangles.classes[row], d.schema.n_classes())?,
            bbox: rectangles.bbox(t, row)?,
            area: areas[row],
            is_crowd: crowds[row],
            annotator: annotators[row].map(str::to_owned),
            extra: extra_of(t, row, extras[row])?,
        })
    })
}

pub(super) fn cuboids(d: &mut Dataset, t: &Table) -> Result<()> {
    let classes = t.whole("class")?;
    let (xs, ys, zs) = (t.real("x")?, t.real("y")?, t.real("z")?);
    let (lengths, widths, heights) = (t.real("length")?, t.real("width")?, t.real("height")?);
    let (yaws, frames, annotators) = (t.real("yaw")?, t.text("frame")?, t.text_opt("annotator")?);
    fill(&mut d.cuboids, t, |row| {
        if frames[row] != frame_name(CuboidFrame::Lidar) {
            return Err(t.bad("frame", row, frames[row], "lidar"));
        }
        let (centre, size) = ([xs[row], ys[row], zs[row]], [lengths[row], widths[row], heights[row]]);
        let cuboid = Cuboid::new(centre, size, yaws[row], CuboidFrame::Lidar);
        Ok(LabelledCuboid {
            class: class_of(t, row, classes[row], d.schema.n_classes())?,
            cuboid: cuboid.map_err(|e| t.bad("x", row, e, "a valid cuboid"))?,
            annotator: annotators[row].map(str::to_owned),
        })
    })
}

pub(super) fn predictions(d: &mut Dataset, t: &Table) -> Result<()> {
    let rectangles = Rectangles::read(t)?;
    let scores = t.real("score")?;
    fill(&mut d.predictions, t, |row| {
        let class = class_of(t, row, rectangles.classes[row], d.schema.n_classes())?;
        ScoredBox::new(class, rectangles.bbox(t, row)?, scores[row])
            .map_err(|e| t.bad("score", row, e, "a valid score"))
    })
}

pub(super) fn scores(d: &mut Dataset, t: &Table) -> Result<()> {
    let (names, ids, values) = (t.text("name")?, t.text("sample")?, t.real("value")?);
    for row in 0..t.n_rows() {
        let id = known(d, t, row, ids[row])?;
        let Some(score) = d.scores.get_mut(names[row]) else {
            return Err(t.bad("name", row, names[row], "a score that the catalog lists"));
        };
        score.insert(id, values[row]);
    }
    Ok(())
}

struct Rectangles {
    classes: Vec<u32>,
    sides: [Vec<f64>; 4],
}

impl Rectangles {
    fn read(t: &Table) -> Result<Self> {
        let sides = [t.real("x")?, t.real("y")?, t.real("width")?, t.real("height")?];
        Ok(Self { classes: t.whole("class")?, sides })
    }

    fn bbox(&self, t: &Table, row: usize) -> Result<BBox> {
        let [x, y, w, h] = &self.sides;
        BBox::new(x[row], y[row], w[row], h[row]).map_err(|e| t.bad("x", row, e, "a valid box"))
    }
}

fn open<T>(
    fields: &mut BTreeMap<String, Field<T>>,
    t: &Table,
    row: usize,
    name: &str,
    id: SampleId,
    n: usize,
) -> Result<()> {
    let Some(labels) = fields.get_mut(name) else {
        return Err(t.bad("field", row, name, "a field that the catalog lists"));
    };
    // The capacity is a hint from a file, so it is not trusted beyond what a picture holds.
    labels.insert(id, Vec::with_capacity(n.min(1024)));
    Ok(())
}

/// Puts the rows of a label table where they belong; positions must count up from 0 without gaps.
fn fill<T>(
    fields: &mut BTreeMap<String, Field<T>>,
    t: &Table,
    item: impl Fn(usize) -> Result<T>,
) -> Result<()> {
    let (names, ids, positions) = (t.text("field")?, t.text("sample")?, t.whole("position")?);
    for row in 0..t.n_rows() {
        let labels = fields.get_mut(names[row]).and_then(|f| f.get_mut(ids[row]));
        let Some(labels) = labels else {
            return Err(t.bad("sample", row, ids[row], "a sample that the table of labelled samples lists"));
        };
        if positions[row] as usize != labels.len() {
            return Err(t.bad("position", row, positions[row], labels.len()));
        }
        labels.push(item(row)?);
    }
    Ok(())
}

fn known(d: &Dataset, t: &Table, row: usize, id: &str) -> Result<SampleId> {
    let unknown = || t.bad("sample", row, id, "a sample of the dataset");
    d.samples.get_key_value(id).map(|(id, _)| id.clone()).ok_or_else(unknown)
}

fn class_of(t: &Table, row: usize, class: u32, n_classes: usize) -> Result<ClassIdx> {
    if class as usize >= n_classes {
        return Err(t.bad("class", row, class, format!("0 to {}", n_classes.saturating_sub(1))));
    }
    Ok(ClassIdx(class))
}

fn extra_of(t: &Table, row: usize, text: Option<&str>) -> Result<Extra> {
    match text {
        None => Ok(Extra::new()),
        Some(text) => serde_json::from_str(text)
            .map_err(|e| -> DatasetError { t.bad("extra", row, e, "a JSON object of texts") }),
    }
}

fn kind_of(name: &str) -> Option<SliceKind> {
    [SliceKind::Image, SliceKind::PointCloud].into_iter().find(|k| kind_name(*k) == name)
}
