//! Owned pictures for tests, and where shared data lies.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of several tests, none of which uses all"
)]

use std::path::PathBuf;

use labelloop_core::{BBox, ClassIdx, ImageSize, LabelledBox, SampleId, ScoredBox};
use labelloop_eval::ImageCase;

/// A picture that owns what an [`ImageCase`] borrows.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    pub(crate) id: SampleId,
    pub(crate) labels: Vec<LabelledBox>,
    pub(crate) detections: Vec<ScoredBox>,
}

impl Picture {
    pub(crate) fn new(id: &str) -> Self {
        Self { id: SampleId::new(id).unwrap(), labels: Vec::new(), detections: Vec::new() }
    }

    pub(crate) fn label(mut self, class: u32, xywh: [f64; 4]) -> Self {
        self.labels.push(LabelledBox::new(ClassIdx(class), BBox::try_from(xywh).unwrap()));
        self
    }

    pub(crate) fn crowd(mut self, class: u32, xywh: [f64; 4]) -> Self {
        let mut label = LabelledBox::new(ClassIdx(class), BBox::try_from(xywh).unwrap());
        label.is_crowd = true;
        self.labels.push(label);
        self
    }

    pub(crate) fn detection(mut self, class: u32, xywh: [f64; 4], score: f64) -> Self {
        self.detections.push(ScoredBox::new(ClassIdx(class), BBox::try_from(xywh).unwrap(), score).unwrap());
        self
    }

    pub(crate) fn case(&self) -> ImageCase<'_> {
        ImageCase {
            id: &self.id,
            size: ImageSize::new(640, 480).ok(),
            labels: &self.labels,
            detections: &self.detections,
        }
    }
}

pub(crate) fn cases(pictures: &[Picture]) -> Vec<ImageCase<'_>> {
    pictures.iter().map(Picture::case).collect()
}

/// Folder of data that is shared between projects, where there is one.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("LABELLOOP_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let path = root.join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("left out: {} is not there", path.display());
    None
}
