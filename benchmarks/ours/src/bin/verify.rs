//! One verification: cold and warm per algorithm, refusals, threads; against the floor and jsonwebtoken in the same rounds.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bench_ours::{Asking, ask, keys, no_cache, opaque_server, report, room_for, server, shuffled};
use harness::rounds::median;
use harness::{AUDIENCE, Alg, Case, Claims, Fixture, Floor, ISSUER, Rounds, fixture::SECRET};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{DecodingKey, Validation, decode};
use token_core::{ErrorKind, ResourceServer, TokenCacheSettings};

fn main() {
    let fixture = Fixture::new();
    for alg in Alg::ALL {
        algorithm(&fixture, alg);
    }
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
        Case::new("cold", || ask(&cold, &request).is_ok()),
        Case::new("typed", || ask(&cold, &request).is_ok_and(|token| token.claims::<Claims>().is_ok())),
        Case::new("warm", || ask(&warm, &request).is_ok()),
        Case::new("jsonwebtoken", || decode::<Claims>(&token, &key, &validation).is_ok()),
    ]);
    let name = alg.name();
    report(&format!("{name}.token_bytes"), token.len() as f64);
    for case in ["floor", "cold", "typed", "warm", "jsonwebtoken"] {
        report(&format!("{name}.{case}.ns"), table.ns(case));
        report(&format!("{name}.{case}.over_floor"), table.ratio(case, "floor"));
        report(&format!("{name}.{case}.extra_ns"), table.extra(case, "floor"));
    }
    report(&format!("{name}.cold.over_jsonwebtoken"), table.ratio("cold", "jsonwebtoken"));
    report(&format!("{name}.typed.over_jsonwebtoken"), table.ratio("typed", "jsonwebtoken"));
    let share = table.extra("cold", "floor") / table.extra("jsonwebtoken", "floor");
    report(&format!("{name}.cold.extra_over_jsonwebtoken_extra"), share);
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

fn hits(fixture: &Fixture) {
    let token = fixture.token(Alg::RS256, 1);
    let floor = Floor::of(fixture, Alg::RS256, &token);
    let hot = [Asking::with(&token)];
    let (thousand, many) = (requests(fixture, Alg::RS256, 1000), requests(fixture, Alg::EdDSA, 50_000));
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
        Case::new("digest", in_random_order(&digests, &hot)),
        Case::new("opaque", || ask(&opaque, &vouched).is_ok()),
        Case::new("typed", || ask(&typed, &hot[0]).is_ok_and(|token| token.claims::<Claims>().is_ok())),
    ]);
    // In rounds of its own: what it reads is more than the processor's caches hold, and they would be empty for everybody else.
    let crowd = Rounds::from_env().run(vec![
        Case::new("floor", || floor.verify()),
        Case::new("50000", in_random_order(&lots, &many)),
    ]);
    for (case, table) in
        [("1", &table), ("opaque", &table), ("1000", &table), ("50000", &crowd), ("digest", &table), ("typed", &table)]
    {
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

/// Operations per second of one thread, of two on tokens of their own, and of two on one token.
fn threads(fixture: &Fixture) {
    let requests = requests(fixture, Alg::EdDSA, 1000);
    let server = server(keys(fixture, Alg::EdDSA), room_for(4096));
    let (first, second) = requests.split_at(500);
    let hot = &requests[..1];
    drop(in_random_order(&server, &requests));
    let rounds = Rounds::from_env().rounds.div_ceil(4);
    let mut ratios = [const { Vec::new() }; 2];
    for _ in 0..rounds {
        let one_hot = throughput(&server, &[hot]);
        ratios[0].push(throughput(&server, &[hot, hot]) / one_hot);
        let one = throughput(&server, &[first]);
        ratios[1].push(throughput(&server, &[first, second]) / one);
    }
    for (name, ratios) in ["hot", "random"].into_iter().zip(ratios) {
        report(&format!("threads.2_over_1.{name}"), median(ratios));
    }
}

/// Requests per second of as many threads as there are lists.
fn throughput(server: &ResourceServer, lists: &[&[Asking]]) -> f64 {
    let (start, stop) = (Barrier::new(lists.len() + 1), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let threads: Vec<_> = lists
            .iter()
            .map(|requests| {
                scope.spawn(|| {
                    let mut next = in_random_order(server, requests);
                    start.wait();
                    let (from, mut count) = (Instant::now(), 0_u64);
                    while !stop.load(Ordering::Relaxed) {
                        for _ in 0..64 {
                            assert!(next());
                        }
                        count += 64;
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
