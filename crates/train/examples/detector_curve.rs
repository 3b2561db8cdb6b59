//! Prints how well the built-in detector does after learning from few pictures of a COCO folder.
//!
//! `cargo run --release -p labelloop-train --example detector_curve -- COCO.json IMAGES_DIR [SEEDS]`
//!
//! About 30% of the groups (field `group` of an image, or the image itself) are held out; training pictures are drawn
//! at random from the rest. Printed: mAP at IoU 0.5 by COCO's 101-point rule, mean over seeds.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use labelloop_core::{BBox, ClassIdx, LabelledBox, SampleId, ScoredBox, Seed};
use labelloop_media::{RgbImage, load};
use labelloop_train::{GridDetector, GridLearner, GridParams};
use serde_json::Value;

type Failure = Box<dyn std::error::Error>;
type Sample = (SampleId, RgbImage, Vec<LabelledBox>, String);

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [json, images, rest @ ..] = args.as_slice() else {
        return Err("usage: detector_curve COCO.json IMAGES_DIR [SEEDS]".into());
    };
    let n_seeds: u64 = rest.first().map_or(Ok(3), |s| s.parse())?;
    let (samples, n_classes) = read(Path::new(json), Path::new(images))?;
    println!("{} images, {n_classes} classes", samples.len());
    for count in [20, 50, 60, 100] {
        let mut scores = Vec::new();
        for seed in 0..n_seeds {
            let (train, val) = split(&samples, count, Seed::new(seed));
            let start = Instant::now();
            let mut learner = GridLearner::new(&GridParams::default().check()?, n_classes);
            for s in &train {
                learner.add(&s.0, &s.1, &s.2)?;
            }
            let detector = learner.fit()?;
            let fit = start.elapsed().as_secs_f64();
            let start = Instant::now();
            let (map, per_class) = evaluate(&detector, &val, n_classes)?;
            let per_picture = start.elapsed().as_secs_f64() / val.len() as f64;
            println!(
                "  {count} images, seed {seed}: mAP50 {map:.3} of {per_class:.2?} by class, fit {fit:.2} s, {:.1} ms per val picture",
                1e3 * per_picture
            );
            scores.push(map);
        }
        println!("{count:4} images: mAP50 {:.3}", scores.iter().sum::<f64>() / scores.len() as f64);
    }
    Ok(())
}

fn split(samples: &[Sample], count: usize, seed: Seed) -> (Vec<&Sample>, Vec<&Sample>) {
    let groups: BTreeSet<&String> = samples.iter().map(|s| &s.3).collect();
    let order = seed.stream("groups").permutation(groups.len());
    let n_held = ((groups.len() as f64) * 0.3).round() as usize;
    let names: Vec<&String> = groups.into_iter().collect();
    let held: BTreeSet<&String> = order[..n_held].iter().map(|i| names[*i]).collect();
    let (val, pool): (Vec<&Sample>, Vec<&Sample>) = samples.iter().partition(|s| held.contains(&s.3));
    let order = seed.stream("images").permutation(pool.len());
    (order.into_iter().take(count).map(|i| pool[i]).collect(), val)
}

fn read(json: &Path, images: &Path) -> Result<(Vec<Sample>, usize), Failure> {
    let coco: Value = serde_json::from_slice(&std::fs::read(json)?)?;
    let list = |key: &str| coco[key].as_array().cloned().unwrap_or_default();
    let classes: BTreeMap<i64, u32> = list("categories")
        .iter()
        .filter_map(|c| c["id"].as_i64())
        .enumerate()
        .map(|(i, c)| (c, i as u32))
        .collect();
    let mut labels: BTreeMap<i64, Vec<LabelledBox>> = BTreeMap::new();
    for a in list("annotations") {
        let Some([x, y, w, h]) = serde_json::from_value::<Option<[f64; 4]>>(a["bbox"].clone())? else {
            continue;
        };
        let class = ClassIdx(classes[&a["category_id"].as_i64().unwrap_or(-1)]);
        let mut label = LabelledBox::new(class, BBox::new(x, y, w, h)?);
        label.is_crowd = a["iscrowd"].as_i64() == Some(1);
        labels.entry(a["image_id"].as_i64().unwrap_or(-1)).or_default().push(label);
    }
    let mut out = Vec::new();
    for image in list("images") {
        let file = image["file_name"].as_str().ok_or("an image without file_name")?;
        let group = image["group"].as_str().unwrap_or(file).to_owned();
        let boxes = labels.remove(&image["id"].as_i64().unwrap_or(-1)).unwrap_or_default();
        out.push((SampleId::new(file)?, load(&images.join(file))?, boxes, group));
    }
    Ok((out, classes.len()))
}

fn evaluate(detector: &GridDetector, val: &[&Sample], n_classes: usize) -> Result<(f64, Vec<f64>), Failure> {
    let found: Vec<Vec<ScoredBox>> = val.iter().map(|s| detector.detect(&s.1)).collect::<Result<_, _>>()?;
    let aps: Vec<f64> =
        (0..n_classes).filter_map(|c| average_precision(val, &found, ClassIdx(c as u32), 0.5)).collect();
    Ok((aps.iter().sum::<f64>() / aps.len().max(1) as f64, aps))
}

/// COCO's rule without crowds and size ranges: greedy matching by score, precision made monotone, 101 recalls.
fn average_precision(val: &[&Sample], found: &[Vec<ScoredBox>], class: ClassIdx, iou: f64) -> Option<f64> {
    let n_truth = val.iter().flat_map(|s| &s.2).filter(|l| l.class == class).count();
    if n_truth == 0 {
        return None;
    }
    let mut hits: Vec<(f64, bool)> = Vec::new();
    for (sample, boxes) in val.iter().zip(found) {
        let truth: Vec<BBox> = sample.2.iter().filter(|l| l.class == class).map(|l| l.bbox).collect();
        let mut taken = vec![false; truth.len()];
        for b in boxes.iter().filter(|b| b.class() == class) {
            let best = (0..truth.len())
                .filter(|t| !taken[*t] && iou <= b.bbox().iou(truth[*t]))
                .max_by(|p, q| b.bbox().iou(truth[*p]).total_cmp(&b.bbox().iou(truth[*q])));
            if let Some(t) = best {
                taken[t] = true;
            }
            hits.push((b.score(), best.is_some()));
        }
    }
    hits.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut curve: Vec<(f64, f64)> = Vec::new();
    let mut n_true = 0.0;
    for (i, (_, hit)) in hits.iter().enumerate() {
        n_true += f64::from(u8::from(*hit));
        curve.push((n_true / n_truth as f64, n_true / (i + 1) as f64));
    }
    for i in (1..curve.len()).rev() {
        curve[i - 1].1 = curve[i - 1].1.max(curve[i].1);
    }
    let at = |recall: f64| curve.iter().find(|(r, _)| recall <= *r).map_or(0.0, |(_, p)| *p);
    Some((0..=100).map(|i| at(f64::from(i) / 100.0)).sum::<f64>() / 101.0)
}
