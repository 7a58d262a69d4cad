//! The answers of a drill in, a picture of them over time out, as SVG: lanes of answers, and how long they took.

use std::fmt::Write as _;
use std::time::Duration;

use super::expect::{Answer, Probe, Spell};
use super::report::{Report, Sample, escaped};

const WIDTH: f64 = 960.0;
/// Where the time axis begins and ends.
const LEFT: f64 = 190.0;
const RIGHT: f64 = 936.0;
const LANE: f64 = 30.0;
const BAR: f64 = 14.0;
const LABEL: f64 = 18.0;
const TIMES: f64 = 170.0;
/// The ends of the axis of times, in milliseconds.
const SHORTEST: f64 = 0.1;
const LONGEST: f64 = 20_000.0;

/// The colours are told apart by people who do not see all of them, and by their place in the legend.
const STYLE: &str = "\
svg{font:13px system-ui,sans-serif}\
.paper{fill:#fff}.ink{fill:#1f2328}.faint{fill:#59636e}.rule{stroke:#d1d9e0}.axis{stroke:#59636e}\
text.label{paint-order:stroke;stroke:#fff;stroke-width:4px}.spell{fill:#8c959f;fill-opacity:.16}.edge{stroke:#8c959f;stroke-dasharray:3 3}\
.in{fill:#2da44e}.refused{fill:#3f6fc7}.unavailable{fill:#d4a017}.broke{fill:#8250df}\
.wrong{fill:#cf222e}.ring{fill:none;stroke:#cf222e;stroke-width:1.5}\
@media(prefers-color-scheme:dark){\
.paper{fill:#0d1117}.ink{fill:#e6edf3}.faint{fill:#9198a1}.rule{stroke:#3d444d}.axis{stroke:#9198a1}\
text.label{stroke:#0d1117}.spell{fill:#9198a1;fill-opacity:.2}.edge{stroke:#9198a1}\
.in{fill:#3fb950}.refused{fill:#79a7ff}.unavailable{fill:#e3b341}.broke{fill:#b392f0}\
.wrong{fill:#ff7b72}.ring{stroke:#ff7b72}}";

const fn class(answer: Answer) -> &'static str {
    match answer {
        Answer::LetIn => "in",
        Answer::Refused => "refused",
        Answer::Unavailable => "unavailable",
        Answer::Broke => "broke",
    }
}

impl Report {
    /// A plot of answers and times over the seconds of the drill, as SVG: for a review, in light and dark.
    #[must_use]
    pub fn to_svg(&self, title: &str) -> String {
        svg(self, title)
    }
}

fn svg(report: &Report, title: &str) -> String {
    let scale = Scale::of(report);
    let labels = labels(report.spells(), &scale);
    let rows = labels.iter().map(|(_, _, row)| row + 1).max().unwrap_or(0);
    let top = 56.0 + f64::from(rows) * LABEL;
    let probes: Vec<Probe> =
        Probe::ALL.iter().copied().filter(|probe| report.samples().iter().any(|one| one.probe == *probe)).collect();
    let lanes_end = top + LANE * f64::from(u32::try_from(probes.len()).unwrap_or(0));
    let times = lanes_end + 34.0;
    let bottom = times + TIMES;
    let height = bottom + 76.0;

    let findings = report.findings().len();
    let verdict = if findings == 0 { "every promise kept".to_owned() } else { format!("{findings} findings") };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}: {verdict}\">\n\
         <title>{title}: {verdict}</title>\n<style>{STYLE}</style>\n<rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
         <text class=\"ink\" x=\"16\" y=\"28\" font-size=\"16\" font-weight=\"600\">{title}</text>\n\
         <text class=\"{}\" x=\"{RIGHT}\" y=\"28\" text-anchor=\"end\" font-weight=\"600\">{verdict}</text>\n",
        if findings == 0 { "ink" } else { "wrong" },
        title = escaped(title),
    );
    spells(&mut svg, report.spells(), &scale, &labels, (top, bottom));
    for (row, probe) in (0_u32..).zip(&probes) {
        lane(&mut svg, report, *probe, &scale, top + LANE * f64::from(row));
    }
    time_axis(&mut svg, &scale, bottom);
    how_long(&mut svg, report, &scale, times);
    legend(&mut svg, height - 16.0);
    svg.push_str("</svg>\n");
    svg
}

/// Seconds of the drill to places on the picture.
struct Scale {
    /// From the first second to behind the last one.
    seconds: f64,
    /// How wide one round of requests is.
    round: f64,
}

impl Scale {
    fn of(report: &Report) -> Self {
        let rounds: Vec<_> = report.samples().iter().filter(|one| one.probe == Probe::Seen).map(|one| one.at).collect();
        let round =
            rounds.windows(2).map(|two| two[1].saturating_sub(two[0])).min().map_or(1.0, |round| round.as_secs_f64());
        #[allow(clippy::cast_precision_loss, reason = "seconds of a drill")]
        Self { seconds: report.end() as f64 + round, round }
    }

    fn x(&self, second: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * (second / self.seconds).clamp(0.0, 1.0)
    }

    fn at(&self, time: Duration) -> f64 {
        self.x(time.as_secs_f64())
    }

    #[allow(clippy::cast_precision_loss, reason = "seconds of a drill")]
    fn second(&self, second: u64) -> f64 {
        self.x(second as f64)
    }
}

/// What happened, where its words begin, and on which row, so that none lies upon another.
fn labels<'s>(spells: &'s [Spell], scale: &Scale) -> Vec<(&'s Spell, f64, u32)> {
    let mut spells: Vec<&Spell> = spells.iter().collect();
    spells.sort_by_key(|spell| spell.from);
    let mut ends: Vec<f64> = Vec::new();
    spells
        .into_iter()
        .map(|spell| {
            #[allow(clippy::cast_precision_loss, reason = "letters of a few words")]
            let width = spell.said().chars().count() as f64 * 6.6 + 16.0;
            let x = scale.second(spell.from).min(RIGHT - width).max(8.0);
            let row = ends.iter().position(|end| *end <= x).unwrap_or(ends.len());
            if row == ends.len() {
                ends.push(0.0);
            }
            ends[row] = x + width;
            (spell, x, u32::try_from(row).unwrap_or(u32::MAX))
        })
        .collect()
}

/// Bands over the seconds in which something went on, named above.
fn spells(svg: &mut String, spells: &[Spell], scale: &Scale, labels: &[(&Spell, f64, u32)], (top, bottom): (f64, f64)) {
    for spell in spells {
        let (from, to) = (scale.second(spell.from), scale.second(spell.to));
        if to > from {
            let _ = writeln!(
                svg,
                "<rect class=\"spell\" x=\"{from:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{}\"/>",
                to - from,
                bottom - top
            );
        }
    }
    for (spell, x, row) in labels {
        let (y, from) = (52.0 + LABEL * f64::from(*row), scale.second(spell.from));
        let _ = writeln!(
            svg,
            "<line class=\"edge\" x1=\"{from:.1}\" x2=\"{from:.1}\" y1=\"{}\" y2=\"{bottom}\"/>\n<text class=\"ink label\" x=\"{:.1}\" y=\"{y}\">{}</text>",
            y + 4.0,
            x + 3.0,
            escaped(&spell.said())
        );
    }
}

/// Answers of one kind: a bar for each run of the same ones, underlined where they are wrong.
fn lane(svg: &mut String, report: &Report, probe: Probe, scale: &Scale, top: f64) {
    let _ = writeln!(
        svg,
        "<text class=\"ink\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
        LEFT - 10.0,
        top + 16.0,
        probe.name()
    );
    let samples: Vec<&Sample> = report.samples().iter().filter(|one| one.probe == probe).collect();
    for run in runs(&samples, scale.round, |one| one.answer) {
        let (from, to) = (scale.at(run.from), scale.x(run.to.as_secs_f64() + scale.round));
        let _ = writeln!(
            svg,
            "<rect class=\"{}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{BAR}\"/>",
            class(run.what),
            top + 5.0,
            (to - from).max(1.0)
        );
    }
    for run in runs(&samples, scale.round, |one| one.right).into_iter().filter(|run| !run.what) {
        let (from, to) = (scale.at(run.from), scale.x(run.to.as_secs_f64() + scale.round));
        let _ = writeln!(
            svg,
            "<rect class=\"wrong\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"4\"/>",
            top + 6.0 + BAR,
            (to - from).max(2.0)
        );
    }
}

/// What is the same for a while.
struct Run<W> {
    what: W,
    from: Duration,
    /// When the last of it was sent.
    to: Duration,
}

/// Runs of the same; a gap of more than a round and a half ends one, too.
fn runs<W: PartialEq>(samples: &[&Sample], round: f64, of: impl Fn(&Sample) -> W) -> Vec<Run<W>> {
    let mut runs: Vec<Run<W>> = Vec::new();
    for sample in samples {
        let what = of(sample);
        match runs.last_mut() {
            Some(run) if run.what == what && (sample.at - run.to).as_secs_f64() < round * 1.5 => run.to = sample.at,
            _ => runs.push(Run { what, from: sample.at, to: sample.at }),
        }
    }
    runs
}

/// Ticks at round numbers of seconds, minutes or hours.
fn time_axis(svg: &mut String, scale: &Scale, y: f64) {
    const STEPS: &[u32] = &[1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 86_400];
    let step = STEPS.iter().copied().find(|step| scale.seconds / f64::from(*step) <= 11.0).unwrap_or(604_800);
    let (unit, name) = if step >= 3600 {
        (3600, "hours")
    } else if step >= 60 {
        (60, "minutes")
    } else {
        (1, "seconds")
    };
    let _ = writeln!(svg, "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y}\" y2=\"{y}\"/>");
    let mut second = 0;
    while f64::from(second) <= scale.seconds {
        let x = scale.x(f64::from(second));
        let _ = writeln!(
            svg,
            "<line class=\"axis\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{y}\" y2=\"{}\"/><text class=\"faint\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            y + 4.0,
            y + 18.0,
            second / unit
        );
        second += step;
    }
    let _ = writeln!(
        svg,
        "<text class=\"faint\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>",
        LEFT - 10.0,
        y + 18.0
    );
}

/// How long the answers took, each a dot; the axis is logarithmic.
fn how_long(svg: &mut String, report: &Report, scale: &Scale, top: f64) {
    let y = |millis: f64| {
        let share = (millis.clamp(SHORTEST, LONGEST) / SHORTEST).ln() / (LONGEST / SHORTEST).ln();
        top + TIMES * (1.0 - share)
    };
    for (millis, name) in [
        (0.1, "0.1 ms or less"),
        (1.0, "1 ms"),
        (10.0, "10 ms"),
        (100.0, "100 ms"),
        (1000.0, "1 s"),
        (10_000.0, "10 s"),
    ] {
        let y = y(millis);
        let _ = writeln!(
            svg,
            "<line class=\"rule\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text class=\"faint\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>",
            LEFT - 10.0,
            y + 4.0
        );
    }
    let _ = writeln!(svg, "<text class=\"ink\" x=\"16\" y=\"{:.1}\">time to the answer</text>", top - 8.0);
    // Dots upon dots are one: a flood would be most of the file.
    let mut drawn = std::collections::HashSet::new();
    for sample in report.samples() {
        let (x, y) = (scale.at(sample.at), y(sample.took.as_secs_f64() * 1000.0));
        let late = sample.took > sample.expected.within;
        let dot = format!("cx=\"{x:.1}\" cy=\"{y:.1}\"");
        if drawn.insert((dot.clone(), sample.answer, late)) {
            let _ = writeln!(svg, "<circle class=\"{}\" {dot} r=\"2.2\"/>", class(sample.answer));
            if late {
                let _ = writeln!(svg, "<circle class=\"ring\" {dot} r=\"4\"/>");
            }
        }
    }
}

fn legend(svg: &mut String, y: f64) {
    let entries = [
        ("in", BAR, "let in"),
        ("refused", BAR, "refused (4xx)"),
        ("unavailable", BAR, "unavailable (503)"),
        ("broke", BAR, "broke, or no answer"),
        ("wrong", 4.0, "not as promised"),
    ];
    let mut x = LEFT;
    for (class, height, name) in entries {
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{:.1}\" width=\"14\" height=\"{height}\"/><text class=\"ink\" x=\"{}\" y=\"{y}\">{name}</text>",
            y - height + 2.0,
            x + 20.0
        );
        x += 40.0 + f64::from(u32::try_from(name.len()).unwrap_or(0)) * 6.6;
    }
}
