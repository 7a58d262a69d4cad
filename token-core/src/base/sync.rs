//! What the caches lock, swap, spawn and wait with: std's, arc-swap's and tokio's; shuttle's where a test searches schedules (`shuttle/`).

// Turns are given in the order they were asked for by tokio's semaphore, under shuttle too: it has no steps of its own in between.
pub(crate) use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[cfg(not(shuttle))]
pub(crate) use {
    arc_swap::{ArcSwap, ArcSwapOption},
    std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic},
    tokio::{
        runtime::Handle,
        sync::watch,
        task::AbortHandle,
        time::{sleep, timeout},
    },
};

#[cfg(shuttle)]
pub(crate) use sync_shuttle::{
    AbortHandle, ArcSwap, ArcSwapOption, Handle, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic,
    sleep, timeout, watch,
};
