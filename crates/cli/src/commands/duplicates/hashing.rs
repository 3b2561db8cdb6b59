use std::path::{Path, PathBuf};

use labelloop_core::{ImageSize, Progress, SampleId};
use labelloop_embed::EmbedError;
use labelloop_index::HammingCode;
use labelloop_media::{
    DecodeLimits, MediaError, MediaErrorKind, RgbImage, decode_reduced, phash64, phash64_turned, phash256,
    phash256_turned, probe_size, read_file,
};
use rayon::prelude::*;

/// Pictures between two looks at progress and the wish to end.
const CHUNK: usize = 64;

/// A picture that could be read.
pub(super) struct Hashed<const W: usize> {
    pub(super) id: SampleId,
    pub(super) path: PathBuf,
    pub(super) size: ImageSize,
    pub(super) n_bytes: u64,
    /// The hash, and with flips those of the picture mirrored and turned after it.
    pub(super) codes: Vec<HammingCode<W>>,
}

impl<const W: usize> Hashed<W> {
    /// Pixels, then bytes.
    pub(super) fn worth(&self) -> (u64, u64) {
        (u64::from(self.size.width()) * u64::from(self.size.height()), self.n_bytes)
    }
}

/// A picture that could not be read.
pub(super) struct Failure {
    pub(super) id: SampleId,
    pub(super) path: PathBuf,
    pub(super) kind: MediaErrorKind,
    pub(super) reason: String,
}

/// How pictures become codes.
pub(super) struct Hasher<const W: usize> {
    upright: fn(&RgbImage) -> Result<HammingCode<W>, MediaError>,
    turned: fn(&RgbImage) -> Result<[HammingCode<W>; 8], MediaError>,
    /// Sides that a picture should have at least before it is hashed: four times those that the hash looks at.
    side: u32,
}

pub(super) const OF_64: Hasher<1> = Hasher {
    upright: |picture| Ok([phash64(picture)?.0]),
    turned: |picture| Ok(phash64_turned(picture)?.map(|hash| [hash.0])),
    side: 128,
};

pub(super) const OF_256: Hasher<4> = Hasher {
    upright: |picture| Ok(phash256(picture)?.0),
    turned: |picture| Ok(phash256_turned(picture)?.map(|hash| hash.0)),
    side: 256,
};

impl<const W: usize> Hasher<W> {
    pub(super) fn all(
        &self,
        items: &[(SampleId, PathBuf)],
        flips: bool,
        progress: &dyn Progress,
    ) -> anyhow::Result<(Vec<Hashed<W>>, Vec<Failure>)> {
        let (mut hashed, mut failures) = (Vec::new(), Vec::new());
        let total = items.len() as u64;
        for (i, chunk) in items.chunks(CHUNK).enumerate() {
            // As an error of embedding, so that the program ends with the status of an interruption.
            progress.step("hash", (i * CHUNK) as u64, total).map_err(EmbedError::from)?;
            let one = |(id, path): &(SampleId, PathBuf)| {
                self.one(id, path, flips).map_err(|e| failure(id, path, &e))
            };
            for outcome in chunk.par_iter().map(one).collect::<Vec<_>>() {
                match outcome {
                    Ok(picture) => hashed.push(picture),
                    Err(failure) => failures.push(failure),
                }
            }
        }
        progress.advance("hash", total, total);
        Ok((hashed, failures))
    }

    fn one(&self, id: &SampleId, path: &Path, flips: bool) -> Result<Hashed<W>, MediaError> {
        let limits = DecodeLimits::default();
        let bytes = read_file(path, limits.max_bytes)?;
        let at_least = ImageSize::new(self.side, self.side)?;
        let picture = decode_reduced(&bytes, limits, &path.display().to_string(), at_least)?;
        let codes = if flips { (self.turned)(&picture)?.to_vec() } else { vec![(self.upright)(&picture)?] };
        let (size, n_bytes) = (probe_size(path)?, bytes.len() as u64);
        Ok(Hashed { id: id.clone(), path: path.to_owned(), size, n_bytes, codes })
    }
}

fn failure(id: &SampleId, path: &Path, error: &MediaError) -> Failure {
    Failure { id: id.clone(), path: path.to_owned(), kind: error.kind(), reason: error.to_string() }
}
