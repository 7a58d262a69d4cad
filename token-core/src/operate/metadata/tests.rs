use serde_json::{Value, json};

use super::*;
use crate::base::time::hands::Hands;
use crate::jose::Algorithm;
use crate::jose::signing::SigningKey;
use crate::policy::{Metadata, Policy};
use crate::request::source::{CsrfRule, TokenLocation};
use crate::scopes;
use crate::trust::issuer::Issuer;
use crate::trust::resolver::{IssuerResolver, ResolverSettings, Unresolved};
use crate::trust::static_keys::StaticKeys;

const API: &str = "https://api.example.com/books";
const PLACE: &str = "/.well-known/oauth-protected-resource/books";

fn keys() -> StaticKeys {
    StaticKeys::secret(Algorithm::HS256, &[7; 32]).unwrap()
}

fn issuer(name: &str) -> Issuer {
    Issuer::with_keys(name, keys()).unwrap()
}

fn document(endpoint: &MetadataEndpoint, place: &str) -> Value {
    let answer = endpoint.answer("GET", place).unwrap();
    assert_eq!(answer.status, 200, "{place}");
    serde_json::from_slice(&answer.body).unwrap()
}

scopes!(Read = "books:read", Edit = all("books:read", any("books:write", "admin"), not("banned")));

#[test]
fn the_document_says_what_the_server_does() {
    let metadata = Metadata::default()
        .name("Books")
        .name_in("de", "Bücher")
        .documentation("https://example.com/docs")
        .policy_uri("https://example.com/policy")
        .tos_uri("https://example.com/tos")
        .jwks_uri("https://api.example.com/keys")
        .asks_for::<Read>()
        .asks_for::<Edit>();
    let template = Issuer::template("https://m.example/{tenantid}/v2.0", "https://m.example/keys").unwrap();
    let tenant = "72f988bf-86f1-41af-91ab-2d7cd011db47";
    let server = ResourceServer::resource(API)
        .metadata(metadata)
        .trust(issuer("https://z.example/"))
        .trust(issuer("https://a.example"))
        .trust(issuer("legacy"))
        .trust(Issuer::nameless("nobody", "api", keys()).unwrap())
        .trust(template.tenants([tenant]).unwrap())
        .token_locations([
            TokenLocation::authorization(),
            TokenLocation::cookie("session", CsrfRule::same_origin()),
            TokenLocation::dangerously_query("access_token"),
        ])
        .build()
        .unwrap();
    let endpoint = MetadataEndpoint::of([&server]).unwrap();
    let expected = json!({
        "resource": API,
        "authorization_servers": ["https://z.example/", "https://a.example", format!("https://m.example/{tenant}/v2.0")],
        "scopes_supported": ["books:read", "books:write", "admin"],
        "bearer_methods_supported": ["header", "query"],
        "jwks_uri": "https://api.example.com/keys",
        "resource_name": "Books",
        "resource_name#de": "Bücher",
        "resource_documentation": "https://example.com/docs",
        "resource_policy_uri": "https://example.com/policy",
        "resource_tos_uri": "https://example.com/tos",
    });
    assert_eq!(document(&endpoint, PLACE), expected);

    // Issuers come and go.
    server.trust(issuer("https://late.example")).unwrap();
    assert!(server.distrust("https://z.example/"));
    let names = &document(&endpoint, PLACE)["authorization_servers"];
    let expected = json!(["https://a.example", format!("https://m.example/{tenant}/v2.0"), "https://late.example"]);
    assert_eq!(*names, expected);
}

#[test]
fn audience_challenge_and_document_speak_of_one_resource() {
    let server = ResourceServer::resource(API).realm("books").trust(issuer("https://a.example")).build().unwrap();
    let signer = SigningKey::from_secret(Algorithm::HS256, None, &[7; 32]).unwrap();
    let judged = |audience: &str| {
        let claims = json!({"iss": "https://a.example", "aud": audience, "exp": 4_102_444_800_i64}).to_string();
        let token = signer.sign_jwt(r#"{"alg":"HS256"}"#, &claims).unwrap();
        server.authenticate(crate::Presented::token(&token)).now().unwrap()
    };
    assert!(judged(API).is_ok());
    let error = judged("https://api.example.com/other").expect_err("a token for somebody else");
    let challenge = error.challenge().unwrap();
    let pointed = format!(r#"resource_metadata="https://api.example.com{PLACE}""#);
    assert!(challenge.starts_with(&format!(r#"Bearer realm="books", {pointed}"#)), "{challenge}");
    assert_eq!(document(&MetadataEndpoint::of([&server]).unwrap(), PLACE)["resource"], API);
}

#[test]
fn requests_are_answered_by_method_and_exact_place() {
    let build = |uri: &str| ResourceServer::resource(uri).trust(issuer("https://a.example")).build().unwrap();
    let (root, books, query) = (build("https://x.example"), build(API), build("https://x.example/books?tenant=1"));
    let endpoint = MetadataEndpoint::of([&root, &books, &query]).unwrap();
    const ROOT: &str = "/.well-known/oauth-protected-resource";
    assert_eq!(endpoint.paths(), [ROOT.to_owned(), PLACE.to_owned(), format!("{PLACE}?tenant=1")]);
    for (place, resource) in [(ROOT, "https://x.example"), (PLACE, API)] {
        assert_eq!(document(&endpoint, place)["resource"], resource);
    }
    assert_eq!(document(&endpoint, &format!("{PLACE}?tenant=1"))["resource"], "https://x.example/books?tenant=1");

    for (method, place, expected) in [
        ("GET", "/", None),
        ("GET", "/books", None),
        ("GET", "/.well-known/oauth-authorization-server", None),
        ("GET", "/.well-known/oauth-protected-resource-x", None),
        ("GET", "/.well-known/OAUTH-protected-resource", None),
        ("HEAD", PLACE, Some(200)),
        ("OPTIONS", PLACE, Some(204)),
        ("POST", PLACE, Some(405)),
        ("DELETE", PLACE, Some(405)),
        ("get", PLACE, Some(405)),
        ("GET", "/.well-known/oauth-protected-resource/", Some(404)),
        ("GET", "/.well-known/oauth-protected-resource/books/", Some(404)),
        ("GET", "/.well-known/oauth-protected-resource/Books", Some(404)),
        ("GET", "/.well-known/oauth-protected-resource/%62ooks", Some(404)),
        ("GET", "/.well-known/oauth-protected-resource/books?", Some(404)),
        ("GET", "/.well-known/oauth-protected-resource/books?tenant=2", Some(404)),
        ("GET", "/.well-known/oauth-protected-resource/books/../books", Some(404)),
        ("OPTIONS", "/.well-known/oauth-protected-resource/none", Some(404)),
    ] {
        let answer = endpoint.answer(method, place);
        assert_eq!(answer.as_ref().map(|answer| answer.status), expected, "{method} {place}");
        if let Some(answer) = answer {
            assert!(answer.headers.contains(&("access-control-allow-origin", "*".to_owned())), "{method} {place}");
        }
    }
}

#[test]
fn answers_say_how_long_they_may_be_kept_and_how_long_they_are() {
    let build = |seconds| {
        let metadata = Metadata::default().cache_for(Duration::from_secs(seconds));
        let server =
            ResourceServer::resource(API).metadata(metadata).trust(issuer("https://a.example")).build().unwrap();
        MetadataEndpoint::of([&server]).unwrap()
    };
    let field = |answer: &MetadataAnswer, name: &str| {
        answer.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    };
    let (get, head) = (build(300).answer("GET", PLACE).unwrap(), build(300).answer("HEAD", PLACE).unwrap());
    assert_eq!(field(&get, "cache-control").as_deref(), Some("public, max-age=300"));
    assert_eq!(field(&get, "content-type").as_deref(), Some("application/json"));
    assert_eq!((field(&head, "content-length"), head.body.len()), (Some(get.body.len().to_string()), 0));
    assert_eq!(field(&build(0).answer("GET", PLACE).unwrap(), "cache-control").as_deref(), Some("no-store"));
}

#[test]
fn signed_metadata_says_the_same_and_is_signed_once_for_many_questions() {
    let clock = Hands::at(0);
    let key = SigningKey::from_secret(Algorithm::HS256, Some("1"), &[9; 32]).unwrap();
    let server = ResourceServer::resource(API)
        .sign_metadata(key)
        .trust(issuer("https://a.example"))
        .clock(clock.clone())
        .build()
        .unwrap();
    let endpoint = MetadataEndpoint::of([&server]).unwrap();
    let mut plain = document(&endpoint, PLACE);
    let signed = plain.as_object_mut().unwrap().remove("signed_metadata").unwrap();
    // It verifies as any JWT of that issuer does.
    let token = signed.as_str().unwrap();
    let parts: Vec<_> = token.split('.').collect();
    let read = |part: &str| serde_json::from_slice::<Value>(&crate::jose::base64url::decode(part.as_bytes()).unwrap());
    assert_eq!(read(parts[0]).unwrap(), json!({"alg": "HS256", "kid": "1"}));
    let mut claims = read(parts[1]).unwrap();
    let claims = claims.as_object_mut().unwrap();
    assert_eq!((claims.remove("iss"), claims.remove("iat")), (Some(json!(API)), Some(json!(0))));
    assert_eq!(claims.remove("exp"), Some(json!(3600 + 300)));
    assert_eq!(Value::from(claims.clone()), plain);
    let expected = SigningKey::from_secret(Algorithm::HS256, None, &[9; 32]).unwrap();
    let signature = expected.sign(format!("{}.{}", parts[0], parts[1]).as_bytes()).unwrap();
    assert_eq!(crate::jose::base64url::decode(parts[2].as_bytes()).unwrap(), signature);

    clock.set(1799);
    assert_eq!(document(&endpoint, PLACE)["signed_metadata"], signed);
    clock.set(1800);
    assert_ne!(document(&endpoint, PLACE)["signed_metadata"], signed);
}

#[derive(Debug)]
struct Anybody;

impl IssuerResolver for Anybody {
    fn resolve<'a>(&'a self, name: &'a str) -> crate::http::BoxFuture<'a, Result<Option<Issuer>, Unresolved>> {
        Box::pin(std::future::ready(Ok(Some(issuer(name)))))
    }
}

#[tokio::test]
async fn issuers_that_were_looked_up_and_those_the_operator_hides_are_not_told() {
    let server = ResourceServer::resource(API)
        .trust(issuer("https://a.example"))
        .resolver(Anybody, ResolverSettings::default())
        .build()
        .unwrap();
    let signer = SigningKey::from_secret(Algorithm::HS256, None, &[7; 32]).unwrap();
    let claims = json!({"iss": "https://customer.example", "aud": API, "exp": 4_102_444_800_i64}).to_string();
    let token = signer.sign_jwt(r#"{"alg":"HS256"}"#, &claims).unwrap();
    server.authenticate(crate::Presented::token(&token)).await.unwrap();
    let names = |server| document(&MetadataEndpoint::of([server]).unwrap(), PLACE)["authorization_servers"].clone();
    assert_eq!(names(&server), json!(["https://a.example"]));

    let front = Metadata::default().authorization_servers(["https://login.example"]);
    let hidden = ResourceServer::resource(API).metadata(front).trust(issuer("https://a.example")).build().unwrap();
    assert_eq!(names(&hidden), json!(["https://login.example"]));
}

#[test]
fn contradictions_are_errors_of_build_with_their_mending() {
    let trusted = || ResourceServer::resource(API).trust(issuer("https://a.example"));
    let plain = || ResourceServer::builder("api").trust(issuer("https://a.example"));
    let refused = |builder: crate::ResourceServerBuilder| builder.build().expect_err("a contradiction").to_string();
    assert!(refused(trusted().resource_metadata("https://b.example/meta")).contains("remove resource_metadata"));
    assert!(refused(plain().metadata(Metadata::default().name("x"))).contains("set resource"));
    assert!(refused(trusted().metadata(Metadata::default().documentation("x"))).contains("resource_documentation"));
    assert!(refused(ResourceServer::resource("books").trust(issuer("https://a.example"))).contains("https URL"));
    let error = MetadataEndpoint::of([&plain().build().unwrap()]).unwrap_err().to_string();
    assert!(error.contains("ResourceServer::resource(uri)"), "{error}");
    let twin = ResourceServer::resource("https://b.example/books").trust(issuer("https://a.example")).build().unwrap();
    let error = MetadataEndpoint::of([&trusted().build().unwrap(), &twin]).unwrap_err().to_string();
    assert!(error.contains("each host"), "{error}");
}

#[test]
fn a_policy_says_the_same_as_the_builder() {
    let json = format!(
        r#"{{"resource":"{API}","metadata":{{"resource_name":{{"de":"Bücher"}},"scopes_supported":["books:read"],"cache_for":"10m"}},
            "issuers":[{{"issuer":"https://a.example/"}}]}}"#
    );
    let policy = Policy::from_json(&json).unwrap();
    assert_eq!(policy.lint(), []);
    let server = policy.server().unwrap();
    let endpoint = MetadataEndpoint::of([&server]).unwrap();
    let expected = json!({
        "resource": API, "authorization_servers": ["https://a.example/"], "scopes_supported": ["books:read"],
        "bearer_methods_supported": ["header"], "resource_name#de": "Bücher",
    });
    assert_eq!(document(&endpoint, PLACE), expected);
    assert_eq!(server.policy().resource.as_deref(), Some(API));
    assert_eq!(Policy::from_json(&serde_json::to_string(&*server.policy()).unwrap()).unwrap(), *server.policy());
    assert!(server.policy().to_string().contains(&format!("for         {API}")), "{}", server.policy());

    for (members, rule) in [
        (r#""resource":"https://a.example","audience":"api","#, "contradiction"),
        (r#""resource":"https://a.example","dangerously_unchecked_audience":true,"#, "contradiction"),
        (r#""resource":"https://a.example","resource_metadata":"https://a.example/m","#, "contradiction"),
        (r#""audience":"api","metadata":{"resource_name":"x"},"#, "contradiction"),
        (r#""resource":"books","#, "resource"),
        (r#""resource":"https://a.example","metadata":{"jwks_uri":"x"},"#, "metadata"),
    ] {
        let policy =
            Policy::from_json(&format!(r#"{{{members}"issuers":[{{"issuer":"https://a.example/"}}]}}"#)).unwrap();
        let found = policy.lint();
        assert_eq!(found.iter().map(|finding| finding.rule).next(), Some(rule), "{members} {found:?}");
        assert!(policy.server().is_err(), "{members}");
    }
}

#[test]
fn nothing_of_a_document_is_kept_of_a_policy_that_was_replaced() {
    let build = |uri: &str| ResourceServer::resource(uri).trust(issuer("https://a.example")).build().unwrap();
    let server = ResourceServer::followed(build(API));
    let endpoint = MetadataEndpoint::of([&server]).unwrap();
    assert_eq!(document(&endpoint, PLACE)["resource"], API);
    server.succeed(build("https://api.example.com/shelves"));
    assert_eq!(endpoint.answer("GET", PLACE).unwrap().status, 404);
    let moved = "/.well-known/oauth-protected-resource/shelves";
    assert_eq!(document(&endpoint, moved)["resource"], "https://api.example.com/shelves");
}

#[test]
fn the_document_says_whether_tokens_are_bound_to_keys_and_which_details_are_known() {
    use crate::possession::{Dpop, DpopPolicy};
    scopes!(Pay = all("pay", details("payment"), not(details("refund"))));
    let flags = |policy| {
        let dpop = Dpop::at("https://api.example.com").unwrap().policy(policy);
        let server = ResourceServer::resource(API).metadata(Metadata::default().asks_for::<Pay>()).dpop(dpop);
        let server = server.trust(issuer("https://a.example")).build().unwrap();
        let document = document(&MetadataEndpoint::of([&server]).unwrap(), PLACE);
        assert_eq!(document["authorization_details_types_supported"], json!(["payment"]));
        let algorithms = document.get("dpop_signing_alg_values_supported").cloned();
        let has_es256 = algorithms.is_some_and(|list| list.as_array().unwrap().contains(&json!("ES256")));
        (has_es256, document.get("dpop_bound_access_tokens_required").cloned())
    };
    assert_eq!(flags(DpopPolicy::Bearer), (false, None));
    assert_eq!(flags(DpopPolicy::BearerOrDpop), (true, None));
    assert_eq!(flags(DpopPolicy::Required), (true, Some(json!(true))));

    let certificates = |builder: crate::ResourceServerBuilder| {
        let server = builder.trust(issuer("https://a.example")).build().unwrap();
        let document = document(&MetadataEndpoint::of([&server]).unwrap(), PLACE);
        document.get("tls_client_certificate_bound_access_tokens").cloned()
    };
    let server = || ResourceServer::resource(API);
    assert_eq!(certificates(server()), None);
    assert_eq!(certificates(server().dpop(Dpop::at_requested_host())), None);
    let from_connection = crate::possession::MutualTls::from_connection();
    assert_eq!(certificates(server().mutual_tls(from_connection)), Some(json!(true)));
}
