#![doc = include_str!("../README.md")]

pub mod coco;
mod error;
mod files;
mod json;
mod loss;
mod options;
mod warning;
pub mod yolo;

pub use error::{FormatError, Result};
pub use loss::Lost;
pub use options::{Format, Imported, MediaMode, ReadOptions, Strictness, WithoutAnnotations};
pub use warning::{Warning, WarningKind};
