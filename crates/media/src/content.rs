//! What bytes are that are no picture we read: a wrong ending, a failed download and a pointer of a large-file store
//! are told apart in the reason.

use image::ImageFormat;

/// Bytes looked at for text and for a picture that begins late.
const LOOK: usize = 4096;

/// Formats that [`decode`](crate::decode) reads as this crate was built.
pub(crate) const EXPECTED: &str =
    match (cfg!(feature = "bmp"), cfg!(feature = "gif"), cfg!(feature = "tiff"), cfg!(feature = "webp")) {
        (false, false, false, false) => "a JPEG or PNG picture",
        (true, true, true, true) => "a JPEG, PNG, BMP, GIF, TIFF or WebP picture",
        _ => "a JPEG or PNG picture, or another format that was built in",
    };

/// The format of the bytes, where it is one that was built in.
pub(crate) fn format(bytes: &[u8]) -> Option<ImageFormat> {
    let found = image::guess_format(bytes).ok()?;
    let known = match found {
        ImageFormat::Jpeg | ImageFormat::Png => true,
        ImageFormat::Bmp => cfg!(feature = "bmp"),
        ImageFormat::Gif => cfg!(feature = "gif"),
        ImageFormat::Tiff => cfg!(feature = "tiff"),
        ImageFormat::WebP => cfg!(feature = "webp"),
        _ => false,
    };
    known.then_some(found)
}

/// What the bytes look like, with an article.
pub(crate) fn name(bytes: &[u8]) -> &'static str {
    let at = |place: usize, mark: &[u8]| bytes.get(place..).is_some_and(|rest| rest.starts_with(mark));
    let by_mark = MARKS.iter().find(|(place, mark, _)| at(*place, mark)).map(|(_, _, name)| *name);
    by_mark.or_else(|| text(bytes)).unwrap_or_else(|| unknown(bytes))
}

/// Marks of formats, as their specifications and the `file` program's list have them; the more special ones first.
const MARKS: [(usize, &[u8], &str); 30] = [
    (0, b"GIF8", "a GIF picture"),
    (8, b"WEBP", "a WebP picture"),
    (0, b"BM", "a BMP picture"),
    (0, b"II*\0", "a TIFF picture"),
    (0, b"MM\0*", "a TIFF picture"),
    (4, b"ftypavif", "an AVIF picture"),
    (4, b"ftyphei", "a HEIC picture"),
    (4, b"ftyphev", "a HEIC picture"),
    (4, b"ftypmif1", "a HEIC picture"),
    (4, b"ftyp", "a video"),
    (4, b"jP  \r\n", "a JPEG 2000 picture"),
    (0, b"\xFF\x4F\xFF\x51", "a JPEG 2000 picture"),
    (4, b"JXL \r\n", "a JPEG XL picture"),
    (0, b"\xFF\x0A", "a JPEG XL picture"),
    (0, b"\xFF\xD8\xFF", "a JPEG picture"),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (0, b"\0\0\x01\0", "an icon"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"qoif", "a QOI picture"),
    (0, b"v/1\x01", "an OpenEXR picture"),
    (0, b"P5\n", "a Netpbm picture"),
    (0, b"P6\n", "a Netpbm picture"),
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1F\x8B", "gzip data"),
    (0, b"\x28\xB5\x2F\xFD", "zstd data"),
    (0, b"PAR1", "a Parquet file"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"\x1A\x45\xDF\xA3", "a video"),
    (0, b"version https://git-lfs", "a Git LFS pointer and not the file itself"),
];

/// Text, and which kind of it.
fn text(bytes: &[u8]) -> Option<&'static str> {
    let head = &bytes[..bytes.len().min(LOOK)];
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // A character may be cut by the end of what is looked at.
        Err(e) if LOOK <= e.valid_up_to() + 4 => std::str::from_utf8(&head[..e.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    if text.is_empty() || text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return None;
    }
    let lower = text.trim_start_matches('\u{FEFF}').trim_start().to_ascii_lowercase();
    Some(match &lower {
        t if t.starts_with("<!doctype html") || t.starts_with("<html") => "a web page",
        t if t.contains("<svg") => "an SVG drawing",
        t if t.starts_with("<?xml") => "XML text",
        t if t.starts_with('{') || t.starts_with('[') => "JSON text",
        _ => "text",
    })
}

fn unknown(bytes: &[u8]) -> &'static str {
    let head = &bytes[..bytes.len().min(LOOK)];
    if head.iter().all(|b| *b == 0) {
        "zeros"
    } else if memchr::memmem::find(head, b"\xFF\xD8\xFF").is_some() {
        "a JPEG picture after other bytes"
    } else if memchr::memmem::find(head, b"\x89PNG\r\n\x1a\n").is_some() {
        "a PNG picture after other bytes"
    } else {
        "bytes of no known kind"
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn common_mistakes_have_names() {
        let mut heic = b"\0\0\0\x18ftypheic".to_vec();
        heic.extend([0; 20]);
        let cases: [(&[u8], &str); 12] = [
            (b"GIF89a\x01\0", "a GIF picture"),
            (b"RIFF\x04\0\0\0WEBPVP8 ", "a WebP picture"),
            (b"BM\x3a\0\0\0", "a BMP picture"),
            (b"II*\0\x08\0", "a TIFF picture"),
            (&heic, "a HEIC picture"),
            (b"\n<!DOCTYPE html><title>404</title>", "a web page"),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
                "a Git LFS pointer and not the file itself",
            ),
            (b"{\"error\": \"not found\"}", "JSON text"),
            ("grüße".as_bytes(), "text"),
            (&[0; 500], "zeros"),
            (b"\x01\x02\xFF\xD8\xFF\xE0", "a JPEG picture after other bytes"),
            (b"\x01\x02\x03", "bytes of no known kind"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(name(bytes), expected);
        }
    }

    #[test]
    fn a_character_cut_by_the_look_is_still_text() {
        let long = "é".repeat(LOOK);
        assert_eq!(name(&long.as_bytes()[..LOOK + 1]), "text");
        assert_eq!(name(&[b"a", long.as_bytes()].concat()), "text");
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_name(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert!(!name(&bytes).is_empty());
        }
    }
}
