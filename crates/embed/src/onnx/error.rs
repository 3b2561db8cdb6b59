use std::fmt;
use std::path::PathBuf;

use super::Backend;

/// What is wrong with the description of a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptionError {
    /// Not TOML, an unknown key, or a value of another type.
    #[error("line {line}: {reason}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// What the reader said: what was found and what it expected.
        reason: String,
    },
    /// A value out of range.
    #[error("{key} = {found}: expected {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value found.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A key that changes nothing beside the others.
    #[error("{key} has no effect: expected it beside {expected} only")]
    NoEffect {
        /// The key.
        key: &'static str,
        /// What it belongs to.
        expected: &'static str,
    },
    /// The description cannot be written as TOML.
    #[error("not writable as TOML: {reason}")]
    Unwritable {
        /// What the writer said.
        reason: String,
    },
}

/// A library that was tried, and why it was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Where it was looked for, or which file it is.
    pub place: String,
    /// Why it is not the one.
    pub reason: String,
}

/// What went wrong while loading an image model or making a vector with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// A file could not be read.
    #[error("{path}: {source}")]
    Io {
        /// File at fault.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no description beside the model.
    #[error(
        "{path}: no such file: expected the description of the model; a line such as `preset = \"imagenet\"` can be \
         all of it"
    )]
    NoDescription {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A description with a fault.
    #[error("{path}: {problem}")]
    Description {
        /// The description's file.
        path: PathBuf,
        /// What is wrong with it.
        problem: DescriptionError,
    },
    /// The file is not an ONNX model, or not a whole one.
    #[error("{path}: not an ONNX model: {reason}")]
    NotOnnx {
        /// The model's file.
        path: PathBuf,
        /// What was found and what was expected, with the byte.
        reason: String,
    },
    /// A model that keeps numbers in a file that is not beside it.
    #[error("{path}: weights in {location:?}: expected the name of a file in the model's folder")]
    WeightsElsewhere {
        /// The model's file.
        path: PathBuf,
        /// Where the model says they are.
        location: String,
    },
    /// A backend that was not compiled in.
    #[error("backend {backend}: expected a program built with the feature {feature}")]
    NotCompiledIn {
        /// The backend asked for.
        backend: Backend,
        /// What it needs.
        feature: &'static str,
    },
    /// No ONNX runtime library could be loaded.
    #[error("no ONNX runtime library: {}", Listed(tried))]
    NoRuntime {
        /// All places that were looked at.
        tried: Vec<Tried>,
    },
    /// The backend refused the model.
    #[error("{path}: not loaded by backend {backend}: {reason}")]
    Load {
        /// The model's file.
        path: PathBuf,
        /// The backend.
        backend: Backend,
        /// What it said.
        reason: String,
    },
    /// A model with several inputs, or with none.
    #[error("{path}: inputs {found:?}: expected one, for pictures")]
    Inputs {
        /// The model's file.
        path: PathBuf,
        /// The inputs' names.
        found: Vec<String>,
    },
    /// An input that does not take what the description says.
    #[error("{path}: input {name} takes {found}: expected {expected} as described")]
    Input {
        /// The model's file.
        path: PathBuf,
        /// The input's name.
        name: String,
        /// Its type and shape; `?` is any length.
        found: String,
        /// The type and shape that the description makes.
        expected: String,
    },
    /// No output of the name in the description.
    #[error("{path}: outputs {found:?}: expected {expected:?} among them")]
    NoOutput {
        /// The model's file.
        path: PathBuf,
        /// The outputs' names.
        found: Vec<String>,
        /// The name in the description; empty where it is the first.
        expected: String,
    },
    /// An output of which the description's pooling makes no vector.
    #[error("{path}: output {name} gives {found}: expected {expected} for the pooling described")]
    Output {
        /// The model's file.
        path: PathBuf,
        /// The output's name.
        name: String,
        /// Its type and shape; `?` is any length.
        found: String,
        /// What the pooling takes.
        expected: String,
    },
    /// The backend stopped while it made a vector.
    #[error("backend {backend} stopped: {reason}")]
    Run {
        /// The backend.
        backend: Backend,
        /// What it said.
        reason: String,
    },
    /// A vector with a number that is not finite.
    #[error("number {index} of the vector is {found}: expected finite numbers")]
    NotFinite {
        /// Place in the vector, from 0.
        index: usize,
        /// The value found.
        found: f32,
    },
    /// A vector of zeros, which has no direction.
    #[error("all {n_dims} numbers of the vector are 0: expected another one to divide them by the length")]
    ZeroVector {
        /// Length of the vector.
        n_dims: usize,
    },
}

/// Places on lines of their own.
struct Listed<'a>(&'a [Tried]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tried {} places", self.0.len())?;
        self.0.iter().try_for_each(|tried| write!(f, "\n  {}: {}", tried.place, tried.reason))?;
        write!(f, "\n  expected ORT_DYLIB_PATH to name one, or `pip install onnxruntime`")
    }
}
