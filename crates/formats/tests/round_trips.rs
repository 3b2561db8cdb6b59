//! One generator of sets with everything in them, one law for every format: what was written, without what the warnings
//! name, is what is read back.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::path::Path;

use common::any::{any_set, meant, minus};
use common::{assert_same_boxes, settled};
use labelloop_core::{AnnotationSet, BBox, SliceKind};
use labelloop_formats::{
    Format, FormatError, MediaMode, ReadOptions, Result, Warning, WarningKind, coco, convert, cvat, fiftyone,
    kitti, label_studio, voc, yolo,
};
use proptest::prelude::*;

/// Everything but the places of boxes, which may move by a rounding.
fn without_boxes(mut set: AnnotationSet) -> AnnotationSet {
    for label in set.samples.iter_mut().flat_map(|s| s.boxes.iter_mut().flatten()) {
        label.bbox = BBox::new(0.0, 0.0, 1.0, 1.0).unwrap();
    }
    set
}

/// A refusal must have its reason in the set.
fn assert_refusal_is_due(set: &AnnotationSet, error: &FormatError) {
    let pictures = || set.samples.iter().filter(|s| s.kind == SliceKind::Image);
    let odd = |name: &str| {
        let parts = || name.split(['/', '\\']);
        parts().any(|p| matches!(p, "" | "." | ".."))
            || name.contains('\\')
            || name.as_bytes().get(1) == Some(&b':')
    };
    let due = match error {
        FormatError::NoSize { sample } => pictures().any(|s| s.id.as_str() == sample && s.size.is_none()),
        FormatError::UnsafeName { name } => odd(name),
        FormatError::NothingToWrite { .. } => pictures().all(|s| s.boxes.is_none()),
        FormatError::NameClash { first, second, .. } => first != second,
        _ => false,
    };
    assert!(due, "{error}");
}

/// The law. Labels that leave their picture are told by readers and kept.
fn assert_law(
    set: &AnnotationSet,
    written: Result<Vec<Warning>>,
    read: impl Fn() -> Result<(AnnotationSet, Vec<Warning>)>,
    settle: impl Fn(AnnotationSet) -> AnnotationSet,
    slack: f64,
) {
    let lost = match written {
        Ok(lost) => lost,
        Err(error) => return assert_refusal_is_due(set, &error),
    };
    let (back, said) = read().unwrap();
    for warning in said {
        let fine = matches!(
            warning.kind,
            WarningKind::OutsideImage { .. } | WarningKind::MissingField { field: "width", .. }
        );
        assert!(fine, "{warning}");
    }
    let (back, set) = (settle(settled(back)), settle(settled(set.clone())));
    let expected = settle(settled(minus(set, &lost, &back)));
    assert_same_boxes(&expected, &back, slack);
    assert_eq!(without_boxes(expected), without_boxes(back));
}

fn imported(read: Result<labelloop_formats::Imported>) -> Result<(AnnotationSet, Vec<Warning>)> {
    read.map(|read| (read.set, read.warnings))
}

/// Label Studio has one list of labels for each annotator, COCO one of all, by their ids.
fn by_place(mut set: AnnotationSet) -> AnnotationSet {
    for labels in set.samples.iter_mut().filter_map(|s| s.boxes.as_mut()) {
        labels.sort_by(|a, b| a.bbox.to_xywh().partial_cmp(&b.bbox.to_xywh()).unwrap());
    }
    set
}

/// YOLO puts every sample into a part.
fn without_default_part(mut set: AnnotationSet) -> AnnotationSet {
    for sample in &mut set.samples {
        sample.extra.retain(|key, raw| key != "split" || raw != "\"train\"");
    }
    set
}

/// Fields at a format's default are written and, being what is meant anyway, not read into `extra`.
fn without_defaults(
    mut set: AnnotationSet,
    of_samples: &[&str],
    of_labels: &[(&str, &str)],
) -> AnnotationSet {
    for sample in &mut set.samples {
        sample.extra.retain(|key, raw| !of_samples.contains(&key.as_str()) || raw != "\"\"");
        let is_said = |key: &String, raw: &mut String| !of_labels.contains(&(key.as_str(), raw.as_str()));
        sample.boxes.iter_mut().flatten().for_each(|l| l.extra.retain(is_said));
    }
    set
}

fn write_yolo(out: &Path, set: &AnnotationSet) -> Result<Vec<Warning>> {
    let part_of = |id: &labelloop_core::SampleId| {
        let sample = set.samples.iter().find(|s| s.id == *id)?;
        let named = sample.extra.get("split").and_then(|raw| yolo::Part::named(raw.trim_matches('"')));
        Some(named.unwrap_or(yolo::Part::Train))
    };
    yolo::write(out, set, &part_of, Path::new("."), MediaMode::None)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn coco(set in any_set()) {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("instances.json");
        let read = || coco::read(&out, &Default::default()).map(|d| (d.set, d.warnings));
        assert_law(&set, coco::write(&out, &set, &Default::default()), read, by_place, 0.0);
    }

    #[test]
    fn yolo(set in any_set()) {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let read = || imported(yolo::read(&out.join("dataset.yaml"), &ReadOptions::default()));
        assert_law(&set, write_yolo(&out, &set), read, without_default_part, 1e-9);
    }

    #[test]
    fn voc(set in any_set()) {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let read = || imported(voc::read(&out, &ReadOptions::default()));
        let settle = |set| meant(without_defaults(set, &["path"], &[]));
        assert_law(&set, voc::write(&out, &set), read, settle, 1e-9);
    }

    #[test]
    fn kitti(set in any_set()) {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let read = || imported(kitti::read(&out, &ReadOptions::default()));
        let unknown = [("truncated", "-1"), ("occluded", "-1")];
        let settle = |set| meant(without_defaults(set, &[], &unknown));
        assert_law(&set, kitti::write(&out, &set), read, settle, 1e-9);
    }

    #[test]
    fn cvat(set in any_set()) {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out.xml");
        let read = || imported(cvat::read(&out, &ReadOptions::default()));
        let settle = |set| meant(without_defaults(set, &["subset"], &[]));
        assert_law(&set, cvat::write(&out, &set), read, settle, 1e-9);
    }

    #[test]
    fn label_studio(set in any_set()) {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("tasks.json");
        let read = || imported(label_studio::read(&out, &ReadOptions::default()));
        let settle = |set| meant(by_place(set));
        assert_law(&set, label_studio::write(&out, &set, &Default::default()), read, settle, 1e-9);
    }

    #[cfg(feature = "parquet")]
    #[test]
    fn parquet(set in any_set()) {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let read = || imported(labelloop_formats::tables::read(&out, &ReadOptions::default()));
        assert_law(&set, labelloop_formats::tables::write(&out, &set), read, |s| s, 0.0);
    }

    #[test]
    fn fiftyone(set in any_set()) {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let read = || imported(fiftyone::read(&out, &ReadOptions::default()));
        assert_law(&set, fiftyone::write(&out, &set), read, meant, 1e-9);
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_pair_of_formats(set in any_set()) {
        let folder = tempfile::tempdir().unwrap();
        let first = folder.path().join("first.json");
        if labelloop_formats::coco::write(&first, &set, &Default::default()).is_err() {
            return Ok(());
        }
        for from in Format::ALL {
            let at = folder.path().join(from.as_str());
            let Ok(there) = convert(Format::Coco, &first, from, &at) else { continue };
            for to in Format::ALL {
                let out = folder.path().join(format!("{from}-{to}"));
                match convert(from, &at, to, &out) {
                    Ok(report) => prop_assert_eq!(report.n_boxes, there.n_boxes),
                    Err(error) => assert_refusal_is_due(&set, &error),
                }
            }
        }
    }
}
