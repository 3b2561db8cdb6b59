//! Average precision of boxes in space, written from its definition.
#![allow(dead_code, clippy::unwrap_used, reason = "helpers of tests")]

use labelloop_core::{Cuboid, LabelledCuboid, ScoredCuboid};

/// What was found in one cloud, and what is there.
pub(crate) type Judged = (Vec<ScoredCuboid>, Vec<LabelledCuboid>);

/// Mean over 40 recalls of the best precision at that recall or a higher one (KITTI), for one class at an overlap in
/// space. NaN without labels.
pub(crate) fn average_precision(judged: &[Judged], class: u32, min_iou: f64) -> f64 {
    let mut hits: Vec<(f64, bool)> = Vec::new();
    let mut n_labels = 0;
    for (found, labels) in judged {
        let labels: Vec<&LabelledCuboid> = labels.iter().filter(|l| l.class.0 == class).collect();
        n_labels += labels.len();
        let mut is_taken = vec![false; labels.len()];
        for f in found.iter().filter(|f| f.class().0 == class) {
            let free = (0..labels.len()).filter(|i| !is_taken[*i]);
            let best = free
                .map(|i| (iou(&f.cuboid(), &labels[i].cuboid), i))
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .filter(|(iou, _)| min_iou < *iou);
            if let Some((_, i)) = best {
                is_taken[i] = true;
            }
            hits.push((f.score(), best.is_some()));
        }
    }
    if n_labels == 0 {
        return f64::NAN;
    }
    hits.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut n_hits = 0;
    let mut curve: Vec<(f64, f64)> = Vec::new();
    for (i, (_, is_hit)) in hits.iter().enumerate() {
        n_hits += usize::from(*is_hit);
        curve.push((f64::from(n_hits as u32) / n_labels as f64, n_hits as f64 / (i + 1) as f64));
    }
    let at = |recall: f64| curve.iter().filter(|(r, _)| recall <= *r).map(|(_, p)| *p).fold(0.0, f64::max);
    (1..=40).map(|k| at(f64::from(k) / 40.0)).sum::<f64>() / 40.0
}

/// Intersection over union in space of two upright boxes.
pub(crate) fn iou(a: &Cuboid, b: &Cuboid) -> f64 {
    let shared = area(&clipped(a.ground_corners().to_vec(), &b.ground_corners()));
    let ends = |c: &Cuboid| [c.centre()[2] - c.size()[2] / 2.0, c.centre()[2] + c.size()[2] / 2.0];
    let (ea, eb) = (ends(a), ends(b));
    let volume = shared * (ea[1].min(eb[1]) - ea[0].max(eb[0])).max(0.0);
    volume / (a.volume() + b.volume() - volume)
}

/// The part of a polygon on the inner side of all edges (Sutherland and Hodgman 1974).
fn clipped(mut polygon: Vec<[f64; 2]>, by: &[[f64; 2]; 4]) -> Vec<[f64; 2]> {
    for i in 0..4 {
        let ([ax, ay], [bx, by]) = (by[i], by[(i + 1) % 4]);
        let side = |p: [f64; 2]| (bx - ax) * (p[1] - ay) - (by - ay) * (p[0] - ax);
        let mut next = Vec::new();
        for k in 0..polygon.len() {
            let (p, q) = (polygon[k], polygon[(k + 1) % polygon.len()]);
            let (sp, sq) = (side(p), side(q));
            if 0.0 <= sp {
                next.push(p);
            }
            if (sp < 0.0) != (sq < 0.0) {
                let t = sp / (sp - sq);
                next.push([p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])]);
            }
        }
        polygon = next;
    }
    polygon
}

fn area(polygon: &[[f64; 2]]) -> f64 {
    let cross = |i: usize| {
        let (p, q) = (polygon[i], polygon[(i + 1) % polygon.len()]);
        p[0] * q[1] - p[1] * q[0]
    };
    0.5 * (0..polygon.len()).map(cross).sum::<f64>().abs()
}
