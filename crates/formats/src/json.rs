//! JSON whose parts remember where they stand, so that every complaint has a line and every unknown field its text.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::path::Path;

use labelloop_core::Extra;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::warning::Notes;
use crate::{FormatError, Result, WarningKind, files};

/// The fields of one object as text; a key given twice is an error.
#[derive(Debug, Default)]
pub(crate) struct Object<'a>(pub(crate) BTreeMap<String, &'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
                    match fields.entry(key) {
                        Entry::Vacant(slot) => slot.insert(value),
                        Entry::Occupied(slot) => {
                            return Err(A::Error::custom(format_args!("key {:?} occurs twice", slot.key())));
                        }
                    };
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

impl<'a> Object<'a> {
    /// Takes a field out, treating `null` as absent.
    pub(crate) fn take(&mut self, key: &str) -> Option<&'a RawValue> {
        self.0.remove(key).filter(|raw| raw.get() != "null")
    }

    /// What is left, as text by key.
    pub(crate) fn into_extra(self) -> Extra {
        self.0.into_iter().map(|(key, raw)| (key, raw.get().to_owned())).collect()
    }
}

/// The text of a JSON file. `NaN` and infinities, which some programs write although JSON has no such words, become
/// texts of the same length, so that one bad number does not cost the file.
pub(crate) fn read(path: &Path, notes: &mut Notes) -> Result<String> {
    without_words(files::read_text(path)?, notes)
}

/// [`read`] of a text that was read already.
pub(crate) fn without_words(text: String, notes: &mut Notes) -> Result<String> {
    if !text.contains("NaN") && !text.contains("Infinity") {
        return Ok(text);
    }
    let (text, lines) = quote_non_numbers(&text);
    if let Some(first) = lines.first() {
        notes.note(Some(*first), WarningKind::NotFinite { count: lines.len() })?;
    }
    Ok(text)
}

/// The same for formats that mean something by such words.
pub(crate) fn words_as_texts(text: String) -> String {
    if !text.contains("NaN") && !text.contains("Infinity") {
        return text;
    }
    let (bytes, mut out) = (text.as_bytes(), String::with_capacity(text.len()));
    let (mut copied, mut at) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        at = match byte {
            b'"' => end_of_string(bytes, at),
            b'N' | b'I' | b'-' => match WORDS.iter().find(|word| bytes[at..].starts_with(word.as_bytes())) {
                Some(word) => {
                    out.push_str(&text[copied..at]);
                    out.extend(["\"", &word[..word.len() - 2], "\""]);
                    copied = at + word.len();
                    copied
                }
                None => at + 1,
            },
            _ => at + 1,
        };
    }
    out.push_str(&text[copied..]);
    out
}

const WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// The place behind a string that begins at a quote.
fn end_of_string(bytes: &[u8], begin: usize) -> usize {
    let mut at = begin + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

fn quote_non_numbers(text: &str) -> (String, Vec<usize>) {
    let mut out = String::with_capacity(text.len());
    let (mut lines, mut line, mut in_string, mut skip) = (Vec::new(), 1, false, 0);
    for (at, c) in text.char_indices() {
        if 0 < skip {
            skip -= 1;
            if in_string {
                out.push(c);
            }
            continue;
        }
        line += usize::from(c == '\n');
        let word = WORDS.into_iter().find(|w| text[at..].starts_with(w));
        match (in_string, c, word) {
            (true, '\\', _) => skip = 1,
            (_, '"', _) => in_string = !in_string,
            (false, _, Some(word)) => {
                out.push('"');
                out.push_str(&word[..word.len() - 2]);
                out.push('"');
                lines.push(line);
                skip = word.len() - 1;
                continue;
            }
            _ => {}
        }
        out.push(c);
    }
    (out, lines)
}

/// A file's text with its lines.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    path: &'a Path,
    text: &'a str,
    line_ends: OnceCell<Vec<usize>>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text, line_ends: OnceCell::new() }
    }

    pub(crate) fn path(&self) -> &'a Path {
        self.path
    }

    /// Line, from 1, of a part of this very text.
    pub(crate) fn line_of(&self, part: &str) -> usize {
        let offset = part.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        let ends = self.line_ends.get_or_init(|| self.text.match_indices('\n').map(|(i, _)| i).collect());
        1 + ends.partition_point(|end| *end < offset)
    }

    /// Parses a part of this text.
    pub(crate) fn parse<T: Deserialize<'a>>(&self, part: &'a str) -> Result<T> {
        serde_json::from_str(part).map_err(|e| FormatError::Syntax {
            path: self.path.to_owned(),
            line: self.line_of(part) + e.line().saturating_sub(1),
            reason: e.to_string(),
        })
    }

    /// Parses the whole text.
    pub(crate) fn parse_all<T: Deserialize<'a>>(&self) -> Result<T> {
        self.parse(self.text)
    }

    pub(crate) fn structure(&self, place: &str, expected: &'static str) -> FormatError {
        FormatError::Structure { path: self.path.to_owned(), place: place.to_owned(), expected }
    }

    /// The objects of a list; an entry that is no object is noted and left out.
    pub(crate) fn records(
        &self,
        place: &str,
        list: &'a RawValue,
        notes: &mut Notes,
    ) -> Result<Vec<Record<'a>>> {
        let entries: Vec<&'a RawValue> =
            serde_json::from_str(list.get()).map_err(|_| self.structure(place, "a list"))?;
        let mut records = Vec::with_capacity(entries.len());
        for (i, raw) in entries.into_iter().enumerate() {
            let (place, line) = (format!("{place}[{i}]"), self.line_of(raw.get()));
            if raw.get().starts_with('{') {
                records.push(Record { place, line, fields: self.parse(raw.get())? });
            } else {
                notes.note(Some(line), invalid(place, "an object", raw))?;
            }
        }
        Ok(records)
    }
}

/// One object of a list with its place.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) place: String,
    pub(crate) line: usize,
    pub(crate) fields: Object<'a>,
}

impl<'a> Record<'a> {
    /// Takes a field out and parses it; absent and `null` give `None`.
    pub(crate) fn optional<T: Deserialize<'a>>(
        &mut self,
        field: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, WarningKind> {
        let Some(raw) = self.fields.take(field) else { return Ok(None) };
        match serde_json::from_str(raw.get()) {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(invalid(format!("{}.{field}", self.place), expected, raw)),
        }
    }

    /// Takes a field out and parses it.
    pub(crate) fn required<T: Deserialize<'a>>(
        &mut self,
        field: &'static str,
        expected: &'static str,
    ) -> Result<T, WarningKind> {
        let found = self.optional(field, expected)?;
        found.ok_or_else(|| WarningKind::MissingField { place: self.place.clone(), field })
    }
}

pub(crate) fn invalid(place: String, expected: &'static str, found: &RawValue) -> WarningKind {
    WarningKind::InvalidValue { place, expected, found: shortened(found.get()) }
}

/// A text cut to what fits in a message.
pub(crate) fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

/// Text or a whole number, as text; how groups and ids are given.
pub(crate) fn scalar_text(raw: &str) -> Option<String> {
    serde_json::from_str::<String>(raw)
        .ok()
        .or_else(|| serde_json::from_str::<i64>(raw).ok().map(|n| n.to_string()))
}

/// A JSON text of a string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A JSON text of a finite number.
pub(crate) fn number(value: f64) -> String {
    serde_json::Value::from(value).to_string()
}

/// Builds the text of one object, fields in the order they are given; the first to name a key wins.
#[derive(Debug)]
pub(crate) struct ObjectText {
    text: String,
    keys: std::collections::BTreeSet<String>,
}

impl ObjectText {
    pub(crate) fn new() -> Self {
        Self { text: "{".to_owned(), keys: std::collections::BTreeSet::new() }
    }

    /// A field whose value is JSON text.
    pub(crate) fn raw(&mut self, key: &str, value: &str) -> &mut Self {
        if self.keys.insert(key.to_owned()) {
            if 1 < self.text.len() {
                self.text.push_str(", ");
            }
            self.text.push_str(&quoted(key));
            self.text.push_str(": ");
            self.text.push_str(value);
        }
        self
    }

    pub(crate) fn string(&mut self, key: &str, value: &str) -> &mut Self {
        self.raw(key, &quoted(value))
    }

    /// All extra fields but those named; a text that is not JSON is refused, for it would spoil the file.
    pub(crate) fn extra(&mut self, place: &str, extra: &Extra, but: &[&str]) -> Result<&mut Self> {
        for (key, value) in extra.iter().filter(|(k, _)| !but.contains(&k.as_str())) {
            serde_json::from_str::<&RawValue>(value).map_err(|e| FormatError::InvalidExtra {
                place: place.to_owned(),
                key: key.clone(),
                reason: e.to_string(),
            })?;
            self.raw(key, value);
        }
        Ok(self)
    }

    pub(crate) fn finish(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

/// A list with one entry on each line.
pub(crate) fn lines(entries: &[String]) -> String {
    if entries.is_empty() { "[]".to_owned() } else { format!("[\n{}\n]", entries.join(",\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_not_numbers_become_texts_of_the_same_length() {
        let text = "[NaN,\n-Infinity, \"NaN \\\" Infinity\", Infinity]";
        let (out, lines) = quote_non_numbers(text);
        assert_eq!(out, "[\"N\",\n\"-Infini\", \"NaN \\\" Infinity\", \"Infini\"]");
        assert_eq!((out.len(), lines), (text.len(), vec![1, 2, 2]));
        assert_eq!(words_as_texts(text.to_owned()), out);
        for text in ["", "\"NaN", "NaN", "\"ü\\ü NaN\" NaN ü", "[-1, NaNaN, -Infinity, \"\\\\\", NaN]"] {
            assert_eq!(words_as_texts(text.to_owned()), quote_non_numbers(text).0, "{text}");
        }
    }

    #[test]
    fn lines_are_those_of_the_part() {
        let text = "{\n\"a\": [\n{},\n{}]}";
        let source = Source::new(Path::new("x"), text);
        let top: Object<'_> = source.parse_all().unwrap();
        let mut notes = Notes::new(Path::new("x"), crate::Strictness::Strict);
        let records = source.records("a", top.0["a"], &mut notes).unwrap();
        assert_eq!(records.iter().map(|r| r.line).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(records[1].place, "a[1]");
    }

    #[test]
    fn a_key_given_twice_is_an_error() {
        let source = Source::new(Path::new("x"), "{\"a\": 1,\n \"a\": 2}");
        let error = source.parse_all::<Object<'_>>().unwrap_err();
        assert!(matches!(error, FormatError::Syntax { line: 2, .. }), "{error}");
    }

    #[test]
    fn extra_that_is_not_json_is_refused() {
        let extra = Extra::from([("k".to_owned(), "{".to_owned())]);
        assert!(matches!(ObjectText::new().extra("s", &extra, &[]), Err(FormatError::InvalidExtra { .. })));
    }
}
