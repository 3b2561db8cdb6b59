use std::path::{Path, PathBuf};

use labelloop_core::ClassSchema;
use labelloop_formats::{
    FormatError, Imported, Lost, ReadOptions, Strictness, WarningKind, coco, cvat as cvat_format,
    fiftyone as fiftyone_format, kitti as kitti_format, label_studio as label_studio_format,
    tables as tables_format, voc as voc_format, yolo as yolo_format,
};

/// A folder that is gone when the body ends.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("the machine has room for a temporary folder"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn with(&self, name: &str, data: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).expect("a temporary folder takes folders");
        }
        std::fs::write(&path, data).expect("a temporary folder takes files");
        path
    }
}

const SIZES: &[u8] =
    b"images/a.png\t640\t480\nimages/train/a.png\t640\t480\nimage_2/a.png\t640\t480\na.png\t640\t480\n";

/// A COCO file that is read is written, read and written again: the second time as the same bytes.
pub fn coco_round_trip(data: &[u8]) {
    let folder = Folder::new();
    let Ok(first) = coco::read(&folder.with("in.json", data), &coco::ReadOptions::default()) else { return };
    let written = |name: &str, set| {
        let path = folder.path().join(name);
        coco::write(&path, set, &coco::WriteOptions::default()).map(|_| path)
    };
    // A set may hold what COCO cannot say, for instance a name that is no path; that is an error with a reason.
    let Ok(once) = written("once.json", &first.set) else { return };
    let second = coco::read(&once, &coco::ReadOptions::default()).expect("what was written is read");
    let twice = written("twice.json", &second.set).expect("what was written once is written again");
    let bytes = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    assert_eq!(bytes(&once), bytes(&twice), "the second writing differs");
}

/// One label file of a YOLO folder, and its `dataset.yaml` when the bytes hold a line `---`.
pub fn yolo(data: &[u8]) {
    let (yaml, lines) = halves(data);
    let folder = Folder::new();
    let usual = b"path: .\ntrain: images/train\nnames: [car, van]\n";
    let yaml = folder.with("dataset.yaml", yaml.unwrap_or(usual));
    folder.with("image_sizes.tsv", SIZES);
    folder.with("images/train/a.png", b"");
    folder.with("labels/train/a.txt", lines);
    both(|options| yolo_format::read(&yaml, options));
}

/// One annotation of a Pascal VOC folder.
pub fn voc(data: &[u8]) {
    let folder = Folder::new();
    folder.with("Annotations/a.xml", data);
    both(|options| voc_format::read(folder.path(), options));
}

/// One label file of a KITTI folder, and its `image_sizes.tsv` when the bytes hold a line `---`.
pub fn kitti(data: &[u8]) {
    let (sizes, lines) = halves(data);
    let folder = Folder::new();
    folder.with("image_sizes.tsv", sizes.unwrap_or(SIZES));
    folder.with("label_2/a.txt", lines);
    both(|options| kitti_format::read(folder.path(), options));
}

/// One label file of a KITTI folder of captures with a point cloud, and its calibration when the bytes hold a line `---`:
/// what is read is written and read again, as the same captures.
pub fn kitti_captures(data: &[u8]) {
    const USUAL: &[u8] =
        b"P2: 720 0 610 44 0 720 175 0 0 0 1 0\nR0_rect: 1 0 0 0 1 0 0 0 1\nTr_velo_to_cam: 0 -1 0 0 0 0 -1 0 1 0 0 -0.3\n";
    let (calibration, lines) = halves(data);
    let folder = Folder::new();
    folder.with("image_sizes.tsv", b"image_2/a.png\t1242\t375\n");
    folder.with("velodyne/a.bin", b"");
    folder.with("calib/a.txt", calibration.unwrap_or(USUAL));
    folder.with("label_2/a.txt", lines);
    let captures = |path: &Path, read: &ReadOptions| {
        let read = read.clone();
        kitti_format::read_captures(path, &kitti_format::CaptureOptions { read, ..Default::default() })
    };
    both(|options| captures(folder.path(), options));
    let Ok(first) = captures(folder.path(), &ReadOptions::default()) else { return };
    let out = folder.path().join("out");
    // The picture is not there to be copied, nor can a set without labels be written.
    let cloud = first.set.samples.iter().rfind(|s| s.slice == "pcd").cloned();
    let Ok(lost) =
        kitti_format::write_captures(&out, &first.set, folder.path(), labelloop_formats::MediaMode::None)
    else {
        return;
    };
    // Names with marks that no line of KITTI can hold are changed, and the writer says so.
    let is_renamed =
        |kind: &WarningKind| matches!(kind, WarningKind::NotCarried { what: Lost::ClassNames, .. });
    if lost.iter().any(|warning| is_renamed(&warning.kind)) {
        return;
    }
    if cloud.is_some() {
        std::fs::create_dir_all(out.join("velodyne")).expect("a temporary folder takes folders");
        std::fs::write(out.join("velodyne/a.bin"), b"").expect("a temporary folder takes files");
    }
    let second = captures(&out, &ReadOptions::default()).expect("what was written is read");
    assert_eq!(second.set, first.set, "what was written is what was read");
}

/// A CVAT file.
pub fn cvat(data: &[u8]) {
    let folder = Folder::new();
    let path = folder.with("annotations.xml", data);
    both(|options| cvat_format::read(&path, options));
}

/// A Label Studio file, as tasks and as predictions.
pub fn label_studio(data: &[u8]) {
    let folder = Folder::new();
    let path = folder.with("tasks.json", data);
    both(|options| label_studio_format::read(&path, options));
    _ = label_studio_format::read_predictions(&path, &ReadOptions::default());
}

/// The samples of a FiftyOne folder.
pub fn fiftyone(data: &[u8]) {
    let folder = Folder::new();
    let usual = br#"{"default_classes": ["car", "van"]}"#;
    let (metadata, samples) = halves(data);
    folder.with("metadata.json", metadata.unwrap_or(usual));
    folder.with("samples.json", samples);
    both(|options| fiftyone_format::read(folder.path(), options));
}

/// One table of a Parquet folder: that of boxes when the first byte is `b`, else that of samples; the other one is that of
/// one picture with a box.
pub fn tables(data: &[u8]) {
    const SCHEMA: &[u8] = br#"{"version": 1, "classes": ["car", "van"], "extra": {}}"#;
    const SAMPLES: &[u8] = include_bytes!("../corpus/tables/samples");
    const BOXES: &[u8] = include_bytes!("../corpus/tables/boxes");
    let (kind, table) = data.split_first().map_or((b's', data), |(kind, table)| (*kind, table));
    let (samples, boxes) = if kind == b'b' { (&SAMPLES[1..], table) } else { (table, &BOXES[1..]) };
    let folder = Folder::new();
    folder.with("schema.json", SCHEMA);
    folder.with("samples.parquet", samples);
    folder.with("boxes.parquet", boxes);
    both(|options| tables_format::read(folder.path(), options));
}

/// The bytes before and after the first line `---`; only those after it where there is none.
pub(crate) fn halves(data: &[u8]) -> (Option<&[u8]>, &[u8]) {
    const MARK: &[u8] = b"\n---\n";
    match data.windows(MARK.len()).position(|window| window == MARK) {
        Some(at) => (Some(&data[..at]), &data[at + MARK.len()..]),
        None => (None, data),
    }
}

/// Strict reading takes nothing that lenient reading refuses, has no complaint, and says the same; with a schema of
/// other classes nothing panics either.
fn both(read: impl Fn(&ReadOptions) -> Result<Imported, FormatError>) {
    let with = |strictness| read(&ReadOptions { strictness, ..ReadOptions::default() });
    let lenient = with(Strictness::Lenient);
    if let Ok(strict) = with(Strictness::Strict) {
        assert!(strict.warnings.is_empty(), "strict reading warned: {:?}", strict.warnings);
        assert_eq!(Some(strict), lenient.ok(), "lenient reading differs from strict");
    }
    let schema = ClassSchema::new(["van", "tram"]).ok();
    _ = read(&ReadOptions { schema, ..ReadOptions::default() });
}
