//! The golden set of a project: its reference labels, its rounds and what was found so far.

use std::collections::BTreeMap;

use labelloop_core::{LabelledBox, LabelledCuboid, SampleId, Split};
use labelloop_dataset::{Dataset, DatasetError, GROUND_TRUTH};
use labelloop_qa::{GoldenImage, GoldenScan, History, ScanRound};

use crate::honeypots::golden_pictures;
use crate::project::Project;
use crate::{Result, files};

/// The version of every golden set before anybody corrects its reference labels.
pub(crate) const FIRST_VERSION: &str = "1";

/// Golden labels of one round, by picture.
pub type GoldenLabels = BTreeMap<SampleId, Vec<LabelledBox>>;

/// Golden cuboids of one round, by point cloud.
pub type GoldenScans = BTreeMap<SampleId, Vec<LabelledCuboid>>;

/// A round of clouds as the check takes it.
pub(crate) fn scans(round: &GoldenScans) -> ScanRound<'_> {
    round.iter().map(|(id, cuboids)| GoldenScan { id, cuboids }).collect()
}

/// Golden checks of all iterations so far.
pub(crate) fn golden_history(project: &Project) -> Result<History> {
    let path = project.layout.golden_history();
    if path.exists() { files::read_json(&path) } else { Ok(History::default()) }
}

/// The labels that rounds are compared with.
///
/// # Errors
/// [`LoopError::NoReference`](crate::LoopError::NoReference) for a golden picture that nobody labelled.
pub(super) fn whole_reference(project: &Project, dataset: &Dataset) -> Result<GoldenLabels> {
    let golden = project.pictures_of(dataset, Split::Golden)?;
    golden.into_iter().map(|(id, s)| Ok((id.clone(), project.reference(dataset, s)?.to_vec()))).collect()
}

/// The same without golden pictures that nobody labelled yet: they are never shown as honeypots. Empty without a golden set.
pub(crate) fn labelled_reference(project: &Project, dataset: &Dataset) -> Result<GoldenLabels> {
    let mut reference = GoldenLabels::new();
    for id in golden_pictures(project, dataset)?.into_keys() {
        if let Some(boxes) = where_there_is_a_field(dataset.boxes(GROUND_TRUTH, id))? {
            reference.insert(id.clone(), boxes.to_vec());
        }
    }
    Ok(reference)
}

/// Labels of a field that may not be there: nobody has labelled anything then.
pub(super) fn where_there_is_a_field<T>(
    labels: labelloop_dataset::Result<Option<T>>,
) -> labelloop_dataset::Result<Option<T>> {
    match labels {
        Err(DatasetError::UnknownField { .. }) => Ok(None),
        labels => labels,
    }
}

/// A round as the check takes it; pictures without a known size are left out.
pub(crate) fn images<'r>(dataset: &Dataset, round: &'r GoldenLabels) -> Vec<GoldenImage<'r>> {
    let with_size = |(id, boxes): (&'r SampleId, &'r Vec<LabelledBox>)| {
        let size = dataset.samples().get(id)?.size?;
        Some(GoldenImage { id, size, boxes })
    };
    round.iter().filter_map(with_size).collect()
}
