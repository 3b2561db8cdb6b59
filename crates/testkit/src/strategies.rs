//! Proptest strategies for the shared vocabulary: valid values of every shape, with the awkward ones among them.

use labelloop_core::{
    AnnotationSet, BBox, CaptureId, ClassIdx, ClassSchema, Cuboid, CuboidFrame, Extra, GroupKey, ImageSize,
    LabelledBox, LabelledCuboid, SampleId, SampleRecord, ScoredBox, SliceKind,
};
use labelloop_media::RgbImage;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

/// Sides of 1 to 96 pixels.
pub fn image_sizes() -> impl Strategy<Value = ImageSize> + Clone {
    (1u32..=96, 1u32..=96)
        .prop_map(|(w, h)| ImageSize::new(w, h).expect("sides of at least 1 make a picture"))
}

/// Boxes inside a picture, with area; some on whole pixels, some over the whole picture.
///
/// ```
/// use labelloop_core::ImageSize;
/// use labelloop_testkit::strategies::boxes_in;
/// use proptest::prelude::*;
///
/// let size = ImageSize::new(64, 48).unwrap();
/// proptest!(|(b in boxes_in(size))| {
///     prop_assert!(b.is_inside(size, 0.0) && !b.is_degenerate());
/// });
/// ```
pub fn boxes_in(size: ImageSize) -> impl Strategy<Value = BBox> + Clone {
    let (w, h) = (size.width(), size.height());
    let (fw, fh) = (f64::from(w), f64::from(h));
    prop_oneof![
        6 => (0.0..0.9f64, 0.0..0.9f64, 0.05..1.0f64, 0.05..1.0f64).prop_map(move |(x, y, sw, sh)| {
            bbox([x * fw, y * fh, sw * (1.0 - x) * fw, sh * (1.0 - y) * fh], size)
        }),
        3 => (0..w, 0..h).prop_flat_map(move |(x, y)| {
            (1..=w - x, 1..=h - y).prop_map(move |(bw, bh)| bbox([x, y, bw, bh].map(f64::from), size))
        }),
        1 => Just(bbox([0.0, 0.0, fw, fh], size)),
    ]
}

/// Rounding may put an edge a hair outside; clipping takes it back.
fn bbox([x, y, w, h]: [f64; 4], size: ImageSize) -> BBox {
    let inside = BBox::new(x, y, w, h).ok().and_then(|b| b.clipped(size));
    let whole = || BBox::new(0.0, 0.0, f64::from(size.width()), f64::from(size.height()));
    let fits = inside.filter(|b| b.is_inside(size, 0.0) && !b.is_degenerate());
    fits.map_or_else(whole, Ok).expect("a picture's own box is valid")
}

/// Any valid boxes: inside or outside of any picture, some without area.
pub fn boxes() -> impl Strategy<Value = BBox> + Clone {
    let side = || prop_oneof![4 => 0.0..120.0f64, 2 => (0u32..60).prop_map(f64::from), 1 => Just(0.0)];
    (-50.0..150.0f64, -50.0..150.0f64, side(), side())
        .prop_map(|(x, y, w, h)| BBox::new(x, y, w, h).expect("finite numbers and sizes of at least 0"))
}

/// Classes of a schema with `n_classes` classes; at least one.
pub fn classes(n_classes: usize) -> impl Strategy<Value = ClassIdx> + Clone {
    (0..u32::try_from(n_classes).unwrap_or(u32::MAX).max(1)).prop_map(ClassIdx)
}

/// Labels inside a picture: some crowds, some with a stated area, annotator or further fields.
pub fn labelled_boxes_in(size: ImageSize, n_classes: usize) -> impl Strategy<Value = LabelledBox> + Clone {
    let annotator = proptest::option::weighted(0.3, "[a-z]{1,6}");
    (
        boxes_in(size),
        classes(n_classes),
        proptest::option::weighted(0.3, 0.1..1.0f64),
        0u8..10,
        annotator,
        extras(),
    )
        .prop_map(|(bbox, class, share, crowd, annotator, extra)| LabelledBox {
            class,
            bbox,
            area: share.map(|s| s * bbox.area()),
            is_crowd: crowd == 0,
            annotator,
            extra,
        })
}

/// Detections inside a picture. Scores come from few steps as often as from all numbers, so that ties occur.
///
/// ```
/// use labelloop_core::ImageSize;
/// use labelloop_testkit::strategies::scored_boxes_in;
/// use proptest::prelude::*;
///
/// proptest!(|(s in scored_boxes_in(ImageSize::new(64, 48).unwrap(), 3))| {
///     prop_assert!(s.class().0 < 3 && (0.0..=1.0).contains(&s.score()));
/// });
/// ```
pub fn scored_boxes_in(size: ImageSize, n_classes: usize) -> impl Strategy<Value = ScoredBox> + Clone {
    let score = prop_oneof![0.0..=1.0f64, (0u32..=4).prop_map(|s| f64::from(s) / 4.0)];
    (boxes_in(size), classes(n_classes), score).prop_map(|(bbox, class, score)| {
        ScoredBox::new(class, bbox, score).expect("scores from 0 to 1 are valid")
    })
}

/// Schemas of 1 to `max_classes` classes whose names hold capitals, spaces and letters beyond ASCII.
///
/// ```
/// use labelloop_testkit::strategies::schemas;
/// use proptest::prelude::*;
///
/// proptest!(|(s in schemas(4))| {
///     prop_assert!((1..=4).contains(&s.n_classes()));
/// });
/// ```
pub fn schemas(max_classes: usize) -> impl Strategy<Value = ClassSchema> + Clone {
    vec("[A-Za-z][a-zéß0-9]{0,5}( [a-z]{1,4})?", 1..=max_classes.max(1)).prop_map(|stems| {
        // The number keeps names apart that differ in case only.
        let names = stems.iter().enumerate().map(|(i, stem)| format!("{stem}-{i}"));
        ClassSchema::new(names).expect("numbered names are distinct")
    })
}

/// Pictures of noise, of one colour or with a gradient, of up to 96 x 96 pixels.
pub fn images() -> impl Strategy<Value = RgbImage> + Clone {
    (image_sizes(), 0u8..3, any::<[u8; 3]>(), any::<u32>()).prop_map(|(size, kind, colour, seed)| {
        let n = size.width() as usize * size.height() as usize;
        let byte = |at: usize| match kind {
            0 => colour[at % 3],
            1 => ((at / 3 % size.width() as usize) * 255 / size.width() as usize) as u8,
            _ => ((at as u32).wrapping_mul(0x9E37_79B1) ^ seed).wrapping_mul(0x85EB_CA77).to_le_bytes()[3],
        };
        RgbImage::new(size, (0..3 * n).map(byte).collect()).expect("three bytes for each pixel")
    })
}

/// Cuboids within 60 m of the sensor.
pub fn cuboids() -> impl Strategy<Value = Cuboid> + Clone {
    let centre = [-60.0..60.0f64, -60.0..60.0f64, -4.0..4.0f64];
    let size = [0.1..12.0f64, 0.1..4.0f64, 0.1..4.0f64];
    (centre, size, -4.0..4.0f64).prop_map(|(centre, size, yaw)| {
        Cuboid::new(centre, size, yaw, CuboidFrame::Lidar).expect("finite numbers and positive sizes")
    })
}

/// Unknown fields as formats keep them: JSON texts by key, mostly none.
pub fn extras() -> impl Strategy<Value = Extra> + Clone {
    let json = prop_oneof![
        Just("null".to_owned()),
        any::<i32>().prop_map(|n| n.to_string()),
        "[a-z \"\\\\]{0,5}".prop_map(|s| serde_json::Value::from(s).to_string()),
        Just(r#"{"a":[1,2]}"#.to_owned()),
    ];
    prop_oneof![4 => Just(Extra::new()), 1 => btree_map("x_[a-z]{1,4}", json, 1..3)]
}

/// Sets of lone pictures, captures with slices, and groups of captures; unlabelled, verified empty and labelled.
///
/// Ids are distinct and in order; at most `max_samples` samples.
///
/// ```
/// use labelloop_testkit::strategies::annotation_sets;
/// use proptest::prelude::*;
///
/// proptest!(|(set in annotation_sets(6))| {
///     prop_assert!(set.samples.len() <= 6);
///     let n = set.schema.n_classes();
///     let labels = set.samples.iter().filter_map(|s| s.boxes.as_ref()).flatten();
///     prop_assert!(labels.map(|b| b.class.as_usize()).all(|c| c < n));
/// });
/// ```
pub fn annotation_sets(max_samples: usize) -> impl Strategy<Value = AnnotationSet> + Clone {
    (schemas(5), extras()).prop_flat_map(move |(schema, extra)| {
        let n = schema.n_classes();
        vec(sample_parts(n), 0..=max_samples).prop_map(move |parts| AnnotationSet {
            schema: schema.clone(),
            samples: parts.into_iter().enumerate().map(|(i, p)| record(i, p)).collect(),
            extra: extra.clone(),
        })
    })
}

#[derive(Debug, Clone)]
struct Parts {
    size: ImageSize,
    boxes: Option<Vec<LabelledBox>>,
    cuboids: Option<Vec<LabelledCuboid>>,
    is_cloud: bool,
    extra: Extra,
}

fn sample_parts(n_classes: usize) -> impl Strategy<Value = Parts> + Clone {
    let labelled_cuboid = (classes(n_classes), cuboids()).prop_map(|(class, cuboid)| LabelledCuboid {
        class,
        cuboid,
        annotator: None,
    });
    let cuboids = proptest::option::of(vec(labelled_cuboid, 0..3));
    (image_sizes(), cuboids, 0u8..4, extras()).prop_flat_map(move |(size, cuboids, kind, extra)| {
        let boxes = proptest::option::weighted(0.8, vec(labelled_boxes_in(size, n_classes), 0..5));
        boxes.prop_map(move |boxes| Parts {
            size,
            boxes,
            cuboids: cuboids.clone(),
            is_cloud: kind == 0,
            extra: extra.clone(),
        })
    })
}

/// Every three samples share a capture and every two captures a group.
fn record(i: usize, parts: Parts) -> SampleRecord {
    let (capture, group) = (i / 3, i / 6);
    let name = |text: String| SampleId::new(text).expect("a name without control characters");
    let kind = if parts.is_cloud { SliceKind::PointCloud } else { SliceKind::Image };
    let ending = if parts.is_cloud { "bin" } else { "png" };
    SampleRecord {
        id: name(format!("g{group:03}/c{capture:03}/s{}", i % 3)),
        capture: CaptureId::new(format!("g{group:03}/c{capture:03}")).expect("a name as above"),
        group: GroupKey::new(format!("g{group:03}")).expect("a name as above"),
        slice: format!("s{}", i % 3),
        kind,
        file_name: format!("g{group:03}/c{capture:03}/s{}.{ending}", i % 3),
        size: (!parts.is_cloud).then_some(parts.size),
        boxes: parts.boxes.filter(|_| !parts.is_cloud),
        cuboids: parts.cuboids.filter(|_| parts.is_cloud),
        labelled_by: None,
        extra: parts.extra,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    proptest! {
        #[test]
        fn labels_are_valid_json_cases(label in image_sizes().prop_flat_map(|s| labelled_boxes_in(s, 4))) {
            prop_assert!(label.class.0 < 4);
            let text = serde_json::to_string(&label).unwrap();
            prop_assert_eq!(serde_json::from_str::<LabelledBox>(&text).unwrap(), label);
        }

        #[test]
        fn sets_have_distinct_ids_in_order(set in annotation_sets(14)) {
            let ids: Vec<_> = set.samples.iter().map(|s| &s.id).collect();
            prop_assert!(ids.is_sorted());
            prop_assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
        }

        #[test]
        fn boxes_of_sets_are_inside_their_pictures(set in annotation_sets(6)) {
            for sample in &set.samples {
                prop_assert_eq!(sample.size.is_some(), sample.kind == SliceKind::Image);
                for label in sample.boxes.iter().flatten() {
                    prop_assert!(sample.size.is_some_and(|s| label.bbox.is_inside(s, 0.0)));
                }
            }
        }

        #[test]
        fn extras_are_json(extra in extras()) {
            for text in extra.values() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(text).is_ok(), "{}", text);
            }
        }

        #[test]
        fn images_are_small(image in images()) {
            prop_assert!(image.size().width() <= 96 && image.size().height() <= 96);
        }

        #[test]
        fn any_boxes_have_finite_edges(b in boxes()) {
            prop_assert!(b.right().is_finite() && b.area() >= 0.0);
        }

        #[test]
        fn cuboids_are_near(c in cuboids()) {
            prop_assert!(c.centre()[0].abs() <= 60.0 && 0.0 < c.volume());
        }
    }

    #[test]
    fn a_schema_without_classes_still_gets_one() {
        use proptest::strategy::ValueTree;
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        assert_eq!(classes(0).new_tree(&mut runner).unwrap().current(), ClassIdx(0));
    }
}
