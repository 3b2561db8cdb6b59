//! Overlap of cuboids, exact to rounding.
//!
//! Two upright boxes: the edges of the smaller one are looked at in the frame of the larger one, where the larger one is
//! `[-l/2, l/2] x [-w/2, w/2]`. With the smaller box's upper and lower chain of edges as functions of x, the shared area is
//! the integral of `clamp(upper(x)) - clamp(lower(x))` over the shared x (Green's theorem, one edge at a time). Every term
//! is continuous in its inputs: there is no list of corners to sort, no parallel edges to tell apart and no tolerance, so
//! that boxes which are equal, touch, or differ in the last bit cause no trouble.
//!
//! Two boxes turned in any way: the same one dimension up, with the faces of one box in the frame of the other.
//!
//! | function | boxes | result |
//! |---|---|---|
//! | [`bev_iou`], [`iou_3d`], [`giou_bev`], [`giou_3d`] | two [`Cuboid`](labelloop_core::Cuboid)s | one number |
//! | [`Upright::overlap`] | two prepared upright boxes | areas and volumes |
//! | [`bev_matrix`], [`iou_3d_matrix`] | all pairs of two lists | row-major matrix |
//! | [`BatchF64`], [`BatchF32`] | pairs, many at once | IoU on the ground |

mod batch;
mod full;
mod giou;
mod iou;
mod matrix;
mod upright;

pub use batch::{BatchF32, BatchF64};
pub use giou::{giou_3d, giou_bev};
pub use iou::{bev_iou, iou_3d};
pub use matrix::{bev_matrix, iou_3d_matrix};
pub use upright::{Overlap, Upright};
