use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::fs::{self, Disk};
use super::manifest::{FileEntry, MANIFEST, Manifest};
use super::stored::Committed;
use super::tables::{self, Content, WriteTo};
use super::{CURRENT, DatasetDir, GENERATIONS, Generation};
use crate::{ConflictReason, Dataset, DatasetError, Result};

pub(super) const LOCK: &str = ".lock";
pub(super) const TEMPORARY: &str = ".tmp-";

/// The one who may commit. Holds the lock of the folder until it is dropped.
#[derive(Debug)]
pub struct Writer {
    dir: DatasetDir,
    lock: File,
}

/// A program started at this moment by another thread holds a copy of the file until it is itself, and the lock with it:
/// closing the file is not enough to let the next writer in.
impl Drop for Writer {
    fn drop(&mut self) {
        // A lock that cannot be given back goes with the process.
        let _ = self.lock.unlock();
    }
}

impl Writer {
    pub(super) fn new(dir: &DatasetDir) -> Result<Self> {
        let writer = Self::locked(dir)?;
        writer.clear_leftovers(Some(dir.current()?))?;
        Ok(writer)
    }

    /// Commits generation 0, unless someone else did so before the lock was taken.
    pub(super) fn first(dir: &DatasetDir, empty: &Dataset) -> Result<()> {
        let writer = Self::locked(dir)?;
        if dir.root.join(CURRENT).exists() {
            return Ok(());
        }
        writer.clear_leftovers(None)?;
        let (temporary, manifest) = writer.write_temporary(empty, 0, None, "init")?;
        writer.publish(&temporary, &manifest)
    }

    fn locked(dir: &DatasetDir) -> Result<Self> {
        let path = dir.root.join(LOCK);
        let lock = dir.disk.open(&path)?;
        if dir.disk.try_lock(&lock, &path)? {
            return Ok(Self { dir: dir.clone(), lock });
        }
        Err(DatasetError::Conflict { path: dir.root.clone(), reason: ConflictReason::Locked })
    }

    fn disk(&self) -> &Disk {
        &self.dir.disk
    }

    /// Commits a snapshot as the next generation and makes it current. `key` names the step that made it.
    ///
    /// The files are written to a temporary folder and synced, the folder is renamed and its parent synced, and only
    /// then `CURRENT` is replaced in the same way: whenever the process dies, the folder holds the old state or the
    /// new one. Content and key of the current generation again change nothing and return it. The snapshot stands on
    /// the new generation afterwards and may be changed and committed again.
    ///
    /// # Errors
    /// [`DatasetError::Conflict`] when the snapshot was not read from, or committed as, the current generation;
    /// [`DatasetError::OtherDataset`] for a snapshot of another name or other classes; [`DatasetError::Io`], after
    /// which what was on disk before is still there.
    pub fn commit(&mut self, dataset: &Dataset, key: &str) -> Result<Generation> {
        let current = self.dir.current()?;
        self.check_identity(dataset)?;
        let number = current + 1;
        let (temporary, manifest) = self.write_temporary(dataset, number, Some(current), key)?;
        let before = self.dir.manifest(current)?;
        if before.digest == manifest.digest && before.key == key {
            self.disk().remove_dir(&temporary)?;
            dataset.base.set(current);
            return Ok(before.into());
        }
        if let Err(e) = self.check_base(dataset, current) {
            self.disk().remove_dir(&temporary)?;
            return Err(e);
        }
        self.publish(&temporary, &manifest)?;
        dataset.base.set(number);
        Ok(manifest.into())
    }

    /// Commits the content of an earlier generation as the next one.
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
    /// # let car = |x| LabelledBox::new(ClassIdx(0), BBox::new(x, 4.0, 20.0, 10.0).unwrap());
    /// # let folder = tempfile::tempdir()?;
    /// # let dir = DatasetDir::init(folder.path(), dataset.name(), dataset.schema())?;
    /// let mut writer = dir.writer()?;
    /// writer.commit(&dataset, "split")?;
    /// assert_eq!(writer.restore(0, "start over")?.number, 2);
    /// assert!(dir.read()?.samples().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`DatasetError::NoSuchGeneration`], and as [`Writer::commit`] and [`DatasetDir::read`].
    pub fn restore(&mut self, number: u64, key: &str) -> Result<Generation> {
        let dataset = self.dir.read_generation(number)?;
        dataset.base.set(self.dir.current()?);
        self.commit(&dataset, key)
    }

    fn check_identity(&self, dataset: &Dataset) -> Result<()> {
        let on_disk = self.dir.read_identity()?;
        let differs = |what, found: String, expected: String| {
            Err(DatasetError::OtherDataset { path: self.dir.root.clone(), what, found, expected })
        };
        if on_disk.name != dataset.name {
            return differs("name", on_disk.name, dataset.name.clone());
        }
        if on_disk.schema != dataset.schema {
            let [found, expected] = [&on_disk.schema, &dataset.schema].map(|s| s.names().join(", "));
            return differs("classes", found, expected);
        }
        Ok(())
    }

    fn check_base(&self, dataset: &Dataset, current: u64) -> Result<()> {
        let reason = match dataset.base.get() {
            Some(read) if read != current => ConflictReason::Moved { read, current },
            None if current != 0 => ConflictReason::NotRead { current },
            _ => return Ok(()),
        };
        Err(DatasetError::Conflict { path: self.dir.root.clone(), reason })
    }

    fn write_temporary(
        &self,
        dataset: &Dataset,
        number: u64,
        parent: Option<u64>,
        key: &str,
    ) -> Result<(PathBuf, Manifest)> {
        let folder = self.dir.root.join(GENERATIONS).join(format!("{TEMPORARY}{number:06}"));
        if folder.exists() {
            self.disk().remove_dir(&folder)?;
        }
        self.disk().create_dir_all(&folder)?;
        let written = self.write_files(dataset, &folder, number, parent, key);
        if written.is_err() {
            // The first error is the one to report; what cannot be removed now is a leftover for the next writer.
            let _ = self.disk().remove_dir(&folder);
        }
        Ok((folder, written?))
    }

    fn write_files(
        &self,
        dataset: &Dataset,
        folder: &Path,
        number: u64,
        parent: Option<u64>,
        key: &str,
    ) -> Result<Manifest> {
        let mut files = BTreeMap::new();
        for (name, content) in tables::files(dataset) {
            let path = folder.join(&name);
            let entry = match content {
                Content::New(write) => self.write_file(&path, &*write)?,
                Content::Kept(committed) => self.keep_file(committed, &path)?,
            };
            files.insert(name, entry);
        }
        let manifest = Manifest::new(number, parent, key, files);
        let path = folder.join(MANIFEST);
        let mut file = self.disk().create(&path)?;
        file.put(&manifest.to_bytes(&path)?)?;
        file.finish()?;
        self.disk().sync_dir(folder)?;
        Ok(manifest)
    }

    fn write_file(&self, path: &Path, write: &WriteTo<'_>) -> Result<FileEntry> {
        let mut file = self.disk().create(path)?;
        write(&mut file, path).map_err(|e| file.cause(e))?;
        let (n_bytes, blake3) = file.finish()?;
        Ok(FileEntry { n_bytes, blake3 })
    }

    /// Enters a file of an earlier generation under a second name, so that what did not change costs no space and no
    /// time. Its bytes are checked first: damage must not spread.
    fn keep_file(&self, committed: &Committed, path: &Path) -> Result<FileEntry> {
        committed.check()?;
        if self.disk().link(&committed.path, path)? {
            return Ok(committed.entry.clone());
        }
        self.write_file(path, &|out, path| {
            let copied = File::open(&committed.path).and_then(|mut file| std::io::copy(&mut file, out));
            copied.map(drop).map_err(|e| DatasetError::io("copy", path, e))
        })
    }

    fn publish(&self, temporary: &Path, manifest: &Manifest) -> Result<()> {
        let root = &self.dir.root;
        self.disk().rename(temporary, &self.dir.generation_dir(manifest.number))?;
        self.disk().sync_dir(&root.join(GENERATIONS))?;
        self.disk().replace(&root.join(CURRENT), format!("{}\n", manifest.number).as_bytes())
    }

    /// Removes what a killed writer left: temporary folders, and generations that were never made current.
    fn clear_leftovers(&self, current: Option<u64>) -> Result<()> {
        let half_pointer = self.dir.root.join(CURRENT).with_extension("tmp");
        if half_pointer.symlink_metadata().is_ok() {
            self.disk().remove_file(&half_pointer)?;
        }
        for path in fs::list(&self.dir.root.join(GENERATIONS))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_uncommitted = name.parse::<u64>().is_ok_and(|n| current.is_none_or(|c| n > c));
            if name.starts_with(TEMPORARY) || is_uncommitted {
                self.disk().remove_dir(&path)?;
            }
        }
        Ok(())
    }

    /// The current generation, read under the lock.
    ///
    /// # Errors
    /// As [`DatasetDir::read`].
    pub fn read(&self) -> Result<Dataset> {
        self.dir.read()
    }
}
