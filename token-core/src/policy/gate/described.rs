//! What `token-gate` asks of requests in, the lines that people read out.

use std::fmt;

use super::{Access, GatePolicy, RoutePolicy, TokenFate};
use crate::policy::describe::line;

impl GatePolicy {
    /// Nothing where the policy says nothing of a gate.
    pub(in crate::policy) fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::default() {
            return Ok(());
        }
        line(f, format_args!("behind token-gate, by the first that matches:"))?;
        for route in &self.routes {
            line(f, format_args!("  {:<24} {}", route.place(), route.who()))?;
        }
        let default = if self.routes.is_empty() { Access::Token } else { Access::Deny };
        line(f, format_args!("  {:<24} {}", "all else", who(self.otherwise.unwrap_or(default))))?;
        let token = match self.upstream.token {
            TokenFate::Forward => "the client's token",
            TokenFate::Remove => "no token",
            TokenFate::Exchange => "a token that the client's was exchanged for",
            TokenFate::Sign => "a token that the gate signs",
        };
        let fields: String = self.upstream.headers.keys().map(|name| format!(", {name}")).collect();
        line(f, format_args!("  {:<24} {token}{fields}", "the service sees"))
    }
}

impl RoutePolicy {
    fn place(&self) -> String {
        let methods = self.methods.join(" ");
        let hosts = self.hosts.join(" or ");
        [methods, hosts + &self.path].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }

    fn who(&self) -> String {
        match &self.require {
            Some(rule) => format!("{}: {}", who(self.access), serde_json::to_string(rule).unwrap_or_default()),
            None => who(self.access).to_owned(),
        }
    }
}

fn who(access: Access) -> &'static str {
    match access {
        Access::Public => "everybody, no token is looked at",
        Access::Optional => "everybody without a token or with a good one",
        Access::Token => "a good token",
        Access::Deny => "nobody",
    }
}
