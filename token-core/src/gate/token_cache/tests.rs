use std::mem::offset_of;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::claims::Claims;
use crate::gate::server::tests::{Gate, NOW as SECONDS, token};

const NOW: Timestamp = Timestamp::from_secs(SECONDS);

/// What a remembered token takes beside its own text and that of its claims.
#[test]
fn an_entry_is_as_small_as_it_was() {
    let counts = 2 * size_of::<usize>();
    let [facts, entry] = [size_of::<Facts>(), size_of::<Entry>()].map(|size| size + counts);
    assert_eq!((size_of::<Claims>(), facts, entry), (168, 256, 64));
    let table = size_of::<Set>() + size_of::<Sketch>();
    assert_eq!(table / WAYS, 24, "as the documentation of the settings says");
}

#[test]
fn what_a_hit_reads_lies_in_another_cache_line_than_the_count_that_one_thread_writes() {
    const LINE: usize = 64;
    let counts = 2 * size_of::<usize>();
    let first_read = counts + offset_of!(Facts, claims) + offset_of!(Claims, expires);
    assert!(first_read >= size_of::<usize>() + LINE, "{first_read}");
}

/// The cache alone, asked for tokens that are numbers. Digests, so that one set of facts does for all, and nothing is left to chance.
struct Alone {
    cache: TokenCache,
    verified: Verified,
}

impl Alone {
    fn new(settings: TokenCacheSettings) -> Self {
        let verified = Gate::new(settings).ask(&token(json!({"exp": SECONDS + 86_400}))).unwrap();
        Self { cache: TokenCache::new(settings.keep_digests()).unwrap(), verified }
    }

    /// Whether it was there; it is verified and offered to the cache where it was not.
    fn ask(&self, number: u64) -> bool {
        let text = number.to_string();
        let key = self.cache.key(text.as_bytes(), None);
        let hit = self.cache.find(&key, Candidate::Checked(&text), NOW, |_| true).is_some();
        if !hit {
            self.cache.insert(key, text.as_bytes(), &self.verified, NOW, Timestamp::MAX);
        }
        hit
    }

    /// The share of hits among those of `numbers` that count.
    fn rate(&self, numbers: impl Iterator<Item = (u64, bool)>) -> f64 {
        let (mut hits, mut all) = (0_u32, 0_u32);
        for (number, counts) in numbers {
            let hit = self.ask(number);
            all += u32::from(counts);
            hits += u32::from(counts && hit);
        }
        f64::from(hits) / f64::from(all)
    }

    fn ask_all(&self, numbers: std::ops::Range<u64>) {
        numbers.for_each(|number| {
            self.ask(number);
        });
    }
}

/// Numbers that look like chance, the same in every run.
fn chance(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Of `count` tokens the first half as often again as the second (Zipf 1.0).
fn zipf(count: u32) -> impl FnMut() -> u64 {
    let mut total = 0.0;
    let shares: Vec<f64> = (1..=count)
        .map(|rank| {
            total += 1.0 / f64::from(rank);
            total
        })
        .collect();
    let mut next = chance(7);
    move || {
        let at = (next() >> 11) as f64 / (1_u64 << 53) as f64 * total;
        shares.partition_point(|share| *share < at) as u64
    }
}

#[test]
fn tokens_that_come_once_do_not_drive_out_those_in_use() {
    const HOT: u64 = 1000;
    for (once, least) in [(50, 0.99), (90, 0.96)] {
        let alone = Alone::new(TokenCacheSettings::default());
        let mut next = chance(once);
        let numbers = (0..300_000_u64).map(|turn| {
            let is_hot = next() % 100 >= once;
            (if is_hot { next() % HOT } else { HOT + turn }, is_hot && turn > 150_000)
        });
        let rate = alone.rate(numbers);
        assert!(rate >= least, "{once} % once: {rate}");
    }
}

#[test]
fn what_is_asked_for_often_is_kept() {
    let alone = Alone::new(TokenCacheSettings::default().entries(10_000));
    let mut next = zipf(50_000);
    let rate = alone.rate((0..400_000).map(|turn| (next(), turn > 200_000)));
    // Those asked for most, if one knew: 0.859. By order of arrival: 0.76.
    assert!(rate >= 0.835, "{rate}");
}

#[test]
fn tokens_that_are_used_for_a_while_and_never_again_do_not_outstay_it() {
    let alone = Alone::new(TokenCacheSettings::default().entries(512));
    let mut next = chance(5);
    // 300 clients at a time, each with a token that it uses about ten times.
    let numbers = (0..200_000_u64).map(|turn| {
        let client = next() % 300;
        (client + (turn + client * 10) / 3000 * 300, turn > 50_000)
    });
    let rate = alone.rate(numbers);
    assert!(rate >= 0.8, "of 0.9 that can be had: {rate}");
}

#[test]
fn no_more_bytes_are_taken_than_there_is_room_for_and_what_is_in_use_finds_room() {
    let facts = Arc::clone(Alone::new(TokenCacheSettings::default()).verified.shared_facts());
    let key = Key { hash: 0, digest: Some([0; 32]) };
    let each = Entry::new(facts, &key, b"", NOW, Timestamp::MAX).expect("a small token").size();
    // Ways for 4,096, and bytes for 500: no set is ever full.
    let room = 500 * each;
    let alone = Alone::new(TokenCacheSettings::default().entries(4096).bytes(room));
    alone.ask_all(0..4096);
    assert!(alone.cache.usage().1 <= room);
    // Others than those who came first.
    let mut next = chance(3);
    let rate = alone.rate((0..60_000).map(|turn| (10_000 + next() % 100, turn > 30_000)));
    let (entries, bytes) = alone.cache.usage();
    assert!(bytes <= room && entries > 400, "{entries} entries, {bytes} bytes");
    assert!(rate >= 0.99, "{rate}");
}

#[test]
fn a_token_that_is_verified_again_takes_its_own_place() {
    let alone = Alone::new(TokenCacheSettings::default());
    for _ in 0..3 {
        let key = alone.cache.key(b"7", None);
        alone.cache.insert(key, b"7", &alone.verified, NOW, Timestamp::MAX);
    }
    assert_eq!(alone.cache.usage().0, 1);
    assert!(alone.ask(7));
}

#[test]
fn what_has_ended_makes_room_before_anything_else() {
    let settings = TokenCacheSettings::default().entries(8).life(Duration::from_secs(60));
    let alone = Alone::new(settings);
    // All of them hot.
    (0..20).for_each(|_| alone.ask_all(0..8));
    let later = NOW.saturating_add(Duration::from_secs(70));
    let key = |text: &str| alone.cache.key(text.as_bytes(), None);
    for text in ["100", "101", "102"] {
        alone.cache.insert(key(text), text.as_bytes(), &alone.verified, later, Timestamp::MAX);
    }
    for text in ["100", "101", "102"] {
        assert!(alone.cache.find(&key(text), Candidate::Checked(text), later, |_| true).is_some(), "{text}");
    }
}
