//! Parquet tables: a folder that pandas, polars, DuckDB and Spark read as it is (feature `parquet`).
//!
//! ```text
//! schema.json        {"version": 1, "classes": ["car", "van"], "extra": {...}}
//! samples.parquet    a row for each sample
//! boxes.parquet      a row for each label of a picture
//! cuboids.parquet    a row for each label of a point cloud; where there is one
//! ```
//!
//! | table | columns |
//! |---|---|
//! | samples | `id`, `capture`, `group`, `slice`, `kind` (`image` or `point_cloud`), `file_name`; `width`, `height` or null; `looked_at`: whether an absence of boxes is said by somebody, `cloud_looked_at` likewise of cuboids; `labelled_by`, `labelled_at` or null; `extra`: JSON object or null |
//! | boxes | `sample`, `class` (number in `schema.json`), `class_name`, `x`, `y`, `width`, `height` in pixels; `area` or null, `is_crowd`, `annotator` or null, `extra` |
//! | cuboids | `sample`, `class`, `class_name`, `cuboid` (JSON object), `annotator` or null |
//!
//! A round trip carries a set bit by bit, in order of sample id, and loses nothing. Labels are matched to the schema by
//! `class_name`. Columns of other types that mean the same (large or dictionary texts, 64-bit numbers, floats without a
//! fraction) are taken; other columns are counted as not read.

mod read;
mod write;

pub use read::read;
pub use write::write;

use arrow_schema::DataType;

const VERSION: u64 = 1;

/// Name, type, and whether a value may be missing.
type Column = (&'static str, DataType, bool);

const SAMPLES: [Column; 13] = [
    ("id", DataType::Utf8, false),
    ("capture", DataType::Utf8, false),
    ("group", DataType::Utf8, false),
    ("slice", DataType::Utf8, false),
    ("kind", DataType::Utf8, false),
    ("file_name", DataType::Utf8, false),
    ("width", DataType::UInt32, true),
    ("height", DataType::UInt32, true),
    ("looked_at", DataType::Boolean, false),
    ("cloud_looked_at", DataType::Boolean, false),
    ("labelled_by", DataType::Utf8, true),
    ("labelled_at", DataType::Utf8, true),
    ("extra", DataType::Utf8, true),
];
const BOXES: [Column; 11] = [
    ("sample", DataType::Utf8, false),
    ("class", DataType::UInt32, false),
    ("class_name", DataType::Utf8, false),
    ("x", DataType::Float64, false),
    ("y", DataType::Float64, false),
    ("width", DataType::Float64, false),
    ("height", DataType::Float64, false),
    ("area", DataType::Float64, true),
    ("is_crowd", DataType::Boolean, false),
    ("annotator", DataType::Utf8, true),
    ("extra", DataType::Utf8, true),
];
const CUBOIDS: [Column; 5] = [
    ("sample", DataType::Utf8, false),
    ("class", DataType::UInt32, false),
    ("class_name", DataType::Utf8, false),
    ("cuboid", DataType::Utf8, false),
    ("annotator", DataType::Utf8, true),
];
