//! `image_sizes.tsv`: file, width and height of each image, beside formats that do not say them themselves.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use labelloop_core::ImageSize;

use crate::warning::{Notes, invalid};
use crate::{Result, files};

pub(crate) const SIZES: &str = "image_sizes.tsv";

/// Adds one line.
pub(crate) fn add(text: &mut String, image: &str, size: ImageSize) {
    // Writing to a text cannot fail.
    let _ = writeln!(text, "{image}\t{}\t{}", size.width(), size.height());
}

/// Sizes by file; nothing where the list is not there.
pub(crate) fn read(root: &Path, notes: &mut Notes) -> Result<BTreeMap<String, ImageSize>> {
    let path = root.join(SIZES);
    let mut sizes = BTreeMap::new();
    if !path.is_file() {
        return Ok(sizes);
    }
    for (i, line) in files::read_text(&path)?.lines().enumerate() {
        let fields: Vec<&str> = line.split('\t').collect();
        let parsed = match fields[..] {
            [image, width, height] => files::safe_relative(image).and_then(|image| {
                let size = ImageSize::new(width.parse().ok()?, height.parse().ok()?).ok()?;
                Some((image, size))
            }),
            _ => None,
        };
        match parsed {
            Some((image, size)) => _ = sizes.insert(image, size),
            None => notes.note_in(&path, Some(i + 1), invalid("line", "file, width and height", line))?,
        }
    }
    Ok(sizes)
}
