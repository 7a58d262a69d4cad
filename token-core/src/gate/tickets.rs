//! A token and the place it is for in; a ticket, and what is stored under it, out; and the reverse. Pure, apart from
//! randomness.
//!
//! A ticket is 256 random bits. Two values are derived from it: a digest under which the store keeps an entry, and the
//! key that encrypts the entry. Someone who reads the store learns neither tickets nor tokens.

pub(crate) mod callers;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::config_error::ConfigError;
use crate::base::time::Timestamp;
use crate::gate::tickets::callers::Callers;
use crate::jose::base64url;
use crate::jose::encryption::{ContentEncryption, DecryptionKey, EncryptedTokens};
use crate::jose::signature::{random, sha256};
use crate::policy::{TicketStorePolicy, TicketsPolicy};
use crate::request::presented::RequestView;
use crate::stores::{MemoryTickets, TicketStore};

/// The query parameter that carries a ticket.
pub(crate) const PARAMETER: &str = "ticket";
/// The longest path that a ticket can be issued for, in bytes.
const LONGEST_PATH: usize = 2048;
const LIFE: Duration = Duration::from_secs(30);
const LONGEST_LIFE: Duration = Duration::from_secs(300);

/// Issues one-time tickets in exchange for tokens. A ticket is valid for 30 s, one path and one origin. They are for
/// `EventSource` and `WebSocket`, which cannot set headers; see
/// [`ResourceServerBuilder::tickets`](crate::ResourceServerBuilder::tickets).
///
/// Needs the feature `aws-lc-rs`, which encrypts the stored entries.
///
/// ```
/// use token_core::streams::Tickets;
/// use token_core::{Issuer, ResourceServer};
///
/// # fn main() -> Result<(), token_core::ConfigError> {
/// # if cfg!(not(feature = "aws-lc-rs")) { return Ok(()) }
/// let api = ResourceServer::builder("https://api.example.com")
///     .trust(Issuer::discover("https://login.example.com/")?)
///     .tickets(Tickets::in_memory())
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "tickets are sold once a server is told of them"]
pub struct Tickets {
    store: Option<Arc<dyn TicketStore>>,
    life: Duration,
    shared: bool,
}

impl Tickets {
    /// Stores tickets in the memory of this process. A ticket is then valid only at the instance that issued it.
    pub fn in_memory() -> Self {
        Self { store: Some(Arc::new(MemoryTickets::new())), life: LIFE, shared: false }
    }

    /// Stores tickets in this store. With several instances, use `token_redis::Redis::tickets`.
    pub fn kept_in(store: impl TicketStore) -> Self {
        Self { store: Some(Arc::new(store)), life: LIFE, shared: true }
    }

    /// Sets how long a ticket is valid. Default: 30 s; from 1 s to 5 min. A ticket never outlives its token.
    pub fn life(mut self, life: Duration) -> Self {
        self.life = life;
        self
    }

    pub(crate) fn of(policy: &TicketsPolicy) -> Self {
        let tickets = Self::in_memory().life(policy.life.unwrap_or(LIFE));
        match policy.store {
            TicketStorePolicy::Own => tickets,
            TicketStorePolicy::Shared => Self { store: None, shared: true, ..tickets },
        }
    }

    /// The same settings with this store.
    pub(crate) fn stored(self, store: Arc<dyn TicketStore>) -> Self {
        Self { store: Some(store), shared: true, ..self }
    }

    pub(crate) fn policy_text(&self) -> TicketsPolicy {
        let store = if self.shared { TicketStorePolicy::Shared } else { TicketStorePolicy::Own };
        TicketsPolicy { life: (self.life != LIFE).then_some(self.life), store }
    }

    /// Checks the settings. `former` belongs to the server that this one replaces; tickets that it issued from its own
    /// memory stay valid.
    ///
    /// # Errors
    /// [`ConfigError`] if the settings cannot work.
    pub(crate) fn check(self, former: Option<&TicketOffice>) -> Result<TicketOffice, ConfigError> {
        if self.life < Duration::from_secs(1) || self.life > LONGEST_LIFE {
            return Err(ConfigError::new(
                "tickets live from 1 s to 5 min: they are for opening a connection, not for keeping one",
            ));
        }
        let store = self.store.ok_or_else(|| {
            ConfigError::new(
                "tickets.store is shared, and no store was handed over: call ticket_store(..) of the builder",
            )
        })?;
        DecryptionKey::direct(ContentEncryption::A256Gcm, None, &[0; 32])
            .map_err(|error| ConfigError::new(format!("tickets: {error}")))?;
        let sold = former.filter(|former| !former.shared && !self.shared).map(|former| Arc::clone(&former.store));
        let store = sold.unwrap_or(store);
        Ok(TicketOffice { store, life: self.life, shared: self.shared, callers: Callers::default() })
    }
}

/// Issues and redeems tickets.
#[derive(Debug)]
pub(crate) struct TicketOffice {
    pub(crate) store: Arc<dyn TicketStore>,
    pub(crate) life: Duration,
    shared: bool,
    pub(crate) callers: Callers,
}

/// An issued ticket. `Debug` does not show it. Send it to the page that asked for it, and do not log it.
pub struct Ticket {
    text: String,
    life: Duration,
}

impl Ticket {
    /// The text of the ticket: 43 characters, for the query parameter `ticket`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How long the ticket is valid, from now.
    #[must_use]
    pub fn expires_in(&self) -> Duration {
        self.life
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("expires_in", &self.life).finish_non_exhaustive()
    }
}

/// What is stored for a ticket.
#[derive(Serialize, Deserialize)]
pub(crate) struct Stub {
    pub(crate) token: String,
    path: String,
    from: From,
}

/// The page that a request comes from, according to headers that a page cannot set itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct From {
    /// The header `Origin`; `None` if the request was not sent by a browser.
    origin: Option<String>,
    /// Whether the request has `Sec-Fetch-Site: same-origin`.
    same_origin: bool,
    /// The host and port that the request was sent to.
    #[serde(default)]
    host: Option<String>,
}

impl From {
    /// Reads the headers; `None` if one of them is repeated or not text.
    pub(crate) fn of(request: &dyn RequestView) -> Option<Self> {
        let once = |name: &str| {
            let (mut fields, mut found) = (0_usize, None);
            request.header(name, &mut |value| {
                fields += 1;
                found = std::str::from_utf8(value).ok().map(str::to_owned);
            });
            match (fields, found) {
                (0, _) => Some(None),
                (1, Some(text)) => Some(Some(text)),
                _ => None,
            }
        };
        let (origin, site) = (once("origin")?, once("sec-fetch-site")?);
        let host = request.host().map(str::to_ascii_lowercase);
        Some(Self { origin, same_origin: site.as_deref() == Some("same-origin"), host })
    }

    /// Whether a page that obtained a ticket may redeem it from there. Browsers send no `Origin` with an `EventSource`
    /// of the same origin: the host then stands for it. A ticket obtained outside a browser can only be redeemed outside one.
    fn fits(&self, redeemed: &Self) -> bool {
        match (&self.origin, &redeemed.origin) {
            (Some(bought), Some(redeemed)) => bought == redeemed && bought != "null",
            (Some(_), None) => self.same_origin && redeemed.same_origin && self.is_same_host(redeemed),
            (None, None) if redeemed.same_origin => self.same_origin && self.is_same_host(redeemed),
            (None, None) => !self.same_origin,
            (None, Some(_)) => false,
        }
    }

    fn is_same_host(&self, redeemed: &Self) -> bool {
        self.host.is_some() && self.host == redeemed.host
    }
}

/// Whether a request opens a stream, by what browsers write: an `EventSource` accepts `text/event-stream` (HTML Standard section 9.2.2), a `WebSocket` says its
/// version (RFC 6455 section 4.1, RFC 8441 section 5). Only there a ticket is looked for.
pub(crate) fn opens_stream(request: &dyn RequestView) -> bool {
    let is_events = |range: &[u8]| {
        let kind = range.split(|byte| *byte == b';').next().unwrap_or_default();
        kind.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
    };
    let mut opens = false;
    request.header("accept", &mut |value| opens |= value.split(|byte| *byte == b',').any(is_events));
    request.header("sec-websocket-version", &mut |_| opens = true);
    opens
}

/// The path of a request target.
pub(crate) fn path(target: &str) -> &str {
    target.split_once('?').map_or(target, |(path, _)| path)
}

/// Whether a ticket can be issued for this path: absolute, without query and fragment.
pub(crate) fn is_path(path: &str) -> bool {
    path.starts_with('/')
        && path.len() <= LONGEST_PATH
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'?' && byte != b'#')
}

/// The ticket in a query; an error if there are several.
pub(crate) fn in_query(target: &str) -> Result<Option<&str>, ()> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let is_ticket = |pair: &&str| pair.split_once('=').is_some_and(|(name, _)| name == PARAMETER);
    let mut tickets = query.split('&').filter(is_ticket).filter_map(|pair| pair.split_once('='));
    match (tickets.next(), tickets.next()) {
        (first, None) => Ok(first.map(|(_, ticket)| ticket)),
        (_, Some(_)) => Err(()),
    }
}

/// The digest and the key that are derived from a ticket.
fn halves(ticket: &[u8; 32]) -> Option<([u8; 32], DecryptionKey)> {
    let name = sha256(&[b"token ticket name", &ticket[..]].concat());
    let key = sha256(&[b"token ticket key ", &ticket[..]].concat());
    Some((name, DecryptionKey::direct(ContentEncryption::A256Gcm, None, &key).ok()?))
}

/// Makes a ticket for this token. Returns the ticket, its digest, and what is to be stored; `None` without random
/// bytes.
pub(crate) fn sell(token: &str, path: &str, from: From, life: Duration) -> Option<(Ticket, [u8; 32], String)> {
    let ticket = random()?;
    let (name, key) = halves(&ticket)?;
    let stub = serde_json::to_string(&Stub { token: token.to_owned(), path: path.to_owned(), from }).ok()?;
    let key = key.encryption_key().ok()?;
    let sealed = key.encrypt(ContentEncryption::A256Gcm, &serde_json::Map::new(), stub.as_bytes()).ok()?;
    Some((Ticket { text: base64url::encode(&ticket), life }, name, sealed))
}

/// The digest of a ticket, and a function that decrypts what is stored under it. `None` if the text is not a ticket.
pub(crate) fn parse(ticket: &str) -> Option<([u8; 32], impl Fn(&str) -> Option<Stub> + use<>)> {
    let bytes: [u8; 32] = base64url::decode(ticket.as_bytes())?.try_into().ok()?;
    let (name, key) = halves(&bytes)?;
    let keys = EncryptedTokens::with([key]);
    Some((name, move |sealed: &str| serde_json::from_slice(&keys.open_any(sealed)?).ok()))
}

impl Stub {
    /// Whether the ticket was issued for this path and origin.
    pub(crate) fn is_for(&self, path: &str, from: &From) -> bool {
        self.path == path && self.from.fits(from)
    }
}

/// The lifetime of a ticket for a token that is accepted until `served_until`.
pub(crate) fn life(office: &TicketOffice, served_until: Option<Timestamp>, now: Timestamp) -> Duration {
    served_until.map_or(office.life, |end| office.life.min(end.since(now)))
}

#[cfg(feature = "aws-lc-rs")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::sent::Sent;

    fn from(origin: Option<&str>, same_origin: bool) -> From {
        From { origin: origin.map(str::to_owned), same_origin, host: Some("app.example.com".into()) }
    }

    #[test]
    fn what_is_kept_opens_with_its_ticket_alone_and_shows_nothing() {
        let (ticket, name, sealed) = sell("a.secret.token", "/events", from(None, false), LIFE).unwrap();
        let (other, other_name, _) = sell("a.secret.token", "/events", from(None, false), LIFE).unwrap();
        assert!(ticket.as_str().len() == 43 && ticket.as_str() != other.as_str() && name != other_name);
        let (found, open) = parse(ticket.as_str()).unwrap();
        assert_eq!((found, open(&sealed).unwrap().token.as_str()), (name, "a.secret.token"));
        assert!(parse(other.as_str()).unwrap().1(&sealed).is_none());
        let plain = String::from_utf8_lossy(&base64url::decode(sealed.split('.').nth(3).unwrap().as_bytes()).unwrap())
            .into_owned();
        assert!(!sealed.contains("secret") && !plain.contains("secret"));
        assert!(!format!("{ticket:?}").contains(ticket.as_str()));
        for odd in ["", "x", &"A".repeat(42), &"A".repeat(44), &format!("{}=", "A".repeat(43)), "?"] {
            assert!(parse(odd).is_none(), "{odd}");
        }
    }

    #[test]
    fn a_ticket_is_for_one_path_and_one_origin() {
        let app = Some("https://app.example.com");
        let evil = Some("https://evil.example");
        for (bought, redeemed, fits) in [
            (from(app, false), from(app, false), true),
            (from(app, false), from(evil, false), false),
            (from(app, false), from(None, false), false),
            (from(app, false), from(None, true), false),
            // A page of the API's own origin: EventSource sends no Origin there, WebSocket does.
            (from(app, true), from(None, true), true),
            (from(app, true), from(app, true), true),
            (from(app, true), from(None, false), false),
            (from(Some("null"), false), from(Some("null"), false), false),
            // No browser at either end.
            (from(None, false), from(None, false), true),
            (from(None, false), from(app, false), false),
            (from(None, false), from(None, true), false),
        ] {
            let stub = Stub { token: String::new(), path: "/events".into(), from: bought.clone() };
            assert_eq!(stub.is_for("/events", &redeemed), fits, "{bought:?} {redeemed:?}");
            assert!(!stub.is_for("/events/", &redeemed) && !stub.is_for("/Events", &redeemed));
        }
    }

    #[test]
    fn where_no_origin_is_sent_a_page_redeems_at_the_host_it_has_bought_at() {
        let (app, other) = (Some("app.example.com"), Some("other.example.com"));
        let origin = Some("https://app.example.com");
        let at = |origin: Option<&str>, same_origin, host: Option<&str>| From {
            host: host.map(str::to_owned),
            ..from(origin, same_origin)
        };
        for (bought, redeemed, fits) in [
            (at(origin, true, app), at(None, true, app), true),
            (at(origin, true, app), at(None, true, other), false),
            (at(origin, true, app), at(None, true, None), false),
            (at(origin, true, None), at(None, true, None), false),
            (at(None, true, app), at(None, true, app), true),
            (at(None, true, app), at(None, true, other), false),
            // The origin says it already, and a page may redeem elsewhere than it has bought.
            (at(origin, true, app), at(origin, false, other), true),
            // Outside of a browser the host says nothing: whoever writes the request writes it.
            (at(None, false, app), at(None, false, other), true),
        ] {
            assert_eq!(bought.fits(&redeemed), fits, "{bought:?} {redeemed:?}");
        }
        let read = |sent: Sent| From::of(&sent).and_then(|from| from.host);
        assert_eq!(read(Sent::each("host", ["App.Example.com:8443"])).as_deref(), Some("app.example.com:8443"));
        assert_eq!(read(Sent::get("/").authority("App.example.com")).as_deref(), app);
        assert_eq!(read(Sent::each("host", ["a.example", "b.example"])), None);
    }

    #[test]
    fn a_ticket_is_looked_for_where_a_stream_is_opened() {
        for (name, value, opens) in [
            ("accept", "text/event-stream", true),
            ("accept", "Text/Event-Stream; q=0.9", true),
            ("accept", "application/json, text/event-stream", true),
            ("accept", "*/*", false),
            ("accept", "text/*", false),
            ("accept", "text/event-streams", false),
            ("accept", "", false),
            ("sec-websocket-version", "13", true),
            ("upgrade", "h2c", false),
        ] {
            assert_eq!(opens_stream(&Sent::each(name, [value])), opens, "{name}: {value}");
        }
        assert!(opens_stream(&Sent::each("accept", ["text/html", "text/event-stream"])));
        assert!(!opens_stream(&Sent::get("/events?ticket=x")));
    }

    #[test]
    fn a_query_holds_one_ticket_or_none() {
        for (target, expected) in [
            ("/e", Ok(None)),
            ("/e?", Ok(None)),
            ("/e?ticket=a", Ok(Some("a"))),
            ("/e?x=1&ticket=a&y=2", Ok(Some("a"))),
            ("/e?ticket=", Ok(Some(""))),
            ("/e?ticket", Ok(None)),
            ("/ticket=a", Ok(None)),
            ("/e?xticket=a", Ok(None)),
            ("/e?ticket=a&ticket=a", Err(())),
        ] {
            assert_eq!(in_query(target), expected, "{target}");
        }
        for (path, good) in
            [("/e", true), ("/", true), ("e", false), ("/e?x", false), ("/e#x", false), ("/e f", false), ("", false)]
        {
            assert_eq!(is_path(path), good, "{path}");
        }
    }
}
