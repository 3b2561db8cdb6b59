//! ASPRS LAS and its compressed form LAZ, by the `las` crate.

mod check;
mod packed;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use las::{Header, PointData, PointDataBuilder};

use crate::cloud::CloudBuilder;
use crate::{LasProblem, MediaError, PointCloud, PointLimits, Result};

/// Reads a LAS file of version 1.0 to 1.4 with any of the point formats 0 to 10, plain or compressed to LAZ.
///
/// Coordinates are computed in `f64` with the scale and offset of the header. Where the first point is more than 8,192 m
/// from zero along an axis (UTM and other map coordinates), the cloud gets an [origin](PointCloud::origin) of whole
/// kilometres, and millimetres survive. Coordinates in degrees are no metres: project them before. The intensity is the
/// file's, from 0 to 65535.
///
/// Lengths, counts and layers are checked against the file before anything is set aside for them; compressed points may
/// unpack to 64 MiB, or to 512 times their size where that is more. Of damaged compressed data that passes these checks,
/// the decoder may panic; the panic is caught and becomes an error, so that a damaged file ends no program that is built
/// with unwinding (the default).
///
/// # Errors
/// [`MediaError::Las`], [`MediaError::TooManyPoints`] beyond the default [`PointLimits`], or [`MediaError::Io`]. A file
/// without points is an error: whoever writes one meant something else.
pub fn read_las(path: &Path) -> Result<PointCloud> {
    let bytes = std::fs::read(path).map_err(|source| MediaError::Io { path: path.to_owned(), source })?;
    decode(&bytes, PointLimits::default(), &path.display().to_string())
}

pub(crate) fn decode(bytes: &[u8], limits: PointLimits, place: &str) -> Result<PointCloud> {
    let named = |problem| MediaError::Las { place: place.to_owned(), problem: Box::new(problem) };
    let n_points = check::n_points(bytes).map_err(named)?;
    let n_allowed = limits.allow(n_points, || place.to_owned())?;
    let header = check::header(bytes).map_err(named)?;
    let rows = if header.point_format().is_compressed {
        unpacked(&header, bytes, n_allowed)
    } else {
        check::plain_rows(&header, bytes, n_points).map(<[u8]>::to_vec)
    };
    let refused = |e: las::Error| LasProblem::Header { reason: e.to_string() };
    let points = rows.and_then(|rows| builder(&header).build_from_bytes(rows).map_err(refused));
    Ok(cloud_of(&points.map_err(named)?))
}

/// Rows as they would be in a plain file.
fn unpacked(header: &Header, bytes: &[u8], n_points: usize) -> std::result::Result<Vec<u8>, LasProblem> {
    let packed = packed::check(header, bytes, n_points as u64)?;
    let refused = |reason| LasProblem::Unpack { n_points: n_points as u64, reason };
    let description = header.laz_vlr().map_err(|e| refused(e.to_string()))?;
    let mut rows = vec![0; packed.n_unpacked];
    let result =
        catch_unwind(AssertUnwindSafe(|| laz::decompress_buffer(&packed.bytes, &mut rows, description)));
    match result {
        Ok(Ok(())) => Ok(rows),
        Ok(Err(error)) => Err(refused(error.to_string())),
        Err(_) => Err(refused("the decoder met data that no encoder writes".to_owned())),
    }
}

fn builder(header: &Header) -> PointDataBuilder {
    PointDataBuilder::new().for_header(header)
}

fn cloud_of(points: &PointData) -> PointCloud {
    let mut cloud = CloudBuilder::default();
    for (((x, y), z), intensity) in points.x().zip(points.y()).zip(points.z()).zip(points.intensity()) {
        cloud.push([x, y, z], f32::from(intensity));
    }
    cloud.finish()
}

#[cfg(test)]
mod tests {
    use las::{Builder, Point, Transform, Vector, Writer};

    use super::*;

    /// A file as the `las` crate writes it.
    fn written(format: u8, is_compressed: bool, offset: [f64; 3], places: &[[f64; 3]]) -> Vec<u8> {
        let mut builder = Builder::from((1, 4));
        builder.point_format = las::point::Format::new(format).unwrap();
        builder.point_format.is_compressed = is_compressed;
        let [x, y, z] = offset.map(|offset| Transform { scale: 0.001, offset });
        builder.transforms = Vector { x, y, z };
        let folder = tempfile::tempdir().unwrap();
        // The ending decides whether the writer packs.
        let path = folder.path().join(if is_compressed { "a.laz" } else { "a.las" });
        let mut writer = Writer::from_path(&path, builder.into_header().unwrap()).unwrap();
        let format = *writer.header().point_format();
        for (i, [x, y, z]) in places.iter().enumerate() {
            let mut point = Point { x: *x, y: *y, z: *z, intensity: i as u16, ..Default::default() };
            point.gps_time = format.has_gps_time.then_some(i as f64);
            point.color = format.has_color.then(|| las::Color::new(1, 2, 3));
            point.nir = format.has_nir.then_some(9);
            point.waveform = format.has_waveform.then(Default::default);
            writer.write_point(point).unwrap();
        }
        writer.close().unwrap();
        std::fs::read(path).unwrap()
    }

    fn places(n: u32, from: [f64; 3]) -> Vec<[f64; 3]> {
        let step = |i: u32| f64::from(i * 7919 % 1000) / 10.0;
        (0..n).map(|i| [from[0] + step(i), from[1] - step(i + 1), from[2] + step(i + 2) / 10.0]).collect()
    }

    fn decoded(bytes: &[u8]) -> Result<PointCloud> {
        decode(bytes, PointLimits::default(), "a.las")
    }

    fn problem(bytes: &[u8]) -> LasProblem {
        match decoded(bytes) {
            Err(MediaError::Las { problem, .. }) => *problem,
            other => panic!("expected a problem, found {other:?}"),
        }
    }

    #[test]
    fn all_point_formats_plain_and_compressed_give_their_points() {
        let expected = places(5000, [0.0; 3]);
        for format in 0..=10 {
            for is_compressed in [false, true] {
                if is_compressed && [4, 5, 9, 10].contains(&format) {
                    // The writer has no waveforms in compressed files.
                    continue;
                }
                let cloud = decoded(&written(format, is_compressed, [0.0; 3], &expected)).unwrap();
                assert_eq!(cloud.n_points(), 5000, "{format}");
                assert_eq!(cloud.origin(), [0.0; 3]);
                for row in [0, 1, 4999] {
                    let found = cloud.place(row).unwrap();
                    let error = found.iter().zip(&expected[row]).map(|(a, b)| (a - b).abs());
                    assert!(error.fold(0.0, f64::max) < 1e-5, "{format}: {found:?}");
                    assert_eq!(cloud.points()[row][3], row as f32);
                }
            }
        }
    }

    #[test]
    fn many_chunks_are_read_through() {
        let expected = places(120_001, [0.0; 3]);
        for format in [1, 7] {
            let cloud = decoded(&written(format, true, [0.0; 3], &expected)).unwrap();
            assert_eq!(cloud.n_points(), 120_001);
            assert_eq!(cloud.points()[120_000][..3], expected[120_000].map(|v| v as f32));
        }
    }

    #[test]
    fn map_coordinates_keep_their_millimetres() {
        let utm = [433_512.123, 5_412_345.678, 412.301];
        for offset in [[433_000.0, 5_412_000.0, 0.0], [0.0, 5_412_000.0, 400.0]] {
            let cloud = decoded(&written(6, true, offset, &places(300, utm))).unwrap();
            assert_eq!(cloud.origin(), [434_000.0, 5_412_000.0, 0.0]);
            for (row, place) in places(300, utm).iter().enumerate() {
                let found = cloud.place(row).unwrap();
                let error = found.iter().zip(place).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(error < 5.5e-4, "half a step of the file and 0.05 mm: {error}");
            }
        }
    }

    #[test]
    fn a_file_without_points_is_refused() {
        assert_eq!(problem(&written(0, false, [0.0; 3], &[])), LasProblem::NoPoints);
        assert_eq!(problem(&written(6, false, [0.0; 3], &[])), LasProblem::NoPoints);
    }

    #[test]
    fn other_bytes_and_short_ones_are_refused() {
        assert_eq!(problem(b"PNG and so on"), LasProblem::Signature);
        assert_eq!(problem(b"LASF"), LasProblem::ShortHeader { n_bytes: 4, expected: 227 });
        let bytes = written(6, false, [0.0; 3], &places(3, [0.0; 3]));
        assert_eq!(problem(&bytes[..300]), LasProblem::ShortHeader { n_bytes: 300, expected: 375 });
    }

    #[test]
    fn an_unknown_version_is_refused() {
        let mut bytes = written(0, false, [0.0; 3], &places(3, [0.0; 3]));
        bytes[25] = 9;
        assert_eq!(problem(&bytes), LasProblem::Version { major: 1, minor: 9 });
    }

    #[test]
    fn a_header_that_speaks_of_more_points_than_there_are_is_refused() {
        let mut bytes = written(0, false, [0.0; 3], &places(3, [0.0; 3]));
        bytes[107..111].copy_from_slice(&1_000_000u32.to_le_bytes());
        let found = problem(&bytes);
        assert!(matches!(found, LasProblem::Truncated { n_points: 1_000_000, .. }), "{found}");
        bytes[107..111].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(decoded(&bytes), Err(MediaError::TooManyPoints { n_points: 4_294_967_295, .. })));
        // Both numbers of version 1.4.
        bytes[107..111].copy_from_slice(&[0; 4]);
        bytes[247..255].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(matches!(decoded(&bytes), Err(MediaError::TooManyPoints { n_points: u64::MAX, .. })));
    }

    #[test]
    fn points_cannot_begin_inside_the_header() {
        for found in [0u32, 226, 374] {
            let mut bytes = written(6, false, [0.0; 3], &places(3, [0.0; 3]));
            bytes[96..100].copy_from_slice(&found.to_le_bytes());
            assert_eq!(problem(&bytes), LasProblem::Start { found: found.into(), expected: 375 });
        }
    }

    #[test]
    fn scales_and_offsets_that_make_no_coordinates_are_refused() {
        let good = written(0, false, [0.0; 3], &places(3, [0.0; 3]));
        let cases = [(131, 0.0, "x scale"), (147, f64::NAN, "z scale"), (163, f64::INFINITY, "y offset")];
        for (at, value, expected) in cases {
            let mut bytes = good.clone();
            bytes[at..at + 8].copy_from_slice(&f64::to_le_bytes(value));
            let found = problem(&bytes);
            assert!(matches!(&found, LasProblem::Transform { name, .. } if *name == expected), "{found}");
        }
    }

    #[test]
    fn long_records_behind_the_points_are_not_believed() {
        // Version 1.4 may say that more records come after the points; their length is a number of 8 bytes.
        let mut bytes = written(6, false, [0.0; 3], &places(3, [0.0; 3]));
        let end = bytes.len() as u64;
        bytes[235..243].copy_from_slice(&end.to_le_bytes());
        bytes[243..247].copy_from_slice(&1u32.to_le_bytes());
        bytes.extend([0; 20]);
        bytes.extend(u64::MAX.to_le_bytes());
        bytes.extend([0; 32]);
        assert_eq!(decoded(&bytes).unwrap().n_points(), 3);
    }

    #[test]
    fn points_that_unpack_to_too_much_are_refused() {
        let mut bytes = written(0, true, [0.0; 3], &places(1000, [0.0; 3]));
        bytes[107..111].copy_from_slice(&50_000_000u32.to_le_bytes());
        let found = problem(&bytes);
        assert!(matches!(found, LasProblem::Compression { what: "bytes unpacked", .. }), "{found}");
    }

    #[test]
    fn cut_and_damaged_compressed_files_are_errors() {
        for format in [3, 7] {
            let bytes = written(format, true, [0.0; 3], &places(2000, [0.0; 3]));
            for n_bytes in (0..bytes.len()).step_by(97) {
                assert!(decoded(&bytes[..n_bytes]).is_err(), "{format} {n_bytes}");
            }
            for at in (227..bytes.len()).step_by(61) {
                let mut damaged = bytes.clone();
                damaged[at] ^= 0x55;
                // Data has no checksum: some of these unpack to other points. None may end the program.
                if let Ok(cloud) = decoded(&damaged) {
                    assert_eq!(cloud.n_points(), 2000);
                }
            }
        }
    }

    #[test]
    fn layers_longer_than_the_file_are_refused_before_anything_is_set_aside() {
        let bytes = written(6, true, [0.0; 3], &places(10, [0.0; 3]));
        let start = u32::from_le_bytes([bytes[96], bytes[97], bytes[98], bytes[99]]) as usize;
        let mut damaged = bytes.clone();
        let layer = start + 8 + 30 + 4;
        damaged[layer..layer + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        let found = problem(&damaged);
        assert!(
            matches!(found, LasProblem::Compression { what: "bytes of a chunk's layers", .. }),
            "{found}"
        );
        let mut damaged = bytes;
        let table = u64::from_le_bytes(damaged[start..start + 8].try_into().unwrap()) as usize;
        damaged[table + 4..table + 8].copy_from_slice(&u32::MAX.to_le_bytes());
        let found = problem(&damaged);
        assert!(matches!(found, LasProblem::Compression { what: "number of chunks", .. }), "{found}");
    }
}
