//! What a follower heard of the log in, what to do next and how far the list is known out: order, gaps, duplicates. Pure.

use crate::base::time::Timestamp;

/// A place in a log. Within one epoch the numbers follow each other without a hole; a log that was lost and begun anew is another epoch.
///
/// In Redis it is the entry's own ID: `epoch-number`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Which log: milliseconds since 1970, of its first entry.
    pub epoch: u64,
    /// The how-manieth entry of it, from 1.
    pub number: u64,
}

/// Eight random bytes that the writer gave an entry. Two entries that stand at one position in two histories (a server was replaced by
/// one that lacked the newest entries) differ in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark(pub [u8; 8]);

/// One entry of a log: where it stands, and which it is.
pub type Place = (Position, Mark);

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Read the log behind this position.
    Read(Position),
    /// Something may be missing: read the end of the log, then the whole list, then go on from that end. A log without entries is
    /// [opened](super::Change::Opened) first: where nothing stands nobody can tell whether something stood.
    Load,
}

/// What is to be done about one entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the next one.
    Take,
    /// It was read before.
    Skip,
    /// Entries between the last one and this one were not read.
    Gap,
}

/// Where a follower stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No connection, or one that is not trusted yet.
    Cut,
    /// The list is being read; the log will be followed from here on.
    Loading(Place),
    /// The log is being followed.
    Following,
}

/// A follower's course: what it has read, and until when that is the whole list.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    /// The entry that was read last; `None` where the list was never read whole.
    held: Option<Place>,
    stage: Stage,
    whole_as_of: Option<Timestamp>,
}

impl Course {
    pub(crate) fn new() -> Self {
        Self { held: None, stage: Stage::Cut, whole_as_of: None }
    }

    /// Until when everything is known; `None` where it never was, or where something had to be left out.
    pub(crate) fn whole_as_of(&self) -> Option<Timestamp> {
        self.whole_as_of
    }

    pub(crate) fn is_following(&self) -> bool {
        self.stage == Stage::Following
    }

    /// The position whose entry a connection has to be asked for before it is [trusted](Self::connected).
    pub(crate) fn held(&self) -> Option<Position> {
        self.held.map(|(position, _)| position)
    }

    /// There is a connection, or the log is about to be asked once more: who answers may have changed behind it. `end` is the newest entry of its log; `there` is the mark that it has at the [held](Self::held) position. Only a log
    /// that has the very entry that was read last has all that was read before it.
    pub(crate) fn connected(&mut self, end: Option<Place>, there: Option<Mark>) -> Next {
        if let (Some((position, mark)), Some((end, _))) = (self.held, end)
            && there == Some(mark)
            && end.epoch == position.epoch
            && end >= position
        {
            self.stage = Stage::Following;
            return Next::Read(position);
        }
        Next::Load
    }

    /// The end of the log was read, and the list is read from now on.
    pub(crate) fn loading(&mut self, end: Place) {
        self.stage = Stage::Loading(end);
    }

    /// The whole list was read; its end of the log had been asked for at `asked`.
    pub(crate) fn loaded(&mut self, asked: Timestamp) -> Next {
        match self.stage {
            Stage::Loading(end) => {
                self.held = Some(end);
                self.stage = Stage::Following;
                self.whole_as_of = Some(asked);
                Next::Read(end.0)
            }
            Stage::Cut | Stage::Following => Next::Load,
        }
    }

    /// The log has this entry.
    pub(crate) fn heard(&mut self, position: Position, mark: Mark) -> Verdict {
        if self.stage != Stage::Following {
            return Verdict::Gap;
        }
        let verdict = match self.held {
            Some((last, _)) if position.epoch == last.epoch && position.number <= last.number => Verdict::Skip,
            Some((last, _)) if position.epoch == last.epoch && position.number == last.number + 1 => Verdict::Take,
            _ => Verdict::Gap,
        };
        match verdict {
            Verdict::Take => self.held = Some((position, mark)),
            Verdict::Skip => {}
            Verdict::Gap => self.stage = Stage::Cut,
        }
        verdict
    }

    /// The log was asked at `asked`: `end` was its newest entry then, and by now there is nothing behind what was heard.
    pub(crate) fn quiet(&mut self, asked: Timestamp, end: Option<Place>) -> Next {
        if self.stage == Stage::Following
            && let (Some((held, mark)), Some((end, theirs))) = (self.held, end)
            && held.epoch == end.epoch
            && (held.number > end.number || (held == end && mark == theirs))
        {
            // A clock that was set back counts: what was asked by the old time may lie hours ahead of it.
            self.whole_as_of = Some(asked);
            return Next::Read(held);
        }
        self.stage = Stage::Cut;
        Next::Load
    }

    /// The connection is gone. What is known stays known, and ages.
    pub(crate) fn lost(&mut self) {
        self.stage = Stage::Cut;
    }

    /// Something had to be left out for want of room: the list is not whole, and has to be read anew.
    pub(crate) fn left_out(&mut self) {
        *self = Self::new();
    }
}

/// Whether a list that was whole at `as_of` may be gone by at `now`. A clock that was set back by more than `bound` makes nothing fresh.
pub(crate) fn is_fresh(as_of: Timestamp, now: Timestamp, bound: std::time::Duration) -> bool {
    now.since(as_of) < bound && as_of.since(now) < bound
}

#[cfg(test)]
mod tests;
