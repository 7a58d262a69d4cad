//! Random histories of events in; whether each keeps the promises of the cache out.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

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
