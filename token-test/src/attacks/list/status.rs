//! Tokens that their status list does not call valid, out (Token Status List sections 6 to 8).

use serde_json::json;

use super::super::class::Class;
use super::{Attack, Bait};
use crate::TestStatusList;
use crate::mint::TokenBuilder;

impl Bait<'_> {
    pub(super) fn status(&self, all: &mut Vec<Attack>) {
        let Some(list) = &self.status_list else { return };
        const STATUS: &str = "Token Status List 7.1";
        const PLACE: &str = "Token Status List 6.2";
        let mut add = |name, clause, token: TokenBuilder| {
            all.push(self.bearer(Class::Status, name, clause, &token.mint()));
        };
        for (name, index) in [
            ("a token that was revoked", TestStatusList::INVALID),
            ("a token that is suspended", TestStatusList::SUSPENDED),
            ("a token with a status of an application", 3),
        ] {
            add(name, STATUS, self.token().status(list, index.into()));
        }
        add("a place beyond the end of the list", "Token Status List 8.3", self.token().status(list, 10_000_000));
        let place = |index: serde_json::Value, uri: &str| {
            self.token().claim("status", json!({"status_list": {"idx": index, "uri": uri}}))
        };
        let uri = list.uri();
        for (name, index) in [
            ("a place before the start of the list", json!(-1)),
            ("a place that is a text", json!("0")),
            ("a place that is a fraction", json!(0.5)),
            ("a place that is null", json!(null)),
            ("a place past all numbers", json!(1e300)),
        ] {
            add(name, PLACE, place(index, &uri));
        }
        for (name, uri) in [
            ("a list at a stranger's", "https://status.example/lists/1"),
            ("a list at the address of a cloud's metadata", "http://169.254.169.254/latest/meta-data"),
            ("a list that is a file", "file:///etc/passwd"),
            ("a list of no address", ""),
        ] {
            add(name, "Token Status List 11", place(json!(0), uri));
        }
        add("a status that is null", PLACE, self.token().claim("status", json!(null)));
        add("a status that is a text", PLACE, self.token().claim("status", "valid"));
        add("a status of another kind", PLACE, self.token().claim("status", json!({"valid": true})));
        add(
            "a status list token with an access token's claims",
            "Token Status List 5.1",
            self.token().header("typ", "statuslist+jwt"),
        );
    }
}
