//! Published vectors in, our verdict beside theirs out (RFC 7515, 7518, 8037; Wycheproof; RFC 7520's cookbook).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{signed_by, split};
use crate::jose::base64url;
use crate::jose::jwk_set::{KeySet, Origin};
use crate::jose::{Algorithm, VerificationKey};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors")
}

fn read(file: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder().join(file)).unwrap()).unwrap()
}

fn cases(group: &Value) -> &[Value] {
    group["tests"].as_array().unwrap()
}

fn bytes(hex: &Value) -> Vec<u8> {
    let digits = hex.as_str().unwrap().as_bytes();
    digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

/// How often we were asked and how often we agreed, with a line of the report for it.
#[derive(Default)]
struct Tally {
    run: usize,
    disagreed: Vec<u64>,
}

impl Tally {
    fn note(&mut self, case: &Value, ours: bool) {
        self.run += 1;
        if ours != (case["result"] == "valid") {
            self.disagreed.push(case["tcId"].as_u64().unwrap());
        }
    }

    /// Fails unless we disagree exactly where the README says so.
    #[track_caller]
    fn conclude(&self, file: &str, known: &[u64]) {
        assert_eq!(self.disagreed, known, "{file}: vectors with another verdict than ours");
        assert!(self.run > 0, "{file} holds no vectors");
        report(file, self.run, known.len());
    }
}

fn report(what: &str, run: usize, known: usize) {
    let mut line = String::new();
    writeln!(line, "| {what} | {run} | {} | {known} |", run - known).unwrap();
    if let Some(folder) = std::env::var_os("TOKEN_EVIDENCE") {
        let file = Path::new(&folder).join("vectors").join(what.replace('/', "-"));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, &line).unwrap();
    }
    #[allow(clippy::print_stdout)]
    {
        print!("{line}");
    }
}

/// The road of a token's text, without the rules about claims: split, decode, header, key, signature.
fn accepts(keys: &KeySet, jws: &str) -> bool {
    let Ok(parts) = split(jws.as_bytes()) else { return false };
    base64url::decode(parts.claims).is_some() && signed_by(&parts, keys, None, |_, _| Ok(())).is_ok()
}

/// The group's keys as a server would hold them: public ones as fetched, secrets as given by the operator.
fn keys_of(group: &Value) -> KeySet {
    let document = group.get("public").unwrap_or(&group["private"]);
    let keys = document.get("keys").cloned().unwrap_or_else(|| json!([document]));
    let all_secret = keys.as_array().unwrap().iter().all(|key| key["kty"] == "oct");
    let origin = if all_secret { Origin::Given } else { Origin::Fetched };
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes(), origin).unwrap()
}

fn run_jws(file: &str, known: &[u64]) {
    let mut tally = Tally::default();
    for group in read(file)["testGroups"].as_array().unwrap() {
        let keys = keys_of(group);
        for case in cases(group) {
            let Some(jws) = case["jws"].as_str() else { continue };
            // Twice: the second time, a good header is remembered and a shorter road is taken.
            let verdict = accepts(&keys, jws);
            assert_eq!(accepts(&keys, jws), verdict, "{file} {}: the second look differs", case["tcId"]);
            tally.note(case, verdict);
        }
    }
    tally.conclude(file, known);
}

#[test]
fn judges_published_jws_as_their_authors_do() {
    run_jws("wycheproof/json_web_signature_test.json", &[346, 347, 350, 351, 367, 370, 372, 373]);
}

#[test]
fn judges_published_keys_as_their_authors_do() {
    run_jws("wycheproof/json_web_key_test.json", &[4, 7]);
}

#[test]
fn judges_published_mixtures_as_their_authors_do() {
    run_jws("wycheproof/json_web_crypto_test.json", &[46]);
}

/// Signatures over bytes, with the verdict of the key that tokens are verified with.
fn run_raw(file: &str, algorithm: Algorithm, known: &[u64]) {
    let mut tally = Tally::default();
    for group in read(file)["testGroups"].as_array().unwrap() {
        let pem = group["publicKeyPem"].as_str().unwrap();
        let Ok(key) = VerificationKey::from_pem(algorithm, None, pem.as_bytes()) else {
            // A key that we do not take accepts nothing.
            cases(group).iter().for_each(|case| tally.note(case, false));
            continue;
        };
        for case in cases(group) {
            tally.note(case, key.verify(algorithm, &bytes(&case["msg"]), &bytes(&case["sig"])));
        }
    }
    tally.conclude(file, known);
}

#[test]
fn judges_published_rsa_signatures_as_their_authors_do() {
    run_raw("wycheproof/rsa_signature_2048_sha256_test.json", Algorithm::RS256, &[]);
    run_raw("wycheproof/rsa_signature_2048_sha384_test.json", Algorithm::RS384, &[]);
    run_raw("wycheproof/rsa_signature_2048_sha512_test.json", Algorithm::RS512, &[]);
    run_raw("wycheproof/rsa_signature_3072_sha256_test.json", Algorithm::RS256, &[]);
    run_raw("wycheproof/rsa_signature_4096_sha256_test.json", Algorithm::RS256, &[]);
    run_raw("wycheproof/rsa_pss_2048_sha256_mgf1_32_test.json", Algorithm::PS256, &[]);
    run_raw("wycheproof/rsa_pss_2048_sha384_mgf1_48_test.json", Algorithm::PS384, &[]);
    run_raw("wycheproof/rsa_pss_3072_sha256_mgf1_32_test.json", Algorithm::PS256, &[]);
    run_raw("wycheproof/rsa_pss_4096_sha512_mgf1_64_test.json", Algorithm::PS512, &[]);
}

/// RFC 7518 section 3.5 fixes salt and mask: what other parameters make valid is not valid in a token.
#[test]
fn refuses_pss_with_other_parameters_than_those_of_jws() {
    for file in ["rsa_pss_2048_sha256_mgf1_0_test.json", "rsa_pss_2048_sha256_mgf1sha1_20_test.json"] {
        let file = format!("wycheproof/{file}");
        let mut run = 0;
        for group in read(&file)["testGroups"].as_array().unwrap() {
            let pem = group["publicKeyPem"].as_str().unwrap().as_bytes();
            let key = VerificationKey::from_pem(Algorithm::PS256, None, pem).unwrap();
            // What the file calls invalid may be so for having the parameters of JWS.
            for case in cases(group).iter().filter(|case| case["result"] == "valid") {
                assert!(
                    !key.verify(Algorithm::PS256, &bytes(&case["msg"]), &bytes(&case["sig"])),
                    "{file} {}",
                    case["tcId"]
                );
                run += 1;
            }
        }
        report(&format!("{file} (valid elsewhere, all refused)"), run, 0);
    }
}

#[test]
fn judges_published_ecdsa_signatures_as_their_authors_do() {
    run_raw("wycheproof/ecdsa_secp256r1_sha256_p1363_test.json", Algorithm::ES256, &[]);
    run_raw("wycheproof/ecdsa_secp384r1_sha384_p1363_test.json", Algorithm::ES384, &[]);
    #[cfg(feature = "aws-lc-rs")]
    run_raw("wycheproof/ecdsa_secp521r1_sha512_p1363_test.json", Algorithm::ES512, &[]);
}

#[test]
fn judges_published_ed25519_signatures_as_their_authors_do() {
    run_raw("wycheproof/ed25519_test.json", Algorithm::EdDSA, &[]);
}

/// A tag is whole in a token, and a secret at least as long as its hash: vectors of other lengths must be refused.
#[test]
fn judges_published_hmac_tags_as_their_authors_do() {
    for (file, algorithm, whole) in [
        ("wycheproof/hmac_sha256_test.json", Algorithm::HS256, 256),
        ("wycheproof/hmac_sha384_test.json", Algorithm::HS384, 384),
        ("wycheproof/hmac_sha512_test.json", Algorithm::HS512, 512),
    ] {
        let mut tally = Tally::default();
        for group in read(file)["testGroups"].as_array().unwrap() {
            let usable = group["tagSize"] == whole && group["keySize"].as_u64().unwrap() >= whole;
            for case in cases(group) {
                let verdict = VerificationKey::from_secret(algorithm, None, &bytes(&case["key"]))
                    .is_ok_and(|key| key.verify(algorithm, &bytes(&case["msg"]), &bytes(&case["tag"])));
                if usable {
                    tally.note(case, verdict);
                } else {
                    assert!(!verdict, "{file} {}: a short secret or tag", case["tcId"]);
                    tally.run += 1;
                }
            }
        }
        tally.conclude(file, &[]);
    }
}

#[test]
fn accepts_the_examples_of_the_rfcs_and_not_those_that_need_what_is_not_implemented() {
    let mut run = 0;
    for (file, expected) in [
        ("4_1.rsa_v15_signature", true),
        ("4_2.rsa-pss_signature", true),
        #[cfg(feature = "aws-lc-rs")]
        ("4_3.ecdsa_signature", true),
        ("4_4.hmac-sha2_integrity_protection", true),
        ("4_5.signature_with_detached_content", false),
        ("rfc8037_ed25519", true),
        ("rfc7797_b64_false", false),
    ] {
        let example = read(&format!("rfc7520/{file}.json"));
        let mut key = example["input"]["key"].clone();
        key["alg"] = example["input"]["alg"].clone();
        if key["kty"] != "oct" {
            // the public half, as an issuer publishes it
            let members = key.as_object_mut().unwrap();
            members.retain(|name, _| !["d", "p", "q", "dp", "dq", "qi"].contains(&name.as_str()));
        }
        let keys = KeySet::parse(json!({ "keys": [key] }).to_string().as_bytes(), Origin::Given).unwrap();
        assert_eq!(keys.len(), 1, "{file}: {:?}", keys.skipped());
        let compact = example["output"]["compact"].as_str().unwrap();
        assert_eq!(accepts(&keys, compact), expected, "{file}");
        run += 1;
    }
    // Only ever in a JSON serialization (RFC 7515 section 7.2), which is not a JWT.
    for file in ["4_6.protecting_specific_header_fields", "4_7.protecting_content_only", "4_8.multiple_signatures"] {
        let example = read(&format!("rfc7520/{file}.json"));
        let keys = match &example["input"]["key"] {
            Value::Array(keys) => keys.clone(),
            key => vec![key.clone()],
        };
        let keys = KeySet::parse(json!({ "keys": keys }).to_string().as_bytes(), Origin::Given).unwrap();
        let written = ["json", "json_flat"].map(|name| &example["output"][name]);
        let written: Vec<_> = written.into_iter().filter(|one| one.is_object()).collect();
        assert!(!written.is_empty(), "{file}");
        assert!(written.iter().all(|one| !accepts(&keys, &one.to_string())), "{file}");
        run += 1;
    }
    report("rfc7520 (RFC 7520, 7797, 8037)", run, 0);
}

#[test]
fn judges_the_examples_of_rfc_7515_as_the_rfc_does_and_never_takes_the_unsecured_one() {
    let examples = read("rfc7515/appendix_a.json");
    let examples = examples.as_array().unwrap();
    for example in examples {
        let name = example["example"].as_str().unwrap();
        // The other backend does not know the curve of this one.
        if name == "A.4" && cfg!(not(feature = "aws-lc-rs")) {
            continue;
        }
        let unsecured = example["key"].is_null();
        let key = if unsecured { &examples[0]["key"] } else { &example["key"] };
        let keys = KeySet::parse(json!({ "keys": [key] }).to_string().as_bytes(), Origin::Given).unwrap();
        assert_eq!(keys.len(), 1, "{name}: {:?}", keys.skipped());
        let compact = example["compact"].as_str().unwrap();
        assert_eq!(accepts(&keys, compact), !unsecured, "{name}");
    }
    report("rfc7515 (appendix A.1 to A.5)", examples.len(), 0);
}
