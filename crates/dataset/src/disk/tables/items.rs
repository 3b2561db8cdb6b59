//! Objects as rows and back: boxes, cuboids and detections.

use std::fmt;

use labelloop_core::{
    BBox, ClassIdx, ClassSchema, Cuboid, CuboidFrame, CuboidOrigin, LabelledBox, LabelledCuboid, Rotation,
    ScoredBox,
};

use super::frame::{Columns, Table};
use super::{column, extra_of, extra_text};
use crate::Result;

/// What a label field holds many of, and how it stands in a table.
pub(crate) trait Item: Clone + PartialEq + fmt::Debug {
    /// First part of the names of files.
    const TABLE: &'static str;

    fn class(&self) -> ClassIdx;

    /// Appends the columns that are not common to all objects.
    fn columns(columns: Columns, rows: &[Row<'_, Self>]) -> Columns;

    /// The objects of all rows; whose they are is for others to say.
    fn decode(t: &Table, n_classes: usize) -> Result<Vec<Self>>;
}

/// An object on its way to a table: the `position`-th of its sample.
pub(crate) struct Row<'a, T> {
    pub(super) sample: &'a str,
    pub(super) position: u32,
    pub(super) item: &'a T,
}

/// A piece of a table of objects. The class number is what counts; its name is there for people who read the table.
pub(super) fn encode<T: Item>(rows: &[Row<'_, T>], schema: &ClassSchema) -> Columns {
    let columns = Columns::new()
        .with("sample", column(rows, |r| r.sample))
        .with("position", column(rows, |r| r.position))
        .with("class", column(rows, |r| r.item.class().0))
        .with("class_name", column(rows, |r| schema.name(r.item.class()).unwrap_or_default()));
    T::columns(columns, rows)
}

impl Item for LabelledBox {
    const TABLE: &'static str = "boxes";

    fn class(&self) -> ClassIdx {
        self.class
    }

    fn columns(columns: Columns, rows: &[Row<'_, Self>]) -> Columns {
        let extra: Vec<Option<String>> = rows.iter().map(|r| extra_text(&r.item.extra)).collect();
        rectangles(columns, rows, |b| b.bbox.to_xywh())
            .with("area", column(rows, |r| r.item.area))
            .with("is_crowd", column(rows, |r| r.item.is_crowd))
            .with("annotator", column(rows, |r| r.item.annotator.as_deref()))
            .with("extra", extra)
    }

    fn decode(t: &Table, n_classes: usize) -> Result<Vec<Self>> {
        let rectangles = Rectangles::read(t)?;
        let (areas, crowds) = (t.real_opt("area")?, t.flag("is_crowd")?);
        let (annotators, extras) = (t.text_opt("annotator")?, t.text_opt("extra")?);
        let item = |row: usize| {
            Ok(LabelledBox {
                class: class_of(t, row, rectangles.classes[row], n_classes)?,
                bbox: rectangles.bbox(t, row)?,
                area: areas[row],
                is_crowd: crowds[row],
                annotator: annotators[row].map(str::to_owned),
                extra: extra_of(t, row, extras[row])?,
            })
        };
        (0..t.n_rows()).map(item).collect()
    }
}

const FRAMES: [CuboidFrame; 3] = [CuboidFrame::Lidar, CuboidFrame::Global, CuboidFrame::KittiCamera];
const ORIGINS: [CuboidOrigin; 2] = [CuboidOrigin::Centre, CuboidOrigin::BottomCentre];

impl Item for LabelledCuboid {
    const TABLE: &'static str = "cuboids";

    fn class(&self) -> ClassIdx {
        self.class
    }

    fn columns(mut columns: Columns, rows: &[Row<'_, Self>]) -> Columns {
        for (i, name) in ["x", "y", "z"].into_iter().enumerate() {
            columns = columns.with(name, column(rows, |r| r.item.cuboid.position()[i]));
        }
        for (i, name) in ["length", "width", "height"].into_iter().enumerate() {
            columns = columns.with(name, column(rows, |r| r.item.cuboid.size()[i]));
        }
        // Upright cuboids are told by their yaw; the words of any other rotation are kept beside it.
        let rotations: Vec<Option<String>> = column(rows, |r| match r.item.cuboid.rotation() {
            Rotation::Yaw(_) => None,
            turned => serde_json::to_string(&turned).ok(),
        });
        columns
            .with("yaw", column(rows, |r| r.item.cuboid.yaw()))
            .with("frame", column(rows, |r| frame_name(r.item.cuboid.frame())))
            .with("origin", column(rows, |r| origin_name(r.item.cuboid.origin())))
            .with("rotation", rotations)
            .with("annotator", column(rows, |r| r.item.annotator.as_deref()))
    }

    fn decode(t: &Table, n_classes: usize) -> Result<Vec<Self>> {
        let classes = t.whole("class")?;
        let (xs, ys, zs) = (t.real("x")?, t.real("y")?, t.real("z")?);
        let (lengths, widths, heights) = (t.real("length")?, t.real("width")?, t.real("height")?);
        let (yaws, frames, annotators) = (t.real("yaw")?, t.text("frame")?, t.text_opt("annotator")?);
        let (origins, rotations) = (t.text_since("origin")?, t.text_since("rotation")?);
        let item = |row: usize| {
            let rotation = match rotations[row] {
                None => Rotation::Yaw(yaws[row]),
                Some(text) => {
                    serde_json::from_str(text).map_err(|_| t.bad("rotation", row, text, "a rotation"))?
                }
            };
            let (position, size) = ([xs[row], ys[row], zs[row]], [lengths[row], widths[row], heights[row]]);
            let (origin, frame) = (origin_of(t, row, origins[row])?, frame_of(t, row, frames[row])?);
            let cuboid = Cuboid::posed(position, origin, size, rotation, frame);
            Ok(LabelledCuboid {
                class: class_of(t, row, classes[row], n_classes)?,
                cuboid: cuboid.map_err(|e| t.bad("x", row, e, "a valid cuboid"))?,
                annotator: annotators[row].map(str::to_owned),
            })
        };
        (0..t.n_rows()).map(item).collect()
    }
}

impl Item for ScoredBox {
    const TABLE: &'static str = "predictions";

    fn class(&self) -> ClassIdx {
        ScoredBox::class(self)
    }

    fn columns(columns: Columns, rows: &[Row<'_, Self>]) -> Columns {
        rectangles(columns, rows, |b| b.bbox().to_xywh()).with("score", column(rows, |r| r.item.score()))
    }

    fn decode(t: &Table, n_classes: usize) -> Result<Vec<Self>> {
        let rectangles = Rectangles::read(t)?;
        let scores = t.real("score")?;
        let item = |row: usize| {
            let class = class_of(t, row, rectangles.classes[row], n_classes)?;
            ScoredBox::new(class, rectangles.bbox(t, row)?, scores[row])
                .map_err(|e| t.bad("score", row, e, "a valid score"))
        };
        (0..t.n_rows()).map(item).collect()
    }
}

fn rectangles<T>(mut columns: Columns, rows: &[Row<'_, T>], xywh: impl Fn(&T) -> [f64; 4]) -> Columns {
    for (i, name) in ["x", "y", "width", "height"].into_iter().enumerate() {
        columns = columns.with(name, column(rows, |r| xywh(r.item)[i]));
    }
    columns
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

fn class_of(t: &Table, row: usize, class: u32, n_classes: usize) -> Result<ClassIdx> {
    if class as usize >= n_classes {
        return Err(t.bad("class", row, class, format!("0 to {}", n_classes.saturating_sub(1))));
    }
    Ok(ClassIdx(class))
}

fn frame_of(t: &Table, row: usize, name: &str) -> Result<CuboidFrame> {
    FRAMES
        .into_iter()
        .find(|f| frame_name(*f) == name)
        .ok_or_else(|| t.bad("frame", row, name, "lidar, global or kitti_camera"))
}

fn origin_of(t: &Table, row: usize, name: Option<&str>) -> Result<CuboidOrigin> {
    let Some(name) = name else { return Ok(CuboidOrigin::Centre) };
    ORIGINS
        .into_iter()
        .find(|o| origin_name(*o) == name)
        .ok_or_else(|| t.bad("origin", row, name, "centre or bottom_centre"))
}

fn origin_name(origin: CuboidOrigin) -> &'static str {
    match origin {
        CuboidOrigin::Centre => "centre",
        CuboidOrigin::BottomCentre => "bottom_centre",
    }
}

fn frame_name(frame: CuboidFrame) -> &'static str {
    match frame {
        CuboidFrame::Lidar => "lidar",
        CuboidFrame::Global => "global",
        CuboidFrame::KittiCamera => "kitti_camera",
        _ => "unknown",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::frame::tests::{message, table};
    use super::*;

    /// Two rows of boxes of a sample, with the numbers of the second row as given.
    pub(in super::super) fn two_boxes(sample: &str, position: u32, class: u32, width: f64) -> Columns {
        Columns::new()
            .with("sample", [sample; 2])
            .with("position", [0u32, position])
            .with("class", [0u32, class])
            .with("x", [0.0f64; 2])
            .with("y", [0.0f64; 2])
            .with("width", [1.0, width])
            .with("height", [1.0f64; 2])
            .with("area", [None::<f64>; 2])
            .with("is_crowd", [false; 2])
            .with("annotator", [None::<&str>; 2])
            .with("extra", [None::<&str>; 2])
    }

    fn read(class: u32, width: f64) -> Result<Vec<LabelledBox>> {
        LabelledBox::decode(&table(two_boxes("s0", 1, class, width)), 2)
    }

    #[test]
    fn classes_must_be_in_the_schema() {
        assert_eq!(read(1, 1.0).unwrap().len(), 2);
        let text = message(read(2, 1.0));
        assert_eq!(text, "t.parquet is damaged: found 2 in column \"class\", row 1, expected 0 to 1");
    }

    #[test]
    fn boxes_must_be_boxes() {
        for width in [f64::NAN, -1.0, f64::INFINITY] {
            assert!(message(read(0, width)).contains("a valid box"));
        }
    }
}
