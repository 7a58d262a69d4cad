//! Encrypted tokens of others: a certified provider's through real HTTP, and what `jose` and `jwcrypto` encrypt and read, by every `alg` and `enc`.

use std::io::Write;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use token_core::jose::encryption::{ContentEncryption, DecryptionKey, EncryptedTokens, KeyManagement};
use token_core::{Issuer, Presented, ResourceServer, ResourceServerBuilder};
use token_test::TestIssuer;
use token_tests::evidence::note;

use super::oidc_provider::{AUDIENCE, mint, shown, trusted};
use super::process::{Server, folder, python};
use super::served::{Api, Framework};

pub(super) const RSA: &str = include_str!("../../token-core/src/jose/testdata/rsa2048.pem");
pub(super) const P256: &str = include_str!("../../token-core/src/jose/testdata/p256.pem");
pub(super) const X25519: &str = include_str!("../../token-core/src/jose/testdata/x25519.pem");

/// A key, and how others are told of it.
struct Known {
    name: &'static str,
    key: DecryptionKey,
    /// The public half, or the secret.
    jwk: Value,
    pem: Option<&'static str>,
    encs: Vec<ContentEncryption>,
}

/// Every `alg`, with each `enc` that goes with it.
fn known() -> Vec<Known> {
    use ContentEncryption::{A128CbcHs256, A128Gcm, A256CbcHs512, A256Gcm};
    let all = [A128Gcm, A256Gcm, A128CbcHs256, A256CbcHs512];
    let mut known: Vec<_> = [
        ("RSA-OAEP-256", KeyManagement::RsaOaep256, RSA),
        ("RSA-OAEP", KeyManagement::RsaOaep, RSA),
        ("ECDH-ES P-256", KeyManagement::EcdhEs, P256),
        ("ECDH-ES X25519", KeyManagement::EcdhEs, X25519),
    ]
    .map(|(name, alg, pem)| {
        let key = DecryptionKey::from_pem(alg, Some("ours"), pem.as_bytes()).unwrap();
        Known { name, jwk: key.public_jwk().unwrap(), key, pem: Some(pem), encs: all.to_vec() }
    })
    .into();
    known.extend(all.map(|enc| {
        let key = DecryptionKey::direct(enc, Some("ours"), &vec![7; enc.key_len()]).unwrap();
        let k = URL_SAFE_NO_PAD.encode(vec![7; enc.key_len()]);
        Known { name: "dir", key, jwk: json!({"kty": "oct", "k": k, "kid": "ours"}), pem: None, encs: vec![enc] }
    }));
    known
}

fn opening(server: ResourceServerBuilder, known: &Known) -> ResourceServer {
    server.encrypted_tokens(EncryptedTokens::with([known.key.clone()])).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opens_what_a_certified_provider_encrypts_by_every_alg_and_enc() {
    let server = Server::oidc_provider();
    let mut pairs = 0;
    for framework in Framework::ALL {
        let plain = ResourceServer::builder(AUDIENCE).trust(trusted(&server)).build().unwrap();
        let shut = Api::serve(framework, plain).await;
        for known in known() {
            let api =
                Api::serve(framework, opening(ResourceServer::builder(AUDIENCE).trust(trusted(&server)), &known)).await;
            let jwk = known.jwk.to_string();
            let path = reqwest::Url::parse_with_params("http://loopback/test/encrypt-to", [("jwk", jwk)]).unwrap();
            server.get(&format!("/test/encrypt-to?{}", path.query().unwrap())).await;
            for enc in &known.encs {
                let (alg, enc) = (known.key.algorithm(), enc.name());
                let token = mint(&server, &format!("ES256/{alg}/{enc}")).await;
                assert_eq!(token.split('.').count(), 5, "{} {enc}", known.name);
                let me = api.get("/me", &token).await;
                assert_eq!((me.status, &*me.body), (200, "app-RS256"), "{} {enc} {framework:?}", known.name);
                assert_eq!(shut.get("/me", &token).await.status, 401, "{} {enc} {framework:?}", known.name);
                let (rest, tag) = token.rsplit_once('.').unwrap();
                let first = if tag.starts_with('A') { "B" } else { "A" };
                let forged = api.get("/me", &format!("{rest}.{first}{}", &tag[1..])).await;
                assert_eq!(forged.status, 401, "{} {enc} {framework:?}", known.name);
                assert!(forged.challenge.contains("invalid_token"), "{forged:?}");
                pairs += 1;
            }
        }
        shown(framework, "encrypted access tokens (dir, RSA-OAEP, RSA-OAEP-256, ECDH-ES with each enc)");
    }
    assert_eq!(pairs, 2 * 20);
}

/// What a program of another library answers to each of these.
fn ask(mut program: Command, asked: &[Value]) -> Vec<String> {
    let mut child =
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("`cargo xtask test` installs it");
    let mut stdin = child.stdin.take().unwrap();
    let lines: String = asked.iter().map(|asked| format!("{asked}\n")).collect();
    // Beside the reading: neither pipe holds it all.
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let said: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(said.len(), asked.len(), "{said:?}");
    said.iter()
        .zip(asked)
        .map(|(said, asked)| said["text"].as_str().unwrap_or_else(|| panic!("{said} to {}", asked["alg"])).to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_libraries_and_we_read_what_the_other_has_encrypted() {
    let issuer = TestIssuer::start().await;
    let token = issuer.token().subject("ada").mint();
    let (known, mut asked, mut pairs) = (known(), Vec::new(), Vec::new());
    for one in &known {
        let (alg, to) = (one.key.algorithm().name(), one.key.encryption_key().unwrap());
        for enc in &one.encs {
            let sealed = to.encrypt_jwt(*enc, &token).unwrap();
            asked.push(json!({
                "do": "seal", "jwk": one.jwk, "alg": alg, "enc": enc.name(), "content": token, "cty": "JWT",
            }));
            asked.push(json!({"do": "open", "jwk": one.jwk, "pem": one.pem, "alg": alg, "token": sealed}));
            pairs.push((one, enc));
        }
    }
    let program = |runner: &str| {
        let mut command = if runner == "jose" { Command::new("node") } else { Command::new(python()) };
        command.arg(folder().join(if runner == "jose" { "sealed.mjs" } else { "sealed.py" }));
        command
    };
    for library in ["jose", "jwcrypto"] {
        let (lines, program) = (asked.clone(), program(library));
        let said = tokio::task::spawn_blocking(move || ask(program, &lines)).await.unwrap();
        for ((one, enc), said) in pairs.iter().zip(said.chunks(2)) {
            let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
            let api = opening(ResourceServer::builder(issuer.audience()).trust(trusted), one);
            api.ready().await.unwrap();
            let verified = api.authenticate(Presented::token(&said[0])).await;
            let verified = verified.unwrap_or_else(|error| panic!("{library} {} {enc}: {error}", one.name));
            assert_eq!(verified.subject(), Some("ada"));
            assert_eq!(said[1], token, "{library} reads {} {enc}", one.name);
            let what = format!("nested JWT, {} with {enc}, both ways", one.name);
            note("clients", &format!("{library} {what}"), &[library, &what]);
        }
    }
    assert_eq!(pairs.len(), 20);
}
