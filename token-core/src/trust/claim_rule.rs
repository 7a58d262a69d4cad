//! What a claim or header member must contain for an issuer's tokens to be accepted, as data (RFC 7519 section 4).

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::answer::error::{Error, ErrorKind};
use crate::token::mapping::ClaimPath;

/// A requirement on one claim, in addition to those for every token. Values are compared exactly.
///
/// ```
/// use token_core::ClaimRule;
///
/// let cognito = ClaimRule::one_of("token_use", ["access"]);
/// let domain = ClaimRule::one_of("hd", ["example.com"]);
/// let clerk = ClaimRule::one_of("azp", ["https://app.example.com"]).or_absent();
/// let user_or_app = ClaimRule::any_present(["scp", "roles"]);
/// # let _ = (cognito, domain, clerk, user_or_app);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct ClaimRule {
    /// The claims. At least one of them must be present (and not null).
    claims: Vec<ClaimPath>,
    /// The accepted values: the claim must be one of these strings, or an array that contains one. Without this list,
    /// presence is enough. An empty list is an error.
    #[serde(default, deserialize_with = "listed", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    one_of: Option<Vec<String>>,
    /// Whether a token without the claim is accepted. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    or_absent: bool,
    /// Whether the claims must be absent instead. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    absent: bool,
    /// Whether the rule is about members of the JWS header instead of claims. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    header: bool,
}

impl ClaimRule {
    /// Requires the claim to be one of these strings, or an array that contains one. With an empty list no server can
    /// be built: a list that is empty by accident would admit everybody or nobody.
    #[must_use]
    pub fn one_of<V: Into<String>>(claim: impl Into<ClaimPath>, values: impl IntoIterator<Item = V>) -> Self {
        let one_of = Some(values.into_iter().map(Into::into).collect());
        Self { claims: vec![claim.into()], one_of, or_absent: false, absent: false, header: false }
    }

    /// Requires at least one of these claims to be present and not null.
    #[must_use]
    pub fn any_present<C: Into<ClaimPath>>(claims: impl IntoIterator<Item = C>) -> Self {
        let claims = claims.into_iter().map(Into::into).collect();
        Self { claims, one_of: None, or_absent: false, absent: false, header: false }
    }

    /// Requires the claim to be absent or null: for claims that mark another kind of token.
    #[must_use]
    pub fn absent(claim: impl Into<ClaimPath>) -> Self {
        Self { claims: vec![claim.into()], one_of: None, or_absent: false, absent: true, header: false }
    }

    /// Requires the member of the JWS header to be one of these strings, for issuers that put into the header what
    /// belongs in the claims.
    #[must_use]
    pub fn header<V: Into<String>>(member: &str, values: impl IntoIterator<Item = V>) -> Self {
        Self { header: true, ..Self::one_of(member, values) }
    }

    /// Also accepts tokens without the claim.
    #[must_use]
    pub fn or_absent(mut self) -> Self {
        self.or_absent = true;
        self
    }

    /// Whether the rule requires this claim to be absent.
    pub(crate) fn forbids(&self, claim: &str) -> bool {
        self.absent && self.claims.contains(&ClaimPath::from(claim))
    }

    pub(crate) fn reads_header(&self) -> bool {
        self.header
    }

    /// Why this rule cannot be used, if so.
    pub(crate) fn flaw(&self) -> Option<&'static str> {
        match (self.claims.is_empty(), self.one_of.is_none(), self.or_absent) {
            (true, ..) => Some("a claim rule names no claim"),
            _ if self.absent && (self.or_absent || self.one_of.is_some()) => {
                Some("a claim rule demands that a claim is absent, and what it is")
            }
            _ if self.one_of.as_ref().is_some_and(Vec::is_empty) => {
                Some("a claim rule demands one of no values: the list of those that are let in is empty")
            }
            (_, true, true) => Some("a claim rule demands nothing: the claim may be anything or absent"),
            _ => None,
        }
    }

    /// Checks the rule. The caller has verified the signature over `claims` and `header`.
    pub(crate) fn check(&self, claims: &Value, header: &Value) -> Result<(), Error> {
        let subject = if self.header { header } else { claims };
        let found: Vec<_> =
            self.claims.iter().filter_map(|path| path.find(subject)).filter(|value| !value.is_null()).collect();
        let holds = match found.as_slice() {
            found if self.absent => found.is_empty(),
            [] => self.or_absent,
            _ if self.one_of.is_none() => true,
            values => values.iter().any(|value| self.accepts(value)),
        };
        if holds { Ok(()) } else { Err(Error::new(ErrorKind::ClaimsMismatch, self.describe())) }
    }

    fn accepts(&self, value: &Value) -> bool {
        let ours = |text: &str| self.one_of.iter().flatten().any(|one| one == text);
        match value {
            Value::String(text) => ours(text),
            Value::Array(all) => all.iter().filter_map(Value::as_str).any(ours),
            _ => false,
        }
    }

    /// Names the claims and expected values. Both come from the operator, not from the token.
    fn describe(&self) -> String {
        let claims: Vec<_> = self.claims.iter().map(ToString::to_string).collect();
        let place = if self.header { "the header's member" } else { "the claim" };
        match &self.one_of {
            None if self.absent => format!("expected {place} {} to be absent", claims.join(" or ")),
            None => format!("expected {place} {} to be there", claims.join(" or ")),
            Some(one_of) => format!("expected {place} {} to be {}", claims.join(" or "), one_of.join(" or ")),
        }
    }
}

/// A list; `null` is an error.
fn listed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    Vec::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_holds_for_whole_values_only() {
        let group = ClaimRule::one_of("groups", ["admin"]);
        let optional = ClaimRule::one_of("azp", ["https://a"]).or_absent();
        let either = ClaimRule::any_present(["scp", "roles"]);
        let bare = ClaimRule::absent("aud");
        let nested = ClaimRule::one_of(["kubernetes.io", "namespace"], ["prod"]);
        for (rule, claims, expected) in [
            (&group, json!({"groups": "admin"}), true),
            (&group, json!({"groups": ["x", "admin"]}), true),
            (&group, json!({"groups": ["administrator"]}), false),
            (&group, json!({"groups": {"admin": 1}}), false),
            (&group, json!({}), false),
            (&group, json!({"groups": null}), false),
            (&optional, json!({}), true),
            (&optional, json!({"azp": "https://a"}), true),
            (&optional, json!({"azp": "https://a/"}), false),
            (&either, json!({"roles": []}), true),
            (&either, json!({"other": 1}), false),
            (&bare, json!({}), true),
            (&bare, json!({"aud": null}), true),
            (&bare, json!({"aud": []}), false),
            (&bare, json!({"aud": "x"}), false),
            (&nested, json!({"kubernetes.io": {"namespace": "prod"}}), true),
            (&nested, json!({"kubernetes.io": {"namespace": "test"}}), false),
        ] {
            assert_eq!(rule.check(&claims, &json!({})).is_ok(), expected, "{rule:?} {claims}");
        }
    }

    #[test]
    fn a_list_that_came_out_empty_lets_nobody_in() {
        let empty = || Vec::<String>::new();
        for rule in [
            ClaimRule::one_of("repository_id", empty()),
            ClaimRule::one_of("repository_id", empty()).or_absent(),
            ClaimRule::header("repository_id", empty()),
            serde_json::from_value(json!({"claims": ["repository_id"], "one_of": []})).unwrap(),
        ] {
            assert!(rule.flaw().is_some_and(|why| why.contains("empty")), "{rule:?}");
            let anybody = json!({"repository_id": "999"});
            assert!(rule.check(&anybody, &anybody).is_err(), "{rule:?}");
            let written = serde_json::to_value(&rule).unwrap();
            assert_eq!(serde_json::from_value::<ClaimRule>(written).unwrap(), rule);
        }
        assert!(serde_json::from_value::<ClaimRule>(json!({"claims": ["a"], "one_of": null})).is_err());
    }

    #[test]
    fn a_rule_about_the_header_does_not_look_at_claims() {
        let signer = ClaimRule::header("signer", ["arn:1"]);
        assert!(signer.check(&json!({}), &json!({"signer": "arn:1"})).is_ok());
        let error = signer.check(&json!({"signer": "arn:1"}), &json!({"signer": "canary"})).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ClaimsMismatch);
        assert!(!error.to_string().contains("canary"));
    }
}
