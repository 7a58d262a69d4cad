//! Tokens of every kind and issuers of every sort at one gate.

use serde_json::{Value, json};

use super::tests::*;
use crate::adapter::Outcome;
use crate::base::time::hands::Hands;
use crate::jose::signing::SigningKey;
use crate::mapping::{ClaimMapping, GrantSource};
use crate::request::sent::Sent;
use crate::revocation::{Deny, MemoryDenyList};
use crate::*;

const OTHER_SECRET: &[u8] = b"another secret of more than sixty-four bytes, long enough for HS512 too";

fn gate(issuers: impl IntoIterator<Item = Issuer>) -> ResourceServer {
    let mut builder = ResourceServer::builder(AUDIENCE).clock(Hands::at(NOW)).implies("write:users", ["read:users"]);
    for issuer in issuers {
        builder = builder.trust(issuer);
    }
    builder.build().unwrap()
}

fn ask(api: &ResourceServer, token: &str) -> Result<Verified, Error> {
    api.authenticate(Presented::token(token)).now().expect("nothing to wait for")
}

fn kind(api: &ResourceServer, token: &str) -> Option<ErrorKind> {
    ask(api, token).err().map(|error| error.kind())
}

fn secret(secret: &[u8]) -> StaticKeys {
    StaticKeys::secret(Algorithm::HS256, secret).unwrap()
}

fn signed(secret: &[u8], header: Value, claims: &Value) -> String {
    let key = SigningKey::from_secret(Algorithm::HS256, None, secret).unwrap();
    key.sign_jwt(&header.to_string(), &claims.to_string()).unwrap()
}

fn jwt(claims: Value) -> String {
    signed(SECRET, json!({"alg": "HS256"}), &claims)
}

#[test]
fn an_id_token_passes_only_where_it_is_asked_for_and_never_as_an_access_token() {
    let id = json!({"iss": ISSUER, "aud": "app", "sub": "ada", "iat": NOW, "exp": NOW + 600});
    let with = |name: &str, value: Value| {
        let mut claims = id.clone();
        claims[name] = value;
        jwt(claims)
    };
    let closed = gate([issuer()]);
    let open = gate([issuer().accept_id_tokens("app")]);
    assert_eq!(kind(&closed, &with("nonce", json!("n"))), Some(ErrorKind::WrongType));
    assert_eq!(kind(&closed, &jwt(id.clone())), Some(ErrorKind::WrongAudience));
    for temperature in ["cold", "warm"] {
        for token in [jwt(id.clone()), with("nonce", json!("n")), with("azp", json!("app"))] {
            let outcome = Outcome::Verified(ask(&open, &token).unwrap());
            assert_eq!(outcome.id_token().unwrap().kind(), TokenKind::Id, "{temperature}");
            assert_eq!(outcome.verified().unwrap_err().kind(), ErrorKind::WrongType);
        }
    }
    for (name, value, expected) in [
        ("aud", json!("other"), ErrorKind::WrongAudience),
        ("azp", json!("other"), ErrorKind::ClaimsMismatch),
        ("iat", json!(NOW + 600), ErrorKind::NotYetValid),
        ("typ", json!("Bearer"), ErrorKind::WrongAudience),
        ("typ", json!("Refresh"), ErrorKind::WrongType),
    ] {
        assert_eq!(kind(&open, &with(name, value.clone())), Some(expected), "{name} {value}");
    }
    // An ID token that names the API beside the client is still one, by its mark.
    let both = with("aud", json!([AUDIENCE, "other"]));
    let marked = jwt(json!({"iss": ISSUER, "aud": [AUDIENCE], "sub": "a", "iat": NOW, "exp": NOW + 9, "nonce": "n"}));
    assert_eq!(ask(&open, &both).unwrap().kind(), TokenKind::Access);
    assert_eq!(kind(&open, &marked), Some(ErrorKind::WrongAudience));
    let outcome = Outcome::Verified(ask(&open, &both).unwrap());
    assert_eq!(outcome.id_token().unwrap_err().kind(), ErrorKind::WrongType);
}

#[test]
fn the_operator_reads_what_was_sent_by_mistake() {
    let api = gate([issuer()]);
    for (token, expected) in [
        (jwt(claims(json!({"typ": "Refresh"}))), "a refresh token"),
        (jwt(claims(json!({"typ": "Offline"}))), "a refresh token"),
        (jwt(claims(json!({"nonce": "n"}))), "an ID token"),
        (jwt(claims(json!({"events": {}}))), "a logout token"),
        (
            signed(SECRET, json!({"alg": "HS256", "typ": "at+jwt"}), &claims(json!({"at_hash": "x"}))),
            "no token is both",
        ),
        ("ya29.a0AfH6SMBx".to_owned(), "an identity provider's own token of Google"),
        ("ya29.a.b".to_owned(), "an identity provider's own token of Google"),
        ("gho_16C7e42F292c6912E7".to_owned(), "an identity provider's own token of GitHub"),
        ("EAACEdEose0cBA".to_owned(), "an identity provider's own token of Facebook"),
        ("1//0gabc".to_owned(), "a refresh token of Google"),
    ] {
        let error = ask(&api, &token).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongType);
        assert!(error.detail().contains(expected), "expected {expected:?} in {error}");
        assert_eq!(error.kind().public_text(), "this type of token is not accepted here");
    }
}

#[test]
fn scopes_and_roles_are_read_wherever_the_issuer_writes_them() {
    scopes!(NoEditor = not(role("editor")), OwnerWithX = all(role("owner"), "x"));
    let mapping = ClaimMapping::default()
        .scopes([GrantSource::names("scp"), GrantSource::names("permissions"), GrantSource::entity_actions("scopes")])
        .roles([
            GrantSource::names(["realm_access", "roles"]),
            GrantSource::keys("projects"),
            GrantSource::names("groups"),
        ]);
    let api = gate([issuer().mapping(mapping)]);
    let token = jwt(claims(json!({
        "scp": ["one"], "permissions": ["two"], "scopes": {"users": {"actions": ["write"]}},
        "realm_access": {"roles": ["admin"]}, "projects": {"editor": {"1": "x"}}, "groups": ["staff"],
    })));
    for _ in 0..2 {
        let verified = ask(&api, &token).unwrap();
        assert_eq!(verified.scopes().iter().collect::<Vec<_>>(), ["one", "two", "write:users"]);
        assert_eq!(verified.roles().iter().collect::<Vec<_>>(), ["staff", "admin", "editor"]);
        assert!(verified.require(&Rule::scope("read:users")).is_ok(), "write:users implies it");
        assert!(verified.require(&Rule::role("admin")).is_ok());
        assert!(verified.require(&Rule::role("adm")).is_err());
        assert!(verified.require(&NoEditor::RULE).is_err());
        let error = verified.require(&OwnerWithX::RULE).unwrap_err();
        assert_eq!((error.kind(), error.scope()), (ErrorKind::InsufficientScope, Some("x")));
        let error = verified.require(&Rule::role("owner")).unwrap_err();
        assert!(!error.challenge().unwrap().contains("scope="), "no scope would help");
    }
}

#[test]
fn a_delegated_token_says_who_acts() {
    let api = gate([issuer()]);
    let token = jwt(claims(json!({"act": {"sub": "agent", "act": {"sub": "before"}}, "may_act": {"sub": "x"}})));
    let verified = ask(&api, &token).unwrap();
    assert_eq!(verified.kind(), TokenKind::Delegation);
    assert_eq!(verified.actor().and_then(Actor::subject), Some("agent"));
    assert_eq!(verified.may_act().and_then(Actor::subject), Some("x"));
    assert_eq!(ask(&api, &jwt(claims(json!({})))).unwrap().actor(), None);
    assert_eq!(ask(&api, &jwt(claims(json!({"may_act": {"sub": "x"}})))).unwrap().kind(), TokenKind::Access);
    assert_eq!(kind(&api, &jwt(claims(json!({"act": "agent"})))), Some(ErrorKind::ClaimsMismatch));
}

#[test]
fn one_issuer_may_sign_for_two_audiences_with_two_secrets() {
    let target = Issuer::with_keys(ISSUER, secret(OTHER_SECRET)).unwrap().audience("target-client");
    let api = gate([issuer(), target]);
    let mut delegated = claims(json!({"aud": "target-client"}));
    let header = json!({"alg": "HS256"});
    assert!(ask(&api, &jwt(claims(json!({})))).is_ok());
    assert!(ask(&api, &signed(OTHER_SECRET, header.clone(), &delegated)).is_ok());
    // The target's secret opens the target's door and no other; the source's does not open it.
    assert_eq!(kind(&api, &signed(OTHER_SECRET, header.clone(), &claims(json!({})))), Some(ErrorKind::BadSignature));
    assert_eq!(kind(&api, &signed(SECRET, header.clone(), &delegated)), Some(ErrorKind::BadSignature));
    delegated["aud"] = json!("source-client");
    assert_eq!(kind(&api, &signed(OTHER_SECRET, header, &delegated)), Some(ErrorKind::WrongAudience));
}

#[test]
fn a_management_token_is_known_by_its_audience() {
    let management = || {
        let keys = StaticKeys::secret(Algorithm::HS256, OTHER_SECRET).unwrap();
        let mapping = ClaimMapping::default().scopes([GrantSource::entity_actions("scopes")]);
        Issuer::nameless("management", "API-KEY", keys).unwrap().mapping(mapping)
    };
    let legacy =
        json!({"aud": "API-KEY", "jti": "1", "iat": NOW, "exp": NOW + 60, "scopes": {"users": {"actions": ["read"]}}});
    let header = json!({"alg": "HS256", "typ": "JWT"});
    let token = signed(OTHER_SECRET, header.clone(), &legacy);
    let api = gate([issuer(), management()]);
    for _ in 0..2 {
        let verified = ask(&api, &token).unwrap();
        assert_eq!(
            (verified.kind(), verified.issuer(), verified.subject()),
            (TokenKind::Management, "management", None)
        );
        assert!(verified.require(&Rule::scope("read:users")).is_ok());
        assert!(verified.require(&Rule::scope("update:users")).is_err());
    }
    assert_eq!(kind(&gate([issuer()]), &token), Some(ErrorKind::ClaimsMismatch), "nobody registered one");
    for (name, value, expected) in [
        ("aud", json!(AUDIENCE), ErrorKind::UnknownIssuer),
        ("iss", json!("management"), ErrorKind::UnknownIssuer),
        ("exp", json!(NOW - 60), ErrorKind::Expired),
    ] {
        let mut wrong = legacy.clone();
        wrong[name] = value;
        assert_eq!(kind(&api, &signed(OTHER_SECRET, header.clone(), &wrong)), Some(expected), "{name}");
    }
    assert_eq!(kind(&api, &signed(SECRET, header, &legacy)), Some(ErrorKind::BadSignature));
    let open = management().audience(Audience::dangerously_unchecked());
    assert!(ResourceServer::builder(AUDIENCE).trust(open).build().is_err());
}

#[tokio::test]
async fn a_management_token_is_blacklisted_by_its_audience_and_its_jti() {
    let trusted =
        |api_key: &str| provider::auth0_management_legacy(api_key).issuer_with_keys(secret(OTHER_SECRET)).unwrap();
    let api = ResourceServer::builder(AUDIENCE)
        .clock(Hands::at(NOW))
        .trust(trusted("KEY-1"))
        .trust(trusted("KEY-2"))
        .deny_list(MemoryDenyList::new())
        .build()
        .unwrap();
    let token = |aud: &str, jti: &str| {
        let claims = json!({"aud": aud, "jti": jti, "exp": NOW + 60, "scopes": {"users": {"actions": ["read"]}}});
        signed(OTHER_SECRET, json!({"alg": "HS256"}), &claims)
    };
    let all = [token("KEY-1", "1"), token("KEY-1", "2"), token("KEY-2", "1")];
    let kinds = || all.iter().map(|token| kind(&api, token)).collect::<Vec<_>>();
    assert_eq!(kinds(), [None, None, None]);
    let issuer = ask(&api, &all[0]).unwrap().issuer().to_owned();
    api.deny(Deny::token_id(&issuer, "1"), Timestamp::MAX).await.unwrap();
    assert_eq!(kinds(), [Some(ErrorKind::Inactive), None, None], "warm, and neither another jti nor another audience");
}

#[test]
fn a_claim_rule_is_held_against_signed_claims_and_header() {
    let rule = ClaimRule::one_of("token_use", ["access"]);
    let api = gate([issuer().require_claim(rule).require_claim(ClaimRule::header("signer", ["arn:1"]))]);
    let token = |signer: &str, more: Value| signed(SECRET, json!({"alg": "HS256", "signer": signer}), &claims(more));
    assert_eq!(kind(&api, &token("arn:1", json!({"token_use": "access"}))), None);
    assert_eq!(kind(&api, &token("arn:1", json!({}))), Some(ErrorKind::ClaimsMismatch));
    assert_eq!(kind(&api, &token("arn:2", json!({"token_use": "access"}))), Some(ErrorKind::ClaimsMismatch));
    let nothing = ClaimRule::one_of::<String>("x", []).or_absent();
    assert!(ResourceServer::builder(AUDIENCE).trust(issuer().require_claim(nothing)).build().is_err());
}

#[test]
fn issuers_come_and_go_at_run_time() {
    let api = gate([issuer()]);
    let other = || Issuer::with_keys("https://other.example", secret(OTHER_SECRET)).unwrap();
    let token = signed(OTHER_SECRET, json!({"alg": "HS256"}), &claims(json!({"iss": "https://other.example"})));
    assert_eq!(kind(&api, &token), Some(ErrorKind::UnknownIssuer));
    api.trust(other()).unwrap();
    assert!(api.trust(other()).is_err(), "twice");
    assert!(ask(&api, &token).is_ok());
    assert!(ask(&api, &token).is_ok(), "warm");
    assert!(api.distrust("https://other.example"));
    assert_eq!(kind(&api, &token), Some(ErrorKind::UnknownIssuer), "the cache does not outlive the trust");
    assert!(!api.distrust("https://other.example"));
    api.trust(other()).unwrap();
    assert!(ask(&api, &token).is_ok());
}

#[test]
fn of_two_entries_of_one_name_the_audience_chooses_and_then_the_algorithm() {
    let entry = |audience: &str, algorithm| {
        let keys = StaticKeys::secret(algorithm, SECRET).unwrap();
        Issuer::with_keys(ISSUER, keys).unwrap().audience(audience)
    };
    let token = jwt(claims(json!({})));
    let (ours, able) = (entry(AUDIENCE, Algorithm::HS512), entry("https://other.example", Algorithm::HS256));
    // Whatever their order: the one that the token is for judges it, though the other one could check its signature.
    for entries in [[ours.clone(), able.clone()], [able, ours.clone()]] {
        assert_eq!(kind(&gate(entries), &token), Some(ErrorKind::AlgorithmNotAllowed));
    }
    let good = entry(AUDIENCE, Algorithm::HS256);
    for entries in [[ours.clone(), good.clone()], [good, ours]] {
        assert_eq!(kind(&gate(entries), &token), None);
    }
}

#[test]
fn a_subject_that_is_a_number_is_for_those_who_are_known_to_write_such() {
    let token = jwt(claims(json!({"sub": 42})));
    let other = || Issuer::with_keys("https://other.example", secret(OTHER_SECRET)).unwrap();
    for (entries, expected) in [
        (vec![issuer()], Some(ErrorKind::Malformed)),
        (vec![issuer().accept_numeric_subjects()], None),
        (vec![issuer(), other().accept_numeric_subjects()], Some(ErrorKind::Malformed)),
        (vec![issuer().accept_numeric_subjects(), other()], None),
    ] {
        let names = format!("{entries:?}");
        assert_eq!(kind(&gate(entries), &token), expected, "{names}");
    }
}

#[test]
fn padding_is_for_those_who_are_known_to_pad() {
    use base64::Engine as _;
    let encode = |text: String| base64::engine::general_purpose::URL_SAFE.encode(text);
    let key = SigningKey::from_secret(Algorithm::HS256, None, SECRET).unwrap();
    let token = |more: Value| {
        let message = format!("{}.{}", encode(r#"{"alg":"HS256","x":""}"#.into()), encode(claims(more).to_string()));
        assert!(message.contains('='));
        let signature = base64::engine::general_purpose::URL_SAFE.encode(key.sign(message.as_bytes()).unwrap());
        format!("{message}.{signature}")
    };
    // One of three lengths of claims needs no padding; the header always does.
    for filler in ["", "1", "12"] {
        let padded = token(json!({"x": filler}));
        assert_eq!(kind(&gate([issuer()]), &padded), Some(ErrorKind::Malformed), "{filler}");
        assert_eq!(kind(&gate([issuer().accept_padding()]), &padded), None, "{filler}");
        let other = Issuer::with_keys("https://other.example", secret(OTHER_SECRET)).unwrap().accept_padding();
        assert_eq!(kind(&gate([issuer(), other]), &padded), Some(ErrorKind::Malformed), "{filler}");
    }
    assert_eq!(kind(&gate([issuer().accept_padding()]), &jwt(claims(json!({})))), None);

    // A token that is remembered passes nowhere that its grammar does not: in a header nothing is padded.
    let (api, padded, plain) = (gate([issuer().accept_padding()]), token(json!({})), jwt(claims(json!({}))));
    let field = |token: &str| {
        let field = Sent::each("authorization", [format!("Bearer {token}")]);
        api.authenticate(Presented::request(&field)).now().unwrap().map_err(|error| error.kind()).err()
    };
    for temperature in ["cold", "warm"] {
        assert_eq!((kind(&api, &padded), kind(&api, &plain)), (None, None), "{temperature}");
        assert_eq!((field(&padded), field(&plain)), (Some(ErrorKind::InvalidRequest), None), "{temperature}");
    }
    let read = || api.authenticate(Presented::token(&padded)).now().unwrap().unwrap().claims::<Value>().unwrap();
    assert!(
        std::sync::Arc::ptr_eq(&read(), &read()),
        "where padding may stand, a padded token is remembered like any other"
    );
}
