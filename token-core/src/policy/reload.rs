//! A policy file in, a server out that follows it: a good change takes over at once, a bad one is reported and changes nothing.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::{Change, Policy, PolicyError};
use crate::compiler::Compiler;
use crate::registry::Registry;
use crate::server::Inner;

use crate::{ConfigError, ResourceServer, ResourceServerBuilder};

type Finish = dyn Fn(ResourceServerBuilder) -> ResourceServerBuilder + Send + Sync;

/// How long a new policy's keys are waited for before it takes over all the same.
const PATIENCE: Duration = Duration::from_secs(5);

/// Follows a policy file. Dropping it ends the following; the server goes on with what it has.
pub struct Reload {
    path: PathBuf,
    server: ResourceServer,
    finish: Box<Finish>,
    /// The policy in force, and the last text that was looked at.
    seen: Mutex<(Policy, Option<PolicyError>)>,
}

/// What a look at the file came to.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reloaded {
    /// It says what it said before.
    Unchanged,
    /// The new policy is in force; this is what changed.
    Changed(Vec<Change>),
    /// No server can be built from the file; the old policy stays in force.
    Kept(PolicyError),
}

impl Reload {
    /// Reads the file and builds the server. `finish` adds what no text can say, each time: a clock, an HTTP client.
    ///
    /// # Errors
    /// As [`Policy::from_file`] and [`Policy::server`]: at the start there is nothing to keep.
    pub fn start(
        path: impl AsRef<Path>,
        finish: impl Fn(ResourceServerBuilder) -> ResourceServerBuilder + Send + Sync + 'static,
    ) -> Result<Self, PolicyError> {
        let path = path.as_ref().to_owned();
        let policy = Policy::from_file(&path)?;
        let server = ResourceServer::followed(build(&policy, &finish)?);
        Ok(Self { path, server, finish: Box::new(finish), seen: Mutex::new((policy, None)) })
    }

    /// The server. Its clones all follow the file for as long as [`check`](Self::check) or [`follow`](Self::follow) runs.
    #[must_use]
    pub fn server(&self) -> ResourceServer {
        self.server.clone()
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Looks at the file once: on a signal, or when something else says that it changed. Waits for the keys of new issuers, at
    /// most 5 s, before requests meet the new policy.
    pub async fn check(&self) -> Reloaded {
        let fresh = Policy::from_file(&self.path).and_then(|policy| {
            if policy == self.policy() { Ok(None) } else { Ok(Some((build(&policy, &*self.finish)?, policy))) }
        });
        match fresh {
            Ok(None) => {
                self.seen.lock().unwrap_or_else(PoisonError::into_inner).1 = None;
                Reloaded::Unchanged
            }
            Ok(Some((server, policy))) => {
                let ready = tokio::time::timeout(PATIENCE, server.ready()).await;
                let changes = self.policy().diff(&policy);
                let keys_at_hand = matches!(ready, Ok(Ok(())));
                tracing::info!(name: "token.policy.reloaded", changes = changes.len(), keys_at_hand, "the policy file changed, the new policy is in force");
                *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = (policy, None);
                self.server.succeed(server);
                Reloaded::Changed(changes)
            }
            Err(error) => {
                let last = self.seen.lock().unwrap_or_else(PoisonError::into_inner).1.replace(error.clone());
                if last.as_ref() != Some(&error) {
                    tracing::error!(name: "token.policy.kept", %error, "the policy file is bad, the old policy stays in force");
                }
                Reloaded::Kept(error)
            }
        }
    }

    /// Looks at the file every `interval` in a task of its own, until the returned value is dropped.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use = "dropping it ends the following"]
    pub fn follow(self: &Arc<Self>, interval: Duration) -> impl Drop + Send + use<> {
        let this = Arc::downgrade(self);
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(interval).await;
                let Some(this) = this.upgrade() else { return };
                this.check().await;
            }
        });
        Following(task.abort_handle())
    }
}

impl ResourceServer {
    /// What this server accepts, as data.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.current().0.policy)
    }

    /// A server that stands for `first` until something succeeds it.
    pub(crate) fn followed(first: Self) -> Self {
        let inner = &first.0;
        Self::new(Inner {
            registry: ArcSwap::from_pointee(Registry::default()),
            compiler: Compiler::idle(Arc::clone(&inner.clock)),
            clock: Arc::clone(&inner.clock),
            protection: Arc::clone(&inner.protection),
            sources: None,
            resolving: None,
            deny_list: None,
            when_unreachable: inner.when_unreachable,
            max_token: 0,
            keep_tokens: false,
            cache: None,
            policy: Arc::clone(&inner.policy),
            explain: inner.explain,
            follows: Some(ArcSwap::new(first.0)),
        })
    }

    /// Asks `newer` from now on.
    pub(crate) fn succeed(&self, newer: Self) {
        if let Some(current) = &self.0.follows {
            current.store(newer.0);
        }
    }

    /// This server, or the one it stands for.
    pub(crate) fn current(&self) -> Self {
        match &self.0.follows {
            Some(current) => Self(current.load_full()),
            None => self.clone(),
        }
    }
}

struct Following(tokio::task::AbortHandle);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn build(policy: &Policy, finish: &Finish) -> Result<ResourceServer, PolicyError> {
    let built: Result<_, ConfigError> = finish(policy.builder()?).build();
    Ok(built?)
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload").field("path", &self.path).finish_non_exhaustive()
    }
}
