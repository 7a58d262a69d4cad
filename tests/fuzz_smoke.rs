//! The fuzz targets without a fuzzer: every corpus file, and a thousand near neighbours of each target, the same in every run.

#[path = "../fuzz/src/lib.rs"]
#[allow(dead_code, unreachable_pub, clippy::redundant_pub_crate)]
mod targets;

use std::path::Path;

use token_tests::evidence::note;

/// Neighbours tried for each target.
const NEIGHBOURS: usize = 1000;

/// Words that inputs are made of: changes of single bytes would seldom find them.
const WORDS: &[&str] = &[
    "\"alg\":\"none\"",
    "\"exp\":",
    "\"aud\":[]",
    "\"iss\":",
    "\"kid\":\"1\"",
    "null",
    "true",
    "1e999",
    "-1",
    "[[[[[[[[",
    "{\"a\":",
    "\\u0000",
    "\\ud800",
    ".",
    "..",
    "=",
    "Bearer ",
    ", ",
    "\"",
    "\\",
    "\r\n",
    "\0",
    "\u{feff}",
    "\u{2028}",
    "\"cnf\":{}",
    "\"zip\":\"DEF\"",
    "\"epk\":{\"kty\":\"EC\"}",
    "\"crit\":[]",
    "keys",
    "https://",
];

/// A sequence that looks random and is the same in every run (xorshift).
struct Sequence(u64);

impl Sequence {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

fn neighbour(seeds: &[Vec<u8>], sequence: &mut Sequence) -> Vec<u8> {
    let mut bytes = seeds[sequence.below(seeds.len())].clone();
    for _ in 0..=sequence.below(4) {
        let at = sequence.below(bytes.len() + 1);
        match sequence.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << sequence.below(8),
            1 if at < bytes.len() => bytes[at] = sequence.below(256) as u8,
            2 if at < bytes.len() => drop(bytes.drain(at..(at + 1 + sequence.below(16)).min(bytes.len()))),
            3 => bytes.insert(at, sequence.below(256) as u8),
            4 => drop(bytes.splice(at..at, WORDS[sequence.below(WORDS.len())].bytes())),
            5 => {
                let other = &seeds[sequence.below(seeds.len())];
                let from = sequence.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                let copy = bytes[at..(at + sequence.below(64)).min(bytes.len())].to_vec();
                drop(bytes.splice(at..at, copy));
            }
        }
    }
    bytes
}

#[test]
fn no_target_breaks_on_its_corpus_or_near_it() {
    for (name, target) in targets::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
        let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let seeds: Vec<_> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
        assert!(!seeds.is_empty(), "{name} has no corpus");
        seeds.iter().for_each(|seed| target(seed));
        let mut sequence = Sequence(0x9e37_79b9_7f4a_7c15);
        for _ in 0..NEIGHBOURS {
            let bytes = neighbour(&seeds, &mut sequence);
            if std::panic::catch_unwind(|| target(&bytes)).is_err() {
                panic!("{name} breaks on {:?}", String::from_utf8_lossy(&bytes));
            }
        }
        note("fuzz", name, &[name, &format!("{} corpus files and {NEIGHBOURS} near neighbours", seeds.len())]);
    }
}

#[test]
fn the_corpora_reach_acceptance() {
    // A smoke of refusals alone would prove little: some of the files must be good tokens.
    for file in
        ["signed_jwt/good-HS256", "signed_jwt/good-ES256", "signed_jwt/good-EdDSA", "signed_jwt/good-RS256", "jwt/good"]
    {
        let bytes = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(file)).unwrap();
        assert!(targets::accepts(&bytes, file.starts_with("signed")), "{file}");
    }
    for (file, accepted) in [
        ("good-dir", true),
        ("good-p256", true),
        ("good-x25519", true),
        ("good-rsa", true),
        ("header-zip", false),
        ("claims-alone", false),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/encrypted");
        assert_eq!(targets::opens(&std::fs::read(folder.join(file)).unwrap()), accepted, "{file}");
    }
    for (file, accepted) in [("good", true), ("bare", true), ("inactive", false), ("bound", false), ("twice", false)] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/introspection");
        let bytes = std::fs::read(folder.join(file)).unwrap();
        assert_eq!(targets::introspected(&bytes).is_some(), accepted, "{file}");
    }
}
