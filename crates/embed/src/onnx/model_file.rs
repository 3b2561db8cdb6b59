use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::OnnxError;
use super::protobuf::{Fields, Value, WireError};

/// Numbers of the fields looked at, from onnx.proto.
mod field {
    pub(super) const MODEL_GRAPH: u32 = 7;
    pub(super) const GRAPH_NODE: u32 = 1;
    pub(super) const GRAPH_INITIALIZER: u32 = 5;
    pub(super) const TENSOR_EXTERNAL_DATA: u32 = 13;
    pub(super) const ENTRY_KEY: u32 = 1;
    pub(super) const ENTRY_VALUE: u32 = 2;
}

/// A model's file, looked through before any backend sees it.
#[derive(Debug)]
pub(super) struct ModelFile {
    pub(super) path: PathBuf,
    /// Of the bytes of the file and of the files beside it that hold weights.
    pub(super) digest: blake3::Hash,
}

impl ModelFile {
    /// Reads the file; refuses what is no whole ONNX model and weights outside of its folder.
    pub(super) fn read(path: &Path) -> Result<Self, OnnxError> {
        let io = |path: &Path, source| OnnxError::Io { path: path.to_owned(), source };
        let bytes = std::fs::read(path).map_err(|source| io(path, source))?;
        let not_onnx = |reason| OnnxError::NotOnnx { path: path.to_owned(), reason };
        let locations = weight_files(&bytes).map_err(not_onnx)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&bytes);
        for location in locations {
            let weights = beside(path, &location).ok_or_else(|| OnnxError::WeightsElsewhere {
                path: path.to_owned(),
                location: location.clone(),
            })?;
            hasher.update(&(location.len() as u64).to_le_bytes()).update(location.as_bytes());
            let opened = std::fs::File::open(&weights);
            opened
                .and_then(|file| hasher.update_reader(file).map(|_| ()))
                .map_err(|source| io(&weights, source))?;
        }
        Ok(Self { path: path.to_owned(), digest: hasher.finalize() })
    }
}

/// A file in the model's own folder or below it; none for any other place.
fn beside(model: &Path, location: &str) -> Option<PathBuf> {
    let relative = Path::new(location);
    let inside = relative.components().all(|part| matches!(part, Component::Normal(_)));
    (inside && !location.is_empty()).then(|| model.parent().unwrap_or(Path::new("")).join(relative))
}

/// The files beside the model that hold weights; an error for bytes that are no model.
fn weight_files(bytes: &[u8]) -> Result<BTreeSet<String>, String> {
    if bytes.is_empty() {
        return Err("0 bytes: expected a model".to_owned());
    }
    let mut locations = BTreeSet::new();
    let mut n_nodes = None;
    for model_field in Fields::of(bytes) {
        let model_field = model_field.map_err(|e| e.to_string())?;
        if let (field::MODEL_GRAPH, Value::Bytes(graph)) = (model_field.number, model_field.value) {
            let nodes = graph_parts(graph, &mut locations).map_err(|e| format!("in its graph, {e}"))?;
            n_nodes = Some(n_nodes.unwrap_or(0) + nodes);
        }
    }
    match n_nodes {
        None => Err(format!("{} bytes without a graph: expected one", bytes.len())),
        Some(0) => Err("a graph without nodes: expected at least 1".to_owned()),
        Some(_) => Ok(locations),
    }
}

/// Nodes of the graph; notes where its initializers' numbers are.
fn graph_parts(graph: &[u8], locations: &mut BTreeSet<String>) -> Result<usize, WireError> {
    let mut n_nodes = 0;
    for part in Fields::of(graph) {
        match part? {
            part if part.number == field::GRAPH_NODE => n_nodes += 1,
            part => {
                if let (field::GRAPH_INITIALIZER, Value::Bytes(tensor)) = (part.number, part.value) {
                    tensor_location(tensor, locations)?;
                }
            }
        }
    }
    Ok(n_nodes)
}

fn tensor_location(tensor: &[u8], locations: &mut BTreeSet<String>) -> Result<(), WireError> {
    for part in Fields::of(tensor) {
        let part = part?;
        if let (field::TENSOR_EXTERNAL_DATA, Value::Bytes(entry)) = (part.number, part.value) {
            let (mut is_location, mut text) = (false, String::new());
            for half in Fields::of(entry) {
                let half = half?;
                match (half.number, half.value) {
                    (field::ENTRY_KEY, Value::Bytes(key)) => is_location = key == b"location",
                    (field::ENTRY_VALUE, Value::Bytes(value)) => {
                        text = String::from_utf8_lossy(value).into_owned();
                    }
                    _ => {}
                }
            }
            if is_location {
                locations.insert(text);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of bytes of this number, in protobuf.
    fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(content.len()).unwrap()][..], content].concat()
    }

    /// A model with a node, and an initializer whose numbers are in a file.
    fn with_weights_in(location: &str) -> Vec<u8> {
        let entry = |key: &str, value: &str| {
            bytes(13, &[bytes(1, key.as_bytes()), bytes(2, value.as_bytes())].concat())
        };
        let tensor = [entry("offset", "0"), entry("location", location)].concat();
        bytes(7, &[bytes(1, b""), bytes(5, &tensor)].concat())
    }

    fn read(name: &str, content: &[u8], beside: &[(&str, &[u8])]) -> Result<blake3::Hash, OnnxError> {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in beside {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        ModelFile::read(&path).map(|file| file.digest)
    }

    #[test]
    fn weights_beside_the_model_are_found_and_digested() {
        let model = with_weights_in("w.bin");
        assert_eq!(weight_files(&model).unwrap().into_iter().collect::<Vec<_>>(), ["w.bin"]);
        let one = read("m.onnx", &model, &[("w.bin", b"one")]).unwrap();
        assert_ne!(one, read("m.onnx", &model, &[("w.bin", b"two")]).unwrap());
        assert_eq!(one, read("other.onnx", &model, &[("w.bin", b"one"), ("else", b"")]).unwrap());
        assert!(
            matches!(read("m.onnx", &model, &[]), Err(OnnxError::Io { path, .. }) if path.ends_with("w.bin"))
        );
    }

    #[test]
    fn weights_in_other_folders_are_refused() {
        for location in ["../w.bin", "/etc/passwd", "a/../../w.bin", "", "./w.bin"] {
            let refused = read("m.onnx", &with_weights_in(location), &[]).unwrap_err();
            assert!(
                matches!(&refused, OnnxError::WeightsElsewhere { location: found, .. } if found == location),
                "{refused}"
            );
        }
        assert!(
            beside(Path::new("models/m.onnx"), "a/w.bin").is_some_and(|p| p == Path::new("models/a/w.bin"))
        );
    }

    #[test]
    fn what_is_no_model_is_refused() {
        for (content, words) in [
            (&b""[..], "0 bytes: expected a model"),
            (b"\x08\x01", "2 bytes without a graph: expected one"),
            (&bytes(7, b""), "a graph without nodes: expected at least 1"),
            (&bytes(7, b"\x08"), "in its graph, a number is cut off at byte 1 of 1"),
            (b"<html>", "a field"),
        ] {
            let refused = read("m.onnx", content, &[]).unwrap_err().to_string();
            assert!(refused.contains(": not an ONNX model: ") && refused.contains(words), "{refused}");
        }
    }
}
