#![doc = include_str!("../README.md")]

mod bbox;
mod camera;
mod cuboid;
mod embeddings;
mod error;
mod ids;
mod label;
mod progress;
mod record;
mod rigid;
mod rotation;
mod rows;
mod schema;
mod seed;
mod share;
mod split;

pub use bbox::{BBox, ImageSize};
pub use camera::Camera;
pub use cuboid::{Cuboid, CuboidFrame, CuboidOrigin, FiftyoneBox, KittiBox, NuscenesBox};
pub use embeddings::Embeddings;
pub use error::{CoreError, Result};
pub use ids::{CaptureId, GroupKey, SampleId};
pub use label::{LabelledBox, LabelledCuboid, ScoredBox, ScoredCuboid};
pub use progress::{Cancelled, Progress, Silent};
pub use record::{AnnotationSet, Extra, LabelledBy, SampleRecord, SliceKind};
pub use rigid::RigidTransform;
pub use rotation::Rotation;
pub use rows::{DetectionRow, LabelRow};
pub use schema::{ClassIdx, ClassSchema};
pub use seed::Seed;
pub use share::{Share, apportion};
pub use split::{FrozenTest, Golden, Members, Pool, Split, SplitRole, Val};
