//! Rounds of golden labels as they lie in files.

use std::path::Path;

use anyhow::{Context, bail};
use labelloop_core::{AnnotationSet, ClassSchema, SampleRecord, SliceKind};
use labelloop_formats::{Format, Imported, ReadOptions, kitti, read_as};
use labelloop_qa::{GoldenImage, GoldenScan};

use super::data;
use crate::output::Output;

/// Reads a whole round: a label that the reader left out would count as missed by people.
pub(super) fn read(path: &Path, format: &str, output: &Output) -> anyhow::Result<AnnotationSet> {
    let format = data::format(format)?;
    let Imported { mut set, warnings } = match format {
        Format::Kitti if ["calib", "velodyne"].iter().any(|folder| path.join(folder).is_dir()) => {
            kitti::read_captures(path, &kitti::CaptureOptions::default())?
        }
        _ => read_as(format, path, &ReadOptions::default())?,
    };
    if let Some(lost) = warnings.iter().find(|w| w.kind.may_lose_labels()) {
        bail!("{lost}; what cannot be read would count as missed");
    }
    for warning in &warnings {
        output.say(&format!("warning: {warning}"));
    }
    set.samples.iter_mut().for_each(sign);
    Ok(set)
}

/// Who answered for a picture drew what nobody else signed.
fn sign(sample: &mut SampleRecord) {
    let Some(name) = sample.labelled_by.as_ref().and_then(|by| by.annotator.clone()) else { return };
    let boxes = sample.boxes.iter_mut().flatten().map(|b| &mut b.annotator);
    let cuboids = sample.cuboids.iter_mut().flatten().map(|c| &mut c.annotator);
    for annotator in boxes.chain(cuboids).filter(|a| a.is_none()) {
        *annotator = Some(name.clone());
    }
}

/// Numbers classes as the reference does: files of different tools list the same classes in different orders.
pub(super) fn in_schema(
    mut set: AnnotationSet,
    schema: &ClassSchema,
    path: &Path,
) -> anyhow::Result<AnnotationSet> {
    for sample in &mut set.samples {
        let boxes = sample.boxes.iter_mut().flatten().map(|b| &mut b.class);
        let cuboids = sample.cuboids.iter_mut().flatten().map(|c| &mut c.class);
        for class in boxes.chain(cuboids) {
            let name = set.schema.name(*class).unwrap_or_default();
            *class =
                schema.index(name).with_context(|| format!("{}, sample {}", path.display(), sample.id))?;
        }
    }
    set.schema = schema.clone();
    Ok(set)
}

/// The pictures that somebody answered for. A capture without its picture, as KITTI's labels of clouds alone have, is none.
pub(super) fn images(set: &AnnotationSet) -> anyhow::Result<Vec<GoldenImage<'_>>> {
    let answered = set.samples.iter().filter_map(|s| Some((s, s.boxes.as_deref()?)));
    let answered = answered.filter(|(s, boxes)| s.size.is_some() || !boxes.is_empty());
    answered
        .map(|(s, boxes)| {
            let size = s.size.with_context(|| format!("picture {}: expected width and height", s.id))?;
            Ok(GoldenImage { id: &s.id, size, boxes })
        })
        .collect()
}

/// The point clouds that somebody answered for.
pub(super) fn scans(set: &AnnotationSet) -> Vec<GoldenScan<'_>> {
    let clouds = set.samples.iter().filter(|s| s.kind == SliceKind::PointCloud);
    clouds.filter_map(|s| Some(GoldenScan { id: &s.id, cuboids: s.cuboids.as_deref()? })).collect()
}
