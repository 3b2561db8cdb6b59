//! The fast road through an instances file.

use std::collections::HashMap;

use labelloop_core::{BBox, ClassIdx, ClassSchema, ImageSize, LabelRow};

use super::CocoRows;
use super::lookup::{Lookup, Ranks, are_distinct};
use super::number::short_float;
use super::parallel::{Cut, table};
use super::records::Sink;
use super::scan::{Scanner, Text};
use crate::coco::CocoId;

/// Labels from the bytes of a plain instances file; nothing for any that the careful road would say something about.
pub(super) fn labels(bytes: &[u8], cut: Cut) -> Option<CocoRows> {
    let mut scan = Scanner::new(bytes);
    let (mut keys, mut images, mut categories, mut labels) = (Vec::new(), None, None, None);
    scan.space();
    scan.expect(b'{')?;
    loop {
        scan.space();
        let key = scan.text()?.plain()?;
        if keys.contains(&key) || keys.len() == MAX_TOP_KEYS {
            return None;
        }
        keys.push(key);
        scan.expect_spaced(b':')?;
        match key {
            b"images" => images = Some(table(&mut scan, cut, Images::default)?),
            b"categories" => categories = Some(table(&mut scan, cut, Categories::default)?),
            b"annotations" => labels = Some(table(&mut scan, cut, Labels::default)?),
            _ => scan.skip()?,
        }
        scan.space();
        if !scan.take(b',') {
            break;
        }
    }
    scan.expect(b'}')?;
    scan.is_done().then(|| assembled(images?, categories?, labels?))?
}

/// Further keys of the file as a whole are few.
const MAX_TOP_KEYS: usize = 64;

fn assembled(images: Vec<Images>, categories: Vec<Categories>, labels: Vec<Labels<'_>>) -> Option<CocoRows> {
    let (image_ids, sizes) = pictures(images)?;
    let (category_ids, schema) = classes(categories)?;
    let labels = joined(labels, &Lookup::of(&image_ids)?, &Lookup::of_numbers(&category_ids)?)?;
    Some(CocoRows { image_ids, sizes, schema, category_ids, labels, warnings: Vec::new() })
}

fn pictures(parts: Vec<Images>) -> Option<(Vec<CocoId>, Vec<Option<ImageSize>>)> {
    let (mut ids, mut sizes, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts {
        ids.extend(part.ids);
        sizes.extend(part.sizes);
        texts.extend(part.texts);
    }
    let mut order: Vec<u32> = (0..u32::try_from(ids.len()).ok()?).collect();
    if let Some(ranks) = Ranks::of(&ids) {
        for (i, id) in (0..).zip(&ids) {
            order[ranks.get(*id)? as usize] = i;
        }
    } else {
        order.sort_unstable_by_key(|i| ids[*i as usize]);
    }
    texts.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let mut image_ids: Vec<CocoId> = order.iter().map(|i| CocoId::Int(ids[*i as usize])).collect();
    let mut in_order: Vec<Option<ImageSize>> = order.iter().map(|i| sizes[*i as usize]).collect();
    for (id, size) in texts {
        image_ids.push(CocoId::Text(id));
        in_order.push(size);
    }
    // `Lookup::of` refuses an id that occurs twice.
    Some((image_ids, in_order))
}

fn classes(parts: Vec<Categories>) -> Option<(Vec<i64>, ClassSchema)> {
    let mut named: Vec<(i64, String)> = parts.into_iter().flat_map(|part| part.named).collect();
    named.sort_unstable();
    let (ids, names): (Vec<i64>, Vec<String>) = named.into_iter().unzip();
    // `Lookup::of_numbers` refuses an id that occurs twice.
    ClassSchema::new(names).ok().map(|schema| (ids, schema))
}

/// The rows of all parts, their ids replaced by places.
fn joined(parts: Vec<Labels<'_>>, images: &Lookup<'_>, classes: &Lookup<'_>) -> Option<Vec<LabelRow>> {
    let (mut numbers, mut texts) = (Vec::new(), Vec::new());
    let mut rows: Vec<LabelRow> = Vec::new();
    for mut part in parts {
        for row in &mut part.rows {
            row.image = part.codes.place(row.image, images)?;
            row.class = ClassIdx(part.codes.place(row.class.0, classes)?);
        }
        numbers.append(&mut part.ids);
        texts.append(&mut part.text_ids);
        if rows.is_empty() {
            rows = part.rows;
        } else {
            rows.extend(part.rows);
        }
    }
    texts.sort_unstable();
    (are_distinct(&mut numbers) && texts.is_sorted_by(|a, b| a < b)).then_some(rows)
}

/// Ids as numbers of 32 bits while the lists that they point to are still unread. Nearly all ids are themselves; others
/// are counted up from [`Codes::FIRST`].
#[derive(Debug, Default)]
struct Codes {
    others: Vec<CocoId>,
    numbers: HashMap<i64, u32>,
    texts: HashMap<String, u32>,
}

impl Codes {
    const FIRST: u32 = 1 << 31;

    #[inline(always)]
    fn number(&mut self, id: i64) -> Option<u32> {
        match u32::try_from(id) {
            Ok(code) if code < Self::FIRST => Some(code),
            _ => self.other_number(id),
        }
    }

    #[cold]
    fn other_number(&mut self, id: i64) -> Option<u32> {
        if let Some(code) = self.numbers.get(&id) {
            return Some(*code);
        }
        let code = self.fresh(CocoId::Int(id))?;
        self.numbers.insert(id, code);
        Some(code)
    }

    #[inline(never)]
    fn text(&mut self, written: Text<'_>) -> Option<u32> {
        let id = &*written.decoded()?;
        if let Some(code) = self.texts.get(id) {
            return Some(*code);
        }
        let code = self.fresh(CocoId::Text(id.to_owned()))?;
        self.texts.insert(id.to_owned(), code);
        Some(code)
    }

    fn fresh(&mut self, id: CocoId) -> Option<u32> {
        let code = Self::FIRST.checked_add(u32::try_from(self.others.len()).ok()?)?;
        self.others.push(id);
        Some(code)
    }

    #[inline]
    fn place(&self, code: u32, among: &Lookup<'_>) -> Option<u32> {
        match code.checked_sub(Self::FIRST) {
            None => among.number(i64::from(code)),
            Some(other) => among.id(self.others.get(other as usize)?),
        }
    }
}

#[derive(Debug, Default)]
struct Images {
    ids: Vec<i64>,
    sizes: Vec<Option<ImageSize>>,
    texts: Vec<(String, Option<ImageSize>)>,
    id: Option<CocoId>,
    width: Option<u32>,
    height: Option<u32>,
}

#[derive(Debug, Clone, Copy)]
enum ImageField {
    Id,
    Width,
    Height,
}

impl<'a> Sink<'a> for Images {
    type Field = ImageField;

    fn field(key: &[u8]) -> Option<ImageField> {
        match key {
            b"id" => Some(ImageField::Id),
            b"width" => Some(ImageField::Width),
            b"height" => Some(ImageField::Height),
            _ => None,
        }
    }

    fn read(&mut self, field: ImageField, scan: &mut Scanner<'a>) -> Option<()> {
        match field {
            ImageField::Id if scan.peek() == Some(b'"') => {
                self.id = Some(CocoId::Text(scan.text()?.decoded()?.into_owned()));
            }
            ImageField::Id => self.id = Some(CocoId::Int(scan.integer()?)),
            ImageField::Width => self.width = Some(u32::try_from(scan.integer()?).ok()?),
            ImageField::Height => self.height = Some(u32::try_from(scan.integer()?).ok()?),
        }
        Some(())
    }

    fn finish(&mut self) -> Option<()> {
        let size = match (self.width.take(), self.height.take()) {
            (Some(width), Some(height)) => Some(ImageSize::new(width, height).ok()?),
            _ => None,
        };
        match self.id.take()? {
            CocoId::Int(id) => {
                self.ids.push(id);
                self.sizes.push(size);
            }
            CocoId::Text(id) => self.texts.push((id, size)),
        }
        Some(())
    }

    fn reserve(&mut self, _: usize) {}
}

#[derive(Debug, Default)]
struct Categories {
    named: Vec<(i64, String)>,
    id: Option<i64>,
    name: Option<String>,
}

#[derive(Debug, Clone, Copy)]
enum CategoryField {
    Id,
    Name,
}

impl<'a> Sink<'a> for Categories {
    type Field = CategoryField;

    fn field(key: &[u8]) -> Option<CategoryField> {
        match key {
            b"id" => Some(CategoryField::Id),
            b"name" => Some(CategoryField::Name),
            _ => None,
        }
    }

    fn read(&mut self, field: CategoryField, scan: &mut Scanner<'a>) -> Option<()> {
        match field {
            CategoryField::Id => self.id = Some(scan.integer()?),
            CategoryField::Name => self.name = Some(scan.text()?.decoded()?.into_owned()),
        }
        Some(())
    }

    fn finish(&mut self) -> Option<()> {
        self.named.push((self.id.take()?, self.name.take()?));
        Some(())
    }

    fn reserve(&mut self, _: usize) {}
}

#[derive(Debug, Default)]
struct Labels<'a> {
    rows: Vec<LabelRow>,
    ids: Vec<i64>,
    text_ids: Vec<&'a [u8]>,
    codes: Codes,
    /// Bits of the fields that the object at hand has.
    seen: u32,
    image: u32,
    class: u32,
    bbox: [f64; 4],
    area: f64,
    is_crowd: bool,
}

#[derive(Debug, Clone, Copy)]
enum LabelField {
    Id,
    Image,
    Category,
    BBox,
    Area,
    IsCrowd,
}

impl<'a> Sink<'a> for Labels<'a> {
    type Field = LabelField;

    fn field(key: &[u8]) -> Option<LabelField> {
        match key {
            b"id" => Some(LabelField::Id),
            b"image_id" => Some(LabelField::Image),
            b"category_id" => Some(LabelField::Category),
            b"bbox" => Some(LabelField::BBox),
            b"area" => Some(LabelField::Area),
            b"iscrowd" => Some(LabelField::IsCrowd),
            _ => None,
        }
    }

    #[inline(always)]
    fn read(&mut self, field: LabelField, scan: &mut Scanner<'a>) -> Option<()> {
        let is_text = scan.peek() == Some(b'"');
        match field {
            LabelField::Id if is_text => self.text_ids.push(scan.text()?.written()),
            LabelField::Id => self.ids.push(scan.integer()?),
            LabelField::Image if is_text => self.image = self.codes.text(scan.text()?)?,
            LabelField::Image => self.image = self.codes.number(scan.integer()?)?,
            LabelField::Category => self.class = self.codes.number(scan.integer()?)?,
            LabelField::BBox => self.bbox = four_floats(scan)?,
            LabelField::Area => self.area = scan.float()?,
            LabelField::IsCrowd => {
                let (is_crowd, end) = flag(*scan)?;
                (self.is_crowd, scan.at) = (is_crowd, end);
            }
        }
        self.seen |= 1 << field as u32;
        Some(())
    }

    #[inline(always)]
    fn finish(&mut self) -> Option<()> {
        let seen = std::mem::take(&mut self.seen);
        let has = |field: LabelField| seen & (1 << field as u32) != 0;
        if !(has(LabelField::Image) && has(LabelField::Category) && has(LabelField::BBox)) {
            return None;
        }
        let [x, y, width, height] = self.bbox;
        let bbox = BBox::new(x, y, width, height).ok()?;
        let mut row = LabelRow::new(self.image, ClassIdx(self.class), bbox);
        if has(LabelField::Area) {
            row = row.with_area(self.area).ok()?;
        }
        row.is_crowd = has(LabelField::IsCrowd) && self.is_crowd;
        self.rows.push(row);
        Some(())
    }

    fn reserve(&mut self, n: usize) {
        self.rows.reserve_exact(n);
    }
}

/// Four numbers of a box.
#[inline(always)]
pub(super) fn four_floats(scan: &mut Scanner<'_>) -> Option<[f64; 4]> {
    let (numbers, end) = short_four(scan.bytes, scan.at).or_else(|| any_four(scan.bytes, scan.at))?;
    scan.at = end;
    Some(numbers)
}

/// Four short numbers, written as most programs do.
#[inline(always)]
fn short_four(bytes: &[u8], at: usize) -> Option<([f64; 4], usize)> {
    if *bytes.get(at)? != b'[' {
        return None;
    }
    let (x, at) = short_float(bytes, at + 1)?;
    let ([y, width, height], at) = match bytes.get(at..at + 2)? {
        [b',', b' '] => three_behind::<2>(bytes, at)?,
        _ => three_behind::<1>(bytes, at)?,
    };
    (*bytes.get(at)? == b']').then_some(([x, y, width, height], at + 1))
}

/// Three numbers, each behind a comma, or a comma and a blank. That the gap is a constant saves waiting for its bytes.
#[inline(always)]
fn three_behind<const GAP: usize>(bytes: &[u8], mut at: usize) -> Option<([f64; 3], usize)> {
    let mut numbers = [0.0; 3];
    for number in &mut numbers {
        if bytes.get(at..at + GAP)? != &b", "[..GAP] {
            return None;
        }
        (*number, at) = short_float(bytes, at + GAP)?;
    }
    Some((numbers, at))
}

#[inline(never)]
fn any_four(bytes: &[u8], at: usize) -> Option<([f64; 4], usize)> {
    let mut scan = Scanner { bytes, at };
    scan.expect(b'[')?;
    scan.space();
    let mut numbers = [0.0; 4];
    for (i, number) in numbers.iter_mut().enumerate() {
        if 0 < i {
            scan.expect_spaced(b',')?;
        }
        *number = scan.float()?;
    }
    scan.space();
    scan.expect(b']')?;
    Some((numbers, scan.at))
}

/// A flag, and the place behind it.
#[inline(never)]
fn flag(mut scan: Scanner<'_>) -> Option<(bool, usize)> {
    let flag = match scan.peek()? {
        b't' => scan.take_all(b"true").then_some(true),
        b'f' => scan.take_all(b"false").then_some(false),
        _ => match scan.integer()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
    };
    Some((flag?, scan.at))
}
