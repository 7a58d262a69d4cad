//! Fetches on tokio runtimes that end, that are missing, or that have no timers.

use super::*;

#[tokio::test(start_paused = true)]
async fn no_task_outlives_the_cache() {
    for mood in [Mood::Hanging, Mood::Down] {
        let world = World::cold();
        world.mood(mood);
        world.keys.start();
        sleep(Duration::from_millis(100)).await;
        let (issuer, tasks) = (Arc::clone(&world.issuer), tokio::runtime::Handle::current().metrics());
        assert_eq!(tasks.num_alive_tasks(), 1, "fetching, or pausing after a failure");
        drop(world);
        tokio::task::yield_now().await;
        assert_eq!(tasks.num_alive_tasks(), 0, "{mood:?}");
        assert_eq!(Arc::strong_count(&issuer), 1);
    }
}

#[test]
fn a_runtime_that_goes_away_strands_nobody() {
    let here = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let there = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let world = World::cold();
    world.mood(Mood::Hanging);
    there.block_on(async {
        world.keys.start();
        while world.fetches() == 0 {
            tokio::task::yield_now().await;
        }
    });
    let now = world.clock.now();
    let Answer::Wait(fetch) = here.block_on(async { world.keys.missing(Missing::Set, Looked::default(), now) }) else {
        panic!("a fetch is under way")
    };
    there.shutdown_background();
    assert_eq!(here.block_on(fetch), Fetched::Unavailable { retry_after: SOON });
    world.mood(Mood::Up);
    assert_eq!(here.block_on(world.verify("a")), Verdict::Known);
    assert_eq!(world.fetches(), 2);
}

#[test]
fn without_a_runtime_nothing_is_fetched_until_somebody_waits_in_one() {
    let world = World::cold();
    let now = world.clock.now();
    world.keys.start();
    assert!(world.keys.current(now).is_none());
    assert!(!world.keys.alive(now));
    let ask = |what| match world.keys.missing(what, world.looked(), now) {
        Answer::Wait(fetch) => fetch,
        answer => panic!("{answer:?}"),
    };
    let (set, key) = (ask(Missing::Set), ask(Missing::Kid("a")));
    assert_eq!(world.fetches(), 0);
    assert!(!world.state().fetching);
    let polled = pin!(ask(Missing::Set)).poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Ready(Fetched::Grounded(NoRuntime::Absent)));
    // A runtime that turns up later finds everything in order.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    assert_eq!(runtime.block_on(set), Fetched::Updated);
    assert_eq!(runtime.block_on(key), Fetched::Updated);
    assert_eq!(runtime.block_on(world.verify("a")), Verdict::Known);
    assert_eq!(world.fetches(), 1);
}

#[test]
fn a_runtime_without_timers_fetches_nothing_and_says_so() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let world = World::cold();
    assert_eq!(runtime.block_on(world.verify("a")), Verdict::Grounded(NoRuntime::WithoutTimers));
    assert_eq!((world.fetches(), world.state().last_error), (0, None));
}
