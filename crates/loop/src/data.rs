//! Samples and labels on their way into a project.

use std::collections::BTreeMap;
use std::path::Path;

use labelloop_core::{AnnotationSet, LabelledBox, Progress, SampleId, Split};
use labelloop_dataset::{
    BatchReport, BoxPolicy, Dataset, GROUND_TRUTH, GuardedSplit, HUMAN_LABELS, ImportReport, NearPolicy,
    SplitReport,
};
use labelloop_formats::{Warning, WithoutAnnotations, coco};

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
        self.read_coco_as(path, WithoutAnnotations::Empty)
    }

    pub(crate) fn read_coco_as(
        &self,
        path: &Path,
        images_without_annotations: WithoutAnnotations,
    ) -> Result<(AnnotationSet, Vec<Warning>)> {
        let options = coco::ReadOptions {
            group_key: Some(self.config.project.group_key.clone()),
            images_without_annotations,
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
        self.commit("import", |d| {
            self.refuse_crops(d, set)?;
            Ok(d.import(set, GROUND_TRUTH, policy)?)
        })
    }

    /// Deals groups that have no split out to test, val, golden and pool, without a look at the pictures. Groups that have
    /// one never move.
    ///
    /// # Errors
    /// Too few groups, an empty dataset, I/O.
    pub fn split(&self) -> Result<SplitReport> {
        self.commit("split", |d| Ok(d.split(&self.config.splits)?))
    }

    /// As [`Project::split`], after a look at all pictures: near-duplicates in different groups are merged, refused or
    /// reported as `[near_duplicates]` says, or as `policy` says where one is given. Pool pictures that look like val, golden or
    /// test pictures all the same are kept out of selection and training from then on.
    ///
    /// # Errors
    /// As [`Project::split`] and [`Project::lookalikes`]; a refusal naming the first pair under [`NearPolicy::Refuse`].
    pub fn split_guarded(&self, policy: Option<NearPolicy>, progress: &dyn Progress) -> Result<GuardedSplit> {
        let looks = self.lookalikes(&self.dataset()?, progress)?;
        let policy = policy.unwrap_or(self.config.near_duplicates.policy);
        self.commit("split", |d| Ok(d.split_guarded(&self.config.splits, &looks.pairs, policy)?))
    }

    /// Takes people's labels of a batch. Samples that are absent stay pending; answers for golden pictures that the batch
    /// showed go to the golden round of the iteration, and nowhere else.
    ///
    /// # Errors
    /// A batch that was never begun, samples that do not belong to it, classes outside the schema, I/O.
    pub fn import_batch(&self, number: u32, set: &AnnotationSet, annotator: &str) -> Result<BatchReport> {
        self.commit(&format!("iteration-{number:04}/import"), |d| {
            let mut labels = aligned(d, set)?;
            let golden = self.take_golden(d, number, &mut labels)?;
            let report = d.finish_batch(number, labels, HUMAN_LABELS, annotator)?;
            let by = |(id, boxes): (_, Option<_>)| Some((id, (boxes?, annotator.to_owned())));
            self.add_golden(number, golden.into_iter().filter_map(by).collect())?;
            Ok(report)
        })
    }

    /// Takes people's labels of the golden set in one round, labelled beside the batch; they replace those of the
    /// iteration so far.
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
    /// As [`Project::import`] and [`Project::split_guarded`].
    pub fn prepare(&self, progress: &dyn Progress) -> Result<Vec<String>> {
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
            let split = self.split_guarded(None, progress)?;
            let shares: Vec<String> = split
                .report
                .shares
                .iter()
                .map(|s| format!("{} {} ({} groups)", s.split, s.n_samples, s.n_groups))
                .collect();
            done.push(format!("split by group: {}", shares.join(", ")));
            done.extend(near_words(&split));
        }
        Ok(done)
    }
}

/// What became of near-duplicates, where there were any.
fn near_words(split: &GuardedSplit) -> Option<String> {
    let mut parts = Vec::new();
    if !split.merged.is_empty() {
        parts.push(format!("{} groups were merged into others that they look like", split.merged.len()));
    }
    if let Some(first) = split.across.first() {
        parts.push(format!("{} pairs are on two sides, the first {first}", split.across.len()));
    }
    if !split.quarantine.is_empty() {
        let n = split.quarantine.len();
        parts.push(format!("{n} pool samples are kept out of selection and training"));
    }
    (!parts.is_empty()).then(|| format!("near-duplicates: {}", parts.join("; ")))
}

/// Labels that came back, under the names and class numbers of the dataset. A tool names pictures by their files and may
/// list the classes in an order of its own: samples are matched by media file, else by id, and classes by name.
pub(crate) fn aligned(
    dataset: &Dataset,
    set: &AnnotationSet,
) -> Result<BTreeMap<SampleId, Option<Vec<LabelledBox>>>> {
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
