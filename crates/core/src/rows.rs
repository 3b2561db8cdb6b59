use crate::{BBox, ClassIdx, CoreError, Result, ScoredBox};

/// A label as one row of a long table: what metrics ask for and nothing that needs memory of its own.
///
/// Readers fill such tables straight from a file and evaluations sort them; `image` is a place in the list of
/// pictures that goes with the table.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, LabelRow};
///
/// let row = LabelRow::new(0, ClassIdx(2), BBox::new(0.0, 0.0, 4.0, 5.0)?);
/// assert_eq!((row.area(), row.is_crowd), (20.0, false));
/// assert_eq!(row.with_area(12.5)?.area(), 12.5);
/// # Ok::<(), labelloop_core::CoreError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelRow {
    /// Place of the picture in its list.
    pub image: u32,
    /// Class in the project's schema.
    pub class: ClassIdx,
    /// COCO's `iscrowd`.
    pub is_crowd: bool,
    /// Where it is, in pixels.
    pub bbox: BBox,
    area: f64,
}

impl LabelRow {
    /// A plain object whose area is that of its box.
    #[inline]
    pub fn new(image: u32, class: ClassIdx, bbox: BBox) -> Self {
        Self { image, class, is_crowd: false, bbox, area: bbox.area() }
    }

    /// The same with an area that the source states, in square pixels.
    ///
    /// # Errors
    /// [`CoreError::InvalidArea`] for a NaN, an infinity or a negative number.
    #[inline]
    pub fn with_area(self, area: f64) -> Result<Self> {
        if !(0.0 <= area && area.is_finite()) {
            return Err(CoreError::InvalidArea { found: area });
        }
        Ok(Self { area, ..self })
    }

    /// The stated area, or that of the box, in square pixels.
    pub fn area(&self) -> f64 {
        self.area
    }
}

/// A detection as one row of a long table; `image` is a place in the list of pictures that goes with it.
///
/// The score is any finite number: rankings ask for no more. What asks for a confidence asks for a [`ScoredBox`], and
/// gets one where the score is from 0 to 1.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, DetectionRow};
///
/// let bbox = BBox::new(0.0, 0.0, 4.0, 5.0)?;
/// let logit = DetectionRow::new(0, ClassIdx(2), bbox, -3.5)?;
/// assert_eq!(logit.score(), -3.5);
/// assert!(logit.scored_box().is_err());
/// assert!(DetectionRow::new(0, ClassIdx(2), bbox, f64::NAN).is_err());
/// # Ok::<(), labelloop_core::CoreError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectionRow {
    /// Place of the picture in its list.
    pub image: u32,
    /// Class in the project's schema.
    pub class: ClassIdx,
    /// Where it is, in pixels.
    pub bbox: BBox,
    score: f64,
}

impl DetectionRow {
    /// # Errors
    /// [`CoreError::ScoreNotFinite`] for a NaN or an infinity.
    #[inline]
    pub fn new(image: u32, class: ClassIdx, bbox: BBox, score: f64) -> Result<Self> {
        if !score.is_finite() {
            return Err(CoreError::ScoreNotFinite { found: score });
        }
        Ok(Self { image, class, bbox, score })
    }

    /// A detection of a picture as a row.
    pub fn of(image: u32, found: ScoredBox) -> Self {
        Self { image, class: found.class(), bbox: found.bbox(), score: found.score() }
    }

    /// What the detector gave it; a higher one goes first.
    pub fn score(&self) -> f64 {
        self.score
    }

    /// The same with a score that is a confidence.
    ///
    /// # Errors
    /// [`CoreError::InvalidScore`] for a score outside 0 to 1.
    pub fn scored_box(&self) -> Result<ScoredBox> {
        ScoredBox::new(self.class, self.bbox, self.score)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_that_are_none_are_refused() {
        let row = LabelRow::new(0, ClassIdx(0), BBox::new(0.0, 0.0, 1.0, 1.0).unwrap());
        for area in [f64::NAN, f64::INFINITY, -1.0] {
            let said = row.with_area(area).unwrap_err().to_string();
            assert!(said.contains("area"), "{said}");
        }
        assert_eq!(row.with_area(0.0).unwrap().area(), 0.0);
    }

    #[test]
    fn confidences_come_back_and_other_scores_do_not() {
        let bbox = BBox::new(0.0, 0.0, 1.0, 1.0).unwrap();
        let found = ScoredBox::new(ClassIdx(1), bbox, 0.25).unwrap();
        assert_eq!(DetectionRow::of(3, found).scored_box().unwrap(), found);
        for score in [-0.1, 1.1, f64::MAX] {
            let row = DetectionRow::new(0, ClassIdx(0), bbox, score).unwrap();
            assert!(matches!(row.scored_box(), Err(CoreError::InvalidScore { .. })));
        }
        for score in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let refused = DetectionRow::new(0, ClassIdx(0), bbox, score);
            assert!(matches!(refused, Err(CoreError::ScoreNotFinite { .. })));
        }
    }
}
