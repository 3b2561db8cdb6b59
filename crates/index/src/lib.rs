#![doc = include_str!("../README.md")]
#![allow(
    clippy::needless_pass_by_value,
    reason = "array views are handed over by value, which is their idiom"
)]

mod auto;
mod checks;
mod cost;
mod error;
mod exact;
mod exact_basis;
mod exact_codes;
mod exact_prefilter;
mod exact_scan;
mod exact_space;
mod filter;
mod hamming;
mod hnsw;
mod kernel;
mod metric;
mod neighbours;
mod plan;
mod shortlist;

pub use auto::AutoIndex;
pub use error::{IndexError, Result, Role};
pub use exact::{ExactIndex, UseCodes};
pub use filter::RowFilter;
pub use hamming::{HammingCode, HammingHit, HammingIndex, HammingPair, hamming_distance};
pub use hnsw::{Audit, HnswIndex, HnswParamError, HnswParams, HnswValidParams, IndexFileError};
pub use metric::Metric;
pub use neighbours::{NeighbourIndex, Neighbours};
pub use plan::{Method, Plan, Workload, plan};
