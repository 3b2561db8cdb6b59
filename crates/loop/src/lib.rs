#![doc = include_str!("../README.md")]

pub mod annotate;
pub mod backtest;
pub mod clouds;
pub mod config;
mod crops;
mod data;
mod engine;
mod error;
pub mod evaluation;
mod event;
mod export;
mod files;
mod final_test;
pub mod gain;
mod golden_versions;
pub mod history;
mod honeypots;
mod labels_back;
mod layout;
pub mod leaks;
pub mod lookalikes;
mod map;
mod project;
pub mod state;
mod steps;
pub mod stopping;
mod trainer;

pub use config::LoopConfig;
pub use engine::{Begin, Run};
pub use error::{LoopError, Result};
pub use event::{Event, Observer};
pub use export::{BatchExport, BatchOptions, export_batch};
pub use files::write_atomically;
pub use final_test::{TestReport, final_test};
pub use honeypots::Honeypots;
pub use labels_back::{CameBack, LabelsBack};
pub use layout::Layout;
pub use map::{MapPoint, selection_map};
pub use project::Project;
pub use steps::{
    GoldenLabels, GoldenScans, HardExample, Metadata, OutsideSettings, Prompt, PromptChange, PromptChanges,
    PromptDescription, PromptTrait, PromptVersion, QaOverride, QaRecord,
};
pub use trainer::{Detections, Predictions};
