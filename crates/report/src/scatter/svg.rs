use std::fmt::Write as _;

use super::Rgb;
use super::canvas::Canvas;

/// Discs in one path: few enough that those of one path seldom overlap, where they would not darken each other.
const PER_PATH: usize = 64;

/// SVG text in the making.
pub(super) struct SvgCanvas {
    text: String,
}

impl SvgCanvas {
    pub(super) fn new(width: f64, height: f64) -> Self {
        let text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\">\n"
        );
        Self { text }
    }

    pub(super) fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    fn put(&mut self, element: &str) {
        self.text.push_str(element);
        self.text.push('\n');
    }
}

impl Canvas for SvgCanvas {
    fn rect(&mut self, [x, y, w, h]: [f64; 4], colour: Rgb) {
        self.put(&format!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" fill=\"{}\"/>",
            hex(colour)
        ));
    }

    fn frame(&mut self, [x, y, w, h]: [f64; 4], colour: Rgb) {
        let place = format!("x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\"");
        self.put(&format!("<rect {place} fill=\"none\" stroke=\"{}\"/>", hex(colour)));
    }

    fn discs(&mut self, centres: &[[f64; 2]], radius: f64, colour: Rgb, alpha: f64) {
        for part in centres.chunks(PER_PATH) {
            let mut path = String::new();
            for [x, y] in part {
                // A line of no length with round ends is a disc. Writing to a string does not fail.
                let _ = write!(path, "M{x:.1} {y:.1}h0");
            }
            self.put(&format!(
                "<path d=\"{path}\" stroke=\"{}\" stroke-width=\"{:.2}\" stroke-linecap=\"round\" stroke-opacity=\"{alpha:.2}\"/>",
                hex(colour),
                2.0 * radius
            ));
        }
    }

    fn ring(&mut self, [x, y]: [f64; 2], radius: f64, colour: Rgb, alpha: f64) {
        self.put(&format!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.2}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{:.2}\" stroke-opacity=\"{alpha:.2}\"/>",
            hex(colour),
            (radius * 0.45).max(0.7)
        ));
    }

    fn text(&mut self, [x, y]: [f64; 2], size: f64, colour: Rgb, words: &str) {
        let fill = hex(colour);
        self.put(&format!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" fill=\"{fill}\">{}</text>",
            escaped(words)
        ));
    }
}

fn hex([r, g, b]: Rgb) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// Text that XML takes as text; control characters, which it refuses, become spaces.
fn escaped(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for c in words.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c if c.is_control() || ['\u{fffe}', '\u{ffff}'].contains(&c) => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
