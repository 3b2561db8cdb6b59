use std::fmt;

use super::{ChartKind, ChartPoint, ChartSignal, Direction, GoldenChart, PassReason};

impl fmt::Display for ChartSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moved = match self.direction {
            Direction::Up => "up",
            Direction::Down => "down",
        };
        let since = match self.chart {
            ChartKind::Shewhart => format!("in iteration {}", self.iteration),
            ChartKind::Cusum if self.start_idx == self.point_idx => {
                format!("in iteration {}", self.iteration)
            }
            ChartKind::Cusum => format!(
                "since iteration {} on average, as iteration {} shows",
                self.start_iteration, self.iteration
            ),
        };
        let chart = match self.chart {
            ChartKind::Shewhart => "T",
            ChartKind::Cusum => "CUSUM",
        };
        let (effect, margin) = (self.mean_effect, self.margin);
        let within = if self.is_beyond_margin { "beyond the margin of" } else { "within the margin of" };
        write!(f, "{chart}: {} {moved} by {effect:+.4} {since}, {within} {margin}", self.statistic)
    }
}

impl fmt::Display for PassReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            PassReason::NoStatistics => "nothing was tested in it",
            PassReason::NoSpread => "it does not say how much rounds spread: check the round again",
            PassReason::CopyOfReference => "its labels are the reference's",
            PassReason::AlreadyCounted => "its labels are those of a round counted already",
            PassReason::NoCalibration => "no calibration round shows these samples of the golden set",
            PassReason::StartsBaseline => "the others are compared with it",
            PassReason::FailedFirst => "it failed, so that nothing is compared with it",
        })
    }
}

impl fmt::Display for GoldenChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "golden set {}: {} rounds on the charts", self.golden_version, self.points.len())?;
        if let Some(limits) = &self.limits {
            let (t, s) = (limits.shewhart, limits.cusum);
            writeln!(
                f,
                "limits: T {:.2} [{:.2}, {:.2}], CUSUM {:.2} [{:.2}, {:.2}]; a false alarm in {} rounds has probability {}",
                t.value,
                t.interval[0],
                t.interval[1],
                s.value,
                s.interval[0],
                s.interval[1],
                self.n_rounds,
                self.false_alarm
            )?;
            writeln!(
                f,
                "\n{:>9} {:<12} {:>6} {:<13} {:>7} {:<20} signal",
                "iteration", "verdict", "T", "of", "CUSUM", "of"
            )?;
        }
        for (i, point) in self.points.iter().enumerate() {
            self.line(f, i, point)?;
        }
        if !self.signals.is_empty() {
            writeln!(f)?;
        }
        for signal in &self.signals {
            writeln!(f, "{signal}")?;
        }
        for p in &self.passed_over {
            let digest = p.label_digest.get(..8).unwrap_or(&p.label_digest);
            writeln!(f, "left out: iteration {}, labels {digest}: {}", p.iteration, p.reason)?;
        }
        Ok(())
    }
}

impl GoldenChart {
    fn line(&self, f: &mut fmt::Formatter<'_>, point_idx: usize, point: &ChartPoint) -> fmt::Result {
        let (cusum, of) = point.leading_cusum().map_or((0.0, String::new()), |(s, statistic, direction)| {
            let arrow = if direction == Direction::Up { "up" } else { "down" };
            (s, if 0.0 < s { format!("{statistic} {arrow}") } else { String::new() })
        });
        let has = |chart| self.signals.iter().any(|s| s.point_idx == point_idx && s.chart == chart);
        let marks = match (has(ChartKind::Shewhart), has(ChartKind::Cusum)) {
            (true, true) => "T, CUSUM",
            (true, false) => "T",
            (false, true) => "CUSUM",
            (false, false) => "",
        };
        let line = format!(
            "{:>9} {:<12} {:>6.2} {:<13} {cusum:>7.2} {of:<20} {marks}",
            point.iteration, point.verdict, point.t, point.leading
        );
        writeln!(f, "{}", line.trim_end())
    }
}
