//! What an API asked for goes in, the scopes to ask the server for come out: chosen once, then only growing (RFC 6750 section 3,
//! "scope selection" and "step-up" of the Model Context Protocol's authorization). Pure.

use std::collections::BTreeSet;

/// The most scopes that are asked for because of what an API says. It may name a new one in each challenge; each is one more request for a token,
/// and perhaps one more question to the user.
const MOST: usize = 64;

/// The scopes that were asked for so far, and those that a challenge has added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scopes {
    /// What the operator wants beside whatever the API asks for.
    own: BTreeSet<String>,
    /// What challenges named, and what was asked for before. At most [`MOST`].
    asked: BTreeSet<String>,
}

impl Scopes {
    pub(super) fn of(own: &str) -> Self {
        Self { own: split(own).collect(), asked: BTreeSet::new() }
    }

    /// Adds what a challenge names: all of it, or nothing where it would be too much. Whether that is more than was asked for before.
    pub(super) fn add(&mut self, scope: &str) -> bool {
        let mut asked = self.asked.clone();
        asked.extend(split(scope).take(MOST + 1));
        let more = asked.len() > self.asked.len() && asked.len() <= MOST;
        if more {
            self.asked = asked;
        }
        more
    }

    /// What to ask for: the challenge's scopes, else all that the API's metadata lists, else none; with those of before, and with our own.
    pub(super) fn choose(&mut self, supported: Option<&[String]>, refreshes: bool) -> String {
        if self.asked.is_empty() {
            self.asked.extend(supported.unwrap_or_default().iter().flat_map(|scope| split(scope)).take(MOST));
        }
        if refreshes {
            self.asked.insert("offline_access".to_owned());
        }
        let all: Vec<&str> = self.own.union(&self.asked).map(String::as_str).collect();
        all.join(" ")
    }
}

fn split(scope: &str) -> impl Iterator<Item = String> + '_ {
    scope.split_ascii_whitespace().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_comes_before_the_metadata_and_scopes_only_grow() {
        let supported = ["files:read".to_owned(), "files:write".to_owned()];
        type Row<'a> = (&'a str, &'a [&'a str], Option<&'a [String]>, bool, &'a str);
        let table: [Row<'_>; 7] = [
            ("", &[], None, false, ""),
            ("", &[], Some(&supported), false, "files:read files:write"),
            ("", &["mcp:basic"], Some(&supported), false, "mcp:basic"),
            ("", &["a b", "c"], Some(&supported), false, "a b c"),
            ("openid", &["a"], None, false, "a openid"),
            ("openid", &[], Some(&supported), true, "files:read files:write offline_access openid"),
            ("", &["a"], None, true, "a offline_access"),
        ];
        for (own, challenges, supported, refreshes, expected) in table {
            let mut scopes = Scopes::of(own);
            for challenge in challenges {
                assert!(scopes.add(challenge));
                assert!(!scopes.add(challenge), "nothing new");
            }
            assert_eq!(scopes.choose(supported, refreshes), expected);
            assert_eq!(scopes.choose(supported, refreshes), expected, "choosing again changes nothing");
        }
    }

    #[test]
    fn an_api_that_names_ever_more_is_not_followed_without_end() {
        let mut scopes = Scopes::default();
        let grown = (0..1000).filter(|number| scopes.add(&format!("order:{number}"))).count();
        assert_eq!(grown, MOST);
        assert_eq!(scopes.choose(None, false).split(' ').count(), MOST);
        let many: Vec<String> = (0..1000).map(|number| format!("s{number}")).collect();
        assert!(!Scopes::default().add(&many.join(" ")), "half of what a call needs is no use");
        assert_eq!(Scopes::default().choose(Some(&many), false).split(' ').count(), MOST);
    }

    #[test]
    fn a_step_up_keeps_what_the_metadata_brought() {
        let mut scopes = Scopes::default();
        scopes.choose(Some(&["a".to_owned()]), false);
        assert!(scopes.add("b"));
        assert_eq!(scopes.choose(Some(&["a".to_owned()]), false), "a b");
    }
}
