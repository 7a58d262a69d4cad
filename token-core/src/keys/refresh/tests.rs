//! What the cache decides, question by question.

mod histories;

use std::time::Duration;

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
