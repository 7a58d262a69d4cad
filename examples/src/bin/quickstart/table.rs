//! Requests go in, what both APIs answered comes out, side by side.

use reqwest::{Client, header};

use crate::Case;

/// What an API said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    status: u16,
    challenge: Option<String>,
}

/// One request and both answers.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) case: &'a Case,
    axum: Answer,
    actix: Answer,
}

impl Row<'_> {
    /// The status that was due, and the same answer from both.
    pub(crate) fn as_expected(&self) -> bool {
        self.axum.status == self.case.status && self.axum == self.actix
    }
}

/// Sends every request to both APIs, over real HTTP.
pub(crate) async fn send_all<'a>(cases: &'a [Case], axum: &str, actix: &str) -> reqwest::Result<Vec<Row<'a>>> {
    let client = Client::builder().no_proxy().build()?;
    let mut rows = Vec::new();
    for case in cases {
        let (axum, actix) = (send(&client, axum, case).await?, send(&client, actix, case).await?);
        rows.push(Row { case, axum, actix });
    }
    Ok(rows)
}

async fn send(client: &Client, api: &str, case: &Case) -> reqwest::Result<Answer> {
    let mut request = client.get(format!("{api}{}", case.path));
    if let Some(token) = &case.token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await?;
    let challenge = response.headers().get(header::WWW_AUTHENTICATE);
    let challenge = challenge.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Ok(Answer { status: response.status().as_u16(), challenge })
}

/// One line for each request; the challenge of actix-web only where it differs, and then the program fails.
pub(crate) fn print(rows: &[Row<'_>]) {
    println!("{:<22} {:<8} {:>4} {:>10}  challenge", "request", "path", "axum", "actix-web");
    for row in rows {
        let Row { case, axum, actix } = row;
        let challenge = axum.challenge.as_deref().unwrap_or("-");
        println!("{:<22} {:<8} {:>4} {:>10}  {challenge}", case.what, case.path, axum.status, actix.status);
        if actix.challenge != axum.challenge {
            println!("{:<47} {}", "actix-web differs:", actix.challenge.as_deref().unwrap_or("-"));
        }
    }
}
