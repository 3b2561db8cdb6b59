//! How well planted label errors are found by a detector that errs itself.
//!
//! `cargo run --release -p labelloop-qa --example label_suspects [--write FOLDER]`; with a folder, the pictures, the planted
//! errors and our scores go there for `benches/object_errors_peers.py`.
#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use labelloop_core::Seed;
use labelloop_qa::{SuspectKind, SuspicionParams, suspects};

mod plant;
mod write;

use plant::{Detector, Planted};

fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let folder =
        args.next().filter(|a| a == "--write").and_then(|_| args.next()).map(std::path::PathBuf::from);
    let good = Detector { recall: 0.95, recall_small: 0.8, alarms: 0.1, confusion: 0.02, jitter: 0.04 };
    let middling = Detector { recall: 0.85, recall_small: 0.5, alarms: 0.3, confusion: 0.08, jitter: 0.06 };
    let poor = Detector { recall: 0.6, recall_small: 0.2, alarms: 0.6, confusion: 0.2, jitter: 0.1 };
    println!("500 pictures, 3,000 objects, 3% with each kind of label error; AUC by kind\n");
    println!(
        "{:<10} {:>11} {:>14} {:>8} {:>10} {:>17} {:>17}",
        "detector",
        "overlooked",
        "badly located",
        "swapped",
        "unfounded",
        "errors in top 100",
        "found in top 500"
    );
    for (name, detector) in [("good", good), ("middling", middling), ("poor", poor)] {
        let planted = Planted::generate(500, 0.03, detector, Seed::new(1));
        let all = SuspicionParams { min_suspicion: 0.0, ..SuspicionParams::default() };
        let found = suspects(&planted.images(), &all).expect("pictures come once");
        let [overlooked, located, swapped, unfounded] = SuspectKind::ALL.map(|k| planted.auc(&found, k));
        if let Some(folder) = &folder {
            write::write(folder, name, &planted, &found)?;
        }
        let n_errors: usize = planted.truth.iter().map(|t| t.wrong.len() + t.missing.len()).sum();
        let right = |n: usize| found.iter().take(n).filter(|s| planted.is_error(s)).count();
        println!(
            "{name:<10} {overlooked:>11.3} {located:>14.3} {swapped:>8.3} {unfounded:>10.3} {:>17} {:>17}",
            right(100),
            format!("{} of {n_errors}", right(500)),
        );
    }
    Ok(())
}
