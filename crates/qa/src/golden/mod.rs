//! Has the labelling of the golden set drifted?

mod attribution;
mod check;
mod display;
mod effects;
mod params;
mod permute;
mod records;
mod report;
mod round;
mod statistic;

pub use attribution::{Attribution, Part};
pub use check::golden_check;
pub(crate) use params::require;
pub use params::{GoldenParams, GoldenValidParams, Margins};
pub use report::{Design, Finding, GoldenReport, Note, StatisticResult, Verdict};
pub use round::{GoldenImage, Round, label_digest};
pub(crate) use round::{Sorted, check_same_images, sorted_round};
pub use statistic::Statistic;
