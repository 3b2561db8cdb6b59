use std::fmt;

use super::curve::Recall;
use super::filter::Difficulty;
use super::params::Metric;
use super::result::{ClassResult, KittiResult};

/// One block for each class: a line for each metric, the three difficulties over forty and over eleven recalls.
impl fmt::Display for KittiResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.classes.iter().map(|class| class.name.chars().count()).max().unwrap_or(0).max(5);
        write!(f, "{:<width$}  {:<4}", "class", "")?;
        for recall in [Recall::R40, Recall::R11] {
            for difficulty in Difficulty::ALL {
                write!(f, "  {:>12}", format!("{} {}", recall.name(), difficulty.name()))?;
            }
        }
        writeln!(f)?;
        self.classes.iter().try_for_each(|class| class.write(f, width))?;
        self.warnings.iter().try_for_each(|warning| writeln!(f, "warning: {warning}"))
    }
}

impl ClassResult {
    fn write(&self, f: &mut fmt::Formatter<'_>, width: usize) -> fmt::Result {
        for metric in Metric::ALL {
            let name = if metric == Metric::Bbox { self.name.as_str() } else { "" };
            write!(f, "{name:<width$}  {:<4}", metric.name())?;
            for recall in [Recall::R40, Recall::R11] {
                for difficulty in Difficulty::ALL {
                    match self.curve(metric, difficulty) {
                        Some(curve) => write!(f, "  {:>12.4}", curve.ap(recall))?,
                        None => write!(f, "  {:>12}", "-")?,
                    }
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
