use std::path::{Path, PathBuf};

use labelloop_core::{CoreError, Embeddings, Progress, SampleId};
use ndarray::{Axis, Slice};

use crate::pipeline::{self, Item, Outcome, Slot};
use crate::{CacheState, EmbedFailure, Embedder, ModelInfo, Result, VectorStore};

/// What [`embed_all`] did.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EmbedRun {
    /// One row for each picture that could be read, in the order of ids.
    pub embeddings: Embeddings,
    /// Whose vectors these are.
    pub model: ModelInfo,
    /// BLAKE3 of the bytes of each row's picture.
    pub contents: Vec<[u8; 32]>,
    /// The others, in the order of ids.
    pub failures: Vec<EmbedFailure>,
    /// Vectors computed in this run.
    pub n_computed: usize,
    /// Rows whose vector was there already: in the store, or from a picture of the same bytes.
    pub n_cached: usize,
    /// Records of the store that turned out to be damaged; their vectors were computed again.
    pub n_damaged: usize,
    /// What was found where the store was asked for.
    pub cache: CacheState,
}

/// The vectors of many pictures, or of many point clouds with an [`Embedder`] of such, on all cores.
///
/// Rows are in the order of ids, whatever the order of `items`, and do not depend on the number of threads or on what
/// the store holds. A picture that cannot be read is recorded in [`EmbedRun::failures`], and the run goes on, even when
/// the embedder panics over it.
///
/// `store` is a folder, made where there is none ([`VectorStore`]). A picture whose bytes were described before by the
/// same embedder is not decoded again, under whatever name or id it comes, and vectors of other embedders are never mixed
/// with these. Each vector is in the store before its worker takes the next picture, so that a run that was killed takes
/// up where it was: at most one picture for each worker is described again. Records that are damaged are noticed by their
/// checksums, computed again and counted ([`EmbedRun::n_damaged`]).
///
/// Each of as many workers as rayon has threads takes one picture at a time. Memory: for each worker one picture, for each
/// item its vector and some 100 bytes. [`embed_to_store`](crate::embed_to_store) does without the vectors.
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
/// let store = folder.path().join("pictures.vectors");
/// let run = embed_all(&items, &descriptor, Some(&store), &Silent)?;
/// assert_eq!((run.n_computed, run.n_cached, run.failures.len()), (1, 0, 1));
/// let again = embed_all(&items, &descriptor, Some(&store), &Silent)?;
/// assert_eq!((again.n_computed, again.n_cached), (0, 1));
/// assert_eq!(again.embeddings, run.embeddings);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`CoreError::DuplicateSample`] for an id that comes twice, those of [`VectorStore::open`] and
/// [`EmbedError::Io`](crate::EmbedError::Io) when the store cannot be written,
/// [`EmbedError::Cancelled`](crate::EmbedError::Cancelled) when the caller asked for it (what was done is in the store;
/// it comes back as soon as the workers are done with the picture each has at hand).
pub fn embed_all<E: Embedder + ?Sized>(
    items: &[(SampleId, PathBuf)],
    embedder: &E,
    store: Option<&Path>,
    progress: &dyn Progress,
) -> Result<EmbedRun> {
    let items = sorted(items)?;
    if embedder.n_dims() == 0 {
        return Err(CoreError::NoColumns.into());
    }
    let mut store = store.map(|folder| VectorStore::open(folder, embedder)).transpose()?;
    let outcome = pipeline::run(&items, embedder, store.as_mut(), true, progress)?;
    finish(&items, outcome, store.as_ref(), ModelInfo::of(embedder))
}

/// Items in the order of ids.
pub(crate) fn sorted(items: &[Item]) -> Result<Vec<&Item>> {
    let mut items = items.iter().collect::<Vec<_>>();
    items.sort_by(|a, b| a.0.cmp(&b.0));
    if let Some(pair) = items.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(CoreError::DuplicateSample { id: pair[0].0.to_string() }.into());
    }
    Ok(items)
}

/// Rows that have a vector and files that have none.
pub(crate) struct Sorted {
    /// Item, hash of its bytes, row in the store.
    pub(crate) rows: Vec<(usize, [u8; 32], u64)>,
    pub(crate) failures: Vec<EmbedFailure>,
}

impl Sorted {
    pub(crate) fn new(items: &[&Item], slots: Vec<Slot>) -> Self {
        let (mut rows, mut failures) = (Vec::new(), Vec::new());
        for (item, slot) in slots.into_iter().enumerate() {
            match slot {
                Slot::Open => {}
                Slot::Done { content, record } => rows.push((item, content, record)),
                Slot::Failed { kind, reason } => {
                    let (id, path) = items[item].clone();
                    failures.push(EmbedFailure { id, path, kind, reason });
                }
            }
        }
        Self { rows, failures }
    }
}

fn finish(
    items: &[&Item],
    outcome: Outcome,
    store: Option<&VectorStore>,
    model: ModelInfo,
) -> Result<EmbedRun> {
    let Outcome { slots, vectors, n_computed } = outcome;
    let Sorted { rows, failures } = Sorted::new(items, slots);
    let mut vectors = vectors.unwrap_or_default();
    // Rows move up into the places of those that failed, so that the matrix is not there twice.
    for (to, (from, ..)) in rows.iter().enumerate() {
        if to < *from {
            let (mut upper, lower) = vectors.view_mut().split_at(Axis(0), *from);
            upper.row_mut(to).assign(&lower.row(0));
        }
    }
    vectors.slice_axis_inplace(Axis(0), Slice::from(..rows.len()));
    let ids = rows.iter().map(|(item, ..)| items[*item].0.clone()).collect();
    let n_cached = rows.len() - n_computed;
    Ok(EmbedRun {
        embeddings: Embeddings::new(ids, vectors)?,
        model,
        contents: rows.into_iter().map(|(_, content, _)| content).collect(),
        failures,
        n_computed,
        n_cached,
        n_damaged: store.map_or(0, VectorStore::n_damaged),
        cache: store.map_or(CacheState::Off, |store| store.state().clone()),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::time::Duration;

    use labelloop_core::{ImageSize, Seed, Silent};
    use labelloop_media::{RgbImage, save_jpeg, save_png};

    use super::*;
    use crate::{Descriptor, DescriptorParams, EmbedError, PointDescriptor};

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

    /// What a store holds for these pictures, by content.
    fn content(store: &Path, items: &[Item]) -> Vec<Option<Vec<f32>>> {
        let store = VectorStore::open(store, &small()).unwrap();
        assert_eq!((store.n_vectors(), store.n_damaged()), (items.len(), 0));
        let hash = |item: &Item| *blake3::hash(&std::fs::read(&item.1).unwrap()).as_bytes();
        items.iter().map(|item| store.get(&hash(item)).unwrap()).collect()
    }

    #[test]
    fn what_the_store_holds_does_not_depend_on_the_runs_that_filled_it() {
        let folder = tempfile::tempdir().unwrap();
        let items = pictures(folder.path(), 40);
        let [whole, parts] = ["whole", "parts"].map(|name| folder.path().join(name));
        embed_all(&items, &small(), Some(&whole), &Silent).unwrap();
        embed_all(&items[25..], &small(), Some(&parts), &Silent).unwrap();
        embed_all(&items[..30], &small(), Some(&parts), &Silent).unwrap();
        assert_eq!(content(&whole, &items), content(&parts, &items));
        assert!(content(&whole, &items).iter().all(Option::is_some));
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let folder = tempfile::tempdir().unwrap();
        let items = pictures(folder.path(), 50);
        let by_threads = [1, 2, 4, 7].map(|n| {
            let path = folder.path().join(format!("store{n}"));
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            let run = pool.install(|| embed_all(&items, &small(), Some(&path), &Silent)).unwrap();
            (run, content(&path, &items))
        });
        assert!(by_threads.iter().all(|run| *run == by_threads[0]));
    }

    #[test]
    fn a_damaged_store_is_mended_and_said_to_be() {
        let folder = tempfile::tempdir().unwrap();
        let items = pictures(folder.path(), 5);
        let path = folder.path().join("store");
        let run = embed_all(&items, &small(), Some(&path), &Silent).unwrap();
        let whole = content(&path, &items);
        let rows = VectorStore::open(&path, &small()).unwrap().rows_path().to_owned();
        let keys = rows.with_extension("keys");
        let bytes = std::fs::read(&keys).unwrap();
        let mut flipped = bytes.clone();
        flipped[200] ^= 1;
        for (damaged, n_lost) in [(flipped, 1), (bytes[..100].to_vec(), 5), (Vec::new(), 5)] {
            std::fs::write(&keys, damaged).unwrap();
            let again = embed_all(&items, &small(), Some(&path), &Silent).unwrap();
            assert!(matches!(again.cache, CacheState::Rebuilt { .. }) || 0 < again.n_damaged, "{again:?}");
            assert_eq!((again.n_computed, &again.embeddings), (n_lost, &run.embeddings));
            assert_eq!(embed_all(&items, &small(), Some(&path), &Silent).unwrap().n_cached, 5);
            assert_eq!(
                (0..5).map(|i| whole[i].clone()).collect::<Vec<_>>(),
                items.iter().map(|i| run.embeddings.row(&i.0).map(|r| r.to_vec())).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn a_cache_of_an_earlier_version_gives_way_and_another_file_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let items = pictures(folder.path(), 2);
        let path = folder.path().join("cache.bin");
        std::fs::write(&path, b"LLEMBED\n\x01\0\0\0").unwrap();
        let run = embed_all(&items, &small(), Some(&path), &Silent).unwrap();
        assert!(
            matches!(&run.cache, CacheState::Rebuilt { reason } if reason.contains("earlier")),
            "{run:?}"
        );
        let refused = embed_all(&items, &small(), Some(&items[0].1), &Silent).unwrap_err();
        assert!(matches!(&refused, EmbedError::NotAStore { path, .. } if *path == items[0].1), "{refused}");
        assert!(labelloop_media::load(&items[0].1).is_ok());
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

    /// Cancels once a number of pictures is done, and remembers that it was asked after that.
    struct StopAfter {
        n: u64,
        done: AtomicU64,
        was_heard: AtomicBool,
    }

    impl Progress for StopAfter {
        fn advance(&self, _: &str, done: u64, _: u64) {
            self.done.store(done, Ordering::Relaxed);
        }

        fn is_cancelled(&self) -> bool {
            let is_cancelled = self.n <= self.done.load(Ordering::Relaxed);
            self.was_heard.fetch_or(is_cancelled, Ordering::Relaxed);
            is_cancelled
        }
    }

    /// The small descriptor, which goes no further than 40 pictures before the wish to end was heard.
    struct Patient<'a>(&'a StopAfter, AtomicU64);

    impl Embedder for Patient<'_> {
        fn n_dims(&self) -> usize {
            small().n_dims()
        }

        fn digest_bytes(&self) -> [u8; 32] {
            small().digest_bytes()
        }

        fn embed_bytes(&self, bytes: &[u8], path: &Path) -> Result<Vec<f32>> {
            if 40 <= self.1.fetch_add(1, Ordering::Relaxed) {
                while !self.0.was_heard.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            small().embed_bytes(bytes, path)
        }
    }

    #[test]
    fn a_cancelled_run_takes_up_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let items = pictures(folder.path(), 100);
        let path = folder.path().join("cache");
        let stop = StopAfter { n: 32, done: AtomicU64::new(0), was_heard: AtomicBool::new(false) };
        let patient = Patient(&stop, AtomicU64::new(0));
        let refused = embed_all(&items, &patient, Some(&path), &stop).unwrap_err();
        let EmbedError::Cancelled(cancelled) = refused else { panic!("{refused}") };
        assert!(cancelled.total == 100 && 32 <= cancelled.done, "{cancelled}");
        let run = embed_all(&items, &small(), Some(&path), &Silent).unwrap();
        assert!(32 <= run.n_cached && run.n_computed == 100 - run.n_cached, "{run:?}");
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
        let heard = heard.0.into_inner().unwrap();
        assert_eq!((heard[0], heard[heard.len() - 1]), ((0, 40), (40, 40)));
        assert!(heard.windows(2).all(|pair| pair[0].0 < pair[1].0), "{heard:?}");
    }

    #[test]
    fn a_store_that_cannot_be_made_is_an_error_before_the_work() {
        let folder = tempfile::tempdir().unwrap();
        let items = pictures(folder.path(), 1);
        let below_a_file = items[0].1.join("store");
        let refused = embed_all(&items, &small(), Some(&below_a_file), &Silent).unwrap_err();
        assert!(matches!(refused, EmbedError::Io { .. }), "{refused}");
    }
}
