//! What happens over time and a request in, the answers out that keep the promises. Pure: no clock, no network.

use std::time::Duration;

use super::Promises;

/// For how long a request may wait for keys that the service does not have yet.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How long a token of the drill is good for, in seconds: how far behind the issuer's clock may be.
pub(super) const LIFE: u64 = 300;

/// How a service answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Answer {
    /// 2xx or 3xx.
    LetIn,
    /// 4xx: the caller is at fault.
    Refused,
    /// 503: the caller is not, and may come again.
    Unavailable,
    /// Any other 5xx, or no answer.
    Broke,
}

impl Answer {
    /// In words: `let in`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LetIn => "let in",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::Broke => "broke",
        }
    }
}

/// What a request of the drill stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Probe {
    /// A token that was minted for this request, signed with the issuer's present key.
    Fresh,
    /// A token that was sent before, of a key that is still published.
    Seen,
    /// A token that was let in before its key was withdrawn.
    Withdrawn,
    /// A token that somebody else signed under the name of a published key.
    Forged,
    /// One of a flood: a token with the name of a key that nobody ever published.
    Flood,
}

impl Probe {
    /// Every kind.
    pub const ALL: &'static [Self] = &[Self::Fresh, Self::Seen, Self::Withdrawn, Self::Forged, Self::Flood];

    /// In words: `fresh token`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh token",
            Self::Seen => "token seen before",
            Self::Withdrawn => "withdrawn key",
            Self::Forged => "forged token",
            Self::Flood => "flood of made-up keys",
        }
    }
}

/// Something that goes on for a while; from and to are seconds of the drill.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spell {
    pub(super) what: What,
    pub(super) from: u64,
    /// The first second that it is over.
    pub(super) to: u64,
}

/// What goes on.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    /// A key takes its turn; the old ones stay.
    Rotated,
    /// A key takes its turn; the old ones are gone.
    Withdrawn,
    /// The issuer does not answer.
    Down,
    /// The issuer answers after so long.
    Slow(Duration),
    /// So many requests a second name keys that nobody published.
    Flood(u32),
    /// The issuer's clock is off.
    Clock(i64),
    /// Something that the user makes happen.
    Act(String, Vec<Answer>),
}

impl Spell {
    fn is_on(&self, at: u64) -> bool {
        (self.from..self.to).contains(&at)
    }

    /// How long ago it ended.
    fn over_since(&self, at: u64) -> Option<u64> {
        at.checked_sub(self.to)
    }

    /// Whether keys that the service does not hold are out of its reach.
    fn keeps_keys_away(&self) -> bool {
        match self.what {
            What::Down => true,
            What::Slow(by) => by >= LONGEST_WAIT,
            _ => false,
        }
    }

    /// In words, for reports and plots.
    pub(super) fn said(&self) -> String {
        match &self.what {
            What::Rotated => "new key".to_owned(),
            What::Withdrawn => "new key, old ones withdrawn".to_owned(),
            What::Down => "issuer down".to_owned(),
            What::Slow(by) => format!("issuer slow by {} s", by.as_secs_f64()),
            What::Flood(each) => format!("flood, {each} a second"),
            What::Clock(off) => format!("issuer's clock off by {off} s"),
            What::Act(name, _) => name.clone(),
        }
    }
}

/// The answers that keep the promises, and why it is these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) answers: Vec<Answer>,
    pub(super) within: Duration,
    pub(super) why: String,
}

/// The whole drill, as far as expectations go.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    pub(super) spells: Vec<Spell>,
    pub(super) promises: Promises,
    /// From one round of requests to the next, in seconds; 0 counts as 1.
    pub(super) every: u64,
}

use Answer::{LetIn, Refused, Unavailable};

impl Plan {
    /// What a request is owed that is sent in this second. `published` is the second in which its key was; `withdrawn` the one in which it went.
    pub(super) fn expected(&self, probe: Probe, at: u64, published: u64, withdrawn: u64) -> Expected {
        match probe {
            Probe::Fresh => self.good(at, published, true),
            Probe::Seen => self.good(at, published, false),
            Probe::Withdrawn => self.withdrawn(at, withdrawn),
            Probe::Forged if self.is_calm(at) => self.of(&[Refused], LONGEST_WAIT, "nobody forges a signature"),
            Probe::Forged => {
                self.of(&[Refused, Unavailable], LONGEST_WAIT, "nobody forges a signature, also amid trouble")
            }
            Probe::Flood => {
                self.of(&[Refused, Unavailable], LONGEST_WAIT, "a key that nobody published lets nobody in")
            }
        }
    }

    fn of(&self, answers: &[Answer], wait: Duration, why: impl Into<String>) -> Expected {
        Expected { answers: answers.to_vec(), within: self.promises.answers_within + wait, why: why.into() }
    }

    /// Something goes on in this second.
    pub(super) fn is_eventful(&self, at: u64) -> bool {
        self.spells.iter().any(|spell| spell.is_on(at))
    }

    /// Nothing that could be a reason for 503.
    fn is_calm(&self, at: u64) -> bool {
        let troubles = |spell: &&Spell| spell.keeps_keys_away() || matches!(spell.what, What::Act(..) | What::Slow(_));
        let grace = self.promises.recovers_within.as_secs();
        !self.spells.iter().filter(troubles).any(|spell| spell.from <= at && at < spell.to.saturating_add(grace))
    }

    /// A good token, of a key that is published.
    fn good(&self, at: u64, published: u64, minted_now: bool) -> Expected {
        let on = |pick: fn(&What) -> bool| self.spells.iter().rev().find(|spell| spell.is_on(at) && pick(&spell.what));
        let now = Duration::ZERO;
        if let (true, Some(Spell { what: What::Clock(off), .. })) =
            (minted_now, on(|what| matches!(what, What::Clock(_))))
            && let Some(expected) = self.minted_by_a_wrong_clock(*off)
        {
            return expected;
        }
        if let Some(Spell { what: What::Act(name, answers), .. }) = on(|what| matches!(what, What::Act(..))) {
            return self.of(answers, LONGEST_WAIT, name.clone());
        }
        let known = self.is_known(at, published);
        if let Some(spell) = self.spells.iter().rev().find(|spell| spell.is_on(at) && spell.keeps_keys_away()) {
            return self.in_an_outage(at - spell.from, known);
        }
        if let Some(Spell { what: What::Slow(by), .. }) = on(|what| matches!(what, What::Slow(_))) {
            // Who comes while the first token of a new key brings it waits as well.
            let is_new = at.saturating_sub(published) <= by.as_secs() + 1 && published > 0;
            let wait = if known && !is_new { now } else { *by };
            return self.of(&[LetIn], wait, "a slow issuer holds nobody up whose key is known");
        }
        if let Some(why) = self.recovering(at, published) {
            return self.of(&[LetIn, Unavailable], LONGEST_WAIT, why);
        }
        if at < published.saturating_add(self.promises.rotation_within.as_secs()) {
            return self.of(
                &[LetIn, Refused, Unavailable],
                LONGEST_WAIT,
                "a new key is taken within the time that was said",
            );
        }
        if !known && self.is_flooded(at) {
            return self.of(&[LetIn, Refused, Unavailable], LONGEST_WAIT, "a flood delays a new key for a while");
        }
        let wait = if known { now } else { LONGEST_WAIT };
        self.of(&[LetIn], wait, if known { "a good token" } else { "the first token of a new key is let in at once" })
    }

    /// Whether the service has had the chance to fetch the key: a second of the drill in which it was published, asked for and within reach.
    fn is_known(&self, at: u64, published: u64) -> bool {
        let reach = |second: u64| {
            !self
                .spells
                .iter()
                .any(|spell| spell.is_on(second) && (spell.keeps_keys_away() || matches!(spell.what, What::Flood(_))))
        };
        published == 0 || (published..at).filter(|second| second % self.every.max(1) == 0).any(reach)
    }

    /// Shortly before, or now, a flood used up what a service spends on unknown keys.
    fn is_flooded(&self, at: u64) -> bool {
        let refill = self.promises.refilled_within.as_secs();
        self.spells.iter().any(|spell| {
            matches!(spell.what, What::Flood(_)) && spell.from <= at && at < spell.to.saturating_add(refill)
        })
    }

    fn minted_by_a_wrong_clock(&self, off: i64) -> Option<Expected> {
        let leeway = self.promises.leeway.as_secs();
        let (by, allowed) = if off > 0 { (off.unsigned_abs(), leeway) } else { (off.unsigned_abs(), LIFE + leeway) };
        // The very second of the limit, and the one beside it, belong to either side.
        if by > allowed + 1 {
            return Some(self.of(
                &[Refused],
                Duration::ZERO,
                format!("the issuer's clock is off by {off} s, and the leeway is {leeway} s"),
            ));
        }
        let near = by + 1 >= allowed || (off < 0 && by >= LIFE);
        near.then(|| {
            self.of(&[LetIn, Refused], Duration::ZERO, "the issuer's clock is off by as much as is just forgiven")
        })
    }

    fn in_an_outage(&self, since: u64, known: bool) -> Expected {
        let (serves, fresh) = (self.promises.outage.as_secs(), self.promises.fresh_for.as_secs());
        if !known {
            return self.of(&[Unavailable], LONGEST_WAIT, "keys are out of reach, which is not the caller's fault");
        }
        if since < serves {
            return self.of(
                &[LetIn],
                Duration::ZERO,
                format!("keys that are held go on serving for {serves} s of an outage"),
            );
        }
        if since < serves.saturating_add(fresh) {
            return self.of(&[LetIn, Unavailable], LONGEST_WAIT, "keys that are held end after a while of an outage");
        }
        self.of(
            &[Unavailable],
            LONGEST_WAIT,
            format!("keys that are held serve no longer than {} s into an outage", serves.saturating_add(fresh)),
        )
    }

    /// The issuer is back, but the service may not know yet.
    fn recovering(&self, at: u64, published: u64) -> Option<String> {
        let grace = self.promises.recovers_within.as_secs();
        let mut ended = self.spells.iter().filter(|spell| {
            (spell.keeps_keys_away() || matches!(spell.what, What::Act(..)))
                && spell.over_since(at).is_some_and(|ago| ago < grace)
        });
        let missed = |spell: &Spell| {
            let outlasted = (spell.to - spell.from) >= self.promises.outage.as_secs();
            outlasted || matches!(spell.what, What::Act(..)) || !self.is_known(spell.to, published)
        };
        ended.any(missed).then(|| format!("the issuer is asked again within {grace} s"))
    }

    /// A token whose key was withdrawn, and that was let in before.
    fn withdrawn(&self, at: u64, gone: u64) -> Expected {
        let within = self.promises.withdrawn_within.as_secs();
        // While the issuer is out of reach nobody can know; the time runs from its end.
        let troubled =
            |spell: &&Spell| spell.keeps_keys_away() && spell.to > gone && spell.from < gone.saturating_add(within);
        let from = self
            .spells
            .iter()
            .filter(troubled)
            .map(|spell| spell.to.saturating_add(self.promises.recovers_within.as_secs()))
            .fold(gone, u64::max);
        if at >= from.saturating_add(within) {
            let answers: &[Answer] = if self.is_calm(at) { &[Refused] } else { &[Refused, Unavailable] };
            return self.of(answers, LONGEST_WAIT, format!("a withdrawn key ends within {within} s"));
        }
        self.of(&[LetIn, Refused, Unavailable], LONGEST_WAIT, "the key was withdrawn a moment ago")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(spells: &[(What, u64, u64)]) -> Plan {
        let spells = spells.iter().map(|(what, from, to)| Spell { what: what.clone(), from: *from, to: *to }).collect();
        Plan { spells, promises: Promises::default(), every: 1 }
    }

    #[test]
    fn what_a_fresh_token_is_owed_over_time() {
        let outage = plan(&[(What::Down, 100, 160)]);
        let long = plan(&[(What::Down, 100, 10_000)]);
        let rotated = plan(&[(What::Rotated, 120, 120), (What::Down, 100, 160)]);
        let slow = plan(&[(What::Slow(Duration::from_secs(3)), 10, 20)]);
        let dead_slow = plan(&[(What::Slow(Duration::from_secs(9)), 10, 20)]);
        let ahead = |off| plan(&[(What::Clock(off), 10, 20)]);
        let act = plan(&[(What::Act("store".into(), vec![Unavailable]), 10, 20)]);
        for (name, plan, at, published, expected) in [
            ("nothing happens", &plan(&[]), 5, 0, &[LetIn][..]),
            ("a new key", &plan(&[]), 5, 5, &[LetIn]),
            ("a known key in an outage", &outage, 130, 0, &[LetIn]),
            ("a known key after it", &outage, 160, 0, &[LetIn]),
            ("for an hour", &long, 3_699, 0, &[LetIn]),
            ("a while more, perhaps", &long, 3_700, 0, &[LetIn, Unavailable]),
            ("and no longer", &long, 4_300, 0, &[Unavailable]),
            ("until it is over", &long, 10_000, 0, &[LetIn, Unavailable]),
            ("a key that came in the outage", &rotated, 130, 120, &[Unavailable]),
            ("and is fetched soon after", &rotated, 170, 120, &[LetIn, Unavailable]),
            ("and then is good", &rotated, 260, 120, &[LetIn]),
            ("a slow issuer", &slow, 15, 0, &[LetIn]),
            ("too slow an issuer, a new key", &dead_slow, 15, 15, &[Unavailable]),
            ("too slow an issuer, a known key", &dead_slow, 15, 0, &[LetIn]),
            ("a clock within the leeway", &ahead(20), 15, 0, &[LetIn]),
            ("a clock at the leeway", &ahead(30), 15, 0, &[LetIn, Refused]),
            ("a clock beyond it", &ahead(40), 15, 0, &[Refused]),
            ("a clock behind", &ahead(-200), 15, 0, &[LetIn]),
            ("a clock far behind", &ahead(-400), 15, 0, &[Refused]),
            ("a clock mended", &ahead(-400), 20, 0, &[LetIn]),
            ("what the user makes happen", &act, 15, 0, &[Unavailable]),
        ] {
            assert_eq!(plan.expected(Probe::Fresh, at, published, 0).answers, expected, "{name}");
        }
        assert_eq!(slow.expected(Probe::Fresh, 15, 0, 0).within, Duration::from_secs(1));
        assert_eq!(slow.expected(Probe::Fresh, 15, 15, 0).within, Duration::from_secs(4));
        assert_eq!(ahead(400).expected(Probe::Seen, 15, 0, 0).answers, [LetIn], "minted before the clock went wrong");
    }

    #[test]
    fn nothing_lets_in_what_is_forged_or_withdrawn() {
        let outage = plan(&[(What::Down, 100, 160)]);
        for at in [50, 100, 130, 160, 1000] {
            for probe in [Probe::Forged, Probe::Flood] {
                assert!(!outage.expected(probe, at, 0, 0).answers.contains(&LetIn), "{probe:?} {at}");
            }
        }
        let promises = Promises { withdrawn_within: Duration::from_secs(10), ..Promises::default() };
        let plan = Plan { promises, ..outage };
        assert!(plan.expected(Probe::Withdrawn, 59, 0, 50).answers.contains(&LetIn));
        assert_eq!(plan.expected(Probe::Withdrawn, 60, 0, 50).answers, [Refused]);
        assert!(plan.expected(Probe::Withdrawn, 200, 0, 120).answers.contains(&LetIn), "nobody could know");
        assert_eq!(plan.expected(Probe::Withdrawn, 300, 0, 120).answers, [Refused]);
    }

    #[test]
    fn a_key_that_comes_amid_a_flood_may_be_late_by_one_refill() {
        let plan = plan(&[(What::Flood(50), 10, 30)]);
        assert!(plan.expected(Probe::Fresh, 20, 15, 0).answers.contains(&Refused));
        assert!(plan.expected(Probe::Fresh, 30, 29, 0).answers.contains(&Refused));
        assert_eq!(plan.expected(Probe::Fresh, 90, 29, 0).answers, [LetIn]);
        assert_eq!(plan.expected(Probe::Fresh, 20, 0, 0).answers, [LetIn], "known before");
    }
}
