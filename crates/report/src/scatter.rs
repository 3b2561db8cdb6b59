//! Many points in the plane, coloured by what is known of them, as SVG and as PNG.
//!
//! Readable with a hundred points and with a hundred thousand: marks shrink and become transparent with their number, and
//! are drawn in a shuffled order, so that no class hides another because it comes later. Colours are told apart by people
//! with colour-blindness (Okabe and Ito 2008; viridis for numbers). Points that the layout was not fitted on are rings.
//! There are no axes: the plane's directions mean nothing. The PNG needs no font of the system.

mod canvas;
mod font;
mod png;
mod svg;

use std::collections::BTreeMap;

use canvas::Canvas;
use labelloop_core::Seed;
use serde::{Deserialize, Serialize};

use crate::{ReportError, Result};

/// What colours mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Colouring {
    /// All alike.
    Plain,
    /// A name for each point, such as a split or a class; none where there is no name. Names beyond the seven most frequent
    /// are drawn as one.
    Names(Vec<Option<String>>),
    /// A number for each point, with a colour bar; none where there is none.
    Scores(Vec<Option<f64>>),
    /// The batch that each point was picked for; those picked for none are pale and below.
    Batches(Vec<Option<u32>>),
}

/// A scatter plot of samples.
///
/// ```
/// use labelloop_report::{Colouring, ScatterPlot};
///
/// let names = ["pool", "pool", "val"].map(|n| Some(n.to_owned())).to_vec();
/// let plot = ScatterPlot {
///     title: "Samples".to_owned(),
///     points: vec![[0.0, 1.0], [2.0, 0.5], [1.0, 1.5]],
///     colouring: Colouring::Names(names),
///     is_fitted: Some(vec![true, true, false]),
/// };
/// assert!(plot.to_svg()?.contains("pool (2)"));
/// assert_eq!(plot.to_png()?[1..4], *b"PNG");
/// # Ok::<(), labelloop_report::ReportError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ScatterPlot {
    /// Heading.
    pub title: String,
    /// Where the points are.
    pub points: Vec<[f64; 2]>,
    /// What colours mean.
    pub colouring: Colouring,
    /// Whether each point took part in the fit of the layout; none where that has no meaning. Others are drawn as rings.
    pub is_fitted: Option<Vec<bool>>,
}

type Rgb = [u8; 3];

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 640.0;
/// Square of the points: left, top, side.
const FIELD: [f64; 3] = [24.0, 56.0, 560.0];
const LEGEND_X: f64 = 624.0;
const INK: Rgb = [40, 44, 52];
const PALE: Rgb = [190, 194, 200];
const FRAME: Rgb = [228, 230, 235];
/// Names with a colour of their own.
const MAX_NAMES: usize = 7;
const PALETTE: [Rgb; MAX_NAMES] = [
    [0, 114, 178],
    [213, 94, 0],
    [0, 158, 115],
    [204, 121, 167],
    [230, 159, 0],
    [86, 180, 233],
    [110, 84, 148],
];
/// viridis at nine places.
const VIRIDIS: [Rgb; 9] = [
    [68, 1, 84],
    [71, 44, 122],
    [59, 81, 139],
    [44, 113, 142],
    [33, 144, 141],
    [39, 173, 129],
    [92, 200, 99],
    [170, 220, 50],
    [253, 231, 37],
];
/// Steps of colour on a bar: as many as can be told apart, few enough to draw points by colour.
const N_STEPS: usize = 33;

/// Marks of one colour, and what the legend says of them.
struct Family {
    name: Option<String>,
    colour: Rgb,
    /// Below all others, and not shuffled among them.
    is_background: bool,
}

/// Which family each point is of.
struct Coloured {
    families: Vec<Family>,
    family_of: Vec<usize>,
    /// Lowest and highest number, where colours are a scale.
    scale: Option<[f64; 2]>,
}

impl ScatterPlot {
    /// The plot as an SVG document.
    ///
    /// # Errors
    /// [`ReportError::Points`] for lists of different length, [`ReportError::NotFinite`] for a point that is nowhere.
    pub fn to_svg(&self) -> Result<String> {
        let mut canvas = svg::SvgCanvas::new(WIDTH, HEIGHT);
        self.draw(&mut canvas)?;
        Ok(canvas.finish())
    }

    /// The plot as a PNG file, two pixels for each unit of the SVG.
    ///
    /// # Errors
    /// As [`Self::to_svg`], and [`ReportError::Chart`] should the picture not be encoded.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let mut canvas = png::PngCanvas::new(WIDTH, HEIGHT)?;
        self.draw(&mut canvas)?;
        canvas.finish()
    }

    fn draw(&self, canvas: &mut dyn Canvas) -> Result<()> {
        self.check()?;
        let coloured = self.coloured();
        canvas.rect([0.0, 0.0, WIDTH, HEIGHT], [255; 3]);
        canvas.text([FIELD[0], 36.0], 20.0, INK, &self.title);
        canvas.frame([FIELD[0], FIELD[1], FIELD[2], FIELD[2]], FRAME);
        self.draw_points(canvas, &coloured);
        self.draw_legend(canvas, &coloured);
        Ok(())
    }

    fn check(&self) -> Result<()> {
        let expected = self.points.len();
        let found = match &self.colouring {
            Colouring::Plain => expected,
            Colouring::Names(names) => names.len(),
            Colouring::Scores(scores) => scores.len(),
            Colouring::Batches(batches) => batches.len(),
        };
        if found != expected {
            return Err(ReportError::Points { what: "colours", found, expected });
        }
        if let Some(found) = self.is_fitted.as_ref().map(Vec::len).filter(|n| *n != expected) {
            return Err(ReportError::Points { what: "marks of the fit", found, expected });
        }
        let bad = |p: &[f64; 2]| !(p[0].is_finite() && p[1].is_finite());
        if let Some(point) = self.points.iter().position(bad) {
            return Err(ReportError::NotFinite { point });
        }
        Ok(())
    }

    fn draw_points(&self, canvas: &mut dyn Canvas, coloured: &Coloured) {
        let is_background = |i: &usize| coloured.families[coloured.family_of[*i]].is_background;
        let n_background = (0..self.points.len()).filter(is_background).count();
        // What is above the background is seen among its own kind, so that few picks of many stand out.
        let looks = [self.points.len(), self.points.len() - n_background].map(look);
        let shuffle = Seed::new(0).stream("order of marks");
        let mut order: Vec<usize> = (0..self.points.len()).collect();
        order.sort_by_key(|i| (!is_background(i), shuffle.bits(*i as u64), *i));
        let place = self.placing();
        for block in order.chunks(256) {
            let mut by_family: BTreeMap<(bool, usize), Vec<[f64; 2]>> = BTreeMap::new();
            for i in block.iter().filter(|i| self.is_fitted.as_ref().is_none_or(|f| f[**i])) {
                let family = coloured.family_of[*i];
                let is_on_top = !coloured.families[family].is_background;
                by_family.entry((is_on_top, family)).or_default().push(place(self.points[*i]));
            }
            for ((is_on_top, family), points) in by_family {
                let (radius, alpha) = looks[usize::from(is_on_top)];
                canvas.discs(&points, radius, coloured.families[family].colour, alpha);
            }
            for i in block.iter().filter(|i| self.is_fitted.as_ref().is_some_and(|f| !f[**i])) {
                let (radius, alpha) = looks[usize::from(!is_background(i))];
                let colour = coloured.families[coloured.family_of[*i]].colour;
                canvas.ring(place(self.points[*i]), radius.max(1.4) * 1.2, colour, alpha.max(0.4));
            }
        }
    }

    /// From the points' plane into the field, both directions alike.
    fn placing(&self) -> impl Fn([f64; 2]) -> [f64; 2] + use<> {
        let range = |axis: usize| {
            let values = self.points.iter().map(|p| p[axis]);
            let (low, high) =
                values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
            if low <= high { [low, high] } else { [0.0, 0.0] }
        };
        let (x, y) = (range(0), range(1));
        let span = (x[1] / 2.0 - x[0] / 2.0).max(y[1] / 2.0 - y[0] / 2.0);
        let middle = [f64::midpoint(x[0], x[1]), f64::midpoint(y[0], y[1])];
        let by = if span.is_normal() { (FIELD[2] / 2.0 - 14.0) / span } else { 0.0 };
        move |point| {
            let off = [0, 1].map(|axis| (point[axis] - middle[axis]) * by);
            [FIELD[0] + FIELD[2] / 2.0 + off[0], FIELD[1] + FIELD[2] / 2.0 - off[1]]
        }
    }

    fn draw_legend(&self, canvas: &mut dyn Canvas, coloured: &Coloured) {
        let mut y = FIELD[1] + 14.0;
        if let Some([low, high]) = coloured.scale {
            let side = 6.0;
            for step in 0..N_STEPS {
                let top = y + (N_STEPS - 1 - step) as f64 * side;
                canvas.rect([LEGEND_X, top, 18.0, side + 0.5], ramp(step as f64 / (N_STEPS - 1) as f64));
            }
            let height = N_STEPS as f64 * side;
            for (share, value) in [(0.0, low), (0.5, f64::midpoint(low, high)), (1.0, high)] {
                let at = y + height * (1.0 - share);
                canvas.text([LEGEND_X + 26.0, at + 5.0], 14.0, INK, &plain(value));
            }
            y += height + 30.0;
        }
        for family in &coloured.families {
            if let Some(name) = &family.name {
                canvas.discs(&[[LEGEND_X + 8.0, y]], 6.0, family.colour, 1.0);
                canvas.text([LEGEND_X + 24.0, y + 5.0], 14.0, INK, &shortened(name));
                y += 24.0;
            }
        }
        let n_placed = self.is_fitted.as_ref().map_or(0, |f| f.iter().filter(|f| !**f).count());
        if 0 < n_placed {
            y += 12.0;
            canvas.ring([LEGEND_X + 8.0, y], 6.0, INK, 1.0);
            canvas.text([LEGEND_X + 24.0, y + 5.0], 14.0, INK, &format!("not fitted on ({n_placed})"));
        }
    }

    fn coloured(&self) -> Coloured {
        match &self.colouring {
            Colouring::Plain => Coloured {
                families: vec![Family { name: None, colour: PALETTE[0], is_background: false }],
                family_of: vec![0; self.points.len()],
                scale: None,
            },
            Colouring::Names(names) => by_names(names),
            Colouring::Scores(scores) => by_scores(scores),
            Colouring::Batches(batches) => by_batches(batches),
        }
    }
}

/// Radius and opacity of marks: smaller and paler the more there are.
fn look(n: usize) -> (f64, f64) {
    let n = n.max(1) as f64;
    ((16.0 / n.sqrt().sqrt()).clamp(1.1, 5.0), (3.2 / n.powf(0.2)).clamp(0.3, 0.9))
}

/// The most frequent names first, ties by name; then the rest, then those without.
fn by_names(names: &[Option<String>]) -> Coloured {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names.iter().flatten() {
        *counts.entry(name).or_default() += 1;
    }
    let mut ranked: Vec<(&str, usize)> = counts.into_iter().collect();
    ranked.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let n_own = if ranked.len() <= MAX_NAMES { ranked.len() } else { MAX_NAMES };
    let mut families: Vec<Family> = ranked[..n_own]
        .iter()
        .zip(PALETTE)
        .map(|((name, n), colour)| Family {
            name: Some(format!("{name} ({n})")),
            colour,
            is_background: false,
        })
        .collect();
    let n_other: usize = ranked[n_own..].iter().map(|(_, n)| n).sum();
    let n_none = names.iter().filter(|n| n.is_none()).count();
    for (what, n, colour) in [("other", n_other, [120; 3]), ("none", n_none, PALE)] {
        let words = match what {
            "other" => format!("{} others ({n})", ranked.len() - n_own),
            _ => format!("without ({n})"),
        };
        families.push(Family { name: (0 < n).then_some(words), colour, is_background: what == "none" });
    }
    let place: BTreeMap<&str, usize> =
        ranked.iter().enumerate().map(|(i, (name, _))| (*name, i.min(n_own))).collect();
    let family = |name: &Option<String>| name.as_ref().map_or(n_own + 1, |name| place[name.as_str()]);
    Coloured { family_of: names.iter().map(family).collect(), families, scale: None }
}

fn by_scores(scores: &[Option<f64>]) -> Coloured {
    let known = scores.iter().flatten().filter(|s| s.is_finite());
    let (low, high) =
        known.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), s| (low.min(*s), high.max(*s)));
    let scale = (low <= high).then_some([low, high]);
    let step = |score: &Option<f64>| match (score.filter(|s| s.is_finite()), scale) {
        (Some(score), Some([low, high])) if low < high => {
            (((score / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0)) * (N_STEPS - 1) as f64).round() as usize
        }
        (Some(_), _) => 0,
        (None, _) => N_STEPS,
    };
    let n_none = scores.iter().filter(|s| s.is_none_or(|s| !s.is_finite())).count();
    let mut families: Vec<Family> = (0..N_STEPS)
        .map(|step| Family {
            name: None,
            colour: ramp(step as f64 / (N_STEPS - 1) as f64),
            is_background: false,
        })
        .collect();
    let name = (0 < n_none).then(|| format!("without ({n_none})"));
    families.push(Family { name, colour: PALE, is_background: true });
    Coloured { families, family_of: scores.iter().map(step).collect(), scale }
}

/// Batches in order. Up to seven have colours of their own, more are on a scale from early to late.
fn by_batches(batches: &[Option<u32>]) -> Coloured {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for batch in batches.iter().flatten() {
        *counts.entry(*batch).or_default() += 1;
    }
    let n = counts.len();
    let colour = |i: usize| if n <= MAX_NAMES { PALETTE[i] } else { ramp(i as f64 / (n - 1) as f64) };
    let n_none = batches.iter().filter(|b| b.is_none()).count();
    let none = (0 < n_none).then(|| format!("not picked ({n_none})"));
    let mut families = vec![Family { name: none, colour: PALE, is_background: true }];
    for (i, (batch, n_picked)) in counts.iter().enumerate() {
        // Of many batches, some twenty names fit.
        let is_named = i % n.div_ceil(18).max(1) == 0 || i + 1 == n;
        let name = is_named.then(|| format!("batch {batch} ({n_picked})"));
        families.push(Family { name, colour: colour(i), is_background: false });
    }
    let place: BTreeMap<u32, usize> = counts.keys().enumerate().map(|(i, batch)| (*batch, i + 1)).collect();
    let family_of = batches.iter().map(|b| b.map_or(0, |batch| place[&batch])).collect();
    Coloured { families, family_of, scale: None }
}

/// viridis at a share from 0 to 1.
fn ramp(share: f64) -> Rgb {
    let at = share.clamp(0.0, 1.0) * (VIRIDIS.len() - 1) as f64;
    let lower = (at as usize).min(VIRIDIS.len() - 2);
    let past = at - lower as f64;
    std::array::from_fn(|c| {
        let [a, b] = [lower, lower + 1].map(|i| f64::from(VIRIDIS[i][c]));
        (a + past * (b - a)).round() as u8
    })
}

/// Three significant digits, without an exponent where that is short.
fn plain(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = 2 - value.abs().log10().floor() as i32;
    match digits {
        -3..=8 => format!("{value:.*}", digits.max(0) as usize),
        _ => format!("{value:.2e}"),
    }
}

/// What fits beside a mark.
fn shortened(name: &str) -> String {
    const MOST: usize = 28;
    if name.chars().count() <= MOST {
        name.to_owned()
    } else {
        name.chars().take(MOST - 1).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(n: usize, colouring: Colouring) -> ScatterPlot {
        let noise = Seed::new(1);
        let points = (0..n as u64).map(|i| [noise.normal(2 * i), noise.normal(2 * i + 1)]).collect();
        ScatterPlot { title: "T & <x>".to_owned(), points, colouring, is_fitted: None }
    }

    #[test]
    fn lists_of_another_length_are_refused() {
        let refused = plot(3, Colouring::Scores(vec![None; 2])).to_svg().unwrap_err();
        assert_eq!(refused.to_string(), "2 colours of 3 points: expected one for each point");
        let fitted = ScatterPlot { is_fitted: Some(vec![]), ..plot(3, Colouring::Plain) };
        assert!(matches!(fitted.to_png().unwrap_err(), ReportError::Points { .. }));
    }

    #[test]
    fn points_that_are_nowhere_are_refused() {
        let mut nowhere = plot(3, Colouring::Plain);
        nowhere.points[1][0] = f64::NAN;
        assert!(matches!(nowhere.to_svg().unwrap_err(), ReportError::NotFinite { point: 1 }));
    }

    #[test]
    fn no_points_and_one_place_for_all_are_drawn() {
        for points in [vec![], vec![[3.0, 3.0]; 5], vec![[-1e308, 0.0], [1e308, 0.0]]] {
            let plot = ScatterPlot { points, ..plot(0, Colouring::Plain) };
            assert!(plot.to_svg().unwrap().ends_with("</svg>\n"));
            assert!(!plot.to_svg().unwrap().contains("NaN"));
            plot.to_png().unwrap();
        }
    }

    #[test]
    fn names_are_counted_and_those_beyond_the_seventh_are_one() {
        let names = (0..100).map(|i| Some(format!("c{}", i % 9))).chain([None]).collect();
        let svg = plot(101, Colouring::Names(names)).to_svg().unwrap();
        assert!(svg.contains("c0 (12)") && svg.contains("2 others (22)") && svg.contains("without (1)"));
    }

    #[test]
    fn titles_are_escaped() {
        assert!(plot(2, Colouring::Plain).to_svg().unwrap().contains("T &amp; &lt;x&gt;"));
    }

    #[test]
    fn scores_have_a_bar_with_their_range() {
        let scores = (0..50).map(|i| Some(f64::from(i) / 10.0)).chain([None, Some(f64::NAN)]).collect();
        let svg = plot(52, Colouring::Scores(scores)).to_svg().unwrap();
        assert!(svg.contains(">4.90<") && svg.contains(">2.45<") && svg.contains("without (2)"));
        let one = plot(2, Colouring::Scores(vec![Some(1.0); 2])).to_svg().unwrap();
        assert!(one.contains(">1.00<"));
    }

    #[test]
    fn the_unpicked_are_drawn_first() {
        let batches = (0..2000).map(|i| (i % 100 == 0).then_some(3)).collect();
        let svg = plot(2000, Colouring::Batches(batches)).to_svg().unwrap();
        assert!(svg.contains("batch 3 (20)") && svg.contains("not picked (1980)"));
        let first_picked = svg.find("#0072b2").unwrap();
        let pale_marks = svg[first_picked..].matches("stroke=\"#bec2c8\"").count();
        assert_eq!(pale_marks, 1, "that of the legend");
    }

    #[test]
    fn many_batches_are_all_coloured_and_some_named() {
        let batches = (0..300).map(|i| Some(i % 60)).collect();
        let svg = plot(300, Colouring::Batches(batches)).to_svg().unwrap();
        assert!(svg.contains("batch 0 (5)") && svg.contains("batch 59 (5)") && !svg.contains("batch 1 ("));
    }

    #[test]
    fn samples_not_fitted_on_are_rings_in_the_legend_too() {
        let fitted = Some((0..10).map(|i| i != 4).collect());
        let svg = ScatterPlot { is_fitted: fitted, ..plot(10, Colouring::Plain) }.to_svg().unwrap();
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("not fitted on (1)"));
    }

    #[test]
    fn a_hundred_thousand_points_stay_a_few_megabytes() {
        let names = (0..100_000).map(|i| Some(format!("c{}", i % 5))).collect();
        let many = plot(100_000, Colouring::Names(names));
        assert!(many.to_svg().unwrap().len() < 3_000_000);
    }

    #[test]
    fn the_same_plot_gives_the_same_bytes() {
        let scores = (0..500).map(|i| Some(f64::from(i))).collect();
        let plot = plot(500, Colouring::Scores(scores));
        assert_eq!(plot.to_svg().unwrap(), plot.to_svg().unwrap());
        assert_eq!(plot.to_png().unwrap(), plot.to_png().unwrap());
    }

    #[test]
    fn numbers_are_short() {
        let found = [0.0, 1.0, 0.123456, 1234.5, -0.5, 1e9, 1e-12].map(plain);
        assert_eq!(found, ["0", "1.00", "0.123", "1234", "-0.500", "1.00e9", "1.00e-12"]);
    }

    #[test]
    fn the_ramp_goes_through_its_ends() {
        assert_eq!((ramp(0.0), ramp(1.0)), (VIRIDIS[0], VIRIDIS[8]));
        assert_eq!(ramp(-3.0), VIRIDIS[0]);
    }
}
