//! Which cuboid of a point cloud a box of the left picture belongs to.

use labelloop_core::{Camera, Cuboid, LabelledBox, LabelledCuboid, SampleRecord};

use super::captures::CUBOID;
use super::{Calibration, columns};

/// A cuboid that was read with a box and changed since is still its own if it is seen at this overlap with it.
const SAME_IOU: f64 = 0.3;
/// A box and a cuboid that nobody linked are one object at this overlap.
const LIKELY_IOU: f64 = 0.5;

/// A box's cuboid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// The cuboid of this number is what the box's columns say.
    Same(usize),
    /// It is this one now.
    Changed(usize),
    /// There is none, or none any more.
    None,
}

impl Link {
    /// Number of the cuboid.
    pub(super) fn cuboid(&self) -> Option<usize> {
        match self {
            Self::Same(n) | Self::Changed(n) => Some(*n),
            Self::None => None,
        }
    }
}

/// Links boxes with cuboids of their class: first those that are what the columns of the label say, then those whose number
/// was kept when reading, where the picture does not speak against it, then those that are seen where the box is, from the
/// best overlap down.
pub(super) fn links(
    left: &SampleRecord,
    cuboids: &[LabelledCuboid],
    calibration: Option<&Calibration>,
) -> Vec<Link> {
    let boxes = left.boxes.as_deref().unwrap_or_default();
    let mut links = vec![Link::None; boxes.len()];
    let mut is_taken = vec![false; cuboids.len()];
    for (label, link) in boxes.iter().zip(&mut links) {
        let Some(Ok(expected)) = columns::cuboid(&label.extra, calibration) else { continue };
        let is_it =
            |n: &usize| !is_taken[*n] && cuboids[*n].class == label.class && cuboids[*n].cuboid == expected;
        if let Some(n) =
            kept(label).filter(|n| *n < cuboids.len()).into_iter().chain(0..cuboids.len()).find(is_it)
        {
            (*link, is_taken[n]) = (Link::Same(n), true);
        }
    }
    let camera = calibration.and_then(|c| c.camera(2));
    for (label, link) in boxes.iter().zip(&mut links).filter(|(_, link)| **link == Link::None) {
        let is_free = |n: &usize| *n < cuboids.len() && !is_taken[*n] && cuboids[*n].class == label.class;
        let is_seen =
            |n: &usize| camera.is_none_or(|c| SAME_IOU <= overlap(label, &cuboids[*n].cuboid, &c, left));
        if let Some(n) = kept(label).filter(|n| is_free(n) && is_seen(n)) {
            (*link, is_taken[n]) = (Link::Changed(n), true);
        }
    }
    if let Some(camera) = camera {
        by_overlap(left, cuboids, &camera, &mut links, &mut is_taken);
    }
    links
}

fn by_overlap(
    left: &SampleRecord,
    cuboids: &[LabelledCuboid],
    camera: &Camera,
    links: &mut [Link],
    is_taken: &mut [bool],
) {
    let boxes = left.boxes.as_deref().unwrap_or_default();
    let mut pairs = Vec::new();
    for (i, label) in boxes.iter().enumerate().filter(|(i, _)| links[*i] == Link::None) {
        for (n, cuboid) in cuboids.iter().enumerate().filter(|(n, c)| !is_taken[*n] && c.class == label.class)
        {
            pairs.push((overlap(label, &cuboid.cuboid, camera, left), i, n));
        }
    }
    pairs.retain(|(iou, ..)| LIKELY_IOU <= *iou);
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    for (_, i, n) in pairs {
        if links[i] == Link::None && !is_taken[n] {
            (links[i], is_taken[n]) = (Link::Changed(n), true);
        }
    }
}

fn overlap(label: &LabelledBox, cuboid: &Cuboid, camera: &Camera, left: &SampleRecord) -> f64 {
    let seen = camera.project_cuboid(cuboid, left.size).ok().flatten();
    seen.map_or(0.0, |seen| seen.iou(label.bbox))
}

fn kept(label: &LabelledBox) -> Option<usize> {
    label.extra.get(CUBOID)?.parse().ok()
}
