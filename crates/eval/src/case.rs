use labelloop_core::{ImageSize, LabelledBox, SampleId, ScoredBox};

use crate::{EvalError, Result};

/// One picture with what people marked in it and what a detector proposes: the input of every evaluation.
///
/// Slices of cases may come in any order; results do not depend on it. Within a picture the order of labels and
/// detections counts for exact ties alone: among detections of equal score the earlier one goes first, among labels of
/// equal IoU the later one is taken, as in pycocotools.
#[derive(Debug, Clone, Copy)]
pub struct ImageCase<'a> {
    /// Name of the picture.
    pub id: &'a SampleId,
    /// Its pixels, where known; only positions of failures need it.
    pub size: Option<ImageSize>,
    /// What people marked.
    pub labels: &'a [LabelledBox],
    /// What the detector proposes.
    pub detections: &'a [ScoredBox],
}

impl ImageCase<'_> {
    /// Refuses class numbers the schema does not hold and areas that are none.
    pub(crate) fn check(&self, n_classes: usize) -> Result<()> {
        for (index, label) in self.labels.iter().enumerate() {
            self.check_class("label", index, label.class.0, n_classes)?;
            if let Some(area) = label.area
                && !(0.0 <= area && area.is_finite())
            {
                return Err(EvalError::InvalidArea { image: self.id.to_string(), index, found: area });
            }
        }
        for (index, detection) in self.detections.iter().enumerate() {
            self.check_class("detection", index, detection.class().0, n_classes)?;
        }
        Ok(())
    }

    fn check_class(&self, what: &'static str, index: usize, found: u32, n_classes: usize) -> Result<()> {
        if (found as usize) < n_classes {
            return Ok(());
        }
        Err(EvalError::ClassOutOfRange { image: self.id.to_string(), what, index, found, n_classes })
    }
}

/// The cases by id, after checking each.
pub(crate) fn checked_by_id<'c, 'a>(
    cases: &'c [ImageCase<'a>],
    n_classes: usize,
) -> Result<Vec<&'c ImageCase<'a>>> {
    let mut sorted: Vec<&ImageCase<'a>> = cases.iter().collect();
    sorted.sort_by(|a, b| a.id.cmp(b.id));
    if let Some(pair) = sorted.windows(2).find(|p| p[0].id == p[1].id) {
        return Err(EvalError::DuplicateImage { image: pair[0].id.to_string() });
    }
    sorted.iter().try_for_each(|case| case.check(n_classes))?;
    Ok(sorted)
}

/// One more than the largest class number in use, for verbs that need no schema.
pub(crate) fn classes_in_use(cases: &[ImageCase<'_>]) -> usize {
    let labels = cases.iter().flat_map(|c| c.labels.iter().map(|l| l.class.as_usize()));
    let detections = cases.iter().flat_map(|c| c.detections.iter().map(|d| d.class().as_usize()));
    labels.chain(detections).max().map_or(0, |class| class + 1)
}

#[cfg(test)]
mod tests {
    use labelloop_core::{BBox, ClassIdx};

    use super::*;

    fn id(text: &str) -> SampleId {
        SampleId::new(text).unwrap()
    }

    #[test]
    fn class_numbers_beyond_the_schema_are_refused_with_their_place() {
        let bbox = BBox::new(0.0, 0.0, 1.0, 1.0).unwrap();
        let (id, labels) = (id("a"), [LabelledBox::new(ClassIdx(2), bbox)]);
        let detections = [ScoredBox::new(ClassIdx(5), bbox, 0.5).unwrap()];
        let case = ImageCase { id: &id, size: None, labels: &labels, detections: &detections };
        let said = case.check(2).unwrap_err().to_string();
        assert_eq!(said, "image a, label 0: class 2, expected a number below 2");
        assert!(case.check(3).unwrap_err().to_string().starts_with("image a, detection 0: class 5"));
        assert!(case.check(6).is_ok());
        assert_eq!(classes_in_use(&[case]), 6);
    }

    #[test]
    fn stated_areas_that_are_none_are_refused() {
        let id = id("a");
        for area in [f64::NAN, f64::INFINITY, -1.0] {
            let mut label = LabelledBox::new(ClassIdx(0), BBox::new(0.0, 0.0, 1.0, 1.0).unwrap());
            label.area = Some(area);
            let case = ImageCase { id: &id, size: None, labels: &[label], detections: &[] };
            assert!(matches!(case.check(1), Err(EvalError::InvalidArea { .. })), "{area}");
        }
    }

    #[test]
    fn pictures_are_sorted_and_repeated_ones_refused() {
        let (a, b) = (id("a"), id("b"));
        let case = |id| ImageCase { id, size: None, labels: &[], detections: &[] };
        let cases = [case(&b), case(&a)];
        assert_eq!(checked_by_id(&cases, 0).unwrap()[0].id, &a);
        let cases = [case(&b), case(&b)];
        assert!(matches!(checked_by_id(&cases, 0), Err(EvalError::DuplicateImage { .. })));
        assert_eq!(classes_in_use(&[]), 0);
    }
}
