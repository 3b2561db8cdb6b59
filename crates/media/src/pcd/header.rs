use super::{Fault, shown};
use crate::PcdProblem;

/// Types of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Signed,
    Unsigned,
    Float,
}

/// What is read of a point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) kind: Kind,
    /// Bytes of a number: 1, 2, 4 or 8.
    pub(super) size: usize,
    /// First byte in a point.
    pub(super) offset: usize,
    /// First column in a line, from 0.
    pub(super) column: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    Ascii,
    Binary,
    Compressed,
}

/// A header that contradicts neither itself nor the length of its file as far as that is known.
#[derive(Debug)]
pub(super) struct Header {
    /// x, y, z.
    pub(super) coordinates: [Field; 3],
    pub(super) intensity: Option<Field>,
    pub(super) n_points: u64,
    pub(super) data: Data,
    /// Bytes of a point.
    pub(super) point_bytes: u64,
    /// Values of a line.
    pub(super) n_columns: u64,
    /// First byte of the data.
    pub(super) body: usize,
    /// Lines of the header.
    pub(super) n_lines: u64,
}

/// The lines of a header that are kept, as words with the number of their line.
#[derive(Default)]
struct Lines<'a> {
    entries: Vec<Entry<'a>>,
    body: usize,
    n_lines: u64,
}

struct Entry<'a> {
    name: &'static str,
    line: u64,
    words: Vec<&'a str>,
}

/// First words of lines, and by what name they are kept; `COLUMNS` is what version 0.5 called them.
const ENTRIES: [(&str, &str); 11] = [
    ("VERSION", "VERSION"),
    ("FIELDS", "FIELDS"),
    ("COLUMNS", "FIELDS"),
    ("SIZE", "SIZE"),
    ("TYPE", "TYPE"),
    ("COUNT", "COUNT"),
    ("WIDTH", "WIDTH"),
    ("HEIGHT", "HEIGHT"),
    ("VIEWPOINT", "VIEWPOINT"),
    ("POINTS", "POINTS"),
    ("DATA", "DATA"),
];

/// Reads lines up to and including `DATA`.
pub(super) fn parse(bytes: &[u8]) -> Result<Header, Fault> {
    let lines = Lines::split(bytes)?;
    lines.check_version()?;
    let (data, fields) = (lines.data()?, lines.fields()?);
    let n_points = lines.n_points()?;
    let named = |name: &'static str| {
        find(&fields, |f| f.name == name)
            .transpose()
            .unwrap_or(Err(PcdProblem::MissingField { name }))
            .map_err(|problem| lines.fault("FIELDS", problem))
    };
    let coordinates = [named("x")?, named("y")?, named("z")?];
    let intensity = ["intensity", "reflectivity", "i"]
        .into_iter()
        .find_map(|name| find(&fields, |f| f.name.eq_ignore_ascii_case(name)).transpose())
        .transpose()
        .map_err(|problem| lines.fault("FIELDS", problem))?;
    let last = fields.last();
    Ok(Header {
        coordinates,
        intensity,
        n_points,
        data,
        point_bytes: last.map_or(0, |f| f.offset + f.n_bytes()),
        n_columns: last.map_or(0, |f| f.column + u64::from(f.count)),
        body: lines.body,
        n_lines: lines.n_lines,
    })
}

/// A field as the header describes it.
struct Described<'a> {
    name: &'a str,
    kind: Kind,
    size: u32,
    count: u32,
    offset: u64,
    column: u64,
}

impl Described<'_> {
    fn n_bytes(&self) -> u64 {
        u64::from(self.size) * u64::from(self.count)
    }
}

fn find(
    fields: &[Described<'_>],
    is_it: impl Fn(&Described<'_>) -> bool,
) -> Result<Option<Field>, PcdProblem> {
    let mut found = fields.iter().filter(|f| is_it(f));
    let Some(field) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        return Err(PcdProblem::RepeatedField { name: shown(field.name) });
    }
    if field.count != 1 {
        return Err(PcdProblem::FieldCount { name: shown(field.name), count: field.count });
    }
    let Described { kind, size, offset, column, .. } = field;
    Ok(Some(Field {
        kind: *kind,
        size: *size as usize,
        offset: usize::try_from(*offset).unwrap_or(usize::MAX),
        column: usize::try_from(*column).unwrap_or(usize::MAX),
    }))
}

impl<'a> Lines<'a> {
    fn split(bytes: &'a [u8]) -> Result<Self, Fault> {
        let mut lines = Self::default();
        for raw in bytes.split_inclusive(|b| *b == b'\n') {
            lines.n_lines += 1;
            lines.body += raw.len();
            let text = std::str::from_utf8(raw).map_err(|_| lines.unknown(&String::from_utf8_lossy(raw)))?;
            let mut words = text.split_ascii_whitespace();
            let Some(first) = words.next().filter(|word| !word.starts_with('#')) else { continue };
            let known = ENTRIES.iter().find(|(word, _)| *word == first);
            let (_, name) = known.ok_or_else(|| lines.unknown(first))?;
            if lines.entry(name).is_some() {
                return Err(Fault::at_line(lines.n_lines, PcdProblem::RepeatedEntry { entry: name }));
            }
            lines.entries.push(Entry { name, line: lines.n_lines, words: words.collect() });
            if *name == "DATA" {
                return Ok(lines);
            }
        }
        Err(lines.missing("DATA"))
    }

    fn unknown(&self, text: &str) -> Fault {
        Fault::at_line(self.n_lines, PcdProblem::UnknownEntry { found: shown(text.trim()) })
    }

    fn missing(&self, entry: &'static str) -> Fault {
        Fault::at_line(self.n_lines.max(1), PcdProblem::MissingEntry { entry })
    }

    fn entry(&self, name: &str) -> Option<&Entry<'a>> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// A problem of the line of this name.
    fn fault(&self, name: &str, problem: PcdProblem) -> Fault {
        Fault::at_line(self.entry(name).map_or(self.n_lines, |entry| entry.line), problem)
    }

    fn check_version(&self) -> Result<(), Fault> {
        let version = self.entry("VERSION").ok_or_else(|| self.missing("VERSION"))?;
        if let [".7" | "0.7" | ".6" | "0.6" | ".5" | "0.5"] = version.words[..] {
            return Ok(());
        }
        Err(version.refused(&version.words.join(" "), "0.5, 0.6 or 0.7"))
    }

    fn data(&self) -> Result<Data, Fault> {
        let data = self.entry("DATA").ok_or_else(|| self.missing("DATA"))?;
        match data.words[..] {
            ["ascii"] => Ok(Data::Ascii),
            ["binary"] => Ok(Data::Binary),
            ["binary_compressed"] => Ok(Data::Compressed),
            _ => Err(data.refused(&data.words.join(" "), "ascii, binary or binary_compressed")),
        }
    }

    /// Names, types, sizes and counts, and where each field begins in a point.
    fn fields(&self) -> Result<Vec<Described<'a>>, Fault> {
        let names = self.entry("FIELDS").ok_or_else(|| self.missing("FIELDS"))?;
        let n_fields = names.words.len();
        let sizes = self.numbers("SIZE", n_fields)?.ok_or_else(|| self.missing("SIZE"))?;
        let counts = self.numbers("COUNT", n_fields)?.unwrap_or_else(|| vec![1; n_fields]);
        let kinds = self.kinds(n_fields)?;
        let mut fields = Vec::with_capacity(n_fields);
        let (mut offset, mut column) = (0, 0);
        for (i, name) in names.words.iter().enumerate() {
            let (kind, letter) = kinds[i];
            let field = Described { name, kind, size: sizes[i], count: counts[i], offset, column };
            let is_known = match kind {
                Kind::Float => [4, 8].contains(&field.size),
                _ => [1, 2, 4, 8].contains(&field.size),
            };
            if !is_known {
                let problem = PcdProblem::FieldType { name: shown(name), kind: letter, size: field.size };
                return Err(self.fault("SIZE", problem));
            }
            // Less than 2^35 bytes each, and no more fields than the file has bytes.
            offset += field.n_bytes();
            column += u64::from(field.count);
            fields.push(field);
        }
        Ok(fields)
    }

    fn kinds(&self, n_fields: usize) -> Result<Vec<(Kind, char)>, Fault> {
        let types = self.entry("TYPE").ok_or_else(|| self.missing("TYPE"))?;
        types.check_length(n_fields)?;
        let kind = |word: &&str| match *word {
            "I" => Ok((Kind::Signed, 'I')),
            "U" => Ok((Kind::Unsigned, 'U')),
            "F" => Ok((Kind::Float, 'F')),
            other => Err(types.refused(other, "I, U or F")),
        };
        types.words.iter().map(kind).collect()
    }

    /// One number of at least 1 for each field.
    fn numbers(&self, name: &str, n_fields: usize) -> Result<Option<Vec<u32>>, Fault> {
        let Some(entry) = self.entry(name) else { return Ok(None) };
        entry.check_length(n_fields)?;
        let number = |word: &&str| {
            let number = word.parse::<u32>().ok().filter(|n| 1 <= *n);
            number.ok_or_else(|| entry.refused(word, "a whole number of at least 1"))
        };
        entry.words.iter().map(number).collect::<Result<_, _>>().map(Some)
    }

    fn n_points(&self) -> Result<u64, Fault> {
        let (width, height) = (self.number("WIDTH")?, self.number("HEIGHT")?);
        let stated = self.number("POINTS")?;
        let Some(width) = width else { return stated.ok_or_else(|| self.missing("POINTS")) };
        let height = height.unwrap_or(1);
        let product = width.checked_mul(height);
        match (stated, product) {
            (None, Some(product)) => Ok(product),
            (Some(stated), Some(product)) if stated == product => Ok(stated),
            (stated, _) => {
                let n_points = stated.unwrap_or(u64::MAX);
                Err(self.fault("POINTS", PcdProblem::NumberOfPoints { n_points, width, height }))
            }
        }
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Fault> {
        let Some(entry) = self.entry(name) else { return Ok(None) };
        let number = match entry.words[..] {
            [word] => word.parse().ok(),
            _ => None,
        };
        let refused = || entry.refused(&entry.words.join(" "), "a whole number of at least 0");
        number.ok_or_else(refused).map(Some)
    }
}

impl Entry<'_> {
    fn refused(&self, found: &str, expected: &'static str) -> Fault {
        Fault::at_line(self.line, PcdProblem::Value { entry: self.name, found: shown(found), expected })
    }

    fn check_length(&self, n_fields: usize) -> Result<(), Fault> {
        let found = self.words.len();
        if found == n_fields {
            return Ok(());
        }
        Err(Fault::at_line(self.line, PcdProblem::Lengths { entry: self.name, found, n_fields }))
    }
}
