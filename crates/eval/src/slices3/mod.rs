//! KITTI's numbers on part of the objects: by distance, occlusion, measured points, or recording.
//!
//! A slice asks for the labels inside it. Labels outside it are ignored as KITTI ignores a van beside a car: they are no
//! misses, and a detection that finds one counts neither way. A detection that finds no label is charged to every slice that
//! it could belong to: to the band of its own distance, and to each slice by occlusion or points, since a false alarm has
//! neither. Recordings split frames, so that nothing is shared between them.

mod attribute;
mod evaluate;

pub use attribute::SliceBy;
pub use evaluate::{SlicePartial, SliceRow, evaluate, observe};
