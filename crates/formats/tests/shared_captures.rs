//! Real captures, where they are at hand.

#![allow(clippy::print_stderr, clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use labelloop_core::{
    AnnotationSet, Camera, CaptureId, ClassIdx, ClassSchema, Cuboid, CuboidFrame, Extra, GroupKey, ImageSize,
    LabelledCuboid, RigidTransform, SampleId, SampleRecord, SliceKind,
};
use labelloop_formats::kitti::{CaptureOptions, read_captures, write_captures};
use labelloop_formats::{MediaMode, ReadOptions, Strictness};
use serde_json::Value;

fn shared(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("LABELLOOP_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let path = folder.join("data").join(name);
    if !path.exists() {
        eprintln!("left out: {} is not there", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn cuboids_of_kitti_frames_are_seen_where_their_boxes_are() {
    let Some(root) = shared("kitti_frames") else { return };
    let read = read_captures(&root, &CaptureOptions::default()).unwrap();
    let (mut n_objects, mut n_whole) = (0, 0);
    for capture in read.set.samples.chunk_by(|a, b| a.capture == b.capture) {
        let [left, cloud] = capture else { panic!("{capture:?}") };
        let camera: Camera = serde_json::from_str(&left.extra["camera"]).unwrap();
        for label in left.boxes.as_ref().unwrap() {
            let number: usize = label.extra["cuboid"].parse().unwrap();
            let cuboid = &cloud.cuboids.as_ref().unwrap()[number];
            assert_eq!(cuboid.class, label.class);
            let seen = camera.project_cuboid(&cuboid.cuboid, left.size).unwrap().unwrap();
            let iou = seen.iou(label.bbox);
            let name = read.set.schema.name(label.class).unwrap_or_default();
            eprintln!("{} {name}: IoU {iou:.3}", left.id);
            assert!(0.6 < iou, "{} {name}: {seen:?} {:?}", left.id, label.bbox);
            n_objects += 1;
            let is_whole = name == "Car" && label.extra["truncated"].parse::<f64>().unwrap() < 0.05;
            n_whole += usize::from(is_whole && 0.7 < iou);
            assert!(!is_whole || 0.7 < iou);
        }
    }
    assert!((5, 2) <= (n_objects, n_whole), "{n_objects} {n_whole}");
}

#[test]
fn label_files_of_kitti_come_back_word_for_word() {
    let Some(root) = shared("kitti_frames") else { return };
    let options = CaptureOptions {
        read: ReadOptions { strictness: Strictness::Lenient, ..ReadOptions::default() },
        ..CaptureOptions::default()
    };
    let set = read_captures(&root, &options).unwrap().set;
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    assert_eq!(write_captures(&out, &set, &root, MediaMode::Link).unwrap(), []);
    for name in ["000000", "000001", "000002"] {
        let text =
            |root: &Path, kind: &str| fs::read_to_string(root.join(format!("{kind}/{name}.txt"))).unwrap();
        for kind in ["label_2", "calib"] {
            assert_eq!(text(&out, kind).trim_end(), text(&root, kind).trim_end(), "{kind} of {name}");
        }
    }
    assert_eq!(read_captures(&out, &options).unwrap().set, set);
}

/// Frames of a few cameras and a lidar, as `frames.jsonl` and `calib/camera/*.json` tell them.
fn frames(root: &Path) -> AnnotationSet {
    let lines: Vec<Value> = fs::read_to_string(root.join("frames.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let categories = lines.iter().flat_map(|l| l["boxes"].as_array().unwrap());
    let names: std::collections::BTreeSet<&str> =
        categories.map(|b| b["category"].as_str().unwrap()).collect();
    let schema = ClassSchema::new(names).unwrap();
    let samples = lines.iter().flat_map(|line| slices(root, line, &schema)).collect();
    AnnotationSet { schema, samples, extra: Extra::new() }
}

fn slices(root: &Path, line: &Value, schema: &ClassSchema) -> Vec<SampleRecord> {
    let capture = format!("{:06}", line["frame"].as_u64().unwrap());
    let record = |slice: &str, kind, file: &str| SampleRecord {
        id: SampleId::new(format!("{capture}/{slice}")).unwrap(),
        capture: CaptureId::new(&*capture).unwrap(),
        group: GroupKey::new(line["sequence"].as_str().unwrap()).unwrap(),
        slice: slice.to_owned(),
        kind,
        file_name: file.to_owned(),
        size: None,
        boxes: None,
        cuboids: None,
        labelled_by: None,
        extra: Extra::new(),
    };
    let cuboids = line["boxes"].as_array().unwrap().iter().map(|b| LabelledCuboid {
        class: schema.index(b["category"].as_str().unwrap()).unwrap(),
        cuboid: Cuboid::new(
            numbers(&b["center"]),
            numbers(&b["size"]),
            b["yaw"].as_f64().unwrap(),
            CuboidFrame::Lidar,
        )
        .unwrap(),
        annotator: None,
    });
    let cloud = record("pcd", SliceKind::PointCloud, line["points"].as_str().unwrap());
    let mut slices = vec![SampleRecord { cuboids: Some(cuboids.collect()), ..cloud }];
    for (slice, file) in line["images"].as_object().unwrap() {
        let mut picture = record(slice, SliceKind::Image, file.as_str().unwrap());
        picture.size = Some(ImageSize::new(2048, 1536).unwrap());
        let camera =
            serde_json::to_string(&camera(&root.join(format!("calib/camera/{slice}.json")))).unwrap();
        picture.extra.insert("camera".to_owned(), camera);
        slices.push(picture);
    }
    slices
}

fn numbers<const N: usize>(value: &Value) -> [f64; N] {
    let list = value.as_array().unwrap();
    std::array::from_fn(|i| list[i].as_f64().unwrap())
}

fn camera(path: &Path) -> Camera {
    let text: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let (e, k) = (numbers::<16>(&text["extrinsic"]), numbers::<9>(&text["intrinsic"]));
    let rotation = std::array::from_fn(|i| std::array::from_fn(|j| e[4 * i + j]));
    let camera_from_lidar = RigidTransform::new(rotation, [e[3], e[7], e[11]]).unwrap();
    Camera::new(std::array::from_fn(|i| [k[3 * i], k[3 * i + 1], k[3 * i + 2], 0.0]), camera_from_lidar)
        .unwrap()
}

#[test]
fn frames_of_another_rig_show_what_is_ahead_inside_the_picture() {
    let Some(root) = shared("sustech3d") else { return };
    let set = frames(&root);
    assert_eq!(set.samples.len(), 4 + 3 * 3);
    let size = ImageSize::new(2048, 1536).unwrap();
    for capture in set.samples.chunk_by(|a, b| a.capture == b.capture) {
        let cuboids = capture[0].cuboids.as_ref().unwrap();
        let Some(front) = capture.iter().find(|s| s.slice == "front") else { continue };
        let camera: Camera = serde_json::from_str(&front.extra["camera"]).unwrap();
        let mut n_ahead = 0;
        for label in cuboids {
            let [x, _, z] = camera.camera_from_lidar().apply(label.cuboid.centre());
            let seen = camera.project_cuboid(&label.cuboid, Some(size)).unwrap();
            // Well within the opening of the lens, which is 80 degrees.
            if 5.0 < z && x.abs() < 0.6 * z {
                assert!(seen.is_some_and(|b| b.is_inside(size, 0.0)), "{}: {label:?}", front.id);
                n_ahead += 1;
            }
            if z < -5.0 {
                assert_eq!(seen, None, "{}: {label:?}", front.id);
            }
        }
        eprintln!("{}: {n_ahead} of {} cuboids ahead", front.id, cuboids.len());
        assert!(3 <= n_ahead, "{}", front.id);
    }
    assert_eq!(set.schema.index("Car").unwrap(), ClassIdx(1));
}
