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
