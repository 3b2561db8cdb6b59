//! The charts of a report as SVG text: lines with intervals and a target, bars, and a scatter of categories.

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::{ReportError, Result};

/// One line of a [`LineChart`]. A value that does not exist is a gap, not a zero.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// Points (x, y) in order of x.
    pub points: Vec<(f64, Option<f64>)>,
    /// Lower and upper bound at each point, drawn as a band; empty for none.
    pub band: Vec<Option<[f64; 2]>>,
    /// Drawn thin and pale, for what is only to be compared with.
    pub is_background: bool,
}

/// Lines over a common x axis.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LineChart {
    /// Heading.
    pub title: String,
    /// Meaning of x.
    pub x_label: String,
    /// Meaning of y.
    pub y_label: String,
    /// The lines, first on top of the legend.
    pub series: Vec<Series>,
    /// A level to reach, drawn dashed, with its name.
    pub target: Option<(String, f64)>,
    /// Whether y runs from 0 to 1 whatever the values.
    pub is_share: bool,
}

/// Named bars.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BarChart {
    /// Heading.
    pub title: String,
    /// Meaning of the bars' length.
    pub y_label: String,
    /// Bars in order.
    pub bars: Vec<(String, f64)>,
}

/// Points in the plane, coloured by category.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scatter {
    /// Heading.
    pub title: String,
    /// Categories in order of drawing, each with its points; the first is drawn small and pale.
    pub categories: Vec<(String, Vec<(f64, f64)>)>,
}

const SIZE: (u32, u32) = (760, 420);
const INK: RGBColor = RGBColor(40, 44, 52);
const GRID: RGBColor = RGBColor(228, 230, 235);
/// Colours that stay apart for people with colour-blindness (Okabe and Ito 2008).
const PALETTE: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(110, 84, 148),
    RGBColor(120, 120, 120),
];

fn colour(i: usize) -> RGBColor {
    PALETTE[i % PALETTE.len()]
}

fn drawn(draw: impl FnOnce(&DrawingArea<SVGBackend<'_>, Shift>) -> DrawResult) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let done = area.fill(&WHITE).map_err(|e| e.to_string()).and_then(|()| draw(&area));
        done.and_then(|()| area.present().map_err(|e| e.to_string()))
            .map_err(|reason| ReportError::Chart { reason })?;
    }
    Ok(svg)
}

/// Drawing into a string cannot fail for lack of a device, so the reason is all that is kept.
type DrawResult = std::result::Result<(), String>;

fn text<E: std::fmt::Display>(e: E) -> String {
    e.to_string()
}

impl LineChart {
    /// The chart as an SVG document. One point is drawn as a dot; no point as an empty frame.
    ///
    /// # Errors
    /// [`ReportError::Chart`] when the drawing library refuses.
    pub fn to_svg(&self) -> Result<String> {
        drawn(|area| self.draw(area))
    }

    fn draw(&self, area: &DrawingArea<SVGBackend<'_>, Shift>) -> DrawResult {
        let (x, y) = (self.x_range(), self.y_range());
        let is_whole = self.is_counted();
        let n_labels = if is_whole { (x.1 - x.0).ceil().clamp(1.0, 10.0) as usize + 1 } else { 10 };
        let x_label = |v: &f64| if is_whole && v.fract() != 0.0 { String::new() } else { plain(*v) };
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 20, &INK))
            .margin(14)
            .x_label_area_size(44)
            .y_label_area_size(58)
            .build_cartesian_2d(x.0..x.1, y.0..y.1)
            .map_err(text)?;
        chart
            .configure_mesh()
            .x_desc(&self.x_label)
            .y_desc(&self.y_label)
            .x_labels(n_labels)
            .x_label_formatter(&x_label)
            .y_label_formatter(&|v| plain(*v))
            .light_line_style(WHITE)
            .bold_line_style(GRID)
            .axis_style(INK)
            .label_style(("sans-serif", 13, &INK))
            .draw()
            .map_err(text)?;
        for (i, series) in self.series.iter().enumerate() {
            let ink = if series.is_background { colour(7).mix(0.55) } else { colour(i).to_rgba() };
            for band in series.bands() {
                chart.draw_series(std::iter::once(Polygon::new(band, ink.mix(0.14)))).map_err(text)?;
            }
            let style = ink.stroke_width(if series.is_background { 1 } else { 2 });
            for (nth, run) in series.runs().into_iter().enumerate() {
                let dots: Vec<_> = run.iter().map(|p| Circle::new(*p, 3, ink.filled())).collect();
                let line = chart.draw_series(LineSeries::new(run, style)).map_err(text)?;
                if nth == 0 && !series.name.is_empty() {
                    line.label(&series.name)
                        .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
                }
                chart.draw_series(dots).map_err(text)?;
            }
        }
        if let Some((name, level)) = &self.target {
            let dashes = dashed(x, *level);
            chart
                .draw_series(dashes.into_iter().map(|d| PathElement::new(d, INK.stroke_width(1))))
                .map_err(text)?
                .label(name)
                .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], INK.stroke_width(1)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.85))
            .border_style(GRID)
            .label_font(("sans-serif", 13, &INK))
            .draw()
            .map_err(text)
    }

    /// Whether the horizontal axis counts something, as iterations do; nothing lies between two of them.
    fn is_counted(&self) -> bool {
        self.series.iter().flat_map(|series| &series.points).all(|point| point.0.fract() == 0.0)
    }

    fn x_range(&self) -> (f64, f64) {
        padded(self.series.iter().flat_map(|s| s.points.iter().map(|p| p.0)), 0.04)
    }

    fn y_range(&self) -> (f64, f64) {
        if self.is_share {
            return (0.0, 1.0);
        }
        let values = self.series.iter().flat_map(|s| s.points.iter().filter_map(|p| p.1));
        padded(values.chain(self.target.iter().map(|t| t.1)).chain([0.0]), 0.06)
    }
}

impl Series {
    /// Stretches of points without a gap.
    fn runs(&self) -> Vec<Vec<(f64, f64)>> {
        self.points
            .split(|p| p.1.is_none_or(|y| !y.is_finite()))
            .filter(|run| !run.is_empty())
            .map(|run| run.iter().filter_map(|(x, y)| y.map(|y| (*x, y))).collect())
            .collect()
    }

    /// Outlines of the interval band, one for each stretch without a gap.
    fn bands(&self) -> Vec<Vec<(f64, f64)>> {
        let bounds: Vec<(f64, Option<[f64; 2]>)> =
            self.points.iter().map(|p| p.0).zip(self.band.iter().copied()).collect();
        bounds
            .split(|b| b.1.is_none())
            .filter(|run| 1 < run.len())
            .map(|run| {
                let lower = run.iter().filter_map(|(x, b)| b.map(|b| (*x, b[0])));
                let upper = run.iter().rev().filter_map(|(x, b)| b.map(|b| (*x, b[1])));
                lower.chain(upper).collect()
            })
            .collect()
    }
}

/// A tick without needless zeros.
fn plain(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0;
    if rounded == 0.0 { "0".to_owned() } else { rounded.to_string() }
}

/// Smallest range that holds all values, with a margin; a lone value gets room on both sides.
fn padded(values: impl Iterator<Item = f64>, margin: f64) -> (f64, f64) {
    let (low, high) = values
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if high < low {
        return (0.0, 1.0);
    }
    let room = if low == high { 0.5 } else { (high - low) * margin };
    (low - room, high + room)
}

fn dashed((from, to): (f64, f64), level: f64) -> Vec<[(f64, f64); 2]> {
    let step = (to - from) / 60.0;
    (0..30).map(|i| from + step * f64::from(2 * i)).map(|x| [(x, level), (x + step, level)]).collect()
}

impl BarChart {
    /// The chart as an SVG document.
    ///
    /// # Errors
    /// [`ReportError::Chart`] when the drawing library refuses.
    pub fn to_svg(&self) -> Result<String> {
        drawn(|area| self.draw(area))
    }

    fn draw(&self, area: &DrawingArea<SVGBackend<'_>, Shift>) -> DrawResult {
        let n = self.bars.len();
        let (_, top) = padded(self.bars.iter().map(|b| b.1).chain([0.0]), 0.12);
        let name = |x: &f64| {
            let nth = x.round();
            let near = (x - nth).abs() < 0.05 && 0.0 <= nth;
            if near {
                self.bars.get(nth as usize).map(|b| b.0.clone()).unwrap_or_default()
            } else {
                String::new()
            }
        };
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 20, &INK))
            .margin(14)
            .x_label_area_size(36)
            .y_label_area_size(58)
            .build_cartesian_2d(-0.5..(n.max(1) as f64 - 0.5), 0.0..top)
            .map_err(text)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .y_desc(&self.y_label)
            .y_label_formatter(&|v| plain(*v))
            .x_labels(2 * n + 1)
            .x_label_formatter(&name)
            .light_line_style(WHITE)
            .bold_line_style(GRID)
            .axis_style(INK)
            .label_style(("sans-serif", 13, &INK))
            .draw()
            .map_err(text)?;
        let bars = self.bars.iter().enumerate().map(|(i, (_, value))| {
            let x = i as f64;
            Rectangle::new([(x - 0.35, 0.0), (x + 0.35, *value)], colour(0).filled())
        });
        chart.draw_series(bars).map_err(text)?;
        let counts = self.bars.iter().enumerate().map(|(i, (_, value))| {
            let label = if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.3}") };
            Text::new(
                label,
                (i as f64 - 0.12, value + top * 0.05),
                ("sans-serif", 13).into_font().color(&INK),
            )
        });
        chart.draw_series(counts).map_err(text)?;
        Ok(())
    }
}

impl Scatter {
    /// The chart as an SVG document.
    ///
    /// # Errors
    /// [`ReportError::Chart`] when the drawing library refuses.
    pub fn to_svg(&self) -> Result<String> {
        drawn(|area| self.draw(area))
    }

    fn draw(&self, area: &DrawingArea<SVGBackend<'_>, Shift>) -> DrawResult {
        let all = || self.categories.iter().flat_map(|c| &c.1);
        let (x, y) = (padded(all().map(|p| p.0), 0.05), padded(all().map(|p| p.1), 0.05));
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 20, &INK))
            .margin(14)
            .build_cartesian_2d(x.0..x.1, y.0..y.1)
            .map_err(text)?;
        for (i, (name, points)) in self.categories.iter().enumerate() {
            let (ink, radius) = if i == 0 { (colour(7).mix(0.35), 2) } else { (colour(i - 1).mix(0.85), 4) };
            chart
                .draw_series(points.iter().map(|p| Circle::new(*p, radius, ink.filled())))
                .map_err(text)?
                .label(format!("{name} ({})", points.len()))
                .legend(move |(x, y)| Circle::new((x + 9, y), 4, ink.filled()));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.85))
            .border_style(GRID)
            .label_font(("sans-serif", 13, &INK))
            .draw()
            .map_err(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, Option<f64>)>) -> LineChart {
        LineChart {
            title: "F1".to_owned(),
            series: vec![Series { name: "val".to_owned(), points, ..Series::default() }],
            target: Some(("target".to_owned(), 0.9)),
            is_share: true,
            ..LineChart::default()
        }
    }

    #[test]
    fn no_point_one_point_and_gaps_are_drawn() {
        for points in [
            vec![],
            vec![(0.0, Some(0.5))],
            vec![(0.0, Some(0.5)), (1.0, None), (2.0, Some(f64::NAN)), (3.0, Some(0.7))],
        ] {
            let svg = chart(points).to_svg().unwrap();
            assert!(svg.starts_with("<svg") && svg.contains("F1") && svg.contains("target"));
            assert!(!svg.contains("NaN"), "{svg}");
        }
    }

    #[test]
    fn ticks_have_no_needless_zeros() {
        assert_eq!([0.0, -0.0, 3.0, 0.25, 100.0].map(plain), ["0", "0", "3", "0.25", "100"]);
    }

    #[test]
    fn iterations_have_whole_ticks() {
        let points = |step: f64| (0..4).map(|i| (f64::from(i) * step, Some(0.7))).collect();
        let (counted, shares) = (chart(points(1.0)), chart(points(0.5)));
        assert!(counted.is_counted() && !shares.is_counted());
        let tick = |svg: &str, text: &str| svg.lines().any(|line| line.trim() == text);
        let svg = counted.to_svg().unwrap();
        assert!(["0", "1", "2", "3"].iter().all(|t| tick(&svg, t)) && !tick(&svg, "1.5"), "{svg}");
    }

    #[test]
    fn a_gap_splits_the_line() {
        let c = chart(vec![(0.0, Some(0.1)), (1.0, None), (2.0, Some(0.2)), (3.0, Some(0.3))]);
        assert_eq!(c.series[0].runs(), [vec![(0.0, 0.1)], vec![(2.0, 0.2), (3.0, 0.3)]]);
    }

    #[test]
    fn bands_go_out_on_the_lower_and_back_on_the_upper_bound() {
        let s = Series {
            points: vec![(0.0, Some(1.0)), (1.0, Some(2.0))],
            band: vec![Some([0.5, 1.5]), Some([1.5, 2.5])],
            ..Series::default()
        };
        assert_eq!(s.bands(), [vec![(0.0, 0.5), (1.0, 1.5), (1.0, 2.5), (0.0, 1.5)]]);
    }

    #[test]
    fn bars_and_scatter_are_drawn_even_when_empty() {
        assert!(BarChart::default().to_svg().unwrap().starts_with("<svg"));
        let bars =
            BarChart { bars: vec![("car".to_owned(), 3.0), ("van".to_owned(), 0.0)], ..BarChart::default() };
        assert!(bars.to_svg().unwrap().contains("van"));
        assert!(Scatter::default().to_svg().unwrap().starts_with("<svg"));
        let scatter =
            Scatter { title: String::new(), categories: vec![("pool".to_owned(), vec![(0.0, 1.0)])] };
        assert!(scatter.to_svg().unwrap().contains("pool (1)"));
    }

    #[test]
    fn the_same_chart_gives_the_same_bytes() {
        let c = chart(vec![(0.0, Some(0.5)), (1.0, Some(0.6))]);
        assert_eq!(c.to_svg().unwrap(), c.to_svg().unwrap());
    }
}
