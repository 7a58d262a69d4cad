//! A policy file in, a server out that follows it: a good change takes over at once, a bad one is reported and changes nothing.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::file;
use crate::base::patience::within;
use crate::base::runtime::NoRuntime;
use crate::base::sync::ArcSwap;
use crate::gate::server::Inner;
use crate::jose::signature::sha256;
use crate::policy::{Change, Policy, PolicyError};
use crate::trust::compiler::Compiler;
use crate::trust::registry::Registry;

use crate::base::config_error::ConfigError;
use crate::gate::builder::ResourceServerBuilder;
use crate::gate::server::ResourceServer;

type Finish = dyn Fn(ResourceServerBuilder) -> ResourceServerBuilder + Send + Sync;
/// Puts in force what was built from a policy beside the server.
type TakeOver = Box<dyn FnOnce() + Send>;
type Beside = dyn Fn(&Policy, &ResourceServer) -> Result<TakeOver, String> + Send + Sync;

/// The largest file that a policy may name, in bytes.
const LARGEST: u64 = 512 * 1024;
/// How long a new policy's keys are waited for before it takes over all the same.
const PATIENCE: Duration = Duration::from_secs(5);

/// Follows a policy file and changes the server when the file changes. When this is dropped, the server keeps its last policy.
pub struct Reload {
    path: PathBuf,
    server: ResourceServer,
    finish: Box<Finish>,
    beside: Option<Box<Beside>>,
    seen: Mutex<Seen>,
}

struct Seen {
    /// How many policies have been in force.
    number: u64,
    /// The policy in force.
    policy: Policy,
    /// What the files hold that it names.
    named: Vec<Named>,
    /// What was wrong at the last look.
    error: Option<PolicyError>,
}

/// The member that names a file, and a digest of what is in it; `None` where it cannot be read.
type Named = (String, Option<[u8; 32]>);

/// The result of checking the file.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reloaded {
    /// Neither the file nor a file that it names has changed.
    Unchanged,
    /// The new policy is in force; this is what changed.
    Changed(Vec<Change>),
    /// No server can be built from the file; the old policy stays in force.
    Kept(PolicyError),
}

impl Reload {
    /// Reads the file and builds the server. `finish` is called for each policy and adds what a file cannot hold, such as a clock or a deny-list. Hand over a
    /// clone of a deny-list that was made outside: one that `finish` makes is empty after each change, and lets those in again who were denied.
    ///
    /// # Errors
    /// As [`Policy::from_file`] and [`Policy::server`].
    pub fn start(
        path: impl AsRef<Path>,
        finish: impl Fn(ResourceServerBuilder) -> ResourceServerBuilder + Send + Sync + 'static,
    ) -> Result<Self, PolicyError> {
        let path = path.as_ref().to_owned();
        let policy = Policy::from_file(&path)?;
        let named = named_files(&policy);
        let server = ResourceServer::followed(build(&policy, &finish, None)?);
        Ok(Self {
            path,
            server,
            finish: Box::new(finish),
            beside: None,
            seen: Mutex::new(Seen { number: 0, policy, named, error: None }),
        })
    }

    /// Builds something else from each policy as well. `build` gets the policy and its server, and returns a closure that puts the result in force. The closure is
    /// called now, and for each new policy at the moment when the server changes.
    ///
    /// # Errors
    /// [`PolicyError`] when `build` refuses the policy, with its reason. Later such a policy changes nothing and is
    /// [`Reloaded::Kept`].
    pub fn beside(
        mut self,
        build: impl Fn(&Policy, &ResourceServer) -> Result<Box<dyn FnOnce() + Send>, String> + Send + Sync + 'static,
    ) -> Result<Self, PolicyError> {
        self.prepare(&build, &self.policy(), &self.server.current())?();
        self.beside = Some(Box::new(build));
        Ok(self)
    }

    fn prepare(&self, build: &Beside, policy: &Policy, server: &ResourceServer) -> Result<TakeOver, PolicyError> {
        build(policy, server).map_err(|why| PolicyError::new(why).within(&self.path))
    }

    /// The server. All its clones follow the file while [`follow`](Self::follow) runs, and whenever [`check`](Self::check) is called.
    #[must_use]
    pub fn server(&self) -> ResourceServer {
        self.server.clone()
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.seen().policy.clone()
    }

    /// Checks the file once: after a signal, for example. A new policy takes effect when the keys of its issuers are there, or after 5 s.
    pub async fn check(&self) -> Reloaded {
        loop {
            if let Some(outcome) = self.look().await {
                return outcome;
            }
        }
    }

    /// `None` when another policy has come into force while the keys of this one were waited for: what was read before is of yesterday.
    async fn look(&self) -> Option<Reloaded> {
        let number = self.seen().number;
        let fresh = Policy::from_file(&self.path).and_then(|policy| {
            let named = named_files(&policy);
            let is_known = policy == self.policy() && named == self.seen().named;
            if is_known {
                return Ok(None);
            }
            let server = build(&policy, &*self.finish, Some(self.server.current()))?;
            let beside = self.beside.as_ref().map(|build| self.prepare(&**build, &policy, &server)).transpose()?;
            Ok(Some((server, beside, policy, named)))
        });
        Some(match fresh {
            Ok(None) => {
                self.seen().error = None;
                Reloaded::Unchanged
            }
            Ok(Some((server, beside, policy, named))) => {
                let ready = within(PATIENCE, server.ready()).await;
                let mut seen = self.seen();
                if seen.number != number {
                    return None;
                }
                let mut changes = seen.policy.diff(&policy);
                changes.extend(rewritten(&seen.named, &named));
                let keys_at_hand = matches!(ready, Some(Ok(())));
                tracing::info!(name: "token.policy.reloaded", changes = changes.len(), keys_at_hand, "the policy file changed, the new policy is in force");
                *seen = Seen { number: number.wrapping_add(1), policy, named, error: None };
                self.server.succeed(server);
                if let Some(take_over) = beside {
                    take_over();
                }
                Reloaded::Changed(changes)
            }
            Err(error) => {
                let last = self.seen().error.replace(error.clone());
                if last.as_ref() != Some(&error) {
                    tracing::error!(name: "token.policy.kept", %error, "the policy file is bad, the old policy stays in force");
                }
                Reloaded::Kept(error)
            }
        })
    }

    /// Held for a look, never across an await.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the file every `interval` in a task of its own, until the returned value is dropped. Outside of a tokio runtime with timers it does so on a thread
    /// with a runtime of its own.
    #[must_use = "dropping it ends the following"]
    pub fn follow(self: &Arc<Self>, interval: Duration) -> impl Drop + Send + use<> {
        let this = Arc::downgrade(self);
        let following = async move {
            loop {
                tokio::time::sleep(interval).await;
                let Some(this) = this.upgrade() else { return };
                this.check().await;
            }
        };
        Following(match NoRuntime::find() {
            None => Some(tokio::spawn(following).abort_handle()),
            Some(_) => on_a_thread(following),
        })
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
            compiler: Arc::new(Compiler::idle(Arc::clone(&inner.clock), Arc::clone(&inner.protection))),
            clock: Arc::clone(&inner.clock),
            protection: Arc::clone(&inner.protection),
            sources: None,
            resolving: None,
            tenants: None,
            tenant: None,
            tickets: None,
            looks_further: false,
            possession: None,
            deny_list: None,
            when_unreachable: inner.when_unreachable,
            encrypted: None,
            max_token: 0,
            keep_tokens: false,
            cache: None,
            policy: Arc::clone(&inner.policy),
            require: None,
            home: Arc::default(),
            metadata_key: None,
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

/// The files that a policy names, with digests of what they hold: a key set or a secret that was replaced is a change, too.
fn named_files(policy: &Policy) -> Vec<Named> {
    let mut named = Vec::new();
    policy.clone().each_file(&mut |member, path| {
        named.push((member, file::read(path, LARGEST).ok().map(|bytes| sha256(&bytes))));
    });
    named
}

/// The files whose names stayed and whose content did not.
fn rewritten(old: &[Named], new: &[Named]) -> Vec<Change> {
    let another = |(member, digest): &&Named| old.iter().any(|(known, before)| known == member && before != digest);
    let content = |word: &str| Some(serde_json::Value::from(format!("({word} content)")));
    new.iter()
        .filter(another)
        .map(|(path, _)| Change { path: path.clone(), old: content("old"), new: content("new") })
        .collect()
}

struct Following(Option<tokio::task::AbortHandle>);

impl Drop for Following {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// Carries `work` out on a thread with a runtime of its own, which ends with it.
fn on_a_thread(work: impl Future<Output = ()> + Send + 'static) -> Option<tokio::task::AbortHandle> {
    let begun = tokio::runtime::Builder::new_current_thread().enable_all().build().and_then(|runtime| {
        let task = runtime.spawn(work);
        let abort = task.abort_handle();
        let turn = move || _ = runtime.block_on(task);
        std::thread::Builder::new().name("token-policy".to_owned()).spawn(turn).map(|_| abort)
    });
    begun.inspect_err(|error| {
        tracing::error!(name: "token.runtime.missing", %error, "there is neither a runtime nor a thread to follow the policy file on");
    }).ok()
}

/// `former` holds what must outlive the change.
fn build(policy: &Policy, finish: &Finish, former: Option<ResourceServer>) -> Result<ResourceServer, PolicyError> {
    let built: Result<_, ConfigError> = finish(policy.builder()?).inheriting(former).build();
    Ok(built?)
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload").field("path", &self.path).finish_non_exhaustive()
    }
}
