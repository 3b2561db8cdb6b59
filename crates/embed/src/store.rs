use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use labelloop_core::CoreError;
use labelloop_media::write_atomically;

use crate::positioned::{read_exact_at, write_all_at};
use crate::store_format::{HEADER_BYTES, Header, HeaderState, Key, RECORD_BYTES, VERSION};
use crate::{EmbedError, Embedder, Result};

/// What the one-file cache of earlier versions began with.
const OLD_MAGIC: &[u8; 8] = b"LLEMBED\n";

/// What was found where the store was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheState {
    /// No store was asked for.
    Off,
    /// There was none yet.
    New,
    /// There was one.
    Read {
        /// Vectors in it, of this embedder and of others.
        n_entries: usize,
    },
    /// What was there could not be used, so that all vectors were computed again.
    Rebuilt {
        /// What was wrong with it.
        reason: String,
    },
}

/// The vectors of one embedder in a folder, by content: rows are only ever added, each at once.
///
/// A folder holds, for each embedder, a file of plain rows (`….f32`, little-endian, shape rows x dimensions, which NumPy
/// maps with `np.memmap`), a file of keys and checksums (`….keys`) and a description (`….json`); the names begin with the
/// first 16 digits of the embedder's digest. Both files are written to before [`VectorStore::insert`] comes back, so that
/// a process that is killed has lost nothing that was inserted; a row or key that was cut off is dropped when the store
/// is opened next. After a power cut, rows that did not reach the disk are noticed by their checksums and are as if they
/// had never been there.
///
/// Memory: about 70 bytes for each vector in the store, none of the vectors themselves.
///
/// ```
/// use labelloop_embed::{Descriptor, VectorStore};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("pictures.vectors");
/// let embedder = Descriptor::default();
/// let vector = vec![0.5; embedder.n_dims()];
/// let mut store = VectorStore::open(&path, &embedder)?;
/// store.insert(&[7; 32], &vector)?;
/// drop(store);
///
/// let store = VectorStore::open(&path, &embedder)?;
/// assert_eq!(store.get(&[7; 32])?, Some(vector));
/// assert_eq!(store.get(&[8; 32])?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct VectorStore {
    files: Arc<StoreFiles>,
    record_of: BTreeMap<Key, u64>,
    n_records: u64,
    n_damaged: usize,
    state: CacheState,
}

impl VectorStore {
    /// Opens the folder for this embedder's vectors, or makes it; nobody else can until this is dropped.
    ///
    /// # Errors
    /// [`EmbedError::Conflict`] when another run writes here or has the rows mapped, [`EmbedError::NotAStore`] for a
    /// file that is none, [`EmbedError::StoreVersion`] for one of a later version, [`EmbedError::Io`].
    pub fn open<E: Embedder + ?Sized>(folder: &Path, embedder: &E) -> Result<Self> {
        let n_dims = u32::try_from(embedder.n_dims()).unwrap_or(u32::MAX);
        if n_dims == 0 {
            return Err(CoreError::NoColumns.into());
        }
        let header = Header { digest: embedder.digest_bytes(), n_dims };
        let replaced = make_folder(folder)?;
        let was_there = holds_vectors(folder)?;
        let files = Arc::new(StoreFiles::open(folder, header)?);
        let (dropped, is_header_damaged) = files.begin()?;
        files.describe(folder, &embedder.description())?;
        let mut found = files.records()?;
        found.n_damaged += usize::from(is_header_damaged);
        files.cut_to(found.n_records)?;
        let n_others = others(folder, &files.keys_path)?;
        let state = match dropped.or(replaced) {
            Some(reason) => CacheState::Rebuilt { reason },
            None if was_there => CacheState::Read { n_entries: found.record_of.len() + n_others },
            None => CacheState::New,
        };
        let Found { record_of, n_records, n_damaged } = found;
        Ok(Self { files, record_of, n_records, n_damaged, state })
    }

    /// What was found when it was opened.
    pub fn state(&self) -> &CacheState {
        &self.state
    }

    /// Vectors of this embedder.
    pub fn n_vectors(&self) -> usize {
        self.record_of.len()
    }

    /// Records that could not be trusted: those noticed when the store was opened, and those asked for since.
    pub fn n_damaged(&self) -> usize {
        self.n_damaged
    }

    /// The file of plain rows; those that were damaged, and those of keys inserted twice, are still among them.
    pub fn rows_path(&self) -> &Path {
        &self.files.rows_path
    }

    /// The vector of a content, where there is one and it is whole.
    ///
    /// # Errors
    /// [`EmbedError::Io`].
    pub fn get(&self, key: &[u8; 32]) -> Result<Option<Vec<f32>>> {
        self.record_of.get(key).map_or(Ok(None), |record| self.files.read(*record, key))
    }

    /// Adds a vector; the next one of the same key takes its place.
    ///
    /// # Errors
    /// [`EmbedError::VectorLength`], [`EmbedError::Io`]; what was there before stays.
    pub fn insert(&mut self, key: &[u8; 32], vector: &[f32]) -> Result<()> {
        self.append(key, vector).map(drop)
    }

    /// Asks the system to put everything on the disk.
    ///
    /// # Errors
    /// [`EmbedError::Io`].
    pub fn sync(&self) -> Result<()> {
        self.files.sync()
    }

    /// [`Self::insert`] that says where the row is.
    pub(crate) fn append(&mut self, key: &Key, vector: &[f32]) -> Result<u64> {
        let record = self.n_records;
        self.files.write(record, key, vector)?;
        self.record_of.insert(*key, record);
        self.n_records += 1;
        Ok(record)
    }

    pub(crate) fn record_of(&self, key: &Key) -> Option<u64> {
        self.record_of.get(key).copied()
    }

    /// Drops a record that turned out to be damaged, unless another took its place.
    pub(crate) fn forget(&mut self, key: &Key, record: u64) {
        if self.record_of.get(key) == Some(&record) {
            self.record_of.remove(key);
            self.n_damaged += 1;
        }
    }

    /// The files, for reading rows without holding up whoever writes.
    pub(crate) fn files(&self) -> Arc<StoreFiles> {
        Arc::clone(&self.files)
    }
}

/// The open files of one embedder.
#[derive(Debug)]
pub(crate) struct StoreFiles {
    header: Header,
    rows: File,
    rows_path: PathBuf,
    keys: File,
    keys_path: PathBuf,
}

/// What a file of keys holds.
struct Found {
    record_of: BTreeMap<Key, u64>,
    n_records: u64,
    n_damaged: usize,
}

impl StoreFiles {
    /// The row of a record, where both are whole and the record has this key.
    pub(crate) fn read(&self, record: u64, key: &Key) -> Result<Option<Vec<f32>>> {
        let mut stored = [0; RECORD_BYTES as usize];
        let mut row = vec![0; self.header.row_bytes() as usize];
        let read = read_exact_at(&self.keys, &mut stored, record_at(record))
            .map_err(EmbedError::io(&self.keys_path))
            .and_then(|()| {
                read_exact_at(&self.rows, &mut row, record * self.header.row_bytes())
                    .map_err(EmbedError::io(&self.rows_path))
            });
        match read {
            Ok(()) if self.header.matches(&stored, key, &row) => Ok(Some(floats(&row))),
            Ok(()) => Ok(None),
            Err(EmbedError::Io { source, .. }) if source.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The row of a record, whatever its key.
    pub(crate) fn row(&self, record: u64) -> Result<Vec<f32>> {
        let mut stored = [0; RECORD_BYTES as usize];
        read_exact_at(&self.keys, &mut stored, record_at(record)).map_err(EmbedError::io(&self.keys_path))?;
        let damaged = || EmbedError::Damaged { path: self.rows_path.clone(), record };
        let key = self.header.key(&stored).ok_or_else(damaged)?;
        self.read(record, &key)?.ok_or_else(damaged)
    }

    pub(crate) fn sync(&self) -> Result<()> {
        self.rows.sync_data().map_err(EmbedError::io(&self.rows_path))?;
        self.keys.sync_data().map_err(EmbedError::io(&self.keys_path))
    }

    fn open(folder: &Path, header: Header) -> Result<Self> {
        let hex = blake3::Hash::from_bytes(header.digest).to_hex();
        let path = |ending: &str| folder.join(format!("{}.{ending}", &hex[..16]));
        let (rows_path, keys_path) = (path("f32"), path("keys"));
        let open = |path: &Path| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            options.open(path).map_err(EmbedError::io(path))
        };
        let rows = open(&rows_path)?;
        match rows.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(EmbedError::Conflict { path: rows_path }),
            // A file system without locks: whoever writes there has to see to it that nobody else does.
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(source)) => return Err(EmbedError::Io { path: rows_path, source }),
        }
        let keys = open(&keys_path)?;
        Ok(Self { header, rows, rows_path, keys, keys_path })
    }

    /// Sees to the header: the reason when everything had to be dropped, and whether the header was damaged.
    fn begin(&self) -> Result<(Option<String>, bool)> {
        let mut bytes = [0; HEADER_BYTES as usize];
        let n_row_bytes = length(&self.rows, &self.rows_path)?;
        let mut is_damaged = false;
        let reason = match read_exact_at(&self.keys, &mut bytes, 0) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                (0 < n_row_bytes).then(|| "the file of keys has no header".to_owned())
            }
            Err(source) => return Err(EmbedError::Io { path: self.keys_path.clone(), source }),
            Ok(()) => match self.header.judge(&bytes) {
                HeaderState::Good => return Ok((None, false)),
                HeaderState::Version(found) => {
                    let path = self.keys_path.clone();
                    return Err(EmbedError::StoreVersion { path, found, expected: VERSION });
                }
                // Records carry checksums of their own, so that they outlive their header.
                HeaderState::Damaged => {
                    is_damaged = true;
                    None
                }
                HeaderState::Other => Some("the vectors are of another embedder".to_owned()),
            },
        };
        if reason.is_some() {
            self.keys.set_len(0).map_err(EmbedError::io(&self.keys_path))?;
            self.rows.set_len(0).map_err(EmbedError::io(&self.rows_path))?;
        }
        write_all_at(&self.keys, &self.header.encode(), 0).map_err(EmbedError::io(&self.keys_path))?;
        Ok((reason, is_damaged))
    }

    /// Reads all keys. Records at the end that are cut off, damaged or without a row are not counted as records.
    fn records(&self) -> Result<Found> {
        let n_rows = length(&self.rows, &self.rows_path)? / self.header.row_bytes();
        let n_written = length(&self.keys, &self.keys_path)?.saturating_sub(HEADER_BYTES) / RECORD_BYTES;
        let mut found = Found { record_of: BTreeMap::new(), n_records: 0, n_damaged: 0 };
        let (mut reader, mut bytes) = (BufReader::new(&self.keys), [0; RECORD_BYTES as usize]);
        io::Seek::seek(&mut reader, io::SeekFrom::Start(HEADER_BYTES))
            .map_err(EmbedError::io(&self.keys_path))?;
        for record in 0..n_written {
            reader.read_exact(&mut bytes).map_err(EmbedError::io(&self.keys_path))?;
            match self.header.key(&bytes) {
                Some(key) if record < n_rows => {
                    found.record_of.insert(key, record);
                    found.n_records = record + 1;
                }
                _ => found.n_damaged += 1,
            }
        }
        // One row more than keys is what a kill leaves behind; more of them have lost their keys.
        found.n_damaged += n_rows.saturating_sub(n_written + 1) as usize;
        Ok(found)
    }

    fn cut_to(&self, n_records: u64) -> Result<()> {
        let n_bytes = n_records * self.header.row_bytes();
        for (file, path, n) in
            [(&self.rows, &self.rows_path, n_bytes), (&self.keys, &self.keys_path, record_at(n_records))]
        {
            if n < length(file, path)? {
                file.set_len(n).map_err(EmbedError::io(path))?;
            }
        }
        Ok(())
    }

    /// The row first: a key without a row would be a lie, a row without a key is dropped.
    fn write(&self, record: u64, key: &Key, vector: &[f32]) -> Result<()> {
        if vector.len() != self.header.n_dims as usize {
            let (found, expected) = (vector.len(), self.header.n_dims as usize);
            return Err(EmbedError::VectorLength { found, expected });
        }
        let row: Vec<u8> = vector.iter().flat_map(|v| v.to_le_bytes()).collect();
        write_all_at(&self.rows, &row, record * self.header.row_bytes())
            .map_err(EmbedError::io(&self.rows_path))?;
        write_all_at(&self.keys, &self.header.record(key, &row), record_at(record))
            .map_err(EmbedError::io(&self.keys_path))
    }

    /// For whoever finds the folder: what the rows are.
    fn describe(&self, folder: &Path, description: &str) -> Result<()> {
        let digest = blake3::Hash::from_bytes(self.header.digest).to_hex();
        let path = folder.join(format!("{}.json", &digest[..16]));
        let document = serde_json::json!({
            "version": VERSION,
            "digest": digest.as_str(),
            "n_dims": self.header.n_dims,
            "description": description,
        });
        let bytes = format!("{document:#}\n").into_bytes();
        if std::fs::read(&path).is_ok_and(|found| found == bytes) {
            return Ok(());
        }
        write_atomically(&path, &bytes).map_err(EmbedError::io(&path))
    }
}

fn record_at(record: u64) -> u64 {
    HEADER_BYTES + record * RECORD_BYTES
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

fn length(file: &File, path: &Path) -> Result<u64> {
    Ok(file.metadata().map_err(EmbedError::io(path))?.len())
}

/// Makes the folder; a cache of earlier versions in its place is removed, which the answer says.
fn make_folder(folder: &Path) -> Result<Option<String>> {
    let mut replaced = None;
    if folder.is_file() {
        let mut magic = [0; 8];
        let is_old = File::open(folder).and_then(|mut file| file.read_exact(&mut magic)).is_ok();
        if !is_old || magic != *OLD_MAGIC {
            let reason = "a file: expected a folder of vectors".to_owned();
            return Err(EmbedError::NotAStore { path: folder.to_owned(), reason });
        }
        std::fs::remove_file(folder).map_err(EmbedError::io(folder))?;
        replaced = Some("a cache of an earlier version was in its place".to_owned());
    }
    std::fs::create_dir_all(folder).map_err(EmbedError::io(folder))?;
    Ok(replaced)
}

fn holds_vectors(folder: &Path) -> Result<bool> {
    Ok(!key_files(folder)?.is_empty())
}

/// Vectors of other embedders, as their files' lengths have it.
fn others(folder: &Path, own: &Path) -> Result<usize> {
    let files = key_files(folder)?;
    let others = files.iter().filter(|(path, _)| path != own);
    Ok(others.map(|(_, n_bytes)| (n_bytes.saturating_sub(HEADER_BYTES) / RECORD_BYTES) as usize).sum())
}

/// Files of keys and their lengths.
fn key_files(folder: &Path) -> Result<Vec<(PathBuf, u64)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(EmbedError::io(folder))? {
        let entry = entry.map_err(EmbedError::io(folder))?;
        let path = entry.path();
        if path.extension().is_some_and(|ending| ending == "keys") {
            let n_bytes = entry.metadata().map_err(EmbedError::io(&path))?.len();
            files.push((path, n_bytes));
        }
    }
    Ok(files)
}
