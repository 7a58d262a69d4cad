//! A shop for tickets written by hand, with one flaw on purpose: what an attack list must find. It shares nothing with the one under test.

use std::cell::RefCell;
use std::collections::HashSet;

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use token_core::Clock;
use token_test::attacks::Target;
use token_test::{ManualClock, TestIssuer};

use super::super::sloppy;

/// What is wrong with it, and the name of an attack that has to get in then.
pub(super) const FLAWS: &[(Flaw, &str)] = &[
    (Flaw::SoldToStrangers, "a ticket bought with nothing"),
    (Flaw::SoldUnchecked, "a ticket bought with a forged token"),
    (Flaw::SoldToUsersOfProxies, "a ticket bought by who they say they are"),
    (Flaw::SoldToTheFirstOfTwo, "a ticket bought with a good token and a forged one"),
    (Flaw::SoldForTickets, "a ticket bought with a ticket"),
    (Flaw::NotUsedUp, "a ticket for the second time"),
    (Flaw::UsedUpByItsText, "a used ticket with another last letter"),
    (Flaw::PathNotLookedAt, "a ticket for another path"),
    (Flaw::PathByPrefix, "a ticket for a part of the path"),
    (Flaw::PathFurtherOn, "a ticket for a path below it"),
    (Flaw::PathInAnyCase, "a ticket for the path in capitals"),
    (Flaw::StarsInPaths, "a ticket for all paths"),
    (Flaw::OriginNotLookedAt, "a ticket from another page"),
    (Flaw::OriginByPrefix, "a ticket from a page whose origin begins alike"),
    (Flaw::OriginByEnd, "a ticket from a page whose origin ends alike"),
    (Flaw::OriginWithoutScheme, "a ticket from a page of another scheme"),
    (Flaw::OriginMayBeAbsent, "a ticket from a page without an origin"),
    (Flaw::NullIsAnOrigin, "a ticket of a page of the origin null"),
    (Flaw::FirstOriginWins, "a ticket from two pages"),
    (Flaw::BoughtAnywhere, "a ticket of no page, from a page"),
    (Flaw::NeverEnds, "a ticket a second past its end"),
    (Flaw::OutlivesItsToken, "a ticket whose token has ended since"),
    (Flaw::OutlivesRevocation, "a ticket whose token was revoked since"),
    (Flaw::RevocationForgotten, "a token seen before, revoked since"),
    (Flaw::TicketIsAToken, "a ticket as a bearer token"),
    (Flaw::TokenIsATicket, "a ticket that is a token"),
    (Flaw::FirstTicketWins, "a ticket and a made-up one"),
    (Flaw::LastTicketWins, "a made-up ticket and a good one"),
    (Flaw::TokenBesideIt, "a ticket beside a token"),
    (Flaw::TokenInItsPlace, "a made-up ticket beside a token"),
    (Flaw::ComparedByPrefix, "a ticket without its last letter"),
    (Flaw::ComparedInAnyCase, "a ticket in the other case"),
    (Flaw::CutAtZero, "a ticket with a zero byte after it"),
    (Flaw::EmptyIsFine, "a ticket that is empty"),
    (Flaw::ParameterInAnyCase, "the parameter in capitals"),
    (Flaw::TicketInCookies, "a ticket in a cookie"),
    (Flaw::ScopeForgotten, "a ticket of a token without the scope"),
    (Flaw::ProofsForgotten, "a ticket where proofs alone are taken"),
    (Flaw::BearersWhereProofsAre, "bound to nothing, where proofs alone are taken"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    SoldToStrangers,
    SoldUnchecked,
    SoldToUsersOfProxies,
    SoldToTheFirstOfTwo,
    SoldForTickets,
    NotUsedUp,
    UsedUpByItsText,
    PathNotLookedAt,
    PathByPrefix,
    PathFurtherOn,
    PathInAnyCase,
    StarsInPaths,
    OriginNotLookedAt,
    OriginByPrefix,
    OriginByEnd,
    OriginWithoutScheme,
    OriginMayBeAbsent,
    NullIsAnOrigin,
    FirstOriginWins,
    BoughtAnywhere,
    NeverEnds,
    OutlivesItsToken,
    OutlivesRevocation,
    RevocationForgotten,
    TicketIsAToken,
    TokenIsATicket,
    FirstTicketWins,
    LastTicketWins,
    TokenBesideIt,
    TokenInItsPlace,
    ComparedByPrefix,
    ComparedInAnyCase,
    CutAtZero,
    EmptyIsFine,
    ParameterInAnyCase,
    TicketInCookies,
    ScopeForgotten,
    ProofsForgotten,
    BearersWhereProofsAre,
}

/// In seconds.
const LIFE: u32 = 30;

struct Sold {
    ticket: String,
    path: String,
    origin: Option<String>,
    token: Option<String>,
    until: f64,
    used: HashSet<String>,
}

struct Shop<'i> {
    issuer: &'i TestIssuer,
    clock: ManualClock,
    flaw: Option<Flaw>,
    sold: Vec<Sold>,
    revoked: HashSet<String>,
}

/// `POST /tickets`, `POST /logout`, and three guarded routes, with that flaw.
pub(super) fn api(issuer: &TestIssuer, clock: ManualClock, flaw: Option<Flaw>) -> impl Target {
    let shop = RefCell::new(Shop { issuer, clock, flaw, sold: Vec::new(), revoked: HashSet::new() });
    move |request: Request<Bytes>| {
        let (status, body) = match shop.borrow_mut().answer(&request) {
            Ok(body) => (200, body),
            Err(status) => (status, String::new()),
        };
        std::future::ready(Response::builder().status(status).body(body.into()).map_err(|error| error.to_string()))
    }
}

impl Shop<'_> {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn now(&self) -> f64 {
        std::time::Duration::from_millis(self.clock.now().as_millis().unsigned_abs()).as_secs_f64()
    }

    fn answer(&mut self, request: &Request<Bytes>) -> Result<String, u16> {
        match (request.method(), request.uri().path()) {
            (&Method::POST, "/tickets") => self.sell(request),
            (&Method::POST, "/logout") => {
                let token = self.bearer(request)?.ok_or(401_u16)?;
                self.judge(&token)?;
                self.revoked.insert(token);
                Ok(String::new())
            }
            (&Method::GET, "/users" | "/events" | "/payments") => self.open(request).map(|()| String::new()),
            _ => Err(404),
        }
    }

    fn bearer(&self, request: &Request<Bytes>) -> Result<Option<String>, u16> {
        let fields: Vec<_> = request.headers().get_all("authorization").iter().collect();
        let field = match fields[..] {
            [] => return Ok(None),
            [one] => one,
            [first, ..] if self.has(Flaw::SoldToTheFirstOfTwo) => first,
            _ => return Err(400),
        };
        let (scheme, token) = field.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(401_u16)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(401);
        }
        Ok(Some(token.to_owned()))
    }

    fn judge(&self, token: &str) -> Result<(), u16> {
        if self.revoked.contains(token) && !self.has(Flaw::RevocationForgotten) {
            return Err(401);
        }
        match sloppy::judge(self.issuer, token, self.now()) {
            Err(403) if self.has(Flaw::ScopeForgotten) => Ok(()),
            verdict => verdict,
        }
    }

    fn origin(&self, request: &Request<Bytes>) -> Result<Option<String>, u16> {
        let fields: Vec<_> = request.headers().get_all("origin").iter().collect();
        match fields[..] {
            [] => Ok(None),
            [one] => one.to_str().map(|text| Some(text.to_owned())).map_err(|_| 400),
            [first, ..] if self.has(Flaw::FirstOriginWins) => Ok(first.to_str().ok().map(str::to_owned)),
            _ => Err(400),
        }
    }

    fn sell(&mut self, request: &Request<Bytes>) -> Result<String, u16> {
        let token = self.bearer(request)?;
        let buyer = match &token {
            Some(_) if self.has(Flaw::SoldUnchecked) => token,
            Some(text) => self.judge(text).map(|()| token)?,
            None if self.has(Flaw::SoldToStrangers) => None,
            None if self.has(Flaw::SoldToUsersOfProxies) && request.headers().contains_key("x-forwarded-user") => None,
            None if self.has(Flaw::SoldForTickets) => {
                let at = self.find(self.tickets(request).first().ok_or(401_u16)?).ok_or(401_u16)?;
                self.sold[at].token.clone()
            }
            None => return Err(401),
        };
        let asked: Value = serde_json::from_slice(request.body()).map_err(|_| 400_u16)?;
        let path = asked["path"].as_str().filter(|path| path.starts_with('/')).ok_or(400_u16)?.to_owned();
        let mut random = [0; 32];
        rand::fill(&mut random).unwrap();
        let ticket = URL_SAFE_NO_PAD.encode(random);
        let answer = json!({"ticket": ticket, "expires_in": LIFE}).to_string();
        let (origin, until) = (self.origin(request)?, self.now() + f64::from(LIFE));
        self.sold.push(Sold { ticket, path, origin, token: buyer, until, used: HashSet::new() });
        Ok(answer)
    }

    fn tickets(&self, request: &Request<Bytes>) -> Vec<String> {
        let query = request.uri().query().unwrap_or_default();
        let is_name =
            |name: &str| name == "ticket" || self.has(Flaw::ParameterInAnyCase) && name.eq_ignore_ascii_case("ticket");
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(name, _)| is_name(name)).map(|(_, ticket)| ticket.to_owned()).collect()
    }

    fn find(&self, ticket: &str) -> Option<usize> {
        let lax = GeneralPurpose::new(
            &base64::alphabet::URL_SAFE,
            GeneralPurposeConfig::new()
                .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent)
                .with_decode_allow_trailing_bits(true),
        );
        let same = |sold: &Sold| match self.flaw {
            Some(Flaw::UsedUpByItsText) => lax.decode(&sold.ticket).ok() == lax.decode(ticket).ok(),
            Some(Flaw::ComparedByPrefix) => ticket.len() > 20 && sold.ticket.starts_with(ticket),
            Some(Flaw::EmptyIsFine) => sold.ticket == ticket || ticket.is_empty(),
            Some(Flaw::ComparedInAnyCase) => sold.ticket.eq_ignore_ascii_case(ticket),
            Some(Flaw::CutAtZero) => sold.ticket == ticket.split("%00").next().unwrap_or_default(),
            _ => sold.ticket == ticket,
        };
        self.sold.iter().rposition(same)
    }

    fn open(&mut self, request: &Request<Bytes>) -> Result<(), u16> {
        let (path, token) = (request.uri().path(), self.bearer(request)?);
        let mut tickets = self.tickets(request);
        if self.has(Flaw::TicketInCookies) {
            let cookie = request.headers().get("cookie").and_then(|value| value.to_str().ok());
            tickets.extend(cookie.and_then(|text| text.strip_prefix("ticket=")).map(str::to_owned));
        }
        let ticket = match (&tickets[..], &token) {
            ([], Some(ticket)) if self.has(Flaw::TicketIsAToken) && !ticket.contains('.') => ticket.clone(),
            ([], None) => return Err(401),
            ([], Some(token)) => {
                let proofs = path == "/payments" && !self.has(Flaw::BearersWhereProofsAre);
                return if proofs { Err(401) } else { self.judge(token) };
            }
            (_, Some(token)) if self.has(Flaw::TokenInItsPlace) => return self.judge(token),
            (_, Some(_)) if !self.has(Flaw::TokenBesideIt) => return Err(400),
            ([one], _) => one.clone(),
            ([first, ..], _) if self.has(Flaw::FirstTicketWins) => first.clone(),
            ([.., last], _) if self.has(Flaw::LastTicketWins) => last.clone(),
            _ => return Err(400),
        };
        if self.has(Flaw::TokenIsATicket) && ticket.contains('.') {
            return self.judge(&ticket);
        }
        if path == "/payments" && !self.has(Flaw::ProofsForgotten) {
            return Err(401);
        }
        self.redeem(&ticket, path, self.origin(request)?)
    }

    fn redeem(&mut self, ticket: &str, path: &str, origin: Option<String>) -> Result<(), u16> {
        let at = self.find(ticket).ok_or(401_u16)?;
        let text = if self.has(Flaw::UsedUpByItsText) { ticket } else { "" };
        let fresh = self.sold[at].used.insert(text.to_owned()) || self.has(Flaw::NotUsedUp);
        let sold = &self.sold[at];
        let in_time = self.now() < sold.until || self.has(Flaw::NeverEnds);
        if !fresh || !in_time || !self.is_path(&sold.path, path) || !self.is_page(sold.origin.as_deref(), origin) {
            return Err(401);
        }
        let Some(token) = &sold.token else { return Ok(()) };
        if self.has(Flaw::OutlivesItsToken) || self.has(Flaw::OutlivesRevocation) || self.has(Flaw::SoldUnchecked) {
            return Ok(());
        }
        self.judge(token)
    }

    fn is_path(&self, bought: &str, path: &str) -> bool {
        bought == path
            || match self.flaw {
                Some(Flaw::PathNotLookedAt) => true,
                Some(Flaw::PathByPrefix) => path.starts_with(bought),
                Some(Flaw::PathFurtherOn) => bought.starts_with(path),
                Some(Flaw::PathInAnyCase) => bought.eq_ignore_ascii_case(path),
                Some(Flaw::StarsInPaths) => bought == "/*",
                _ => false,
            }
    }

    fn is_page(&self, bought: Option<&str>, origin: Option<String>) -> bool {
        let same = bought == origin.as_deref() && (bought != Some("null") || self.has(Flaw::NullIsAnOrigin));
        let host = |origin: &str| origin.split_once("://").map(|(_, host)| host.to_owned()).unwrap_or_default();
        let alike = match (self.flaw, bought, origin.as_deref()) {
            (Some(Flaw::OriginNotLookedAt), ..)
            | (Some(Flaw::OriginMayBeAbsent), _, None)
            | (Some(Flaw::BoughtAnywhere), None, _) => true,
            (Some(Flaw::OriginByPrefix), Some(bought), Some(origin)) => origin.starts_with(bought),
            (Some(Flaw::OriginByEnd), Some(bought), Some(origin)) => origin.ends_with(&host(bought)),
            (Some(Flaw::OriginWithoutScheme), Some(bought), Some(origin)) => host(bought) == host(origin),
            _ => false,
        };
        same || alike
    }
}
