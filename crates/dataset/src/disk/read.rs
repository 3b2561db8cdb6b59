use std::path::Path;

use labelloop_core::ClassSchema;
use serde::{Deserialize, Serialize};

use super::manifest::{Manifest, bad_json};
use super::{DatasetDir, fs, tables};
use crate::base::Base;
use crate::{Dataset, DatasetError, Result};

/// What never changes from one generation to the next.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) schema: ClassSchema,
}

impl DatasetDir {
    pub(super) fn read_identity(&self) -> Result<Identity> {
        let number = self.current()?;
        let (folder, manifest) = (self.generation_dir(number), self.manifest(number)?);
        let bytes = checked_file(&folder, tables::CATALOG, &manifest)?;
        serde_json::from_slice(&bytes).map_err(|e| bad_json(&folder.join(tables::CATALOG), &e))
    }

    pub(super) fn read_number(&self, number: u64) -> Result<Dataset> {
        let (folder, manifest) = (self.generation_dir(number), self.manifest(number)?);
        let mut dataset = tables::read(&folder, &|name| checked_file(&folder, name, &manifest))?;
        dataset.base = Base::at(number);
        Ok(dataset)
    }
}

/// The bytes of a file, which must be those that were committed.
pub(super) fn checked_file(folder: &Path, name: &str, manifest: &Manifest) -> Result<Vec<u8>> {
    let path = folder.join(name);
    let Some(entry) = manifest.files.get(name) else {
        return Err(DatasetError::corrupt(&path, "a manifest that does not list it", "an entry"));
    };
    let bytes = fs::read(&path)?;
    if bytes.len() as u64 != entry.n_bytes {
        let (found, expected) = (format!("{} bytes", bytes.len()), format!("{} bytes", entry.n_bytes));
        return Err(DatasetError::corrupt(&path, found, expected));
    }
    let digest = blake3::hash(&bytes).to_hex().to_string();
    if digest != entry.blake3 {
        return Err(DatasetError::corrupt(&path, format!("digest {digest}"), entry.blake3.clone()));
    }
    Ok(bytes)
}
