use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use labelloop_core::{ClassSchema, SampleId};
use labelloop_dataset::Dataset;
use labelloop_eval::failures::Failure;

use super::Context;
use crate::crops::{self, CropRecord};
use crate::{LoopError, Result, files};

/// Margin around a crop, in pixels.
const MARGIN: u32 = 8;

/// Writes the missed objects as `{class}_{size}_{image}_{area}px.png` (requirement 130) and gives each one's contrast.
/// A list beside them names the parent of each.
///
/// The folder is emptied first, so that a redone step leaves no stale crop.
pub(super) fn write(
    context: &Context<'_>,
    dataset: &Dataset,
    missed: &[&Failure],
    n_most: usize,
) -> Result<(Vec<Option<f64>>, Vec<PathBuf>)> {
    let folder = context.project.layout.error_analysis(context.iteration).join("fn_crops");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(LoopError::io(&folder))?;
    }
    std::fs::create_dir_all(&folder).map_err(LoopError::io(&folder))?;
    let mut by_picture: BTreeMap<&SampleId, Vec<usize>> = BTreeMap::new();
    for (i, failure) in missed.iter().enumerate() {
        by_picture.entry(&failure.image).or_default().push(i);
    }
    let mut contrasts = vec![None; missed.len()];
    let (mut written, mut records) = (Vec::new(), Vec::new());
    for (id, places) in by_picture {
        let picture = context.project.picture(dataset.sample(id)?)?;
        for i in places {
            let failure = missed[i];
            // An object outside the picture has neither contrast nor crop; it still counts as missed.
            contrasts[i] = labelloop_media::contrast(&picture, failure.bbox).ok();
            if i < n_most
                && let Ok(crop) = labelloop_media::crop(&picture, failure.bbox, MARGIN)
            {
                let path = free_name(&folder, &name(dataset.schema(), failure));
                let bytes = encoded(id, &crop)?;
                files::write_atomically(&path, &bytes)?;
                records.push(record(&path, dataset.schema(), failure, &bytes));
                written.push(path);
            }
        }
    }
    written.sort();
    records.sort_by(|a, b| a.file.cmp(&b.file));
    crops::write_list(&folder, &records)?;
    Ok((contrasts, written))
}

fn record(path: &Path, schema: &ClassSchema, failure: &Failure, bytes: &[u8]) -> CropRecord {
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let class = schema.name(failure.class).unwrap_or("unknown");
    CropRecord::new(file, failure.image.clone(), class, failure.bbox.to_xywh(), bytes)
}

fn encoded(id: &SampleId, crop: &labelloop_media::RgbImage) -> Result<Vec<u8>> {
    labelloop_media::encode_png(crop)
        .map_err(|source| LoopError::Picture { id: id.to_string(), source: Box::new(source) })
}

fn name(schema: &ClassSchema, failure: &Failure) -> String {
    let class = schema.name(failure.class).unwrap_or("unknown");
    let size = format!("{:?}", failure.size_band).to_lowercase();
    format!("{}_{size}_{}_{:.0}px", tame(class), tame(failure.image.as_str()), failure.area)
}

/// Class and picture names come from files: nothing but letters, digits and dashes may reach a path.
fn tame(text: &str) -> String {
    let tame: String = text.chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '_' }).collect();
    tame.chars().take(80).collect()
}

fn free_name(folder: &Path, stem: &str) -> PathBuf {
    let mut path = folder.join(format!("{stem}.png"));
    let mut suffix = 2u32;
    while path.exists() {
        path = folder.join(format!("{stem}-{suffix}.png"));
        suffix += 1;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_the_folder() {
        assert_eq!(tame("../../etc/pass wd"), "______etc_pass_wd");
        assert_eq!(tame("Bär-3"), "Bär-3");
        assert_eq!(tame(&"x".repeat(300)).len(), 80);
    }

    #[test]
    fn equal_names_get_a_suffix() {
        let dir = tempfile::tempdir().unwrap();
        let first = free_name(dir.path(), "car_tiny_a_20px");
        std::fs::write(&first, "").unwrap();
        assert!(free_name(dir.path(), "car_tiny_a_20px").ends_with("car_tiny_a_20px-2.png"));
    }
}
