//! tokio's watch channel, with a scheduling point before each change.

pub use tokio::sync::watch::Receiver;
use tokio::sync::watch::error::SendError;

use crate::switch;

#[derive(Debug)]
pub struct Sender<T>(tokio::sync::watch::Sender<T>);

pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = tokio::sync::watch::channel(value);
    (Sender(sender), receiver)
}

impl<T> Sender<T> {
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        switch();
        self.0.send(value)
    }

    pub fn send_replace(&self, value: T) -> T {
        switch();
        self.0.send_replace(value)
    }

    pub fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
        switch();
        self.0.send_if_modified(change)
    }

    pub fn subscribe(&self) -> Receiver<T> {
        self.0.subscribe()
    }
}
