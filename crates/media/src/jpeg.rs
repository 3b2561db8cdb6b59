//! Whether a JPEG is whole. Decoders are lenient: they fill what is missing with grey and report success, which would
//! turn half a picture into a vector or a training sample without a word.

const START_OF_SCAN: u8 = 0xDA;

/// Whether the bytes start as a JPEG does.
pub(crate) fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xFF, 0xD8, 0xFF])
}

/// Whether an end marker follows the first scan.
///
/// Inside a scan every `FF` of data is followed by `00` (ITU-T T.81, F.1.2.3), so `FF D9` there is the end of the
/// picture and nothing else. Segments before the scan are stepped over: an embedded thumbnail has an end marker too.
pub(crate) fn is_whole(bytes: &[u8]) -> bool {
    let Some(scan) = first_scan(bytes) else { return false };
    bytes[scan..].windows(2).any(|pair| pair == [0xFF, 0xD9])
}

/// Where the first start-of-scan segment is.
fn first_scan(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    loop {
        while *bytes.get(at)? != 0xFF {
            at += 1;
        }
        while *bytes.get(at)? == 0xFF {
            at += 1;
        }
        match bytes[at] {
            START_OF_SCAN => return Some(at + 1),
            // Markers without a segment: stuffing, TEM, restarts and start of image.
            0x00 | 0x01 | 0xD0..=0xD8 => at += 1,
            _ => {
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

    proptest! {
        #[test]
        fn any_bytes_are_looked_at_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut jpeg = vec![0xFF, 0xD8];
            jpeg.extend(bytes);
            is_whole(&jpeg);
        }
    }
}
