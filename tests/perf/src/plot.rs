//! A plot with two logarithmic axes, as SVG.

use std::fmt::Write;

const WIDTH: f64 = 780.0;
const HEIGHT: f64 = 460.0;
/// Left, top, right and bottom of the plane.
const PLANE: [f64; 4] = [84.0, 56.0, 560.0, 400.0];
/// Colours that people with any eyes can tell apart, dark enough on white.
const COLOURS: [&str; 4] = ["#0b6e99", "#b8450b", "#3f7d20", "#6b4fa0"];

/// A plot. Powers of ten have the same distance on both axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// Above it.
    pub title: String,
    /// Title of the x axis, with its unit.
    pub x: String,
    /// Title of the y axis, with its unit.
    pub y: String,
    /// At most four measured lines.
    pub series: Vec<Series>,
}

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Label at its right end.
    pub name: String,
    /// Its points by x, all above zero.
    pub points: Vec<(f64, f64)>,
    /// A line to compare with: dashed and grey.
    pub guide: bool,
}

/// A logarithmic axis on the screen.
struct Axis {
    first: i32,
    last: i32,
    from: f64,
    to: f64,
}

impl Axis {
    /// From the power of ten below all values to the one above.
    fn of(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (least, most) = values
            .filter(|value| *value > 0.0)
            .fold((f64::INFINITY, 0.0f64), |(least, most), value| (least.min(value), most.max(value)));
        let (first, end) = if most > 0.0 { (power_below(least), power_above(most)) } else { (0, 1) };
        Self { first, last: end.max(first + 1), from, to }
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value.log10() - f64::from(self.first)) / f64::from(self.last - self.first);
        self.from + share * (self.to - self.from)
    }

    fn powers(&self) -> impl Iterator<Item = f64> {
        (self.first..=self.last).map(|power| 10f64.powi(power))
    }
}

fn power_below(value: f64) -> i32 {
    (-12..12).rev().find(|power| 10f64.powi(*power) <= value * 1.000_001).unwrap_or(-12)
}

fn power_above(value: f64) -> i32 {
    (-12..12).find(|power| 10f64.powi(*power) * 1.000_001 >= value).unwrap_or(12)
}

impl Plot {
    /// The SVG.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let [left, top, right, bottom] = PLANE;
        let points = || self.series.iter().flat_map(|series| &series.points);
        let x = Axis::of(points().map(|point| point.0), left, right);
        let y = Axis::of(points().map(|point| point.1), bottom, top);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n"
        );
        text(&mut svg, (left, 30.0), "start", "font-size=\"16\" font-weight=\"bold\"", &self.title);
        grid(&mut svg, &x, &y);
        text(&mut svg, (f64::midpoint(left, right), bottom + 42.0), "middle", "", &self.x);
        let middle = f64::midpoint(top, bottom);
        text(&mut svg, (22.0, middle), "middle", &format!("transform=\"rotate(-90 22 {middle})\""), &self.y);
        let mut colours = COLOURS.iter().cycle();
        let mut names = Vec::new();
        for series in &self.series {
            let colour = if series.guide { "#777" } else { colours.next().copied().unwrap_or("#222") };
            names.extend(line(&mut svg, series, colour, &x, &y).map(|end| (end, colour, series.name.as_str())));
        }
        write_names(&mut svg, names);
        svg.push_str("</svg>\n");
        svg
    }
}

// Writing to a string cannot fail: what `write!` returns is dropped.

fn grid(svg: &mut String, x: &Axis, y: &Axis) {
    let [left, top, right, bottom] = PLANE;
    for value in x.powers() {
        let at = x.place(value);
        let _ = writeln!(svg, "<path d=\"M{at:.1} {top}V{bottom}\" stroke=\"#ddd\"/>");
        text(svg, (at, bottom + 20.0), "middle", "", &tick(value));
    }
    for value in y.powers() {
        let at = y.place(value);
        let _ = writeln!(svg, "<path d=\"M{left} {at:.1}H{right}\" stroke=\"#ddd\"/>");
        text(svg, (left - 8.0, at + 4.5), "end", "", &tick(value));
    }
}

fn tick(value: f64) -> String {
    if value < 1.0 { format!("{value}") } else { crate::table::number(value.round()) }
}

/// Draws a line and returns its end.
fn line(svg: &mut String, series: &Series, colour: &str, x: &Axis, y: &Axis) -> Option<(f64, f64)> {
    let placed: Vec<(f64, f64)> = series.points.iter().map(|point| (x.place(point.0), y.place(point.1))).collect();
    let end = placed.last().copied()?;
    let path: Vec<String> = placed.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
    let dashes = if series.guide { " stroke-dasharray=\"6 5\"" } else { "" };
    let width = if series.guide { 1.5 } else { 2.2 };
    let _ = writeln!(
        svg,
        "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"{dashes}/>",
        path.join("L")
    );
    if !series.guide {
        for (x, y) in &placed {
            let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.4\" fill=\"{colour}\"/>");
        }
    }
    Some(end)
}

/// Writes names right of the ends of their lines, one below the other where the ends are close.
fn write_names(svg: &mut String, mut names: Vec<((f64, f64), &str, &str)>) {
    names.sort_by(|(a, ..), (b, ..)| a.1.total_cmp(&b.1));
    let mut free_from = f64::NEG_INFINITY;
    for ((x, y), colour, name) in names {
        let at = y.max(free_from);
        text(svg, (x + 10.0, at + 4.5), "start", &format!("fill=\"{colour}\""), name);
        free_from = at + 17.0;
    }
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, more: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" {more}>{text}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_go_from_power_to_power() {
        let axis = Axis::of([20.0, 3_000.0].into_iter(), 0.0, 300.0);
        assert_eq!((axis.first, axis.last), (1, 4));
        assert!((axis.place(100.0) - 100.0).abs() < 1e-9);
        let exact = Axis::of([10.0, 10_000.0].into_iter(), 0.0, 1.0);
        assert_eq!((exact.first, exact.last), (1, 4));
    }

    #[test]
    fn nothing_measured_is_still_a_plot() {
        let plot = Plot { title: "a < b".into(), x: "n".into(), y: "s".into(), series: Vec::new() };
        assert!(plot.to_svg().contains("a &lt; b"));
    }
}
