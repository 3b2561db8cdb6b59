//! What a detector got wrong, object by object, and what the wrong ones have in common.

mod find;
mod profile;
mod rank;

pub use find::{Failure, FailureKind, KindName, Position, SizeBand, find};
pub use profile::{Breakdown, Confused, ErrorProfile, ProfileParams, ProfileValidParams, Tally, profile};
pub use rank::{RankedImages, rank_images};
