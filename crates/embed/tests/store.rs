//! The store against torn files, flipped bits, full disks and a plain map.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say where")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use labelloop_embed::{CacheState, EmbedError, Embedder, VectorStore};
use proptest::prelude::*;

/// Never embeds; says whose vectors they are.
struct Named(u8, usize);

impl Embedder for Named {
    fn n_dims(&self) -> usize {
        self.1
    }

    fn digest_bytes(&self) -> [u8; 32] {
        [self.0; 32]
    }

    fn embed_bytes(&self, _: &[u8], _: &Path) -> labelloop_embed::Result<Vec<f32>> {
        Ok(vec![0.0; self.1])
    }

    fn description(&self) -> String {
        format!("named {}", self.0)
    }
}

const MODEL: Named = Named(3, 3);
const N: u8 = 6;

fn vector(i: u8) -> Vec<f32> {
    vec![f32::from(i), -0.0, 1.0 / (f32::from(i) + 1.0)]
}

/// A store of `N` vectors; its files of keys and rows.
fn filled(folder: &Path) -> (PathBuf, PathBuf) {
    let mut store = VectorStore::open(folder, &MODEL).unwrap();
    (0..N).for_each(|i| store.insert(&[i; 32], &vector(i)).unwrap());
    store.sync().unwrap();
    (store.rows_path().with_extension("keys"), store.rows_path().to_owned())
}

/// Overwrites a file in its place: `fs::write` empties it first, which some file systems take ten milliseconds for.
fn put(path: &Path, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    std::io::Write::write_all(&mut file, bytes).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
}

fn bits(vector: Option<Vec<f32>>) -> Option<Vec<u32>> {
    vector.map(|v| v.into_iter().map(f32::to_bits).collect())
}

/// Every vector is the one inserted or none; says which are there.
fn present(store: &VectorStore) -> Vec<u8> {
    let is_there = |i: &u8| match bits(store.get(&[*i; 32]).unwrap()) {
        None => false,
        found => {
            assert_eq!(found, bits(Some(vector(*i))));
            true
        }
    };
    (0..N).filter(is_there).collect()
}

#[test]
fn a_store_of_a_file_opens_again_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let store = VectorStore::open(folder.path(), &MODEL).unwrap();
    assert_eq!(*store.state(), CacheState::Read { n_entries: 6 });
    assert_eq!(present(&store), [0, 1, 2, 3, 4, 5]);
    assert_eq!((store.n_vectors(), store.n_damaged()), (6, 0));
}

#[test]
fn the_rows_are_plain_numbers_and_the_description_is_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    let (_, rows) = filled(folder.path());
    let expected: Vec<u8> = (0..N).flat_map(vector).flat_map(f32::to_le_bytes).collect();
    assert_eq!(fs::read(&rows).unwrap(), expected);
    let about: serde_json::Value =
        serde_json::from_slice(&fs::read(rows.with_extension("json")).unwrap()).unwrap();
    assert_eq!((about["n_dims"].as_u64(), about["description"].as_str()), (Some(3), Some("named 3")));
    assert_eq!(about["digest"].as_str().unwrap(), "03".repeat(32));
}

#[test]
fn keys_cut_at_every_byte_lose_the_rows_cut_off_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let (keys, rows) = filled(folder.path());
    let whole = [fs::read(&keys).unwrap(), fs::read(&rows).unwrap()];
    for cut in 0..whole[0].len() {
        fs::write(&keys, &whole[0][..cut]).unwrap();
        fs::write(&rows, &whole[1]).unwrap();
        let mut store = VectorStore::open(folder.path(), &MODEL).unwrap();
        let n_left = (cut.saturating_sub(64) / 64) as u8;
        assert_eq!(present(&store), (0..n_left).collect::<Vec<_>>(), "cut at {cut}");
        // More rows than one are without a key: no kill does that, so that it is told.
        let is_told = 0 < store.n_damaged() || matches!(store.state(), CacheState::Rebuilt { .. });
        assert_eq!(is_told, n_left + 1 < N, "cut at {cut}");
        (n_left..N).for_each(|i| store.insert(&[i; 32], &vector(i)).unwrap());
        drop(store);
        assert_eq!(present(&VectorStore::open(folder.path(), &MODEL).unwrap()).len(), 6, "cut at {cut}");
        assert_eq!([fs::read(&keys).unwrap(), fs::read(&rows).unwrap()], whole, "cut at {cut}");
    }
}

#[test]
fn rows_cut_at_every_byte_lose_the_rows_cut_off_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let (keys, rows) = filled(folder.path());
    let whole = [fs::read(&keys).unwrap(), fs::read(&rows).unwrap()];
    for cut in 0..whole[1].len() {
        fs::write(&keys, &whole[0]).unwrap();
        fs::write(&rows, &whole[1][..cut]).unwrap();
        let mut store = VectorStore::open(folder.path(), &MODEL).unwrap();
        let n_left = (cut / 12) as u8;
        assert_eq!(present(&store), (0..n_left).collect::<Vec<_>>(), "cut at {cut}");
        assert_eq!(store.n_damaged(), usize::from(N - n_left), "cut at {cut}");
        (n_left..N).for_each(|i| store.insert(&[i; 32], &vector(i)).unwrap());
        drop(store);
        assert_eq!([fs::read(&keys).unwrap(), fs::read(&rows).unwrap()], whole, "cut at {cut}");
    }
}

#[test]
fn any_flipped_bit_is_noticed_and_costs_one_row_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let (keys, rows) = filled(folder.path());
    for file in [&keys, &rows] {
        let both = [fs::read(&keys).unwrap(), fs::read(&rows).unwrap()];
        for bit in 0..fs::metadata(file).unwrap().len() as usize * 8 {
            let mut flipped = fs::read(file).unwrap();
            flipped[bit / 8] ^= 1 << (bit % 8);
            put(file, &flipped);
            let store = VectorStore::open(folder.path(), &MODEL).unwrap();
            let left = present(&store);
            let is_header = file == &keys && bit < 64 * 8;
            assert_eq!(left.len(), if is_header { 6 } else { 5 }, "{} bit {bit}", file.display());
            // A row is checked when it is asked for, keys and the header when the store is opened.
            let is_told = usize::from(file == &keys);
            assert_eq!(store.n_damaged(), is_told, "{} bit {bit}", file.display());
            drop(store);
            put(&keys, &both[0]);
            put(&rows, &both[1]);
        }
    }
}

#[test]
fn the_rows_of_another_model_are_never_taken_even_under_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (keys, rows) = filled(folder.path());
    let other = Named(4, 3);
    let mut store = VectorStore::open(folder.path(), &other).unwrap();
    assert_eq!((store.n_vectors(), store.state()), (0, &CacheState::Read { n_entries: 6 }));
    store.insert(&[0; 32], &[9.0, 9.0, 9.0]).unwrap();
    let to = store.rows_path().to_owned();
    drop(store);
    for (from, ending) in [(&keys, "keys"), (&rows, "f32")] {
        fs::copy(from, to.with_extension(ending)).unwrap();
    }
    let store = VectorStore::open(folder.path(), &other).unwrap();
    assert!(matches!(store.state(), CacheState::Rebuilt { reason } if reason.contains("another")));
    assert_eq!(store.n_vectors(), 0);
    assert_eq!(present(&VectorStore::open(folder.path(), &MODEL).unwrap()).len(), 6);
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let first = VectorStore::open(folder.path(), &MODEL).unwrap();
    let refused = VectorStore::open(folder.path(), &MODEL).unwrap_err();
    assert!(matches!(&refused, EmbedError::Conflict { path } if path == first.rows_path()), "{refused}");
    // Another model has files of its own.
    VectorStore::open(folder.path(), &Named(4, 3)).unwrap();
    drop(first);
    VectorStore::open(folder.path(), &MODEL).unwrap();
}

#[test]
fn a_store_of_a_later_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (keys, _) = filled(folder.path());
    let mut bytes = fs::read(&keys).unwrap();
    bytes[8] = 2;
    let mut hasher = blake3::Hasher::new_keyed(&[3; 32]);
    let checksum = hasher.update(&bytes[..48]).finalize();
    bytes[48..64].copy_from_slice(&checksum.as_bytes()[..16]);
    fs::write(&keys, &bytes).unwrap();
    let refused = VectorStore::open(folder.path(), &MODEL).unwrap_err();
    assert!(matches!(refused, EmbedError::StoreVersion { found: 2, expected: 1, .. }), "{refused}");
    assert_eq!(fs::read(&keys).unwrap(), bytes);
}

#[test]
fn vectors_of_another_length_and_models_without_one_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = VectorStore::open(folder.path(), &MODEL).unwrap();
    let refused = store.insert(&[0; 32], &[1.0]).unwrap_err();
    assert!(matches!(refused, EmbedError::VectorLength { found: 1, expected: 3 }), "{refused}");
    assert_eq!(store.n_vectors(), 0);
    assert!(VectorStore::open(folder.path(), &Named(1, 0)).is_err());
}

#[test]
fn the_last_vector_of_a_key_counts() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = VectorStore::open(folder.path(), &MODEL).unwrap();
    store.insert(&[0; 32], &vector(1)).unwrap();
    store.insert(&[0; 32], &vector(2)).unwrap();
    assert_eq!((store.get(&[0; 32]).unwrap(), store.n_vectors()), (Some(vector(2)), 1));
    drop(store);
    let store = VectorStore::open(folder.path(), &MODEL).unwrap();
    assert_eq!(store.get(&[0; 32]).unwrap(), Some(vector(2)));
}

/// A device on which every write finds the disk full.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_of_its_kind_and_loses_nothing() {
    for ending in ["f32", "keys"] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(format!("{}.{ending}", "03".repeat(8)));
        std::os::unix::fs::symlink("/dev/full", &file).unwrap();
        let opened = VectorStore::open(folder.path(), &MODEL);
        let refused = opened.and_then(|mut store| store.insert(&[0; 32], &vector(0))).unwrap_err();
        let EmbedError::Io { source, .. } = &refused else { panic!("{refused}") };
        assert_eq!(source.kind(), std::io::ErrorKind::StorageFull, "{refused}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Insert(u8, f32),
    Reopen,
    /// Loses bytes at the end of the keys, as a kill does.
    Tear(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..12u8, -1e9..1e9f32).prop_map(|(key, value)| Step::Insert(key, value)),
        1 => Just(Step::Reopen),
        1 => (1..63u8).prop_map(Step::Tear),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_a_map_that_outlives_its_process(steps in proptest::collection::vec(step(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = VectorStore::open(folder.path(), &MODEL).unwrap();
        let keys = store.rows_path().with_extension("keys");
        // All insertions in order; the map is what the last of each key says.
        let mut inserted: Vec<(u8, f32)> = Vec::new();
        for step in steps {
            match step {
                Step::Insert(key, value) => {
                    store.insert(&[key; 32], &[value, 0.0, f32::from(key)]).unwrap();
                    inserted.push((key, value));
                }
                Step::Reopen => {
                    drop(store);
                    store = VectorStore::open(folder.path(), &MODEL).unwrap();
                }
                Step::Tear(n) => {
                    drop(store);
                    let n_bytes = fs::metadata(&keys).unwrap().len();
                    if 64 < n_bytes {
                        let file = fs::OpenOptions::new().write(true).open(&keys).unwrap();
                        file.set_len(n_bytes - u64::from(n)).unwrap();
                        inserted.pop();
                    }
                    store = VectorStore::open(folder.path(), &MODEL).unwrap();
                }
            }
            let oracle: BTreeMap<u8, f32> = inserted.iter().copied().collect();
            prop_assert_eq!(store.n_vectors(), oracle.len());
            for key in 0..12 {
                let expected = oracle.get(&key).map(|value| vec![*value, 0.0, f32::from(key)]);
                prop_assert_eq!(store.get(&[key; 32]).unwrap(), expected);
            }
        }
    }

    #[test]
    fn any_bytes_are_opened_without_a_panic(
        keys in proptest::collection::vec(any::<u8>(), 0..400),
        rows in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("03".repeat(8));
        fs::write(path.with_extension("keys"), keys).unwrap();
        fs::write(path.with_extension("f32"), rows).unwrap();
        let mut store = VectorStore::open(folder.path(), &MODEL).unwrap();
        prop_assert_eq!(store.n_vectors(), 0);
        store.insert(&[1; 32], &vector(1)).unwrap();
        prop_assert_eq!(store.get(&[1; 32]).unwrap(), Some(vector(1)));
    }
}
