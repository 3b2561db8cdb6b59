//! The fast road through a results file.

use labelloop_core::{BBox, ClassIdx, DetectionRow, ScoredBox};

use super::CocoRows;
use super::labels::bbox;
use super::lookup::Lookup;
use super::parallel::table;
use super::records::Sink;
use super::scan::Scanner;

/// Detections from the bytes of a plain results file; nothing for any that the careful road would say something about.
pub(super) fn detections(bytes: &[u8], of: &CocoRows) -> Option<Vec<DetectionRow>> {
    let images = Lookup::of(&of.image_ids)?;
    let classes = Lookup::of_numbers(&of.category_ids)?;
    let mut scan = Scanner::new(bytes);
    scan.space();
    let found = || Found {
        images: &images,
        classes: &classes,
        rows: Vec::new(),
        image: None,
        class: None,
        bbox: None,
        score: None,
    };
    let mut parts = table(&mut scan, found)?.into_iter();
    scan.is_done().then_some(())?;
    let mut rows = parts.next().map(|part| part.rows).unwrap_or_default();
    rows.extend(parts.flat_map(|part| part.rows));
    Some(rows)
}

struct Found<'l> {
    images: &'l Lookup<'l>,
    classes: &'l Lookup<'l>,
    rows: Vec<DetectionRow>,
    image: Option<u32>,
    class: Option<u32>,
    bbox: Option<BBox>,
    score: Option<f64>,
}

#[derive(Debug, Clone, Copy)]
enum Field {
    Image,
    Category,
    BBox,
    Score,
}

impl<'a> Sink<'a> for Found<'_> {
    type Field = Field;

    fn field(key: &[u8]) -> Option<Field> {
        match key {
            b"image_id" => Some(Field::Image),
            b"category_id" => Some(Field::Category),
            b"bbox" => Some(Field::BBox),
            b"score" => Some(Field::Score),
            _ => None,
        }
    }

    #[inline]
    fn read(&mut self, field: Field, scan: &mut Scanner<'a>) -> Option<()> {
        match field {
            Field::Image if scan.peek() == Some(b'"') => {
                self.image = Some(self.images.text(&scan.text()?.decoded()?)?);
            }
            Field::Image => self.image = Some(self.images.number(scan.integer()?)?),
            Field::Category => self.class = Some(self.classes.number(scan.integer()?)?),
            Field::BBox => self.bbox = Some(bbox(scan)?),
            Field::Score => self.score = Some(scan.float()?),
        }
        Some(())
    }

    #[inline]
    fn finish(&mut self) -> Option<()> {
        let class = ClassIdx(self.class.take()?);
        let found = ScoredBox::new(class, self.bbox.take()?, self.score.take()?).ok()?;
        self.rows.push(DetectionRow { image: self.image.take()?, found });
        Some(())
    }
}
