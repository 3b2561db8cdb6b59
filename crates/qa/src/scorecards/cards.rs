use std::collections::BTreeMap;

use labelloop_core::ClassSchema;
use serde::{Deserialize, Serialize};

use super::compare::{n_shared, p_values};
use super::shares::{LIST, N, Share, shares};
use super::shrink::{Team, fit};
use super::{ScorecardParams, ScorecardValidParams, benjamini_hochberg};
use crate::golden::Cell;
use crate::{GoldenImage, QaError, Result, Statistic};

/// One golden picture as it was labelled in one round, beside its reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Review<'a> {
    /// Which round: the same person may see a picture again in another one.
    pub round: &'a str,
    /// The picture with its reference labels.
    pub reference: GoldenImage<'a>,
    /// The same picture as labelled.
    pub labelled: GoldenImage<'a>,
    /// Who answered for the picture, and so for what is not there; `None`: who drew most of its boxes.
    pub annotator: Option<&'a str>,
}

/// How each person labels, beside the team.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scorecards {
    /// Pictures that anybody answered for.
    pub n_images: usize,
    /// Those that several people answered for; they are compared within themselves.
    pub n_shared: usize,
    /// Pictures of rounds that nobody answers for, which are on no card.
    pub n_unsigned: usize,
    /// The share of flags that may be false, on average.
    pub fdr: f64,
    /// The team, in the order of the figures on every card.
    pub team: Vec<TeamFigure>,
    /// One card per person, in the order of names.
    pub cards: Vec<Scorecard>,
}

/// One statistic over the team.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TeamFigure {
    /// What is counted or measured.
    pub statistic: Statistic,
    /// Mean over all objects.
    pub mean: f64,
    /// Standard deviation between people, by moments; 0 where people differ no more than chance has it.
    pub between_sd: f64,
}

/// One person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scorecard {
    /// Who.
    pub annotator: String,
    /// Pictures answered for, one that came again counting again.
    pub n_images: usize,
    /// Reference objects answered for.
    pub n_objects: usize,
    /// Why the person is not tested, where that is so.
    pub note: Option<CardNote>,
    /// One figure per statistic.
    pub figures: Vec<ScoreFigure>,
}

/// Why somebody is not tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[non_exhaustive]
pub enum CardNote {
    /// Too little work to tell the person from the team.
    FewImages {
        /// Pictures answered for.
        found: usize,
        /// Pictures it takes.
        expected: usize,
    },
    /// There is nobody to be compared with.
    Alone,
}

/// One statistic of one person.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScoreFigure {
    /// What is counted or measured.
    pub statistic: Statistic,
    /// Events, or the sum of lengths.
    pub value: f64,
    /// Objects it is spread over.
    pub exposure: f64,
    /// Value by exposure.
    pub raw: Option<f64>,
    /// The same, drawn towards the team's mean as far as it is uncertain.
    pub shrunk: f64,
    /// Interval of the true figure.
    pub interval: Option<[f64; 2]>,
    /// How often chance makes one person look this much worse than the rest; none where nobody was tested or nothing
    /// varies.
    pub p_value: Option<f64>,
    /// The p-value adjusted for all people and statistics.
    pub q_value: Option<f64>,
    /// Worse than the rest, and by more than the margin.
    pub is_flagged: bool,
}

/// A card for each person: what was missed, spurious, of the wrong class, too large or small, loose and shifted.
///
/// Objects are matched to the reference as in [`golden_check`](crate::golden_check) and count for who drew the box; what
/// nobody drew counts for who answered for the picture.
///
/// **Figures** are shrunk: somebody with ten objects and one miss does not miss ten percent. Parametric empirical Bayes
/// (Morris 1983) with the variance between people by moments (DerSimonian and Laird 1986) and that within people from
/// whole pictures, since the objects of one picture are not independent; intervals are beta for shares, gamma for spurious
/// boxes per object, normal for lengths. It takes a team of four or more to shrink anything.
///
/// **Tests** ask of every person and statistic: worse than the rest? Names are exchanged among pictures, whole pictures at
/// a time. Where several people answered for a picture, within that picture only; the others are exchanged among each
/// other, which is fair when work was given out without regard to how hard it is. Size and shift are tested both ways, and
/// worse is further from the reference. The p-values of all people and statistics are adjusted together by
/// [`benjamini_hochberg`]. A flag says: adjusted p-value at most `fdr`, and the shrunk figure worse than the team's by more
/// than its margin.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, ClassSchema, ImageSize, LabelledBox, SampleId};
/// use labelloop_qa::{GoldenImage, Review, ScorecardParams, Statistic, scorecards};
///
/// // 40 pictures of four objects; Eve overlooks the last one everywhere, Ada, Bob and Cyd do not.
/// let size = ImageSize::new(400, 100)?;
/// let place = |i: u32| LabelledBox::new(ClassIdx(0), BBox::new(f64::from(i) * 90.0, 10.0, 40.0, 40.0).unwrap());
/// let truth: Vec<LabelledBox> = (0..4).map(place).collect();
/// let ids: Vec<SampleId> = (0..40).map(|i| SampleId::new(format!("{i:02}"))).collect::<Result<_, _>>()?;
/// let reviews: Vec<Review<'_>> = ids.iter().enumerate().map(|(i, id)| {
///     let annotator = ["Ada", "Bob", "Cyd", "Eve"][i % 4];
///     let boxes = if annotator == "Eve" { &truth[..3] } else { &truth[..] };
///     let image = |boxes| GoldenImage { id, size, boxes };
///     Review { round: "1", reference: image(&truth), labelled: image(boxes), annotator: Some(annotator) }
/// }).collect();
///
/// let cards = scorecards(&reviews, &ClassSchema::new(["car"])?, &ScorecardParams::default())?;
/// let flags: Vec<_> = cards.flagged().map(|(card, figure)| (card.annotator.as_str(), figure.statistic)).collect();
/// assert_eq!(flags, [("Eve", Statistic::Missed)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// O(reviews x permutations).
///
/// # Errors
/// [`QaError`] for parameters out of range, no reviews at all, a review whose two sides are not the same picture, the same
/// picture twice for one person in one round, classes beyond the schema and areas that are none.
pub fn scorecards(
    reviews: &[Review<'_>],
    schema: &ClassSchema,
    params: &ScorecardParams,
) -> Result<Scorecards> {
    params.check()?.scorecards(reviews, schema)
}

impl Scorecards {
    /// What is flagged, in the order of names and figures.
    pub fn flagged(&self) -> impl Iterator<Item = (&Scorecard, &ScoreFigure)> {
        self.cards.iter().flat_map(|c| c.figures.iter().filter(|f| f.is_flagged).map(move |f| (c, f)))
    }
}

impl ScorecardValidParams {
    /// [`scorecards`] with checked parameters.
    ///
    /// # Errors
    /// As [`scorecards`], but for the parameters.
    pub fn scorecards(&self, reviews: &[Review<'_>], schema: &ClassSchema) -> Result<Scorecards> {
        if reviews.is_empty() {
            return Err(QaError::NoImages { round: "the reviews".to_owned() });
        }
        let (shares, n_unsigned) = shares(reviews, schema, self.0.iou_threshold)?;
        let mut people: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (u, share) in shares.iter().enumerate() {
            people.entry(share.annotator).or_default().push(u);
        }
        let team = team(&shares, &people);
        let mut cards: Vec<Scorecard> =
            people.iter().map(|(name, mine)| self.card(name, mine, &shares, &team, people.len())).collect();
        self.test(&mut cards, &shares, &people, &team);
        let figure = |(statistic, t): (Statistic, &Team)| TeamFigure {
            statistic,
            mean: t.mean,
            between_sd: t.between.sqrt(),
        };
        let mut images: Vec<_> = shares.iter().map(|u| u.image).collect();
        images.dedup();
        Ok(Scorecards {
            n_images: images.len(),
            n_shared: n_shared(&shares),
            n_unsigned,
            fdr: self.0.fdr,
            team: LIST.into_iter().zip(&team).map(figure).collect(),
            cards,
        })
    }

    fn card(
        &self,
        name: &str,
        mine: &[usize],
        shares: &[Share<'_>],
        team: &[Team; N],
        n_people: usize,
    ) -> Scorecard {
        let figure = |(s, statistic): (usize, Statistic)| {
            let mut total = Cell::default();
            mine.iter().for_each(|u| total.add(shares[*u].cells[s]));
            let shrunk = team[s].shrink(statistic, total, self.0.coverage);
            ScoreFigure {
                statistic,
                value: total.value,
                exposure: total.exposure,
                raw: total.rate(),
                shrunk: shrunk.mean,
                interval: shrunk.interval,
                p_value: None,
                q_value: None,
                is_flagged: false,
            }
        };
        let (n_images, least) = (mine.len(), self.0.min_images);
        let note = if n_people < 2 {
            Some(CardNote::Alone)
        } else {
            (n_images < least).then_some(CardNote::FewImages { found: n_images, expected: least })
        };
        Scorecard {
            annotator: name.to_owned(),
            n_images,
            n_objects: mine.iter().map(|u| shares[*u].n_objects()).sum(),
            note,
            figures: LIST.into_iter().enumerate().map(figure).collect(),
        }
    }

    /// Fills in p-values and flags.
    fn test(
        &self,
        cards: &mut [Scorecard],
        shares: &[Share<'_>],
        people: &BTreeMap<&str, Vec<usize>>,
        team: &[Team; N],
    ) {
        let mut person_of = vec![0; shares.len()];
        for (person, mine) in people.values().enumerate() {
            mine.iter().for_each(|u| person_of[*u] = person);
        }
        let p = p_values(shares, &person_of, people.len(), self.0.n_permutations, self.0.seed);
        let tested: Vec<(usize, usize, f64)> = (0..cards.len())
            .filter(|person| cards[*person].note.is_none())
            .flat_map(|person| (0..N).map(move |s| (person, s)))
            .filter_map(|(person, s)| Some((person, s, p[person][s]?)))
            .collect();
        let q = benjamini_hochberg(&tested.iter().map(|t| t.2).collect::<Vec<_>>());
        for ((person, s, p), q) in tested.into_iter().zip(q) {
            let figure = &mut cards[person].figures[s];
            // Whoever is nearer to the reference than the team differs from it, and is not worse.
            let excess = if LIST[s].is_signed() {
                figure.shrunk.abs() - team[s].mean.abs()
            } else {
                figure.shrunk - team[s].mean
            };
            let margin = self.0.margins.of(LIST[s]).unwrap_or(0.0);
            (figure.p_value, figure.q_value) = (Some(p), q);
            figure.is_flagged = q.is_some_and(|q| q <= self.0.fdr) && margin < excess;
        }
    }
}

fn team(shares: &[Share<'_>], people: &BTreeMap<&str, Vec<usize>>) -> [Team; N] {
    std::array::from_fn(|s| {
        let of = |mine: &Vec<usize>| mine.iter().map(|u| shares[*u].cells[s]).collect();
        fit(LIST[s], &people.values().map(of).collect::<Vec<Vec<Cell>>>())
    })
}
