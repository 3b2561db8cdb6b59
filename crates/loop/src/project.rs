//! A project folder that is open: configuration, dataset, pictures.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use labelloop_core::{ClassSchema, LabelledBox, Progress, SampleId, Seed, SliceKind, Split};
use labelloop_dataset::{Dataset, DatasetDir, GROUND_TRUTH, Sample};
use labelloop_embed::{EmbedRun, embed_all};
use labelloop_media::RgbImage;

use crate::config::LoopConfig;
use crate::layout::Layout;
use crate::{LoopError, Result, files};

/// An open project.
#[derive(Debug)]
pub struct Project {
    /// Where things lie.
    pub layout: Layout,
    /// What the user asked for.
    pub config: LoopConfig,
    dir: DatasetDir,
    schema: ClassSchema,
}

impl Project {
    /// Writes the configuration and an empty dataset into a folder; doing it again with the same ones changes nothing.
    ///
    /// # Errors
    /// Refused configurations, a dataset of another name or schema, and I/O.
    pub fn init(root: &Path, config: &LoopConfig, schema: &ClassSchema) -> Result<Self> {
        config.check()?;
        let layout = Layout::new(root);
        for folder in [layout.iterations(), layout.plots(), layout.root().join("metrics/iteration_reports")] {
            std::fs::create_dir_all(&folder).map_err(LoopError::io(&folder))?;
        }
        let dir = DatasetDir::init(layout.dataset(), &config.project.name, schema)?;
        files::write_atomically(&layout.config(), config.to_toml()?.as_bytes())?;
        Ok(Self { layout, config: config.clone(), dir, schema: schema.clone() })
    }

    /// Opens a project by its folder.
    ///
    /// # Errors
    /// Missing or refused configuration, missing or damaged dataset.
    pub fn open(root: &Path) -> Result<Self> {
        let layout = Layout::new(root);
        let config = LoopConfig::load(&layout.config())?;
        let dir = DatasetDir::open(layout.dataset())?;
        let schema = dir.read()?.schema().clone();
        Ok(Self { layout, config, dir, schema })
    }

    /// The dataset's folder.
    pub fn dir(&self) -> &DatasetDir {
        &self.dir
    }

    /// Classes.
    pub fn schema(&self) -> &ClassSchema {
        &self.schema
    }

    /// The newest committed state of the dataset.
    ///
    /// # Errors
    /// Damaged tables, I/O.
    pub fn dataset(&self) -> Result<Dataset> {
        Ok(self.dir.read()?)
    }

    /// Changes the dataset once under a key: when the newest generation carries the key already, because a run was
    /// killed just after it, nothing is done.
    ///
    /// # Errors
    /// What `change` refuses, a second writer, I/O.
    pub fn commit_once(&self, key: &str, change: impl FnOnce(&mut Dataset) -> Result<()>) -> Result<()> {
        let mut writer = self.dir.writer()?;
        let current = self.dir.current()?;
        if self.dir.generations()?.iter().any(|g| g.number == current && g.key == key) {
            return Ok(());
        }
        let mut dataset = self.dir.read()?;
        change(&mut dataset)?;
        writer.commit(&dataset, key)?;
        Ok(())
    }

    /// Changes the dataset and gives what the change tells. Nothing is committed when it refuses.
    ///
    /// # Errors
    /// What `change` refuses, a second writer, I/O.
    pub fn commit<T>(&self, key: &str, change: impl FnOnce(&mut Dataset) -> Result<T>) -> Result<T> {
        let mut writer = self.dir.writer()?;
        let mut dataset = self.dir.read()?;
        let told = change(&mut dataset)?;
        writer.commit(&dataset, key)?;
        Ok(told)
    }

    /// Where all chance comes from.
    pub fn seed(&self) -> Seed {
        Seed::new(self.config.project.seed)
    }

    /// Folder of the media files.
    pub fn media_root(&self) -> PathBuf {
        self.layout.root().join(&self.config.project.media)
    }

    /// Path of a sample's media file.
    pub fn media_path(&self, sample: &Sample) -> PathBuf {
        self.media_root().join(&sample.file_name)
    }

    /// Decodes a sample's picture.
    ///
    /// # Errors
    /// [`LoopError::Picture`] naming the sample.
    pub fn picture(&self, sample: &Sample) -> Result<RgbImage> {
        labelloop_media::load(&self.media_path(sample))
            .map_err(|source| LoopError::Picture { id: sample.id.to_string(), source: Box::new(source) })
    }

    /// Name of the slice that is embedded, trained on and evaluated: the configured one, or the first picture slice
    /// by name.
    ///
    /// # Errors
    /// [`LoopError::NoPictures`] when there is none.
    pub fn slice(&self, dataset: &Dataset) -> Result<String> {
        let slices: BTreeSet<&str> = dataset
            .samples()
            .values()
            .filter(|s| s.kind == SliceKind::Image)
            .map(|s| s.slice.as_str())
            .collect();
        let wanted = self.config.project.slice.as_deref();
        match wanted.map_or_else(|| slices.first().copied(), |w| slices.get(w).copied()) {
            Some(slice) => Ok(slice.to_owned()),
            None => Err(LoopError::NoPictures {
                slice: wanted.unwrap_or("any").to_owned(),
                split: "whole",
                found: slices.into_iter().map(str::to_owned).collect(),
            }),
        }
    }

    /// Pictures of the project's slice in one split, by id.
    ///
    /// # Errors
    /// [`LoopError::NoPictures`] when there is none.
    pub fn pictures_of<'d>(
        &self,
        dataset: &'d Dataset,
        split: Split,
    ) -> Result<BTreeMap<&'d SampleId, &'d Sample>> {
        let slice = self.slice(dataset)?;
        let found: BTreeMap<_, _> =
            dataset.samples().iter().filter(|(_, s)| s.split == Some(split) && s.slice == slice).collect();
        if found.is_empty() {
            return Err(LoopError::NoPictures {
                slice: slice.clone(),
                split: split.as_str(),
                found: vec![slice],
            });
        }
        Ok(found)
    }

    /// Reference labels of a val, golden or pool picture.
    ///
    /// # Errors
    /// [`LoopError::NoReference`] when nobody labelled it.
    pub fn reference<'d>(&self, dataset: &'d Dataset, sample: &Sample) -> Result<&'d [LabelledBox]> {
        dataset.boxes(GROUND_TRUTH, &sample.id)?.ok_or_else(|| LoopError::NoReference {
            split: sample.split.map_or("unassigned", Split::as_str),
            id: sample.id.to_string(),
            field: GROUND_TRUTH.to_owned(),
        })
    }

    /// Vectors of the pool's and val's pictures, by what `[embedding]` asks for; test and golden stay unseen. Unchanged
    /// pictures come from the store, broken ones are left out and listed.
    ///
    /// # Errors
    /// A model that cannot be used, I/O of the store, cancelled work.
    pub fn embed(&self, dataset: &Dataset, progress: &dyn Progress) -> Result<EmbedRun> {
        let mut items: Vec<(SampleId, PathBuf)> = Vec::new();
        for split in [Split::Pool, Split::Val] {
            let pictures = self.pictures_of(dataset, split)?;
            items.extend(pictures.values().map(|s| (s.id.clone(), self.media_path(s))));
        }
        items.sort();
        let embedder = self.config.embedding.load(self.layout.root())?;
        Ok(embed_all(&items, embedder.as_ref(), Some(&self.layout.embeddings()), progress)?)
    }
}
