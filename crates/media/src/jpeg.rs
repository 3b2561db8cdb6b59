//! What a JPEG says of itself before it is decoded: how it is coded, and whether it is whole. Decoders are lenient: they
//! fill what is missing with grey and report success, which would turn half a picture into a vector or a training
//! sample without a word.

use memchr::memmem;

use crate::{MediaError, Result};

const START_OF_SCAN: u8 = 0xDA;
/// Scans of a progressive picture. Encoders write about ten; each costs a walk over all blocks whatever it holds, so
/// that a file of a few kilobytes with very many would be decoded for minutes.
const MAX_SCANS: usize = 500;

/// Whether the bytes start as a JPEG does.
pub(crate) fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xFF, 0xD8, 0xFF])
}

/// Refuses what is cut off, and codings that nobody reads.
pub(crate) fn check(bytes: &[u8], place: &str) -> Result<()> {
    let place = || place.to_owned();
    let head = head(bytes);
    if let Some(found) = head.unread_coding() {
        return Err(MediaError::UnsupportedJpeg { place: place(), found });
    }
    let scans = head.scan.map_or(&[][..], |at| &bytes[at..]);
    if !scans.ends_with(&[0xFF, 0xD9]) && memmem::find(scans, &[0xFF, 0xD9]).is_none() {
        return Err(MediaError::TruncatedJpeg { place: place(), n_bytes: bytes.len() });
    }
    // The first scan's marker is before these bytes.
    let n_scans = 1 + memmem::find_iter(scans, &[0xFF, START_OF_SCAN]).count();
    if MAX_SCANS < n_scans {
        return Err(MediaError::TooManyScans { place: place(), n_scans, max_scans: MAX_SCANS });
    }
    Ok(())
}

/// What the segments before the first scan say.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Head {
    /// Which start-of-frame marker there is: the coding (ITU-T T.81, table B.1).
    frame: Option<u8>,
    /// Bits of a sample.
    precision: Option<u8>,
    /// Whether some component has fewer samples than another: colours at half the resolution of brightness.
    is_subsampled: bool,
    /// Where the first scan begins, after its marker. Inside scans every `FF` of data is followed by `00` (T.81,
    /// F.1.2.3), so `FF D9` there is the end of the picture and nothing else. Segments before the scan are stepped over:
    /// an embedded thumbnail has an end marker too.
    scan: Option<usize>,
}

impl Head {
    fn unread_coding(&self) -> Option<&'static str> {
        match (self.frame?, self.precision) {
            (0xC3, _) => Some("lossless coding"),
            (0xC9..=0xCB | 0xCD..=0xCF, _) => Some("arithmetic coding"),
            (0xC5..=0xC7, _) => Some("hierarchical coding"),
            (_, Some(12)) => Some("12 bits a sample"),
            (_, Some(p)) if p != 8 => Some("an odd number of bits a sample"),
            _ => None,
        }
    }
}

/// Whether some component has fewer samples than another: colours at half the resolution of brightness.
pub(crate) fn has_subsampling(bytes: &[u8]) -> bool {
    head(bytes).is_subsampled
}

/// `components`: their number, then of each its name, its sampling factors and its table (T.81, B.2.2).
fn is_subsampled(components: &[u8]) -> bool {
    let n = components.first().map_or(0, |n| usize::from(*n));
    let mut factors = components.iter().skip(2).step_by(3).take(n);
    let first = factors.next();
    factors.any(|f| Some(f) != first)
}

fn head(bytes: &[u8]) -> Head {
    let mut head = Head::default();
    // Where the bytes end early the head is what was found until then.
    let _ = walk(bytes, &mut head);
    head
}

fn walk(bytes: &[u8], head: &mut Head) -> Option<()> {
    let mut at = 2;
    loop {
        at += memchr::memchr(0xFF, bytes.get(at..)?)?;
        while *bytes.get(at)? == 0xFF {
            at += 1;
        }
        let marker = bytes[at];
        match marker {
            START_OF_SCAN => {
                head.scan = Some(at + 1);
                return Some(());
            }
            // Markers without a segment: stuffing, TEM, restarts and start of image.
            0x00 | 0x01 | 0xD0..=0xD8 => at += 1,
            _ => {
                // All start-of-frame markers but those of tables and of arithmetic conditioning, which share the range.
                if matches!(marker, 0xC0..=0xCF)
                    && !matches!(marker, 0xC4 | 0xC8 | 0xCC)
                    && head.frame.is_none()
                {
                    head.frame = Some(marker);
                    head.precision = bytes.get(at + 3).copied();
                    head.is_subsampled = is_subsampled(bytes.get(at + 8..)?);
                }
                let length = u16::from_be_bytes([*bytes.get(at + 1)?, *bytes.get(at + 2)?]);
                at += 1 + usize::from(length.max(2));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: [u8; 8] = [0xFF, 0xD8, 0xFF, 0xE1, 0x00, 0x04, 0xFF, 0xD9];

    fn is_whole(bytes: &[u8]) -> bool {
        !matches!(check(bytes, "a"), Err(MediaError::TruncatedJpeg { .. }))
    }

    #[test]
    fn an_end_marker_inside_a_header_segment_does_not_count() {
        let mut bytes = HEAD.to_vec();
        bytes.extend([0xFF, 0xDA, 0x00, 0x02, 1, 2, 3]);
        assert!(!is_whole(&bytes));
        bytes.extend([0xFF, 0xD9]);
        assert!(is_whole(&bytes));
        bytes.extend([0, 0, 0]);
        assert!(is_whole(&bytes), "bytes after the end are harmless");
    }

    #[test]
    fn without_a_scan_nothing_is_whole() {
        assert!(!is_whole(&[]));
        assert!(!is_whole(&HEAD));
        assert!(!is_whole(&[0xFF, 0xD8, 0xFF, 0xD9]));
    }

    #[test]
    fn codings_are_told_by_the_frame_marker() {
        let with = |frame: u8, precision: u8| {
            let mut bytes = HEAD.to_vec();
            bytes.extend([0xFF, 0xC4, 0, 3, 0, 0xFF, frame, 0, 8, precision, 0, 1, 0, 1, 0]);
            bytes.extend([0xFF, 0xDA, 0, 2, 0xFF, 0xD9]);
            check(&bytes, "a")
        };
        for frame in 0xC0..=0xC2 {
            assert!(with(frame, 8).is_ok());
        }
        let cases = [
            (0xC3, 8, "lossless coding"),
            (0xC5, 8, "hierarchical coding"),
            (0xC9, 8, "arithmetic coding"),
            (0xCA, 8, "arithmetic coding"),
            (0xC1, 12, "12 bits a sample"),
            (0xC0, 7, "an odd number of bits a sample"),
        ];
        for (frame, precision, expected) in cases {
            let refused = with(frame, precision).unwrap_err();
            assert!(
                matches!(refused, MediaError::UnsupportedJpeg { found, .. } if found == expected),
                "{refused}"
            );
        }
    }

    #[test]
    fn more_scans_than_any_encoder_writes_are_refused() {
        let with = |n_scans: usize| {
            let mut bytes = HEAD.to_vec();
            (0..n_scans).for_each(|_| bytes.extend([0xFF, 0xDA, 0, 2, 7]));
            bytes.extend([0xFF, 0xD9]);
            check(&bytes, "a")
        };
        assert!(with(MAX_SCANS).is_ok());
        let refused = with(MAX_SCANS + 1).unwrap_err();
        assert!(matches!(refused, MediaError::TooManyScans { n_scans: 501, .. }), "{refused}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut jpeg = vec![0xFF, 0xD8];
            jpeg.extend(bytes);
            let _ = check(&jpeg, "a");
        }
    }
}
