use std::fmt::Write;
use std::path::Path;

use crate::{PointCloud, Result, disk};

/// How a PCD file holds its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PcdEncoding {
    /// Decimal numbers, one point a line; they come back bit for bit.
    Ascii,
    /// Little-endian numbers.
    #[default]
    Binary,
}

/// Bytes of a PCD 0.7 file with the fields x, y, z, intensity; reading them gives the same points.
///
/// Numbers are `F 4`. Of a cloud with an origin x, y and z are `F 8`, with the origin added.
///
/// ```
/// use labelloop_media::{PcdEncoding, PointCloud, decode_pcd, encode_pcd};
///
/// let cloud = PointCloud::new(vec![[10.0, -2.5, 0.1, 0.5]]);
/// let text = encode_pcd(&cloud, PcdEncoding::Ascii);
/// assert!(text.ends_with(b"DATA ascii\n10 -2.5 0.1 0.5\n"));
/// assert_eq!(decode_pcd(&text)?, cloud);
/// # Ok::<(), labelloop_media::MediaError>(())
/// ```
pub fn encode_pcd(cloud: &PointCloud, encoding: PcdEncoding) -> Vec<u8> {
    let is_wide = cloud.origin() != [0.0; 3];
    let (side, n_points) = (if is_wide { 8 } else { 4 }, cloud.n_points());
    let data = match encoding {
        PcdEncoding::Ascii => "ascii",
        PcdEncoding::Binary => "binary",
    };
    let mut bytes = format!(
        "# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\nFIELDS x y z intensity\n\
        SIZE {side} {side} {side} 4\nTYPE F F F F\nCOUNT 1 1 1 1\nWIDTH {n_points}\nHEIGHT 1\n\
        VIEWPOINT 0 0 0 1 0 0 0\nPOINTS {n_points}\nDATA {data}\n"
    )
    .into_bytes();
    for point in cloud.points() {
        let wide = [0, 1, 2].map(|axis| f64::from(point[axis]) + cloud.origin()[axis]);
        match encoding {
            PcdEncoding::Ascii if is_wide => append_line(&mut bytes, &wide, point[3]),
            PcdEncoding::Ascii => append_line(&mut bytes, &point[..3], point[3]),
            PcdEncoding::Binary if is_wide => {
                wide.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
                bytes.extend(point[3].to_le_bytes());
            }
            PcdEncoding::Binary => point.iter().for_each(|v| bytes.extend(v.to_le_bytes())),
        }
    }
    bytes
}

/// Writes a PCD file, whole or not at all.
///
/// # Errors
/// [`MediaError::Io`](crate::MediaError::Io).
pub fn write_pcd(cloud: &PointCloud, path: &Path, encoding: PcdEncoding) -> Result<()> {
    disk::replace(path, &encode_pcd(cloud, encoding))
}

/// The shortest decimals that give the same bits; `nan` as PCL writes it.
fn append_line<T: std::fmt::Display>(bytes: &mut Vec<u8>, coordinates: &[T], intensity: f32) {
    let mut line = String::new();
    for coordinate in coordinates {
        // Writing to a string cannot fail.
        _ = write!(line, "{coordinate} ");
    }
    _ = writeln!(line, "{intensity}");
    line.make_ascii_lowercase();
    bytes.extend(line.as_bytes());
}
