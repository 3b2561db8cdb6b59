//! A process that is killed a hundred times loses nothing that was finished.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on should say where")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use labelloop_core::{ImageSize, SampleId, Seed, Silent};
use labelloop_embed::{Embedder, Result, VectorStore, embed_all};
use labelloop_media::{DecodeLimits, RgbImage, decode_named, encode_png};

const FOLDER: &str = "LABELLOOP_TEST_KILL_FOLDER";
const N_PICTURES: usize = 2000;
const N_KILLS: usize = 110;
const N_WORKERS: usize = 2;
const N_DIMS: usize = 16;

/// Takes its time, and writes down every picture it begins with.
struct Slow {
    log: PathBuf,
    time: Duration,
}

impl Embedder for Slow {
    fn n_dims(&self) -> usize {
        N_DIMS
    }

    fn digest_bytes(&self) -> [u8; 32] {
        [5; 32]
    }

    fn embed_bytes(&self, bytes: &[u8], path: &Path) -> Result<Vec<f32>> {
        let mut log = fs::OpenOptions::new().append(true).create(true).open(&self.log).unwrap();
        log.write_all(b".").unwrap();
        std::thread::sleep(self.time);
        let picture = decode_named(bytes, DecodeLimits::default(), &path.display().to_string())?;
        Ok(picture.pixels()[..N_DIMS].iter().map(|v| f32::from(*v) / 7.0).collect())
    }
}

impl Slow {
    fn of(folder: &Path) -> Self {
        Self { log: folder.join("log"), time: Duration::from_millis(3) }
    }
}

fn items(folder: &Path) -> Vec<(SampleId, PathBuf)> {
    let item = |i| (SampleId::new(format!("{i:04}")).unwrap(), folder.join(format!("{i:04}.png")));
    (0..N_PICTURES).map(item).collect()
}

fn paint(folder: &Path) {
    for (i, (_, path)) in items(folder).into_iter().enumerate() {
        let bits = Seed::new(i as u64);
        let pixels = (0..3 * 8 * 6).map(|k| bits.bits(k).to_le_bytes()[0]).collect();
        let picture = RgbImage::new(ImageSize::new(8, 6).unwrap(), pixels).unwrap();
        fs::write(path, encode_png(&picture).unwrap()).unwrap();
    }
}

/// What the killed process does; a test that does nothing unless it is started by the other one.
#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let folder = PathBuf::from(folder);
    embed_all(&items(&folder), &Slow::of(&folder), Some(&folder.join("store")), &Silent).unwrap();
}

fn start(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child"])
        .env(FOLDER, folder)
        .env("RAYON_NUM_THREADS", N_WORKERS.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Contents that the store has whole vectors of.
fn finished(folder: &Path, contents: &[[u8; 32]]) -> BTreeSet<usize> {
    let store = VectorStore::open(&folder.join("store"), &Slow::of(folder)).unwrap();
    let found = (0..contents.len()).filter(|i| store.get(&contents[*i]).unwrap().is_some()).collect();
    assert_eq!(store.n_damaged(), 0, "a kill tears the last row at most");
    found
}

#[test]
fn killed_a_hundred_times_nothing_is_lost_and_little_is_done_twice() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    paint(folder);
    let contents: Vec<_> =
        items(folder).iter().map(|(_, path)| *blake3::hash(&fs::read(path).unwrap()).as_bytes()).collect();
    let delays = Seed::new(77);
    let (mut n_kills, mut before) = (0, BTreeSet::new());
    for i in 0.. {
        if n_kills == N_KILLS {
            break;
        }
        let mut child = start(folder);
        std::thread::sleep(Duration::from_micros(2_000 + delays.bits(i) % 45_000));
        let was_running = child.try_wait().unwrap().is_none();
        // SIGKILL: the process learns nothing of it.
        child.kill().unwrap();
        child.wait().unwrap();
        n_kills += usize::from(was_running);
        let now = finished(folder, &contents);
        assert!(now.is_superset(&before), "kill {i} lost {:?}", before.difference(&now));
        before = now;
    }
    let n_before = before.len();
    assert!(start(folder).wait().unwrap().success());

    let n_computed = fs::read(folder.join("log")).unwrap().len();
    assert!(N_PICTURES <= n_computed, "{n_computed} computed");
    assert!(n_computed <= N_PICTURES + N_WORKERS * N_KILLS, "{n_computed} computed with {N_KILLS} kills");
    let quick = Slow { log: folder.join("other log"), time: Duration::ZERO };
    let resumed = embed_all(&items(folder), &quick, Some(&folder.join("store")), &Silent).unwrap();
    let undisturbed = embed_all(&items(folder), &quick, None, &Silent).unwrap();
    assert_eq!((resumed.n_computed, resumed.n_cached, resumed.n_damaged), (0, N_PICTURES, 0));
    assert_eq!(resumed.embeddings, undisturbed.embeddings);
    eprintln!(
        "{n_kills} kills, {n_before} of {N_PICTURES} done by then, {} computed more than once",
        n_computed - N_PICTURES
    );
}
