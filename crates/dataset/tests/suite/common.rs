//! Small datasets for the tests of the public interface.

use std::collections::BTreeMap;

use labelloop_core::{
    AnnotationSet, BBox, CaptureId, ClassIdx, ClassSchema, Extra, GroupKey, ImageSize, LabelledBox, SampleId,
    SampleRecord,
};
use labelloop_dataset::{BoxPolicy, Dataset, GROUND_TRUTH, GroupSummary};

pub(crate) fn id(text: &str) -> SampleId {
    SampleId::new(text).unwrap()
}

pub(crate) fn schema() -> ClassSchema {
    ClassSchema::new(["car", "van"]).unwrap()
}

pub(crate) fn a_box(class: u32, xywh: [f64; 4]) -> LabelledBox {
    LabelledBox::new(ClassIdx(class), BBox::try_from(xywh).unwrap())
}

pub(crate) fn image(name: &str) -> SampleRecord {
    SampleRecord::image(name, format!("{name}.png"), ImageSize::new(64, 48).unwrap()).unwrap()
}

pub(crate) fn slice(name: &str, capture: &str, group: &str, slice: &str) -> SampleRecord {
    SampleRecord {
        capture: CaptureId::new(capture).unwrap(),
        group: GroupKey::new(group).unwrap(),
        slice: slice.to_owned(),
        ..image(name)
    }
}

pub(crate) fn set_of(samples: Vec<SampleRecord>) -> AnnotationSet {
    AnnotationSet { schema: schema(), samples, extra: Extra::new() }
}

pub(crate) fn labelled(name: &str, boxes: Vec<LabelledBox>) -> SampleRecord {
    SampleRecord { boxes: Some(boxes), ..image(name) }
}

/// `n` lone pictures with one box each.
pub(crate) fn dataset(n: usize) -> Dataset {
    let mut d = Dataset::new("demo", schema());
    let samples = (0..n)
        .map(|i| labelled(&format!("s{i:06}"), vec![a_box(u32::from(i % 7 == 0), [1.0, 2.0, 3.5, 4.0])]))
        .collect();
    d.import(&set_of(samples), GROUND_TRUTH, BoxPolicy::default()).unwrap();
    d
}

pub(crate) fn group(key: &str, n_samples: usize, classes: &[(&str, usize)]) -> GroupSummary {
    GroupSummary {
        key: GroupKey::new(key).unwrap(),
        n_samples,
        class_counts: classes.iter().map(|(c, n)| ((*c).to_owned(), *n)).collect::<BTreeMap<_, _>>(),
    }
}
