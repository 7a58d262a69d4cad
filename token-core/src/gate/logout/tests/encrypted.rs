//! Logout tokens that come encrypted, as they do to clients whose ID tokens are (section 2.4).

use super::*;
use crate::jose::encryption::{ContentEncryption, DecryptionKey, KeyManagement};

#[test]
fn is_opened_where_the_client_has_registered_for_it_and_held_to_the_same_steps() {
    use ErrorKind::*;
    let keys = [
        DecryptionKey::generate(KeyManagement::EcdhEs, Some("ours")).unwrap(),
        DecryptionKey::generate_x25519(Some("ours")).unwrap(),
        DecryptionKey::generate(KeyManagement::RsaOaep256, Some("ours")).unwrap(),
        DecryptionKey::direct(ContentEncryption::A256CbcHs512, Some("ours"), &[7; 64]).unwrap(),
    ];
    for key in keys {
        let to = key.encryption_key().unwrap();
        let enc = to.bound_to().unwrap_or(ContentEncryption::A256Gcm);
        let issuer = Issuer::with_keys("https://i/", StaticKeys::secret(Algorithm::HS256, SECRET).unwrap()).unwrap();
        let opening =
            LogoutVerifier::encrypted_with_clock("app", issuer, EncryptedTokens::with([key.clone()]), Hands::at(NOW))
                .unwrap();
        let sealed = |token: &str| to.encrypt_jwt(enc, token).unwrap();
        let good = token(Some("logout+jwt"), json!({}));
        for (what, token, expected) in [
            ("good", sealed(&good), None),
            ("the same again, encrypted anew", sealed(&good), Some(Inactive)),
            ("for another client", sealed(&token(None, json!({"aud": "other", "jti": "2"}))), Some(WrongAudience)),
            ("an ID token", sealed(&token(None, json!({"events": null, "jti": "3"}))), Some(WrongType)),
            ("without its event", sealed(&token(None, json!({"events": {}, "jti": "4"}))), Some(ClaimsMismatch)),
            ("signed only", token(None, json!({"jti": "5"})), Some(WrongType)),
        ] {
            let outcome = ask(&opening, &token).err().map(|error| error.kind());
            assert_eq!(outcome, expected, "{what}, {}", key.algorithm());
        }
        let off = ask(&verifier(), &sealed(&good)).err().map(|error| error.kind());
        assert_eq!(off, Some(WrongType), "off by default");
    }
}
