//! The `token` program as people and scripts run it: what goes in, what comes out, with which exit code.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use serde_json::{Value, json};
use support::{Desk, EXPLAIN, NOW, Terminal, run};
use token_test::{Endpoint, TestIssuer};

#[tokio::test]
async fn the_sessions_in_the_readme_are_what_the_program_prints() {
    let desk = Desk::new("sessions").await;
    let good = || desk.good();
    let sessions = [
        ("a slash too many", good().issuer("https://login.example.com").mint()),
        ("the audience nobody set", good().audience("account").mint()),
        ("a token that expired", good().expired_ago(std::time::Duration::from_secs(200)).mint()),
        ("an ID token", good().audience("web-app").claim("nonce", "n-0S6_WzA2Mj").header("typ", "JWT").mint()),
        ("another environment's key", good().kid("2025-07").mint()),
        ("a token that was edited", good().tampered().mint()),
    ];
    let command = ["explain", "--policy", "api.toml", "--keys", "keys.json", "--at", "2026-11-23T01:00:00Z"];
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let mut readme = std::fs::read_to_string(&path).unwrap();
    for (name, token) in sessions {
        let seen = desk.run(&command, token.as_bytes());
        assert_eq!(seen.code, 1, "{name}: {}", seen.stderr);
        let session = format!("```console\n$ token {} < token.txt\n{}```\n", command.join(" "), seen.stdout);
        let start = readme.find(&format!("<!-- session: {name} -->\n")).unwrap_or_else(|| panic!("no session {name}"));
        let start = start + readme[start..].find('\n').unwrap() + 1;
        let end = start + readme[start..].find("<!-- end -->").unwrap();
        if std::env::var_os("TOKEN_WRITE_README").is_some() {
            readme.replace_range(start..end, &session);
        } else {
            assert_eq!(&readme[start..end], session, "run this test with TOKEN_WRITE_README=1");
        }
    }
    if std::env::var_os("TOKEN_WRITE_README").is_some() {
        std::fs::write(path, readme).unwrap();
    }
}

#[tokio::test]
async fn the_policy_in_the_readme_is_one() {
    let desk = Desk::new("readme").await;
    let readme = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let parts: Vec<_> = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(parts.len(), 2);
    desk.write("readme.toml", &parts.join("\n"));
    let lint = desk.run(&["policy", "lint", "readme.toml"], b"");
    assert_eq!((lint.code, lint.stdout.as_str()), (0, "no findings\n"), "{}", lint.stderr);
    let show = desk.run(&["policy", "show", "readme.toml"], b"");
    assert!(show.stdout.contains("asked       https://login.example.com/introspect"), "{}", show.stdout);
}

#[tokio::test]
async fn the_policies_of_the_guides_pages_about_issuers_are_ones() {
    let desk = Desk::new("guide").await;
    let mut seen = 0;
    for page in ["two-addresses.md", "bent-rules.md", "kubernetes.md"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide/src").join(page);
        let text = std::fs::read_to_string(path).unwrap();
        for policy in text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            desk.write("guide.toml", policy);
            let lint = desk.run(&["policy", "lint", "guide.toml"], b"");
            assert_eq!(lint.code, 0, "{page}: {}{}{policy}", lint.stdout, lint.stderr);
            seen += 1;
        }
    }
    assert_eq!(seen, 4);
}

#[tokio::test]
async fn a_good_token_is_accepted_in_words_and_in_json() {
    let desk = Desk::new("good").await;
    let token = desk.good().mint();
    let text = desk.explain(&format!("Authorization: Bearer {token}\n"));
    assert_eq!((text.code, text.stdout.ends_with("accepted\n")), (0, true), "{}{}", text.stdout, text.stderr);
    let mut words = support::EXPLAIN.to_vec();
    words.extend(["--format", "json"]);
    let json: Value = serde_json::from_str(&desk.run(&words, token.as_bytes()).stdout).unwrap();
    assert_eq!((&json["accepted"], &json["status"], &json["kind"]), (&json!(true), &json!(200), &Value::Null));
    assert!(json["steps"].as_array().unwrap().iter().all(|step| step["state"] == "passed"));
}

#[tokio::test]
async fn a_token_pasted_into_a_terminal_is_read_whole_and_not_shown() {
    let desk = Desk::new("terminal").await;
    // Longer than the line that a terminal hands over by itself.
    let token = desk.good().claim("about", "x".repeat(6000)).mint();
    let command = format!("{} {}", env!("CARGO_BIN_EXE_token"), support::EXPLAIN.join(" "));
    let mut terminal = Terminal::open(&desk, &command);
    assert!(terminal.read_until("press Enter: ").contains("not shown"));
    terminal.until_nothing_is_shown();
    terminal.write(&format!("{token}\r"));
    let seen = terminal.read_until("accepted");
    assert!(seen.contains("ok    signature"), "{seen}");
    assert!(token.split('.').all(|part| !seen.contains(&part[..20])), "{seen}");
}

#[tokio::test]
async fn ten_thousand_mixed_tokens_are_as_expected() {
    let desk = Desk::new("many").await;
    let mut lines = String::new();
    for n in 0..10_000 {
        let token = desk.good().claim("jti", n.to_string());
        let (token, expect) = match n % 10 {
            0 => (token.expired().mint(), json!("expired")),
            1 => (token.audience("x").mint(), json!("wrong_audience")),
            2 => (token.forged().mint(), json!("bad_signature")),
            3 => (token.issuer("https://login.example.com").mint(), json!("unknown_issuer")),
            4 => (token.kid("gone").mint(), json!(401)),
            5 => (token.alg_none().mint(), json!("reject")),
            6 => ("not.a.jwt".to_owned(), json!("malformed")),
            7 => (token.claim("nonce", "n").mint(), json!("wrong_type")),
            _ => (token.mint(), json!("accept")),
        };
        lines += &format!("{}\n", json!({"id": n, "token": token, "expect": expect}));
    }
    let command = ["check", "--policy", "api.toml", "--keys", "keys.json", "--at", NOW];
    let seen = desk.run(&command, lines.as_bytes());
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    assert!(seen.stderr.contains("10000 lines, 10000 with expectations, 0 differ"), "{}", seen.stderr);
    let answers: Vec<Value> = seen.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 10_000);
    assert!(answers.iter().enumerate().all(|(at, answer)| answer["id"] == at && answer["ok"] == true));

    // Expectations that do not hold: each of the lines is listed, however many there are.
    let wrong = lines.replacen("\"expect\":\"accept\"", "\"expect\":\"expired\"", 50);
    let seen = desk.run(&command, wrong.as_bytes());
    assert_eq!(seen.code, 1);
    assert!(
        seen.stderr.starts_with("token: line 9: id 8: expected \"expired\", got accept (200)\n"),
        "{}",
        seen.stderr
    );
    assert_eq!(seen.stderr.matches("expected \"expired\", got accept (200)").count(), 50, "{}", seen.stderr);
    assert!(seen.stderr.ends_with("token: 10000 lines, 10000 with expectations, 50 differ\n"), "{}", seen.stderr);
    assert_eq!(seen.stdout.matches("\"ok\":false").count(), 50);
}

#[tokio::test]
async fn a_line_may_name_its_own_policy_keys_time_and_request() {
    let desk = Desk::new("lines").await;
    desk.write("other.toml", "audience = \"other\"\n[[issuers]]\nissuer = \"https://login.example.com/\"\n");
    let good = desk.good().mint();
    let lines = [
        json!({"token": good, "policy": "api.toml", "at": NOW, "expect": "accept"}),
        json!({"token": good, "policy": "api.toml", "at": "2026-11-23T03:00:00Z", "expect": "expired"}),
        json!({"token": good, "policy": "api.toml", "at": 1_795_395_600, "expect": 200}),
        json!({"token": good, "policy": "other.toml", "at": NOW, "expect": "wrong_audience"}),
        json!({"headers": {"Authorization": format!("Bearer {good}")}, "policy": "api.toml", "at": NOW, "expect": "accept"}),
        json!({"headers": {}, "method": "POST", "uri": "/x", "policy": "api.toml", "expect": "missing_token"}),
        json!({"headers": {"authorization": "Basic x"}, "token": good, "policy": "api.toml", "expect": 400}),
    ];
    let input: String = lines.iter().map(|line| format!("{line}\n\n")).collect();
    let seen = desk.run(&["check", "--keys", "keys.json"], input.as_bytes());
    assert_eq!(seen.code, 0, "{}{}", seen.stdout, seen.stderr);
    assert_eq!(seen.stdout.lines().count(), lines.len());
}

#[tokio::test]
async fn bad_input_is_reported_with_its_place_and_never_repeated() {
    let desk = Desk::new("bad").await;
    let huge = vec![b'a'; 100_000_000];
    let good = desk.good().mint();
    let line = |more: &str| format!("{{\"token\": \"{good}\"{more}}}\n");
    desk.write(
        "secret.toml",
        "audience = \"a\"\n[[issuers]]\nissuer = \"https://a.example\"\nsecret = \"canary-4711\"\n",
    );
    desk.write("broken.toml", "audience = \"a\"\n[[issuers]]\nissuer = \"https://a.example\"\nleway = 5\n");
    let explain = support::EXPLAIN.as_slice();
    let check: &[&str] = &["check", "--policy", "api.toml", "--keys", "keys.json", "--at", NOW];
    let rows: Vec<(&[&str], Vec<u8>, i32, &str)> = vec![
        (explain, vec![], 2, "empty"),
        (explain, b"\xff\xfe\x00".to_vec(), 2, "byte 1 is not text"),
        (explain, huge.clone(), 2, "longer than 1 MiB"),
        (explain, b"abc".to_vec(), 1, ""),
        (explain, b"a b c \x00 \x1b[31m".to_vec(), 1, ""),
        (explain, "ž.ž.ž".as_bytes().to_vec(), 1, ""),
        (&["explain"], good.clone().into_bytes(), 2, "--policy"),
        (&["explain", "--policy", "absent.toml"], vec![], 2, "absent.toml: cannot be read"),
        (&["explain", "--policy", "broken.toml"], vec![], 2, "broken.toml: line 4, column 1: unknown field `leway`"),
        (&["explain", "--policy", "api.toml", "--keys", "absent.json"], vec![], 2, "absent.json"),
        (&["explain", "--policy", "api.toml", "--at", "noon"], vec![], 2, "seconds since 1970"),
        (&["explain", "--issuer", "https://a.example"], vec![], 2, "--audience"),
        (&["policy", "show", "broken.toml"], vec![], 2, "line 4, column 1"),
        (&["policy", "show", "secret.toml"], vec![], 2, "secret.toml: line 4, column 1"),
        (&["policy", "show", "."], vec![], 2, "cannot be read"),
        (
            &["explain", "--policy", "api.toml", "--keys", "api.toml"],
            vec![],
            2,
            "JWK Set file api.toml: the document is not JSON",
        ),
        (&["keys", "keys.txt"], vec![], 2, "keys.txt"),
        (&["keys", "api.toml"], vec![], 2, "not JSON"),
        (&["discover", "nonsense"], vec![], 2, "not allowed"),
        (check, huge, 2, "line 1: longer than 1 MiB"),
        (check, b"{}\n".to_vec(), 2, "line 1: neither token nor headers"),
        (check, b"\x00\xff\n".to_vec(), 2, "line 1: column 1: not JSON"),
        (check, format!("{}{{\"tok", line("")).into_bytes(), 2, "line 2: column"),
        (check, line(", \"expect\": \"expird\"").into_bytes(), 2, "line 1: expect is neither"),
        (check, line(", \"policy\": \"absent.toml\"").into_bytes(), 2, "line 1: absent.toml: cannot be read"),
        (&["check"], line("").into_bytes(), 2, "no policy"),
    ];
    for (words, input, code, why) in rows {
        let seen = desk.run(words, &input);
        let name = format!("{words:?} {:?}", String::from_utf8_lossy(&input[..input.len().min(40)]));
        assert_eq!(seen.code, code, "{name}: {}", seen.stderr);
        assert!(seen.stderr.contains(why), "{name}: {}", seen.stderr);
        assert!(!seen.stderr.contains("panicked") && !seen.stderr.contains("canary"), "{name}: {}", seen.stderr);
        assert!(!seen.stderr.contains(&good) && !seen.stdout.contains(&good), "{name}");
        assert!(seen.stdout.lines().all(|line| words[0] != "check" || serde_json::from_str::<Value>(line).is_ok()));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_never_ends_is_not_read_to_its_end() {
    let desk = Desk::new("endless").await;
    for words in [
        ["policy", "show", "/dev/zero"].as_slice(),
        &["explain", "--policy", "api.toml", "--keys", "/dev/zero"],
        &["keys", "/dev/zero"],
    ] {
        let seen = desk.run(words, b"");
        assert!(seen.code == 2 && seen.stderr.contains("/dev/zero: larger than"), "{words:?}: {}", seen.stderr);
    }
}

#[tokio::test]
async fn policies_are_shown_linted_and_compared() {
    let desk = Desk::new("policies").await;
    let show = desk.run(&["policy", "show", "api.toml"], b"");
    assert!(show.code == 0 && show.stdout.starts_with("accepts:\n  access tokens of https://login.example.com/\n"));
    assert_eq!(desk.run(&["policy", "lint", "api.toml"], b"").stdout, "no findings\n");
    let bad = "audience = \"account\"\n[[issuers]]\nissuer = \"https://a.example\"\nalgorithms = [\"HS256\"]\n";
    desk.write("bad.toml", bad);
    let lint = desk.run(&["policy", "lint", "bad.toml"], b"");
    assert_eq!(lint.code, 1);
    assert!(lint.stdout.contains("[hmac-fetched]") && lint.stdout.contains("[account-audience]"), "{}", lint.stdout);
    let same = desk.run(&["policy", "diff", "api.toml", "api.toml"], b"");
    assert_eq!((same.code, same.stdout.as_str()), (0, ""));
    let diff = desk.run(&["policy", "diff", "api.toml", "bad.toml"], b"");
    assert_eq!(diff.code, 1);
    assert!(diff.stdout.contains("~ audience: \"https://api.example.com\" -> \"account\""), "{}", diff.stdout);
    let schema: Value = serde_json::from_str(&desk.run(&["policy", "schema"], b"").stdout).unwrap();
    assert_eq!(schema["title"], "Policy");
}

#[tokio::test]
async fn nothing_in_a_policy_can_play_tricks_with_a_terminal() {
    let desk = Desk::new("tricks").await;
    desk.write(
        "odd.toml",
        "audience = \"a\\u001b[31m\"\n[[issuers]]\nissuer = \"https://a.example/\\u001b[2J\\u202e\\nrefuses: nothing\"\nleeway = 120\n",
    );
    for words in [&["show", "odd.toml"][..], &["lint", "odd.toml"], &["diff", "api.toml", "odd.toml"]] {
        let seen = desk.run(&[&["policy"], words].concat(), b"");
        assert!(seen.stdout.contains("a.example"), "{words:?}: {}", seen.stderr);
        let tricks = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!seen.stdout.contains(tricks) && !seen.stdout.contains("\nrefuses: nothing"), "{:?}", seen.stdout);
    }
}

#[tokio::test]
async fn an_id_token_has_a_door_and_an_explanation_of_its_own() {
    let desk = Desk::new("id-token").await;
    let id = || desk.good().audience("web-app").header("typ", "JWT").claim("nonce", "n-0S6_WzA2Mj");
    let words = |more: &[&'static str]| [&EXPLAIN[..], &["--id-token", "web-app"], more].concat();
    for (what, token, more, code, says) in [
        ("a good one", id().mint(), &["--nonce", "n-0S6_WzA2Mj"][..], 0, "accepted"),
        ("no nonce given", id().mint(), &[], 0, "accepted"),
        ("another login", id().mint(), &["--nonce", "other"], 1, "not of this login"),
        ("another client", id().audience("app").mint(), &[], 1, "issued to another client"),
        ("an access token", desk.good().mint(), &[], 1, "the value of id_token"),
        ("another issuer", id().issuer("https://login.example.com").mint(), &[], 1, "differs only by a trailing slash"),
    ] {
        let seen = desk.run(&words(more), token.as_bytes());
        assert_eq!(seen.code, code, "{what}: {}{}", seen.stdout, seen.stderr);
        assert!(seen.stdout.contains(says), "{what}: {}", seen.stdout);
        assert_eq!(
            seen.stderr.contains("nonce and hashes were not compared"),
            what == "no nonce given",
            "{}",
            seen.stderr
        );
    }
    // Without the door it is refused as what it is.
    assert!(desk.run(&EXPLAIN, id().mint().as_bytes()).stdout.contains("this is an ID token"));
    assert_eq!(desk.run(&[&EXPLAIN[..], &["--nonce", "n"]].concat(), b"").code, 2, "a nonce is for ID tokens");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_secret_is_not_decoded_is_told_which_form_the_endpoint_takes() {
    let desk = Desk::new("form").await;
    let (server, kept) = (support::introspection(b"api:s!cret").await, "s!cret");
    let policy = |authentication: &str| {
        format!(
            "audience = \"api\"\n[[issuers]]\nissuer = \"{server}\"\nwithout_keys = true\nallow_loopback_http = true\n\
             [issuers.introspection]\nendpoint = \"{server}/introspect\"\nclient_id = \"api\"\n{authentication}\n\
             [issuers.introspection.client_secret]\nvalue = \"{kept}\"\n"
        )
    };
    desk.write("encoded.toml", &policy(""));
    let refused = desk.run(&["explain", "--policy", "encoded.toml"], b"an-opaque-token");
    assert_eq!(refused.code, 3, "{}", refused.stdout);
    assert!(
        refused.stderr.contains("status 401: the endpoint does not accept this client; id or secret hold"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("set authentication = \"client_secret_basic_unencoded\""), "{}", refused.stderr);
    assert!(!format!("{}{}", refused.stdout, refused.stderr).contains(kept));
    desk.write("plain.toml", &policy("authentication = \"client_secret_basic_unencoded\""));
    let taken = desk.run(&["explain", "--policy", "plain.toml"], b"an-opaque-token");
    assert_eq!(taken.code, 0, "{}{}", taken.stdout, taken.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_with_tls_on_this_machine_is_reached_with_its_own_root() {
    let desk = Desk::new("tls").await;
    let (issuer, ca) = support::tls_issuer().await;
    desk.write("ca.pem", &ca);
    for words in [vec!["discover", issuer.as_str()], vec!["keys", &format!("{issuer}/keys")]] {
        let stranger = desk.run(&words, b"");
        assert!(stranger.code == 3 && stranger.stderr.contains("certificate"), "{words:?}: {}", stranger.stderr);
        let known = desk.run(&[&words[..], &["--ca", "ca.pem"]].concat(), b"");
        assert_eq!(known.code, if words[0] == "keys" { 1 } else { 0 }, "{words:?}: {}{}", known.stdout, known.stderr);
    }
    let junk = desk.run(&["discover", &issuer, "--ca", "api.toml"], b"");
    assert!(junk.code == 2 && junk.stderr.contains("no certificate"), "{}", junk.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_address_says_how_it_is_allowed_and_the_flag_does_it() {
    let desk = Desk::new("private").await;
    let token = desk.good().issuer("https://10.255.255.1/").mint();
    let trust = ["explain", "--issuer", "https://10.255.255.1/", "--audience", "https://api.example.com", "--at", NOW];
    let refused = desk.run(&trust, token.as_bytes());
    assert!(refused.code == 3 && refused.stderr.contains("--allow-private"), "{}", refused.stderr);
    // A proxy is spoken to in place of the address, which nobody here could reach.
    let proxy = support::proxy().await;
    let words = [&trust[..], &["--allow-private", "--proxy", &proxy.url]].concat();
    let seen = desk.run(&words, token.as_bytes());
    assert!(seen.code == 3 && !seen.stderr.contains("--allow-private"), "{}", seen.stderr);
    assert!(proxy.asked().iter().any(|line| line.starts_with("CONNECT 10.255.255.1:443 ")), "{:?}", proxy.asked());
    let metadata = desk.run(&["discover", "https://169.254.169.254/", "--allow-private"], b"");
    assert!(metadata.stderr.contains("never talked to"), "{}", metadata.stderr);
    let document = desk.run(&["discover", "https://a.example/.well-known/openid-configuration"], b"");
    assert!(
        document.code == 2 && document.stderr.contains("write the issuer, https://a.example,"),
        "{}",
        document.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_with_two_addresses_is_asked_at_the_one_that_is_given() {
    let name = "https://login.example.com/realms/shop";
    let issuer = TestIssuer::builder().known_as(name).start().await;
    let desk = Desk::new("two").await;
    let elsewhere = ["--reached-at", issuer.address()];
    let discover = desk.run(&[&["discover", name], &elsewhere[..]].concat(), b"");
    assert!(discover.code == 0 && discover.stdout.contains(name), "{}{}", discover.stdout, discover.stderr);
    let trust = ["explain", "--issuer", name, "--audience", issuer.audience()];
    let token = issuer.token().mint();
    let seen = desk.run(&[&trust[..], &elsewhere[..]].concat(), token.as_bytes());
    assert_eq!(seen.code, 0, "{}{}", seen.stdout, seen.stderr);

    let inner = format!("{}/realms/shop", issuer.address());
    let told = desk.run(&["discover", &inner], b"");
    assert!(
        told.code == 1 && told.stdout.contains("--reached-at on the command line"),
        "{}{}",
        told.stdout,
        told.stderr
    );
    let told = desk.run(&["discover", name, "--reached-at", "http://keycloak.internal:8080"], b"");
    assert!(told.code == 3 && told.stderr.contains("--dangerously-allow-plain-http"), "{}", told.stderr);
    let public = ["--reached-at", "http://93.184.216.34", "--dangerously-allow-plain-http"];
    let told = desk.run(&[&["discover", name], &public[..]].concat(), b"");
    assert!(told.code == 3 && told.stderr.contains("is a public address"), "{}", told.stderr);
    let told = desk.run(&["keys", "http://93.184.216.34/keys"], b"");
    assert!(told.code != 0 && told.stderr.contains("--dangerously-allow-plain-http"), "{}", told.stderr);
    let told = desk.run(&["keys", "http://93.184.216.34/keys", "--dangerously-allow-plain-http"], b"");
    assert!(told.code == 3 && told.stderr.contains("is a public address"), "{}", told.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_over_the_network_is_looked_at_and_believed() {
    let issuer = TestIssuer::start().await;
    issuer.publish_jwk(json!({"kty": "oct", "k": "c2VjcmV0", "kid": "a-secret"}));
    let desk = Desk::new("network").await;
    let keys = desk.run(&["keys", &issuer.jwks_uri()], b"");
    assert_eq!(keys.code, 0, "{}", keys.stderr);
    assert!(keys.stdout.contains("RS256") && keys.stdout.contains("skipped  a-secret"), "{}", keys.stdout);
    let discover = desk.run(&["discover", issuer.url()], b"");
    assert!(discover.code == 0 && discover.stdout.contains(&issuer.jwks_uri()), "{}", discover.stderr);
    let slash = desk.run(&["discover", &format!("{}/", issuer.url())], b"");
    assert!(slash.code == 1 && slash.stdout.contains("byte by byte"), "{}{}", slash.stdout, slash.stderr);

    let trust = ["explain", "--issuer", issuer.url(), "--audience", issuer.audience()];
    assert_eq!(desk.run(&trust, issuer.token().mint().as_bytes()).code, 0);
    issuer.faults().at(Endpoint::Jwks).status(503);
    let down = desk.run(&trust, issuer.token().mint().as_bytes());
    assert_eq!(down.code, 3, "{}", down.stdout);
    assert!(
        down.stdout.contains("nothing is wrong with the token so far") && down.stderr.contains("503"),
        "{}",
        down.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_development_issuer_mints_tokens_of_every_shape_that_are_right_or_wrong() {
    let desk = Desk::new("issuer").await;
    let running = desk.start_issuer();
    let url = running.url.as_str();
    let trust = ["explain", "--issuer", url, "--audience", "https://api.example.com"];
    for (words, code, check) in [
        (vec![], 0, ""),
        (vec!["--subject", "ada", "--scope", "read:users"], 0, ""),
        (vec!["--shape", "auth0"], 0, ""),
        (vec!["--shape", "okta"], 0, ""),
        (vec!["--shape", "cognito"], 1, "FAIL  audience"),
        (vec!["--shape", "spiffe"], 1, "FAIL  issuer"),
        (vec!["--shape", "auth0-delegation"], 1, "FAIL  algorithm"),
        (vec!["--shape", "aws-alb"], 1, "AWS load balancers"),
        (vec!["--shape", "id-token"], 1, "FAIL  type"),
        (vec!["--wrong", "expired"], 1, "FAIL  expiry"),
        (vec!["--wrong", "issuer-slash"], 1, "FAIL  issuer"),
        (vec!["--wrong", "forged"], 1, "FAIL  signature"),
        (vec!["--wrong", "unsigned"], 1, "FAIL  algorithm"),
        (vec!["--wrong", "bound"], 1, "FAIL  binding"),
        (
            vec!["--lifetime", "3h", "--claim", "email=ada@example.com", "--claim", "groups=[\"staff\"]"],
            0,
            "exp in 2 h",
        ),
    ] {
        let mut command = vec!["mint", "--issuer", url];
        command.extend(&words);
        let minted = desk.run(&command, b"");
        assert_eq!(minted.code, 0, "{words:?}: {}", minted.stderr);
        let seen = desk.run(&trust, minted.stdout.as_bytes());
        assert_eq!(seen.code, code, "{words:?}: {}", seen.stdout);
        assert!(seen.stdout.contains(check), "{words:?}: {}", seen.stdout);
    }
    drop(running);
    let gone = desk.run(&["mint", "--issuer", "http://127.0.0.1:9"], b"");
    assert_eq!(gone.code, 3);
}

#[tokio::test]
async fn an_api_key_is_printed_once_and_opens_the_policy_that_keeps_its_digest() {
    let desk = Desk::new("api-key").await;
    let words = ["api-key", "--prefix", "acme_", "--id", "ci", "--scope", "books:read books:write"];
    let made = desk.run(&words, b"");
    let key = made.stdout.trim_end();
    assert!(made.code == 0 && key.starts_with("acme_ci_") && key.lines().count() == 1, "{}", made.stdout);
    assert!(!made.stderr.contains(key), "{}", made.stderr);
    let entry = made.stderr.split_once("[[issuers").unwrap().1;
    desk.write(
        "keys.toml",
        &format!(
            "audience = \"https://api.example.com\"\n[[issuers]]\nissuer = \"https://api.example.com/keys\"\n\
             [issuers.api_keys]\nprefix = \"acme_\"\n[[issuers{entry}"
        ),
    );
    let said = desk.run(&["explain", "--policy", "keys.toml"], key.as_bytes());
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    let other = desk.run(&words, b"");
    assert_ne!(other.stdout, made.stdout);
    assert_eq!(desk.run(&["explain", "--policy", "keys.toml"], other.stdout.as_bytes()).code, 1);

    let json = desk.run(&[&words[..], &["--subject", "ci \"bot\"", "--format", "json"]].concat(), b"");
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (&json["policy"]["subject"], &json["policy"]["scopes"][1]),
        (&"ci \"bot\"".into(), &"books:write".into())
    );
    for (prefix, id) in [("", "ci"), ("acme_", "c_i"), ("a b", "ci")] {
        assert_eq!(desk.run(&["api-key", "--prefix", prefix, "--id", id], b"").code, 2, "{prefix} {id}");
    }
}

/// Every command with a page of its own.
const COMMANDS: [&str; 19] = [
    "",
    "explain",
    "check",
    "policy",
    "policy show",
    "policy lint",
    "policy diff",
    "policy schema",
    "keys",
    "discover",
    "mint",
    "api-key",
    "issuer",
    "attack",
    "drill",
    "gate",
    "send",
    "completions",
    "man",
];

#[test]
fn every_command_explains_itself_with_examples_and_exit_codes() {
    let here = std::env::temp_dir();
    let mut lacking = Vec::new();
    for command in COMMANDS {
        let mut words: Vec<_> = command.split_whitespace().collect();
        let page = run(&here, &[&["man"], words.as_slice()].concat(), b"");
        let name = [&["token"], words.as_slice()].concat().join("-");
        assert!(page.code == 0 && page.stdout.contains(&format!(".TH {name} 1")), "{command}: {}", page.stdout);
        words.push("--help");
        let help = run(&here, &words, b"");
        assert!(help.code == 0 && help.stderr.is_empty(), "{command}");
        for text in [&help.stdout, &page.stdout] {
            if !text.contains("Examples:\n") || !text.contains("Exit codes:\n") {
                lacking.push(command);
            }
        }
    }
    assert!(lacking.is_empty(), "without examples or exit codes: {lacking:?}");
    assert_eq!(run(&here, &["--version"], b"").code, 0);
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(run(&here, &["completions", shell], b"").stdout.contains("explain"), "{shell}");
    }
    let nonsense = run(&here, &["man", "nonsense"], b"");
    assert!(nonsense.code == 2 && nonsense.stderr.contains("no command \"nonsense\""), "{}", nonsense.stderr);
}

#[tokio::test]
async fn every_page_of_the_manual_can_be_written_into_a_folder() {
    let desk = Desk::new("man").await;
    // The folder is made where it is not there.
    assert_eq!(desk.run(&["man", "--dir", "man1"], b"").code, 0);
    let mut pages: Vec<_> =
        std::fs::read_dir(desk.folder.join("man1")).unwrap().map(|page| page.unwrap().file_name()).collect();
    pages.sort();
    let mut expected = COMMANDS.map(|command| format!("{}.1", format!("token {command}").trim().replace(' ', "-")));
    expected.sort();
    assert_eq!(pages, expected.map(Into::<std::ffi::OsString>::into));
    assert_eq!(desk.run(&["man", "--dir", "api.toml/man1"], b"").code, 2);
}

#[tokio::test]
async fn a_token_among_the_arguments_is_refused_and_not_repeated() {
    let desk = Desk::new("argument").await;
    let token = desk.good().mint();
    for words in
        [vec!["explain", &token], vec![&token], vec!["explain", "--token", &token], vec!["check", "--tokn", &token]]
    {
        let seen = desk.run(&words, b"");
        assert_eq!(seen.code, 2);
        assert!(seen.stderr.contains("a token is no argument"), "{}", seen.stderr);
        assert!(!seen.stderr.contains("eyJ") && seen.stdout.is_empty(), "{}", seen.stderr);
    }
}
