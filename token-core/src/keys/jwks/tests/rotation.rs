//! Keys that come and go at the issuer: picked up with the first token of a new key, and no flood of made-up names costs more than the bucket.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_key_that_is_published_within_a_tick_of_a_fetch_is_fetched_with_its_first_token() {
    let world = World::cold();
    assert_eq!(world.verify("a").await, Verdict::Known);
    let landed = world.clock.now();
    world.issuer.published.lock().unwrap().push(("b".to_owned(), 8));
    assert_eq!(world.clock.now(), landed, "the clock stands still");
    assert_eq!(world.verify("b").await, Verdict::Known);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_looked_into_a_set_which_has_been_succeeded_looks_again_and_pays_for_no_fetch() {
    let world = World::cold();
    assert_eq!(world.verify("a").await, Verdict::Known);
    let before = world.looked();
    world.issuer.published.lock().unwrap().push(("b".to_owned(), 8));
    assert_eq!(world.verify("b").await, Verdict::Known);
    let fetches = world.issuer.fetches.load(Ordering::SeqCst);
    assert_eq!(world.follow(Missing::Kid("b"), before, world.clock.now(), "b").await, Verdict::Known);
    assert_eq!(world.issuer.fetches.load(Ordering::SeqCst), fetches);
}

#[tokio::test(start_paused = true)]
async fn a_rotation_is_picked_up_on_the_first_token_of_the_new_key() {
    let world = World::warm().await;
    let kept = Arc::clone(world.keys.current(world.clock.now()).unwrap().choose(Algorithm::RS256, Some("a")).unwrap());
    world.publish(&[("a", 7), ("b", 8)]);
    assert_eq!(world.verify("b").await, Verdict::Known);
    assert_eq!(world.fetches(), 2);
    let now = world.clock.now();
    assert!(
        Arc::ptr_eq(&kept, world.keys.current(now).unwrap().choose(Algorithm::RS256, Some("a")).unwrap()),
        "carried over"
    );

    pass(1).await;
    world.publish(&[("b", 8), ("c", 9)]);
    assert_eq!(world.verify("c").await, Verdict::Known);
    assert!(kept.is_retired(), "what was verified by a withdrawn key must not live on in a cache");
    pass(1).await;
    assert_eq!(world.verify("a").await, Verdict::Unknown);
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_document_keeps_the_very_same_set() {
    let world = World::warm().await;
    let before: *const KeySet = &raw const **world.keys.current(world.clock.now()).as_ref().unwrap();
    pass(527).await;
    world.verify("a").await;
    pass(1).await;
    assert_eq!(world.state().fetches_ok, 2);
    let after: *const KeySet = &raw const **world.keys.current(world.clock.now()).as_ref().unwrap();
    assert_eq!(before, after);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_made_up_keys_stays_within_the_bucket_and_harms_nobody() {
    let world = World::warm().await;
    world.delay(1);
    let mut flood = JoinSet::new();
    let begun = Instant::now();
    for number in 0..1000 {
        let stranger = world.clone();
        flood.spawn(async move { stranger.verify(&format!("made up {number}")).await });
        let before = Instant::now();
        assert_eq!(world.keys.current(world.clock.now()).map(|set| holds(&set, "a")), Some(true));
        assert_eq!(Instant::now(), before);
        sleep(Duration::from_millis(60)).await;
    }
    let took = begun.elapsed().as_secs();
    assert!(flood.join_all().await.into_iter().all(|verdict| verdict == Verdict::Unknown), "401, never 503");
    let allowed = 1 + 2 + usize::try_from(took / 30).unwrap();
    assert!(world.fetches() <= allowed, "{} fetches in {took} s", world.fetches());
    assert!(world.fetches() > 2, "the flood did cause fetches");
}

#[tokio::test(start_paused = true)]
async fn a_flood_does_not_keep_a_real_rotation_out() {
    let world = World::warm().await;
    let mut noticed = None;
    for tick in 0..1200u64 {
        world.verify(&format!("made up {tick}")).await;
        if tick == 200 {
            world.publish(&[("a", 7), ("b", 8)]);
        }
        if tick >= 200 && world.verify("b").await == Verdict::Known {
            noticed = Some(tick - 200);
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    assert!(noticed.expect("picked up at all") <= 301, "within one refill of 30 s, in tenths of a second: {noticed:?}");
}

#[tokio::test(start_paused = true)]
async fn an_emptied_set_is_the_issuers_word_and_the_old_one_serves_to_the_end_of_its_freshness() {
    let world = World::warm().await;
    world.publish(&[]);
    pass(527).await;
    world.verify("a").await;
    pass(1).await;
    let state = world.state();
    assert_eq!((state.fetches_failed, state.keys), (1, 1));
    assert_eq!(state.last_error.as_deref(), Some("jwk set without keys: the issuer has taken all of them back"));
    assert_eq!(
        world.issuer.rejected.load(Ordering::SeqCst),
        1,
        "the source is told, so that it looks for the set anew"
    );
    assert_eq!(world.verify("a").await, Verdict::Known);
    pass(72).await;
    assert!(!world.keys.alive(world.clock.now()), "and no longer");
}

#[tokio::test(start_paused = true)]
async fn a_key_replaced_under_its_name_is_fetched_once() {
    let world = World::warm().await;
    world.publish(&[("a", 8)]);
    let old = Arc::clone(world.keys.current(world.clock.now()).unwrap().choose(Algorithm::RS256, Some("a")).unwrap());
    assert_eq!(world.follow(Missing::SameKid("a"), world.looked(), world.clock.now(), "a").await, Verdict::Known);
    let now = world.clock.now();
    assert!(!Arc::ptr_eq(&old, world.keys.current(now).unwrap().choose(Algorithm::RS256, Some("a")).unwrap()));
    assert!(old.is_retired());
    pass(1).await;
    for _ in 0..100 {
        assert_eq!(
            world.follow(Missing::SameKid("a"), world.looked(), world.clock.now(), "a").await,
            Verdict::Unknown,
            "a forged signature"
        );
    }
    assert_eq!(world.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_bad_signature_stays_one_when_the_issuer_is_down() {
    let world = World::warm().await;
    world.mood(Mood::Down);
    let now = world.clock.now();
    let Answer::Wait(fetch) = world.keys.missing(Missing::SameKid("a"), world.looked(), now) else {
        panic!("a fetch is due")
    };
    assert_eq!(
        fetch.await,
        Fetched::Updated,
        "the gate looks once more and refuses the signature, it does not answer 503"
    );
    assert!(matches!(world.keys.missing(Missing::SameKid("a"), world.looked(), world.clock.now()), Answer::UnknownKey));
}

#[tokio::test(start_paused = true)]
async fn a_token_without_a_kid_costs_one_fetch_like_any_unknown_key() {
    let world = World::warm().await;
    for _ in 0..100 {
        world.follow(Missing::NoKid, world.looked(), world.clock.now(), "b").await;
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(world.fetches(), 2);
}
