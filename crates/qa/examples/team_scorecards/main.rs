//! How often scorecards flag a careless person of eight, and how often somebody honest.
//!
//! `cargo run --release -p labelloop-qa --example team_scorecards`
#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use labelloop_core::Seed;
use labelloop_qa::{
    AnnotatorModel, GoldenImage, Margins, Review, ScorecardParams, Scorecards, Statistic, scorecards,
};

#[path = "../drift_power/simulate.rs"]
mod simulate;

use simulate::{Golden, Labels};

const N_PEOPLE: usize = 8;
const N_RUNS: u64 = 200;

fn main() {
    let honest = AnnotatorModel::default();
    let careless = [
        ("nobody", honest, None),
        (
            "misses 5%, 15% of the small",
            AnnotatorModel { miss: 0.05, miss_small: 0.15, ..honest },
            Some(Statistic::Missed),
        ),
        (
            "misses 10%, 25% of the small",
            AnnotatorModel { miss: 0.1, miss_small: 0.25, ..honest },
            Some(Statistic::Missed),
        ),
        ("swaps 8%", AnnotatorModel { swap: 0.08, ..honest }, Some(Statistic::WrongClass)),
        ("8% spurious", AnnotatorModel { spurious: 0.08, ..honest }, Some(Statistic::Spurious)),
        ("sides 3% short", AnnotatorModel { scale: 0.97, ..honest }, Some(Statistic::LogSize)),
        ("shifts by 3%", AnnotatorModel { shift: 0.03, ..honest }, Some(Statistic::ShiftX)),
        ("edges off by 5%", AnnotatorModel { jitter: 0.05, ..honest }, Some(Statistic::IouLoss)),
    ];
    println!(
        "{N_RUNS} teams of 8 per row, 100 golden pictures in 3 rounds, each picture to one person at random\n"
    );
    println!(
        "{:<30} {:>16} {:>18} {:>22} {:>27}",
        "one person", "flagged for it", "others flagged", "false share of flags", "the same without margins"
    );
    for (name, model, statistic) in careless {
        let [with, without] = [Margins::default(), none()].map(|margins| measure(model, statistic, margins));
        println!(
            "{name:<30} {:>16} {:>18.3} {:>22.3} {:>27.3}",
            statistic.map_or_else(String::new, |_| format!("{:.3}", with.found)),
            with.others,
            with.false_share,
            without.false_share,
        );
    }
}

fn none() -> Margins {
    Margins {
        missed: 0.0,
        missed_small: 0.0,
        spurious: 0.0,
        wrong_class: 0.0,
        log_size: 0.0,
        iou_loss: 0.0,
        shift: 0.0,
        left_empty: 0.0,
    }
}

/// Shares over all runs.
#[derive(Default)]
struct Measured {
    /// Teams in which the careless one was flagged for what they do.
    found: f64,
    /// Teams in which anybody else was flagged.
    others: f64,
    /// Mean share of flags that are on others.
    false_share: f64,
}

fn measure(model: AnnotatorModel, statistic: Option<Statistic>, margins: Margins) -> Measured {
    let mut measured = Measured::default();
    for run in 0..N_RUNS {
        let cards = team(model, &margins, Seed::new(run));
        let is_careless = |name: &str| statistic.is_some() && name == "person 0";
        let n_flags = cards.flagged().count();
        let n_others = cards.flagged().filter(|(c, _)| !is_careless(&c.annotator)).count();
        let found = cards.flagged().any(|(c, f)| is_careless(&c.annotator) && Some(f.statistic) == statistic);
        measured.found += f64::from(u8::from(found)) / N_RUNS as f64;
        measured.others += f64::from(u8::from(0 < n_others)) / N_RUNS as f64;
        measured.false_share += n_others as f64 / n_flags.max(1) as f64 / N_RUNS as f64;
    }
    measured
}

fn team(careless: AnnotatorModel, margins: &Margins, seed: Seed) -> Scorecards {
    let golden = Golden::generate(100, seed.stream("golden"));
    let names: Vec<String> = (0..N_PEOPLE).map(|a| format!("person {a}")).collect();
    let rounds: Vec<(Vec<usize>, Vec<Labels>)> = (0..3)
        .map(|r| {
            let s = seed.stream("round").stream(&r.to_string());
            let model = |a: usize| if a == 0 { careless } else { AnnotatorModel::default() };
            let hands = (0..N_PEOPLE).map(|a| golden.annotate(&model(a), s.stream(&names[a]))).collect();
            ((0..100).map(|i| s.below(i, N_PEOPLE)).collect(), hands)
        })
        .collect();
    let mut reviews = Vec::new();
    for (round, (who, hands)) in ["1", "2", "3"].into_iter().zip(&rounds) {
        for (i, a) in who.iter().enumerate() {
            let image = |boxes| GoldenImage { id: &golden.ids[i], size: golden.size, boxes };
            reviews.push(Review {
                round,
                reference: image(&golden.truth[i]),
                labelled: image(&hands[*a][i]),
                annotator: Some(&names[*a]),
            });
        }
    }
    let params = ScorecardParams { margins: *margins, n_permutations: 4_999, ..ScorecardParams::default() };
    scorecards(&reviews, &golden.schema, &params).expect("every picture comes once in a round")
}
