//! What caches lock, swap, spawn and wait with: std's, arc-swap's and tokio's; shuttle's where a test searches schedules (`shuttle/`).

#[cfg(not(shuttle))]
pub(crate) use {
    arc_swap::ArcSwapOption,
    std::sync::{Mutex, MutexGuard},
    tokio::{
        runtime::Handle,
        sync::watch,
        time::{Instant, sleep, timeout},
    },
};

#[cfg(shuttle)]
pub(crate) use sync_shuttle::{ArcSwapOption, Handle, Instant, Mutex, MutexGuard, sleep, timeout, watch};
