//! Every answer a token endpoint may give, good and bad, as rows of tables.

use super::*;
use crate::error::Fault;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);
const EXCHANGED: &str = "urn:ietf:params:oauth:token-type:access_token";

fn process(expected: &Expected, status: u16, body: &str) -> Result<TokenResponse, TokenError> {
    process_token_response(expected, StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes(), NOW)
}

fn exchange() -> Expected {
    Expected { issued: Issued::AccessTokenOrJwt, ..Expected::access_token() }
}

#[test]
fn a_good_answer_is_taken_apart() {
    let body = r#"{"access_token":"at","token_type":"bEaReR","expires_in":3600,"scope":"a b","refresh_token":"rt",
                   "id_token":"it","unknown":[1]}"#;
    let answer = process(&Expected::access_token(), 200, body).unwrap();
    assert_eq!(answer.access_token.expose(), "at");
    assert_eq!(answer.expires_at, Some(Timestamp::from_secs(1_003_600)));
    assert_eq!(answer.scope.as_deref(), Some("a b"));
    assert_eq!(answer.refresh_token, Some(RefreshToken::new("rt")));
    assert_eq!(answer.id_token, Some(IdToken::new("it")));
}

#[test]
fn a_lifetime_may_be_missing_or_text_but_never_nonsense() {
    for (member, expected) in [
        ("", Ok(None)),
        (r#","expires_in":null"#, Ok(None)),
        (r#","expires_in":0"#, Ok(Some(0))),
        (r#","expires_in":"300""#, Ok(Some(300))),
        (r#","expires_in":300.5"#, Ok(Some(300))),
        (r#","expires_in":1e300"#, Ok(Some(3_155_760_000))),
        (r#","expires_in":-1"#, Err(Kind::Malformed)),
        (r#","expires_in":"soon""#, Err(Kind::Malformed)),
        (r#","expires_in":"-1""#, Err(Kind::Malformed)),
        (r#","expires_in":[1]"#, Err(Kind::Malformed)),
        (r#","expires_in":true"#, Err(Kind::Malformed)),
        (r#","expires_in":1,"expires_in":2"#, Err(Kind::Malformed)),
    ] {
        let body = format!(r#"{{"access_token":"at","token_type":"Bearer"{member}}}"#);
        let seen = process(&Expected::access_token(), 200, &body);
        let seen = seen.map(|answer| answer.expires_at.map(|at| at.as_secs() - NOW.as_secs())).map_err(|e| e.kind());
        assert_eq!(seen, expected, "{member}");
    }
}

#[test]
fn a_bad_success_is_the_servers_fault_unless_it_can_never_be_right() {
    for (body, kind) in [
        ("", Kind::Malformed),
        ("<!doctype html><title>canary</title>", Kind::Malformed),
        ("[]", Kind::Malformed),
        (r#"["canary","Bearer",300,null,null,null,null,null,null]"#, Kind::Malformed),
        ("null", Kind::Malformed),
        (r#""canary""#, Kind::Malformed),
        (r#"{"access_token":"canary""#, Kind::Malformed),
        (r#"{"token_type":"Bearer"}"#, Kind::Malformed),
        (r#"{"access_token":null,"token_type":"Bearer"}"#, Kind::Malformed),
        (r#"{"access_token":7,"token_type":"Bearer"}"#, Kind::Malformed),
        (r#"{"access_token":"","token_type":"Bearer"}"#, Kind::Malformed),
        (r#"{"access_token":"canary\r\nx: y","token_type":"Bearer"}"#, Kind::Malformed),
        (r#"{"access_token":"canary b","token_type":"Bearer"}"#, Kind::Malformed),
        (r#"{"access_token":"canary","access_token":"b","token_type":"Bearer"}"#, Kind::Malformed),
        (r#"{"access_token":"canary"}"#, Kind::Malformed),
        (r#"{"access_token":"canary","token_type":["Bearer"]}"#, Kind::Malformed),
        (r#"{"access_token":"canary","token_type":"mac"}"#, Kind::WrongTokenType),
        (r#"{"access_token":"canary","token_type":"DPoP"}"#, Kind::WrongTokenType),
        (r#"{"access_token":"canary","token_type":"N_A"}"#, Kind::WrongTokenType),
        (r#"{"access_token":"canary","token_type":""}"#, Kind::WrongTokenType),
        (r#"{"access_token":"canary","token_type":"Bearer","scope":["a"]}"#, Kind::Malformed),
        (r#"{"access_token":"canary","token_type":"Bearer","refresh_token":{}}"#, Kind::Malformed),
    ] {
        let error = process(&Expected::access_token(), 200, body).unwrap_err();
        let fault = if kind == Kind::WrongTokenType { Fault::Ours } else { Fault::Outage };
        assert_eq!((error.kind(), error.fault()), (kind, fault), "{body}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
}

#[test]
fn an_exchange_must_issue_what_was_asked_for() {
    let exactly = |kind| Expected { issued: Issued::Exactly(kind), ..Expected::access_token() };
    let if_said = |kind| Expected { issued: Issued::ExactlyIfSaid(kind), ..Expected::access_token() };
    let id_token = "urn:ietf:params:oauth:token-type:id_token";
    let saml = "urn:ietf:params:oauth:token-type:saml2";
    for (expected, issued, token_type, verdict) in [
        (exchange(), Some(EXCHANGED), Some("Bearer"), Ok(())),
        (exchange(), Some("urn:ietf:params:oauth:token-type:jwt"), Some("Bearer"), Ok(())),
        (exchange(), None, Some("Bearer"), Err(Kind::Malformed)),
        (exchange(), Some(id_token), Some("Bearer"), Err(Kind::WrongIssuedType)),
        (exchange(), Some("ACCESS_TOKEN"), Some("Bearer"), Err(Kind::WrongIssuedType)),
        (exchange(), Some(EXCHANGED), Some("N_A"), Err(Kind::WrongTokenType)),
        (exactly(TokenType::ACCESS_TOKEN), Some(EXCHANGED), Some("Bearer"), Ok(())),
        (exactly(TokenType::ACCESS_TOKEN), Some(EXCHANGED), Some("n_a"), Err(Kind::WrongTokenType)),
        (exactly(TokenType::ACCESS_TOKEN), Some(id_token), Some("N_A"), Err(Kind::WrongIssuedType)),
        (exactly(TokenType::SAML2), Some(saml), Some("N_A"), Ok(())),
        (exactly(TokenType::SAML2), None, Some("N_A"), Err(Kind::Malformed)),
        (if_said(TokenType::ACCESS_TOKEN), None, None, Ok(())),
        (if_said(TokenType::ACCESS_TOKEN), Some(id_token), None, Err(Kind::WrongIssuedType)),
        (if_said(TokenType::ACCESS_TOKEN), None, Some("mac"), Err(Kind::WrongTokenType)),
    ] {
        let mut body = serde_json::json!({ "access_token": "at" });
        if let Some(issued) = issued {
            body["issued_token_type"] = issued.into();
        }
        if let Some(token_type) = token_type {
            body["token_type"] = token_type.into();
        }
        let seen = process(&expected, 200, &body.to_string()).map(|_| ()).map_err(|error| error.kind());
        assert_eq!(seen, verdict, "{expected:?} {body}");
    }
}

#[test]
fn the_token_type_is_the_one_that_was_asked_for_in_any_case() {
    let other = Some(Kind::WrongTokenType);
    for (token_type, bearer, dpop, either) in [
        ("Bearer", Ok(false), Err(other), Ok(false)),
        ("bearer", Ok(false), Err(other), Ok(false)),
        ("DPoP", Err(other), Ok(true), Ok(true)),
        ("dpop", Err(other), Ok(true), Ok(true)),
        ("DPOP", Err(other), Ok(true), Ok(true)),
        ("mac", Err(other), Err(other), Err(other)),
        ("", Err(other), Err(other), Err(other)),
        ("N_A", Err(other), Err(other), Err(other)),
    ] {
        let body = format!(r#"{{"access_token":"canary","token_type":"{token_type}"}}"#);
        for (binding, verdict) in [(Binding::Bearer, bearer), (Binding::Dpop, dpop), (Binding::DpopOrBearer, either)] {
            let seen = process(&Expected::access_token().bound_by(binding), 200, &body);
            let seen = seen.map(|answer| answer.dpop_bound).map_err(|error| Some(error.kind()));
            assert_eq!(seen, verdict, "{binding:?} {token_type}");
        }
    }
}

#[test]
fn a_token_of_somebody_else_is_not_bound_to_our_key() {
    let saml = "urn:ietf:params:oauth:token-type:saml2";
    let body = format!(r#"{{"access_token":"at","token_type":"Bearer","issued_token_type":"{saml}"}}"#);
    let expected = Expected { issued: Issued::Exactly(TokenType::SAML2), ..Expected::access_token() };
    assert!(!process(&expected.dpop_bound(), 200, &body).unwrap().dpop_bound);
}

#[test]
fn every_refusal_says_who_has_to_act() {
    for (status, body, kind) in [
        (400, r#"{"error":"invalid_request"}"#, Kind::InvalidRequest),
        (401, r#"{"error":"invalid_client"}"#, Kind::InvalidClient),
        (400, r#"{"error":"unauthorized_client"}"#, Kind::UnauthorizedClient),
        (400, r#"{"error":"unsupported_grant_type"}"#, Kind::UnsupportedGrant),
        (400, r#"{"error":"invalid_scope"}"#, Kind::InvalidScope),
        (400, r#"{"error":"invalid_target"}"#, Kind::InvalidTarget),
        (400, r#"{"error":"canary"}"#, Kind::Refused),
        (400, r#"{"error":["invalid_grant"]}"#, Kind::Refused),
        (404, "<html>canary</html>", Kind::Refused),
        (401, "Unauthorized", Kind::Refused),
        (400, "", Kind::Refused),
        (403, r#"{"error":"access_denied"}"#, Kind::AccessDenied),
        (400, r#"{"error":"interaction_required"}"#, Kind::InteractionRequired),
        (400, r#"{"error":"consent_required"}"#, Kind::InteractionRequired),
        (400, r#"{"error":"invalid_grant","suberror":"consent_required"}"#, Kind::InteractionRequired),
        (400, r#"{"error":"invalid_grant","suberror":"bad_token"}"#, Kind::InvalidGrant),
        (400, r#"{"error":"invalid_grant","error_description":"canary"}"#, Kind::InvalidGrant),
        (403, r#"{"error":"invalid_grant"}"#, Kind::InvalidGrant),
        (400, r#"{"error":"invalid_grant","error_description":"Reuse of canary"}"#, Kind::Reused),
        (400, r#"{"error":"invalid_grant","error_description":7}"#, Kind::InvalidGrant),
        (400, r#"{"error":"invalid_dpop_proof"}"#, Kind::InvalidDpopProof),
        (400, r#"{"error":"use_dpop_nonce"}"#, Kind::UseDpopNonce),
        (200, r#"{"error":"invalid_grant"}"#, Kind::InvalidGrant),
        (400, r#"{"error":"temporarily_unavailable"}"#, Kind::ServerError),
        (429, r#"{"error":"invalid_grant"}"#, Kind::RateLimited),
        (400, r#"{"error":"slow_down"}"#, Kind::RateLimited),
        (500, r#"{"error":"invalid_grant"}"#, Kind::ServerError),
        (503, "<html>", Kind::ServerError),
        (408, "", Kind::Timeout),
        (307, "", Kind::Redirected),
        (201, r#"{"access_token":"canary","token_type":"Bearer"}"#, Kind::Malformed),
        (204, "", Kind::Malformed),
    ] {
        let error = process(&Expected::access_token(), status, body).unwrap_err();
        assert_eq!(error.kind(), kind, "{status} {body}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
}

#[test]
fn a_time_to_come_back_is_kept() {
    let headers: HeaderMap = [(http::header::RETRY_AFTER, "17".parse().unwrap())].into_iter().collect();
    for (status, expected) in [(429, Some(17)), (503, Some(17)), (400, None)] {
        let status = StatusCode::from_u16(status).unwrap();
        let error = process_token_response(&Expected::access_token(), status, &headers, b"", NOW).unwrap_err();
        assert_eq!(error.wait(), expected.map(Duration::from_secs), "{status}");
    }
}

#[test]
fn a_delegation_endpoint_answers_with_an_id_token() {
    let expected = Expected { wanted: Wanted::IdToken, ..Expected::access_token() };
    let body = r#"{"token_type":"Bearer","expires_in":36000,"id_token":"it"}"#;
    assert_eq!(process(&expected, 200, body).unwrap().access_token.expose(), "it");
    assert_eq!(process(&Expected::access_token(), 200, body).unwrap_err().kind(), Kind::Malformed);
}

#[test]
fn a_refresh_that_is_refused_without_a_word_means_that_the_user_signs_in_again() {
    let refresh = Expected { refreshes: true, ..Expected::access_token() };
    for (status, body, expected) in [
        (400, "", Kind::InvalidGrant),
        (401, "Unauthorized", Kind::InvalidGrant),
        (400, r#"{"error":"expired_token"}"#, Kind::InvalidGrant),
        (401, r#"{"error":"invalid_client"}"#, Kind::InvalidClient),
        (400, r#"{"error":"use_dpop_nonce"}"#, Kind::UseDpopNonce),
        (400, r#"{"error":"invalid_dpop_proof"}"#, Kind::InvalidDpopProof),
        (404, "", Kind::Refused),
        (403, "<html>", Kind::Refused),
    ] {
        assert_eq!(process(&refresh, status, body).unwrap_err().kind(), expected, "{status} {body}");
    }
    assert_eq!(process(&Expected::access_token(), 400, "").unwrap_err().kind(), Kind::Refused);
}

#[test]
fn a_success_that_names_an_error_is_a_refusal_whatever_stands_beside_it() {
    let body = r#"{"access_token":"canary","token_type":"Bearer","error":"invalid_grant"}"#;
    assert_eq!(process(&Expected::access_token(), 200, body).unwrap_err().kind(), Kind::InvalidGrant);
}
