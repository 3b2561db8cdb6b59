use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::OnnxError;
use super::protobuf::{Field, Fields, Value, WireError, packed_numbers};

/// Numbers of the fields looked at, from onnx.proto.
mod field {
    pub(super) const MODEL_GRAPH: u32 = 7;
    pub(super) const GRAPH_NODE: u32 = 1;
    pub(super) const GRAPH_INITIALIZER: u32 = 5;
    pub(super) const NODE_OPERATOR: u32 = 4;
    pub(super) const NODE_ATTRIBUTE: u32 = 5;
    pub(super) const ATTRIBUTE_NAME: u32 = 1;
    pub(super) const ATTRIBUTE_INTS: u32 = 8;
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
            check_orders(graph)?;
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

/// Refuses a transposition that names an axis twice: tract would ask for memory until there is none.
fn check_orders(graph: &[u8]) -> Result<(), String> {
    for part in Fields::of(graph).flatten() {
        let (field::GRAPH_NODE, Value::Bytes(node)) = (part.number, part.value) else { continue };
        let is_operator =
            |f: &Field<'_>| f.number == field::NODE_OPERATOR && f.value == Value::Bytes(b"Transpose");
        if !Fields::of(node).flatten().any(|f| is_operator(&f)) {
            continue;
        }
        for part in Fields::of(node).flatten() {
            let (field::NODE_ATTRIBUTE, Value::Bytes(attribute)) = (part.number, part.value) else {
                continue;
            };
            let order = order_of(attribute);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            if !sorted.iter().copied().eq(0..order.len() as u64) {
                return Err(format!("a transposition to the axes {order:?}: expected each of them once"));
            }
        }
    }
    Ok(())
}

/// The numbers of the attribute `perm`; none of any other.
fn order_of(attribute: &[u8]) -> Vec<u64> {
    let (mut is_order, mut order) = (false, Vec::new());
    for part in Fields::of(attribute).flatten() {
        match (part.number, part.value) {
            (field::ATTRIBUTE_NAME, Value::Bytes(name)) => is_order = name == b"perm",
            (field::ATTRIBUTE_INTS, Value::Varint(axis)) => order.push(axis),
            (field::ATTRIBUTE_INTS, Value::Bytes(packed)) => order.extend(packed_numbers(packed)),
            _ => {}
        }
    }
    if is_order { order } else { Vec::new() }
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
    fn a_transposition_that_names_an_axis_twice_is_refused() {
        let transposed = |order: &[u8]| {
            let axes: Vec<u8> = order.iter().flat_map(|axis| [8 << 3, *axis]).collect();
            let attribute = [bytes(1, b"perm"), axes].concat();
            let node = [bytes(4, b"Transpose"), bytes(5, &attribute)].concat();
            weight_files(&bytes(7, &bytes(1, &node)))
        };
        assert!(transposed(&[0, 2, 3, 1]).is_ok() && transposed(&[]).is_ok());
        let refused = transposed(&[0, 1, 1]).unwrap_err();
        assert_eq!(refused, "a transposition to the axes [0, 1, 1]: expected each of them once");
        assert!(transposed(&[0, 3]).is_err());
        assert_eq!(order_of(&[bytes(1, b"perm"), bytes(8, &[1, 0, 0x80, 1])].concat()), [1, 0, 128]);
        assert!(order_of(&[bytes(1, b"axes"), bytes(8, &[1, 1])].concat()).is_empty());
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
