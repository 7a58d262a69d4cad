//! One request by hand: what the server sees of token, proof and nonce, and what the program prints and ends with.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use support::Desk;
use token_core::jose::encryption::{DecryptionKey, EncryptedTokens, KeyManagement};
use token_core::{Issuer, Presented, ResourceServer};

/// A PKCS #8 key on P-256, made for this test.
const KEY: &str = include_str!("key.pem");

/// A server that gives these answers, one a connection, and tells the fields of each request in lower case.
fn serve(answers: &'static [&'static str]) -> (String, Receiver<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/orders?page=2", listener.local_addr().unwrap());
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(&stream).lines().map(Result::unwrap).take_while(|line| !line.is_empty());
            tell.send(lines.collect()).unwrap();
            let text = format!("HTTP/1.1 {answer}\r\nconnection: close\r\ncontent-length: 4\r\n\r\nbody");
            stream.write_all(text.as_bytes()).unwrap();
        }
    });
    (url, told)
}

fn field<'a>(request: &'a [String], name: &str) -> Option<&'a str> {
    request.iter().find_map(|line| line.split_once(": ").filter(|(known, _)| *known == name)).map(|(_, value)| value)
}

/// A part of a token, decoded: the header, or the claims.
fn part(token: &str, at: usize) -> serde_json::Value {
    let part = token.split('.').nth(at).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// The claims of a proof.
fn claims(proof: &str) -> serde_json::Value {
    part(proof, 1)
}

#[tokio::test]
async fn a_bound_token_goes_out_with_a_proof_and_once_more_with_the_nonce() {
    let desk = Desk::new("send").await;
    desk.write("key.pem", KEY);
    let (url, told) = serve(&["401 Unauthorized\r\ndpop-nonce: n1", "200 OK\r\nx-canary: \u{200b}"]);
    let seen = desk.run(
        &["send", &url, "--key", "key.pem", "-X", "DELETE", "-H", "x-trace: 7", "-H", "x-trace: 8"],
        b"DPoP at-1\n",
    );
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    assert!(seen.stdout.starts_with("200 OK\n") && seen.stdout.ends_with("\n\nbody"), "{}", seen.stdout);
    assert!(seen.stdout.contains("x-canary: ?"), "{}", seen.stdout);
    for nonce in [None, Some("n1")] {
        let request = told.recv().unwrap();
        assert!(request[0].starts_with("DELETE /orders?page=2 "), "{request:?}");
        assert_eq!((field(&request, "authorization"), field(&request, "x-trace")), (Some("DPoP at-1"), Some("7")));
        assert!(request.iter().any(|line| line == "x-trace: 8"), "a field may be there twice: {request:?}");
        let claims = claims(field(&request, "dpop").unwrap());
        assert_eq!((claims["nonce"].as_str(), claims["htm"].as_str()), (nonce, Some("DELETE")));
        assert_eq!(claims["htu"].as_str(), url.split('?').next());
    }
}

#[tokio::test]
async fn without_a_key_it_is_a_bearer_token_and_a_refusal_ends_with_one() {
    let desk = Desk::new("send-bearer").await;
    let (url, told) =
        serve(&["401 Unauthorized\r\nwww-authenticate: Bearer error=\"invalid_token\"\r\ndpop-nonce: n1"]);
    let seen = desk.run(&["send", &url], b"at-1");
    assert_eq!(seen.code, 1, "{}", seen.stderr);
    assert!(seen.stdout.contains("www-authenticate: Bearer error=\"invalid_token\""), "{}", seen.stdout);
    let request = told.recv().unwrap();
    assert_eq!((field(&request, "authorization"), field(&request, "dpop")), (Some("Bearer at-1"), None));
}

#[tokio::test]
async fn the_proof_alone_is_one_line_for_curl() {
    let desk = Desk::new("send-proof").await;
    desk.write("key.pem", KEY);
    let words = ["send", "https://api.example.com/orders", "--key", "key.pem", "--proof", "--nonce", "n7"];
    let seen = desk.run(&words, b"at-1");
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    let proof = seen.stdout.strip_prefix("DPoP: ").unwrap().trim_end();
    assert_eq!(claims(proof)["nonce"], "n7");
    assert!(!seen.stdout.contains("at-1"));
}

#[tokio::test]
async fn what_cannot_be_sent_is_bad_input_that_repeats_no_secret() {
    let desk = Desk::new("send-bad").await;
    desk.write("key.pem", KEY);
    desk.write("no-key.pem", "canary");
    let here = "https://127.0.0.1:1/";
    for (words, code, says) in [
        (&["send", "/orders"][..], 2, "not allowed"),
        (&["send", "http://api.example.com/"], 2, "not allowed"),
        (&["send", here, "-X", "G T"], 2, "not a method"),
        (&["send", here, "-H", "canary"], 2, "Name: value"),
        (&["send", here, "-H", "Authorization: Bearer canary"], 2, "standard input"),
        (&["send", here, "--key", "no-key.pem"], 2, "expected a private key"),
        (&["send", here, "--key", "missing.pem"], 2, "missing.pem"),
        (&["send", here, "--certificate", "no-key.pem"], 2, "client identity"),
        (&["send", "/orders", "--key", "key.pem", "--proof"], 2, "absolute URL"),
        (&["send", here], 3, "no connection"),
    ] {
        let seen = desk.run(words, b"canary-token");
        assert_eq!(seen.code, code, "{words:?} {}", seen.stderr);
        assert!(seen.stderr.contains(says), "{words:?} {}", seen.stderr);
        assert!(!seen.stderr.contains("canary") && seen.stdout.is_empty(), "{words:?} {}", seen.stderr);
    }
}

#[tokio::test]
async fn a_bound_token_is_minted_proved_and_checked_by_hand() {
    let desk = Desk::new("bound").await;
    desk.write("key.pem", KEY);
    let issuer = desk.start_issuer();
    let minted = desk.run(&["mint", "--issuer", &issuer.url, "--key", "key.pem"], b"");
    assert_eq!(minted.code, 0, "{}", minted.stderr);
    assert!(minted.stderr.contains("token send URL --key key.pem"), "{}", minted.stderr);
    let token = minted.stdout.trim();
    let proved = desk.run(&["send", "https://api.example.com/orders", "--key", "key.pem", "--proof"], token.as_bytes());
    let proof = proved.stdout.trim().strip_prefix("DPoP: ").unwrap();
    let name = claims(token)["iss"].as_str().unwrap().to_owned();
    // What instances share is nothing that one run needs.
    desk.write(
        "bound.toml",
        &format!(
            "audience = \"https://api.example.com\"\n[dpop]\nexternal_url = \"https://api.example.com\"\nreplay_memory = \"shared\"\n\
             [[issuers]]\nissuer = \"{name}\"\nallow_loopback_http = true\n"
        ),
    );
    let line = |method: &str, uri: &str, headers: serde_json::Value, expect: &str| {
        let line =
            serde_json::json!({"token": token, "method": method, "uri": uri, "headers": headers, "expect": expect});
        format!("{line}\n")
    };
    let shown = || serde_json::json!({"DPoP": proof});
    let lines = [
        line("GET", "https://api.example.com/orders?page=2", shown(), "accept"),
        line("GET", "/orders", shown(), "accept"),
        line("POST", "/orders", shown(), "invalid_dpop_proof"),
        line("GET", "/order", shown(), "invalid_dpop_proof"),
        line("GET", "/orders", serde_json::json!({"DPoP": [proof, proof]}), "invalid_dpop_proof"),
        line("GET", "/orders", serde_json::json!({}), "sender_constrained"),
    ];
    let seen = desk.run(&["check", "--policy", "bound.toml"], lines.concat().as_bytes());
    assert_eq!(seen.code, 0, "{}", seen.stderr);
}

#[tokio::test]
async fn a_key_is_made_with_the_token_and_a_proof_is_explained_part_by_part() {
    let desk = Desk::new("made").await;
    let issuer = desk.start_issuer();
    let mint = || desk.run(&["mint", "--issuer", &issuer.url, "--dpop", "made.pem", "--claim", "note=kept"], b"");
    let minted = mint();
    assert_eq!(minted.code, 0, "{}", minted.stderr);
    assert!(minted.stderr.contains("token send URL --key made.pem"), "{}", minted.stderr);
    let token = minted.stdout.trim();
    assert_eq!(claims(token)["note"], "kept", "a bound token has its other claims, too");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(desk.folder.join("made.pem")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let again = mint();
    assert_eq!(again.code, 2, "a key that is there is not written over");
    assert!(again.stderr.contains("is there already"), "{}", again.stderr);

    let here = "https://api.example.com";
    let proved = desk.run(&["send", &format!("{here}/orders"), "--key", "made.pem", "--proof"], token.as_bytes());
    let proof = proved.stdout.trim().strip_prefix("DPoP: ").unwrap();
    let name = claims(token)["iss"].as_str().unwrap().to_owned();
    let policy = format!(
        "audience = \"{here}\"\n[dpop]\nexternal_url = \"{here}\"\n[[issuers]]\nissuer = \"{name}\"\nallow_loopback_http = true\n"
    );
    desk.write("bound.toml", &policy);
    for (url, method, code, says) in [
        ("/orders?page=2", "GET", 0, "htm GET, htu https://api.example.com/orders"),
        ("/orders", "PUT", 1, "htm: expected the method of the request, PUT"),
        ("/order", "GET", 1, "the path differs, expected https://api.example.com/order"),
    ] {
        let url = format!("{here}{url}");
        let words = ["explain", "--policy", "bound.toml", "--proof", proof, "--url", &url, "-X", method];
        let seen = desk.run(&words, token.as_bytes());
        assert_eq!(seen.code, code, "{url}: {} {}", seen.stdout, seen.stderr);
        assert!(seen.stdout.contains(says), "{url}: {}", seen.stdout);
    }
}

#[tokio::test]
async fn a_token_is_encrypted_to_a_key_that_is_named_and_explained_by_the_policy_that_has_it() {
    let desk = Desk::new("sealed").await;
    let issuer = desk.start_issuer();
    let key = DecryptionKey::generate(KeyManagement::EcdhEs, Some("2026-11")).unwrap();
    let rsa = include_str!("../../token-core/src/jose/testdata/rsa2048.pub.pem");
    desk.write("rsa.pem", rsa);
    let (literal, secret) =
        (key.public_jwk().unwrap().to_string(), r#"{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAA","alg":"A128GCM"}"#);
    desk.write("public.json", &literal);
    desk.write("secret.json", secret);
    desk.write("nothing", "nothing");
    for (to, more, alg, enc) in [
        (&*literal, &[][..], "ECDH-ES", "A256GCM"),
        ("public.json", &["--enc", "A128CBC-HS256"], "ECDH-ES", "A128CBC-HS256"),
        ("rsa.pem", &["--enc", "A256CBC-HS512"], "RSA-OAEP-256", "A256CBC-HS512"),
        ("secret.json", &[], "dir", "A128GCM"),
    ] {
        let words = [&["mint", "--issuer", &issuer.url, "--subject", "ada", "--encrypt-to", to], more].concat();
        let seen = desk.run(&words, b"");
        assert_eq!(seen.code, 0, "{to}: {}", seen.stderr);
        let header = part(seen.stdout.trim(), 0);
        assert_eq!((&header["alg"], &header["enc"]), (&alg.into(), &enc.into()), "{to}");
        assert_eq!(header["cty"], "JWT");
        if alg == "ECDH-ES" {
            let trusted = Issuer::discover(&*issuer.url).unwrap().allow_loopback_http();
            let api = ResourceServer::builder("https://api.example.com").trust(trusted);
            let api = api.encrypted_tokens(EncryptedTokens::with([key.clone()])).build().unwrap();
            api.ready().await.unwrap();
            let verified = api.authenticate(Presented::token(seen.stdout.trim())).await.unwrap();
            assert_eq!(verified.subject(), Some("ada"));
        }
    }
    for (words, expected) in [
        (&["--encrypt-to", secret][..], "put it into a file"),
        (&["--encrypt-to", "{}"], "alg is missing"),
        (&["--encrypt-to", "nothing"], "expected a public JWK"),
        (&["--encrypt-to", "nowhere.pem"], "nowhere.pem"),
        (&["--encrypt-to", "secret.json", "--enc", "A256GCM"], "a secret is for one enc alone"),
        (&["--encrypt-to", "public.json", "--enc", "A192GCM"], "expected A128GCM"),
        (&["--enc", "A256GCM"], "--encrypt-to"),
    ] {
        let seen = desk.run(&[&["mint", "--issuer", &issuer.url], words].concat(), b"");
        assert!(seen.code == 2 && seen.stderr.contains(expected), "{words:?}: {} {}", seen.code, seen.stderr);
        assert!(!seen.stderr.contains("AAAAAAAA"), "{}", seen.stderr);
    }
}

#[tokio::test]
async fn an_encrypted_id_token_is_minted_and_explained_with_the_key_of_a_policy() {
    let desk = Desk::new("sealed-id").await;
    let issuer = desk.start_issuer();
    let private = include_str!("../../token-core/src/jose/testdata/p256.pem");
    let key = DecryptionKey::from_pem(KeyManagement::EcdhEs, Some("2026-11"), private.as_bytes()).unwrap();
    desk.write("private.pem", private);
    let policy = |required: bool| {
        format!(
            "audience = \"test-client\"\n[encrypted_tokens]\nrequired = {required}\n\
             [[encrypted_tokens.keys]]\nalgorithm = \"ECDH-ES\"\nkid = \"2026-11\"\nfile = \"private.pem\"\n\
             [[issuers]]\nissuer = \"{}\"\nallow_loopback_http = true\n",
            issuer.url
        )
    };
    desk.write("required.toml", &policy(true));
    desk.write("either.toml", &policy(false));
    desk.write(
        "off.toml",
        &policy(false).replace("[encrypted_tokens]\nrequired = false\n", "").replace(
            "[[encrypted_tokens.keys]]\nalgorithm = \"ECDH-ES\"\nkid = \"2026-11\"\nfile = \"private.pem\"\n",
            "",
        ),
    );
    let mint = |more: &[&str]| {
        let words = ["mint", "--issuer", &issuer.url, "--shape", "id-token", "--subject", "ada"];
        let seen = desk.run(&[&words[..], more].concat(), b"");
        assert_eq!(seen.code, 0, "{}", seen.stderr);
        seen.stdout.trim().to_owned()
    };
    let plain = mint(&[]);
    let sealed = mint(&["--encrypt-to", &key.public_jwk().unwrap().to_string()]);
    let others = DecryptionKey::generate(KeyManagement::EcdhEs, Some("2026-11")).unwrap();
    let others = mint(&["--encrypt-to", &others.public_jwk().unwrap().to_string()]);
    let (right, wrong) = ("n-0S6_WzA2Mj", "another");
    for (policy, token, nonce, code, says) in [
        ("required.toml", &sealed, right, 0, "accepted"),
        ("required.toml", &sealed, wrong, 1, "not of this login"),
        ("required.toml", &others, right, 1, "the key of that name is another one"),
        ("required.toml", &plain, right, 1, "the issuer does not encrypt yet"),
        ("either.toml", &plain, right, 0, "accepted"),
        ("either.toml", &sealed, right, 0, "accepted"),
        ("off.toml", &sealed, right, 1, "name the key it is encrypted to"),
    ] {
        let words = ["explain", "--policy", policy, "--id-token", "test-client", "--nonce", nonce];
        let seen = desk.run(&words, token.as_bytes());
        let text = seen.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(seen.code, code, "{policy}, {says}: {text} {}", seen.stderr);
        assert!(text.contains(says), "{policy}: {text}");
    }
    let shown = desk.run(&["policy", "show", "required.toml"], b"");
    assert!(shown.stdout.contains("only encrypted to a key of ours: ECDH-ES (2026-11)"), "{}", shown.stdout);
}
