#![doc = include_str!("../README.md")]

mod bev_descriptor;
mod cache;
mod descriptor;
mod embed_all;
mod embedder;
mod error;
mod histogram;
mod npy;
mod point_descriptor;
#[cfg(feature = "projection")]
mod projection;

pub use bev_descriptor::{BevDescriptor, BevDescriptorParams};
pub use cache::CacheState;
pub use descriptor::{Descriptor, DescriptorParams};
pub use embed_all::{EmbedFailure, EmbedRun, embed_all};
pub use embedder::{Embedder, PictureEmbedder};
pub use error::{EmbedError, ParamError, Result};
pub use npy::{read_npy, write_npy};
pub use point_descriptor::{PointDescriptor, PointDescriptorParams};
#[cfg(feature = "projection")]
pub use projection::project_2d;
