//! Tasks: as tokio's, one that panics ends without taking anybody with it, and its future is dropped.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

pub use shuttle::future::AbortHandle;

/// A panic that is meant to be; any other fails the test.
struct OnPurpose;

/// Panics as a bug in a source would, without a word: thousands of schedules have no use for a backtrace each.
pub fn panic_on_purpose() -> ! {
    resume_unwind(Box::new(OnPurpose))
}

/// Every thread of a test is inside of the runtime.
#[derive(Debug)]
pub struct Handle;

#[derive(Debug)]
pub struct NoRuntime;

#[derive(Debug)]
pub struct JoinHandle(shuttle::future::JoinHandle<()>);

impl Handle {
    pub fn try_current() -> Result<Self, NoRuntime> {
        Ok(Self)
    }

    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle {
        JoinHandle(shuttle::future::spawn(Contained(Some(Box::pin(task)))))
    }
}

impl JoinHandle {
    pub fn abort_handle(&self) -> AbortHandle {
        self.0.abort_handle()
    }
}

struct Contained(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Future for Contained {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(task) = &mut self.0 else { return Poll::Ready(()) };
        let polled = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(context)));
        match polled {
            Ok(polled) => polled,
            Err(why) if why.is::<OnPurpose>() => {
                self.0 = None;
                Poll::Ready(())
            }
            Err(why) => resume_unwind(why),
        }
    }
}
