#![doc = include_str!("../README.md")]

mod assign;
pub mod bootstrap;
pub mod calibration;
mod case;
pub mod coco;
pub mod compare;
mod counts;
mod error;
pub mod failures;
pub mod fiftyone;
pub mod kitti;
pub mod matching;
pub mod multiplicity;
pub mod nuscenes;
mod overlap;
pub mod overlap3;
pub mod slices;
pub mod slices3;
pub mod threshold;
pub mod tide;
pub mod voc;

pub use case::ImageCase;
pub use compare::compare;
pub use counts::{ClassCounts, ConfusionMatrix, CountsReport, ImageCounts, evaluate_at};
pub use error::{EvalError, Result};
