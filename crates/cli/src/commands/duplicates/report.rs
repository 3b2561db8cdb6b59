use std::collections::BTreeMap;

use labelloop_coreset::{DuplicateGroups, Redundant};
use labelloop_index::hamming_distance;
use labelloop_media::PictureTurn;
use serde_json::{Value, json};

use super::hashing::{Failure, Hashed};

/// What is said in the end, in words and as a document.
pub(super) struct Report {
    n_bits: usize,
    radius: u32,
    n_hashed: usize,
    groups: Vec<Group>,
    failures: Vec<Failure>,
}

struct Group {
    kept: Vec<Picture>,
    redundant: Vec<(Picture, Like)>,
}

struct Picture {
    id: String,
    path: String,
    width: u32,
    height: u32,
    n_bytes: u64,
}

/// Which kept picture one is like, and how much.
struct Like {
    of: String,
    distance: u32,
    turn: PictureTurn,
}

impl Report {
    pub(super) fn new<const W: usize>(
        hashed: &[Hashed<W>],
        groups: &DuplicateGroups,
        failures: Vec<Failure>,
        radius: u32,
    ) -> Self {
        let groups = groups
            .groups
            .iter()
            .map(|group| Group {
                kept: group.kept.iter().map(|row| picture(&hashed[*row])).collect(),
                redundant: group
                    .redundant
                    .iter()
                    .map(|r| (picture(&hashed[r.row]), like(hashed, r)))
                    .collect(),
            })
            .collect();
        Self { n_bits: 64 * W, radius, n_hashed: hashed.len(), groups, failures }
    }

    pub(super) fn document(&self) -> Value {
        let groups = self.groups.iter().map(|group| {
            json!({
                "kept": group.kept.iter().map(Picture::document).collect::<Vec<_>>(),
                "redundant": group.redundant.iter().map(redundant).collect::<Vec<_>>(),
            })
        });
        let failures = self.failures.iter().map(|failure| {
            json!({ "id": failure.id, "path": failure.path, "kind": failure.kind.name(), "reason": failure.reason })
        });
        json!({
            "n_pictures": self.n_hashed,
            "bits": self.n_bits,
            "radius": self.radius,
            "n_redundant": self.n_redundant(),
            "groups": groups.collect::<Vec<_>>(),
            "failures": failures.collect::<Vec<_>>(),
            "failures_by_kind": self.by_kind(),
        })
    }

    pub(super) fn words(&self) -> String {
        let mut words = format!(
            "{} pictures: {} can be left out, in {} groups of hashes that differ in at most {} of {} bits",
            self.n_hashed,
            self.n_redundant(),
            self.groups.len(),
            self.radius,
            self.n_bits
        );
        for group in &self.groups {
            for kept in &group.kept {
                words += &format!(
                    "\n  keep {} ({} x {}, {} bytes)",
                    kept.path, kept.width, kept.height, kept.n_bytes
                );
            }
            for (picture, like) in &group.redundant {
                words += &format!("\n    like {}: {} ({} bits", like.of, picture.path, like.distance);
                if like.turn != PictureTurn::Upright {
                    words += &format!(", {}", like.turn);
                }
                words += ")";
            }
        }
        if !self.failures.is_empty() {
            let kinds = self.by_kind().into_iter().map(|(kind, n)| format!("{n} {kind}")).collect::<Vec<_>>();
            words += &format!("\n{} could not be read: {}", self.failures.len(), kinds.join(", "));
            self.failures.iter().for_each(|failure| words += &format!("\n  {}", failure.reason));
        }
        words
    }

    fn n_redundant(&self) -> usize {
        self.groups.iter().map(|group| group.redundant.len()).sum()
    }

    fn by_kind(&self) -> BTreeMap<&'static str, usize> {
        let mut kinds = BTreeMap::new();
        self.failures.iter().for_each(|failure| *kinds.entry(failure.kind.name()).or_default() += 1);
        kinds
    }
}

impl Picture {
    fn document(&self) -> Value {
        json!({
            "id": self.id, "path": self.path, "width": self.width, "height": self.height, "n_bytes": self.n_bytes,
        })
    }
}

fn picture<const W: usize>(hashed: &Hashed<W>) -> Picture {
    Picture {
        id: hashed.id.to_string(),
        path: hashed.path.display().to_string(),
        width: hashed.size.width(),
        height: hashed.size.height(),
        n_bytes: hashed.n_bytes,
    }
}

fn redundant((picture, like): &(Picture, Like)) -> Value {
    let mut document = picture.document();
    document["of"] = json!(like.of);
    document["distance"] = json!(like.distance);
    document["turn"] = json!(like.turn.to_string());
    document
}

fn like<const W: usize>(hashed: &[Hashed<W>], redundant: &Redundant) -> Like {
    let (this, other) = (&hashed[redundant.row], &hashed[redundant.of]);
    let laid = PictureTurn::ALL.into_iter().zip(&this.codes);
    let closest = laid.min_by_key(|(turn, code)| (hamming_distance(code, &other.codes[0]), *turn));
    Like {
        of: other.id.to_string(),
        // Whole numbers of bits, at most 256.
        distance: redundant.distance as u32,
        turn: closest.map_or(PictureTurn::Upright, |(turn, _)| turn),
    }
}
