//! The files of a generation: which there are, and how a snapshot becomes their bytes and back.

mod answers;
mod frame;
mod items;
mod samples;
mod scores;
mod v1;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use labelloop_core::{ClassSchema, Extra, SampleId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::manifest::{Manifest, bad_json};
use super::stored::{Committed, Known, Scores, Stored};
use crate::base::Base;
use crate::labels::{ClassIndex, Labels, Packed};
use crate::{Dataset, DatasetError, Result};

pub(super) use answers::Tables as FieldTables;
pub(crate) use items::Item;

pub(super) const CATALOG: &str = "catalog.json";
const VIEWS: &str = "views.json";
const INFO: &str = "info.json";
const SAMPLES: &str = "samples.parquet";

/// Name, classes and the fields there are, those without a single label too.
#[derive(Serialize, Deserialize)]
struct Catalog {
    name: String,
    schema: ClassSchema,
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
}

/// Writes a file; the path is for errors.
pub(super) type WriteTo<'a> = dyn Fn(&mut dyn Write, &Path) -> Result<()> + 'a;

/// How a file comes about.
pub(super) enum Content<'a> {
    /// It is written.
    New(Box<WriteTo<'a>>),
    /// It stands in an earlier generation, and nothing changed since.
    Kept(&'a Committed),
}

impl<'a> Content<'a> {
    fn new(write: impl Fn(&mut dyn Write, &Path) -> Result<()> + 'a) -> Self {
        Self::New(Box::new(write))
    }
}

/// All files of a generation but the manifest, by name.
pub(super) fn files(d: &Dataset) -> BTreeMap<String, Content<'_>> {
    let mut files = BTreeMap::from([
        (CATALOG.to_owned(), Content::new(|out, path| write_json(&Catalog::of(d), out, path))),
        (VIEWS.to_owned(), Content::new(|out, path| write_json(&d.views, out, path))),
        (INFO.to_owned(), Content::new(|out, path| write_json(&canonical(&d.info), out, path))),
        (
            SAMPLES.to_owned(),
            Content::new(|out, path| frame::write_table(samples::encode(&d.samples), out, path)),
        ),
    ]);
    add_labels(&mut files, &d.boxes, &d.schema);
    add_labels(&mut files, &d.cuboids, &d.schema);
    add_labels(&mut files, &d.predictions, &d.schema);
    for (name, scores) in &d.scores {
        let content = match scores {
            Scores::Stored(stored) => Content::Kept(&stored.table),
            Scores::Here(values) if values.is_empty() => continue,
            Scores::Here(values) => {
                Content::new(|out, path| frame::write_table(scores::encode(values), out, path))
            }
        };
        files.insert(score_file(name), content);
    }
    files
}

fn add_labels<'a, T: Item>(
    files: &mut BTreeMap<String, Content<'a>>,
    fields: &'a BTreeMap<String, Labels<T>>,
    schema: &'a ClassSchema,
) {
    for (name, labels) in fields.iter().filter(|(_, labels)| !labels.is_empty()) {
        let [objects, answers] = match labels.unchanged() {
            Some(stored) => [Content::Kept(&stored.objects), Content::Kept(&stored.answers)],
            None => [
                Content::new(|out, path| answers::write_objects(labels, schema, out, path)),
                Content::new(|out, path| answers::write_answers(labels, out, path)),
            ],
        };
        files.insert(object_file::<T>(name), objects);
        files.insert(answer_file::<T>(name), answers);
    }
}

/// A snapshot of a generation. Label fields and scores are checked against their digests, and read when they are
/// asked for.
pub(super) fn read(folder: &Path, manifest: &Manifest) -> Result<Dataset> {
    let bytes = |name: &str| Committed::of(folder, name, manifest)?.bytes();
    let catalog: Catalog = read_json(&bytes(CATALOG)?, &folder.join(CATALOG))?;
    let mut rows = vec![];
    for table in frame::read_table(&bytes(SAMPLES)?, &folder.join(SAMPLES))? {
        samples::decode(&mut rows, &table?)?;
    }
    let known = Known {
        ids: rows.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>().into(),
        n_classes: catalog.schema.n_classes(),
    };
    let mut d = Dataset {
        name: catalog.name,
        schema: catalog.schema,
        samples: rows.into_iter().collect(),
        boxes: BTreeMap::new(),
        cuboids: BTreeMap::new(),
        predictions: BTreeMap::new(),
        scores: BTreeMap::new(),
        views: read_json(&bytes(VIEWS)?, &folder.join(VIEWS))?,
        info: read_json(&bytes(INFO)?, &folder.join(INFO))?,
        base: Base::unread(),
    };
    let names = [catalog.box_fields, catalog.cuboid_fields, catalog.prediction_fields, catalog.score_fields];
    if manifest.version < 2 {
        v1::read(&mut d, names, &|name| frame::Table::read(bytes(name)?, folder.join(name)))?;
        return Ok(d);
    }
    let [boxes, cuboids, predictions, scores] = names;
    let place = Place { folder, manifest, known };
    d.boxes = place.fields(boxes)?;
    d.cuboids = place.fields(cuboids)?;
    d.predictions = place.fields(predictions)?;
    d.scores =
        scores.into_iter().map(|name| Ok((name.clone(), place.scores(&name)?))).collect::<Result<_>>()?;
    Ok(d)
}

struct Place<'a> {
    folder: &'a Path,
    manifest: &'a Manifest,
    known: Known,
}

impl Place<'_> {
    fn fields<T: Item>(&self, names: Vec<String>) -> Result<BTreeMap<String, Labels<T>>> {
        names.into_iter().map(|name| Ok((name.clone(), self.labels(&name)?))).collect()
    }

    fn labels<T: Item>(&self, name: &str) -> Result<Labels<T>> {
        let Some(objects) = self.checked(&object_file::<T>(name))? else { return Ok(Labels::default()) };
        let answers = Committed::of(self.folder, &answer_file::<T>(name), self.manifest)?;
        answers.check()?;
        Ok(Stored::new(answers, objects, self.known.clone()).into())
    }

    fn scores(&self, name: &str) -> Result<Scores> {
        Ok(match self.checked(&score_file(name))? {
            Some(table) => Scores::stored(table, self.known.clone()),
            None => Scores::Here(BTreeMap::new()),
        })
    }

    /// A file that the manifest lists; nothing where it does not, for fields without labels have none.
    fn checked(&self, name: &str) -> Result<Option<Committed>> {
        if !self.manifest.files.contains_key(name) {
            return Ok(None);
        }
        let file = Committed::of(self.folder, name, self.manifest)?;
        file.check()?;
        Ok(Some(file))
    }
}

pub(super) fn read_field<T: Item>(tables: &FieldTables<'_>, known: &Known) -> Result<Packed<T>> {
    answers::read(tables, &known.ids, known.n_classes)
}

pub(super) fn read_classes(bytes: &[u8], path: &Path, known: &Known) -> Result<ClassIndex> {
    answers::read_classes(bytes, path, &known.ids, known.n_classes)
}

pub(super) fn read_scores(bytes: &[u8], path: &Path, known: &Known) -> Result<BTreeMap<SampleId, f64>> {
    scores::read(bytes, path, &known.ids)
}

fn object_file<T: Item>(field: &str) -> String {
    format!("{}.{}.parquet", T::TABLE, file_part(field))
}

fn answer_file<T: Item>(field: &str) -> String {
    format!("{}.{}.samples.parquet", T::TABLE, file_part(field))
}

fn score_file(name: &str) -> String {
    format!("scores.{}.parquet", file_part(name))
}

/// Most characters of a field's name in a file's name; what is longer ends with a digest.
const LONGEST: usize = 120;

/// A field's name as a part of a file's name: two fields never share one, on any file system. Lower-case letters, digits
/// and `_`, `-`, `@` stand for themselves, other bytes are written as `%` and two hexadecimal digits.
fn file_part(name: &str) -> String {
    let mut part = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'@' => part.push(char::from(byte)),
            _ => part.push_str(&format!("%{byte:02x}")),
        }
    }
    if LONGEST < part.len() {
        part.truncate(LONGEST);
        part.push('~');
        part.push_str(&blake3::hash(name.as_bytes()).to_hex()[..32]);
    }
    part
}

fn write_json<T: Serialize>(value: &T, out: &mut dyn Write, path: &Path) -> Result<()> {
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

fn column<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

fn extra_text(extra: &Extra) -> Option<String> {
    if extra.is_empty() { None } else { serde_json::to_string(extra).ok() }
}

fn extra_of(t: &frame::Table, row: usize, text: Option<&str>) -> Result<Extra> {
    match text {
        None => Ok(Extra::new()),
        Some(text) => {
            serde_json::from_str(text).map_err(|e| t.bad("extra", row, e, "a JSON object of texts"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_never_share_a_file() {
        let names = ["a", "A", "a.samples", "a/b", "a%2fb", "ü", "..", "predictions@1f3a"];
        let parts: Vec<String> = names.iter().map(|n| file_part(n)).collect();
        assert_eq!(
            parts,
            ["a", "%41", "a%2esamples", "a%2fb", "a%252fb", "%c3%bc", "%2e%2e", "predictions@1f3a"]
        );
    }

    #[test]
    fn long_names_become_names_that_a_disk_takes() {
        let [a, b] = ["x", "y"].map(|end| file_part(&("ü".repeat(200) + end)));
        assert!(a != b && a.len() == b.len() && a.len() < 160);
    }
}
