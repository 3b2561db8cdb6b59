//! KITTI folders as captures of two cameras and a lidar: lines come back word for word, changes are written, and what is
//! wrong is told.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use std::fs;
use std::path::{Path, PathBuf};

use labelloop_core::{AnnotationSet, Camera, Cuboid, CuboidFrame, LabelledCuboid, SampleRecord, SliceKind};
use labelloop_formats::kitti::{Calibration, CaptureGroups, CaptureOptions, read_captures, write_captures};
use labelloop_formats::{FormatError, Lost, MediaMode, ReadOptions, Strictness, Warning, WarningKind};
use proptest::prelude::*;

const CALIBRATION: &str = "P0: 7.205000000000e+02 0.000000000000e+00 6.102500000000e+02 0.000000000000e+00 \
    0.000000000000e+00 7.205000000000e+02 1.747500000000e+02 0.000000000000e+00 0.000000000000e+00 \
    0.000000000000e+00 1.000000000000e+00 0.000000000000e+00\n\
    P2: 7.205000000000e+02 0.000000000000e+00 6.102500000000e+02 4.450000000000e+01 \
    0.000000000000e+00 7.205000000000e+02 1.747500000000e+02 2.100000000000e-01 0.000000000000e+00 \
    0.000000000000e+00 1.000000000000e+00 2.700000000000e-03\n\
    P3: 7.205000000000e+02 0.000000000000e+00 6.102500000000e+02 -3.401250000000e+02 \
    0.000000000000e+00 7.205000000000e+02 1.747500000000e+02 1.750000000000e+00 0.000000000000e+00 \
    0.000000000000e+00 1.000000000000e+00 3.100000000000e-03\n\
    R0_rect: 9.999500000000e-01 -8.017878000000e-03 -5.975745000000e-03 7.999771000000e-03 \
    9.999634000000e-01 -3.047898000000e-03 5.999964000000e-03 2.999942000000e-03 9.999775000000e-01\n\
    Tr_velo_to_cam: -4.999969000000e-03 -9.999795000000e-01 -4.009939000000e-03 -1.230000000000e-02 \
    1.999999000000e-03 3.999981000000e-03 -9.999900000000e-01 -7.110000000000e-02 \
    9.999855000000e-01 -5.007939000000e-03 1.979958000000e-03 -2.905000000000e-01\n";
const CAR: &str = "Car 0.00 0 -1.65 664.07 183.08 708.18 219.72 1.50 1.64 4.10 3.30 1.90 32.50 -1.55";
const VAN: &str = "Van 0.10 1 1.83 417.03 171.94 472.03 213.03 2.20 1.90 4.80 -9.40 2.05 41.00 1.60";
const IGNORED: &str = "DontCare -1 -1 -10 410.50 165.70 470.25 188.00 -1 -1 -1 -1000 -1000 -1000 -10";

/// Metres that a changed cuboid may move: rotations in calibration files have seven digits.
const NEAR: f64 = 1e-4;

fn strict() -> CaptureOptions {
    let read = ReadOptions { strictness: Strictness::Strict, ..ReadOptions::default() };
    CaptureOptions { read, ..CaptureOptions::default() }
}

fn put(root: &Path, file: &str, text: impl AsRef<[u8]>) {
    let path = root.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A folder with one capture of all slices.
fn folder(lines: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    put(root, "label_2/000001.txt", lines.iter().map(|l| format!("{l}\n")).collect::<String>());
    put(root, "calib/000001.txt", CALIBRATION);
    put(root, "velodyne/000001.bin", [0; 32]);
    for place in ["image_2", "image_3"] {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend([0, 0, 4, 218, 0, 0, 1, 119]);
        put(root, &format!("{place}/000001.png"), png);
    }
    put(root, "classes.txt", "Car\nVan\nPedestrian\n");
    folder
}

fn read(root: &Path) -> AnnotationSet {
    read_captures(root, &strict()).unwrap().set
}

/// Writes with media; the folder, its label file and what was lost.
fn written(set: &AnnotationSet, media_root: &Path) -> (tempfile::TempDir, PathBuf, Vec<Warning>) {
    let keep = tempfile::tempdir().unwrap();
    let out = keep.path().join("out");
    let warnings = write_captures(&out, set, media_root, MediaMode::Copy).unwrap();
    (keep, out, warnings)
}

fn labels_of(out: &Path) -> String {
    fs::read_to_string(out.join("label_2/000001.txt")).unwrap()
}

fn cuboids(set: &mut AnnotationSet) -> &mut Vec<LabelledCuboid> {
    set.samples.iter_mut().find(|s| s.kind == SliceKind::PointCloud).unwrap().cuboids.as_mut().unwrap()
}

fn lost(warnings: &[Warning]) -> Vec<(Lost, usize)> {
    let of = |w: &Warning| match w.kind {
        WarningKind::NotCarried { what, count, .. } => (what, count),
        _ => panic!("{w}"),
    };
    warnings.iter().map(of).collect()
}

fn camera_of(sample: &SampleRecord) -> Camera {
    serde_json::from_str(&sample.extra["camera"]).unwrap()
}

#[test]
fn a_capture_has_three_slices_with_the_labels_that_belong_to_them() {
    let keep = folder(&[CAR, VAN, IGNORED]);
    let set = read(keep.path());
    let [left, right, cloud] = &set.samples[..] else { panic!("{set:?}") };
    for (sample, slice, file) in [
        (left, "left", "image_2/000001.png"),
        (right, "right", "image_3/000001.png"),
        (cloud, "pcd", "velodyne/000001.bin"),
    ] {
        assert_eq!((sample.slice.as_str(), sample.file_name.as_str()), (slice, file));
        assert_eq!(sample.id.as_str(), format!("000001/{slice}"));
        assert_eq!((sample.capture.as_str(), sample.group.as_str()), ("000001", "000001"));
    }
    assert_eq!(left.size.unwrap().width(), 1242);
    assert_eq!((left.boxes.as_ref().unwrap().len(), &right.boxes, &cloud.boxes), (2, &None, &None));
    let cuboids = cloud.cuboids.as_ref().unwrap();
    assert_eq!(cuboids.iter().map(|c| c.class.0).collect::<Vec<_>>(), [0, 1]);
    let car = cuboids[0].cuboid;
    assert_eq!(car.frame(), CuboidFrame::Lidar);
    assert!(car.is_upright());
    let [x, y, z] = car.centre();
    assert!((x - 32.8).abs() < 0.2 && (y + 3.3).abs() < 0.6 && (z + 1.2).abs() < 0.4, "{car:?}");
    assert!(!right.extra.contains_key("calibration") && camera_of(right) != camera_of(left));
}

#[test]
fn projected_cuboids_are_where_the_boxes_are() {
    let keep = folder(&[CAR, VAN]);
    let set = read(keep.path());
    let camera = camera_of(&set.samples[0]);
    let boxes = set.samples[0].boxes.as_ref().unwrap();
    for (label, cuboid) in boxes.iter().zip(set.samples[2].cuboids.as_ref().unwrap()) {
        let seen = camera.project_cuboid(&cuboid.cuboid, set.samples[0].size).unwrap().unwrap();
        assert!(0.7 < seen.iou(label.bbox), "{seen:?} {:?}", label.bbox);
    }
}

#[test]
fn lines_that_nobody_changed_come_back_word_for_word() {
    let boxless = "Pedestrian -1 -1 -10 -1 -1 -1 -1 1.80 0.60 0.80 3.00 1.60 12.00 0.50";
    let scored = "Pedestrian 0.0 3 0.10 700.50 140.00 790.25 300.00 1.80 0.50 1.10 1.50 1.45 8.50 0.05 0.90";
    let flat = "Car -1 -1 -10 10.00 20.00 30.00 40.00 -1 -1 -1 -1000 -1000 -1000 -10";
    let lines = [CAR, scored, flat, boxless, IGNORED];
    let keep = folder(&lines);
    let set = read(keep.path());
    assert_eq!(set.samples[0].boxes.as_ref().unwrap().len(), 3);
    assert_eq!(set.samples[2].cuboids.as_ref().unwrap().len(), 3);
    let (_keep, out, warnings) = written(&set, keep.path());
    assert_eq!(warnings, []);
    assert_eq!(labels_of(&out).lines().collect::<Vec<_>>(), lines);
    assert_eq!(fs::read_to_string(out.join("calib/000001.txt")).unwrap(), CALIBRATION);
    assert_eq!(read(&out), set);
}

#[test]
fn cuboids_without_a_box_keep_their_place_before_those_with_one() {
    const BOXLESS: &str = "Car -1 -1 -10 -1 -1 -1 -1 1.50 1.64 4.10 3.30 1.90 32.50 -1.55";
    for lines in [[BOXLESS, CAR, VAN], [CAR, BOXLESS, VAN], [CAR, VAN, BOXLESS]] {
        let keep = folder(&lines);
        let set = read(keep.path());
        let (_out, out, warnings) = written(&set, keep.path());
        assert!(warnings.is_empty(), "{warnings:?}");
        assert_eq!(labels_of(&out).lines().collect::<Vec<_>>(), lines);
        assert_eq!(read(&out), set);
    }
}

#[test]
fn a_cuboid_that_was_moved_is_written_with_a_new_alpha() {
    let keep = folder(&[CAR, VAN]);
    let mut set = read(keep.path());
    let car = cuboids(&mut set)[0].cuboid;
    let [x, y, z] = car.centre();
    let moved = Cuboid::new([x + 0.5, y, z], [4.5, 1.6, 1.4], car.yaw() + 0.1, CuboidFrame::Lidar).unwrap();
    cuboids(&mut set)[0].cuboid = moved;
    let (_keep, out, warnings) = written(&set, keep.path());
    assert_eq!(warnings, []);
    let text = labels_of(&out);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("Car 0 0 ") && lines[1] == VAN, "{text}");
    let numbers: Vec<f64> = lines[0].split(' ').skip(1).map(|w| w.parse().unwrap()).collect();
    assert!((numbers[3] - 664.07).abs() < 1e-9, "its box stays");
    let expected = numbers[13] - numbers[10].atan2(numbers[12]);
    assert!((numbers[2] - expected).abs() < 1e-9 && (numbers[13] + 1.65).abs() < 0.01);
    let mut back = read(&out);
    let found = cuboids(&mut back)[0].cuboid;
    let (a, b) = (found.centre(), moved.centre());
    assert!((0..3).all(|i| (a[i] - b[i]).abs() < NEAR), "{found:?} {moved:?}");
    // Heads are levelled in either frame, which are a few thousandths apart.
    assert!((found.yaw() - moved.yaw()).abs() < 1e-3);
}

#[test]
fn a_cuboid_that_was_taken_out_leaves_the_box() {
    let keep = folder(&[CAR, CAR, VAN]);
    let mut set = read(keep.path());
    cuboids(&mut set).remove(2);
    let (_keep, out, warnings) = written(&set, keep.path());
    assert_eq!(warnings, []);
    let text = labels_of(&out);
    assert_eq!(text.lines().take(2).collect::<Vec<_>>(), [CAR, CAR]);
    assert!(text.lines().nth(2).unwrap().ends_with("-1 -1 -1 -1000 -1000 -1000 -10"), "{text}");
}

#[test]
fn a_box_that_was_taken_out_leaves_the_cuboid() {
    let keep = folder(&[CAR, VAN]);
    let mut set = read(keep.path());
    set.samples[0].boxes.as_mut().unwrap().remove(0);
    let (_keep, out, warnings) = written(&set, keep.path());
    assert_eq!(warnings, []);
    let text = labels_of(&out);
    assert_eq!(text.lines().next(), Some(VAN));
    assert!(text.lines().nth(1).unwrap().contains(" -1 -1 -1 -1 1.5 1.64 "), "{text}");
    let mut back = read(&out);
    assert_eq!(back.samples[0].boxes.as_ref().unwrap().len(), 1);
    assert_eq!(cuboids(&mut back).len(), 2);
}

#[test]
fn without_a_calibration_cuboids_stay_with_the_camera_and_one_is_told() {
    let keep = folder(&[CAR]);
    fs::remove_dir_all(keep.path().join("calib")).unwrap();
    let read = read_captures(keep.path(), &CaptureOptions::default()).unwrap();
    let said = read.warnings[0].to_string();
    assert!(
        said.ends_with("calib/000001.txt is missing: 1 cuboids stay in the frame of the camera"),
        "{said}"
    );
    let mut set = read.set;
    assert_eq!(cuboids(&mut set)[0].cuboid.frame(), CuboidFrame::KittiCamera);
    assert!(!set.samples[0].extra.contains_key("camera"));
    assert!(matches!(read_captures(keep.path(), &strict()), Err(FormatError::Refused(_))));
    let (_keep, out, warnings) = written(&set, keep.path());
    assert_eq!((labels_of(&out), warnings), (format!("{CAR}\n"), vec![]));
    assert!(!out.join("calib").exists());
}

#[test]
fn a_calibration_that_is_none_is_an_error_however_lenient() {
    let keep = folder(&[CAR]);
    put(keep.path(), "calib/000001.txt", CALIBRATION.replace("9.999500000000e-01", "2"));
    let refused = read_captures(keep.path(), &CaptureOptions::default()).unwrap_err();
    assert_eq!(
        (refused.line(), refused.path()),
        (Some(4), Some(keep.path().join("calib/000001.txt").as_path()))
    );
}

#[test]
fn without_a_cloud_the_columns_stay_with_the_box() {
    let keep = folder(&[CAR]);
    fs::remove_dir_all(keep.path().join("velodyne")).unwrap();
    let set = read(keep.path());
    assert_eq!(set.samples.len(), 2);
    assert_eq!(set.samples[0].boxes.as_ref().unwrap()[0].extra["location"], "[3.3, 1.9, 32.5]");
    let (_keep, out, _) = written(&set, keep.path());
    assert_eq!(labels_of(&out), format!("{CAR}\n"));
}

#[test]
fn captures_without_a_label_file_are_unlabelled_and_empty_ones_are_empty() {
    let keep = folder(&[]);
    put(keep.path(), "velodyne/000002.bin", [0; 16]);
    put(keep.path(), "calib/000002.txt", CALIBRATION);
    let set = read(keep.path());
    let states: Vec<_> =
        set.samples.iter().map(|s| (s.id.as_str(), s.boxes.is_some(), s.cuboids.is_some())).collect();
    assert_eq!(
        states,
        [
            ("000001/left", true, false),
            ("000001/right", false, false),
            ("000001/pcd", false, true),
            ("000002/pcd", false, false)
        ]
    );
    let (_keep, out, warnings) = written(&set, keep.path());
    assert_eq!(lost(&warnings), [(Lost::UnlabelledSamples, 1)]);
    assert_eq!(labels_of(&out), "");
    let first: Vec<_> = set.samples.into_iter().filter(|s| s.capture.as_str() == "000001").collect();
    assert_eq!(read(&out).samples, first);
}

#[test]
fn sequences_are_groups_where_asked() {
    let keep = folder(&[CAR]);
    put(keep.path(), "velodyne/000002.bin", "");
    let options = CaptureOptions { groups: CaptureGroups::Prefix(4), ..CaptureOptions::default() };
    let set = read_captures(keep.path(), &options).unwrap().set;
    assert!(set.samples.iter().all(|s| s.group.as_str() == "0000"));
    let (_keep, _, warnings) = written(&set, keep.path());
    assert_eq!(lost(&warnings), [(Lost::UnlabelledSamples, 1), (Lost::Groups, 3)]);
    let options = CaptureOptions { groups: CaptureGroups::Prefix(40), ..CaptureOptions::default() };
    let set = read_captures(keep.path(), &options).unwrap().set;
    assert_eq!(set.samples[0].group.as_str(), "000001");
}

#[test]
fn cuboids_that_are_none_are_told_and_their_lines_stay() {
    let flat = "Car 0.00 0 -1.65 664.07 183.08 708.18 219.72 0.00 1.64 4.10 3.30 1.90 32.50 -1.55";
    let keep = folder(&[flat]);
    let read = read_captures(keep.path(), &CaptureOptions::default()).unwrap();
    assert!(read.warnings[0].to_string().contains("cuboid field height is 0"), "{:?}", read.warnings);
    let mut set = read.set;
    assert!(cuboids(&mut set).is_empty());
    let (_keep, out, _) = written(&set, keep.path());
    assert_eq!(labels_of(&out), format!("{flat}\n"));
}

#[test]
fn what_kitti_cannot_hold_is_counted() {
    let keep = folder(&[CAR]);
    let mut set = read(keep.path());
    set.extra.insert("info".to_owned(), "1".to_owned());
    set.samples[1].boxes = set.samples[0].boxes.clone();
    set.samples[0].extra.insert("weather".to_owned(), "1".to_owned());
    set.samples[0].boxes.as_mut().unwrap()[0].is_crowd = true;
    let map = Cuboid::new([1.0; 3], [1.0; 3], 0.0, CuboidFrame::Global).unwrap();
    cuboids(&mut set).push(LabelledCuboid {
        cuboid: map,
        annotator: Some("a".to_owned()),
        class: labelloop_core::ClassIdx(0),
    });
    let other = SampleRecord {
        id: labelloop_core::SampleId::new("000001/rear").unwrap(),
        slice: "rear".to_owned(),
        ..set.samples[1].clone()
    };
    set.samples.push(other);
    let (_keep, _, warnings) = written(&set, keep.path());
    let expected = [
        (Lost::Cuboids, 1),
        (Lost::UnlabelledMarks, 1),
        (Lost::CrowdMarks, 1),
        (Lost::Annotators, 1),
        (Lost::SampleFields, 1),
        (Lost::FileFields, 1),
        (Lost::Boxes, 1),
        (Lost::Slices, 1),
    ];
    assert_eq!(lost(&warnings), expected);
}

#[test]
fn nothing_labelled_is_nothing_to_write_and_nowhere_is_an_error() {
    let keep = folder(&[CAR]);
    let mut set = read(keep.path());
    set.samples.iter_mut().for_each(|s| (s.boxes, s.cuboids) = (None, None));
    let out = keep.path().join("out");
    let refused = write_captures(&out, &set, keep.path(), MediaMode::None);
    assert!(matches!(refused, Err(FormatError::NothingToWrite { n_samples: 3, .. })));
    assert!(!out.exists());
    assert!(matches!(read_captures(Path::new("no such place"), &strict()), Err(FormatError::Io { .. })));
}

fn line() -> impl Strategy<Value = String> {
    let hundredth = |low: i32, high: i32| (low..high).prop_map(|v| format!("{:.2}", f64::from(v) / 100.0));
    let word = prop_oneof![Just("Car"), Just("Van"), Just("Pedestrian")];
    let space = (
        hundredth(50, 400),
        hundredth(50, 300),
        hundredth(50, 900),
        hundredth(-3000, 3000),
        hundredth(-100, 300),
    );
    let flat = (0..60_000i32, 0..20_000i32, 100..20_000i32, 100..10_000i32).prop_map(|(x, y, w, h)| {
        [x, y, x + w, y + h].map(|v| format!("{:.2}", f64::from(v) / 100.0)).join(" ")
    });
    (
        word,
        hundredth(0, 100),
        0..4u8,
        hundredth(-314, 315),
        flat,
        space,
        hundredth(300, 7000),
        hundredth(-314, 315),
        any::<bool>(),
    )
        .prop_map(|(word, truncated, occluded, alpha, flat, (h, w, l, x, y), z, turn, known)| {
            let space = if known {
                format!("{h} {w} {l} {x} {y} {z} {turn}")
            } else {
                "-1 -1 -1 -1000 -1000 -1000 -10".to_owned()
            };
            format!("{word} {truncated} {occluded} {alpha} {flat} {space}")
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_labels_come_back_word_for_word(lines in proptest::collection::vec(line(), 0..8)) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).chain([IGNORED]).collect();
        let keep = folder(&lines);
        let set = read(keep.path());
        let (_keep, out, warnings) = written(&set, keep.path());
        prop_assert_eq!(warnings, vec![]);
        let text = labels_of(&out);
        prop_assert_eq!(text.lines().collect::<Vec<_>>(), lines);
        prop_assert_eq!(read(&out), set);
    }

    #[test]
    fn changed_cuboids_come_back_in_their_place(
        lines in proptest::collection::vec(line(), 1..6), shift in [-0.3..0.3f64, -0.3..0.3f64, -0.1..0.1f64],
    ) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let keep = folder(&lines);
        let mut set = read(keep.path());
        for label in cuboids(&mut set) {
            let c = label.cuboid;
            let centre = [0, 1, 2].map(|i| c.centre()[i] + shift[i]);
            label.cuboid = Cuboid::new(centre, c.size(), c.yaw(), CuboidFrame::Lidar).unwrap();
        }
        let (_keep, out, warnings) = written(&set, keep.path());
        prop_assert_eq!(warnings, vec![]);
        let mut back = read(&out);
        prop_assert_eq!(back.samples[0].boxes.as_ref().unwrap().len(), set.samples[0].boxes.as_ref().unwrap().len());
        let mut expected: Vec<_> = cuboids(&mut set).iter().map(|c| (c.class, c.cuboid.centre())).collect();
        let mut found: Vec<_> = cuboids(&mut back).iter().map(|c| (c.class, c.cuboid.centre())).collect();
        expected.sort_by(|a, b| a.1[0].total_cmp(&b.1[0]));
        found.sort_by(|a, b| a.1[0].total_cmp(&b.1[0]));
        prop_assert_eq!(expected.len(), found.len());
        for (e, f) in expected.iter().zip(&found) {
            prop_assert_eq!(e.0, f.0);
            prop_assert!((0..3).all(|i| (e.1[i] - f.1[i]).abs() < NEAR), "{:?} {:?}", e, f);
        }
    }

    #[test]
    fn no_text_panics(text in "[A-Za-z0-9 .:\\n-]{0,200}") {
        let keep = folder(&[]);
        put(keep.path(), "label_2/000001.txt", &text);
        let _ = read_captures(keep.path(), &CaptureOptions::default());
        put(keep.path(), "calib/000001.txt", &text);
        let _ = read_captures(keep.path(), &CaptureOptions::default());
        let _ = Calibration::parse(Path::new("x"), &text);
    }
}
