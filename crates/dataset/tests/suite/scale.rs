//! How long a commit and an open take. Run with `--release --ignored --nocapture`.

use std::time::Instant;

use crate::common::{a_box, labelled, schema, set_of};
use labelloop_dataset::{BoxPolicy, Dataset, DatasetDir, GROUND_TRUTH, Query, SplitParams, Status};

#[test]
#[ignore = "a measurement"]
fn commit_and_open_100k_samples_with_300k_boxes() {
    let folder = tempfile::tempdir().unwrap();
    let dir = DatasetDir::init(folder.path(), "demo", &schema()).unwrap();
    let boxes = |i: u32| (0..3).map(|j| a_box((i + j) % 2, [f64::from(i % 40), 1.5, 8.25, 9.0])).collect();
    let samples =
        (0..100_000u32).map(|i| labelled(&format!("drive-{:03}/frame-{i:06}", i / 500), boxes(i))).collect();
    let timed = |what: &str, start: Instant| println!("{what}: {:.2} s", start.elapsed().as_secs_f64());
    let mut d = Dataset::new("demo", schema());
    let start = Instant::now();
    d.import(&set_of(samples), GROUND_TRUTH, BoxPolicy::default()).unwrap();
    timed("import", start);
    let start = Instant::now();
    d.split(&SplitParams::default()).unwrap();
    timed("split", start);
    let start = Instant::now();
    dir.writer().unwrap().commit(&d, "all").unwrap();
    timed("commit", start);
    let start = Instant::now();
    let back = dir.read().unwrap();
    timed("open and read", start);
    let start = Instant::now();
    let n = back.select(&Query::status(Status::Unlabeled)).unwrap().len();
    timed("select by status", start);
    println!("{n} samples in the pool");
    assert_eq!(back, d);
}
