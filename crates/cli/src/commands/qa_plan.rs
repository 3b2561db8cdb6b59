//! `qa plan`: how large a golden set has to be.

use std::process::ExitCode;

use labelloop_core::{AnnotationSet, Seed};
use labelloop_qa::{
    AnnotatorModel, GoldenImage, GoldenParams, LabelDrift, PlanParams, PlanSource, estimate_annotator,
    golden_plan,
};

use super::golden_rounds::{images, in_schema, read};
use crate::args::{PeopleArgs, QaPlanArgs};
use crate::output::{Output, UsageError};

pub(super) fn plan(args: &QaPlanArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let golden =
        GoldenParams { level: args.level, n_permutations: args.permutations, ..GoldenParams::default() };
    let reference = args.reference.as_ref().map(|path| read(path, "coco", output)).transpose()?;
    let own = reference.as_ref().map(images).transpose()?;
    let mut people = match (&reference, &own) {
        (Some(set), Some(own)) if !args.calibration.is_empty() => estimated(args, set, own, &golden, output)?,
        _ => AnnotatorModel::default(),
    };
    args.people.put_into(&mut people);
    let n_given = if args.calibration.is_empty() { 3 } else { args.calibration.len() };
    let drifts = if args.drift.is_empty() {
        LabelDrift::STRONG.to_vec()
    } else {
        args.drift.iter().map(|d| drift(d)).collect::<Result<_, _>>()?
    };
    let params = PlanParams {
        sizes: args.sizes.clone(),
        drifts,
        people,
        n_calibration: args.calibration_rounds.unwrap_or(n_given),
        n_runs: args.runs,
        power: args.power,
        golden,
        seed: Seed::new(args.seed),
    };
    let source = match (&own, &reference) {
        (Some(own), Some(set)) => PlanSource::Own { reference: own, schema: &set.schema },
        _ => PlanSource::Generated,
    };
    let plan = golden_plan(source, &params)?;
    output.result(&plan, &plan.to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// How one's own people err, from the rounds that are given.
fn estimated(
    args: &QaPlanArgs,
    set: &AnnotationSet,
    own: &[GoldenImage<'_>],
    golden: &GoldenParams,
    output: &Output,
) -> anyhow::Result<AnnotatorModel> {
    let rounds: Vec<AnnotationSet> = args
        .calibration
        .iter()
        .map(|path| in_schema(read(path, "coco", output)?, &set.schema, path))
        .collect::<anyhow::Result<_>>()?;
    let rounds: Vec<Vec<GoldenImage<'_>>> = rounds.iter().map(images).collect::<anyhow::Result<_>>()?;
    Ok(estimate_annotator(own, &rounds, &set.schema, golden)?)
}

/// `kind=share` in words of the command line.
fn drift(text: &str) -> Result<LabelDrift, UsageError> {
    let refusal = || {
        UsageError(format!(
            "--drift {text}: expected one of swapped, shrunk, spurious, shifted, missed, missed_small, left_empty with \
             its share, such as missed=0.05"
        ))
    };
    let (kind, share) = text.split_once('=').ok_or_else(refusal)?;
    let share: f64 = share.trim().parse().map_err(|_| refusal())?;
    Ok(match kind.trim() {
        "swapped" => LabelDrift::Swapped(share),
        "shrunk" => LabelDrift::Shrunk(share),
        "spurious" => LabelDrift::Spurious(share),
        "shifted" => LabelDrift::Shifted(share),
        "missed" => LabelDrift::Missed(share),
        "missed_small" => LabelDrift::MissedSmall(share),
        "left_empty" => LabelDrift::LeftEmpty(share),
        _ => return Err(refusal()),
    })
}

impl PeopleArgs {
    fn put_into(&self, people: &mut AnnotatorModel) {
        let pairs = [
            (self.miss, &mut people.miss),
            (self.miss_small, &mut people.miss_small),
            (self.spurious, &mut people.spurious),
            (self.swap, &mut people.swap),
            (self.jitter, &mut people.jitter),
        ];
        for (given, rate) in pairs {
            *rate = given.unwrap_or(*rate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drifts_are_read_by_name() {
        assert_eq!(drift("missed=0.05").unwrap(), LabelDrift::Missed(0.05));
        assert_eq!(drift("left_empty = 0.1").unwrap(), LabelDrift::LeftEmpty(0.1));
        for bad in ["missed", "missed=", "missed=a lot", "lost=0.1"] {
            assert!(
                drift(bad).unwrap_err().to_string().starts_with(&format!("--drift {bad}: expected one of"))
            );
        }
    }
}
