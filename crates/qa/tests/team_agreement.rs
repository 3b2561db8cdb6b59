//! Agreement of simulated teams.
#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap")]

use labelloop_core::Seed;
use labelloop_qa::{
    AgreementParams, AnnotatorModel, GoldenImage, Labelling, QaError, TeamAgreement, agreement,
    team_agreement,
};

#[path = "../examples/drift_power/simulate.rs"]
#[allow(dead_code, reason = "shared with the example, which uses more of it")]
mod simulate;

use simulate::{Golden, Labels};

const NAMES: [&str; 4] = ["ada", "bob", "cyd", "dan"];

fn quick() -> AgreementParams {
    AgreementParams { n_bootstrap: 100, ..AgreementParams::default() }
}

fn labelled(golden: &Golden, errors: &AnnotatorModel) -> Vec<Labels> {
    (0..4).map(|k| golden.annotate(errors, Seed::new(40 + k))).collect()
}

/// Everybody's labels of the images that `saw` says they saw.
fn team<'a>(
    golden: &'a Golden,
    labels: &'a [Labels],
    saw: impl Fn(usize, usize) -> bool,
) -> Vec<Labelling<'a>> {
    let mut all = Vec::new();
    for (p, rounds) in labels.iter().enumerate() {
        for (i, boxes) in rounds.iter().enumerate().filter(|(i, _)| saw(p, *i)) {
            let image = GoldenImage { id: &golden.ids[i], size: golden.size, boxes };
            all.push(Labelling { annotator: NAMES[p], image });
        }
    }
    all
}

fn of(golden: &Golden, labellings: &[Labelling<'_>]) -> TeamAgreement {
    team_agreement(labellings, &golden.schema, &quick()).unwrap()
}

#[test]
fn two_people_agree_as_two_rounds_do() {
    let golden = Golden::generate(40, Seed::new(1));
    let labels = labelled(&golden, &AnnotatorModel { swap: 0.1, ..AnnotatorModel::default() });
    let pair =
        agreement(&golden.round(&labels[0]), &golden.round(&labels[1]), &golden.schema, &quick()).unwrap();
    let both = of(&golden, &team(&golden, &labels[..2], |_, _| true));
    assert_eq!((both.n_units, both.pairs[0].n_matched), (pair.n_units, pair.n_matched));
    let close = |a: Option<f64>, b: Option<f64>| (a.unwrap() - b.unwrap()).abs() < 1e-12;
    assert!(close(both.alpha, pair.alpha) && close(both.class_kappa, pair.class_kappa));
    assert!(close(both.mean_iou, pair.mean_iou) && close(both.pairs[0].alpha, pair.alpha));
    for (a, b) in both.classes.iter().zip(&pair.classes) {
        assert!(close(a.cohens_kappa, b.kappa), "{a:?} {b:?}");
    }
}

#[test]
fn worse_people_agree_less_and_intervals_hold_the_estimate() {
    let golden = Golden::generate(60, Seed::new(2));
    let mut last = 1.1;
    for swap in [0.0, 0.1, 0.3] {
        let labels = labelled(&golden, &AnnotatorModel { swap, ..AnnotatorModel::default() });
        let a = of(&golden, &team(&golden, &labels, |_, _| true));
        let [low, high] = a.alpha_interval.unwrap();
        assert!(a.alpha.unwrap() < last && low <= a.alpha.unwrap() && a.alpha.unwrap() <= high);
        let [low, high] = a.fleiss_interval.unwrap();
        assert!(low <= a.fleiss_kappa.unwrap() && a.fleiss_kappa.unwrap() <= high);
        last = a.alpha.unwrap();
    }
}

#[test]
fn people_need_not_have_seen_the_same_images() {
    let golden = Golden::generate(120, Seed::new(3));
    let labels = labelled(&golden, &AnnotatorModel { swap: 0.1, ..AnnotatorModel::default() });
    let all = of(&golden, &team(&golden, &labels, |_, _| true));
    // Two of four people on every image, and a few images that one person had alone.
    let saw = |p: usize, i: usize| if i < 5 { p == 0 } else { p == i % 4 || p == (i / 4) % 4 };
    let some = of(&golden, &team(&golden, &labels, saw));
    assert!(5 <= some.n_alone && some.n_images + some.n_alone == 120);
    assert_eq!(some.pairs.len(), 6);
    let [low, high] = some.alpha_interval.unwrap();
    assert!((low - 0.03..=high + 0.03).contains(&all.alpha.unwrap()), "{some:?}");
}

#[test]
fn the_order_of_people_and_images_does_not_matter() {
    let golden = Golden::generate(20, Seed::new(4));
    let labels = labelled(&golden, &AnnotatorModel { swap: 0.2, miss: 0.2, ..AnnotatorModel::default() });
    let mut labellings = team(&golden, &labels, |_, _| true);
    let one = of(&golden, &labellings);
    labellings.reverse();
    assert_eq!(one, of(&golden, &labellings));
    let json = serde_json::to_string(&one).unwrap();
    assert_eq!(serde_json::from_str::<TeamAgreement>(&json).unwrap(), one);
}

#[test]
fn one_who_finds_nothing_disagrees_and_nobody_alone_agrees() {
    let golden = Golden::generate(10, Seed::new(5));
    let labels = [golden.truth.clone(), vec![Vec::new(); 10]];
    let a = of(&golden, &team(&golden, &labels, |_, _| true));
    assert!(a.alpha.unwrap() < 0.0 && a.mean_iou.is_none() && a.n_marked_by_all == 0);
    let alone = of(&golden, &team(&golden, &labels[..1], |_, _| true));
    assert_eq!((alone.n_images, alone.n_alone, alone.alpha, alone.alpha_interval), (0, 10, None, None));
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let golden = Golden::generate(2, Seed::new(6));
    let labels = [golden.truth.clone()];
    let mut labellings = team(&golden, &labels, |_, _| true);
    assert!(matches!(team_agreement(&[], &golden.schema, &quick()), Err(QaError::NoImages { .. })));
    labellings.push(labellings[0]);
    let twice = team_agreement(&labellings, &golden.schema, &quick());
    assert!(matches!(twice, Err(QaError::DuplicateImage { .. })));
    labellings[2].annotator = "bob";
    labellings[2].image.size = labelloop_core::ImageSize::new(7, 7).unwrap();
    let other_size = team_agreement(&labellings, &golden.schema, &quick());
    assert!(matches!(other_size, Err(QaError::SizeMismatch { .. })));
}
