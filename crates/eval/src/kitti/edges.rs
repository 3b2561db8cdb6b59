use labelloop_core::Cuboid;

use super::input::Frame;
use crate::overlap3::{Upright, iou_3d};
use crate::{EvalError, Result};

/// A label and a detection that overlap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Edge {
    pub(super) label: u32,
    pub(super) detection: u32,
    pub(super) overlap: f64,
}

/// Overlaps of boxes, bird's-eye views and cuboids that exceed the least that any class asks for; label by label,
/// detections ascending.
pub(super) fn edges(
    frame: &Frame<'_>,
    is_asked: impl Fn(usize) -> bool,
    least: [f64; 3],
) -> Result<[Vec<Edge>; 3]> {
    check_frames(frame)?;
    let mut edges: [Vec<Edge>; 3] = Default::default();
    let found: Vec<_> = frame.detections.iter().map(|d| prepared(&d.cuboid)).collect();
    for (i, label) in frame.labels.iter().enumerate().filter(|(i, _)| is_asked(*i)) {
        let marked = prepared(&label.cuboid);
        for (j, detection) in frame.detections.iter().enumerate() {
            let mut add = |kind: usize, overlap: f64| {
                if least[kind] < overlap {
                    edges[kind].push(Edge { label: i as u32, detection: j as u32, overlap });
                }
            };
            if let (Some(a), Some(b)) = (label.bbox, detection.bbox) {
                add(0, a.iou(b));
            }
            if let (Some((a, label)), Some((b, detection))) = (&marked, &found[j]) {
                let overlap = a.overlap(b);
                add(1, overlap.iou_bev);
                let is_upright = label.is_upright() && detection.is_upright();
                add(2, if is_upright { overlap.iou_3d } else { iou_3d(label, detection)? });
            }
        }
    }
    Ok(edges)
}

fn prepared(cuboid: &Option<Cuboid>) -> Option<(Upright, &Cuboid)> {
    cuboid.as_ref().map(|cuboid| (Upright::new(cuboid), cuboid))
}

/// Refuses cuboids of different coordinate frames: their overlap would be a number without meaning.
fn check_frames(frame: &Frame<'_>) -> Result<()> {
    let labels = frame.labels.iter().enumerate().map(|(i, l)| ("label", i, l.cuboid.as_ref()));
    let detections = frame.detections.iter().enumerate().map(|(i, d)| ("detection", i, d.cuboid.as_ref()));
    let mut first = None;
    for (what, index, cuboid) in labels.chain(detections) {
        let Some(found) = cuboid.map(Cuboid::frame) else { continue };
        if found != *first.get_or_insert(found) {
            let (image, expected) = (frame.id.to_string(), "the frame of the cuboids before it");
            return Err(EvalError::WrongFrame { image, what, index, found, expected });
        }
    }
    Ok(())
}
