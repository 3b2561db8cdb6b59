//! Hostile and careless input, the same for every reader: an answer with its place, soon, and never a panic.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use labelloop_core::{
    AnnotationSet, BBox, ClassIdx, ClassSchema, Extra, ImageSize, LabelledBox, SampleRecord,
};
use labelloop_formats::{
    Format, FormatError, Imported, MediaMode, ReadOptions, Result, WarningKind, coco, cvat, fiftyone, kitti,
    label_studio, voc, yolo,
};

fn read(format: Format, path: &Path) -> Result<Imported> {
    let options = ReadOptions::default();
    match format {
        Format::Coco => coco::read(path, &Default::default())
            .map(|read| Imported { set: read.set, warnings: read.warnings }),
        Format::Yolo if path.is_dir() => yolo::read(&path.join("dataset.yaml"), &options),
        Format::Yolo => yolo::read(path, &options),
        Format::Voc => voc::read(path, &options),
        Format::Kitti => kitti::read(path, &options),
        Format::Cvat => cvat::read(path, &options),
        Format::LabelStudio => label_studio::read(path, &options),
        Format::FiftyOne => fiftyone::read(path, &options),
        #[cfg(feature = "parquet")]
        Format::Parquet => labelloop_formats::tables::read(path, &options),
        other => panic!("{other}"),
    }
}

fn one_sample() -> AnnotationSet {
    let mut sample = SampleRecord::image("d/a", "d/a.png", ImageSize::new(64, 48).unwrap()).unwrap();
    let mut label = LabelledBox::new(ClassIdx(0), BBox::new(8.0, 8.0, 16.0, 24.0).unwrap());
    label.extra.insert("occluded".to_owned(), "1".to_owned());
    sample.boxes = Some(vec![label]);
    AnnotationSet {
        schema: ClassSchema::new(["car", "van"]).unwrap(),
        samples: vec![sample],
        extra: Extra::new(),
    }
}

/// A set in this format, and where.
fn written(format: Format, set: &AnnotationSet) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("first.json");
    coco::write(&first, set, &Default::default()).unwrap();
    let out = folder.path().join("out");
    labelloop_formats::convert(Format::Coco, &first, format, &out).unwrap();
    (folder, out)
}

/// The text files of an export.
fn texts(out: &Path) -> Vec<PathBuf> {
    if out.is_file() {
        return vec![out.to_owned()];
    }
    let (mut found, mut open) = (Vec::new(), vec![out.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_none_or(|e| e != "parquet") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn marks_and_carriage_returns_change_nothing() {
    for format in Format::ALL {
        let (_keep, out) = written(format, &one_sample());
        let before = read(format, &out).unwrap();
        for path in texts(&out) {
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, format!("\u{feff}{}", text.replace('\n', "\r\n"))).unwrap();
        }
        assert_eq!(read(format, &out).unwrap(), before, "{format}");
    }
}

#[test]
fn bytes_that_are_not_text_are_placed_by_file_and_line() {
    for format in Format::ALL {
        let (_keep, out) = written(format, &one_sample());
        for path in texts(&out) {
            let good = fs::read(&path).unwrap();
            fs::write(&path, [good.as_slice(), b"\n\xff"].concat()).unwrap();
            let error = read(format, &out).unwrap_err();
            assert!(matches!(error, FormatError::NotUtf8 { .. }), "{format}: {error}");
            assert_eq!(error.path(), Some(path.as_path()), "{format}");
            assert!(error.line().is_some_and(|line| 1 < line), "{format}: {error}");
            fs::write(&path, good).unwrap();
        }
    }
}

#[test]
fn archives_are_to_be_unpacked_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("export.zip");
    for first in [&b"PK\x03\x04\x14\0"[..], b"\x1f\x8b\x08\0", b"7z\xbc\xaf\x27\x1c\0\0"] {
        fs::write(&path, first).unwrap();
        for format in Format::ALL {
            let error = read(format, &path).unwrap_err();
            assert!(matches!(error, FormatError::Archive { .. }), "{format}: {error}");
            assert!(error.to_string().ends_with("unpack it first"), "{error}");
        }
    }
}

#[cfg(unix)]
#[test]
fn loops_of_links_end() {
    use std::os::unix::fs::symlink;
    for format in [Format::Yolo, Format::Voc, Format::Kitti, Format::FiftyOne] {
        let (_keep, out) = written(format, &one_sample());
        let before = read(format, &out).unwrap();
        for folder in ["train/labels", "train/images", "Annotations", "label_2", "image_2", "."] {
            let folder = out.join(folder);
            if folder.is_dir() {
                symlink(&out, folder.join("all")).unwrap();
                symlink("loop.png", folder.join("loop.png")).unwrap();
            }
        }
        let after = read(format, &out).unwrap();
        assert_eq!(after.set.samples.len(), before.set.samples.len(), "{format}");
        assert_eq!(after.set.n_boxes(), 1, "{format}");
    }
}

#[test]
fn names_that_leave_their_folder_are_told_and_left_out() {
    for bad in ["../../etc/passwd", "/etc/passwd", "C:\\\\a.png", "\\\\\\\\host\\\\a.png", "d/../../a.png"] {
        let plain = bad.replace("\\\\", "\\");
        for format in [Format::Coco, Format::Voc, Format::Cvat, Format::FiftyOne] {
            let (_keep, out) = written(format, &one_sample());
            for path in texts(&out) {
                let text = fs::read_to_string(&path).unwrap();
                let is_json = matches!(format, Format::Coco | Format::FiftyOne);
                fs::write(&path, text.replace("d/a.png", if is_json { bad } else { &plain })).unwrap();
            }
            let read = read(format, &out).unwrap();
            assert_eq!(read.set.samples.len(), 0, "{format}: {bad}");
            let told = |w: &labelloop_formats::Warning| {
                matches!(&w.kind, WarningKind::UnsafePath { found, .. } if *found == plain)
                    && w.line.is_some()
            };
            assert!(read.warnings.iter().any(told), "{format}: {:?}", read.warnings);
        }
    }
}

#[test]
fn backslashes_of_windows_are_folders() {
    for format in [Format::Coco, Format::Voc, Format::Cvat, Format::FiftyOne, Format::LabelStudio] {
        let (_keep, out) = written(format, &one_sample());
        for path in texts(&out) {
            let text = fs::read_to_string(&path).unwrap();
            let json = matches!(format, Format::Coco | Format::FiftyOne | Format::LabelStudio);
            fs::write(&path, text.replace("d/a.png", if json { "d\\\\a.png" } else { "d\\a.png" })).unwrap();
        }
        let read = read(format, &out).unwrap();
        assert_eq!(read.set.samples[0].file_name, "d/a.png", "{format}");
    }
}

#[test]
fn numbers_beyond_all_bounds_cost_one_label() {
    for format in [Format::Coco, Format::Yolo, Format::Voc, Format::Kitti, Format::Cvat, Format::LabelStudio]
    {
        for huge in ["1e400", "-1e308", "1e308", "NaN", "Infinity", "inf"] {
            let (_keep, out) = written(format, &one_sample());
            for path in texts(&out) {
                let text = fs::read_to_string(&path).unwrap();
                let text = text
                    .replace("\"bbox\": [8.0, 8.0, 16.0", &format!("\"bbox\": [8.0, 8.0, {huge}"))
                    .replace("0 0.25 0.4166", &format!("0 {huge} 0.4166"))
                    .replace("<xmin>8<", &format!("<xmin>{huge}<"))
                    .replace(" 8 8 24 32 ", &format!(" 8 {huge} 24 32 "))
                    .replace("xtl=\"8\"", &format!("xtl=\"{huge}\""))
                    .replace("\"x\": 12.5", &format!("\"x\": {huge}"));
                fs::write(&path, text).unwrap();
            }
            match read(format, &out) {
                Ok(read) => assert!(!read.warnings.is_empty(), "{format}: {huge}"),
                // `inf` is no word of JSON.
                Err(error) => assert!(error.line().is_some(), "{format}: {huge}: {error}"),
            }
        }
    }
}

#[test]
fn entities_that_grow_are_refused() {
    let mut bomb = "<?xml version=\"1.0\"?>\n<!DOCTYPE lolz [<!ENTITY lol \"lol\">\n".to_owned();
    for i in 1..10 {
        let before = if i == 1 { "lol".to_owned() } else { format!("lol{}", i - 1) };
        bomb += &format!("<!ENTITY lol{i} \"{}\">\n", format!("&{before};").repeat(10));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.xml");
    fs::write(&path, format!("{bomb}]>\n<annotations><image name=\"&lol9;\"/></annotations>")).unwrap();
    assert!(matches!(read(Format::Cvat, &path), Err(FormatError::Syntax { .. })));
    fs::write(&path, format!("{bomb}]>\n<annotation><filename>&lol9;</filename></annotation>")).unwrap();
    assert!(matches!(read(Format::Voc, folder.path()), Err(FormatError::Syntax { .. })));
}

#[test]
fn an_image_list_may_not_leave_the_folder() {
    let (_keep, out) = written(Format::Yolo, &one_sample());
    fs::write(out.join("train.txt"), "train/images/d/a.png\n\n../../../x.png\n/etc/x.png\n").unwrap();
    fs::write(out.join("dataset.yaml"), "train: train.txt\nnames: [car, van]\n").unwrap();
    let read = read(Format::Yolo, &out).unwrap();
    assert_eq!(read.set.samples.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["d/a"]);
    let lines: Vec<_> = read.warnings.iter().map(|w| w.line).collect();
    assert_eq!(lines, [Some(3), Some(4)], "{:?}", read.warnings);
}

#[test]
fn ids_that_differ_only_as_paths_are_refused() {
    let mut set = one_sample();
    let second = SampleRecord { file_name: "e.png".to_owned(), ..set.samples[0].clone() };
    for id in ["d//a", "d/./a", "d\\a", "../a"] {
        let second = SampleRecord { id: labelloop_core::SampleId::new(id).unwrap(), ..second.clone() };
        set.samples.truncate(1);
        set.samples.push(second);
        let folder = tempfile::tempdir().unwrap();
        let part = |_: &labelloop_core::SampleId| Some(yolo::Part::Train);
        let results = [
            yolo::write(&folder.path().join("y"), &set, &part, Path::new("."), MediaMode::None),
            voc::write(&folder.path().join("v"), &set),
            kitti::write(&folder.path().join("k"), &set),
        ];
        assert!(
            results.iter().all(|r| matches!(r, Err(FormatError::UnsafeName { .. }))),
            "{id}: {results:?}"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing half written");
    }
}
