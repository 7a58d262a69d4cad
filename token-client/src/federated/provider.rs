//! Identity providers as types: their names, and the hosts that accept their tokens.

/// An identity provider.
///
/// ```
/// struct Acme;
/// impl token_client::Provider for Acme {
///     const NAME: &'static str = "acme";
///     const HOSTS: &'static [&'static str] = &["api.acme.example"];
/// }
/// ```
pub trait Provider: Send + Sync + 'static {
    /// The short name by which a [`FederatedTokens`](crate::FederatedTokens) knows the provider; each maps it to its
    /// own name of the connection.
    const NAME: &'static str;
    /// The hosts that accept the provider's tokens. A name that begins with a dot includes all its subdomains.
    const HOSTS: &'static [&'static str];
}

macro_rules! providers {
    ($($(#[$doc:meta])* $provider:ident = $name:literal, $hosts:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $provider;

        impl Provider for $provider {
            const NAME: &'static str = $name;
            const HOSTS: &'static [&'static str] = &$hosts;
        }
    )*};
}

providers! {
    /// Google: every API under `googleapis.com`.
    Google = "google", [".googleapis.com"];
    /// GitHub's API.
    GitHub = "github", ["api.github.com"];
    /// Facebook's Graph API.
    Facebook = "facebook", ["graph.facebook.com"];
    /// Microsoft Graph.
    Microsoft = "microsoft", ["graph.microsoft.com"];
}

/// Auth0's names for the connections of the providers above, where they differ.
pub(super) fn auth0_connection(name: &str) -> &str {
    match name {
        "google" => "google-oauth2",
        "microsoft" => "windowslive",
        same => same,
    }
}
