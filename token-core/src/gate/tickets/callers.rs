//! A caller who asks for a ticket in, whether there is room for one more of theirs out: no caller takes the room of all others.

use std::collections::HashMap;
use std::fmt;
use std::sync::PoisonError;
use std::time::Duration;

use crate::base::sync::Mutex;
use crate::base::time::Timestamp;
use crate::jose::signature::sha256;
use crate::verify::verified::Verified;

/// How many tickets one caller obtains at most while one is valid. A page opens a few connections; a store has room for 10,000.
pub(crate) const MOST: usize = 100;
/// How many callers are counted. Beyond that, the bound of the store is the only one.
const CALLERS: usize = 10_000;

/// Counts the tickets of each caller.
#[derive(Default)]
pub(crate) struct Callers(Mutex<HashMap<[u8; 32], Window>>);

/// The tickets of one caller since `began`.
struct Window {
    began: Timestamp,
    issued: usize,
}

impl Callers {
    /// Counts one more ticket of this caller, if it is not one too many. `life` is how long tickets are valid.
    pub(crate) fn has_room(&self, caller: [u8; 32], life: Duration, now: Timestamp) -> bool {
        let mut callers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_open = |window: &Window| window.began <= now && now.since(window.began) < life;
        if callers.len() >= CALLERS && !callers.contains_key(&caller) {
            callers.retain(|_, window| is_open(window));
            if callers.len() >= CALLERS {
                return true;
            }
        }
        let window = callers.entry(caller).or_insert(Window { began: now, issued: 0 });
        if !is_open(window) {
            *window = Window { began: now, issued: 0 };
        }
        let has_room = window.issued < MOST;
        window.issued += usize::from(has_room);
        has_room
    }
}

/// Whose token it is: the subject's, or the client's that has no subject. A token that names neither is a caller of its own.
pub(crate) fn caller(verified: &Verified, token: &str) -> [u8; 32] {
    let (kind, name) = match (verified.subject(), verified.client_id()) {
        (Some(subject), _) => ("sub", subject),
        (None, Some(client)) => ("client", client),
        (None, None) => ("token", token),
    };
    let issuer = verified.issuer();
    sha256(format!("{kind} {}:{issuer} {name}", issuer.len()).as_bytes())
}

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callers")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(30);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + seconds)
    }

    fn name(number: usize) -> [u8; 32] {
        sha256(&number.to_be_bytes())
    }

    #[test]
    fn one_caller_has_a_hundred_at_a_time_and_takes_no_room_of_others() {
        let callers = Callers::default();
        for _ in 0..MOST {
            assert!(callers.has_room(name(1), LIFE, at(0)));
        }
        assert!(!callers.has_room(name(1), LIFE, at(29)));
        assert!(callers.has_room(name(2), LIFE, at(29)));
        assert!(callers.has_room(name(1), LIFE, at(30)), "the first ones have expired");
        assert!(callers.has_room(name(1), LIFE, at(-3600)), "a clock that is set back keeps nobody out");
    }

    #[test]
    fn as_many_callers_are_counted_as_there_is_room_for() {
        let callers = Callers::default();
        for number in 0..2 * CALLERS {
            assert!(callers.has_room(name(number), LIFE, at(0)));
        }
        assert_eq!(callers.0.lock().unwrap().len(), CALLERS);
        assert!(callers.has_room(name(3 * CALLERS), LIFE, at(30)));
        assert_eq!(callers.0.lock().unwrap().len(), 1);
    }
}
