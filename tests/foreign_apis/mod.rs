//! The attack list of `token-test` against APIs whose guards nobody here wrote, over real HTTP: how many of each class they refuse.
//!
//! Each is wired as its documentation shows, in the version that `tests/servers` pins. What is not refused is counted by its class, and no more is said.

use std::time::Duration;

use token_test::TestIssuer;
use token_test::attacks::Class::{Binding, Claim, Credentials, Encoding, Good, Header, Kind, Scope};
use token_test::attacks::{Attacks, Class, Loopback, Report, Verdict, attacks};
use token_tests::evidence::note;

use crate::proxies::Proxy;
use crate::real_issuers::{Server, folder};

/// How much of a class is not refused; of good requests, how many are.
type Counts = [(Class, usize)];

#[tokio::test]
async fn express_with_the_middleware_of_auth0() {
    let issuer = TestIssuer::start().await;
    let server = Server::api("express.mjs", &[issuer.url(), issuer.audience()]);
    let seen: &Counts = &[(Kind, 9), (Claim, 3), (Encoding, 3), (Header, 2), (Credentials, 2), (Binding, 5)];
    judged("Express 5.3, express-oauth2-jwt-bearer 1.10", scoped(&issuer), &server.url, seen).await;
}

#[tokio::test]
async fn express_with_the_middleware_of_auth0_as_strict_as_it_can_be() {
    let issuer = TestIssuer::start().await;
    let server = Server::api("express.mjs", &[issuer.url(), issuer.audience(), "strict"]);
    let seen: &Counts = &[(Claim, 3), (Encoding, 3), (Header, 2), (Credentials, 2), (Binding, 5)];
    judged("Express 5.3, express-oauth2-jwt-bearer 1.10 (strict)", scoped(&issuer), &server.url, seen).await;
}

#[tokio::test]
async fn fastify_with_its_plugin() {
    let issuer = TestIssuer::start().await;
    let server = Server::api("fastify.mjs", &[issuer.url(), issuer.audience()]);
    let seen: &Counts = &[(Kind, 9), (Claim, 4), (Header, 2), (Credentials, 1), (Binding, 6)];
    judged("Fastify 5.12, @fastify/jwt 10.2", scoped(&issuer), &server.url, seen).await;
}

#[tokio::test]
async fn hono_with_its_middleware() {
    let issuer = TestIssuer::start().await;
    let server = Server::api("hono.mjs", &[issuer.url(), issuer.audience()]);
    let seen: &Counts = &[(Claim, 4), (Encoding, 1), (Header, 2), (Binding, 6)];
    judged("Hono 4.13", scoped(&issuer), &server.url, seen).await;
}

#[tokio::test]
async fn fastapi_with_authlib() {
    let issuer = TestIssuer::start().await;
    let server = Server::api("fastapi_authlib.py", &[issuer.url(), issuer.audience()]);
    let seen: &Counts =
        &[(Good, 1), (Claim, 2), (Encoding, 1), (Header, 1), (Credentials, 1), (Scope, 1), (Binding, 6)];
    judged("FastAPI 0.165, Authlib 1.9", scoped(&issuer), &server.url, seen).await;
}

#[tokio::test]
async fn fastapi_with_pyjwt() {
    let issuer = TestIssuer::start().await;
    let server = Server::api("fastapi_pyjwt.py", &[issuer.url(), issuer.audience()]);
    let seen: &Counts = &[(Kind, 9), (Claim, 4), (Encoding, 2), (Header, 2), (Credentials, 1), (Binding, 6)];
    judged("FastAPI 0.165, PyJWT 2.15", scoped(&issuer), &server.url, seen).await;
}

#[tokio::test]
async fn envoy_with_its_filter() {
    let issuer = TestIssuer::start().await;
    let text = std::fs::read_to_string(folder().join("apis/envoy.yaml")).unwrap();
    let text = text.replace("ISSUER", issuer.url()).replace("AUDIENCE", issuer.audience());
    let port = issuer.url().rsplit(':').next().unwrap().trim_end_matches('/');
    let text = text.replace("port_value: 9000", &format!("port_value: {port}"));
    let envoy = Proxy::envoy(|address| text.replace("port_value: 8080", &format!("port_value: {}", address.port())));
    // The filter knows no scopes, and fetches keys when they have grown old.
    let list = attacks(&issuer).route("GET /users").rotation_within(Duration::from_secs(30));
    let seen: &Counts = &[(Good, 1), (Kind, 9), (Encoding, 2), (Header, 5), (Credentials, 1), (Binding, 6)];
    judged("Envoy 1.40, jwt_authn", list, &format!("http://{}", envoy.address), seen).await;
}

fn scoped(issuer: &TestIssuer) -> Attacks<'_> {
    attacks(issuer).route("GET /users").granted("read:users")
}

/// Runs the list, and holds what came of it to what was seen with this version.
async fn judged(name: &str, list: Attacks<'_>, url: &str, seen: &Counts) {
    let report = list.run_against(Loopback::at(url).unwrap()).await;
    let every = || std::iter::once(&Good).chain(Class::ALL);
    let of = |class: Class| report.rows().iter().filter(move |row| row.class == class);
    let wrong = |class: Class| of(class).filter(|row| !row.is_right()).count();
    let found: Vec<_> = every().map(|class| (*class, wrong(*class))).filter(|(_, count)| *count > 0).collect();

    let (good, tried) = (of(Good).count(), report.rows().len() - of(Good).count());
    let refused = tried - found.iter().filter(|(class, _)| *class != Good).map(|(_, count)| count).sum::<usize>();
    let by_class = found.iter().filter(|(class, _)| *class != Good);
    let by_class = by_class.map(|(class, count)| format!("{} {count} of {}", class.name(), of(*class).count()));
    let by_class = by_class.collect::<Vec<_>>().join(", ");
    let good = format!("{} of {good}", good - wrong(Good));
    note("attacks-foreign", name, &[name, &good, &format!("{refused} of {tried}"), &by_class]);
    assert_eq!(found, seen, "{name}");
    agrees(name, url, &report).await;
}

/// Another client, which knows nothing of the list, gets the same answers.
async fn agrees(name: &str, url: &str, report: &Report) {
    let verdict = |name: &str| &report.rows().iter().find(|row| row.name == name).unwrap().verdict;
    let asked = reqwest::Client::new().get(format!("{url}/users"));
    let bare = asked.try_clone().unwrap().send().await.unwrap().status().as_u16();
    assert_eq!(*verdict("no credentials"), Verdict::Refused(bare), "{name}");
    let junk = asked.try_clone().unwrap().bearer_auth(".".repeat(1000)).send().await.unwrap().status().as_u16();
    assert_eq!(*verdict("a thousand dots"), Verdict::Refused(junk), "{name}");
    let basic = asked.basic_auth("admin", Some("admin")).send().await.unwrap().status().as_u16();
    assert_eq!(*verdict("Basic credentials"), Verdict::Refused(basic), "{name}");
}
