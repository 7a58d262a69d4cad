//! The confusion matrix, a column for each server: its tokens as it marks them, all for this API and under one key, and what each is taken for.
//!
//! The worst case on purpose: `aud` names the API in every one of them, so nothing but the mark tells an access token from the rest.

use serde_json::{Value, json};
use token_core::{Issuer, Presented, ResourceServer, TokenKind};
use token_test::TestIssuer;

use TokenKind::{Access, Id, Logout, Refresh};

/// What becomes of a token at an API that takes access tokens of its issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It passes, with and without `strict`.
    Passes,
    /// It bears no mark: it passes, and `strict` refuses it.
    Unmarked,
    /// It bears the mark of another kind: it never passes.
    Refused,
}

use Fate::{Passes, Refused, Unmarked};

/// A kind of token as the server writes it: `typ` of the header, the claims that could tell it, what becomes of it.
type Row = (TokenKind, Option<&'static str>, Value, Fate);

/// Servers by name, with the kinds of JWT that they sign with one key. Where a kind is left out, the server writes it as opaque text.
fn servers() -> Vec<(&'static str, Vec<Row>)> {
    let event = json!({ super::EVENT: {} });
    let logout = |typ| (Logout, Some(typ), json!({"events": event, "sid": "s", "jti": "1"}), Refused);
    let at_jwt = || (Access, Some("at+jwt"), json!({"client_id": "web", "scope": "read:users"}), Passes);
    let id = || (Id, Some("JWT"), json!({"nonce": "n", "at_hash": "x"}), Refused);
    // An ID token of the code flow without a nonce has no claim that others could not have.
    let bare_id = || (Id, Some("JWT"), json!({"auth_time": 1, "amr": ["pwd"]}), Unmarked);
    vec![
        ("oidc-provider 9", vec![at_jwt(), id(), logout("logout+jwt")]),
        ("better-auth 1.7", vec![at_jwt(), id()]),
        ("Logto", vec![at_jwt(), id()]),
        ("Auth0, RFC 9068 profile", vec![at_jwt(), id(), logout("logout+jwt")]),
        (
            "Auth0, default profile",
            vec![(Access, Some("JWT"), json!({"azp": "web", "scope": "read:users"}), Unmarked), id(), bare_id()],
        ),
        (
            "idpyoidc 5",
            vec![
                (Access, None, json!({"token_class": "access_token", "ttype": "T"}), Passes),
                (Refresh, None, json!({"token_class": "refresh_token", "ttype": "R"}), Refused),
                (Id, None, json!({"token_class": "id_token", "nonce": "n"}), Refused),
            ],
        ),
        (
            "Keycloak",
            vec![
                (Access, Some("JWT"), json!({"typ": "Bearer", "azp": "web"}), Passes),
                (Id, Some("JWT"), json!({"typ": "ID", "azp": "web"}), Refused),
                (Refresh, Some("JWT"), json!({"typ": "Refresh", "azp": "web"}), Refused),
                (Refresh, Some("JWT"), json!({"typ": "Offline", "azp": "web"}), Refused),
                (Logout, Some("JWT"), json!({"typ": "Logout", "events": event}), Refused),
            ],
        ),
        (
            "Cognito",
            vec![
                (Access, None, json!({"token_use": "access", "client_id": "web"}), Passes),
                (Id, None, json!({"token_use": "id"}), Refused),
            ],
        ),
        (
            "Okta",
            vec![
                (Access, None, json!({"cid": "web", "uid": "1", "scp": ["read:users"], "ver": 1}), Unmarked),
                (Id, None, json!({"at_hash": "x", "ver": 1}), Refused),
            ],
        ),
        (
            "Entra, version 2",
            vec![
                (Access, Some("JWT"), json!({"azp": "web", "scp": "read:users", "ver": "2.0"}), Unmarked),
                (Id, Some("JWT"), json!({"nonce": "n", "ver": "2.0"}), Refused),
                (Id, Some("JWT"), json!({"ver": "2.0"}), Unmarked),
            ],
        ),
        ("Ory Hydra", vec![(Access, Some("JWT"), json!({"client_id": "web", "scp": ["a"]}), Unmarked), id()]),
        ("Authentik", vec![(Access, Some("JWT"), json!({"azp": "web", "scope": "a"}), Unmarked), id()]),
        // Its access tokens are opaque.
        ("django-oauth-toolkit 3", vec![(Id, Some("JWT"), json!({"at_hash": "x"}), Refused)]),
        (
            "Simple JWT (Django)",
            vec![
                (Access, Some("JWT"), json!({"token_type": "access"}), Passes),
                (Refresh, Some("JWT"), json!({"token_type": "refresh"}), Refused),
            ],
        ),
        (
            "Flask-JWT-Extended 4",
            vec![
                (Access, Some("JWT"), json!({"type": "access", "fresh": false}), Passes),
                (Refresh, Some("JWT"), json!({"type": "refresh"}), Refused),
            ],
        ),
        (
            "a server that marks nothing",
            vec![
                (Access, Some("JWT"), json!({"scope": "read:users"}), Unmarked),
                (Refresh, Some("JWT"), json!({"scope": "read:users"}), Unmarked),
            ],
        ),
    ]
}

#[tokio::test]
async fn what_each_real_server_marks_is_taken_for_what_it_is() {
    let issuer = TestIssuer::start().await;
    let trusted = || Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let gate = |issuer_: Issuer| ResourceServer::builder(issuer.audience()).trust(issuer_).build().unwrap();
    let (usual, strict) = (gate(trusted()), gate(trusted().strict()));
    for (server, rows) in servers() {
        for (kind, typ, claims, fate) in rows {
            let mut token = issuer.token().without("client_id").without("jti");
            for (name, value) in claims.as_object().unwrap() {
                token = token.claim(name, value.clone());
            }
            let token =
                typ.map_or_else(|| token.clone().without_header("typ"), |typ| token.clone().header("typ", typ)).mint();
            let (at_usual, at_strict) = (
                usual.authenticate(Presented::token(&token)).await,
                strict.authenticate(Presented::token(&token)).await,
            );
            let seen = match (&at_usual, &at_strict) {
                (Ok(_), Ok(_)) => Passes,
                (Ok(_), Err(_)) => Unmarked,
                (Err(_), Err(_)) => Refused,
                (Err(error), Ok(_)) => panic!("{server}, {kind}: strict takes what is refused without it: {error}"),
            };
            assert_eq!(seen, fate, "{server}: {kind} {claims}: {:?} {:?}", at_usual.err(), at_strict.err());
            for error in [&at_usual, &at_strict].into_iter().filter_map(|verdict| verdict.as_ref().err()) {
                assert_eq!(error.kind(), token_core::ErrorKind::WrongType, "{server}: {kind}: {error}");
            }
            if fate == Refused {
                let error = at_usual.unwrap_err();
                assert!(error.detail().contains(kind.name()), "{server}: {kind} is refused without its name: {error}");
            }
            assert!(kind == Access || fate != Passes, "{server}: {kind} can never pass");
        }
    }
}
