//! Versions of the golden set: what the reference was, since when, and why it changed.

use std::collections::BTreeMap;
use std::fmt;

use labelloop_core::SampleId;
use serde::{Deserialize, Serialize};

use crate::{GoldenImage, GoldenScan, QaError, Result, label_digest, scan_digest};

/// The reference of a golden set as digests: of all pictures, of all point clouds, and of every sample.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoldenReference {
    /// [`label_digest`] of all pictures.
    pub reference_digest: String,
    /// [`scan_digest`] of all point clouds; none where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan_digest: Option<String>,
    /// Digest of every picture and every point cloud.
    pub samples: BTreeMap<SampleId, String>,
}

impl GoldenReference {
    /// Digests of a reference. O(labels x log) time.
    pub fn of(images: &[GoldenImage<'_>], scans: &[GoldenScan<'_>]) -> Self {
        let mut samples: BTreeMap<SampleId, String> =
            images.iter().map(|i| (i.id.clone(), label_digest(std::slice::from_ref(i)))).collect();
        samples.extend(scans.iter().map(|s| (s.id.clone(), scan_digest(std::slice::from_ref(s)))));
        Self {
            reference_digest: label_digest(images),
            scan_digest: (!scans.is_empty()).then(|| scan_digest(scans)),
            samples,
        }
    }

    /// What became of the samples since `before`.
    pub fn changes_since(&self, before: &Self) -> GoldenChanges {
        let not_in = |a: &Self, b: &Self| -> Vec<SampleId> {
            a.samples.keys().filter(|id| !b.samples.contains_key(*id)).cloned().collect()
        };
        let is_edited =
            |(id, digest): &(&SampleId, &String)| before.samples.get(*id).is_some_and(|d| d != *digest);
        GoldenChanges {
            added: not_in(self, before),
            removed: not_in(before, self),
            edited: self.samples.iter().filter(is_edited).map(|(id, _)| id.clone()).collect(),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.reference_digest == other.reference_digest && self.scan_digest == other.scan_digest
    }
}

/// Samples that differ between two versions, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoldenChanges {
    /// Samples that were not there before.
    pub added: Vec<SampleId>,
    /// Samples that are there no more.
    pub removed: Vec<SampleId>,
    /// Samples whose reference labels are other ones.
    pub edited: Vec<SampleId>,
}

impl GoldenChanges {
    /// Whether nothing is known to differ.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.edited.is_empty()
    }
}

impl fmt::Display for GoldenChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [("added", &self.added), ("removed", &self.removed), ("edited", &self.edited)];
        let mut parts: Vec<String> = Vec::new();
        for (what, samples) in lists.into_iter().filter(|(_, samples)| !samples.is_empty()) {
            let named: Vec<&str> = samples.iter().take(5).map(SampleId::as_str).collect();
            let more = samples.len() - named.len();
            let more = if 0 < more { format!(" and {more} more") } else { String::new() };
            parts.push(format!("{} {what} ({}{more})", samples.len(), named.join(", ")));
        }
        f.write_str(&if parts.is_empty() { "no sample differs".to_owned() } else { parts.join(", ") })
    }
}

/// One version of the golden set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoldenVersion {
    /// Its name: `1`, `2` and so on.
    pub version: String,
    /// The first iteration that is checked against it.
    pub from_iteration: u64,
    /// Why it was made.
    pub reason: String,
    /// What it changed against the version before it.
    #[serde(default)]
    pub changes: GoldenChanges,
    /// The reference.
    #[serde(flatten)]
    pub reference: GoldenReference,
}

/// All versions of a golden set, the oldest first.
///
/// Rounds are compared with the reference, so a reference that is corrected in silence moves the yardstick: rounds before
/// and after could not be compared, and whoever edits it could make a drifted round pass. Here an edit is an error until
/// somebody makes a version of it and says why.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, ImageSize, LabelledBox, SampleId};
/// use labelloop_qa::{GoldenImage, GoldenReference, GoldenVersions, QaError};
///
/// let (id, size) = (SampleId::new("a")?, ImageSize::new(64, 64)?);
/// let boxes = [LabelledBox::new(ClassIdx(0), BBox::new(1.0, 2.0, 30.0, 40.0)?)];
/// let reference = |boxes| GoldenReference::of(&[GoldenImage { id: &id, size, boxes }], &[]);
/// let mut versions = GoldenVersions::default();
/// versions.add(reference(&boxes), 0, "the first")?;
/// assert_eq!(versions.check(&reference(&boxes))?.version, "1");
///
/// let edited = versions.check(&reference(&[])).unwrap_err();
/// assert!(matches!(&edited, QaError::ReferenceChanged { changes, .. } if changes.edited == [id.clone()]));
/// versions.add(reference(&[]), 3, "a was a poster of a car")?;
/// assert_eq!(versions.check(&reference(&[]))?.version, "2");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GoldenVersions {
    versions: Vec<GoldenVersion>,
}

impl GoldenVersions {
    /// All versions, the oldest first.
    pub fn list(&self) -> &[GoldenVersion] {
        &self.versions
    }

    /// The version in force; none where none was made yet.
    pub fn latest(&self) -> Option<&GoldenVersion> {
        self.versions.last()
    }

    /// A version by its name.
    pub fn find(&self, version: &str) -> Option<&GoldenVersion> {
        self.versions.iter().find(|v| v.version == version)
    }

    /// The version in force, once the reference at hand is known to be its.
    ///
    /// # Errors
    /// [`QaError::ReferenceChanged`] naming the samples that were added, removed or edited;
    /// [`QaError::NoGoldenVersion`] where there is no version.
    pub fn check(&self, reference: &GoldenReference) -> Result<&GoldenVersion> {
        let latest = self.latest().ok_or(QaError::NoGoldenVersion)?;
        if latest.reference.is_same(reference) {
            return Ok(latest);
        }
        // What was recorded before samples were lists no samples: then nobody knows which of them differ.
        let changes = match latest.reference.samples.is_empty() {
            true => GoldenChanges::default(),
            false => reference.changes_since(&latest.reference),
        };
        Err(QaError::ReferenceChanged { version: latest.version.clone(), changes })
    }

    /// Makes the next version, in force from `iteration` on.
    ///
    /// # Errors
    /// [`QaError::NoReason`] without a reason, [`QaError::SameReference`] when nothing differs from the version in force.
    pub fn add(
        &mut self,
        reference: GoldenReference,
        iteration: u64,
        reason: impl Into<String>,
    ) -> Result<&GoldenVersion> {
        let reason = reason.into();
        if reason.trim().is_empty() {
            return Err(QaError::NoReason);
        }
        if let Some(latest) = self.latest().filter(|v| v.reference.is_same(&reference)) {
            return Err(QaError::SameReference { version: latest.version.clone() });
        }
        let changes = match self.latest().filter(|v| !v.reference.samples.is_empty()) {
            Some(before) => reference.changes_since(&before.reference),
            None => GoldenChanges::default(),
        };
        let version = (self.versions.len() + 1).to_string();
        self.versions.push(GoldenVersion { version, from_iteration: iteration, reason, changes, reference });
        Ok(&self.versions[self.versions.len() - 1])
    }

    /// Forgets versions that were made from `iteration` on and do not hold the reference at hand: a run that is taken back
    /// to an earlier iteration has the reference of then. The first version stays.
    pub fn take_back(&mut self, iteration: u64, reference: &GoldenReference) {
        while let [.., _, last] = self.versions.as_slice() {
            if last.from_iteration < iteration || last.reference.is_same(reference) {
                break;
            }
            self.versions.pop();
        }
    }

    /// Samples whose reference in `version` is to the bit that of the version in force: labellings that passed then can
    /// calibrate now. None of a version that is unknown.
    pub fn unchanged_since(&self, version: &str) -> Vec<&SampleId> {
        let (Some(then), Some(now)) = (self.find(version), self.latest()) else { return Vec::new() };
        let is_same = |(id, digest): &(&SampleId, &String)| then.reference.samples.get(*id) == Some(*digest);
        now.reference.samples.iter().filter(is_same).map(|(id, _)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use labelloop_core::{BBox, ClassIdx, Cuboid, CuboidFrame, ImageSize, LabelledBox, LabelledCuboid};

    use super::*;

    /// A reference of pictures by name and side of their one box.
    fn reference(sides: &[(&str, f64)]) -> GoldenReference {
        let size = ImageSize::new(100, 100).unwrap();
        let ids: Vec<SampleId> = sides.iter().map(|(id, _)| SampleId::new(*id).unwrap()).collect();
        let boxes: Vec<[LabelledBox; 1]> = sides
            .iter()
            .map(|(_, s)| [LabelledBox::new(ClassIdx(0), BBox::new(0.0, 0.0, *s, *s).unwrap())])
            .collect();
        let images: Vec<GoldenImage<'_>> =
            ids.iter().zip(&boxes).map(|(id, boxes)| GoldenImage { id, size, boxes }).collect();
        GoldenReference::of(&images, &[])
    }

    fn names(ids: &[SampleId]) -> Vec<&str> {
        ids.iter().map(SampleId::as_str).collect()
    }

    #[test]
    fn changes_are_named_one_by_one() {
        let (before, after) = (
            reference(&[("a", 9.0), ("b", 9.0), ("c", 9.0)]),
            reference(&[("b", 8.0), ("c", 9.0), ("d", 9.0)]),
        );
        let mut versions = GoldenVersions::default();
        assert_eq!(versions.check(&before), Err(QaError::NoGoldenVersion));
        versions.add(before.clone(), 0, "the first").unwrap();
        let Err(QaError::ReferenceChanged { version, changes }) = versions.check(&after) else {
            panic!("the reference was edited");
        };
        assert_eq!(version, "1");
        assert_eq!(
            [names(&changes.added), names(&changes.removed), names(&changes.edited)],
            [["d"], ["a"], ["b"]]
        );
        assert_eq!(changes.to_string(), "1 added (d), 1 removed (a), 1 edited (b)");
        let made = versions.add(after.clone(), 4, "b was loose").unwrap().clone();
        assert_eq!((made.version.as_str(), made.from_iteration, &made.changes), ("2", 4, &changes));
        assert_eq!(versions.check(&after).unwrap(), &made);
        assert!(versions.check(&before).is_err(), "nobody goes back in silence either");
    }

    #[test]
    fn a_version_needs_a_reason_and_a_change() {
        let mut versions = GoldenVersions::default();
        assert_eq!(versions.add(reference(&[("a", 9.0)]), 0, " ").unwrap_err(), QaError::NoReason);
        versions.add(reference(&[("a", 9.0)]), 0, "the first").unwrap();
        let again = versions.add(reference(&[("a", 9.0)]), 1, "for fun").unwrap_err();
        assert_eq!(again, QaError::SameReference { version: "1".into() });
        assert_eq!(versions.list().len(), 1);
    }

    #[test]
    fn labellings_of_samples_that_stayed_serve_under_a_new_version() {
        let mut versions = GoldenVersions::default();
        versions.add(reference(&[("a", 9.0), ("b", 9.0)]), 0, "the first").unwrap();
        versions.add(reference(&[("a", 9.0), ("b", 8.0), ("c", 7.0)]), 2, "b was loose").unwrap();
        let found =
            |v: &str| versions.unchanged_since(v).into_iter().map(SampleId::as_str).collect::<Vec<_>>();
        assert_eq!((found("1"), found("2"), found("x")), (vec!["a"], vec!["a", "b", "c"], vec![]));
    }

    #[test]
    fn a_run_taken_back_has_the_version_of_then() {
        let (first, second) = (reference(&[("a", 9.0)]), reference(&[("a", 8.0)]));
        let mut versions = GoldenVersions::default();
        versions.add(first.clone(), 0, "the first").unwrap();
        versions.add(second.clone(), 3, "a was loose").unwrap();
        let kept = |iteration, reference| {
            let mut v = versions.clone();
            v.take_back(iteration, reference);
            v.list().len()
        };
        assert_eq!((kept(3, &first), kept(0, &first), kept(4, &first)), (1, 1, 2));
        assert_eq!((kept(0, &second), kept(3, &second)), (2, 2), "an edit that outlived the restart");
    }

    #[test]
    fn a_version_without_samples_knows_that_something_differs() {
        let old = GoldenReference { reference_digest: "of old".into(), ..GoldenReference::default() };
        let mut versions = GoldenVersions::default();
        versions.add(old, 0, "recorded before samples were").unwrap();
        let found = versions.check(&reference(&[("a", 9.0)])).unwrap_err();
        assert!(matches!(&found, QaError::ReferenceChanged { changes, .. } if changes.is_empty()));
        assert!(found.to_string().contains("version 1"), "{found}");
        versions.add(reference(&[("a", 9.0)]), 2, "corrected").unwrap();
        assert!(versions.list()[1].changes.is_empty());
    }

    #[test]
    fn point_clouds_belong_to_the_version() {
        let id = SampleId::new("sweep").unwrap();
        let scan = |x: f64| {
            let cuboid = Cuboid::new([x, 0.0, 0.0], [4.0, 2.0, 1.5], 0.0, CuboidFrame::Lidar).unwrap();
            let cuboids = [LabelledCuboid { class: ClassIdx(0), cuboid, annotator: None }];
            GoldenReference::of(&[], &[GoldenScan { id: &id, cuboids: &cuboids }])
        };
        let mut versions = GoldenVersions::default();
        versions.add(scan(1.0), 0, "the first").unwrap();
        let moved = versions.check(&scan(2.0)).unwrap_err();
        assert!(matches!(moved, QaError::ReferenceChanged { changes, .. } if changes.edited == [id.clone()]));
    }

    #[test]
    fn the_record_survives_the_disk() {
        let mut versions = GoldenVersions::default();
        versions.add(reference(&[("a", 9.0)]), 0, "the first").unwrap();
        let text = serde_json::to_string(&versions).unwrap();
        assert!(text.starts_with("[{\"version\":\"1\"") && text.contains("\"samples\":{\"a\":"), "{text}");
        assert_eq!(serde_json::from_str::<GoldenVersions>(&text).unwrap(), versions);
    }
}
