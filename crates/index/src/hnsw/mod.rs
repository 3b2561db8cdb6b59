//! Approximate neighbours by a hierarchical navigable small world (Malkov and Yashunin 2018, arXiv 1603.09320).

mod audit;
mod build;
mod codes;
mod file;
mod index;
mod links;
mod nodes;
mod params;
mod search;
#[cfg(test)]
mod tests;
mod walk;

pub use file::IndexFileError;
pub use index::{Audit, HnswIndex};
pub use params::{HnswParamError, HnswParams, HnswValidParams};
