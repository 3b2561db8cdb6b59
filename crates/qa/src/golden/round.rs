use labelloop_core::{ClassIdx, ImageSize, LabelledBox, SampleId};

use super::item::{Item, Mark, bits, digest};
use crate::{QaError, Result};

/// One golden image as it was labelled in one round (or as the reference has it).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GoldenImage<'a> {
    /// Which image.
    pub id: &'a SampleId,
    /// Its size in pixels.
    pub size: ImageSize,
    /// What was marked in it; empty where somebody looked and found nothing.
    pub boxes: &'a [LabelledBox],
}

/// One annotation round of the golden set: all its images, each once, in any order.
pub type Round<'a> = Vec<GoldenImage<'a>>;

impl Mark for LabelledBox {
    type Key = [u64; 6];

    fn class(&self) -> ClassIdx {
        self.class
    }

    fn annotator(&self) -> Option<&str> {
        self.annotator.as_deref()
    }

    fn is_crowd(&self) -> bool {
        self.is_crowd
    }

    fn key(&self) -> [u64; 6] {
        let [x, y, w, h] = self.bbox.to_xywh().map(bits);
        [u64::from(self.class.0), u64::from(self.is_crowd), x, y, w, h]
    }
}

impl<'a> Item<'a> for GoldenImage<'a> {
    type Mark = LabelledBox;

    fn id(&self) -> &'a SampleId {
        self.id
    }

    fn marks(&self) -> &'a [LabelledBox] {
        self.boxes
    }

    fn check(&self, round: &str) -> Result<()> {
        for (box_idx, b) in self.boxes.iter().enumerate() {
            let area = b.effective_area();
            if !(0.0 <= area) || !area.is_finite() {
                return Err(QaError::InvalidArea {
                    round: round.to_owned(),
                    id: self.id.clone(),
                    box_idx,
                    found: area,
                });
            }
        }
        Ok(())
    }

    fn check_against(&self, round: &str, expected: &Self) -> Result<()> {
        if self.size == expected.size {
            return Ok(());
        }
        Err(QaError::SizeMismatch {
            round: round.to_owned(),
            id: self.id.clone(),
            found: (self.size.width(), self.size.height()),
            expected: (expected.size.width(), expected.size.height()),
        })
    }
}

/// A digest of what was labelled: images, classes, boxes and crowds. The order of images and of boxes within an image
/// does not matter, nor does who drew them.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, ImageSize, LabelledBox, SampleId};
/// use labelloop_qa::{GoldenImage, label_digest};
///
/// let (id, size) = (SampleId::new("a")?, ImageSize::new(64, 64)?);
/// let one = LabelledBox::new(ClassIdx(0), BBox::new(1.0, 2.0, 3.0, 4.0)?);
/// let two = LabelledBox::new(ClassIdx(1), BBox::new(5.0, 6.0, 7.0, 8.0)?);
/// let digest = |boxes: &[LabelledBox]| label_digest(&[GoldenImage { id: &id, size, boxes }]);
/// assert_eq!(digest(&[one.clone(), two.clone()]), digest(&[two.clone(), one.clone()]));
/// assert_ne!(digest(&[one.clone(), two]), digest(&[one]));
/// # Ok::<(), labelloop_core::CoreError>(())
/// ```
pub fn label_digest(images: &[GoldenImage<'_>]) -> String {
    digest(images)
}
