//! The golden set of a project: its reference labels, its rounds and what was found so far.

use std::collections::BTreeMap;

use labelloop_core::{LabelledBox, LabelledCuboid, SampleId, Split};
use labelloop_dataset::Dataset;
use labelloop_qa::{GoldenImage, GoldenScan, History, ScanRound};

use super::Context;
use crate::{Result, files};

/// The golden set is one and the same for the whole project; whoever corrects its reference labels starts another.
pub(super) const GOLDEN_VERSION: &str = "1";

/// Golden labels of one round, by picture.
pub type GoldenLabels = BTreeMap<SampleId, Vec<LabelledBox>>;

/// Golden cuboids of one round, by point cloud.
pub type GoldenScans = BTreeMap<SampleId, Vec<LabelledCuboid>>;

/// A round of clouds as the check takes it.
pub(super) fn scans(round: &GoldenScans) -> ScanRound<'_> {
    round.iter().map(|(id, cuboids)| GoldenScan { id, cuboids }).collect()
}

/// Golden checks of all iterations so far.
pub(super) fn golden_history(context: &Context<'_>) -> Result<History> {
    let path = context.project.layout.golden_history();
    if path.exists() { files::read_json(&path) } else { Ok(History::default()) }
}

/// The labels that rounds are compared with.
pub(super) fn reference_of(context: &Context<'_>, dataset: &Dataset) -> Result<GoldenLabels> {
    let golden = context.project.pictures_of(dataset, Split::Golden)?;
    golden
        .into_iter()
        .map(|(id, s)| Ok((id.clone(), context.project.reference(dataset, s)?.to_vec())))
        .collect()
}

/// A round as the check takes it; pictures without a known size are left out.
pub(super) fn images<'r>(dataset: &Dataset, round: &'r GoldenLabels) -> Vec<GoldenImage<'r>> {
    let with_size = |(id, boxes): (&'r SampleId, &'r Vec<LabelledBox>)| {
        let size = dataset.samples().get(id)?.size?;
        Some(GoldenImage { id, size, boxes })
    };
    round.iter().filter_map(with_size).collect()
}
