//! Real engines, each on ports of its own on loopback and stopped by its id: one server, a pair under Sentinels, a Cluster, a wire that can be cut.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use token_redis::{Redis, RedisSettings};
use token_test::HeldPort;
use tokio::net::{TcpListener as Listener, TcpStream};
use tokio::sync::watch;

/// A port of our own, and another ten thousand above it (a Cluster's own).
fn two_ports() -> [HeldPort; 2] {
    loop {
        let port = HeldPort::new().unwrap();
        if let Some(bus) = port.port().checked_add(10_000)
            && let Ok(bus) = HeldPort::at((Ipv4Addr::LOCALHOST, bus).into())
        {
            return [port, bus];
        }
    }
}

/// What a server that is there answers within, however little of a processor it gets.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What is started: `redis-server`, or the one that `TOKEN_REDIS_SERVER` names, Valkey's say.
pub(crate) fn program() -> std::ffi::OsString {
    std::env::var_os("TOKEN_REDIS_SERVER").unwrap_or_else(|| "redis-server".into())
}

/// A process of redis-server that lives as long as this value.
pub(crate) struct Node {
    process: Option<Child>,
    pub(crate) port: u16,
    _held: [HeldPort; 2],
    folder: PathBuf,
    words: Vec<String>,
}

impl Node {
    /// Starts a server with these words beside the usual ones; it may not answer yet.
    pub(crate) fn spawn(words: &[&str]) -> Self {
        let held = two_ports();
        let port = held[0].port();
        let folder = std::env::temp_dir().join(format!("token-redis-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let mut node = Self { process: None, port, _held: held, folder, words };
        node.start();
        node
    }

    pub(crate) fn start(&mut self) {
        let port = self.port.to_string();
        let mut command = Command::new(program());
        if let Some(sentinel) = self.words.iter().find_map(|word| word.strip_prefix("sentinel:")) {
            let file = self.folder.join("sentinel.conf");
            std::fs::write(&file, format!("port {port}\nbind 127.0.0.1\n{sentinel}")).unwrap();
            command.arg(file).arg("--sentinel");
        } else {
            command.args(["--bind", "127.0.0.1", "--save", "", "--daemonize", "no", "--repl-diskless-sync-delay", "0"]);
            if !self.words.iter().any(|word| word == "--tls-port") {
                command.args(["--port", &port]);
            }
            command.args(self.words.iter().map(|word| word.replace("PORT", &port)));
        }
        command.current_dir(&self.folder).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.spawn().expect("redis-server is installed: `cargo xtask test` does that"));
    }

    /// Starts one and waits until it answers.
    pub(crate) async fn ready(words: &[&str]) -> Self {
        let node = Self::spawn(words);
        until("redis-server answers", async || node.cli(&["PING"]).contains("PONG")).await;
        node
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Kills it and starts it again, with what it had saved.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.start();
    }

    /// Stops or continues the process: it keeps its connections and answers nothing.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.process.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// What redis-cli prints.
    pub(crate) fn cli(&self, words: &[&str]) -> String {
        let output = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(words).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// A connection that waits as long as a busy machine takes. One that is refused or lost says so at once.
    pub(crate) fn connect(&self) -> Redis {
        Redis::with(RedisSettings::server(&self.url()).unwrap().timeout(PATIENCE)).unwrap()
    }

    /// A connection that waits no longer than it does by itself.
    pub(crate) fn connect_hasty(&self) -> Redis {
        Redis::new(&self.url()).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Asks until it is so, for two minutes: a Sentinel that had no processor for 2 s does nothing for half a minute (its TILT mode).
pub(crate) async fn until(what: &str, so: impl AsyncFn() -> bool) -> Duration {
    let started = Instant::now();
    while !so().await {
        assert!(started.elapsed() < Duration::from_secs(120), "not so within 120 s: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    started.elapsed()
}

/// A master with a replica, and three Sentinels that watch them.
pub(crate) struct Watched {
    pub(crate) master: Node,
    pub(crate) replica: Node,
    pub(crate) sentinels: Vec<Node>,
}

impl Watched {
    /// `down_after` is for how long a master may be silent before it counts as gone: with too little, a busy machine brings fail-overs of its own.
    pub(crate) async fn start(down_after: Duration) -> Self {
        let master = Node::ready(&[]).await;
        let replica = Node::ready(&["--replicaof", "127.0.0.1", &master.port.to_string()]).await;
        until("the replica is in step", async || replica.cli(&["ROLE"]).contains("connected")).await;
        let words = format!(
            "sentinel:sentinel monitor main 127.0.0.1 {} 2\nsentinel down-after-milliseconds main {}\nsentinel failover-timeout main 3000\n",
            master.port,
            down_after.as_millis()
        );
        let sentinels: Vec<_> = (0..3).map(|_| Node::spawn(&[&words])).collect();
        for sentinel in &sentinels {
            until("each sentinel knows the others and the replica", async || {
                let seen = sentinel.cli(&["SENTINEL", "MASTER", "main"]);
                let value = |name: &str| seen.lines().skip_while(|line| *line != name).nth(1).map(str::to_owned);
                value("num-other-sentinels").as_deref() == Some("2") && value("num-slaves").as_deref() == Some("1")
            })
            .await;
        }
        Self { master, replica, sentinels }
    }

    /// Of which half is how long a replica's acknowledgement is waited for.
    pub(crate) fn settings(&self) -> RedisSettings {
        RedisSettings::sentinels(self.sentinels.iter().map(Node::url), "main").unwrap().timeout(Duration::from_secs(4))
    }
}

/// Three masters with a replica each.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let words =
            ["--cluster-enabled", "yes", "--cluster-node-timeout", "4000", "--cluster-config-file", "nodes.conf"];
        let mut nodes = Vec::new();
        for _ in 0..6 {
            nodes.push(Node::ready(&words).await);
        }
        let addresses: Vec<_> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(addresses).args(["--cluster-replicas", "1", "--cluster-yes"]);
        let made = create.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        for node in &nodes {
            until("the cluster is well", async || {
                node.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
                    && node.cli(&["CLUSTER", "NODES"]).matches("slave ").count() == 3
            })
            .await;
        }
        until("the replicas are in step", async || {
            nodes.iter().filter(|node| node.cli(&["ROLE"]).contains("connected")).count() == 3
        })
        .await;
        Self { nodes }
    }

    /// The node that has the slot of this key.
    pub(crate) fn owner(&mut self, key: &str) -> &mut Node {
        let slot: u32 = self.nodes[0].cli(&["CLUSTER", "KEYSLOT", key]).trim().parse().unwrap();
        let table = self.nodes[0].cli(&["CLUSTER", "NODES"]);
        let line = table.lines().find(|line| {
            line.contains("master")
                && line.split(' ').skip(8).any(|range| {
                    let (first, last) = range.split_once('-').unwrap_or((range, range));
                    matches!((first.parse(), last.parse()), (Ok(first), Ok(last)) if (first..=last).contains(&slot))
                })
        });
        let port = line.and_then(|line| line.split([':', '@']).nth(1)).and_then(|port| port.parse().ok());
        self.nodes.iter_mut().find(|node| Some(node.port) == port).expect("somebody has the slot")
    }
}

/// A wire to a server that can be cut: what is on it ends, and nothing new comes through until it is mended.
pub(crate) struct Wire {
    pub(crate) port: u16,
    state: watch::Sender<State>,
}

#[derive(Default)]
struct State {
    is_cut: bool,
    cuts: usize,
    open: usize,
}

impl Wire {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = Listener::bind(("127.0.0.1", 0)).await.unwrap();
        let wire = Self { port: listener.local_addr().unwrap().port(), state: watch::Sender::default() };
        let state = wire.state.clone();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (mut changed, state) = (state.subscribe(), state.clone());
                let mut before = None;
                state.send_if_modified(|state| {
                    before = (!state.is_cut).then_some(state.cuts);
                    state.open += usize::from(!state.is_cut);
                    false
                });
                let Some(before) = before else { continue };
                tokio::spawn(async move {
                    let joined = async {
                        let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    };
                    tokio::select! {
                        _ = changed.wait_for(|state| state.cuts != before) => {}
                        () = joined => {}
                    }
                    drop(near);
                    state.send_modify(|state| state.open -= 1);
                });
            }
        });
        wire
    }

    /// Nothing is on it any more when this returns.
    pub(crate) async fn cut(&self) {
        self.state.send_modify(|state| (state.is_cut, state.cuts) = (true, state.cuts + 1));
        self.state.subscribe().wait_for(|state| state.open == 0).await.map(drop).unwrap();
    }

    pub(crate) fn mend(&self) {
        self.state.send_modify(|state| state.is_cut = false);
    }

    pub(crate) fn connect(&self) -> Redis {
        let settings = RedisSettings::server(&format!("redis://127.0.0.1:{}/", self.port)).unwrap();
        Redis::with(settings.timeout(PATIENCE)).unwrap()
    }
}

/// The port of something that answers every command as a server does that is reading its data. (A real one is too quick about it.)
pub(crate) async fn loading() -> u16 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = Listener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut bytes).await {
                    let commands = bytes[..count].iter().filter(|byte| **byte == b'*').count();
                    let answers = "-LOADING Redis is loading the dataset in memory\r\n".repeat(commands);
                    if stream.write_all(answers.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}
