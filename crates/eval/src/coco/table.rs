use std::fmt;

use labelloop_core::{ClassIdx, ClassSchema};
use serde::Serialize;

use super::CocoResult;

/// One class of a [`ClassTable`]. Nothing stands where the class has no label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassRow {
    /// The class.
    pub class: ClassIdx,
    /// Its name.
    pub name: String,
    /// Labels to find, crowds left out.
    pub n_labels: u64,
    /// Average precision over all thresholds.
    pub ap: Option<f64>,
    /// Average precision at an IoU of .5.
    pub ap50: Option<f64>,
    /// Average precision at an IoU of .75.
    pub ap75: Option<f64>,
    /// Average recall at the largest detection limit.
    pub ar: Option<f64>,
}

/// Results class by class; printing gives an aligned table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassTable {
    /// One row for each class, in the order of classes.
    pub rows: Vec<ClassRow>,
}

impl CocoResult {
    /// Results class by class; a class without a name in the schema goes by its number.
    pub fn class_table(&self, schema: &ClassSchema) -> ClassTable {
        let row = |k: usize| {
            let class = ClassIdx(u32::try_from(k).unwrap_or(u32::MAX));
            let all = self.params.areas.iter().position(|a| a.label == "all").unwrap_or(0);
            ClassRow {
                class,
                name: schema.name(class).map_or_else(|| format!("class {k}"), str::to_owned),
                n_labels: self.n_labels[k].get(all).copied().unwrap_or(0),
                ap: self.class_ap(class),
                ap50: self.class_ap50(class),
                ap75: self.class_ap75(class),
                ar: self.class_ar(class),
            }
        };
        ClassTable { rows: (0..self.n_classes).map(row).collect() }
    }
}

impl fmt::Display for ClassTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|r| r.name.chars().count()).max().unwrap_or(0).max(5);
        writeln!(
            f,
            "{:<width$}  {:>7}  {:>6}  {:>6}  {:>6}  {:>6}",
            "class", "labels", "AP", "AP50", "AP75", "AR"
        )?;
        let number = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"));
        for row in &self.rows {
            let (ap, ap50, ap75, ar) = (number(row.ap), number(row.ap50), number(row.ap75), number(row.ar));
            let (name, n) = (&row.name, row.n_labels);
            writeln!(f, "{name:<width$}  {n:>7}  {ap:>6}  {ap50:>6}  {ap75:>6}  {ar:>6}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use labelloop_core::{BBox, LabelledBox, SampleId, ScoredBox};

    use super::*;
    use crate::ImageCase;
    use crate::coco::{CocoParams, evaluate};

    fn result() -> CocoResult {
        let id = SampleId::new("1").unwrap();
        let bbox = BBox::new(100.0, 100.0, 50.0, 50.0).unwrap();
        let labels = [LabelledBox::new(ClassIdx(0), bbox)];
        let detections = [ScoredBox::new(ClassIdx(0), bbox, 0.9).unwrap()];
        let case = ImageCase { id: &id, size: None, labels: &labels, detections: &detections };
        evaluate(&[case], 2, &CocoParams::default()).unwrap()
    }

    #[test]
    fn summary_is_the_familiar_one() {
        // As pycocotools 2.0.11 prints its case of one perfect box.
        let expected = "\
\x20Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 1.000
 Average Precision  (AP) @[ IoU=0.50      | area=   all | maxDets=100 ] = 1.000
 Average Precision  (AP) @[ IoU=0.75      | area=   all | maxDets=100 ] = 1.000
 Average Precision  (AP) @[ IoU=0.50:0.95 | area= small | maxDets=100 ] = -1.000
 Average Precision  (AP) @[ IoU=0.50:0.95 | area=medium | maxDets=100 ] = 1.000
 Average Precision  (AP) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = -1.000
 Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets=  1 ] = 1.000
 Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets= 10 ] = 1.000
 Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 1.000
 Average Recall     (AR) @[ IoU=0.50:0.95 | area= small | maxDets=100 ] = -1.000
 Average Recall     (AR) @[ IoU=0.50:0.95 | area=medium | maxDets=100 ] = 1.000
 Average Recall     (AR) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = -1.000
";
        assert_eq!(result().to_string(), expected);
    }

    #[test]
    fn table_has_a_row_for_each_class_and_dashes_for_absent_ones() {
        let schema = ClassSchema::new(["car"]).unwrap();
        let expected = "\
class     labels      AP    AP50    AP75      AR
car            1   1.000   1.000   1.000   1.000
class 1        0       -       -       -       -
";
        assert_eq!(result().class_table(&schema).to_string(), expected);
    }

    #[test]
    fn places_outside_the_arrays_are_nothing() {
        let result = result();
        assert_eq!(result.shape(), [10, 101, 2, 4, 3]);
        assert_eq!(result.precision_at([0, 0, 0, 0, 2]), Some(0.9999999999999998));
        assert_eq!(result.score_at([0, 0, 0, 0, 2]), Some(0.9));
        assert_eq!(result.recall_at([9, 0, 0, 0]), Some(1.0));
        assert_eq!(result.precision_at([10, 0, 0, 0, 0]), None);
        assert_eq!(result.recall_at([0, 2, 0, 0]), None);
        assert_eq!(result.class_ap(ClassIdx(2)), None);
        assert_eq!(result.ap(Some(0.42), "all", None), None);
        assert_eq!(result.ap(None, "huge", None), None);
        assert_eq!(result.ar("all", 3, None), None);
    }

    #[test]
    fn fewer_limits_and_areas_still_give_numbers() {
        let id = SampleId::new("1").unwrap();
        let labels = [LabelledBox::new(ClassIdx(0), BBox::new(0.0, 0.0, 9.0, 9.0).unwrap())];
        let case = ImageCase { id: &id, size: None, labels: &labels, detections: &[] };
        let params = CocoParams { max_dets: vec![7], ..CocoParams::default() };
        let result = evaluate(&[case], 1, &params).unwrap();
        assert_eq!(result.stats[..4], [0.0; 4]);
        assert_eq!(result.stats[6..10], [0.0; 4]);
        assert_eq!(result.class_ar(ClassIdx(0)), Some(0.0));
        assert!(result.to_string().contains("maxDets=  7"));
        assert_eq!(evaluate(&[], 0, &params).unwrap().map(), None);
    }
}
