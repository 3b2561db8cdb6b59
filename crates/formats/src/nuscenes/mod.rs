//! nuScenes' detection results as flat rows, which is what evaluation asks of them: no database is needed.
//!
//! Labels and detections come in one shape, the devkit's submission format, in metres and with quaternions w, x, y, z:
//!
//! ```json
//! {
//!   "meta": {"frame": "global"},
//!   "results": {"ca9a282c": [{
//!     "sample_token": "ca9a282c", "translation": [601.2, 1647.9, 1.0], "size": [1.9, 4.6, 1.7], "rotation": [1, 0, 0, 0],
//!     "velocity": [0.1, 0], "detection_name": "car", "attribute_name": "vehicle.parked",
//!     "detection_score": 0.9, "ego_translation": [10.3, -4.1, 0.5], "num_pts": 12
//!   }]},
//!   "racks": {"ca9a282c": [{"translation": [590, 1640, 1], "size": [4, 12, 2], "rotation": [1, 0, 0, 0]}]},
//!   "scenes": {"ca9a282c": "scene-0103"}
//! }
//! ```
//!
//! `size` is width, length, height. Everything beside `meta.frame`, `racks` and `scenes` is the devkit's; those three, all
//! optional, stand for what it asks its database: in which frame translations are (`global`, or `ego` or `lidar` for boxes
//! seen from the vehicle), bicycle racks, and the scene of each sample. `velocity`, `attribute_name`, `ego_translation`,
//! `num_pts` and `sample_token` may be missing; labels need no `detection_score`. `NaN`, which Python writes, and `null`
//! are unknown velocities; anywhere else they are refused.

mod read;
mod rows;

use std::collections::BTreeMap;
use std::path::Path;

use labelloop_core::{ClassIdx, ClassSchema, Cuboid, CuboidFrame, GroupKey, SampleId};

use self::read::Role;
use crate::files::io_error;
use crate::{FormatError, Result, Strictness, Warning};

/// The ten classes of the detection benchmark, in the order of the devkit.
pub const CLASSES: [&str; 10] = [
    "car",
    "truck",
    "bus",
    "trailer",
    "construction_vehicle",
    "pedestrian",
    "motorcycle",
    "bicycle",
    "traffic_cone",
    "barrier",
];

/// The eight attributes of the detection benchmark, in the order of the devkit.
pub const ATTRIBUTES: [&str; 8] = [
    "pedestrian.moving",
    "pedestrian.sitting_lying_down",
    "pedestrian.standing",
    "cycle.with_rider",
    "cycle.without_rider",
    "vehicle.moving",
    "vehicle.parked",
    "vehicle.stopped",
];

/// How to read a file of boxes.
///
/// ```
/// use labelloop_formats::{Strictness, nuscenes};
///
/// let options = nuscenes::ReadOptions::default();
/// assert_eq!(options.classes.names(), nuscenes::CLASSES);
/// assert_eq!(options.attributes, nuscenes::ATTRIBUTES);
/// assert_eq!(options.strictness, Strictness::Lenient);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ReadOptions {
    /// Classes, whose numbers are their places. Default: [`CLASSES`].
    pub classes: ClassSchema,
    /// Attributes, whose numbers are their places. Default: [`ATTRIBUTES`].
    pub attributes: Vec<String>,
    /// Errors or warnings. Default: lenient, which leaves out boxes that cannot be understood.
    pub strictness: Strictness,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            classes: ClassSchema::new(CLASSES).expect("the ten names are distinct"),
            attributes: ATTRIBUTES.map(str::to_owned).to_vec(),
            strictness: Strictness::default(),
        }
    }
}

/// One box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NuscenesRow {
    /// Place of its sample in [`NuscenesRows::samples`].
    pub sample: u32,
    /// Place of its class among those asked for.
    pub class: ClassIdx,
    /// Where it is.
    pub cuboid: Cuboid,
    /// Metres a second along x and y, where both are known.
    pub velocity: Option<[f64; 2]>,
    /// Place of its attribute among those asked for.
    pub attribute: Option<u16>,
    /// Centre as seen from the vehicle.
    pub ego: Option<[f64; 3]>,
    /// Lidar and radar points inside, where somebody counted.
    pub n_points: Option<u32>,
    /// Confidence, of at least 0 in detections. Labels may have any or none.
    pub score: Option<f64>,
}

/// The boxes of a file as a long table, with the samples that its rows point to.
#[derive(Debug, Clone, PartialEq)]
pub struct NuscenesRows {
    /// Frame of all boxes.
    pub frame: CuboidFrame,
    /// Samples in the order of the file, with boxes or without.
    pub samples: Vec<SampleId>,
    /// Boxes in the order of the file, and so sample by sample.
    pub rows: Vec<NuscenesRow>,
    /// Bicycle racks, each with its sample's place.
    pub racks: Vec<(u32, Cuboid)>,
    /// Scenes of samples, where the file names them.
    pub scenes: BTreeMap<SampleId, GroupKey>,
    /// What was wrong or left out, in the order of the file.
    pub warnings: Vec<Warning>,
}

impl NuscenesRows {
    /// The rows of each sample, in the order of samples.
    ///
    /// ```
    /// use labelloop_formats::nuscenes::{ReadOptions, labels_from_slice};
    /// use std::path::Path;
    ///
    /// let text = br#"{"results": {"b": [], "a": [{"translation": [1, 2, 0], "size": [1, 1, 1], "rotation": [1, 0, 0, 0],
    ///     "detection_name": "car"}]}}"#;
    /// let rows = labels_from_slice(Path::new("gt.json"), text, &ReadOptions::default())?;
    /// let counts: Vec<(&str, usize)> = rows.by_sample().map(|(id, rows)| (id.as_str(), rows.len())).collect();
    /// assert_eq!(counts, [("b", 0), ("a", 1)]);
    /// # Ok::<(), labelloop_formats::FormatError>(())
    /// ```
    pub fn by_sample(&self) -> impl Iterator<Item = (&SampleId, &[NuscenesRow])> {
        let mut rest = self.rows.as_slice();
        self.samples.iter().zip(0u32..).map(move |(id, place)| {
            let (own, others) = rest.split_at(rest.partition_point(|row| row.sample <= place));
            rest = others;
            (id, own)
        })
    }
}

/// Reads labels.
///
/// ```
/// use labelloop_formats::nuscenes;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("gt.json");
/// std::fs::write(&path, r#"{"meta": {}, "results": {"a": [{
///     "sample_token": "a", "translation": [601.2, 1647.9, 1.0], "size": [1.9, 4.6, 1.7], "rotation": [1, 0, 0, 0],
///     "velocity": [NaN, NaN], "detection_name": "car", "attribute_name": "vehicle.parked", "num_pts": 12
/// }]}}"#)?;
/// let rows = nuscenes::read_labels(&path, &nuscenes::ReadOptions::default())?;
/// let car = &rows.rows[0];
/// assert_eq!((car.cuboid.size(), car.n_points), ([4.6, 1.9, 1.7], Some(12)));
/// assert_eq!((car.velocity, car.attribute), (None, Some(6)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Complexity: O(bytes of the file); memory is the file and its rows.
///
/// # Errors
/// [`FormatError::Io`], [`FormatError::NotUtf8`], [`FormatError::Syntax`], [`FormatError::Structure`];
/// [`FormatError::Refused`] for the first would-be warning under [`Strictness::Strict`].
pub fn read_labels(path: &Path, options: &ReadOptions) -> Result<NuscenesRows> {
    read::read(path, std::fs::read(path).map_err(io_error(path))?, options, Role::Labels)
}

/// [`read_labels`] from bytes in memory; the path is for messages.
///
/// # Errors
/// As [`read_labels`], but never [`FormatError::Io`].
pub fn labels_from_slice(path: &Path, bytes: &[u8], options: &ReadOptions) -> Result<NuscenesRows> {
    read::read(path, bytes.to_vec(), options, Role::Labels)
}

/// Reads detections for the samples of some labels.
///
/// ```
/// use labelloop_formats::nuscenes::{ReadOptions, detections_from_slice, labels_from_slice};
/// use std::path::Path;
///
/// let options = ReadOptions::default();
/// let labels = labels_from_slice(Path::new("gt.json"), br#"{"results": {"a": []}}"#, &options)?;
/// let found = br#"{"results": {"a": [{"translation": [1, 2, 0], "size": [1, 1, 0], "rotation": [1, 0, 0, 0],
///     "detection_name": "car", "detection_score": 0.5}]}}"#;
/// let rows = detections_from_slice(Path::new("found.json"), found, &labels, &options)?;
/// assert!(rows.rows.is_empty());
/// let said = rows.warnings[0].to_string();
/// assert!(said.starts_with("found.json, line 1: results.a[0]: ") && said.contains("height"), "{said}");
/// # Ok::<(), labelloop_formats::FormatError>(())
/// ```
///
/// # Errors
/// As [`read_labels`]; [`FormatError::UnknownSample`] for a sample that the labels do not have, and
/// [`FormatError::Structure`] for boxes in another frame.
pub fn read_detections(path: &Path, of: &NuscenesRows, options: &ReadOptions) -> Result<NuscenesRows> {
    let bytes = std::fs::read(path).map_err(io_error(path))?;
    fitting(path, of, read::read(path, bytes, options, Role::Detections)?)
}

/// [`read_detections`] from bytes in memory; the path is for messages.
///
/// # Errors
/// As [`read_detections`], but never [`FormatError::Io`].
pub fn detections_from_slice(
    path: &Path,
    bytes: &[u8],
    of: &NuscenesRows,
    options: &ReadOptions,
) -> Result<NuscenesRows> {
    fitting(path, of, read::read(path, bytes.to_vec(), options, Role::Detections)?)
}

fn fitting(path: &Path, of: &NuscenesRows, found: NuscenesRows) -> Result<NuscenesRows> {
    if found.frame != of.frame && !found.samples.is_empty() {
        let (place, expected) = ("meta.frame".to_owned(), "the frame of the labels");
        return Err(FormatError::Structure { path: path.to_owned(), place, expected });
    }
    let known: std::collections::BTreeSet<&SampleId> = of.samples.iter().collect();
    match found.samples.iter().find(|id| !known.contains(id)) {
        Some(id) => Err(FormatError::UnknownSample { sample: id.to_string(), n_samples: of.samples.len() }),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests;
