//! Labelled pictures and their vectors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context as _;
use labelloop_core::{SampleId, Silent};
use labelloop_embed::{CropItem, CropObject, CropParams, PictureEmbedder, embed_crops};
use labelloop_formats::coco;
use ndarray::Array2;

use crate::cpu_seconds;

/// Vectors with what is known of them, row by row.
pub(crate) struct Set {
    pub(crate) name: String,
    pub(crate) vectors: Array2<f32>,
    pub(crate) classes: Vec<u32>,
    /// Rows of one group do not speak about each other.
    pub(crate) groups: Vec<u32>,
    /// CPU milliseconds a row, reading and decoding included.
    pub(crate) cpu_ms: f64,
}

/// A COCO file and its pictures.
#[derive(Clone)]
pub(crate) struct Source {
    name: String,
    labels: PathBuf,
    images: PathBuf,
}

impl FromStr for Source {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, files) = text.split_once('=').context("expected NAME=LABELS.json,IMAGES")?;
        let (labels, images) = files.split_once(',').context("expected NAME=LABELS.json,IMAGES")?;
        Ok(Self { name: name.to_owned(), labels: labels.into(), images: images.into() })
    }
}

/// Whole pictures in a folder for each class.
pub(crate) fn of_folder(folder: &Path, embedder: &dyn PictureEmbedder) -> anyhow::Result<Set> {
    let mut files: Vec<(u32, PathBuf)> = Vec::new();
    for (class, folder) in entries(folder)?.into_iter().enumerate() {
        files.extend(entries(&folder)?.into_iter().map(|file| (class as u32, file)));
    }
    let (start, mut numbers) = (cpu_seconds()?, Vec::new());
    for (_, file) in &files {
        numbers.extend(embedder.embed_picture(&labelloop_media::load(file)?)?);
    }
    Ok(Set {
        name: folder.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned()),
        cpu_ms: (cpu_seconds()? - start) * 1000.0 / files.len() as f64,
        vectors: Array2::from_shape_vec((files.len(), embedder.n_dims()), numbers)?,
        classes: files.iter().map(|(class, _)| *class).collect(),
        groups: (0..files.len() as u32).collect(),
    })
}

/// Crops of the objects of a COCO file.
pub(crate) fn of_coco(source: &Source, margin: f64, embedder: &dyn PictureEmbedder) -> anyhow::Result<Set> {
    let options = coco::ReadOptions { group_key: Some("group".to_owned()), ..Default::default() };
    let set = coco::read(&source.labels, &options)?.set;
    let mut group_of: BTreeMap<SampleId, u32> = BTreeMap::new();
    let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
    let mut items = Vec::new();
    for sample in &set.samples {
        let next = numbers.len() as u32;
        group_of.insert(sample.id.clone(), *numbers.entry(sample.group.to_string()).or_insert(next));
        let objects = sample.boxes.iter().flatten().enumerate().map(|(i, label)| CropObject {
            object: format!("{i:04}"),
            bbox: label.bbox,
            class: Some(label.class),
        });
        items.push(CropItem {
            parent: sample.id.clone(),
            path: source.images.join(&sample.file_name),
            objects: objects.collect(),
        });
    }
    // One thread, so that the process's CPU time is that of this thread.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build();
    let start = cpu_seconds()?;
    let params = CropParams { margin, ..Default::default() };
    let run = match pool {
        Ok(pool) => pool.install(|| embed_crops(&items, embedder, &params, None, &Silent))?,
        Err(_) => embed_crops(&items, embedder, &params, None, &Silent)?,
    };
    let cpu = cpu_seconds()? - start;
    Ok(Set {
        name: source.name.clone(),
        cpu_ms: cpu * 1000.0 / run.records.len().max(1) as f64,
        classes: run.records.iter().map(|r| r.class.map_or(0, |c| c.0)).collect(),
        groups: run.records.iter().map(|r| group_of[&r.parent]).collect(),
        vectors: run.embeddings.vectors().to_owned(),
    })
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = std::fs::read_dir(folder).with_context(|| format!("{}: cannot be read", folder.display()))?;
    let mut found = read.map(|e| Ok(e?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    found.sort();
    Ok(found)
}
