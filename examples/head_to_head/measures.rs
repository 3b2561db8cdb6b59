//! What is known of a choice of pictures without learning from it.

use std::collections::BTreeSet;

use labelloop::core::ClassIdx;

use crate::data::Data;

/// How near the pool's pictures are to those that were chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Coverage {
    pub(crate) mean_distance: f64,
    pub(crate) max_distance: f64,
    /// Share of the pool within the data set's radius of a chosen picture.
    pub(crate) within: f64,
}

/// What the chosen pictures hold, by the true labels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Holdings {
    pub(crate) n_boxes: usize,
    /// Share of the pool's boxes that are in chosen pictures, mean over the rare classes.
    pub(crate) rare_recall: f64,
    /// Share of the rare classes with at least one box.
    pub(crate) rare_found: f64,
    /// Share of all classes with at least one box.
    pub(crate) classes_found: f64,
}

/// Nothing chosen covers nothing: distances are infinite then.
pub(crate) fn coverage(data: &Data, pool: &[usize], chosen: &[usize]) -> Coverage {
    let nearest = |row: &usize| {
        let all = chosen.iter().map(|c| data.distances[(*row, *c)]);
        all.fold(f32::INFINITY, f32::min)
    };
    let nearest: Vec<f32> = pool.iter().map(nearest).collect();
    let n = nearest.len().max(1) as f64;
    Coverage {
        mean_distance: nearest.iter().copied().map(f64::from).sum::<f64>() / n,
        max_distance: nearest.iter().copied().map(f64::from).fold(0.0, f64::max),
        within: nearest.iter().filter(|d| **d <= data.radius).count() as f64 / n,
    }
}

/// Classes that the pool does not hold do not count.
pub(crate) fn holdings(data: &Data, pool: &[usize], chosen: &[usize]) -> Holdings {
    let of_class = |rows: &[usize], class: ClassIdx| -> usize {
        rows.iter().flat_map(|i| &data.samples[*i].boxes).filter(|l| l.class == class).count()
    };
    let all: Vec<(ClassIdx, usize, usize)> = (0..data.schema.n_classes() as u32)
        .map(|c| (ClassIdx(c), of_class(pool, ClassIdx(c)), of_class(chosen, ClassIdx(c))))
        .filter(|(_, there, _)| 0 < *there)
        .collect();
    let rare: BTreeSet<ClassIdx> = data.rare.iter().copied().collect();
    let rare: Vec<_> = all.iter().filter(|(class, ..)| rare.contains(class)).copied().collect();
    let found = |classes: &[(ClassIdx, usize, usize)]| {
        mean(classes.iter().map(|(.., held)| f64::from(u8::from(0 < *held))))
    };
    Holdings {
        n_boxes: all.iter().map(|(.., held)| held).sum(),
        rare_recall: mean(rare.iter().map(|(_, there, held)| *held as f64 / *there as f64)),
        rare_found: found(&rare),
        classes_found: found(&all),
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len().max(1) as f64;
    values.sum::<f64>() / n
}

#[cfg(test)]
mod tests {
    use labelloop::core::{BBox, ClassSchema, GroupKey, LabelledBox, SampleId};
    use ndarray::array;

    use super::*;
    use crate::data::Sample;

    /// Three pictures in a row at 0, 1 and 3, with classes a a, a b, b c.
    fn data() -> Data {
        let sample = |name: &str, classes: [u32; 2]| Sample {
            id: SampleId::new(name).unwrap(),
            path: name.into(),
            group: GroupKey::new(name).unwrap(),
            boxes: classes
                .map(|c| LabelledBox::new(ClassIdx(c), BBox::new(0.0, 0.0, 1.0, 1.0).unwrap()))
                .to_vec(),
        };
        Data {
            name: "three".into(),
            schema: ClassSchema::new(["a", "b", "c", "d"]).unwrap(),
            samples: vec![sample("p", [0, 0]), sample("q", [0, 1]), sample("r", [1, 2])],
            vectors: array![[0.0], [1.0], [3.0]],
            distances: array![[0.0, 1.0, 3.0], [1.0, 0.0, 2.0], [3.0, 2.0, 0.0]],
            radius: 1.0,
            rare: vec![ClassIdx(2), ClassIdx(1)],
        }
    }

    #[test]
    fn coverage_is_that_of_the_nearest() {
        let c = coverage(&data(), &[0, 1, 2], &[0]);
        assert_eq!(c, Coverage { mean_distance: 4.0 / 3.0, max_distance: 3.0, within: 2.0 / 3.0 });
        assert_eq!(coverage(&data(), &[0, 1, 2], &[0, 1, 2]).mean_distance, 0.0);
        assert_eq!(coverage(&data(), &[0, 1], &[]).max_distance, f64::INFINITY);
    }

    #[test]
    fn holdings_count_what_the_pool_has() {
        let h = holdings(&data(), &[0, 1, 2], &[1]);
        // Of class c nothing, of class b one of two; class d is nowhere.
        assert_eq!((h.n_boxes, h.rare_recall, h.rare_found), (2, 0.25, 0.5));
        assert_eq!(h.classes_found, 2.0 / 3.0);
        assert_eq!(holdings(&data(), &[0], &[0]).rare_recall, 0.0);
    }
}
