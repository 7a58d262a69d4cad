//! What one process asks of all its issuers at once: turns, and a bound on what strangers can bring about.

use super::*;

#[tokio::test(start_paused = true)]
async fn no_more_fetches_than_the_process_may_make_are_under_way_and_all_have_their_turn() {
    let limits = FetchLimits::new().in_flight(2);
    let start = Instant::now();
    let mut asking = JoinSet::new();
    for _ in 0..6 {
        let world = World::within(limits.clone());
        world.delay(1);
        asking.spawn(async move { (world.verify("a").await, world.verify("a").await, start.elapsed()) });
    }
    let mut ends = Vec::new();
    while let Some(outcome) = asking.join_next().await {
        let (first, second, end) = outcome.unwrap();
        assert_eq!((first, second), (Verdict::Known, Verdict::Known));
        ends.push(end.as_secs());
    }
    ends.sort_unstable();
    assert_eq!(ends, [1, 1, 2, 2, 3, 3], "two a second");
}

#[tokio::test(start_paused = true)]
async fn a_known_key_waits_for_nobodys_turn_and_a_turn_that_does_not_come_is_503_in_time() {
    let limits = FetchLimits::new().in_flight(1);
    let known = World::within(limits.clone());
    assert_eq!(known.verify("a").await, Verdict::Known);
    let hanging = World::within(limits.clone());
    hanging.mood(Mood::Hanging);
    hanging.keys.start();
    tokio::task::yield_now().await;
    let start = Instant::now();
    assert_eq!(known.verify("a").await, Verdict::Known);
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(matches!(World::within(limits).verify("a").await, Verdict::Unavailable(_)));
    assert_eq!(start.elapsed(), JwksSettings::default().wait);
}

#[tokio::test(start_paused = true)]
async fn issuers_in_trouble_leave_half_of_the_turns_to_others() {
    let limits = FetchLimits::new().in_flight(2);
    let dead: Vec<_> = (0..4).map(|_| World::within(limits.clone())).collect();
    for world in &dead {
        world.mood(Mood::Down);
        assert!(matches!(world.verify("a").await, Verdict::Unavailable(_)));
        world.mood(Mood::Hanging);
    }
    // Their pauses are over: they ask again, and hang.
    sleep(Duration::from_secs(3)).await;
    let start = Instant::now();
    assert_eq!(World::within(limits).verify("a").await, Verdict::Known);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn strangers_cause_so_many_fetches_a_minute_whatever_issuers_they_name() {
    let limits = FetchLimits::new().by_strangers(3);
    let mut worlds = Vec::new();
    for _ in 0..5 {
        let world = World::within(limits.clone());
        assert_eq!(world.verify("a").await, Verdict::Known);
        worlds.push(world);
    }
    sleep(Duration::from_secs(1)).await;
    let fetches = |worlds: &[World]| worlds.iter().map(World::fetches).sum::<usize>() - worlds.len();
    for world in &worlds {
        assert_eq!(world.verify("made up").await, Verdict::Unknown, "and not 503");
    }
    assert_eq!(fetches(&worlds), 3);
    // What an issuer would have allowed was not used up by what the process did not.
    sleep(Duration::from_secs(20)).await;
    let last = &worlds[4];
    last.publish(&[("a", 7), ("new", 8)]);
    assert_eq!(last.verify("new").await, Verdict::Known);
    assert_eq!(fetches(&worlds), 4);
}
