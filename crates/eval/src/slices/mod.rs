//! How good a detector is on parts of the data: small objects, night pictures, crowded scenes, whatever the caller names.
//!
//! Everything is matched once and then dealt out, so the counts of an attribute's slices add up:
//!
//! * A label lies in the slice of its own value, and a detection that found it does too.
//! * A wrong detection lies in the slice of its own box where the attribute can be read off a box (size, position,
//!   aspect). For other attributes of labels it takes the value of the label that its error is about (TIDE's kinds but
//!   background). A detection of background takes crowding and overlap from its own box, and lies in every slice of
//!   attributes that a box alone does not have (contrast, the caller's own), as it would in an evaluation of only the
//!   labels of that slice.
//! * Attributes of pictures hold for everything in the picture, which is the same as evaluating those pictures alone.
//!
//! Labels and detections of crowds, and labels without a value, lie in no slice. COCO's areas differ a little: they match
//! anew for every area, so that a detection may prefer a label inside it.

mod attribute;
mod evaluate;

pub use attribute::{SliceBy, SliceParams, SliceValidParams};
pub(crate) use evaluate::{SliceKey, SliceSampler, samplers};
pub use evaluate::{SliceReport, SliceRow, evaluate};
