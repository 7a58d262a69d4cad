//! Small plots as SVG: bars for ratios, lines on a logarithmic scale for what grows.

use std::fmt::Write as _;

const INK: &str = "#24292f";
const GRID: &str = "#d0d7de";
const COLOURS: [&str; 4] = ["#0969da", "#bc4c00", "#1a7f37", "#8250df"];

fn open(width: f64, height: f64, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"{INK}\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n<text x=\"16\" y=\"22\" font-size=\"14\" font-weight=\"bold\">{}</text>\n",
        escape(title)
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// One bar a row, on a logarithmic scale from `from`; ours in another colour.
pub fn bars(title: &str, from: f64, rows: &[(String, f64)]) -> String {
    let (left, width, step) = (300.0, 760.0, 20.0);
    let height = 44.0 + step * rows.len() as f64 + 12.0;
    let most = rows.iter().map(|(_, value)| *value).fold(from * 2.0, f64::max);
    let room = width - left - 90.0;
    let mut svg = open(width, height, title);
    for (at, (name, value)) in rows.iter().enumerate() {
        let y = 40.0 + step * at as f64;
        let long = room * (value.max(from) / from).ln() / (most / from).ln();
        let colour = COLOURS[usize::from(!name.contains("ours"))];
        let _ =
            writeln!(svg, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>", left - 8.0, y + 12.0, escape(name));
        let _ = writeln!(
            svg,
            "<rect x=\"{left}\" y=\"{y}\" width=\"{:.1}\" height=\"14\" fill=\"{colour}\"/>",
            long.max(1.0)
        );
        let _ =
            writeln!(svg, "<text x=\"{:.1}\" y=\"{}\">{}</text>", left + long.max(1.0) + 6.0, y + 12.0, number(*value));
    }
    svg.push_str("</svg>\n");
    svg
}

/// Points joined by lines; both axes are logarithmic.
pub fn lines(title: &str, x_name: &str, y_name: &str, series: &[(&str, Vec<(f64, f64)>)]) -> String {
    let (width, height, left, top, bottom) = (560.0, 320.0, 70.0, 44.0, 260.0);
    let right = width - 150.0;
    let points = || series.iter().flat_map(|(_, points)| points);
    let range = |values: Vec<f64>| {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min).max(1e-3);
        let most = values.iter().copied().fold(least, f64::max);
        (10f64.powf(least.log10().floor()), 10f64.powf((most * 1.0001).log10().ceil()))
    };
    let (x0, x1) = range(points().map(|(x, _)| *x).collect());
    let (y0, y1) = range(points().map(|(_, y)| *y).collect());
    let place =
        |value: f64, from: f64, to: f64, a: f64, b: f64| a + (b - a) * (value.max(from) / from).ln() / (to / from).ln();
    let mut svg = open(width, height, title);
    let decades = |from: f64, to: f64| (0..=(to / from).log10().round() as i32).map(move |n| from * 10f64.powi(n));
    for tick in decades(y0, y1) {
        let y = place(tick, y0, y1, bottom, top);
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {y:.1}H{right}\" stroke=\"{GRID}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 6.0,
            y + 4.0,
            number(tick)
        );
    }
    for tick in decades(x0, x1) {
        let x = place(tick, x0, x1, left, right);
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {top}V{bottom}\" stroke=\"{GRID}\"/><text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            bottom + 16.0,
            number(tick)
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
        (left + right) / 2.0,
        bottom + 38.0,
        escape(x_name)
    );
    let _ = writeln!(svg, "<text x=\"16\" y=\"{}\" font-size=\"11\">{}</text>", top - 6.0, escape(y_name));
    for (at, (name, points)) in series.iter().enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        let spots: Vec<_> =
            points.iter().map(|(x, y)| (place(*x, x0, x1, left, right), place(*y, y0, y1, bottom, top))).collect();
        let path: Vec<String> = spots.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.join(" ")
        );
        for (x, y) in &spots {
            let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
        }
        if let Some((x, y)) = spots.last() {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{}</text>",
                x + 8.0,
                y + 4.0,
                escape(name)
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// A number with as many digits as it is worth.
pub fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 10_000.0 => {
            let digits = format!("{value:.0}");
            let mut text = String::new();
            for (at, digit) in digits.chars().enumerate() {
                if at > 0 && (digits.len() - at) % 3 == 0 {
                    text.push(',');
                }
                text.push(digit);
            }
            text
        }
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.1 => format!("{value:.2}"),
        v if v == 0.0 => "0".to_owned(),
        _ => format!("{value:.4}"),
    }
}
