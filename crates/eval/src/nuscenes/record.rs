use labelloop_core::{ClassIdx, SampleId};
use serde::{Deserialize, Serialize};

use super::errors::{TpErrors, centre_distance, ground};
use super::filter::{FilterCounts, Filtered, filter, range};
use super::{DetectionBox, LabelBox, NuscenesValidParams, SampleCase};
use crate::Result;
use crate::assign::{Link, Links, Rule, greedy};

/// One sample's share of the result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SampleRecord {
    /// Its place by number, where the order of samples has one.
    pub(super) rank: Option<i64>,
    /// Classes that have a label or a detection here, by class.
    pub(super) classes: Vec<ClassRecord>,
}

/// One class in one sample.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct ClassRecord {
    /// The class number.
    pub(super) class: u32,
    /// Labels that count.
    pub(super) n_labels: u32,
    /// Labels left out.
    pub(super) filtered_labels: FilterCounts,
    /// Detections left out.
    pub(super) filtered_detections: FilterCounts,
    /// Scores of the detections that count, best first, of equal ones the later first.
    pub(super) scores: Vec<f64>,
    /// For each of them, bit `t`: it finds a label at distance number `t`.
    pub(super) hits: Vec<u64>,
    /// For each of them, bit `t`: it counts neither way at distance number `t`, since it is of another slice. Empty where
    /// there are no slices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) ignored: Vec<u64>,
    /// Errors of those that find one at the distance where errors are measured, in their order.
    pub(super) errors: Vec<TpErrors>,
}

/// The numbers of a sample's boxes of one class that count, detections in the order in which they ask.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Members {
    pub(super) labels: Vec<u32>,
    pub(super) detections: Vec<u32>,
}

/// A label or a detection, for what asks about either.
#[derive(Debug, Clone, Copy)]
pub enum Object<'a> {
    /// What people marked.
    Label(&'a LabelBox),
    /// What the detector proposes.
    Detection(&'a DetectionBox),
}

impl Object<'_> {
    /// Class of either.
    pub fn class(&self) -> ClassIdx {
        match self {
            Self::Label(label) => label.class,
            Self::Detection(found) => found.class,
        }
    }

    /// Metres from the vehicle on the ground; `None` for a box on the map whose place as seen from there is not known.
    pub fn range(&self) -> Option<f64> {
        match self {
            Self::Label(label) => range(&label.cuboid, label.ego),
            Self::Detection(found) => range(&found.cuboid, found.ego),
        }
    }
}

/// Which objects are asked for.
pub(super) type Wanted<'w> = &'w (dyn Fn(&SampleId, Object<'_>) -> bool + Sync);

/// What is needed for one sample after another.
#[derive(Debug, Default)]
pub(super) struct Matcher {
    links: Links,
    taken: Vec<bool>,
    grounds: Vec<[f64; 2]>,
}

impl SampleRecord {
    /// Filters and matches one sample.
    pub(super) fn of(
        case: &SampleCase<'_>,
        params: &NuscenesValidParams,
        wanted: Option<Wanted<'_>>,
        matcher: &mut Matcher,
    ) -> Result<Self> {
        let filtered = filter(case, params)?;
        let members = members(case, &filtered, params.get().classes.len());
        let record = |(class, members): (u32, &Members)| {
            let mut record = matcher.class_record(case, class, members, params, wanted);
            if let Some(wanted) = wanted {
                record.ignore_strays(case, members, params, wanted);
            }
            record
        };
        let mut records: Vec<ClassRecord> = (0u32..).zip(&members).map(record).collect();
        for (label, reason) in case.labels.iter().zip(&filtered.labels) {
            reason.iter().for_each(|r| records[label.class.as_usize()].filtered_labels.count(*r));
        }
        for (found, reason) in case.detections.iter().zip(&filtered.detections) {
            reason.iter().for_each(|r| records[found.class.as_usize()].filtered_detections.count(*r));
        }
        records.retain(|record| !record.is_empty());
        Ok(Self { rank: params.rank(case.id), classes: records })
    }
}

impl ClassRecord {
    fn is_empty(&self) -> bool {
        let n_left_out = self.filtered_labels.total() + self.filtered_detections.total();
        self.n_labels == 0 && self.scores.is_empty() && n_left_out == 0
    }

    /// Detections that find nothing and are not asked for count neither way.
    fn ignore_strays(
        &mut self,
        case: &SampleCase<'_>,
        members: &Members,
        params: &NuscenesValidParams,
        wanted: Wanted<'_>,
    ) {
        let all = !unused_bits(params);
        for (place, i) in members.detections.iter().enumerate() {
            if !wanted(case.id, Object::Detection(&case.detections[*i as usize])) {
                self.ignored[place] |= all & !self.hits[place];
            }
        }
    }

    /// Refuses a record whose parts contradict each other.
    pub(super) fn check(&self, params: &NuscenesValidParams) -> Result<(), &'static str> {
        let p = params.get();
        if p.classes.len() <= self.class as usize {
            return Err("a class is out of range");
        }
        if self.hits.len() != self.scores.len() {
            return Err("hits do not fit the scores");
        }
        if self.hits.iter().chain(&self.ignored).any(|bits| bits & unused_bits(params) != 0) {
            return Err("a detection hits at a distance that is not evaluated");
        }
        if !self.ignored.is_empty() && self.ignored.len() != self.scores.len() {
            return Err("what is ignored does not fit the scores");
        }
        if self.hits.iter().zip(&self.ignored).any(|(hits, ignored)| hits & ignored != 0) {
            return Err("a detection counts and does not at once");
        }
        if (0..p.distances.len()).any(|t| (self.n_labels as usize) < self.n_hits(t)) {
            return Err("more labels are found than there are");
        }
        if self.n_hits(params.tp_place()) != self.errors.len() {
            return Err("errors do not fit the hits");
        }
        if !self.scores.iter().all(|s| 0.0 <= *s && s.is_finite())
            || self.scores.windows(2).any(|p| p[0] < p[1])
        {
            return Err("scores do not descend");
        }
        if !self.errors.iter().all(TpErrors::is_possible) {
            return Err("an error is impossible");
        }
        Ok(())
    }

    fn n_hits(&self, t: usize) -> usize {
        self.hits.iter().filter(|bits| *bits >> t & 1 == 1).count()
    }
}

/// Bits that stand for no distance.
fn unused_bits(params: &NuscenesValidParams) -> u64 {
    u64::MAX.checked_shl(params.get().distances.len() as u32).unwrap_or(0)
}

/// The boxes of each class that count.
pub(super) fn members(case: &SampleCase<'_>, filtered: &Filtered, n_classes: usize) -> Vec<Members> {
    let mut members: Vec<Members> = (0..n_classes).map(|_| Members::default()).collect();
    for (i, label) in (0u32..).zip(case.labels) {
        if filtered.labels[i as usize].is_none() {
            members[label.class.as_usize()].labels.push(i);
        }
    }
    for (i, found) in case.detections.iter().enumerate().rev() {
        if filtered.detections[i].is_none() {
            members[found.class.as_usize()].detections.push(i as u32);
        }
    }
    let score = |i: &u32| case.detections[*i as usize].score + 0.0;
    for class in &mut members {
        // Stable, and the later stand first: so they do among equals. Adding 0 makes one zero of two.
        class.detections.sort_by(|a, b| score(b).total_cmp(&score(a)));
    }
    members
}

/// The nearest below a distance, the first of equals.
struct Nearest {
    distance: f64,
}

impl Rule for Nearest {
    fn prefers(&self, _detection: usize, link: &Link, best: Option<&Link>) -> bool {
        link.closeness < self.distance && best.is_none_or(|b| link.closeness < b.closeness)
    }
}

impl Matcher {
    fn class_record(
        &mut self,
        case: &SampleCase<'_>,
        class: u32,
        members: &Members,
        params: &NuscenesValidParams,
        wanted: Option<Wanted<'_>>,
    ) -> ClassRecord {
        let p = params.get();
        let label = |i: u32| &case.labels[members.labels[i as usize] as usize];
        let is_asked = |i: u32| wanted.is_none_or(|wanted| wanted(case.id, Object::Label(label(i))));
        let n_found = members.detections.len();
        let mut record = ClassRecord {
            class,
            n_labels: (0..members.labels.len() as u32).filter(|i| is_asked(*i)).count() as u32,
            scores: members.detections.iter().map(|i| case.detections[*i as usize].score + 0.0).collect(),
            hits: vec![0; n_found],
            ignored: if wanted.is_some() { vec![0; n_found] } else { Vec::new() },
            ..ClassRecord::default()
        };
        if members.labels.is_empty() || members.detections.is_empty() {
            return record;
        }
        let rule = &p.classes[class as usize];
        self.measure(case, members, p.distances.last().copied().unwrap_or(0.0));
        for (t, distance) in p.distances.iter().enumerate() {
            let is_measured = t == params.tp_place();
            self.match_at(members, *distance, |detection, link| {
                if !is_asked(link.partner) {
                    record.ignored[detection] |= 1 << t;
                    return;
                }
                record.hits[detection] |= 1 << t;
                if is_measured {
                    let found = &case.detections[members.detections[detection] as usize];
                    record.errors.push(TpErrors::at(link.closeness, label(link.partner), found, rule));
                }
            });
        }
        record
    }

    /// Links every detection of a class with the labels nearer than `reach`.
    pub(super) fn measure(&mut self, case: &SampleCase<'_>, members: &Members, reach: f64) {
        self.grounds.clear();
        self.grounds.extend(members.labels.iter().map(|i| ground(&case.labels[*i as usize].cuboid)));
        self.links = Links::default();
        for i in &members.detections {
            let own = ground(&case.detections[*i as usize].cuboid);
            let link = |(partner, label): (u32, &[f64; 2])| Link {
                partner,
                closeness: centre_distance(own, *label),
            };
            self.links.push((0u32..).zip(&self.grounds).map(link).filter(|link| link.closeness < reach));
        }
    }

    /// Each detection takes the nearest free label, the first of equals, if it is nearer than `distance`. What was found
    /// comes in the order of detections.
    pub(super) fn match_at(&mut self, members: &Members, distance: f64, mut found: impl FnMut(usize, &Link)) {
        self.taken.clear();
        self.taken.resize(members.labels.len(), false);
        greedy(
            &self.links,
            0..members.detections.len(),
            &mut self.taken,
            &Nearest { distance },
            |detection, link| link.iter().for_each(|link| found(detection, link)),
        );
    }
}
