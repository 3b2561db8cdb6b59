use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use labelloop_core::{AnnotationSet, Extra, Progress, SampleRecord};
use labelloop_media::{encode_kitti_bin, encode_png};
use rayon::prelude::*;

use super::SceneValidParams;
use super::calibration::kitti_text;
use super::render::{RenderedCapture, render};
use crate::{Result, TestkitError};

/// Renders all sequences, writes their media under `dir` and returns the records with their labels.
///
/// The file of a record is `dir.join(&record.file_name)`, such as `media/seq-0007/frame-02/left.png`; beside it is the
/// capture's `calib.txt`. Records come in the order of sequence, capture and slice. Files and records are the same, byte by byte, at any number of threads.
/// Files that are there already are written over.
///
/// Complexity: linear in captures and pixels; the default scenes take a second or two on one core.
///
/// # Errors
/// [`TestkitError::Io`] when a file cannot be written, [`TestkitError::Cancelled`] when
/// `progress` asks for an end.
pub fn generate(valid: &SceneValidParams, dir: &Path, progress: &dyn Progress) -> Result<AnnotationSet> {
    let total = valid.n_groups() as u64;
    let done = AtomicU64::new(0);
    let groups: Vec<Vec<SampleRecord>> = (0..valid.n_groups())
        .into_par_iter()
        .map(|g| {
            let group = render(valid, g)?;
            for capture in &group.captures {
                write_capture(capture, dir)?;
            }
            progress.step("render scenes", done.fetch_add(1, Ordering::Relaxed) + 1, total)?;
            Ok(group.captures.into_iter().flat_map(|c| c.records).collect())
        })
        .collect::<Result<_>>()?;
    Ok(AnnotationSet {
        schema: valid.schema().clone(),
        samples: groups.into_iter().flatten().collect(),
        extra: Extra::new(),
    })
}

/// Writes without waiting for the disk: what is lost in a crash is made again.
fn write_capture(capture: &RenderedCapture, dir: &Path) -> Result<()> {
    let [left, right, pcd] = capture.records.each_ref().map(|r| dir.join(&r.file_name));
    if let Some(parent) = left.parent() {
        std::fs::create_dir_all(parent).map_err(|e| failed(parent, e))?;
    }
    write(&left, &encode_png(&capture.left)?)?;
    write(&right, &encode_png(&capture.right)?)?;
    write(&left.with_file_name("calib.txt"), kitti_text(&capture.cameras).as_bytes())?;
    write(&pcd, &encode_kitti_bin(&capture.points))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|e| failed(path, e))
}

fn failed(path: &Path, source: std::io::Error) -> TestkitError {
    TestkitError::Io { path: path.to_owned(), source }
}
