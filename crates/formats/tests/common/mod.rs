//! Generated sets that every format's round trip is tried on.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

pub(crate) mod any;

use labelloop_core::{
    AnnotationSet, BBox, CaptureId, ClassIdx, ClassSchema, Extra, GroupKey, ImageSize, LabelledBox,
    SampleRecord,
};
use labelloop_formats::{Format, Lost, Warning, WarningKind};
use proptest::prelude::*;

/// Names that are awkward somewhere: in YAML, XML, a path, a column of words.
pub(crate) const CLASSES: [&str; 5] = ["car", "no", "Person sitting", "7", "<a&\"b'>"];

/// A box inside 640 x 480 pixels.
pub(crate) fn bbox() -> impl Strategy<Value = BBox> {
    (0.0..600.0f64, 0.0..400.0f64, 0.0..40.0f64, 0.0..80.0f64)
        .prop_map(|(x, y, w, h)| BBox::new(x, y, w, h).unwrap())
}

/// Labels with nothing but class and place.
pub(crate) fn plain_label() -> impl Strategy<Value = LabelledBox> {
    (0..CLASSES.len() as u32, bbox()).prop_map(|(class, bbox)| LabelledBox::new(ClassIdx(class), bbox))
}

/// Labels with everything that a record can hold.
pub(crate) fn rich_label() -> impl Strategy<Value = LabelledBox> {
    let area = proptest::option::of(0.0..5000.0f64);
    let annotator = proptest::option::of("[a-zü \"]{1,8}");
    let extra =
        proptest::option::of(Just(("iq".to_owned(), "[1, {\"a\": 12345678901234567890123.50}]".to_owned())));
    (plain_label(), area, any::<bool>(), annotator, extra).prop_map(|(mut label, area, crowd, who, extra)| {
        label.area = area.filter(|a| *a != label.bbox.area());
        label.is_crowd = crowd;
        label.annotator = who;
        label.extra.extend(extra);
        label
    })
}

/// A set of `labels`, some samples empty and, where asked, some unlabelled; names in folders and with dots.
pub(crate) fn set<L: Strategy<Value = LabelledBox>>(
    label: impl Fn() -> L,
    unlabelled: bool,
) -> impl Strategy<Value = AnnotationSet> {
    let boxes = proptest::collection::vec(label(), 0..4);
    let boxes = proptest::option::weighted(0.7, boxes)
        .prop_map(move |b| if unlabelled { b } else { Some(b.unwrap_or_default()) });
    proptest::collection::vec(boxes, 1..6).prop_map(|samples| {
        let samples = samples.into_iter().enumerate().map(|(i, boxes)| {
            let id = ["a", "d/b c", "d/e.f", "ü", "x-1", "y_2"][i];
            let mut sample =
                SampleRecord::image(id, format!("{id}.png"), ImageSize::new(640, 480).unwrap()).unwrap();
            sample.boxes = boxes;
            sample
        });
        AnnotationSet {
            schema: ClassSchema::new(CLASSES).unwrap(),
            samples: samples.collect(),
            extra: Extra::new(),
        }
    })
}

/// Gives the samples of a set groups, captures and fields of their own.
pub(crate) fn enriched(mut set: AnnotationSet) -> AnnotationSet {
    for (i, sample) in set.samples.iter_mut().enumerate() {
        sample.group = GroupKey::new(format!("drive {}", i / 2)).unwrap();
        sample.capture = CaptureId::new(format!("frame {}", i / 2)).unwrap();
        sample.slice = ["left", "right"][i % 2].to_owned();
        sample.extra.insert("weather".to_owned(), "{\"rain\": true}".to_owned());
    }
    set.extra.insert("info".to_owned(), "{\"year\": 2020}".to_owned());
    set
}

/// Without ids that a writer gave, samples and labels in a fixed order.
pub(crate) fn settled(mut set: AnnotationSet) -> AnnotationSet {
    set.samples.sort_by(|a, b| a.id.cmp(&b.id));
    for sample in &mut set.samples {
        sample.extra.remove("id");
        for label in sample.boxes.iter_mut().flatten() {
            label.extra.remove("id");
        }
    }
    set
}

/// Whether two sets agree in ids, classes and labels, edges within `slack` pixels.
pub(crate) fn assert_same_boxes(a: &AnnotationSet, b: &AnnotationSet, slack: f64) {
    assert_eq!(a.schema, b.schema);
    let ids = |s: &AnnotationSet| s.samples.iter().map(|s| s.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(a), ids(b));
    for (a, b) in a.samples.iter().zip(&b.samples) {
        let (la, lb) = (a.boxes.as_ref(), b.boxes.as_ref());
        assert_eq!(la.map(Vec::len), lb.map(Vec::len), "{}", a.id);
        for (x, y) in la.into_iter().flatten().zip(lb.into_iter().flatten()) {
            assert_eq!(x.class, y.class, "{}", a.id);
            for (u, v) in x.bbox.to_corners().iter().zip(y.bbox.to_corners()) {
                assert!((u - v).abs() <= slack, "{}: {:?} {:?}", a.id, x.bbox, y.bbox);
            }
        }
    }
}

/// What a writer said it could not carry.
pub(crate) fn lost(warnings: &[Warning]) -> Vec<(Format, Lost, usize)> {
    let of = |w: &Warning| match &w.kind {
        WarningKind::NotCarried { format, what, count, .. } => (*format, *what, *count),
        other => panic!("{other:?}"),
    };
    warnings.iter().map(of).collect()
}
