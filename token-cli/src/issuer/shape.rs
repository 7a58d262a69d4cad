//! The name of a shape in, a token in that shape out: the two of RFC 9068 and OpenID Connect, and that of every preset.

use clap::builder::PossibleValue;
use serde_json::{Value, json};
use token_core::provider;
use token_test::{TestIssuer, TokenBuilder};

/// An access token as RFC 9068 describes it.
const ACCESS: &str = "rfc9068";
/// An ID token, which an API must refuse.
const ID: &str = "id-token";

/// Every shape, for the command line.
pub(crate) fn names() -> Vec<PossibleValue> {
    let own = [(ACCESS, "Access token (RFC 9068)".to_owned()), (ID, "ID token, which an API must refuse".to_owned())];
    let presets = provider::samples().into_iter().map(|(name, preset)| (name, preset.name));
    own.into_iter().chain(presets).map(|(name, title)| PossibleValue::new(name).help(title)).collect()
}

/// Every shape, for the page: its name, a title, what surprises people, whether a shared secret signs it.
pub(super) fn shapes() -> Value {
    let own = [
        json!({"name": ACCESS, "title": "Access token (RFC 9068)", "notes": [], "shared_secret": false}),
        json!({"name": ID, "title": "ID token", "notes": ["An API must refuse it."], "shared_secret": false}),
    ];
    let presets = provider::samples().into_iter().map(|(name, preset)| {
        let secret = preset.algorithms.iter().next().is_some_and(token_core::Algorithm::is_symmetric);
        json!({"name": name, "title": preset.name, "notes": preset.notes, "shared_secret": secret})
    });
    own.into_iter().chain(presets).collect()
}

/// A token of this shape, good at this issuer; `None` where there is no such shape.
pub(super) fn token(name: &str, issuer: &TestIssuer) -> Option<TokenBuilder> {
    match name {
        "" | ACCESS => Some(issuer.token()),
        ID => Some(issuer.id_token().claim("nonce", "n-0S6_WzA2Mj")),
        name => {
            let samples = provider::samples();
            let (_, preset) = samples.iter().find(|(sample, _)| *sample == name)?;
            Some(issuer.token_like(preset))
        }
    }
}
