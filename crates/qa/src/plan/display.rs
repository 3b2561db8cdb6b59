use std::fmt;

use super::{GoldenPlan, PlanCell};

impl fmt::Display for GoldenPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_runs = self.honest.first().map_or(0, |c| c.n_runs);
        writeln!(
            f,
            "share of {n_runs} simulated checks that say FAIL, with {} calibration rounds and {:.1} objects an image",
            self.n_calibration, self.objects_per_image
        )?;
        let p = &self.people;
        let percent = |share: f64| 100.0 * share;
        writeln!(
            f,
            "people usually miss {:.1}% ({:.1}% of the small), add {:.1}%, confuse {:.1}%, leave {:.1}% of images empty, \
             edges {:.1}% of a side and {:.1} px off",
            percent(p.miss),
            percent(p.miss_small),
            percent(p.spurious),
            percent(p.swap),
            percent(p.empty),
            percent(p.jitter),
            p.jitter_px
        )?;
        write!(f, "\n{:<24}", "images")?;
        for cell in &self.honest {
            write!(f, " {:>16}", cell.n_images)?;
        }
        writeln!(f, "  needed for {}%", percent(self.power))?;
        for row in &self.rows {
            write!(f, "{:<24}", row.drift)?;
            cells(f, &row.cells)?;
            writeln!(f, "  {}", self.needed(row.smallest))?;
        }
        write!(f, "{:<24}", "nothing (false alarms)")?;
        cells(f, &self.honest)?;
        write!(f, "\n{:<24}", "nothing: PASS")?;
        for c in &self.honest {
            write!(f, " {:>16}", format!("{:.2}", c.n_pass as f64 / c.n_runs as f64))?;
        }
        let wanted = percent(self.power);
        match self.smallest {
            Some(n) => {
                write!(f, "\n\n{n} images find each of these drifts in at least {wanted}% of the rounds")
            }
            None => {
                write!(f, "\n\nno size tried finds each of these drifts in at least {wanted}% of the rounds")
            }
        }
    }
}

impl GoldenPlan {
    fn needed(&self, smallest: Option<usize>) -> String {
        let largest = self.honest.last().map_or(0, |c| c.n_images);
        smallest.map_or_else(|| format!("more than {largest}"), |n| n.to_string())
    }
}

fn cells(f: &mut fmt::Formatter<'_>, cells: &[PlanCell]) -> fmt::Result {
    for c in cells {
        let [low, high] = c.fail_interval;
        let text = format!("{} [{}, {}]", short(c.fail_rate), short(low), short(high));
        write!(f, " {text:>16}")?;
    }
    Ok(())
}

/// Two digits without the zero before the point.
fn short(share: f64) -> String {
    let text = format!("{share:.2}");
    text.strip_prefix('0').unwrap_or(&text).to_owned()
}
