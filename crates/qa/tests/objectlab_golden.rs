//! ObjectLab scores against those of cleanlab; see golden/SOURCE.md.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use labelloop_core::{BBox, ClassIdx, LabelledBox, SampleId, ScoredBox};
use labelloop_qa::{ObjectLabParams, ScoredImage, label_quality};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    sets: Vec<Vec<Picture>>,
}

#[derive(Deserialize)]
struct Picture {
    labels: Vec<[f64; 5]>,
    detections: Vec<[f64; 6]>,
    quality: f64,
    overlooked: Vec<Option<f64>>,
    badly_located: Vec<Option<f64>>,
    swapped: Vec<Option<f64>>,
    pooled_overlooked: f64,
    pooled_badly_located: f64,
    pooled_swapped: f64,
}

fn place([x1, y1, x2, y2]: [f64; 4]) -> BBox {
    BBox::from_corners(x1, y1, x2, y2).unwrap()
}

fn close(found: f64, expected: f64, what: &str) {
    let is_close = (found - expected).abs() <= 1e-12 * expected.abs() + 5e-17;
    assert!(is_close, "{what}: {found} instead of {expected}");
}

fn all_close(found: &[Option<f64>], expected: &[Option<f64>], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (f, e) in found.iter().zip(expected) {
        assert_eq!(f.is_some(), e.is_some(), "{what}");
        close(f.unwrap_or(0.0), e.unwrap_or(0.0), what);
    }
}

#[test]
fn scores_are_those_of_cleanlab() {
    let golden: Golden = serde_json::from_str(include_str!("golden/objectlab.json")).unwrap();
    let n: usize = golden.sets.iter().map(Vec::len).sum();
    assert!(66 <= n, "the number of cases only rises");
    for set in golden.sets {
        let ids: Vec<SampleId> = (0..set.len()).map(|i| SampleId::new(format!("{i:02}")).unwrap()).collect();
        let boxes: Vec<(Vec<LabelledBox>, Vec<ScoredBox>)> = set
            .iter()
            .map(|p| {
                let label =
                    |&[c, a, b, d, e]: &[f64; 5]| LabelledBox::new(ClassIdx(c as u32), place([a, b, d, e]));
                let found = |&[c, a, b, d, e, s]: &[f64; 6]| {
                    ScoredBox::new(ClassIdx(c as u32), place([a, b, d, e]), s).unwrap()
                };
                (p.labels.iter().map(label).collect(), p.detections.iter().map(found).collect())
            })
            .collect();
        let images: Vec<ScoredImage<'_>> = ids
            .iter()
            .zip(&boxes)
            .map(|(id, (labels, detections))| ScoredImage { id, labels, detections })
            .collect();
        let mut found = label_quality(&images, &ObjectLabParams::default()).unwrap();
        found.sort_by(|a, b| a.image.cmp(&b.image));
        for (f, e) in found.iter().zip(&set) {
            all_close(&f.overlooked_boxes, &e.overlooked, "overlooked");
            all_close(&f.badly_located_boxes, &e.badly_located, "badly located");
            all_close(&f.swapped_boxes, &e.swapped, "swapped");
            close(f.overlooked, e.pooled_overlooked, "pooled overlooked");
            close(f.badly_located, e.pooled_badly_located, "pooled badly located");
            close(f.swapped, e.pooled_swapped, "pooled swapped");
            close(f.quality.powi(3), e.quality.powi(3), "product of the three");
        }
    }
}
