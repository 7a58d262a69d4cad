//! A deny-list in memory that follows a stream and a sorted set: what one instance writes reaches all others, and
//! requests need no network.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::streams::{StreamId, StreamRangeReply, StreamReadReply};
use redis::{FromRedisValue as _, cmd};
use token_core::Timestamp;
use token_core::http::{BoxFuture, NoRuntime};
use token_core::revocation::followed::{
    Change, ChangeLog, FollowedDenyList, FollowedSettings, Follower, Mark, Next, Place, Position,
};
use token_core::stores::StoreError;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::Redis;
use crate::connection::{chance, pause};
use crate::line::{Line, unreachable};

/// Adds an entry to the list and the log, or to the log alone, in one step. KEYS: list, log. ARGV: mark, change, entry
/// or nothing, end.
///
/// Also removes up to a hundred entries that ended at least five minutes ago by the server's clock; later ones may
/// still be needed by instances whose clocks are behind. The IDs of the log are its epoch, the time of its first entry,
/// and a number that the server increments, so that no number is skipped.
const APPEND: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[3] ~= '' then
  local ended = redis.call('ZRANGE', KEYS[1], '-inf', string.format('%.0f', now - 300000), 'BYSCORE', 'LIMIT', 0, 100)
  if #ended > 0 then redis.call('ZREM', KEYS[1], unpack(ended)) end
  redis.call('ZADD', KEYS[1], 'GT', ARGV[4], ARGV[3])
end
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
local epoch = last[1] and string.match(last[1][1], '^%d+') or string.format('%.0f', now)
redis.call('XADD', KEYS[2], 'MAXLEN', '~', 100000, epoch .. '-*', 'm', ARGV[1], 'c', ARGV[2])
return 1";

/// How many entries are read at once.
const BATCH: usize = 5_000;
/// The shortest time between two complete reads of the list.
const BETWEEN_LOADS: Duration = Duration::from_secs(1);
/// The same while entries do not fit, which only an operator or time can change.
const BETWEEN_FULL_LOADS: Duration = Duration::from_secs(10);
/// A connection that lasted this long counts as a good one.
const LONG: Duration = Duration::from_secs(5);
/// The interval at which expired entries are removed.
const BETWEEN_PURGES: Duration = Duration::from_secs(60);
/// The longest time to wait for new entries in one command.
const LONGEST_BLOCK: Duration = Duration::from_millis(500);
/// The end of the year 9999, in milliseconds: later than any token, and exact as a score.
const LATEST: i64 = 253_402_300_799_000;

impl Redis {
    /// Creates a deny-list that is held in memory completely and kept up to date; requests use memory only. What
    /// [`deny`](token_core::revocation::DenyList::deny) and [`evict`](token_core::ResourceServer::evict) change on one
    /// instance reaches all other followers within milliseconds.
    ///
    /// The list is followed on a thread of its own until it is dropped, so a busy application does not delay it. After
    /// a failure it is retried. If the list is further behind than [its limit](FollowedSettings::staleness), requests
    /// are refused unless `when_deny_list_is_unreachable` says otherwise. That also applies at a start until the list
    /// has been read: see [`FollowedDenyList::whole`].
    ///
    /// It does not share entries with [`deny_list`](Self::deny_list).
    #[must_use]
    pub fn follow_deny_list(&self, settings: FollowedSettings) -> FollowedDenyList {
        let block = (settings.staleness_bound() / 4).min(LONGEST_BLOCK);
        let log = Log { redis: self.clone(), line: Arc::default() };
        let (list, follower) = FollowedDenyList::with(log, settings);
        let reader = Reader { redis: self.clone(), block, loaded: None, purged: Instant::now() };
        on_a_thread_of_its_own(reader.run(follower));
        list
    }

    fn list_key(&self) -> String {
        self.named("denied", "list")
    }

    fn log_key(&self) -> String {
        self.named("denied", "log")
    }
}

/// The writing end. It has a connection of its own, since waiting for replicas blocks the commands behind it.
#[derive(Clone)]
struct Log {
    redis: Redis,
    line: Arc<Mutex<Option<Line>>>,
}

impl ChangeLog for Log {
    fn append(&self, change: Change) -> BoxFuture<'static, Result<(), StoreError>> {
        let this = self.clone();
        Box::pin(async move {
            if let Some(missing) = NoRuntime::find() {
                return Err(unreachable(&missing.to_string()));
            }
            // A caller that is dropped once it has begun must not leave it unknown whether it was written.
            let written = tokio::spawn(async move { this.write(change).await });
            written.await.unwrap_or_else(|_| Err(unreachable("the write was cut off")))
        })
    }
}

impl Log {
    async fn write(&self, change: Change) -> Result<(), StoreError> {
        let append = append(&self.redis, &change);
        let mut line = self.line.lock().await;
        let mut outcome = Err(unreachable("not tried"));
        // Twice, since a connection that has lain idle may be dead; to write the same twice does no harm.
        for _ in 0..2 {
            outcome = self.write_once(&mut line, &append).await;
            if outcome.is_ok() {
                break;
            }
            *line = None;
        }
        outcome
    }

    async fn write_once(&self, line: &mut Option<Line>, append: &redis::Cmd) -> Result<(), StoreError> {
        let settings = &self.redis.settings;
        let line = match line {
            Some(line) => line,
            None => line.insert(Line::open(settings, Duration::ZERO).await?),
        };
        line.ask::<i64>(append).await?;
        if settings.replicas == 0 {
            return Ok(());
        }
        let mut wait = cmd("WAIT");
        let patience = u64::try_from(settings.timeout.as_millis() / 2).unwrap_or(u64::MAX).max(1);
        wait.arg(settings.replicas).arg(patience);
        match line.ask::<usize>(&wait).await? {
            reached if reached >= settings.replicas => Ok(()),
            _ => Err(unreachable("written, but too few replicas have it: a fail-over could lose it")),
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Log").field(&self.redis).finish()
    }
}

/// The reading end.
struct Reader {
    redis: Redis,
    block: Duration,
    loaded: Option<Instant>,
    purged: Instant,
}

impl Reader {
    async fn run(mut self, mut follower: Follower) {
        let mut failures = 0;
        while follower.is_wanted() {
            let started = Instant::now();
            let Err(error) = self.follow(&mut follower).await else { return };
            follower.lost();
            if started.elapsed() > LONG {
                failures = 0;
            }
            tracing::warn!(name: "token.deny_list.lost", %error, "the log of the deny-list cannot be followed; it is tried again");
            sleep(pause(failures)).await;
            failures = failures.saturating_add(1);
        }
    }

    /// Follows the log until an error occurs or nobody holds the list any more.
    async fn follow(&mut self, follower: &mut Follower) -> Result<(), StoreError> {
        let mut line = Line::watched(&self.redis.settings, self.block).await?;
        let (end, there) = self.look(&mut line, follower.held()).await?;
        let mut next = follower.connected(end, there);
        while follower.is_wanted() {
            next = match next {
                Next::Load => self.load(&mut line, follower).await?,
                Next::Read(after) => self.read(&mut line, follower, after).await?,
            };
            if self.purged.elapsed() >= BETWEEN_PURGES {
                follower.purge();
                self.purged = Instant::now();
            }
        }
        Ok(())
    }

    /// Reads the newest entry of the log, and the mark of the entry at `held`.
    async fn look(&self, line: &mut Line, held: Option<Position>) -> Result<(Option<Place>, Option<Mark>), StoreError> {
        let end = self.end(line).await?;
        let Some(held) = held else { return Ok((end, None)) };
        let (mut range, id) = (cmd("XRANGE"), id(held));
        range.arg(self.redis.log_key()).arg(&id).arg(&id);
        let there: StreamRangeReply = line.ask(&range).await?;
        Ok((end, there.ids.first().map(mark)))
    }

    async fn end(&self, line: &mut Line) -> Result<Option<Place>, StoreError> {
        let mut last = cmd("XREVRANGE");
        last.arg(self.redis.log_key()).arg("+").arg("-").arg("COUNT").arg(1);
        let last: StreamRangeReply = line.ask(&last).await?;
        Ok(last.ids.first().and_then(|entry| Some((position(entry)?, mark(entry)))))
    }

    async fn load(&mut self, line: &mut Line, follower: &mut Follower) -> Result<Next, StoreError> {
        if let Some(last) = self.loaded {
            let pause = if follower.is_short() { BETWEEN_FULL_LOADS } else { BETWEEN_LOADS };
            sleep(pause.saturating_sub(last.elapsed())).await;
        }
        self.loaded = Some(Instant::now());
        let asked = follower.now();
        line.is_master().await?;
        let end = match self.end(line).await? {
            Some(end) => end,
            None => {
                line.ask::<i64>(&append(&self.redis, &Change::Opened)).await?;
                self.end(line).await?.ok_or_else(|| unreachable("expected the log to have an entry"))?
            }
        };
        follower.loading(end);
        let mut cursor = 0u64;
        loop {
            let mut scan = cmd("ZSCAN");
            scan.arg(self.redis.list_key()).arg(cursor).arg("COUNT").arg(BATCH);
            let (next, entries): (u64, Vec<(Vec<u8>, f64)>) = line.ask(&scan).await?;
            for (entry, until) in entries {
                // A score is a whole number of milliseconds, far below 2^53.
                follower.entry(&entry, Timestamp::from_millis(until as i64));
            }
            if next == 0 {
                break;
            }
            cursor = next;
            tokio::task::yield_now().await;
        }
        Ok(follower.loaded(asked))
    }

    async fn read(&self, line: &mut Line, follower: &mut Follower, after: Position) -> Result<Next, StoreError> {
        let asked = follower.now();
        line.is_master().await?;
        // Another server may have taken this one's place behind the same address: only a log that still has the very entry that was heard last is this log.
        let (end, there) = self.look(line, follower.held()).await?;
        if follower.connected(end, there) == Next::Load {
            return Ok(Next::Load);
        }
        let mut read = cmd("XREAD");
        read.arg("COUNT").arg(BATCH).arg("BLOCK").arg(self.block.as_millis().max(1) as u64);
        read.arg("STREAMS").arg(self.redis.log_key()).arg(id(after));
        let answer: Option<StreamReadReply> = line.ask(&read).await?;
        let entries = answer.and_then(|answer| answer.keys.into_iter().next()).map(|key| key.ids).unwrap_or_default();
        for entry in &entries {
            let Some(position) = position(entry) else { return Ok(Next::Load) };
            let change = entry.map.get("c").and_then(|change| Vec::<u8>::from_redis_value_ref(change).ok());
            let next = follower.heard(position, mark(entry), &change.unwrap_or_default());
            if next == Next::Load {
                return Ok(next);
            }
        }
        if entries.len() < BATCH {
            return Ok(follower.quiet(asked, end));
        }
        Ok(follower.held().map_or(Next::Load, Next::Read))
    }
}

/// Runs `work` on a thread with a runtime of its own; on the current runtime if no thread can be created.
fn on_a_thread_of_its_own(work: impl Future<Output = ()> + Send + 'static) {
    let (hand_over, taken) = std::sync::mpsc::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let thread = runtime.and_then(|runtime| {
        let work = move || taken.recv().map(|work| runtime.block_on(work));
        std::thread::Builder::new().name("token-deny-list".to_owned()).spawn(work)
    });
    match thread {
        Ok(_) => drop(hand_over.send(work)),
        Err(error) => match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(work)),
            Err(_) => {
                tracing::error!(name: "token.runtime.missing", %error, "there is neither a thread nor a runtime to follow the deny-list on");
            }
        },
    }
}

fn append(redis: &Redis, change: &Change) -> redis::Cmd {
    let (entry, until) = match change {
        Change::Deny(entry, until) => (entry.to_bytes().to_vec(), until.as_millis().clamp(1, LATEST)),
        _ => (Vec::new(), 0),
    };
    let mut append = cmd("EVAL");
    append.arg(APPEND).arg(2).arg(redis.list_key()).arg(redis.log_key());
    append.arg(&chance().to_be_bytes()[..]).arg(change.to_bytes()).arg(entry).arg(until);
    append
}

/// The server counts from 0.
fn id(position: Position) -> String {
    format!("{}-{}", position.epoch, position.number.saturating_sub(1))
}

fn position(entry: &StreamId) -> Option<Position> {
    let (epoch, number) = entry.id.split_once('-')?;
    Some(Position { epoch: epoch.parse().ok()?, number: number.parse::<u64>().ok()?.checked_add(1)? })
}

/// The mark of an entry; all zeros if it has none, since it was then not written by this crate.
fn mark(entry: &StreamId) -> Mark {
    let bytes = entry.map.get("m").and_then(|mark| Vec::<u8>::from_redis_value_ref(mark).ok());
    Mark(bytes.and_then(|bytes| bytes.try_into().ok()).unwrap_or_default())
}
