use super::edges::{Edge, edges};
use super::filter::{self, Difficulty, Role, Standing};
use super::input::{DONT_CARE, Frame, Label};
use super::params::KittiValidParams;
use crate::Result;

/// What is not of a slice: such labels are ignored, such detections excused where they find no label.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outside {
    /// For each label whether it is outside.
    pub(crate) labels: Vec<bool>,
    /// For each detection whether it is outside.
    pub(crate) detections: Vec<bool>,
}

/// Names as numbers, and what each means to each class.
#[derive(Debug)]
pub(super) struct Words {
    names: Vec<String>,
    /// By class and word.
    roles: Vec<Vec<Role>>,
}

/// A name that no class knows.
const UNKNOWN: u32 = u32::MAX;

impl Words {
    pub(super) fn new(params: &KittiValidParams) -> Self {
        let classes = &params.get().classes;
        let mut names: Vec<String> = Vec::new();
        for name in classes.iter().flat_map(|class| std::iter::once(&class.name).chain(&class.neighbours)) {
            if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                names.push(name.clone());
            }
        }
        let roles = classes.iter().map(|class| {
            let role = |name: &String| {
                if class.name.eq_ignore_ascii_case(name) {
                    Role::Own
                } else if class.neighbours.iter().any(|n| n.eq_ignore_ascii_case(name)) {
                    Role::Neighbour
                } else {
                    Role::Other
                }
            };
            names.iter().map(role).collect()
        });
        Self { roles: roles.collect(), names }
    }

    fn of(&self, name: &str) -> u32 {
        self.names
            .iter()
            .position(|known| known.eq_ignore_ascii_case(name))
            .map_or(UNKNOWN, |word| word as u32)
    }

    fn role(&self, class: usize, word: u32) -> Role {
        self.roles[class].get(word as usize).copied().unwrap_or(Role::Other)
    }
}

/// A frame with its overlaps, made once for all classes, difficulties and metrics.
pub(super) struct View<'a> {
    pub(super) frame: &'a Frame<'a>,
    params: &'a KittiValidParams,
    words: &'a Words,
    label_words: Vec<u32>,
    detection_words: Vec<u32>,
    /// By kind of overlap: label by label, detections ascending.
    pub(super) edges: [Vec<Edge>; 3],
    /// For each detection the largest share of its box that lies in one region that people left out.
    covered: Vec<f64>,
    outside: Option<&'a Outside>,
}

impl<'a> View<'a> {
    pub(super) fn new(
        frame: &'a Frame<'a>,
        params: &'a KittiValidParams,
        words: &'a Words,
        outside: Option<&'a Outside>,
    ) -> Result<Self> {
        let label_words: Vec<u32> = frame.labels.iter().map(|l| words.of(&l.class)).collect();
        let detection_words = frame.detections.iter().map(|d| words.of(&d.class)).collect();
        let is_asked = |label: usize| label_words[label] != UNKNOWN;
        let edges = edges(frame, is_asked, least_overlaps(params))?;
        Ok(Self {
            frame,
            params,
            words,
            detection_words,
            edges,
            covered: covered(frame),
            outside,
            label_words,
        })
    }

    pub(super) fn label_role(&self, class: usize, label: usize) -> Role {
        self.words.role(class, self.label_words[label])
    }

    pub(super) fn is_own_detection(&self, class: usize, detection: usize) -> bool {
        self.words.role(class, self.detection_words[detection]) == Role::Own
    }

    pub(super) fn label(&self, class: usize, difficulty: Difficulty, overlap: usize, i: usize) -> Standing {
        let is_outside = self.outside.is_some_and(|outside| outside.labels[i]);
        let (label, role) = (&self.frame.labels[i], self.label_role(class, i));
        filter::of_label(label, role, self.params.get().filter, difficulty, overlap, is_outside)
    }

    pub(super) fn detection(&self, class: usize, difficulty: Difficulty, i: usize) -> Standing {
        let is_own = self.is_own_detection(class, i);
        filter::of_detection(&self.frame.detections[i], is_own, self.params.get().filter, difficulty)
    }

    pub(super) fn min_overlap(&self, class: usize, overlap: usize) -> f64 {
        self.params.get().classes[class].min_overlap[overlap]
    }

    /// Whether a detection that finds no label is not held against the detector: a region that people left out, which
    /// has no place in space, or another slice.
    pub(super) fn is_excused(&self, class: usize, overlap: usize, i: usize) -> bool {
        self.is_covered(class, overlap, i) || self.outside.is_some_and(|outside| outside.detections[i])
    }

    pub(super) fn is_covered(&self, class: usize, overlap: usize, i: usize) -> bool {
        overlap == 0 && self.min_overlap(class, 0) < self.covered[i]
    }
}

fn least_overlaps(params: &KittiValidParams) -> [f64; 3] {
    let of = |overlap: usize| params.get().classes.iter().map(|c| c.min_overlap[overlap]).fold(1.0, f64::min);
    [of(0), of(1), of(2)]
}

fn covered(frame: &Frame<'_>) -> Vec<f64> {
    let is_region = |label: &&Label| label.class.eq_ignore_ascii_case(DONT_CARE);
    let regions: Vec<_> = frame.labels.iter().filter(is_region).filter_map(|l| l.bbox).collect();
    let share = |detection: &super::Detection| {
        let Some(bbox) = detection.bbox.filter(|bbox| 0.0 < bbox.area()) else { return 0.0 };
        regions.iter().map(|r| r.intersection_area(bbox) / bbox.area()).fold(0.0, f64::max)
    };
    frame.detections.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kitti::KittiParams;

    #[test]
    fn names_mean_something_to_each_class_in_any_case() {
        let words = Words::new(&KittiParams::default().check().unwrap());
        let roles = |name: &str| [0, 1, 2].map(|class| words.role(class, words.of(name)));
        assert_eq!(roles("CAR"), [Role::Own, Role::Other, Role::Other]);
        assert_eq!(roles("van"), [Role::Neighbour, Role::Other, Role::Other]);
        assert_eq!(roles("Person_sitting"), [Role::Other, Role::Neighbour, Role::Other]);
        assert_eq!(roles("DontCare"), [Role::Other; 3]);
        assert_eq!(roles("Tram"), [Role::Other; 3]);
    }
}
