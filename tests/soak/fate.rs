//! What may be answered to a request, known before it is sent; and the ledger of what was.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// How a group of tokens stands with the verifier. It changes while requests are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Standing {
    /// Whatever decides about it is held by the verifier: the answer is one and the same in any weather.
    AtHand,
    /// Its key is just coming or going, or its revocation under way: old and new answer are both right.
    Moving,
    /// Its key is withdrawn, and the verifier has seen the set without it.
    Gone,
    /// The issuer has to be asked: out of reach, that is our trouble, 503.
    Asked,
}

/// A standing that many tokens share.
#[derive(Clone, Debug)]
pub(crate) struct Fate(Arc<AtomicU8>);

impl Fate {
    pub(crate) fn new(standing: Standing) -> Self {
        Self(Arc::new(AtomicU8::new(standing as u8)))
    }

    pub(crate) fn become_(&self, standing: Standing) {
        self.0.store(standing as u8, Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> Standing {
        let all = [Standing::AtHand, Standing::Moving, Standing::Gone, Standing::Asked];
        all[usize::from(self.0.load(Ordering::SeqCst))]
    }
}

/// Whether the issuer is well. Even: it is; odd: it is not, or the verifier has not seen yet that it is again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Weather(Arc<AtomicU64>);

impl Weather {
    pub(crate) fn turn(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Whether `status` is right for a token that gets `right` where everything is at hand and well.
pub(crate) fn allows(standing: Standing, calm: bool, right: u16, status: u16) -> bool {
    let trouble = !calm && status == 503;
    match standing {
        Standing::AtHand => status == right,
        Standing::Moving => [right, 401, 503].contains(&status),
        Standing::Gone => status == 401 || trouble,
        Standing::Asked => status == right || trouble,
    }
}

/// Answers by kind of request, and those that were wrong.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    counts: Mutex<BTreeMap<&'static str, u64>>,
    wrong: Mutex<Vec<String>>,
}

impl Ledger {
    pub(crate) fn right(&self, kind: &'static str) {
        *self.counts.lock().unwrap().entry(kind).or_default() += 1;
    }

    pub(crate) fn wrong(&self, complaint: String) {
        let mut wrong = self.wrong.lock().unwrap();
        // The first ones tell the story.
        if wrong.len() < 20 {
            wrong.push(complaint);
        }
    }

    /// The counts, when nothing was wrong.
    pub(crate) fn close(&self) -> BTreeMap<&'static str, u64> {
        let wrong = self.wrong.lock().unwrap();
        assert!(wrong.is_empty(), "wrong answers:\n{}", wrong.join("\n"));
        self.counts.lock().unwrap().clone()
    }
}
