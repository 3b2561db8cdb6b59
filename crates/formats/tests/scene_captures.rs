//! Generated captures as a KITTI folder: nobody linked their boxes and cuboids, and their calibration is in the pictures.
#![allow(clippy::unwrap_used, clippy::panic)]

use labelloop_core::{AnnotationSet, Camera, SampleRecord, Silent};
use labelloop_formats::kitti::{CaptureGroups, CaptureOptions, read_captures, write_captures};
use labelloop_formats::{Lost, MediaMode, WarningKind};
use labelloop_testkit::scenes::{SceneParams, camera_of};

fn by_id<'s>(set: &'s AnnotationSet, id: &str) -> &'s SampleRecord {
    set.samples.iter().find(|s| s.id.as_str() == id).unwrap_or_else(|| panic!("{id}"))
}

#[test]
fn generated_captures_come_back_with_cameras_boxes_and_cuboids() {
    let folder = tempfile::tempdir().unwrap();
    let params = SceneParams { n_groups: 6, captures_per_group: 2, ..SceneParams::default() };
    let set = params.generate(folder.path(), &Silent).unwrap();
    let out = folder.path().join("kitti");
    let warnings = write_captures(&out, &set, folder.path(), MediaMode::Copy).unwrap();
    let lost: Vec<Lost> = warnings
        .iter()
        .map(|w| match w.kind {
            WarningKind::NotCarried { what, .. } => what,
            _ => panic!("{w}"),
        })
        .collect();
    // Right pictures have labels of their own, objects have numbers, and sequences hold several captures.
    let expected = [Lost::UnlabelledMarks, Lost::Groups, Lost::LabelFields, Lost::SampleFields, Lost::Boxes];
    assert_eq!(lost, expected);

    let options =
        CaptureOptions { groups: CaptureGroups::Prefix("seq-0000".len()), ..CaptureOptions::default() };
    let back = read_captures(&out, &options).unwrap().set;
    assert_eq!(back.samples.len(), set.samples.len());
    let (mut n_boxes, mut n_linked) = (0, 0);
    for before in &set.samples {
        let after = by_id(&back, before.id.as_str());
        assert_eq!(
            (&after.group, &after.capture, &after.slice),
            (&before.group, &before.capture, &before.slice)
        );
        assert_eq!((after.kind, after.size), (before.kind, before.size));
        let name = |set: &AnnotationSet, class| set.schema.name(class).unwrap().to_owned();
        if before.slice != "pcd" {
            let camera: Camera = serde_json::from_str(&after.extra["camera"]).unwrap();
            assert_eq!(Some(camera), camera_of(before));
        }
        if before.slice == "left" {
            let (a, b) = (before.boxes.as_ref().unwrap(), after.boxes.as_ref().unwrap());
            assert_eq!(a.len(), b.len());
            for (a, b) in a.iter().zip(b) {
                assert_eq!(name(&set, a.class), name(&back, b.class));
                assert!(0.999 < a.bbox.iou(b.bbox));
                n_linked += usize::from(b.extra.contains_key("cuboid"));
            }
            n_boxes += a.len();
        }
        let sorted = |set: &AnnotationSet, record: &SampleRecord| {
            let labels = record.cuboids.iter().flatten();
            let mut centres: Vec<_> = labels.map(|c| (name(set, c.class), c.cuboid.centre())).collect();
            centres.sort_by(|a, b| a.0.cmp(&b.0).then(a.1[1].total_cmp(&b.1[1])));
            centres
        };
        let (a, b) = (sorted(&set, before), sorted(&back, after));
        assert_eq!(a.len(), b.len(), "{}", before.id);
        for ((class, p), (other, q)) in a.iter().zip(&b) {
            assert!(
                class == other && (0..3).all(|i| (p[i] - q[i]).abs() < 1e-9),
                "{class} {p:?} {other} {q:?}"
            );
        }
    }
    // Boxes are of visible parts, and of things seen at an angle; most of them are found all the same.
    assert!(0.75 * n_boxes as f64 <= n_linked as f64, "{n_linked} of {n_boxes}");
}
