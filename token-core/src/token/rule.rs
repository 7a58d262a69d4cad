//! What a route asks of a token, in: as a type, as a value, as data; whether a token has it, out (RFC 6749 section 3.3, RFC 9470, RFC 9396): exact matches, never substrings.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base::time::text;
use crate::token::authorization_details::DetailRule;

/// What a token must carry, as data: a scope, a role, a way to have signed in (RFC 9470), an authorization detail (RFC 9396), or several of them joined by
/// any, all and not.
///
/// ```
/// use token_core::Rule;
///
/// const BOTH: Rule = Rule::all(const { &[Rule::scope("read"), Rule::scope("write")] });
/// const EDITOR: Rule = Rule::any(const { &[Rule::scope("admin"), BOTH] });
/// assert!(EDITOR.satisfied_by(|scope| scope == "admin"));
/// assert!(!EDITOR.satisfied_by(|scope| scope == "write"));
/// assert_eq!(EDITOR.would_satisfy(), "admin");
/// ```
/// As data it is text for a scope and an object of one member for the rest:
///
/// ```
/// # use token_core::Rule;
/// let json = r#"{"all":["read:users",{"role":"staff"},{"not":[{"role":"suspended"}]}]}"#;
/// let rule: Rule = serde_json::from_str(json)?;
/// assert_eq!(serde_json::to_string(&rule)?, json);
/// assert!(rule.satisfied_by_grants(|scope| scope == "read:users", |role| role == "staff"));
/// # Ok::<(), serde_json::Error>(())
/// ```
/// How the user signed in and what was authorized in detail are asked for in the words of their RFCs:
///
/// ```
/// # use token_core::Rule;
/// let json = r#"{"all":["payments",{"acr_values":["phr","phrh"]},{"max_age":300},{"authorization_details":{"type":"payment_initiation","actions":["initiate"]}}]}"#;
/// let rule: Rule = serde_json::from_str(json)?;
/// assert_eq!(serde_json::to_string(&rule)?, json);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// This scope.
    Scope(Cow<'static, str>),
    /// This role.
    Role(Cow<'static, str>),
    /// The user signed in in one of these ways: `acr` is one of them (RFC 9470). In order of preference; of none, nothing satisfies it.
    AcrValues(Cow<'static, [Cow<'static, str>]>),
    /// The user took part in signing in no longer ago than this: `auth_time` (RFC 9470). The issuer's leeway is added. Challenges name whole seconds.
    MaxAge(Duration),
    /// The token carries an authorization detail like this (RFC 9396).
    AuthorizationDetails(DetailRule),
    /// The token is bound to its sender, to a key (RFC 9449) or a certificate (RFC 8705): `{"bound": true}` as data. That the sender holds it has been proved.
    Bound,
    /// At least one of these. Of none, nothing satisfies it.
    Any(Cow<'static, [Rule]>),
    /// Every one of these. Of none, everything satisfies it.
    All(Cow<'static, [Rule]>),
    /// None of these. A token that is silent satisfies it: put it beside something that is asked for.
    Not(Cow<'static, [Rule]>),
}

impl Rule {
    /// A rule that asks for one scope.
    #[must_use]
    pub const fn scope(scope: &'static str) -> Self {
        Self::Scope(Cow::Borrowed(scope))
    }

    /// A rule that asks for one role.
    #[must_use]
    pub const fn role(role: &'static str) -> Self {
        Self::Role(Cow::Borrowed(role))
    }

    /// A rule that asks for a way to have signed in: one of these classes (`acr`), in order of preference.
    #[must_use]
    pub const fn acr_values(acr_values: &'static [Cow<'static, str>]) -> Self {
        Self::AcrValues(Cow::Borrowed(acr_values))
    }

    /// A rule that asks for a user who signed in at most so many seconds ago.
    #[must_use]
    pub const fn max_age(seconds: u64) -> Self {
        Self::MaxAge(Duration::from_secs(seconds))
    }

    /// A rule that asks for an authorization detail.
    #[must_use]
    pub const fn authorization_details(detail: DetailRule) -> Self {
        Self::AuthorizationDetails(detail)
    }

    /// A rule that asks for a token that is bound to its sender.
    #[must_use]
    pub const fn bound() -> Self {
        Self::Bound
    }

    /// A rule that holds where none of `rules` does.
    #[must_use]
    pub const fn not(rules: &'static [Self]) -> Self {
        Self::Not(Cow::Borrowed(rules))
    }

    /// A rule that one of `rules` satisfies.
    #[must_use]
    pub const fn any(rules: &'static [Self]) -> Self {
        Self::Any(Cow::Borrowed(rules))
    }

    /// A rule that all of `rules` together satisfy.
    #[must_use]
    pub const fn all(rules: &'static [Self]) -> Self {
        Self::All(Cow::Borrowed(rules))
    }

    /// Whether the scopes that `granted` affirms satisfy the rule, of one who has nothing else.
    pub fn satisfied_by(&self, granted: impl Fn(&str) -> bool) -> bool {
        self.holds(&Holder { scope: &granted, role: &|_| false, ..Holder::NOBODY })
    }

    /// Whether the scopes that `granted` affirms and the roles that `played` affirms satisfy the rule, of one who has nothing else.
    pub fn satisfied_by_grants(&self, granted: impl Fn(&str) -> bool, played: impl Fn(&str) -> bool) -> bool {
        self.holds(&Holder { scope: &granted, role: &played, ..Holder::NOBODY })
    }

    pub(crate) fn holds(&self, holder: &Holder<'_>) -> bool {
        match self {
            Self::Scope(scope) => (holder.scope)(scope),
            Self::Role(role) => (holder.role)(role),
            Self::AcrValues(values) => (holder.class)(values),
            Self::MaxAge(age) => (holder.age)(*age),
            Self::AuthorizationDetails(detail) => (holder.detail)(detail),
            Self::Bound => holder.bound,
            Self::Any(rules) => rules.iter().any(|rule| rule.holds(holder)),
            Self::All(rules) => rules.iter().all(|rule| rule.holds(holder)),
            Self::Not(rules) => !rules.iter().any(|rule| rule.holds(holder)),
        }
    }

    /// The demands that are not met on the way to satisfy the rule: along everything that `if_mended` would hold of.
    pub(crate) fn unmet<'a>(&'a self, holder: &Holder<'_>, if_mended: &Holder<'_>, found: &mut Vec<&'a Self>) {
        match self {
            Self::Any(rules) if rules.iter().any(|rule| rule.holds(holder)) => {}
            Self::Any(rules) => {
                let way = rules.iter().find(|rule| rule.holds(if_mended)).or_else(|| rules.first());
                way.into_iter().for_each(|rule| rule.unmet(holder, if_mended, found));
            }
            Self::All(rules) => rules.iter().for_each(|rule| rule.unmet(holder, if_mended, found)),
            rule if rule.holds(holder) => {}
            rule => found.push(rule),
        }
    }

    /// The types of authorization details that can help to satisfy the rule, once each.
    #[must_use]
    pub fn authorization_details_types(&self) -> Vec<&str> {
        let mut kinds = Vec::new();
        self.gather(&mut |rule| {
            if let Self::AuthorizationDetails(detail) = rule
                && !kinds.contains(&&*detail.kind)
            {
                kinds.push(&*detail.kind);
            }
        });
        kinds
    }

    /// One set of scopes, separated by blanks, that satisfies the rule: the first alternative wherever there is a choice.
    /// It is what a 403 challenge names. Roles are no scopes and are left out.
    #[must_use]
    pub fn would_satisfy(&self) -> String {
        let mut scopes = Vec::new();
        self.collect(&mut scopes);
        scopes.join(" ")
    }

    /// Every scope that can help to satisfy the rule, once each, in the order in which they stand: what a resource that asks for it supports.
    #[must_use]
    pub fn scopes(&self) -> Vec<&str> {
        let mut scopes = Vec::new();
        self.gather(&mut |rule| {
            if let Self::Scope(scope) = rule
                && !scopes.contains(&scope.as_ref())
            {
                scopes.push(scope.as_ref());
            }
        });
        scopes
    }

    /// Shows every demand but those that a rule forbids.
    fn gather<'a>(&'a self, each: &mut dyn FnMut(&'a Self)) {
        match self {
            Self::Any(rules) | Self::All(rules) => rules.iter().for_each(|rule| rule.gather(each)),
            Self::Not(_) => {}
            rule => each(rule),
        }
    }

    fn collect<'a>(&'a self, scopes: &mut Vec<&'a str>) {
        match self {
            Self::Scope(scope) if scopes.contains(&scope.as_ref()) => {}
            Self::Scope(scope) => scopes.push(scope),
            Self::Any(rules) => rules.iter().take(1).for_each(|rule| rule.collect(scopes)),
            Self::All(rules) => rules.iter().for_each(|rule| rule.collect(scopes)),
            // No scope can be asked for to have a role, to sign in otherwise, to be bound, or to have less than one has.
            Self::Role(_)
            | Self::Not(_)
            | Self::AcrValues(_)
            | Self::MaxAge(_)
            | Self::AuthorizationDetails(_)
            | Self::Bound => {}
        }
    }
}

/// What somebody has, each kind of demand as a question.
#[derive(Clone, Copy)]
pub(crate) struct Holder<'a> {
    pub(crate) scope: &'a dyn Fn(&str) -> bool,
    pub(crate) role: &'a dyn Fn(&str) -> bool,
    pub(crate) class: &'a dyn Fn(&[Cow<'static, str>]) -> bool,
    pub(crate) age: &'a dyn Fn(Duration) -> bool,
    pub(crate) detail: &'a dyn Fn(&DetailRule) -> bool,
    pub(crate) bound: bool,
}

impl Holder<'_> {
    /// Has nothing.
    pub(crate) const NOBODY: Holder<'static> = Holder {
        scope: &|_| false,
        role: &|_| false,
        class: &|_| false,
        age: &|_| false,
        detail: &|_| false,
        bound: false,
    };
}

impl From<&'static str> for Rule {
    fn from(scope: &'static str) -> Self {
        Self::scope(scope)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Rule {
    fn schema_name() -> Cow<'static, str> {
        "Rule".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let (rules, span) =
            (generator.subschema_for::<Vec<Self>>(), generator.subschema_for::<crate::base::time::schema::Span>());
        let detail = generator.subschema_for::<DetailRule>();
        let one = |name: &str, schema: serde_json::Value| serde_json::json!({"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": false});
        let text = serde_json::json!({"type": "string"});
        schemars::json_schema!({
            "description": "A scope, or an object of one member: role, acr_values, max_age, authorization_details, bound, any, all, not.",
            "anyOf": [
                text,
                one("role", text.clone()),
                one("acr_values", serde_json::json!({"type": "array", "items": text})),
                one("max_age", span.into()),
                one("authorization_details", detail.into()),
                one("bound", serde_json::json!({"const": true})),
                one("any", rules.clone().into()),
                one("all", rules.clone().into()),
                one("not", rules.into()),
            ],
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written<'a> {
    Scope(Cow<'a, str>),
    Other(Branch<'a>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Branch<'a> {
    Role(Cow<'a, str>),
    AcrValues(Cow<'a, [Cow<'static, str>]>),
    MaxAge(#[serde(with = "text")] Duration),
    AuthorizationDetails(Cow<'a, DetailRule>),
    Bound(Yes),
    Any(Cow<'a, [Rule]>),
    All(Cow<'a, [Rule]>),
    Not(Cow<'a, [Rule]>),
}

/// `true`, and nothing else: a rule that asks for nothing would be none.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "bool", into = "bool")]
struct Yes;

impl From<Yes> for bool {
    fn from(_: Yes) -> Self {
        true
    }
}

impl TryFrom<bool> for Yes {
    type Error = &'static str;

    fn try_from(yes: bool) -> Result<Self, Self::Error> {
        yes.then_some(Self).ok_or("expected bound to be true: leave it out where it is not asked for")
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = match self {
            Self::Scope(scope) => Written::Scope(Cow::Borrowed(scope)),
            Self::Role(role) => Written::Other(Branch::Role(Cow::Borrowed(role))),
            Self::AcrValues(values) => Written::Other(Branch::AcrValues(Cow::Borrowed(values))),
            Self::MaxAge(age) => Written::Other(Branch::MaxAge(*age)),
            Self::AuthorizationDetails(detail) => Written::Other(Branch::AuthorizationDetails(Cow::Borrowed(detail))),
            Self::Bound => Written::Other(Branch::Bound(Yes)),
            Self::Any(rules) => Written::Other(Branch::Any(Cow::Borrowed(rules))),
            Self::All(rules) => Written::Other(Branch::All(Cow::Borrowed(rules))),
            Self::Not(rules) => Written::Other(Branch::Not(Cow::Borrowed(rules))),
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let owned = |names: Cow<'_, str>| Cow::Owned(names.into_owned());
        let all = |rules: Cow<'_, [Self]>| Cow::Owned(rules.into_owned());
        Ok(match Written::deserialize(deserializer)? {
            Written::Scope(scope) => Self::Scope(owned(scope)),
            Written::Other(Branch::Role(role)) => Self::Role(owned(role)),
            Written::Other(Branch::AcrValues(values)) => Self::AcrValues(Cow::Owned(values.into_owned())),
            Written::Other(Branch::MaxAge(age)) => Self::MaxAge(age),
            Written::Other(Branch::AuthorizationDetails(detail)) => Self::AuthorizationDetails(detail.into_owned()),
            Written::Other(Branch::Bound(Yes)) => Self::Bound,
            Written::Other(Branch::Any(rules)) => Self::Any(all(rules)),
            Written::Other(Branch::All(rules)) => Self::All(all(rules)),
            Written::Other(Branch::Not(rules)) => Self::Not(all(rules)),
        })
    }
}

/// A rule as a type, so that a handler's signature says what it asks for. Declare them with [`scopes!`](crate::scopes!).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a rule that a token can be held to",
    label = "expected a type declared with `scopes!`",
    note = "declare the rule: `scopes!({Self} = \"the:scope\");`"
)]
pub trait Required: Send + Sync + 'static {
    /// The rule.
    const RULE: Rule;
}

/// Declares rules as types.
///
/// ```
/// use token_core::{Required, scopes};
///
/// scopes! {
///     /// May list users.
///     pub ReadUsers = "read:users",
///     Editor = any("admin", all("read", "write")),
///     Staff = all(role("staff"), not(role("suspended"))),
///     /// Signed in in a way that phishing does not survive, within the last five minutes (RFC 9470).
///     Transfer = all("payments", acr("phr", "phrh"), max_age(300)),
///     /// An authorization detail of this type that permits this action (RFC 9396).
///     Initiate = details("payment_initiation", actions("initiate")),
///     /// A token that is bound to its sender (RFC 9449, RFC 8705).
///     Settle = all("payments", bound()),
/// }
/// assert!(Staff::RULE.satisfied_by_grants(|_| false, |role| role == "staff"));
/// assert!(ReadUsers::RULE.satisfied_by(|scope| scope == "read:users"));
/// assert_eq!(Editor::RULE.would_satisfy(), "admin");
/// ```
#[macro_export]
macro_rules! scopes {
    ($($(#[$meta:meta])* $vis:vis $name:ident = $head:tt $(($($part:tt)*))?),+ $(,)?) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        $vis struct $name;
        impl $crate::Required for $name {
            const RULE: $crate::Rule = $crate::__rule!($head $(($($part)*))?);
        }
    )+};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __rule {
    (any($($part:tt)*)) => { $crate::__rules!(any [] $($part)*) };
    (all($($part:tt)*)) => { $crate::__rules!(all [] $($part)*) };
    (not($($part:tt)*)) => { $crate::__rules!(not [] $($part)*) };
    (acr($($class:literal),+ $(,)?)) => { $crate::Rule::acr_values(const { &[$(::std::borrow::Cow::Borrowed($class)),+] }) };
    (max_age($seconds:literal)) => { $crate::Rule::max_age($seconds) };
    (details($kind:literal $(, actions($($action:literal),* $(,)?))? $(, locations($($location:literal),* $(,)?))? $(,)?)) => {
        $crate::Rule::authorization_details($crate::rules::DetailRule::new(
            $kind,
            const { &[$($(::std::borrow::Cow::Borrowed($action)),*)?] },
            const { &[$($(::std::borrow::Cow::Borrowed($location)),*)?] },
        ))
    };
    (bound()) => { $crate::Rule::bound() };
    (role($role:literal)) => { $crate::Rule::role($role) };
    ($scope:literal) => { $crate::Rule::scope($scope) };
}

// Takes the parts of a list one by one, since one macro fragment cannot be `"x"` and `any(..)` alike.
#[doc(hidden)]
#[macro_export]
macro_rules! __rules {
    ($kind:ident [$($done:expr,)*]) => { $crate::Rule::$kind(const { &[$($done),*] }) };
    ($kind:ident [$($done:expr,)*] $head:ident ($($part:tt)*) $(, $($rest:tt)*)?) => {
        $crate::__rules!($kind [$($done,)* $crate::__rule!($head($($part)*)),] $($($rest)*)?)
    };
    ($kind:ident [$($done:expr,)*] $scope:literal $(, $($rest:tt)*)?) => {
        $crate::__rules!($kind [$($done,)* $crate::Rule::scope($scope),] $($($rest)*)?)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    scopes!(Nested = all("a", any("b", "c"), all("d")));

    #[test]
    fn a_rule_asks_for_exactly_what_it_says() {
        for (granted, expected) in
            [("a b d", true), ("a c d", true), ("a d", false), ("a b", false), ("aa b d", false), ("", false)]
        {
            let verdict = Nested::RULE.satisfied_by(|scope| granted.split(' ').any(|one| one == scope));
            assert_eq!(verdict, expected, "{granted}");
        }
        assert_eq!(Nested::RULE.would_satisfy(), "a b d");
        assert_eq!(Nested::RULE.scopes(), ["a", "b", "c", "d"]);
    }

    scopes!(Staff = all("read", role("staff"), not(role("suspended"), "banned")));

    #[test]
    fn roles_are_no_scopes_and_not_takes_away() {
        for (scopes, roles, expected) in [
            ("read", "staff", true),
            ("read", "staff x", true),
            ("read staff", "", false),
            ("read", "staff suspended", false),
            ("read banned", "staff", false),
            ("read suspended", "staff", true),
            ("", "staff read", false),
        ] {
            let has = |list: &'static str| move |name: &str| list.split(' ').any(|one| one == name);
            assert_eq!(Staff::RULE.satisfied_by_grants(has(scopes), has(roles)), expected, "{scopes} / {roles}");
        }
        assert_eq!(Staff::RULE.would_satisfy(), "read");
    }

    scopes! {
        Transfer = all("pay", acr("phr", "phrh"), max_age(300), any(details("payment", actions("initiate", "cancel"), locations("https://a.example")), details("any"))),
    }

    #[test]
    fn every_demand_is_the_same_as_a_type_and_as_data() {
        let json = r#"{"all":["pay",{"acr_values":["phr","phrh"]},{"max_age":300},{"any":[
            {"authorization_details":{"type":"payment","actions":["initiate","cancel"],"locations":["https://a.example"]}},
            {"authorization_details":{"type":"any"}}]}]}"#;
        let data: Rule = serde_json::from_str(json).unwrap();
        assert_eq!(data, Transfer::RULE);
        assert_eq!(serde_json::from_str::<Rule>(&serde_json::to_string(&data).unwrap()).unwrap(), data);
        assert_eq!(
            (data.would_satisfy(), data.authorization_details_types()),
            ("pay".to_owned(), vec!["payment", "any"])
        );
        assert!(!data.satisfied_by(|_| true), "scopes alone are not enough");
        assert_eq!(serde_json::from_str::<Rule>(r#"{"max_age":"5m"}"#).unwrap(), Rule::max_age(300));
    }

    scopes!(Settle = all("pay", bound()));

    #[test]
    fn a_binding_is_asked_for_as_a_type_and_as_data_and_no_scope_stands_for_it() {
        let data: Rule = serde_json::from_str(r#"{"all":["pay",{"bound":true}]}"#).unwrap();
        assert_eq!((&data, data.would_satisfy().as_str()), (&Settle::RULE, "pay"));
        assert_eq!(serde_json::from_str::<Rule>(&serde_json::to_string(&data).unwrap()).unwrap(), data);
        let paid = |scope: &str| scope == "pay";
        let holder = Holder { scope: &paid, ..Holder::NOBODY };
        assert!(!data.holds(&holder) && data.holds(&Holder { bound: true, ..holder }));
        assert!(!Rule::bound().satisfied_by(|_| true));
    }

    #[test]
    fn what_is_unmet_is_found_along_the_way_that_can_be_mended() {
        let has = |list: &'static str| move |scope: &str| list.split(' ').any(|one| one == scope);
        let rule = Rule::any(
            const {
                &[
                    Rule::all(const { &[Rule::scope("admin"), Rule::max_age(1)] }),
                    Rule::all(const { &[Rule::scope("pay"), Rule::max_age(300)] }),
                ]
            },
        );
        let (granted, yes) = (has("pay"), |_: Duration| true);
        let holder = Holder { scope: &granted, ..Holder::NOBODY };
        let mut found = Vec::new();
        rule.unmet(&holder, &Holder { age: &yes, ..holder }, &mut found);
        assert_eq!(found, [&Rule::max_age(300)]);
    }

    #[test]
    fn a_rule_that_is_not_understood_is_refused_as_data() {
        for json in [
            r#"{"acr_values":"phr"}"#,
            r#"{"max_age":-1}"#,
            r#"{"max_age":"soon"}"#,
            r#"{"authorization_details":["payment"]}"#,
            r#"{"authorization_details":{"actions":["initiate"]}}"#,
            r#"{"authorization_details":{"type":"payment","action":["initiate"]}}"#,
            r#"{"any":"a"}"#,
            r#"{"none":["a"]}"#,
            r#"{"bound":false}"#,
            r#"{"bound":"yes"}"#,
            r#"{"any":["a"],"all":["b"]}"#,
            "1",
            "null",
            "{}",
        ] {
            assert!(serde_json::from_str::<Rule>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_choice_of_nothing_is_never_satisfied() {
        assert!(!Rule::any(&[]).satisfied_by(|_| true));
        assert!(Rule::all(&[]).satisfied_by(|_| false));
    }
}
