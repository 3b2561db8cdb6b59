//! Turns one annotation format into another: `convert coco instances.json yolo out`. Says on standard error what was wrong
//! with the source and what the target cannot hold.

use std::path::Path;

use labelloop_formats::convert;

#[allow(clippy::print_stderr, reason = "an example speaks to people")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [from, input, to, out] = &args[..] else {
        return Err("expected: convert FORMAT INPUT FORMAT OUTPUT".into());
    };
    let report = convert(from.parse()?, Path::new(input), to.parse()?, Path::new(out))?;
    for warning in &report.warnings {
        eprintln!("{warning}");
    }
    eprintln!("{} images, {} boxes", report.n_images, report.n_boxes);
    Ok(())
}
