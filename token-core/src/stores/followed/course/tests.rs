//! A follower against logs that grow, are cut short, lose their newest entries and start anew, in an order that chance picks.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// A server: the list of all that was ever written to it, and the log, of which only the newest part is kept.
#[derive(Clone, Default)]
struct Server {
    epoch: u64,
    list: BTreeSet<u64>,
    /// What was written, its mark, by number from 1.
    log: Vec<(u64, Mark)>,
    kept: usize,
}

impl Server {
    fn write(&mut self, what: u64) {
        self.list.insert(what);
        // A mark is as good as unique: it is random, not what was written.
        let mark = Mark((what.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.log.len() as u64).to_be_bytes());
        self.log.push((what, mark));
    }

    fn at(&self, number: u64) -> Option<Mark> {
        let index = usize::try_from(number).unwrap().checked_sub(1)?;
        (index >= self.log.len().saturating_sub(self.kept)).then(|| self.log.get(index).map(|(_, mark)| *mark))?
    }

    fn end(&self) -> Option<Place> {
        let number = self.log.len() as u64;
        Some((Position { epoch: self.epoch, number }, self.at(number)?))
    }

    /// What a read behind this position brings: what is still kept of it.
    fn behind(&self, position: Position) -> Vec<(Position, Mark, u64)> {
        let entries = (1..=self.log.len() as u64).filter_map(|number| {
            let position = Position { epoch: self.epoch, number };
            Some((position, self.at(number)?, self.log[number as usize - 1].0))
        });
        entries.filter(|(at, ..)| *at > position).collect()
    }
}

#[derive(Clone, Debug)]
enum Happening {
    /// Somebody writes so many entries.
    Write(u8),
    /// The follower reads on; the answer comes whole, or twice, or with its first entries missing.
    Read { twice: bool, skip: usize },
    /// The connection is lost and made again.
    Reconnect,
    /// A replica takes over that lacks the newest entries, and somebody writes to it.
    FailOver { lost: usize, seen: bool },
    /// The server comes back empty.
    Wiped,
    /// Somebody deletes the log, and the connection stays.
    Lost,
    /// Only so many entries of the log are kept from now on; the newest always is.
    Trim(usize),
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        4 => (1u8..4).prop_map(Happening::Write),
        6 => (any::<bool>(), prop_oneof![9 => Just(0usize), 1 => 1usize..3]).prop_map(|(twice, skip)| Happening::Read { twice, skip }),
        2 => Just(Happening::Reconnect),
        1 => (0usize..4, any::<bool>()).prop_map(|(lost, seen)| Happening::FailOver { lost, seen }),
        1 => Just(Happening::Wiped),
        1 => Just(Happening::Lost),
        1 => (1usize..6).prop_map(Happening::Trim),
    ];
    prop::collection::vec(one, 1..60)
}

/// The shell around the course, as a driver writes it.
struct Shell {
    course: Course,
    has: BTreeSet<u64>,
}

impl Shell {
    fn connect(&mut self, server: &mut Server) {
        let there =
            self.course.held().filter(|held| held.epoch == server.epoch).and_then(|held| server.at(held.number));
        if self.course.connected(server.end(), there) == Next::Load {
            self.load(server);
        }
    }

    fn load(&mut self, server: &mut Server) {
        if server.end().is_none() {
            // What opens a log is no entry of the list; it is written as one that nobody knows.
            server.write(0);
        }
        self.course.loading(server.end().unwrap());
        self.has.extend(&server.list);
        self.course.loaded(Timestamp::EPOCH);
    }

    fn read(&mut self, server: &mut Server, now: Timestamp, twice: bool, skip: usize) {
        let Some(held) = self.course.held() else { return self.connect(server) };
        self.connect(server);
        let held = self.course.held().unwrap_or(held);
        let (end, answer) = (server.end(), server.behind(held));
        let rounds = if twice { 2 } else { 1 };
        for (position, mark, what) in std::iter::repeat_n(answer.iter().skip(skip), rounds).flatten() {
            match self.course.heard(*position, *mark) {
                Verdict::Take => _ = self.has.insert(*what),
                Verdict::Skip => assert!(self.has.contains(what), "what was skipped was read before"),
                Verdict::Gap => return self.load(server),
            }
        }
        if self.course.quiet(now, end) == Next::Load {
            self.load(server);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_list_that_is_called_whole_holds_all_that_stood_on_the_server_by_then(happenings in happenings()) {
        let mut server = Server { epoch: 1, kept: 100, ..Server::default() };
        let mut shell = Shell { course: Course::new(), has: BTreeSet::new() };
        let (mut next, mut now) = (0u64, 0i64);
        shell.connect(&mut server);
        for happening in happenings {
            now += 1;
            match happening {
                Happening::Write(count) => (0..count).for_each(|_| { next += 1; server.write(next); }),
                Happening::Read { twice, skip } => {
                    if shell.course.is_following() {
                        shell.read(&mut server, Timestamp::from_millis(now), twice, skip);
                    } else {
                        shell.connect(&mut server);
                    }
                }
                Happening::Reconnect => { shell.course.lost(); shell.connect(&mut server); }
                Happening::FailOver { lost, seen } => {
                    let keep = server.log.len().saturating_sub(lost);
                    for (what, _) in server.log.split_off(keep) { server.list.remove(&what); }
                    // Somebody may write to the new one before the follower is there.
                    next += 1;
                    server.write(next);
                    // Behind a proxy, or in a Cluster, nobody notices.
                    if seen {
                        shell.course.lost();
                        shell.connect(&mut server);
                    }
                }
                Happening::Wiped => {
                    server = Server { epoch: server.epoch + 1, kept: server.kept, ..Server::default() };
                    shell.course.lost();
                    shell.connect(&mut server);
                }
                Happening::Lost => {
                    server.epoch += 1;
                    server.log.clear();
                }
                Happening::Trim(kept) => server.kept = kept,
            }
            // Read to the end: whatever the follower then calls whole has to be whole.
            if shell.course.whole_as_of() == Some(Timestamp::from_millis(now)) {
                prop_assert!(shell.has.is_superset(&server.list), "{:?} lacks of {:?}", shell.has, server.list);
            }
        }
        // However it went, one connection and one read later it is whole.
        shell.course.lost();
        shell.connect(&mut server);
        shell.read(&mut server, Timestamp::from_millis(now + 1), false, 0);
        shell.read(&mut server, Timestamp::from_millis(now + 1), false, 0);
        prop_assert_eq!(shell.course.whole_as_of(), Some(Timestamp::from_millis(now + 1)));
        prop_assert!(shell.has.is_superset(&server.list));
    }
}

const fn place(epoch: u64, number: u64, mark: u8) -> Place {
    (Position { epoch, number }, Mark([mark; 8]))
}

fn following(at: Place) -> Course {
    let mut course = Course::new();
    course.loading(at);
    course.loaded(Timestamp::EPOCH);
    course
}

#[test]
fn a_connection_is_followed_on_only_where_the_very_entry_stands_that_was_read_last() {
    let held = place(1, 5, 5);
    for (name, end, there, follows) in [
        ("the same server", Some(place(1, 5, 5)), Some(5), true),
        ("it went on", Some(place(1, 9, 9)), Some(5), true),
        ("another entry stands there", Some(place(1, 9, 9)), Some(6), false),
        ("the entry was trimmed away", Some(place(1, 900, 9)), None, false),
        ("it lacks the newest", Some(place(1, 4, 4)), None, false),
        ("it was begun anew", Some(place(2, 9, 9)), None, false),
        ("it is empty", None, None, false),
    ] {
        let mut course = following(held);
        course.lost();
        let next = course.connected(end, there.map(|mark| Mark([mark; 8])));
        assert_eq!(next == Next::Read(Position { epoch: 1, number: 5 }), follows, "{name}: {next:?}");
    }
    assert_eq!(Course::new().connected(Some(place(1, 1, 1)), None), Next::Load, "the first time");
}

#[test]
fn the_next_entry_is_taken_an_older_one_skipped_and_anything_else_a_gap() {
    for (name, held, position, verdict) in [
        ("the next", place(1, 5, 0), (1, 6), Verdict::Take),
        ("again", place(1, 5, 0), (1, 5), Verdict::Skip),
        ("an old one", place(1, 5, 0), (1, 1), Verdict::Skip),
        ("one is missing", place(1, 5, 0), (1, 7), Verdict::Gap),
        ("another log", place(1, 5, 0), (2, 6), Verdict::Gap),
        ("an older log", place(2, 5, 0), (1, 6), Verdict::Gap),
        ("a number past all", place(1, u64::MAX, 0), (1, 0), Verdict::Skip),
    ] {
        let (epoch, number) = position;
        let heard = following(held).heard(Position { epoch, number }, Mark([0; 8]));
        assert_eq!(heard, verdict, "{name}");
    }
}

#[test]
fn a_log_is_quiet_only_where_its_end_was_reached() {
    for (name, end, whole) in [
        ("the end", Some(place(1, 5, 5)), true),
        ("past what was its end", Some(place(1, 4, 4)), true),
        ("an end nobody heard of", Some(place(1, 6, 6)), false),
        ("another entry stands there", Some(place(1, 5, 6)), false),
        ("another log", Some(place(2, 1, 1)), false),
        ("the log is gone", None, false),
    ] {
        let mut course = following(place(1, 5, 5));
        let next = course.quiet(Timestamp::from_secs(9), end);
        assert_eq!(next != Next::Load, whole, "{name}");
        assert_eq!(course.whole_as_of() == Some(Timestamp::from_secs(9)), whole, "{name}");
    }
}

#[test]
fn a_clock_that_was_set_back_makes_nothing_fresh() {
    let bound = std::time::Duration::from_secs(2);
    for (as_of, now, fresh) in [
        (10_000, 10_000, true),
        (10_000, 11_999, true),
        (10_000, 12_000, false),
        (10_000, 8_000, false),
        (10_000, 8_001, true),
    ] {
        assert_eq!(is_fresh(Timestamp::from_millis(as_of), Timestamp::from_millis(now), bound), fresh, "{as_of} {now}");
    }
}

#[test]
fn what_was_left_out_ends_the_course() {
    let mut course = following(place(1, 5, 5));
    course.quiet(Timestamp::from_secs(1), Some(place(1, 5, 5)));
    assert_eq!(course.whole_as_of(), Some(Timestamp::from_secs(1)));
    course.lost();
    assert_eq!(course.whole_as_of(), Some(Timestamp::from_secs(1)), "what is known ages, and is not forgotten");
    course.left_out();
    assert_eq!((course.whole_as_of(), course.held()), (None, None));
    course.quiet(Timestamp::from_secs(2), Some(place(1, 5, 5)));
    assert_eq!(course.whole_as_of(), None);
}
