use std::path::Path;

use crate::{MediaError, PointCloud, Result, kitti_bin, las, pcd};

/// How many points a file may hold.
///
/// A few bytes of a damaged or hostile file can ask for gigabytes. Nothing is set aside before the file was found to be
/// as long as its header says, or, for compressed ones, to be able to unpack to that; this limit is what remains.
///
/// ```
/// assert_eq!(labelloop_media::PointLimits::default().max_points, 100_000_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PointLimits {
    /// Points of a cloud, 16 bytes of memory each. Default: 100 million, a thousand frames of a lidar or a large tile of
    /// a map.
    pub max_points: u64,
}

impl Default for PointLimits {
    fn default() -> Self {
        Self { max_points: 100_000_000 }
    }
}

impl PointLimits {
    /// The number as a length in memory, when it is allowed.
    pub(crate) fn allow(self, n_points: u64, place: impl Fn() -> String) -> Result<usize> {
        let allowed = usize::try_from(n_points).ok().filter(|_| n_points <= self.max_points);
        allowed.ok_or_else(|| MediaError::TooManyPoints {
            place: place(),
            n_points,
            max_points: self.max_points,
        })
    }
}

/// Kinds of point files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PointFormat {
    /// Rows of x, y, z, intensity as little-endian `f32`: KITTI and many others.
    KittiBin,
    /// Rows of x, y, z, intensity, number of the laser as little-endian `f32`: nuScenes.
    NuScenesBin,
    /// Point Cloud Data, versions 0.5 to 0.7: text, binary or packed.
    Pcd,
    /// ASPRS LAS 1.0 to 1.4, plain or compressed to LAZ; the header tells which.
    Las,
}

impl PointFormat {
    /// The kind that a name speaks of: `.bin`, `.pcd.bin` (nuScenes), `.pcd`, `.las` or `.laz`, in any case of letters.
    ///
    /// ```
    /// use labelloop_media::PointFormat;
    ///
    /// let of = |name: &str| PointFormat::of(name.as_ref());
    /// assert_eq!(of("velodyne/000000.bin"), Some(PointFormat::KittiBin));
    /// assert_eq!(of("LIDAR_TOP/n015.pcd.bin"), Some(PointFormat::NuScenesBin));
    /// assert_eq!(of("tile.LAZ"), Some(PointFormat::Las));
    /// assert_eq!(of("a.png"), None);
    /// ```
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        let kinds = [
            (".pcd.bin", Self::NuScenesBin),
            (".bin", Self::KittiBin),
            (".pcd", Self::Pcd),
            (".las", Self::Las),
            (".laz", Self::Las),
        ];
        kinds.into_iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, kind)| kind)
    }
}

/// Reads a point file of the kind that its name speaks of, within [`PointLimits::default`].
///
/// ```
/// use labelloop_media::{PcdEncoding, PointCloud, read_points, write_kitti_bin, write_pcd};
///
/// let folder = tempfile::tempdir()?;
/// let cloud = PointCloud::new(vec![[10.0, -2.5, 0.25, 0.5], [11.0, 0.0, -1.5, 0.0]]);
/// let [bin, pcd] = ["a.bin", "a.pcd"].map(|name| folder.path().join(name));
/// write_kitti_bin(&cloud, &bin)?;
/// write_pcd(&cloud, &pcd, PcdEncoding::Ascii)?;
/// assert_eq!(read_points(&bin)?, cloud);
/// assert_eq!(read_points(&pcd)?, cloud);
/// assert!(read_points(&folder.path().join("a.txt")).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`MediaError::UnknownPointFormat`] for another name, [`MediaError::Io`], [`MediaError::TooManyPoints`], and what is
/// wrong with the file: [`MediaError::TruncatedPoints`], [`MediaError::Pcd`], [`MediaError::Las`]. All name the file.
pub fn read_points(path: &Path) -> Result<PointCloud> {
    read_points_within(path, PointLimits::default())
}

/// As [`read_points`], with limits of one's own.
///
/// # Errors
/// As [`read_points`].
pub fn read_points_within(path: &Path, limits: PointLimits) -> Result<PointCloud> {
    let Some(format) = PointFormat::of(path) else {
        return Err(MediaError::UnknownPointFormat { path: path.to_owned() });
    };
    if format == PointFormat::KittiBin {
        return kitti_bin::read_within(path, limits);
    }
    let bytes = std::fs::read(path).map_err(|source| MediaError::Io { path: path.to_owned(), source })?;
    decode_points(&bytes, format, limits, &path.display().to_string())
}

/// As [`read_points_within`], for bytes that somebody else read: errors call them `place`.
///
/// ```
/// use labelloop_media::{PointFormat, PointLimits, decode_points};
///
/// let refused = decode_points(b"LASF", PointFormat::Las, PointLimits::default(), "tile 7").unwrap_err();
/// assert!(refused.to_string().starts_with("tile 7: 4 bytes are no LAS header"));
/// ```
///
/// # Errors
/// As [`read_points`].
pub fn decode_points(
    bytes: &[u8],
    format: PointFormat,
    limits: PointLimits,
    place: &str,
) -> Result<PointCloud> {
    match format {
        PointFormat::KittiBin => kitti_bin::decode_within(bytes, limits, place),
        PointFormat::NuScenesBin => kitti_bin::decode_nuscenes(bytes, limits, place),
        PointFormat::Pcd => pcd::decode(bytes, limits, place),
        PointFormat::Las => las::decode(bytes, limits, place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_documented_ones() {
        assert_eq!(PointLimits::default(), PointLimits { max_points: 100_000_000 });
    }

    #[test]
    fn names_without_a_known_ending_are_refused_with_their_path() {
        for name in ["a.txt", "bin", "a.bin.gz", ""] {
            let refused = read_points(Path::new(name)).unwrap_err();
            assert!(matches!(&refused, MediaError::UnknownPointFormat { path } if path == Path::new(name)));
        }
    }

    #[test]
    fn missing_files_are_named() {
        for name in ["a.bin", "a.pcd.bin", "a.pcd", "a.las", "a.laz"] {
            let refused = read_points(&Path::new("no such folder").join(name)).unwrap_err();
            assert!(refused.to_string().contains(name), "{refused}");
        }
    }

    #[test]
    fn limits_hold_for_every_kind() {
        let none = PointLimits { max_points: 0 };
        let cloud = PointCloud::new(vec![[1.0; 4]]);
        let pcd = crate::encode_pcd(&cloud, crate::PcdEncoding::Binary);
        let cases = [
            (PointFormat::KittiBin, vec![0; 16]),
            (PointFormat::NuScenesBin, vec![0; 20]),
            (PointFormat::Pcd, pcd),
        ];
        for (format, bytes) in cases {
            let refused = decode_points(&bytes, format, none, "a").unwrap_err();
            assert!(
                matches!(refused, MediaError::TooManyPoints { n_points: 1, max_points: 0, .. }),
                "{refused}"
            );
        }
    }
}
