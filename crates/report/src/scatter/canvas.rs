use super::Rgb;

/// What a plot is drawn on; units are those of the SVG, y downwards.
pub(super) trait Canvas {
    /// A filled rectangle: left, top, width, height.
    fn rect(&mut self, place: [f64; 4], colour: Rgb);

    /// The outline of a rectangle, one unit wide.
    fn frame(&mut self, place: [f64; 4], colour: Rgb);

    /// Filled discs of one colour.
    fn discs(&mut self, centres: &[[f64; 2]], radius: f64, colour: Rgb, alpha: f64);

    /// A circle that is not filled.
    fn ring(&mut self, centre: [f64; 2], radius: f64, colour: Rgb, alpha: f64);

    /// A line of text that begins at a place on its base line.
    fn text(&mut self, place: [f64; 2], size: f64, colour: Rgb, words: &str);
}
