//! Simulated annotators over a golden set of known labels.

use labelloop_core::{BBox, ClassIdx, ClassSchema, ImageSize, LabelledBox, SampleId, Seed};
use labelloop_qa::{AnnotatorModel, GoldenImage, Round};

/// Images and the true objects in them.
pub(crate) struct Golden {
    pub(crate) ids: Vec<SampleId>,
    pub(crate) size: ImageSize,
    pub(crate) schema: ClassSchema,
    pub(crate) truth: Vec<Vec<LabelledBox>>,
}

/// The boxes of one round, image by image.
pub(crate) type Labels = Vec<Vec<LabelledBox>>;

impl Golden {
    /// Images with 1 to 13 objects (7 on average) of four classes, a third of them small, placed on a loose grid.
    pub(crate) fn generate(n_images: usize, seed: Seed) -> Self {
        let truth = (0..n_images).map(|i| objects(seed.stream("truth").stream(&i.to_string()))).collect();
        Self {
            ids: (0..n_images).map(|i| SampleId::new(format!("golden-{i:04}")).expect("not empty")).collect(),
            size: ImageSize::new(1280, 960).expect("both sides are positive"),
            schema: ClassSchema::new(["car", "van", "cyclist", "sign"]).expect("distinct names"),
            truth,
        }
    }

    /// One round of an annotator. So many images are left empty exactly, as chance would blur how strong the drift is.
    pub(crate) fn annotate(&self, errors: &AnnotatorModel, seed: Seed) -> Labels {
        let n_empty = (errors.empty * self.truth.len() as f64).round() as usize;
        let rank = seed.stream("empty").permutation(self.truth.len());
        let image = |(i, image): (usize, GoldenImage<'_>)| {
            let empty = if rank[i] < n_empty { 1.0 } else { 0.0 };
            let model = AnnotatorModel { empty, ..*errors }.check().expect("rates are within their ranges");
            model.annotate(&image, self.schema.n_classes(), seed.stream("round"))
        };
        self.round(&self.truth).into_iter().enumerate().map(image).collect()
    }

    /// Labels as the golden check takes them.
    pub(crate) fn round<'a>(&'a self, labels: &'a Labels) -> Round<'a> {
        self.ids.iter().zip(labels).map(|(id, boxes)| GoldenImage { id, size: self.size, boxes }).collect()
    }
}

fn objects(seed: Seed) -> Vec<LabelledBox> {
    let n = 1 + seed.below(0, 13);
    let cells = seed.stream("cells").permutation(16);
    (0..n as u64)
        .map(|k| {
            let s = seed.stream("object").stream(&k.to_string());
            let side = if s.unit(0) < 1.0 / 3.0 { 14.0 + 14.0 * s.unit(1) } else { 40.0 + 110.0 * s.unit(1) };
            let (w, h) = (side * (0.85 + 0.3 * s.unit(2)), side * (0.85 + 0.3 * s.unit(3)));
            let cell = cells[k as usize];
            let (x, y) = ((cell % 4) as f64 * 320.0, (cell / 4) as f64 * 240.0);
            let class = [0, 0, 0, 0, 1, 1, 2, 2, 2, 3][s.below(4, 10)];
            let left = x + (310.0 - w) * s.unit(5);
            let top = y + (230.0 - h) * s.unit(6);
            LabelledBox::new(ClassIdx(class), BBox::new(left, top, w, h).expect("finite"))
        })
        .collect()
}
