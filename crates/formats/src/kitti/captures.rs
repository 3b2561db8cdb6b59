use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

use labelloop_core::{
    BBox, CaptureId, CoreError, GroupKey, ImageSize, LabelledBox, LabelledCuboid, SampleId, SampleRecord,
    SliceKind,
};

use super::{Calibration, DONT_CARE, columns, images, json_list, label, read_classes};
use crate::named::{self, Named};
use crate::warning::Notes;
use crate::{Imported, ReadOptions, Result, WarningKind, files, json, sizes};

/// Key of a label: the line that it was read from.
pub(super) const LINE: &str = "line";
/// Key of a label: the number of its cuboid in the capture's point cloud.
pub(super) const CUBOID: &str = "cuboid";
/// Keys of the left picture: lines of `DontCare`, their boxes, and lines without a box in the picture.
pub(super) const DONT_CARE_LINES: &str = "dont_care_lines";
pub(super) const DONT_CARE_BOXES: &str = "dont_care";
pub(super) const BOXLESS: &str = "lines_without_box";
/// Keys of a picture: its camera as JSON of [`labelloop_core::Camera`], and, of the left one, the text of the calibration.
pub(super) const CAMERA: &str = "camera";
pub(super) const CALIBRATION: &str = "calibration";

/// Which captures a split must keep together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CaptureGroups {
    /// Each capture is a group of its own: the object benchmark does not say what was recorded together.
    #[default]
    Each,
    /// The first letters of a capture's name are those of its sequence: 4 for `0003_000012`, as tools that turn the
    /// tracking benchmark into frames name them. Shorter names are groups of their own.
    Prefix(usize),
}

/// How to read a KITTI folder as captures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CaptureOptions {
    /// Errors or warnings, and the classes.
    pub read: ReadOptions,
    /// What belongs together.
    pub groups: CaptureGroups,
}

/// Reads a folder with `label_2`, `image_2`, `image_3`, `velodyne` and `calib` as captures with the slices `left`, `right`
/// and `pcd`, in the order of their names; a slice is there when its file is, the left one also when there are labels.
///
/// Boxes are labels of the left picture. Where there is a point cloud, what the lines say in three dimensions are labels
/// of it, in the lidar's frame; without a `calib` file they stay in the camera's frame, with a warning. Pictures carry
/// their calibration as `extra["camera"]`. A capture without a label file is unlabelled. Lines without a box (corners all
/// -1 or all 0) are labels of the point cloud alone.
///
/// ```
/// use labelloop_core::CuboidFrame;
/// use labelloop_formats::kitti::{CaptureOptions, read_captures};
///
/// let dir = tempfile::tempdir()?;
/// for folder in ["label_2", "calib", "velodyne"] {
///     std::fs::create_dir(dir.path().join(folder))?;
/// }
/// let line = "Car 0.00 0 -1.65 664.07 183.08 708.18 219.72 1.50 1.64 4.10 3.30 1.90 32.50 -1.55\n";
/// std::fs::write(dir.path().join("label_2/000001.txt"), line)?;
/// std::fs::write(dir.path().join("velodyne/000001.bin"), [0; 16])?;
/// std::fs::write(
///     dir.path().join("calib/000001.txt"),
///     "P2: 700 0 600 0 0 700 180 0 0 0 1 0\nR0_rect: 1 0 0 0 1 0 0 0 1\nTr_velo_to_cam: 0 -1 0 0 0 0 -1 0 1 0 0 -0.3\n",
/// )?;
/// let set = read_captures(dir.path(), &CaptureOptions::default())?.set;
/// let [left, cloud] = &set.samples[..] else { panic!("{set:?}") };
/// assert_eq!((left.slice.as_str(), cloud.id.as_str()), ("left", "000001/pcd"));
/// let car = cloud.cuboids.as_ref().expect("it is labelled")[0].cuboid;
/// assert_eq!(car.frame(), CuboidFrame::Lidar);
/// assert!((car.centre()[0] - 32.8).abs() < 1e-9, "0.3 m farther from the lidar");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`super::read`]; [`crate::FormatError::Refused`] for a calibration file that is none, however strict.
pub fn read_captures(dir: &Path, options: &CaptureOptions) -> Result<Imported> {
    let mut notes = Notes::new(dir, options.read.strictness);
    let folders = Folders::of(dir, &mut notes)?;
    let mut lefts = Vec::new();
    for name in folders.captures() {
        lefts.extend(left(name, &folders, options.groups, &mut notes)?);
    }
    let mut set = named::resolve(dir, lefts, read_classes(dir)?, &options.read, &mut notes)?;
    let mut samples = Vec::with_capacity(3 * set.samples.len());
    for left in set.samples {
        slices(left, dir, &folders, &mut samples, &mut notes)?;
    }
    set.samples = samples;
    Ok(Imported { set, warnings: notes.into_warnings() })
}

/// Files by name of the capture.
struct Folders {
    labels: BTreeMap<String, Rc<std::path::PathBuf>>,
    left: BTreeMap<String, (String, Option<ImageSize>)>,
    right: BTreeMap<String, (String, Option<ImageSize>)>,
    clouds: BTreeMap<String, String>,
}

impl Folders {
    fn of(dir: &Path, notes: &mut Notes) -> Result<Self> {
        let folder = dir.join("label_2");
        // A folder that is missing altogether is told as such; one without labels is a folder of unlabelled captures.
        let listed = if dir.is_dir() && !folder.is_dir() { Vec::new() } else { files::files_below(&folder)? };
        let labels = listed
            .into_iter()
            .filter(|file| files::ending(file) == Some("txt"))
            .map(|file| (files::stem(&file).to_owned(), Rc::new(folder.join(&file))))
            .collect();
        let mut left = images(dir, notes)?;
        left.retain(|_, (file, _)| !file.starts_with("image_3/"));
        Ok(Self { labels, left, right: right_images(dir, notes)?, clouds: clouds(dir)? })
    }

    fn captures(&self) -> BTreeSet<&str> {
        let keys = self.labels.keys().chain(self.left.keys()).chain(self.right.keys());
        keys.chain(self.clouds.keys()).map(String::as_str).collect()
    }
}

fn right_images(dir: &Path, notes: &mut Notes) -> Result<BTreeMap<String, (String, Option<ImageSize>)>> {
    let mut found = BTreeMap::new();
    for (file, listed) in sizes::read(dir, notes)? {
        if let Some(name) = file.strip_prefix("image_3/") {
            let place = (listed.file_name(dir, &file), Some(listed.size));
            found.insert(files::stem(name).to_owned(), place);
        }
    }
    let folder = dir.join("image_3");
    if folder.is_dir() {
        for file in files::files_below(&folder)? {
            let size = files::image_size(&folder.join(&file))?;
            let name = files::stem(&file).to_owned();
            let listed = found.get(&name).and_then(|(_, size)| *size);
            found.insert(name, (format!("image_3/{file}"), size.or(listed)));
        }
    }
    Ok(found)
}

fn clouds(dir: &Path) -> Result<BTreeMap<String, String>> {
    let folder = dir.join("velodyne");
    let listed = if folder.is_dir() { files::files_below(&folder)? } else { Vec::new() };
    let clouds = listed.into_iter().filter(|file| files::ending(file) == Some("bin"));
    Ok(clouds.map(|file| (files::stem(&file).to_owned(), format!("velodyne/{file}"))).collect())
}

/// The left picture with its labels. Captures whose name is no id are noted and left out.
fn left(
    name: &str,
    folders: &Folders,
    groups: CaptureGroups,
    notes: &mut Notes,
) -> Result<Option<(SampleRecord, Vec<Named>)>> {
    let place = folders.left.get(name).cloned();
    let (file_name, size) = place.unwrap_or_else(|| (format!("image_2/{name}.png"), None));
    let mut record = match record(name, "left", SliceKind::Image, file_name, groups) {
        Ok(record) => SampleRecord { size, ..record },
        Err(reason) => {
            notes.note(None, WarningKind::Refused { place: format!("capture {name:?}"), reason })?;
            return Ok(None);
        }
    };
    let Some(path) = folders.labels.get(name) else { return Ok(Some((record, Vec::new()))) };
    record.boxes = Some(Vec::new());
    let (mut labels, mut ignored, mut ignored_lines) = (Vec::new(), Vec::new(), Vec::new());
    for (i, line) in files::read_text(path)?.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        match label(line, path, i + 1) {
            Ok(found) if found.class == DONT_CARE => {
                ignored.push(json_list(&found.label.bbox.to_corners()));
                ignored_lines.push(json::quoted(line.trim()));
            }
            Ok(mut found) => {
                found.label.extra.insert(LINE.to_owned(), json::quoted(line.trim()));
                labels.push(found);
            }
            Err(kind) => notes.note_in(path, Some(i + 1), kind)?,
        }
    }
    if !ignored.is_empty() {
        record.extra.insert(DONT_CARE_BOXES.to_owned(), format!("[{}]", ignored.join(", ")));
        record.extra.insert(DONT_CARE_LINES.to_owned(), format!("[{}]", ignored_lines.join(", ")));
    }
    Ok(Some((record, labels)))
}

fn record(
    capture: &str,
    slice: &str,
    kind: SliceKind,
    file_name: String,
    groups: CaptureGroups,
) -> Result<SampleRecord, CoreError> {
    let group = match groups {
        CaptureGroups::Prefix(n) => capture.char_indices().nth(n).map_or(capture, |(end, _)| &capture[..end]),
        CaptureGroups::Each => capture,
    };
    Ok(SampleRecord {
        id: SampleId::new(format!("{capture}/{slice}"))?,
        capture: CaptureId::new(capture)?,
        group: GroupKey::new(group)?,
        slice: slice.to_owned(),
        kind,
        file_name,
        size: None,
        boxes: None,
        cuboids: None,
        labelled_by: None,
        extra: labelloop_core::Extra::new(),
    })
}

/// Adds the slices of a capture whose left picture was read.
fn slices(
    mut left: SampleRecord,
    dir: &Path,
    folders: &Folders,
    samples: &mut Vec<SampleRecord>,
    notes: &mut Notes,
) -> Result<()> {
    let name = left.capture.to_string();
    let path = dir.join("calib").join(format!("{name}.txt"));
    let calibration = if path.is_file() { Some(Calibration::read(&path)?) } else { None };
    let slice = |slice: &str, kind, file_name: &str| SampleRecord {
        slice: slice.to_owned(),
        kind,
        file_name: file_name.to_owned(),
        size: None,
        boxes: None,
        extra: labelloop_core::Extra::new(),
        ..left.clone()
    };
    let right = folders
        .right
        .get(&name)
        .map(|(file, size)| SampleRecord { size: *size, ..slice("right", SliceKind::Image, file) });
    let cloud = folders.clouds.get(&name).map(|file| slice("pcd", SliceKind::PointCloud, file));
    let (cuboids, failures) = divide(&mut left, calibration.as_ref(), cloud.is_some());
    for reason in failures {
        let path = folders.labels.get(&name).map_or(dir, |p| p.as_path());
        notes.note_in(path, None, WarningKind::Refused { place: "cuboid".to_owned(), reason })?;
    }
    if calibration.is_none() && cuboids.as_ref().is_some_and(|c| !c.is_empty()) {
        let n_cuboids = cuboids.as_ref().map_or(0, Vec::len);
        notes
            .note(None, WarningKind::MissingCalibration { place: format!("calib/{name}.txt"), n_cuboids })?;
    }
    let has_left = folders.left.contains_key(&name) || folders.labels.contains_key(&name);
    let mut add = |mut record: SampleRecord, camera: Option<usize>| -> Result<()> {
        let camera = camera.and_then(|n| calibration.as_ref()?.camera(n));
        let text = camera.and_then(|c| serde_json::to_string(&c).ok());
        record.extra.extend(text.map(|text| (CAMERA.to_owned(), text)));
        match SampleId::new(format!("{name}/{}", record.slice)) {
            Ok(id) => samples.push(SampleRecord { id, ..record }),
            Err(reason) => {
                notes.note(None, WarningKind::Refused { place: format!("capture {name:?}"), reason })?;
            }
        }
        Ok(())
    };
    if has_left {
        let text = calibration.as_ref().map(|c| json::quoted(&c.to_text()));
        left.extra.extend(text.map(|text| (CALIBRATION.to_owned(), text)));
        add(left, Some(2))?;
    }
    if let Some(right) = right {
        add(right, Some(3))?;
    }
    cloud.map_or(Ok(()), |cloud| add(SampleRecord { cuboids, ..cloud }, None))
}

/// Divides labels between the left picture and the point cloud: lines without a box leave the picture, and where there is a
/// cloud, what is told of three dimensions enters it. Returned with the cuboids: what is wrong with those that are none.
fn divide(
    left: &mut SampleRecord,
    calibration: Option<&Calibration>,
    has_cloud: bool,
) -> (Option<Vec<LabelledCuboid>>, Vec<CoreError>) {
    let Some(labels) = left.boxes.take() else { return (None, Vec::new()) };
    let (mut boxes, mut boxless, mut cuboids, mut failures) = (vec![], vec![], vec![], vec![]);
    for mut label in labels {
        let number = cuboids.len();
        if has_cloud {
            match columns::cuboid(&label.extra, calibration) {
                Some(Ok(cuboid)) => {
                    cuboids.push(LabelledCuboid { class: label.class, cuboid, annotator: None });
                    label.extra.insert(CUBOID.to_owned(), number.to_string());
                }
                Some(Err(reason)) => failures.push(reason),
                None => {}
            }
        }
        if is_boxless(label.bbox) { boxless.push(label) } else { boxes.push(label) }
    }
    if !boxless.is_empty() {
        let line = |label: LabelledBox| label.extra.get(LINE).cloned();
        let lines: Vec<String> = boxless.into_iter().filter_map(line).collect();
        left.extra.insert(BOXLESS.to_owned(), format!("[{}]", lines.join(", ")));
    }
    left.boxes = Some(boxes);
    (has_cloud.then_some(cuboids), failures)
}

/// KITTI's words for a box that is not known.
pub(super) fn is_boxless(bbox: BBox) -> bool {
    let corners = bbox.to_corners();
    corners == [-1.0; 4] || corners == [0.0; 4]
}
