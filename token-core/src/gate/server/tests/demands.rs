//! What a rule asks of a token and what its refusal says, one row each.

use serde_json::json;

use super::{Gate, NOW, issuer, token};
use crate::answer::challenge::ScopeChallenge;
use crate::answer::error::ErrorKind;
use crate::base::time::hands::Hands;
use crate::gate::server::ResourceServer;
use crate::policy::{Metadata, Policy};
use crate::scopes;
use crate::stores::TokenCacheSettings;
use crate::token::rule::{Required, Rule};

scopes! {
    Strong = acr("phr", "phrh"),
    Recent = max_age(300),
    Transfer = all("pay", acr("phr", "phrh"), max_age(300), max_age(600)),
    Admin = any("admin", all("pay", max_age(60))),
    Initiate = details("payment", actions("initiate"), locations("https://api.example")),
    PayInDetail = all("pay", details("payment")),
    Clerk = role("clerk"),
    ClerkInDetail = all(role("clerk"), details("payment")),
    NoPassword = all("pay", not(acr("pwd"))),
    NoPayments = all("pay", not(details("payment"))),
}

#[test]
fn what_cannot_be_read_satisfies_no_rule_nor_its_opposite() {
    let gate = Gate::new(TokenCacheSettings::default());
    for (name, claims, rule) in [
        ("amr is no list", json!({"scope": "pay", "acr": "pwd", "amr": "pwd"}), NoPassword::RULE),
        ("acr is no text", json!({"scope": "pay", "acr": ["pwd"]}), NoPassword::RULE),
        (
            "details are no list",
            json!({"scope": "pay", "authorization_details": {"type": "payment"}}),
            NoPayments::RULE,
        ),
    ] {
        let error = gate.ask(&token(claims)).unwrap().require(&rule).expect_err(name);
        assert_eq!(error.kind(), ErrorKind::ClaimsMismatch, "{name}");
    }
    assert!(gate.ask(&token(json!({"scope": "pay", "acr": "phr"}))).unwrap().require(&NoPassword::RULE).is_ok());
}

#[test]
fn a_refusal_says_what_would_mend_it() {
    use ErrorKind::{
        ClaimsMismatch, InsufficientDetails as Details, InsufficientScope as Scope,
        InsufficientUserAuthentication as StepUp,
    };
    let payment = json!([{"type": "payment", "actions": ["initiate", "cancel"], "locations": ["https://api.example"]}]);
    type Row<'a> = (&'a Rule, serde_json::Value, Option<(ErrorKind, &'static str)>);
    let rows: &[Row<'_>] = &[
        (&Strong::RULE, json!({"acr": "phrh"}), None),
        (&Strong::RULE, json!({"acr": "pwd"}), Some((StepUp, r#"acr_values="phr phrh""#))),
        (&Strong::RULE, json!({}), Some((StepUp, r#"acr_values="phr phrh""#))),
        (&Strong::RULE, json!({"acr": 7}), Some((ClaimsMismatch, ""))),
        (&Recent::RULE, json!({"auth_time": NOW - 300}), None),
        (&Recent::RULE, json!({"auth_time": NOW - 330}), None),
        (&Recent::RULE, json!({"auth_time": NOW - 331}), Some((StepUp, r#"max_age="300""#))),
        (&Recent::RULE, json!({"auth_time": NOW + 31}), Some((StepUp, r#"max_age="300""#))),
        (&Recent::RULE, json!({}), Some((StepUp, r#"max_age="300""#))),
        (&Recent::RULE, json!({"auth_time": "then"}), Some((ClaimsMismatch, ""))),
        (&Transfer::RULE, json!({"scope": "pay", "acr": "phr", "auth_time": NOW}), None),
        (&Transfer::RULE, json!({"scope": "pay", "acr": "phr"}), Some((StepUp, r#"max_age="300""#))),
        (&Transfer::RULE, json!({"scope": "pay"}), Some((StepUp, r#"acr_values="phr phrh", max_age="300""#))),
        (&Transfer::RULE, json!({"acr": "phr", "auth_time": NOW}), Some((Scope, r#"scope="pay""#))),
        // One way to the authorization server mends both.
        (&Transfer::RULE, json!({"acr": "phr"}), Some((StepUp, r#"scope="pay", max_age="300""#))),
        (&Admin::RULE, json!({"scope": "admin"}), None),
        (&Admin::RULE, json!({"scope": "pay"}), Some((StepUp, r#"max_age="60""#))),
        (&Admin::RULE, json!({"scope": "read"}), Some((Scope, r#"scope="admin""#))),
        (&Initiate::RULE, json!({"authorization_details": payment}), None),
        (&Initiate::RULE, json!({}), Some((Details, r#"error="insufficient_scope""#))),
        (
            &Initiate::RULE,
            json!({"authorization_details": [{"type": "payment", "actions": ["initiate"]}]}),
            Some((Details, "")),
        ),
        (&Initiate::RULE, json!({"authorization_details": {"type": "payment"}}), Some((ClaimsMismatch, ""))),
        (&PayInDetail::RULE, json!({"scope": "pay"}), Some((Details, ""))),
        (&PayInDetail::RULE, json!({}), Some((Scope, r#"scope="pay""#))),
        // No scope and no detail makes a clerk of anybody.
        (&Clerk::RULE, json!({"scope": "pay", "authorization_details": payment}), Some((Scope, ""))),
        (&ClerkInDetail::RULE, json!({}), Some((Scope, ""))),
        (&PayInDetail::RULE, json!({"authorization_details": payment}), Some((Scope, r#"scope="pay""#))),
    ];
    let gate = Gate::new(TokenCacheSettings::default());
    for (rule, claims, expected) in rows {
        let text = token(claims.clone());
        for temperature in ["cold", "warm"] {
            let verdict = gate.ask(&text).unwrap().require(rule);
            let place = format!("{rule:?} {claims} {temperature}");
            match (verdict, expected) {
                (Ok(()), None) => {}
                (Err(error), Some((kind, end))) => {
                    assert_eq!(error.kind(), *kind, "{place}: {error}");
                    let challenge = error.challenge().unwrap();
                    let code = format!("Bearer error=\"{}\"", kind.code().unwrap());
                    assert!(challenge.starts_with(&code) && challenge.contains(end), "{place}: {challenge}");
                    let names = |word: &str| challenge.contains(word);
                    if *kind == StepUp {
                        assert_eq!(names("scope="), end.contains("scope="), "{place}: {challenge}");
                    }
                    assert_eq!(names("acr_values=") || names("max_age="), *kind == StepUp, "{place}: {challenge}");
                }
                (verdict, _) => panic!("{place}: {verdict:?}"),
            }
        }
    }
}

#[test]
fn the_age_of_an_authentication_is_judged_again_on_each_request() {
    let gate = Gate::new(TokenCacheSettings::default());
    let text = token(json!({"auth_time": NOW}));
    assert!(gate.ask(&text).unwrap().require(&Recent::RULE).is_ok());
    gate.clock.set(NOW + 331);
    let error = gate.ask(&text).unwrap().require(&Recent::RULE).expect_err("too long ago");
    assert_eq!(error.kind(), ErrorKind::InsufficientUserAuthentication);
}

#[test]
fn details_are_read_as_a_type_of_the_handlers_own() {
    #[derive(serde::Deserialize)]
    struct Payment {
        creditor: String,
    }
    let gate = Gate::new(TokenCacheSettings::default());
    let details =
        json!([{"type": "payment", "creditor": "m"}, {"type": "photo"}, {"type": "payment", "creditor": "canary"}]);
    let verified = gate
        .ask(&token(json!({"authorization_details": details, "acr": "phr", "amr": ["hwk"], "auth_time": NOW})))
        .unwrap();
    let payments = verified.details_of::<Payment>("payment").unwrap();
    assert_eq!(payments.iter().map(|payment| &*payment.creditor).collect::<Vec<_>>(), ["m", "canary"]);
    let error = verified.details_of::<Vec<u8>>("payment").expect_err("another type");
    assert_eq!(error.kind(), ErrorKind::ClaimsMismatch);
    assert!(!error.to_string().contains("canary"), "{error}");
    let how = verified.authentication().unwrap();
    assert_eq!((how.acr.as_deref(), &*how.amr), (Some("phr"), &["hwk".to_owned()][..]));
    assert_eq!(how.auth_time, Some(crate::Timestamp::from_secs(NOW)));
}

#[test]
fn a_challenge_names_what_is_granted_too_only_where_the_operator_wants_it() {
    let asked_for = |rule: &Rule, build: &dyn Fn() -> crate::ResourceServerBuilder, scope: &str| {
        let clock = Hands::at(NOW);
        let api = build().trust(issuer().audience(super::AUDIENCE)).clock(clock).build().unwrap();
        let text = token(json!({"scope": scope}));
        let verified = api.authenticate(crate::Presented::token(&text)).now().unwrap().unwrap();
        verified.require(rule).expect_err("not granted").scope().map(str::to_owned)
    };
    let challenge = |build: &dyn Fn() -> crate::ResourceServerBuilder, scope: &str| {
        asked_for(&Rule::scope("books:write"), build, scope).unwrap()
    };
    let plain = || ResourceServer::resource("https://api.example.com");
    let union = || plain().scope_challenge(ScopeChallenge::GrantedAndRequired);
    let known = || union().metadata(Metadata::default().scopes(["books:read", "books:write"]));
    let granted = "books:read offline_access other:api books:read";
    assert_eq!(challenge(&plain, granted), "books:write");
    assert_eq!(challenge(&union, granted), "books:read other:api books:write");
    assert_eq!(challenge(&known, granted), "books:read books:write");
    assert_eq!(challenge(&known, ""), "books:write");
    // What no scope would mend is no reason to ask for those that are there.
    assert_eq!(asked_for(&Rule::role("clerk"), &union, granted), None);
}

#[test]
fn a_whole_server_can_ask_for_a_rule_and_a_policy_can_say_so() {
    let json = format!(
        r#"{{"audience":"https://api.example","scope_challenge":"granted_and_required",
            "require":{{"all":["a",{{"acr_values":["phr"]}},{{"max_age":"5m"}},{{"authorization_details":{{"type":"payment"}}}}]}},
            "issuers":[{{"issuer":"{}","jwks_uri":"https://keys.example/"}}]}}"#,
        super::ISSUER
    );
    let policy = Policy::from_json(&json).unwrap();
    assert_eq!(Policy::from_json(&serde_json::to_string(&policy).unwrap()).unwrap(), policy);
    let built = policy.server().unwrap();
    assert_eq!(*built.policy(), policy);

    let gate = Gate::with(issuer(), |builder| builder.require(policy.require.clone().unwrap()));
    let good = json!({"acr": "phr", "auth_time": NOW, "authorization_details": [{"type": "payment"}]});
    for temperature in ["cold", "warm"] {
        assert!(gate.ask(&token(good.clone())).is_ok(), "{temperature}");
        let error = gate.ask(&token(json!({"acr": "pwd"}))).expect_err("another way to sign in");
        assert_eq!(
            (error.kind(), error.check()),
            (ErrorKind::InsufficientUserAuthentication, Some(crate::explain::Check::Demands)),
            "{temperature}"
        );
    }
    let error = gate.ask(&token(json!({"authorization_details": [{"type": "payment"}]}))).expect_err("nothing said");
    assert_eq!(error.kind(), ErrorKind::InsufficientUserAuthentication);
}
