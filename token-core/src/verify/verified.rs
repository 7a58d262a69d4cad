//! What comes out of the gate: the facts of one token that its issuer vouches for, behind one `Arc`.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::answer::error::{Error, ErrorKind, Presented};
use crate::base::time::Timestamp;
use crate::claims::{Claims, List, Names, Span, Text};
use crate::jose::VerificationKey;
use crate::opaque::status_list::Reference;
use crate::token::actor::Actor;
use crate::token::binding::Binding;
use crate::token::kind::TokenKind;
use crate::token::marks::Marks;
use crate::token::naming::Naming;
use crate::token::scopes::Scopes;
use crate::trust::trusted::{Extra, TrustedIssuer};
use crate::verify::misfit;
use crate::verify::typed::Typed;

/// A token that passed every check. A clone costs one `Arc`.
///
/// Only a [`ResourceServer`](crate::ResourceServer) and the verifiers of this crate can make one, so code that has a `Verified` need not check again. What is checked, and what is
/// not, is listed at [`ResourceServer`](crate::ResourceServer).
#[derive(Clone)]
pub struct Verified(Hold);

/// How facts are held. A hot token is shared by all threads, and no two of them are to fight over one reference count.
#[derive(Clone)]
enum Hold {
    /// By the count of the facts themselves: the thread that verified the token, and whoever holds a token that is not remembered.
    Own(Arc<Facts>),
    /// By a count of its own: every other thread (see `token_cache`).
    Apart(Arc<Counted>),
}

struct Counted(Arc<Facts>);

impl Deref for Hold {
    type Target = Arc<Facts>;

    fn deref(&self) -> &Arc<Facts> {
        match self {
            Self::Own(facts) => facts,
            Self::Apart(counted) => &counted.0,
        }
    }
}

/// The facts behind a [`Verified`]. They hold for as long as the token does; whether it may be used *now* is asked again
/// on each request.
// In this order: behind the reference count, which one thread writes at each request, comes what the gate does not look at when it
// finds the token remembered. So the cache line of the count is nobody else's.
#[repr(C)]
pub(crate) struct Facts {
    pub(crate) claims: Claims,
    pub(crate) text: Text,
    /// The key whose signature vouches for the claims; `None` where an endpoint of the issuer did.
    pub(crate) key: Option<Arc<VerificationKey>>,
    pub(crate) issuer: Arc<TrustedIssuer>,
    pub(crate) kind: TokenKind,
    /// What the issuer's rules or the claims asked to be read besides; hardly ever there.
    pub(crate) extra: Option<Box<Extra>>,
    pub(crate) typed: Typed,
}

impl Facts {
    pub(crate) fn claim(&self, span: Option<Span>) -> Option<&str> {
        span.map(|span| self.text.get(span))
    }

    /// The issuer: of a template's many tenants the very one.
    pub(crate) fn issuer_name(&self) -> &str {
        match (&self.issuer.naming, self.claims.issuer) {
            // One entry stands for many tenants; which one is in the token.
            (Naming::Template(_), Some(span)) => self.text.get(span),
            _ => &self.issuer.identifier,
        }
    }

    pub(crate) fn binding(&self) -> Option<&Binding> {
        self.extra.as_ref()?.binding.as_ref()
    }

    /// Where the issuer keeps the token's status.
    pub(crate) fn status(&self) -> Option<&Reference> {
        self.extra.as_ref()?.status.as_ref()
    }

    /// What a deny-list can be asked about.
    pub(crate) fn marks(&self) -> Marks<'_> {
        let mut marks = Marks::of(self.issuer_name());
        marks.token_id = self.claim(self.claims.token_id);
        marks.subject = self.claim(self.claims.subject);
        marks.session_id = self.claim(self.claims.session_id);
        marks.issued_at = self.claims.issued;
        marks
    }

    /// Bytes that the facts take, without what a handler's own types add.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>()
            + self.text.size()
            // Names and actors are copies out of the text, so never more than it.
            + self.extra.as_ref().map_or(0, |_| size_of::<Extra>() + self.text.size())
    }
}

impl Verified {
    pub(crate) fn new(facts: Arc<Facts>) -> Self {
        Self(Hold::Own(facts))
    }

    /// With a reference count that no other thread touches.
    pub(crate) fn apart(facts: Arc<Facts>) -> Self {
        Self(Hold::Apart(Arc::new(Counted(facts))))
    }

    pub(crate) fn shared_facts(&self) -> &Arc<Facts> {
        &self.0
    }

    /// The issuer, `iss`. For an issuer whose tokens have no `iss`, the name that it was configured with.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.0.issuer_name()
    }

    /// The tenant that the request was for, as named by the [`TenantResolver`](crate::tenants::TenantResolver).
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.0.issuer.tenant.as_deref()
    }

    /// Which kind of token it is.
    #[must_use]
    pub fn kind(&self) -> TokenKind {
        self.0.kind
    }

    /// `act`: who acts on behalf of the subject (RFC 8693 section 4.1). This is the outermost actor, the one that decisions are based on.
    #[must_use]
    pub fn actor(&self) -> Option<&Actor> {
        self.0.extra.as_ref()?.delegation.actor.as_ref()
    }

    /// `may_act`: who may act on behalf of the subject (RFC 8693 section 4.4). It matters to a server that exchanges tokens; it does not say that anyone is acting
    /// now.
    #[must_use]
    pub fn may_act(&self) -> Option<&Actor> {
        self.0.extra.as_ref()?.delegation.may_act.as_ref()
    }

    /// `cnf`: the key or certificate that the token is bound to (RFC 7800). The sender has proved possession of it. `None` for a bearer token.
    #[must_use]
    pub fn binding(&self) -> Option<&Binding> {
        self.0.binding()
    }

    /// The value of the response header field `DPoP-Nonce` (RFC 9449 section 8.2): the nonce for the client's next proof. `None` where the server uses no nonces or
    /// the token came without a proof. The adapters send it; you need it only without them.
    #[must_use]
    pub fn dpop_nonce(&self) -> Option<String> {
        self.binding()?.key()?;
        self.0.issuer.protection.dpop.as_ref()?.nonces.as_ref()?.fresh()
    }

    pub(crate) fn unbound(&self) -> Error {
        let why = "this route takes tokens that are bound to their sender (cnf) alone";
        self.error(Error::new(ErrorKind::Unbound, why))
    }

    /// Returns an error unless the token is bound to its sender, by a key or a certificate. To combine this with scopes, use
    /// [`Rule::Bound`](crate::Rule::Bound).
    ///
    /// # Errors
    /// [`ErrorKind::Unbound`] for a bearer token.
    pub fn require_bound(&self) -> Result<&Binding, Error> {
        self.binding().ok_or_else(|| self.unbound())
    }

    /// `sub`: the user or client that the token is about. Unique only together with [`Verified::issuer`].
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.0.claims.subject.map(|span| self.0.text.get(span))
    }

    /// `client_id`, or `azp` where the issuer writes that: the client that the token was issued to.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.0.claims.client_id.or(self.0.claims.authorized_party).map(|span| self.0.text.get(span))
    }

    /// `jti`: the token's own identifier.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.0.claims.token_id.map(|span| self.0.text.get(span))
    }

    /// `sid`: the user's session at the issuer.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.0.claims.session_id.map(|span| self.0.text.get(span))
    }

    /// `aud`: the audiences that the token is for. This server's is among them; there may be others.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.names(&self.0.claims.audience).iter()
    }

    /// The scopes: from `scope` and `scp`, or from the claims that the issuer's [`ClaimMapping`](crate::mapping::ClaimMapping) names.
    #[must_use]
    pub fn scopes(&self) -> Scopes<'_> {
        let further = self.0.extra.as_ref().map_or(&[][..], |extra| &extra.scopes);
        Scopes::new(&self.0.text, &self.0.claims, &self.0.issuer.mapping.scopes, further)
    }

    /// The roles: from `roles`, or from the claims that the issuer's [`ClaimMapping`](crate::mapping::ClaimMapping) names.
    #[must_use]
    pub fn roles(&self) -> Scopes<'_> {
        let further = self.0.extra.as_ref().map_or(&[][..], |extra| &extra.roles);
        Scopes::new(&self.0.text, &self.0.claims, &self.0.issuer.mapping.roles, further)
    }

    /// `exp`: when the token expires. `None` only for an issuer whose tokens were allowed to have none.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.0.claims.expires
    }

    /// When the gate begins to refuse it: `exp` and the issuer's leeway.
    pub(crate) fn served_until(&self) -> Option<Timestamp> {
        Some(self.0.claims.expires?.saturating_add(self.0.issuer.leeway))
    }

    /// `iat`: when the token was issued.
    #[must_use]
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.0.claims.issued
    }

    /// The claims as a type of your own. They are parsed at most once for each token and type, and shared after that.
    ///
    /// # Errors
    /// [`ErrorKind::ClaimsMismatch`] if the claims cannot be deserialized as the type. The detail names the claim and the expected type, never the value.
    pub fn claims<T>(&self) -> Result<Arc<T>, Error>
    where
        T: DeserializeOwned + Any + Send + Sync,
    {
        self.claims_of(std::any::type_name::<T>())
    }

    /// The same, where the log is to call the type by another name than Rust does.
    pub(crate) fn claims_of<T>(&self, wanted: &str) -> Result<Arc<T>, Error>
    where
        T: DeserializeOwned + Any + Send + Sync,
    {
        self.0.typed.get(|| {
            serde_json::from_str(self.0.text.json()).map_err(|error| {
                let detail = misfit::describe(self.0.text.json(), wanted, &error);
                self.error(Error::new(ErrorKind::ClaimsMismatch, detail).misfit())
            })
        })
    }

    /// The claims set as the issuer wrote it: the text of one JSON object.
    #[must_use]
    pub fn claims_json(&self) -> &str {
        self.0.text.json()
    }

    /// The token itself, for calls to other services on behalf of the caller. `None` where the server was configured to keep no tokens.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.0.text.token()
    }

    /// The same error in the name of the resource server that the token was verified by: its challenge has that server's realm and metadata.
    #[must_use]
    pub fn refusal(&self, error: Error) -> Error {
        self.error(error)
    }

    /// A good token of the wrong kind for a handler.
    pub(crate) fn wrong_kind(&self, expected: TokenKind) -> Error {
        self.error(Error::new(
            ErrorKind::WrongType,
            format!("this handler asks for {expected}, the token is {}", self.kind()),
        ))
    }

    fn names<'a>(&'a self, list: &'a List) -> Names<'a> {
        Names::new(&self.0.text, list)
    }

    pub(super) fn error(&self, error: Error) -> Error {
        let as_dpop = self.binding().is_some_and(|binding| binding.key.is_some());
        let error = if as_dpop { error.presented(Presented { as_dpop, policy: None }) } else { error };
        error.about(&self.0.issuer.identifier).within(&self.0.issuer.protection)
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("issuer", &self.issuer()).finish_non_exhaustive()
    }
}
