//! Tables as Markdown, which a terminal shows as well as a page does.

use labelloop_loop::backtest::Curve;
use labelloop_loop::history::IterationRecord;

/// Iterations as a Markdown table; a number that does not exist is a dash.
pub fn convergence_table(records: &[IterationRecord]) -> String {
    let mut text = String::from(
        "| iteration | pictures | boxes | F1 [95%] | precision | recall | mAP | mAP50 | TP | FP | FN | F1 per 100 boxes [95%] | golden QA |\n\
         |--:|--:|--:|:--|--:|--:|--:|--:|--:|--:|--:|:--|:--|\n",
    );
    for r in records {
        let interval = r.f1_interval.map_or_else(String::new, |[l, u]| format!(" [{l:.3}, {u:.3}]"));
        text.push_str(&format!(
            "| {} | {} | {} | {}{interval} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
            r.iteration,
            r.n_images,
            r.n_boxes,
            number(r.f1),
            number(r.precision),
            number(r.recall),
            number(r.map),
            number(r.map50),
            r.tp,
            r.fp,
            r.fn_,
            gain_words(r),
            r.qa_verdict.as_deref().unwrap_or("-"),
        ));
    }
    text
}

/// This run beside other curves at the same number of pictures, as a Markdown table of mAP50.
pub fn curves_table(records: &[IterationRecord], baselines: &[Curve]) -> String {
    let mut text = String::from("| pictures | boxes | this run |");
    for c in baselines {
        text.push_str(&format!(" {} {} (boxes) |", c.policy, c.seed));
    }
    text.push_str("\n|--:|--:|--:|");
    text.push_str(&"--:|".repeat(baselines.len()));
    text.push('\n');
    for (i, r) in records.iter().enumerate() {
        text.push_str(&format!("| {} | {} | {} |", r.n_images, r.n_boxes, number(r.map50)));
        for c in baselines {
            let cell = c
                .points
                .get(i)
                .map_or_else(|| "-".to_owned(), |p| format!("{} ({})", number(p.map50), p.n_boxes));
            text.push_str(&format!(" {cell} |"));
        }
        text.push('\n');
    }
    text
}

/// F1 gained per 100 boxes with its interval; a dash where there is none.
pub(crate) fn gain_words(record: &IterationRecord) -> String {
    let Some(gain) = record.gain else { return "-".to_owned() };
    let interval = gain.interval.map_or_else(String::new, |[l, u]| format!(" [{l:+.3}, {u:+.3}]"));
    format!("{:+.3}{interval}", gain.per_100_boxes)
}

pub(crate) fn number(value: Option<f64>) -> String {
    value.filter(|v| v.is_finite()).map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"))
}

#[cfg(test)]
mod tests {
    use labelloop_loop::backtest::CurvePoint;
    use labelloop_loop::gain::Gain;

    use super::*;

    #[test]
    fn absent_numbers_are_dashes() {
        let table = convergence_table(&[IterationRecord::default()]);
        assert_eq!(table.lines().count(), 3);
        assert!(table.contains("| 0 | 0 | 0 | - |"), "{table}");
        assert_eq!(convergence_table(&[]).lines().count(), 2);
        assert_eq!(number(Some(f64::NAN)), "-");
    }

    #[test]
    fn the_gain_stands_with_its_interval() {
        let gain = Gain { per_100_boxes: 0.02, interval: Some([-0.01, 0.05]), n_rounds: 2 };
        let record = IterationRecord { gain: Some(gain), ..IterationRecord::default() };
        let table = convergence_table(std::slice::from_ref(&record));
        assert!(table.contains("| +0.020 [-0.010, +0.050] |"), "{table}");
        let columns: Vec<usize> = table.lines().map(|l| l.matches('|').count()).collect();
        assert_eq!(columns, [14, 14, 14]);
        assert_eq!(gain_words(&IterationRecord::default()), "-");
    }

    #[test]
    fn a_shorter_curve_leaves_cells_empty() {
        let records =
            [IterationRecord { map50: Some(0.5), ..IterationRecord::default() }, IterationRecord::default()];
        let point = CurvePoint { n_images: 1, n_boxes: 7, map: None, map50: Some(0.25), f1: None };
        let curve = Curve { policy: "random".to_owned(), seed: 3, points: vec![point] };
        let table = curves_table(&records, &[curve]);
        assert!(table.contains("0.250 (7)") && table.lines().last().unwrap().ends_with("| - |"), "{table}");
    }
}
