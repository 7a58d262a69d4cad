//! The answers of a drill in; what did not keep the promises, a table, JSON, JUnit's XML and a plot out.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde_json::json;

use super::expect::{Answer, Expected, Probe, Spell};

/// One request of a drill and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sample {
    /// When it was sent, from the begin of the drill.
    pub at: Duration,
    /// What it stands for.
    pub probe: Probe,
    /// The answer.
    pub answer: Answer,
    /// Its status, or why there was none.
    pub detail: String,
    /// How long it took.
    pub took: Duration,
    /// Whether the promises were kept.
    pub right: bool,
    pub(super) expected: Expected,
}

/// Answers of one kind in a row that did not keep the promises, or something else that did not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The second of the first.
    pub from: u64,
    /// The second of the last.
    pub to: u64,
    /// What was seen, and what was expected.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to {
            to if to == self.from => write!(f, "second {}: {}", self.from, self.what),
            to => write!(f, "seconds {} to {to}: {}", self.from, self.what),
        }
    }
}

/// Every answer of a drill.
#[derive(Clone, Debug)]
#[must_use = "a report that nobody reads finds nothing: call `assert_kept`"]
pub struct Report {
    spells: Vec<Spell>,
    end: u64,
    samples: Vec<Sample>,
    others: Vec<Finding>,
}

impl Report {
    pub(super) fn new(spells: Vec<Spell>, end: u64) -> Self {
        Self { spells, end, samples: Vec::new(), others: Vec::new() }
    }

    pub(super) fn extend(&mut self, sample: Option<Sample>) {
        self.samples.extend(sample);
    }

    pub(super) fn finding(&mut self, from: u64, to: u64, what: String) {
        self.others.push(Finding { from, to, what });
    }

    pub(super) fn sorted(mut self) -> Self {
        self.samples.sort_by_key(|sample| (sample.at, sample.probe));
        self
    }

    pub(super) fn spells(&self) -> &[Spell] {
        &self.spells
    }

    /// The last second of the drill.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Every request, in the order they were sent.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// What did not keep the promises, in order of time. Answers alike in a row are one finding.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = self.others.clone();
        for probe in Probe::ALL {
            let mut run: Vec<&Sample> = Vec::new();
            for sample in self.samples.iter().filter(|sample| sample.probe == *probe) {
                if !run.is_empty() && (sample.right || !alike(run[0], sample)) {
                    findings.push(finding(&run));
                    run.clear();
                }
                if !sample.right {
                    run.push(sample);
                }
            }
            if !run.is_empty() {
                findings.push(finding(&run));
            }
        }
        findings.sort_by_key(|finding| finding.from);
        findings
    }

    /// Ends the test with what went wrong, if something did.
    ///
    /// # Panics
    /// When a promise was not kept.
    #[track_caller]
    pub fn assert_kept(&self) {
        let findings = self.findings();
        assert!(findings.is_empty(), "{} findings in a drill of {} s:\n{self}", findings.len(), self.end);
    }

    /// As JSON: an object with `seconds`, `events`, `findings` and `answers`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let events = self.spells.iter().map(|spell| json!({"from": spell.from, "to": spell.to, "what": spell.said()}));
        let findings = self.findings();
        let findings = findings.iter().map(|one| json!({"from": one.from, "to": one.to, "what": one.what}));
        let answers = self.samples.iter().map(|sample| {
            json!({
                "at": millis(sample.at), "probe": sample.probe.name(), "answer": sample.answer.name(), "detail": sample.detail,
                "took": millis(sample.took), "right": sample.right,
            })
        });
        let report = json!({
            "seconds": self.end,
            "events": events.collect::<Vec<_>>(),
            "findings": findings.collect::<Vec<_>>(),
            "answers": answers.collect::<Vec<_>>(),
        });
        serde_json::to_string_pretty(&report).expect("texts and numbers")
    }

    /// As JUnit's XML: one test case for each kind of request, and one for what else was promised.
    #[must_use]
    pub fn to_junit(&self) -> String {
        let escape = escaped;
        let mut cases = String::new();
        let mut failures = 0;
        let kinds = Probe::ALL.iter().map(|probe| (probe.name(), self.of(*probe)));
        for (name, findings) in kinds.chain([("everything else", self.others.clone())]) {
            let head = format!("  <testcase classname=\"drill\" name=\"{name}\"");
            if findings.is_empty() {
                let _ = writeln!(cases, "{head}/>");
                continue;
            }
            failures += 1;
            let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
            let _ = writeln!(cases, "{head}><failure message=\"{}\"/></testcase>", escape(&lines.join("; ")));
        }
        let tests = Probe::ALL.len() + 1;
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"token drill\" tests=\"{tests}\" failures=\"{failures}\">\n{cases}</testsuite>\n"
        )
    }

    fn of(&self, probe: Probe) -> Vec<Finding> {
        let only = Self {
            samples: self.samples.iter().filter(|one| one.probe == probe).cloned().collect(),
            ..Self::new(Vec::new(), 0)
        };
        only.findings()
    }
}

/// What happened, how many answers of each kind there were, and what went wrong.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for spell in &self.spells {
            let length =
                if spell.to > spell.from { format!(", for {} s", spell.to - spell.from) } else { String::new() };
            writeln!(f, "at {:>5}  {}{length}", spell.from, spell.said())?;
        }
        for probe in Probe::ALL {
            let of = |answer| self.samples.iter().filter(|one| one.probe == *probe && one.answer == answer).count();
            let slowest = self.samples.iter().filter(|one| one.probe == *probe).map(|one| one.took).max();
            let Some(slowest) = slowest else { continue };
            writeln!(
                f,
                "{:<22} {:>6} let in {:>6} refused {:>6} unavailable {:>6} broke   slowest {} ms",
                probe.name(),
                of(Answer::LetIn),
                of(Answer::Refused),
                of(Answer::Unavailable),
                of(Answer::Broke),
                millis(slowest)
            )?;
        }
        self.findings().iter().try_for_each(|finding| writeln!(f, "FAIL  {finding}"))
    }
}

fn alike(one: &Sample, other: &Sample) -> bool {
    (one.answer, &one.detail, &one.expected.why) == (other.answer, &other.detail, &other.expected.why)
}

fn finding(run: &[&Sample]) -> Finding {
    let (first, last) = (run[0], run[run.len() - 1]);
    let expected: Vec<_> = first.expected.answers.iter().map(|answer| answer.name()).collect();
    let slowest = run.iter().map(|sample| sample.took).max().unwrap_or_default();
    let late = if first.expected.answers.contains(&first.answer) {
        format!(" after {} ms", millis(slowest))
    } else {
        String::new()
    };
    let what = format!(
        "{}: {} ({}){late}; expected: {} within {} ms, because {}",
        first.probe.name(),
        first.answer.name(),
        first.detail,
        expected.join(" or "),
        millis(first.expected.within),
        first.expected.why
    );
    Finding { from: first.at.as_secs(), to: last.at.as_secs(), what }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A text as XML has it.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
