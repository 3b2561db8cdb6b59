use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use labelloop_core::Embeddings;
use labelloop_media::write_atomically;
use serde::{Deserialize, Serialize};

use crate::npy::plain_header;
use crate::table::{checked_ids, content_of, hex_of};
use crate::{EmbedError, EmbeddingTable, ModelInfo, Result, StoredRun, TableProblem, read_npy, write_npy};

/// Rows that are read from a store at a time.
pub(crate) const ROWS_AT_A_TIME: usize = 1024;

/// What is kept beside a matrix and its ids.
#[derive(Serialize, Deserialize)]
struct Beside {
    model: Option<ModelInfo>,
    contents: Option<Vec<String>>,
}

impl EmbeddingTable {
    /// Writes the vectors as `NAME.npy`, the ids as a list in `NAME.json`, and contents and model in `NAME.model.json`.
    ///
    /// # Errors
    /// [`EmbedError::Io`].
    pub fn write_npy(&self, path: &Path) -> Result<()> {
        write_ids(path, self.embeddings().ids())?;
        write_beside(path, self.model(), self.contents())?;
        write_npy(path, self.embeddings().vectors())
    }

    /// Reads `NAME.npy` and what is beside it; contents and model are unknown where `NAME.model.json` is missing.
    ///
    /// # Errors
    /// [`EmbedError::Npy`], [`EmbedError::Table`] for ids, contents and numbers that do not fit, [`EmbedError::Io`].
    pub fn read_npy(path: &Path) -> Result<Self> {
        let vectors = read_npy(path)?;
        let ids_path = path.with_extension("json");
        let texts: Vec<String> = read_json(&ids_path)?;
        let counted = |what, found: usize| {
            let problem = TableProblem::Count { what, found, expected: vectors.nrows() };
            if found == vectors.nrows() { Ok(()) } else { Err(refused(path, problem)) }
        };
        counted("ids", texts.len())?;
        if let Some(((row, number), found)) = vectors.indexed_iter().find(|(_, v)| !v.is_finite()) {
            return Err(refused(path, TableProblem::NotFinite { row, number, found: found.to_string() }));
        }
        let beside = beside_of(path);
        let Beside { model, contents } =
            if beside.exists() { read_json(&beside)? } else { Beside { model: None, contents: None } };
        if let Some(contents) = &contents {
            counted("contents", contents.len())?;
        }
        let contents = contents
            .map(|texts| texts.iter().enumerate().map(|(row, text)| content_of(&beside, row, text)).collect())
            .transpose()?;
        Self::new(Embeddings::new(checked_ids(&ids_path, texts)?, vectors)?, contents, model)
    }
}

impl StoredRun {
    /// Writes what [`EmbeddingTable::write_npy`] writes, with some thousand rows in memory at a time.
    ///
    /// ```
    /// use labelloop_core::Silent;
    /// use labelloop_embed::{Descriptor, embed_to_store, read_npy};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let run = embed_to_store(&[], &Descriptor::default(), &folder.path().join("v.vectors"), &Silent)?;
    /// run.write_npy(&folder.path().join("v.npy"))?;
    /// assert_eq!(read_npy(&folder.path().join("v.npy"))?.dim(), (0, run.n_dims()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`EmbedError::Io`], [`EmbedError::Damaged`].
    pub fn write_npy(&self, path: &Path) -> Result<()> {
        write_ids(path, &self.ids)?;
        write_beside(path, Some(self.model()), Some(&self.contents))?;
        in_place_of(path, |file| {
            let mut file = BufWriter::new(file);
            file.write_all(&plain_header(self.n_rows(), self.n_dims())).map_err(EmbedError::io(path))?;
            for from in (0..self.n_rows()).step_by(ROWS_AT_A_TIME) {
                let rows = self.rows(from..from + ROWS_AT_A_TIME)?;
                let bytes: Vec<u8> = rows.iter().flat_map(|v| v.to_le_bytes()).collect();
                file.write_all(&bytes).map_err(EmbedError::io(path))?;
            }
            file.flush().map_err(EmbedError::io(path))
        })
    }
}

/// Lets `write` fill a file beside, which then takes the place of `path`: there is the old file or the whole new one.
pub(crate) fn in_place_of(path: &Path, write: impl FnOnce(&File) -> Result<()>) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.tmp"));
    let written = File::create(&beside).map_err(EmbedError::io(&beside)).and_then(|file| {
        write(&file)?;
        file.sync_all().map_err(EmbedError::io(&beside))
    });
    let done = written.and_then(|()| std::fs::rename(&beside, path).map_err(EmbedError::io(path)));
    if done.is_err() {
        // The first error is the one worth telling.
        let _ = std::fs::remove_file(&beside);
    }
    done
}

fn write_ids<S: Serialize>(path: &Path, ids: &[S]) -> Result<()> {
    write_json(&path.with_extension("json"), &ids)
}

fn write_beside(path: &Path, model: Option<&ModelInfo>, contents: Option<&[[u8; 32]]>) -> Result<()> {
    let beside = beside_of(path);
    if model.is_none() && contents.is_none() {
        // What is said of an earlier matrix must not be taken for this one's.
        return match std::fs::remove_file(&beside) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(EmbedError::Io { path: beside, source })
            }
            _ => Ok(()),
        };
    }
    let contents = contents.map(|contents| contents.iter().map(hex_of).collect());
    write_json(&beside, &Beside { model: model.cloned(), contents })
}

fn beside_of(path: &Path) -> PathBuf {
    path.with_extension("model.json")
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let bytes = serde_json::to_vec_pretty(value)
        .map_err(|e| refused(path, TableProblem::Format { reason: e.to_string() }))?;
    write_atomically(path, &bytes).map_err(EmbedError::io(path))
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T> {
    let bytes = std::fs::read(path).map_err(EmbedError::io(path))?;
    serde_json::from_slice(&bytes).map_err(|e| refused(path, TableProblem::Format { reason: e.to_string() }))
}

fn refused(path: &Path, problem: TableProblem) -> EmbedError {
    EmbedError::Table { path: path.to_owned(), problem }
}
