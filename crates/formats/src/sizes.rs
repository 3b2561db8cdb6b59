//! `image_sizes.tsv`: file, width, height and original file name of each image, beside formats that do not say them
//! themselves.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use labelloop_core::ImageSize;

use crate::warning::{Notes, invalid};
use crate::{Result, files};

pub(crate) const SIZES: &str = "image_sizes.tsv";

/// What is listed of an image.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) size: ImageSize,
    /// The file that the sample named, where it is another one than that of the export.
    original: Option<String>,
}

impl Listed {
    /// The file of the export where it is there, else the one that the sample named.
    pub(crate) fn file_name(&self, root: &Path, image: &str) -> String {
        let original = self.original.as_deref().filter(|_| !root.join(image).is_file());
        original.unwrap_or(image).to_owned()
    }
}

/// Adds one line.
pub(crate) fn add(text: &mut String, image: &str, size: ImageSize, original: &str) {
    // Writing to a text cannot fail.
    let _ = write!(text, "{image}\t{}\t{}", size.width(), size.height());
    if original != image {
        let _ = write!(text, "\t{original}");
    }
    text.push('\n');
}

/// What is known by file; nothing where the list is not there.
pub(crate) fn read(root: &Path, notes: &mut Notes) -> Result<BTreeMap<String, Listed>> {
    let path = root.join(SIZES);
    let mut sizes = BTreeMap::new();
    if !path.is_file() {
        return Ok(sizes);
    }
    for (i, line) in files::read_text(&path)?.lines().enumerate() {
        let fields: Vec<&str> = line.split('\t').collect();
        let parsed = match fields[..] {
            [image, width, height] => listed(image, width, height, None),
            [image, width, height, original] => {
                files::safe_relative(original).and_then(|o| listed(image, width, height, Some(o)))
            }
            _ => None,
        };
        match parsed {
            Some((image, listed)) => _ = sizes.insert(image, listed),
            None => notes.note_in(&path, Some(i + 1), invalid("line", "file, width and height", line))?,
        }
    }
    Ok(sizes)
}

fn listed(image: &str, width: &str, height: &str, original: Option<String>) -> Option<(String, Listed)> {
    let size = ImageSize::new(width.parse().ok()?, height.parse().ok()?).ok()?;
    Some((files::safe_relative(image)?, Listed { size, original }))
}
