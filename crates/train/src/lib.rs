#![doc = include_str!("../README.md")]

mod cloud;
mod decode;
mod detector;
mod error;
mod features;
mod learner;
mod lessons;
mod outside;
mod params;
mod partial;
mod solve;
mod store;

pub use cloud::{CloudDetector, CloudDetectorParams, CloudDetectorValidParams, CloudScan};
pub use detector::GridDetector;
pub use error::{ParamError, Result, TrainError};
pub use features::GridFeatures;
pub use learner::GridLearner;
pub use outside::{OutsideJob, OutsideRun, OutsideTrainerParams, OutsideValidParams, PLACEHOLDERS};
pub use params::{GridParams, GridValidParams, stride_for};
pub use partial::GridPartial;
