//! Identity providers as types: what they are called and which hosts take their tokens.

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
    /// The short name by which a [`FederatedTokens`](crate::FederatedTokens) knows it; each maps it to a connection of its own.
    const NAME: &'static str;
    /// The hosts that take its tokens. One that starts with a dot stands for every name under it.
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

/// What Auth0 calls the connections of the providers above, where that differs.
pub(super) fn auth0_connection(name: &str) -> &str {
    match name {
        "google" => "google-oauth2",
        "microsoft" => "windowslive",
        same => same,
    }
}
