//! Splits and groups of COCO images, and nothing else of the file.
//!
//! The reader of the formats takes an image that names the file of another one for a slip and leaves it out; here that
//! is what is looked for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context;
use labelloop_core::{GroupKey, SampleId};
use labelloop_dataset::AuditItem;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::output::UsageError;

#[derive(Deserialize)]
struct Coco {
    images: Vec<Image>,
}

#[derive(Deserialize)]
struct Image {
    id: Value,
    file_name: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

struct Row {
    file_stem: String,
    image: Image,
}

/// What an audit needs to know about the images of some files, and what a person should know about that.
pub(super) fn read(
    files: &[PathBuf],
    split_key: &str,
    group_key: &str,
) -> anyhow::Result<(Vec<AuditItem>, Vec<String>)> {
    let mut rows = Vec::new();
    for file in files {
        let file_stem = file.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
        let images = images(file)?;
        rows.extend(images.into_iter().map(|image| Row { file_stem: file_stem.clone(), image }));
    }
    let has = |key: &str| rows.iter().any(|row| text(&row.image, key).is_some());
    let is_by_file = 1 < files.len() && !has(split_key);
    if files.len() == 1 && !has(split_key) {
        let sentence = format!(
            "{}: no image has a field {split_key:?}: expected --split-key KEY, or one file for each split",
            files[0].display()
        );
        return Err(UsageError(sentence).into());
    }
    let mut notes = Vec::new();
    if !has(group_key) {
        notes.push(format!("no image has a field {group_key:?}: every image is a group of its own"));
    }
    let names = names(&rows);
    let item = |(row, name): (&Row, String)| {
        let image = &row.image;
        let group = text(image, group_key).unwrap_or_else(|| name.clone());
        let split = if is_by_file { Some(row.file_stem.clone()) } else { text(image, split_key) };
        anyhow::Ok(AuditItem {
            id: SampleId::new(name)?,
            group: GroupKey::new(group)?,
            split,
            file_name: image.file_name.replace('\\', "/"),
            content: None,
        })
    };
    let items = rows.iter().zip(names).map(item).collect::<anyhow::Result<_>>()?;
    Ok((items, notes))
}

fn images(file: &Path) -> anyhow::Result<Vec<Image>> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("{}: cannot be read", file.display()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let coco: Coco = serde_json::from_str(text).with_context(|| file.display().to_string())?;
    Ok(coco.images)
}

/// A field as a name: a text, a number, or a word such as true. Empty texts and nulls are none.
fn text(image: &Image, key: &str) -> Option<String> {
    match image.rest.get(key)? {
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

/// File names where they are unique, else with the image's id, and with the COCO file's name where that is needed too.
fn names(rows: &[Row]) -> Vec<String> {
    let by_file = |row: &Row| row.image.file_name.clone();
    let by_id = |row: &Row| match &row.image.id {
        Value::String(id) => format!("{}#{id}", row.image.file_name),
        id => format!("{}#{id}", row.image.file_name),
    };
    let by_both = |row: &Row| format!("{}:{}", row.file_stem, by_id(row));
    let count = |name: &dyn Fn(&Row) -> String| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        rows.iter().for_each(|row| *counts.entry(name(row)).or_default() += 1);
        counts
    };
    let (files, ids) = (count(&by_file), count(&by_id));
    let mut taken = BTreeSet::new();
    let mut name = |(i, row): (usize, &Row)| {
        let name = match (files.get(&by_file(row)), ids.get(&by_id(row))) {
            (Some(1), _) => by_file(row),
            (_, Some(1)) => by_id(row),
            _ => by_both(row),
        };
        // Two images of one id and one file: told apart by their place.
        let name = if taken.contains(&name) { format!("{name} (image {})", i + 1) } else { name };
        taken.insert(name.clone());
        name
    };
    rows.iter().enumerate().map(&mut name).collect()
}
