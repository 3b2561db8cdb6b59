//! Golden pictures in the batches that people get: which went out, and what came back of them.

use std::collections::{BTreeMap, BTreeSet};

use labelloop_core::{CaptureId, LabelledBox, SampleId, Split};
use labelloop_dataset::{Dataset, Sample, Status};
use labelloop_qa::{
    GoldenVersion, HoneypotCandidate, HoneypotObjects, HoneypotParams, HoneypotPick, choose_honeypots, mix,
};
use serde::{Deserialize, Serialize};

use crate::project::Project;
use crate::steps::{GoldenLabels, labelled_reference};
use crate::{LoopError, Result, files};

/// The golden pictures that a batch shows, kept beside the batch and never in what is handed out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Honeypots {
    /// The batch.
    pub iteration: u32,
    /// The golden version in force.
    pub golden_version: String,
    /// Pictures of the golden set.
    pub n_golden: usize,
    /// Those that are shown, each with its reason, in the order of ids.
    pub picks: Vec<HoneypotPick>,
}

impl Honeypots {
    /// The pictures that are shown.
    pub fn ids(&self) -> BTreeSet<&SampleId> {
        self.picks.iter().map(|p| &p.id).collect()
    }
}

impl Project {
    /// The golden pictures in a batch; none where it was chosen without them.
    ///
    /// # Errors
    /// A damaged record, I/O.
    pub fn honeypots(&self, iteration: u32) -> Result<Option<Honeypots>> {
        let path = self.layout.honeypots(iteration);
        if path.exists() { files::read_json(&path).map(Some) } else { Ok(None) }
    }

    /// Everything that people get with a batch, all slices of its captures and of those of its honeypots, in the order in
    /// which it is listed: mixed where there are honeypots, else by id.
    ///
    /// # Errors
    /// As [`Project::honeypots`].
    pub fn handed_out<'d>(&self, dataset: &'d Dataset, iteration: u32) -> Result<Vec<&'d Sample>> {
        let golden = self.honeypot_captures(dataset, iteration)?;
        let is_out = |s: &&Sample| s.batch == Some(iteration) || golden.contains(&s.capture);
        let mut samples: Vec<&Sample> = dataset.samples().values().filter(is_out).collect();
        if golden.is_empty() {
            return Ok(samples);
        }
        // Slices of a capture stay together: a capture stands where its first slice by id does.
        let mut first: BTreeMap<&CaptureId, &SampleId> = BTreeMap::new();
        for s in &samples {
            first.entry(&s.capture).or_insert(&s.id);
        }
        let captures: Vec<SampleId> = first.values().map(|id| (*id).clone()).collect();
        let seed = self.seed().stream("order of the batch").stream(&iteration.to_string());
        let order = mix(&captures, &[], seed);
        let place: BTreeMap<&SampleId, usize> = order.iter().enumerate().map(|(at, id)| (id, at)).collect();
        samples.sort_by_key(|s| (first.get(&s.capture).and_then(|id| place.get(*id)), &s.id));
        Ok(samples)
    }

    /// Captures whose pictures are shown as honeypots.
    pub(crate) fn honeypot_captures<'d>(
        &self,
        dataset: &'d Dataset,
        iteration: u32,
    ) -> Result<BTreeSet<&'d CaptureId>> {
        let Some(honeypots) = self.honeypots(iteration)? else { return Ok(BTreeSet::new()) };
        Ok(honeypots
            .ids()
            .into_iter()
            .filter_map(|id| dataset.samples().get(id))
            .filter(|s| s.split == Some(Split::Golden))
            .map(|s| &s.capture)
            .collect())
    }

    /// Samples handed out with a batch that nobody answered for yet; none once labels of the batch came back, as what is
    /// not answered then is pending.
    ///
    /// # Errors
    /// I/O.
    pub fn waiting(&self, number: u32) -> Result<Vec<SampleId>> {
        let dataset = self.dataset()?;
        let is_waiting = |s: &Sample| s.batch == Some(number) && s.status == Status::Selected;
        if !dataset.samples().values().any(is_waiting) {
            return Ok(Vec::new());
        }
        let answered = self.golden_labels(number)?;
        let golden = |s: &Sample| s.batch != Some(number) && !answered.contains_key(&s.id);
        let mut waiting: Vec<SampleId> = self
            .handed_out(&dataset, number)?
            .into_iter()
            .filter(|s| is_waiting(s) || golden(s))
            .map(|s| s.id.clone())
            .collect();
        waiting.sort_unstable();
        Ok(waiting)
    }

    /// What people labelled of the golden set in an iteration so far.
    pub(crate) fn golden_labels(&self, iteration: u32) -> Result<GoldenLabels> {
        let path = self.layout.golden_round(iteration);
        if path.exists() { files::read_json(&path) } else { Ok(GoldenLabels::new()) }
    }

    /// Takes answers for honeypots out of the answers of a batch; those of the pictures that the golden set consists of are
    /// given back, other slices of their captures went along so that they look like the rest, and end here.
    pub(crate) fn take_golden<A>(
        &self,
        dataset: &Dataset,
        number: u32,
        answers: &mut BTreeMap<SampleId, A>,
    ) -> Result<BTreeMap<SampleId, A>> {
        let captures = self.honeypot_captures(dataset, number)?;
        let Some(honeypots) = self.honeypots(number)?.filter(|_| !captures.is_empty()) else {
            return Ok(BTreeMap::new());
        };
        let is_golden =
            |id: &SampleId| dataset.samples().get(id).is_some_and(|s| captures.contains(&s.capture));
        let all = std::mem::take(answers);
        let (mut golden, rest): (BTreeMap<_, _>, BTreeMap<_, _>) =
            all.into_iter().partition(|(id, _)| is_golden(id));
        *answers = rest;
        let shown = honeypots.ids();
        golden.retain(|id, _| shown.contains(id));
        Ok(golden)
    }

    /// Adds answers to the golden round of an iteration, newer ones in place of older ones. Whether anything is new.
    pub(crate) fn add_golden(
        &self,
        iteration: u32,
        answers: BTreeMap<SampleId, (Vec<LabelledBox>, String)>,
    ) -> Result<bool> {
        let before = self.golden_labels(iteration)?;
        let mut round = before.clone();
        for (id, (mut boxes, annotator)) in answers {
            for b in &mut boxes {
                b.annotator.get_or_insert_with(|| annotator.clone());
            }
            round.insert(id, boxes);
        }
        if round == before {
            return Ok(false);
        }
        files::write_json(&self.layout.golden_round(iteration), &round)?;
        Ok(true)
    }

    /// Chooses the golden pictures that the batch of an iteration shows and writes them down: as many as `[qa] honeypots`
    /// says, or all up to 100. Nothing is written where that is 0, or where there is no golden picture with reference labels.
    pub(crate) fn choose_honeypots(
        &self,
        dataset: &Dataset,
        iteration: u32,
        version: &GoldenVersion,
    ) -> Result<()> {
        let reference = labelled_reference(self, dataset)?;
        let n = self.config.qa.n_honeypots(reference.len());
        if n == 0 {
            return Ok(());
        }
        let shown = self.shown_before(iteration)?;
        let candidates: Vec<HoneypotCandidate<'_>> = reference
            .iter()
            .map(|(id, boxes)| {
                let (n_shown, last_shown) = shown.get(id).copied().unwrap_or_default();
                HoneypotCandidate { id, objects: HoneypotObjects::Boxes(boxes), n_shown, last_shown }
            })
            .collect();
        let params = HoneypotParams {
            n,
            seed: self.seed().stream("honeypots").stream(&iteration.to_string()),
            small_area: self.config.qa.golden.small_area,
            ..HoneypotParams::default()
        };
        let record = Honeypots {
            iteration,
            golden_version: version.version.clone(),
            n_golden: reference.len(),
            picks: choose_honeypots(&candidates, dataset.schema(), &params)?,
        };
        files::write_json(&self.layout.honeypots(iteration), &record)
    }

    /// How often golden pictures were shown before an iteration, and when last: in batches, and in rounds that were
    /// labelled beside them.
    fn shown_before(&self, iteration: u32) -> Result<BTreeMap<SampleId, (u32, Option<u32>)>> {
        let mut shown: BTreeMap<SampleId, (u32, Option<u32>)> = BTreeMap::new();
        for earlier in 0..iteration {
            let mut ids: BTreeSet<SampleId> = self.golden_labels(earlier)?.into_keys().collect();
            if let Some(honeypots) = self.honeypots(earlier)? {
                ids.extend(honeypots.picks.into_iter().map(|p| p.id));
            }
            for id in ids {
                let (n, last) = shown.entry(id).or_default();
                (*n, *last) = (*n + 1, Some(earlier));
            }
        }
        Ok(shown)
    }
}

/// Whether there is a golden set at all: a project may split without.
pub(crate) fn golden_pictures<'d>(
    project: &Project,
    dataset: &'d Dataset,
) -> Result<BTreeMap<&'d SampleId, &'d Sample>> {
    match project.pictures_of(dataset, Split::Golden) {
        Err(LoopError::NoPictures { .. }) => Ok(BTreeMap::new()),
        found => found,
    }
}
