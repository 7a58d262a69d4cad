//! How the client may be known to a server in, the way to use at this server out. Pure.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use token_core::opaque::client_authentication::ClientAuthentication;

use super::registration::{ClientMetadata, Registration};
use super::server_metadata::ServerMetadata;
use crate::error::{TokenError, misconfigured};

/// How many registrations that the client made itself are remembered. An API may name a new server each time.
const MOST: usize = 8;

/// The ways in which the client may be known, in order of preference.
#[derive(Clone, Default)]
pub(super) struct Identities {
    /// By issuer. Credentials of one server are never sent to another.
    pub(super) registered: HashMap<String, Registration>,
    /// Registrations that the client made itself, oldest first.
    made: VecDeque<(String, Registration)>,
    pub(super) document: Option<(String, ClientAuthentication)>,
    pub(super) metadata: Option<ClientMetadata>,
}

/// What to do in order to be known.
#[derive(Debug)]
pub(super) enum Known<'a> {
    As(Registration),
    /// Register at this endpoint.
    After(&'a ClientMetadata, &'a str),
}

impl Identities {
    /// Chooses among the authorization servers of an API: the first one at which the client is registered, otherwise
    /// the first.
    pub(super) fn choose<'a>(&self, issuers: &'a [String]) -> Option<&'a String> {
        issuers.iter().find(|issuer| self.by(issuer).is_some()).or_else(|| issuers.first())
    }

    /// The registration with this issuer.
    fn by(&self, issuer: &str) -> Option<&Registration> {
        let made = || self.made.iter().find(|(known, _)| known == issuer).map(|(_, registration)| registration);
        self.registered.get(issuer).or_else(made)
    }

    /// Remembers a registration, dropping the oldest if there are too many.
    pub(super) fn remember(&mut self, issuer: &str, registration: Registration) {
        self.forget(issuer);
        if self.made.len() >= MOST {
            self.made.pop_front();
        }
        self.made.push_back((issuer.to_owned(), registration));
    }

    /// Forgets a registration that the client made itself. Returns whether there was one.
    pub(super) fn forget(&mut self, issuer: &str) -> bool {
        let before = self.made.len();
        self.made.retain(|(known, _)| known != issuer);
        self.made.len() < before
    }

    /// How the client is known at this server.
    pub(super) fn at<'a>(&'a self, server: &'a ServerMetadata) -> Result<Known<'a>, TokenError> {
        if let Some(registration) = self.by(&server.issuer) {
            return Ok(Known::As(registration.clone()));
        }
        if let Some((client_id, authentication)) = &self.document
            && server.client_id_metadata_document_supported
        {
            return Ok(Known::As(Registration {
                client_id: client_id.clone(),
                authentication: authentication.clone(),
            }));
        }
        match (&self.metadata, &server.registration_endpoint) {
            (Some(metadata), Some(endpoint)) => Ok(Known::After(metadata, endpoint)),
            _ => Err(misconfigured(
                "the API's authorization server does not know this client: register it there and say so with `registered`, or say \
                 `document` where the server takes client-id metadata documents, or `register` where it has a registration_endpoint",
            )),
        }
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identities")
            .field("registered", &self.registered.keys())
            .field("document", &self.document.as_ref().map(|(id, _)| id))
            .field("register", &self.metadata.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(documents: bool, registers: bool) -> ServerMetadata {
        let mut body =
            serde_json::json!({ "issuer": "https://id.example", "client_id_metadata_document_supported": documents });
        if registers {
            body["registration_endpoint"] = "https://id.example/register".into();
        }
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn the_best_way_that_both_know_is_taken() {
        let registered = |issuer: &str| {
            let registration =
                Registration { client_id: "known".to_owned(), authentication: ClientAuthentication::None };
            HashMap::from([(issuer.to_owned(), registration)])
        };
        let document = || Some(("https://me.example/client.json".to_owned(), ClientAuthentication::None));
        let metadata = || Some(ClientMetadata::new("me"));
        let here = "https://id.example";
        let table = [
            (
                Identities {
                    registered: registered(here),
                    document: document(),
                    metadata: metadata(),
                    ..Default::default()
                },
                true,
                true,
                "known",
            ),
            (
                Identities {
                    registered: registered("https://other.example"),
                    document: document(),
                    metadata: metadata(),
                    ..Default::default()
                },
                true,
                true,
                "https://me.example/client.json",
            ),
            (Identities { document: document(), metadata: metadata(), ..Default::default() }, false, true, "registers"),
            (Identities { document: document(), ..Default::default() }, false, true, "nobody"),
            (Identities { metadata: metadata(), ..Default::default() }, true, false, "nobody"),
            (
                Identities { registered: registered("https://other.example"), ..Default::default() },
                true,
                true,
                "nobody",
            ),
        ];
        for (identities, documents, registers, expected) in table {
            let server = server(documents, registers);
            let found = match identities.at(&server) {
                Ok(Known::As(registration)) => registration.client_id,
                Ok(Known::After(..)) => "registers".to_owned(),
                Err(_) => "nobody".to_owned(),
            };
            assert_eq!(found, expected, "{identities:?}");
        }
    }

    #[test]
    fn the_newest_registrations_are_remembered_and_those_of_the_operator_always() {
        let registration =
            |id: &str| Registration { client_id: id.to_owned(), authentication: ClientAuthentication::None };
        let registered = HashMap::from([("operator".to_owned(), registration("o"))]);
        let mut identities = Identities { registered, ..Default::default() };
        for number in 0..1000 {
            identities.remember(&format!("server {number}"), registration("r"));
        }
        assert_eq!(identities.made.len(), MOST);
        for (issuer, known) in [("operator", true), ("server 999", true), ("server 1", false)] {
            assert_eq!(identities.by(issuer).is_some(), known, "{issuer}");
        }
        assert!(identities.forget("server 999") && !identities.forget("server 999"));
        assert!(!identities.forget("operator"), "it is not the client's to forget");
        assert!(identities.by("operator").is_some());
    }

    #[test]
    fn of_several_servers_the_one_that_knows_us_is_asked() {
        let registration = Registration { client_id: "c".to_owned(), authentication: ClientAuthentication::None };
        let identities =
            Identities { registered: HashMap::from([("b".to_owned(), registration)]), ..Default::default() };
        for (issuers, expected) in [(&["a", "b"][..], Some("b")), (&["a", "c"], Some("a")), (&[], None)] {
            let issuers: Vec<String> = issuers.iter().map(|issuer| (*issuer).to_owned()).collect();
            assert_eq!(identities.choose(&issuers).map(String::as_str), expected);
        }
    }
}
