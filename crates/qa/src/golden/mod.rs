//! Has the labelling of the golden set drifted?

mod attribution;
mod check;
mod cuboid_check;
mod cuboid_params;
mod display;
mod earlier;
mod effects;
mod engine;
mod item;
mod params;
mod parts;
mod permute;
mod protocol;
mod records;
mod report;
mod round;
mod scan;
mod statistic;

pub use attribution::{Attribution, Part};
pub use check::golden_check;
pub(crate) use check::measured;
pub use cuboid_check::golden_check_cuboids;
pub use cuboid_params::{CuboidGoldenParams, CuboidGoldenValidParams, CuboidMargins};
pub use earlier::{EarlierRounds, LEAST_COVERED, earlier_rounds, earlier_scan_rounds};
pub(crate) use effects::normal_quantile;
pub(crate) use item::{Item, Mark, Sorted, check_same_items, sorted_round};
pub use params::{GoldenParams, GoldenValidParams, Margins};
pub use parts::LEAST_ANSWERED;
pub(crate) use protocol::require;
pub(crate) use records::{Band, Cell, main_annotator, records_by};
pub use report::{Design, Finding, GoldenReport, Note, StatisticResult, Verdict};
pub use round::{GoldenImage, Round, label_digest};
pub use scan::{GoldenScan, ScanRound, scan_digest};
pub use statistic::Statistic;
