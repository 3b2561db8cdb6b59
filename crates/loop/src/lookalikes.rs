//! Pictures that show the same: by their bytes, by perceptual hashes, and by vectors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use labelloop_core::{ImageSize, Progress, SampleId};
use labelloop_coreset::{DuplicateParams, Metric};
use labelloop_dataset::{Likeness, NearDuplicate, NearDuplicates};
use labelloop_embed::{DescriptorParams, EmbedError, embed_all};
use labelloop_index::HammingIndex;
use labelloop_media::{DecodeLimits, MediaError, decode_reduced, phash64, read_file};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{LoopError, Result};

/// Pictures between two looks at progress and the wish to end.
const CHUNK: usize = 64;

/// Sides that a picture should have at least before it is hashed: four times those that the hash looks at.
const HASHED_SIDE: u32 = 128;

/// More pairs than this are no list that anybody can use.
const MAX_PAIRS: usize = 5_000_000;

/// `[near_duplicates]`: how close is too close.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LookParams {
    /// Perceptual hashes of 64 bits that differ in at most so many are near-duplicates. Default 4: the least that finds
    /// 98.9% of compressed, smaller, brighter and paler copies of pictures of blood cells, playing cards and circuit
    /// boards, with about one pair in ten thousand of other pictures, most of them of the same thing.
    pub hash_bits: u32,
    /// Vectors of the built-in descriptor, of length 1, at most this far apart (Euclidean) are near-duplicates; 0 for the
    /// same numbers only.
    ///
    /// The default 0.05 is between what the built-in descriptor makes of one picture and of two. On 60 pictures each of
    /// blood cells, playing cards and circuit boards, a picture and its copy at half the size or as JPEG of quality 70 were
    /// at most 0.019 apart, with 1% cut off each side at most 0.049 (but 0.093 on circuit boards, whose lines are fine),
    /// and no two of the 5,310 pairs of different pictures less than 0.066. A copy that is 5% brighter may be 0.066 away;
    /// its hash finds it.
    pub radius: f64,
}

impl Default for LookParams {
    fn default() -> Self {
        Self { hash_bits: 4, radius: 0.05 }
    }
}

/// Parameters within their ranges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LookValidParams(LookParams);

impl LookParams {
    /// # Errors
    /// [`LoopError::Config`] for bits that all hashes differ in, and for a radius that is no distance between vectors of
    /// length 1.
    pub fn check(&self) -> Result<LookValidParams> {
        if 64 <= self.hash_bits {
            let (key, expected) = ("near_duplicates.hash_bits", "less than the 64 bits of a hash");
            return Err(LoopError::Config { key, found: self.hash_bits.to_string(), expected });
        }
        if !(0.0 <= self.radius && self.radius < 2.0) {
            let (key, expected) = ("near_duplicates.radius", "a number from 0 to below 2");
            return Err(LoopError::Config { key, found: self.radius.to_string(), expected });
        }
        Ok(LookValidParams(*self))
    }
}

/// What pictures look like, as far as it matters here.
#[derive(Debug, Clone, PartialEq)]
pub struct Lookalikes {
    /// Pairs of pictures that show the same, of every group.
    pub pairs: NearDuplicates,
    /// BLAKE3 of the bytes of each file that could be read, in hexadecimal digits.
    pub contents: BTreeMap<SampleId, String>,
    /// Pictures compared.
    pub n_pictures: usize,
    /// Pictures that could not be read and were not compared, with the reason.
    pub unread: BTreeMap<SampleId, String>,
}

/// Finds pictures that show the same. The vectors come from `store`, where there is one, as far as it has them.
///
/// Nothing but distances comes of it: no label is read. O(pictures^2) in the worst case.
///
/// # Errors
/// Parameters out of range, more than 5,000,000 pairs, I/O of the store, cancelled work.
pub fn find_lookalikes(
    items: &[(SampleId, PathBuf)],
    store: Option<&Path>,
    params: &LookParams,
    progress: &dyn Progress,
) -> Result<Lookalikes> {
    let LookValidParams(params) = params.check()?;
    let looks = look_at_all(items, progress)?;
    let descriptor = DescriptorParams::default().check().map_err(EmbedError::from)?;
    let run = embed_all(items, &descriptor, store, progress)?;
    let ids = run.embeddings.ids();
    let close = DuplicateParams {
        radius: params.radius,
        metric: Metric::L2,
        max_pairs: MAX_PAIRS,
        ..DuplicateParams::default()
    };
    let by_vectors = close.pairs(run.embeddings.vectors())?.into_iter().map(|p| {
        let by = Likeness::Vectors { distance: p.distance };
        NearDuplicate::new(ids[p.first].clone(), ids[p.second].clone(), by)
    });
    let pairs = by_vectors.chain(by_hashes(&looks, params.hash_bits)?).chain(by_contents(&looks));
    let mut unread: BTreeMap<SampleId, String> =
        looks.iter().filter_map(|l| Some((l.id.clone(), l.seen.as_ref().err()?.clone()))).collect();
    unread.extend(run.failures.iter().map(|f| (f.id.clone(), f.reason.clone())));
    let contents =
        looks.iter().filter_map(|l| Some((l.id.clone(), l.content?.to_hex().to_string()))).collect();
    Ok(Lookalikes {
        pairs: NearDuplicates::new(pairs),
        contents,
        n_pictures: items.len() - unread.len(),
        unread,
    })
}

/// A file that was looked at.
struct Look {
    id: SampleId,
    content: Option<blake3::Hash>,
    /// The perceptual hash, or why there is none.
    seen: Result<u64, String>,
}

fn look_at_all(items: &[(SampleId, PathBuf)], progress: &dyn Progress) -> Result<Vec<Look>> {
    let total = items.len() as u64;
    let mut looks = Vec::with_capacity(items.len());
    for (i, chunk) in items.chunks(CHUNK).enumerate() {
        progress.step("hash", (i * CHUNK) as u64, total)?;
        looks.par_extend(chunk.par_iter().map(|(id, path)| look_at(id, path)));
    }
    progress.advance("hash", total, total);
    Ok(looks)
}

fn look_at(id: &SampleId, path: &Path) -> Look {
    let limits = DecodeLimits::default();
    let bytes = match read_file(path, limits.max_bytes) {
        Ok(bytes) => bytes,
        Err(e) => return Look { id: id.clone(), content: None, seen: Err(e.to_string()) },
    };
    let hash = || -> Result<u64, MediaError> {
        let at_least = ImageSize::new(HASHED_SIDE, HASHED_SIDE)?;
        let picture = decode_reduced(&bytes, limits, &path.display().to_string(), at_least)?;
        Ok(phash64(&picture)?.0)
    };
    Look { id: id.clone(), content: Some(blake3::hash(&bytes)), seen: hash().map_err(|e| e.to_string()) }
}

fn by_hashes(looks: &[Look], radius: u32) -> Result<Vec<NearDuplicate>> {
    let hashed: Vec<(&SampleId, u64)> =
        looks.iter().filter_map(|l| Some((&l.id, *l.seen.as_ref().ok()?))).collect();
    let index = HammingIndex::new(hashed.iter().map(|(_, code)| [*code]).collect())?;
    let pairs = index.pairs(radius, MAX_PAIRS)?.into_iter().map(|p| {
        let by = Likeness::Hash { bits: p.distance, of: 64 };
        NearDuplicate::new(hashed[p.first as usize].0.clone(), hashed[p.second as usize].0.clone(), by)
    });
    Ok(pairs.collect())
}

/// Files of the same bytes, also those that cannot be decoded: each with the first one.
fn by_contents(looks: &[Look]) -> Vec<NearDuplicate> {
    let mut first_of: BTreeMap<[u8; 32], &SampleId> = BTreeMap::new();
    let mut pairs = Vec::new();
    for look in looks {
        let Some(content) = look.content else { continue };
        match first_of.get(content.as_bytes()) {
            Some(first) => {
                pairs.push(NearDuplicate::new((*first).clone(), look.id.clone(), Likeness::Content));
            }
            None => {
                first_of.insert(*content.as_bytes(), &look.id);
            }
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use labelloop_core::{Seed, Silent};
    use labelloop_media::{RgbImage, encode_jpeg, encode_png, resize};

    use super::*;

    fn scene(seed: u64) -> RgbImage {
        let draw = |i: u64, n: usize| Seed::new(seed).below(i, n) as u32;
        let mut picture = RgbImage::filled(ImageSize::new(160, 120).unwrap(), [90, 90, 90]);
        for i in (0..30).map(|i| 8 * i) {
            let (left, top, w, h) = (draw(i, 160), draw(i + 1, 120), draw(i + 2, 70), draw(i + 3, 60));
            let colour = [4, 5, 6].map(|c| draw(i + c, 256) as u8);
            (top..top + h).for_each(|y| (left..left + w).for_each(|x| picture.set(x, y, colour)));
        }
        picture
    }

    fn files(folder: &Path) -> Vec<(SampleId, PathBuf)> {
        let put = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
        for seed in 0..4 {
            put(&format!("{seed}.png"), &encode_png(&scene(seed)).unwrap());
        }
        let small = resize(&scene(1), ImageSize::new(80, 60).unwrap()).unwrap();
        put("small-1.png", &encode_png(&small).unwrap());
        put("copy-2.jpg", &encode_jpeg(&scene(2), 70).unwrap());
        put("same-3.png", &encode_png(&scene(3)).unwrap());
        let mut cut = RgbImage::filled(ImageSize::new(157, 118).unwrap(), [0; 3]);
        (0..118).for_each(|y| (0..157).for_each(|x| cut.set(x, y, scene(0).pixel(x + 2, y + 1))));
        put("cut-0.png", &encode_png(&cut).unwrap());
        put("broken-a.jpg", b"\xff\xd8\xffno");
        put("broken-b.jpg", b"\xff\xd8\xffno");
        let mut items: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().path())
            .map(|p| (SampleId::new(p.file_stem().unwrap().to_str().unwrap()).unwrap(), p))
            .collect();
        items.push((SampleId::new("gone").unwrap(), folder.join("gone.png")));
        items.sort();
        items
    }

    #[test]
    fn copies_are_found_by_bytes_hashes_and_vectors() {
        let temp = tempfile::tempdir().unwrap();
        let found = find_lookalikes(&files(temp.path()), None, &LookParams::default(), &Silent).unwrap();
        let names: Vec<(&str, &str)> =
            found.pairs.pairs().iter().map(|p| (p.first.as_str(), p.second.as_str())).collect();
        let expected =
            [("0", "cut-0"), ("1", "small-1"), ("2", "copy-2"), ("3", "same-3"), ("broken-a", "broken-b")];
        assert_eq!(names, expected);
        assert_eq!(found.pairs.pairs()[3].by, Likeness::Content);
        assert!(matches!(found.pairs.pairs()[1].by, Likeness::Hash { bits: 0..=4, of: 64 }));
        assert_eq!((found.n_pictures, found.contents.len(), found.unread.len()), (8, 10, 3));
        assert!(found.unread["gone"].contains("gone.png"), "{:?}", found.unread);
        let by_vectors = LookParams { hash_bits: 0, radius: 0.1 };
        let found = find_lookalikes(&files(temp.path()), None, &by_vectors, &Silent).unwrap();
        assert!(matches!(found.pairs.pairs()[0].by, Likeness::Vectors { .. }), "{:?}", found.pairs);
    }

    #[test]
    fn defaults_are_the_documented_ones_and_every_parameter_is_checked() {
        assert_eq!(LookParams::default(), LookParams { hash_bits: 4, radius: 0.05 });
        for radius in [f64::NAN, -0.1, 2.0] {
            let refused = LookParams { radius, ..LookParams::default() }.check().unwrap_err();
            assert!(matches!(refused, LoopError::Config { key: "near_duplicates.radius", .. }));
        }
        let refused = LookParams { hash_bits: 64, ..LookParams::default() }.check().unwrap_err();
        assert!(matches!(refused, LoopError::Config { key: "near_duplicates.hash_bits", .. }));
    }

    #[test]
    fn nothing_looks_like_nothing() {
        let found = find_lookalikes(&[], None, &LookParams::default(), &Silent).unwrap();
        assert!(found.pairs.is_empty() && found.n_pictures == 0);
    }
}
