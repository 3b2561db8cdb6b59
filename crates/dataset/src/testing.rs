//! Small datasets for tests.

use labelloop_core::{
    AnnotationSet, BBox, CaptureId, ClassIdx, ClassSchema, Extra, GroupKey, ImageSize, LabelledBox, SampleId,
    SampleRecord, SliceKind, Split,
};

use crate::{BoxPolicy, Dataset, GROUND_TRUTH, SplitParams};

pub(crate) fn ids(texts: &[&str]) -> Vec<SampleId> {
    texts.iter().map(|t| SampleId::new(*t).unwrap()).collect()
}

pub(crate) fn schema() -> ClassSchema {
    ClassSchema::new(["car", "van"]).unwrap()
}

pub(crate) fn a_box(class: u32) -> LabelledBox {
    LabelledBox::new(ClassIdx(class), BBox::new(1.0, 2.0, 3.0, 4.0).unwrap())
}

pub(crate) fn image(id: &str) -> SampleRecord {
    SampleRecord::image(id, format!("{id}.png"), ImageSize::new(64, 48).unwrap()).unwrap()
}

pub(crate) fn set_of(samples: Vec<SampleRecord>) -> AnnotationSet {
    AnnotationSet { schema: schema(), samples, extra: Extra::new() }
}

/// `n` lone pictures `s0`, `s1`, ... that all belong to the pool.
pub(crate) fn pool_of(n: usize) -> Dataset {
    let mut d = Dataset::new("demo", schema());
    let samples = (0..n).map(|i| image(&format!("s{i}"))).collect();
    d.import(&set_of(samples), GROUND_TRUTH, BoxPolicy::default()).unwrap();
    all_to_pool(d)
}

/// `n` captures `c0`, `c1`, ... with slices left, right and pcd, two boxes in each left picture, each its own group.
pub(crate) fn scene(n: usize) -> Dataset {
    let mut d = Dataset::new("demo", schema());
    let slices = [("left", SliceKind::Image), ("right", SliceKind::Image), ("pcd", SliceKind::PointCloud)];
    let mut samples = vec![];
    for i in 0..n {
        for (slice, kind) in slices {
            let mut record = image(&format!("c{i}/{slice}"));
            record.capture = CaptureId::new(format!("c{i}")).unwrap();
            record.group = GroupKey::new(format!("g{i}")).unwrap();
            record.slice = slice.to_owned();
            record.kind = kind;
            record.boxes = (slice == "left").then(|| vec![a_box(0), a_box(1)]);
            samples.push(record);
        }
    }
    d.import(&set_of(samples), GROUND_TRUTH, BoxPolicy::default()).unwrap();
    d
}

pub(crate) fn scene_pool(n: usize) -> Dataset {
    all_to_pool(scene(n))
}

pub(crate) fn split_scene(n: usize) -> Dataset {
    let mut d = scene(n);
    d.split(&SplitParams::default()).unwrap();
    d
}

fn all_to_pool(mut d: Dataset) -> Dataset {
    for sample in d.samples.values_mut() {
        sample.enter(Some(Split::Pool));
    }
    d
}
