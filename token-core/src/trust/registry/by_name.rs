//! Issuers by name, of which there may be ten thousand: found by one hash, and copied for a change in far fewer steps than there are.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use crate::trust::trusted::TrustedIssuer;

/// So many names to a shard on average before there are twice as many shards.
const NAMES: usize = 32;

/// Entries under their identifiers, in shards that copies share. A change copies the list of shards and the one shard it is in.
#[derive(Clone, Debug)]
pub(super) struct ByName {
    /// A power of two; the upper bits of the hash pick one.
    shards: Box<[Arc<Shard>]>,
    names: usize,
    seed: RandomState,
}

/// In the order of their hashes.
type Shard = Vec<Named>;

/// All entries of one name: nearly always one; several where one issuer signs for different audiences or with different kinds of keys.
#[derive(Clone, Debug)]
struct Named {
    hash: u64,
    name: Arc<str>,
    entries: Vec<Arc<TrustedIssuer>>,
}

impl Default for ByName {
    fn default() -> Self {
        Self { shards: Box::new([Arc::default()]), names: 0, seed: RandomState::new() }
    }
}

impl ByName {
    pub(super) fn get(&self, name: &str) -> &[Arc<TrustedIssuer>] {
        let hash = self.seed.hash_one(name);
        let shard = &self.shards[self.shard(hash)];
        find(shard, hash, name).map_or(&[], |at| &shard[at].entries)
    }

    pub(super) fn add(&mut self, issuer: Arc<TrustedIssuer>) {
        let name = &issuer.identifier;
        let hash = self.seed.hash_one(&**name);
        let shard = self.shard(hash);
        let shard = Arc::make_mut(&mut self.shards[shard]);
        match find(shard, hash, name) {
            Ok(at) => shard[at].entries.push(issuer),
            Err(at) => {
                shard.insert(at, Named { hash, name: Arc::clone(name), entries: vec![issuer] });
                self.names += 1;
                if self.names > self.shards.len() * NAMES {
                    self.grow();
                }
            }
        }
    }

    /// The entries that had this name.
    pub(super) fn remove(&mut self, name: &str) -> Vec<Arc<TrustedIssuer>> {
        let hash = self.seed.hash_one(name);
        let shard = self.shard(hash);
        let Ok(at) = find(&self.shards[shard], hash, name) else { return Vec::new() };
        self.names -= 1;
        Arc::make_mut(&mut self.shards[shard]).remove(at).entries
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<TrustedIssuer>> {
        self.shards.iter().flat_map(|shard| shard.iter()).flat_map(|named| &named.entries)
    }

    /// Twice as many shards: seldom enough that it costs each name that was added a few steps.
    fn grow(&mut self) {
        let count = self.shards.len() * 2;
        let mut shards = vec![Shard::with_capacity(NAMES); count];
        for named in self.shards.iter().flat_map(|shard| shard.iter()) {
            // Old shards are gone through in the order of hashes, so the new ones come out in order.
            shards[place(named.hash, count)].push(named.clone());
        }
        self.shards = shards.into_iter().map(Arc::new).collect();
    }

    fn shard(&self, hash: u64) -> usize {
        place(hash, self.shards.len())
    }
}

/// Shards divide all hashes evenly and in order.
fn place(hash: u64, shards: usize) -> usize {
    ((u128::from(hash) * shards as u128) >> 64) as usize
}

/// Where the name is, or where it would go.
fn find(shard: &[Named], hash: u64, name: &str) -> Result<usize, usize> {
    let start = shard.partition_point(|named| named.hash < hash);
    let same = shard[start..].iter().take_while(|named| named.hash == hash);
    same.enumerate().find(|(_, named)| *named.name == *name).map(|(at, _)| start + at).ok_or(start)
}
