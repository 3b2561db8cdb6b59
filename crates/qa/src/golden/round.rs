use std::collections::BTreeMap;

use labelloop_core::{ClassSchema, ImageSize, LabelledBox, SampleId};

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

/// The images of a round in the order of their ids.
pub(crate) type Sorted<'r, 'a> = BTreeMap<&'a SampleId, &'r GoldenImage<'a>>;

/// Refuses what no statistic can be computed from, and puts images in order.
pub(crate) fn sorted_round<'r, 'a>(
    round: &str,
    images: &'r [GoldenImage<'a>],
    schema: &ClassSchema,
) -> Result<Sorted<'r, 'a>> {
    if images.is_empty() {
        return Err(QaError::NoImages { round: round.to_owned() });
    }
    let mut sorted = BTreeMap::new();
    for image in images {
        check_boxes(round, image, schema)?;
        if sorted.insert(image.id, image).is_some() {
            return Err(QaError::DuplicateImage { round: round.to_owned(), id: image.id.clone() });
        }
    }
    Ok(sorted)
}

/// Refuses a round that does not show the reference's images, all of them and no others.
pub(crate) fn check_same_images(
    round: &str,
    images: &Sorted<'_, '_>,
    reference: &Sorted<'_, '_>,
) -> Result<()> {
    let not_in = |a: &Sorted<'_, '_>, b: &Sorted<'_, '_>| -> Vec<SampleId> {
        a.keys().filter(|id| !b.contains_key(**id)).map(|id| (*id).clone()).collect()
    };
    let missing = not_in(reference, images);
    if !missing.is_empty() {
        return Err(QaError::MissingImages { round: round.to_owned(), missing, n_expected: reference.len() });
    }
    let extra = not_in(images, reference);
    if !extra.is_empty() {
        return Err(QaError::ExtraImages { round: round.to_owned(), extra });
    }
    for (image, expected) in images.values().zip(reference.values()) {
        if image.size != expected.size {
            return Err(QaError::SizeMismatch {
                round: round.to_owned(),
                id: image.id.clone(),
                found: (image.size.width(), image.size.height()),
                expected: (expected.size.width(), expected.size.height()),
            });
        }
    }
    Ok(())
}

fn check_boxes(round: &str, image: &GoldenImage<'_>, schema: &ClassSchema) -> Result<()> {
    for (box_idx, b) in image.boxes.iter().enumerate() {
        if schema.n_classes() <= b.class.as_usize() {
            return Err(QaError::ClassOutOfSchema {
                round: round.to_owned(),
                id: image.id.clone(),
                box_idx,
                found: b.class.0,
                n_classes: schema.n_classes(),
            });
        }
        let area = b.effective_area();
        if !(0.0 <= area) || !area.is_finite() {
            return Err(QaError::InvalidArea {
                round: round.to_owned(),
                id: image.id.clone(),
                box_idx,
                found: area,
            });
        }
    }
    Ok(())
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
    let mut hasher = blake3::Hasher::new();
    let mut order: Vec<&GoldenImage<'_>> = images.iter().collect();
    order.sort_by(|a, b| a.id.cmp(b.id));
    for image in order {
        hasher.update(&(image.id.as_str().len() as u64).to_le_bytes());
        hasher.update(image.id.as_str().as_bytes());
        let keys = box_keys(image.boxes);
        hasher.update(&(keys.len() as u64).to_le_bytes());
        for key in keys {
            for part in key {
                hasher.update(&part.to_le_bytes());
            }
        }
    }
    hasher.finalize().to_hex().to_string()
}

/// Whether two rounds hold the same boxes to the last bit.
pub(crate) fn is_copy(a: &Sorted<'_, '_>, b: &Sorted<'_, '_>) -> bool {
    a.values().any(|i| !i.boxes.is_empty())
        && a.len() == b.len()
        && a.values().zip(b.values()).all(|(x, y)| x.id == y.id && box_keys(x.boxes) == box_keys(y.boxes))
}

/// Class, crowd and corner bits of each box, sorted. Adding 0.0 makes the two zeros one.
fn box_keys(boxes: &[LabelledBox]) -> Vec<[u64; 6]> {
    let mut keys: Vec<[u64; 6]> = boxes
        .iter()
        .map(|b| {
            let [x, y, w, h] = b.bbox.to_xywh().map(|v| (v + 0.0).to_bits());
            [u64::from(b.class.0), u64::from(b.is_crowd), x, y, w, h]
        })
        .collect();
    keys.sort_unstable();
    keys
}
