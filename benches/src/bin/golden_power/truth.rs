use std::path::Path;

use anyhow::{Context as _, ensure};
use labelloop_benches::inputs::{InputParams, make};
use labelloop_core::{AnnotationSet, ClassSchema, ImageSize, SampleId, Seed};
use labelloop_formats::coco;
use labelloop_qa::{GoldenImage, Round};

use crate::people::Labels;

/// Images and the true objects in them.
#[derive(Debug, Clone)]
pub(crate) struct Truth {
    pub(crate) ids: Vec<SampleId>,
    pub(crate) sizes: Vec<ImageSize>,
    pub(crate) boxes: Labels,
    pub(crate) schema: ClassSchema,
}

impl Truth {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        Self::of(coco::read(path, &coco::ReadOptions::default())?.set)
    }

    /// 500 images with some 7 objects each of 8 classes.
    pub(crate) fn made() -> anyhow::Result<Self> {
        let params = InputParams { n_images: 500, n_labels: 3_500, n_detections: 0, n_classes: 8, seed: 1 };
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("instances.json");
        std::fs::write(&path, make(&params).instances)?;
        Self::read(&path)
    }

    /// Images with objects only; crowds are left out.
    fn of(set: AnnotationSet) -> anyhow::Result<Self> {
        let mut truth =
            Self { ids: Vec::new(), sizes: Vec::new(), boxes: Vec::new(), schema: set.schema.clone() };
        for sample in set.samples {
            let size = sample.size.with_context(|| format!("image {} has no size", sample.id))?;
            let mut boxes = sample.boxes.unwrap_or_default();
            boxes.retain(|b| !b.is_crowd && 0.0 < b.bbox.area());
            // What counts as small is told by the box, as the simulated people see no outline.
            boxes.iter_mut().for_each(|b| b.area = None);
            if !boxes.is_empty() {
                truth.ids.push(sample.id);
                truth.sizes.push(size);
                truth.boxes.push(boxes);
            }
        }
        ensure!(!truth.ids.is_empty(), "no image has a box");
        Ok(truth)
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn n_objects(&self) -> usize {
        self.boxes.iter().map(Vec::len).sum()
    }

    pub(crate) fn share_small(&self) -> f64 {
        let n_small = self.boxes.iter().flatten().filter(|b| b.bbox.area() < 1024.0).count();
        n_small as f64 / self.n_objects() as f64
    }

    /// So many images, drawn without replacement; all where there are no more.
    pub(crate) fn part(&self, n_images: usize, seed: Seed) -> Self {
        let mut drawn = seed.permutation(self.len());
        drawn.truncate(n_images);
        Self {
            ids: drawn.iter().map(|i| self.ids[*i].clone()).collect(),
            sizes: drawn.iter().map(|i| self.sizes[*i]).collect(),
            boxes: drawn.iter().map(|i| self.boxes[*i].clone()).collect(),
            schema: self.schema.clone(),
        }
    }

    /// Labels as the golden check takes them.
    pub(crate) fn round<'a>(&'a self, labels: &'a Labels) -> Round<'a> {
        let sized = self.ids.iter().zip(&self.sizes);
        sized.zip(labels).map(|((id, size), boxes)| GoldenImage { id, size: *size, boxes }).collect()
    }
}
