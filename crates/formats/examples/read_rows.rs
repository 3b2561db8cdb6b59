//! Times the reading of labels and detections as rows, beside serde_json reading the same fields into borrowing types.
//!
//! ```text
//! cargo run --release -p labelloop-formats --example read_rows -- instances.json results.json [repetitions [part of a name]]
//! ```
#![allow(clippy::print_stdout)]

use std::borrow::Cow;
use std::path::Path;
use std::time::Instant;

use labelloop_formats::{Strictness, coco};
use serde::Deserialize;

#[derive(Deserialize)]
#[allow(dead_code)]
struct Truth<'a> {
    #[serde(borrow)]
    images: Vec<Picture<'a>>,
    #[serde(borrow)]
    categories: Vec<Class<'a>>,
    annotations: Vec<Label>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Picture<'a> {
    id: i64,
    #[serde(borrow)]
    file_name: Cow<'a, str>,
    width: u32,
    height: u32,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Class<'a> {
    id: i64,
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Label {
    id: i64,
    image_id: i64,
    category_id: i64,
    bbox: [f64; 4],
    area: f64,
    iscrowd: u8,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Detection {
    image_id: i64,
    category_id: i64,
    bbox: [f64; 4],
    score: f64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [truth, found, rest @ ..] = args.as_slice() else {
        return Err("expected an instances file and a results file".into());
    };
    let n_reps: usize = rest.first().map_or(Ok(15), |text| text.parse())?;
    let only = rest.get(1).map_or("", String::as_str);
    let timed = Timed { n_reps, only };
    let (truth, found) = (Path::new(truth), Path::new(found));
    let rows = coco::read_rows(truth, Strictness::Strict)?;
    let (detections, _) = coco::read_detection_rows(found, &rows, Strictness::Strict)?;
    println!(
        "{} pictures, {} labels, {} detections",
        rows.image_ids.len(),
        rows.labels.len(),
        detections.len()
    );
    let (gt, dt) = (std::fs::read(truth)?, std::fs::read(found)?);
    let strict = Strictness::Strict;
    for _ in 0..2 {
        timed.run("labels, rows, file", gt.len(), || coco::read_rows(truth, strict))?;
        timed.run("labels, rows, memory", gt.len(), || coco::rows_from_slice(truth, &gt, strict))?;
        timed.run("labels, serde_json", gt.len(), || serde_json::from_slice::<Truth<'_>>(&gt))?;
        timed.run("detections, rows, file", dt.len(), || coco::read_detection_rows(found, &rows, strict))?;
        timed.run("detections, rows, memory", dt.len(), || {
            coco::detection_rows_from_slice(found, &dt, &rows, strict)
        })?;
        timed.run("detections, serde_json", dt.len(), || serde_json::from_slice::<Vec<Detection>>(&dt))?;
    }
    Ok(())
}

struct Timed<'a> {
    n_reps: usize,
    /// What the names of those to time hold.
    only: &'a str,
}

impl Timed<'_> {
    /// Prints the least and the median time, and bytes by the least.
    fn run<T, E>(&self, what: &str, n_bytes: usize, mut read: impl FnMut() -> Result<T, E>) -> Result<(), E> {
        if !what.contains(self.only) {
            return Ok(());
        }
        let mut times = Vec::with_capacity(self.n_reps);
        for _ in 0..self.n_reps {
            let start = Instant::now();
            let read = read()?;
            times.push(start.elapsed().as_secs_f64());
            drop(read);
        }
        times.sort_unstable_by(f64::total_cmp);
        let (least, median) = (times[0], times[self.n_reps / 2]);
        let speed = n_bytes as f64 / least / 1e6;
        println!("{what:26} min {:7.2} ms  median {:7.2} ms  {speed:6.0} MB/s", least * 1e3, median * 1e3);
        Ok(())
    }
}
