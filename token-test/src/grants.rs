//! What the issuer remembers of its users: refresh tokens in families, accounts at identity providers, tokens on the deny list.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

/// Refresh tokens, users and denied tokens of one tenant.
#[derive(Debug)]
pub(crate) struct Grants {
    refresh: HashMap<String, Refresh>,
    revoked_families: HashSet<String>,
    pub(crate) rotating: bool,
    /// By user id: the user as the management API shows it, with the providers' tokens.
    pub(crate) users: BTreeMap<String, Value>,
    /// `aud` and `jti` of management tokens that are good for nothing any more.
    pub(crate) denied: HashSet<(String, String)>,
}

/// A refresh token. All that came from one sign-in are of one family.
#[derive(Clone, Debug)]
pub(crate) struct Refresh {
    pub(crate) family: String,
    pub(crate) subject: String,
    pub(crate) client_id: String,
    pub(crate) scope: String,
    spent: bool,
}

/// What became of a refresh token that was presented.
#[derive(Debug)]
pub(crate) enum Presented {
    /// It is good; with rotation it has been spent by this.
    Good(Refresh),
    /// Never heard of, revoked, or of another client.
    Unknown,
    /// It was spent before: the whole family is revoked now (RFC 9700 section 4.14.2).
    Reused,
}

impl Default for Grants {
    fn default() -> Self {
        Self {
            refresh: HashMap::new(),
            revoked_families: HashSet::new(),
            rotating: true,
            users: BTreeMap::new(),
            denied: HashSet::new(),
        }
    }
}

impl Grants {
    /// Starts a family.
    pub(crate) fn issue(&mut self, token: String, subject: &str, client_id: &str, scope: &str) {
        let refresh = Refresh {
            family: token.clone(),
            subject: subject.to_owned(),
            client_id: client_id.to_owned(),
            scope: scope.to_owned(),
            spent: false,
        };
        self.refresh.insert(token, refresh);
    }

    /// Adds the next token of a family.
    pub(crate) fn rotate(&mut self, token: String, before: Refresh) {
        self.refresh.insert(token, before);
    }

    pub(crate) fn present(&mut self, token: &str, client_id: &str) -> Presented {
        let rotating = self.rotating;
        match self.refresh.get_mut(token) {
            Some(found) if found.client_id == client_id && !self.revoked_families.contains(&found.family) => {
                if found.spent {
                    self.revoked_families.insert(found.family.clone());
                    return Presented::Reused;
                }
                let good = found.clone();
                found.spent = rotating;
                Presented::Good(good)
            }
            _ => Presented::Unknown,
        }
    }

    /// A look without using it up, as the vault takes it.
    pub(crate) fn peek(&self, token: &str) -> Option<&Refresh> {
        self.refresh.get(token).filter(|found| !found.spent && !self.revoked_families.contains(&found.family))
    }

    /// Revokes the family of a token. One that is unknown, or of another client, is nothing to speak of.
    pub(crate) fn revoke(&mut self, token: &str, client_id: &str) {
        if let Some(found) = self.refresh.get(token).filter(|found| found.client_id == client_id) {
            self.revoked_families.insert(found.family.clone());
        }
    }

    /// The families of a user that still live, with their clients: what the management API calls device credentials.
    pub(crate) fn families(&self, subject: &str) -> Vec<(String, String)> {
        let mut families: Vec<_> = self
            .refresh
            .values()
            .filter(|found| found.subject == subject && !self.revoked_families.contains(&found.family))
            .map(|found| (found.family.clone(), found.client_id.clone()))
            .collect();
        families.sort();
        families.dedup();
        families
    }

    pub(crate) fn revoke_family(&mut self, family: &str) {
        self.revoked_families.insert(family.to_owned());
    }
}
