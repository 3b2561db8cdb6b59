//! Control charts as their users see them: on histories of real golden checks, and on histories made by hand.
#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap")]

use labelloop_core::Seed;
use labelloop_qa::{
    AnnotatorModel, ChartKind, ChartParams, Direction, Finding, GoldenChart, GoldenParams, History,
    HistoryEntry, LabelTotals, PassReason, QaError, Statistic, StatisticResult, Verdict, golden_chart,
    golden_check,
};
use proptest::prelude::*;

#[path = "../examples/drift_power/simulate.rs"]
mod simulate;

use simulate::Golden;

fn fast() -> ChartParams {
    ChartParams { n_simulations: 1000, ..ChartParams::default() }
}

fn row(statistic: Statistic, current: f64, baseline: f64, sd_round: f64, margin: f64) -> StatisticResult {
    StatisticResult {
        statistic,
        current: Some(current),
        baseline: Some(baseline),
        effect: Some(current - baseline),
        interval: None,
        margin,
        z: 0.0,
        p_value: 1.0,
        min_detectable: 0.0,
        sd_round,
        finding: Finding::Quiet,
    }
}

/// A round with a log size and a share of missed objects, against three calibration rounds of 0 and .02.
fn entry(iteration: u64, log_size: f64, missed: f64) -> HistoryEntry {
    HistoryEntry {
        iteration,
        golden_version: "1".into(),
        label_digest: format!("labels {iteration} {log_size} {missed}"),
        reference_digest: "reference".into(),
        verdict: Verdict::Pass,
        p_value: Some(0.5),
        totals: LabelTotals { n_images: 100, n_labelled_images: 100, n_objects: 700, classes: vec![] },
        statistics: vec![
            row(Statistic::Missed, missed, 0.02, 0.005, 0.015),
            row(Statistic::LogSize, log_size, 0.0, 0.01, 0.01),
        ],
        calibration_digests: vec!["a".into(), "b".into(), "c".into()],
        n_golden: None,
        can_calibrate: None,
    }
}

fn of(entries: impl IntoIterator<Item = HistoryEntry>) -> GoldenChart {
    let mut history = History::default();
    for e in entries {
        history.upsert(e).unwrap();
    }
    golden_chart(&history, "1", &fast()).unwrap()
}

#[test]
fn a_history_worked_by_hand() {
    let chart = of([entry(0, 0.02, 0.02), entry(1, -0.01, 0.02), entry(2, 0.03, 0.02)]);
    // sd .01; round 0: mean 0 of 3; round 1: mean .02 / 4 = .005; round 2: mean .01 / 5 = .002.
    let size = |i: usize| chart.points[i].rows.iter().find(|r| r.statistic == Statistic::LogSize).unwrap();
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
    let w = [2.0 / (4f64 / 3.0).sqrt(), -1.5 / 1.25f64.sqrt(), 2.8 / 1.2f64.sqrt()];
    let (mut up, mut down) = (0.0f64, 0.0f64);
    for (i, w) in w.into_iter().enumerate() {
        close(size(i).w, w);
        // The margin is one deviation, so that k is the least of half a deviation.
        close(size(i).k, 0.5);
        (up, down) = ((up + w - 0.5).max(0.0), (down - w - 0.5).max(0.0));
        close(size(i).cusum_up, up);
        close(size(i).cusum_down.unwrap(), down);
        close(chart.points[i].t, w.abs());
        assert_eq!(chart.points[i].leading, Statistic::LogSize);
    }
    assert_eq!((chart.n_calibration, size(0).n_baseline, size(2).n_baseline), (3, 3.0, 5.0));
    let missed = &chart.points[0].rows[0];
    // Half of .015 in units of .005 sqrt(4 / 3).
    close(missed.k, 1.5 / (4f64 / 3.0).sqrt());
    assert_eq!((missed.w, missed.cusum_up, missed.cusum_down), (0.0, 0.0, None));
}

#[test]
fn a_slow_fall_is_seen_with_its_start_and_its_size() {
    let still = (0..4).map(|i| entry(i, 0.0, 0.02));
    let chart = of(still.chain((4..14).map(|i| entry(i, -0.025, 0.02))));
    let signal = chart.signals.iter().find(|s| s.chart == ChartKind::Cusum).unwrap();
    assert_eq!((signal.statistic, signal.direction), (Statistic::LogSize, Direction::Down));
    assert_eq!((signal.start_iteration, signal.margin), (4, 0.01));
    assert!((signal.mean_effect + 0.025).abs() < 1e-12 && signal.is_beyond_margin, "{signal:?}");
    assert!((5..9).contains(&signal.iteration), "{signal:?}");
    assert_eq!(chart.drift_of(signal.iteration), Some(signal));
    assert_eq!(chart.drift_of(3), None);
    assert!((1.0..3.0).contains(&signal.times_limit));
    let words = signal.to_string();
    assert!(words.starts_with("CUSUM: log_size down by -0.0250 since iteration 4 on average"), "{words}");
    // Drifted rounds were taken out of the baseline, so that the drift goes on being seen after the restart.
    let cusums = chart.signals.iter().filter(|s| s.chart == ChartKind::Cusum).count();
    assert!(2 <= cusums, "{chart}");
}

#[test]
fn a_sudden_jump_is_seen_at_once() {
    let chart = of([entry(0, 0.0, 0.02), entry(1, 0.09, 0.02)]);
    let signal = &chart.signals[0];
    assert_eq!((signal.chart, signal.iteration, signal.direction), (ChartKind::Shewhart, 1, Direction::Up));
    assert!((signal.mean_effect - 0.09).abs() < 1e-12 && signal.is_beyond_margin);
    assert_eq!(signal.to_string(), "T: log_size up by +0.0900 in iteration 1, beyond the margin of 0.01");
}

#[test]
fn one_round_alone_is_no_slow_drift_and_two_are() {
    let chart = of([entry(0, 0.0, 0.02), entry(1, 0.09, 0.02), entry(2, 0.09, 0.02), entry(3, 0.0, 0.02)]);
    let cusums: Vec<u64> =
        chart.signals.iter().filter(|s| s.chart == ChartKind::Cusum).map(|s| s.iteration).collect();
    assert_eq!(cusums, [1, 2]);
    let stopped: Vec<bool> = (0..4).map(|i| chart.drift_of(i).is_some()).collect();
    assert_eq!(stopped, [false, false, true, false]);
    assert!(chart.signals.is_sorted_by_key(|s| s.point_idx));
}

#[test]
fn fewer_objects_missed_are_no_drift() {
    let chart = of((0..10).map(|i| entry(i, 0.0, 0.0)));
    assert!(chart.signals.is_empty(), "{chart}");
}

#[test]
fn steady_rounds_far_from_the_reference_are_quiet() {
    // What the calibration rounds do is normal, however far from zero.
    let mut entries: Vec<HistoryEntry> = (0..10).map(|i| entry(i, 0.3, 0.02)).collect();
    entries.iter_mut().for_each(|e| e.statistics[1].baseline = Some(0.3));
    assert!(of(entries).signals.is_empty());
}

#[test]
fn failed_rounds_do_not_become_the_new_normal() {
    let failed = |i: u64| HistoryEntry { verdict: Verdict::Fail, ..entry(i, 0.02, 0.02) };
    let chart = of([failed(0), failed(1), entry(2, 0.0, 0.02)]);
    let last = &chart.points[2].rows[1];
    assert_eq!((last.baseline, last.n_baseline, last.w), (0.0, 3.0, 0.0));
}

#[test]
fn without_calibration_the_first_round_starts_the_baseline() {
    let alone = |i, size| HistoryEntry { calibration_digests: vec![], ..entry(i, size, 0.02) };
    let chart = of([alone(0, 0.01), alone(1, 0.02)]);
    assert_eq!((chart.points.len(), chart.points[0].iteration, chart.n_calibration), (1, 1, 0));
    assert_eq!(chart.passed_over[0].reason, PassReason::StartsBaseline);
    let size = &chart.points[0].rows[1];
    assert!((size.w - 1.0 / 2f64.sqrt()).abs() < 1e-12 && size.n_baseline == 1.0, "{size:?}");
    let one = of([alone(0, 0.01)]);
    assert_eq!((one.limits, one.points.len()), (None, 0));
}

#[test]
fn a_first_round_that_failed_is_no_measure_for_others() {
    let alone =
        |i, size, verdict| HistoryEntry { calibration_digests: vec![], verdict, ..entry(i, size, 0.02) };
    let chart =
        of([alone(0, 0.3, Verdict::Fail), alone(1, 0.01, Verdict::Pass), alone(2, 0.01, Verdict::Pass)]);
    let reasons: Vec<PassReason> = chart.passed_over.iter().map(|p| p.reason).collect();
    assert_eq!(reasons, [PassReason::FailedFirst, PassReason::StartsBaseline]);
    assert_eq!((chart.points.len(), chart.points[0].rows[1].baseline), (1, 0.01));
    assert!(chart.signals.is_empty());
}

#[test]
fn entries_that_are_no_rounds_are_passed_over_and_listed() {
    let untested = HistoryEntry { statistics: vec![], ..entry(0, 0.0, 0.02) };
    let copy = HistoryEntry { label_digest: "reference".into(), ..entry(1, 0.0, 0.0) };
    let mut old = entry(2, 0.0, 0.02);
    old.statistics.iter_mut().for_each(|r| r.sd_round = 0.0);
    let calibration = HistoryEntry { label_digest: "b".into(), ..entry(4, 0.0, 0.02) };
    let copied_part = HistoryEntry { verdict: Verdict::Inconclusive, ..entry(6, 0.0, 0.0) };
    let again = HistoryEntry { iteration: 5, ..entry(3, 0.01, 0.02) };
    let chart = of([untested, copy, old, entry(3, 0.01, 0.02), calibration, again, copied_part]);
    let reasons: Vec<_> = chart.passed_over.iter().map(|p| (p.iteration, p.reason)).collect();
    use PassReason::{AlreadyCounted, CopyOfReference, NoSpread, NoStatistics};
    let expected = [
        (0, NoStatistics),
        (1, CopyOfReference),
        (2, NoSpread),
        (4, AlreadyCounted),
        (5, AlreadyCounted),
        (6, CopyOfReference),
    ];
    assert_eq!(reasons, expected);
    assert_eq!(chart.points.len(), 1);
    for part in ["left out: iteration 2", "check the round again", "false alarm in 20 rounds"] {
        assert!(chart.to_string().contains(part), "{chart}");
    }
}

#[test]
fn what_was_not_measured_is_left_out_and_one_class_cannot_be_confused() {
    let mut gap = entry(1, 0.0, 0.02);
    gap.statistics[1].current = None;
    let chart = of([entry(0, 0.0, 0.02), gap, entry(2, 0.0, 0.02)]);
    assert_eq!(chart.points.iter().map(|p| p.rows.len()).collect::<Vec<_>>(), [2, 1, 2]);
    assert_eq!(chart.points[2].rows[1].n_baseline, 4.0);
    let mut nan = entry(1, 0.0, 0.02);
    nan.statistics[1].current = Some(f64::NAN);
    assert_eq!(of([entry(0, 0.0, 0.02), nan]).points[1].rows.len(), 1);
}

#[test]
fn versions_have_charts_of_their_own_and_unknown_ones_are_refused() {
    let mut history = History::default();
    history.upsert(entry(0, 0.05, 0.02)).unwrap();
    let other =
        HistoryEntry { golden_version: "2".into(), reference_digest: "other".into(), ..entry(1, 0.0, 0.02) };
    history.upsert(other).unwrap();
    let chart = golden_chart(&history, "2", &fast()).unwrap();
    assert_eq!((chart.points.len(), chart.points[0].rows[1].n_baseline), (1, 3.0));
    let error = golden_chart(&history, "3", &fast()).unwrap_err();
    assert_eq!(error.to_string(), "the history has no golden version 3: expected one of 1, 2");
    let nan = ChartParams { k: f64::NAN, ..fast() };
    assert!(matches!(golden_chart(&history, "1", &nan), Err(QaError::InvalidParam { name: "k", .. })));
}

#[test]
fn parts_of_a_golden_set_enter_as_differences_from_their_own_calibration() {
    // A part on which everybody draws boxes .3 too large: no drift there, and a drift of .05 beside it.
    let part = |i: u64, size: f64| {
        let mut e = HistoryEntry { n_golden: Some(300), ..entry(i, 0.3 + size, 0.02) };
        e.statistics[1].baseline = Some(0.3);
        e.statistics[1].effect = Some(size);
        e
    };
    let chart = of([entry(0, 0.0, 0.02), part(1, 0.0), part(2, 0.09)]);
    let signals: Vec<_> = chart.signals.iter().map(|s| (s.iteration, s.statistic)).collect();
    assert_eq!(signals[0], (2, Statistic::LogSize), "{chart}");
    let size = &chart.points[1].rows[1];
    assert_eq!((size.value, size.w), (0.0, 0.0));
    let uncalibrated = HistoryEntry { calibration_digests: vec![], ..part(3, 0.0) };
    let chart = of([entry(0, 0.0, 0.02), uncalibrated]);
    assert_eq!(chart.passed_over[0].reason, PassReason::NoCalibration);
}

#[test]
fn charts_survive_json() {
    let chart = of([entry(0, 0.0, 0.02), entry(1, 0.09, 0.02)]);
    let json = serde_json::to_string(&chart).unwrap();
    assert_eq!(serde_json::from_str::<GoldenChart>(&json).unwrap(), chart);
}

fn values() -> impl Strategy<Value = Vec<(f64, f64)>> {
    prop::collection::vec((-0.05f64..0.05, 0.0f64..0.08), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_order_of_upserts_and_reruns_change_nothing(v in values(), turn in 0usize..8) {
        let entries: Vec<HistoryEntry> = (0..).zip(&v).map(|(i, (s, m))| entry(i, *s, *m)).collect();
        let mut turned = entries.clone();
        turned.rotate_left(turn % v.len());
        turned.reverse();
        turned.extend(entries.clone());
        prop_assert_eq!(of(entries), of(turned));
    }

    #[test]
    fn later_rounds_change_nothing_before_them(v in values(), keep in 1usize..8) {
        let entries: Vec<HistoryEntry> = (0..).zip(&v).map(|(i, (s, m))| entry(i, *s, *m)).collect();
        let n = keep.min(v.len());
        let (short, long) = (of(entries[..n].to_vec()), of(entries));
        prop_assert_eq!(&short.points[..], &long.points[..n]);
        let until: Vec<_> = long.signals.iter().filter(|s| s.point_idx < n).cloned().collect();
        prop_assert_eq!(short.signals, until);
        prop_assert_eq!(short.limits, long.limits);
    }

    #[test]
    fn signals_are_above_their_limits_and_nothing_else_is(v in values()) {
        let chart = of((0..).zip(&v).map(|(i, (s, m))| entry(i, *s, *m)));
        let limits = chart.limits.unwrap();
        for (i, point) in chart.points.iter().enumerate() {
            let signals = |kind| chart.signals.iter().filter(|s| s.point_idx == i && s.chart == kind).count();
            prop_assert_eq!(signals(ChartKind::Shewhart), usize::from(limits.shewhart.value < point.t));
            let sides = point.rows.iter().flat_map(|r| [Some(r.cusum_up), r.cusum_down]).flatten();
            prop_assert_eq!(signals(ChartKind::Cusum), sides.filter(|s| limits.cusum.value < *s).count());
        }
    }
}

/// A history of real checks on simulated people.
fn real(n_quiet: u64, n_drifted: u64, errors: AnnotatorModel) -> GoldenChart {
    let golden = Golden::generate(60, Seed::new(3));
    let good: Vec<_> =
        (0..3).map(|k| golden.annotate(&AnnotatorModel::default(), Seed::new(100 + k))).collect();
    let calibration: Vec<_> = good.iter().map(|l| golden.round(l)).collect();
    let mut history = History::default();
    for iteration in 0..n_quiet + n_drifted {
        let errors = if iteration < n_quiet { AnnotatorModel::default() } else { errors };
        let current = golden.annotate(&errors, Seed::new(200 + iteration));
        let params = GoldenParams { n_permutations: 99, ..GoldenParams::default() };
        let report = golden_check(
            &golden.round(&golden.truth),
            &calibration,
            &golden.round(&current),
            &golden.schema,
            &params,
        );
        history.upsert(HistoryEntry::of(iteration, "1", &report.unwrap())).unwrap();
    }
    golden_chart(&history, "1", &fast()).unwrap()
}

#[test]
fn real_checks_make_quiet_charts_and_loud_ones() {
    let quiet = real(8, 0, AnnotatorModel::default());
    assert!(quiet.signals.is_empty() && quiet.points.len() == 8, "{quiet}");
    let swapped = real(3, 3, AnnotatorModel { swap: 0.06, ..AnnotatorModel::default() });
    let first = &swapped.signals[0];
    assert!((3..6).contains(&first.iteration) && first.statistic == Statistic::WrongClass, "{swapped}");
}

#[test]
fn threads_do_not_change_a_chart() {
    let run = |n| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| of([entry(0, 0.0, 0.02), entry(1, 0.03, 0.03)]))
    };
    assert_eq!(run(1), run(3));
}
