//! Memory does not grow with the number of pictures, but for their vectors.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on should say where")]
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use labelloop_core::{ImageSize, SampleId, Seed, Silent};
use labelloop_embed::{Descriptor, DescriptorParams, embed_all, embed_to_store};
use labelloop_media::{RgbImage, encode_png};

const FOLDER: &str = "LABELLOOP_TEST_MEMORY_FOLDER";
const COUNT: &str = "LABELLOOP_TEST_MEMORY_COUNT";
const MODE: &str = "LABELLOOP_TEST_MEMORY_MODE";
const N_MANY: usize = 10_000;

fn descriptor() -> Descriptor {
    DescriptorParams { side: 16, levels: 1, ..Default::default() }.check().unwrap()
}

fn items(folder: &Path, n: usize) -> Vec<(SampleId, PathBuf)> {
    let item = |i| (SampleId::new(format!("{i:05}")).unwrap(), folder.join(format!("{i:05}.png")));
    (0..n).map(item).collect()
}

/// Noise of 9 kB each, so that any picture that is kept shows.
fn paint(folder: &Path) {
    for (i, (_, path)) in items(folder, N_MANY).into_iter().enumerate() {
        let bits = Seed::new(i as u64);
        let pixels = (0..3 * 64 * 48 / 8).flat_map(|k| bits.bits(k).to_le_bytes()).collect();
        let picture = RgbImage::new(ImageSize::new(64, 48).unwrap(), pixels).unwrap();
        fs::write(path, encode_png(&picture).unwrap()).unwrap();
    }
}

/// What is measured, in a process of its own; does nothing unless it is started by the other test.
#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let (folder, n) = (PathBuf::from(folder), std::env::var(COUNT).unwrap().parse().unwrap());
    let mode = std::env::var(MODE).unwrap();
    let store = folder.join(format!("{mode}{n}.vectors"));
    let n_rows = match mode.as_str() {
        "all" => embed_all(&items(&folder, n), &descriptor(), None, &Silent).unwrap().embeddings.n_samples(),
        _ => embed_to_store(&items(&folder, n), &descriptor(), &store, &Silent).unwrap().n_rows(),
    };
    assert_eq!(n_rows, n);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    fs::write(folder.join("peak"), peak.trim().trim_end_matches(" kB")).unwrap();
}

/// Peak memory of a run, in kB.
fn peak(folder: &Path, mode: &str, n: usize) -> usize {
    let ran = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child"])
        .env(FOLDER, folder)
        .env(COUNT, n.to_string())
        .env(MODE, mode)
        .env("RAYON_NUM_THREADS", "2")
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
    fs::read_to_string(folder.join("peak")).unwrap().parse().unwrap()
}

#[test]
fn ten_thousand_pictures_take_little_more_memory_than_one_thousand() {
    let folder = tempfile::tempdir().unwrap();
    paint(folder.path());
    let n_vector_kb = descriptor().n_dims() * 4 * (N_MANY - 1000) / 1024;
    for (mode, n_expected_kb) in [("store", 0), ("all", n_vector_kb)] {
        let (few, many) = (peak(folder.path(), mode, 1000), peak(folder.path(), mode, N_MANY));
        eprintln!("{mode}: peak of {few} kB for 1000 pictures, {many} kB for {N_MANY}");
        // The names, paths and records of 9,000 more, where their files have 83 MB.
        let n_allowed_kb = n_expected_kb + 600 * (N_MANY - 1000) / 1024;
        assert!(
            many < few + n_allowed_kb,
            "{mode}: {few} kB, then {many} kB; allowed {n_allowed_kb} kB more"
        );
    }
}
