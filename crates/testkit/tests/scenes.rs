//! What everything that runs on the generated scenes relies on.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use labelloop_core::{
    AnnotationSet, BBox, Camera, Cancelled, Cuboid, Progress, SampleRecord, Silent, SliceKind,
};
use labelloop_media::{load, points_in_cuboid, read_kitti_bin};
use labelloop_testkit::TestkitError;
use labelloop_testkit::scenes::{
    Light, RenderedGroup, SLICES, SceneKind, SceneParams, SceneValidParams, camera_of, generate,
};

fn scenes(n_groups: usize) -> SceneValidParams {
    SceneParams { n_groups, ..SceneParams::default() }.check().unwrap()
}

/// The default sequences in small pictures without noise: the same objects, quicker to render.
fn small_scenes(seed: u64) -> SceneValidParams {
    SceneParams { seed, width: 96, height: 72, noise: 0.0, ..SceneParams::default() }.check().unwrap()
}

fn groups(valid: &SceneValidParams) -> Vec<RenderedGroup> {
    (0..valid.n_groups()).map(|g| valid.render_group(g)).collect()
}

fn records(groups: &[RenderedGroup]) -> Vec<&SampleRecord> {
    groups.iter().flat_map(|g| &g.captures).flat_map(|c| &c.records).collect()
}

fn count_classes<'a>(records: impl IntoIterator<Item = &'a SampleRecord>) -> [usize; 6] {
    let mut counts = [0; 6];
    for label in records.into_iter().filter_map(|r| r.boxes.as_ref()).flatten() {
        counts[label.class.as_usize()] += 1;
    }
    counts
}

fn bytes_of(dir: &Path, set: &AnnotationSet) -> Vec<Vec<u8>> {
    set.samples.iter().map(|s| std::fs::read(dir.join(&s.file_name)).unwrap()).collect()
}

#[test]
fn bytes_are_the_same_at_any_number_of_threads() {
    let valid = scenes(6);
    let run = |n_threads: usize| {
        let dir = tempfile::tempdir().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        let set = pool.install(|| generate(&valid, dir.path(), &Silent)).unwrap();
        let bytes = bytes_of(dir.path(), &set);
        (set, bytes)
    };
    let first = run(1);
    assert!(first == run(4), "one thread and four");
    assert!(first == run(4), "four threads twice");
}

#[test]
fn pixels_are_those_of_all_other_machines() {
    // The sum changes with every change of the scenes; that it is the same on all platforms is what is tested.
    let group = scenes(10).render_group(3);
    let capture = &group.captures[0];
    let sum = |bytes: &[u8]| {
        bytes.iter().fold(0xCBF2_9CE4_8422_2325u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01B3))
    };
    let points: Vec<u8> = capture.points.points().iter().flatten().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!([sum(capture.left.pixels()), sum(capture.right.pixels()), sum(&points)], PIXEL_SUMS);
}

const PIXEL_SUMS: [u64; 3] =
    [16_006_629_227_732_756_804, 1_171_530_227_192_530_935, 13_583_690_068_005_390_879];

#[test]
fn another_seed_gives_other_scenes() {
    let other = SceneParams { seed: 8, n_groups: 2, ..SceneParams::default() }.check().unwrap();
    assert_ne!(other.render_group(0).captures[0].left, scenes(2).render_group(0).captures[0].left);
}

#[test]
fn boxes_lie_in_their_picture_and_have_area() {
    let valid = scenes(20);
    for record in records(&groups(&valid)) {
        for label in record.boxes.iter().flatten() {
            assert!(label.bbox.is_inside(valid.size(), 0.0), "{}: {:?}", record.id, label.bbox);
            assert!(label.bbox.width() >= 5.0 && label.bbox.height() >= 5.0, "{}", record.id);
            let hidden: f64 = label.extra["occluded"].parse().unwrap();
            assert!((0.0..=0.8).contains(&hidden), "{}: {hidden}", record.id);
        }
    }
}

#[test]
fn captures_have_three_slices_with_labels_for_all() {
    let group = scenes(4).render_group(1);
    for capture in &group.captures {
        for (record, slice) in capture.records.iter().zip(SLICES) {
            assert_eq!(record.slice, slice);
            assert_eq!((&record.capture, &record.group), (&capture.capture, &group.group));
            assert_eq!(record.id.as_str(), format!("{}/{slice}", capture.capture));
            let is_image = record.kind == SliceKind::Image;
            assert_eq!((record.boxes.is_some(), record.size.is_some()), (is_image, is_image));
            assert_eq!(record.cuboids.is_some(), !is_image);
        }
    }
}

#[test]
fn files_hold_what_was_rendered() {
    let valid = scenes(3);
    let dir = tempfile::tempdir().unwrap();
    let set = generate(&valid, dir.path(), &Silent).unwrap();
    let groups = groups(&valid);
    assert!(set.samples.iter().eq(records(&groups)));
    let capture = &groups[2].captures[0];
    let [left, right, pcd] = capture.records.each_ref().map(|r| dir.path().join(&r.file_name));
    assert_eq!(left, dir.path().join("media/seq-0002/frame-00/left.png"));
    assert_eq!(load(&left).unwrap(), capture.left);
    assert_eq!(load(&right).unwrap(), capture.right);
    assert_eq!(read_kitti_bin(&pcd).unwrap(), capture.points);
}

#[test]
fn records_are_in_the_order_of_their_ids() {
    let groups = groups(&scenes(12));
    let ids: Vec<_> = records(&groups).into_iter().map(|r| (&r.capture, &r.slice)).collect();
    let distinct: BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
    let captures: Vec<_> = ids.iter().map(|(c, _)| c).collect();
    assert!(captures.is_sorted());
}

#[test]
fn every_class_occurs_and_the_rare_one_is_rare() {
    for seed in [1, 7, 2026] {
        let counts = count_classes(records(&groups(&small_scenes(seed))));
        let total: usize = counts.iter().sum();
        let share = |class: usize| counts[class] as f64 / total as f64;
        assert!((0.24..0.46).contains(&share(0)), "cars {counts:?}");
        assert!((0.18..0.34).contains(&share(1)), "pedestrians {counts:?}");
        assert!((0.03..0.12).contains(&share(4)), "signs {counts:?}");
        assert!((0.01..0.06).contains(&share(5)), "animals {counts:?}");
        assert!(counts[5] < counts[4] && counts[4] < counts[2], "{counts:?}");
    }
}

#[test]
fn dull_sequences_hold_more_than_half_of_the_captures() {
    let groups = groups(&small_scenes(7));
    let n = |kind: SceneKind| -> (usize, usize) {
        let of: Vec<_> = groups.iter().filter(|g| g.traits.kind == kind).collect();
        (of.len(), of.iter().map(|g| g.captures.len()).sum())
    };
    let ((dull, dull_captures), (rural, _), (town, _)) =
        (n(SceneKind::Dull), n(SceneKind::Rural), n(SceneKind::Town));
    assert_eq!((dull, rural, town), (16, 22, 42));
    let total: usize = groups.iter().map(|g| g.captures.len()).sum();
    assert!((280..=360).contains(&total), "{total}");
    assert!(2 * dull_captures > total, "{dull_captures} of {total}");
}

#[test]
fn the_rare_class_occurs_by_day_and_by_night() {
    let groups = groups(&small_scenes(7));
    let mut lights = BTreeMap::<bool, usize>::new();
    for group in &groups {
        if count_classes(&group.captures[0].records)[5] > 0 {
            assert_eq!(group.traits.kind, SceneKind::Rural);
            *lights.entry(group.traits.light == Light::Night).or_default() += 1;
        }
    }
    assert!(lights[&true] >= 2 && lights[&false] >= 5, "{lights:?}");
}

#[test]
fn traits_are_written_as_json_texts() {
    let group = scenes(3).render_group(0);
    let extra = &group.captures[0].records[2].extra;
    assert_eq!(serde_json::from_str::<Light>(&extra["light"]).unwrap(), group.traits.light);
    assert_eq!(serde_json::from_str::<SceneKind>(&extra["kind"]).unwrap(), group.traits.kind);
    assert!(extra["ground"].starts_with('"'));
}

#[test]
fn captures_of_a_sequence_are_nearly_equal_and_not_equal() {
    let valid = scenes(80);
    let dull = (0..80).map(|g| valid.render_group(g)).find(|g| g.traits.kind == SceneKind::Dull).unwrap();
    let [a, b] = [&dull.captures[0].left, &dull.captures[1].left];
    assert_ne!(a, b);
    let differing: u64 = a.pixels().iter().zip(b.pixels()).map(|(x, y)| u64::from(x.abs_diff(*y))).sum();
    let mean = differing as f64 / a.pixels().len() as f64;
    assert!(mean < 16.0, "{mean}");
}

#[test]
fn near_objects_move_more_from_left_to_right() {
    let valid = SceneParams { n_groups: 8, noise: 0.0, ..SceneParams::default() }.check().unwrap();
    let focal = 192.0 * 5.0 / 6.0;
    let mut n_checked = 0;
    for group in groups(&valid) {
        let capture = &group.captures[0];
        let of = |slice: usize| -> BTreeMap<&str, _> {
            capture.records[slice].boxes.iter().flatten().map(|b| (b.extra["object"].as_str(), b)).collect()
        };
        let (left, right) = (of(0), of(1));
        for (object, l) in &left {
            let Some(r) = right.get(object) else { continue };
            let is_whole = l.extra["occluded"] == "0.00" && r.extra["occluded"] == "0.00";
            let z = nearest_front(capture.records[2].cuboids.as_deref().unwrap(), l.bbox.centre().0, focal);
            if let Some(z) = z.filter(|_| is_whole) {
                let disparity = l.bbox.centre().0 - r.bbox.centre().0;
                assert!((disparity - focal * 0.4 / z).abs() < 1.5, "{disparity} at {z} m");
                n_checked += 1;
            }
        }
    }
    assert!(n_checked >= 5, "{n_checked}");
}

/// Distance of the only cuboid whose middle is seen at a column of the left picture, within 3 pixels.
fn nearest_front(cuboids: &[labelloop_core::LabelledCuboid], column: f64, focal: f64) -> Option<f64> {
    let fronts: Vec<f64> = cuboids
        .iter()
        .filter_map(|c| {
            let [x, y, _] = c.cuboid.centre();
            let [length, width, _] = c.cuboid.size();
            let depth = if c.cuboid.yaw() == 0.0 { length } else { width };
            let front = x - depth / 2.0;
            ((96.0 - focal * y / front - column).abs() < 3.0).then_some(front)
        })
        .collect();
    if let [only] = fronts[..] { Some(only) } else { None }
}

#[test]
fn pictures_show_cuboids_where_the_calibration_says() {
    let mut n_checked = 0;
    for capture in groups(&scenes(30)).iter().flat_map(|g| &g.captures) {
        let cuboids = capture.records[2].cuboids.as_deref().unwrap();
        for (record, camera) in capture.records.iter().zip(&capture.cameras) {
            assert_eq!(camera_of(record).as_ref(), Some(camera));
            let fronts: Vec<_> = cuboids.iter().map(|c| (c.class, front(camera, &c.cuboid))).collect();
            for label in record.boxes.iter().flatten() {
                let size = record.size.unwrap();
                let is_cut = label.bbox.x() < 1.0 || f64::from(size.width()) - 1.0 < label.bbox.right();
                if label.extra["occluded"] != "0.00" || is_cut {
                    continue;
                }
                let same = fronts.iter().filter(|(class, _)| *class == label.class);
                let best = same.map(|(_, front)| front.iou(label.bbox)).fold(0.0, f64::max);
                assert!(0.75 < best, "{}: {best} for {:?}", record.id, label.bbox);
                n_checked += 1;
            }
        }
    }
    assert!(300 < n_checked, "{n_checked}");
}

/// The face towards the sensor as a picture shows it.
fn front(camera: &Camera, cuboid: &Cuboid) -> BBox {
    let near = cuboid.corners().map(|c| c[0]).into_iter().fold(f64::INFINITY, f64::min);
    let face = cuboid.corners().into_iter().filter(|c| c[0] < near + 1e-6);
    let at: Vec<[f64; 2]> = face.map(|c| camera.project(c).unwrap()).collect();
    let least = |i: usize| at.iter().map(|p| p[i]).fold(f64::INFINITY, f64::min);
    let most = |i: usize| at.iter().map(|p| p[i]).fold(f64::NEG_INFINITY, f64::max);
    BBox::from_corners(least(0), least(1), most(0), most(1)).unwrap()
}

#[test]
fn the_file_of_the_calibration_says_the_same() {
    let valid = scenes(2);
    let dir = tempfile::tempdir().unwrap();
    generate(&valid, dir.path(), &Silent).unwrap();
    let text = std::fs::read_to_string(dir.path().join("media/seq-0001/frame-00/calib.txt")).unwrap();
    let numbers = |key: &str| -> Vec<f64> {
        let line = text.lines().find_map(|l| l.strip_prefix(key)).unwrap();
        line.split_whitespace().map(|w| w.parse().unwrap()).collect()
    };
    let [left, right] = valid.render_group(1).captures[0].cameras;
    assert_eq!(numbers("P2:"), left.image_from_camera().concat());
    assert_eq!(numbers("P3:"), right.image_from_camera().concat());
    assert_eq!(numbers("R0_rect:").len(), 9);
    let keys = ["P0", "P1", "P2", "P3", "R0_rect", "Tr_velo_to_cam", "Tr_imu_to_velo"];
    assert!(text.lines().zip(keys).all(|(l, k)| l.starts_with(k)) && text.lines().count() == 7);
    let row = |c: &Camera, i: usize| c.camera_from_lidar().rotation()[i].to_vec();
    assert_eq!(numbers("Tr_velo_to_cam:")[..3], row(&left, 0));
}

#[test]
fn things_behind_others_have_fewer_points_and_nothing_is_beyond_the_view() {
    for capture in groups(&scenes(10)).iter().flat_map(|g| &g.captures) {
        assert!(capture.points.points().iter().all(|p| p[1].abs() <= 0.6201 * p[0]));
        let fronts: Vec<Cuboid> = capture.records[2].cuboids.iter().flatten().map(|c| c.cuboid).collect();
        for p in capture.points.points() {
            let [x, y, z] = [p[0], p[1], p[2]].map(f64::from);
            for c in &fronts {
                // A ray that meets the face of an object well inside its edges ends there.
                let [depth, across] =
                    if c.yaw() == 0.0 { [c.size()[0], c.size()[1]] } else { [c.size()[1], c.size()[0]] };
                let near = c.centre()[0] - depth / 2.0;
                let share = near / x;
                let hits = (share * y - c.centre()[1]).abs() < across / 2.0 - 0.01
                    && (share * z - c.centre()[2]).abs() < c.size()[2] / 2.0 - 0.01;
                assert!(x <= near + 0.01 || !hits, "{}: {p:?} behind {c:?}", capture.capture);
            }
        }
    }
}

#[test]
fn every_cuboid_holds_points() {
    for group in groups(&scenes(6)) {
        for capture in &group.captures {
            for label in capture.records[2].cuboids.iter().flatten() {
                let n = points_in_cuboid(&capture.points, &label.cuboid);
                assert!(n >= 3, "{}: {n} points", capture.capture);
            }
            assert!((400..2500).contains(&capture.points.n_points()));
        }
    }
}

#[test]
fn extreme_parameters_do_not_panic() {
    let small = SceneParams {
        n_groups: 4,
        captures_per_group: 1,
        width: 64,
        height: 48,
        noise: 64.0,
        drift: 16.0,
        dull_share: 0.5,
        rural_share: 1.0,
        night_share: 1.0,
        ..SceneParams::default()
    };
    let groups = groups(&small.check().unwrap());
    assert_eq!(groups.iter().filter(|g| g.traits.kind == SceneKind::Dull).count(), 2);
    assert!(groups.iter().all(|g| g.traits.kind == SceneKind::Dull || g.traits.light == Light::Night));
    assert_eq!(scenes(2).render_group(7).group.as_str(), "seq-0007");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = generate(&scenes(1), file.path(), &Silent).unwrap_err();
    assert!(matches!(&error, TestkitError::Io { path, .. } if path.starts_with(file.path())), "{error}");
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
    let dir = tempfile::tempdir().unwrap();
    let ended = SceneParams { n_groups: 1, ..SceneParams::default() }.generate(dir.path(), &Stop);
    assert!(matches!(ended, Err(TestkitError::Cancelled(Cancelled { done: 1, total: 1 }))));
}
