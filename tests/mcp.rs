//! A guarded MCP server over real HTTP, behind axum and behind actix-web: one table of requests for both.

mod ends;
mod server;

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use token_core::adapter::{ClientCertificate, PeerAddress};
use token_test::TestIssuer;

use self::server::{Framework, INITIALIZE, Served};

/// A call of a tool.
fn call(tool: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool } }).to_string()
}

/// A request and what it is answered.
struct Row {
    what: &'static str,
    token: Option<String>,
    body: String,
    status: u16,
    /// What the challenge has to hold, and must not.
    challenge: &'static [&'static str],
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_is_answered_by_its_row_in_every_framework() {
    for framework in Framework::ALL {
        let issuer = TestIssuer::start().await;
        let served = Served::start(framework, &issuer).await;
        let token = |scope: &str| issuer.token().subject("ada").audience(&served.url).scope(scope);
        let good = |scope: &str| Some(token(scope).mint());
        let read = "notes:read";
        let both = "notes:read notes:write";
        let row =
            |what, token, body: &str, status, challenge| Row { what, token, body: body.to_owned(), status, challenge };
        let batch = |calls: &[&str]| format!("[{}]", calls.join(","));
        let rows = [
            row(
                "no token",
                None,
                INITIALIZE,
                401,
                &["resource_metadata=", "/.well-known/oauth-protected-resource/mcp\"", "scope=\"notes:read\""],
            ),
            row(
                "an expired token",
                Some(token(read).expired().mint()),
                INITIALIZE,
                401,
                &["error=\"invalid_token\"", "scope=\"notes:read\""],
            ),
            row("a forged token", Some(token(read).forged().mint()), INITIALIZE, 401, &["error=\"invalid_token\""]),
            row(
                "a token for another server of this process",
                Some(token(read).audience(&served.other).mint()),
                INITIALIZE,
                401,
                &["error=\"invalid_token\""],
            ),
            row(
                "an ID token",
                Some(issuer.id_token().audience(&served.url).claim("nonce", "n1").mint()),
                INITIALIZE,
                401,
                &["error=\"invalid_token\""],
            ),
            row(
                "a token without the scope of everything",
                good("other"),
                INITIALIZE,
                403,
                &["error=\"insufficient_scope\"", "scope=\"notes:read\""],
            ),
            row("a good token", good(read), INITIALIZE, 200, &[]),
            // Past the guard; rmcp wants a session for it.
            row("a tool that it suffices for", good(read), &call("whoami"), 400, &[]),
            row(
                "a tool that it does not suffice for",
                good(read),
                &call("clear"),
                403,
                &["scope=\"notes:read notes:write\"", "resource_metadata="],
            ),
            row(
                "a tool whose name differs by case",
                good(both),
                &call("Clear"),
                403,
                &["insufficient_scope", "!scope="],
            ),
            row("a tool that no rule names", good(both), &call("secret"), 403, &["insufficient_scope", "!scope="]),
            row(
                "a method with a rule of its own",
                good(read),
                r#"{"jsonrpc":"2.0","id":1,"method":"resources/list"}"#,
                403,
                &["scope=\"notes:read notes:list\""],
            ),
            row(
                "a batch of allowed and forbidden calls",
                good(read),
                &batch(&[&call("whoami"), &call("clear")]),
                403,
                &["scope=\"notes:read notes:write\""],
            ),
            row(
                "a batch that lacks two scopes",
                good(read),
                &batch(&[&call("clear"), r#"{"jsonrpc":"2.0","id":1,"method":"resources/list"}"#]),
                403,
                &["notes:write", "notes:list"],
            ),
            row("not JSON", good(read), "tools/call", 400, &[]),
            row(
                "a method twice",
                good(read),
                r#"{"method":"tools/list","method":"tools/call","params":{"name":"clear"}}"#,
                400,
                &[],
            ),
            row(
                "a name twice",
                good(read),
                r#"{"method":"tools/call","params":{"name":"whoami","name":"clear"}}"#,
                400,
                &[],
            ),
            row(
                "positional parameters",
                good(read),
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[null,"clear"]}"#,
                400,
                &[],
            ),
            row("an empty batch", good(both), "[]", 400, &[]),
            row(
                "a body past the bound",
                good(read),
                &format!("{{\"method\":\"ping\",\"x\":\"{}\"}}", "x".repeat(70_000)),
                413,
                &[],
            ),
            row("a body past the bound, without a token", None, &"x".repeat(70_000), 401, &[]),
        ];
        // Without a session nothing would reach a tool, whatever the guard did: each is sent inside of one, too.
        let inside = [("mcp-session-id".to_owned(), served.open(&token(both).mint()).await)];
        for row in rows {
            let again = served.post(row.token.as_deref(), &inside, &row.body).await;
            if row.status != 400 {
                assert_eq!(again.status(), row.status, "{framework:?}: {}, inside of a session", row.what);
            }
            drop(again);
            let answer = served.post(row.token.as_deref(), &[], &row.body).await;
            let challenge = answer.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(answer.status(), row.status, "{framework:?}: {}: {challenge:?}", row.what);
            for part in row.challenge {
                let challenge = challenge.as_deref().unwrap_or_default();
                match part.strip_prefix('!') {
                    Some(absent) => assert!(!challenge.contains(absent), "{framework:?}: {}: {challenge}", row.what),
                    None => assert!(challenge.contains(part), "{framework:?}: {}: {challenge}", row.what),
                }
            }
            if row.challenge.is_empty() && row.status != 401 {
                assert_eq!(challenge, None, "{framework:?}: {}", row.what);
            }
            if matches!(row.status, 400 | 413) {
                let text = answer.text().await.unwrap();
                if text != "Bad Request: Session ID is required" {
                    let body: Value = serde_json::from_str(&text).unwrap();
                    assert!(body["error"]["code"].is_i64() && body.get("id").is_none(), "{}: {body}", row.what);
                }
            }
        }
        assert_eq!(served.calls(), 0, "{framework:?}: nothing that was refused has reached a tool");
        let allowed = served.post(good(both).as_deref(), &inside, &call("clear")).await;
        assert_eq!(allowed.status(), 200, "{framework:?}");
        allowed.text().await.unwrap();
        assert_eq!(served.calls(), 1, "{framework:?}: and what is allowed does");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_belongs_to_who_opened_it() {
    for framework in Framework::ALL {
        let issuer = TestIssuer::start().await;
        let served = Served::start(framework, &issuer).await;
        let token = |subject: &str| issuer.token().subject(subject).audience(&served.url).scope("notes:read").mint();
        let (ada, bob) = (token("ada"), token("bob"));
        let session = served.open(&ada).await;
        let inside = |session: &str| [("mcp-session-id".to_owned(), session.to_owned())];
        let whoami = call("whoami");

        let answer = served.post(Some(&ada), &inside(&session), &whoami).await;
        assert_eq!(answer.status(), 200, "{framework:?}");
        let text = answer.text().await.unwrap();
        assert!(text.contains("ada") && text.contains("no token in sight"), "{framework:?}: {text}");
        // The same person with another token, after the first one was renewed say.
        assert_eq!(served.post(Some(&token("ada")), &inside(&session), &whoami).await.status(), 200, "{framework:?}");

        let other_client =
            issuer.token().subject("ada").client_id("another").audience(&served.url).scope("notes:read").mint();
        let bare = session.rsplit_once('.').unwrap().0;
        for (who, token, session) in [
            ("somebody else", &bob, session.as_str()),
            ("another client of the same person", &other_client, session.as_str()),
            ("the session's own identifier", &ada, bare),
            ("one that was made up", &ada, "00000000-0000-0000-0000-000000000000.AAAAAAAAAAAAAAAAAAAAAA"),
        ] {
            let (post, get, delete) = (
                served.post(Some(token), &inside(session), &whoami).await,
                served.send(http::Method::GET, Some(token), &inside(session), "").await,
                served.send(http::Method::DELETE, Some(token), &inside(session), "").await,
            );
            assert_eq!(
                [post.status(), get.status(), delete.status()].map(|status| status.as_u16()),
                [404; 3],
                "{framework:?}: {who}"
            );
        }
        let twice = [inside(&session), inside(&session)].concat();
        assert_eq!(served.post(Some(&ada), &twice, &whoami).await.status(), 400, "{framework:?}: two sessions at once");
        let resume = [("last-event-id".to_owned(), "0".to_owned())];
        let resumed = served.send(http::Method::GET, Some(&ada), &resume, "").await;
        assert_eq!(resumed.status(), 405, "{framework:?}: events of nobody knows whose");

        assert_eq!(
            served.post(Some(&ada), &inside(&session), &whoami).await.status(),
            200,
            "{framework:?}: nobody ended it"
        );
        assert_eq!(
            served.send(http::Method::DELETE, Some(&ada), &inside(&session), "").await.status(),
            202,
            "{framework:?}"
        );
        assert_eq!(
            served.post(Some(&ada), &inside(&session), &whoami).await.status(),
            404,
            "{framework:?}: it is over"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_a_hundred_megabytes_is_refused_before_it_is_sent() {
    for framework in Framework::ALL {
        let issuer = TestIssuer::start().await;
        let served = Served::start(framework, &issuer).await;
        let token = issuer.token().audience(&served.url).scope("notes:read").mint();
        let host = served.url.strip_prefix("http://").unwrap().strip_suffix("/mcp").unwrap().to_owned();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\n"
        );
        let chunk = "x".repeat(100_000);
        for (what, rest) in [
            ("a length", "content-length: 104857600\r\n\r\n{".to_owned()),
            (
                "chunks, of which one is too many",
                format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{chunk}\r\n", chunk.len()),
            ),
        ] {
            let (host, request) = (host.clone(), format!("{head}{rest}"));
            let answer = tokio::task::spawn_blocking(move || {
                let mut stream = TcpStream::connect(host).unwrap();
                // It may be refused, and the connection closed, before the last byte was written.
                let _ = stream.write_all(request.as_bytes());
                let mut answer = [0; 64];
                let read = stream.read(&mut answer).unwrap();
                String::from_utf8_lossy(&answer[..read]).into_owned()
            });
            let answer = answer.await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 413"), "{framework:?}: {what}: {answer}");
        }
    }
}

/// Says whose connection a request came by, as the gate is told.
async fn whose(
    request: http::Request<mcp_token::actix::Incoming>,
) -> Result<http::Response<String>, std::convert::Infallible> {
    let address = request.extensions().get::<PeerAddress>().map(|PeerAddress(address)| address.to_string());
    let certificate = request.extensions().get::<ClientCertificate>().map(|certificate| certificate.der().to_vec());
    Ok(http::Response::new(format!("{address:?} {certificate:?}")))
}

#[actix_web::test]
async fn behind_actix_web_the_gate_is_told_of_the_connections_other_end_and_of_its_certificate() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let factory = || actix_web::App::new().service(mcp_token::actix::resource("/mcp", tower::service_fn(whose)));
    let server = actix_web::HttpServer::new(factory).workers(1).disable_signals();
    let server = server.on_connect(|_, data| drop(data.insert(ClientCertificate::from_der(b"der"))));
    let server = server.listen(listener).unwrap().run();
    let handle = server.handle();
    let serving = actix_web::rt::spawn(server);
    let said = reqwest::get(&url).await.unwrap().text().await.unwrap();
    assert_eq!(said, format!("{:?} {:?}", Some("127.0.0.1"), Some(b"der".to_vec())));
    handle.stop(false).await;
    serving.await.unwrap().unwrap();
}
