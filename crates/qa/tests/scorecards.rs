//! Scorecards of simulated teams.
#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap")]

use labelloop_core::{LabelledBox, Seed};
use labelloop_qa::{
    AnnotatorModel, CardNote, GoldenImage, QaError, Review, ScorecardParams, Scorecards, Statistic,
    scorecards,
};

#[path = "../examples/drift_power/simulate.rs"]
#[allow(dead_code, reason = "shared with the example, which uses more of it")]
mod simulate;

use simulate::{Golden, Labels};

const TEAM: [&str; 8] = ["ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal"];

/// Golden pictures given out among eight people, of whom some err in their own way.
struct Team {
    golden: Golden,
    /// By round: who had each picture, and what came back.
    rounds: Vec<(Vec<usize>, Labels)>,
}

impl Team {
    /// Every picture goes to one person at random in each round.
    fn new(n_images: usize, n_rounds: u64, errors: impl Fn(usize) -> AnnotatorModel, seed: Seed) -> Self {
        let golden = Golden::generate(n_images, seed.stream("golden"));
        let rounds = (0..n_rounds)
            .map(|r| {
                let s = seed.stream("round").stream(&r.to_string());
                let who: Vec<usize> = (0..n_images).map(|i| s.below(i as u64, 8)).collect();
                let all: Vec<Labels> =
                    (0..8).map(|a| golden.annotate(&errors(a), s.stream("hand").stream(TEAM[a]))).collect();
                let labels = who.iter().enumerate().map(|(i, a)| all[*a][i].clone()).collect();
                (who, labels)
            })
            .collect();
        Self { golden, rounds }
    }

    fn reviews(&self) -> Vec<Review<'_>> {
        let names = ["1", "2", "3", "4", "5", "6"];
        let mut reviews = Vec::new();
        for (round, (who, labels)) in names.iter().zip(&self.rounds) {
            for (i, (a, boxes)) in who.iter().zip(labels).enumerate() {
                let image = |boxes| GoldenImage { id: &self.golden.ids[i], size: self.golden.size, boxes };
                reviews.push(Review {
                    round,
                    reference: image(&self.golden.truth[i]),
                    labelled: image(boxes),
                    annotator: Some(TEAM[*a]),
                });
            }
        }
        reviews
    }

    fn cards(&self, params: &ScorecardParams) -> Scorecards {
        scorecards(&self.reviews(), &self.golden.schema, params).unwrap()
    }
}

fn quick() -> ScorecardParams {
    ScorecardParams { n_permutations: 1_999, ..ScorecardParams::default() }
}

fn careless_eve(errors: AnnotatorModel) -> impl Fn(usize) -> AnnotatorModel {
    move |a| if a == 4 { errors } else { AnnotatorModel::default() }
}

#[test]
fn one_careless_person_of_eight_is_found_by_what_they_do() {
    let cases = [
        (AnnotatorModel { miss: 0.10, miss_small: 0.2, ..AnnotatorModel::default() }, Statistic::Missed),
        (AnnotatorModel { swap: 0.12, ..AnnotatorModel::default() }, Statistic::WrongClass),
        (AnnotatorModel { spurious: 0.20, ..AnnotatorModel::default() }, Statistic::Spurious),
        (AnnotatorModel { scale: 0.95, ..AnnotatorModel::default() }, Statistic::LogSize),
        (AnnotatorModel { shift: 0.04, ..AnnotatorModel::default() }, Statistic::ShiftX),
        (AnnotatorModel { jitter: 0.06, ..AnnotatorModel::default() }, Statistic::IouLoss),
    ];
    for (errors, statistic) in cases {
        // 100 golden pictures in three rounds: some 37 pictures for each person.
        let found: Vec<bool> = (0..10)
            .map(|run| {
                let cards = Team::new(100, 3, careless_eve(errors), Seed::new(run)).cards(&quick());
                cards.flagged().any(|(c, f)| c.annotator == "eve" && f.statistic == statistic)
            })
            .collect();
        let n = found.iter().filter(|f| **f).count();
        assert!(9 <= n, "{statistic}: found in {n} of 10");
    }
}

#[test]
fn an_honest_team_is_left_alone_and_few_flags_are_false() {
    // With nobody careless every flag is false; with Eve careless, those on others are.
    let (mut honest, mut share, mut n_found) = (0, 0.0, 0);
    let n_runs = 100;
    for run in 0..n_runs {
        let team = Team::new(100, 2, |_| AnnotatorModel::default(), Seed::new(1000 + run));
        honest += usize::from(0 < team.cards(&quick()).flagged().count());
        let eve = AnnotatorModel { miss: 0.12, miss_small: 0.25, scale: 0.97, ..AnnotatorModel::default() };
        let cards = Team::new(100, 2, careless_eve(eve), Seed::new(2000 + run)).cards(&quick());
        let on_eve = cards.flagged().filter(|(c, _)| c.annotator == "eve").count();
        let n_flags = cards.flagged().count();
        share += (n_flags - on_eve) as f64 / n_flags.max(1) as f64 / n_runs as f64;
        n_found += usize::from(0 < on_eve);
    }
    // At a true rate of .05 more than 11 of 100 happen once in 240 tries.
    assert!(honest <= 11, "{honest} honest teams of {n_runs} with a flag");
    assert!(share <= 0.08, "share of false flags {share}");
    assert!(90 <= n_found, "Eve was found in {n_found} of {n_runs}");
    println!("honest teams with a flag {honest} of {n_runs}, false share {share:.3}, found {n_found}");
}

#[test]
fn p_values_of_honest_people_are_no_smaller_than_chance_has_them() {
    let mut all = Vec::new();
    for run in 0..40 {
        let team = Team::new(50, 2, |_| AnnotatorModel::default(), Seed::new(5000 + run));
        let cards = team.cards(&ScorecardParams { n_permutations: 499, ..ScorecardParams::default() });
        all.extend(cards.cards.iter().flat_map(|c| c.figures.iter().filter_map(|f| f.p_value)));
    }
    for level in [0.01, 0.05, 0.2] {
        let share = all.iter().filter(|p| **p <= level).count() as f64 / all.len() as f64;
        assert!(share <= level + 0.02, "{share} of {} p-values up to {level}", all.len());
    }
}

#[test]
fn few_pictures_are_drawn_to_the_team_without_a_flag() {
    let team = Team::new(80, 1, |_| AnnotatorModel::default(), Seed::new(7));
    let mut reviews = team.reviews();
    // A newcomer misses everything in two pictures.
    let nothing: [LabelledBox; 0] = [];
    for review in &mut reviews[..2] {
        review.annotator = Some("new");
        review.labelled.boxes = &nothing;
    }
    let cards = scorecards(&reviews, &team.golden.schema, &quick()).unwrap();
    let card = cards.cards.iter().find(|c| c.annotator == "new").unwrap();
    assert_eq!(card.note, Some(CardNote::FewImages { found: 2, expected: 10 }));
    assert_eq!(
        (card.figures[0].raw, card.figures[0].p_value, card.figures[0].is_flagged),
        (Some(1.0), None, false)
    );
    assert!(card.figures[0].shrunk < 1.0);
    assert_eq!(card.figures[3].interval, None, "no box was matched, so there are no lengths");
    assert!(cards.to_string().contains("not tested: 2 pictures, of 10 that it takes"));
}

#[test]
fn hard_pictures_that_everybody_saw_are_no_fault_of_whoever_saw_most_of_them() {
    // Eve alone had the hard pictures in round 1; in round 2 the others fail on them just as well.
    let mut team = Team::new(60, 2, |_| AnnotatorModel::default(), Seed::new(11));
    for (round, (who, labels)) in team.rounds.iter_mut().enumerate() {
        for i in 0..30 {
            who[i] = if round == 0 { 4 } else { [0, 1, 2, 3, 5, 6, 7][i % 7] };
            let n = labels[i].len().div_ceil(2);
            labels[i].truncate(n);
        }
    }
    let cards = team.cards(&quick());
    let missed = cards.cards.iter().find(|c| c.annotator == "eve").unwrap().figures[0];
    assert!(!missed.is_flagged && 0.1 < missed.raw.unwrap(), "{missed:?}");
    assert!(30 <= cards.n_shared);
}

#[test]
fn neither_order_nor_threads_change_a_card() {
    let team = Team::new(
        40,
        2,
        careless_eve(AnnotatorModel { swap: 0.2, ..AnnotatorModel::default() }),
        Seed::new(3),
    );
    let cards = team.cards(&quick());
    let mut turned = team.reviews();
    turned.reverse();
    let again = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let again = again.install(|| scorecards(&turned, &team.golden.schema, &quick()).unwrap());
    assert_eq!(cards, again);
    let json = serde_json::to_string(&cards).unwrap();
    assert_eq!(serde_json::from_str::<Scorecards>(&json).unwrap(), cards);
}

#[test]
fn boxes_count_for_who_drew_them_and_the_rest_for_who_answered() {
    let team = Team::new(
        10,
        1,
        |_| AnnotatorModel { miss: 0.0, miss_small: 0.0, ..AnnotatorModel::default() },
        Seed::new(5),
    );
    let mut labels: Labels = team.rounds[0].1.clone();
    for boxes in &mut labels {
        boxes.iter_mut().for_each(|b| b.annotator = Some("drew".to_owned()));
        boxes.pop();
    }
    let mut reviews = team.reviews();
    for (review, boxes) in reviews.iter_mut().zip(&labels) {
        (review.annotator, review.labelled.boxes) = (Some("answers"), boxes);
    }
    let cards = scorecards(&reviews, &team.golden.schema, &quick()).unwrap();
    let missed = |name: &str| cards.cards.iter().find(|c| c.annotator == name).unwrap().figures[0].value;
    assert!(0.0 < missed("answers") && missed("drew") == 0.0);
    // Nobody is named for the pictures: who drew most of their boxes answers for them.
    reviews.iter_mut().for_each(|r| r.annotator = None);
    let cards = scorecards(&reviews, &team.golden.schema, &quick()).unwrap();
    assert_eq!((cards.cards.len(), cards.cards[0].annotator.as_str()), (1, "drew"));
    assert_eq!(cards.cards[0].note, Some(CardNote::Alone));
}

#[test]
fn what_cannot_be_compared_is_refused_and_the_unsigned_are_counted() {
    let team = Team::new(4, 1, |_| AnnotatorModel::default(), Seed::new(9));
    let schema = &team.golden.schema;
    assert!(matches!(scorecards(&[], schema, &quick()), Err(QaError::NoImages { .. })));
    let mut reviews = team.reviews();
    reviews.push(reviews[0]);
    assert!(matches!(scorecards(&reviews, schema, &quick()), Err(QaError::DuplicateImage { .. })));
    let mut reviews = team.reviews();
    reviews[0].labelled.id = reviews[1].labelled.id;
    assert!(matches!(scorecards(&reviews, schema, &quick()), Err(QaError::MissingImages { .. })));
    let mut reviews = team.reviews();
    reviews.iter_mut().for_each(|r| r.annotator = None);
    let cards = scorecards(&reviews, schema, &quick()).unwrap();
    assert_eq!((cards.n_unsigned, cards.n_images, cards.cards.len()), (4, 0, 0));
}
