//! RESULTS.md: machine, versions, the command, each goal and whether it was reached, every table and plot.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::goals::{GOALS, Verdict};
use crate::measured::Measured;
use crate::plot::{bars, lines, number};
use crate::{Plan, build, here, web};

const COLD: [&str; 7] = [
    "one issuer",
    "two issuers",
    "1,000 issuers",
    "17 keys",
    "100 keys",
    "1,000 tokens, cache off",
    "1,000 tokens, cache of 64, full",
];
const ALGORITHMS: [&str; 6] = ["RS256", "PS256", "ES256", "ES384", "EdDSA", "HS256"];

pub fn write(plan: &Plan, measured: &Measured, took: Duration) {
    let mut text = head(plan, took);
    goals(&mut text, measured);
    algorithms(&mut text, measured);
    post_quantum_and_opaque(&mut text, measured);
    cold(&mut text, measured);
    rates(&mut text, measured);
    hits(&mut text, measured);
    proofs(&mut text, measured);
    check(&mut text, measured);
    peers(&mut text, measured);
    web(&mut text, plan, measured);
    scale(&mut text, measured);
    for failure in &measured.failures {
        eprintln!("not measured: {failure}");
    }
    if !measured.failures.is_empty() {
        text.push_str("\n## What could not be measured\n\n");
        for failure in &measured.failures {
            let _ = writeln!(text, "- {failure}");
        }
    }
    // Written by hand: what stands in the way, with the profile that shows it.
    if let Ok(notes) = fs::read_to_string(here().join("NOTES.md")) {
        text.push('\n');
        text.push_str(&notes);
    }
    save("RESULTS.md", &text);
}

fn save(name: &str, text: &str) {
    let path = here().join(name);
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
    match written {
        Ok(()) => eprintln!("wrote {}", path.display()),
        Err(error) => eprintln!("{}: {error}", path.display()),
    }
}

fn said(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("not there").trim().to_owned()
}

fn head(plan: &Plan, took: Duration) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or("")
        .trim_matches([' ', '\t', ':'])
        .to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = said("uname", &["-sr"]);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "# Results\n\nWritten by `cargo xtask bench` ({} rounds, measured in {:.0} s); do not edit by hand.\n\n\
         - machine: {cores} virtual cores, {model}, {kernel}; load average at the end: {}\n\
         - {}, release profile (opt-level 3, 16 units, no LTO), the system's allocator; Node {}; wrk with 16 connections on a core of its own\n\
         - floor: `aws-lc-rs` 1.19 by its fastest way to the verdict (prepared key, digest made outside, ECDSA in DER), message and signature at hand, in the same process and the same rounds\n\
         - **ratio**: the median over rounds of (case / floor in the same round); rounds are slices of about 1 ms in rotating order. \
         Ratios are to be trusted, absolute times are of a shared machine.\n\
         - token: what Auth0 writes, `at+jwt`, two audiences, six scopes, six permissions\n",
        plan.rounds,
        took.as_secs_f64(),
        load.split(' ').next().unwrap_or_default(),
        said("rustc", &["-V"]),
        said("node", &["--version"]),
    )
}

fn goals(text: &mut String, measured: &Measured) {
    text.push_str("\n## Goals\n\n| | goal | stretch | measured | |\n|---|---|---|---|---|\n");
    for goal in GOALS {
        let sign = if goal.at_least { "≥" } else { "≤" };
        let verdict = match goal.verdict(measured) {
            Verdict::Stretch => "stretch",
            Verdict::Reached => "reached",
            Verdict::Missed => "**missed**",
            Verdict::WithinNoise => "within the noise",
            Verdict::NotMeasured => "not measured",
        };
        let value = (goal.value)(measured).map_or_else(|| "–".to_owned(), exact);
        let _ = writeln!(text, "| {} | {sign} {} | {} | {value} | {verdict} |", goal.what, goal.pass, goal.stretch);
    }
}

/// Three digits behind the point: goals are a few percent apart.
fn exact(value: f64) -> String {
    if value >= 100.0 { number(value) } else { format!("{value:.4}") }
}

fn cell(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), number)
}

fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"))
}

fn algorithms(text: &mut String, measured: &Measured) {
    text.push_str(
        "\n## One verification\n\n`cold`: no cache, through the gate, from the header field to a verified token. `typed`: and the claims as the user's struct. \
         `warm`: from the cache.\n\n| | token, bytes | floor, µs | cold, µs | cold / floor | typed / floor | warm / floor | cold / jsonwebtoken 11 | typed / jsonwebtoken 11 |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    for alg in ALGORITHMS {
        let get = |name: &str| measured.get(&format!("{alg}.{name}"));
        let micro = |name: &str| get(name).map(|ns| ns / 1000.0);
        let _ = writeln!(
            text,
            "| {alg} | {} | {} | {} | {} | {} | {} | {} | {} |",
            cell(get("token_bytes")),
            cell(micro("floor.ns")),
            cell(micro("cold.ns")),
            ratio(get("cold.over_floor")),
            ratio(get("typed.over_floor")),
            get("warm.over_floor").map_or_else(|| "–".to_owned(), |value| format!("{value:.4}")),
            ratio(get("cold.over_jsonwebtoken")),
            ratio(get("typed.over_jsonwebtoken")),
        );
    }
}

fn cold(text: &mut String, measured: &Measured) {
    text.push_str(
        "\n## Where the best case is not\n\nRS256 over the bare signature, in the same rounds. Repeat with `cargo xtask bench --ours --no-web`.\n\n| | / floor | beyond it, ns |\n|---|---|---|\n",
    );
    for name in COLD {
        let get = |field: &str| measured.get(&format!("cold.{name}.{field}"));
        let _ = writeln!(text, "| {name} | {} | {} |", ratio(get("over_floor")), cell(get("extra_ns")));
    }
    let again: Vec<_> =
        ALGORITHMS.iter().filter_map(|alg| measured.get(&format!("{alg}.floor_again.over_floor"))).collect();
    let noise = again.iter().map(|ratio| (ratio - 1.0).abs()).fold(0.0, f64::max);
    let _ = writeln!(
        text,
        "\nThe floor over itself, measured as two cases, is off 1 by {noise:.4} at most: no ratio above is truer than that."
    );
}

fn post_quantum_and_opaque(text: &mut String, measured: &Measured) {
    let get = |name: &str| measured.get(name);
    text.push_str("\n## Signatures after quantum computers\n\nML-DSA-65 (FIPS 204), cold, `verify` as above.\n\n| | token, bytes | floor, µs | cold, µs | cold / floor |\n|---|---|---|---|---|\n");
    let micro = |name: &str| get(name).map(|ns| ns / 1000.0);
    let _ = writeln!(
        text,
        "| ML-DSA-65 | {} | {} | {} | {} |",
        cell(get("ML-DSA-65.token_bytes")),
        cell(micro("ML-DSA-65.floor.ns")),
        cell(micro("ML-DSA-65.cold.ns")),
        ratio(get("ML-DSA-65.cold.over_floor")),
    );
    text.push_str(
        "\n## The first question about an opaque token\n\nIntrospection (RFC 7662) over loopback, on one thread, of an endpoint in another process: `cargo run --release --bin opaque` in `benchmarks/ours`. \
         By hand: reqwest, the answer into a type, `iss`, `aud` and `exp` looked at, moka. The bare exchange writes the same bytes into a socket and reads the answer. Processor time: nobody's wait counts.\n\n| | µs |\n|---|---|\n",
    );
    for (name, metric) in [("the bare exchange", "bare"), ("by hand", "by_hand"), ("**ours**", "ours")] {
        let _ = writeln!(text, "| {name} | {} |", cell(get(&format!("opaque.first.{metric}.us"))));
    }
    let _ = writeln!(
        text,
        "\nOurs over the hand-written one: {}; without the bare exchange {}.",
        ratio(get("opaque.first.over_by_hand_with_network")),
        ratio(get("opaque.first.over_by_hand")),
    );
}

fn check(text: &mut String, measured: &Measured) {
    text.push_str(
        "\n## `token check` over a file\n\nGood tokens, all different, on all cores; the program's start included. Repeat with `cargo run --release --bin check PROGRAM 20000` in `benchmarks/ours`.\n\n\
         | | tokens a second | time / loop over jsonwebtoken | time / bare signature |\n|---|---|---|---|\n",
    );
    for alg in ["EdDSA", "ES256", "RS256"] {
        let get = |field: &str| measured.get(&format!("check.{alg}.{field}"));
        let _ = writeln!(
            text,
            "| {alg} | {} | {} | {} |",
            cell(get("per_second")),
            ratio(get("over_jsonwebtoken")),
            ratio(get("over_floor"))
        );
    }
}

fn rates(text: &mut String, measured: &Measured) {
    text.push_str(
        "\n## What the cache keeps\n\nShare of requests whose token was remembered; `moka` 0.12 at as many entries and over the same requests. \
         Counted, not timed: `cargo run --release --bin hits` in `benchmarks/ours`.\n\n| | ours | moka | ours / moka |\n|---|---|---|---|\n",
    );
    for (name, metric) in [
        ("Zipf 1.0 over 50,000 tokens, 10,000 entries", "zipf"),
        ("1,000 hot tokens beside 50 % that come once, 4,096 entries", "once.50"),
        ("1,000 hot tokens beside 90 % that come once, 4,096 entries", "once.90"),
        ("300 clients, each token used ten times and never again, 512 entries", "short_lived"),
    ] {
        let get = |field: &str| ratio(measured.get(&format!("rate.{metric}.{field}")));
        let _ = writeln!(text, "| {name} | {} | {} | {} |", get("ours"), get("moka"), get("over_moka"));
    }
}

fn hits(text: &mut String, measured: &Measured) {
    text.push_str("\n## Hits and refusals\n\nThrough the gate, clock included, against the RS256 floor.\n\n| | ns | / RS256 floor |\n|---|---|---|\n");
    let rows = [
        ("hit, 1 hot token", "hit.1"),
        ("hit, 1 hot opaque token", "hit.opaque"),
        ("hit, 1,000 tokens in random order", "hit.1000"),
        ("the same, with the request read into memory in use (copy included)", "hit.1000.just_read"),
        ("the same without a cache: the two texts compared, and nothing else", "hit.1000.compared"),
        ("hit, 50,000 tokens in random order (EdDSA)", "hit.50000"),
        ("hit, 1 hot token, digests kept", "hit.digest"),
        ("hit, 1 hot token, claims as the user's struct", "hit.typed"),
        ("malformed: no dots", "refusal.malformed.no_dots"),
        ("malformed: claims not base64url", "refusal.malformed.claims"),
        ("malformed: claims not JSON", "refusal.malformed.json"),
        ("unknown issuer", "refusal.unknown_issuer"),
        ("unknown kid", "refusal.unknown_kid"),
        ("bad signature", "refusal.bad_signature"),
    ];
    for (name, metric) in rows {
        let over = measured
            .get(&format!("{metric}.over_rs256_floor"))
            .map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
        let _ = writeln!(text, "| {name} | {} | {over} |", cell(measured.get(&format!("{metric}.ns"))));
    }
    let _ = writeln!(
        text,
        "\nTwo threads over one: {} on one hot token, {} on 500 tokens each; {} by the bare signature (Ed25519), which is all that this machine's second core gives. Bytes of heap per remembered token: {} with the token kept, {} with its digest.",
        cell(measured.get("threads.2_over_1.hot")),
        cell(measured.get("threads.2_over_1.random")),
        cell(measured.get("threads.2_over_1.floor")),
        cell(measured.get("memory.token.bytes_per_entry")),
        cell(measured.get("memory.digest.bytes_per_entry")),
    );
}

fn proofs(text: &mut String, measured: &Measured) {
    text.push_str(
        "\n## Proofs of possession\n\nA remembered token with a fresh proof (DPoP, ES256) on each request, through the gate. The floor is the bare check of such signatures, \
         another one each time, with a prepared key. huskarl verifies token and proof each time; dpop-verifier looks at the proof alone.\n\n\
         | | / floor |\n|---|---|\n",
    );
    for (name, metric) in [("**ours**", "proof.over_floor"), ("**ours, with a nonce**", "nonce.over_floor")] {
        let _ = writeln!(text, "| {name} | {} |", ratio(measured.get(metric)));
    }
    for (name, _, fields) in measured.peers.iter().filter(|(_, of, _)| of == "proof") {
        let _ = writeln!(text, "| {name} | {} |", ratio(fields.get("ratio").copied()));
    }
    let _ = writeln!(
        text,
        "\nThe floor takes {} ns, a look into the memory of proofs {} ns. Two threads over one, without what they waited for a core: {} with proofs of one key, {} with two keys, {} by the bare signature. \
         A remembered bearer token where proofs are taken, over one where they are not: {}.",
        cell(measured.get("proof.floor_ns")),
        cell(measured.get("proof.remember_ns")),
        cell(measured.get("proof.threads.one_key")),
        cell(measured.get("proof.threads.two_keys")),
        cell(measured.get("proof.threads.bare")),
        cell(measured.get("proof.bearer_over_without")),
    );
}

fn peers(text: &mut String, measured: &Measured) {
    if measured.peers.is_empty() {
        return;
    }
    let mut names: Vec<&str> = Vec::new();
    for (name, of, _) in &measured.peers {
        if of != "proof" && !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    text.push_str("\n## Against the peers\n\nEach in a process of its own, over the floor of that process (Node's over Node's own `crypto.verify`); in brackets the microseconds beyond it.\n\n");
    text.push_str("| | RS256 | PS256 | ES256 | ES384 | EdDSA | HS256 |\n|---|---|---|---|---|---|---|\n");
    let shown = |value: Option<f64>, extra: Option<f64>| match (value, extra) {
        (Some(value), Some(extra)) => format!("{} ({})", number(value), number(extra / 1000.0)),
        _ => "–".to_owned(),
    };
    for (name, case) in [("**ours, cold**", "cold"), ("**ours, cold, typed**", "typed"), ("**ours, warm**", "warm")] {
        let cells = ALGORITHMS.map(|alg| {
            let get = |field: &str| measured.get(&format!("{alg}.{case}.{field}"));
            shown(get("over_floor"), get("extra_ns"))
        });
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    }
    for name in &names {
        let cells =
            ALGORITHMS.map(|alg| shown(measured.peer(name, alg, "ratio"), measured.peer(name, alg, "extra_ns")));
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    }
    let mut rows = vec![("ours, cold".to_owned(), measured.get("RS256.cold.over_floor"))];
    rows.extend(names.iter().map(|name| ((*name).to_owned(), measured.peer(name, "RS256", "ratio"))));
    let rows: Vec<_> = rows.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    save(
        "plots/peers-rs256.svg",
        &bars("RS256: verification / bare signature (1 is the floor; logarithmic)", 0.1, &rows),
    );
    text.push_str("\n![RS256 against the peers](plots/peers-rs256.svg)\n");
}

fn web(text: &mut String, plan: &Plan, measured: &Measured) {
    if !plan.web {
        return;
    }
    text.push_str("\n## Behind a web server\n\n\"hello\", RS256, one hot token, sent to the bare server too. `ratio`: requests per second over the same framework without a layer. Each of ours runs in two processes, and its row is the median over both. `no layer, once more` is the very same server: what it is off 1 by is noise, and no goal counts as reached within it.\n\n");
    text.push_str(
        "| | requests/s | ratio | CPU/request, µs | beyond no layer, µs | beyond an empty layer, µs | p99, µs |\n|---|---|---|---|---|---|---|\n",
    );
    let mut rows = Vec::new();
    for name in web::names(plan) {
        let get = |field: &str| measured.get(&format!("web.{name}.{field}"));
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {} | {} | {} |",
            cell(get("per_second")),
            ratio(get("ratio")),
            cell(get("cpu_us")),
            cell(get("extra_cpu_us")),
            cell(get("beyond_empty_us")),
            cell(get("p99_us")),
        );
        if let Some(value) = get("ratio").filter(|_| !name.ends_with("no layer")) {
            rows.push((name, value));
        }
    }
    save("plots/web.svg", &bars("requests per second / no layer (1 is as fast as no layer; logarithmic)", 0.01, &rows));
    text.push_str("\n![Behind a web server](plots/web.svg)\n");
    text.push_str("\n### Known keys while something is wrong\n\nThe 99th percentile of requests with a known key, 500 requests per second beside them; in peace those carry a known key too.\n\n| | p99, µs | / peace |\n|---|---|---|\n");
    let _ = writeln!(text, "| peace | {} | 1 |", cell(measured.get("stress.peace.p99_us")));
    for trouble in ["kid flood", "rotation", "dead issuer"] {
        let get = |field: &str| measured.get(&format!("stress.{trouble}.{field}"));
        let _ = writeln!(text, "| {trouble} | {} | {} |", cell(get("p99_us")), ratio(get("over_peace")));
    }
}

fn scale(text: &mut String, measured: &Measured) {
    text.push_str("\n## Scale\n\nHS256, whose signature hides the least, but for requests in flight (ES256).\n\n");
    let series = |what: &str, counts: &[u32], field: &str| -> Vec<(f64, f64)> {
        let get = |count: &u32| Some((f64::from(*count), measured.get(&format!("scale.{what}.{count}.{field}"))?));
        counts.iter().filter_map(get).collect()
    };
    let issuers = [1, 10, 100, 1000, 10_000];
    let tokens = [1000, 10_000, 100_000, 1_000_000];
    let flights = [10, 100, 1000, 10_000];
    let plots = [
        (
            "issuers",
            lines(
                "Trusted issuers",
                "issuers in the registry",
                "ns per token, 1,000 tokens in random order",
                &[("cold", series("issuers", &issuers, "cold_ns")), ("warm", series("issuers", &issuers, "warm_ns"))],
            ),
        ),
        (
            "tokens",
            lines(
                "Distinct tokens through a cache of 10,000",
                "tokens seen, each once",
                "ns per token",
                &[
                    ("with the cache", series("tokens", &tokens, "cached_ns")),
                    ("without", series("tokens", &tokens, "uncached_ns")),
                ],
            ),
        ),
        (
            "keys",
            lines(
                "Keys in the set",
                "keys",
                "ns beyond the MAC",
                &[("cold", series("keys", &[2, 10, 100], "beyond_mac_ns"))],
            ),
        ),
        (
            "in-flight",
            lines(
                "In flight on a cold start",
                "requests waiting for the first key",
                "ns per request beyond the fetch",
                &[("each", series("in_flight", &flights, "each_ns"))],
            ),
        ),
    ];
    for (name, svg) in plots {
        save(&format!("plots/{name}.svg"), &svg);
        let _ = writeln!(text, "![{name}](plots/{name}.svg)");
    }
    let row = |text: &mut String, name: &str, points: Vec<(f64, f64)>| {
        let cells: Vec<_> = points.iter().map(|(x, y)| format!("{}: {}", number(*x), number(*y))).collect();
        let _ = writeln!(text, "| {name} | {} |", cells.join(" · "));
    };
    text.push_str("\n| | size: value |\n|---|---|\n");
    row(text, "issuers, cold, ns", series("issuers", &issuers, "cold_ns"));
    row(text, "issuers, warm, ns", series("issuers", &issuers, "warm_ns"));
    row(text, "issuers, build(), ms", series("issuers", &issuers, "build_ms"));
    row(text, "issuers, trust() of one more, µs", series("issuers", &issuers, "trust_us"));
    row(text, "distinct tokens, cache of 10,000, ns", series("tokens", &tokens, "cached_ns"));
    row(text, "distinct tokens, no cache, ns", series("tokens", &tokens, "uncached_ns"));
    row(
        text,
        "distinct tokens, memory grown by, MiB",
        tokens
            .iter()
            .filter_map(|count| Some((f64::from(*count), measured.get(&format!("memory.grown.{count}.mib"))?)))
            .collect(),
    );
    row(text, "keys in the set, ns beyond the MAC", series("keys", &[2, 10, 100], "beyond_mac_ns"));
    row(text, "in flight on a cold start, ns each beyond the fetch", series("in_flight", &flights, "each_ns"));
    row(text, "in flight on a cold start, fetches", series("in_flight", &flights, "fetches"));
    let peers = build::PEERS.len();
    let _ = writeln!(
        text,
        "\n{peers} packages of peers; their versions are pinned in `peers/*/Cargo.toml` and `node/package.json`."
    );
}
