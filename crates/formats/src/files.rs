//! Files: reading text without surprises, writing without leaving halves behind, names that stay in their folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use labelloop_core::ImageSize;

use crate::{FormatError, MediaMode, Result};

pub(crate) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> FormatError {
    let path = path.to_owned();
    move |source| FormatError::Io { path, source }
}

/// The text of a file without its byte order mark.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    text_of(path, fs::read(path).map_err(io_error(path))?)
}

/// The text of a file's bytes without their byte order mark; the path is for messages.
pub(crate) fn text_of(path: &Path, bytes: Vec<u8>) -> Result<String> {
    if is_archive(&bytes) {
        return Err(FormatError::Archive { path: path.to_owned() });
    }
    let mut text = String::from_utf8(bytes).map_err(|e| {
        let good = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|b| **b == b'\n').count();
        FormatError::NotUtf8 { path: path.to_owned(), line }
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// ZIP, gzip, xz, zstd, bzip2, 7z or tar by their first bytes. Nothing here unpacks them, so none can grow.
fn is_archive(bytes: &[u8]) -> bool {
    const FIRST: [&[u8]; 7] = [
        b"PK\x03\x04",
        b"PK\x05\x06",
        b"\x1f\x8b",
        b"\xfd7zXZ\0",
        b"\x28\xb5\x2f\xfd",
        b"BZh",
        b"7z\xbc\xaf\x27\x1c",
    ];
    let is_tar = bytes.get(257..262) == Some(b"ustar");
    FIRST.iter().any(|first| bytes.starts_with(first)) || is_tar
}

/// Refuses an archive in place of a folder.
pub(crate) fn refuse_archive(path: &Path) -> Result<()> {
    if !path.is_file() {
        return Ok(());
    }
    let mut first = Vec::new();
    let file = fs::File::open(path).map_err(io_error(path))?;
    file.take(512).read_to_end(&mut first).map_err(io_error(path))?;
    if is_archive(&first) { Err(FormatError::Archive { path: path.to_owned() }) } else { Ok(()) }
}

/// Writes beside the target, flushes to the disk and renames: the target is the old file or the new one, never half.
pub(crate) fn write_atomic(path: &Path, text: &str) -> Result<()> {
    let staged = beside(path, "tmp")?;
    let written = (|| {
        let mut file = fs::File::create(&staged)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&staged, path)
    })();
    written.map_err(|e| {
        // The first failure is the one to report; a leftover is overwritten next time.
        let _ = fs::remove_file(&staged);
        io_error(path)(e)
    })
}

fn beside(path: &Path, ending: &str) -> Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| FormatError::UnsafeName { name: path.to_string_lossy().into_owned() })?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".");
    hidden.push(ending);
    Ok(path.with_file_name(hidden))
}

/// A folder that is built beside its place and moved there once complete.
#[derive(Debug)]
pub(crate) struct StagedFolder {
    target: PathBuf,
    staged: PathBuf,
    moved: bool,
}

impl StagedFolder {
    /// Starts a folder; the target must be empty or not exist, so that no old label is taken for a new one.
    pub(crate) fn new(target: &Path) -> Result<Self> {
        let target = std::path::absolute(target).map_err(io_error(target))?;
        let taken = match fs::read_dir(&target) {
            Ok(mut entries) => entries.next().is_some(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => false,
            Err(e) => return Err(io_error(&target)(e)),
        };
        if taken {
            return Err(FormatError::Occupied { path: target });
        }
        let staged = beside(&target, "partial")?;
        if staged.exists() {
            fs::remove_dir_all(&staged).map_err(io_error(&staged))?;
        }
        fs::create_dir_all(&staged).map_err(io_error(&staged))?;
        Ok(Self { target, staged, moved: false })
    }

    /// Where the folder will be, as an absolute path.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Path of a file in the folder under construction, with the folders above it made.
    pub(crate) fn file(&self, relative: &str) -> Result<PathBuf> {
        let path = self.staged.join(relative);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(io_error(parent))?;
        }
        Ok(path)
    }

    pub(crate) fn folder(&self, relative: &str) -> Result<()> {
        let path = self.staged.join(relative);
        fs::create_dir_all(&path).map_err(io_error(&path))
    }

    pub(crate) fn write(&self, relative: &str, text: &str) -> Result<()> {
        let path = self.file(relative)?;
        fs::write(&path, text).map_err(io_error(&path))
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        fs::rename(&self.staged, &self.target).map_err(io_error(&self.target))?;
        self.moved = true;
        Ok(())
    }
}

impl Drop for StagedFolder {
    fn drop(&mut self) {
        if !self.moved {
            // Nothing can be reported from here; the next export starts by removing what is left.
            let _ = fs::remove_dir_all(&self.staged);
        }
    }
}

/// A file name with forward slashes if it stays inside the folder that it is relative to.
pub(crate) fn safe_relative(name: &str) -> Option<String> {
    let name = name.replace('\\', "/");
    let drive = name.as_bytes().get(1) == Some(&b':') && name.as_bytes()[0].is_ascii_alphabetic();
    let leaves = name.starts_with('/') || drive || name.split('/').any(|part| part == "..");
    let nameless = name.split('/').next_back().is_none_or(|last| last.is_empty() || last == ".");
    (!leaves && !nameless && !name.chars().any(char::is_control)).then_some(name)
}

/// A file name without the ending of its last part: `a.b/c.jpg` gives `a.b/c`.
pub(crate) fn stem(file_name: &str) -> &str {
    let start = file_name.rfind('/').map_or(0, |i| i + 1);
    match file_name[start..].rfind('.') {
        Some(dot) if 0 < dot => &file_name[..start + dot],
        _ => file_name,
    }
}

/// The ending of a file name without its dot; `None` where there is none.
pub(crate) fn ending(file_name: &str) -> Option<&str> {
    let stem = stem(file_name);
    (stem.len() < file_name.len()).then(|| &file_name[stem.len() + 1..])
}

/// A stem that no other stem and no other file name equals, else the file name.
pub(crate) fn sample_names<'n>(file_names: impl Iterator<Item = &'n str> + Clone) -> Vec<String> {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for name in file_names.clone() {
        let own = stem(name);
        *count.entry(own).or_default() += 1;
        if own != name {
            *count.entry(name).or_default() += 1;
        }
    }
    let unique = |own: &&str| count.get(own) == Some(&1);
    file_names.map(|name| Some(stem(name)).filter(unique).unwrap_or(name).to_owned()).collect()
}

/// The path of a sample's own file in an export, `<id>.<ending>`. Ids that would be read back as others are refused: `a//b`
/// and `a/./b` are the file of `a/b`.
pub(crate) fn named_after(id: &str, ending: &str) -> Result<String> {
    let plain = |part: &str| !part.is_empty() && part != ".";
    match safe_relative(id) {
        Some(name) if name == id && name.split('/').all(plain) => Ok(format!("{name}.{ending}")),
        _ => Err(FormatError::UnsafeName { name: id.to_owned() }),
    }
}

/// Copies or links a media file to its place in an export, or does nothing.
pub(crate) fn place_media(file_name: &str, media_root: &Path, target: &Path, media: MediaMode) -> Result<()> {
    if media == MediaMode::None {
        return Ok(());
    }
    let name =
        safe_relative(file_name).ok_or_else(|| FormatError::UnsafeName { name: file_name.to_owned() })?;
    let source = media_root.join(name);
    let placed = match media {
        MediaMode::Link => fs::canonicalize(&source).and_then(|full| link(&full, target)),
        _ => fs::copy(&source, target).map(|_| ()),
    };
    placed.map_err(io_error(&source))
}

#[cfg(unix)]
fn link(source: &Path, target: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(source, target)
}

#[cfg(not(unix))]
fn link(source: &Path, target: &Path) -> std::io::Result<()> {
    fs::hard_link(source, target)
}

const MAX_FOLDER_DEPTH: usize = 32;

/// All files below a folder as relative paths with forward slashes, sorted. Links to folders are not followed, so a
/// loop of links ends; names that are not UTF-8 are refused.
pub(crate) fn files_below(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut open = vec![(folder.to_owned(), String::new(), 0)];
    while let Some((path, prefix, depth)) = open.pop() {
        for entry in fs::read_dir(&path).map_err(io_error(&path))? {
            let entry = entry.map_err(io_error(&path))?;
            let Ok(name) = entry.file_name().into_string() else {
                return Err(FormatError::NotUtf8 { path: entry.path(), line: 1 });
            };
            let kind = entry.file_type().map_err(io_error(&path))?;
            let relative = format!("{prefix}{name}");
            if kind.is_dir() && depth < MAX_FOLDER_DEPTH {
                open.push((entry.path(), format!("{relative}/"), depth + 1));
            } else if kind.is_file() || (kind.is_symlink() && entry.path().is_file()) {
                found.push(relative);
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Width and height from the header of a PNG, JPEG, GIF or BMP file; `None` for anything else.
///
/// Formats with relative coordinates need the size and nothing more, so no pixel is decoded.
pub(crate) fn image_size(path: &Path) -> Result<Option<ImageSize>> {
    const HEADER: u64 = 1 << 20;
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(io_error(path))?;
    file.take(HEADER).read_to_end(&mut bytes).map_err(io_error(path))?;
    Ok(size_in_header(&bytes).and_then(|(w, h)| ImageSize::new(w, h).ok()))
}

fn size_in_header(bytes: &[u8]) -> Option<(u32, u32)> {
    let be32 = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let le32 = |at: usize| Some(i32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?).unsigned_abs());
    let le16 = |at: usize| Some(u32::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some((be32(16)?, be32(20)?))
    } else if bytes.starts_with(b"GIF8") {
        Some((le16(6)?, le16(8)?))
    } else if bytes.starts_with(b"BM") {
        Some((le32(18)?, le32(22)?))
    } else if bytes.starts_with(&[0xff, 0xd8]) {
        size_in_jpeg(bytes)
    } else {
        None
    }
}

/// Walks the segments of a JPEG to its frame header (ITU-T T.81, B.2.2): any of C0 to CF but C4, C8 and CC.
fn size_in_jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let be16 = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let mut at = 2;
    loop {
        if *bytes.get(at)? != 0xff {
            return None;
        }
        match *bytes.get(at + 1)? {
            0xff => at += 1,
            0x01 | 0xd0..=0xd7 => at += 2,
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                return Some((u32::from(be16(at + 7)?), u32::from(be16(at + 5)?)));
            }
            _ => at += 2 + usize::from(be16(at + 2)?.max(2)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_their_folder_are_unsafe() {
        for bad in ["", ".", "../a", "a/../../b", "/a", "\\\\host\\a", "C:\\a", "a/", "..\\a", "a\nb"] {
            assert_eq!(safe_relative(bad), None, "{bad:?}");
        }
        assert_eq!(safe_relative("a\\b.jpg").unwrap(), "a/b.jpg");
        assert_eq!(safe_relative("a..b/c").unwrap(), "a..b/c");
        assert_eq!(safe_relative("ä").unwrap(), "ä");
    }

    #[test]
    fn stems_and_endings() {
        assert_eq!((stem("a.b/c.jpg"), ending("a.b/c.jpg")), ("a.b/c", Some("jpg")));
        assert_eq!((stem("a.b/c"), ending("a.b/c")), ("a.b/c", None));
        assert_eq!((stem(".hidden"), ending(".hidden")), (".hidden", None));
    }

    #[test]
    fn names_fall_back_to_the_file_name_where_stems_collide() {
        let names = ["a.jpg", "a.png", "a.jpg.gif", "d/b.jpg", "b.jpg", "plain"];
        assert_eq!(sample_names(names.into_iter()), ["a.jpg", "a.png", "a.jpg.gif", "d/b", "b", "plain"]);
    }

    #[test]
    fn sizes_are_read_from_headers() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend([0, 0, 2, 128, 0, 0, 1, 224]);
        assert_eq!(size_in_header(&png), Some((640, 480)));
        let jpeg = [0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xc2, 0, 17, 8, 1, 224, 2, 128];
        assert_eq!(size_in_header(&jpeg), Some((640, 480)));
        assert_eq!(size_in_header(b"GIF89a\x02\0\x03\0"), Some((2, 3)));
        for n in 0..jpeg.len() - 1 {
            assert_eq!(size_in_header(&jpeg[..n]), None, "cut at {n}");
        }
    }

    #[test]
    fn bad_bytes_are_placed_by_line_and_marks_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, b"a\nb\n\xff").unwrap();
        assert!(matches!(read_text(&path), Err(FormatError::NotUtf8 { line: 3, .. })));
        fs::write(&path, b"\xef\xbb\xbfa").unwrap();
        assert_eq!(read_text(&path).unwrap(), "a");
    }

    #[test]
    fn an_unfinished_folder_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out");
        let staged = StagedFolder::new(&target).unwrap();
        staged.write("a/b.txt", "x").unwrap();
        drop(staged);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        fs::create_dir(&target).unwrap();
        let staged = StagedFolder::new(&target).unwrap();
        staged.write("a/b.txt", "x").unwrap();
        staged.finish().unwrap();
        assert_eq!(files_below(&target).unwrap(), ["a/b.txt"]);
        assert!(matches!(StagedFolder::new(&target), Err(FormatError::Occupied { .. })));
    }
}
