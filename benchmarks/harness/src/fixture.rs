//! The tokens: what a large issuer writes into an access token (RFC 9068), signed with keys made at the start of the run.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;

/// The issuer of every fixture; the slash at its end is part of its name.
pub const ISSUER: &str = "https://tenant-7f3a.eu.login.example.com/";
/// The audience that every verifier here answers to.
pub const AUDIENCE: &str = "https://api.example.com/v1";
/// The secret of the HS256 tokens.
pub const SECRET: &[u8] = b"a secret of the benchmarks, as long as SHA-256 wants it at least";

/// A signature algorithm under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alg {
    RS256,
    PS256,
    ES256,
    ES384,
    EdDSA,
    HS256,
}

impl Alg {
    pub const ALL: [Self; 6] = [Self::RS256, Self::PS256, Self::ES256, Self::ES384, Self::EdDSA, Self::HS256];

    /// The name in `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::PS256 => "PS256",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
            Self::HS256 => "HS256",
        }
    }

    /// The `kid` of the key that signs.
    pub fn kid(self) -> &'static str {
        match self {
            Self::RS256 => "rsa-sig-2026",
            Self::PS256 => "pss-sig-2026",
            Self::ES256 => "p256-sig-2026",
            Self::ES384 => "p384-sig-2026",
            Self::EdDSA => "ed25519-2026",
            Self::HS256 => "hmac-2026",
        }
    }
}

/// The keys of one issuer.
pub struct Fixture {
    pub rsa: RsaKeyPair,
    pub pss: RsaKeyPair,
    pub p256: EcdsaKeyPair,
    pub p384: EcdsaKeyPair,
    pub ed25519: Ed25519KeyPair,
    random: SystemRandom,
    issued: u64,
}

impl Fixture {
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let rsa = || RsaKeyPair::generate(KeySize::Rsa2048).expect("RSA keys can be made");
        Self {
            rsa: rsa(),
            pss: rsa(),
            p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("P-256 keys can be made"),
            p384: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("P-384 keys can be made"),
            ed25519: Ed25519KeyPair::generate().expect("Ed25519 keys can be made"),
            random,
            issued: SystemTime::now().duration_since(UNIX_EPOCH).expect("it is past 1970").as_secs() - 10,
        }
    }

    /// Claims of the kind and size that Auth0 writes, of the `n`-th subject; good for a day.
    pub fn claims(&self, n: usize) -> String {
        self.claims_of(ISSUER, n)
    }

    /// The same, of another issuer.
    pub fn claims_of(&self, issuer: &str, n: usize) -> String {
        format!(
            r#"{{"iss":"{issuer}","sub":"auth0|65f1c0ffee{n:014}","aud":["{AUDIENCE}","https://tenant-7f3a.eu.login.example.com/userinfo"],"iat":{},"exp":{},"azp":"mZ8qTj0rYVb4xX7LkPnWc2","client_id":"mZ8qTj0rYVb4xX7LkPnWc2","jti":"{n:022x}","scope":"openid profile email read:orders write:orders read:users","permissions":["read:orders","write:orders","read:users","read:items","write:items","admin:none"]}}"#,
            self.issued,
            self.issued + 86_400,
        )
    }

    pub fn header(alg: Alg, kid: &str) -> String {
        format!(r#"{{"alg":"{}","typ":"at+jwt","kid":"{kid}"}}"#, alg.name())
    }

    /// A good token of the `n`-th subject.
    pub fn token(&self, alg: Alg, n: usize) -> String {
        self.sign(alg, alg.kid(), &self.claims(n))
    }

    /// These claims under a header that names `kid`.
    pub fn sign(&self, alg: Alg, kid: &str, claims: &str) -> String {
        let mut token = format!("{}.{}", B64.encode(Self::header(alg, kid)), B64.encode(claims));
        let signature = self.signature(alg, token.as_bytes());
        token.push('.');
        B64.encode_string(signature, &mut token);
        token
    }

    fn signature(&self, alg: Alg, message: &[u8]) -> Vec<u8> {
        let rsa = |key: &RsaKeyPair, encoding: &'static dyn RsaEncoding| {
            let mut out = vec![0; key.public_modulus_len()];
            key.sign(encoding, &self.random, message, &mut out).expect("RSA signs");
            out
        };
        let ecdsa = |key: &EcdsaKeyPair| key.sign(&self.random, message).expect("ECDSA signs").as_ref().to_vec();
        match alg {
            Alg::RS256 => rsa(&self.rsa, &RSA_PKCS1_SHA256),
            Alg::PS256 => rsa(&self.pss, &RSA_PSS_SHA256),
            Alg::ES256 => ecdsa(&self.p256),
            Alg::ES384 => ecdsa(&self.p384),
            Alg::EdDSA => self.ed25519.sign(message).as_ref().to_vec(),
            Alg::HS256 => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), message).as_ref().to_vec(),
        }
    }

    /// A key on P-256 that signs nothing here, without a `kid`.
    pub fn another_ec_key() -> String {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("P-256 keys can be made");
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        format!(
            r#"{{"kty":"EC","use":"sig","alg":"ES256","crv":"P-256","x":"{}","y":"{}"}}"#,
            B64.encode(x),
            B64.encode(y)
        )
    }

    /// The JWK Set: two RSA keys, P-256, P-384, Ed25519.
    pub fn jwks(&self) -> String {
        let keys: Vec<_> = [Alg::RS256, Alg::PS256, Alg::ES256, Alg::ES384, Alg::EdDSA].map(|alg| self.jwk(alg)).into();
        jwk_set(&keys)
    }

    /// The public key of one algorithm.
    pub fn jwk(&self, alg: Alg) -> String {
        let (kid, name) = (alg.kid(), alg.name());
        let rsa = |key: &RsaKeyPair| {
            let (n, e) = rsa_components(key.public_key().as_ref());
            format!(
                r#"{{"kty":"RSA","use":"sig","alg":"{name}","kid":"{kid}","n":"{}","e":"{}"}}"#,
                B64.encode(n),
                B64.encode(e)
            )
        };
        let ec = |key: &EcdsaKeyPair, curve: &str| {
            let point = &key.public_key().as_ref()[1..];
            let (x, y) = point.split_at(point.len() / 2);
            format!(
                r#"{{"kty":"EC","use":"sig","alg":"{name}","crv":"{curve}","kid":"{kid}","x":"{}","y":"{}"}}"#,
                B64.encode(x),
                B64.encode(y)
            )
        };
        match alg {
            Alg::RS256 => rsa(&self.rsa),
            Alg::PS256 => rsa(&self.pss),
            Alg::ES256 => ec(&self.p256, "P-256"),
            Alg::ES384 => ec(&self.p384, "P-384"),
            Alg::EdDSA => format!(
                r#"{{"kty":"OKP","use":"sig","alg":"EdDSA","crv":"Ed25519","kid":"{kid}","x":"{}"}}"#,
                B64.encode(self.ed25519.public_key())
            ),
            Alg::HS256 => secret_jwk(kid, SECRET),
        }
    }
}

impl Default for Fixture {
    fn default() -> Self {
        Self::new()
    }
}

/// A JWK Set of these keys.
pub fn jwk_set(keys: &[String]) -> String {
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

/// A shared secret as a JWK.
pub fn secret_jwk(kid: &str, secret: &[u8]) -> String {
    format!(r#"{{"kty":"oct","use":"sig","alg":"HS256","kid":"{kid}","k":"{}"}}"#, B64.encode(secret))
}

/// Modulus and exponent out of the DER of `RSAPublicKey` (RFC 8017 A.1.1) with 2048 bits.
fn rsa_components(der: &[u8]) -> (&[u8], &[u8]) {
    assert_eq!((der.len(), &der[4..9]), (270, &[0x02, 0x82, 0x01, 0x01, 0x00][..]), "a key of 2048 bits");
    (&der[9..265], &der[267..])
}

/// Answers every request on a loopback port with this document; gives the port.
pub fn serve(document: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    let port = listener.local_addr().expect("a bound listener has an address").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{document}",
                document.len()
            );
        }
    });
    port
}

/// The claims as a user's own type, as peers parse them.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
pub struct Claims {
    pub iss: String,
    pub sub: String,
    pub aud: Vec<String>,
    pub iat: i64,
    pub exp: i64,
    pub azp: String,
    pub scope: String,
    pub permissions: Vec<String>,
}
