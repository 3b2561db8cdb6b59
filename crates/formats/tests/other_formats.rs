//! VOC, KITTI, CVAT, Label Studio, FiftyOne and conversions: round trips to the exactness that each module states, and
//! what bad files are answered with.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::{assert_same_boxes, enriched, plain_label, rich_label, set, settled};
use labelloop_core::{
    AnnotationSet, BBox, ClassIdx, ClassSchema, Extra, ImageSize, LabelledBox, SampleRecord, ScoredBox,
};
use labelloop_formats::{
    Format, FormatError, Imported, Lost, ReadOptions, Result, Strictness, WarningKind, WithoutAnnotations,
    convert, cvat, fiftyone, kitti, label_studio, voc,
};
use proptest::prelude::*;

fn strict() -> ReadOptions {
    ReadOptions { strictness: Strictness::Strict, ..ReadOptions::default() }
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    (folder, path)
}

/// A file of this name with this text, in a folder of its own.
fn file(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn one_sample() -> AnnotationSet {
    let mut sample = SampleRecord::image("a", "a.png", ImageSize::new(64, 48).unwrap()).unwrap();
    sample.boxes = Some(vec![LabelledBox::new(ClassIdx(0), BBox::new(8.0, 8.0, 16.0, 24.0).unwrap())]);
    AnnotationSet {
        schema: ClassSchema::new(["car", "van"]).unwrap(),
        samples: vec![sample],
        extra: Extra::new(),
    }
}

/// All labels by place: Label Studio groups them by annotator.
fn by_place(mut set: AnnotationSet) -> AnnotationSet {
    for sample in &mut set.samples {
        if let Some(labels) = &mut sample.boxes {
            labels.sort_by(|a, b| a.bbox.to_xywh().partial_cmp(&b.bbox.to_xywh()).unwrap());
        }
    }
    set
}

/// Everything but the places of boxes, which may move by a rounding.
fn without_boxes(mut set: AnnotationSet) -> AnnotationSet {
    for label in set.samples.iter_mut().flat_map(|s| s.boxes.iter_mut().flatten()) {
        label.bbox = BBox::new(0.0, 0.0, 1.0, 1.0).unwrap();
    }
    set
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn voc_comes_back(set in set(plain_label, false)) {
        let (_keep, out) = place();
        prop_assert_eq!(voc::write(&out, &set).unwrap(), vec![]);
        let back = voc::read(&out, &strict()).unwrap().set;
        let (a, b) = (settled(set), settled(back));
        assert_same_boxes(&a, &b, 1e-9);
        prop_assert_eq!(without_boxes(a), without_boxes(b));
    }

    #[test]
    fn kitti_comes_back(set in set(plain_label, false)) {
        let (_keep, out) = place();
        let warnings = kitti::write(&out, &set).unwrap();
        prop_assert_eq!(common::lost(&warnings), vec![(Format::Kitti, Lost::ClassNames, 1)]);
        let mut back = kitti::read(&out, &strict()).unwrap().set;
        prop_assert_eq!(&back.schema.names()[2], "Person_sitting");
        back.schema = set.schema.clone();
        assert_same_boxes(&settled(set), &settled(back), 1e-9);
    }

    #[test]
    fn cvat_comes_back(set in set(plain_label, false)) {
        let (_keep, out) = place();
        prop_assert_eq!(cvat::write(&out, &set).unwrap(), vec![]);
        let back = cvat::read(&out, &strict()).unwrap().set;
        let (a, b) = (settled(set), settled(back));
        assert_same_boxes(&a, &b, 1e-9);
        prop_assert_eq!(without_boxes(a), without_boxes(b));
    }

    #[test]
    fn label_studio_comes_back(set in set(rich_label, true).prop_map(enriched)) {
        let mut set = set;
        set.extra.clear();
        for label in set.samples.iter_mut().flat_map(|s| s.boxes.iter_mut().flatten()) {
            (label.area, label.is_crowd) = (None, false);
        }
        let (_keep, out) = place();
        prop_assert_eq!(label_studio::write(&out, &set, &Default::default()).unwrap(), vec![]);
        let back = label_studio::read(&out, &strict()).unwrap().set;
        let (a, b) = (by_place(settled(set)), by_place(settled(back)));
        assert_same_boxes(&a, &b, 1e-9);
        prop_assert_eq!(without_boxes(a), without_boxes(b));
    }

    #[test]
    fn fiftyone_comes_back(set in set(rich_label, true).prop_map(enriched)) {
        let (_keep, out) = place();
        prop_assert_eq!(fiftyone::write(&out, &set).unwrap(), vec![]);
        let back = fiftyone::read(&out, &strict()).unwrap().set;
        let (a, b) = (settled(set), settled(back));
        assert_same_boxes(&a, &b, 1e-9);
        prop_assert_eq!(without_boxes(a), without_boxes(b));
    }

    #[test]
    fn no_text_panics(text in "[<>a-z/\"= \\[\\]{}:,0-9.\\n&;-]{0,80}") {
        let options = ReadOptions::default();
        let folder = tempfile::tempdir().unwrap();
        for name in ["x.xml", "label_2/x.txt", "samples.json", "metadata.json", "tasks.json", "classes.txt"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &text).unwrap();
        }
        let _ = voc::read(folder.path(), &options);
        let _ = kitti::read(folder.path(), &options);
        let _ = cvat::read(&folder.path().join("x.xml"), &options);
        let _ = label_studio::read(&folder.path().join("tasks.json"), &options);
        let _ = fiftyone::read(folder.path(), &options);
    }

    #[test]
    fn every_pair_of_formats_converts(set in set(plain_label, false)) {
        let folder = tempfile::tempdir().unwrap();
        let first = folder.path().join("first.json");
        labelloop_formats::coco::write(&first, &set, &Default::default()).unwrap();
        for middle in Format::ALL {
            let at = folder.path().join(middle.as_str());
            let there = convert(Format::Coco, &first, middle, &at).unwrap();
            let back = folder.path().join(format!("{middle}-back.json"));
            let again = convert(middle, &at, Format::Coco, &back).unwrap();
            prop_assert_eq!(there.n_boxes, set.n_boxes());
            prop_assert_eq!((again.n_images, again.n_boxes), (there.n_images, there.n_boxes));
        }
    }
}

#[test]
fn voc_keeps_its_fields_and_names_what_is_wrong() {
    let text = "<annotation>\n<folder>VOC</folder><filename>a.jpg</filename><owner><name>x</name></owner>\n\
        <size><width>64</width><height>48</height><depth>1</depth></size>\n\
        <object><name>car</name><pose>Left</pose><truncated>1</truncated><bndbox><xmin>1</xmin><ymin>2</ymin>\
        <xmax>3.5</xmax><ymax>4</ymax></bndbox></object>\n\
        <object><name>car</name><bndbox><xmin>9</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></object>\n\
        <object><name>car</name></object>\n<object><bndbox/></object>\n</annotation>";
    let (keep, _) = file("Annotations/a.xml", text);
    let Imported { set, warnings } = voc::read(keep.path(), &ReadOptions::default()).unwrap();
    let label = &set.samples[0].boxes.as_ref().unwrap()[0];
    assert_eq!(label.bbox.to_xywh(), [1.0, 2.0, 2.5, 2.0]);
    assert_eq!((label.extra["pose"].as_str(), label.extra["truncated"].as_str()), ("\"Left\"", "1"));
    assert_eq!(set.samples[0].extra["depth"], "1");
    let lines: Vec<_> = warnings.iter().map(|w| w.line).collect();
    assert_eq!(lines, [Some(5), Some(6), Some(7), None, None], "{warnings:?}");
    assert_eq!(warnings[3].kind, WarningKind::SchemaInferred { n_classes: 1 });
    assert_eq!(warnings[4].kind, WarningKind::NotRead { what: "annotation/owner".to_owned(), count: 1 });

    let (_keep, out) = place();
    voc::write(&out, &set).unwrap();
    assert_eq!(voc::read(&out, &strict()).unwrap().set.samples, set.samples);
    assert!(matches!(voc::write(&out, &set), Err(FormatError::Occupied { .. })));
}

#[test]
fn voc_refuses_paths_out_of_its_folder_and_broken_xml() {
    let (keep, path) = file("Annotations/a.xml", "<annotation><filename>../a.jpg</filename></annotation>");
    fs::write(keep.path().join("labelmap.txt"), "# x\na:b:::\n").unwrap();
    let Imported { set, warnings } = voc::read(keep.path(), &ReadOptions::default()).unwrap();
    assert_eq!((set.samples.len(), set.schema.names()), (0, &["a:b".to_owned()][..]));
    assert!(matches!(warnings[0].kind, WarningKind::UnsafePath { .. }));
    fs::write(&path, "<annotation>\n<object>\n</annotation>").unwrap();
    assert!(matches!(voc::read(keep.path(), &strict()), Err(FormatError::Syntax { line: 3, .. })));
    fs::write(&path, "<html/>").unwrap();
    assert!(matches!(voc::read(keep.path(), &strict()), Err(FormatError::Structure { .. })));
}

#[test]
fn kitti_keeps_every_column_and_its_ignored_regions() {
    let text = "Car 0.00 2 -1.57 599.41 156.40 629.75 189.25 2.85 2.63 12.34 0.47 1.49 69.44 -1.56\r\n\
        DontCare -1 -1 -10 503.89 169.71 590.61 190.13 -1 -1 -1 -1000 -1000 -1000 -10\n\
        Car -1 -1 -10 1 2 3 4 -1 -1 -1 -1000 -1000 -1000 -10 0.25\n\
        Car 0 0\nCar -1 -1 -10 1 2 3 NaN -1 -1 -1 -1000 -1000 -1000 -10\n";
    let (keep, _) = file("label_2/000001.txt", text);
    let Imported { set, warnings } = kitti::read(keep.path(), &ReadOptions::default()).unwrap();
    let labels = set.samples[0].boxes.as_ref().unwrap();
    assert_eq!((set.schema.names(), labels.len()), (&["Car".to_owned()][..], 2));
    assert_eq!(labels[0].bbox.to_corners()[0], 599.41);
    assert_eq!(labels[0].extra["location"], "[0.47, 1.49, 69.44]");
    assert_eq!(labels[1].extra, Extra::from([("score".to_owned(), "0.25".to_owned())]));
    assert!(set.samples[0].extra["dont_care"].starts_with("[[503.89, "));
    assert_eq!(warnings.iter().map(|w| w.line).collect::<Vec<_>>(), [Some(4), Some(5), None]);

    let (_keep, out) = place();
    assert_eq!(kitti::write(&out, &set).unwrap(), []);
    let back = kitti::read(&out, &strict()).unwrap().set;
    assert_same_boxes(&back, &set, 1e-9);
    assert_eq!(without_boxes(back).samples[0].boxes, without_boxes(set).samples[0].boxes);
}

#[test]
fn kitti_refuses_classes_that_would_be_one() {
    let mut set = one_sample();
    set.schema = ClassSchema::new(["a b", "a_b"]).unwrap();
    let (_keep, out) = place();
    assert!(matches!(kitti::write(&out, &set), Err(FormatError::NameClash { .. })));
    assert!(!out.exists());
}

const CVAT: &str = "<annotations><meta><task><labels><label><name>car</name></label></labels></task></meta>\n\
<image id=\"7\" name=\"d/a.png\" width=\"64\" height=\"48\" subset=\"train\">\n\
<box label=\"car\" occluded=\"1\" source=\"auto\" xtl=\"1\" ytl=\"2\" xbr=\"3.5\" ybr=\"4\" z_order=\"2\">\
<attribute name=\"colour &amp; shade\">dark \"red\"</attribute></box>\n\
<box label=\"bus\" xtl=\"1\" ytl=\"2\" xbr=\"3\" ybr=\"4\"/>\n<box label=\"car\" xtl=\"1\" ytl=\"2\" xbr=\"x\" ybr=\"4\"/>\n\
<box label=\"car\" xtl=\"1\" ytl=\"2\" xbr=\"3\" ybr=\"4\" rotation=\"30\"/><polygon label=\"car\" points=\"\"/></image>\n\
<image id=\"8\" name=\"b.png\" width=\"64\" height=\"48\"/><image name=\"/etc/c.png\"/><image name=\"b.png\"/></annotations>";

#[test]
fn cvat_keeps_its_fields_and_names_what_is_wrong() {
    let (_keep, path) = file("a.xml", CVAT);
    let Imported { set, warnings } = cvat::read(&path, &ReadOptions::default()).unwrap();
    assert_eq!(set.samples.len(), 2);
    let label = &set.samples[0].boxes.as_ref().unwrap()[0];
    assert_eq!(label.extra["attributes"], r#"{"colour & shade": "dark \"red\""}"#);
    assert_eq!((label.extra["source"].as_str(), label.extra["z_order"].as_str()), ("\"auto\"", "2"));
    let said: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    for expected in ["bus", "xbr", "turned box", "polygon", "/etc/c.png", "\"b.png\" is taken"] {
        assert_eq!(said.iter().filter(|w| w.contains(expected)).count(), 1, "{expected}: {said:?}");
    }
    let (_keep, out) = place();
    assert_eq!(cvat::write(&out, &set).unwrap(), []);
    let back = cvat::read(&out, &strict()).unwrap().set;
    assert_eq!(by_place(settled(back)).samples, settled(set).samples);
}

#[test]
fn cvat_cannot_tell_empty_from_unlabelled_and_says_so() {
    let mut set = one_sample();
    set.samples[0].boxes = None;
    let (_keep, out) = place();
    assert_eq!(common::lost(&cvat::write(&out, &set).unwrap()), [(Format::Cvat, Lost::UnlabelledMarks, 1)]);
    let options =
        ReadOptions { images_without_annotations: WithoutAnnotations::Unlabelled, ..ReadOptions::default() };
    assert_eq!(cvat::read(&out, &options).unwrap().set.samples[0].boxes, None);
    assert_eq!(cvat::read(&out, &strict()).unwrap().set.samples[0].boxes, Some(vec![]));
}

#[test]
fn label_studio_reads_what_its_server_exports() {
    let text = r#"[{"id": 4, "data": {"image": "/data/local-files/?d=d/a.jpg", "ward": 3}, "project": 1,
 "annotations": [{"id": 9, "completed_by": {"id": 2, "email": "a@b.c"}, "lead_time": 1.50, "result": [
  {"id": "x1", "type": "rectanglelabels", "from_name": "l", "to_name": "i", "original_width": 200, "original_height": 100,
   "image_rotation": 0, "value": {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 0, "rectanglelabels": ["car"]}},
  {"type": "brushlabels", "value": {}},
  {"type": "rectanglelabels", "original_width": 200, "original_height": 100, "value": {"x": 1, "y": 2, "width": 3, "height": -4, "rectanglelabels": ["car"]}},
  {"type": "rectanglelabels", "original_width": 200, "original_height": 100, "value": {"x": 1, "y": 2, "width": 3, "height": 4, "rectanglelabels": []}}
 ]}]}, {"data": {"image": "https://host/../b.jpg"}}, {"data": {"image": "s3://bucket/c.jpg"}, "annotations": []}]"#;
    let (_keep, path) = file("tasks.json", text);
    let Imported { set, warnings } = label_studio::read(&path, &ReadOptions::default()).unwrap();
    let [a, c] = &set.samples[..] else { panic!() };
    let label = &a.boxes.as_ref().unwrap()[0];
    assert_eq!(label.bbox.to_xywh(), [20.0, 20.0, 60.0, 40.0]);
    assert_eq!(
        (label.annotator.as_deref(), a.file_name.as_str(), a.id.as_str()),
        (Some("a@b.c"), "d/a.jpg", "d/a")
    );
    assert_eq!((c.file_name.as_str(), &c.boxes), ("c.jpg", &None));
    assert_eq!(warnings.len(), 5, "{warnings:?}");
    assert_eq!(warnings[1].line, Some(6));

    let (_keep, out) = place();
    label_studio::write(&out, &set, &Default::default()).unwrap();
    let mut back = label_studio::read(&out, &strict()).unwrap().set;
    // Tasks are written in order of sample id.
    back.samples.reverse();
    assert_same_boxes(&back, &set, 1e-9);
    assert_eq!(without_boxes(back), without_boxes(set));
    let written = fs::read_to_string(&out).unwrap();
    for kept in ["\"lead_time\": 1.50", "?d=d/a.jpg", "\"ward\": 3", "\"project\": 1", "\"id\": \"x1\""] {
        assert!(written.contains(kept), "{kept} in {written}");
    }
}

#[test]
fn label_studio_carries_proposals() {
    let mut set = one_sample();
    set.samples[0].boxes = None;
    let scored = ScoredBox::new(ClassIdx(1), BBox::new(16.0, 12.0, 32.0, 24.0).unwrap(), 0.5).unwrap();
    let proposals = [(set.samples[0].id.clone(), vec![scored])].into();
    let options = label_studio::WriteOptions { predictions: Some(&proposals), ..Default::default() };
    let (_keep, out) = place();
    assert_eq!(label_studio::write(&out, &set, &options).unwrap(), []);
    assert_eq!(label_studio::read_predictions(&out, &strict()).unwrap(), (proposals, vec![]));
    assert_eq!(label_studio::read(&out, &strict()).unwrap().set.samples[0].boxes, None);

    let stray = [(labelloop_core::SampleId::new("z").unwrap(), vec![])].into();
    let options = label_studio::WriteOptions { predictions: Some(&stray), ..Default::default() };
    assert!(matches!(label_studio::write(&out, &set, &options), Err(FormatError::UnknownSample { .. })));
}

#[test]
fn fiftyone_reads_groups_tags_and_any_label_field() {
    let samples = r#"{"samples": [
{"_id": {"$oid": "1"}, "filepath": "data/a.jpg", "tags": ["hard"], "_media_type": "image",
 "metadata": {"_cls": "ImageMetadata", "width": 200, "height": 100, "mime_type": "image/jpeg"},
 "group": {"_cls": "Group", "_id": {"$oid": "g1"}, "name": "left"},
 "truth": {"_cls": "Detections", "detections": [
  {"_cls": "Detection", "label": "car", "bounding_box": [0.1, 0.2, 0.3, 0.4], "attributes": {}, "tags": [], "iscrowd": 1, "confidence": 0.50},
  {"_cls": "Detection", "label": "car", "bounding_box": [0.1, 0.2, 0.3]}]}},
{"filepath": "data/b.pcd", "_media_type": "point-cloud"}, {"filepath": "data/c.jpg", "truth": null}]}"#;
    let (keep, _) = file("samples.json", samples);
    fs::write(
        keep.path().join("metadata.json"),
        r#"{"classes": {"truth": ["van", "car"], "p": ["q"]}, "info": {}}"#,
    )
    .unwrap();
    let Imported { set, warnings } = fiftyone::read(keep.path(), &ReadOptions::default()).unwrap();
    let a = &set.samples[0];
    assert_eq!(
        (a.capture.as_str(), a.slice.as_str(), a.extra["tags"].as_str()),
        ("g1", "left", "[\"hard\"]")
    );
    let label = &a.boxes.as_ref().unwrap()[0];
    assert_eq!(label.bbox.to_xywh(), [20.0, 20.0, 60.0, 40.0]);
    assert_eq!(
        (label.is_crowd, label.class, label.extra["confidence"].as_str()),
        (true, ClassIdx(1), "0.50")
    );
    assert_eq!(set.samples[1].boxes, None);
    assert_eq!(set.extra.keys().collect::<Vec<_>>(), ["classes", "info"]);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert_eq!(warnings[0].line, Some(7));

    let (_keep, out) = place();
    assert_eq!(fiftyone::write(&out, &set).unwrap(), []);
    let back = fiftyone::read(&out, &strict()).unwrap().set;
    assert_same_boxes(&back, &set, 1e-9);
    assert_eq!(without_boxes(back).samples, without_boxes(set).samples);
}

#[test]
fn a_given_schema_filters_and_suggests() {
    let (keep, out) = place();
    let mut set = one_sample();
    set.schema = ClassSchema::new(["carr"]).unwrap();
    fiftyone::write(&out, &set).unwrap();
    let options = ReadOptions { schema: Some(ClassSchema::new(["car"]).unwrap()), ..ReadOptions::default() };
    let Imported { set, warnings } = fiftyone::read(&out, &options).unwrap();
    assert_eq!(set.n_boxes(), 0);
    assert!(warnings[0].to_string().ends_with("did you mean \"car\"?"), "{}", warnings[0]);
    drop(keep);
}

#[test]
fn samples_without_a_size_are_refused_where_numbers_are_relative() {
    let mut set = one_sample();
    set.samples[0].size = None;
    let no_size =
        |result: Result<Vec<labelloop_formats::Warning>>| matches!(result, Err(FormatError::NoSize { .. }));
    let (_keep, out) = place();
    assert!(no_size(voc::write(&out, &set)));
    assert!(no_size(cvat::write(&out, &set)));
    assert!(no_size(fiftyone::write(&out, &set)));
    assert!(no_size(label_studio::write(&out, &set, &Default::default())));
    assert!(!out.exists());
    // The list that knows other file names lists sizes.
    assert_eq!(common::lost(&kitti::write(&out, &set).unwrap()), [(Format::Kitti, Lost::FileNames, 1)]);
}

#[test]
fn point_clouds_are_counted() {
    let mut set = one_sample();
    let mut cloud = SampleRecord::image("p", "p.pcd", ImageSize::new(1, 1).unwrap()).unwrap();
    cloud.kind = labelloop_core::SliceKind::PointCloud;
    set.samples.push(cloud);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let coco = labelloop_formats::coco::write(&at("coco"), &set, &Default::default()).unwrap();
    let others = [
        voc::write(&at("voc"), &set).unwrap(),
        kitti::write(&at("kitti"), &set).unwrap(),
        cvat::write(&at("cvat"), &set).unwrap(),
        label_studio::write(&at("ls"), &set, &Default::default()).unwrap(),
        fiftyone::write(&at("fo"), &set).unwrap(),
    ];
    for warnings in others.iter().chain([&coco]) {
        let lost = common::lost(warnings);
        assert!(lost.iter().any(|(_, what, n)| (*what, *n) == (Lost::PointClouds, 1)), "{lost:?}");
    }
}

#[test]
fn missing_files_and_folders_are_errors() {
    let nowhere = Path::new("no such place");
    let options = ReadOptions::default();
    let io = |result: Result<Imported>| matches!(result, Err(FormatError::Io { .. }));
    assert!(io(voc::read(nowhere, &options)));
    assert!(io(kitti::read(nowhere, &options)));
    assert!(io(cvat::read(nowhere, &options)));
    assert!(io(label_studio::read(nowhere, &options)));
    assert!(io(fiftyone::read(nowhere, &options)));
}

#[test]
fn cvat_starts_people_off_with_proposals_and_keeps_labels() {
    let mut set = one_sample();
    let mut open = SampleRecord::image("b", "b.png", ImageSize::new(64, 48).unwrap()).unwrap();
    open.boxes = None;
    set.samples.push(open);
    let scored = ScoredBox::new(ClassIdx(1), BBox::new(16.0, 12.0, 32.0, 24.0).unwrap(), 0.5).unwrap();
    let of = |id: &str| (labelloop_core::SampleId::new(id).unwrap(), vec![scored]);
    let predictions = BTreeMap::from([of("a"), of("b")]);
    let (_keep, out) = place();
    let options = cvat::WriteOptions { predictions: Some(&predictions) };
    let lost = common::lost(&cvat::write_with(&out, &set, &options).unwrap());
    assert_eq!(lost, [(Format::Cvat, Lost::UnlabelledMarks, 1), (Format::Cvat, Lost::Proposals, 1)]);
    let back = cvat::read(&out, &strict()).unwrap().set;
    assert_eq!(back.samples[0].boxes, set.samples[0].boxes);
    let proposed = &back.samples[1].boxes.as_ref().unwrap()[0];
    assert_eq!((proposed.class, proposed.bbox), (scored.class(), scored.bbox()));
    assert_eq!(proposed.extra["source"], "\"auto\"");
    assert_eq!(proposed.extra["attributes"], "{\"score\": \"0.5\"}");

    for predictions in [BTreeMap::from([of("gone")]), BTreeMap::from([of("b")])] {
        set.schema = ClassSchema::new(["car"]).unwrap();
        let refused = cvat::write_with(&out, &set, &cvat::WriteOptions { predictions: Some(&predictions) });
        assert!(matches!(
            refused,
            Err(FormatError::UnknownSample { .. } | FormatError::ClassOutOfRange { class: 1, .. })
        ));
    }
}

#[test]
fn schemas_become_configurations_with_any_names() {
    let names = ["car", "a \"b\" <c> & 'd'", "ü\\"];
    let schema = ClassSchema::new(names).unwrap();
    let labels: Vec<serde_json::Value> = serde_json::from_str(&cvat::labels_config(&schema)).unwrap();
    let told: Vec<&str> = labels.iter().map(|l| l["name"].as_str().unwrap()).collect();
    assert_eq!(told, names);
    assert!(labels.iter().all(|l| l["type"] == "rectangle" && l["attributes"] == serde_json::json!([])));
    let (keep, path) = file("tasks.config.xml", &label_studio::labelling_config(&schema));
    fs::write(keep.path().join("tasks.json"), "[]").unwrap();
    let back = label_studio::read(&path.with_file_name("tasks.json"), &strict()).unwrap();
    assert_eq!(back.set.schema, schema);
}
