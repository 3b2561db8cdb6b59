#![doc = include_str!("../README.md")]
#![allow(
    clippy::needless_pass_by_value,
    reason = "array views are handed over by value, which is their idiom"
)]

mod checks;
mod error;
mod exact;
mod filter;
mod metric;
mod neighbours;
mod shortlist;

pub use error::{IndexError, Result, Role};
pub use exact::ExactIndex;
pub use filter::RowFilter;
pub use metric::Metric;
pub use neighbours::{NeighbourIndex, Neighbours};
