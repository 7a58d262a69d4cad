//! The Sentinels of a master in, the address that most of them name out: connections that stay, and nobody waits for the slow ones.

use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{ConnectionInfo, cmd};
use token_core::http::NoRuntime;
use token_core::stores::StoreError;
use tokio::sync::{Mutex, mpsc};

use crate::line::{bounded, connect, unreachable};
use crate::settings::{RedisSettings, Topology};

/// Where a master is: host and port.
pub(crate) type Address = (String, u16);

/// The Sentinels that watch one master, each with its connection.
pub(crate) struct Sentinels {
    settings: Arc<RedisSettings>,
    name: String,
    watchers: Box<[Watcher]>,
}

struct Watcher {
    node: ConnectionInfo,
    /// Held while it is asked: one that does not answer is not asked a second question.
    wire: Mutex<Option<MultiplexedConnection>>,
}

impl Sentinels {
    /// `None` where no Sentinels watch.
    pub(crate) fn new(settings: &Arc<RedisSettings>) -> Option<Arc<Self>> {
        let Topology::Sentinels { nodes, name } = &settings.topology else { return None };
        let watchers = nodes.iter().map(|node| Watcher { node: node.clone(), wire: Mutex::default() }).collect();
        Some(Arc::new(Self { settings: Arc::clone(settings), name: name.clone(), watchers }))
    }

    /// The master that most of the Sentinels name, and the first of them to say so. All are asked at once; the answer is there when most have given the same one and
    /// nobody before them another. Two who each heard most of the Sentinels have heard one of them both: they cannot have been told of two masters at once.
    pub(crate) async fn master(self: &Arc<Self>) -> Result<(Address, &ConnectionInfo), StoreError> {
        if let Some(missing) = NoRuntime::find() {
            return Err(unreachable(&missing.to_string()));
        }
        let (sender, mut answers) = mpsc::unbounded_channel();
        for at in 0..self.watchers.len() {
            let (this, sender) = (Arc::clone(self), sender.clone());
            // A task of its own, within bounds of its own: one that is slow keeps its connection until it is known to be dead.
            tokio::spawn(async move {
                if let Ok(Some(address)) = this.ask(&this.watchers[at]).await {
                    let _ = sender.send((address, at));
                }
            });
        }
        drop(sender);
        let Some((address, first)) = answers.recv().await else {
            return Err(unreachable("no sentinel knows this master"));
        };
        let mut agreed = 1;
        while agreed * 2 <= self.watchers.len() {
            match answers.recv().await {
                Some((same, _)) if same == address => agreed += 1,
                Some(_) => return Err(unreachable("the sentinels name more than one master")),
                None => return Err(unreachable("most of the sentinels do not answer")),
            }
        }
        Ok((address, &self.watchers[first].node))
    }

    async fn ask(&self, watcher: &Watcher) -> Result<Option<Address>, StoreError> {
        let timeout = self.settings.timeout;
        let Ok(mut wire) = watcher.wire.try_lock() else { return Err(unreachable("it is being asked")) };
        let mut line = match wire.take() {
            Some(line) => line,
            None => connect(&self.settings, watcher.node.clone(), timeout).await?,
        };
        let mut question = cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.name);
        let address = bounded(timeout, question.query_async(&mut line)).await?;
        // Only one that answered is kept.
        *wire = Some(line);
        Ok(address)
    }
}
