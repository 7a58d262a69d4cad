//! A scenario in, so many schedules of it run, none of which may panic, hang or leave a caller without an answer.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, Runner};

/// Schedules by chance, and as many that change who goes first at a few places only (PCT, Burckhardt et al. 2010). The same in every run;
/// `SHUTTLE_SCHEDULES` asks for another number of each.
const SCHEDULES: usize = 100;
const SEED: u64 = 0x7065_726d_7574_6174;
const CHANGES: usize = 3;
/// Cryptography and JSON need more than shuttle gives a task.
const STACK: usize = 512 * 1024;

/// Whether limits of time run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limits {
    RunOut,
    Hold,
}

/// Runs `scenario` under many schedules. Answers how many.
pub fn search(limits: Limits, scenario: impl Fn() + Send + Sync + 'static) -> usize {
    let each = std::env::var("SHUTTLE_SCHEDULES").ok().and_then(|text| text.parse().ok()).unwrap_or(SCHEDULES);
    let scenario = Arc::new(move || {
        crate::timing::begin(limits == Limits::Hold);
        scenario();
    });
    run(RandomScheduler::new_from_seed(SEED, each), Arc::clone(&scenario))
        + run(PctScheduler::new_from_seed(SEED, CHANGES, each), scenario)
}

fn run(scheduler: impl Scheduler + 'static, scenario: Arc<impl Fn() + Send + Sync + 'static>) -> usize {
    let mut config = Config::new();
    config.stack_size = STACK;
    // Sources panic on purpose; a schedule that fails is found again by its seed.
    config.failure_persistence = FailurePersistence::None;
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(move || scenario())
}

/// The outcome of a future, unless the caller goes away first: after any number of looks, or before the first.
pub async fn patience<F: Future>(future: F) -> Option<F::Output> {
    let looks: u32 = thread_rng().gen_range(0..4);
    Impatient { future: pin!(future), looks }.await
}

struct Impatient<'a, F> {
    future: Pin<&'a mut F>,
    looks: u32,
}

impl<F: Future> Future for Impatient<'_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.looks == 0 {
            return Poll::Ready(None);
        }
        self.looks -= 1;
        match self.future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.looks == 0 => Poll::Ready(None),
            Poll::Pending => {
                // Looks again without being called: the last look must come.
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

/// Lets the others go on until `done`, or fails.
#[allow(clippy::panic, reason = "how a test fails")]
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if done() {
            return;
        }
        shuttle::thread::yield_now();
    }
    panic!("never: {what}");
}
