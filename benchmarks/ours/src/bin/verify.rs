//! One verification: cold and warm per algorithm, refusals, threads; against the floor and jsonwebtoken in the same rounds.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bench_ours::{Asking, ask, keys, no_cache, opaque_server, report, room_for, server, shuffled};
use harness::fixture::jwk_set;
use harness::rounds::median;
use harness::{AUDIENCE, Alg, Case, Claims, Fixture, Floor, ISSUER, Rounds, fixture::SECRET};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{DecodingKey, Validation, decode};
use token_core::jose::signing::SigningKey;
use token_core::{Algorithm, ErrorKind, Issuer, ResourceServer, StaticKeys, stores::TokenCacheSettings};

fn main() {
    let fixture = Fixture::new();
    for alg in Alg::ALL {
        algorithm(&fixture, alg);
    }
    post_quantum(&fixture);
    cold_table(&fixture);
    hits(&fixture);
    refusals(&fixture);
    threads(&fixture);
}

fn algorithm(fixture: &Fixture, alg: Alg) {
    let token = fixture.token(alg, 1);
    let request = Asking::with(&token);
    let floor = Floor::of(fixture, alg, &token);
    let cold = server(keys(fixture, alg), no_cache());
    let warm = server(keys(fixture, alg), TokenCacheSettings::default());
    let (key, validation) = jsonwebtoken(fixture, alg);
    let table = Rounds::from_env().run(vec![
        Case::new("floor", || floor.verify()),
        // The same once more: what two equal cases differ by is the noise of all the others.
        Case::new("floor_again", || floor.verify()),
        Case::new("cold", || ask(&cold, &request).is_ok()),
        Case::new("typed", || ask(&cold, &request).is_ok_and(|token| token.claims::<Claims>().is_ok())),
        Case::new("warm", || ask(&warm, &request).is_ok()),
        Case::new("jsonwebtoken", || decode::<Claims>(&token, &key, &validation).is_ok()),
    ]);
    let name = alg.name();
    report(&format!("{name}.token_bytes"), token.len() as f64);
    for case in ["floor", "floor_again", "cold", "typed", "warm", "jsonwebtoken"] {
        report(&format!("{name}.{case}.ns"), table.ns(case));
        report(&format!("{name}.{case}.over_floor"), table.ratio(case, "floor"));
        report(&format!("{name}.{case}.extra_ns"), table.extra(case, "floor"));
    }
    report(&format!("{name}.cold.over_jsonwebtoken"), table.ratio("cold", "jsonwebtoken"));
    report(&format!("{name}.typed.over_jsonwebtoken"), table.ratio("typed", "jsonwebtoken"));
    let share = table.extra("cold", "floor") / table.extra("jsonwebtoken", "floor");
    report(&format!("{name}.cold.extra_over_jsonwebtoken_extra"), share);
}

/// ML-DSA-65 (FIPS 204), cold, over the bare check of its signature.
fn post_quantum(fixture: &Fixture) {
    let pem = include_bytes!("../../../../token-test/keys/ml-dsa-65-1.pem");
    let key = SigningKey::from_pem(Algorithm::MlDsa65, Some("ml-dsa-65-2026"), pem).expect("the key is good");
    let header = r#"{"alg":"ML-DSA-65","typ":"at+jwt","kid":"ml-dsa-65-2026"}"#;
    let token = key.sign_jwt(header, &fixture.claims(1)).expect("the key signs");
    let jwk = key.public_jwk().expect("the key has a public half").to_string();
    let trusted = Issuer::with_keys(ISSUER, StaticKeys::jwk_set(&jwk_set(&[jwk.clone()])).expect("the key is good"))
        .expect("a name")
        .algorithms([Algorithm::MlDsa65]);
    let builder = ResourceServer::builder(AUDIENCE).token_cache(no_cache());
    let server = builder.trust(trusted).build().expect("the settings are sound");
    let (floor, request) = (Floor::ml_dsa_65(&jwk, &token), Asking::with(&token));
    let table = Rounds::from_env()
        .run(vec![Case::new("floor", || floor.verify()), Case::new("cold", || ask(&server, &request).is_ok())]);
    report("ML-DSA-65.token_bytes", token.len() as f64);
    report("ML-DSA-65.floor.ns", table.ns("floor"));
    report("ML-DSA-65.cold.ns", table.ns("cold"));
    report("ML-DSA-65.cold.over_floor", table.ratio("cold", "floor"));
    report("ML-DSA-65.cold.extra_ns", table.extra("cold", "floor"));
}

/// RS256 where the best case is not: several issuers, many keys, tokens that come once and a cache that is full.
fn cold_table(fixture: &Fixture) {
    let token = fixture.token(Alg::RS256, 1);
    let floor = Floor::of(fixture, Alg::RS256, &token);
    let request = Asking::with(&token);
    let among = |issuers: usize, key_count: usize, cache: TokenCacheSettings| {
        let others = (1..key_count).map(|n| {
            // Of another fixture, so a stranger's: it is only there to be passed over.
            let key = Fixture::another_ec_key();
            format!(r#"{},"kid":"other-{n:03}"}}"#, key.trim_end_matches('}'))
        });
        let jwks: Vec<_> = others.chain([fixture.jwk(Alg::RS256)]).collect();
        let keys = StaticKeys::jwk_set(&jwk_set(&jwks)).expect("the keys are good");
        let names = (1..issuers).map(|n| format!("https://tenant-{n:05}.login.example.com/"));
        let builder = ResourceServer::builder(AUDIENCE).token_cache(cache);
        let trusted =
            names.chain([ISSUER.to_owned()]).map(|name| Issuer::with_keys(name, keys.clone()).expect("a name"));
        trusted.fold(builder, |builder, issuer| builder.trust(issuer)).build().expect("the settings are sound")
    };
    let distinct = requests(fixture, Alg::RS256, 1000);
    let servers = [
        ("one issuer", among(1, 1, no_cache())),
        ("two issuers", among(2, 1, no_cache())),
        ("1,000 issuers", among(1000, 1, no_cache())),
        ("17 keys", among(1, 17, no_cache())),
        ("100 keys", among(1, 100, no_cache())),
    ];
    let (off, full) = (among(1, 1, no_cache()), among(1, 1, TokenCacheSettings::default().entries(64)));
    let mut cases = vec![Case::new("floor", || floor.verify())];
    for (name, server) in &servers {
        cases.push(Case::new(*name, || ask(server, &request).is_ok()));
    }
    cases.push(Case::new("1,000 tokens, cache off", in_random_order(&off, &distinct)));
    cases.push(Case::new("1,000 tokens, cache of 64, full", in_random_order(&full, &distinct)));
    let names: Vec<_> = cases.iter().skip(1).map(|case| case.name.clone()).collect();
    let table = Rounds::from_env().run(cases);
    for name in names {
        report(&format!("cold.{name}.over_floor"), table.ratio(&name, "floor"));
        report(&format!("cold.{name}.extra_ns"), table.extra(&name, "floor"));
    }
}

fn jsonwebtoken(fixture: &Fixture, alg: Alg) -> (DecodingKey, Validation) {
    let key = match alg {
        Alg::HS256 => DecodingKey::from_secret(SECRET),
        alg => {
            let jwk: Jwk = serde_json::from_str(&fixture.jwk(alg)).expect("the fixture's JWK is good");
            DecodingKey::from_jwk(&jwk).expect("the fixture's JWK is good")
        }
    };
    let mut validation = Validation::new(alg.name().parse().expect("jsonwebtoken knows the algorithm"));
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[ISSUER]);
    (key, validation)
}

/// Requests of the first `count` subjects, signed with what signs fastest where there are many.
fn requests(fixture: &Fixture, alg: Alg, count: usize) -> Vec<Asking> {
    (0..count).map(|n| Asking::with(&fixture.token(alg, n))).collect()
}

/// Asks for the next request of a shuffled list, for ever.
fn in_random_order<'a>(server: &'a ResourceServer, requests: &'a [Asking]) -> impl FnMut() -> bool + 'a {
    for request in requests {
        assert!(ask(server, request).is_ok(), "every token is good");
    }
    let order = shuffled(requests.len());
    let mut at = 0;
    move || {
        at = if at + 1 == order.len() { 0 } else { at + 1 };
        ask(server, &requests[order[at]]).is_ok()
    }
}

/// The same as a server meets it: the request has just been read from a socket, and lies in memory that is in use anyway. The copy is
/// part of the time.
fn just_read<'a>(server: &'a ResourceServer, requests: &'a [Asking]) -> impl FnMut() -> bool + 'a {
    drop(in_random_order(server, requests));
    let order = shuffled(requests.len());
    let (mut at, mut read) = (0, Asking::with(""));
    move || {
        at = if at + 1 == order.len() { 0 } else { at + 1 };
        read.read(&requests[order[at]]);
        ask(server, &read).is_ok()
    }
}

/// What no cache can do without that compares whole tokens: it reads the request's and the remembered one.
fn compared<'a>(requests: &'a [Asking], copies: &'a [Asking]) -> impl FnMut() -> bool + 'a {
    let order = shuffled(requests.len());
    let mut at = 0;
    move || {
        at = if at + 1 == order.len() { 0 } else { at + 1 };
        requests[order[at]] == copies[order[at]]
    }
}

fn hits(fixture: &Fixture) {
    let token = fixture.token(Alg::RS256, 1);
    let floor = Floor::of(fixture, Alg::RS256, &token);
    let hot = [Asking::with(&token)];
    let (thousand, many) = (requests(fixture, Alg::RS256, 1000), requests(fixture, Alg::EdDSA, 50_000));
    let copies = thousand.clone();
    let all = || keys(fixture, Alg::RS256);
    let (one, some, lots) =
        (server(all(), TokenCacheSettings::default()), server(all(), room_for(4096)), server(all(), room_for(262_144)));
    let digests = server(all(), TokenCacheSettings::default().keep_digests());
    let typed = server(all(), TokenCacheSettings::default());
    let (opaque, vouched) = opaque_server(fixture);
    let table = Rounds::from_env().run(vec![
        Case::new("floor", || floor.verify()),
        Case::new("1", in_random_order(&one, &hot)),
        Case::new("1000", in_random_order(&some, &thousand)),
        Case::new("1000.just_read", just_read(&some, &thousand)),
        Case::new("1000.compared", compared(&thousand, &copies)),
        Case::new("digest", in_random_order(&digests, &hot)),
        Case::new("opaque", || ask(&opaque, &vouched).is_ok()),
        Case::new("typed", || ask(&typed, &hot[0]).is_ok_and(|token| token.claims::<Claims>().is_ok())),
    ]);
    // In rounds of its own: what it reads is more than the processor's caches hold, and they would be empty for everybody else.
    let crowd = Rounds::from_env()
        .run(vec![Case::new("floor", || floor.verify()), Case::new("50000", in_random_order(&lots, &many))]);
    let names = ["1", "opaque", "1000", "1000.just_read", "1000.compared", "digest", "typed"];
    for (case, table) in names.map(|name| (name, &table)).into_iter().chain([("50000", &crowd)]) {
        report(&format!("hit.{case}.ns"), table.ns(case));
        report(&format!("hit.{case}.over_rs256_floor"), table.ratio(case, "floor"));
    }
}

fn refusals(fixture: &Fixture) {
    let token = fixture.token(Alg::RS256, 1);
    let floor = Floor::of(fixture, Alg::RS256, &token);
    let server = server(keys(fixture, Alg::RS256), TokenCacheSettings::default());
    let signature = fixture.token(Alg::RS256, 2).rsplit_once('.').map(|(_, signature)| signature.to_owned());
    let signed = token.rsplit_once('.').expect("a JWS has dots").0;
    let claims = signed.split_once('.').expect("a JWS has dots").1;
    let bad_claims = format!("{}!", &claims[..claims.len() - 1]);
    let cases = [
        ("bad_signature", format!("{signed}.{}", signature.expect("a JWS has dots")), None),
        (
            "unknown_kid",
            fixture.sign(Alg::RS256, "made-up-by-someone", &fixture.claims(1)),
            Some(ErrorKind::UnknownKey),
        ),
        (
            "unknown_issuer",
            fixture.sign(Alg::RS256, "rsa-sig-2026", &fixture.claims_of("https://b/", 1)),
            Some(ErrorKind::UnknownIssuer),
        ),
        ("malformed.no_dots", "a".repeat(1000), Some(ErrorKind::Malformed)),
        ("malformed.claims", token.replace(claims, &bad_claims), Some(ErrorKind::InvalidRequest)),
        ("malformed.json", token.replace(claims, "e30x"), Some(ErrorKind::Malformed)),
    ];
    let requests: Vec<_> = cases.iter().map(|(name, token, kind)| (*name, Asking::with(token), *kind)).collect();
    let mut timed = vec![Case::new("floor", || floor.verify())];
    for (name, request, kind) in &requests {
        let found = ask(&server, request).expect_err("it is refused");
        assert!(kind.is_none_or(|kind| kind == found), "{name}: {found:?}");
        timed.push(Case::new(*name, || ask(&server, request).is_err()));
    }
    let table = Rounds::from_env().run(timed);
    for (name, ..) in &requests {
        report(&format!("refusal.{name}.ns"), table.ns(name));
        report(&format!("refusal.{name}.over_rs256_floor"), table.ratio(name, "floor"));
    }
}

/// Operations per second of one thread, of two on tokens of their own, and of two on one token; and what the machine itself makes of a
/// second thread, by the bare signature.
fn threads(fixture: &Fixture) {
    let requests = requests(fixture, Alg::EdDSA, 1000);
    let server = server(keys(fixture, Alg::EdDSA), room_for(4096));
    let (first, second) = requests.split_at(500);
    let hot = &requests[..1];
    drop(in_random_order(&server, &requests));
    let rounds = Rounds::from_env().rounds.div_ceil(4);
    let floor = Floor::of(fixture, Alg::EdDSA, &fixture.token(Alg::EdDSA, 1));
    let cases: [(&str, &Making<'_>, &Making<'_>); 3] = [
        ("hot", &|| Box::new(in_random_order(&server, hot)), &|| Box::new(in_random_order(&server, hot))),
        ("random", &|| Box::new(in_random_order(&server, first)), &|| Box::new(in_random_order(&server, second))),
        ("floor", &|| Box::new(|| floor.verify()), &|| Box::new(|| floor.verify())),
    ];
    let mut ratios = cases.map(|_| Vec::new());
    for _ in 0..rounds {
        for ((_, one, other), ratios) in cases.iter().zip(&mut ratios) {
            ratios.push(throughput(&[one, other]) / throughput(&[one]));
        }
    }
    for ((name, ..), ratios) in cases.into_iter().zip(ratios) {
        report(&format!("threads.2_over_1.{name}"), median(ratios));
    }
}

/// Makes, on the thread that runs it, what is run.
type Making<'a> = dyn Fn() -> Box<dyn FnMut() -> bool + 'a> + Sync + 'a;

/// Runs per second of as many threads as there are makers.
fn throughput(makers: &[&Making<'_>]) -> f64 {
    const AT_ONCE: u64 = 16;
    let (start, stop) = (Barrier::new(makers.len() + 1), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let threads: Vec<_> = makers
            .iter()
            .map(|make| {
                scope.spawn(|| {
                    let mut next = make();
                    start.wait();
                    let (from, mut count) = (Instant::now(), 0_u64);
                    while !stop.load(Ordering::Relaxed) {
                        for _ in 0..AT_ONCE {
                            assert!(next());
                        }
                        count += AT_ONCE;
                    }
                    count as f64 / from.elapsed().as_secs_f64()
                })
            })
            .collect();
        start.wait();
        std::thread::sleep(Duration::from_millis(10));
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).sum()
    })
}
