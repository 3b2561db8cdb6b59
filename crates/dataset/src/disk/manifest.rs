use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{DatasetError, Result};

/// Newest layout that this version reads, and the one that it writes. Version 1 had one table of boxes, cuboids,
/// predictions and scores each for all fields; it is read as ever.
pub const LAYOUT_VERSION: u32 = 2;

pub(super) const FORMAT: &str = "labelloop-dataset";
pub(super) const MANIFEST: &str = "manifest.json";

/// What a generation consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) format: String,
    pub(super) version: u32,
    pub(super) number: u64,
    pub(super) parent: Option<u64>,
    pub(super) key: String,
    /// Digest of the content: of all files, and of nothing that differs between two runs.
    pub(super) digest: String,
    pub(super) files: BTreeMap<String, FileEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileEntry {
    pub(super) n_bytes: u64,
    pub(super) blake3: String,
}

/// A manifest on disk carries a digest of itself, so that a flipped bit in a key or number is noticed.
#[derive(Serialize, Deserialize)]
struct Sealed {
    #[serde(flatten)]
    manifest: Manifest,
    seal: String,
}

#[derive(Deserialize)]
struct Preface {
    format: String,
    version: u32,
}

impl Manifest {
    pub(super) fn new(
        number: u64,
        parent: Option<u64>,
        key: &str,
        files: BTreeMap<String, FileEntry>,
    ) -> Self {
        let digest = content_digest(&files);
        Self {
            format: FORMAT.to_owned(),
            version: LAYOUT_VERSION,
            number,
            parent,
            key: key.to_owned(),
            digest,
            files,
        }
    }

    pub(super) fn to_bytes(&self, path: &Path) -> Result<Vec<u8>> {
        let sealed = Sealed { manifest: self.clone(), seal: self.seal(path)? };
        let mut bytes = serde_json::to_vec_pretty(&sealed).map_err(|e| bad_json(path, &e))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads a manifest and refuses those that are damaged or of a later version.
    pub(super) fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self> {
        let preface: Preface = serde_json::from_slice(bytes).map_err(|e| bad_json(path, &e))?;
        if preface.format != FORMAT {
            return Err(DatasetError::corrupt(path, format!("format {:?}", preface.format), FORMAT));
        }
        if preface.version > LAYOUT_VERSION {
            let (found, supported) = (preface.version, LAYOUT_VERSION);
            return Err(DatasetError::NewerVersion { path: path.to_owned(), found, supported });
        }
        let sealed: Sealed = serde_json::from_slice(bytes).map_err(|e| bad_json(path, &e))?;
        let seal = sealed.manifest.seal(path)?;
        if seal != sealed.seal {
            return Err(DatasetError::corrupt(path, format!("seal {seal}"), sealed.seal));
        }
        let digest = content_digest(&sealed.manifest.files);
        if digest != sealed.manifest.digest {
            return Err(DatasetError::corrupt(path, format!("digest {digest}"), sealed.manifest.digest));
        }
        Ok(sealed.manifest)
    }

    fn seal(&self, path: &Path) -> Result<String> {
        let bytes = serde_json::to_vec(self).map_err(|e| bad_json(path, &e))?;
        Ok(blake3::hash(&bytes).to_hex().to_string())
    }
}

fn content_digest(files: &BTreeMap<String, FileEntry>) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, entry) in files {
        hasher.update(format!("{name}\n{}\n{}\n", entry.n_bytes, entry.blake3).as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

pub(super) fn bad_json(path: &Path, error: &serde_json::Error) -> DatasetError {
    DatasetError::corrupt(path, error.to_string(), "JSON as it was committed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let entry = FileEntry { n_bytes: 3, blake3: "ab".into() };
        Manifest::new(2, Some(1), "split", BTreeMap::from([("a.parquet".to_owned(), entry)]))
    }

    #[test]
    fn a_manifest_round_trips() {
        let p = Path::new("m");
        let bytes = manifest().to_bytes(p).unwrap();
        assert_eq!(Manifest::from_bytes(&bytes, p).unwrap(), manifest());
    }

    #[test]
    fn any_change_is_noticed() {
        let p = Path::new("m");
        let text = String::from_utf8(manifest().to_bytes(p).unwrap()).unwrap();
        for (from, to) in
            [("\"split\"", "\"other\""), ("\"number\": 2", "\"number\": 3"), ("\"ab\"", "\"ac\"")]
        {
            let changed = text.replace(from, to);
            assert_ne!(changed, text);
            assert!(matches!(Manifest::from_bytes(changed.as_bytes(), p), Err(DatasetError::Corrupt { .. })));
        }
        for cut in 0..text.len() - 2 {
            assert!(Manifest::from_bytes(&text.as_bytes()[..cut], p).is_err(), "{cut}");
        }
    }

    #[test]
    fn a_newer_version_is_refused_politely() {
        let text = r#"{"format":"labelloop-dataset","version":9,"shape":"unknown to us"}"#;
        let e = Manifest::from_bytes(text.as_bytes(), Path::new("m")).unwrap_err();
        assert_eq!(
            e.to_string(),
            "m has layout version 9: this program reads up to version 2, a newer one is needed"
        );
        let other = r#"{"format":"something","version":1}"#;
        assert!(matches!(
            Manifest::from_bytes(other.as_bytes(), Path::new("m")),
            Err(DatasetError::Corrupt { .. })
        ));
    }
}
