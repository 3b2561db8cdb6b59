//! Tables that are read when somebody asks for them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use labelloop_core::SampleId;

use super::manifest::{FileEntry, Manifest};
use super::{fs, tables};
use crate::labels::{ClassIndex, Packed};
use crate::{DatasetError, Result};

use super::tables::Item;

/// A file of a committed generation.
#[derive(Debug, Clone)]
pub(crate) struct Committed {
    pub(super) path: PathBuf,
    pub(super) entry: FileEntry,
}

impl Committed {
    pub(super) fn of(folder: &Path, name: &str, manifest: &Manifest) -> Result<Self> {
        let path = folder.join(name);
        match manifest.files.get(name) {
            Some(entry) => Ok(Self { path, entry: entry.clone() }),
            None => Err(DatasetError::corrupt(&path, "a manifest that does not list it", "an entry")),
        }
    }

    /// The bytes, which must be those that were committed.
    pub(super) fn bytes(&self) -> Result<Vec<u8>> {
        let bytes = fs::read(&self.path)?;
        self.compare(bytes.len() as u64, &blake3::hash(&bytes))?;
        Ok(bytes)
    }

    /// Whether the bytes are those that were committed; they are not kept.
    pub(super) fn check(&self) -> Result<()> {
        let error = |e| DatasetError::io("read", &self.path, e);
        let mut file = File::open(&self.path).map_err(error)?;
        let (mut hasher, mut n_bytes, mut piece) = (blake3::Hasher::new(), 0, vec![0; 1 << 20]);
        loop {
            match file.read(&mut piece).map_err(error)? {
                0 => return self.compare(n_bytes, &hasher.finalize()),
                n => {
                    hasher.update(&piece[..n]);
                    n_bytes += n as u64;
                }
            }
        }
    }

    fn compare(&self, n_bytes: u64, digest: &blake3::Hash) -> Result<()> {
        if n_bytes != self.entry.n_bytes {
            let (found, expected) = (format!("{n_bytes} bytes"), format!("{} bytes", self.entry.n_bytes));
            return Err(DatasetError::corrupt(&self.path, found, expected));
        }
        let digest = digest.to_hex();
        if *digest != *self.entry.blake3 {
            return Err(DatasetError::corrupt(
                &self.path,
                format!("digest {digest}"),
                self.entry.blake3.clone(),
            ));
        }
        Ok(())
    }
}

/// What tables of labels refer to.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// All samples of the generation, in order.
    pub(super) ids: Arc<[SampleId]>,
    pub(super) n_classes: usize,
}

/// A label field on disk.
#[derive(Debug)]
pub(crate) struct Stored<T> {
    pub(super) answers: Committed,
    pub(super) objects: Committed,
    known: Known,
    packed: OnceLock<Packed<T>>,
    classes: OnceLock<ClassIndex>,
}

impl<T: Item> Stored<T> {
    pub(super) fn new(answers: Committed, objects: Committed, known: Known) -> Self {
        Self { answers, objects, known, packed: OnceLock::new(), classes: OnceLock::new() }
    }

    /// All answers.
    pub(crate) fn packed(&self) -> Result<&Packed<T>> {
        or_load(&self.packed, || {
            let (answers, objects) = (self.answers.bytes()?, self.objects.bytes()?);
            let tables = tables::FieldTables {
                answers: (&answers, &self.answers.path),
                objects: (&objects, &self.objects.path),
            };
            tables::read_field(&tables, &self.known)
        })
    }

    /// Whether two fields are the same bytes about the same samples; nothing is read for it.
    pub(crate) fn is_same_on_disk(&self, other: &Self) -> bool {
        self.answers.entry == other.answers.entry
            && self.objects.entry == other.objects.entry
            && (Arc::ptr_eq(&self.known.ids, &other.known.ids) || self.known.ids == other.known.ids)
    }

    /// Which samples have which classes; the objects are not read for it.
    pub(crate) fn classes(&self) -> Result<&ClassIndex> {
        or_load(&self.classes, || {
            tables::read_classes(&self.answers.bytes()?, &self.answers.path, &self.known)
        })
    }
}

/// A score: of this snapshot, or as it stands on disk.
#[derive(Debug, Clone)]
pub(crate) enum Scores {
    Here(BTreeMap<SampleId, f64>),
    Stored(Arc<StoredScores>),
}

/// A score on disk.
#[derive(Debug)]
pub(crate) struct StoredScores {
    pub(super) table: Committed,
    known: Known,
    values: OnceLock<BTreeMap<SampleId, f64>>,
}

impl Scores {
    pub(super) fn stored(table: Committed, known: Known) -> Self {
        Self::Stored(Arc::new(StoredScores { table, known, values: OnceLock::new() }))
    }

    pub(crate) fn values(&self) -> Result<&BTreeMap<SampleId, f64>> {
        match self {
            Self::Here(values) => Ok(values),
            Self::Stored(stored) => or_load(&stored.values, || {
                tables::read_scores(&stored.table.bytes()?, &stored.table.path, &stored.known)
            }),
        }
    }
}

/// Equal when they say the same, wherever it is kept. What cannot be read equals nothing.
impl PartialEq for Scores {
    fn eq(&self, other: &Self) -> bool {
        matches!((self.values(), other.values()), (Ok(a), Ok(b)) if a == b)
    }
}

/// Two who ask at the same time may both load; they get the same.
fn or_load<V>(cell: &OnceLock<V>, load: impl FnOnce() -> Result<V>) -> Result<&V> {
    match cell.get() {
        Some(value) => Ok(value),
        None => {
            let value = load()?;
            Ok(cell.get_or_init(|| value))
        }
    }
}
