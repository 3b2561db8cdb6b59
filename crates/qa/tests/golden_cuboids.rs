//! The golden check of point clouds as its users see it.
#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap")]

use labelloop_core::{ClassIdx, SampleId, Seed, SliceKind};
use labelloop_qa::{
    CuboidGoldenParams, Design, GoldenReport, GoldenScan, History, HistoryEntry, LabelTotals, Note, QaError,
    Result, Statistic, Verdict, golden_check_cuboids,
};

#[path = "../examples/drift_power/simulate_scans.rs"]
mod simulate_scans;

use simulate_scans::{GoldenScans, ScanErrors, ScanLabels};

struct Case {
    golden: GoldenScans,
    calibration: Vec<ScanLabels>,
    current: ScanLabels,
    params: CuboidGoldenParams,
}

impl Case {
    fn new(n_scans: usize, n_calibration: u64, errors: ScanErrors) -> Self {
        let golden = GoldenScans::generate(n_scans, Seed::new(3));
        let calibration = (0..n_calibration).map(|k| golden.annotate(&still(), Seed::new(100 + k))).collect();
        let current = golden.annotate(&errors, Seed::new(200));
        Self { golden, calibration, current, params: CuboidGoldenParams::default() }
    }

    fn check(&self) -> Result<GoldenReport> {
        let g = &self.golden;
        let calibration: Vec<_> = self.calibration.iter().map(|l| g.round(l)).collect();
        golden_check_cuboids(
            &g.round(&g.truth),
            &calibration,
            &g.round(&self.current),
            &g.schema,
            &self.params,
        )
    }

    fn report(&self) -> GoldenReport {
        self.check().unwrap()
    }
}

fn still() -> ScanErrors {
    ScanErrors::default()
}

#[test]
fn an_honest_round_of_enough_scans_passes() {
    let report = Case::new(120, 3, still()).report();
    assert_eq!((report.verdict, &report.notes[..]), (Verdict::Pass, &[][..]), "{report}");
    assert_eq!((report.named(), report.kind), (None, SliceKind::PointCloud));
    assert_eq!(report.statistics.len(), Statistic::CUBOIDS.len());
}

#[test]
fn every_drift_is_found_and_named() {
    let cases = [
        (ScanErrors { swap: 0.10, ..still() }, Statistic::WrongClass),
        (ScanErrors { miss: 0.08, ..still() }, Statistic::Missed),
        (ScanErrors { spurious: 0.12, ..still() }, Statistic::Spurious),
        (ScanErrors { flip: 0.08, ..still() }, Statistic::Flipped),
        (ScanErrors { scale: 0.92, ..still() }, Statistic::LogSize),
        (ScanErrors { scale: 1.08, ..still() }, Statistic::LogSize),
        (ScanErrors { shift: [0.15, 0.0, 0.0], ..still() }, Statistic::ShiftX),
        (ScanErrors { shift: [0.0, -0.15, 0.0], ..still() }, Statistic::ShiftY),
        (ScanErrors { shift: [0.0, 0.0, 0.12], ..still() }, Statistic::ShiftZ),
        (ScanErrors { along: 0.15, ..still() }, Statistic::ShiftAlong),
        (ScanErrors { turn: 0.06, ..still() }, Statistic::Yaw),
        (ScanErrors { empty: 0.08, ..still() }, Statistic::LeftEmpty),
    ];
    for (errors, statistic) in cases {
        let report = Case::new(120, 3, errors).report();
        assert_eq!((report.verdict, report.named()), (Verdict::Fail, Some(statistic)), "{report}");
        let row = report.statistic(statistic).unwrap();
        let [low, high] = row.interval.unwrap();
        assert!(low < row.effect.unwrap() && row.effect.unwrap() < high);
    }
    let shaky = Case::new(120, 3, ScanErrors { shake: 2.0, ..still() }).report();
    assert_eq!(shaky.verdict, Verdict::Fail, "{shaky}");
    let unsigned = [Statistic::Distance, Statistic::SizeLoss, Statistic::YawError];
    assert!(shaky.named().is_some_and(|s| unsigned.contains(&s)), "{shaky}");
}

#[test]
fn effects_are_in_metres_and_radians() {
    let effect = |errors, s| Case::new(120, 3, errors).report().statistic(s).unwrap().effect.unwrap();
    assert!((effect(ScanErrors { shift: [0.2, 0.0, 0.0], ..still() }, Statistic::ShiftX) - 0.2).abs() < 0.02);
    assert!((effect(ScanErrors { turn: -0.1, ..still() }, Statistic::Yaw) + 0.1).abs() < 0.01);
    assert!((effect(ScanErrors { scale: 1.1, ..still() }, Statistic::LogSize) - 1.1f64.ln()).abs() < 0.01);
}

#[test]
fn false_alarms_stay_near_the_level() {
    // 200 rounds; at a true rate of .05 more than 19 happen once in 250 tries.
    let n_fails = (0..200)
        .filter(|run| {
            let mut case = Case::new(30, 2, still());
            case.golden = GoldenScans::generate(30, Seed::new(*run));
            case.calibration =
                (0..2).map(|k| case.golden.annotate(&still(), Seed::new(1000 + 10 * run + k))).collect();
            case.current = case.golden.annotate(&still(), Seed::new(9000 + run));
            case.params.n_permutations = 199;
            case.params.seed = Seed::new(*run);
            case.report().p_value.is_some_and(|p| p <= 0.05)
        })
        .count();
    assert!(n_fails <= 19, "{n_fails} of 200");
}

#[test]
fn the_p_value_is_the_share_of_all_exchanges_that_are_at_least_as_extreme() {
    // Slow oracle for one calibration round: really swap the labels of each subset of scans, and ask for the largest
    // standardised statistic each time.
    let mut case = Case::new(6, 1, ScanErrors { turn: 0.02, scale: 0.97, ..still() });
    let largest = |report: &GoldenReport| {
        let out = |s: Statistic, z: f64| if s.is_signed() { z.abs() } else { z };
        report.statistics.iter().map(|r| out(r.statistic, r.z)).fold(f64::MIN, f64::max)
    };
    case.params.n_permutations = 40_000;
    let observed = case.report();
    case.params.n_permutations = 19;
    let (calibration, current) = (case.calibration[0].clone(), case.current.clone());
    let n_extreme = (0..64u32)
        .filter(|subset| {
            (case.calibration[0], case.current) = (calibration.clone(), current.clone());
            for i in (0..6).filter(|i| subset >> i & 1 == 1) {
                std::mem::swap(&mut case.current[i], &mut case.calibration[0][i]);
            }
            largest(&observed) - 1e-9 <= largest(&case.report())
        })
        .count();
    let exhaustive = n_extreme as f64 / 64.0;
    assert!((observed.p_value.unwrap() - exhaustive).abs() < 0.01, "{:?} {exhaustive}", observed.p_value);
}

#[test]
fn too_few_scans_cannot_pass_and_say_what_would_do() {
    let report = Case::new(6, 3, still()).report();
    assert_eq!(report.verdict, Verdict::Inconclusive, "{report}");
    let needed = report.notes.iter().find_map(|n| match n {
        Note::TooFewImages { images_needed, .. } => *images_needed,
        _ => None,
    });
    assert!(needed.is_some_and(|n| 6 < n), "{report}");
}

#[test]
fn without_calibration_drift_is_still_found_and_shaking_hands_are_not() {
    let honest = Case::new(120, 0, still()).report();
    assert_eq!(honest.design, Design::SignFlip);
    assert_ne!(honest.verdict, Verdict::Fail, "{honest}");
    for (errors, statistic) in [
        (ScanErrors { scale: 0.92, ..still() }, Statistic::LogSize),
        (ScanErrors { turn: 0.06, ..still() }, Statistic::Yaw),
        (ScanErrors { shift: [0.0, 0.0, -0.12], ..still() }, Statistic::ShiftZ),
    ] {
        let report = Case::new(120, 0, errors).report();
        assert_eq!((report.verdict, report.named()), (Verdict::Fail, Some(statistic)), "{report}");
    }
}

#[test]
fn copies_are_not_rounds() {
    let mut case = Case::new(60, 3, still());
    case.current = case.golden.truth.clone();
    let report = case.report();
    assert_eq!(report.verdict, Verdict::Inconclusive);
    assert!(report.notes.contains(&Note::CopyOfReference));
}

#[test]
fn an_empty_round_fails_and_an_empty_reference_is_inconclusive() {
    let mut case = Case::new(30, 2, still());
    case.current = vec![Vec::new(); 30];
    let report = case.report();
    assert_eq!((report.verdict, report.named()), (Verdict::Fail, Some(Statistic::LeftEmpty)), "{report}");
    assert!(report.notes.contains(&Note::NotMeasured { statistic: Statistic::Yaw }));
    case.golden.truth = vec![Vec::new(); 30];
    case.calibration.clear();
    assert_eq!(case.report().notes, [Note::NoReferenceObjects]);
}

#[test]
fn the_drift_is_put_down_to_class_range_and_annotator() {
    let mut case = Case::new(120, 3, still());
    for (i, labels) in case.current.iter_mut().enumerate() {
        for (c, name) in labels.iter_mut().zip(["ann"; 99]) {
            c.annotator = Some(if i % 4 == 0 { "bea" } else { name }.to_owned());
            let [x, y, _] = c.cuboid.centre();
            if i % 4 == 0 && 50.0 <= x.hypot(y) {
                c.class = ClassIdx((c.class.0 + 1) % 3);
            }
        }
    }
    let attribution = case.report().attribution.unwrap();
    assert_eq!(attribution.statistic, Statistic::WrongClass);
    assert_eq!(attribution.annotators[0].name, "bea");
    assert_eq!(attribution.range_bands[0].name, "far");
    assert!(attribution.size_bands.is_empty());
}

#[test]
fn the_order_of_scans_and_the_number_of_threads_do_not_matter() {
    let case = Case::new(40, 2, ScanErrors { scale: 0.98, ..still() });
    let report = case.report();
    let g = &case.golden;
    let calibration: Vec<_> = case.calibration.iter().map(|l| g.round(l)).collect();
    let mut current = g.round(&case.current);
    current.reverse();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let again = pool
        .install(|| golden_check_cuboids(&g.round(&g.truth), &calibration, &current, &g.schema, &case.params))
        .unwrap();
    assert_eq!(serde_json::to_string(&report).unwrap(), serde_json::to_string(&again).unwrap());
}

#[test]
fn reports_survive_json_go_into_a_history_and_say_scans() {
    let case = Case::new(40, 2, ScanErrors { turn: 0.1, ..still() });
    let report = case.report();
    let back: GoldenReport = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!((back.verdict, back.kind), (report.verdict, SliceKind::PointCloud));
    assert_eq!(LabelTotals::of_scans(&case.golden.round(&case.current), &case.golden.schema), report.current);
    History::default().upsert(HistoryEntry::of(0, "v1", &report)).unwrap();
    let text = report.to_string();
    for wanted in ["FAIL", "40 scans", "truck", "yaw_error", "range", "shift_along"] {
        assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
    }
}

#[test]
fn rounds_of_other_scans_and_classes_beyond_the_schema_are_refused() {
    let case = Case::new(5, 0, still());
    let g = &case.golden;
    let check = |current: &[GoldenScan<'_>]| {
        golden_check_cuboids(&g.round(&g.truth), &[], current, &g.schema, &case.params).unwrap_err()
    };
    let mut round = g.round(&case.current);
    round.pop();
    assert!(matches!(check(&round), QaError::MissingImages { n_expected: 5, .. }));
    let id = SampleId::new("stranger").unwrap();
    round = g.round(&case.current);
    round.push(GoldenScan { id: &id, cuboids: &[] });
    assert!(matches!(check(&round), QaError::ExtraImages { .. }));
    assert!(matches!(check(&[]), QaError::NoImages { .. }));
    let mut case = Case::new(5, 0, still());
    case.current[0][0].class = ClassIdx(9);
    assert!(matches!(case.check(), Err(QaError::ClassOutOfSchema { found: 9, n_classes: 3, .. })));
    case.params.match_distance = f64::NAN;
    assert!(matches!(case.check(), Err(QaError::InvalidParam { name: "match_distance", .. })));
}
