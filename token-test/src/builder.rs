//! Settings in, a running issuer out.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use token_core::{Algorithm, Clock, SystemClock};

use crate::issuer::TestIssuer;
use crate::port::HeldPort;
use crate::tenant::{Documents, Plan};

/// The settings of a [`TestIssuer`].
#[derive(Clone, Debug)]
#[must_use = "nothing runs until `start` is called"]
pub struct IssuerBuilder {
    bind: SocketAddr,
    plan: Plan,
    also: axum::Router,
}

impl Default for IssuerBuilder {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            also: axum::Router::new(),
            plan: Plan {
                path: String::new(),
                known_as: None,
                trailing_slash: false,
                audience: "https://api.example.com".to_owned(),
                algorithms: Vec::new(),
                clock: Arc::new(SystemClock),
                documents: Documents::Both,
            },
        }
    }
}

impl TestIssuer {
    /// Settings for an issuer.
    pub fn builder() -> IssuerBuilder {
        IssuerBuilder::default()
    }
}

impl IssuerBuilder {
    /// Sets the algorithm that tokens are signed with. Further calls add algorithms for which a key is published; the
    /// first one remains the default. Default: RS256.
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.plan.algorithms.push(algorithm);
        self
    }

    /// Sets the path of the issuer identifier, such as `/realms/x`. Default: none.
    pub fn path(mut self, path: &str) -> Self {
        self.plan.path = format!("/{}", path.trim_matches('/'));
        self
    }

    /// Sets whether the issuer identifier ends with a slash. Default: false.
    pub fn trailing_slash(mut self, slash: bool) -> Self {
        self.plan.trailing_slash = slash;
        self
    }

    /// Sets an issuer identifier that differs from the address, for an issuer that is known under a public name but
    /// reached under another, such as `https://login.example.com/realms/shop` for a container. Tokens and metadata
    /// contain this identifier, and the endpoints in the metadata are at its origin; [`address`](TestIssuer::address)
    /// is where the issuer really listens. The path is taken from the identifier; [`path`](Self::path) and
    /// [`trailing_slash`](Self::trailing_slash) have no effect.
    ///
    /// # Panics
    /// If `identifier` is not a URL with a host.
    pub fn known_as(mut self, identifier: &str) -> Self {
        let behind = identifier.split_once("://").map(|(_, rest)| rest).filter(|rest| !rest.is_empty());
        let behind = behind.expect("an issuer identifier such as https://login.example.com/realms/shop");
        let path = behind.split_once('/').map_or("", |(_, path)| path).trim_matches('/');
        self.plan.path = if path.is_empty() { String::new() } else { format!("/{path}") };
        self.plan.known_as = Some(identifier.to_owned());
        self
    }

    /// Sets the address to listen on, which is also the one in the issuer identifier. Default: 127.0.0.1 and any free
    /// port.
    pub fn bind(mut self, address: impl Into<SocketAddr>) -> Self {
        self.bind = address.into();
        self
    }

    /// Sets the default audience of tokens. Default: `https://api.example.com`.
    pub fn audience(mut self, audience: &str) -> Self {
        audience.clone_into(&mut self.plan.audience);
        self
    }

    /// Sets the clock for `iat`, `nbf` and `exp`, for example a [`ManualClock`](crate::ManualClock). Default: the
    /// system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.plan.clock = Arc::new(clock);
        self
    }

    /// Serves RFC 8414 metadata only, without an OpenID Connect document.
    pub fn rfc8414_only(mut self) -> Self {
        self.plan.documents = Documents::Rfc8414Only;
        self
    }

    /// Serves the OpenID Connect document only, without RFC 8414 metadata.
    pub fn openid_only(mut self) -> Self {
        self.plan.documents = Documents::OpenIdOnly;
        self
    }

    /// Adds routes under the issuer's own address, for the `token` program's page. Internal: it exposes the framework
    /// in use.
    #[doc(hidden)]
    pub fn also(mut self, routes: axum::Router) -> Self {
        self.also = routes;
        self
    }

    /// Starts the issuer on the current tokio runtime.
    ///
    /// # Panics
    /// Outside a tokio runtime, or if the address is not available; see [`try_start`](Self::try_start).
    pub async fn start(self) -> TestIssuer {
        self.try_start().await.expect("an address to listen on")
    }

    /// Starts the issuer on the current tokio runtime.
    ///
    /// # Errors
    /// If the address is not available.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn try_start(self) -> io::Result<TestIssuer> {
        TestIssuer::serve(HeldPort::at(self.bind)?, self.plan, self.also)
    }
}
