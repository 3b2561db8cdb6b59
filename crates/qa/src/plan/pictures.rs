//! Golden sets to plan with: made up, or drawn from one's own.

use labelloop_core::{BBox, ClassIdx, ClassSchema, ImageSize, LabelledBox, SampleId, Seed};

use crate::golden::sorted_round;
use crate::{GoldenImage, QaError, Result, Round};

/// Where the images come from that a plan is made for.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum PlanSource<'a> {
    /// Made-up street scenes: 1 to 13 objects (7 on average) of four classes, a third of them small, in images of
    /// 1280 x 960 pixels.
    Generated,
    /// One's own reference, from which images are drawn with replacement.
    Own {
        /// Images with the labels that are taken for true.
        reference: &'a [GoldenImage<'a>],
        /// Their classes.
        schema: &'a ClassSchema,
    },
}

/// A golden set of some size.
pub(crate) struct Golden {
    ids: Vec<SampleId>,
    sizes: Vec<ImageSize>,
    truth: Vec<Vec<LabelledBox>>,
}

impl PlanSource<'_> {
    /// Refuses a reference that nothing can be planned with.
    pub(crate) fn check(&self) -> Result<()> {
        let PlanSource::Own { reference, schema } = self else { return Ok(()) };
        sorted_round("the reference", reference, schema)?;
        if reference.iter().flat_map(|i| i.boxes).all(|b| b.is_crowd) {
            return Err(QaError::NoObjects { round: "the reference".to_owned() });
        }
        Ok(())
    }

    pub(crate) fn schema(&self) -> ClassSchema {
        match self {
            PlanSource::Generated => {
                ClassSchema::new(["car", "van", "cyclist", "sign"]).expect("four distinct names")
            }
            PlanSource::Own { schema, .. } => (*schema).clone(),
        }
    }

    /// The set of one run; a larger one begins with the images of a smaller one.
    pub(crate) fn golden(&self, n_images: usize, seed: Seed) -> Golden {
        let (mut sizes, mut truth) = (Vec::with_capacity(n_images), Vec::with_capacity(n_images));
        for i in 0..n_images as u64 {
            let (size, boxes) = match self {
                PlanSource::Generated => scene(Seed::new(seed.stream("scene").bits(i))),
                PlanSource::Own { reference, .. } => {
                    let drawn = reference[seed.stream("image").below(i, reference.len())];
                    (drawn.size, drawn.boxes.to_vec())
                }
            };
            sizes.push(size);
            truth.push(boxes);
        }
        let id = |i| SampleId::new(format!("golden-{i:06}")).expect("a number is a name");
        Golden { ids: (0..n_images).map(id).collect(), sizes, truth }
    }
}

impl Golden {
    pub(crate) fn n_objects(&self) -> usize {
        self.truth.iter().flatten().filter(|b| !b.is_crowd).count()
    }

    pub(crate) fn reference(&self) -> Round<'_> {
        self.round(&self.truth)
    }

    pub(crate) fn round<'a>(&'a self, labels: &'a [Vec<LabelledBox>]) -> Round<'a> {
        let rows = self.ids.iter().zip(&self.sizes).zip(labels);
        rows.map(|((id, size), boxes)| GoldenImage { id, size: *size, boxes }).collect()
    }
}

/// Objects on a loose grid of 4 x 4 cells, no two in one.
fn scene(seed: Seed) -> (ImageSize, Vec<LabelledBox>) {
    let n = 1 + seed.below(0, 13);
    let cells = seed.stream("cells").permutation(16);
    let object = |(k, cell): (u64, &usize)| {
        let s = Seed::new(seed.stream("object").bits(k));
        let side = if s.unit(0) < 1.0 / 3.0 { 14.0 + 14.0 * s.unit(1) } else { 40.0 + 110.0 * s.unit(1) };
        let (w, h) = (side * (0.85 + 0.3 * s.unit(2)), side * (0.85 + 0.3 * s.unit(3)));
        let class = [0, 0, 0, 0, 1, 1, 2, 2, 2, 3][s.below(4, 10)];
        let left = (cell % 4) as f64 * 320.0 + (310.0 - w) * s.unit(5);
        let top = (cell / 4) as f64 * 240.0 + (230.0 - h) * s.unit(6);
        LabelledBox::new(ClassIdx(class), BBox::new(left, top, w, h).expect("finite, with sides above 0"))
    };
    let boxes = (0..).zip(&cells[..n]).map(object).collect();
    (ImageSize::new(1280, 960).expect("both sides are positive"), boxes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_scenes_are_as_described() {
        let golden = PlanSource::Generated.golden(2000, Seed::new(1));
        assert!((golden.n_objects() as f64 / 2000.0 - 7.0).abs() < 0.3, "{}", golden.n_objects());
        let boxes: Vec<&LabelledBox> = golden.truth.iter().flatten().collect();
        let small = boxes.iter().filter(|b| b.bbox.area() < 1024.0).count() as f64 / boxes.len() as f64;
        assert!((small - 1.0 / 3.0).abs() < 0.03, "{small}");
        assert!(boxes.iter().all(|b| b.class.0 < 4 && b.bbox.right() <= 1280.0 && b.bbox.bottom() <= 960.0));
    }

    #[test]
    fn larger_sets_begin_with_smaller_ones_and_runs_differ() {
        let of = |n, seed| PlanSource::Generated.golden(n, Seed::new(seed)).truth;
        assert_eq!(of(10, 1)[..], of(20, 1)[..10]);
        assert_ne!(of(10, 1), of(10, 2));
    }

    #[test]
    fn own_images_are_drawn_with_replacement() {
        let schema = ClassSchema::new(["a"]).unwrap();
        let ids = [SampleId::new("x").unwrap(), SampleId::new("y").unwrap()];
        let boxes = vec![LabelledBox::new(ClassIdx(0), BBox::new(1.0, 2.0, 30.0, 40.0).unwrap())];
        let (small, large) = (ImageSize::new(64, 64).unwrap(), ImageSize::new(99, 99).unwrap());
        let reference = [
            GoldenImage { id: &ids[0], size: small, boxes: &boxes },
            GoldenImage { id: &ids[1], size: large, boxes: &[] },
        ];
        let source = PlanSource::Own { reference: &reference, schema: &schema };
        let golden = source.golden(1000, Seed::new(1));
        assert!((420..580).contains(&golden.n_objects()), "half of the images have an object");
        assert!(golden.reference().iter().all(|i| (i.size == small) == (i.boxes.len() == 1)));
        assert!(source.check().is_ok());
        let none = PlanSource::Own { reference: &reference[1..], schema: &schema };
        assert!(matches!(none.check(), Err(QaError::NoObjects { .. })));
        let nothing = PlanSource::Own { reference: &[], schema: &schema };
        assert!(matches!(nothing.check(), Err(QaError::NoImages { .. })));
        let twice = [reference[0], reference[0]];
        let twice = PlanSource::Own { reference: &twice, schema: &schema };
        assert!(matches!(twice.check(), Err(QaError::DuplicateImage { .. })));
    }
}
