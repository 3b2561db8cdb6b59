//! Point Cloud Data, the format of PCL (its documentation, "The PCD (Point Cloud Data) file format", version 0.7).

mod body;
mod encode;
mod header;
mod lzf;

use std::path::Path;

pub use encode::{PcdEncoding, encode_pcd, write_pcd};

use crate::{MediaError, PcdProblem, PointCloud, PointLimits, PointPlace, Result};

/// Reads a PCD file of version 0.5 to 0.7, `ascii`, `binary` or `binary_compressed`.
///
/// Fields may come in any order and be of any type, size and count. `x`, `y` and `z` are needed; `intensity`,
/// `reflectivity` or `i` (the first of these that there is, in any case of letters) is taken as it stands, and is 0 where
/// there is none. Other fields are skipped. Coordinates that are all `F 4` stay as they are; of wider numbers a cloud
/// far from zero gets an [origin](PointCloud::origin).
///
/// `VIEWPOINT`, the pose of the sensor, is checked to be there at most once and otherwise left alone: PCL does not apply
/// it to the points either. An organised cloud (`HEIGHT` above 1) becomes its rows one after another, with the NaN
/// points that keep its shape.
///
/// # Errors
/// [`MediaError::Pcd`] with the line or byte, [`MediaError::TooManyPoints`] beyond the default [`PointLimits`], or
/// [`MediaError::Io`].
pub fn read_pcd(path: &Path) -> Result<PointCloud> {
    let bytes = std::fs::read(path).map_err(|source| MediaError::Io { path: path.to_owned(), source })?;
    decode(&bytes, PointLimits::default(), &path.display().to_string())
}

/// As [`read_pcd`], from memory.
///
/// ```
/// let text = "\
/// VERSION 0.7
/// FIELDS ring z y x i
/// SIZE 1 4 4 4 2
/// TYPE U F F F U
/// WIDTH 2
/// HEIGHT 1
/// POINTS 2
/// DATA ascii
/// 7 0.5 -2 10 200
/// 8 nan 0 11 0
/// ";
/// let cloud = labelloop_media::decode_pcd(text.as_bytes())?;
/// assert_eq!(cloud.points()[0], [10.0, -2.0, 0.5, 200.0]);
/// assert_eq!(cloud.n_not_finite(), 1);
/// # Ok::<(), labelloop_media::MediaError>(())
/// ```
///
/// # Errors
/// As [`read_pcd`].
pub fn decode_pcd(bytes: &[u8]) -> Result<PointCloud> {
    decode(bytes, PointLimits::default(), crate::decode::IN_MEMORY)
}

pub(crate) fn decode(bytes: &[u8], limits: PointLimits, place: &str) -> Result<PointCloud> {
    let named =
        |Fault { at, problem }| MediaError::Pcd { place: place.to_owned(), at, problem: Box::new(problem) };
    let header = header::parse(bytes).map_err(named)?;
    limits.allow(header.n_points, || place.to_owned())?;
    body::decode(&header, &bytes[header.body..]).map_err(named)
}

/// What is wrong, and where.
#[derive(Debug)]
struct Fault {
    at: PointPlace,
    problem: PcdProblem,
}

impl Fault {
    fn at_line(line: u64, problem: PcdProblem) -> Self {
        Self { at: PointPlace::Line(line), problem }
    }

    fn at_byte(byte: usize, problem: PcdProblem) -> Self {
        Self { at: PointPlace::Byte(byte as u64), problem }
    }
}

/// As much of a text as a message should show.
fn shown(text: &str) -> String {
    const LONGEST: usize = 40;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}
