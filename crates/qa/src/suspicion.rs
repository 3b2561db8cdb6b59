use std::collections::BTreeMap;

use labelloop_core::{BBox, ClassIdx, LabelledBox, SampleId, ScoredBox};
use serde::{Deserialize, Serialize};

use crate::golden::require;
use crate::matching::is_in_crowd;
use crate::{QaError, Result};

/// Labels of the same class that are nearest in area and say how often such objects are found.
const N_PEERS: usize = 20;

/// One picture with its labels and with what a detector found that was not trained on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoredImage<'a> {
    /// Which picture.
    pub id: &'a SampleId,
    /// What people marked.
    pub labels: &'a [LabelledBox],
    /// What the detector found.
    pub detections: &'a [ScoredBox],
}

/// In which way a label may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SuspectKind {
    /// A confident detection where nothing is marked: a false positive that may be nobody's fault but the label's.
    Overlooked,
    /// A label beside a confident detection of its class.
    BadlyLocated,
    /// A label under a confident detection of another class.
    Swapped,
    /// A label of a kind that the detector finds, where it finds nothing: a false negative that may be right.
    Unfounded,
}

impl SuspectKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Overlooked, Self::BadlyLocated, Self::Swapped, Self::Unfounded];

    /// Name in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overlooked => "overlooked",
            Self::BadlyLocated => "badly_located",
            Self::Swapped => "swapped",
            Self::Unfounded => "unfounded",
        }
    }
}

/// One object whose label deserves a second look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// The picture.
    pub image: SampleId,
    /// In which way.
    pub kind: SuspectKind,
    /// Position of the label in its picture; none where it is missing.
    pub label_idx: Option<usize>,
    /// Position of the detection that speaks against the labels; none where there is none.
    pub detection_idx: Option<usize>,
    /// Class as labelled; of the detection where the label is missing.
    pub class: ClassIdx,
    /// Class of the detection that speaks against the labels.
    pub suggested: Option<ClassIdx>,
    /// The label's box, or the detection's where the label is missing; pixels.
    pub bbox: BBox,
    /// How much speaks against the label, in `[0, 1]`. It ranks; it is no probability.
    pub suspicion: f64,
}

/// Parameters of [`suspects`], before they are checked.
///
/// ```
/// use labelloop_qa::SuspicionParams;
///
/// assert!(SuspicionParams::default().check().is_ok());
/// assert!(SuspicionParams { min_score: f64::NAN, ..SuspicionParams::default() }.check().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SuspicionParams {
    /// Detections below this score speak neither for nor against a label.
    pub min_score: f64,
    /// Boxes that overlap at least this much (IoU) are about the same object.
    pub match_iou: f64,
    /// Boxes that overlap less than this (IoU) have nothing to do with each other.
    pub touch_iou: f64,
    /// Share of labels that are thought to mark nothing, before anything is known of them.
    pub prior: f64,
    /// Objects less suspicious than this are left out.
    pub min_suspicion: f64,
}

impl Default for SuspicionParams {
    fn default() -> Self {
        Self { min_score: 0.3, match_iou: 0.5, touch_iou: 0.1, prior: 0.03, min_suspicion: 0.1 }
    }
}

/// Parameters within their ranges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuspicionValidParams(SuspicionParams);

impl SuspicionParams {
    /// # Errors
    /// [`QaError::InvalidParam`] with the parameter, its value and its range.
    pub fn check(&self) -> Result<SuspicionValidParams> {
        let unit = "a number from 0 to 1";
        require((0.0..=1.0).contains(&self.min_score), "min_score", self.min_score, unit)?;
        let iou = self.match_iou;
        require(0.0 < iou && iou < 1.0, "match_iou", iou, "a number above 0 and below 1")?;
        let touch = self.touch_iou;
        require(0.0 < touch && touch <= iou, "touch_iou", touch, "a number above 0 and at most match_iou")?;
        let prior = self.prior;
        require(0.0 < prior && prior < 1.0, "prior", prior, "a number above 0 and below 1")?;
        require((0.0..=1.0).contains(&self.min_suspicion), "min_suspicion", self.min_suspicion, unit)?;
        Ok(SuspicionValidParams(*self))
    }
}

/// Which labels may be wrong, judged by a detector: every false positive asks whether the label is missing, every false
/// negative whether the label is right.
///
/// In the spirit of ObjectLab (Tkachenko, Thyagarajan and Mueller 2023), which scores whole pictures by overlooked, badly
/// located and swapped boxes. Here every object is scored by itself. With `s` the score of a detection (those below
/// `min_score` are left out) and IoU its overlap with a label:
///
/// | kind | suspicion |
/// |---|---|
/// | overlooked | `s (1 - largest IoU with any label)`, for the best detection of each place that matches no label and locates none badly |
/// | swapped | largest `s IoU` of another class, times one minus the largest `s IoU` of the label's class |
/// | badly located | `s (1 - IoU)` of the detection of the label's class with the largest `s IoU` |
/// | unfounded | `prior / (prior + (1 - prior)(1 - recall))` where nothing touches the label |
///
/// `recall` is that of the label's peers: the 20 labels of the same class that are nearest in the log of their area, one
/// found and one missed being added, so that few peers say little. A detector that misses most small pedestrians thereby
/// casts little doubt on the small pedestrians that people marked. A label is reported once, as what it is most suspected of (in the order of
/// [`SuspectKind`] among equals).
///
/// Crowd regions are never suspected, and what lies in one by half of its own area or more was not overlooked. Sorted by
/// suspicion, largest first; ties by picture, kind, label and detection.
///
/// The detector must not have been trained on these labels, or it has learnt their mistakes: take the detections on val,
/// golden and test, or those of the batch from the model before it. O(n m) per picture for n labels and m detections.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, LabelledBox, SampleId, ScoredBox};
/// use labelloop_qa::{ScoredImage, SuspectKind, SuspicionParams, suspects};
///
/// let place = |x| BBox::new(x, 0.0, 40.0, 40.0).unwrap();
/// let labels = [LabelledBox::new(ClassIdx(0), place(0.0)), LabelledBox::new(ClassIdx(1), place(100.0))];
/// let found = |class, x, score| ScoredBox::new(ClassIdx(class), place(x), score).unwrap();
/// let detections = [found(0, 1.0, 0.9), found(0, 101.0, 0.8), found(1, 200.0, 0.95)];
/// let id = SampleId::new("a")?;
/// let image = ScoredImage { id: &id, labels: &labels, detections: &detections };
///
/// let found = suspects(&[image], &SuspicionParams::default())?;
/// assert_eq!((found[0].kind, found[0].detection_idx), (SuspectKind::Overlooked, Some(2)));
/// assert_eq!((found[1].kind, found[1].suggested), (SuspectKind::Swapped, Some(ClassIdx(0))));
/// assert_eq!(found.len(), 2, "the first label is confirmed");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`QaError`] for parameters out of range and a picture that comes twice.
pub fn suspects(images: &[ScoredImage<'_>], params: &SuspicionParams) -> Result<Vec<Suspect>> {
    params.check()?.suspects(images)
}

impl SuspicionValidParams {
    /// [`suspects`] with checked parameters.
    ///
    /// # Errors
    /// [`QaError::DuplicateImage`] for a picture that comes twice.
    pub fn suspects(&self, images: &[ScoredImage<'_>]) -> Result<Vec<Suspect>> {
        let order = by_id(images)?;
        let finds = self.finds(&order);
        let ranks: BTreeMap<(usize, usize), usize> =
            finds.iter().enumerate().map(|(rank, f)| (f.place, rank)).collect();
        let mut found = Vec::new();
        for (image_idx, image) in order.iter().enumerate() {
            let mut spoken_for = Vec::new();
            for (label_idx, label) in image.labels.iter().enumerate().filter(|(_, l)| !l.is_crowd) {
                let doubt = self.doubt(image, label).unwrap_or_else(|| Doubt {
                    kind: SuspectKind::Unfounded,
                    detection_idx: None,
                    suspicion: ranks
                        .get(&(image_idx, label_idx))
                        .map_or(0.0, |at| unfounded(recall_of_peers(&finds, *at), self.0.prior)),
                });
                if doubt.kind == SuspectKind::BadlyLocated {
                    spoken_for.extend(doubt.detection_idx);
                }
                found.push(suspect(image, Some(label_idx), doubt));
            }
            found.extend(self.overlooked(image, &spoken_for));
        }
        found.retain(|s| 0.0 < s.suspicion && self.0.min_suspicion <= s.suspicion);
        found.sort_by(|a, b| {
            let key = |s: &Suspect| (s.image.clone(), s.kind, s.label_idx, s.detection_idx);
            b.suspicion.total_cmp(&a.suspicion).then_with(|| key(a).cmp(&key(b)))
        });
        Ok(found)
    }

    /// Detections that count, with their positions.
    fn trusted<'a>(&self, image: &ScoredImage<'a>) -> impl Iterator<Item = (usize, &'a ScoredBox)> + use<'a> {
        let min_score = self.0.min_score;
        image.detections.iter().enumerate().filter(move |(_, d)| min_score <= d.score())
    }

    /// Confident detections where no label is, the best of each place; not those that a label is badly located by.
    fn overlooked(&self, image: &ScoredImage<'_>, spoken_for: &[usize]) -> Vec<Suspect> {
        let mut free: Vec<(usize, &ScoredBox, f64)> = self
            .trusted(image)
            .map(|(i, d)| (i, d, covered(image.labels, d.bbox())))
            .filter(|(i, _, covered)| *covered < self.0.match_iou && !spoken_for.contains(i))
            .collect();
        free.sort_by(|a, b| b.1.score().total_cmp(&a.1.score()).then(a.0.cmp(&b.0)));
        let mut kept: Vec<(usize, &ScoredBox, f64)> = Vec::new();
        for candidate in free {
            if kept.iter().all(|k| k.1.bbox().iou(candidate.1.bbox()) < self.0.match_iou) {
                kept.push(candidate);
            }
        }
        let doubt = |(i, d, covered): (usize, &ScoredBox, f64)| Doubt {
            kind: SuspectKind::Overlooked,
            detection_idx: Some(i),
            suspicion: d.score() * (1.0 - covered),
        };
        kept.into_iter().map(|k| suspect(image, None, doubt(k))).collect()
    }

    /// What the detections that touch a label say against it; nothing where none touches it.
    fn doubt(&self, image: &ScoredImage<'_>, label: &LabelledBox) -> Option<Doubt> {
        let mut same: Option<Support> = None;
        let mut other: Option<Support> = None;
        for (detection_idx, d) in self.trusted(image) {
            let iou = label.bbox.iou(d.bbox());
            if iou < self.0.touch_iou {
                continue;
            }
            let support = Support { detection_idx, score: d.score(), iou };
            let best = if d.class() == label.class { &mut same } else { &mut other };
            if best.is_none_or(|b| b.weight() < support.weight()) {
                *best = Some(support);
            }
        }
        let confirmed = same.map_or(0.0, Support::weight);
        let located = same.map(|s| Doubt {
            kind: SuspectKind::BadlyLocated,
            detection_idx: Some(s.detection_idx),
            suspicion: s.score * (1.0 - s.iou),
        });
        let swapped = other.map(|o| Doubt {
            kind: SuspectKind::Swapped,
            detection_idx: Some(o.detection_idx),
            suspicion: o.weight() * (1.0 - confirmed),
        });
        match (located, swapped) {
            (Some(l), Some(s)) => Some(if l.suspicion < s.suspicion { s } else { l }),
            (l, s) => l.or(s),
        }
    }

    /// Whether each label is found, by class and ascending area; images count by their place in `order`.
    fn finds(&self, order: &[&ScoredImage<'_>]) -> Vec<Find> {
        let mut finds = Vec::new();
        for (image_idx, image) in order.iter().enumerate() {
            for (label_idx, label) in image.labels.iter().enumerate().filter(|(_, l)| !l.is_crowd) {
                let matches =
                    |d: &ScoredBox| d.class() == label.class && self.0.match_iou <= label.bbox.iou(d.bbox());
                finds.push(Find {
                    class: label.class,
                    log_area: label.bbox.area().max(f64::MIN_POSITIVE).ln(),
                    place: (image_idx, label_idx),
                    is_found: self.trusted(image).any(|(_, d)| matches(d)),
                });
            }
        }
        finds.sort_by(|a, b| {
            a.class.cmp(&b.class).then(a.log_area.total_cmp(&b.log_area)).then(a.place.cmp(&b.place))
        });
        finds
    }
}

/// Pictures in the order of their ids; refuses one that comes twice.
pub(crate) fn by_id<'i, 'a>(images: &'i [ScoredImage<'a>]) -> Result<Vec<&'i ScoredImage<'a>>> {
    let mut order: Vec<&ScoredImage<'a>> = images.iter().collect();
    order.sort_by(|a, b| a.id.cmp(b.id));
    match order.windows(2).find(|pair| pair[0].id == pair[1].id) {
        Some(pair) => Err(QaError::DuplicateImage { round: "the labels".to_owned(), id: pair[0].id.clone() }),
        None => Ok(order),
    }
}

/// One thing said against a label, or for a missing one.
#[derive(Clone, Copy)]
struct Doubt {
    kind: SuspectKind,
    detection_idx: Option<usize>,
    suspicion: f64,
}

/// A detection that touches a label.
#[derive(Clone, Copy)]
struct Support {
    detection_idx: usize,
    score: f64,
    iou: f64,
}

impl Support {
    fn weight(self) -> f64 {
        self.score * self.iou
    }
}

struct Find {
    class: ClassIdx,
    log_area: f64,
    place: (usize, usize),
    is_found: bool,
}

fn suspect(image: &ScoredImage<'_>, label_idx: Option<usize>, doubt: Doubt) -> Suspect {
    let label = label_idx.map(|i| &image.labels[i]);
    let detection = doubt.detection_idx.map(|i| &image.detections[i]);
    let own = label.map(|l| (l.class, l.bbox)).or(detection.map(|d| (d.class(), d.bbox())));
    let (class, bbox) = own.expect("a suspect is a label or a detection");
    Suspect {
        image: image.id.clone(),
        kind: doubt.kind,
        label_idx,
        detection_idx: doubt.detection_idx,
        class,
        suggested: detection.map(ScoredBox::class),
        bbox,
        suspicion: doubt.suspicion.clamp(0.0, 1.0),
    }
}

/// Largest IoU with any label; 1 where the box lies in a crowd by half of its own area.
fn covered(labels: &[LabelledBox], bbox: BBox) -> f64 {
    if is_in_crowd(labels, bbox) { 1.0 } else { labels.iter().map(|l| l.bbox.iou(bbox)).fold(0.0, f64::max) }
}

/// Probability that a label is wrong which nothing touches: Bayes' rule, wrong labels being found never.
fn unfounded(recall: f64, prior: f64) -> f64 {
    prior / (prior + (1.0 - prior) * (1.0 - recall))
}

/// Share of the peers of the label at place `at` that are found, with one found and one not found added (Laplace's rule).
/// `finds` is sorted by class and area.
fn recall_of_peers(finds: &[Find], at: usize) -> f64 {
    let me = &finds[at];
    let is_peer = |i: &usize| finds.get(*i).is_some_and(|f| f.class == me.class);
    let away = |i: usize| (finds[i].log_area - me.log_area).abs();
    let (mut below, mut above) = (at.checked_sub(1).filter(is_peer), Some(at + 1).filter(is_peer));
    let (mut n_found, mut n_peers) = (0usize, 0usize);
    while n_peers < N_PEERS {
        // Of the two next in line the nearer one; the smaller one among equals.
        let next = match (below, above) {
            (Some(b), Some(a)) if away(a) < away(b) => a,
            (Some(b), _) => b,
            (None, Some(a)) => a,
            (None, None) => break,
        };
        if below == Some(next) {
            below = next.checked_sub(1).filter(is_peer);
        } else {
            above = Some(next + 1).filter(is_peer);
        }
        n_peers += 1;
        n_found += usize::from(finds[next].is_found);
    }
    (n_found + 1) as f64 / (n_peers + 2) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(params: SuspicionParams) -> &'static str {
        match params.check() {
            Err(QaError::InvalidParam { name, .. }) => name,
            other => panic!("expected a parameter error, found {other:?}"),
        }
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let p = SuspicionParams::default();
        assert!(p.check().is_ok());
        assert_eq!((p.min_score, p.match_iou, p.touch_iou), (0.3, 0.5, 0.1));
        assert_eq!((p.prior, p.min_suspicion), (0.03, 0.1));
    }

    #[test]
    fn every_parameter_is_checked() {
        let p = SuspicionParams::default();
        assert_eq!(refused(SuspicionParams { min_score: f64::NAN, ..p }), "min_score");
        assert_eq!(refused(SuspicionParams { match_iou: 1.0, ..p }), "match_iou");
        assert_eq!(refused(SuspicionParams { touch_iou: 0.6, ..p }), "touch_iou");
        assert_eq!(refused(SuspicionParams { prior: 0.0, ..p }), "prior");
        assert_eq!(refused(SuspicionParams { min_suspicion: -0.1, ..p }), "min_suspicion");
    }

    #[test]
    fn names_are_those_in_json() {
        for kind in SuspectKind::ALL {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.as_str()));
        }
    }

    #[test]
    fn peers_are_the_nearest_in_area_and_of_one_class() {
        let find = |class: u32, log_area: f64, is_found: bool| Find {
            class: ClassIdx(class),
            log_area,
            place: (0, (10.0 * log_area) as usize),
            is_found,
        };
        // 25 small ones that are never found and 25 large ones that always are, of two classes.
        let mut finds: Vec<Find> = (0..25).map(|i| find(0, f64::from(i) / 100.0, false)).collect();
        finds.extend((0..25).map(|i| find(0, 5.0 + f64::from(i) / 100.0, true)));
        finds.extend((0..3).map(|i| find(1, f64::from(i), true)));
        assert_eq!(recall_of_peers(&finds, 3), 1.0 / 22.0);
        assert_eq!(recall_of_peers(&finds, 40), 21.0 / 22.0);
        assert_eq!(recall_of_peers(&finds, 51), 0.75, "two peers say less");
    }
}
