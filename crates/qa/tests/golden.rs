//! The golden check as its users see it.
#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap")]

use labelloop_core::{BBox, ClassIdx, ClassSchema, ImageSize, LabelledBox, SampleId, Seed};
use labelloop_qa::{
    AnnotatorModel, Design, GoldenImage, GoldenParams, GoldenReport, Note, QaError, Result, Statistic,
    Verdict, golden_check, label_digest,
};

#[path = "../examples/drift_power/simulate.rs"]
mod simulate;

use simulate::{Golden, Labels};

struct Case {
    golden: Golden,
    calibration: Vec<Labels>,
    current: Labels,
    params: GoldenParams,
}

impl Case {
    fn new(n_images: usize, n_calibration: u64, errors: AnnotatorModel) -> Self {
        let golden = Golden::generate(n_images, Seed::new(3));
        let calibration = (0..n_calibration)
            .map(|k| golden.annotate(&AnnotatorModel::default(), Seed::new(100 + k)))
            .collect();
        let current = golden.annotate(&errors, Seed::new(200));
        Self { golden, calibration, current, params: GoldenParams::default() }
    }

    fn check(&self) -> Result<GoldenReport> {
        let g = &self.golden;
        let calibration: Vec<_> = self.calibration.iter().map(|l| g.round(l)).collect();
        golden_check(&g.round(&g.truth), &calibration, &g.round(&self.current), &g.schema, &self.params)
    }

    fn report(&self) -> GoldenReport {
        self.check().unwrap()
    }
}

fn still() -> AnnotatorModel {
    AnnotatorModel::default()
}

#[test]
fn an_honest_round_of_a_large_enough_set_passes() {
    let report = Case::new(100, 3, still()).report();
    assert_eq!((report.verdict, &report.notes[..]), (Verdict::Pass, &[][..]), "{report}");
    assert_eq!(report.named(), None);
}

#[test]
fn every_drift_is_found_and_named() {
    let cases = [
        (AnnotatorModel { swap: 0.11, ..still() }, Statistic::WrongClass),
        (AnnotatorModel { scale: 0.95, ..still() }, Statistic::LogSize),
        (AnnotatorModel { scale: 1.05, ..still() }, Statistic::LogSize),
        (AnnotatorModel { spurious: 0.10, ..still() }, Statistic::Spurious),
        (AnnotatorModel { miss: 0.06, miss_small: 0.09, ..still() }, Statistic::Missed),
        (AnnotatorModel { miss_small: 0.25, ..still() }, Statistic::MissedSmall),
        (AnnotatorModel { empty: 0.06, ..still() }, Statistic::LeftEmpty),
        (AnnotatorModel { jitter: 0.06, ..still() }, Statistic::IouLoss),
    ];
    for (errors, statistic) in cases {
        let report = Case::new(100, 3, errors).report();
        assert_eq!((report.verdict, report.named()), (Verdict::Fail, Some(statistic)), "{report}");
        let row = report.statistic(statistic).unwrap();
        let [low, high] = row.interval.unwrap();
        assert!(low < row.effect.unwrap() && row.effect.unwrap() < high);
    }
    let shifted = Case::new(100, 3, AnnotatorModel { shift: 0.04, ..still() }).report();
    assert!(matches!(shifted.named(), Some(Statistic::ShiftX | Statistic::ShiftY)), "{shifted}");
}

#[test]
fn false_alarms_stay_near_the_level() {
    // 200 rounds; at a true rate of .05 more than 19 happen once in 250 tries.
    let n_fails = (0..200)
        .filter(|run| {
            let mut case = Case::new(40, 2, still());
            case.golden = Golden::generate(40, Seed::new(*run));
            case.calibration =
                (0..2).map(|k| case.golden.annotate(&still(), Seed::new(1000 + 10 * run + k))).collect();
            case.current = case.golden.annotate(&still(), Seed::new(9000 + run));
            case.params =
                GoldenParams { n_permutations: 199, seed: Seed::new(*run), ..GoldenParams::default() };
            case.report().p_value.is_some_and(|p| p <= 0.05)
        })
        .count();
    assert!(n_fails <= 19, "{n_fails} of 200");
}

#[test]
fn the_p_value_is_the_share_of_all_exchanges_that_are_at_least_as_extreme() {
    // Slow oracle for one calibration round: really swap the labels of each subset of images, and ask for the largest
    // standardised statistic each time.
    let mut case = Case::new(6, 1, AnnotatorModel { swap: 0.3, scale: 0.97, ..still() });
    let largest = |report: &GoldenReport| {
        let out = |s: Statistic, z: f64| if s.is_signed() { z.abs() } else { z };
        report.statistics.iter().map(|r| out(r.statistic, r.z)).fold(f64::MIN, f64::max)
    };
    case.params.n_permutations = 40_000;
    let observed = case.report();
    case.params.n_permutations = 19;
    let n_extreme = (0..64u32)
        .filter(|subset| {
            let mut swapped = Case {
                golden: Golden::generate(6, Seed::new(3)),
                params: case.params.clone(),
                ..Case::new(6, 1, still())
            };
            swapped.calibration = vec![case.calibration[0].clone()];
            swapped.current = case.current.clone();
            for i in (0..6).filter(|i| subset >> i & 1 == 1) {
                std::mem::swap(&mut swapped.current[i], &mut swapped.calibration[0][i]);
            }
            largest(&observed) - 1e-9 <= largest(&swapped.report())
        })
        .count();
    let exhaustive = n_extreme as f64 / 64.0;
    assert!((observed.p_value.unwrap() - exhaustive).abs() < 0.01, "{:?} {exhaustive}", observed.p_value);
}

#[test]
fn effects_are_the_plain_differences_of_rates() {
    let case = Case::new(50, 2, AnnotatorModel { miss: 0.1, miss_small: 0.1, ..still() });
    let report = case.report();
    let n: usize = case.golden.truth.iter().map(Vec::len).sum();
    let missed = |labels: &Labels| {
        let of_image = |(t, l): (&Vec<LabelledBox>, &Vec<LabelledBox>)| {
            labelloop_qa::match_boxes(t, l, 0.5).unmatched_reference.len()
        };
        case.golden.truth.iter().zip(labels).map(of_image).sum::<usize>() as f64 / n as f64
    };
    let before = case.calibration.iter().map(missed).sum::<f64>() / 2.0;
    let row = report.statistic(Statistic::Missed).unwrap();
    assert!((row.effect.unwrap() - (missed(&case.current) - before)).abs() < 1e-12);
    let parts: f64 = report.attribution.as_ref().unwrap().classes.iter().map(|p| p.contribution).sum();
    let named = report.statistic(report.named().unwrap()).unwrap();
    assert!((parts - named.effect.unwrap()).abs() < 1e-9, "contributions add up to the effect");
}

#[test]
fn a_small_set_cannot_pass_and_says_what_would_do() {
    let report = Case::new(8, 3, still()).report();
    assert_eq!(report.verdict, Verdict::Inconclusive, "{report}");
    let needed = report.notes.iter().find_map(|n| match n {
        Note::TooFewImages { images_needed, .. } => *images_needed,
        _ => None,
    });
    assert!(needed.is_some_and(|n| 8 < n), "{report}");
}

#[test]
fn one_calibration_round_is_not_enough_for_a_pass() {
    let report = Case::new(100, 1, still()).report();
    assert_eq!(report.verdict, Verdict::Inconclusive);
    assert!(report.notes.contains(&Note::OneCalibrationRound));
}

#[test]
fn without_calibration_drift_is_still_found_and_shaking_hands_are_not() {
    let honest = Case::new(100, 0, still()).report();
    assert_eq!(honest.design, Design::SignFlip);
    assert_ne!(honest.verdict, Verdict::Fail, "{honest}");
    for (errors, statistic) in [
        (AnnotatorModel { scale: 0.95, ..still() }, Statistic::LogSize),
        (AnnotatorModel { swap: 0.1, ..still() }, Statistic::WrongClass),
        (AnnotatorModel { miss: 0.1, miss_small: 0.1, ..still() }, Statistic::Missed),
    ] {
        let report = Case::new(100, 0, errors).report();
        assert_eq!((report.verdict, report.named()), (Verdict::Fail, Some(statistic)), "{report}");
    }
}

#[test]
fn copies_are_not_rounds() {
    let mut case = Case::new(100, 3, still());
    case.current = case.golden.truth.clone();
    let report = case.report();
    assert_eq!(report.verdict, Verdict::Inconclusive);
    assert!(report.notes.contains(&Note::CopyOfReference));

    let mut case = Case::new(100, 2, still());
    case.calibration[1] = case.golden.truth.clone();
    let report = case.report();
    assert_eq!(report.n_calibration, 1);
    assert!(report.notes.contains(&Note::CalibrationLeftOut { calibration_idx: 1 }));

    let mut case = Case::new(100, 3, still());
    case.current = case.calibration[2].clone();
    assert!(case.report().notes.contains(&Note::CopyOfCalibration { calibration_idx: 2 }));
}

#[test]
fn an_empty_round_fails_and_an_empty_reference_is_inconclusive() {
    let mut case = Case::new(30, 2, still());
    case.current = vec![Vec::new(); 30];
    let report = case.report();
    assert_eq!((report.verdict, report.named()), (Verdict::Fail, Some(Statistic::LeftEmpty)), "{report}");
    assert!(report.notes.contains(&Note::NotMeasured { statistic: Statistic::LogSize }));

    let mut case = Case::new(30, 2, still());
    case.golden.truth = vec![Vec::new(); 30];
    case.calibration = vec![vec![Vec::new(); 30]; 2];
    case.current = vec![Vec::new(); 30];
    let report = case.report();
    assert_eq!((report.verdict, report.p_value), (Verdict::Inconclusive, None));
    assert_eq!(report.notes, [Note::NoReferenceObjects]);
}

#[test]
fn one_class_can_pass() {
    let mut case = Case::new(100, 3, AnnotatorModel { swap: 0.0, ..still() });
    case.golden.schema = ClassSchema::new(["thing"]).unwrap();
    let one = |labels: &mut Labels| labels.iter_mut().flatten().for_each(|b| b.class = ClassIdx(0));
    one(&mut case.golden.truth);
    one(&mut case.current);
    case.calibration.iter_mut().for_each(one);
    let report = case.report();
    assert!(report.notes.contains(&Note::OneClass));
    assert_eq!(report.verdict, Verdict::Pass, "{report}");
}

#[test]
fn the_annotator_at_fault_comes_first() {
    let mut case = Case::new(100, 3, still());
    let careless = case.golden.annotate(&AnnotatorModel { swap: 0.4, ..still() }, Seed::new(9));
    for (i, labels) in case.current.iter_mut().enumerate() {
        if i % 5 == 0 {
            *labels = careless[i].clone();
        }
        let name = ["bea", "ann", "cay", "dan", "eve"][i % 5];
        labels.iter_mut().for_each(|b| b.annotator = Some(name.into()));
    }
    let report = case.report();
    assert_eq!(report.named(), Some(Statistic::WrongClass), "{report}");
    assert_eq!(report.attribution.unwrap().annotators[0].name, "bea");
}

#[test]
fn the_order_of_images_and_the_number_of_threads_do_not_matter() {
    let case = Case::new(40, 2, AnnotatorModel { scale: 0.98, ..still() });
    let report = case.report();
    let g = &case.golden;
    let calibration: Vec<_> = case.calibration.iter().map(|l| g.round(l)).collect();
    let mut current = g.round(&case.current);
    current.reverse();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let again = pool
        .install(|| golden_check(&g.round(&g.truth), &calibration, &current, &g.schema, &case.params))
        .unwrap();
    assert_eq!(serde_json::to_string(&report).unwrap(), serde_json::to_string(&again).unwrap());
}

#[test]
fn calibration_rounds_are_named_by_digest_and_copies_are_not_among_them() {
    let mut case = Case::new(30, 2, still());
    case.calibration.insert(1, case.golden.truth.clone());
    let report = case.report();
    let digest = |k: usize| label_digest(&case.golden.round(&case.calibration[k]));
    assert_eq!(report.calibration_digests, [digest(0), digest(2)]);
    let mut old = serde_json::to_value(&report).unwrap();
    old.as_object_mut().unwrap().remove("calibration_digests").unwrap();
    for row in old["statistics"].as_array_mut().unwrap() {
        row.as_object_mut().unwrap().remove("sd_round").unwrap();
    }
    let read: GoldenReport = serde_json::from_value(old).unwrap();
    assert!(read.calibration_digests.is_empty() && read.statistics.iter().all(|r| r.sd_round == 0.0));
}

#[test]
fn the_spread_of_one_round_is_what_rounds_differ_by() {
    // The sample deviation of 40 honest rounds has a relative error of about 11%.
    let case = Case::new(100, 3, still());
    let report = case.report();
    let rounds: Vec<GoldenReport> = (0..40)
        .map(|k| {
            let current = case.golden.annotate(&still(), Seed::new(1000 + k));
            let g = &case.golden;
            let params = GoldenParams { n_permutations: 19, ..case.params.clone() };
            golden_check(&g.round(&g.truth), &[], &g.round(&current), &g.schema, &params).unwrap()
        })
        .collect();
    for row in &report.statistics {
        let rates: Vec<f64> = rounds.iter().filter_map(|r| r.statistic(row.statistic)?.current).collect();
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        let sd = (rates.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 39.0).sqrt();
        if row.statistic == Statistic::LeftEmpty {
            continue; // Nobody leaves images empty here: the floor of one event stands.
        }
        assert!(
            (0.65..1.55).contains(&(row.sd_round / sd)),
            "{}: {} against {sd}",
            row.statistic,
            row.sd_round
        );
    }
}

#[test]
fn reports_survive_json_and_print_every_class() {
    let report = Case::new(40, 2, AnnotatorModel { empty: 0.2, ..still() }).report();
    let back: GoldenReport = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!(back.verdict, report.verdict);
    assert_eq!(back.current_digest, report.current_digest);
    let text = report.to_string();
    for wanted in ["FAIL", "car", "van", "cyclist", "sign", "per sample with labels", "left_empty", "margin"]
    {
        assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
    }
}

fn bad(change: fn(&mut Vec<GoldenImage<'_>>)) -> QaError {
    let case = Case::new(5, 1, still());
    let g = &case.golden;
    let mut current = g.round(&case.current);
    change(&mut current);
    golden_check(&g.round(&g.truth), &[g.round(&case.calibration[0])], &current, &g.schema, &case.params)
        .unwrap_err()
}

#[test]
fn rounds_of_other_images_are_refused_by_name() {
    let message = bad(|r| r.truncate(4)).to_string();
    assert_eq!(
        message,
        "the current round lacks 1 of the 5 reference samples, first golden-0004: expected all of them"
    );
    assert!(matches!(bad(|r| r.truncate(0)), QaError::NoImages { .. }));
    assert!(matches!(bad(|r| r.push(r[0])), QaError::DuplicateImage { .. }));
    assert!(matches!(
        bad(|r| r[2].size = ImageSize::new(8, 8).unwrap()),
        QaError::SizeMismatch { found: (8, 8), .. }
    ));
}

#[test]
fn extra_images_are_refused_by_name() {
    let case = Case::new(5, 0, still());
    let g = &case.golden;
    let id = SampleId::new("stranger").unwrap();
    let mut current = g.round(&case.current);
    current.push(GoldenImage { id: &id, size: g.size, boxes: &[] });
    let found = golden_check(&g.round(&g.truth), &[], &current, &g.schema, &case.params);
    assert!(matches!(found, Err(QaError::ExtraImages { extra, .. }) if extra == [id.clone()]));
}

#[test]
fn classes_beyond_the_schema_and_areas_that_are_none_are_refused() {
    let mut case = Case::new(5, 1, still());
    case.calibration[0][3].push(LabelledBox::new(ClassIdx(9), BBox::new(0.0, 0.0, 5.0, 5.0).unwrap()));
    assert!(matches!(case.check(), Err(QaError::ClassOutOfSchema { found: 9, n_classes: 4, .. })));
    let mut case = Case::new(5, 1, still());
    case.current[0].push(LabelledBox {
        area: Some(f64::NAN),
        ..LabelledBox::new(ClassIdx(0), BBox::new(0.0, 0.0, 5.0, 5.0).unwrap())
    });
    let message = case.check().unwrap_err().to_string();
    assert!(message.contains("states area NaN"), "{message}");
}

#[test]
fn parameters_are_checked_first() {
    let mut case = Case::new(5, 1, still());
    case.params.level = f64::NAN;
    assert!(matches!(case.check(), Err(QaError::InvalidParam { name: "level", .. })));
}
