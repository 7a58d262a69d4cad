//! Swapped pointers: arc-swap's, with a scheduling point before each step.

use std::ops::Deref;
use std::sync::Arc;

use arc_swap::{AsRaw, Guard};

use crate::switch;

#[derive(Debug)]
pub struct ArcSwap<T>(arc_swap::ArcSwap<T>);

impl<T: Default> Default for ArcSwap<T> {
    fn default() -> Self {
        Self::from_pointee(T::default())
    }
}

impl<T> ArcSwap<T> {
    pub fn new(value: Arc<T>) -> Self {
        Self(arc_swap::ArcSwap::new(value))
    }

    pub fn from_pointee(value: T) -> Self {
        Self::new(Arc::new(value))
    }

    pub fn load(&self) -> Guard<Arc<T>> {
        switch();
        self.0.load()
    }

    pub fn load_full(&self) -> Arc<T> {
        switch();
        self.0.load_full()
    }

    pub fn store(&self, value: Arc<T>) {
        switch();
        self.0.store(value);
    }

    pub fn swap(&self, value: Arc<T>) -> Arc<T> {
        switch();
        self.0.swap(value)
    }

    /// Read, change, try to put back, again if another was faster: each step can be interrupted.
    pub fn rcu<R: Into<Arc<T>>>(&self, mut change: impl FnMut(&Arc<T>) -> R) -> Arc<T> {
        loop {
            let seen = self.load();
            let next = change(&seen).into();
            switch();
            let found = self.0.compare_and_swap(&seen, next);
            if Arc::ptr_eq(&found, &seen) {
                return Guard::into_inner(found);
            }
        }
    }
}

#[derive(Debug)]
pub struct ArcSwapOption<T>(arc_swap::ArcSwapOption<T>);

impl<T> Default for ArcSwapOption<T> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<T> ArcSwapOption<T> {
    pub fn empty() -> Self {
        Self(arc_swap::ArcSwapOption::empty())
    }

    pub fn load(&self) -> Guard<Option<Arc<T>>> {
        switch();
        self.0.load()
    }

    pub fn load_full(&self) -> Option<Arc<T>> {
        switch();
        self.0.load_full()
    }

    pub fn store(&self, value: Option<Arc<T>>) {
        switch();
        self.0.store(value);
    }

    pub fn swap(&self, value: Option<Arc<T>>) -> Option<Arc<T>> {
        switch();
        self.0.swap(value)
    }

    pub fn compare_and_swap<C: AsRaw<T>>(&self, seen: C, next: Option<Arc<T>>) -> Guard<Option<Arc<T>>> {
        switch();
        self.0.compare_and_swap(seen, next)
    }
}

/// A guard is what arc-swap hands out, so that the code under test names one type.
const _: fn(&Guard<Arc<u8>>) -> &Arc<u8> = |guard| guard.deref();
