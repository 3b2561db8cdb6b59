//! Learning curves of selection policies against random on a COCO folder, in pictures and in boxes.
//!
//! `cargo run --release --example learning_curves -- COCO.json IMAGES_DIR [SEEDS] [ITERATIONS] [FIRST] [SHARE]`
//!
//! Each seed is its own leak-free split, detector and annotator; the policies of one seed share all three. Prints a
//! Markdown table of mAP50 on val, mean over the seeds, with the lowest and the highest in brackets.

#![allow(clippy::print_stdout, reason = "a program tells what it does")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use labelloop_core::Silent;
use labelloop_loop::annotate::AnnotatorParams;
use labelloop_loop::config::{OnFail, PolicyKind};
use labelloop_loop::history::{History, IterationRecord};
use labelloop_loop::{Begin, LoopConfig, Project, Run};

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [coco, images, numbers @ ..] = args.as_slice() else {
        anyhow::bail!("expected COCO.json IMAGES_DIR [SEEDS] [ITERATIONS] [FIRST] [SHARE]");
    };
    let number = |i: usize, default: f64| -> anyhow::Result<f64> {
        numbers.get(i).map_or(Ok(default), |t| t.parse().with_context(|| format!("{t:?}: expected a number")))
    };
    let (n_seeds, iterations) = (number(0, 3.0)? as u64, number(1, 4.0)? as u32);
    let (first, share) = (number(2, 20.0)? as usize, number(3, 0.15)?);
    let policies = [PolicyKind::Hybrid, PolicyKind::Coverage, PolicyKind::Random];
    let scratch = tempfile::tempdir()?;
    let mut curves: BTreeMap<usize, Vec<Vec<IterationRecord>>> = BTreeMap::new();
    for seed in 1..=n_seeds {
        for (nth, policy) in policies.into_iter().enumerate() {
            let mut config = LoopConfig::new("curves", std::path::absolute(PathBuf::from(images))?);
            config.project.annotations = Some(std::path::absolute(PathBuf::from(coco))?);
            config.project.seed = seed;
            config.splits.salt = format!("labelloop-{seed}");
            config.active_learning.require_human_review = false;
            config.active_learning.max_iterations = iterations;
            config.active_learning.plateau_threshold = 0.0;
            config.active_learning.overfit_gap = 1.0;
            config.annotator = Some(AnnotatorParams::default());
            config.qa.on_fail = OnFail::Relabel;
            config.selection.kind = policy;
            config.selection.first_batch = first;
            config.selection.batch.share = share;
            config.evaluation.n_bootstrap = 0;
            let folder = scratch.path().join(format!("{seed}-{nth}"));
            curves.entry(nth).or_default().push(run(&folder, &config)?);
        }
    }
    print_table(&curves, &policies);
    Ok(())
}

fn run(folder: &std::path::Path, config: &LoopConfig) -> anyhow::Result<Vec<IterationRecord>> {
    let coco = config.project.annotations.clone().context("annotations are set above")?;
    let schema =
        labelloop_formats::coco::read(&coco, &labelloop_formats::coco::ReadOptions::default())?.set.schema;
    let project = Project::init(folder, config, &schema)?;
    project.prepare(&Silent)?;
    Run::begin(&project, Begin::Resume, &Silent)?.go()?;
    Ok(History::load(&project.layout.history())?.records())
}

fn print_table(curves: &BTreeMap<usize, Vec<Vec<IterationRecord>>>, policies: &[PolicyKind]) {
    let n_rounds = curves.values().flatten().map(Vec::len).min().unwrap_or(0);
    print!("| pictures |");
    policies.iter().for_each(|p| print!(" {p:?} boxes | {p:?} mAP50 |"));
    println!("\n|--:|{}", "--:|--:|".repeat(policies.len()));
    for round in 0..n_rounds {
        let of = |nth: usize| curves.get(&nth).into_iter().flatten().filter_map(move |c| c.get(round));
        print!("| {:.0} |", mean(of(0).map(|r| r.n_images as f64)));
        for nth in 0..policies.len() {
            let values: Vec<f64> = of(nth).filter_map(|r| r.map50).collect();
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let boxes = mean(of(nth).map(|r| r.n_boxes as f64));
            print!(" {boxes:.0} | {:.3} [{low:.3}, {high:.3}] |", mean(values.into_iter()));
        }
        println!();
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0usize), |(s, n), v| (s + v, n + 1));
    sum / n.max(1) as f64
}
