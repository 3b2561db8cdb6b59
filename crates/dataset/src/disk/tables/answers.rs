//! A label field as two tables: one row for each object, and one row for each sample that somebody answered for.
//!
//! The second is what keeps "nobody looked" and "nothing there" apart. It also says which classes a sample has, so that
//! questions about classes need not read the objects.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use labelloop_core::{ClassSchema, LabelledBy, SampleId};

use super::column;
use super::frame::{Columns, Table, pieces, read_table, write_table};
use super::items::{self, Item, Row};
use crate::labels::{ClassIndex, Entry, Labels, Packed};
use crate::{DatasetError, Result};

pub(super) fn write_objects<T: Item>(
    labels: &Labels<T>,
    schema: &ClassSchema,
    out: &mut dyn Write,
    path: &Path,
) -> Result<()> {
    let objects = labels.iter()?.flat_map(|e| {
        let row = |(position, item)| Row { sample: e.id.as_str(), position, item };
        (0u32..).zip(e.items).map(row)
    });
    write_table(pieces(objects, |rows| items::encode(rows, schema)), out, path)
}

pub(super) fn write_answers<T: Item>(labels: &Labels<T>, out: &mut dyn Write, path: &Path) -> Result<()> {
    write_table(pieces(labels.iter()?, encode_answers), out, path)
}

fn encode_answers<T: Item>(rows: &[Entry<'_, T>]) -> Columns {
    let classes: Vec<String> = rows.iter().map(|e| class_text(e.items)).collect();
    Columns::new()
        .with("sample", column(rows, |e| e.id.as_str()))
        .with("n", column(rows, |e| u32::try_from(e.items.len()).unwrap_or(u32::MAX)))
        .with("classes", classes)
        .with("annotator", column(rows, |e| e.by.and_then(|by| by.annotator.as_deref())))
        .with("labelled_at", column(rows, |e| e.by.and_then(|by| by.at.as_deref())))
}

/// Class numbers, each once, rising, separated by spaces.
fn class_text<T: Item>(items: &[T]) -> String {
    let mut classes: Vec<u32> = items.iter().map(|item| item.class().0).collect();
    classes.sort_unstable();
    classes.dedup();
    classes.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
}

/// Which samples have which classes. `ids`: all samples, in order.
pub(super) fn read_classes(
    bytes: &[u8],
    path: &Path,
    ids: &Arc<[SampleId]>,
    n_classes: usize,
) -> Result<ClassIndex> {
    let mut rows = vec![vec![]; n_classes];
    let mut known = (0u32..).zip(ids.iter());
    for table in read_table(bytes, path)? {
        let t = table?;
        let (samples, classes) = (t.text("sample")?, t.text("classes")?);
        for row in 0..t.n_rows() {
            let (number, _) = next_known(&t, row, samples[row], &mut known)?;
            for class in classes[row].split_ascii_whitespace() {
                let of_class = class.parse().ok().and_then(|c: usize| rows.get_mut(c));
                of_class.ok_or_else(|| t.bad("classes", row, class, "a class of the schema"))?.push(number);
            }
        }
    }
    Ok(ClassIndex::new(Arc::clone(ids), rows))
}

/// The tables of answers and objects of a field, each as bytes and place.
pub(in crate::disk) struct Tables<'a> {
    pub(in crate::disk) answers: (&'a [u8], &'a Path),
    pub(in crate::disk) objects: (&'a [u8], &'a Path),
}

/// A whole field. `ids`: all samples, in order.
pub(super) fn read<T: Item>(tables: &Tables<'_>, ids: &[SampleId], n_classes: usize) -> Result<Packed<T>> {
    let (answers, path) = tables.answers;
    let (mut samples, mut counts, mut by) = (vec![], vec![], vec![]);
    let mut known = (0u32..).zip(ids);
    for table in read_table(answers, path)? {
        let t = table?;
        let (names, ns) = (t.text("sample")?, t.whole("n")?);
        let (annotators, times) = (t.text_opt("annotator")?, t.text_opt("labelled_at")?);
        for row in 0..t.n_rows() {
            samples.push(next_known(&t, row, names[row], &mut known)?.1.clone());
            counts.push(ns[row] as usize);
            by.push(signature(annotators[row], times[row], by.last()));
        }
    }
    let items = read_objects(tables.objects, &samples, &counts, n_classes)?;
    if by.iter().all(Option::is_none) {
        by = vec![];
    }
    Ok(Packed::new(samples, counts, by, items))
}

/// Objects of sample after sample, as many each as were answered; positions count up from 0 without gaps.
fn read_objects<T: Item>(
    (bytes, path): (&[u8], &Path),
    samples: &[SampleId],
    counts: &[usize],
    n_classes: usize,
) -> Result<Vec<T>> {
    let mut expected = samples.iter().zip(counts).flat_map(|(id, n)| (0..*n).map(move |i| (id, i)));
    let mut items = vec![];
    for table in read_table(bytes, path)? {
        let t = table?;
        let (names, positions) = (t.text("sample")?, t.whole("position")?);
        for row in 0..t.n_rows() {
            match expected.next() {
                Some((id, _)) if id.as_str() != names[row] => {
                    return Err(t.bad("sample", row, names[row], id));
                }
                Some((_, i)) if i != positions[row] as usize => {
                    return Err(t.bad("position", row, positions[row], i));
                }
                Some(_) => {}
                None => return Err(t.bad("sample", row, names[row], "no more rows than the answers count")),
            }
        }
        items.extend(T::decode(&t, n_classes)?);
    }
    match expected.next() {
        None => Ok(items),
        Some((id, i)) => {
            let found = format!("no object {i} of sample {id}");
            Err(DatasetError::corrupt(path, found, "as many rows as the answers count"))
        }
    }
}

/// The sample of that name with its number, behind those that were met already.
pub(super) fn next_known<'a>(
    t: &Table,
    row: usize,
    name: &str,
    known: &mut impl Iterator<Item = (u32, &'a SampleId)>,
) -> Result<(u32, &'a SampleId)> {
    let unknown = || t.bad("sample", row, name, "a sample of the dataset, in order");
    known.find(|(_, id)| id.as_str() == name).ok_or_else(unknown)
}

/// Signatures that repeat are kept once.
fn signature(
    annotator: Option<&str>,
    at: Option<&str>,
    before: Option<&Option<Arc<LabelledBy>>>,
) -> Option<Arc<LabelledBy>> {
    if annotator.is_none() && at.is_none() {
        return None;
    }
    if let Some(Some(by)) = before
        && (by.annotator.as_deref(), by.at.as_deref()) == (annotator, at)
    {
        return Some(Arc::clone(by));
    }
    Some(Arc::new(LabelledBy { annotator: annotator.map(str::to_owned), at: at.map(str::to_owned) }))
}

#[cfg(test)]
mod tests {
    use labelloop_core::LabelledBox;

    use super::super::frame::tests::message;
    use super::super::items::tests::two_boxes;
    use super::*;
    use crate::labels::Answer;
    use crate::testing::{a_box, ids, schema};

    fn bytes(columns: Columns) -> Vec<u8> {
        let mut bytes = vec![];
        write_table([columns], &mut bytes, Path::new("t.parquet")).unwrap();
        bytes
    }

    fn answers(samples: &[&str], n: &[u32], classes: &[&str]) -> Vec<u8> {
        let columns = Columns::new().with("sample", samples.to_vec()).with("n", n.to_vec());
        bytes(
            columns
                .with("classes", classes.to_vec())
                .with("annotator", vec![None::<&str>; samples.len()])
                .with("labelled_at", vec![None::<&str>; samples.len()]),
        )
    }

    fn read_two(answers: &[u8], objects: &[u8]) -> Result<Packed<LabelledBox>> {
        let [answers_path, objects_path] = [Path::new("a.parquet"), Path::new("t.parquet")];
        let tables = Tables { answers: (answers, answers_path), objects: (objects, objects_path) };
        read(&tables, &ids(&["s0", "s1", "s2"]), 2)
    }

    #[test]
    fn a_field_goes_out_and_comes_back_with_its_signatures() {
        let by = |name: &str| Some(Arc::new(LabelledBy::person(name)));
        let mut labels = Labels::default();
        let [s0, s1, s2]: [SampleId; 3] = ids(&["s0", "s1", "s2"]).try_into().unwrap();
        labels.insert(s0, Answer { items: vec![a_box(1), a_box(0), a_box(1)], by: by("ann") });
        labels.insert(s1, Answer { items: vec![], by: None });
        labels.insert(s2, Answer { items: vec![a_box(0)], by: by("bob") });
        let (mut answers, mut objects) = (vec![], vec![]);
        write_answers(&labels, &mut answers, Path::new("a")).unwrap();
        write_objects(&labels, &schema(), &mut objects, Path::new("o")).unwrap();
        let back = read_two(&answers, &objects).unwrap();
        assert!(labels.iter().unwrap().eq(back.iter()));
        let classes = read_classes(&answers, Path::new("a"), &ids(&["s0", "s1", "s2"]).into(), 2).unwrap();
        let of = |c| classes.rows_of(labelloop_core::ClassIdx(c)).to_vec();
        assert_eq!((of(0), of(1), of(7)), (vec![0, 2], vec![0], vec![]));
    }

    #[test]
    fn objects_must_be_those_that_were_answered() {
        let two = bytes(two_boxes("s1", 1, 0, 1.0));
        assert!(read_two(&answers(&["s1"], &[2], &["0"]), &two).is_ok());
        let fails =
            |samples: &[&str], n: &[u32]| message(read_two(&answers(samples, n, &vec!["0"; n.len()]), &two));
        assert!(fails(&["s0"], &[2]).contains("\"sample\", row 0, expected s0"));
        assert!(fails(&["s1"], &[1]).contains("no more rows than the answers count"));
        assert!(fails(&["s1"], &[3]).contains("no object 2 of sample s1"));
        assert!(fails(&["s1", "s2"], &[2, 1]).contains("no object 0 of sample s2"));
        let gap = bytes(two_boxes("s1", 2, 0, 1.0));
        let text = message(read_two(&answers(&["s1"], &[2], &["0"]), &gap));
        assert_eq!(text, "t.parquet is damaged: found 2 in column \"position\", row 1, expected 1");
    }

    #[test]
    fn answers_are_about_known_samples_in_order() {
        let none = bytes(two_boxes("s1", 1, 0, 1.0));
        for samples in [["s1", "s0"], ["s1", "s1"], ["s0", "x"]] {
            let text = message(read_two(&answers(&samples, &[2, 0], &["0", ""]), &none));
            assert!(text.contains("a sample of the dataset, in order") && text.contains("row 1"), "{text}");
        }
    }

    #[test]
    fn classes_of_answers_are_in_the_schema() {
        for bad in ["2", "x", "0 -1"] {
            let table = answers(&["s1"], &[2], &[bad]);
            let read = read_classes(&table, Path::new("a.parquet"), &ids(&["s1"]).into(), 2);
            assert!(message(read).contains("a class of the schema"), "{bad}");
        }
    }
}
