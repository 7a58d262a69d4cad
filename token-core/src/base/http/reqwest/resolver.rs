//! Name resolution behind the address guard: a name in, only the addresses that may be talked to out.

use std::error::Error;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::base::http::address::{AddressGuard, Over};

/// Resolves through the operating system and drops every address that the guard refuses.
#[derive(Debug)]
pub(super) struct GuardedResolver {
    pub(super) guard: AddressGuard,
    /// How the requests of its client travel.
    pub(super) over: Over,
    /// The host of the proxy that the operator named: it may stand in a private network, and is the only name that is asked for then.
    pub(super) proxy: Option<Box<str>>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let named = self.proxy.as_deref().is_some_and(|proxy| proxy.eq_ignore_ascii_case(name.as_str()));
        let guard =
            if named { AddressGuard { loopback_http: true, private: true, plain_http: true } } else { self.guard };
        let over = self.over;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let (mut allowed, mut refused) = (Vec::new(), None);
            for address in found {
                match guard.check_resolved(name.as_str(), address.ip(), over) {
                    Ok(()) => allowed.push(address),
                    Err(why) => refused = Some(why),
                }
            }
            match refused {
                Some(why) if allowed.is_empty() => Err(Box::new(why) as Box<dyn Error + Send + Sync>),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}
