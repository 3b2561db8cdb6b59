use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use blake3::Hash;
use labelloop_core::{CoreError, Embeddings, Progress, SampleId};
use ndarray::Array2;
use rayon::prelude::*;

use crate::cache::{Cache, CacheState};
use crate::{EmbedError, Embedder, Result};

/// Pictures held in memory at a time; also how often the caller hears of progress.
const CHUNK: usize = 32;
/// New vectors that are lost at most by a crash, while the cache is small.
const FLUSH_EVERY: usize = 512;

/// A picture that has no vector, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbedFailure {
    /// Its sample.
    pub id: SampleId,
    /// Its file.
    pub path: PathBuf,
    /// What was wrong, with the file's name.
    pub reason: String,
}

/// What [`embed_all`] did.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EmbedRun {
    /// One row for each picture that could be read, in the order of ids.
    pub embeddings: Embeddings,
    /// The others, in the order of ids.
    pub failures: Vec<EmbedFailure>,
    /// Rows whose vector was computed in this run.
    pub n_computed: usize,
    /// Rows whose vector was there already: in the cache, or from a picture of the same bytes.
    pub n_cached: usize,
    /// What was found where the cache was asked for.
    pub cache: CacheState,
}

/// The vectors of many pictures, or of many point clouds with an [`Embedder`] of such, on all cores.
///
/// Rows are in the order of ids, whatever the order of `items`, and do not depend on the number of threads or on what
/// the cache holds. A picture that cannot be read is recorded in [`EmbedRun::failures`], and the run goes on.
///
/// With a cache, a picture whose bytes were described before by the same descriptor is not decoded again, under
/// whatever name or id it comes. The cache is one file, replaced as a whole now and then and at the end, so that a run
/// that was stopped takes up where it was. A damaged cache is noticed by its checksum and rebuilt
/// ([`CacheState::Rebuilt`]). Vectors of other descriptors in the file are kept and never mixed with these.
///
/// ```
/// use labelloop_core::{ImageSize, SampleId, Silent};
/// use labelloop_embed::{DescriptorParams, embed_all};
/// use labelloop_media::{RgbImage, save_png};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("a.png");
/// save_png(&RgbImage::filled(ImageSize::new(40, 30)?, [9, 99, 200]), &path)?;
/// let items = [(SampleId::new("a")?, path), (SampleId::new("b")?, folder.path().join("missing.png"))];
///
/// let descriptor = DescriptorParams::default().check()?;
/// let cache = folder.path().join("vectors.cache");
/// let run = embed_all(&items, &descriptor, Some(&cache), &Silent)?;
/// assert_eq!((run.n_computed, run.n_cached, run.failures.len()), (1, 0, 1));
/// let again = embed_all(&items, &descriptor, Some(&cache), &Silent)?;
/// assert_eq!((again.n_computed, again.n_cached), (0, 1));
/// assert_eq!(again.embeddings, run.embeddings);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`CoreError::DuplicateSample`] for an id that comes twice, [`EmbedError::Io`] when the cache cannot be read or
/// written, [`EmbedError::Cancelled`] when the caller asked for it (what was done is in the cache).
pub fn embed_all<E: Embedder + ?Sized>(
    items: &[(SampleId, PathBuf)],
    descriptor: &E,
    cache: Option<&Path>,
    progress: &dyn Progress,
) -> Result<EmbedRun> {
    let items = sorted(items)?;
    let mut run = Run::open(descriptor, cache)?;
    let total = items.len() as u64;
    for (i, chunk) in items.chunks(CHUNK).enumerate() {
        if let Err(cancelled) = progress.step("embed", (i * CHUNK) as u64, total) {
            run.flush()?;
            return Err(cancelled.into());
        }
        run.embed(chunk);
        run.flush_when_due()?;
    }
    run.flush()?;
    progress.advance("embed", total, total);
    run.finish()
}

type Item = (SampleId, PathBuf);
/// What there is, or why there is nothing.
type Outcome<T> = std::result::Result<T, String>;

/// A cache that cannot be written should be known before the work and not after it.
fn make_folder_of(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|source| EmbedError::Io { path: folder.to_owned(), source })
}

fn sorted(items: &[Item]) -> Result<Vec<&Item>> {
    let mut items = items.iter().collect::<Vec<_>>();
    items.sort_by(|a, b| a.0.cmp(&b.0));
    if let Some(pair) = items.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(CoreError::DuplicateSample { id: pair[0].0.to_string() }.into());
    }
    Ok(items)
}

/// The bytes of a file and their name in the cache.
struct Content {
    bytes: Vec<u8>,
    hash: Hash,
}

impl Content {
    fn read(path: &Path) -> Outcome<Self> {
        let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let hash = blake3::hash(&bytes);
        Ok(Self { bytes, hash })
    }
}

fn describe<E: Embedder + ?Sized>(embedder: &E, content: &Content, path: &Path) -> Outcome<Vec<f32>> {
    embedder.embed_bytes(&content.bytes, path).map_err(|e| {
        let (place, reason) = (path.display().to_string(), e.to_string());
        if reason.starts_with(&place) { reason } else { format!("{place}: {reason}") }
    })
}

/// The state of a run between two chunks.
struct Run<'a, E: ?Sized> {
    descriptor: &'a E,
    digest: Hash,
    path: Option<&'a Path>,
    cache: Cache,
    state: CacheState,
    n_unsaved: usize,
    rows: Vec<(SampleId, Hash)>,
    failures: Vec<EmbedFailure>,
    n_computed: usize,
}

impl<'a, E: Embedder + ?Sized> Run<'a, E> {
    fn open(descriptor: &'a E, path: Option<&'a Path>) -> Result<Self> {
        let (cache, state) = match path {
            Some(path) => {
                make_folder_of(path)?;
                Cache::open(path)?
            }
            None => (Cache::default(), CacheState::Off),
        };
        let digest = Hash::from_bytes(descriptor.digest_bytes());
        let (rows, failures) = (Vec::new(), Vec::new());
        Ok(Self { descriptor, digest, path, cache, state, n_unsaved: 0, rows, failures, n_computed: 0 })
    }

    /// Reads the chunk's files, describes what is new among them (each content once), and notes rows in order.
    fn embed(&mut self, chunk: &[&Item]) {
        let read = chunk.par_iter().map(|(_, path)| Content::read(path)).collect::<Vec<_>>();
        let mut computed = self.compute(chunk, &read);
        for (i, ((id, path), content)) in chunk.iter().zip(&read).enumerate() {
            match self.settle(path, content, computed.remove(&i)) {
                Ok(content) => self.rows.push((id.clone(), content)),
                Err(reason) => {
                    self.failures.push(EmbedFailure { id: id.clone(), path: path.clone(), reason });
                }
            }
        }
    }

    /// Under which content a picture's vector is to be found, once it is.
    fn settle(
        &mut self,
        path: &Path,
        content: &Outcome<Content>,
        computed: Option<Outcome<Vec<f32>>>,
    ) -> Outcome<Hash> {
        let content = content.as_ref().map_err(Clone::clone)?;
        if let Some(vector) = computed {
            self.cache.insert(&self.digest, &content.hash, vector?);
            self.n_unsaved += 1;
            self.n_computed += 1;
        } else if self.vector(&content.hash).is_none() {
            // The same bytes under another name failed already; the reason should name this file.
            describe(self.descriptor, content, path)?;
        }
        Ok(content.hash)
    }

    /// Vectors, or reasons why there is none, of the contents that have no vector yet; by place in the chunk.
    fn compute(&self, chunk: &[&Item], read: &[Outcome<Content>]) -> BTreeMap<usize, Outcome<Vec<f32>>> {
        let mut first_of = BTreeMap::new();
        for (i, content) in read.iter().enumerate() {
            if let Ok(content) = content
                && self.vector(&content.hash).is_none()
            {
                first_of.entry(*content.hash.as_bytes()).or_insert((i, content));
            }
        }
        let new = first_of.into_values().collect::<Vec<_>>();
        new.into_par_iter().map(|(i, content)| (i, describe(self.descriptor, content, &chunk[i].1))).collect()
    }

    fn vector(&self, content: &Hash) -> Option<&[f32]> {
        self.cache.get(&self.digest, content, self.descriptor.n_dims())
    }

    /// The cache is written as a whole, so the waits grow with it: all writes together stay a few times its size.
    fn flush_when_due(&mut self) -> Result<()> {
        if FLUSH_EVERY.max(self.cache.n_entries() / 4) <= self.n_unsaved { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        if let Some(path) = self.path
            && 0 < self.n_unsaved
        {
            self.cache.save(path)?;
            self.n_unsaved = 0;
        }
        Ok(())
    }

    fn finish(self) -> Result<EmbedRun> {
        let n_dims = self.descriptor.n_dims();
        let mut vectors = Array2::zeros((self.rows.len(), n_dims));
        for (mut row, (_, content)) in vectors.rows_mut().into_iter().zip(&self.rows) {
            for (to, from) in row.iter_mut().zip(self.vector(content).unwrap_or_default()) {
                *to = *from;
            }
        }
        let n_cached = self.rows.len() - self.n_computed;
        let ids = self.rows.into_iter().map(|(id, _)| id).collect();
        Ok(EmbedRun {
            embeddings: Embeddings::new(ids, vectors)?,
            failures: self.failures,
            n_computed: self.n_computed,
            n_cached,
            cache: self.state,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};

    use labelloop_core::{ImageSize, Seed, Silent};
    use labelloop_media::{RgbImage, save_jpeg, save_png};

    use super::*;
    use crate::{Descriptor, DescriptorParams, PointDescriptor};

    fn id(text: &str) -> SampleId {
        SampleId::new(text).unwrap()
    }

    fn picture(seed: u64) -> RgbImage {
        let bits = Seed::new(seed);
        let pixels = (0..3 * 20 * 16).map(|i| bits.bits(i).to_le_bytes()[0]).collect();
        RgbImage::new(ImageSize::new(20, 16).unwrap(), pixels).unwrap()
    }

    fn small() -> Descriptor {
        DescriptorParams { side: 16, levels: 1, ..Default::default() }.check().unwrap()
    }

    /// `n` pictures named by number, of different content.
    fn pictures(folder: &Path, n: u64) -> Vec<Item> {
        let item = |i| {
            let path = folder.join(format!("{i:04}.png"));
            save_png(&picture(i), &path).unwrap();
            (id(&format!("s{i:04}")), path)
        };
        (0..n).map(item).collect()
    }

    #[test]
    fn rows_are_the_vectors_of_the_pictures_in_the_order_of_ids() {
        let folder = tempfile::tempdir().unwrap();
        let mut items = pictures(folder.path(), 70);
        let run = embed_all(&items, &small(), None, &Silent).unwrap();
        assert_eq!((run.n_computed, run.n_cached, run.cache.clone()), (70, 0, CacheState::Off));
        assert!(run.embeddings.ids().is_sorted());
        for seed in [0, 33, 69] {
            let expected = small().embed(&picture(seed)).unwrap();
            assert_eq!(run.embeddings.row(&id(&format!("s{seed:04}"))).unwrap().to_vec(), expected);
        }
        items.reverse();
        assert_eq!(embed_all(&items, &small(), None, &Silent).unwrap(), run);
    }

    #[test]
    fn broken_pictures_are_recorded_and_the_others_are_described() {
        let folder = tempfile::tempdir().unwrap();
        let mut items = pictures(folder.path(), 3);
        std::fs::write(&items[1].1, b"not a picture").unwrap();
        let cut = folder.path().join("cut.jpg");
        save_jpeg(&picture(9), &cut, 90).unwrap();
        let bytes = std::fs::read(&cut).unwrap();
        std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
        let copy = folder.path().join("copy.jpg");
        std::fs::copy(&cut, &copy).unwrap();
        items.extend([
            (id("a_cut"), cut),
            (id("b_copy"), copy),
            (id("gone"), folder.path().join("gone.png")),
        ]);
        let run = embed_all(&items, &small(), Some(&folder.path().join("c")), &Silent).unwrap();
        assert_eq!(run.embeddings.n_samples(), 2);
        let failed = run.failures.iter().map(|f| f.id.as_str()).collect::<Vec<_>>();
        assert_eq!(failed, ["a_cut", "b_copy", "gone", "s0001"]);
        for failure in &run.failures {
            let name = failure.path.file_name().unwrap().to_str().unwrap();
            assert!(failure.reason.contains(name), "{failure:?}");
        }
    }

    #[test]
    fn clouds_are_described_beside_pictures_with_one_cache() {
        let folder = tempfile::tempdir().unwrap();
        let cloud = labelloop_media::PointCloud::new(vec![[10.0, 2.0, -1.5, 0.3], [1.0, 2.0, 0.0, 0.1]]);
        let names = ["a.bin", "b.pcd", "c.las", "d.txt", "e.bin"];
        let items = names.map(|name| (id(name), folder.path().join(name)));
        labelloop_media::write_kitti_bin(&cloud, &items[0].1).unwrap();
        labelloop_media::write_pcd(&cloud, &items[1].1, labelloop_media::PcdEncoding::Ascii).unwrap();
        std::fs::write(&items[2].1, "LASF").unwrap();
        std::fs::write(&items[3].1, "").unwrap();
        std::fs::write(&items[4].1, "").unwrap();
        let (descriptor, cache) = (PointDescriptor::default(), folder.path().join("cache"));
        embed_all(&pictures(folder.path(), 2), &small(), Some(&cache), &Silent).unwrap();
        let run = embed_all(&items, &descriptor, Some(&cache), &Silent).unwrap();
        assert_eq!((run.embeddings.n_samples(), run.n_computed, run.n_cached), (2, 2, 0));
        let expected = descriptor.embed(&cloud).unwrap();
        assert!(run.embeddings.vectors().rows().into_iter().all(|row| row.to_vec() == expected));
        assert_eq!(run.failures.len(), 3);
        for failure in &run.failures {
            assert!(failure.reason.contains(failure.id.as_str()), "{failure:?}");
        }
        let again = embed_all(&items, &descriptor, Some(&cache), &Silent).unwrap();
        assert_eq!((again.n_computed, again.n_cached), (0, 2));
    }

    #[test]
    fn nothing_at_all_is_an_empty_matrix() {
        let run = embed_all(&[], &small(), None, &Silent).unwrap();
        assert_eq!((run.embeddings.n_samples(), run.embeddings.n_dims()), (0, small().n_dims()));
    }

    #[test]
    fn an_id_that_comes_twice_is_refused() {
        let items = [(id("a"), PathBuf::from("x")), (id("b"), PathBuf::new()), (id("a"), PathBuf::from("y"))];
        let refused = embed_all(&items, &small(), None, &Silent).unwrap_err();
        assert!(matches!(refused, EmbedError::Core(CoreError::DuplicateSample { id }) if id == "a"));
    }

    #[test]
    fn the_same_bytes_are_described_once_under_any_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut items = pictures(folder.path(), 2);
        let copy = folder.path().join("copy.png");
        std::fs::copy(&items[0].1, &copy).unwrap();
        items.push((id("z"), copy));
        let run = embed_all(&items, &small(), None, &Silent).unwrap();
        assert_eq!((run.n_computed, run.n_cached), (2, 1));
        assert_eq!(run.embeddings.row(&id("z")), run.embeddings.row(&id("s0000")));
    }

    #[test]
    fn the_cache_saves_the_work_and_changes_no_number() {
        let folder = tempfile::tempdir().unwrap();
        let items = pictures(folder.path(), 40);
        let path = folder.path().join("deep/er/cache.bin");
        let first = embed_all(&items[..30], &small(), Some(&path), &Silent).unwrap();
        assert_eq!((first.n_computed, first.cache.clone()), (30, CacheState::New));
        let second = embed_all(&items, &small(), Some(&path), &Silent).unwrap();
        assert_eq!((second.n_computed, second.n_cached), (10, 30));
        assert_eq!(second.cache, CacheState::Read { n_entries: 30 });
        assert_eq!(second.embeddings, embed_all(&items, &small(), None, &Silent).unwrap().embeddings);
    }

    #[test]
    fn the_bytes_of_the_cache_depend_on_its_content_alone() {
        let folder = tempfile::tempdir().unwrap();
        let items = pictures(folder.path(), 40);
        let [whole, parts] = ["whole", "parts"].map(|name| folder.path().join(name));
        embed_all(&items, &small(), Some(&whole), &Silent).unwrap();
        embed_all(&items[25..], &small(), Some(&parts), &Silent).unwrap();
        embed_all(&items[..30], &small(), Some(&parts), &Silent).unwrap();
        assert_eq!(std::fs::read(&whole).unwrap(), std::fs::read(&parts).unwrap());
    }

    #[test]
    fn one_thread_and_four_give_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let items = pictures(folder.path(), 50);
        let by_threads = [1, 4].map(|n| {
            let path = folder.path().join(format!("cache{n}"));
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            let run = pool.install(|| embed_all(&items, &small(), Some(&path), &Silent)).unwrap();
            (run, std::fs::read(path).unwrap())
        });
        assert_eq!(by_threads[0], by_threads[1]);
    }

    #[test]
    fn a_damaged_cache_is_rebuilt_and_said_to_be() {
        let folder = tempfile::tempdir().unwrap();
        let items = pictures(folder.path(), 5);
        let path = folder.path().join("cache");
        let run = embed_all(&items, &small(), Some(&path), &Silent).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[200] ^= 1;
        for damaged in [flipped, whole[..100].to_vec(), Vec::new()] {
            std::fs::write(&path, damaged).unwrap();
            let again = embed_all(&items, &small(), Some(&path), &Silent).unwrap();
            assert!(matches!(again.cache, CacheState::Rebuilt { .. }), "{:?}", again.cache);
            assert_eq!((again.n_computed, &again.embeddings), (5, &run.embeddings));
            assert_eq!(std::fs::read(&path).unwrap(), whole);
        }
    }

    #[test]
    fn two_descriptors_share_a_file_and_never_a_vector() {
        let folder = tempfile::tempdir().unwrap();
        let items = pictures(folder.path(), 4);
        let path = folder.path().join("cache");
        // The same length of vectors, so that only the digest tells them apart.
        let other = DescriptorParams { side: 32, levels: 1, ..Default::default() }.check().unwrap();
        embed_all(&items, &small(), Some(&path), &Silent).unwrap();
        let run = embed_all(&items, &other, Some(&path), &Silent).unwrap();
        assert_eq!(run.n_computed, 4);
        assert_eq!(run.embeddings, embed_all(&items, &other, None, &Silent).unwrap().embeddings);
        let back = embed_all(&items, &small(), Some(&path), &Silent).unwrap();
        assert_eq!((back.n_computed, back.cache), (0, CacheState::Read { n_entries: 8 }));
    }

    /// Cancels once a number of pictures is done.
    struct StopAfter(u64, AtomicU64);

    impl Progress for StopAfter {
        fn advance(&self, _: &str, done: u64, _: u64) {
            self.1.store(done, Ordering::Relaxed);
        }

        fn is_cancelled(&self) -> bool {
            self.0 <= self.1.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn a_cancelled_run_takes_up_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let items = pictures(folder.path(), 100);
        let path = folder.path().join("cache");
        let stop = StopAfter(CHUNK as u64, AtomicU64::new(0));
        let refused = embed_all(&items, &small(), Some(&path), &stop).unwrap_err();
        assert!(matches!(refused, EmbedError::Cancelled(c) if c.total == 100), "{refused}");
        let run = embed_all(&items, &small(), Some(&path), &Silent).unwrap();
        assert_eq!((run.n_computed, run.n_cached), (100 - 2 * CHUNK, 2 * CHUNK));
    }

    #[test]
    fn progress_rises_to_the_total() {
        #[derive(Default)]
        struct Heard(Mutex<Vec<(u64, u64)>>);
        impl Progress for Heard {
            fn advance(&self, what: &str, done: u64, total: u64) {
                assert_eq!(what, "embed");
                self.0.lock().unwrap().push((done, total));
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let heard = Heard::default();
        embed_all(&pictures(folder.path(), 40), &small(), None, &heard).unwrap();
        assert_eq!(*heard.0.lock().unwrap(), [(0, 40), (32, 40), (40, 40)]);
    }

    #[test]
    fn a_cache_that_cannot_be_opened_is_an_error_before_the_work() {
        let folder = tempfile::tempdir().unwrap();
        let items = pictures(folder.path(), 1);
        let refused = embed_all(&items, &small(), Some(folder.path()), &Silent).unwrap_err();
        assert!(matches!(refused, EmbedError::Io { .. }), "{refused}");
    }
}
