//! What was to be reached: each goal with its bounds, how it is measured, and why it is not reached where it is not.

use crate::measured::Measured;

pub struct Goal {
    pub what: &'static str,
    pub pass: f64,
    pub stretch: f64,
    /// At least, and not at most.
    pub at_least: bool,
    pub value: fn(&Measured) -> Option<f64>,
    /// What two equal servers differed by in the same run.
    pub noise: fn(&Measured) -> f64,
}

/// Ratios in one process: the cases take turns within milliseconds.
const fn none(_: &Measured) -> f64 {
    0.0
}

fn axum_noise(measured: &Measured) -> f64 {
    measured.get("web.axum 0.8, no layer, once more.ratio").map_or(0.0, |ratio| (ratio - 1.0).abs())
}

fn axum_cpu_noise(measured: &Measured) -> f64 {
    measured.get("web.axum 0.8, no layer, once more.extra_cpu_us").map_or(0.0, f64::abs)
}

fn actix_cpu_noise(measured: &Measured) -> f64 {
    measured.get("web.actix-web 4, no layer, once more.extra_cpu_us").map_or(0.0, f64::abs)
}

fn actix_noise(measured: &Measured) -> f64 {
    measured.get("web.actix-web 4, no layer, once more.ratio").map_or(0.0, |ratio| (ratio - 1.0).abs())
}

const fn most(what: &'static str, pass: f64, stretch: f64, value: fn(&Measured) -> Option<f64>) -> Goal {
    Goal { what, pass, stretch, at_least: false, value, noise: none }
}

const fn least(what: &'static str, pass: f64, stretch: f64, value: fn(&Measured) -> Option<f64>) -> Goal {
    Goal { what, pass, stretch, at_least: true, value, noise: none }
}

pub const GOALS: &[Goal] = &[
    most("RS256 cold / bare signature", 1.06, 1.04, |m| m.get("RS256.cold.over_floor")),
    most("PS256 cold / bare signature", 1.06, 1.04, |m| m.get("PS256.cold.over_floor")),
    most("ES256 cold / bare signature", 1.02, 1.01, |m| m.get("ES256.cold.over_floor")),
    most("ES384 cold / bare signature", 1.02, 1.01, |m| m.get("ES384.cold.over_floor")),
    most("EdDSA cold / bare signature", 1.03, 1.01, |m| m.get("EdDSA.cold.over_floor")),
    most("RS256 cold, two issuers / bare signature", 1.06, 1.04, |m| m.get("cold.two issuers.over_floor")),
    most("RS256 cold, 17 keys / bare signature", 1.06, 1.04, |m| m.get("cold.17 keys.over_floor")),
    most("RS256 cold, 1,000 tokens, cache full / bare signature", 1.08, 1.06, |m| {
        m.get("cold.1,000 tokens, cache of 64, full.over_floor")
    }),
    most("ML-DSA-65 cold / bare signature", 1.02, 1.01, |m| m.get("ML-DSA-65.cold.over_floor")),
    most("opaque token, first question / hand-written, without the network", 1.05, 1.0, |m| {
        m.get("opaque.first.over_by_hand")
    }),
    most("`token check`, EdDSA / loop over jsonwebtoken, both on all cores", 0.5, 0.5, |m| {
        m.get("check.EdDSA.over_jsonwebtoken")
    }),
    most("a server of 10,000 issuers is built in, ms", 50.0, 25.0, |m| m.get("scale.issuers.10000.build_ms")),
    most("RS256 typed / RS256 cold", 1.02, 1.01, |m| Some(m.get("RS256.typed.ns")? / m.get("RS256.cold.ns")?)),
    most("RS256 typed / jsonwebtoken 11 typed", 0.72, 0.70, |m| m.get("RS256.typed.over_jsonwebtoken")),
    least("hit rate, Zipf 1.0 over 50,000, 10,000 entries / moka's", 1.0, 1.0, |m| m.get("rate.zipf.over_moka")),
    least("hit rate of 1,000 hot tokens beside 50 % that come once", 0.99, 1.0, |m| m.get("rate.once.50.ours")),
    least("hit rate of 1,000 hot tokens beside 90 % that come once", 0.96, 0.99, |m| m.get("rate.once.90.ours")),
    most("RS256 cold / jsonwebtoken 11 on aws-lc-rs", 0.77, 0.72, |m| m.get("RS256.cold.over_jsonwebtoken")),
    most("ES256 cold / jsonwebtoken 11 on aws-lc-rs", 0.92, 0.89, |m| m.get("ES256.cold.over_jsonwebtoken")),
    most("EdDSA cold / jsonwebtoken 11 on aws-lc-rs", 0.93, 0.90, |m| m.get("EdDSA.cold.over_jsonwebtoken")),
    most("cold / the fastest Rust peer, the worst algorithm of those both have", 1.0, 1.0, against_peers),
    most("HS256: extra over the MAC / jsonwebtoken's extra", 0.35, 0.10, |m| {
        m.get("HS256.cold.extra_over_jsonwebtoken_extra")
    }),
    most("warm hit, 1 hot token / RS256 floor", 0.007, 0.005, |m| m.get("hit.1.over_rs256_floor")),
    most("warm hit, 1,000 tokens in random order / RS256 floor", 0.015, 0.009, |m| m.get("hit.1000.over_rs256_floor")),
    least("warm, 2 threads on one hot token / 1 thread", 1.8, 2.0, |m| m.get("threads.2_over_1.hot")),
    Goal {
        noise: axum_noise,
        ..least("axum, warm / no layer, requests per second", 0.95, 0.98, |m| m.get("web.axum 0.8, ours, warm.ratio"))
    },
    Goal {
        noise: actix_noise,
        ..least("actix-web, warm / no layer, requests per second", 0.95, 0.98, |m| {
            m.get("web.actix-web 4, ours, warm.ratio")
        })
    },
    Goal {
        noise: axum_cpu_noise,
        ..most("axum, warm, CPU per request beyond an empty layer, µs", 0.15, 0.10, |m| {
            m.get("web.axum 0.8, ours, warm.beyond_empty_us")
        })
    },
    Goal {
        noise: actix_cpu_noise,
        ..most("actix-web, warm, CPU per request beyond an empty layer, µs", 0.15, 0.10, |m| {
            m.get("web.actix-web 4, ours, warm.beyond_empty_us")
        })
    },
    most("p99 of known-key requests during a kid flood / in peace", 1.1, 1.1, |m| m.get("stress.kid flood.over_peace")),
    most("p99 of known-key requests during a rotation / in peace", 1.1, 1.1, |m| m.get("stress.rotation.over_peace")),
    most("p99 of known-key requests under a dead issuer / in peace", 1.1, 1.1, |m| {
        m.get("stress.dead issuer.over_peace")
    }),
    most("bytes per cached entry, token kept", 1900.0, 1600.0, |m| m.get("memory.token.bytes_per_entry")),
    most("bytes per cached entry, digest", 900.0, 650.0, |m| m.get("memory.digest.bytes_per_entry")),
    most("remembered token and fresh proof (ES256) / bare signature", 1.10, 1.05, |m| m.get("proof.over_floor")),
    most("the same / the faster of huskarl-resource-server and dpop-verifier", 0.6, 0.5, against_proving_peers),
    least("proofs of one key, 2 threads / 1 thread", 1.8, 1.95, |m| m.get("proof.threads.one_key")),
    most("malformed token / RS256 floor (the worst of three)", 0.010, 0.005, malformed),
    most("unknown kid / RS256 floor", 0.05, 0.03, |m| m.get("refusal.unknown_kid.over_rs256_floor")),
];

fn malformed(measured: &Measured) -> Option<f64> {
    let values =
        ["no_dots", "claims", "json"].map(|how| measured.get(&format!("refusal.malformed.{how}.over_rs256_floor")));
    values.into_iter().try_fold(0.0, |worst: f64, value| Some(worst.max(value?)))
}

/// Our ratio to the floor over the best peer's, for the algorithm where that is worst. Each process has a floor of its own.
fn against_peers(measured: &Measured) -> Option<f64> {
    let algorithms = ["RS256", "PS256", "ES256", "ES384", "EdDSA"];
    let each = algorithms.iter().filter_map(|alg| {
        let ours = measured.get(&format!("{alg}.cold.over_floor"))?;
        let peers = measured.peers.iter().filter(|(peer, of, _)| of == alg && !peer.contains("Node"));
        let best = peers.filter_map(|(.., fields)| fields.get("ratio")).copied().min_by(f64::total_cmp)?;
        Some(ours / best)
    });
    each.max_by(f64::total_cmp)
}

/// Our ratio to the floor with a proof over the best peer's. Each process has a floor of its own.
fn against_proving_peers(measured: &Measured) -> Option<f64> {
    let peers = measured.peers.iter().filter(|(_, of, _)| of == "proof");
    let best = peers.filter_map(|(.., fields)| fields.get("ratio")).copied().min_by(f64::total_cmp)?;
    Some(measured.get("proof.over_floor")? / best)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Stretch,
    Reached,
    Missed,
    /// Two equal servers differ by as much as lies between the value and the bound.
    WithinNoise,
    NotMeasured,
}

impl Goal {
    pub fn verdict(&self, measured: &Measured) -> Verdict {
        let Some(value) = (self.value)(measured) else { return Verdict::NotMeasured };
        let reaches = |bound: f64| if self.at_least { value >= bound } else { value <= bound };
        if (value - self.pass).abs() < (self.noise)(measured) {
            return Verdict::WithinNoise;
        }
        match (reaches(self.stretch), reaches(self.pass)) {
            (true, _) => Verdict::Stretch,
            (_, true) => Verdict::Reached,
            _ => Verdict::Missed,
        }
    }
}
