use std::path::Path;

use labelloop_core::Cuboid;

use crate::{MediaError, Result, disk};

/// Bytes of one point on disk: four little-endian `f32`.
const POINT_BYTES: usize = 16;

/// Lidar returns: x forward, y left, z up in metres, and intensity (KITTI: 0 to 1), in the order of the file.
///
/// Points that are not finite are kept, since dropping them would shift what other files say about point numbers;
/// they are counted, and no geometry below counts them as being anywhere.
///
/// ```
/// use labelloop_media::PointCloud;
///
/// let cloud = PointCloud::new(vec![[1.0, 2.0, 0.5, 0.3], [f32::NAN, 0.0, 0.0, 0.0]]);
/// assert_eq!((cloud.n_points(), cloud.n_not_finite()), (2, 1));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PointCloud {
    points: Vec<[f32; 4]>,
    n_not_finite: usize,
}

impl PointCloud {
    /// Takes rows of x, y, z, intensity.
    pub fn new(points: Vec<[f32; 4]>) -> Self {
        let n_not_finite = points.iter().filter(|p| !is_finite(p)).count();
        Self { points, n_not_finite }
    }

    /// Rows of x, y, z, intensity.
    pub fn points(&self) -> &[[f32; 4]] {
        &self.points
    }

    /// Rows there are, finite or not.
    pub fn n_points(&self) -> usize {
        self.points.len()
    }

    /// Rows with a NaN or an infinity among their four numbers.
    pub fn n_not_finite(&self) -> usize {
        self.n_not_finite
    }

    /// The places of the points that are somewhere: x, y, z finite.
    pub(crate) fn places(&self) -> impl Iterator<Item = [f64; 3]> + '_ {
        self.points
            .iter()
            .filter(|p| p[..3].iter().all(|v| v.is_finite()))
            .map(|p| [p[0], p[1], p[2]].map(f64::from))
    }
}

/// Reads a KITTI velodyne file: rows of x, y, z, intensity as little-endian `f32`, nothing else.
///
/// An empty file is an empty cloud: the format has no header that could say otherwise.
///
/// # Errors
/// [`MediaError::Io`], or [`MediaError::TruncatedPoints`] when the length is not a multiple of 16 bytes.
pub fn read_kitti_bin(path: &Path) -> Result<PointCloud> {
    let bytes = std::fs::read(path).map_err(|source| MediaError::Io { path: path.to_owned(), source })?;
    decode_from(&bytes, &path.display().to_string())
}

/// Writes a KITTI velodyne file, whole or not at all; [`read_kitti_bin`] gives the same cloud.
///
/// # Errors
/// [`MediaError::Io`].
pub fn write_kitti_bin(cloud: &PointCloud, path: &Path) -> Result<()> {
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
    decode_from(bytes, "bytes in memory")
}

/// As [`write_kitti_bin`], to memory.
pub fn encode_kitti_bin(cloud: &PointCloud) -> Vec<u8> {
    cloud.points.iter().flatten().flat_map(|v| v.to_le_bytes()).collect()
}

/// Number of points in a cuboid; its faces belong to it. Points that are not finite are nowhere.
///
/// The cloud and the cuboid must be in one frame. Linear in the number of points.
///
/// ```
/// use labelloop_core::{Cuboid, CuboidFrame};
/// use labelloop_media::{PointCloud, points_in_cuboid};
///
/// let cloud = PointCloud::new(vec![[10.0, 0.0, 0.0, 0.1], [12.5, 0.0, 0.0, 0.1]]);
/// let car = Cuboid::new([10.0, 0.0, 0.0], [4.0, 2.0, 2.0], 0.0, CuboidFrame::Lidar)?;
/// assert_eq!(points_in_cuboid(&cloud, &car), 1);
/// # Ok::<(), labelloop_core::CoreError>(())
/// ```
pub fn points_in_cuboid(cloud: &PointCloud, cuboid: &Cuboid) -> usize {
    let [cx, cy, cz] = cuboid.centre();
    let [half_length, half_width, half_height] = cuboid.size().map(|side| side / 2.0);
    let (sin, cos) = cuboid.yaw().sin_cos();
    let holds = |[x, y, z]: &[f64; 3]| {
        let (dx, dy) = (x - cx, y - cy);
        let along = dx * cos + dy * sin;
        let across = dy * cos - dx * sin;
        along.abs() <= half_length && across.abs() <= half_width && (z - cz).abs() <= half_height
    };
    cloud.places().filter(holds).count()
}

fn decode_from(bytes: &[u8], place: &str) -> Result<PointCloud> {
    let (n_points, n_left) = (bytes.len() / POINT_BYTES, bytes.len() % POINT_BYTES);
    if n_left != 0 {
        let place = place.to_owned();
        return Err(MediaError::TruncatedPoints { place, n_bytes: bytes.len(), n_points, n_left });
    }
    let number = |row: &[u8], i: usize| f32::from_le_bytes([row[i], row[i + 1], row[i + 2], row[i + 3]]);
    let rows = bytes.chunks_exact(POINT_BYTES);
    Ok(PointCloud::new(rows.map(|row| [0, 4, 8, 12].map(|i| number(row, i))).collect()))
}

fn is_finite(point: &[f32; 4]) -> bool {
    point.iter().all(|v| v.is_finite())
}

#[cfg(test)]
mod tests {
    use labelloop_core::CuboidFrame;
    use proptest::prelude::*;

    use super::*;

    fn cuboid(centre: [f64; 3], size: [f64; 3], yaw: f64) -> Cuboid {
        Cuboid::new(centre, size, yaw, CuboidFrame::Lidar).unwrap()
    }

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
    fn points_that_are_not_finite_are_counted_and_are_nowhere() {
        let nan = f32::NAN;
        let cloud = PointCloud::new(vec![
            [nan, 0.0, 0.0, 0.0],
            [0.0, f32::INFINITY, 0.0, 0.0],
            [0.0, 0.0, 0.0, nan],
            [0.0, 0.0, 0.0, 0.0],
        ]);
        assert_eq!(cloud.n_not_finite(), 3);
        let around = cuboid([0.0; 3], [2.0; 3], 0.0);
        assert_eq!(points_in_cuboid(&cloud, &around), 2, "a point with a bad intensity still has a place");
    }

    #[test]
    fn faces_belong_to_the_cuboid() {
        let cloud =
            PointCloud::new(vec![[2.0, 0.0, 0.0, 0.0], [0.0, 1.0, -0.5, 0.0], [2.001, 0.0, 0.0, 0.0]]);
        assert_eq!(points_in_cuboid(&cloud, &cuboid([0.0; 3], [4.0, 2.0, 1.0], 0.0)), 2);
    }

    #[test]
    fn yaw_turns_length_towards_y() {
        let cloud = PointCloud::new(vec![[0.0, 1.9, 0.0, 0.0], [1.9, 0.0, 0.0, 0.0]]);
        assert_eq!(points_in_cuboid(&cloud, &cuboid([0.0; 3], [4.0, 2.0, 1.0], 0.0)), 1);
        let turned = cuboid([0.0; 3], [4.0, 2.0, 1.0], std::f64::consts::FRAC_PI_2);
        let only_first = PointCloud::new(vec![cloud.points()[0]]);
        assert_eq!(points_in_cuboid(&only_first, &turned), 1);
    }

    proptest! {
        #[test]
        fn any_bytes_round_trip_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            match decode_kitti_bin(&bytes) {
                Ok(cloud) => prop_assert_eq!(encode_kitti_bin(&cloud), bytes),
                Err(_) => prop_assert_ne!(bytes.len() % 16, 0),
            }
        }

        #[test]
        fn a_point_is_inside_when_it_is_on_the_inner_side_of_all_ground_edges(
            x in -5.0..5.0f32, y in -5.0..5.0f32, z in -2.0..2.0f32,
            centre in [-2.0..2.0f64, -2.0..2.0f64, -1.0..1.0f64],
            size in [0.1..6.0f64, 0.1..6.0f64, 0.1..3.0f64],
            yaw in -7.0..7.0f64,
        ) {
            let cuboid = cuboid(centre, size, yaw);
            let corners = cuboid.ground_corners();
            let (px, py) = (f64::from(x), f64::from(y));
            let sides = (0..4).map(|i| {
                let ([ax, ay], [bx, by]) = (corners[i], corners[(i + 1) % 4]);
                (bx - ax) * (py - ay) - (by - ay) * (px - ax)
            }).collect::<Vec<_>>();
            // On an edge the two ways of counting may round differently.
            prop_assume!(sides.iter().all(|s| 1e-6 < s.abs()));
            let inside = sides.iter().all(|s| 0.0 < *s) && (f64::from(z) - centre[2]).abs() <= size[2] / 2.0;
            let cloud = PointCloud::new(vec![[x, y, z, 0.0]]);
            prop_assert_eq!(points_in_cuboid(&cloud, &cuboid) == 1, inside);
        }
    }
}
