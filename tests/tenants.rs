//! Tenants that a request names by host, path or header, through tower, axum and actix-web: each sees its own tokens and no others.

use std::borrow::Cow;

use token_core::http::BoxFuture;
use token_core::{
    Issuer, ResourceServer,
    adapter::RequestView,
    tenants::{ResolverSettings, TenantResolver, Unresolved},
};
use token_test::TestIssuer;
use token_tests::{Ask, Via, ask};

/// Where a request names its tenant.
#[derive(Clone, Copy, Debug)]
enum By {
    Host,
    Path,
    Header,
}

#[derive(Debug)]
struct Directory {
    by: By,
    urls: [(&'static str, String); 2],
}

impl TenantResolver for Directory {
    fn tenant<'r>(&self, request: &'r dyn RequestView) -> Option<Cow<'r, str>> {
        match self.by {
            By::Host => Some(request.host()?.strip_suffix(".example.com")?.into()),
            By::Path => Some(request.path_and_query().split_once("?tenant=")?.1.into()),
            By::Header => {
                let (mut named, mut fields) = (None, 0);
                request.header("x-tenant", &mut |value| (named, fields) = (Some(value), fields + 1));
                Some(String::from_utf8_lossy(named.filter(|_| fields == 1)?))
            }
        }
    }

    fn issuers<'a>(&'a self, tenant: &'a str) -> BoxFuture<'a, Result<Option<Vec<Issuer>>, Unresolved>> {
        Box::pin(async move {
            let Some((_, url)) = self.urls.iter().find(|(name, _)| *name == tenant) else { return Ok(None) };
            let issuer = Issuer::discover(url).map_err(|error| Unresolved::because(error.to_string()))?;
            Ok(Some(vec![issuer.allow_loopback_http()]))
        })
    }
}

#[actix_web::test]
async fn each_tenant_takes_its_own_tokens_and_no_others_in_every_framework() {
    let (one, two) = (TestIssuer::start().await, TestIssuer::start().await);
    for via in Via::ALL {
        for by in [By::Host, By::Path, By::Header] {
            let urls = [("one", one.url().to_owned()), ("two", two.url().to_owned())];
            let api = ResourceServer::builder(one.audience())
                .tenants(Directory { by, urls }, ResolverSettings::default())
                .build()
                .unwrap();
            let request = |tenant: &'static str, token: &str| {
                let asked = match (by, tenant) {
                    (By::Path, "one") => Ask::of("/me?tenant=one"),
                    (By::Path, "two") => Ask::of("/me?tenant=two"),
                    (By::Path, _) => Ask::of("/me?tenant=three"),
                    (By::Host, _) => Ask::of("/me").header("host", format!("{tenant}.example.com")),
                    (By::Header, _) => Ask::of("/me").header("x-tenant", tenant),
                };
                asked.bearer(token)
            };
            let (ada, bob) = (one.token().subject("ada").mint(), two.token().subject("bob").mint());
            // Twice: the second time from the cache of verified tokens.
            for round in ["cold", "warm"] {
                for (tenant, token, status, body) in [
                    ("one", &ada, 200, "ada"),
                    ("two", &bob, 200, "bob"),
                    ("two", &ada, 401, "invalid_token"),
                    ("one", &bob, 401, "invalid_token"),
                    ("three", &ada, 401, "invalid_token"),
                ] {
                    let reply = ask(via, &api, false, &request(tenant, token)).await;
                    let seen = if status == 200 { &reply.body } else { reply.challenge.as_ref().unwrap() };
                    let place = format!("{via:?} by {by:?}, {round}, {tenant}: {reply:?}");
                    assert_eq!(reply.status, status, "{place}");
                    assert!(seen.contains(body), "{place}");
                }
            }
            let nobody = ask(via, &api, false, &Ask::of("/me").bearer(&ada)).await;
            assert_eq!(nobody.status, 401, "{via:?} by {by:?}: a request for no tenant");
            let twice = Ask::of("/me").header("x-tenant", "one").header("x-tenant", "one").bearer(&ada);
            assert_eq!(ask(via, &api, false, &twice).await.status, 401, "{via:?} by {by:?}");
        }
    }
}
