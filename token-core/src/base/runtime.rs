//! The place where a future is polled in, the tokio runtime that is at hand there out, or what is missing of one. Nothing panics on it.

use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use super::sync::Handle;

/// What is missing of a tokio runtime where a future is polled.
///
/// Whatever waits for a network needs a runtime with timers and io: `#[tokio::main]`, `#[actix_web::main]`, or `Builder::enable_all()`. Tokio
/// answers a missing part with a panic and has no way to ask; it is caught here, once a thread and runtime. A program that is built with
/// `panic = "abort"` ends there, with tokio's own message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NoRuntime {
    /// There is none: the future is polled by another executor, or outside of `block_on`.
    Absent,
    /// Its timers are not enabled.
    WithoutTimers,
    /// Its io is not enabled.
    WithoutIo,
}

impl NoRuntime {
    /// What is missing here and now, as far as it can be told without opening a socket: a runtime, or its timers.
    #[must_use]
    pub fn find() -> Option<Self> {
        at_hand().err()
    }

    /// The outcome of `future`, which waits for a network.
    ///
    /// # Errors
    /// What is missing for that. The future is not polled, or not again, then.
    pub async fn or<T>(future: impl Future<Output = T>) -> Result<T, Self> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let Some(missing) = Self::find() {
                return Poll::Ready(Err(missing));
            }
            if known() == Some(Self::WithoutIo) {
                return Poll::Ready(Err(Self::WithoutIo));
            }
            match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
                Ok(polled) => polled.map(Ok),
                Err(panic) if is_of_io(&*panic) => {
                    remember(Some(Self::WithoutIo));
                    Poll::Ready(Err(Self::WithoutIo))
                }
                Err(panic) => resume_unwind(panic),
            }
        })
        .await
    }

    /// Says once a process what is missing, and what is not done for want of it: whoever could be answered with an error hears it each time.
    pub(crate) fn say(self, undone: &str) {
        static SAID: [AtomicBool; 3] = [const { AtomicBool::new(false) }; 3];
        if !SAID[self as usize].swap(true, Ordering::Relaxed) {
            tracing::error!(name: "token.runtime.missing", undone, "{self}");
        }
    }
}

impl fmt::Display for NoRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "there is no tokio runtime here: await this inside of tokio::main or a runtime's block_on",
            Self::WithoutTimers => "the tokio runtime has no timers: build it with enable_all()",
            Self::WithoutIo => "the tokio runtime has no io: build it with enable_all()",
        })
    }
}

impl std::error::Error for NoRuntime {}

/// The runtime that is at hand, with timers.
///
/// # Errors
/// What is missing of one.
pub(crate) fn at_hand() -> Result<Handle, NoRuntime> {
    let runtime = Handle::try_current().map_err(|_| NoRuntime::Absent)?;
    if has_timers() { Ok(runtime) } else { Err(NoRuntime::WithoutTimers) }
}

#[cfg(not(shuttle))]
use of_this_thread::{has_timers, known, remember};

#[cfg(not(shuttle))]
mod of_this_thread {
    use std::cell::Cell;
    use std::panic::catch_unwind;
    use std::time::Duration;

    use tokio::runtime::{Handle, Id};

    use super::NoRuntime;

    thread_local! {
        /// The runtime that was looked at last, and what it lacks as far as that is known.
        static LAST: Cell<Option<(Id, Option<NoRuntime>)>> = const { Cell::new(None) };
    }

    fn last() -> Option<(Id, Option<NoRuntime>)> {
        let here = Handle::try_current().ok()?.id();
        LAST.try_with(Cell::get).ok().flatten().filter(|(id, _)| *id == here)
    }

    pub(super) fn known() -> Option<NoRuntime> {
        last()?.1
    }

    pub(super) fn remember(missing: Option<NoRuntime>) {
        if let Ok(runtime) = Handle::try_current() {
            let _ = LAST.try_with(|last| last.set(Some((runtime.id(), missing))));
        }
    }

    /// To make a timer is what panics where there are none.
    pub(super) fn has_timers() -> bool {
        if let Some((_, known)) = last() {
            return known != Some(NoRuntime::WithoutTimers);
        }
        let has = cfg!(panic = "abort") || catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).is_ok();
        remember((!has).then_some(NoRuntime::WithoutTimers));
        has
    }
}

// Its runtimes have everything.
#[cfg(shuttle)]
fn has_timers() -> bool {
    true
}

#[cfg(shuttle)]
fn known() -> Option<NoRuntime> {
    None
}

#[cfg(shuttle)]
fn remember(_: Option<NoRuntime>) {}

/// Tokio's own words for it.
fn is_of_io(panic: &(dyn std::any::Any + Send)) -> bool {
    const WORDS: &str = "IO is disabled";
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.is_some_and(|text| text.contains(WORDS))
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::net::Ipv4Addr;
    use std::pin::Pin;
    use std::task::{Context, Waker};

    use tokio::net::UdpSocket;
    use tokio::runtime::{Builder, Runtime};

    use super::*;

    fn bare() -> Builder {
        Builder::new_current_thread()
    }

    fn whole(builder: &mut Builder) -> Runtime {
        builder.build().unwrap()
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(NoRuntime::find(), Some(NoRuntime::Absent));
        for _ in 0..2 {
            assert_eq!(whole(&mut bare()).block_on(async { NoRuntime::find() }), Some(NoRuntime::WithoutTimers));
            assert_eq!(whole(bare().enable_time()).block_on(async { NoRuntime::find() }), None);
        }
    }

    #[test]
    fn without_io_a_socket_is_an_error_and_any_other_panic_stays_one() {
        let opened = || NoRuntime::or(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)));
        let lacking = whole(bare().enable_time());
        for _ in 0..2 {
            assert_eq!(lacking.block_on(opened()).unwrap_err(), NoRuntime::WithoutIo);
        }
        assert!(whole(bare().enable_all()).block_on(opened()).unwrap().is_ok());
        let mut outside: Pin<Box<dyn Future<Output = _>>> = Box::pin(NoRuntime::or(ready(())));
        let polled = outside.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(polled, Poll::Ready(Err(NoRuntime::Absent)));
        let other = whole(bare().enable_all());
        assert!(
            catch_unwind(AssertUnwindSafe(|| other.block_on(NoRuntime::or(async { panic!("on purpose") })))).is_err()
        );
    }
}
