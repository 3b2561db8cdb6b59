//! Tables of layout 1: one of each kind for all fields. Whatever a table says is checked as if a stranger had written it.

use std::collections::BTreeMap;

use labelloop_core::SampleId;

use super::Item;
use super::frame::Table;
use crate::disk::Scores;
use crate::labels::{Answer, Labels};
use crate::{Dataset, Result};

const LABELLED: &str = "labelled.parquet";
const BOXES: &str = "boxes.parquet";
const CUBOIDS: &str = "cuboids.parquet";
const PREDICTIONS: &str = "predictions.parquet";
const SCORES: &str = "scores.parquet";

/// Answers of one field, while they are put together.
type Field<T> = BTreeMap<SampleId, Vec<T>>;

/// Fills in everything but the samples. `names`: of fields of boxes, cuboids, predictions and scores.
pub(super) fn read(
    d: &mut Dataset,
    names: [Vec<String>; 4],
    table: &dyn Fn(&str) -> Result<Table>,
) -> Result<()> {
    let [boxes, cuboids, predictions, score_names] = names;
    let answered = table(LABELLED)?;
    d.boxes = fields(d, boxes, &answered, &table(BOXES)?, BOXES)?;
    d.cuboids = fields(d, cuboids, &answered, &table(CUBOIDS)?, CUBOIDS)?;
    d.predictions = fields(d, predictions, &answered, &table(PREDICTIONS)?, PREDICTIONS)?;
    d.scores = scores(d, score_names, &table(SCORES)?)?;
    check_tables(&answered)
}

fn fields<T: Item>(
    d: &Dataset,
    names: Vec<String>,
    answered: &Table,
    objects: &Table,
    table: &str,
) -> Result<BTreeMap<String, Labels<T>>> {
    let mut fields = names.into_iter().map(|name| (name, Field::new())).collect();
    open(d, &mut fields, answered, table)?;
    fill(&mut fields, objects, T::decode(objects, d.schema.n_classes())?)?;
    let labels = |field: Field<T>| {
        let mut labels = Labels::default();
        for (id, items) in field {
            labels.insert(id, Answer::new(items));
        }
        labels
    };
    Ok(fields.into_iter().map(|(name, field)| (name, labels(field))).collect())
}

/// Makes an empty answer for every sample that someone looked at, to be filled from the tables of objects.
fn open<T>(d: &Dataset, fields: &mut BTreeMap<String, Field<T>>, t: &Table, table: &str) -> Result<()> {
    let (tables, names, ids) = (t.text("table")?, t.text("field")?, t.text("sample")?);
    let counts = t.whole("n")?;
    for row in (0..t.n_rows()).filter(|row| tables[*row] == table) {
        let id = known(d, t, row, ids[row])?;
        let Some(labels) = fields.get_mut(names[row]) else {
            return Err(t.bad("field", row, names[row], "a field that the catalog lists"));
        };
        // The capacity is a hint from a file, so it is not trusted beyond what a picture holds.
        labels.insert(id, Vec::with_capacity((counts[row] as usize).min(1024)));
    }
    Ok(())
}

/// Puts the rows of a label table where they belong; positions must count up from 0 without gaps.
fn fill<T>(fields: &mut BTreeMap<String, Field<T>>, t: &Table, items: Vec<T>) -> Result<()> {
    let (names, ids, positions) = (t.text("field")?, t.text("sample")?, t.whole("position")?);
    for (row, item) in items.into_iter().enumerate() {
        let labels = fields.get_mut(names[row]).and_then(|f| f.get_mut(ids[row]));
        let Some(labels) = labels else {
            return Err(t.bad("sample", row, ids[row], "a sample that the table of labelled samples lists"));
        };
        if positions[row] as usize != labels.len() {
            return Err(t.bad("position", row, positions[row], labels.len()));
        }
        labels.push(item);
    }
    Ok(())
}

fn check_tables(t: &Table) -> Result<()> {
    let tables = t.text("table")?;
    match tables.iter().position(|name| ![BOXES, CUBOIDS, PREDICTIONS].contains(name)) {
        Some(row) => Err(t.bad("table", row, tables[row], "the name of a label table")),
        None => Ok(()),
    }
}

fn scores(d: &Dataset, names: Vec<String>, t: &Table) -> Result<BTreeMap<String, Scores>> {
    let mut scores: BTreeMap<String, BTreeMap<SampleId, f64>> =
        names.into_iter().map(|name| (name, BTreeMap::new())).collect();
    let (names, ids, values) = (t.text("name")?, t.text("sample")?, t.real("value")?);
    for row in 0..t.n_rows() {
        let id = known(d, t, row, ids[row])?;
        let Some(score) = scores.get_mut(names[row]) else {
            return Err(t.bad("name", row, names[row], "a score that the catalog lists"));
        };
        score.insert(id, values[row]);
    }
    Ok(scores.into_iter().map(|(name, values)| (name, Scores::Here(values))).collect())
}

fn known(d: &Dataset, t: &Table, row: usize, id: &str) -> Result<SampleId> {
    let unknown = || t.bad("sample", row, id, "a sample of the dataset");
    d.samples.get_key_value(id).map(|(id, _)| id.clone()).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use labelloop_core::LabelledBox;

    use super::super::frame::Columns;
    use super::super::frame::tests::{message, table};
    use super::*;
    use crate::testing::{ids, pool_of};

    fn answered(rows: &[(&str, &str, &str, u32)]) -> Table {
        let columns = Columns::new()
            .with("table", rows.iter().map(|r| r.0).collect::<Vec<_>>())
            .with("field", rows.iter().map(|r| r.1).collect::<Vec<_>>());
        table(
            columns
                .with("sample", rows.iter().map(|r| r.2).collect::<Vec<_>>())
                .with("n", rows.iter().map(|r| r.3).collect::<Vec<_>>()),
        )
    }

    /// Two rows of boxes of sample `s0`, with one number of the second row changed.
    fn box_table(position: u32, class: u32) -> Table {
        let columns = super::super::items::tests::two_boxes("s0", position, class, 1.0);
        table(columns.with("field", ["ground_truth"; 2]))
    }

    fn read_boxes(answered: &Table, objects: &Table) -> Result<BTreeMap<String, Labels<LabelledBox>>> {
        fields(&pool_of(1), vec!["ground_truth".to_owned()], answered, objects, BOXES)
    }

    #[test]
    fn whole_tables_are_read() {
        let of_s0 = answered(&[(BOXES, "ground_truth", "s0", 2), (CUBOIDS, "x", "s0", 1)]);
        let fields = read_boxes(&of_s0, &box_table(1, 1)).unwrap();
        assert_eq!(fields["ground_truth"].get(&ids(&["s0"])[0]).unwrap().unwrap().len(), 2);
    }

    #[test]
    fn positions_must_count_up() {
        let of_s0 = answered(&[(BOXES, "ground_truth", "s0", 2)]);
        let text = message(read_boxes(&of_s0, &box_table(2, 0)));
        assert_eq!(text, "t.parquet is damaged: found 2 in column \"position\", row 1, expected 1");
    }

    #[test]
    fn labels_must_be_of_known_samples_and_fields() {
        let boxes = box_table(1, 0);
        let strange = |field, sample| message(read_boxes(&answered(&[(BOXES, field, sample, 2)]), &boxes));
        assert!(strange("nope", "s0").contains("catalog"));
        assert!(strange("ground_truth", "x").contains("a sample of the dataset"));
        assert!(message(check_tables(&answered(&[("b.parquet", "x", "s0", 0)]))).contains("b.parquet"));
    }

    #[test]
    fn rows_without_an_entry_are_refused() {
        let text = message(read_boxes(&answered(&[]), &box_table(1, 0)));
        assert!(text.contains("the table of labelled samples"), "{text}");
    }

    #[test]
    fn scores_must_be_listed() {
        let t = table(Columns::new().with("name", ["z"]).with("sample", ["s0"]).with("value", [0.5]));
        assert!(message(scores(&pool_of(1), vec![], &t)).contains("a score that the catalog lists"));
    }
}
