//! The words of the crates' own `sync` modules, each with a scheduling point: shuttle decides at every one of them who goes on.
//!
//! What is modelled: locks, atomics, swapped pointers, tasks (spawned, aborted, panicking), channels that tell of a change, and time that
//! passes whenever it likes. What is not: weak memory orders (all are sequentially consistent here), and the inside of arc-swap and of
//! tokio's watch channel, which their authors check.

#![allow(missing_docs, reason = "the words are std's, tokio's and arc-swap's")]

mod pointers;
pub mod search;
mod tasks;
mod timing;
pub mod watch;

pub use pointers::{ArcSwap, ArcSwapOption};
pub use shuttle::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic};
pub use tasks::{AbortHandle, Handle, JoinHandle, NoRuntime, panic_on_purpose};
pub use timing::{Instant, passed, sleep, timeout};

/// Lets the scheduler choose who goes on.
pub(crate) fn switch() {
    atomic::AtomicBool::new(false).load(atomic::Ordering::SeqCst);
}
