use super::header::{Data, Field, Header, Kind};
use super::{Fault, lzf, shown};
use crate::cloud::CloudBuilder;
use crate::{PcdProblem, PointCloud};

/// The points of what follows a header.
pub(super) fn decode(header: &Header, body: &[u8]) -> Result<PointCloud, Fault> {
    match header.data {
        Data::Ascii => from_text(header, body),
        Data::Binary => {
            header.check_length(body.len() as u64)?;
            Ok(from_rows(header, body))
        }
        Data::Compressed => from_packed(header, body),
    }
}

/// Collects points; rows of `f32` stay as they are.
enum Collector {
    AsIs(Vec<[f32; 4]>),
    Wide(CloudBuilder),
}

impl Collector {
    fn new(header: &Header) -> Self {
        let is_plain = |f: &Field| f.kind == Kind::Float && f.size == 4;
        if header.coordinates.iter().all(is_plain) {
            Self::AsIs(Vec::new())
        } else {
            Self::Wide(CloudBuilder::default())
        }
    }

    fn push(&mut self, place: [f64; 3], intensity: f64) {
        match self {
            // Exact, since these numbers were `f32` before.
            Self::AsIs(points) => points.push([place[0], place[1], place[2], intensity].map(|v| v as f32)),
            Self::Wide(builder) => builder.push(place, intensity as f32),
        }
    }

    fn finish(self) -> PointCloud {
        match self {
            Self::AsIs(points) => PointCloud::new(points),
            Self::Wide(builder) => builder.finish(),
        }
    }
}

impl Header {
    fn expected_bytes(&self) -> u128 {
        u128::from(self.n_points) * u128::from(self.point_bytes)
    }

    fn check_length(&self, found: u64) -> Result<(), Fault> {
        let (n_points, point_bytes) = (self.n_points, self.point_bytes);
        let expected = self.expected_bytes();
        if u128::from(found) == expected {
            return Ok(());
        }
        let problem = PcdProblem::DataLength { found, n_points, point_bytes, expected };
        Err(Fault::at_byte(self.body, problem))
    }
}

fn from_rows(header: &Header, rows: &[u8]) -> PointCloud {
    let mut points = Collector::new(header);
    let n_bytes = usize::try_from(header.point_bytes).unwrap_or(usize::MAX).max(1);
    for row in rows.chunks_exact(n_bytes) {
        let at = |field: &Field| number(field, &row[field.offset..]);
        points.push([0, 1, 2].map(|k| at(&header.coordinates[k])), header.intensity.as_ref().map_or(0.0, at));
    }
    points.finish()
}

/// Two lengths, and packed bytes that unpack to all numbers of the first field, then all of the second, and so on.
fn from_packed(header: &Header, body: &[u8]) -> Result<PointCloud, Fault> {
    if header.n_points == 0 && body.is_empty() {
        return Ok(PointCloud::default());
    }
    let Some((lengths, rest)) = body.split_at_checked(8) else {
        let problem = PcdProblem::PackedLength {
            packed: 0,
            unpacked: 0,
            most_packed: body.len() as u64,
            most_unpacked: 0,
        };
        return Err(Fault::at_byte(header.body, problem));
    };
    let length =
        |at: usize| u32::from_le_bytes([lengths[at], lengths[at + 1], lengths[at + 2], lengths[at + 3]]);
    let (packed, unpacked) = (u64::from(length(0)), u64::from(length(4)));
    header.check_length(unpacked)?;
    let (most_packed, most_unpacked) = (rest.len() as u64, lzf::most_unpacked(packed));
    if most_packed < packed || most_unpacked < unpacked {
        let problem = PcdProblem::PackedLength { packed, unpacked, most_packed, most_unpacked };
        return Err(Fault::at_byte(header.body, problem));
    }
    let data = lzf::unpack(&rest[..packed as usize], unpacked as usize).map_err(|n| {
        let problem = PcdProblem::Packing { unpacked: n as u64, expected: unpacked };
        Fault::at_byte(header.body + 8, problem)
    })?;
    Ok(from_columns(header, &data))
}

fn from_columns(header: &Header, data: &[u8]) -> PointCloud {
    let mut points = Collector::new(header);
    let n_points = header.n_points as usize;
    for row in 0..n_points {
        // Fields before one take `offset` bytes of every point.
        let at = |field: &Field| number(field, &data[field.offset * n_points + field.size * row..]);
        points.push([0, 1, 2].map(|k| at(&header.coordinates[k])), header.intensity.as_ref().map_or(0.0, at));
    }
    points.finish()
}

/// The number at the beginning of some bytes, of which there are enough.
fn number(field: &Field, bytes: &[u8]) -> f64 {
    let mut word = [0; 8];
    word[..field.size].copy_from_slice(&bytes[..field.size]);
    let unsigned = u64::from_le_bytes(word);
    match (field.kind, field.size) {
        (Kind::Float, 4) => f64::from(f32::from_bits(unsigned as u32)),
        (Kind::Float, _) => f64::from_bits(unsigned),
        (Kind::Unsigned, _) => unsigned as f64,
        (Kind::Signed, 1) => f64::from(unsigned as u8 as i8),
        (Kind::Signed, 2) => f64::from(unsigned as u16 as i16),
        (Kind::Signed, 4) => f64::from(unsigned as u32 as i32),
        (Kind::Signed, _) => unsigned as i64 as f64,
    }
}

fn from_text(header: &Header, body: &[u8]) -> Result<PointCloud, Fault> {
    // Nothing is set aside by what the header says: memory grows with the lines.
    let mut points = Collector::new(header);
    let (mut line, mut n_rows) = (header.n_lines, 0);
    for raw in body.split_inclusive(|b| *b == b'\n') {
        line += 1;
        let text = raw.trim_ascii();
        if text.is_empty() {
            continue;
        }
        n_rows += 1;
        let at_line = |problem| Fault::at_line(line, problem);
        if header.n_points < n_rows {
            return Err(at_line(PcdProblem::Rows { found: n_rows, expected: header.n_points }));
        }
        let row = Row::of(text, header).map_err(at_line)?;
        let at = |field: &Field| row.number(field);
        let intensity = header.intensity.as_ref().map_or(Ok(0.0), at).map_err(at_line)?;
        let [x, y, z] = [0, 1, 2].map(|k| at(&header.coordinates[k]).map_err(at_line));
        points.push([x?, y?, z?], intensity);
    }
    if n_rows == header.n_points {
        return Ok(points.finish());
    }
    Err(Fault::at_line(line, PcdProblem::Rows { found: n_rows, expected: header.n_points }))
}

/// The values of a line that are looked at, with their columns.
struct Row<'a> {
    values: [(usize, &'a [u8]); 4],
}

impl<'a> Row<'a> {
    fn of(text: &'a [u8], header: &Header) -> Result<Self, PcdProblem> {
        let wanted = header.coordinates.iter().chain(&header.intensity);
        let mut values = [(usize::MAX, &[][..]); 4];
        for (value, field) in values.iter_mut().zip(wanted) {
            value.0 = field.column;
        }
        let mut n_columns = 0;
        for word in text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
            if let Some(value) = values.iter_mut().find(|(column, _)| *column == n_columns) {
                value.1 = word;
            }
            n_columns += 1;
        }
        if n_columns as u64 == header.n_columns {
            return Ok(Self { values });
        }
        Err(PcdProblem::Columns { found: n_columns as u64, expected: header.n_columns })
    }

    fn number(&self, field: &Field) -> Result<f64, PcdProblem> {
        let found = self.values.iter().find(|(column, _)| *column == field.column);
        let word = found.map_or(&[][..], |(_, word)| word);
        let (parsed, expected) = parse(field, std::str::from_utf8(word).unwrap_or_default());
        parsed.ok_or_else(|| PcdProblem::Number {
            column: field.column as u64 + 1,
            found: shown(&String::from_utf8_lossy(word)),
            expected,
        })
    }
}

/// A number of the field's type, and how that type is called.
fn parse(field: &Field, word: &str) -> (Option<f64>, &'static str) {
    let n_bits = 8 * field.size as u32;
    match (field.kind, field.size) {
        (Kind::Float, 4) => (word.parse::<f32>().ok().map(f64::from), "a number"),
        (Kind::Float, _) => (word.parse().ok(), "a number"),
        (Kind::Unsigned, _) => {
            let number = word.parse::<u64>().ok().filter(|n| *n <= u64::MAX >> (64 - n_bits));
            (number.map(|n| n as f64), "a whole number without a sign that its field has room for")
        }
        (Kind::Signed, _) => {
            let (low, high) = (i64::MIN >> (64 - n_bits), i64::MAX >> (64 - n_bits));
            let number = word.parse::<i64>().ok().filter(|n| (low..=high).contains(n));
            (number.map(|n| n as f64), "a whole number that its field has room for")
        }
    }
}
