//! `convert`

use std::process::ExitCode;

use super::data::format;
use crate::args::ConvertArgs;
use crate::output::Output;

pub(super) fn convert(args: &ConvertArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let report =
        labelloop_formats::convert(format(&args.from)?, &args.input, format(&args.to)?, &args.output)?;
    for warning in &report.warnings {
        output.say(&format!("warning: {warning}"));
    }
    let warnings: Vec<String> = report.warnings.iter().map(ToString::to_string).collect();
    let words =
        format!("{} pictures, {} boxes, {} warnings", report.n_images, report.n_boxes, report.warnings.len());
    let document =
        serde_json::json!({ "n_images": report.n_images, "n_boxes": report.n_boxes, "warnings": warnings });
    output.result(&document, &words)?;
    Ok(ExitCode::SUCCESS)
}
