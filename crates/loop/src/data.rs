//! Samples and labels on their way into a project.

use std::collections::BTreeMap;
use std::path::Path;

use labelloop_core::{AnnotationSet, LabelledBox, SampleId, Split};
use labelloop_dataset::{
    BatchReport, BoxPolicy, Dataset, GROUND_TRUTH, HUMAN_LABELS, ImportReport, SplitReport, Status,
};
use labelloop_formats::{Warning, coco};

use crate::project::Project;
use crate::steps::GoldenLabels;
use crate::{LoopError, Result, files};

impl Project {
    /// Reads a COCO file as this project wants it read: unlabelled pictures count as verified empty, and the group key
    /// is the configured one.
    ///
    /// # Errors
    /// A file that cannot be read, with its place.
    pub fn read_coco(&self, path: &Path) -> Result<(AnnotationSet, Vec<Warning>)> {
        let options = coco::ReadOptions {
            group_key: Some(self.config.project.group_key.clone()),
            ..coco::ReadOptions::default()
        };
        let read = coco::read(path, &options)?;
        Ok((read.set, read.warnings))
    }

    /// Takes samples with their reference labels in. Doing it again changes nothing.
    ///
    /// # Errors
    /// Samples that contradict known ones, classes outside the schema, I/O.
    pub fn import(&self, set: &AnnotationSet, policy: BoxPolicy) -> Result<ImportReport> {
        self.commit("import", |d| Ok(d.import(set, GROUND_TRUTH, policy)?))
    }

    /// Deals groups that have no split out to test, val, golden and pool. Groups that have one never move.
    ///
    /// # Errors
    /// Too few groups, an empty dataset, I/O.
    pub fn split(&self) -> Result<SplitReport> {
        self.commit("split", |d| Ok(d.split(&self.config.splits)?))
    }

    /// Takes people's labels of a batch. Samples that are absent stay pending.
    ///
    /// # Errors
    /// A batch that was never begun, samples that do not belong to it, classes outside the schema, I/O.
    pub fn import_batch(&self, number: u32, set: &AnnotationSet, annotator: &str) -> Result<BatchReport> {
        self.commit(&format!("iteration-{number:04}/import"), |d| {
            let labels = aligned(d, set)?;
            Ok(d.finish_batch(number, labels, HUMAN_LABELS, annotator)?)
        })
    }

    /// Takes people's labels of the golden set in one round.
    ///
    /// # Errors
    /// A sample outside the golden split, I/O.
    pub fn import_golden(&self, iteration: u32, set: &AnnotationSet) -> Result<usize> {
        let dataset = self.dataset()?;
        let golden = self.pictures_of(&dataset, Split::Golden)?;
        let mut round = GoldenLabels::new();
        for (id, boxes) in aligned(&dataset, set)? {
            if !golden.contains_key(&id) {
                let reason = format!("sample {id} is not in the golden set");
                return Err(LoopError::Record { path: self.layout.golden_round(iteration), reason });
            }
            round.insert(id, boxes.unwrap_or_default());
        }
        files::write_json(&self.layout.golden_round(iteration), &round)?;
        Ok(round.len())
    }

    /// Imports the configured annotations into an empty dataset and splits groups that have none: what `run` does
    /// first. Returns what it did, in words.
    ///
    /// # Errors
    /// As [`Project::import`] and [`Project::split`].
    pub fn prepare(&self) -> Result<Vec<String>> {
        let mut done = Vec::new();
        let (is_empty, is_unsplit) = {
            let dataset = self.dataset()?;
            (dataset.samples().is_empty(), dataset.samples().values().any(|s| s.split.is_none()))
        };
        if is_empty && let Some(path) = &self.config.project.annotations {
            let (set, warnings) = self.read_coco(&self.layout.root().join(path))?;
            let report = self.import(&set, BoxPolicy::default())?;
            let n_warnings = warnings.len();
            done.push(format!(
                "imported {} samples, {} boxes ({n_warnings} warnings)",
                report.n_new, report.n_boxes
            ));
        }
        if is_empty || is_unsplit {
            let report = self.split()?;
            let shares: Vec<String> = report
                .shares
                .iter()
                .map(|s| format!("{} {} ({} groups)", s.split, s.n_samples, s.n_groups))
                .collect();
            done.push(format!("split by group: {}", shares.join(", ")));
        }
        Ok(done)
    }

    /// Samples of a batch that people still have to label.
    ///
    /// # Errors
    /// I/O.
    pub fn waiting(&self, number: u32) -> Result<Vec<SampleId>> {
        let dataset = self.dataset()?;
        let waiting: BTreeMap<_, _> = dataset
            .samples()
            .iter()
            .filter(|(_, s)| s.batch == Some(number) && s.status == Status::Selected)
            .collect();
        Ok(waiting.into_keys().cloned().collect())
    }
}

/// Labels that came back, under the names and class numbers of the dataset. A tool names pictures by their files and may
/// list the classes in an order of its own: samples are matched by media file, else by id, and classes by name.
fn aligned(dataset: &Dataset, set: &AnnotationSet) -> Result<BTreeMap<SampleId, Option<Vec<LabelledBox>>>> {
    let by_file: BTreeMap<&str, &SampleId> =
        dataset.samples().values().map(|s| (s.file_name.as_str(), &s.id)).collect();
    let mut labels = BTreeMap::new();
    for sample in &set.samples {
        let id = by_file.get(sample.file_name.as_str()).map_or(&sample.id, |id| *id);
        let mut boxes = sample.boxes.clone();
        for b in boxes.iter_mut().flatten() {
            b.class = dataset.schema().index(set.schema.name(b.class).unwrap_or_default())?;
        }
        labels.insert(id.clone(), boxes);
    }
    Ok(labels)
}
