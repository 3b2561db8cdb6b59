//! The files of a generation: which there are, and how a snapshot becomes their bytes and back.

mod decode;
mod encode;
mod frame;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::manifest::bad_json;
use crate::base::Base;
use crate::{Dataset, DatasetError, Result};

pub(super) const CATALOG: &str = "catalog.json";
const VIEWS: &str = "views.json";
const INFO: &str = "info.json";
const SAMPLES: &str = "samples.parquet";
const LABELLED: &str = "labelled.parquet";
const BOXES: &str = "boxes.parquet";
const CUBOIDS: &str = "cuboids.parquet";
const PREDICTIONS: &str = "predictions.parquet";
const SCORES: &str = "scores.parquet";

/// All files of a generation but the manifest.
pub(super) const FILES: [&str; 9] =
    [BOXES, CATALOG, CUBOIDS, INFO, LABELLED, PREDICTIONS, SAMPLES, SCORES, VIEWS];

/// Name, classes and the fields there are, those without a single label too.
#[derive(Serialize, Deserialize)]
struct Catalog {
    name: String,
    schema: labelloop_core::ClassSchema,
    box_fields: Vec<String>,
    cuboid_fields: Vec<String>,
    prediction_fields: Vec<String>,
    score_fields: Vec<String>,
}

impl Catalog {
    fn of(d: &Dataset) -> Self {
        Self {
            name: d.name.clone(),
            schema: d.schema.clone(),
            box_fields: d.boxes.keys().cloned().collect(),
            cuboid_fields: d.cuboids.keys().cloned().collect(),
            prediction_fields: d.predictions.keys().cloned().collect(),
            score_fields: d.scores.keys().cloned().collect(),
        }
    }

    fn into_empty_dataset(self) -> Dataset {
        let fields = |names: Vec<String>| names.into_iter();
        Dataset {
            name: self.name,
            schema: self.schema,
            samples: BTreeMap::new(),
            boxes: fields(self.box_fields).map(|f| (f, BTreeMap::new())).collect(),
            cuboids: fields(self.cuboid_fields).map(|f| (f, BTreeMap::new())).collect(),
            predictions: fields(self.prediction_fields).map(|f| (f, BTreeMap::new())).collect(),
            scores: fields(self.score_fields).map(|f| (f, BTreeMap::new())).collect(),
            views: BTreeMap::new(),
            info: BTreeMap::new(),
            base: Base::unread(),
        }
    }
}

/// Writes one of [`FILES`].
pub(super) fn write(d: &Dataset, name: &str, out: &mut impl Write, path: &Path) -> Result<()> {
    match name {
        CATALOG => write_json(&Catalog::of(d), out, path),
        VIEWS => write_json(&d.views, out, path),
        INFO => write_json(&canonical(&d.info), out, path),
        SAMPLES => encode::samples(d).write(out, path),
        LABELLED => encode::labelled(d).write(out, path),
        BOXES => encode::boxes(d).write(out, path),
        CUBOIDS => encode::cuboids(d).write(out, path),
        PREDICTIONS => encode::predictions(d).write(out, path),
        SCORES => encode::scores(d).write(out, path),
        _ => Err(DatasetError::corrupt(path, format!("unknown file {name}"), "a file of this layout")),
    }
}

/// Reads a snapshot; `bytes` hands out the files, checked.
pub(super) fn read(folder: &Path, bytes: &dyn Fn(&str) -> Result<Vec<u8>>) -> Result<Dataset> {
    let catalog: Catalog = read_json(&bytes(CATALOG)?, &folder.join(CATALOG))?;
    let mut d = catalog.into_empty_dataset();
    d.views = read_json(&bytes(VIEWS)?, &folder.join(VIEWS))?;
    d.info = read_json(&bytes(INFO)?, &folder.join(INFO))?;
    let table = |name: &str| frame::Table::read(bytes(name)?, folder.join(name));
    decode::samples(&mut d, &table(SAMPLES)?)?;
    decode::labelled(&mut d, &table(LABELLED)?)?;
    decode::boxes(&mut d, &table(BOXES)?)?;
    decode::cuboids(&mut d, &table(CUBOIDS)?)?;
    decode::predictions(&mut d, &table(PREDICTIONS)?)?;
    decode::scores(&mut d, &table(SCORES)?)?;
    Ok(d)
}

fn write_json<T: Serialize>(value: &T, out: &mut impl Write, path: &Path) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| bad_json(path, &e))?;
    bytes.push(b'\n');
    out.write_all(&bytes).map_err(|e| DatasetError::io("write", path, e))
}

fn read_json<T: DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| bad_json(path, &e))
}

/// Objects with sorted keys. Whether a JSON object keeps the order it was filled in depends on how serde_json was
/// built, and equal content must be equal bytes.
fn canonical(info: &BTreeMap<String, serde_json::Value>) -> BTreeMap<String, serde_json::Value> {
    info.iter().map(|(k, v)| (k.clone(), sorted(v))).collect()
}

fn sorted(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Object(map) => {
            let ordered: BTreeMap<&String, &Value> = map.iter().collect();
            Value::Object(ordered.into_iter().map(|(k, v)| (k.clone(), sorted(v))).collect())
        }
        plain => plain.clone(),
    }
}
