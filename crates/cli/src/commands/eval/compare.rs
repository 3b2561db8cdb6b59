//! `eval compare`: which of two detectors is better, overall and where.

use std::fmt::Write;
use std::process::ExitCode;

use labelloop_core::{ClassIdx, Seed};
use labelloop_eval::ImageCase;
use labelloop_eval::bootstrap::{BootstrapParams, Metric};
use labelloop_eval::coco::observe_all;
use labelloop_eval::compare::{CompareParams, Comparison, ComparisonReport, Subject, compare_all};
use labelloop_eval::multiplicity::Correction;
use serde_json::{Value, json};

use super::Input;
use super::details::Details;
use crate::args::{CorrectionArg, EvalCompareArgs};
use crate::output::Output;

/// Paired difference of two detectors.
pub(in crate::commands) fn compare(args: &EvalCompareArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let input = Input::read(&args.gt, output)?;
    let (a, b) = (input.read_detections(&args.a, output)?, input.read_detections(&args.b, output)?);
    let Details { groups, by } = Details::read(&args.gt, &input, &args.data, true)?;
    let bootstrap =
        BootstrapParams { n_draws: args.bootstrap, seed: Seed::new(args.seed), ..BootstrapParams::default() };
    let params = CompareParams {
        coco: input.params.clone(),
        bootstrap: bootstrap.clone(),
        correction: match args.correction {
            CorrectionArg::Holm => Correction::Holm,
            CorrectionArg::Bh => Correction::BenjaminiHochberg,
        },
        ..CompareParams::default()
    };
    let (a, b) = (input.cases(&a), input.cases(&b));
    let ap = compare_all(&a, &b, input.n_classes(), &by, Some(&groups), &params)?;
    let observe = |cases: &[ImageCase<'_>]| observe_all(cases, input.n_classes(), &input.params);
    let (a, b) = (observe(&a)?, observe(&b)?);
    let ap50 = labelloop_eval::compare(&a, &b, Some(&groups), Metric::Map50, &bootstrap)?;
    let document = document(&input, &ap, &ap50)?;
    output.result(&document, &words(&input, &ap, &ap50))?;
    Ok(ExitCode::SUCCESS)
}

fn document(input: &Input, ap: &ComparisonReport, ap50: &Comparison) -> anyhow::Result<Value> {
    let (mut classes, mut slices) = (Vec::new(), Vec::new());
    for row in &ap.rows {
        let mut document = serde_json::to_value(row.comparison)?;
        document["p_adjusted"] = json!(row.p_adjusted);
        match &row.subject {
            Subject::Class(class) => {
                document["id"] = json!(input.rows.category_ids.get(class.as_usize()));
                document["name"] = json!(name(input, *class));
                classes.push(document);
            }
            Subject::Slice { by, value } => {
                document["by"] = json!(by);
                document["value"] = json!(value);
                slices.push(document);
            }
            _ => {}
        }
    }
    Ok(json!({
        "ap": ap.overall,
        "ap50": ap50,
        "classes": classes,
        "slices": slices,
        "correction": ap.correction,
        "least_p_value": ap.least_p_value,
    }))
}

fn words(input: &Input, ap: &ComparisonReport, ap50: &Comparison) -> String {
    let subject = |subject: &Subject| match subject {
        Subject::Class(class) => name(input, *class),
        Subject::Slice { by, value } => format!("{by} {value} (AP50)"),
        _ => String::new(),
    };
    let mut words = ap.table(subject);
    let number = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"));
    let [first, second, difference, low, high] =
        [ap50.a, ap50.b, ap50.difference, ap50.low, ap50.high].map(number);
    let p = ap50.p_value.map_or_else(|| "-".to_owned(), |p| format!("{p:.4}"));
    let _ = writeln!(
        words,
        "\noverall AP50: A {first}, B {second}, difference {difference} [{low}, {high}], p {p}"
    );
    let n_significant = ap.significant(0.05).count();
    let _ = writeln!(
        words,
        "AP with intervals of 95% from {} groups of images; {n_significant} of {} rows differ at 5% after correction",
        ap.overall.n_groups,
        ap.rows.len()
    );
    if !ap.can_reach(0.05) {
        let needed = (2.0 * ap.rows.len() as f64 / 0.05).ceil();
        let _ = writeln!(
            words,
            "so few resamples cannot show a difference in so many rows: --bootstrap {needed} could"
        );
    }
    words
}

fn name(input: &Input, class: ClassIdx) -> String {
    input.rows.schema.name(class).map_or_else(|| format!("class {}", class.0), str::to_owned)
}
