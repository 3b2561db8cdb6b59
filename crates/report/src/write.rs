//! Puts a report on disk.

use std::path::PathBuf;

use labelloop_loop::{Layout, write_atomically};

use crate::{ReportInput, Result, plots, render};

/// Files of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The page.
    pub page: PathBuf,
    /// The plots.
    pub plots: Vec<PathBuf>,
}

/// Writes the plots into `metrics/convergence_plots` and the page to `report.html`.
///
/// # Errors
/// [`crate::ReportError`] naming the file.
pub fn write(layout: &Layout, input: &ReportInput) -> Result<Written> {
    let drawn = plots(input)?;
    let mut paths = Vec::new();
    for plot in &drawn {
        let path = layout.plots().join(format!("{}.svg", plot.name));
        write_atomically(&path, plot.svg.as_bytes())?;
        paths.push(path);
    }
    let page = layout.report();
    write_atomically(&page, render(input, &drawn)?.as_bytes())?;
    Ok(Written { page, plots: paths })
}
