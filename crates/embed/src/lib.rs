#![doc = include_str!("../README.md")]

mod bev_descriptor;
mod crop_params;
mod crops;
mod descriptor;
mod embed_all;
mod embed_to_store;
mod embedder;
mod error;
mod failure;
mod gradient;
mod histogram;
#[cfg(feature = "mmap")]
mod mapped;
mod npy;
#[cfg(feature = "onnx")]
pub mod onnx;
mod pipeline;
mod point_descriptor;
mod positioned;
#[cfg(feature = "projection")]
mod project;
#[cfg(feature = "projection")]
mod projection;
#[cfg(feature = "parquet")]
mod read_parquet;
mod store;
mod store_format;
mod table;
mod table_npy;
#[cfg(feature = "parquet")]
mod table_parquet;
mod table_problem;
#[cfg(feature = "projection")]
mod tsne;

pub use bev_descriptor::{BevDescriptor, BevDescriptorParams};
pub use crop_params::{CropItem, CropObject, CropParams, CropRecord, CropValidParams};
pub use crops::{CropRun, embed_crops};
pub use descriptor::{Descriptor, DescriptorParams};
pub use embed_all::{EmbedRun, embed_all};
pub use embed_to_store::{StoredRun, embed_to_store};
pub use embedder::{Embedder, PictureEmbedder};
pub use error::{EmbedError, ParamError, Result};
pub use failure::{EmbedFailure, FailureKind};
#[cfg(feature = "mmap")]
pub use mapped::MappedRows;
pub use npy::{read_npy, write_npy};
#[cfg(feature = "onnx")]
pub use onnx::{
    Backend, DescriptionError, DescriptionParams, ModelDescription, OnnxError, OnnxModel, OnnxParams,
    OnnxValidParams, Preset,
};
pub use point_descriptor::{PointDescriptor, PointDescriptorParams};
#[cfg(feature = "projection")]
pub use project::{Projection, ProjectionMethod, ProjectionParams, ProjectionValidParams, TSneParams};
#[cfg(feature = "projection")]
pub use projection::project_2d;
#[cfg(feature = "parquet")]
pub use read_parquet::{ParquetRows, TableColumns, TableRows};
pub use store::{CacheState, VectorStore};
pub use table::{EmbeddingTable, ModelInfo};
pub use table_problem::TableProblem;
