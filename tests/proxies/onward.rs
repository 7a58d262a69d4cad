//! What the service gets in place of the client's token, through each proxy: the gate's own token and nobody else's.

use std::path::Path;

use base64::Engine;

use super::client;
use super::proxy::Kind;
use super::stage::Stage;

#[tokio::test]
async fn the_service_gets_the_gates_own_token_in_place_of_the_clients() {
    let key = Path::new(env!("CARGO_MANIFEST_DIR")).join("../token-gate/tests/keys/one.pem");
    let sign = format!(
        "\n[gate.upstream.sign]\nissuer = \"https://gate.internal\"\naudience = \"https://orders.internal\"\nkeys = [{{ file = \"{}\" }}]\n",
        key.display()
    );
    for kind in Kind::ALL {
        let stage = Stage::signing(kind, &sign).await;
        let token = stage.bearer("profile");
        for (target, called) in [("/echo", true), ("/public/x", false)] {
            let answer = client::get(stage.address(), target, &[("authorization", &token)]).await;
            let seen = answer.seen().unwrap_or_else(|| panic!("{kind:?} {target}: {answer:?}"));
            let values = seen.field("authorization");
            let place = format!("{kind:?} {target}: {seen:?}");
            if !called {
                assert_eq!(values, Vec::<&str>::new(), "nobody called, so nobody is vouched for: {place}");
                continue;
            }
            let [value] = values[..] else { panic!("{place}") };
            assert!(value.as_bytes() != token && claims(value)["iss"] == "https://gate.internal", "{place}");
            assert_eq!(claims(value)["sub"], "ada", "{place}");
        }
    }
}

fn claims(authorization: &str) -> serde_json::Value {
    let part = authorization.strip_prefix("Bearer ").unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
