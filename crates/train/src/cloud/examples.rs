//! Clusters of a labelled cloud as examples.

use labelloop_core::LabelledCuboid;

use super::cluster::{Cluster, clusters};
use super::describe::{Description, describe};
use super::scan::{Scene, Standing};
use super::{CloudDetectorParams, CloudScan};

/// A cluster shares at least this part of all points of both with the object that it shows.
const OBJECT_SHARE: f64 = 0.5;
/// Below this part it is background; in between it teaches nothing.
const BACKGROUND_SHARE: f64 = 0.2;
/// Points so far outside a box still belong to it, metres.
const MARGIN: f64 = 0.15;

/// A cluster and the label that it shows.
#[derive(Debug)]
pub(crate) struct Example {
    pub(crate) description: Description,
    /// Number of the label; `None` for background.
    pub(crate) label: Option<usize>,
    /// Points that both have over points that either has.
    pub(crate) share: f64,
}

/// What one scan teaches.
#[derive(Debug)]
pub(crate) struct Lesson {
    pub(crate) examples: Vec<Example>,
    /// Height of each label's bottom above the ground.
    pub(crate) bottoms: Vec<f64>,
}

pub(crate) fn lesson(scan: &CloudScan<'_>, params: &CloudDetectorParams) -> Lesson {
    let scene = Scene::of(scan.cloud, params);
    let inside: Vec<Vec<usize>> = scan.cuboids.iter().map(|c| points_of(c, &scene.points)).collect();
    let examples = clusters(&scene.points, params)
        .iter()
        .filter_map(|cluster| {
            let (label, share) = label_of(cluster, &inside)?;
            Some(Example { description: described(cluster, &scene), label, share })
        })
        .collect();
    let bottom = |c: &LabelledCuboid| {
        let [x, y, z] = c.cuboid.centre();
        z - c.cuboid.size()[2] / 2.0 - scene.ground.at(x, y)
    };
    Lesson { examples, bottoms: scan.cuboids.iter().map(bottom).collect() }
}

pub(crate) fn described(cluster: &Cluster, scene: &Scene) -> Description {
    let points: Vec<Standing> = cluster.points.iter().map(|i| scene.points[*i]).collect();
    describe(&points)
}

/// Numbers of the points in a box, rising.
fn points_of(label: &LabelledCuboid, points: &[Standing]) -> Vec<usize> {
    let ([cx, cy, cz], [length, width, height]) = (label.cuboid.centre(), label.cuboid.size());
    let (sin, cos) = label.cuboid.yaw().sin_cos();
    let holds = |p: &Standing| {
        let (dx, dy) = (p.x - cx, p.y - cy);
        let (along, across) = (dx * cos + dy * sin, dy * cos - dx * sin);
        along.abs() <= length / 2.0 + MARGIN
            && across.abs() <= width / 2.0 + MARGIN
            && (p.z - cz).abs() <= height / 2.0 + MARGIN
    };
    (0..points.len()).filter(|i| holds(&points[*i])).collect()
}

/// The label that a cluster shows, none for background, and how much of it; nothing at all for what is neither.
fn label_of(cluster: &Cluster, inside: &[Vec<usize>]) -> Option<(Option<usize>, f64)> {
    let mut best = (0.0, None);
    for (label, own) in inside.iter().enumerate() {
        let n_both = own.iter().filter(|i| cluster.points.binary_search(i).is_ok()).count();
        let n_either = own.len() + cluster.points.len() - n_both;
        let share = n_both as f64 / n_either as f64;
        if best.0 < share {
            best = (share, Some(label));
        }
    }
    match best {
        (share, label) if OBJECT_SHARE <= share => Some((label, share)),
        (share, _) if share <= BACKGROUND_SHARE => Some((None, share)),
        _ => None,
    }
}
