//! A browser as small as a scripted login needs it: follows redirects with cookies until the client's own address is named.

use std::collections::BTreeMap;

use reqwest::Url;

use super::process::Server;

/// The redirect URI of every client that the servers know. Nobody listens there.
pub(crate) const CALLBACK: &str = "https://client.test/callback";

/// Opens `path` and returns the parameters with which the server sends the browser back to the client.
pub(crate) async fn authorize(server: &Server, path: &str) -> BTreeMap<String, String> {
    let mut cookies: BTreeMap<String, String> = BTreeMap::new();
    let mut at = Url::parse(&server.url).and_then(|url| url.join(path)).expect("an address");
    for _ in 0..20 {
        let jar: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let response = server.http().get(at.clone()).header("cookie", jar.join("; ")).send().await.expect("an answer");
        for cookie in response.headers().get_all("set-cookie") {
            let pair = cookie.to_str().expect("text").split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let status = response.status();
        let location = response.headers().get("location").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let Some(location) = location else { panic!("{at}: {status} {}", response.text().await.unwrap_or_default()) };
        at = at.join(&location).expect("an address");
        if at.as_str().starts_with(CALLBACK) {
            return at.query_pairs().into_owned().collect();
        }
    }
    panic!("redirected without end, last to {at}");
}
