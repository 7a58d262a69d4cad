//! What was tried and what came of it, as a table, as JSON and as JUnit's XML.

use std::fmt::{self, Write as _};

use bytes::Bytes;
use http::Response;
use serde_json::json;

use super::class::Class;
use super::list::Attack;

/// What an API did with one request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Refused, with this status: 4xx, or 3xx, which sends whoever asks elsewhere and gives them nothing.
    Refused(u16),
    /// Let in, with this status (2xx, or 101 for a WebSocket).
    LetIn(u16),
    /// Neither: a status that says that the API broke (5xx), or no answer.
    Broke(String),
}

/// One request and its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// What was tried.
    pub name: &'static str,
    /// The class of attack; [`Class::Good`] has to be let in, everything else to be refused.
    pub class: Class,
    /// The clause that says so.
    pub clause: &'static str,
    /// The advisory about a product that let it in; empty where none is known.
    pub advisory: &'static str,
    /// What happened.
    pub verdict: Verdict,
}

impl Row {
    /// Whether it ended as it has to.
    #[must_use]
    pub fn is_right(&self) -> bool {
        matches!((self.class, &self.verdict), (Class::Good, Verdict::LetIn(_)))
            || (self.class != Class::Good && matches!(self.verdict, Verdict::Refused(_)))
    }
}

/// Every request that was sent, in order.
#[derive(Clone, Debug, Default)]
#[must_use = "a report that nobody reads finds nothing: call `assert_all_refused`"]
pub struct Report(Vec<Row>);

impl Report {
    pub(crate) fn push(&mut self, attack: &Attack, answer: Result<Response<Bytes>, String>) {
        let verdict = match answer {
            Ok(response) => match response.status().as_u16() {
                // 101: the connection is a WebSocket now.
                status @ (101 | 200..=299) => Verdict::LetIn(status),
                // A page to sign in, or the same path in its usual spelling.
                status @ 300..=499 => Verdict::Refused(status),
                status => Verdict::Broke(format!("status {status}")),
            },
            // A server may hang up on a giant; on anything else it owes an answer.
            Err(_) if attack.giant => Verdict::Refused(431),
            Err(why) => Verdict::Broke(why),
        };
        self.0.push(Row {
            name: attack.name,
            class: attack.class,
            clause: attack.clause,
            advisory: attack.advisory,
            verdict,
        });
    }

    /// Every row.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.0
    }

    /// The rows that did not end as they have to: attacks that were let in, good requests that were refused, and whatever broke the API.
    #[must_use]
    pub fn findings(&self) -> Vec<&Row> {
        self.0.iter().filter(|row| !row.is_right()).collect()
    }

    /// Ends the test with a table of what went wrong, if something did.
    ///
    /// # Panics
    /// When an attack was let in, a good request refused, or the API broke.
    #[track_caller]
    pub fn assert_all_refused(&self) {
        let findings = self.findings();
        assert!(
            findings.is_empty(),
            "{} of {} requests did not end as they have to:\n{}",
            findings.len(),
            self.0.len(),
            table(findings)
        );
    }

    /// As JSON: an array of objects with `name`, `class`, `clause`, `advisory`, `verdict`, `status` and `right`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let rows = self.0.iter().map(|row| {
            let (verdict, status) = match &row.verdict {
                Verdict::Refused(status) => ("refused", json!(status)),
                Verdict::LetIn(status) => ("let_in", json!(status)),
                Verdict::Broke(why) => ("broke", json!(why)),
            };
            json!({
                "name": row.name, "class": row.class.name(), "clause": row.clause, "advisory": row.advisory,
                "verdict": verdict, "status": status, "right": row.is_right(),
            })
        });
        serde_json::to_string_pretty(&rows.collect::<Vec<_>>()).expect("texts and numbers")
    }

    /// As JUnit's XML: one test case a row, for whatever shows the tests of a build.
    #[must_use]
    pub fn to_junit(&self) -> String {
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"token attacks\" tests=\"{}\" failures=\"{}\">\n",
            self.0.len(),
            self.findings().len()
        );
        for row in &self.0 {
            let head = format!("  <testcase classname=\"{}\" name=\"{}\"", row.class.name(), escaped(row.name));
            let _ = if row.is_right() {
                writeln!(xml, "{head}/>")
            } else {
                let why = escaped(&format!("{} ({}{})", said(&row.verdict), row.clause, named(row.advisory)));
                writeln!(xml, "{head}><failure message=\"{why}\"/></testcase>")
            };
        }
        xml.push_str("</testsuite>\n");
        xml
    }
}

/// The whole table, what went wrong marked.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&table(self.0.iter().collect()))
    }
}

fn table(rows: Vec<&Row>) -> String {
    let mut text = String::new();
    for row in rows {
        let mark = if row.is_right() { "ok  " } else { "FAIL" };
        let _ = writeln!(
            text,
            "{mark}  {:<13} {:<58} {:<28} {}{}",
            row.class.name(),
            row.name,
            said(&row.verdict),
            row.clause,
            named(row.advisory)
        );
    }
    text
}

fn said(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Refused(status) => format!("refused with {status}"),
        Verdict::LetIn(status) => format!("let in with {status}"),
        Verdict::Broke(why) => format!("broke: {why}"),
    }
}

fn named(advisory: &str) -> String {
    if advisory.is_empty() { String::new() } else { format!("; {advisory}") }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let row = |name, class, verdict| Row { name, class, clause: "RFC 1", advisory: "", verdict };
        Report(vec![
            row("good", Class::Good, Verdict::LetIn(200)),
            row("<none>", Class::Algorithm, Verdict::Refused(401)),
            row("none \"again\"", Class::Algorithm, Verdict::LetIn(204)),
            row("a giant", Class::Encoding, Verdict::Broke("status 500".to_owned())),
            row("good again", Class::Good, Verdict::Refused(401)),
            row("elsewhere", Class::Good, Verdict::Refused(302)),
            row("to sign in", Class::Credentials, Verdict::Refused(302)),
        ])
    }

    #[test]
    fn what_was_let_in_what_broke_and_what_was_refused_wrongly_are_findings() {
        let names: Vec<_> = report().findings().iter().map(|row| row.name).collect();
        assert_eq!(names, ["none \"again\"", "a giant", "good again", "elsewhere"]);
        let panic = std::panic::catch_unwind(|| report().assert_all_refused()).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.contains("4 of 7") && text.contains("let in with 204") && !text.contains("<none>"), "{text}");
    }

    #[test]
    fn machines_read_it_too() {
        let json: serde_json::Value = serde_json::from_str(&report().to_json()).unwrap();
        assert_eq!((json[2]["verdict"].as_str(), json[2]["right"].as_bool()), (Some("let_in"), Some(false)));
        let xml = report().to_junit();
        assert!(xml.contains("tests=\"7\" failures=\"4\""), "{xml}");
        assert!(xml.contains("name=\"&lt;none&gt;\"/>") && xml.contains("none &quot;again&quot;"), "{xml}");
    }
}
