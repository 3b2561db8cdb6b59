#![doc = include_str!("../README.md")]

mod cache;
mod descriptor;
mod embed_all;
mod error;
mod histogram;
mod npy;
#[cfg(feature = "projection")]
mod projection;

pub use cache::CacheState;
pub use descriptor::{Descriptor, DescriptorParams};
pub use embed_all::{EmbedFailure, EmbedRun, embed_all};
pub use error::{EmbedError, ParamError, Result};
pub use npy::{read_npy, write_npy};
#[cfg(feature = "projection")]
pub use projection::project_2d;
