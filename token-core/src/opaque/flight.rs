//! One question per token, however many ask: a key and a question go in, everybody gets the same answer out.
//!
//! The question is carried out in a task of its own. Those who wait are spectators: dropping them neither ends nor repeats it, and
//! however the task ends nobody is left waiting.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::base::http::BoxFuture;
use crate::base::patience::within;
use crate::base::runtime::{NoRuntime, at_hand};
use crate::base::sync::{Mutex, MutexGuard, watch};
use crate::stores::AnswerKey;

/// The questions under way at one endpoint.
pub(crate) struct Flights<T> {
    under_way: Arc<Mutex<Flying<T>>>,
    most: usize,
}

/// The questions that are joined, each the newest of its token: an older one goes on for those who wait for it.
struct Flying<T> {
    asked: HashMap<AnswerKey, Asked<T>>,
    /// How many have been asked: names them.
    count: u64,
}

struct Asked<T> {
    number: u64,
    epoch: u64,
    progress: watch::Receiver<Option<T>>,
}

impl<T> Default for Flying<T> {
    fn default() -> Self {
        Self { asked: HashMap::new(), count: 0 }
    }
}

impl<T> Flying<T> {
    /// Takes this question off the list, and none that has taken its place.
    fn take_off(&mut self, key: AnswerKey, number: u64) {
        if self.asked.get(&key).is_some_and(|asked| asked.number == number) {
            self.asked.remove(&key);
        }
    }
}

/// There is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// Too many questions are under way.
    Full,
    /// The task that asked ended, or stands still.
    Lost,
    /// There is nobody to carry it out.
    Grounded(NoRuntime),
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    pub(crate) fn new(most: usize) -> Self {
        Self { under_way: Arc::default(), most }
    }

    /// The answer to the question of this key: of the one that is under way, or of `question`, which is asked then. A question of an
    /// earlier `epoch` is not joined: something was evicted since, and its answer may be of before. `Err` in the future means that the
    /// task ended without an answer.
    ///
    /// Nobody waits for longer than `patience`, by a timer on a runtime of its own: where the one that carries the question out stands still,
    /// the next who asks does so anew.
    pub(crate) fn join<F>(
        &self,
        key: AnswerKey,
        epoch: u64,
        patience: Duration,
        question: impl FnOnce() -> F,
    ) -> Result<BoxFuture<'static, Result<T, Unanswered>>, Unanswered>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut under_way = lock(&self.under_way);
        if let Some(asked) = under_way.asked.get(&key).filter(|asked| asked.epoch >= epoch) {
            let (number, progress) = (asked.number, asked.progress.clone());
            return Ok(self.wait(key, number, progress, patience));
        }
        let runtime = at_hand().map_err(Unanswered::Grounded)?;
        if under_way.asked.len() >= self.most {
            return Err(Unanswered::Full);
        }
        let (sender, progress) = watch::channel(None);
        under_way.count += 1;
        let number = under_way.count;
        under_way.asked.insert(key, Asked { number, epoch, progress: progress.clone() });
        drop(under_way);
        // Outside the lock: a runtime that is shutting down drops the task on the spot, and its drop takes the lock.
        let landing = Landing { under_way: Arc::clone(&self.under_way), key, number };
        let question = question();
        runtime.spawn(async move {
            let answer = question.await;
            // Off the list first: who comes from here on finds the answer in the cache, or asks anew.
            drop(landing);
            sender.send_replace(Some(answer));
        });
        Ok(self.wait(key, number, progress, patience))
    }

    fn wait(
        &self,
        key: AnswerKey,
        number: u64,
        mut progress: watch::Receiver<Option<T>>,
        patience: Duration,
    ) -> BoxFuture<'static, Result<T, Unanswered>> {
        let under_way = Arc::clone(&self.under_way);
        Box::pin(async move {
            match within(patience, progress.wait_for(Option::is_some)).await {
                Some(landed) => landed.map_err(|_| Unanswered::Lost)?.clone().ok_or(Unanswered::Lost),
                None => {
                    lock(&under_way).take_off(key, number);
                    Err(Unanswered::Lost)
                }
            }
        })
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        lock(&self.under_way).asked.len()
    }
}

/// Takes the question off the list, however it ended.
struct Landing<T> {
    under_way: Arc<Mutex<Flying<T>>>,
    key: AnswerKey,
    number: u64,
}

impl<T> Drop for Landing<T> {
    fn drop(&mut self) {
        lock(&self.under_way).take_off(self.key, self.number);
    }
}

/// Held for a look, never across an await; nothing panics under it.
fn lock<T>(map: &Mutex<T>) -> MutexGuard<'_, T> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Semaphore;

    const LONG: Duration = Duration::from_secs(3600);

    fn key(name: &str) -> AnswerKey {
        AnswerKey::new("endpoint", name)
    }

    #[tokio::test]
    async fn a_hundred_who_ask_are_one_question_even_if_the_first_leaves() {
        let flights = Flights::new(10);
        let (asked, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let question = || {
            let (asked, gate) = (Arc::clone(&asked), Arc::clone(&gate));
            async move {
                asked.fetch_add(1, Ordering::Relaxed);
                gate.acquire().await.unwrap().forget();
                7
            }
        };
        drop(flights.join(key("a"), 0, LONG, question).unwrap());
        let waiting: Vec<_> = (0..100).map(|_| flights.join(key("a"), 0, LONG, question).unwrap()).collect();
        gate.add_permits(1);
        for answer in waiting {
            assert_eq!(answer.await, Ok(7));
        }
        assert_eq!((asked.load(Ordering::Relaxed), flights.len()), (1, 0));
    }

    #[tokio::test]
    async fn nobody_is_stranded_by_a_question_that_panics() {
        let flights = Flights::<u8>::new(10);
        let answer = flights.join(key("a"), 0, LONG, || async { panic!("on purpose") }).unwrap();
        assert_eq!(answer.await, Err(Unanswered::Lost));
        assert_eq!(flights.join(key("a"), 0, LONG, || async { 1 }).unwrap().await, Ok(1));
    }

    #[tokio::test]
    async fn a_question_from_before_an_eviction_is_not_joined_and_does_not_hide_the_new_one() {
        let flights = Flights::new(10);
        let gate = Arc::new(Semaphore::new(0));
        let ask = |answer: u8, gate: Arc<Semaphore>| {
            move || async move {
                gate.acquire().await.unwrap().forget();
                answer
            }
        };
        let before = flights.join(key("a"), 0, LONG, ask(1, Arc::clone(&gate))).unwrap();
        let gate_of_the_new = Arc::new(Semaphore::new(0));
        let after = flights.join(key("a"), 1, LONG, ask(2, Arc::clone(&gate_of_the_new))).unwrap();
        gate.add_permits(1);
        assert_eq!(before.await, Ok(1), "who asked before gets what was asked before");
        let joined = flights.join(key("a"), 1, LONG, || async { 3 }).unwrap();
        gate_of_the_new.add_permits(1);
        assert_eq!((after.await, joined.await, flights.len()), (Ok(2), Ok(2), 0));
    }

    #[tokio::test]
    async fn too_many_questions_are_not_asked_and_known_ones_still_joined() {
        let flights = Flights::<u8>::new(1);
        let first = flights.join(key("a"), 0, LONG, std::future::pending).unwrap();
        assert!(flights.join(key("b"), 0, LONG, || async { 1 }).is_err());
        assert!(flights.join(key("a"), 0, LONG, || async { 1 }).is_ok());
        drop(first);
    }

    #[test]
    fn without_a_runtime_nothing_is_asked_and_nothing_is_left_behind() {
        let flights = Flights::<u8>::new(1);
        let asked = flights.join(key("a"), 0, LONG, || async { 1 });
        assert_eq!(asked.err(), Some(Unanswered::Grounded(NoRuntime::Absent)));
        assert_eq!(flights.len(), 0);
    }

    #[test]
    fn nobody_is_stranded_by_a_runtime_that_ends() {
        let flights = Flights::<u8>::new(10);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let within = runtime.enter();
        let answer = flights.join(key("a"), 0, LONG, std::future::pending).unwrap();
        drop(within);
        drop(runtime);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(answer), Err(Unanswered::Lost));
        assert_eq!(flights.len(), 0);
    }

    #[test]
    fn nobody_waits_for_a_runtime_that_stands_still_and_the_next_asks_anew() {
        let flights = Flights::<u8>::new(10);
        let runtime =
            || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (still, turning) = (runtime(), runtime());
        let first = {
            let _within = still.enter();
            flights.join(key("a"), 0, LONG, || async { 1 }).unwrap()
        };
        turning.block_on(async {
            let second = Duration::from_secs(1);
            assert_eq!(
                flights.join(key("a"), 0, second, || async { 2 }).unwrap().await,
                Err(Unanswered::Lost),
                "it joined"
            );
            assert_eq!(flights.join(key("a"), 0, second, || async { 3 }).unwrap().await, Ok(3));
        });
        let newest = {
            let _within = turning.enter();
            flights.join(key("a"), 0, LONG, std::future::pending).unwrap()
        };
        // What wakes up at last is for those who waited so long, and takes nobody else off the list.
        assert_eq!(still.block_on(first), Ok(1));
        assert_eq!(flights.len(), 1);
        drop(newest);
    }
}
