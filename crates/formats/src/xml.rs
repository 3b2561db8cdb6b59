//! XML as a small tree whose elements remember their lines. Entities beyond the five of XML itself and deep nesting are
//! refused, so a short file cannot grow into a large one.

use std::path::Path;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use crate::{FormatError, Result, files};

const MAX_DEPTH: usize = 64;

/// One element.
#[derive(Debug, Clone, Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) line: usize,
    attributes: Vec<(String, String)>,
    pub(crate) children: Vec<Element>,
    text: String,
}

impl Element {
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(crate) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|c| c.name == name)
    }

    /// The text of a child without children of its own.
    pub(crate) fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name).filter(|c| c.children.is_empty()).map(Element::text)
    }

    pub(crate) fn text(&self) -> &str {
        self.text.trim()
    }

    /// This element and all below it, in the order of the file.
    pub(crate) fn descendants(&self) -> Vec<&Element> {
        let (mut found, mut open) = (Vec::new(), vec![self]);
        while let Some(element) = open.pop() {
            found.push(element);
            open.extend(element.children.iter().rev());
        }
        found
    }
}

/// Reads a file whose root has this name.
pub(crate) fn read(path: &Path, root: &'static str) -> Result<Element> {
    let text = files::read_text(path)?;
    let element = parse(&text).map_err(|(offset, reason)| FormatError::Syntax {
        path: path.to_owned(),
        line: line_at(text.as_bytes(), offset),
        reason,
    })?;
    if element.name != root {
        let place = format!("root element <{}>", crate::json::shortened(&element.name));
        return Err(FormatError::Structure { path: path.to_owned(), place, expected: root });
    }
    Ok(element)
}

fn line_at(text: &[u8], offset: usize) -> usize {
    1 + text.iter().take(offset).filter(|b| **b == b'\n').count()
}

/// The root element, or a byte offset and what is wrong there.
fn parse(text: &str) -> Result<Element, (usize, String)> {
    let mut reader = Reader::from_str(text);
    let (mut open, mut root): (Vec<Element>, Option<Element>) = (Vec::new(), None);
    let (mut line, mut counted) = (1, 0);
    loop {
        let at = usize::try_from(reader.buffer_position()).unwrap_or(text.len());
        let event = reader
            .read_event()
            .map_err(|e| (usize::try_from(reader.error_position()).unwrap_or(at), e.to_string()))?;
        line += line_at(&text.as_bytes()[counted..], at - counted) - 1;
        counted = at;
        match event {
            Event::Start(start) if open.len() < MAX_DEPTH => {
                open.push(element(&start, line).map_err(|reason| (at, reason))?);
            }
            Event::Start(_) => return Err((at, format!("elements nested deeper than {MAX_DEPTH}"))),
            Event::Empty(start) => {
                let done = element(&start, line).map_err(|reason| (at, reason))?;
                close(done, &mut open, &mut root).map_err(|reason| (at, reason))?;
            }
            Event::End(_) => {
                let done =
                    open.pop().ok_or_else(|| (at, "end of an element that was not begun".to_owned()))?;
                close(done, &mut open, &mut root).map_err(|reason| (at, reason))?;
            }
            Event::Text(t) => add_text(&mut open, &t.xml10_content()).map_err(|reason| (at, reason))?,
            Event::CData(t) => add_text(&mut open, &t.xml10_content()).map_err(|reason| (at, reason))?,
            Event::GeneralRef(r) => {
                let c = match r.resolve_char_ref().map_err(|e| (at, e.to_string()))? {
                    Some(c) => c,
                    None => {
                        predefined(&r).ok_or_else(|| (at, "an entity that XML does not define".to_owned()))?
                    }
                };
                add_text(&mut open, c.encode_utf8(&mut [0; 4])).map_err(|reason| (at, reason))?;
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            Event::Eof if open.is_empty() => return root.ok_or_else(|| (at, "no element".to_owned())),
            Event::Eof => return Err((at, "the end of the file inside an element".to_owned())),
        }
    }
}

fn element(start: &BytesStart<'_>, line: usize) -> Result<Element, String> {
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|e| e.to_string())?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|e| e.to_string())?;
        attributes.push((attribute.key.into_inner().to_owned(), value.into_owned()));
    }
    let name = start.name().into_inner().to_owned();
    Ok(Element { name, line, attributes, ..Element::default() })
}

fn close(done: Element, open: &mut [Element], root: &mut Option<Element>) -> Result<(), String> {
    match open.last_mut() {
        Some(parent) => parent.children.push(done),
        None if root.is_none() => *root = Some(done),
        None => return Err("a second root element".to_owned()),
    }
    Ok(())
}

fn add_text(open: &mut [Element], text: &str) -> Result<(), String> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err("text outside the root element".to_owned()),
    }
    Ok(())
}

fn predefined(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

/// Text for an element or a quoted attribute. Control characters that XML 1.0 cannot hold become U+FFFD.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\t' => out.push_str("&#9;"),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// What a reader gets of a text that was escaped into an attribute.
pub(crate) fn as_attribute(text: &str) -> String {
    let held = |c| match c {
        '\n' | '\r' | '\t' => c,
        '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        c => c,
    };
    text.chars().map(held).collect()
}

/// What a reader gets of a text that was escaped into an element: without white space around it.
pub(crate) fn as_text(text: &str) -> String {
    as_attribute(text).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_have_lines_texts_and_attributes() {
        let root = parse(
            "<?xml version=\"1.0\"?>\r\n<a x='1 &amp; 2'>\r\n <b/>\n<c>x &lt;&#33;<![CDATA[<]]></c></a>\n",
        )
        .unwrap();
        assert_eq!((root.attribute("x"), root.line), (Some("1 & 2"), 2));
        assert_eq!((root.child("b").unwrap().line, root.child("c").unwrap().line), (3, 4));
        assert_eq!(root.child_text("c"), Some("x <!<"));
        assert_eq!(root.descendants().iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn broken_and_hostile_trees_are_refused() {
        let deep = "<a>".repeat(100_000);
        let bomb = "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>";
        for bad in [
            "",
            "x",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "</a>",
            "<a x=1/>",
            "<a>&nope;</a>",
            &deep,
            bomb,
            "<a b='&x;'/>",
        ] {
            assert!(parse(bad).is_err(), "{}", &bad[..bad.len().min(40)]);
        }
    }

    #[test]
    fn what_is_escaped_comes_back() {
        let text = "a<b>&\"'\n\t\r ü";
        let root = parse(&format!("<a x=\"{0}\">.{0}.</a>", escape(text))).unwrap();
        assert_eq!(root.attribute("x"), Some(text));
        assert_eq!(root.text(), format!(".{text}."));
        assert_eq!(escape("\0"), "\u{fffd}");
        for text in ["a<b>&\"'\n\t\r ü", " a\u{ffff}\u{1}\u{a0} "] {
            let root = parse(&format!("<a x=\"{0}\">{0}</a>", escape(text))).unwrap();
            assert_eq!(root.attribute("x").unwrap(), as_attribute(text));
            assert_eq!(root.text(), as_text(text));
        }
    }
}
