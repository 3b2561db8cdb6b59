//! Any image model in ONNX: a file of a network and a few lines that say what it expects of a picture.
//!
//! [`OnnxParams`] names the model's file; beside it lies a description, a small TOML ([`DescriptionParams`]). Two
//! backends run the same models: the ONNX runtime library, where one is found when the first model is loaded, and a
//! runtime in Rust that needs nothing (feature `onnx-tract`). docs/MODELS.md has descriptions of common models.

mod choices;
mod description;
mod error;
mod find_runtime;
mod model;
mod model_description;
mod model_file;
mod params;
mod pool;
mod pooling;
mod preprocess;
mod preset;
mod protobuf;
mod runtime;
mod session;
#[cfg(feature = "onnx-tract")]
mod tract;

pub use choices::{Channels, Filter, Fit, Layout, Pooling, Sides};
pub use description::DescriptionParams;
pub use error::{DescriptionError, OnnxError, Tried};
pub use model::OnnxModel;
pub use model_description::ModelDescription;
pub use params::{Backend, OnnxParams, OnnxValidParams};
pub use preset::Preset;
