//! Samples as a table and back.

use std::collections::BTreeMap;

use labelloop_core::{CaptureId, CoreError, GroupKey, ImageSize, SampleId, SliceKind, Split};

use super::frame::{Columns, Table, pieces};
use super::{column, extra_of, extra_text};
use crate::{Result, Sample, Status, Tag};

/// In the order of ids.
pub(super) fn encode(samples: &BTreeMap<SampleId, Sample>) -> impl Iterator<Item = Columns> {
    pieces(samples.values(), piece)
}

fn piece(rows: &[&Sample]) -> Columns {
    let tags: Vec<String> = rows.iter().map(|s| tag_text(s)).collect();
    let extra: Vec<Option<String>> = rows.iter().map(|s| extra_text(&s.extra)).collect();
    Columns::new()
        .with("id", column(rows, |s| s.id.as_str()))
        .with("capture", column(rows, |s| s.capture.as_str()))
        .with("group", column(rows, |s| s.group.as_str()))
        .with("slice", column(rows, |s| s.slice.as_str()))
        .with("kind", column(rows, |s| kind_name(s.kind)))
        .with("file_name", column(rows, |s| s.file_name.as_str()))
        .with("width", column(rows, |s| s.size.map(ImageSize::width)))
        .with("height", column(rows, |s| s.size.map(ImageSize::height)))
        .with("split", column(rows, |s| s.split.map(Split::as_str)))
        .with("status", column(rows, |s| s.status.as_str()))
        .with("batch", column(rows, |s| s.batch))
        .with("parent", column(rows, |s| s.parent.as_ref().map(SampleId::as_str)))
        .with("tags", tags)
        .with("extra", extra)
}

/// Adds the samples of a piece of the table; they must be in the order of ids.
pub(super) fn decode(samples: &mut Vec<(SampleId, Sample)>, t: &Table) -> Result<()> {
    let (ids, captures, groups) = (t.text("id")?, t.text("capture")?, t.text("group")?);
    let (slices, kinds, files) = (t.text("slice")?, t.text("kind")?, t.text("file_name")?);
    let (widths, heights) = (t.whole_opt("width")?, t.whole_opt("height")?);
    let (splits, statuses, batches) = (t.text_opt("split")?, t.text("status")?, t.whole_opt("batch")?);
    let (parents, tags, extras) = (t.text_opt("parent")?, t.text("tags")?, t.text_opt("extra")?);
    samples.reserve(t.n_rows());
    for row in 0..t.n_rows() {
        let at = |column: &'static str| move |e: CoreError| t.bad(column, row, e, "a valid value");
        let size = match (widths[row], heights[row]) {
            (Some(w), Some(h)) => Some(ImageSize::new(w, h).map_err(at("width"))?),
            _ => None,
        };
        let before = samples.last().map(|(_, s)| s);
        let id = SampleId::new(ids[row]).map_err(at("id"))?;
        if before.is_some_and(|s| id <= s.id) {
            return Err(t.bad("id", row, id, "each sample once, in order"));
        }
        let capture = capture_of(captures[row], &id, before).map_err(at("capture"))?;
        let sample = Sample {
            group: group_of(groups[row], &capture, before).map_err(at("group"))?,
            capture,
            slice: slices[row].to_owned(),
            kind: kind_of(kinds[row])
                .ok_or_else(|| t.bad("kind", row, kinds[row], "image or point_cloud"))?,
            file_name: files[row].to_owned(),
            size,
            extra: extra_of(t, row, extras[row])?,
            parent: parents[row].map(SampleId::new).transpose().map_err(at("parent"))?,
            split: splits[row].map(str::parse).transpose().map_err(at("split"))?,
            status: statuses[row].parse::<Status>().map_err(|e| t.bad("status", row, statuses[row], e))?,
            batch: batches[row],
            tags: tags[row]
                .lines()
                .map(Tag::new)
                .collect::<Result<_>>()
                .map_err(|e| t.bad("tags", row, e, "tags separated by line feeds"))?,
            id: id.clone(),
        };
        samples.push((id, sample));
    }
    Ok(())
}

/// Names that repeat share their text.
fn capture_of(text: &str, id: &SampleId, before: Option<&Sample>) -> Result<CaptureId, CoreError> {
    match before {
        _ if text == id.as_str() => Ok(CaptureId::from(id)),
        Some(s) if text == s.capture.as_str() => Ok(s.capture.clone()),
        _ => CaptureId::new(text),
    }
}

fn group_of(text: &str, capture: &CaptureId, before: Option<&Sample>) -> Result<GroupKey, CoreError> {
    match before {
        _ if text == capture.as_str() => Ok(GroupKey::from(capture)),
        Some(s) if text == s.group.as_str() => Ok(s.group.clone()),
        _ => GroupKey::new(text),
    }
}

/// Tags separated by line feeds, which no tag can hold.
fn tag_text(sample: &Sample) -> String {
    sample.tags.iter().map(Tag::as_str).collect::<Vec<_>>().join("\n")
}

fn kind_name(kind: SliceKind) -> &'static str {
    match kind {
        SliceKind::PointCloud => "point_cloud",
        _ => "image",
    }
}

fn kind_of(name: &str) -> Option<SliceKind> {
    [SliceKind::Image, SliceKind::PointCloud].into_iter().find(|k| kind_name(*k) == name)
}

#[cfg(test)]
mod tests {
    use super::super::frame::tests::{message, table};
    use super::*;

    fn sample_table(status: &str, tags: &str, second: &str) -> Table {
        let columns = Columns::new()
            .with("id", ["a", second])
            .with("capture", ["a", "b"])
            .with("group", ["a", "b"])
            .with("slice", ["main"; 2])
            .with("kind", ["image"; 2])
            .with("file_name", ["a.png"; 2])
            .with("width", [Some(4u32); 2])
            .with("height", [Some(4u32); 2]);
        table(
            columns
                .with("split", [Some("pool"); 2])
                .with("status", ["unlabeled", status])
                .with("batch", [None::<u32>; 2])
                .with("parent", [None::<&str>; 2])
                .with("tags", ["", tags])
                .with("extra", [None::<&str>; 2]),
        )
    }

    #[test]
    fn samples_are_checked() {
        let read = |t: Table| {
            let mut rows = vec![];
            decode(&mut rows, &t).map(|()| rows)
        };
        let rows = read(sample_table("pending", "note:x\nnote:y", "b")).unwrap();
        assert_eq!(rows[1].1.tags.len(), 2);
        assert!(message(read(sample_table("done", "", "b"))).contains("expected one of unlabeled, selected"));
        assert!(message(read(sample_table("pending", "plain", "b"))).contains("column \"tags\", row 1"));
        assert!(message(read(sample_table("pending", "", "a"))).contains("expected each sample once"));
        assert!(message(read(sample_table("pending", "", ""))).contains("column \"id\", row 1"));
    }

    #[test]
    fn a_table_that_is_out_of_order_is_refused() {
        let mut rows = vec![];
        decode(&mut rows, &sample_table("pending", "", "b")).unwrap();
        assert!(message(decode(&mut rows, &sample_table("pending", "", "b"))).contains("in order"));
    }
}
