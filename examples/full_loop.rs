//! The whole loop on generated scenes: no data, no model, no network, under a minute.
//!
//! `cargo run --release --example full_loop [FOLDER]`
//!
//! Generates recorded sequences, splits them by group, picks batches, has a simulated annotator label them, gates on
//! golden QA (the annotator drifts in iteration 2, so that there is something to find), trains, evaluates, and repeats
//! until a rule says stop. Point clouds go the same way beside the pictures: cuboids are labelled, gated, trained on by the
//! built-in detector of clouds, and evaluated as KITTI does. Then it opens the frozen test set once, lays random selection at the same budget beside its
//! own curve, and writes plots and one HTML page.

#![allow(clippy::print_stdout, reason = "a program tells what it does")]

use std::path::PathBuf;

use labelloop_core::{Progress, Silent};
use labelloop_dataset::BoxPolicy;
use labelloop_loop::annotate::{AnnotatorParams, Drift, ErrorRates};
use labelloop_loop::backtest::beside_random;
use labelloop_loop::config::OnFail;
use labelloop_loop::history::History;
use labelloop_loop::{Begin, Event, LoopConfig, Observer, Project, Run, final_test, selection_map};
use labelloop_report::{convergence_table, curves_table};
use labelloop_testkit::scenes::{SceneParams, generate};

fn main() -> anyhow::Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "labelloop-demo".to_owned()));
    if folder.join("state.json").exists() {
        anyhow::bail!("{} holds an earlier run: expected an empty or new folder", folder.display());
    }

    // What is out there: sequences of near-identical frames, each frame with slices left, right and pcd.
    let scenes = generate(&SceneParams::default().check()?, &folder, &Silent)?;
    println!(
        "generated {} samples with {} boxes in {}",
        scenes.samples.len(),
        scenes.n_boxes(),
        folder.display()
    );

    let project = Project::init(&folder, &config(), &scenes.schema)?;
    project.import(&scenes, BoxPolicy::default())?;
    for row in project.split()?.shares {
        println!(
            "  split {:<6} {:>3} groups, {:>4} samples",
            row.split.as_str(),
            row.n_groups,
            row.n_samples
        );
    }

    Run::begin(&project, Begin::Resume, &Printer)?.go()?;
    println!("\n{}", project.dataset()?.progress());

    let test = final_test(&project, "the loop has stopped")?;
    println!(
        "\nfrozen test set, opened once: model of iteration {} on {} pictures: F1 {}",
        test.iteration,
        test.n_images,
        test.f1.map_or_else(|| "none".to_owned(), |f| format!("{f:.3}"))
    );

    let baselines = beside_random(&project, &[1, 2, 3], &Silent)?;
    selection_map(&project, &Silent)?;
    let report = labelloop_report::write(&project.layout, &labelloop_report::gather(&project.layout)?)?;
    let records = History::load(&project.layout.history())?.records();
    println!("\n{}", convergence_table(&records));
    println!("mAP50 on val beside random selection (seed; boxes spent in brackets)\n");
    println!("{}", curves_table(&records, &baselines));
    println!("report: {}", report.page.display());
    Ok(())
}

fn config() -> LoopConfig {
    let mut config = LoopConfig::new("generated scenes", ".");
    config.active_learning.require_human_review = false;
    config.active_learning.target_f1 = 0.9;
    config.active_learning.max_iterations = 7;
    config.selection.first_batch = 16;
    config.selection.batch.share = 0.1;
    config.selection.batch.min = 12;
    config.training.detector.stride = Some(4);
    config.training.detector.n_random_features = 300;
    // In iteration 2 the team draws sloppily; a corrected team labels that batch again when golden QA finds it.
    let sloppy = ErrorRates { swap: 0.12, shrink: 0.08, ..ErrorRates::default() };
    config.annotator = Some(AnnotatorParams {
        drift: Some(Drift { from_iteration: 2, until_iteration: 3, rates: sloppy }),
        ..AnnotatorParams::default()
    });
    config.qa.on_fail = OnFail::Relabel;
    config
}

/// Prints events as they come.
struct Printer;

impl Progress for Printer {
    fn advance(&self, _what: &str, _done: u64, _total: u64) {}
}

impl Observer for Printer {
    fn event(&self, event: &Event) {
        println!("{event}");
    }
}
