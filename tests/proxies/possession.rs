//! Tokens bound to a key of their sender, through each proxy: the proof is for the address that clients know, and what a client must read of a refusal reaches it (RFC 9449).

use token_core::Algorithm;
use token_test::TestKey;

use super::client::{self, Answer};
use super::proxy::Kind;
use super::stage::Stage;

/// Where clients reach the service. No proxy of these tests is there: the policy alone says it.
const HERE: &str = "https://shop.example.com";
const POLICY: &str = "\n[dpop]\nexternal_url = \"https://shop.example.com\"\n";

struct Client {
    key: TestKey,
    token: String,
}

impl Client {
    fn of(stage: &Stage) -> Self {
        let key = TestKey::client(Algorithm::ES256);
        let token = stage.issuer.token().subject("ada").scope("read:users").bound_to(&key).mint();
        Self { key, token }
    }

    async fn get(&self, stage: &Stage, target: &str, proof: Option<&str>) -> Answer {
        let authorization = format!("DPoP {}", self.token).into_bytes();
        let mut fields: Vec<(&str, &[u8])> = vec![("authorization", &authorization)];
        fields.extend(proof.map(|proof| ("DPoP", proof.as_bytes())));
        client::get(stage.address(), target, &fields).await
    }

    fn proof(&self, method: &str, url: &str) -> String {
        self.key.proof(method, url, &self.token).mint()
    }
}

/// The one challenge of the scheme DPoP, and the error that it names.
fn error(answer: &Answer) -> Option<&str> {
    let challenge = answer.field("www-authenticate").filter(|challenge| challenge.contains("DPoP "))?;
    let (_, rest) = challenge.split_once("error=\"")?;
    rest.split('"').next()
}

#[tokio::test]
async fn a_bound_token_passes_with_a_proof_for_the_address_in_the_policy_and_with_nothing_else() {
    for kind in Kind::ALL {
        let stage = Stage::with(kind, POLICY, &|text| text).await;
        let client = Client::of(&stage);
        let here = format!("{HERE}/me");
        let spent = client.proof("GET", &here);
        let rows = [
            ("a good proof", Some(spent.clone()), Ok(())),
            ("the same once more", Some(spent), Err("invalid_dpop_proof")),
            (
                "the address of the proxy",
                Some(client.proof("GET", "https://api.example.com/me")),
                Err("invalid_dpop_proof"),
            ),
            (
                "the address of the gate's door",
                Some(client.proof("GET", &format!("{HERE}/auth-request"))),
                Err("invalid_dpop_proof"),
            ),
            ("another path", Some(client.proof("GET", &format!("{HERE}/users"))), Err("invalid_dpop_proof")),
            ("another method", Some(client.proof("POST", &here)), Err("invalid_dpop_proof")),
            ("no proof", None, Err("invalid_dpop_proof")),
        ];
        for (name, proof, expected) in rows {
            let answer = client.get(&stage, "/me?page=2", proof.as_deref()).await;
            let place = format!("{kind:?}, {name}: {answer:?}");
            match expected {
                Ok(()) => assert_eq!((answer.status, answer.body.as_str()), (200, "ada"), "{place}"),
                Err(code) => assert_eq!((answer.status, error(&answer)), (401, Some(code)), "{place}"),
            }
        }
        let stolen = format!("Bearer {}", client.token).into_bytes();
        let answer = client::get(stage.address(), "/me", &[("authorization", &stolen)]).await;
        assert_eq!((answer.status, answer.fields("www-authenticate")), (401, 1), "{kind:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_nonce_that_the_gate_asks_for_reaches_the_client_and_is_taken() {
    for kind in Kind::ALL {
        let stage = Stage::with(kind, &format!("{POLICY}require_nonces = true\n"), &|text| text).await;
        let client = Client::of(&stage);
        let here = format!("{HERE}/me");
        let refused = client.get(&stage, "/me", Some(&client.proof("GET", &here))).await;
        assert_eq!((refused.status, error(&refused)), (401, Some("use_dpop_nonce")), "{kind:?}: {refused:?}");
        let nonce = refused.field("dpop-nonce").unwrap_or_else(|| panic!("{kind:?}: {refused:?}"));
        let proof = client.key.proof("GET", &here, &client.token).nonce(nonce).mint();
        let answer = client.get(&stage, "/me", Some(&proof)).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "ada"), "{kind:?}: {answer:?}");
        if kind == Kind::Traefik {
            // It lets nothing of the gate's yes through to the client; the guide says so.
            assert_eq!(answer.fields("dpop-nonce"), 0, "{answer:?}");
            continue;
        }
        let next = answer.field("dpop-nonce").unwrap_or_else(|| panic!("{kind:?}: {answer:?}"));
        let proof = client.key.proof("GET", &here, &client.token).nonce(next).mint();
        let answer = client.get(&stage, "/me", Some(&proof)).await;
        assert_eq!((answer.status, answer.fields("dpop-nonce")), (200, 1), "{kind:?}: {answer:?}");
    }
}

#[tokio::test]
async fn the_service_sees_neither_the_token_nor_its_proof() {
    for kind in Kind::ALL {
        let stage = Stage::with(kind, POLICY, &|text| text).await;
        let client = Client::of(&stage);
        let answer = client.get(&stage, "/echo", Some(&client.proof("GET", &format!("{HERE}/echo")))).await;
        let seen = answer.seen().unwrap_or_else(|| panic!("{kind:?}: {answer:?}"));
        assert_eq!((seen.field("authorization"), seen.field("dpop")), (vec![], vec![]), "{kind:?}");
        assert_eq!(seen.field("x-token-subject"), ["ada"], "{kind:?}");
    }
}
