//! `token check` over a file of tokens that are all good and all different, against a loop over jsonwebtoken and against the bare signature; each on as
//! many threads as there are cores.
//!
//! `bench-ours/check PROGRAM [TOKENS]`, where PROGRAM is a release build of `token`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::{available_parallelism, scope};
use std::time::{Duration, Instant};

use bench_ours::report;
use harness::floor::Floor;
use harness::rounds::median;
use harness::{AUDIENCE, Alg, Claims, Fixture, ISSUER};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};

const ROUNDS: usize = 7;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let program = arguments.next().expect("the `token` program, a release build");
    let count = arguments.next().map_or(100_000, |text| text.parse().expect("how many tokens"));
    let folder = std::env::temp_dir().join(format!("bench-check-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the files");
    let fixture = Fixture::new();
    for alg in [Alg::EdDSA, Alg::ES256, Alg::RS256] {
        compare(&fixture, alg, count, Path::new(&program), &folder);
    }
    std::fs::remove_dir_all(folder).expect("the folder goes");
}

fn compare(fixture: &Fixture, alg: Alg, count: usize, program: &Path, folder: &Path) {
    let tokens: Vec<String> = (0..count).map(|n| fixture.token(alg, n)).collect();
    let lines: String =
        tokens.iter().map(|token| format!("{{\"token\":\"{token}\",\"expect\":\"accept\"}}\n")).collect();
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("the file can be written");
        path
    };
    let lines = file("tokens.jsonl", &lines);
    let keys = file("keys.json", &fixture.jwks());
    let issuer = format!("[[issuers]]\nissuer = \"{ISSUER}\"\nalgorithms = [\"{}\"]\n", alg.name());
    let policy = file("api.toml", &format!("audience = \"{AUDIENCE}\"\n{issuer}"));
    let ours = || {
        let mut command = Command::new(program);
        command.arg("check").arg("--policy").arg(&policy).arg("--keys").arg(&keys);
        let input = std::fs::File::open(&lines).expect("it was just written");
        let start = Instant::now();
        let status = command.stdin(input).stdout(Stdio::null()).status().expect("the program starts");
        assert!(status.success(), "every token is good");
        start.elapsed()
    };

    let jwk: Jwk = serde_json::from_str(&fixture.jwk(alg)).expect("a JWK");
    let key = DecodingKey::from_jwk(&jwk).expect("a usable key");
    let mut validation = Validation::new(alg.name().parse::<Algorithm>().expect("a known algorithm"));
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[ISSUER]);
    let theirs = || together(&tokens, |token| decode::<Claims>(token, &key, &validation).is_ok());

    let floors: Vec<Floor> = tokens.iter().map(|token| Floor::of(fixture, alg, token)).collect();
    let bare = || together(&floors, Floor::verify);

    let mut times = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        times[0].push(ours());
        times[1].push(theirs());
        times[2].push(bare());
    }
    let over = |which: usize| {
        let ratios = times[0].iter().zip(&times[which]).map(|(ours, other)| ours.as_secs_f64() / other.as_secs_f64());
        median(ratios.collect())
    };
    let second = median(times[0].iter().map(|time| count as f64 / time.as_secs_f64()).collect());
    let name = alg.name();
    report(&format!("check.{name}.per_second"), second);
    report(&format!("check.{name}.over_jsonwebtoken"), over(1));
    report(&format!("check.{name}.over_floor"), over(2));
}

/// How long it takes on all cores.
fn together<T: Sync>(work: &[T], check: impl Fn(&T) -> bool + Sync) -> Duration {
    let cores = available_parallelism().map_or(1, usize::from);
    let (check, start) = (&check, Instant::now());
    scope(|threads| {
        for part in work.chunks(work.len().div_ceil(cores)) {
            threads.spawn(move || assert!(part.iter().all(check), "every token is good"));
        }
    });
    start.elapsed()
}
