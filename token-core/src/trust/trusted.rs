//! An issuer as the gate holds it: its rules, ready to be applied, and its keys. The rules of RFC 7519 section 4.1 and RFC 9068 section 4.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::answer::challenge::Protection;
use crate::answer::check::Check;
use crate::answer::error::{Error, ErrorKind};
use crate::base::sync::atomic::{AtomicBool, Ordering};
use crate::base::time::{Clock, Timestamp};
use crate::claims::{Claims, Names, Text};
use crate::jose::header::TokenType;
use crate::jose::{Algorithm, Algorithms, VerificationKey};
use crate::keys::Keys;
use crate::opaque::Opaque;
use crate::opaque::status_list::Reference;
use crate::opaque::status_lists::Lists;
use crate::token::actor::Delegation;
use crate::token::audience::Audience;
use crate::token::binding::Binding;
use crate::token::kind::{self, TokenKind};
use crate::token::mapping::Mapping;
use crate::token::naming::{Naming, TENANT};
use crate::trust::claim_rule::ClaimRule;
use crate::trust::home::Home;

/// One trusted issuer.
#[derive(Debug)]
pub(crate) struct TrustedIssuer {
    pub(crate) identifier: Arc<str>,
    pub(crate) naming: Naming,
    pub(crate) accepts: Accepts,
    pub(crate) algorithms: Algorithms,
    pub(crate) leeway: Duration,
    /// RFC 9068: only `at+jwt`, and the claims that section 2.2 requires.
    pub(crate) strict: bool,
    /// Whether an access token has to say by a mark that it is one.
    pub(crate) marked: bool,
    /// Whether tokens that are bound to their sender are taken: proofs are checked with each request that brings one.
    pub(crate) proofs: bool,
    pub(crate) expiry_required: bool,
    pub(crate) mapping: Mapping,
    pub(crate) rules: Box<[ClaimRule]>,
    /// Whether the issuer that a published key names has to be the token's.
    pub(crate) keys_name_issuer: bool,
    /// Whether the nonce in a token that says by another mark that it is an access token counts for nothing.
    pub(crate) nonce_outranked: bool,
    /// Whether its subjects may be whole numbers.
    pub(crate) numeric_subjects: bool,
    /// Whether its tokens come with padded parts, against RFC 7515 section 2.
    pub(crate) padded: bool,
    /// Whose it is, where tenants are looked up by request. Told apart by address: one that is looked up anew is another one.
    pub(crate) tenant: Option<Arc<str>>,
    /// Set once it is trusted no more: cached verdicts die with it.
    pub(crate) removed: AtomicBool,
    pub(crate) keys: Keys,
    /// The server that trusts it.
    pub(crate) home: Arc<Home>,
    /// What tells how old an authentication is when a handler asks.
    pub(crate) clock: Arc<dyn Clock>,
    /// Whether it has no keys at all: its tokens are asked about, JWTs too.
    pub(crate) keyless: bool,
    pub(crate) opaque: Option<Arc<Opaque>>,
    /// Where the status of its JWTs is looked up.
    pub(crate) status_lists: Option<Arc<Lists>>,
    /// What whoever is refused later, in a handler, is told of the server.
    pub(crate) protection: Arc<Protection>,
}

/// The kinds of token that are taken from an issuer, each with whom it has to be for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accepts {
    pub(crate) access: Option<Audience>,
    pub(crate) id: Option<Audience>,
    pub(crate) logout: Option<Audience>,
    pub(crate) events: Option<Audience>,
}

impl Accepts {
    fn audience(&self, kind: TokenKind) -> Option<&Audience> {
        match kind {
            TokenKind::Access | TokenKind::Delegation | TokenKind::Management => self.access.as_ref(),
            TokenKind::Id => self.id.as_ref(),
            TokenKind::Logout => self.logout.as_ref(),
            TokenKind::SecurityEvent => self.events.as_ref(),
            TokenKind::Refresh | TokenKind::IdentityProvider | TokenKind::Other => None,
        }
    }

    fn all(&self) -> impl Iterator<Item = &Audience> {
        [&self.access, &self.id, &self.logout, &self.events].into_iter().flatten()
    }

    fn expected(&self) -> &'static str {
        match (&self.access, &self.id, &self.logout) {
            (Some(_), Some(_), _) => "an access token or an ID token",
            (None, Some(_), _) => "an ID token",
            (None, None, Some(_)) => "a logout token",
            (None, None, None) if self.events.is_some() => "a security event token",
            _ => "an access token",
        }
    }
}

/// What was read of a verified token because its issuer's rules or its claims asked for it.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    pub(crate) scopes: Box<[Box<str>]>,
    pub(crate) roles: Box<[Box<str>]>,
    pub(crate) delegation: Delegation,
    pub(crate) binding: Option<Binding>,
    pub(crate) status: Option<Reference>,
}

impl TrustedIssuer {
    /// Whether a header may be believed and what the token is: the algorithm is agreed (RFC 8725 section 3.1), the kind is one
    /// that is taken here (section 3.11).
    pub(crate) fn check_header(
        &self,
        algorithm: Algorithm,
        typ: TokenType,
        text: &Text,
        claims: &Claims,
    ) -> Result<TokenKind, Error> {
        if !self.algorithms.contains(algorithm) {
            let detail = format!("{algorithm} is not agreed with this issuer, expected one of {:?}", self.algorithms);
            return Err(Error::new(ErrorKind::AlgorithmNotAllowed, detail).at(Check::Algorithm));
        }
        self.check_kind(Some(typ), text, claims)
    }

    /// Which kind of token it is, if it is one that is taken here. `typ` is `None` where there is no header to say it.
    pub(crate) fn check_kind(&self, typ: Option<TokenType>, text: &Text, claims: &Claims) -> Result<TokenKind, Error> {
        let wrong = |detail: String| Err(Error::new(ErrorKind::WrongType, detail).at(Check::Type));
        let kind = match kind::untrusted_marks(typ, text, claims, self.nonce_outranked) {
            (Some(one), Some(other)) => {
                return wrong(format!(
                    "{} marks it as {}, {} as {}: no token is both",
                    one.place, one.kind, other.place, other.kind
                ));
            }
            (Some(mark), None) if self.accepts.audience(mark.kind).is_none() => {
                return wrong(format!(
                    "{} marks it as {}, expected {}",
                    mark.place,
                    mark.kind,
                    self.accepts.expected()
                ));
            }
            (Some(mark), None) => mark.kind,
            (None, _) => match self.kind_by_audience(text, claims)? {
                TokenKind::Access if self.marked && typ.is_some() => return wrong(UNMARKED.to_owned()),
                kind => kind,
            },
        };
        if kind == TokenKind::Access && self.strict && typ.is_some_and(|typ| typ != TokenType::AccessToken) {
            return wrong("expected the header to say at+jwt (RFC 9068), it does not".to_owned());
        }
        Ok(kind)
    }

    /// The kind of a token without marks: an ID token is for a client, an access token for a resource.
    fn kind_by_audience(&self, text: &Text, claims: &Claims) -> Result<TokenKind, Error> {
        let fits = |audience: &Audience| audience.accepts(Names::new(text, &claims.audience));
        match (&self.accepts.access, &self.accepts.id) {
            (Some(access), Some(id)) if !fits(access) && fits(id) => Ok(TokenKind::Id),
            (Some(_), _) => Ok(TokenKind::Access),
            (None, Some(_)) => Ok(TokenKind::Id),
            (None, None) => {
                let detail = format!("nothing marks it as {}", self.accepts.expected());
                Err(Error::new(ErrorKind::WrongType, detail).at(Check::Type))
            }
        }
    }

    /// Whether a claims set may be used here and now. Asked before a key is fetched, and again on each use of a cached verdict.
    pub(crate) fn check_claims(
        &self,
        kind: TokenKind,
        text: &Text,
        claims: &Claims,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.check_audience(kind, text, claims)?;
        self.check_times(claims, now)?;
        check_subject(claims)?;
        if claims.confirmation {
            self.check_provable(kind)?;
        }
        match kind {
            TokenKind::Id => self.check_id_token(text, claims, now),
            TokenKind::Logout | TokenKind::SecurityEvent => Ok(()),
            _ if self.strict => require_rfc9068(claims),
            _ => Ok(()),
        }
    }

    /// Whether a token with `cnf` may be looked at any further: where its proof will be asked for, and is one of a token for an API.
    #[cold]
    pub(crate) fn check_provable(&self, kind: TokenKind) -> Result<(), Error> {
        if self.proofs && !matches!(kind, TokenKind::Id | TokenKind::Logout) {
            return Ok(());
        }
        let why = if self.proofs {
            "the token is bound to its sender (cnf), and proofs are taken with access tokens alone"
        } else {
            "the token is bound to its sender (cnf) and no proof of possession is checked here: configure dpop or mutual_tls"
        };
        Err(Error::new(ErrorKind::SenderConstrained, why).at(Check::Binding))
    }

    /// Whether a cached verdict may still be given in this issuer's name at all.
    pub(crate) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Relaxed)
    }

    /// Whether one token could be judged by both entries: they share an audience and an algorithm.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.shares_audience(other) && !self.algorithms.intersection(other.algorithms).is_empty()
    }

    pub(crate) fn shares_audience(&self, other: &Self) -> bool {
        self.accepts.all().any(|ours| other.accepts.all().any(|theirs| ours.overlaps(theirs)))
    }

    /// Whether a token without `iss` is for this entry to judge.
    pub(crate) fn claims_nameless(&self, text: &Text, claims: &Claims) -> bool {
        match self.naming {
            Naming::Nameless => self.accepts.all().any(|ours| ours.accepts(Names::new(text, &claims.audience))),
            // SPIFFE-ID section 2: the trust domain is the authority of the URI in sub.
            Naming::TrustDomain => claims.subject.map(|span| text.get(span)).is_some_and(|subject| {
                let path = subject.strip_prefix(&*self.identifier);
                path.is_some_and(|path| path.starts_with('/') && path.len() > 1)
            }),
            Naming::Exact | Naming::Template(_) => false,
        }
    }

    /// Whether this entry is the one for a token with these claims and algorithm, where several bear the same name. By
    /// audience first: the algorithm alone never picks a key.
    pub(crate) fn fits(&self, algorithm: Algorithm, text: &Text, claims: &Claims) -> (bool, bool) {
        let audience = self.accepts.all().any(|ours| ours.accepts(Names::new(text, &claims.audience)));
        (audience, self.algorithms.contains(algorithm))
    }

    /// What is left to check once the signature is good, and what is read then: the key's own issuer, the operator's demands, grants
    /// outside the one pass, actors. Allocates nothing where nobody asked for any of it.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownKey`], [`ErrorKind::ClaimsMismatch`].
    pub(crate) fn examine(
        &self,
        key: Option<&VerificationKey>,
        header: impl FnOnce() -> Value,
        text: &Text,
        claims: &Claims,
    ) -> Result<Option<Box<Extra>>, Error> {
        if let Some(key) = key.filter(|_| self.keys_name_issuer) {
            self.check_key_issuer(key, text, claims)?;
        }
        let tenant = match &self.naming {
            Naming::Template(template) => claims.issuer.and_then(|span| template.tenant(text.get(span))),
            _ => None,
        };
        let whole = self.mapping.looks_further() || !self.rules.is_empty() || tenant.is_some();
        // What an endpoint vouches for has the endpoint's word for its status.
        let lists = self.status_lists.as_ref().filter(|_| key.is_some());
        if !whole && !claims.delegation && !claims.confirmation && lists.is_none() {
            return Ok(None);
        }
        let mut extra = Extra::default();
        if let Some(lists) = lists {
            extra.status = Reference::read(text.json())?;
            if extra.status.is_none() && lists.settings.required {
                return Err(Error::new(ErrorKind::ClaimsMismatch, "expected the claim status, it is missing"));
            }
        }
        if claims.confirmation {
            extra.binding = Some(Binding::read(text.json())?);
        }
        if claims.delegation {
            extra.delegation = Delegation::read(text.json())?;
        }
        if whole {
            let value: Value = serde_json::from_str(text.json())
                .map_err(|_| Error::new(ErrorKind::Malformed, "the claims are not one JSON object"))?;
            if let Some(tenant) = tenant
                && value.get("tid").is_some_and(|tid| tid.as_str() != Some(tenant))
            {
                return Err(Error::new(ErrorKind::ClaimsMismatch, "expected tid to be the tenant that iss names"));
            }
            if !self.rules.is_empty() {
                let header = if self.rules.iter().any(ClaimRule::reads_header) { header() } else { Value::Null };
                self.rules.iter().try_for_each(|rule| rule.check(&value, &header))?;
            }
            extra.scopes = self.mapping.scopes.read(&value);
            extra.roles = self.mapping.roles.read(&value);
        }
        Ok(Some(Box::new(extra)))
    }

    /// A shared key set names with each key whose it is: a key of one tenant's issuer must not vouch for another's.
    fn check_key_issuer(&self, key: &VerificationKey, text: &Text, claims: &Claims) -> Result<(), Error> {
        let issuer = claims.issuer.map_or("", |span| text.get(span));
        let fits = key.issuer().is_none_or(|named| match named.split_once(TENANT) {
            Some((before, after)) => issuer
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after))
                .is_some_and(crate::token::naming::is_guid),
            None => named == issuer,
        });
        if fits {
            return Ok(());
        }
        Err(Error::new(ErrorKind::UnknownKey, "the key is published for another issuer than the token's"))
    }

    /// RFC 7519 section 4.1.3.
    pub(crate) fn check_audience(&self, kind: TokenKind, text: &Text, claims: &Claims) -> Result<(), Error> {
        let ours = self.accepts.audience(kind);
        if ours.is_some_and(|ours| ours.accepts(Names::new(text, &claims.audience))) {
            return Ok(());
        }
        let expected = ours.map_or_else(|| "nobody".to_owned(), Audience::describe);
        Err(Error::new(ErrorKind::WrongAudience, format!("expected aud to name {expected}")).at(Check::Audience))
    }

    /// OpenID Connect Core section 2: `sub` and `iat` are required, and an authorized party, where there is one, is this client.
    fn check_id_token(&self, text: &Text, claims: &Claims, now: Timestamp) -> Result<(), Error> {
        let refuse = |why: &'static str| Err(Error::new(ErrorKind::ClaimsMismatch, why).at(Check::Profile));
        if claims.subject.is_none() {
            return refuse("an ID token has sub, this one does not");
        }
        match claims.issued {
            None => return refuse("an ID token has iat, this one does not"),
            Some(issued) if now.saturating_add(self.leeway) < issued => {
                let detail = format!("iat is {} ahead", rounded(issued.since(now)));
                return Err(Error::new(ErrorKind::NotYetValid, detail).at(Check::Profile));
            }
            Some(_) => {}
        }
        // 3.1.3.7, steps 4 and 5.
        let several = Names::new(text, &claims.audience).iter().nth(1).is_some();
        match (claims.authorized_party.map(|span| text.get(span)), &self.accepts.id) {
            (None, _) if several => refuse("an ID token for several audiences has azp, this one does not"),
            (Some(party), Some(clients)) if !clients.names(party) => refuse("expected azp to be this client"),
            _ => Ok(()),
        }
    }

    /// RFC 7519 sections 4.1.4 and 4.1.5, with the leeway on both sides.
    pub(crate) fn check_times(&self, claims: &Claims, now: Timestamp) -> Result<(), Error> {
        match claims.expires {
            Some(expires) if now >= expires.saturating_add(self.leeway) => {
                let ago = now.since(expires);
                return Err(
                    Error::new(ErrorKind::Expired, format!("exp passed {} ago", rounded(ago))).at(Check::Expiry)
                );
            }
            None if self.expiry_required => {
                return Err(Error::new(ErrorKind::ClaimsMismatch, "the token has no exp, and one is required")
                    .at(Check::Expiry));
            }
            _ => {}
        }
        self.check_start(claims, now)
    }

    /// RFC 7519 section 4.1.5.
    pub(crate) fn check_start(&self, claims: &Claims, now: Timestamp) -> Result<(), Error> {
        match claims.not_before {
            Some(start) if now.saturating_add(self.leeway) < start => {
                let ahead = start.since(now);
                Err(Error::new(ErrorKind::NotYetValid, format!("nbf is {} ahead", rounded(ahead))).at(Check::NotBefore))
            }
            _ => Ok(()),
        }
    }
}

const UNMARKED: &str = "nothing marks it as an access token, and strict asks for a mark: at+jwt in the header, or a word for the kind \
     in token_use, token_class, typ, type or token_type";

/// A subject that is there names somebody (OpenID Connect Core section 2, RFC 9068 section 2.2).
#[inline]
pub(crate) fn check_subject(claims: &Claims) -> Result<(), Error> {
    match claims.subject {
        Some(span) if span.is_empty() => {
            Err(Error::new(ErrorKind::ClaimsMismatch, "sub is empty, expected it to name somebody").at(Check::Profile))
        }
        _ => Ok(()),
    }
}

/// RFC 9068 section 2.2: iss, exp, aud, sub, client_id, iat and jti are required.
fn require_rfc9068(claims: &Claims) -> Result<(), Error> {
    let missing = [
        ("sub", claims.subject.is_none()),
        ("client_id", claims.client_id.is_none()),
        ("exp", claims.expires.is_none()),
        ("iat", claims.issued.is_none()),
        ("jti", claims.token_id.is_none()),
    ];
    match missing.iter().find(|(_, missing)| *missing) {
        Some((claim, _)) => {
            Err(Error::new(ErrorKind::ClaimsMismatch, format!("RFC 9068 requires the claim {claim}, it is missing"))
                .at(Check::Profile))
        }
        None => Ok(()),
    }
}

/// Coarse on purpose: enough to tell a skewed clock from a stale token, too little to rebuild the claim.
pub(crate) fn rounded(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}
