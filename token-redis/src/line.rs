//! One connection to whoever is the master now: settings in, a connection that answers in time out, for one server, Sentinels and Cluster.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Cmd, ConnectionInfo, FromRedisValue, Value, cmd};
use token_core::stores::StoreError;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::settings::{RedisSettings, Topology};

/// A connection. A clone is the same one; once it is lost it stays lost.
#[derive(Clone)]
pub(crate) struct Line {
    wire: Wire,
    patience: Duration,
    /// The master that the Sentinels named, where they did.
    named: Option<Arc<Named>>,
}

struct Named {
    settings: Arc<RedisSettings>,
    address: (String, u16),
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
                let (address, sentinel) = master(settings).await?;
                let node = settings.master(&sentinel, &address.0, address.1);
                let wire = connect(settings, node, patience).await?;
                let named = Some(Arc::new(Named { settings: Arc::clone(settings), address }));
                let mut line = Self { wire: Wire::One(wire), patience, named };
                line.is_master().await?;
                Ok(line)
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

    pub(crate) async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, StoreError> {
        match &mut self.wire {
            Wire::One(wire) => bounded(self.patience, command.query_async(wire)).await,
            #[cfg(feature = "cluster")]
            Wire::Cluster(wire) => bounded(self.patience, command.query_async(wire)).await,
        }
    }

    /// Whether this is a master still, and where Sentinels watch, whether most of them and all who answer say that it is this one. Two who each
    /// heard most of the Sentinels say so have heard one of them both: they cannot have been told of two masters at once.
    pub(crate) async fn is_master(&mut self) -> Result<(), StoreError> {
        #[cfg(feature = "cluster")]
        if matches!(self.wire, Wire::Cluster(_)) {
            // The nodes of a Cluster say so themselves: MOVED, or CLUSTERDOWN.
            return Ok(());
        }
        if let Some(named) = &self.named
            && master(&named.settings).await?.0 != named.address
        {
            return Err(unreachable("the sentinels name another master"));
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

async fn connect(
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

/// The master that most of the Sentinels name, and none of those who answer names another. All are asked at once.
async fn master(settings: &Arc<RedisSettings>) -> Result<((String, u16), ConnectionInfo), StoreError> {
    let Topology::Sentinels { nodes, name } = &settings.topology else {
        return Err(unreachable("there are no sentinels to ask"));
    };
    let mut asked = JoinSet::new();
    for node in nodes {
        let (settings, node, name) = (Arc::clone(settings), node.clone(), name.clone());
        asked.spawn(async move {
            let mut wire = connect(&settings, node.clone(), settings.timeout).await?;
            let mut question = cmd("SENTINEL");
            question.arg("GET-MASTER-ADDR-BY-NAME").arg(&name);
            let address: Option<(String, u16)> = bounded(settings.timeout, question.query_async(&mut wire)).await?;
            Ok::<_, StoreError>((address, node))
        });
    }
    let mut answers = Vec::new();
    while let Some(answer) = asked.join_next().await {
        if let Ok(Ok((Some(address), node))) = answer {
            answers.push((address, node));
        }
    }
    let Some((first, node)) = answers.first().cloned() else {
        return Err(unreachable("no sentinel knows this master"));
    };
    if answers.iter().any(|(address, _)| *address != first) {
        return Err(unreachable("the sentinels name more than one master"));
    }
    if answers.len() * 2 <= nodes.len() {
        return Err(unreachable("most of the sentinels do not answer"));
    }
    Ok((first, node))
}

pub(crate) async fn bounded<T>(
    patience: Duration,
    answer: impl Future<Output = redis::RedisResult<T>>,
) -> Result<T, StoreError> {
    match timeout(patience, answer).await {
        Ok(answer) => answer.map_err(|error| said(&error)),
        Err(_) => Err(unreachable("no answer in time")),
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
