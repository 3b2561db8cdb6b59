use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use labelloop_qa::GoldenReport;
use serde_json::json;

use crate::people::Labels;
use crate::truth::Truth;
use crate::{Row, Run};

/// One folder for a row: `rounds.csv` with the boxes of every round, `ours.json` with what was said of each run.
pub(crate) fn row(
    folder: &Path,
    row: &Row,
    reports: &[GoldenReport],
    n_runs: u64,
    run: impl Fn(u64) -> anyhow::Result<Run>,
) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let n_written = n_runs.min(row.n_runs);
    let said: Vec<_> = reports
        .iter()
        .take(n_written as usize)
        .map(|r| json!({ "verdict": r.verdict, "p": r.p_value, "named": r.named() }))
        .collect();
    let about = json!({ "name": row.name, "runs": said });
    fs::write(folder.join("ours.json"), about.to_string())?;
    let mut csv = BufWriter::new(File::create(folder.join("rounds.csv"))?);
    writeln!(csv, "run,round,image,width,height,class,x,y,w,h")?;
    for n in 0..n_written {
        let made = run(n)?;
        boxes(&mut csv, n, "reference", &made.golden, &made.golden.boxes)?;
        for (k, labels) in made.calibration.iter().enumerate() {
            boxes(&mut csv, n, &format!("before{k}"), &made.golden, labels)?;
        }
        boxes(&mut csv, n, "current", &made.golden, &made.current)?;
    }
    Ok(csv.flush()?)
}

/// A row per box, and one without a class for an image without boxes.
fn boxes(
    csv: &mut impl std::io::Write,
    run: u64,
    round: &str,
    truth: &Truth,
    labels: &Labels,
) -> anyhow::Result<()> {
    for ((image, size), boxes) in truth.sizes.iter().enumerate().zip(labels) {
        let place = format!("{run},{round},{image},{},{}", size.width(), size.height());
        if boxes.is_empty() {
            writeln!(csv, "{place},,,,,")?;
        }
        for b in boxes {
            let [x, y, w, h] = b.bbox.to_xywh();
            writeln!(csv, "{place},{},{x:.3},{y:.3},{w:.3},{h:.3}", b.class.0)?;
        }
    }
    Ok(())
}
