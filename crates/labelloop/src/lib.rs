#![doc = include_str!("../README.md")]

pub use labelloop_core as core;

#[cfg(feature = "acquire")]
pub use labelloop_acquire as acquire;
#[cfg(feature = "coreset")]
pub use labelloop_coreset as coreset;
#[cfg(feature = "dataset")]
pub use labelloop_dataset as dataset;
#[cfg(feature = "embed")]
pub use labelloop_embed as embed;
#[cfg(feature = "eval")]
pub use labelloop_eval as eval;
#[cfg(feature = "formats")]
pub use labelloop_formats as formats;
#[cfg(feature = "index")]
pub use labelloop_index as index;
#[cfg(feature = "loop")]
pub use labelloop_loop as r#loop;
#[cfg(feature = "media")]
pub use labelloop_media as media;
#[cfg(feature = "qa")]
pub use labelloop_qa as qa;
#[cfg(feature = "report")]
pub use labelloop_report as report;
#[cfg(feature = "train")]
pub use labelloop_train as train;

/// The names that almost every use needs.
pub mod prelude {
    pub use labelloop_core::{
        AnnotationSet, BBox, ClassIdx, ClassSchema, Embeddings, ImageSize, LabelledBox, Members, Pool,
        SampleId, ScoredBox, Seed, Share, Split,
    };
    #[cfg(feature = "eval")]
    pub use labelloop_eval::ImageCase;
}

/// The page for FiftyOne users, so that its examples are compiled and run.
#[cfg(all(doctest, feature = "full"))]
#[doc = include_str!("../../../docs/FIFTYONE.md")]
pub struct FiftyOnePage;
