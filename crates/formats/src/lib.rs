#![doc = include_str!("../README.md")]

pub mod coco;
mod convert;
pub mod cvat;
mod error;
pub mod fiftyone;
mod files;
mod json;
mod kept;
pub mod kitti;
pub mod kitti_rows;
pub mod label_studio;
mod loss;
mod named;
pub mod nuscenes;
mod options;
mod people;
mod sizes;
#[cfg(feature = "parquet")]
pub mod tables;
pub mod voc;
mod warning;
mod xml;
pub mod yolo;

pub use convert::{ConversionReport, convert, read_as};
pub use error::{FormatError, Result};
pub use loss::Lost;
pub use options::{Format, Imported, MediaMode, ReadOptions, Strictness, WithoutAnnotations};
pub use warning::{Warning, WarningKind};
