use std::collections::{BTreeMap, BTreeSet};

use labelloop_core::{ClassSchema, SampleId};
use serde::{Deserialize, Serialize};

use super::fleiss::FleissSums;
use super::units::{Unit, units};
use crate::agreement::AlphaSums;
use crate::ceiling::percentiles;
use crate::golden::{check_same_items, sorted_round};
use crate::{AgreementParams, AgreementValidParams, GoldenImage, QaError, Result, cohens_kappa};

/// One image as one person labelled it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Labelling<'a> {
    /// Who.
    pub annotator: &'a str,
    /// What was marked; empty where the person looked and found nothing.
    pub image: GoldenImage<'a>,
}

/// How far any number of people agree on the images that at least two of them saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TeamAgreement {
    /// Names, in order.
    pub annotators: Vec<String>,
    /// Images that at least two people saw.
    pub n_images: usize,
    /// Images that one person saw alone, which say nothing about agreement.
    pub n_alone: usize,
    /// Objects that at least one person marked.
    pub n_units: usize,
    /// Objects that everybody who saw the image marked.
    pub n_marked_by_all: usize,
    /// Mean IoU of two people's boxes of one object, each object counting once.
    pub mean_iou: Option<f64>,
    /// Krippendorff's alpha (nominal) over all units, "nothing here" being a category of its own.
    pub alpha: Option<f64>,
    /// Bootstrap interval of `alpha` over images.
    pub alpha_interval: Option<[f64; 2]>,
    /// Mean over images of the alpha of each, where full agreement counts as 1; images where nobody marked anything have none.
    pub alpha_per_image: Option<f64>,
    /// Fleiss' kappa over all units, with the same categories.
    pub fleiss_kappa: Option<f64>,
    /// Bootstrap interval of `fleiss_kappa` over images.
    pub fleiss_interval: Option<[f64; 2]>,
    /// Mean over pairs of people of Cohen's kappa of the classes of objects that both marked.
    pub class_kappa: Option<f64>,
    /// Every two people who saw an image in common, in the order of names.
    pub pairs: Vec<PairAgreement>,
    /// One row per class, in the order of the schema.
    pub classes: Vec<TeamClass>,
}

/// Agreement of two people of a team.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairAgreement {
    /// The first by name.
    pub first: String,
    /// The second by name.
    pub second: String,
    /// Images that both saw.
    pub n_images: usize,
    /// Objects that at least one of them marked.
    pub n_units: usize,
    /// Objects that both marked.
    pub n_matched: usize,
    /// Cohen's kappa of the classes of objects that both marked.
    pub class_kappa: Option<f64>,
    /// Krippendorff's alpha over the objects that at least one of them marked.
    pub alpha: Option<f64>,
}

/// Agreement of a team on one class: "this class or not" over all units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TeamClass {
    /// Name of the class.
    pub name: String,
    /// Units that anybody put in this class.
    pub n_units: usize,
    /// Fleiss' kappa.
    pub fleiss_kappa: Option<f64>,
    /// Mean over pairs of people of Cohen's kappa.
    pub cohens_kappa: Option<f64>,
    /// Krippendorff's alpha.
    pub alpha: Option<f64>,
}

/// Compares any number of people, who need not have seen the same images.
///
/// Localisation comes first: the boxes of all people who saw an image are grouped by place into units, each person at most
/// once in a unit and all boxes of a unit overlapping by `iou_threshold`. Whoever saw the image and has no box in a unit said
/// "nothing here", which is a category like the classes; whoever did not see it, or drew a crowd over it, said nothing. (Krippendorff's alpha read
/// this way: Nassar et al. 2019; Tschirschwitz and Rodehorst 2026.) Nobody ever marks where all see
/// nothing, so agreement on empty space is not in these numbers.
///
/// For two people the numbers are those of [`agreement`](crate::agreement); Cohen's kappa of two people of a larger team looks
/// at the units that at least one of the two marked. Intervals are percentile bootstraps over images.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, ClassSchema, ImageSize, LabelledBox, SampleId};
/// use labelloop_qa::{AgreementParams, GoldenImage, Labelling, team_agreement};
///
/// let (id, size) = (SampleId::new("a")?, ImageSize::new(64, 64)?);
/// let b = |class, x| LabelledBox::new(ClassIdx(class), BBox::new(x, 0.0, 10.0, 10.0).unwrap());
/// let (ada, bob, cyd) = ([b(0, 0.0), b(1, 20.0)], [b(0, 0.5), b(1, 20.5)], [b(0, 0.2)]);
/// let by = |annotator, boxes| Labelling { annotator, image: GoldenImage { id: &id, size, boxes } };
/// let people = [by("ada", &ada[..]), by("bob", &bob[..]), by("cyd", &cyd[..])];
/// let a = team_agreement(&people, &ClassSchema::new(["car", "van"])?, &AgreementParams::default())?;
/// assert_eq!((a.n_units, a.n_marked_by_all, a.class_kappa), (2, 1, Some(1.0)));
/// assert!((a.alpha.unwrap() - 6.0 / 11.0).abs() < 1e-12); // 1 - 5 * 2 / 22
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`QaError`] for parameters out of range, no labellings, one person twice on an image, images of different size, classes
/// beyond the schema and areas that are none.
pub fn team_agreement(
    labellings: &[Labelling<'_>],
    schema: &ClassSchema,
    params: &AgreementParams,
) -> Result<TeamAgreement> {
    params.check()?.team_agreement(labellings, schema)
}

/// The units of one image, and who of the team saw it.
struct Seen {
    people: Vec<usize>,
    units: Vec<Unit>,
}

impl Seen {
    /// What two people of the team said of the units that either marked; nothing where one did not see the image.
    fn pair(&self, a: usize, b: usize) -> Option<Vec<[Option<usize>; 2]>> {
        let at = |p: usize| self.people.iter().position(|q| *q == p);
        let (a, b) = (at(a)?, at(b)?);
        let said = |u: &Unit| Some([u.said[a]?, u.said[b]?]);
        Some(self.units.iter().filter_map(said).filter(|s| s.iter().any(Option::is_some)).collect())
    }

    /// How often each category was chosen in each unit; the last is "nothing here".
    fn counts(&self, n_classes: usize) -> Vec<Vec<usize>> {
        let count = |u: &Unit| {
            let mut counts = vec![0; n_classes + 1];
            u.said.iter().flatten().for_each(|c| counts[c.unwrap_or(n_classes)] += 1);
            counts
        };
        self.units.iter().map(count).collect()
    }
}

impl AgreementValidParams {
    /// [`team_agreement`] with checked parameters.
    ///
    /// # Errors
    /// As [`team_agreement`], but for the parameters.
    pub fn team_agreement(
        &self,
        labellings: &[Labelling<'_>],
        schema: &ClassSchema,
    ) -> Result<TeamAgreement> {
        let by_image = by_image(labellings, schema)?;
        let names: Vec<&str> =
            labellings.iter().map(|l| l.annotator).collect::<BTreeSet<_>>().into_iter().collect();
        let index = |name: &str| names.partition_point(|n| *n < name);
        let mut seen = Vec::new();
        for people in by_image.values().filter(|p| 1 < p.len()) {
            let lists: Vec<_> = people.values().map(|image| image.boxes).collect();
            let units = units(&lists, self.0.iou_threshold);
            seen.push(Seen { people: people.keys().map(|name| index(name)).collect(), units });
        }
        let n_classes = schema.n_classes();
        let images: Vec<(AlphaSums, FleissSums)> = seen.iter().map(|s| sums(&s.counts(n_classes))).collect();
        let (alpha, fleiss) = total(images.iter());
        let [alpha_interval, fleiss_interval] = self.intervals(&images);
        let pairs = pairs(&names, &seen, n_classes);
        let all = || seen.iter().flat_map(|s| &s.units);
        let overlaps: Vec<f64> = all().filter_map(|u| u.mean_iou).collect();
        Ok(TeamAgreement {
            annotators: names.iter().map(|n| (*n).to_owned()).collect(),
            n_images: seen.len(),
            n_alone: by_image.len() - seen.len(),
            n_units: all().count(),
            n_marked_by_all: all().filter(|u| u.said.iter().all(|s| matches!(s, Some(Some(_))))).count(),
            mean_iou: mean(overlaps.iter().copied()),
            alpha: alpha.alpha(),
            alpha_interval,
            alpha_per_image: mean(images.iter().filter_map(|(a, _)| a.alpha_of_image())),
            fleiss_kappa: fleiss.kappa(),
            fleiss_interval,
            class_kappa: mean(pairs.iter().filter_map(|p| p.class_kappa)),
            pairs,
            classes: schema
                .iter()
                .map(|(c, name)| class(name, c.as_usize(), &names, &seen, n_classes))
                .collect(),
        })
    }

    fn intervals(&self, images: &[(AlphaSums, FleissSums)]) -> [Option<[f64; 2]>; 2] {
        let (mut alphas, mut kappas) = (Vec::new(), Vec::new());
        if 1 < images.len() {
            for draw in 0..self.0.n_bootstrap {
                let first = (draw * images.len()) as u64;
                let pick = |i: usize| &images[self.0.seed.below(first + i as u64, images.len())];
                let (alpha, fleiss) = total((0..images.len()).map(pick));
                alphas.extend(alpha.alpha());
                kappas.extend(fleiss.kappa());
            }
        }
        [alphas, kappas].map(|values| percentiles(values, self.0.coverage))
    }
}

/// Images by person, people by image; refuses what cannot be compared.
fn by_image<'a>(
    labellings: &[Labelling<'a>],
    schema: &ClassSchema,
) -> Result<BTreeMap<&'a SampleId, BTreeMap<&'a str, GoldenImage<'a>>>> {
    if labellings.is_empty() {
        return Err(QaError::NoImages { round: "the labellings".to_owned() });
    }
    let mut images: BTreeMap<&SampleId, BTreeMap<&str, GoldenImage<'_>>> = BTreeMap::new();
    for labelling in labellings {
        let name = format!("the labels of {}", labelling.annotator);
        let sorted = sorted_round(&name, std::slice::from_ref(&labelling.image), schema)?;
        let people = images.entry(labelling.image.id).or_default();
        if let Some(other) = people.values().next() {
            let other = sorted_round("other labels", std::slice::from_ref(other), schema)?;
            check_same_items(&name, &sorted, &other)?;
        }
        if people.insert(labelling.annotator, labelling.image).is_some() {
            return Err(QaError::DuplicateImage { round: name, id: labelling.image.id.clone() });
        }
    }
    Ok(images)
}

fn sums(counts: &[Vec<usize>]) -> (AlphaSums, FleissSums) {
    let (mut alpha, mut fleiss) = (AlphaSums::default(), FleissSums::default());
    for row in counts {
        alpha.add_unit(row);
        fleiss.add_unit(row);
    }
    (alpha, fleiss)
}

fn total<'a>(images: impl Iterator<Item = &'a (AlphaSums, FleissSums)>) -> (AlphaSums, FleissSums) {
    let mut total = (AlphaSums::default(), FleissSums::default());
    for (alpha, fleiss) in images {
        total.0.add(alpha);
        total.1.add(fleiss);
    }
    total
}

fn pairs(names: &[&str], seen: &[Seen], n_classes: usize) -> Vec<PairAgreement> {
    let mut pairs = Vec::new();
    for a in 0..names.len() {
        for b in a + 1..names.len() {
            let common: Vec<Vec<[Option<usize>; 2]>> = seen.iter().filter_map(|s| s.pair(a, b)).collect();
            if common.is_empty() {
                continue;
            }
            let said = || common.iter().flatten();
            let mut table = vec![vec![0; n_classes]; n_classes];
            let mut alpha = AlphaSums::default();
            for both in said() {
                let mut counts = vec![0; n_classes + 1];
                both.iter().for_each(|c| counts[c.unwrap_or(n_classes)] += 1);
                alpha.add_unit(&counts);
                if let [Some(x), Some(y)] = *both {
                    table[x][y] += 1;
                }
            }
            pairs.push(PairAgreement {
                first: names[a].to_owned(),
                second: names[b].to_owned(),
                n_images: common.len(),
                n_units: said().count(),
                n_matched: said().filter(|s| s.iter().all(Option::is_some)).count(),
                class_kappa: cohens_kappa(&table),
                alpha: alpha.alpha(),
            });
        }
    }
    pairs
}

fn class(name: &str, class: usize, names: &[&str], seen: &[Seen], n_classes: usize) -> TeamClass {
    let binary = |row: Vec<usize>| vec![row[class], row.iter().sum::<usize>() - row[class]];
    let counts: Vec<Vec<usize>> = seen.iter().flat_map(|s| s.counts(n_classes)).map(binary).collect();
    let (alpha, fleiss) = sums(&counts);
    let mut kappas = Vec::new();
    for a in 0..names.len() {
        for b in a + 1..names.len() {
            let mut table = vec![vec![0; 2]; 2];
            for [x, y] in seen.iter().filter_map(|s| s.pair(a, b)).flatten() {
                table[usize::from(x == Some(class))][usize::from(y == Some(class))] += 1;
            }
            kappas.extend(cohens_kappa(&table));
        }
    }
    TeamClass {
        name: name.to_owned(),
        n_units: counts.iter().filter(|c| 0 < c[0]).count(),
        fleiss_kappa: fleiss.kappa(),
        cohens_kappa: mean(kappas.into_iter()),
        alpha: alpha.alpha(),
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0usize), |(sum, n), v| (sum + v, n + 1));
    (0 < n).then(|| sum / n as f64)
}
