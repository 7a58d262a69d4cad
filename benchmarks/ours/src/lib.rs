//! The toolkit as the benchmarks call it: a server over the fixture's keys, a request that carries a token.

use harness::{AUDIENCE, Alg, Fixture, ISSUER, fixture::SECRET};
use token_core::{
    Algorithm, ErrorKind, Issuer, Presented, RequestView, ResourceServer, StaticKeys, TokenCacheSettings, Verified,
};

/// A request with one authorization header, as a framework hands it over.
pub struct Asking(Vec<u8>);

impl Asking {
    pub fn with(token: &str) -> Self {
        Self(format!("Bearer {token}").into_bytes())
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

/// Through the gate at once: no network is in reach here.
pub fn ask(server: &ResourceServer, request: &Asking) -> Result<Verified, ErrorKind> {
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
