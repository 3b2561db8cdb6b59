#![doc = include_str!("../README.md")]

pub mod chart;
mod error;
mod gather;
mod page;
mod plots;
mod scatter;
mod table;
mod write;

pub use error::{ReportError, Result};
pub use gather::{Crop, IterationDetail, ReportInput, gather};
pub use page::render;
pub use plots::{Plot, plots};
pub use scatter::{Colouring, ScatterPlot};
pub use table::{convergence_table, curves_table};
pub use write::{Written, write};
