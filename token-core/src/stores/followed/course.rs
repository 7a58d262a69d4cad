//! What a follower has read of the log in; what to read next, and until when the list is complete, out. Handles order,
//! gaps and duplicates. Pure.

use crate::base::time::Timestamp;

/// A position in a log. Within one epoch, numbers are consecutive. A log that was lost and started again has another
/// epoch.
///
/// In Redis it is the ID of the entry: `epoch-number`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The epoch: the time of the log's first entry, in milliseconds since 1970.
    pub epoch: u64,
    /// The number of the entry, counted from 1.
    pub number: u64,
}

/// Eight random bytes that the writer gave an entry. They distinguish entries at the same position in two histories, as
/// when a server is replaced by one that lacked the newest entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark(pub [u8; 8]);

/// One entry of a log: its position and its mark.
pub type Place = (Position, Mark);

/// What the code that reads the log must do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Read the log after this position.
    Read(Position),
    /// Entries may be missing: read the newest entry of the log, then the complete list, and go on from that entry.
    /// Append [`Opened`](super::Change::Opened) to an empty log first; from an empty log nobody could tell whether
    /// entries were lost.
    Load,
}

/// What to do with one entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the next one: apply it.
    Take,
    /// It was read before: skip it.
    Skip,
    /// Entries between the last one and this one are missing.
    Gap,
}

/// The stage of a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No connection, or one that is not trusted yet.
    Cut,
    /// The list is being read; the log will be followed from this entry on.
    Loading(Place),
    /// The log is being followed.
    Following,
}

/// What a follower has read, and until when the list is known to be complete.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    /// The entry that was read last; `None` if the list was never read completely.
    held: Option<Place>,
    stage: Stage,
    whole_as_of: Option<Timestamp>,
}

impl Course {
    pub(crate) fn new() -> Self {
        Self { held: None, stage: Stage::Cut, whole_as_of: None }
    }

    /// Until when the list is known to be complete; `None` if it never was, or if an entry did not fit.
    pub(crate) fn whole_as_of(&self) -> Option<Timestamp> {
        self.whole_as_of
    }

    pub(crate) fn is_following(&self) -> bool {
        self.stage == Stage::Following
    }

    /// The position whose entry a connection must be asked for before it is [trusted](Self::connected).
    pub(crate) fn held(&self) -> Option<Position> {
        self.held.map(|(position, _)| position)
    }

    /// Handles a new connection, or a repeated check of one, since the server behind it may have been replaced. `end`
    /// is the newest entry of its log; `there` is the mark of its entry at the [held](Self::held) position. Only a log
    /// that contains the very entry that was read last contains everything read before.
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

    /// The end of the log was read, and the complete list is read next.
    pub(crate) fn loading(&mut self, end: Place) {
        self.stage = Stage::Loading(end);
    }

    /// The complete list was read. The end of the log had been asked for at `asked`.
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

    /// Decides what to do with this entry of the log.
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

    /// The log was asked at `asked`: `end` was its newest entry then, and there is nothing after what was read.
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

    /// The connection is lost. What was read stays valid, and ages.
    pub(crate) fn lost(&mut self) {
        self.stage = Stage::Cut;
    }

    /// An entry did not fit: the list is incomplete and must be read again.
    pub(crate) fn left_out(&mut self) {
        *self = Self::new();
    }
}

/// Whether a list that was complete at `as_of` may be used at `now`. A clock that was set back by more than `bound`
/// does not make a list fresh.
pub(crate) fn is_fresh(as_of: Timestamp, now: Timestamp, bound: std::time::Duration) -> bool {
    now.since(as_of) < bound && as_of.since(now) < bound
}

#[cfg(test)]
mod tests;
