//! Versions of the golden set of a project: what the reference was, since when, and why it changed.

use labelloop_core::{AnnotationSet, Split};
use labelloop_dataset::{Dataset, GROUND_TRUTH};
use labelloop_qa::{GoldenReference, GoldenVersion, GoldenVersions, QaError};

use crate::data::aligned;
use crate::project::Project;
use crate::state::State;
use crate::steps::{FIRST_VERSION, golden_history, images, labelled_reference, scan_reference, scans};
use crate::{LoopError, Result, files};

/// What the first version says of itself.
const FIRST_REASON: &str = "the reference labels as they were at first";

impl Project {
    /// All versions of the golden set, the oldest first; empty before the first batch.
    ///
    /// # Errors
    /// A damaged record, I/O.
    pub fn golden_versions(&self) -> Result<GoldenVersions> {
        let path = self.layout.golden_versions();
        if path.exists() { files::read_json(&path) } else { Ok(GoldenVersions::default()) }
    }

    /// Digests of the reference as it is now: of the golden pictures that have reference labels, and of golden clouds.
    ///
    /// # Errors
    /// What the dataset refuses.
    pub fn golden_reference(&self, dataset: &Dataset) -> Result<GoldenReference> {
        let pictures = labelled_reference(self, dataset)?;
        let clouds = scan_reference(dataset, Split::Golden)?;
        Ok(GoldenReference::of(&images(dataset, &pictures), &scans(&clouds)))
    }

    /// Makes a version of the golden set as its reference is now, once `corrected` labels of golden pictures, where given,
    /// have taken the place of theirs. In force from the iteration that the run is at.
    ///
    /// Earlier rounds that passed go on calibrating, but for pictures whose reference this version edits.
    ///
    /// # Errors
    /// [`QaError::NoReason`], [`QaError::SameReference`], a sample outside the golden set, classes outside the schema, I/O.
    /// Neither the reference nor the versions have changed then.
    pub fn new_golden_version(
        &self,
        reason: &str,
        corrected: Option<&AnnotationSet>,
    ) -> Result<GoldenVersion> {
        let iteration = State::load(&self.layout.state())?.map_or(0, |s| s.iteration);
        let mut writer = self.dir().writer()?;
        let before = self.dataset()?;
        let mut versions = self.golden_versions()?;
        if versions.latest().is_none() {
            self.begin_versions(&before, &mut versions, iteration)?;
        }
        let mut dataset = before.clone();
        if let Some(set) = corrected {
            correct(&mut dataset, set)?;
        }
        let made = versions.add(self.golden_reference(&dataset)?, u64::from(iteration), reason)?.clone();
        if dataset != before {
            writer.commit(&dataset, &format!("golden-version-{}", made.version))?;
        }
        files::write_json(&self.layout.golden_versions(), &versions)?;
        Ok(made)
    }

    /// The version in force, made where there was none; none where no golden sample has reference labels.
    ///
    /// # Errors
    /// [`LoopError::GoldenEdited`] when the reference at hand is another one.
    pub(crate) fn golden_version(&self, dataset: &Dataset, iteration: u32) -> Result<Option<GoldenVersion>> {
        let mut versions = self.golden_versions()?;
        let reference = self.golden_reference(dataset)?;
        if versions.latest().is_none() {
            if reference.samples.is_empty() {
                return Ok(None);
            }
            self.begin_versions(dataset, &mut versions, iteration)?;
            files::write_json(&self.layout.golden_versions(), &versions)?;
        }
        match versions.check(&reference) {
            Ok(version) => Ok(Some(version.clone())),
            Err(QaError::ReferenceChanged { version, changes }) => {
                Err(LoopError::GoldenEdited { version, changes })
            }
            Err(other) => Err(other.into()),
        }
    }

    /// The first version: the reference at hand, unless rounds were compared with another one before versions were kept.
    fn begin_versions(&self, dataset: &Dataset, versions: &mut GoldenVersions, iteration: u32) -> Result<()> {
        let reference = self.golden_reference(dataset)?;
        let history = golden_history(self)?;
        let known = history.entries().iter().find(|e| e.golden_version == FIRST_VERSION);
        let first = match known.filter(|e| e.reference_digest != reference.reference_digest) {
            Some(entry) => GoldenReference {
                reference_digest: entry.reference_digest.clone(),
                ..GoldenReference::default()
            },
            None => reference,
        };
        let iteration = known.map_or(u64::from(iteration), |e| e.iteration);
        versions.add(first, iteration, FIRST_REASON)?;
        Ok(())
    }

    /// Takes versions back with a run that begins again at an iteration.
    pub(crate) fn take_back_versions(&self, iteration: u32) -> Result<()> {
        let before = self.golden_versions()?;
        if before.list().len() < 2 {
            return Ok(());
        }
        let mut versions = before.clone();
        versions.take_back(u64::from(iteration), &self.golden_reference(&self.dataset()?)?);
        if versions == before { Ok(()) } else { files::write_json(&self.layout.golden_versions(), &versions) }
    }
}

/// Puts corrected labels in the place of the reference labels of golden pictures.
fn correct(dataset: &mut Dataset, set: &AnnotationSet) -> Result<()> {
    for (id, boxes) in aligned(dataset, set)? {
        let sample = dataset.sample(&id)?;
        if sample.split != Some(Split::Golden) {
            return Err(LoopError::NotGolden { id: id.to_string() });
        }
        if let Some(boxes) = boxes {
            dataset.set_boxes(GROUND_TRUTH, &id, boxes)?;
        }
    }
    Ok(())
}
