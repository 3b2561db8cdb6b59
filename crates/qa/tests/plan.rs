//! The plan as its users see it.
#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap")]

use labelloop_core::{BBox, ClassIdx, ClassSchema, ImageSize, LabelledBox, SampleId, Seed};
use labelloop_qa::{
    AnnotatorModel, GoldenImage, GoldenParams, GoldenPlan, LabelDrift, PlanParams, PlanSource, QaError,
    estimate_annotator, golden_plan,
};

fn quick() -> PlanParams {
    PlanParams {
        sizes: vec![10, 40, 100],
        n_runs: 40,
        golden: GoldenParams { n_permutations: 99, ..GoldenParams::default() },
        ..PlanParams::default()
    }
}

fn plan(params: &PlanParams) -> GoldenPlan {
    golden_plan(PlanSource::Generated, params).unwrap()
}

#[test]
fn power_grows_with_size_and_strength() {
    let drifts = vec![LabelDrift::Missed(0.05), LabelDrift::Missed(0.10)];
    let plan = plan(&PlanParams { drifts, ..quick() });
    let rates = |row: usize| plan.rows[row].cells.iter().map(|c| c.fail_rate).collect::<Vec<_>>();
    let (weak, strong) = (rates(0), rates(1));
    assert!(weak[0] < weak[2] && strong[0] < strong[2], "{plan}");
    assert!(weak[0] < strong[0] && weak[1] <= strong[1], "{plan}");
    assert!(0.9 < weak[2] && plan.rows[1].smallest.is_some(), "{plan}");
    assert_eq!(plan.smallest, plan.rows.iter().map(|r| r.smallest.unwrap()).max());
}

#[test]
fn honest_rounds_fail_as_often_as_the_level_allows_and_pass_once_the_set_is_large_enough() {
    let plan = plan(&PlanParams { drifts: vec![], ..quick() });
    for c in &plan.honest {
        assert!(c.n_fail <= 7, "{plan}");
        assert!(c.fail_interval[0] <= c.fail_rate && c.fail_rate <= c.fail_interval[1]);
        assert_eq!(c.n_fail + c.n_warn + c.n_inconclusive + c.n_pass, c.n_runs);
    }
    assert_eq!(plan.honest[0].n_pass, 0, "ten images could not have seen anything");
    assert!(25 < plan.honest[2].n_pass, "{plan}");
    assert!((plan.objects_per_image - 7.0).abs() < 0.5);
}

#[test]
fn what_is_never_found_needs_more_than_the_largest_size() {
    let plan = plan(&PlanParams { drifts: vec![LabelDrift::Spurious(0.001)], sizes: vec![10], ..quick() });
    assert_eq!((plan.rows[0].smallest, plan.smallest), (None, None));
    let words = plan.to_string();
    for part in ["spurious 0.1%", "more than 10", "no size tried", "false alarms", "nothing: PASS"] {
        assert!(words.contains(part), "{words}");
    }
}

#[test]
fn threads_do_not_change_a_plan_and_seeds_do() {
    let params = PlanParams { sizes: vec![10, 20], drifts: vec![LabelDrift::Swapped(0.05)], ..quick() };
    let run = |n| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| plan(&params))
    };
    assert_eq!(run(1), run(3));
    assert_ne!(plan(&PlanParams { seed: Seed::new(1), ..params.clone() }), run(1));
    let json = serde_json::to_string(&run(1)).unwrap();
    assert_eq!(serde_json::from_str::<GoldenPlan>(&json).unwrap(), run(1));
}

/// 40 images of one's own with 12 small objects each, and a careless round of them.
struct Own {
    ids: Vec<SampleId>,
    schema: ClassSchema,
    truth: Vec<Vec<LabelledBox>>,
}

impl Own {
    fn new() -> Self {
        let object = |k: u32| {
            let (x, y) = (f64::from(k % 4) * 150.0 + 20.0, f64::from(k / 4) * 150.0 + 20.0);
            LabelledBox::new(ClassIdx(k % 2), BBox::new(x, y, 40.0, 50.0).unwrap())
        };
        Self {
            ids: (0..40).map(|i| SampleId::new(format!("own{i}")).unwrap()).collect(),
            schema: ClassSchema::new(["bolt", "nut"]).unwrap(),
            truth: vec![(0..12).map(object).collect(); 40],
        }
    }

    fn images<'a>(&'a self, labels: &'a [Vec<LabelledBox>]) -> Vec<GoldenImage<'a>> {
        let size = ImageSize::new(640, 480).unwrap();
        self.ids.iter().zip(labels).map(|(id, boxes)| GoldenImage { id, size, boxes }).collect()
    }
}

#[test]
fn own_images_and_own_noise_make_a_plan_of_ones_own() {
    let own = Own::new();
    let reference = own.images(&own.truth);
    let careless = AnnotatorModel { swap: 0.08, ..AnnotatorModel::default() }.check().unwrap();
    let label = |k| -> Vec<Vec<LabelledBox>> {
        reference.iter().map(|i| careless.annotate(i, 2, Seed::new(k))).collect()
    };
    let rounds = [label(1), label(2), label(3)];
    let rounds: Vec<_> = rounds.iter().map(|l| own.images(l)).collect();
    let people = estimate_annotator(&reference, &rounds, &own.schema, &GoldenParams::default()).unwrap();
    assert!((people.swap - 0.08).abs() < 0.025, "{people:?}");
    let source = PlanSource::Own { reference: &reference, schema: &own.schema };
    let drifts = vec![LabelDrift::Swapped(0.05)];
    let careful = PlanParams { sizes: vec![20], drifts, ..quick() };
    let of_careful = golden_plan(source, &careful).unwrap();
    let of_careless = golden_plan(source, &PlanParams { people, ..careful }).unwrap();
    assert_eq!(of_careful.objects_per_image, 12.0);
    // The more often classes are confused anyway, the harder it is to see them being confused more often.
    assert!(of_careless.rows[0].cells[0].n_fail + 5 < of_careful.rows[0].cells[0].n_fail, "{of_careless}");
}

#[test]
fn bad_input_is_refused() {
    let own = Own::new();
    let reference = own.images(&own.truth);
    let narrow = ClassSchema::new(["bolt"]).unwrap();
    let source = PlanSource::Own { reference: &reference, schema: &narrow };
    assert!(matches!(golden_plan(source, &quick()), Err(QaError::ClassOutOfSchema { .. })));
    let params = PlanParams { power: f64::NAN, ..quick() };
    let found = golden_plan(PlanSource::Generated, &params);
    assert!(matches!(found, Err(QaError::InvalidParam { name: "power", .. })));
}
