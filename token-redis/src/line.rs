//! One connection to whoever is the master now: settings in, a connection that answers in time out, for one server, Sentinels and Cluster.

mod sentinels;

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Cmd, ConnectionInfo, FromRedisValue, Value, cmd};
use token_core::http::NoRuntime;
use token_core::stores::StoreError;
use tokio::time::timeout;

use crate::line::sentinels::{Address, Sentinels};
use crate::settings::{RedisSettings, Topology};

/// A connection. A clone is the same one; once it is lost it stays lost.
#[derive(Clone)]
pub(crate) struct Line {
    wire: Wire,
    patience: Duration,
    /// Who is asked whether this is the master still, and where it is.
    named: Option<Arc<(Arc<Sentinels>, Address)>>,
}

#[derive(Clone)]
enum Wire {
    One(MultiplexedConnection),
    #[cfg(feature = "cluster")]
    Cluster(redis::cluster_async::ClusterConnection),
}

impl Line {
    /// A connection of its own. `block` is how much longer than usual one of its commands may take.
    pub(crate) async fn open(settings: &Arc<RedisSettings>, block: Duration) -> Result<Self, StoreError> {
        let patience = settings.timeout + block;
        match &settings.topology {
            Topology::Server(node) => {
                let wire = connect(settings, settings.with_credentials(node), patience).await?;
                Ok(Self { wire: Wire::One(wire), patience, named: None })
            }
            Topology::Sentinels { .. } => {
                let sentinels = Sentinels::new(settings).ok_or_else(|| unreachable("there are no sentinels to ask"))?;
                Ok(Self::named(settings, block, &sentinels).await?.0)
            }
            #[cfg(feature = "cluster")]
            Topology::Cluster(nodes) => {
                let nodes: Vec<_> = nodes.iter().map(|node| settings.with_credentials(node)).collect();
                let builder = redis::cluster::ClusterClientBuilder::new(nodes)
                    .retries(2)
                    .connection_timeout(settings.timeout)
                    .response_timeout(patience);
                #[cfg(feature = "tls")]
                let builder = match settings.is_tls() {
                    true => builder.certs(settings.certificates.for_cluster()),
                    false => builder,
                };
                let client = builder.build().map_err(|error| said(&error))?;
                let wire = bounded(settings.timeout * 2, client.get_async_connection()).await?;
                Ok(Self { wire: Wire::Cluster(wire), patience, named: None })
            }
        }
    }

    /// The same, and where Sentinels watch, one that asks them each time [whether it is the master still](Self::is_master).
    pub(crate) async fn watched(settings: &Arc<RedisSettings>, block: Duration) -> Result<Self, StoreError> {
        let Some(sentinels) = Sentinels::new(settings) else { return Self::open(settings, block).await };
        let (line, address) = Self::named(settings, block, &sentinels).await?;
        Ok(Self { named: Some(Arc::new((sentinels, address))), ..line })
    }

    /// A connection to the master that these Sentinels name now.
    async fn named(
        settings: &Arc<RedisSettings>,
        block: Duration,
        sentinels: &Arc<Sentinels>,
    ) -> Result<(Self, Address), StoreError> {
        let patience = settings.timeout + block;
        let (address, sentinel) = sentinels.master().await?;
        let node = settings.master(sentinel, &address.0, address.1);
        let wire = Wire::One(connect(settings, node, patience).await?);
        let mut line = Self { wire, patience, named: None };
        line.is_master().await?;
        Ok((line, address))
    }

    pub(crate) async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, StoreError> {
        match &mut self.wire {
            Wire::One(wire) => bounded(self.patience, command.query_async(wire)).await,
            #[cfg(feature = "cluster")]
            Wire::Cluster(wire) => bounded(self.patience, command.query_async(wire)).await,
        }
    }

    /// Whether this is a master still, and of one that is [watched](Self::watched), whether most of the Sentinels say that it is this one.
    pub(crate) async fn is_master(&mut self) -> Result<(), StoreError> {
        #[cfg(feature = "cluster")]
        if matches!(self.wire, Wire::Cluster(_)) {
            // The nodes of a Cluster say so themselves: MOVED, or CLUSTERDOWN.
            return Ok(());
        }
        if let Some(named) = &self.named {
            let (sentinels, address) = &**named;
            if sentinels.master().await?.0 != *address {
                return Err(unreachable("the sentinels name another master"));
            }
        }
        match self.ask::<Value>(&cmd("ROLE")).await? {
            Value::Array(role) => match role.first() {
                Some(Value::BulkString(word)) if word == b"master" => Ok(()),
                _ => Err(unreachable("expected a master, this is a replica")),
            },
            _ => Err(unreachable("expected an answer to ROLE")),
        }
    }
}

pub(crate) async fn connect(
    settings: &RedisSettings,
    node: ConnectionInfo,
    patience: Duration,
) -> Result<MultiplexedConnection, StoreError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(settings.timeout))
        .set_response_timeout(Some(patience));
    #[cfg(feature = "tls")]
    if settings.is_tls() {
        let certificates = settings.certificates.config().map_err(|error| unreachable(&error.to_string()))?;
        let connected = async {
            let Some(stream) = crate::tls::connect(&node, &certificates).await? else { return Ok(None) };
            let settings = node.redis_settings();
            MultiplexedConnection::new_with_config(settings, stream, config.clone()).await.map(Some)
        };
        if let Some((wire, driver)) = bounded(settings.timeout * 2, connected).await? {
            tokio::spawn(driver);
            return Ok(wire);
        }
    }
    let client = redis::Client::open(node).map_err(|error| said(&error))?;
    bounded(settings.timeout * 2, client.get_multiplexed_async_connection_with_config(&config)).await
}

pub(crate) async fn bounded<T>(
    patience: Duration,
    answer: impl Future<Output = redis::RedisResult<T>>,
) -> Result<T, StoreError> {
    match NoRuntime::or(async { timeout(patience, answer).await }).await {
        Ok(Ok(answer)) => answer.map_err(|error| said(&error)),
        Ok(Err(_)) => Err(unreachable("no answer in time")),
        Err(missing) => Err(unreachable(&missing.to_string())),
    }
}

/// The kind, or the server's own first word, alone: the text may quote an address with credentials, or what was sent.
pub(crate) fn said(error: &redis::RedisError) -> StoreError {
    match error.code() {
        Some(code) => StoreError::Unreachable(code.to_owned()),
        None if error.is_timeout() => unreachable("no answer in time"),
        None if error.is_connection_refusal() => unreachable("the connection is refused"),
        None if error.is_connection_dropped() => unreachable("the connection is lost"),
        None => StoreError::Unreachable(format!("{:?}", error.kind())),
    }
}

pub(crate) fn unreachable(why: &str) -> StoreError {
    StoreError::Unreachable(why.to_owned())
}

// Each kind of wire has to be one.
const _: fn() = || {
    fn wire<T: ConnectionLike>() {}
    wire::<MultiplexedConnection>();
};
