//! An issuer that is down, slow or broken: what is held goes on serving, nobody waits too long, and it heals by itself.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_known_key_never_waits_for_a_slow_issuer() {
    let world = World::warm().await;
    world.delay(4);
    pass(527).await; // past the refresh time, whatever the jitter
    let before = Instant::now();
    for _ in 0..100 {
        assert_eq!(world.verify("a").await, Verdict::Known);
        tokio::task::yield_now().await;
    }
    assert_eq!(Instant::now(), before, "no time passed while requests were served");
    assert_eq!(world.fetches(), 2, "and one refresh is under way");
    assert!(world.state().fetching);
    pass(5).await;
    assert_eq!(world.state().fetches_ok, 2);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_survived_up_to_the_cap_and_recovery_needs_no_restart() {
    let world = World::warm().await;
    world.mood(Mood::Status(503));
    for _ in 0..69 {
        pass(60).await;
        assert_eq!(world.verify("a").await, Verdict::Known, "at {:?}", world.state());
    }
    let state = world.state();
    assert_eq!(state.status, KeyStatus::Stale);
    assert_eq!(state.last_error.as_deref(), Some("jwk set answered with status 503"));
    pass(100).await;
    let verdict = world.verify("a").await;
    assert!(matches!(verdict, Verdict::Unavailable(_)), "503 and not 401: {verdict:?}");
    assert_eq!(world.state().status, KeyStatus::Empty);

    world.mood(Mood::Up);
    pass(61).await; // no request in the meantime
    assert_eq!(world.state().status, KeyStatus::Fresh);
    assert_eq!(world.verify("a").await, Verdict::Known);
}

#[tokio::test(start_paused = true)]
async fn what_may_serve_past_its_fresh_time_depends_on_the_error() {
    for (mood, serves) in [
        (Mood::Down, true),
        (Mood::Status(500), true),
        (Mood::Status(429), true),
        (Mood::Junk, true),
        (Mood::Panicking, true),
        // No issuer takes keys back by a status: these are of proxies, firewalls and deployments in between.
        (Mood::Status(404), true),
        (Mood::Status(403), true),
        (Mood::Status(401), true),
        (Mood::Status(408), true),
        (Mood::Status(302), true),
        (Mood::Status(204), true),
    ] {
        let world = World::warm().await;
        world.mood(mood);
        pass(527).await;
        assert_eq!(world.verify("a").await, Verdict::Known);
        pass(71).await;
        assert_eq!(world.verify("a").await, Verdict::Known, "still fresh: {mood:?}");
        pass(2).await;
        assert_eq!(world.keys.alive(world.clock.now()), serves, "{mood:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_down_at_boot_heals_without_traffic() {
    let world = World::cold();
    world.mood(Mood::Down);
    assert!(matches!(world.verify("a").await, Verdict::Unavailable(_)));
    pass(300).await;
    let tries = world.fetches();
    assert!((6..=16).contains(&tries), "1, 2, 4 … 60 s apart: {tries} in 300 s");
    world.mood(Mood::Up);
    pass(61).await;
    assert_eq!(world.state().status, KeyStatus::Fresh);
    assert_eq!(world.verify("a").await, Verdict::Known);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_five_seconds_for_an_issuer_that_hangs() {
    let world = World::cold();
    world.mood(Mood::Hanging);
    let begun = Instant::now();
    assert!(matches!(world.verify("a").await, Verdict::Unavailable(_)));
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
    assert!(matches!(world.verify("a").await, Verdict::Unavailable(_)));
    assert_eq!(begun.elapsed(), Duration::from_secs(5), "who comes later does not wait at all");
    assert_eq!(world.fetches(), 1);
    pass(11).await;
    assert_eq!(world.state().last_error.as_deref(), Some("fetching the jwk set took too long"));
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_outlives_the_wait_is_used_all_the_same() {
    let world = World::cold();
    world.delay(8);
    assert!(matches!(world.verify("a").await, Verdict::Unavailable(_)));
    pass(4).await;
    assert_eq!(world.verify("a").await, Verdict::Known);
    assert_eq!(world.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_source_strands_nobody_and_heals() {
    let world = World::cold();
    world.mood(Mood::Panicking);
    assert!(matches!(world.verify("a").await, Verdict::Unavailable(_)));
    assert_eq!(world.state().last_error.as_deref(), Some("fetching the jwk set panicked"));
    world.mood(Mood::Up);
    pass(2).await;
    assert_eq!(world.state().status, KeyStatus::Fresh);
}

#[tokio::test(start_paused = true)]
async fn the_unknown_key_of_a_fetch_that_fails_is_our_trouble() {
    let world = World::warm().await;
    world.mood(Mood::Down);
    let verdict = world.verify("b").await;
    assert!(matches!(verdict, Verdict::Unavailable(after) if after >= Duration::from_secs(1)), "{verdict:?}");
    assert_eq!(world.verify("a").await, Verdict::Known);
}
