//! Columns as a snapshot. Whatever a table says is checked as if a stranger had written it.

use std::collections::BTreeMap;

use labelloop_core::{
    BBox, CaptureId, ClassIdx, Cuboid, CuboidFrame, CuboidOrigin, Extra, GroupKey, ImageSize, LabelledBox,
    LabelledCuboid, Rotation, SampleId, ScoredBox, SliceKind,
};

use super::encode::{frame_name, kind_name, origin_name};
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

const FRAMES: [CuboidFrame; 3] = [CuboidFrame::Lidar, CuboidFrame::Global, CuboidFrame::KittiCamera];
const ORIGINS: [CuboidOrigin; 2] = [CuboidOrigin::Centre, CuboidOrigin::BottomCentre];

pub(super) fn cuboids(d: &mut Dataset, t: &Table) -> Result<()> {
    let classes = t.whole("class")?;
    let (xs, ys, zs) = (t.real("x")?, t.real("y")?, t.real("z")?);
    let (lengths, widths, heights) = (t.real("length")?, t.real("width")?, t.real("height")?);
    let (yaws, frames, annotators) = (t.real("yaw")?, t.text("frame")?, t.text_opt("annotator")?);
    let (origins, rotations) = (t.text_since("origin")?, t.text_since("rotation")?);
    fill(&mut d.cuboids, t, |row| {
        let frame = FRAMES
            .into_iter()
            .find(|f| frame_name(*f) == frames[row])
            .ok_or_else(|| t.bad("frame", row, frames[row], "lidar, global or kitti_camera"))?;
        let origin = match origins[row] {
            None => CuboidOrigin::Centre,
            Some(name) => ORIGINS
                .into_iter()
                .find(|o| origin_name(*o) == name)
                .ok_or_else(|| t.bad("origin", row, name, "centre or bottom_centre"))?,
        };
        let rotation = match rotations[row] {
            None => Rotation::Yaw(yaws[row]),
            Some(text) => {
                serde_json::from_str(text).map_err(|_| t.bad("rotation", row, text, "a rotation"))?
            }
        };
        let (position, size) = ([xs[row], ys[row], zs[row]], [lengths[row], widths[row], heights[row]]);
        let cuboid = Cuboid::posed(position, origin, size, rotation, frame);
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::frame::Columns;
    use super::*;
    use crate::testing::{ids, pool_of};

    fn table(columns: Columns) -> Table {
        let mut bytes = vec![];
        columns.write(&mut bytes, Path::new("t.parquet")).unwrap();
        Table::read(bytes, "t.parquet".into()).unwrap()
    }

    fn labelled_table(name: &str, field: &str, sample: &str, n: u32) -> Table {
        let columns = Columns::new().with("table", [name]).with("field", [field]);
        table(columns.with("sample", [sample]).with("n", [n]))
    }

    /// Two rows of boxes of sample `s0`, with one number of the second row changed.
    fn box_table(position: u32, class: u32, width: f64) -> Table {
        let columns = Columns::new()
            .with("field", ["ground_truth"; 2])
            .with("sample", ["s0"; 2])
            .with("position", [0u32, position])
            .with("class", [0u32, class])
            .with("x", [0.0f64; 2])
            .with("y", [0.0f64; 2])
            .with("width", [1.0, width])
            .with("height", [1.0f64; 2]);
        table(
            columns
                .with("area", [None::<f64>; 2])
                .with("is_crowd", [false; 2])
                .with("annotator", [None::<&str>; 2])
                .with("extra", [None::<&str>; 2]),
        )
    }

    fn read_boxes(t: &Table) -> Result<Dataset> {
        let mut d = pool_of(1);
        labelled(&mut d, &labelled_table("boxes.parquet", "ground_truth", "s0", 2))?;
        boxes(&mut d, t)?;
        Ok(d)
    }

    fn message<T>(result: Result<T>) -> String {
        match result {
            Err(e @ DatasetError::Corrupt { .. }) => e.to_string(),
            Err(e) => panic!("expected damage, found {e}"),
            Ok(_) => panic!("expected damage, found none"),
        }
    }

    #[test]
    fn whole_tables_are_read() {
        let d = read_boxes(&box_table(1, 1, 1.0)).unwrap();
        assert_eq!(d.boxes("ground_truth", &ids(&["s0"])[0]).unwrap().unwrap().len(), 2);
    }

    #[test]
    fn positions_must_count_up() {
        let text = message(read_boxes(&box_table(2, 0, 1.0)));
        assert_eq!(text, "t.parquet is damaged: found 2 in column \"position\", row 1, expected 1");
    }

    #[test]
    fn classes_must_be_in_the_schema() {
        let text = message(read_boxes(&box_table(1, 2, 1.0)));
        assert_eq!(text, "t.parquet is damaged: found 2 in column \"class\", row 1, expected 0 to 1");
    }

    #[test]
    fn boxes_must_be_boxes() {
        for width in [f64::NAN, -1.0, f64::INFINITY] {
            assert!(message(read_boxes(&box_table(1, 0, width))).contains("a valid box"));
        }
    }

    #[test]
    fn labels_must_be_of_known_samples_and_fields() {
        let mut d = pool_of(1);
        let strange = |t: Table, d: &mut Dataset| message(labelled(d, &t));
        assert!(strange(labelled_table("boxes.parquet", "nope", "s0", 0), &mut d).contains("catalog"));
        assert!(strange(labelled_table("boxes.parquet", "ground_truth", "x", 0), &mut d).contains("sample"));
        assert!(strange(labelled_table("b.parquet", "ground_truth", "s0", 0), &mut d).contains("b.parquet"));
    }

    #[test]
    fn rows_without_an_entry_are_refused() {
        let text = message(boxes(&mut pool_of(1), &box_table(1, 0, 1.0)));
        assert!(text.contains("the table of labelled samples"), "{text}");
    }

    #[test]
    fn missing_columns_wrong_types_and_gaps_are_refused() {
        let t = table(Columns::new().with("name", [Some("a"), None]).with("value", ["x", "y"]));
        assert!(message(t.text("name")).contains("no value in column \"name\", row 1"));
        assert!(message(t.real("value")).contains("expected the columns of this layout"));
        assert!(message(t.whole("gone")).contains("expected the columns of this layout"));
    }

    #[test]
    fn what_is_no_parquet_is_refused() {
        for bytes in [vec![], b"PAR1".to_vec(), b"PAR1 and nothing of use PAR1".to_vec()] {
            assert!(message(Table::read(bytes, "t.parquet".into())).contains("a Parquet table"));
        }
    }

    #[test]
    fn scores_must_be_listed() {
        let t = table(Columns::new().with("name", ["z"]).with("sample", ["s0"]).with("value", [0.5]));
        assert!(message(scores(&mut pool_of(1), &t)).contains("a score that the catalog lists"));
    }

    fn sample_table(status: &str, tags: &str, second: &str) -> Table {
        let columns = Columns::new()
            .with("id", ["a", second])
            .with("capture", ["a", "b"])
            .with("group", ["a", "b"])
            .with("slice", ["main"; 2])
            .with("kind", ["image"; 2])
            .with("file_name", ["a.png"; 2])
            .with("width", [Some(4u32); 2])
            .with("height", [Some(4u32); 2]);
        table(
            columns
                .with("split", [Some("pool"); 2])
                .with("status", ["unlabeled", status])
                .with("batch", [None::<u32>; 2])
                .with("parent", [None::<&str>; 2])
                .with("tags", ["", tags])
                .with("extra", [None::<&str>; 2]),
        )
    }

    #[test]
    fn samples_are_checked() {
        let read = |t: Table| {
            let mut d = pool_of(0);
            samples(&mut d, &t).map(|()| d)
        };
        let d = read(sample_table("pending", "note:x\nnote:y", "b")).unwrap();
        assert_eq!(d.samples()["b"].tags.len(), 2);
        assert!(message(read(sample_table("done", "", "b"))).contains("expected one of unlabeled, selected"));
        assert!(message(read(sample_table("pending", "plain", "b"))).contains("column \"tags\", row 1"));
        assert!(message(read(sample_table("pending", "", "a"))).contains("expected each sample once"));
        assert!(message(read(sample_table("pending", "", ""))).contains("column \"id\", row 1"));
    }
}
