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
    pub fn new(image: u32, class: ClassIdx, bbox: BBox) -> Self {
        Self { image, class, is_crowd: false, bbox, area: bbox.area() }
    }

    /// The same with an area that the source states, in square pixels.
    ///
    /// # Errors
    /// [`CoreError::InvalidArea`] for a NaN, an infinity or a negative number.
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
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectionRow {
    /// Place of the picture in its list.
    pub image: u32,
    /// Class, box and score.
    pub found: ScoredBox,
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
}
