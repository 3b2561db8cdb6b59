//! The fast road through a results file.

use labelloop_core::{BBox, ClassIdx, DetectionRow};

use super::CocoRows;
use super::labels::four_floats;
use super::lookup::Lookup;
use super::parallel::{Cut, table};
use super::records::Sink;
use super::scan::{Scanner, Text};

/// Detections from the bytes of a plain results file; nothing for any that the careful road would say something about.
pub(super) fn detections(bytes: &[u8], of: &CocoRows, cut: Cut) -> Option<Vec<DetectionRow>> {
    let images = Lookup::of(&of.image_ids)?;
    let classes = Lookup::of_numbers(&of.category_ids)?;
    let mut scan = Scanner::new(bytes);
    scan.space();
    let found = || Found::new(&images, &classes);
    let mut parts = table(&mut scan, cut, found)?.into_iter();
    scan.is_done().then_some(())?;
    let mut rows = parts.next().map(|part| part.rows).unwrap_or_default();
    rows.extend(parts.flat_map(|part| part.rows));
    Some(rows)
}

pub(super) struct Found<'l> {
    images: &'l Lookup<'l>,
    classes: &'l Lookup<'l>,
    pub(super) rows: Vec<DetectionRow>,
    /// Id and place of the picture before, for detections mostly come picture by picture.
    last: (i64, Option<u32>),
    /// Bits of the fields that the object at hand has.
    seen: u32,
    image: u32,
    class: u32,
    bbox: [f64; 4],
    score: f64,
}

impl<'l> Found<'l> {
    pub(super) fn new(images: &'l Lookup<'l>, classes: &'l Lookup<'l>) -> Self {
        let last = (0, images.number(0));
        let (rows, bbox) = (Vec::new(), [0.0; 4]);
        Self { images, classes, rows, last, seen: 0, image: 0, class: 0, bbox, score: 0.0 }
    }

    #[inline(always)]
    fn image(&mut self, id: i64) -> Option<u32> {
        if id != self.last.0 {
            self.last = (id, self.images.number(id));
        }
        self.last.1
    }

    #[inline(never)]
    fn image_of_text(&self, id: Text<'_>) -> Option<u32> {
        self.images.text(&id.decoded()?)
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Field {
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

    #[inline(always)]
    fn read(&mut self, field: Field, scan: &mut Scanner<'a>) -> Option<()> {
        match field {
            Field::Image if scan.peek() == Some(b'"') => self.image = self.image_of_text(scan.text()?)?,
            Field::Image => self.image = self.image(scan.integer()?)?,
            Field::Category => self.class = self.classes.number(scan.integer()?)?,
            Field::BBox => self.bbox = four_floats(scan)?,
            Field::Score => self.score = scan.float()?,
        }
        self.seen |= 1 << field as u32;
        Some(())
    }

    #[inline(always)]
    fn finish(&mut self) -> Option<()> {
        const ALL: u32 = 0b1111;
        if std::mem::take(&mut self.seen) != ALL {
            return None;
        }
        let [x, y, width, height] = self.bbox;
        let bbox = BBox::new(x, y, width, height).ok()?;
        self.rows.push(DetectionRow::new(self.image, ClassIdx(self.class), bbox, self.score).ok()?);
        Some(())
    }

    fn reserve(&mut self, n: usize) {
        self.rows.reserve(n);
    }
}
