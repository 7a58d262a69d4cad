//! Settings go in, a running issuer comes out.

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
    /// An issuer with settings of its own.
    pub fn builder() -> IssuerBuilder {
        IssuerBuilder::default()
    }
}

impl IssuerBuilder {
    /// What tokens are signed with; called again, a further algorithm that a key is published for. The first is the one
    /// that tokens get by default. Default RS256.
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.plan.algorithms.push(algorithm);
        self
    }

    /// The path of the issuer identifier, such as `/realms/x`. Default: none.
    pub fn path(mut self, path: &str) -> Self {
        self.plan.path = format!("/{}", path.trim_matches('/'));
        self
    }

    /// Whether the issuer identifier ends with a slash. Default: it does not.
    pub fn trailing_slash(mut self, slash: bool) -> Self {
        self.plan.trailing_slash = slash;
        self
    }

    /// The issuer identifier, where it is not the address: an issuer that outsiders know by another name than those who stand beside it, such as
    /// `https://login.example.com/realms/shop` for a container. Tokens and documents have this name, and the endpoints in the documents are at its
    /// origin; [`address`](TestIssuer::address) is where it really is. Its path is taken over; [`path`](Self::path) and
    /// [`trailing_slash`](Self::trailing_slash) have no say.
    ///
    /// # Panics
    /// When `identifier` is not a URL with a host.
    pub fn known_as(mut self, identifier: &str) -> Self {
        let behind = identifier.split_once("://").map(|(_, rest)| rest).filter(|rest| !rest.is_empty());
        let behind = behind.expect("an issuer identifier such as https://login.example.com/realms/shop");
        let path = behind.split_once('/').map_or("", |(_, path)| path).trim_matches('/');
        self.plan.path = if path.is_empty() { String::new() } else { format!("/{path}") };
        self.plan.known_as = Some(identifier.to_owned());
        self
    }

    /// Where to listen. The address is also what the issuer identifier names. Default 127.0.0.1 and any free port.
    pub fn bind(mut self, address: impl Into<SocketAddr>) -> Self {
        self.bind = address.into();
        self
    }

    /// The audience that tokens are for by default. Default `https://api.example.com`.
    pub fn audience(mut self, audience: &str) -> Self {
        audience.clone_into(&mut self.plan.audience);
        self
    }

    /// The clock for `iat`, `nbf` and `exp`, for example a [`ManualClock`](crate::ManualClock). Default: the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.plan.clock = Arc::new(clock);
        self
    }

    /// Serves RFC 8414 metadata and no OpenID Connect document.
    pub fn rfc8414_only(mut self) -> Self {
        self.plan.documents = Documents::Rfc8414Only;
        self
    }

    /// Serves the OpenID Connect document and no RFC 8414 metadata.
    pub fn openid_only(mut self) -> Self {
        self.plan.documents = Documents::OpenIdOnly;
        self
    }

    /// Further routes under the issuer's own address, for the `token` program's page. Not for others: it shows the framework inside.
    #[doc(hidden)]
    pub fn also(mut self, routes: axum::Router) -> Self {
        self.also = routes;
        self
    }

    /// Starts the issuer on the current tokio runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime, or when the address cannot be had; see [`try_start`](Self::try_start).
    pub async fn start(self) -> TestIssuer {
        self.try_start().await.expect("an address to listen on")
    }

    /// Starts the issuer on the current tokio runtime.
    ///
    /// # Errors
    /// If the address cannot be had.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn try_start(self) -> io::Result<TestIssuer> {
        TestIssuer::serve(HeldPort::at(self.bind)?, self.plan, self.also)
    }
}
