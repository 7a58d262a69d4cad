//! Endpoint answers in the memory of this process, limited in number and bytes; those that expire first are dropped
//! first.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::future::ready;
use std::sync::PoisonError;

use super::dropped::Dropped;
use super::{AnswerKey, AnswerStore, AnswerTag, StoreError, StoredAnswer};
use crate::base::http::BoxFuture;
use crate::base::sync::{Mutex, MutexGuard};
use crate::base::telemetry;
use crate::base::time::Timestamp;

/// A store in the memory of this process. The default.
///
/// A flood of invalid tokens does not displace useful answers: inactive answers expire soonest, so they are dropped
/// first.
pub struct MemoryAnswers {
    inner: Mutex<Inner>,
    entries: usize,
    bytes: usize,
}

#[derive(Default)]
struct Inner {
    /// Each answer, with the time at which it was stored.
    answers: HashMap<AnswerKey, (StoredAnswer, Timestamp)>,
    by_end: BTreeSet<(Timestamp, AnswerKey)>,
    bytes: usize,
    dropped: Dropped,
}

impl Default for MemoryAnswers {
    fn default() -> Self {
        Self::new(10_000, 32 * 1024 * 1024)
    }
}

impl MemoryAnswers {
    /// A store for at most this many answers, and this many bytes of claims. The default has room for 10,000 answers
    /// and 32 MiB.
    #[must_use]
    pub fn new(entries: usize, bytes: usize) -> Self {
        Self { inner: Mutex::default(), entries, bytes }
    }

    /// The number of stored answers, including expired ones that were not removed yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().answers.len()
    }

    /// Whether the store is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The lock is never held across an await; nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, key: AnswerKey, answer: StoredAnswer, now: Timestamp) {
        let mut inner = self.lock();
        let names = answer.tags.iter().map(AnswerTag::as_bytes).chain([key.as_bytes()]);
        if inner.dropped.since(answer.generation, names) {
            return;
        }
        inner.remove(key);
        let size = size_of_answer(&answer);
        if self.entries == 0 || size > self.bytes {
            return;
        }
        while inner.answers.len() >= self.entries || inner.bytes + size > self.bytes {
            let Some((_, first)) = inner.by_end.first().copied() else { break };
            inner.remove(first);
        }
        inner.bytes += size;
        inner.by_end.insert((answer.until, key));
        inner.answers.insert(key, (answer, now));
    }
}

impl Inner {
    fn remove(&mut self, key: AnswerKey) -> usize {
        let Some((answer, _)) = self.answers.remove(&key) else { return 0 };
        self.by_end.remove(&(answer.until, key));
        self.bytes -= size_of_answer(&answer);
        1
    }
}

fn size_of_answer(answer: &StoredAnswer) -> usize {
    size_of::<Timestamp>()
        + answer.claims.as_ref().map_or(0, String::len)
        + size_of_val(&*answer.tags)
        + 2 * size_of::<StoredAnswer>()
}

impl AnswerStore for MemoryAnswers {
    fn find(&self, key: AnswerKey, now: Timestamp) -> BoxFuture<'_, Result<Option<StoredAnswer>, StoreError>> {
        let inner = self.lock();
        let found = inner.answers.get(&key).filter(|(answer, kept)| {
            if now.is_before(*kept) {
                telemetry::set_back("answers");
            }
            let life = u64::try_from(answer.until.since(*kept).as_millis()).unwrap_or(u64::MAX);
            now.is_within(*kept, life)
        });
        let found = found.map(|(answer, _)| answer.clone());
        Box::pin(ready(Ok(found)))
    }

    fn keep(&self, key: AnswerKey, answer: StoredAnswer, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        self.insert(key, answer, now);
        Box::pin(ready(Ok(())))
    }

    fn generation(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(ready(Ok(self.lock().dropped.generation())))
    }

    fn drop_key(&self, key: AnswerKey) -> BoxFuture<'_, Result<usize, StoreError>> {
        let mut inner = self.lock();
        inner.dropped.note(*key.as_bytes());
        Box::pin(ready(Ok(inner.remove(key))))
    }

    fn drop_tagged(&self, tag: AnswerTag) -> BoxFuture<'_, Result<usize, StoreError>> {
        let mut inner = self.lock();
        inner.dropped.note(*tag.as_bytes());
        let tagged = inner.answers.iter().filter(|(_, (answer, _))| answer.tags.contains(&tag));
        let keys: Vec<_> = tagged.map(|(key, _)| *key).collect();
        let dropped = keys.into_iter().map(|key| inner.remove(key)).sum();
        Box::pin(ready(Ok(dropped)))
    }

    fn drop_all(&self) -> BoxFuture<'_, Result<usize, StoreError>> {
        let mut inner = self.lock();
        let count = inner.answers.len();
        inner.dropped.note_all();
        (inner.answers, inner.by_end, inner.bytes) = Default::default();
        Box::pin(ready(Ok(count)))
    }

    fn is_shared(&self) -> bool {
        false
    }
}

impl fmt::Debug for MemoryAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryAnswers").field("answers", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn key(name: &str) -> AnswerKey {
        AnswerKey::new("endpoint", name)
    }

    async fn keep(store: &MemoryAnswers, name: &str, until: i64, tags: &[AnswerTag]) {
        let mut answer = StoredAnswer::new(Some("x".repeat(100)), at(until));
        answer.tags = tags.to_vec();
        store.keep(key(name), answer, at(0)).await.unwrap();
    }

    async fn has(store: &MemoryAnswers, name: &str, now: i64) -> bool {
        store.find(key(name), at(now)).await.unwrap().is_some()
    }

    #[tokio::test]
    async fn an_answer_is_found_until_its_time_is_over() {
        let store = MemoryAnswers::default();
        keep(&store, "a", 10, &[]).await;
        assert!(has(&store, "a", 9).await);
        assert!(!has(&store, "a", 10).await);
        assert!(!has(&store, "b", 9).await);
    }

    #[tokio::test]
    async fn an_answer_is_not_found_by_a_clock_that_was_set_back() {
        let store = MemoryAnswers::default();
        store.keep(key("a"), StoredAnswer::new(None, at(1010)), at(1000)).await.unwrap();
        for (now, expected) in [(1000, true), (1009, true), (1010, false), (999, true), (998, false), (0, false)] {
            assert_eq!(has(&store, "a", now).await, expected, "{now}");
        }
    }

    #[tokio::test]
    async fn what_ends_first_makes_room_for_what_comes() {
        for store in
            [MemoryAnswers::new(2, usize::MAX), MemoryAnswers::new(usize::MAX, 2 * 100 + 5 * size_of::<StoredAnswer>())]
        {
            keep(&store, "late", 100, &[]).await;
            keep(&store, "soon", 10, &[]).await;
            keep(&store, "new", 50, &[]).await;
            assert_eq!(store.len(), 2, "{store:?}");
            assert!(has(&store, "late", 1).await && has(&store, "new", 1).await);
        }
    }

    #[tokio::test]
    async fn answers_go_one_by_one_or_by_what_they_share() {
        let store = MemoryAnswers::default();
        let (ada, bob) = (AnswerTag::subject("i", "ada"), AnswerTag::subject("i", "bob"));
        keep(&store, "1", 10, &[ada]).await;
        keep(&store, "2", 10, &[ada]).await;
        keep(&store, "3", 10, &[bob]).await;
        assert_eq!(store.drop_tagged(ada).await, Ok(2));
        assert_eq!(store.drop_tagged(ada).await, Ok(0));
        assert_eq!(store.drop_key(key("3")).await, Ok(1));
        assert!(store.is_empty());
        assert_eq!(store.lock().bytes, 0);
    }

    #[tokio::test]
    async fn whatever_was_asked_before_everything_was_dropped_is_gone_and_is_not_kept() {
        let store = MemoryAnswers::default();
        keep(&store, "a", 10, &[]).await;
        let before = store.generation().await.unwrap();
        assert_eq!(store.drop_all().await, Ok(1));
        assert!(store.is_empty() && store.lock().bytes == 0 && !has(&store, "a", 1).await);
        for (generation, expected) in [(before, false), (store.generation().await.unwrap(), true)] {
            let answer = StoredAnswer { generation, ..StoredAnswer::new(None, at(10)) };
            store.keep(key("b"), answer, at(0)).await.unwrap();
            assert_eq!(has(&store, "b", 1).await, expected);
        }
    }

    #[tokio::test]
    async fn an_answer_from_before_a_drop_is_not_kept_after_it() {
        let tag = AnswerTag::subject("i", "ada");
        for (name, by_key, by_tag, kept) in
            [("1", true, false, false), ("1", false, true, false), ("1", true, true, false), ("2", true, false, true)]
        {
            let store = MemoryAnswers::default();
            let mut answer = StoredAnswer::new(Some("{}".to_owned()), at(10));
            answer.tags = vec![tag];
            answer.generation = store.generation().await.unwrap();
            if by_key {
                store.drop_key(key("1")).await.unwrap();
            }
            if by_tag {
                store.drop_tagged(tag).await.unwrap();
            }
            store.keep(key(name), answer.clone(), at(0)).await.unwrap();
            assert_eq!(has(&store, name, 1).await, kept, "{name} {by_key} {by_tag}");
            answer.generation = store.generation().await.unwrap();
            store.keep(key(name), answer, at(0)).await.unwrap();
            assert!(has(&store, name, 1).await, "what was asked after the drop");
        }
    }

    #[tokio::test]
    async fn a_store_without_room_keeps_nothing() {
        let store = MemoryAnswers::new(0, 0);
        keep(&store, "a", 10, &[]).await;
        assert!(store.is_empty());
    }
}
