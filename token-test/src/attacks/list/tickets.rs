//! Tickets that have to be refused, out: used, forged, for another place, bought by nobody. A ticket opens a connection of a page that can set no header:
//! it is good once, for one path, for pages of one origin, for a short time, and never longer than the token that bought it.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderName, ORIGIN};
use http::{HeaderValue, Method, Request};
use serde_json::json;

use super::super::class::Class;
use super::super::errand::{Errand, Step, Wait};
use super::super::target::HeadSuffices;
use super::{Bait, field, shorter};
use crate::mint::TokenBuilder;

/// Where an API sells tickets, where it redeems them, and what else is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Shop {
    pub(crate) sells: (Method, String),
    pub(crate) redeems: (Method, String),
    /// Of the page that buys and redeems.
    pub(crate) origin: String,
}

type Fields = Vec<(HeaderName, HeaderValue)>;
/// A ticket as part of a query.
type Spelling = fn(&str) -> String;

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

// What a weakness is called where no RFC speaks of tickets.
const REPLAY: &str = "CWE-294";
const PLACE: &str = "CWE-863";
const PAGE: &str = "CWE-346, CWE-1385";
const GUESS: &str = "CWE-330";
const LIFE: &str = "CWE-613";
const TWICE: &str = "CWE-235";
const BUYER: &str = "RFC 6750 3.1";

/// How much longer a token lives that is to end before its ticket.
const ALMOST: u64 = 5;

impl Bait<'_> {
    /// Tickets that have to be let in, before and after everything else.
    pub(in crate::attacks) fn good_tickets(&self, prefix: &str, after_all: bool) -> Vec<Errand> {
        let Some(shop) = &self.shop else { return Vec::new() };
        let at = Counter { bait: self, shop, prefix };
        let good = |name, parameters: &'static str| {
            let page = at.page();
            let (method, target) = shop.redeems.clone();
            let last = move |ticket: &str| redeem(&method, &target, &format!("{parameters}ticket={ticket}"), &page);
            at.errand(Class::Good, name, "RFC 6750 5.3", vec![at.buy(&at.bait.token())], last)
        };
        match after_all {
            false => vec![good("a ticket", ""), good("a ticket beside another parameter", "page=2&")],
            true => vec![good("a ticket after all that", "")],
        }
    }

    /// Attacks of several requests: those with tickets, those on what was revoked, and those at a route that takes proofs of possession alone.
    pub(in crate::attacks) fn errands(&self, prefix: &str) -> Vec<Errand> {
        let mut all = Vec::new();
        if let Some(shop) = &self.shop {
            let at = Counter { bait: self, shop, prefix };
            at.used(&mut all);
            at.spelt(&mut all);
            at.made_up(&mut all);
            at.beside(&mut all);
            at.elsewhere(&mut all);
            at.other_pages(&mut all);
            at.bought_by_nobody(&mut all);
            at.too_late(&mut all);
        }
        if let Some(ends) = &self.revoked_at {
            let token = self.token().mint();
            let bearer = self.bearer(Class::Cache, "a token seen before, revoked since", "RFC 7009 2", &token);
            let (first, again) = (bearer.request(), bearer.request());
            let steps = vec![Step::Do(first.into()), Step::Do(revocation(ends, &token).into())];
            all.push(Errand { attack: bearer, steps, last: Box::new(move |_| again.clone()) });
        }
        all
    }
}

/// The shop's counter: where tickets are bought and redeemed, and with what tokens.
struct Counter<'a> {
    bait: &'a Bait<'a>,
    shop: &'a Shop,
    prefix: &'a str,
}

impl Counter<'_> {
    fn errand(
        &self,
        class: Class,
        name: &'static str,
        clause: &'static str,
        steps: Vec<Step>,
        last: impl Fn(&str) -> Request<Bytes> + 'static,
    ) -> Errand {
        Errand { attack: self.bait.with(class, name, clause, Vec::new()), steps, last: Box::new(last) }
    }

    /// What the page sends that buys and redeems.
    fn page(&self) -> Fields {
        from(&self.shop.origin)
    }

    /// The path that tickets are for, as a page names it.
    fn path(&self) -> String {
        let (_, target) = &self.shop.redeems;
        format!("{}{}", self.prefix, target.split('?').next().unwrap_or_default())
    }

    fn buy(&self, token: &TokenBuilder) -> Step {
        self.purchase(bearer(&token.mint()), &self.path(), self.page())
    }

    fn purchase(&self, credentials: Fields, path: &str, page: Fields) -> Step {
        let request = self.order("", credentials, path, page);
        Step::Buy(Box::new(move |_| request.clone()))
    }

    fn order(&self, query: &str, credentials: Fields, path: &str, page: Fields) -> Request<Bytes> {
        let (method, target) = &self.shop.sells;
        let fields = [credentials, page, vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))]].concat();
        let mut request = redeem(method, target, query, &fields).map(|_| json!({"path": path}).to_string().into());
        // The ticket is in the body of the answer.
        request.extensions_mut().clear();
        if query.is_empty() {
            request.headers_mut().remove(ACCEPT);
        }
        request
    }

    /// One attack: a good ticket, and what is asked with it for its own place by its own page.
    fn with(
        &self,
        all: &mut Vec<Errand>,
        name: &'static str,
        clause: &'static str,
        query: impl Fn(&str) -> String + 'static,
    ) {
        self.beside_it(all, name, clause, query, |_| Vec::new());
    }

    /// The same with more fields.
    fn beside_it(
        &self,
        all: &mut Vec<Errand>,
        name: &'static str,
        clause: &'static str,
        query: impl Fn(&str) -> String + 'static,
        more: impl Fn(&str) -> Fields + 'static,
    ) {
        let ((method, target), page) = (self.shop.redeems.clone(), self.page());
        let last = move |ticket: &str| redeem(&method, &target, &query(ticket), &[page.clone(), more(ticket)].concat());
        all.push(self.errand(Class::Tickets, name, clause, vec![self.buy(&self.bait.token())], last));
    }

    /// Redeems it as its page does.
    fn well(&self) -> impl Fn(&str) -> Request<Bytes> + use<> {
        let ((method, target), page) = (self.shop.redeems.clone(), self.page());
        move |ticket| redeem(&method, &target, &format!("ticket={ticket}"), &page)
    }

    fn used(&self, all: &mut Vec<Errand>) {
        let spellings: [(_, Spelling); 5] = [
            ("a ticket for the second time", |ticket| format!("ticket={ticket}")),
            ("a used ticket beside another parameter", |ticket| format!("again=1&ticket={ticket}")),
            ("a used ticket with another last letter", |ticket| format!("ticket={}", twin(ticket))),
            ("a used ticket, padded", |ticket| format!("ticket={ticket}%3D")),
            ("a used ticket, a letter as an escape", |ticket| format!("ticket={}", escaped(ticket))),
        ];
        for (name, query) in spellings {
            let ((method, target), page) = (self.shop.redeems.clone(), self.page());
            let steps = vec![self.buy(&self.bait.token()), Step::Try(Box::new(self.well()))];
            let again = move |ticket: &str| redeem(&method, &target, &query(ticket), &page);
            all.push(self.errand(Class::Tickets, name, REPLAY, steps, again));
        }
    }

    fn spelt(&self, all: &mut Vec<Errand>) {
        let spellings: [(_, _, Spelling); 12] = [
            ("a ticket without its last letter", GUESS, |ticket| format!("ticket={}", shorter(ticket))),
            ("a ticket with a letter more", GUESS, |ticket| format!("ticket={ticket}A")),
            ("a ticket backwards", GUESS, |ticket| format!("ticket={}", ticket.chars().rev().collect::<String>())),
            ("a ticket in the other case", "CWE-178", |ticket| format!("ticket={}", other_case(ticket))),
            ("a ticket with a zero byte after it", "CWE-158", |ticket| format!("ticket={ticket}%00")),
            ("the parameter in capitals", "CWE-178", |ticket| format!("TICKET={ticket}")),
            ("the parameter with an escape", "CWE-177", |ticket| format!("%74icket={ticket}")),
            ("the parameter as a list", TWICE, |ticket| format!("ticket[]={ticket}")),
            ("the parameter after a semicolon", "CWE-444", |ticket| format!("page=2;ticket={ticket}")),
            ("a ticket twice", TWICE, |ticket| format!("ticket={ticket}&ticket={ticket}")),
            ("a ticket and a made-up one", TWICE, |ticket| format!("ticket={ticket}&ticket={}", made_up())),
            ("a made-up ticket and a good one", TWICE, |ticket| format!("ticket={}&ticket={ticket}", made_up())),
        ];
        for (name, clause, query) in spellings {
            self.with(all, name, clause, query);
        }
        let nothing = |_: &str| String::new();
        let as_token = "RFC 6750 2.1";
        self.beside_it(all, "a ticket as a bearer token", as_token, nothing, bearer);
        self.with(all, "a ticket in the parameter of tokens", "RFC 6750 2.3", |ticket| {
            format!("access_token={ticket}")
        });
        const CHANNEL: &str = "CWE-288";
        self.beside_it(all, "a ticket in a cookie", CHANNEL, nothing, |ticket| {
            vec![(COOKIE, field("ticket=", ticket))]
        });
        let in_field = |ticket: &str| vec![(HeaderName::from_static("ticket"), field("", ticket))];
        self.beside_it(all, "a ticket in a field", CHANNEL, nothing, in_field);
    }

    /// What nobody has sold.
    fn made_up(&self, all: &mut Vec<Errand>) {
        let token = self.bait.token().mint();
        let giant = "A".repeat(16 * 1024);
        for (name, clause, query) in [
            ("no ticket", "RFC 6750 3", String::new()),
            ("a ticket that is empty", GUESS, "ticket=".to_owned()),
            ("a ticket without a value", GUESS, "ticket".to_owned()),
            ("a made-up ticket", GUESS, format!("ticket={}", made_up())),
            ("a ticket of one letter", GUESS, "ticket=A".to_owned()),
            ("a ticket that is a star", "CWE-155", "ticket=*".to_owned()),
            ("a ticket that is a path", "CWE-22", "ticket=..%2F..%2Ftickets".to_owned()),
            ("a ticket that is two lines", "CWE-93", format!("ticket={}%0D%0AKEYS%20*", made_up())),
            ("a ticket that is not UTF-8", "CWE-20", "ticket=%FF%FE".to_owned()),
            ("a ticket that is a token", "RFC 6750 2.3", format!("ticket={token}")),
            ("a ticket of 16 KiB", "CWE-770", format!("ticket={giant}")),
        ] {
            let ((method, target), page) = (self.shop.redeems.clone(), self.page());
            let mut errand =
                self.errand(Class::Tickets, name, clause, Vec::new(), move |_| redeem(&method, &target, &query, &page));
            errand.attack.giant = name.ends_with("KiB");
            all.push(errand);
        }
    }

    fn beside(&self, all: &mut Vec<Errand>) {
        const ONE: &str = "RFC 6750 2";
        let (good, forged) = (self.bait.token().mint(), self.bait.token().forged().mint());
        let with_good = good.clone();
        let query = |ticket: &str| format!("ticket={ticket}");
        self.beside_it(all, "a ticket beside a token", ONE, query, move |_| bearer(&with_good));
        self.beside_it(all, "a ticket beside a forged token", ONE, query, move |_| bearer(&forged));
        let unsold = |_: &str| format!("ticket={}", made_up());
        self.beside_it(all, "a made-up ticket beside a token", ONE, unsold, move |_| bearer(&good));
    }

    /// For another place than where it is redeemed.
    fn elsewhere(&self, all: &mut Vec<Errand>) {
        let path = self.path();
        for (name, bought) in [
            ("a ticket for another path", format!("{path}-of-others")),
            ("a ticket for a part of the path", shorter(&path)),
            ("a ticket for a path below it", format!("{}/more", path.trim_end_matches('/'))),
            ("a ticket for the path with a slash at the end", format!("{path}/")),
            ("a ticket for the path in capitals", path.to_ascii_uppercase()),
            ("a ticket for the root", "/".to_owned()),
            ("a ticket for all paths", "/*".to_owned()),
            ("a ticket for no path", String::new()),
            ("a ticket for the path at another server", format!("https://another.example{path}")),
        ] {
            if bought != path {
                let token = bearer(&self.bait.token().mint());
                let steps = vec![self.purchase(token, &bought, self.page())];
                all.push(self.errand(Class::Tickets, name, PLACE, steps, self.well()));
            }
        }
        let guarded = (self.bait.guarded.method.clone(), self.bait.guarded.path.clone());
        let at_guarded = |page: Fields| {
            let (method, target) = guarded.clone();
            move |ticket: &str| redeem(&method, &target, &format!("ticket={ticket}"), &page)
        };
        if guarded.1.split('?').next() != self.shop.redeems.1.split('?').next() {
            let steps = vec![self.buy(&self.bait.token())];
            all.push(self.errand(Class::Tickets, "a ticket at another route", PLACE, steps, at_guarded(self.page())));
        }
        let for_route = |target: &str| format!("{}{}", self.prefix, target.split('?').next().unwrap_or_default());
        if self.bait.guarded.granted.is_some() {
            let poor = bearer(&self.bait.token().without("scope").mint());
            let steps = vec![self.purchase(poor, &for_route(&guarded.1), self.page())];
            let name = "a ticket of a token without the scope";
            all.push(self.errand(Class::Tickets, name, "RFC 6750 3.1", steps, at_guarded(self.page())));
        }
        if let Some((method, target)) = self.bait.proofs_alone_at.clone() {
            let token = bearer(&self.bait.token().mint());
            let (steps, page) = (vec![self.purchase(token, &for_route(&target), self.page())], self.page());
            let last = move |ticket: &str| redeem(&method, &target, &format!("ticket={ticket}"), &page);
            all.push(self.errand(Class::Tickets, "a ticket where proofs alone are taken", "RFC 9449 7.2", steps, last));
        }
    }

    /// Bought by one page and brought by another.
    fn other_pages(&self, all: &mut Vec<Errand>) {
        let own = self.shop.origin.clone();
        let (scheme, host) = own.split_once("://").unwrap_or_default();
        let other_scheme = if scheme == "https" { "http" } else { "https" };
        let own_site = vec![(SITE, HeaderValue::from_static("same-origin"))];
        let cross_site = vec![(SITE, HeaderValue::from_static("cross-site"))];
        let another = from("https://another.example");
        for (name, bought, redeemed) in [
            ("a ticket from another page", self.page(), another.clone()),
            ("a ticket from a page whose origin begins alike", self.page(), from(&format!("{own}.another.example"))),
            ("a ticket from a page whose origin ends alike", self.page(), from(&format!("{scheme}://another-{host}"))),
            ("a ticket from a page of another scheme", self.page(), from(&format!("{other_scheme}://{host}"))),
            ("a ticket from a page of another port", self.page(), from(&format!("{own}:8443"))),
            ("a ticket from a page without an origin", self.page(), Vec::new()),
            ("a ticket from a page of the origin null", self.page(), from("null")),
            ("a ticket from two pages", self.page(), [self.page(), another.clone()].concat()),
            ("a ticket of no page, from a page", Vec::new(), another.clone()),
            ("a ticket of a page of the origin null", from("null"), from("null")),
            ("a ticket of a page of the same origin, from another site", [self.page(), own_site].concat(), cross_site),
        ] {
            let (method, target) = self.shop.redeems.clone();
            let steps = vec![self.purchase(bearer(&self.bait.token().mint()), &self.path(), bought)];
            let last = move |ticket: &str| redeem(&method, &target, &format!("ticket={ticket}"), &redeemed);
            all.push(self.errand(Class::Tickets, name, PAGE, steps, last));
        }
    }

    /// Whoever may not come in may not buy, or may not come in with what they have bought.
    fn bought_by_nobody(&self, all: &mut Vec<Errand>) {
        let token = || self.bait.token();
        let thumb = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
        let id_token = self.bait.guarded.issuer.id_token();
        let good_and_forged = [bearer(&token().mint()), bearer(&token().forged().mint())].concat();
        let users = ["x-user", "x-forwarded-user", "x-auth-request-user", "remote-user"]
            .map(|name| (HeaderName::from_static(name), HeaderValue::from_static("admin")));
        for (name, clause, credentials) in [
            ("a ticket bought with nothing", BUYER, Vec::new()),
            ("a ticket bought with a forged token", BUYER, bearer(&token().forged().mint())),
            ("a ticket bought with a token without a signature", BUYER, bearer(&token().alg_none().mint())),
            ("a ticket bought with an expired token", BUYER, bearer(&token().expired().mint())),
            (
                "a ticket bought with a token of another issuer",
                BUYER,
                bearer(&token().issuer("https://x.example").mint()),
            ),
            (
                "a ticket bought with a token for another API",
                BUYER,
                bearer(&token().audience("https://x.example").mint()),
            ),
            ("a ticket bought with an ID token", "RFC 9068 4", bearer(&id_token.mint())),
            (
                "a ticket bought with a token that is bound to a key",
                "RFC 9449 7.2",
                bearer(&token().claim("cnf", json!({"jkt": thumb})).mint()),
            ),
            (
                "a ticket bought with a token that is bound to a certificate",
                "RFC 8705 3",
                bearer(&token().claim("cnf", json!({"x5t#S256": thumb})).mint()),
            ),
            ("a ticket bought with a good token and a forged one", "RFC 9110 5.3", good_and_forged),
            ("a ticket bought by who they say they are", "RFC 9110 17.1", users.to_vec()),
        ] {
            let steps = vec![self.purchase(credentials, &self.path(), self.page())];
            all.push(self.errand(Class::Tickets, name, clause, steps, self.well()));
        }
        // Otherwise a ticket lives for ever.
        let (_, sells) = &self.shop.sells;
        let counter = format!("{}{}", self.prefix, sells.split('?').next().unwrap_or_default());
        let first = self.purchase(bearer(&token().mint()), &counter, self.page());
        let trade = self.order("ticket=TICKET", Vec::new(), &self.path(), self.page());
        let second = Step::Buy(Box::new(move |ticket| {
            let mut request = trade.clone();
            *request.uri_mut() = uri(&request.uri().to_string().replace("TICKET", ticket));
            request
        }));
        let steps = vec![first, second];
        all.push(self.errand(Class::Tickets, "a ticket bought with a ticket", LIFE, steps, self.well()));
    }

    fn too_late(&self, all: &mut Vec<Errand>) {
        if let Some(ends) = &self.bait.revoked_at {
            let token = self.bait.token();
            let text = token.mint();
            let bought = self.purchase(bearer(&text), &self.path(), self.page());
            let steps = vec![bought, Step::Do(revocation(ends, &text).into())];
            let name = "a ticket whose token was revoked since";
            all.push(self.errand(Class::Tickets, name, "RFC 7009 2", steps, self.well()));
        }
        let almost = |token: TokenBuilder| match self.bait.leeway.checked_sub(ALMOST) {
            Some(ago) => token.expired_ago(Duration::from_secs(ago)),
            None => token.expires_in(Duration::from_secs(ALMOST - self.bait.leeway)),
        };
        // A second for what was cut off of the token's end, and a second past it.
        let past = Step::Wait(Wait::For(Duration::from_secs(ALMOST + 2)));
        let steps = vec![self.buy(&almost(self.bait.token())), past];
        all.push(self.errand(Class::Tickets, "a ticket whose token has ended since", LIFE, steps, self.well()));
        let steps = vec![self.buy(&self.bait.token()), Step::Wait(Wait::PastTheTicket)];
        all.push(self.errand(Class::Tickets, "a ticket a second past its end", LIFE, steps, self.well()));
    }
}

/// A request for this target with this query, as an `EventSource` sends it; its answer may go on for ever.
fn redeem(method: &Method, target: &str, query: &str, fields: &Fields) -> Request<Bytes> {
    let join = if target.contains('?') { '&' } else { '?' };
    let target = if query.is_empty() { target.to_owned() } else { format!("{target}{join}{query}") };
    let mut request = Request::new(Bytes::new());
    (*request.method_mut(), *request.uri_mut()) = (method.clone(), uri(&target));
    for (name, value) in fields {
        request.headers_mut().append(name, value.clone());
    }
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    request.extensions_mut().insert(HeadSuffices);
    request
}

fn uri(target: &str) -> http::Uri {
    target.parse().expect("a target that the list wrote")
}

fn revocation((method, target): &(Method, String), token: &str) -> Request<Bytes> {
    let mut request = redeem(method, target, "", &bearer(token));
    request.extensions_mut().clear();
    request.headers_mut().remove(ACCEPT);
    request
}

fn from(origin: &str) -> Fields {
    vec![(ORIGIN, field("", origin))]
}

fn bearer(token: &str) -> Fields {
    vec![(AUTHORIZATION, field("Bearer ", token))]
}

/// As long as one of ours, and never sold.
fn made_up() -> String {
    "A".repeat(43)
}

/// The same text but for the last bit of the last letter, which a careless reader of Base64 does not look at (RFC 4648 section 3.5).
fn twin(ticket: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let place = ticket.bytes().next_back().and_then(|last| ALPHABET.iter().position(|letter| *letter == last));
    let other = place.map_or('A', |place| char::from(ALPHABET[place ^ 1]));
    format!("{}{other}", shorter(ticket))
}

fn escaped(ticket: &str) -> String {
    let (first, rest) = ticket.split_at(ticket.len().min(1));
    first.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>() + rest
}

fn other_case(ticket: &str) -> String {
    let other = |letter: char| {
        if letter.is_ascii_lowercase() { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
    };
    ticket.chars().map(other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_spelt_otherwise_in_every_way() {
        for (ticket, twin_of, escape, case) in
            [("abC", "abD", "%61bC", "ABc"), ("9_", "9-", "%39_", "9_"), ("x.", "xA", "%78.", "X."), ("", "A", "", "")]
        {
            assert_eq!(
                (twin(ticket).as_str(), escaped(ticket).as_str(), other_case(ticket).as_str()),
                (twin_of, escape, case),
                "{ticket}"
            );
        }
    }

    #[test]
    fn a_parameter_is_put_behind_those_of_the_route() {
        for (target, query, expected) in
            [("/e", "ticket=a", "/e?ticket=a"), ("/e?x=1", "ticket=a", "/e?x=1&ticket=a"), ("/e", "", "/e")]
        {
            let request = redeem(&Method::GET, target, query, &Vec::new());
            assert_eq!(request.uri().to_string(), expected);
        }
    }
}
