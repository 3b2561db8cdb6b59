use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::{MediaError, PointCloud, PointLimits, Result, disk};

/// Bytes of a number on disk: a little-endian `f32`.
const NUMBER_BYTES: usize = 4;
/// Numbers of a point in KITTI's files: x, y, z, intensity.
const KITTI_COLUMNS: usize = 4;
/// Numbers of a point in nuScenes' files: x, y, z, intensity, number of the laser.
const NUSCENES_COLUMNS: usize = 5;

/// Reads a KITTI velodyne file: rows of x, y, z, intensity as little-endian `f32`, nothing else.
///
/// An empty file is an empty cloud: the format has no header that could say otherwise. For the same reason rows of
/// another length are noticed only where the file's length gives them away.
///
/// The file is read in one go into the memory that the cloud keeps, without a conversion. It is not mapped into memory:
/// mapping costs a page fault for every few points, which was measured to take twice as long for a frame of 2 MB, and a
/// file that another program shortens meanwhile would kill the process.
///
/// # Errors
/// [`MediaError::Io`], [`MediaError::TruncatedPoints`] when the length is not a multiple of 16 bytes, or
/// [`MediaError::TooManyPoints`] beyond the default [`PointLimits`].
pub fn read_kitti_bin(path: &Path) -> Result<PointCloud> {
    read_within(path, PointLimits::default())
}

/// Writes a KITTI velodyne file, whole or not at all; [`read_kitti_bin`] gives the same cloud.
///
/// # Errors
/// [`MediaError::Io`], or [`MediaError::OriginLost`] for a cloud whose origin is not zero: the format has no place for
/// it.
pub fn write_kitti_bin(cloud: &PointCloud, path: &Path) -> Result<()> {
    if cloud.origin() != [0.0; 3] {
        return Err(MediaError::OriginLost { path: path.to_owned(), origin: cloud.origin() });
    }
    disk::replace(path, &encode_kitti_bin(cloud))
}

/// As [`read_kitti_bin`], from memory.
///
/// ```
/// use labelloop_media::{PointCloud, decode_kitti_bin, encode_kitti_bin};
///
/// let cloud = PointCloud::new(vec![[1.0, 2.0, 3.0, 0.5]]);
/// let bytes = encode_kitti_bin(&cloud);
/// assert_eq!(decode_kitti_bin(&bytes)?, cloud);
/// assert!(decode_kitti_bin(&bytes[..10]).is_err());
/// # Ok::<(), labelloop_media::MediaError>(())
/// ```
///
/// # Errors
/// [`MediaError::TruncatedPoints`] when the length is not a multiple of 16 bytes.
pub fn decode_kitti_bin(bytes: &[u8]) -> Result<PointCloud> {
    decode(bytes, KITTI_COLUMNS, PointLimits { max_points: u64::MAX }, crate::decode::IN_MEMORY)
}

/// As [`write_kitti_bin`], to memory. The rows are relative to the cloud's origin, as they stand.
pub fn encode_kitti_bin(cloud: &PointCloud) -> Vec<u8> {
    cloud.points().iter().flatten().flat_map(|v| v.to_le_bytes()).collect()
}

/// Rows of four numbers, read into place.
pub(crate) fn read_within(path: &Path, limits: PointLimits) -> Result<PointCloud> {
    let io = |source| MediaError::Io { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        // A pipe does not tell its length.
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        return decode(&bytes, KITTI_COLUMNS, limits, &path.display().to_string());
    }
    let n_points = n_points_in(metadata.len(), KITTI_COLUMNS, limits, || path.display().to_string())?;
    let mut points = vec![[0.0f32; KITTI_COLUMNS]; n_points];
    file.read_exact(bytemuck::cast_slice_mut(&mut points)).map_err(io)?;
    Ok(native(points))
}

/// Rows of five numbers, of which the first four are kept.
pub(crate) fn decode_nuscenes(bytes: &[u8], limits: PointLimits, place: &str) -> Result<PointCloud> {
    decode(bytes, NUSCENES_COLUMNS, limits, place)
}

/// Rows of four numbers.
pub(crate) fn decode_within(bytes: &[u8], limits: PointLimits, place: &str) -> Result<PointCloud> {
    decode(bytes, KITTI_COLUMNS, limits, place)
}

fn decode(bytes: &[u8], n_columns: usize, limits: PointLimits, place: &str) -> Result<PointCloud> {
    let n_points = n_points_in(bytes.len() as u64, n_columns, limits, || place.to_owned())?;
    let mut points = vec![[0.0f32; KITTI_COLUMNS]; n_points];
    if n_columns == KITTI_COLUMNS {
        bytemuck::cast_slice_mut(&mut points).copy_from_slice(bytes);
    } else {
        for (point, row) in points.iter_mut().zip(bytes.chunks_exact(n_columns * NUMBER_BYTES)) {
            bytemuck::cast_slice_mut(point).copy_from_slice(&row[..KITTI_COLUMNS * NUMBER_BYTES]);
        }
    }
    Ok(native(points))
}

/// Points that a file of this length holds, when it holds whole ones and not too many.
fn n_points_in(
    n_bytes: u64,
    n_columns: usize,
    limits: PointLimits,
    place: impl Fn() -> String,
) -> Result<usize> {
    let point_bytes = (n_columns * NUMBER_BYTES) as u64;
    let (n_points, n_left) = (n_bytes / point_bytes, n_bytes % point_bytes);
    if n_left != 0 {
        return Err(MediaError::TruncatedPoints { place: place(), n_bytes, n_points, n_left, point_bytes });
    }
    limits.allow(n_points, place)
}

/// Numbers as this machine keeps them, of bytes that were little-endian.
fn native(mut points: Vec<[f32; 4]>) -> PointCloud {
    if cfg!(target_endian = "big") {
        for number in points.iter_mut().flatten() {
            *number = f32::from_bits(number.to_bits().swap_bytes());
        }
    }
    PointCloud::new(points)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_truncated_file_tells_its_sizes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("000000.bin");
        std::fs::write(&path, [0; 37]).unwrap();
        let refused = read_kitti_bin(&path).unwrap_err();
        assert!(
            refused
                .to_string()
                .ends_with("000000.bin: 37 bytes are 2 points and 5 bytes more: expected a multiple of 16"),
            "{refused}"
        );
    }

    #[test]
    fn an_empty_file_is_an_empty_cloud_and_a_missing_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        assert!(matches!(read_kitti_bin(&path), Err(MediaError::Io { .. })));
        std::fs::write(&path, []).unwrap();
        assert_eq!(read_kitti_bin(&path).unwrap(), PointCloud::default());
    }

    #[test]
    fn files_come_back_bit_for_bit_and_little_endian() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        let cloud = PointCloud::new(vec![[1.0, -2.5, 1e-40, 0.25], [0.0, -0.0, f32::MAX, 1.0]]);
        write_kitti_bin(&cloud, &path).unwrap();
        assert_eq!(read_kitti_bin(&path).unwrap(), cloud);
        assert_eq!(std::fs::read(&path).unwrap()[..4], [0, 0, 0x80, 0x3F]);
    }

    #[test]
    fn rows_of_five_numbers_keep_the_first_four() {
        let bytes = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0].map(f32::to_le_bytes).concat();
        let cloud = decode_nuscenes(&bytes, PointLimits::default(), "a").unwrap();
        assert_eq!(cloud.points(), [[1.0, 2.0, 3.0, 4.0], [6.0, 7.0, 8.0, 9.0]]);
        let refused = decode_nuscenes(&bytes[..32], PointLimits::default(), "a").unwrap_err();
        assert!(refused.to_string().contains("expected a multiple of 20"), "{refused}");
    }

    #[test]
    fn more_points_than_the_limit_are_refused_before_they_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        // A hole in a file takes no room on disk, and must take none in memory.
        File::create(&path).unwrap().set_len(1 << 32).unwrap();
        let refused = read_kitti_bin(&path).unwrap_err();
        assert!(matches!(refused, MediaError::TooManyPoints { n_points: 0x1000_0000, .. }), "{refused}");
    }

    #[test]
    fn an_origin_is_not_lost_silently() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        let cloud = PointCloud::with_origin(vec![[1.0; 4]], [9000.0, 0.0, 0.0]).unwrap();
        assert!(matches!(write_kitti_bin(&cloud, &path), Err(MediaError::OriginLost { .. })));
        assert!(!path.exists());
    }

    proptest! {
        #[test]
        fn any_bytes_round_trip_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            match decode_kitti_bin(&bytes) {
                Ok(cloud) => prop_assert_eq!(encode_kitti_bin(&cloud), bytes),
                Err(_) => prop_assert_ne!(bytes.len() % 16, 0),
            }
        }
    }
}
