use labelloop_core::ClassSchema;
use serde::{Deserialize, Serialize};

use crate::golden::{Item, Mark};
use crate::{GoldenImage, GoldenScan};

/// Objects of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassTotal {
    /// Name of the class.
    pub name: String,
    /// Its objects; 0 is stated, not left out.
    pub count: usize,
}

/// How much was labelled: every class of the schema in its order, whether it occurs or not.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, ClassSchema, ImageSize, LabelledBox, SampleId};
/// use labelloop_qa::{GoldenImage, LabelTotals};
///
/// let schema = ClassSchema::new(["car", "van"])?;
/// let (a, b, size) = (SampleId::new("a")?, SampleId::new("b")?, ImageSize::new(64, 64)?);
/// let cars = vec![LabelledBox::new(ClassIdx(0), BBox::new(0.0, 0.0, 9.0, 9.0)?); 3];
/// let totals = LabelTotals::of(
///     &[GoldenImage { id: &a, size, boxes: &cars }, GoldenImage { id: &b, size, boxes: &[] }],
///     &schema,
/// );
/// assert_eq!((totals.per_labelled_image(), totals.per_image()), (Some(3.0), Some(1.5)));
/// assert_eq!(totals.classes[1].count, 0);
/// # Ok::<(), labelloop_core::CoreError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelTotals {
    /// Images (or scans) looked at.
    pub n_images: usize,
    /// Images with at least one box.
    pub n_labelled_images: usize,
    /// Boxes (or cuboids), crowds included.
    pub n_objects: usize,
    /// Boxes by class, in the order of the schema.
    pub classes: Vec<ClassTotal>,
}

impl LabelTotals {
    /// Counts a set of images. Boxes of a class beyond the schema count as objects and under no class.
    pub fn of(images: &[GoldenImage<'_>], schema: &ClassSchema) -> Self {
        Self::of_items(images, schema)
    }

    /// Counts a set of scans and their cuboids in the same way.
    pub fn of_scans(scans: &[GoldenScan<'_>], schema: &ClassSchema) -> Self {
        Self::of_items(scans, schema)
    }

    pub(crate) fn of_items<'a, I: Item<'a>>(items: &[I], schema: &ClassSchema) -> Self {
        let mut classes: Vec<ClassTotal> =
            schema.names().iter().map(|name| ClassTotal { name: name.clone(), count: 0 }).collect();
        for mark in items.iter().flat_map(Item::marks) {
            if let Some(class) = classes.get_mut(mark.class().as_usize()) {
                class.count += 1;
            }
        }
        Self {
            n_images: items.len(),
            n_labelled_images: items.iter().filter(|item| !item.marks().is_empty()).count(),
            n_objects: items.iter().map(|item| item.marks().len()).sum(),
            classes,
        }
    }

    /// Boxes per image that has any; hides images left empty, so read it beside [`per_image`](Self::per_image).
    pub fn per_labelled_image(&self) -> Option<f64> {
        ratio(self.n_objects, self.n_labelled_images)
    }

    /// Boxes per image.
    pub fn per_image(&self) -> Option<f64> {
        ratio(self.n_objects, self.n_images)
    }

    /// Share of images with at least one box.
    pub fn coverage(&self) -> Option<f64> {
        ratio(self.n_labelled_images, self.n_images)
    }

    /// The most frequent classes, the schema's order deciding among equals.
    pub fn top(&self, n: usize) -> Vec<&ClassTotal> {
        let mut order: Vec<&ClassTotal> = self.classes.iter().collect();
        order.sort_by_key(|class| std::cmp::Reverse(class.count));
        order.truncate(n);
        order
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (0 < whole).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_no_average_and_all_classes() {
        let totals = LabelTotals::of(&[], &ClassSchema::new(["a", "b"]).unwrap());
        assert_eq!((totals.per_image(), totals.per_labelled_image(), totals.coverage()), (None, None, None));
        assert_eq!(totals.classes.iter().map(|c| c.count).collect::<Vec<_>>(), [0, 0]);
    }

    #[test]
    fn the_schema_decides_among_equals() {
        let class = |name: &str, count| ClassTotal { name: name.into(), count };
        let classes = vec![class("z", 1), class("a", 1), class("m", 5)];
        let totals = LabelTotals { n_images: 1, n_labelled_images: 1, n_objects: 7, classes };
        assert_eq!(totals.top(2).iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["m", "z"]);
    }
}
