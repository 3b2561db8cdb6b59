//! What is checked of a LAS file before a decoder sees it: decoders set memory aside as the file tells them to.

use std::io::Cursor;

use las::{Header, raw};

use crate::LasProblem;

/// Bytes of a header of version 1.0 to 1.4.
const HEADER_BYTES: [u64; 5] = [227, 227, 227, 235, 375];
/// Where version 1.4 keeps the first byte and the number of the records behind the points.
const EXTENDED_RECORDS: std::ops::Range<usize> = 235..247;

/// Points by the header.
pub(super) fn n_points(bytes: &[u8]) -> Result<u64, LasProblem> {
    let header = raw_header(bytes)?;
    let legacy = u64::from(header.number_of_point_records);
    let n_points = match header.large_file {
        Some(large) if legacy == 0 => large.number_of_point_records,
        _ => legacy,
    };
    if n_points == 0 { Err(LasProblem::NoPoints) } else { Ok(n_points) }
}

/// The header, when a reader can be given it; the records behind the points are left out.
pub(super) fn header(bytes: &[u8]) -> Result<Header, LasProblem> {
    let raw = raw_header(bytes)?;
    check_transforms(&raw)?;
    let refused = |e: las::Error| LasProblem::Header { reason: e.to_string() };
    let (start, lowest) = (u64::from(raw.offset_to_point_data), HEADER_BYTES[usize::from(raw.version.minor)]);
    if start < lowest {
        return Err(LasProblem::Start { found: start, expected: lowest });
    }
    let start = start as usize;
    let mut head = bytes[..start.min(bytes.len())].to_vec();
    if raw.version.minor == 4 {
        // Their length is a number of eight bytes that a reader would set aside.
        head[EXTENDED_RECORDS].fill(0);
    }
    Header::new(Cursor::new(head)).map_err(refused)
}

/// The bytes of plain points.
pub(super) fn plain_rows<'a>(
    header: &Header,
    bytes: &'a [u8],
    n_points: u64,
) -> Result<&'a [u8], LasProblem> {
    let (start, point_bytes) = layout(header, bytes)?;
    let expected = u128::from(start) + u128::from(n_points) * u128::from(point_bytes);
    let n_bytes = bytes.len() as u64;
    if u128::from(n_bytes) < expected {
        return Err(LasProblem::Truncated { n_bytes, n_points, point_bytes, start, expected });
    }
    Ok(&bytes[start as usize..expected as usize])
}

/// First byte of the points, and bytes of a point.
pub(super) fn layout(header: &Header, bytes: &[u8]) -> Result<(u64, u64), LasProblem> {
    let raw = raw_header(bytes)?;
    let format = header.point_format();
    Ok((u64::from(raw.offset_to_point_data), u64::from(format.len())))
}

fn raw_header(bytes: &[u8]) -> Result<raw::Header, LasProblem> {
    let signature = &bytes[..bytes.len().min(4)];
    if signature != b"LASF" {
        return Err(LasProblem::Signature);
    }
    let n_bytes = bytes.len() as u64;
    let too_short = |expected| LasProblem::ShortHeader { n_bytes, expected };
    let [major, minor] = bytes.get(24..26).map_or([1, 0], |v| [v[0], v[1]]);
    let known = HEADER_BYTES.get(usize::from(minor)).filter(|_| major == 1);
    let expected = *known.ok_or(LasProblem::Version { major, minor })?;
    if n_bytes < expected {
        return Err(too_short(expected));
    }
    raw::Header::read_from(bytes).map_err(|e| LasProblem::Header { reason: e.to_string() })
}

fn check_transforms(header: &raw::Header) -> Result<(), LasProblem> {
    let scales = [
        ("x scale", header.x_scale_factor),
        ("y scale", header.y_scale_factor),
        ("z scale", header.z_scale_factor),
    ];
    let offsets =
        [("x offset", header.x_offset), ("y offset", header.y_offset), ("z offset", header.z_offset)];
    let bad_scale = scales.into_iter().find(|(_, v)| *v == 0.0 || !v.is_finite());
    match bad_scale.or_else(|| offsets.into_iter().find(|(_, v)| !v.is_finite())) {
        Some((name, found)) => Err(LasProblem::Transform { name, found }),
        None => Ok(()),
    }
}
