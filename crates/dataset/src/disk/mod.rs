//! A dataset as a folder of generations.

mod checkup;
#[cfg(test)]
mod faults;
mod fs;
#[cfg(test)]
mod injected;
mod ledger;
mod manifest;
#[cfg(test)]
mod power;
mod read;
mod stored;
mod tables;
mod writer;

use std::path::{Path, PathBuf};

use labelloop_core::ClassSchema;
use serde::{Deserialize, Serialize};

use crate::{Dataset, DatasetError, Result};
use fs::Disk;
use manifest::{MANIFEST, Manifest};

pub use checkup::{Checkup, FolderFinding, FolderFindingKind};
pub use ledger::{LedgerEntry, TestAccess};
pub use manifest::LAYOUT_VERSION;
pub(crate) use stored::{Scores, Stored};
pub(crate) use tables::Item;
pub use writer::Writer;

pub(crate) const CURRENT: &str = "CURRENT";
pub(crate) const GENERATIONS: &str = "generations";

/// One committed state of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Its number, from 0.
    pub number: u64,
    /// What the writer called it: the step that made it.
    pub key: String,
    /// Digest of the content; equal for equal content.
    pub digest: String,
    /// The generation it was made from.
    pub parent: Option<u64>,
}

/// One committed state of a dataset, as lists show it.
pub type GenerationInfo = Generation;

/// A dataset folder. Any number of readers, one [`Writer`] at a time.
///
/// ```
/// use labelloop_core::ClassSchema;
/// use labelloop_dataset::DatasetDir;
///
/// let folder = tempfile::tempdir()?;
/// let dir = DatasetDir::init(folder.path(), "cells", &ClassSchema::new(["red", "white"])?)?;
/// let mut dataset = dir.read()?;
/// dataset.set_info("note", "first".into());
/// let generation = dir.writer()?.commit(&dataset, "note")?;
/// assert_eq!((generation.number, dir.read()?), (1, dataset));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetDir {
    root: PathBuf,
    disk: Disk,
}

impl DatasetDir {
    /// Makes a dataset folder with an empty first generation, or opens the one that is there when name and classes
    /// are the same.
    ///
    /// # Errors
    /// [`DatasetError::OtherDataset`] for another name or other classes, [`DatasetError::Conflict`] while someone
    /// else writes, [`DatasetError::Io`].
    pub fn init(dir: impl AsRef<Path>, name: &str, schema: &ClassSchema) -> Result<Self> {
        let this = Self::at(dir.as_ref());
        this.init_here(name, schema)?;
        Ok(this)
    }

    fn init_here(&self, name: &str, schema: &ClassSchema) -> Result<()> {
        if !self.root.join(CURRENT).exists() {
            self.disk.create_dir_all(&self.root.join(GENERATIONS))?;
            Writer::first(self, &Dataset::new(name, schema.clone()))?;
        }
        let found = self.read_identity()?;
        let differs = |what, found: String, expected: String| {
            Err(DatasetError::OtherDataset { path: self.root.clone(), what, found, expected })
        };
        if found.name != name {
            return differs("name", found.name, name.to_owned());
        }
        if found.schema != *schema {
            return differs("classes", found.schema.names().join(", "), schema.names().join(", "));
        }
        Ok(())
    }

    fn at(root: &Path) -> Self {
        Self { root: root.to_owned(), disk: Disk::default() }
    }

    /// Opens a dataset folder.
    ///
    /// # Errors
    /// [`DatasetError::NotADataset`], [`DatasetError::NewerVersion`], [`DatasetError::Corrupt`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        let this = Self::at(dir.as_ref());
        this.manifest(this.current()?)?;
        Ok(this)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Number of the current generation.
    ///
    /// # Errors
    /// [`DatasetError::NotADataset`], [`DatasetError::Corrupt`].
    pub fn current(&self) -> Result<u64> {
        current_of(&self.root)
    }

    /// The current generation, its bytes checked against their digests.
    ///
    /// # Errors
    /// [`DatasetError::Corrupt`] naming the file whose bytes are not those that were committed,
    /// [`DatasetError::NotADataset`], [`DatasetError::NewerVersion`], [`DatasetError::Io`].
    pub fn read(&self) -> Result<Dataset> {
        self.read_number(self.current()?)
    }

    /// An earlier generation.
    ///
    /// ```
    /// # use labelloop_core::*;
    /// # use labelloop_dataset::*;
    /// # let samples = (0..8)
    /// #     .map(|i| SampleRecord::image(&format!("s{i}"), format!("s{i}.png"), ImageSize::new(64, 48)?))
    /// #     .collect::<labelloop_core::Result<Vec<_>>>()?;
    /// # let mut dataset = Dataset::new("demo", ClassSchema::new(["car", "van"])?);
    /// # let set = AnnotationSet { schema: dataset.schema().clone(), samples, extra: Extra::new() };
    /// # dataset.import(&set, GROUND_TRUTH, BoxPolicy::default())?;
    /// # dataset.split(&SplitParams::default())?;
    /// # let folder = tempfile::tempdir()?;
    /// # let dir = DatasetDir::init(folder.path(), dataset.name(), dataset.schema())?;
    /// # dir.writer()?.commit(&dataset, "split")?;
    /// assert!(dir.read_generation(0)?.samples().is_empty());
    /// assert_eq!(dir.read_generation(1)?, dataset);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError::NoSuchGeneration`], and as [`DatasetDir::read`].
    pub fn read_generation(&self, number: u64) -> Result<Dataset> {
        self.check_number(number)?;
        self.read_number(number)
    }

    /// All generations up to the current one, oldest first.
    ///
    /// ```
    /// # use labelloop_core::*;
    /// # use labelloop_dataset::*;
    /// # let samples = (0..8)
    /// #     .map(|i| SampleRecord::image(&format!("s{i}"), format!("s{i}.png"), ImageSize::new(64, 48)?))
    /// #     .collect::<labelloop_core::Result<Vec<_>>>()?;
    /// # let mut dataset = Dataset::new("demo", ClassSchema::new(["car", "van"])?);
    /// # let set = AnnotationSet { schema: dataset.schema().clone(), samples, extra: Extra::new() };
    /// # dataset.import(&set, GROUND_TRUTH, BoxPolicy::default())?;
    /// # dataset.split(&SplitParams::default())?;
    /// # let folder = tempfile::tempdir()?;
    /// # let dir = DatasetDir::init(folder.path(), dataset.name(), dataset.schema())?;
    /// # dir.writer()?.commit(&dataset, "split")?;
    /// let keys: Vec<String> = dir.generations()?.into_iter().map(|g| g.key).collect();
    /// assert_eq!(keys, ["init", "split"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError::Corrupt`], [`DatasetError::NotADataset`], [`DatasetError::Io`].
    pub fn generations(&self) -> Result<Vec<GenerationInfo>> {
        (0..=self.current()?).map(|n| Ok(self.manifest(n)?.into())).collect()
    }

    /// Checks the bytes of every file of every generation.
    ///
    /// # Errors
    /// [`DatasetError::Corrupt`] naming the first file whose bytes are not those that were committed.
    pub fn verify(&self) -> Result<()> {
        for number in 0..=self.current()? {
            let manifest = self.manifest(number)?;
            for name in manifest.files.keys() {
                stored::Committed::of(&self.generation_dir(number), name, &manifest)?.check()?;
            }
        }
        Ok(())
    }

    /// Takes the lock for writing. It is given back when the writer is dropped or its process ends.
    ///
    /// ```
    /// # use labelloop_core::*;
    /// # use labelloop_dataset::*;
    /// # let samples = (0..8)
    /// #     .map(|i| SampleRecord::image(&format!("s{i}"), format!("s{i}.png"), ImageSize::new(64, 48)?))
    /// #     .collect::<labelloop_core::Result<Vec<_>>>()?;
    /// # let mut dataset = Dataset::new("demo", ClassSchema::new(["car", "van"])?);
    /// # let set = AnnotationSet { schema: dataset.schema().clone(), samples, extra: Extra::new() };
    /// # dataset.import(&set, GROUND_TRUTH, BoxPolicy::default())?;
    /// # dataset.split(&SplitParams::default())?;
    /// # let folder = tempfile::tempdir()?;
    /// # let dir = DatasetDir::init(folder.path(), dataset.name(), dataset.schema())?;
    /// # dir.writer()?.commit(&dataset, "split")?;
    /// let mine = dir.writer()?;
    /// assert!(dir.writer().unwrap_err().is_conflict());
    /// drop(mine);
    /// dir.writer()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError::Conflict`] when someone else holds it, [`DatasetError::Io`].
    pub fn writer(&self) -> Result<Writer> {
        Writer::new(self)
    }

    fn check_number(&self, number: u64) -> Result<()> {
        let current = self.current()?;
        if number > current {
            return Err(DatasetError::NoSuchGeneration { found: number, current });
        }
        Ok(())
    }

    fn generation_dir(&self, number: u64) -> PathBuf {
        self.root.join(GENERATIONS).join(format!("{number:06}"))
    }

    fn manifest(&self, number: u64) -> Result<Manifest> {
        let path = self.generation_dir(number).join(MANIFEST);
        let manifest = Manifest::from_bytes(&fs::read(&path)?, &path)?;
        if manifest.number != number {
            let found = format!("the manifest of generation {}", manifest.number);
            return Err(DatasetError::corrupt(&path, found, format!("that of generation {number}")));
        }
        Ok(manifest)
    }
}

impl From<Manifest> for Generation {
    fn from(m: Manifest) -> Self {
        Self { number: m.number, key: m.key, digest: m.digest, parent: m.parent }
    }
}

fn current_of(root: &Path) -> Result<u64> {
    let path = root.join(CURRENT);
    let bytes = match std::fs::read(&path) {
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Err(DatasetError::NotADataset { path: root.to_owned() });
        }
        other => other.map_err(|e| DatasetError::io("read", &path, e))?,
    };
    let text = String::from_utf8_lossy(&bytes);
    // The line ends with its line feed, so that half a number cannot be taken for a number.
    text.strip_suffix('\n').and_then(|digits| digits.parse().ok()).ok_or_else(|| {
        DatasetError::corrupt(&path, format!("{text:?}"), "a generation number and a line feed")
    })
}
