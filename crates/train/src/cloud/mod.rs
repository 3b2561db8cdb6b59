//! The built-in detector for point clouds: ground, clusters, a description of each, a class, a box.

mod cluster;
mod describe;
mod detector;
mod examples;
mod ground;
mod model;
mod outline;
mod params;
mod place;
mod read_out;
mod scan;
mod store;
mod train;

pub use detector::CloudDetector;
pub use params::{CloudDetectorParams, CloudDetectorValidParams};
pub use train::CloudScan;
