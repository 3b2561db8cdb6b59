use std::path::Path;

use labelloop_core::{BBox, ClassIdx, DetectionRow, LabelRow, LabelledBox, SampleId, ScoredBox};
use labelloop_eval::ImageCase;
use labelloop_eval::coco::{self as protocol, CocoParams, CocoResult, Rows};
use labelloop_formats::{Strictness, coco};

use crate::bytes::Bytes;
use crate::files::halves;

#[derive(Default)]
struct Picture {
    labels: Vec<LabelledBox>,
    detections: Vec<ScoredBox>,
}

/// Labels, a line `---`, and detections: two COCO files that are read and evaluated.
pub fn coco_pair(data: &[u8]) {
    let (Some(labels), detections) = halves(data) else { return };
    let Ok(rows) = coco::rows_from_slice(Path::new("instances.json"), labels, Strictness::Lenient) else {
        return;
    };
    let read =
        coco::detection_rows_from_slice(Path::new("detections.json"), detections, &rows, Strictness::Lenient);
    let Ok((found, _)) = read else { return };
    let mut pictures: Vec<Picture> = rows.image_ids.iter().map(|_| Picture::default()).collect();
    for row in &rows.labels {
        let mut label = LabelledBox::new(row.class, row.bbox);
        // The area of a box may overflow; one that is stated may not.
        (label.area, label.is_crowd) = (Some(row.area()).filter(|a| a.is_finite()), row.is_crowd);
        pictures[row.image as usize].labels.push(label);
    }
    for row in &found {
        pictures[row.image as usize].detections.extend(row.scored_box());
    }
    check_evaluation(&pictures, rows.category_ids.len(), &CocoParams::default());
}

/// Labels and detections made of the bytes.
pub fn evaluate(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (n_images, n_classes) = (1 + bytes.below(4), 1 + bytes.below(3));
    let params = match bytes.below(4) {
        0 => CocoParams { max_dets: vec![1, 2, 3], ..CocoParams::default() },
        1 => CocoParams { iou_thresholds: vec![0.3, 0.5, 0.75, 1.0], ..CocoParams::default() },
        _ => CocoParams::default(),
    };
    let mut pictures: Vec<Picture> = (0..n_images).map(|_| Picture::default()).collect();
    for _ in 0..300 {
        if bytes.is_empty() {
            break;
        }
        put_one(&mut bytes, &mut pictures, n_classes);
    }
    check_evaluation(&pictures, n_classes, &params);
}

/// One label or detection, where its numbers are some that the vocabulary takes.
fn put_one(bytes: &mut Bytes<'_>, pictures: &mut [Picture], n_classes: usize) {
    let at = bytes.below(pictures.len());
    let class = ClassIdx(bytes.below(n_classes) as u32);
    let kind = bytes.below(8);
    let Ok(bbox) = BBox::new(bytes.number(), bytes.number(), bytes.number(), bytes.number()) else { return };
    if kind < 4 {
        let score = f64::from(bytes.byte()) / 255.0;
        pictures[at].detections.extend(ScoredBox::new(class, bbox, score));
    } else {
        let mut label = LabelledBox::new(class, bbox);
        label.is_crowd = kind == 4;
        label.area = (kind == 5).then(|| bytes.number()).filter(|a| 0.0 <= *a && a.is_finite());
        pictures[at].labels.push(label);
    }
}

fn check_evaluation(pictures: &[Picture], n_classes: usize, params: &CocoParams) {
    let name = |i: usize| SampleId::new(format!("{i:06}")).expect("digits are a name");
    let ids: Vec<SampleId> = (0..pictures.len()).map(name).collect();
    let cases: Vec<ImageCase<'_>> = ids
        .iter()
        .zip(pictures)
        .map(|(id, p)| ImageCase { id, size: None, labels: &p.labels, detections: &p.detections })
        .collect();
    let result = protocol::evaluate(&cases, n_classes, params).expect("sound objects can be evaluated");
    check_numbers(&result);
    assert_same(&result, &by_rows(pictures, n_classes, params), "by long tables");
    let backwards: Vec<ImageCase<'_>> = cases.iter().rev().copied().collect();
    let again = protocol::evaluate(&backwards, n_classes, params).expect("as in the other order");
    assert_same(&result, &again, "in another order of pictures");
    let shards = cases.iter().rev().map(|case| protocol::observe(case, n_classes, params));
    let merged = shards.reduce(|a, b| {
        let mut a = a?;
        a.merge(b?)?;
        Ok(a)
    });
    if let Some(merged) = merged {
        let merged = merged.and_then(|m| m.finish()).expect("as in one piece");
        assert_same(&result, &merged, "in shards");
    }
}

fn by_rows(pictures: &[Picture], n_classes: usize, params: &CocoParams) -> CocoResult {
    let (mut labels, mut detections) = (Vec::new(), Vec::new());
    for (image, picture) in (0u32..).zip(pictures) {
        labels.extend(picture.labels.iter().map(|label| {
            let mut row = LabelRow::new(image, label.class, label.bbox);
            row.is_crowd = label.is_crowd;
            label.area.map_or(row, |area| row.with_area(area).expect("a stated area was checked"))
        }));
        detections.extend(picture.detections.iter().map(|found| DetectionRow::of(image, *found)));
    }
    let rows = Rows { n_images: pictures.len(), n_classes, labels: &labels, detections: &detections };
    protocol::evaluate_rows(&rows, params).expect("as by cases")
}

fn check_numbers(result: &CocoResult) {
    let is_share = |v: &f64| *v == -1.0 || (0.0..=1.0).contains(v);
    assert!(result.stats.iter().all(is_share), "{:?}", result.stats);
    for array in [&result.precision, &result.recall, &result.scores] {
        assert!(array.iter().all(is_share), "neither a share nor -1");
    }
    let [nt, nr, nk, na, nm] = result.shape();
    let n_curves = nk * na * nm;
    for t in 0..nt {
        for curve in 0..n_curves {
            let at = |r: usize| result.precision[(t * nr + r) * n_curves + curve];
            assert!((1..nr).all(|r| at(r) <= at(r - 1)), "precision rises with recall");
        }
    }
    for limits in result.recall.chunks_exact(nm) {
        assert!(limits.is_sorted(), "more detections found less: {limits:?}");
    }
}

fn assert_same(a: &CocoResult, b: &CocoResult, what: &str) {
    let bits = |r: &CocoResult| {
        let arrays = [&r.precision[..], &r.recall, &r.scores, &r.stats];
        arrays.map(|array| array.iter().map(|v| v.to_bits()).collect::<Vec<_>>())
    };
    assert!(bits(a) == bits(b), "other numbers {what}: {:?} and {:?}", a.stats, b.stats);
}
