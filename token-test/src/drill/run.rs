//! A script and an API in, every answer out that it gave meanwhile. Time is tokio's: paused in tests, real against a running service.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use tokio::time::{Instant, sleep_until, timeout};

use super::expect::{Answer, Expected, LIFE, Probe, What};
use super::report::{Report, Sample};
use super::{Act, Drill};
use crate::attacks::Target;
use crate::traffic::Endpoint;

/// How long one answer is waited for.
const LONGEST: Duration = Duration::from_secs(15);

/// What is under way beside the clock: requests, and what the user makes happen.
type UnderWay<'a> = FuturesUnordered<LocalBoxFuture<'a, Option<Sample>>>;

/// What begins or ends, by the number of its spell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Ends(usize),
    Begins(usize),
}

/// A token, and since when its key was published.
struct Held {
    token: String,
    published: u64,
}

/// The drill as it goes on.
struct Stage<'i, T> {
    drill: Drill<'i>,
    target: T,
    start: Instant,
    report: Report,
    published: u64,
    seen: Held,
    withdrawn: Option<(String, u64)>,
    /// Asked for keys so often when the flood began.
    hits: usize,
    made_up: u64,
}

pub(super) async fn run<'i, T: Target + Clone + 'i>(mut drill: Drill<'i>, target: T) -> Report {
    let last = drill.plan.spells.iter().map(|spell| spell.to).max().unwrap_or(0);
    let end = drill.end.unwrap_or(last + 30);
    let mut acts = std::mem::take(&mut drill.acts);
    acts.sort_by_key(|(at, _)| *at);
    let mut acts = acts.into_iter().peekable();
    let mut turns = turns(&drill).into_iter().peekable();

    let seen = Held { token: good(&drill).expires_in(Duration::from_secs(end + 7200)).mint(), published: 0 };
    let report = Report::new(drill.plan.spells.clone(), end);
    let mut stage = Stage {
        target,
        start: Instant::now(),
        report,
        published: 0,
        seen,
        withdrawn: None,
        hits: 0,
        made_up: 0,
        drill,
    };
    if let Err(why) = stage.settle().await {
        stage.report.finding(0, 0, format!("before the drill: a good token is not let in: {why}"));
        return stage.report;
    }
    stage.start = Instant::now();
    let mut under_way = UnderWay::new();
    for at in 0..=end {
        stage.until(at, &mut under_way).await;
        while let Some((_, turn)) = turns.next_if(|(when, _)| *when <= at) {
            stage.turn(turn, at);
        }
        while let Some((_, act)) = acts.next_if(|(when, _)| *when <= at) {
            under_way.push(happening(act));
        }
        stage.flood(at, &under_way);
        if at % stage.drill.plan.every == 0 {
            stage.probe(at, &under_way);
        }
        if let Some(watch) = &mut stage.drill.watch {
            watch(at, end, &stage.report);
        }
    }
    while let Some(sample) = under_way.next().await {
        stage.report.extend(sample);
    }
    // What was still on at the end.
    for (_, turn) in turns {
        if matches!(turn, Turn::Ends(_)) {
            stage.turn(turn, end);
        }
    }
    stage.report.sorted()
}

fn happening(act: Act<'_>) -> LocalBoxFuture<'_, Option<Sample>> {
    Box::pin(async move {
        act().await;
        None
    })
}

/// What begins and ends, in order: in one second what ends comes first.
fn turns(drill: &Drill<'_>) -> Vec<(u64, Turn)> {
    let spells = drill.plan.spells.iter().enumerate();
    let mut turns: Vec<_> = spells
        .flat_map(|(number, spell)| {
            let lasts = spell.to > spell.from;
            [Some((spell.from, Turn::Begins(number))), lasts.then_some((spell.to, Turn::Ends(number)))]
        })
        .flatten()
        .collect();
    turns.sort_unstable();
    turns
}

fn good(drill: &Drill<'_>) -> crate::TokenBuilder {
    drill.guarded.token().expires_in(Duration::from_secs(LIFE))
}

impl<'i, T: Target + Clone + 'i> Stage<'i, T> {
    /// Waits until the API lets a good token in: it may have to fetch the issuer's keys first.
    async fn settle(&mut self) -> Result<(), String> {
        let give_up = Instant::now() + self.drill.patience;
        loop {
            let mut target = self.target.clone();
            let request = self.request(&self.seen.token);
            let why = match timeout(LONGEST, target.send(request)).await {
                Ok(Ok(answer)) if answer.status().is_success() => return Ok(()),
                Ok(Ok(answer)) => format!("it answers {}", answer.status().as_u16()),
                Ok(Err(why)) => why,
                Err(_) => "it does not answer".to_owned(),
            };
            if Instant::now() >= give_up {
                return Err(why);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Notes answers as they come until the second begins.
    async fn until(&mut self, second: u64, under_way: &mut UnderWay<'i>) {
        let moment = self.start + Duration::from_secs(second);
        loop {
            tokio::select! {
                biased;
                Some(sample) = under_way.next(), if !under_way.is_empty() => self.report.extend(sample),
                () = sleep_until(moment) => return,
            }
        }
    }

    fn turn(&mut self, turn: Turn, at: u64) {
        let (number, begins) = match turn {
            Turn::Begins(number) => (number, true),
            Turn::Ends(number) => (number, false),
        };
        let issuer = self.drill.guarded.issuer;
        let spell = self.drill.plan.spells[number].clone();
        match (&spell.what, begins) {
            (What::Rotated, _) => {
                issuer.rotate();
                self.published = at;
            }
            (What::Withdrawn, _) => {
                issuer.rotate_hard();
                self.published = at;
                let seen = Held { token: self.long_lived(), published: at };
                self.withdrawn = Some((std::mem::replace(&mut self.seen, seen).token, at));
            }
            (What::Down | What::Slow(_), _) => self.faults(at),
            (What::Flood(_), true) => self.hits = issuer.hits(Endpoint::Jwks),
            (What::Flood(_), false) => {
                let asked = issuer.hits(Endpoint::Jwks).saturating_sub(self.hits);
                let most = self.drill.plan.promises.key_requests
                    * usize::try_from((at - spell.from).div_ceil(60)).unwrap_or(1);
                if asked > most {
                    self.report.finding(
                        spell.from,
                        at,
                        format!(
                            "the issuer was asked for keys {asked} times during a flood; expected: {most} at the most"
                        ),
                    );
                }
            }
            (What::Clock(_) | What::Act(..), _) => {}
        }
    }

    /// Sets the issuer's faults to what is on in this second: spells may overlap.
    fn faults(&self, at: u64) {
        let issuer = self.drill.guarded.issuer;
        issuer.heal();
        for spell in self.drill.plan.spells.iter().filter(|spell| spell.from <= at && at < spell.to) {
            match spell.what {
                What::Down => drop(issuer.faults().down()),
                What::Slow(by) => drop(issuer.faults().slow(by)),
                _ => {}
            }
        }
    }

    fn long_lived(&self) -> String {
        good(&self.drill).expires_in(Duration::from_secs(self.report.end() + 7200)).mint()
    }

    /// One round of requests.
    fn probe(&mut self, at: u64, under_way: &UnderWay<'i>) {
        let off = self.drill.plan.spells.iter().find_map(|spell| match spell.what {
            What::Clock(off) if spell.from <= at && at < spell.to => Some(off),
            _ => None,
        });
        let fresh = off.map_or_else(|| good(&self.drill), |off| good(&self.drill).clock_off(off)).mint();
        let mut round =
            vec![(Probe::Fresh, fresh, self.published), (Probe::Seen, self.seen.token.clone(), self.seen.published)];
        // A service asks its issuer, within bounds, because of a bad token. They are sent sparingly, so as to be no flood.
        let eventful = self.drill.plan.is_eventful(at);
        if eventful || self.is_once(at, 0) {
            round.push((Probe::Forged, good(&self.drill).forged().mint(), self.published));
        }
        if let Some((token, gone)) = &self.withdrawn
            && (at < gone + 10 * self.drill.plan.every || !eventful && self.is_once(at, 90))
        {
            round.push((Probe::Withdrawn, token.clone(), 0));
        }
        for (probe, token, published) in round {
            self.send(probe, &token, at, published, under_way);
        }
    }

    /// True in one round of each two minutes.
    fn is_once(&self, at: u64, offset: u64) -> bool {
        (at + 120 - offset) % 120 < self.drill.plan.every
    }

    /// The flood's share of this second.
    fn flood(&mut self, at: u64, under_way: &UnderWay<'i>) {
        let floods = self.drill.plan.spells.iter().filter(|spell| spell.from <= at && at < spell.to);
        let each: u32 = floods.map(|spell| if let What::Flood(each) = spell.what { each } else { 0 }).sum();
        for _ in 0..each {
            self.made_up += 1;
            let token = good(&self.drill).forged().kid(&format!("made-up-{}", self.made_up)).mint();
            self.send(Probe::Flood, &token, at, 0, under_way);
        }
    }

    fn request(&self, token: &str) -> Request<Bytes> {
        let request = Request::builder().method(self.drill.guarded.method.clone()).uri(&self.drill.guarded.path);
        let request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        request.body(Bytes::new()).expect("a path and a token that were written here")
    }

    fn send(&self, probe: Probe, token: &str, at: u64, published: u64, under_way: &UnderWay<'i>) {
        let gone = self.withdrawn.as_ref().map_or(0, |(_, gone)| *gone);
        let expected = self.drill.plan.expected(probe, at, published, gone);
        let (mut target, request, start) = (self.target.clone(), self.request(token), self.start);
        under_way.push(Box::pin(async move {
            let sent = Instant::now();
            let answer = timeout(LONGEST, target.send(request)).await;
            let at = sent.saturating_duration_since(start);
            let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {} s", LONGEST.as_secs())));
            Some(judged(probe, at, sent.elapsed(), answer, expected))
        }));
    }
}

fn judged(
    probe: Probe,
    at: Duration,
    took: Duration,
    answer: Result<Response<Bytes>, String>,
    expected: Expected,
) -> Sample {
    let (answer, detail) = match answer {
        Ok(response) => match response.status().as_u16() {
            status @ 200..=399 => (Answer::LetIn, status.to_string()),
            status @ 400..=499 => (Answer::Refused, status.to_string()),
            503 => (Answer::Unavailable, "503".to_owned()),
            status => (Answer::Broke, status.to_string()),
        },
        Err(why) => (Answer::Broke, why),
    };
    let right = expected.answers.contains(&answer) && took <= expected.within;
    Sample { at, probe, answer, detail, took, right, expected }
}
