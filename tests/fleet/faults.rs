//! A fleet under load in, what happens to it one after the other, and a row of the table for each out.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::instance::{Instance, Orders};
use super::stage::Stage;
use crate::engine::{Node, Watched, Wire, until};
use crate::{LIST, LOG};

/// Entries of before once more, the same cut off in the middle, and junk, each at the end of the stream as if a writer of ours had put it there.
const JUNK: &str = "
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 10)
local epoch = string.match(last[1][1], '^%d+')
for number, entry in ipairs(last) do
  for _, change in ipairs({entry[2][4], string.sub(entry[2][4], 1, number * 4), 'junk' .. number}) do
    redis.call('XADD', KEYS[1], epoch .. '-*', 'm', 'replayed', 'c', change)
  end
end
return #last";

/// Everything that runs.
pub(crate) struct Drill {
    watched: Watched,
    instances: Vec<Instance>,
    orders: Orders,
    stage: Arc<Stage>,
    phases: usize,
    wrong: u64,
}

impl Drill {
    pub(crate) fn new(watched: Watched, instances: Vec<Instance>, orders: Orders, stage: Arc<Stage>) -> Self {
        Self { watched, instances, orders, stage, phases: 0, wrong: 0 }
    }

    /// One fault after the other. How many answers were wrong.
    pub(crate) async fn run(&mut self) -> u64 {
        seconds(6).await;
        self.close("nothing happens");
        self.stream().await;
        self.clocks().await;
        self.troubled_master().await;
        self.instances().await;
        self.replica_and_sentinels().await;
        self.masters().await;
        self.wrong
    }

    async fn stream(&mut self) {
        assert_eq!(self.master().cli(&["EVAL", JUNK, "1", LOG]).trim(), "10");
        seconds(4).await;
        self.close("entries of before, entries cut off in the middle and junk come into the stream");

        self.master().cli(&["XTRIM", LOG, "MAXLEN", "0"]);
        seconds(8).await;
        self.close("the stream is emptied: all read the list anew");
    }

    async fn clocks(&mut self) {
        self.replace(0, |orders| orders.ahead = 10_000);
        self.replace(1, |orders| orders.ahead = -10_000);
        seconds(8).await;
        self.close("two instances start anew, with clocks 10 s ahead and 10 s behind, and go on so");
    }

    async fn troubled_master(&mut self) {
        for _ in 0..6 {
            self.master().cli(&["CLIENT", "PAUSE", "400", "ALL"]);
            sleep(Duration::from_millis(800)).await;
        }
        seconds(2).await;
        self.close("the master is slow: six times it answers nothing for 400 ms");

        self.master().cli(&["CONFIG", "SET", "maxmemory", "1"]);
        seconds(3).await;
        self.master().cli(&["CONFIG", "SET", "maxmemory", "0"]);
        seconds(2).await;
        self.close("the master is full (OOM) for 3 s");

        for _ in 0..20 {
            self.master().cli(&["CLIENT", "KILL", "TYPE", "normal"]);
            sleep(Duration::from_millis(200)).await;
        }
        seconds(2).await;
        self.close("every connection to the master is cut, five times a second for 4 s");

        // Its data are on disk, and no Sentinel acts before it has read them.
        self.patience("60000");
        self.master().cli(&["SAVE"]);
        self.master_mut().restart();
        seconds(8).await;
        self.patience("600");
        self.close("the master is killed and starts again at once from its file (LOADING)");
    }

    async fn instances(&mut self) {
        let room = self.master().cli(&["ZCARD", LIST]).trim().parse::<usize>().unwrap() + 10;
        self.replace(3, |orders| orders.capacity = room);
        seconds(8).await;
        let full = self.stage.said(3).await;
        self.close("one instance starts with room for ten more entries: full, it refuses everybody");
        assert!(full.left_out > 0, "{full:?}");

        let wire = Wire::to(self.master().port).await;
        let url = format!("redis://127.0.0.1:{}/", wire.port);
        self.replace(3, |orders| orders.server = Some(url));
        seconds(6).await;
        self.close("it is killed, and another started");

        wire.cut().await;
        seconds(5).await;
        wire.mend();
        seconds(3).await;
        self.close("one instance is cut off from Redis for 5 s");
        self.replace(3, |_| {});

        self.instances[2].signal("STOP");
        seconds(4).await;
        self.instances[2].signal("CONT");
        seconds(3).await;
        self.close("one instance is stopped for 4 s, and goes on as if nothing had happened");
    }

    async fn replica_and_sentinels(&mut self) {
        self.replica_mut().kill();
        seconds(4).await;
        self.dead_mut().start();
        seconds(4).await;
        self.close("the replica is killed, and comes back after 4 s");
        self.in_step().await;

        self.watched.sentinels[0].signal("STOP");
        seconds(4).await;
        self.watched.sentinels[0].signal("CONT");
        seconds(1).await;
        self.close("one of three Sentinels answers nothing for 4 s");
    }

    async fn masters(&mut self) {
        self.in_step().await;
        self.watched.sentinels[1].cli(&["SENTINEL", "FAILOVER", "main"]);
        seconds(10).await;
        self.close("an orderly fail-over: the master turns read-only (READONLY) under those who write");

        self.in_step().await;
        self.master_mut().kill();
        seconds(8).await;
        self.dead_mut().start();
        seconds(6).await;
        self.close("the master is killed: its replica takes over, and it comes back as one");

        self.in_step().await;
        let cut_off = self.master().port;
        self.at(cut_off).signal("STOP");
        seconds(8).await;
        self.at(cut_off).signal("CONT");
        seconds(6).await;
        self.close(
            "the master answers nothing for 8 s (as cut off), is replaced, and comes back believing it is master",
        );
    }

    fn close(&mut self, what: &str) {
        self.phases += 1;
        self.wrong += self.stage.close(self.phases, what);
    }

    /// Ends an instance, and starts another in its place.
    fn replace(&mut self, number: usize, change: impl FnOnce(&mut Orders)) {
        let mut orders = self.orders.clone();
        change(&mut orders);
        drop(self.instances.remove(number));
        self.instances.insert(number, Instance::start(&orders));
        self.stage.urls.lock().unwrap()[number] = self.instances[number].url.clone();
    }

    /// How long a master may say nothing before the Sentinels replace it.
    fn patience(&self, millis: &str) {
        for sentinel in &self.watched.sentinels {
            sentinel.cli(&["SENTINEL", "SET", "main", "down-after-milliseconds", millis]);
        }
    }

    async fn in_step(&self) {
        until("master and replica are in step", async || {
            let roles = self.nodes().map(|node| node.cli(&["ROLE"]));
            roles.iter().any(|role| role.starts_with("master")) && roles.iter().any(|role| role.contains("connected"))
        })
        .await;
    }

    fn nodes(&self) -> [&Node; 2] {
        [&self.watched.master, &self.watched.replica]
    }

    fn nodes_mut(&mut self) -> [&mut Node; 2] {
        [&mut self.watched.master, &mut self.watched.replica]
    }

    fn at(&self, port: u16) -> &Node {
        self.nodes().into_iter().find(|node| node.port == port).expect("one of the two")
    }

    fn master(&self) -> &Node {
        self.nodes().into_iter().find(|node| is_master(node)).expect("one of the two is master")
    }

    fn master_mut(&mut self) -> &mut Node {
        self.nodes_mut().into_iter().find(|node| is_master(node)).expect("one of the two is master")
    }

    fn replica_mut(&mut self) -> &mut Node {
        self.nodes_mut().into_iter().find(|node| !is_master(node)).expect("one of the two is a replica")
    }

    /// The one that was killed.
    fn dead_mut(&mut self) -> &mut Node {
        self.nodes_mut()
            .into_iter()
            .find(|node| !node.cli(&["PING"]).contains("PONG"))
            .expect("one of the two was killed")
    }
}

fn is_master(node: &Node) -> bool {
    node.cli(&["ROLE"]).starts_with("master")
}

async fn seconds(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}
