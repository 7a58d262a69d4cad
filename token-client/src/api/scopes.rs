//! The scopes that an API asked for in, the scopes to request out. They are chosen once and then only added to (RFC
//! 6750 section 3; "scope selection" and "step-up" of the Model Context Protocol's authorization). Pure.

use std::collections::BTreeSet;

/// The most scopes that are requested because an API asks for them. It could name a new one in each challenge; each
/// costs a token request, and possibly another question to the user.
const MOST: usize = 64;

/// The scopes that were requested so far, and those that challenges added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scopes {
    /// The operator's scopes, in addition to those that the API asks for.
    own: BTreeSet<String>,
    /// The scopes from challenges, and those requested before. At most [`MOST`].
    asked: BTreeSet<String>,
}

impl Scopes {
    pub(super) fn of(own: &str) -> Self {
        Self { own: split(own).collect(), asked: BTreeSet::new() }
    }

    /// Adds the scopes of a challenge: all of them, or none if there would be too many. Returns whether any of them is
    /// new.
    pub(super) fn add(&mut self, scope: &str) -> bool {
        let mut asked = self.asked.clone();
        asked.extend(split(scope).take(MOST + 1));
        let more = asked.len() > self.asked.len() && asked.len() <= MOST;
        if more {
            self.asked = asked;
        }
        more
    }

    /// The scopes to request: those of the challenge, otherwise all in the API's metadata, otherwise none; plus those
    /// requested before, and the operator's.
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
