//! The built-in detector for point clouds on generated scenes.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests may end at the first surprise and say numbers"
)]

mod common;

use std::sync::OnceLock;

use common::{Judged, average_precision};
use labelloop_core::{
    Cancelled, ClassIdx, Cuboid, CuboidFrame, LabelledCuboid, Progress, SampleId, ScoredCuboid, Silent,
};
use labelloop_media::PointCloud;
use labelloop_testkit::scenes::SceneParams;
use labelloop_train::{CloudDetector, CloudDetectorParams, CloudScan, TrainError};

struct Scan {
    id: SampleId,
    group: usize,
    cloud: PointCloud,
    cuboids: Vec<LabelledCuboid>,
}

impl Scan {
    fn view(&self) -> CloudScan<'_> {
        CloudScan { id: &self.id, cloud: &self.cloud, cuboids: &self.cuboids }
    }
}

/// The clouds of the default scenes, rendered once; pictures are kept small because nobody looks at them.
fn scans() -> &'static [Scan] {
    static SCANS: OnceLock<Vec<Scan>> = OnceLock::new();
    SCANS.get_or_init(|| {
        let valid = SceneParams { width: 96, height: 72, ..SceneParams::default() }.check().unwrap();
        let groups = (0..valid.n_groups()).map(|g| (g, valid.render_group(g)));
        let captures = groups.flat_map(|(g, group)| group.captures.into_iter().map(move |c| (g, c)));
        captures
            .map(|(group, c)| {
                let [_, _, pcd] = c.records;
                Scan { id: pcd.id, group, cloud: c.points, cuboids: pcd.cuboids.unwrap() }
            })
            .collect()
    })
}

/// Every third group is held out; of the others the first frame of each group comes first, then the second, and so on.
fn split() -> (Vec<&'static Scan>, Vec<&'static Scan>) {
    let (held, mut rest): (Vec<&Scan>, Vec<&Scan>) = scans().iter().partition(|s| s.group % 3 == 0);
    let mut seen = std::collections::BTreeMap::<usize, usize>::new();
    let mut turn: Vec<(usize, usize, &Scan)> = rest
        .drain(..)
        .map(|s| {
            let n = seen.entry(s.group).or_default();
            *n += 1;
            (*n, s.group, s)
        })
        .collect();
    turn.sort_by_key(|(n, group, _)| (*n, *group));
    (turn.into_iter().map(|(_, _, s)| s).collect(), held)
}

fn trained(scans: &[&Scan]) -> CloudDetector {
    let views: Vec<CloudScan<'_>> = scans.iter().map(|s| s.view()).collect();
    CloudDetectorParams::default().train(&views, 6, &Silent).unwrap()
}

fn judged(detector: &CloudDetector, scans: &[&Scan]) -> Vec<Judged> {
    scans.iter().map(|s| (detector.detect(&s.cloud), s.cuboids.clone())).collect()
}

fn of_all_classes(judged: &[Judged], min_iou: f64) -> Vec<f64> {
    (0..6).map(|class| average_precision(judged, class, min_iou)).collect()
}

#[test]
fn more_labelled_scans_find_more_on_groups_never_seen() {
    let (train, held) = split();
    let mut means = Vec::new();
    for n in [5, 10, 20, 50, 100, train.len()] {
        let found = judged(&trained(&train[..n]), &held);
        for iou in [0.25, 0.5, 0.7] {
            let ap = of_all_classes(&found, iou);
            let mean = ap.iter().sum::<f64>() / 6.0;
            eprintln!("{n:4} scans, 3D IoU {iou}: mean AP40 {mean:.3}, by class {ap:.2?}");
            if iou == 0.5 {
                means.push((mean, ap[0]));
            }
        }
    }
    eprintln!("{} held out", held.len());
    assert!(means[0].0 < means[3].0 && means[0].1 < means[3].1, "{means:?}");
    assert!(0.7 < means[5].0, "{means:?}");
}

#[test]
fn the_same_scans_give_the_same_bytes_in_any_order_and_on_any_threads() {
    let (train, held) = split();
    let bytes = |n_threads: usize, scans: &[&Scan]| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| {
            let detector = trained(scans);
            (detector.to_bytes(), detector.detect(&held[0].cloud))
        })
    };
    let mut turned = train[..12].to_vec();
    turned.reverse();
    let first = bytes(1, &train[..12]);
    assert!(first == bytes(4, &train[..12]), "one thread and four");
    assert!(first == bytes(2, &turned), "from the last to the first");
}

#[test]
fn scores_fall_and_boxes_are_in_the_frame_of_the_lidar() {
    let (train, held) = split();
    let found = trained(&train[..20]).detect(&held[1].cloud);
    assert!(!found.is_empty() && found.is_sorted_by(|a, b| b.score() <= a.score()));
    let is_fine = |f: &ScoredCuboid| f.cuboid().frame() == CuboidFrame::Lidar && f.cuboid().is_upright();
    assert!(found.iter().all(is_fine));
}

#[test]
fn scores_are_about_as_often_right_as_they_say() {
    let (train, held) = split();
    let mut sums = [0.0; 2];
    let mut n = 0.0;
    for (found, labels) in judged(&trained(&train[..100]), &held) {
        for f in found {
            let is_right =
                labels.iter().any(|l| l.class == f.class() && 0.3 < common::iou(&l.cuboid, &f.cuboid()));
            sums = [sums[0] + f.score(), sums[1] + f64::from(u8::from(is_right))];
            n += 1.0;
        }
    }
    let [said, right] = sums.map(|s| s / n);
    eprintln!("mean score {said:.3}, right {right:.3} of {n} detections");
    assert!((said - right).abs() < 0.12, "{said} {right}");
}

#[test]
fn files_come_back_and_damage_is_noticed() {
    let (train, held) = split();
    let detector = trained(&train[..5]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("detector");
    detector.save(&path).unwrap();
    let back = CloudDetector::load(&path).unwrap();
    assert!(back == detector && back.n_classes() == 6);
    assert_eq!(back.detect(&held[0].cloud), detector.detect(&held[0].cloud));
    let bytes = detector.to_bytes();
    for at in (0..bytes.len()).step_by(997) {
        let mut other = bytes.clone();
        other[at] ^= 0x10;
        assert!(matches!(CloudDetector::from_bytes(&other), Err(TrainError::NotADetector { .. })), "{at}");
        assert!(CloudDetector::from_bytes(&bytes[..at]).is_err());
    }
    assert!(matches!(CloudDetector::load(&folder.path().join("none")), Err(TrainError::Io { .. })));
}

fn label(class: u32, frame: CuboidFrame) -> LabelledCuboid {
    let cuboid = Cuboid::new([5.0, 0.0, 0.0], [1.0; 3], 0.0, frame).unwrap();
    LabelledCuboid { class: ClassIdx(class), cuboid, annotator: None }
}

#[test]
fn what_cannot_be_learned_from_is_told() {
    let (id, cloud) = (SampleId::new("a").unwrap(), PointCloud::default());
    let train = |cuboids: &[LabelledCuboid], n_scans: usize, n_classes: usize| {
        let scans = vec![CloudScan { id: &id, cloud: &cloud, cuboids }; n_scans];
        CloudDetectorParams::default().train(&scans, n_classes, &Silent)
    };
    let lidar = [label(0, CuboidFrame::Lidar)];
    assert!(matches!(train(&lidar, 1, 0), Err(TrainError::ClassCount { found: 0, .. })));
    assert!(matches!(train(&lidar, 1, 20_000), Err(TrainError::ClassCount { .. })));
    assert!(matches!(train(&lidar, 0, 1), Err(TrainError::NothingAdded)));
    assert!(matches!(train(&lidar, 2, 1), Err(TrainError::DuplicateSample { .. })));
    let alien = [label(3, CuboidFrame::Lidar)];
    assert!(matches!(train(&alien, 1, 3), Err(TrainError::ClassOutOfRange { found: 3, .. })));
    let camera = [label(0, CuboidFrame::KittiCamera)];
    assert!(matches!(train(&camera, 1, 1), Err(TrainError::Core(_))));
    let unusable = train(&lidar, 1, 1);
    assert!(matches!(unusable, Err(TrainError::NoUsableCuboid { n_scans: 1, n_cuboids: 1 })), "{unusable:?}");
}

#[test]
fn an_early_end_is_an_error() {
    struct Stop;
    impl Progress for Stop {
        fn advance(&self, _: &str, _: u64, _: u64) {}
        fn is_cancelled(&self) -> bool {
            true
        }
    }
    let (train, _) = split();
    let ended = CloudDetectorParams::default().train(&[train[0].view()], 6, &Stop);
    assert!(matches!(ended, Err(TrainError::Cancelled(Cancelled { total: 1, .. }))));
}

#[test]
fn a_class_without_labels_is_never_found() {
    let (train, held) = split();
    let views: Vec<CloudScan<'_>> = train[..10].iter().map(|s| s.view()).collect();
    let detector =
        CloudDetectorParams { score_floor: 0.0, ..Default::default() }.train(&views, 9, &Silent).unwrap();
    for s in &held[..5] {
        assert!(detector.detect(&s.cloud).iter().all(|f| f.class().0 < 6));
    }
}

#[test]
fn strange_clouds_give_nothing_and_do_not_panic() {
    let (train, _) = split();
    let detector = trained(&train[..5]);
    assert_eq!(detector.detect(&PointCloud::default()), []);
    let nan = [f32::NAN, f32::INFINITY, 1e30, 0.0];
    assert_eq!(detector.detect(&PointCloud::new(vec![nan; 100])), []);
    let spot = PointCloud::new(vec![[3.0, 0.0, 0.0, 0.5]; 500]);
    assert_eq!(detector.detect(&spot), [], "a spot is its own ground");
    let far = PointCloud::new((0..500).map(|i| [1e4 + i as f32, 0.0, i as f32, 0.5]).collect());
    assert_eq!(detector.detect(&far), []);
}

/// Four frames of one drive, where they are at hand: too few to ask for a number, enough to see that clouds of 67 000
/// points are no trouble.
#[test]
fn real_frames_are_learned_from() {
    let folder = std::env::var_os("LABELLOOP_SHARED").map_or_else(
        || std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        std::path::PathBuf::from,
    );
    let root = folder.join("data/sustech3d");
    let Ok(text) = std::fs::read_to_string(root.join("frames.jsonl")) else {
        eprintln!("left out: {} is not there", root.display());
        return;
    };
    let lines: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let names = ["Bus", "Car", "Motor", "Pedestrian", "Rider", "Truck"];
    let scans: Vec<Scan> = lines
        .iter()
        .map(|line| {
            let numbers = |v: &serde_json::Value| std::array::from_fn(|i| v[i].as_f64().unwrap());
            let cuboids = line["boxes"].as_array().unwrap().iter().map(|b| LabelledCuboid {
                class: ClassIdx(names.iter().position(|n| b["category"] == *n).unwrap() as u32),
                cuboid: Cuboid::new(
                    numbers(&b["center"]),
                    numbers(&b["size"]),
                    b["yaw"].as_f64().unwrap(),
                    CuboidFrame::Lidar,
                )
                .unwrap(),
                annotator: None,
            });
            let points = root.join(line["points"].as_str().unwrap());
            Scan {
                id: SampleId::new(line["frame"].to_string()).unwrap(),
                group: 0,
                cloud: labelloop_media::read_kitti_bin(&points).unwrap(),
                cuboids: cuboids.collect(),
            }
        })
        .collect();
    let (train, held): (Vec<&Scan>, Vec<&Scan>) = scans.iter().partition(|s| s.id.as_str() != "975");
    let detector = trained(&train);
    let start = std::time::Instant::now();
    let found = judged(&detector, &held);
    eprintln!(
        "{} points, {} boxes found in {:.0?}",
        held[0].cloud.n_points(),
        found[0].0.len(),
        start.elapsed()
    );
    for (class, name) in names.iter().enumerate() {
        let n = held[0].cuboids.iter().filter(|c| c.class.as_usize() == class).count();
        let ap = [0.25, 0.5].map(|iou| average_precision(&found, class as u32, iou));
        eprintln!("{name}: {n} labels, AP40 at 3D IoU 0.25 {:.2}, at 0.5 {:.2}", ap[0], ap[1]);
    }
    assert!(!found[0].0.is_empty());
}
