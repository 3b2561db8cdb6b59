//! Simulated annotators over a golden set of known labels.

use labelloop_core::{BBox, ClassIdx, ClassSchema, ImageSize, LabelledBox, SampleId, Seed};
use labelloop_qa::{GoldenImage, Round};

/// How an annotator errs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Errors {
    /// Share of medium and large objects missed.
    pub(crate) miss: f64,
    /// Share of small objects missed.
    pub(crate) miss_small: f64,
    /// Boxes without an object, per object.
    pub(crate) spurious: f64,
    /// Share of objects given another class.
    pub(crate) swap: f64,
    /// Factor on both sides.
    pub(crate) scale: f64,
    /// Shift of the centre to the right and downwards, in sides.
    pub(crate) shift: f64,
    /// Share of images left empty.
    pub(crate) empty: f64,
    /// Standard deviation of each edge in sides.
    pub(crate) jitter: f64,
}

impl Default for Errors {
    /// People who work well: 1% missed (4% of the small), 2% spurious, 1% confused, edges off by 3% of a side.
    fn default() -> Self {
        Self {
            miss: 0.01,
            miss_small: 0.04,
            spurious: 0.02,
            swap: 0.01,
            scale: 1.0,
            shift: 0.0,
            empty: 0.0,
            jitter: 0.03,
        }
    }
}

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

    /// One round of an annotator.
    pub(crate) fn annotate(&self, errors: &Errors, seed: Seed) -> Labels {
        let n_empty = (errors.empty * self.truth.len() as f64).round() as usize;
        let rank = seed.stream("empty").permutation(self.truth.len());
        let image = |(i, truth): (usize, &Vec<LabelledBox>)| {
            if rank[i] < n_empty {
                return Vec::new();
            }
            annotate_image(truth, errors, seed.stream("round").stream(&i.to_string()))
        };
        self.truth.iter().enumerate().map(image).collect()
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

fn annotate_image(truth: &[LabelledBox], errors: &Errors, seed: Seed) -> Vec<LabelledBox> {
    let mut boxes = Vec::new();
    for (k, object) in truth.iter().enumerate() {
        let s = seed.stream("object").stream(&k.to_string());
        let miss = if object.bbox.area() < 1024.0 { errors.miss_small } else { errors.miss };
        if miss <= s.unit(0) {
            boxes.push(redrawn(object, errors, s));
        }
        if s.unit(1) < errors.spurious {
            boxes.push(spurious(s.stream("spurious")));
        }
    }
    boxes
}

fn redrawn(object: &LabelledBox, errors: &Errors, s: Seed) -> LabelledBox {
    let b = object.bbox;
    // A pixel of its own on top of the relative error: small objects are harder to draw.
    let edge = |k: u64, side: f64| (errors.jitter * side).hypot(0.4) * s.normal(10 + k);
    let (cx, cy) = b.centre();
    let (cx, cy) = (cx + errors.shift * b.width(), cy + errors.shift * b.height());
    let (hw, hh) = (b.width() * errors.scale / 2.0, b.height() * errors.scale / 2.0);
    let left = cx - hw + edge(0, b.width());
    let top = cy - hh + edge(1, b.height());
    let right = (cx + hw + edge(2, b.width())).max(left + 1.0);
    let bottom = (cy + hh + edge(3, b.height())).max(top + 1.0);
    let class = if s.unit(2) < errors.swap {
        (object.class.0 + 1 + s.below(3, 3) as u32) % 4
    } else {
        object.class.0
    };
    LabelledBox::new(
        ClassIdx(class),
        BBox::from_corners(left, top, right, bottom).expect("sides are positive"),
    )
}

fn spurious(s: Seed) -> LabelledBox {
    let side = 15.0 + 80.0 * s.unit(0);
    let place = BBox::new(1180.0 * s.unit(1), 860.0 * s.unit(2), side, side).expect("finite");
    LabelledBox::new(ClassIdx(s.below(3, 4) as u32), place)
}
