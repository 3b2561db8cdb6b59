//! The workers: what they share, what they survive, and that none waits for another.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say where")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use labelloop_core::{Progress, SampleId, Silent};
use labelloop_embed::{
    CacheState, EmbedError, EmbedRun, Embedder, FailureKind, Result, VectorStore, embed_all, embed_to_store,
};

/// Long enough for a loaded machine; nothing should ever take it.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a test does with the words of a file; the vector is their length.
struct Words<F>(F, AtomicUsize);

impl<F: Fn(&str) -> Option<f32> + Sync> Embedder for Words<F> {
    fn n_dims(&self) -> usize {
        2
    }

    fn digest_bytes(&self) -> [u8; 32] {
        [8; 32]
    }

    fn embed_bytes(&self, bytes: &[u8], path: &Path) -> Result<Vec<f32>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        let words = String::from_utf8_lossy(bytes);
        match (self.0)(&words) {
            Some(number) => Ok(vec![words.len() as f32, number]),
            None => Err(EmbedError::NotAStore { path: path.to_owned(), reason: "refused".to_owned() }),
        }
    }

    fn reading_of(&self, path: &Path) -> String {
        path.extension().filter(|e| *e != "txt").map(|e| e.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

fn words<F: Fn(&str) -> Option<f32> + Sync>(work: F) -> Words<F> {
    Words(work, AtomicUsize::new(0))
}

/// Files of these words, named by number.
fn files(folder: &Path, contents: &[&str]) -> Vec<(SampleId, PathBuf)> {
    let item = |(i, words): (usize, &&str)| {
        let path = folder.join(format!("{i:03}.txt"));
        std::fs::write(&path, words).unwrap();
        (SampleId::new(format!("{i:03}")).unwrap(), path)
    };
    contents.iter().enumerate().map(item).collect()
}

fn on<T: Send>(n_threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap().install(work)
}

fn reasons(run: &EmbedRun) -> Vec<(&str, FailureKind)> {
    run.failures.iter().map(|f| (f.reason.as_str(), f.kind)).collect()
}

#[test]
fn a_panic_is_the_failure_of_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let items = files(folder.path(), &["a", "bad", "c", "worse"]);
    let embedder = words(|words| match words {
        "bad" => panic!("too bad"),
        "worse" => std::panic::panic_any(7),
        _ => Some(0.0),
    });
    let run = embed_all(&items, &embedder, Some(&folder.path().join("store")), &Silent).unwrap();
    assert_eq!((run.embeddings.n_samples(), run.failures.len()), (2, 2));
    assert!(reasons(&run)[0].0.ends_with("001.txt: the embedder panicked: too bad"), "{run:?}");
    assert!(reasons(&run)[1].0.ends_with("panicked: without a message"), "{run:?}");
    assert!(run.failures.iter().all(|f| f.kind == FailureKind::Panicked));
}

#[test]
fn vectors_that_no_one_could_use_are_failures() {
    struct Odd;
    impl Embedder for Odd {
        fn n_dims(&self) -> usize {
            2
        }
        fn digest_bytes(&self) -> [u8; 32] {
            [1; 32]
        }
        fn embed_bytes(&self, bytes: &[u8], _: &Path) -> Result<Vec<f32>> {
            Ok(if bytes == b"short" { vec![1.0] } else { vec![1.0, f32::NAN] })
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let run = embed_all(&files(folder.path(), &["short", "nan"]), &Odd, None, &Silent).unwrap();
    assert!(reasons(&run)[0].0.ends_with("a vector of 1 numbers: expected 2"), "{run:?}");
    assert!(
        reasons(&run)[1].0.ends_with("number 1 of the vector is NaN: expected a finite number"),
        "{run:?}"
    );
    assert!(run.failures.iter().all(|f| f.kind == FailureKind::BadVector));
}

#[test]
fn files_without_bytes_and_things_that_are_no_files_have_reasons() {
    let folder = tempfile::tempdir().unwrap();
    let mut items = files(folder.path(), &["", "good"]);
    let huge = folder.path().join("huge");
    std::fs::File::create(&huge).unwrap().set_len(3 << 30).unwrap();
    for (id, path) in [("folder", folder.path()), ("gone", Path::new("no such file")), ("huge", &huge)] {
        items.push((SampleId::new(id).unwrap(), path.to_owned()));
    }
    #[cfg(unix)]
    items.push((SampleId::new("zero").unwrap(), PathBuf::from("/dev/zero")));
    let embedder = words(|words| (!words.is_empty()).then_some(0.0));
    let run = embed_all(&items, &embedder, None, &Silent).unwrap();
    assert_eq!(run.embeddings.n_samples(), 1);
    let kinds: Vec<_> = run.failures.iter().map(|f| f.kind).collect();
    let expected = [
        FailureKind::Empty,
        FailureKind::NotAFile,
        FailureKind::Unreadable,
        FailureKind::TooLarge,
        FailureKind::NotAFile,
    ];
    assert_eq!(kinds, expected[..kinds.len()]);
}

#[test]
fn no_file_waits_for_a_slow_one() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> =
        (0..200).map(|i| if i == 0 { "slow".to_owned() } else { i.to_string() }).collect();
    let items = files(folder.path(), &names.iter().map(String::as_str).collect::<Vec<_>>());
    let (n_done, changed) = (Mutex::new(0), Condvar::new());
    let embedder = words(|words| {
        let mut n = n_done.lock().unwrap();
        if words == "slow" {
            // Were there a barrier anywhere before the end, this would never come true.
            let (n, waited) = changed.wait_timeout_while(n, PATIENCE, |n| *n < 199).unwrap();
            assert!(!waited.timed_out(), "{n} others were done");
        } else {
            *n += 1;
            changed.notify_all();
        }
        Some(0.0)
    });
    let run = on(2, || embed_all(&items, &embedder, None, &Silent)).unwrap();
    assert_eq!((run.embeddings.n_samples(), reasons(&run).len()), (200, 0));
}

#[test]
fn the_same_bytes_under_way_are_made_once_and_hold_no_core() {
    let folder = tempfile::tempdir().unwrap();
    let items = files(folder.path(), &["same", "same", "same", "same", "other"]);
    let (is_other_done, changed) = (Mutex::new(false), Condvar::new());
    let embedder = words(|words| {
        let mut is_done = is_other_done.lock().unwrap();
        if words == "same" {
            // The other worker passes its copies by and comes to the last file.
            let (_done, waited) = changed.wait_timeout_while(is_done, PATIENCE, |done| !*done).unwrap();
            assert!(!waited.timed_out());
        } else {
            *is_done = true;
            changed.notify_all();
        }
        Some(1.5)
    });
    for store in [None, Some(folder.path().join("store"))] {
        *is_other_done.lock().unwrap() = false;
        embedder.1.store(0, Ordering::Relaxed);
        let run = on(2, || embed_all(&items, &embedder, store.as_deref(), &Silent)).unwrap();
        assert_eq!((run.n_computed, run.n_cached, embedder.1.load(Ordering::Relaxed)), (2, 3, 2));
        assert!(run.embeddings.vectors().rows().into_iter().take(4).all(|row| row.to_vec() == [4.0, 1.5]));
        assert!(run.contents[..4].iter().all(|content| *content == *blake3::hash(b"same").as_bytes()));
    }
}

#[test]
fn copies_of_a_file_that_fails_fail_under_their_own_names() {
    let folder = tempfile::tempdir().unwrap();
    let items = files(folder.path(), &["bad", "bad", "bad", "good"]);
    let embedder = words(|words| (words == "good").then_some(0.0));
    for n_threads in [1, 3] {
        let run = on(n_threads, || embed_all(&items, &embedder, None, &Silent)).unwrap();
        for (i, failure) in run.failures.iter().enumerate() {
            assert!(failure.reason.ends_with(&format!("{i:03}.txt: refused")), "{failure:?}");
        }
        assert_eq!(run.failures.len(), 3);
    }
}

#[test]
fn the_same_bytes_read_in_two_ways_are_two_contents() {
    let folder = tempfile::tempdir().unwrap();
    let mut items = files(folder.path(), &["same"]);
    let other = folder.path().join("same.bin");
    std::fs::copy(&items[0].1, &other).unwrap();
    items.push((SampleId::new("z").unwrap(), other));
    let run = embed_all(&items, &words(|_| Some(0.0)), Some(&folder.path().join("s")), &Silent).unwrap();
    assert_eq!((run.n_computed, run.contents[0]), (2, run.contents[1]));
}

#[test]
fn any_number_of_threads_and_any_order_give_the_same_run() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..120).map(|i| format!("{}", i % 70)).collect();
    let mut items = files(folder.path(), &names.iter().map(String::as_str).collect::<Vec<_>>());
    let embedder = words(|words| (!words.ends_with('7')).then(|| words.parse().unwrap()));
    let expected = on(1, || embed_all(&items, &embedder, None, &Silent)).unwrap();
    assert_eq!(
        (expected.n_computed, expected.embeddings.n_samples(), expected.failures.len()),
        (63, 108, 12)
    );
    for n_threads in [1, 2, 7] {
        items.reverse();
        let store = folder.path().join(format!("store{n_threads}"));
        let run = on(n_threads, || embed_all(&items, &embedder, Some(&store), &Silent)).unwrap();
        assert_eq!((&run.embeddings, &run.contents), (&expected.embeddings, &expected.contents));
        assert_eq!((&run.failures, run.n_computed), (&expected.failures, expected.n_computed));
        let stored = on(n_threads, || embed_to_store(&items, &embedder, &store, &Silent)).unwrap();
        assert_eq!((stored.n_computed, stored.n_cached, stored.n_damaged()), (0, 108, 0));
        assert_eq!(stored.rows(0..stored.n_rows()).unwrap(), expected.embeddings.vectors());
        assert_eq!(stored.rows(100..999).unwrap().nrows(), 8);
        assert_eq!(stored.ids, expected.embeddings.ids());
    }
}

#[test]
fn a_store_in_use_is_a_conflict_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let (items, store) = (files(folder.path(), &["a"]), folder.path().join("store"));
    let embedder = words(|_| Some(0.0));
    let first = VectorStore::open(&store, &embedder).unwrap();
    let refused = embed_all(&items, &embedder, Some(&store), &Silent).unwrap_err();
    assert!(matches!(refused, EmbedError::Conflict { .. }), "{refused}");
    assert_eq!(embedder.1.load(Ordering::Relaxed), 0);
    drop(first);
    embed_all(&items, &embedder, Some(&store), &Silent).unwrap();
}

#[test]
fn a_row_that_rots_in_the_store_is_made_again_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (items, store) = (files(folder.path(), &["a", "bb", "ccc"]), folder.path().join("store"));
    let embedder = words(|_| Some(0.5));
    let first = embed_all(&items, &embedder, Some(&store), &Silent).unwrap();
    let rows = VectorStore::open(&store, &embedder).unwrap().rows_path().to_owned();
    let mut bytes = std::fs::read(&rows).unwrap();
    bytes[9] ^= 4;
    std::fs::write(&rows, bytes).unwrap();
    let again = embed_all(&items, &embedder, Some(&store), &Silent).unwrap();
    assert_eq!((again.n_computed, again.n_cached, again.n_damaged), (1, 2, 1));
    assert_eq!(again.embeddings, first.embeddings);
    let healed = embed_all(&items, &embedder, Some(&store), &Silent).unwrap();
    assert_eq!(
        (healed.n_computed, healed.n_damaged, healed.cache),
        (0, 0, CacheState::Read { n_entries: 3 })
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_run_with_the_error_of_the_system() {
    let folder = tempfile::tempdir().unwrap();
    let items = files(folder.path(), &["a", "b", "c"]);
    let store = folder.path().join("store");
    std::fs::create_dir(&store).unwrap();
    std::os::unix::fs::symlink("/dev/full", store.join(format!("{}.f32", "08".repeat(8)))).unwrap();
    let refused = embed_all(&items, &words(|_| Some(0.0)), Some(&store), &Silent).unwrap_err();
    let EmbedError::Io { source, .. } = &refused else { panic!("{refused}") };
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
}

/// Wants to end once it heard of a file.
struct StopEarly(AtomicUsize);

impl Progress for StopEarly {
    fn advance(&self, _: &str, done: u64, _: u64) {
        self.0.store(done as usize, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        0 < self.0.load(Ordering::Relaxed)
    }
}

#[test]
fn a_wish_to_end_is_heard_soon_and_what_was_done_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..500).map(|i| i.to_string()).collect();
    let items = files(folder.path(), &names.iter().map(String::as_str).collect::<Vec<_>>());
    let embedder = words(|_| {
        std::thread::sleep(Duration::from_millis(20));
        Some(0.0)
    });
    let store = folder.path().join("store");
    let start = Instant::now();
    let stopped = on(2, || embed_all(&items, &embedder, Some(&store), &StopEarly(AtomicUsize::new(0))));
    let EmbedError::Cancelled(cancelled) = stopped.unwrap_err() else { panic!("expected to be cancelled") };
    assert!(start.elapsed() < Duration::from_secs(2), "all of it would take 5 s: {:?}", start.elapsed());
    let n_started = embedder.1.load(Ordering::Relaxed);
    assert!(
        1 <= cancelled.done && cancelled.total == 500 && n_started < 100,
        "{cancelled}, {n_started} started"
    );
    assert_eq!(
        VectorStore::open(&store, &embedder).unwrap().n_vectors(),
        n_started,
        "nothing started is lost"
    );
}

#[test]
fn a_progress_that_panics_ends_the_workers() {
    struct Bad;
    impl Progress for Bad {
        fn advance(&self, _: &str, done: u64, _: u64) {
            assert!(done == 0, "bad progress");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..500).map(|i| i.to_string()).collect();
    let items = files(folder.path(), &names.iter().map(String::as_str).collect::<Vec<_>>());
    let embedder = words(|_| {
        std::thread::sleep(Duration::from_millis(5));
        Some(0.0)
    });
    let run = || {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| embed_all(&items, &embedder, None, &Bad)))
    };
    assert!(on(2, run).is_err());
    assert!(embedder.1.load(Ordering::Relaxed) < 400);
}
