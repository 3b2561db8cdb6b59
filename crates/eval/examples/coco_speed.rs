//! Time of COCO's protocol on tables of rows as large as COCO's validation set, without reading files.
//!
//! `cargo run --release -p labelloop-eval --example coco_speed -- [REPEATS] [DETECTIONS_PER_LABEL]`

#![allow(clippy::print_stdout, reason = "a program tells what it does")]

use std::time::Instant;

use labelloop_core::{BBox, ClassIdx, DetectionRow, LabelRow, Seed};
use labelloop_eval::coco::{CocoParams, Rows, evaluate_rows};

const N_IMAGES: usize = 5_000;
const N_CLASSES: usize = 80;
const N_LABELS: u64 = 36_781;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let n_repeats = numbers.next().transpose()?.unwrap_or(20);
    let n_each = numbers.next().transpose()?.unwrap_or(2);
    let (labels, detections) = tables(n_each)?;
    let rows = Rows { n_images: N_IMAGES, n_classes: N_CLASSES, labels: &labels, detections: &detections };
    let mut times = Vec::new();
    let mut stats = [0.0; 12];
    for _ in 0..n_repeats.max(1) {
        let start = Instant::now();
        stats = evaluate_rows(&rows, &CocoParams::default())?.stats;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    println!(
        "{} detections, AP {:.4}: {:.2} ms (median)",
        detections.len(),
        stats[0],
        times[times.len() / 2]
    );
    Ok(())
}

fn tables(n_each: u64) -> Result<(Vec<LabelRow>, Vec<DetectionRow>), labelloop_core::CoreError> {
    let draws = Seed::new(1).stream("speed");
    let uniform = |name: &str, i: u64| draws.stream(name).unit(i);
    let (mut labels, mut detections) = (Vec::new(), Vec::new());
    for i in 0..N_LABELS {
        let image = (uniform("image", i) * N_IMAGES as f64) as u32;
        // Frequencies fall as in real data: a third of all labels are of one class.
        let class = ClassIdx((uniform("class", i).powi(4) * N_CLASSES as f64) as u32);
        let side = 8.0 * 50f64.powf(uniform("side", i));
        let (x, y) = (uniform("x", i) * 500.0, uniform("y", i) * 400.0);
        let bbox = BBox::new(x, y, side, side * (0.5 + uniform("aspect", i)))?;
        labels.push(LabelRow::new(image, class, bbox));
        for j in i * n_each..(i + 1) * n_each {
            let off = side * (uniform("quality", j) - 0.3);
            let score = uniform("score", j);
            let found = BBox::new(x + off, y, side, bbox.height())?;
            detections.push(DetectionRow::new(image, class, found, score)?);
        }
    }
    Ok((labels, detections))
}
