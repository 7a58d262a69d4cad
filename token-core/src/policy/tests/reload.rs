//! A policy file that changes under a server: a good change takes over, a bad one changes nothing.

use std::sync::Arc;

use super::*;
use crate::gate::reload::{Reload, Reloaded};
use crate::request::presented::Presented;

#[tokio::test]
async fn a_bad_file_keeps_the_old_policy_and_a_good_one_takes_over() {
    let folder = Folder::new("reload");
    let policy = |issuer: &str| {
        format!(
            r#"{{"audience": "https://api.example", "issuers": [{{"issuer": "{issuer}", "secret": {{"algorithm": "HS256", "value": "{SECRET}"}}}}]}}"#
        )
    };
    let path = folder.write("policy.json", policy("https://a.example"));
    let reload = Arc::new(Reload::start(&path, |builder| builder).unwrap());
    let server = reload.server();
    let sign = |issuer: &str| {
        let key = crate::jose::signing::SigningKey::from_secret(Algorithm::HS256, None, SECRET.as_bytes()).unwrap();
        let claims = format!(r#"{{"iss": "{issuer}", "aud": "https://api.example", "exp": 4000000000}}"#);
        key.sign_jwt(r#"{"alg": "HS256"}"#, &claims).unwrap()
    };
    let accepts = |issuer: &str| server.authenticate(Presented::token(&sign(issuer))).now().unwrap().is_ok();
    let verdicts = || (accepts("https://a.example"), accepts("https://b.example"));

    assert_eq!(reload.check().await, Reloaded::Unchanged);
    assert_eq!(verdicts(), (true, false));
    for bad in ["", "{", r#"{"audience": "x"}"#, r#"{"audience": "x", "issuers": [{"issuer": "http://c.example"}]}"#] {
        folder.write("policy.json", bad);
        assert!(matches!(reload.check().await, Reloaded::Kept(_)), "{bad}");
        assert_eq!(verdicts(), (true, false), "{bad}");
    }
    folder.write("policy.json", policy("https://b.example"));
    assert!(matches!(reload.check().await, Reloaded::Changed(changes) if !changes.is_empty()));
    assert_eq!(verdicts(), (false, true));
    assert_eq!(server.policy().issuers[0].issuer, "https://b.example");
    assert_eq!(server.health().len(), 1);
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(reload.check().await, Reloaded::Kept(_)));
    assert_eq!(verdicts(), (false, true));
}

/// An issuer whose keys do not come.
#[derive(Debug)]
struct Silent;

impl crate::base::http::HttpClient for Silent {
    fn send(
        &self,
        _: http::Request<bytes::Bytes>,
        _: crate::base::http::Limits,
    ) -> crate::base::http::BoxFuture<'_, Result<http::Response<bytes::Bytes>, crate::base::http::HttpError>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_looks_at_the_file_the_one_that_read_an_older_text_does_not_have_the_last_word() {
    let folder = Folder::new("two-looks");
    let policy = |issuer: &str, more: &str| {
        format!(r#"{{"audience": "https://api.example", "issuers": [{{"issuer": "{issuer}"{more}}}]}}"#)
    };
    let secret = format!(r#", "secret": {{"algorithm": "HS256", "value": "{SECRET}"}}"#);
    let path = folder.write("policy.json", policy("https://first.example", &secret));
    let silent: Arc<dyn crate::base::http::HttpClient> = Arc::new(Silent);
    let reload = Reload::start(&path, move |builder| builder.asking(&silent)).unwrap();
    // Its keys are waited for; meanwhile the file is written once more, and looked at on a signal.
    folder.write("policy.json", policy("https://second.example", ""));
    let (_, last) = tokio::join!(reload.check(), async {
        folder.write("policy.json", policy("https://third.example", &secret));
        reload.check().await
    });
    assert!(matches!(last, Reloaded::Changed(_)), "{last:?}");
    assert_eq!(reload.policy().issuers[0].issuer, "https://third.example");
    assert_eq!(reload.server().policy().issuers[0].issuer, "https://third.example");
    assert_eq!(reload.check().await, Reloaded::Unchanged);
}

#[tokio::test]
async fn a_secret_or_a_key_set_that_was_replaced_takes_over_although_the_policy_is_the_same() {
    let folder = Folder::new("named-files");
    let text = r#"{"audience": "api", "issuers": [{"issuer": "https://a.example", "secret": {"algorithm": "HS256", "file": "secret"}}]}"#;
    let path = folder.write("policy.json", text);
    folder.write("secret", SECRET);
    let reload = Reload::start(&path, |builder| builder).unwrap();
    let server = reload.server();
    let accepts = |secret: &str| {
        let key = crate::jose::signing::SigningKey::from_secret(Algorithm::HS256, None, secret.as_bytes()).unwrap();
        let claims = r#"{"iss": "https://a.example", "aud": "api", "exp": 4000000000}"#;
        let token = key.sign_jwt(r#"{"alg": "HS256"}"#, claims).unwrap();
        server.authenticate(Presented::token(&token)).now().unwrap().is_ok()
    };
    let newer = "another-secret-of-more-than-thirty-two-bytes";
    assert_eq!(reload.check().await, Reloaded::Unchanged);
    folder.write("secret", newer);
    let Reloaded::Changed(changes) = reload.check().await else { panic!("the secret is another") };
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].to_string(), r#"~ issuers[https://a.example].secret: "(old content)" -> "(new content)""#);
    assert_eq!((accepts(SECRET), accepts(newer)), (false, true));
    assert_eq!(reload.check().await, Reloaded::Unchanged);
    folder.write("secret", "short");
    assert!(matches!(reload.check().await, Reloaded::Kept(_)));
    std::fs::remove_file(folder.0.join("secret")).unwrap();
    assert!(matches!(reload.check().await, Reloaded::Kept(_)));
    assert_eq!((accepts(SECRET), accepts(newer)), (false, true));
}
