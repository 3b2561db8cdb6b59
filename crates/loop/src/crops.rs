//! Crops of val pictures: who their parents are, and that they do not come back as samples of the pool.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use labelloop_core::{AnnotationSet, SampleId};
use labelloop_dataset::Dataset;
use serde::{Deserialize, Serialize};

use crate::{LoopError, Project, Result, files};

/// List of the crops beside them.
const LIST: &str = "crops.json";

/// Where a crop comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CropRecord {
    /// Its file, in the folder of the list.
    pub(crate) file: String,
    /// The sample that it was cut from.
    pub(crate) parent: SampleId,
    /// Class of the object.
    pub(crate) class: String,
    /// The object in its picture: x, y, width, height in pixels.
    pub(crate) bbox: [f64; 4],
    /// Length of the file.
    n_bytes: u64,
    /// BLAKE3 of its bytes.
    blake3: String,
}

impl CropRecord {
    pub(crate) fn new(file: String, parent: SampleId, class: &str, bbox: [f64; 4], bytes: &[u8]) -> Self {
        let blake3 = blake3::hash(bytes).to_hex().to_string();
        Self { file, parent, class: class.to_owned(), bbox, n_bytes: bytes.len() as u64, blake3 }
    }
}

/// Writes the list of the crops of a folder.
pub(crate) fn write_list(folder: &Path, crops: &[CropRecord]) -> Result<()> {
    files::write_json(&folder.join(LIST), &crops)
}

impl Project {
    /// Refuses new samples that are crops which the loop cut from pictures of val: they would be trained on. Crops are
    /// known by their bytes; one that was saved anew is not recognised.
    pub(crate) fn refuse_crops(&self, dataset: &Dataset, set: &AnnotationSet) -> Result<()> {
        let crops = self.known_crops()?;
        if crops.is_empty() {
            return Ok(());
        }
        for sample in set.samples.iter().filter(|s| !dataset.samples().contains_key(&s.id)) {
            let path = self.media_root().join(&sample.file_name);
            // A file that is not there is no crop; what needs it will say so.
            let Ok(metadata) = std::fs::metadata(&path) else { continue };
            let Some(alike) = crops.get(&metadata.len()) else { continue };
            let digest =
                blake3::hash(&std::fs::read(&path).map_err(LoopError::io(&path))?).to_hex().to_string();
            if let Some((list, crop)) = alike.iter().find(|(_, crop)| crop.blake3 == digest) {
                let (id, parent) = (sample.id.to_string(), crop.parent.to_string());
                return Err(LoopError::CropOfFrozen { id, crop: list.with_file_name(&crop.file), parent });
            }
        }
        Ok(())
    }

    /// Crops of all iterations by the length of their files, each with its list.
    fn known_crops(&self) -> Result<BTreeMap<u64, Vec<(PathBuf, CropRecord)>>> {
        let mut crops: BTreeMap<u64, Vec<(PathBuf, CropRecord)>> = BTreeMap::new();
        for iteration in 0.. {
            if !self.layout.iteration(iteration).exists() {
                break;
            }
            let list = self.layout.error_analysis(iteration).join("fn_crops").join(LIST);
            if !list.exists() {
                continue;
            }
            for crop in files::read_json::<Vec<CropRecord>>(&list)? {
                crops.entry(crop.n_bytes).or_default().push((list.clone(), crop));
            }
        }
        Ok(crops)
    }
}
