//! `authorization_details`: permissions more precise than scopes (RFC 9396 sections 2 and 9), and what a rule requires
//! of them.

use std::borrow::Cow;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// The authorization details of a token, in order. Empty if the token has none.
///
/// Deserialize it from a complete set of claims, or as a member of your claims struct.
#[derive(Clone, Default, Deserialize)]
pub struct AuthorizationDetails {
    #[serde(default, rename = "authorization_details")]
    list: Vec<AuthorizationDetail>,
}

/// One authorization detail (RFC 9396 section 2). Its meaning depends on its type; the common members are available as
/// fields.
#[derive(Clone)]
#[non_exhaustive]
pub struct AuthorizationDetail {
    /// `type`: the kind of permission, as defined by the API.
    pub kind: String,
    /// `locations`: the resources that it applies to.
    pub locations: Vec<String>,
    /// `actions`: the permitted actions.
    pub actions: Vec<String>,
    /// `datatypes`: the kinds of data.
    pub datatypes: Vec<String>,
    /// `identifier`: the specific item that it applies to.
    pub identifier: Option<String>,
    /// `privileges`: the levels of permission.
    pub privileges: Vec<String>,
    json: Box<RawValue>,
}

#[derive(Deserialize)]
struct Common {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    locations: Vec<String>,
    #[serde(default)]
    actions: Vec<String>,
    #[serde(default)]
    datatypes: Vec<String>,
    #[serde(default)]
    identifier: Option<String>,
    #[serde(default)]
    privileges: Vec<String>,
}

impl<'de> Deserialize<'de> for AuthorizationDetail {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        // Nothing of the value goes into the text of the error.
        let common: Common = serde_json::from_str(json.get()).map_err(|_| {
            serde::de::Error::custom("an authorization detail is not an object with a type and lists of texts")
        })?;
        // serde takes an array for a struct; RFC 9396 does not.
        if !json.get().starts_with('{') {
            return Err(serde::de::Error::custom("an authorization detail is not an object"));
        }
        let Common { kind, locations, actions, datatypes, identifier, privileges } = common;
        Ok(Self { kind, locations, actions, datatypes, identifier, privileges, json })
    }
}

impl AuthorizationDetails {
    /// The details, in the order of the token.
    pub fn iter(&self) -> impl Iterator<Item = &AuthorizationDetail> {
        self.list.iter()
    }

    /// The details of one type.
    pub fn of_type<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a AuthorizationDetail> + 'a {
        self.list.iter().filter(move |detail| detail.kind == kind)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl AuthorizationDetail {
    /// Deserializes the whole detail, including members of its own, into a type of yours.
    ///
    /// # Errors
    /// If it does not fit the type. The error text may quote the token; do not send it to clients.
    pub fn parse<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.json.get())
    }

    /// The whole detail as the issuer wrote it: one JSON object.
    #[must_use]
    pub fn json(&self) -> &str {
        self.json.get()
    }
}

// What somebody may do is personal data.
impl fmt::Debug for AuthorizationDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthorizationDetails({} of them)", self.list.len())
    }
}

impl fmt::Debug for AuthorizationDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthorizationDetail(..)")
    }
}

type Names = Cow<'static, [Cow<'static, str>]>;

/// The authorization detail that a rule requires: of this type, permitting all of these actions, and applying to all of
/// these locations.
///
/// A detail without `actions` permits no named action, and one without `locations` applies to no named location. Leave
/// a list of the rule empty to accept any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Object")]
#[non_exhaustive]
pub struct DetailRule {
    /// The required `type`.
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// The required `actions`.
    #[serde(skip_serializing_if = "is_none")]
    pub actions: Names,
    /// The required `locations`.
    #[serde(skip_serializing_if = "is_none")]
    pub locations: Names,
}

/// serde accepts an array for a struct; a rule written as an array is certainly a mistake.
#[derive(Deserialize)]
#[serde(transparent)]
struct Object(serde_json::Map<String, serde_json::Value>);

impl TryFrom<Object> for DetailRule {
    type Error = serde_json::Error;

    fn try_from(Object(members): Object) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Members {
            r#type: String,
            #[serde(default)]
            actions: Vec<String>,
            #[serde(default)]
            locations: Vec<String>,
        }
        let Members { r#type: kind, actions, locations } = serde_json::from_value(members.into())?;
        let owned = |names: Vec<String>| names.into_iter().map(Cow::Owned).collect();
        Ok(Self { kind: Cow::Owned(kind), actions: owned(actions), locations: owned(locations) })
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for DetailRule {
    fn schema_name() -> Cow<'static, str> {
        "DetailRule".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let texts = |what: &str| serde_json::json!({"type": "array", "items": {"type": "string"}, "description": what});
        schemars::json_schema!({
            "type": "object",
            "properties": {
                "type": {"type": "string", "description": "The type of the detail."},
                "actions": texts("The actions that must be there."),
                "locations": texts("The locations that must be there."),
            },
            "required": ["type"],
            "additionalProperties": false,
        })
    }
}

fn is_none(names: &Names) -> bool {
    names.is_empty()
}

impl DetailRule {
    /// Requires a detail of this type that permits these actions and applies to these locations.
    /// [`scopes!`](crate::scopes!) is a shorter way to write it.
    #[must_use]
    pub const fn new(
        kind: &'static str,
        actions: &'static [Cow<'static, str>],
        locations: &'static [Cow<'static, str>],
    ) -> Self {
        Self { kind: Cow::Borrowed(kind), actions: Cow::Borrowed(actions), locations: Cow::Borrowed(locations) }
    }

    /// Whether one of `details` satisfies the rule.
    #[must_use]
    pub fn satisfied_by(&self, details: &AuthorizationDetails) -> bool {
        let all = |wanted: &Names, there: &[String]| wanted.iter().all(|name| there.iter().any(|known| known == name));
        details
            .of_type(&self.kind)
            .any(|detail| all(&self.actions, &detail.actions) && all(&self.locations, &detail.locations))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<AuthorizationDetails, serde_json::Error> {
        serde_json::from_str(json)
    }

    // RFC 9396 sections 2 and 9.1.
    const PAYMENT: &str = r#"{"authorization_details":[
        {"type":"account_information","actions":["list_accounts","read_balances"],"locations":["https://example.com/accounts"]},
        {"type":"payment_initiation","actions":["initiate","status","cancel"],"locations":["https://example.com/payments"],
         "instructedAmount":{"currency":"EUR","amount":"123.50"},"creditorName":"Merchant A"},
        {"type":"photo-api","privileges":["read"],"datatypes":["metadata"],"identifier":"1"}]}"#;

    #[test]
    fn details_are_read_with_the_members_of_their_own() {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Payment {
            creditor_name: String,
        }
        let details = read(PAYMENT).unwrap();
        let kinds: Vec<_> = details.iter().map(|detail| &*detail.kind).collect();
        assert_eq!(kinds, ["account_information", "payment_initiation", "photo-api"]);
        let payment = details.of_type("payment_initiation").next().unwrap();
        assert_eq!(payment.parse::<Payment>().unwrap().creditor_name, "Merchant A");
        assert!(payment.json().contains("instructedAmount") && payment.parse::<Vec<u8>>().is_err());
        let photo = details.of_type("photo-api").next().unwrap();
        assert_eq!(
            (&*photo.privileges, &*photo.datatypes, photo.identifier.as_deref()),
            (&["read".to_owned()][..], &["metadata".to_owned()][..], Some("1"))
        );
        assert!(!format!("{details:?} {payment:?}").contains("Merchant"));
        assert!(read("{}").unwrap().is_empty());
    }

    #[test]
    fn a_rule_asks_for_one_detail_that_has_it_all() {
        let details = read(PAYMENT).unwrap();
        let names = |list: &str| -> Names { list.split_whitespace().map(|name| Cow::Owned(name.to_owned())).collect() };
        for (kind, actions, locations, expected) in [
            ("payment_initiation", "", "", true),
            ("payment_initiation", "initiate cancel", "", true),
            ("payment_initiation", "initiate", "https://example.com/payments", true),
            ("photo-api", "", "", true),
            ("Payment_initiation", "", "", false),
            ("payment_initiation", "initiate refund", "", false),
            ("payment_initiation", "Initiate", "", false),
            // Not from two details together.
            ("payment_initiation", "initiate list_accounts", "", false),
            ("payment_initiation", "initiate", "https://example.com/accounts", false),
            ("payment_initiation", "initiate", "https://example.com/payments/", false),
            ("photo-api", "read", "", false),
            ("photo-api", "", "https://example.com/photos", false),
        ] {
            let rule =
                DetailRule { kind: Cow::Owned(kind.to_owned()), actions: names(actions), locations: names(locations) };
            assert_eq!(rule.satisfied_by(&details), expected, "{rule:?}");
            assert!(!rule.satisfied_by(&AuthorizationDetails::default()));
        }
    }

    #[test]
    fn details_of_another_form_are_an_error_that_quotes_nothing() {
        for details in [
            r#""canary""#,
            r#"{"type":"canary"}"#,
            r#"["canary"]"#,
            r#"[{"actions":["canary"]}]"#,
            r#"[{"type":1}]"#,
            r#"[{"type":"canary","actions":"initiate"}]"#,
            r#"[{"type":"canary","locations":[1]}]"#,
            "null",
            r#"[["canary",[],[],[],null,[]]]"#,
            r#"[{"type":"a","type":"canary"}]"#,
        ] {
            let error =
                read(&format!(r#"{{"authorization_details":{details}}}"#)).map(|_| ()).expect_err(details).to_string();
            assert!(!error.contains("canary") || details.starts_with('"'), "{error}");
        }
    }
}
