use std::time::Duration;

use proptest::prelude::*;

use super::*;

const MIDDLE: f64 = 0.5; // no jitter: refresh at 80 % of the fresh time, 75 % of the back-off

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn good(max_age: Option<u64>) -> Landing {
    Landing::Good { max_age: max_age.map(secs), changed: true }
}

const SAME: Landing = Landing::Good { max_age: None, changed: false };
const DOWN: Landing = Landing::Bad { excused: true, retry_after: None };
const GONE: Landing = Landing::Bad { excused: false, retry_after: None };

/// A state, its settings and the fetch under way, so that a test reads as what happens one after the other.
struct Cache {
    state: State,
    settings: JwksSettings,
    flight: Option<FlightId>,
}

impl Cache {
    fn empty() -> Self {
        let settings = JwksSettings::default();
        Self { state: State::new(&settings), settings, flight: None }
    }

    /// With a set that was fetched at 0 s: refresh at 480 s, fresh until 600 s, dead at 4200 s.
    fn filled() -> Self {
        let mut cache = Self::empty();
        assert!(matches!(cache.ask(0, Question::Use), Decision::Start(_)));
        assert_eq!(cache.land(0, good(None)), Decision::Rest);
        cache
    }

    fn ask(&mut self, seconds: i64, question: Question) -> Decision {
        let decision = decide(&mut self.state, &self.settings, at(seconds), question);
        if let Decision::Start(flight) = decision {
            assert_eq!(self.flight.replace(flight), None, "two fetches at once");
        }
        decision
    }

    fn land(&mut self, seconds: i64, landing: Landing) -> Decision {
        let flight = self.flight.take().expect("a fetch is under way");
        self.ask(seconds, Question::Landed { flight, landing, jitter: MIDDLE })
    }

    fn started(&mut self, seconds: i64, question: Question) -> bool {
        matches!(self.ask(seconds, question), Decision::Start(_))
    }
}

#[test]
fn a_request_refreshes_ahead_and_never_waits() {
    let mut cache = Cache::filled();
    assert_eq!(cache.ask(479, Question::Use), Decision::Rest);
    assert!(cache.started(480, Question::Use));
    assert_eq!(cache.ask(481, Question::Use), Decision::Rest, "one fetch at a time");
    cache.land(482, SAME);
    assert_eq!(cache.ask(482 + 479, Question::Use), Decision::Rest);
    assert!(cache.started(482 + 480, Question::Use));
}

#[test]
fn jitter_moves_the_refresh_by_a_tenth_of_its_time() {
    for (jitter, refresh_at) in [(0.0, 432), (0.5, 480), (1.0, 528)] {
        let held = hold(&JwksSettings::default(), at(0), None, jitter);
        assert_eq!(held.refresh_at, at(refresh_at));
    }
}

#[test]
fn the_fresh_time_follows_cache_control_within_bounds() {
    for (max_age, fresh) in
        [(None, 600), (Some(0), 60), (Some(59), 60), (Some(90), 90), (Some(3600), 3600), (Some(u64::MAX), 3600)]
    {
        let mut cache = Cache::empty();
        cache.ask(0, Question::Use);
        cache.land(0, good(max_age));
        assert_eq!(cache.state.held().unwrap().fresh_until, at(fresh), "{max_age:?}");
    }
}

#[test]
fn an_outage_is_served_from_the_old_set_up_to_the_cap() {
    let mut cache = Cache::filled();
    let mut now = 480;
    while now < 4200 {
        if cache.started(now, Question::Use) {
            cache.land(now, DOWN);
        }
        assert!(cache.state.usable(at(now)), "at {now} s");
        now += 10;
    }
    assert!(!cache.state.usable(at(4200)));
    assert!(!cache.state.usable(at(1_000_000)));
}

#[test]
fn an_answer_that_is_no_outage_ends_the_set_with_its_fresh_time() {
    let mut cache = Cache::filled();
    cache.ask(480, Question::Use);
    cache.land(481, GONE);
    assert!(cache.state.usable(at(599)));
    assert!(!cache.state.usable(at(600)));
    // A later outage gives nothing back.
    cache.ask(490, Question::Use);
    cache.land(491, DOWN);
    assert!(!cache.state.usable(at(600)));
    // A good answer does.
    cache.ask(601, Question::MissingSet);
    cache.land(602, SAME);
    assert!(cache.state.usable(at(602 + 600 + 3599)));
}

#[test]
fn the_pause_doubles_and_is_capped() {
    let mut cache = Cache::filled();
    let mut now = 480;
    for expected in [0, 1, 3, 6, 12, 24, 45, 45, 45] {
        assert!(cache.started(now, Question::Use));
        cache.land(now, DOWN);
        assert_eq!(cache.state.due().unwrap().as_secs(), now + expected, "0.75 of the doubled pause, rounded down");
        assert_eq!(cache.ask(now, Question::Use), Decision::Rest);
        now = cache.state.due().unwrap().as_secs() + 1;
    }
    cache.started(now, Question::Use);
    cache.land(now, SAME);
    cache.ask(now + 480, Question::Use);
    cache.land(now + 480, DOWN);
    assert!(cache.state.due().unwrap() < at(now + 482), "a good answer ends the doubling");
}

#[test]
fn retry_after_is_honoured_up_to_the_cap() {
    for (asked, pause) in [(0, Duration::from_millis(750)), (20, secs(20)), (600, secs(60))] {
        let mut cache = Cache::empty();
        cache.ask(0, Question::Use);
        let decision = cache.land(0, Landing::Bad { excused: true, retry_after: Some(secs(asked)) });
        assert_eq!(decision, Decision::RetryIn(pause), "{asked}");
    }
}

#[test]
fn a_cold_start_is_one_fetch_that_everybody_waits_for() {
    let mut cache = Cache::empty();
    assert!(cache.started(0, Question::MissingSet));
    for _ in 0..100 {
        assert_eq!(cache.ask(1, Question::MissingSet), Decision::Join);
        assert_eq!(cache.ask(1, Question::MissingKey(7)), Decision::Join);
    }
    cache.land(2, good(None));
    assert_eq!(cache.ask(2, Question::MissingSet), Decision::Look);
}

#[test]
fn a_cold_start_that_fails_heals_without_traffic() {
    let mut cache = Cache::empty();
    cache.ask(0, Question::MissingSet);
    let first = cache.flight.unwrap();
    assert_eq!(cache.land(0, DOWN), Decision::RetryIn(Duration::from_millis(750)));
    assert_eq!(cache.ask(0, Question::MissingSet), Decision::Unavailable(Duration::from_millis(750)));
    assert!(cache.started(1, Question::Woke(first)));
    assert_eq!(cache.ask(1, Question::Woke(first)), Decision::Rest, "a fetch is under way");
    cache.land(1, DOWN);
    assert_eq!(cache.ask(9, Question::Woke(first)), Decision::Rest, "the timer of an earlier fetch");
    assert!(cache.started(9, Question::MissingSet));
    assert_eq!(cache.land(9, good(None)), Decision::Rest);
    assert!(cache.state.usable(at(9)));
}

#[test]
fn nobody_waits_for_a_slow_fetch_twice() {
    let mut cache = Cache::empty();
    cache.ask(0, Question::MissingSet);
    let flight = cache.flight.unwrap();
    assert_eq!(cache.ask(4, Question::MissingSet), Decision::Join);
    cache.ask(5, Question::Slow(flight));
    assert_eq!(cache.ask(5, Question::MissingSet), Decision::Unavailable(SOON));
    cache.land(9, good(None));
    assert_eq!(cache.ask(9, Question::MissingSet), Decision::Look);
}

#[test]
fn an_unknown_key_costs_the_issuer_a_burst_and_then_one_fetch_per_interval() {
    let mut cache = Cache::filled();
    let mut fetches = 0;
    for kid in 0..1000 {
        let now = 1 + i64::try_from(kid / 10).unwrap(); // a hundred seconds, ten made-up keys in each
        if cache.started(now, Question::MissingKey(kid)) {
            fetches += 1;
            cache.land(now - 1, SAME);
        }
    }
    assert_eq!(fetches, 2 + 3);
}

#[test]
fn an_empty_bucket_answers_at_once() {
    let mut cache = Cache::filled();
    for kid in 0..2 {
        assert!(cache.started(10, Question::MissingKey(kid)));
        cache.land(9, SAME);
    }
    assert_eq!(cache.ask(10, Question::MissingKey(2)), Decision::Unknown(Why::BucketEmpty));
    assert!(cache.started(489, Question::Use), "a scheduled refresh takes no token");
}

#[test]
fn an_empty_bucket_is_our_trouble_while_fetches_fail() {
    let mut cache = Cache::filled();
    for kid in 0..2 {
        assert!(cache.started(10 + 2 * i64::try_from(kid).unwrap(), Question::MissingKey(kid)));
        cache.land(10, Landing::Bad { excused: true, retry_after: None });
    }
    // The pause is over, but there is no token to ask with: that the key is missing was never said.
    assert_eq!(cache.ask(20, Question::MissingKey(7)), Decision::Unavailable(secs(30)));
    assert_eq!(cache.ask(20, Question::MissingNewerKey(8)), Decision::Unknown(Why::Trouble));
    assert!(cache.started(489, Question::Use));
    cache.land(489, SAME);
    for kid in 10..12 {
        assert!(cache.started(490, Question::MissingKey(kid)));
        cache.land(490, SAME);
    }
    assert_eq!(cache.ask(491, Question::MissingKey(7)), Decision::Unknown(Why::BucketEmpty), "once it answers again");
}

#[test]
fn a_key_that_a_fetch_did_not_bring_is_remembered_for_a_while() {
    let mut cache = Cache::filled();
    assert!(cache.started(10, Question::MissingKey(7)));
    cache.land(11, SAME);
    assert!(cache.started(12, Question::MissingKey(8)));
    cache.land(13, SAME);
    assert_eq!(
        cache.ask(14, Question::MissingKey(7)),
        Decision::Unknown(Why::Remembered),
        "the same set lacks it still"
    );
    assert_eq!(cache.ask(40, Question::MissingKey(7)), Decision::Unknown(Why::Remembered));
    assert!(cache.started(41, Question::MissingKey(7)));
}

#[test]
fn a_new_set_clears_what_is_remembered() {
    let mut cache = Cache::filled();
    assert!(cache.started(10, Question::MissingKey(7)));
    cache.land(11, SAME);
    assert!(cache.started(12, Question::MissingKey(8)));
    cache.land(13, good(None));
    assert_eq!(cache.ask(14, Question::MissingKey(7)), Decision::Unknown(Why::BucketEmpty), "and not remembered");
}

#[test]
fn an_unknown_key_joins_a_fetch_under_way_and_takes_no_token() {
    let mut cache = Cache::filled();
    assert!(cache.started(480, Question::Use));
    for kid in 0..50 {
        assert_eq!(cache.ask(480, Question::MissingKey(kid)), Decision::Join);
    }
    cache.land(480, SAME);
    assert!(cache.started(481, Question::MissingKey(0)));
    cache.land(481, SAME);
    assert!(cache.started(482, Question::MissingKey(1)));
}

#[test]
fn an_unknown_key_during_an_outage_is_our_trouble() {
    let mut cache = Cache::filled();
    cache.ask(480, Question::Use);
    cache.land(480, Landing::Bad { excused: true, retry_after: Some(secs(30)) });
    assert_eq!(cache.ask(481, Question::MissingKey(7)), Decision::Unavailable(secs(29)));
    assert_eq!(
        cache.ask(481, Question::MissingNewerKey(7)),
        Decision::Unknown(Why::Trouble),
        "a bad signature stays one"
    );
    assert!(cache.state.usable(at(481)), "known keys go on");
}

#[test]
fn a_replaced_key_of_the_same_name_is_fetched_under_the_same_bucket() {
    let mut cache = Cache::filled();
    assert!(cache.started(10, Question::MissingNewerKey(7)));
    cache.land(10, SAME);
    assert_eq!(cache.ask(11, Question::MissingNewerKey(7)), Decision::Unknown(Why::Remembered));
    assert!(cache.started(11, Question::MissingKey(8)));
    cache.land(11, SAME);
    assert_eq!(cache.ask(12, Question::MissingNewerKey(9)), Decision::Unknown(Why::BucketEmpty));
}

#[test]
fn a_fetch_lost_with_its_runtime_is_started_again_at_once() {
    let mut cache = Cache::empty();
    cache.ask(0, Question::MissingSet);
    assert_eq!(cache.land(0, Landing::Lost), Decision::Rest);
    assert!(cache.started(0, Question::MissingSet));
}

#[test]
fn a_good_answer_ends_a_pause_that_the_clock_thinks_is_not_over() {
    let mut cache = Cache::empty();
    cache.ask(0, Question::MissingSet);
    let flight = cache.flight.unwrap();
    cache.land(0, Landing::Bad { excused: true, retry_after: Some(secs(60)) });
    assert!(cache.started(1, Question::Woke(flight)));
    cache.land(1, good(None));
    assert!(cache.started(2, Question::MissingKey(7)));
}

#[test]
fn a_late_word_about_an_earlier_fetch_changes_nothing() {
    let mut cache = Cache::empty();
    cache.ask(0, Question::MissingSet);
    let first = cache.flight.unwrap();
    cache.land(0, Landing::Lost);
    cache.ask(0, Question::MissingSet);
    let landed = Question::Landed { flight: first, landing: good(None), jitter: MIDDLE };
    assert_eq!(cache.ask(1, landed), Decision::Rest);
    assert!(!cache.state.usable(at(1)));
    assert!(cache.state.in_flight());
}

#[test]
fn a_clock_set_back_by_more_than_a_fresh_time_makes_a_refresh_due_and_keeps_the_cap() {
    let mut cache = Cache::empty();
    cache.ask(1_000_000, Question::Use);
    cache.land(1_000_000, good(None));
    assert_eq!(cache.ask(1_000_000 - 600, Question::Use), Decision::Rest);
    let back = 1_000_000 - 601;
    assert!(at(back) < cache.state.fences(&cache.settings).floor);
    assert!(cache.started(back, Question::Use));
    cache.land(back, DOWN);
    assert!(cache.state.usable(at(back + 3599)));
    assert!(!cache.state.usable(at(back + 3600)));
}

#[test]
fn a_clock_set_back_ends_a_pause_that_would_never_end() {
    let mut cache = Cache::empty();
    cache.ask(1_000_000, Question::Use);
    cache.land(1_000_000, DOWN);
    assert!(at(0) < cache.state.fences(&cache.settings).floor);
    assert!(cache.started(0, Question::Use));
}

// ---- random histories ------------------------------------------------------------------------------------------------

#[derive(Clone, Copy, Debug)]
enum Event {
    Pass(u64),
    Use,
    MissingSet,
    Kid(u64),
    Newer(u64),
    Slow,
    Good(Option<u64>, bool),
    Bad(bool, Option<u64>),
    Lost,
    Woke,
}

fn events() -> impl Strategy<Value = Vec<(Event, f64)>> {
    let event = prop_oneof![
        4 => (1..20_000u64).prop_map(Event::Pass),
        2 => (20_000..2_000_000u64).prop_map(Event::Pass),
        6 => Just(Event::Use),
        2 => Just(Event::MissingSet),
        6 => (0..6u64).prop_map(Event::Kid),
        2 => (0..3u64).prop_map(Event::Newer),
        1 => Just(Event::Slow),
        5 => (proptest::option::of(0..5000u64), any::<bool>()).prop_map(|(age, changed)| Event::Good(age, changed)),
        4 => (any::<bool>(), proptest::option::of(0..100u64)).prop_map(|(excused, retry)| Event::Bad(excused, retry)),
        1 => Just(Event::Lost),
        2 => Just(Event::Woke),
    ];
    proptest::collection::vec((event, 0.0..1.0), 1..200)
}

/// What the world outside saw, from which the promises are checked without looking into the state.
#[derive(Default)]
struct Seen {
    /// When fetches for unknown keys began.
    bucket: Vec<Timestamp>,
    /// The last good answer, and how long it may be served in fresh and in stale days.
    good: Option<(Timestamp, Duration, Duration)>,
    /// No fetch is allowed before this.
    not_before: Timestamp,
    retry: Option<(FlightId, Timestamp)>,
}

#[test]
fn a_fetch_whose_runtime_stands_still_is_taken_over_once_by_who_notices() {
    let settings = JwksSettings::default();
    let mut state = State::new(&settings);
    let ask = |state: &mut State, second: i64, question| decide(state, &settings, at(second), question);
    let Decision::Start(first) = ask(&mut state, 0, Question::MissingSet) else { panic!("nothing is held") };
    let Decision::Start(second) = ask(&mut state, 6, Question::Stalled(first)) else { panic!("nobody is at it") };
    assert_eq!(ask(&mut state, 6, Question::Stalled(first)), Decision::Rest, "another one noticed before");
    assert_eq!(ask(&mut state, 6, Question::MissingSet), Decision::Join);
    // What has said that it is slow goes on.
    ask(&mut state, 7, Question::Slow(second));
    assert_eq!(ask(&mut state, 12, Question::Stalled(second)), Decision::Rest);
    // And what has not ended long after its own limit never will, whoever asks.
    let overdue = i64::try_from(overdue_after(&settings).as_secs()).unwrap();
    assert!(matches!(ask(&mut state.clone(), 6 + overdue - 1, Question::MissingSet), Decision::Unavailable(_)));
    for question in [Question::Use, Question::MissingSet, Question::MissingKey(1)] {
        assert!(matches!(ask(&mut state.clone(), 6 + overdue, question), Decision::Start(_)), "{question:?}");
    }
    assert_eq!(state.fences(&settings).due, at(6 + overdue));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn promises_hold_in_every_history(history in events()) {
        let settings = JwksSettings::default();
        let mut state = State::new(&settings);
        let (mut now, mut seen, mut flight) = (at(0), Seen { not_before: NEVER, ..Seen::default() }, None);
        let mut began = now;
        for (event, jitter) in history {
            let landed = |flight: &mut Option<FlightId>, landing| {
                flight.take().map(|flight| Question::Landed { flight, landing, jitter })
            };
            let question = match event {
                Event::Pass(millis) => { now = now.saturating_add(Duration::from_millis(millis)); None }
                Event::Use => Some(Question::Use),
                Event::MissingSet => Some(Question::MissingSet),
                Event::Kid(kid) => Some(Question::MissingKey(kid)),
                Event::Newer(kid) => Some(Question::MissingNewerKey(100 + kid)),
                Event::Slow => flight.map(Question::Slow),
                Event::Good(max_age, changed) => {
                    landed(&mut flight, Landing::Good { max_age: max_age.map(secs), changed }).inspect(|_| {
                        let fresh = secs(max_age.unwrap_or(600).clamp(60, 3600));
                        seen.good = Some((now, fresh, settings.stale_if_error));
                        seen.not_before = now.saturating_add(fresh.mul_f64(0.719));
                    })
                }
                Event::Bad(excused, retry_after) => {
                    let retry_after = retry_after.map(secs);
                    landed(&mut flight, Landing::Bad { excused, retry_after }).inspect(|_| {
                        if let Some((_, _, stale)) = &mut seen.good && !excused { *stale = Duration::ZERO; }
                        let least = retry_after.unwrap_or_default().clamp(settings.backoff_min / 2, settings.backoff_max);
                        seen.not_before = now.saturating_add(least);
                    })
                }
                Event::Lost => landed(&mut flight, Landing::Lost),
                Event::Woke => match seen.retry {
                    Some((id, when)) if when <= now => { seen.retry = None; Some(Question::Woke(id)) }
                    _ => None,
                },
            };

            // The fences let nothing slip: between them, asking would have changed nothing.
            let fences = state.fences(&settings);
            prop_assert_eq!(now < fences.dead, state.usable(now));
            if fences.floor <= now && now < fences.due {
                prop_assert_eq!(decide(&mut state.clone(), &settings, now, Question::Use), Decision::Rest);
            }

            let usable = state.usable(now);
            match question.map_or(Decision::Rest, |question| decide(&mut state, &settings, now, question)) {
                Decision::Start(id) => {
                    // Unless the first has said nothing for so long that its runtime must be standing still.
                    let is_second = flight.replace(id).is_some();
                    prop_assert!(!is_second || now.since(began) >= overdue_after(&settings), "two fetches at once");
                    began = now;
                    match question {
                        Some(Question::MissingKey(_) | Question::MissingNewerKey(_)) if usable => seen.bucket.push(now),
                        _ => prop_assert!(now >= seen.not_before || !usable, "a scheduled fetch ahead of its schedule"),
                    }
                }
                Decision::RetryIn(pause) => seen.retry = Some((FlightId(state.flights), now.saturating_add(pause))),
                Decision::Join => prop_assert!(flight.is_some()),
                Decision::Look => prop_assert!(usable),
                Decision::Unknown(_) => prop_assert!(usable),
                Decision::Unavailable(left) => {
                    prop_assert!(!left.is_zero() && left <= settings.backoff_max);
                }
                Decision::Rest => {}
            }
            if matches!(question, Some(Question::Use)) {
                prop_assert_eq!(state.usable(now), usable, "using the set never takes it away");
            }
            // Never past the cap, and not past the fresh time after an answer that is no outage.
            if state.usable(now) {
                let (fetched, fresh, stale) = seen.good.expect("usable only after a good answer");
                prop_assert!(now < fetched.saturating_add(fresh).saturating_add(stale));
            }
        }
        // Never more fetches for unknown keys than the bucket allows, in any stretch of time.
        for (i, from) in seen.bucket.iter().enumerate() {
            for (j, to) in seen.bucket.iter().enumerate().skip(i) {
                let allowed = 2 + to.since(*from).as_millis() / 30_000;
                prop_assert!((j - i + 1) as u128 <= allowed, "{} fetches in {:?}", j - i + 1, to.since(*from));
            }
        }
    }

    #[test]
    fn a_flood_delays_a_real_rotation_by_no_more_than_one_refill(
        flood_gap in 5..2000u64,
        fetch_takes in 1..3000u64,
        rotated_at in 1_000..400_000u64,
    ) {
        let settings = JwksSettings::default();
        let mut cache = Cache::filled();
        let ms = |millis: u64| Timestamp::from_millis(i64::try_from(millis).unwrap());
        let (mut now, mut made_up, mut flight, mut picked_up) = (1u64, 1000u64, None::<(FlightId, u64)>, None);
        while picked_up.is_none() {
            now += 1;
            if let Some((id, began)) = flight && now == began + fetch_takes {
                let changed = began >= rotated_at;
                let landing = Landing::Good { max_age: None, changed };
                decide(&mut cache.state, &settings, ms(now), Question::Landed { flight: id, landing, jitter: MIDDLE });
                flight = None;
                if changed { picked_up = Some(now); }
            }
            let mut ask = |question| {
                if let Decision::Start(id) = decide(&mut cache.state, &settings, ms(now), question) { flight = Some((id, now)); }
            };
            if now % flood_gap == 0 { made_up += 1; ask(Question::MissingKey(made_up)); }
            if now >= rotated_at && now % 97 == 0 { ask(Question::MissingKey(1)); }
        }
        let delay = picked_up.unwrap() - rotated_at;
        // A fetch that began just before the rotation has to land first; then at most one refill, and the fetch itself.
        prop_assert!(delay <= 30_000 + 2 * fetch_takes + 200, "{delay} ms");
    }
}
