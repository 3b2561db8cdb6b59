use std::fmt;

use labelloop_core::SliceKind;

use super::{Attribution, Design, Finding, GoldenReport, StatisticResult};

impl fmt::Display for GoldenReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "golden check: {}", self.verdict)?;
        match self.p_value {
            Some(p) => writeln!(f, " (p = {p:.4}, level {})", self.level)?,
            None => writeln!(f)?,
        }
        let against = match self.design {
            Design::Exchange if self.n_calibration == 1 => "1 calibration round".to_owned(),
            Design::Exchange => format!("{} calibration rounds", self.n_calibration),
            Design::SignFlip => "the margins alone (no calibration round)".to_owned(),
        };
        let what = if self.kind == SliceKind::Image { "images" } else { "scans" };
        writeln!(f, "{} {what}, {} objects, against {against}", self.n_images, self.n_objects)?;
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        statistics(f, &self.statistics)?;
        if let Some(attribution) = &self.attribution {
            parts(f, attribution)?;
        }
        self.totals(f)
    }
}

impl GoldenReport {
    fn totals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{:<24} {:>10} {:>10}", "labels", "reference", "current")?;
        let (r, c) = (&self.reference, &self.current);
        writeln!(f, "{:<24} {:>10} {:>10}", "samples with labels", r.n_labelled_images, c.n_labelled_images)?;
        writeln!(f, "{:<24} {:>10} {:>10}", "objects", r.n_objects, c.n_objects)?;
        let rows = [
            ("per sample with labels", r.per_labelled_image(), c.per_labelled_image()),
            ("per sample", r.per_image(), c.per_image()),
        ];
        for (name, reference, current) in rows {
            writeln!(f, "{name:<24} {:>10} {:>10}", number(reference, 2), number(current, 2))?;
        }
        for (before, after) in r.classes.iter().zip(&c.classes) {
            writeln!(f, "  {:<22} {:>10} {:>10}", before.name, before.count, after.count)?;
        }
        Ok(())
    }
}

fn statistics(f: &mut fmt::Formatter<'_>, rows: &[StatisticResult]) -> fmt::Result {
    writeln!(
        f,
        "\n{:<13} {:>8} {:>8} {:>8} {:>19} {:>7} {:>7} {:>7}  found",
        "statistic", "current", "before", "effect", "interval", "margin", "p", "sees"
    )?;
    for r in rows {
        let interval = r.interval.map_or("-".to_owned(), |[lo, hi]| format!("[{lo:+.4}, {hi:+.4}]"));
        writeln!(
            f,
            "{:<13} {:>8} {:>8} {:>8} {interval:>19} {:>7.3} {:>7.4} {:>7.4}  {}",
            r.statistic,
            number(r.current, 4),
            number(r.baseline, 4),
            r.effect.map_or("-".to_owned(), |e| format!("{e:+.4}")),
            r.margin,
            r.p_value,
            r.min_detectable,
            finding(r.finding),
        )?;
    }
    Ok(())
}

fn finding(finding: Finding) -> &'static str {
    match finding {
        Finding::Quiet => "",
        Finding::Small => "small",
        Finding::Suspect => "suspect",
        Finding::Drift => "DRIFT",
    }
}

fn parts(f: &mut fmt::Formatter<'_>, attribution: &Attribution) -> fmt::Result {
    writeln!(f, "\nnamed first: {}", attribution.statistic)?;
    let lists = [
        ("class", &attribution.classes),
        ("size", &attribution.size_bands),
        ("range", &attribution.range_bands),
        ("annotator", &attribution.annotators),
    ];
    for (what, list) in lists {
        for part in list.iter().take(3) {
            writeln!(
                f,
                "  {what:<10} {:<18} {:+.4} of the effect (now {}, before {}, n = {})",
                part.name,
                part.contribution,
                number(part.current, 4),
                number(part.baseline, 4),
                part.n
            )?;
        }
    }
    Ok(())
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".to_owned(), |v| format!("{v:.digits$}"))
}
