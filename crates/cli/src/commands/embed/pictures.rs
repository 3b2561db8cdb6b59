use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use labelloop_core::SampleId;

use super::Item;

/// Endings of files that a folder is searched for, in any case.
const ENDINGS: [&str; 3] = ["jpg", "jpeg", "png"];

/// Pictures to embed, and what was passed over on the way to them.
#[derive(Debug, Default)]
pub(in crate::commands) struct Pictures {
    pub(in crate::commands) items: Vec<Item>,
    /// How many of which kind: an ending with its dot, or words.
    pub(super) skipped: BTreeMap<String, usize>,
}

impl Pictures {
    /// A folder is searched for pictures, which are named by their path in it; files are taken whatever their ending and
    /// named as they are given; the lines of a `.txt` file are taken as if they were given.
    pub(in crate::commands) fn find(places: &[PathBuf]) -> anyhow::Result<Self> {
        let mut pictures = Self::default();
        for place in places {
            if place.is_dir() {
                pictures.search(place, place)?;
            } else if ending_of(place) == "txt" {
                pictures.take_lines(place)?;
            } else {
                pictures.take(place)?;
            }
        }
        pictures.items.sort();
        Ok(pictures)
    }

    fn take(&mut self, path: &Path) -> anyhow::Result<()> {
        self.items.push((SampleId::new(name(path))?, path.to_owned()));
        Ok(())
    }

    fn take_lines(&mut self, list: &Path) -> anyhow::Result<()> {
        let text =
            std::fs::read_to_string(list).with_context(|| format!("{}: cannot be read", list.display()))?;
        for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            self.take(Path::new(line))?;
        }
        Ok(())
    }

    fn search(&mut self, root: &Path, folder: &Path) -> anyhow::Result<()> {
        let place = || format!("{}: cannot be read", folder.display());
        for entry in std::fs::read_dir(folder).with_context(place)? {
            let entry = entry.with_context(place)?;
            let (path, kind) = (entry.path(), entry.file_type().with_context(place)?);
            // Files may be links; a link to a folder that points upwards would have no end.
            if kind.is_dir() {
                self.search(root, &path)?;
            } else if kind.is_symlink() && path.is_dir() {
                self.skip("links to folders");
            } else if ENDINGS.contains(&ending_of(&path).as_str()) {
                let below = path.strip_prefix(root).unwrap_or(&path);
                self.items.push((SampleId::new(name(below))?, path));
            } else {
                match ending_of(&path).as_str() {
                    "" => self.skip("without an ending"),
                    ending => self.skip(&format!(".{ending}")),
                }
            }
        }
        Ok(())
    }

    fn skip(&mut self, kind: &str) {
        *self.skipped.entry(kind.to_owned()).or_default() += 1;
    }
}

fn ending_of(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default()
}

fn name(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}

/// Places as they were given.
pub(in crate::commands) fn named(places: &[PathBuf]) -> String {
    places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ")
}
