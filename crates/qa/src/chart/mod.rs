//! Has the labelling drifted over rounds? Control charts on the history of golden checks.

mod display;
mod draw;
mod golden_chart;
mod limits;
mod params;
mod result;
mod track;

pub use golden_chart::golden_chart;
pub use params::{ChartParams, ChartValidParams};
pub use result::{
    ChartKind, ChartLimit, ChartLimits, ChartPoint, ChartRow, ChartSignal, Direction, GoldenChart,
    PassReason, PassedOver,
};
