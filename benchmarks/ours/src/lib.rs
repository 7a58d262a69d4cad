//! The toolkit as the benchmarks call it: a server over the fixture's keys, a request that carries a token.

use std::time::Duration;

use harness::{AUDIENCE, Alg, Fixture, ISSUER, fixture::SECRET};
use token_core::http::BoxFuture;
use token_core::{
    Algorithm, ErrorKind, Issuer, Presented, ResourceServer, StaticKeys, Timestamp, Verified,
    adapter::RequestView,
    opaque::{OpaqueAnswer, OpaqueError, OpaqueTokens, OpaqueVerifier},
    stores::TokenCacheSettings,
};

/// A request with one authorization header, as a framework hands it over.
#[derive(Clone, PartialEq, Eq)]
pub struct Asking(Vec<u8>);

impl Asking {
    pub fn with(token: &str) -> Self {
        Self(format!("Bearer {token}").into_bytes())
    }

    /// Takes in another request, in the memory that this one has.
    pub fn read(&mut self, other: &Self) {
        self.0.clone_from(&other.0);
    }
}

impl RequestView for Asking {
    fn method(&self) -> &str {
        "GET"
    }
    fn path_and_query(&self) -> &str {
        "/"
    }
    fn header<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8])) {
        if name == "authorization" {
            each(&self.0);
        }
    }
}

/// A request with a bound token and its proof (RFC 9449 section 7.1).
pub struct Proving {
    authorization: Vec<u8>,
    pub proof: String,
}

impl Proving {
    pub fn with(token: &str, proof: String) -> Self {
        Self { authorization: format!("DPoP {token}").into_bytes(), proof }
    }
}

impl RequestView for Proving {
    fn method(&self) -> &str {
        harness::proof::METHOD
    }
    fn path_and_query(&self) -> &str {
        "/v1/orders?page=2"
    }
    fn header<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8])) {
        match name {
            "authorization" => each(&self.authorization),
            "dpop" => each(self.proof.as_bytes()),
            _ => {}
        }
    }
}

/// A cache that holds nothing, so that every verification is the first.
pub fn no_cache() -> TokenCacheSettings {
    TokenCacheSettings::default().entries(0)
}

/// A cache that holds `entries` tokens of the fixture's size, and room to spare.
pub fn room_for(entries: usize) -> TokenCacheSettings {
    TokenCacheSettings::default().entries(entries).bytes(entries.saturating_mul(4096))
}

/// The keys that check tokens of this algorithm.
pub fn keys(fixture: &Fixture, alg: Alg) -> StaticKeys {
    match alg {
        Alg::HS256 => StaticKeys::secret(Algorithm::HS256, SECRET),
        _ => StaticKeys::jwk_set(&fixture.jwks()),
    }
    .expect("the fixture's keys are good")
}

/// A resource server that trusts the fixture.
pub fn server(keys: StaticKeys, cache: TokenCacheSettings) -> ResourceServer {
    ResourceServer::builder(AUDIENCE)
        .trust(Issuer::with_keys(ISSUER, keys).expect("the issuer has a name"))
        .token_cache(cache)
        .build()
        .expect("the settings are sound")
}

/// A resource server that trusts an endpoint's word for opaque tokens, and the token it has asked about already.
pub fn opaque_server(fixture: &Fixture) -> (ResourceServer, Asking) {
    let tokens = OpaqueTokens::verifier(Vouching(fixture.claims(1))).active_life(Duration::from_secs(3600));
    let server = ResourceServer::builder(AUDIENCE)
        .trust(Issuer::without_keys(ISSUER, tokens).expect("the issuer has a name"))
        .build()
        .expect("the settings are sound");
    let request = Asking::with("an-opaque-token-says-nothing-by-itself");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("threads can be had");
    let asked = runtime.block_on(server.authenticate(Presented::request(&request)));
    asked.expect("the endpoint vouches for every token");
    (server, request)
}

/// An endpoint that answers at once and always the same, so that what is left is ours.
#[derive(Debug)]
struct Vouching(String);

impl OpaqueVerifier for Vouching {
    fn identity(&self) -> &str {
        "benchmark"
    }

    fn ask<'a>(&'a self, _: &'a str, _: Timestamp) -> BoxFuture<'a, Result<OpaqueAnswer, OpaqueError>> {
        Box::pin(async { Ok(OpaqueAnswer::Claims(self.0.clone())) })
    }
}

/// Through the gate at once: no network is in reach here.
pub fn ask(server: &ResourceServer, request: &dyn RequestView) -> Result<Verified, ErrorKind> {
    match server.authenticate(Presented::request(request)).now() {
        Ok(outcome) => outcome.map_err(|error| error.kind()),
        Err(_) => panic!("the gate waited for a network that is not there"),
    }
}

/// One measured number, for the driver.
pub fn report(metric: &str, value: f64) {
    println!("{}", serde_json::json!({ "metric": metric, "value": value }));
}

/// Indices below `count`, each once, in an order that no prefetcher guesses.
pub fn shuffled(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for at in (1..count).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        order.swap(at, (state % (at as u64 + 1)) as usize);
    }
    order
}
