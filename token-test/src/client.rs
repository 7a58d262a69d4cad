//! The clients that the issuer knows, how each shows who it is, and what it may ask for (RFC 6749 section 2, RFC 7591 section 2).

use serde_json::Value;
use token_core::jose::encryption::EncryptionKey;

/// A client as the issuer remembers it.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) proof: Proof,
    /// None: whatever it asks for.
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) redirect_uris: Vec<String>,
    /// What the consent page calls it.
    pub(crate) name: Option<String>,
    /// Whether signing a user in yields a refresh token.
    pub(crate) refreshes: bool,
    /// What its ID tokens are encrypted to.
    pub(crate) id_tokens_to: Option<EncryptionKey>,
}

/// How a client shows who it is.
#[derive(Clone, Debug)]
pub(crate) enum Proof {
    /// Not at all: a public client.
    Nothing,
    /// By a secret, in the header or in the form.
    Secret(String),
    /// By a JWT that one of these keys, a JWK Set, has signed (RFC 7523 section 2.2).
    Keys(Value),
}

impl Client {
    pub(crate) fn new(id: &str, proof: Proof) -> Self {
        Self {
            id: id.to_owned(),
            proof,
            scopes: None,
            redirect_uris: Vec::new(),
            name: None,
            refreshes: false,
            id_tokens_to: None,
        }
    }

    pub(crate) fn with_secret(id: &str, secret: &str) -> Self {
        Self::new(id, Proof::Secret(secret.to_owned()))
    }

    pub(crate) fn secret(&self) -> Option<&str> {
        match &self.proof {
            Proof::Secret(secret) => Some(secret),
            Proof::Nothing | Proof::Keys(_) => None,
        }
    }

    /// Exactly as it was registered (RFC 9700 section 4.1.3), but for the port of a loopback address (RFC 8252 section 7.3).
    pub(crate) fn may_be_sent_to(&self, uri: &str) -> bool {
        let asked = without_port(uri);
        let fits = |registered: &String| registered == uri || asked.is_some() && without_port(registered) == asked;
        self.redirect_uris.iter().any(fits)
    }
}

/// The URI without its port, where it is one of a loopback address.
fn without_port(uri: &str) -> Option<String> {
    let mut url = url::Url::parse(uri).ok()?;
    let loopback = url.scheme() == "http" && matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    url.set_port(None).ok()?;
    loopback.then(|| url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_uri_is_compared_to_the_letter_but_for_the_port_of_a_loopback_address() {
        let mut client = Client::new("c", Proof::Nothing);
        client.redirect_uris =
            ["https://app.example/cb", "http://127.0.0.1/cb", "com.example:/cb"].map(str::to_owned).to_vec();
        for (uri, fits) in [
            ("https://app.example/cb", true),
            ("https://app.example:443/cb", false),
            ("https://app.example/cb/", false),
            ("https://app.example.evil/cb", false),
            ("http://127.0.0.1:51004/cb", true),
            ("http://127.0.0.1:51004/other", false),
            ("http://localhost:51004/cb", false),
            ("https://127.0.0.1/cb", false),
            ("com.example:/cb", true),
            ("com.example:/other", false),
            ("not a uri", false),
        ] {
            assert_eq!(client.may_be_sent_to(uri), fits, "{uri}");
        }
    }
}
