//! What a route asks of a token, in: as a type, as a value, as data; whether a token has it, out (RFC 6749 section 3.3, RFC 9470, RFC 9396): exact matches, never substrings.

mod written;

use std::borrow::Cow;
use std::time::Duration;

use crate::token::authorization_details::DetailRule;

/// What a token must have for a request to be allowed: a scope, a role, a method or time of sign-in (RFC 9470), an
/// authorization detail (RFC 9396), a binding to its sender, or a combination of these. Scopes and roles are compared
/// exactly, case included.
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
///
/// In JSON a scope is a string, and everything else an object with one member:
///
/// ```
/// # use token_core::Rule;
/// let json = r#"{"all":["read:users",{"role":"staff"},{"not":[{"role":"suspended"}]}]}"#;
/// let rule: Rule = serde_json::from_str(json)?;
/// assert_eq!(serde_json::to_string(&rule)?, json);
/// assert!(rule.satisfied_by_grants(|scope| scope == "read:users", |role| role == "staff"));
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// Sign-in and authorization details use the names of their RFCs:
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
    /// The token has this scope.
    Scope(Cow<'static, str>),
    /// The token has this role.
    Role(Cow<'static, str>),
    /// `acr`, the way in which the user signed in, is one of these (RFC 9470), in order of preference. An empty list is
    /// never satisfied.
    AcrValues(Cow<'static, [Cow<'static, str>]>),
    /// The user signed in at most this long ago, by `auth_time` (RFC 9470). The issuer's leeway is added. Challenges
    /// state it in whole seconds.
    MaxAge(Duration),
    /// The token has an authorization detail that fits (RFC 9396).
    AuthorizationDetails(DetailRule),
    /// The token is bound to its sender, by a key (RFC 9449) or a certificate (RFC 8705), and possession was proved. `{"bound": true}` in JSON.
    Bound,
    /// At least one of these. An empty list is never satisfied.
    Any(Cow<'static, [Rule]>),
    /// All of these. An empty list is always satisfied.
    All(Cow<'static, [Rule]>),
    /// None of these. A token without the scope or role satisfies it, so combine it with something that is required.
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

    /// A rule that asks for one of these values of `acr`, in order of preference.
    #[must_use]
    pub const fn acr_values(acr_values: &'static [Cow<'static, str>]) -> Self {
        Self::AcrValues(Cow::Borrowed(acr_values))
    }

    /// A rule that asks for a sign-in at most this many seconds ago.
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

    /// A rule that holds if none of `rules` does.
    #[must_use]
    pub const fn not(rules: &'static [Self]) -> Self {
        Self::Not(Cow::Borrowed(rules))
    }

    /// A rule that holds if at least one of `rules` does.
    #[must_use]
    pub const fn any(rules: &'static [Self]) -> Self {
        Self::Any(Cow::Borrowed(rules))
    }

    /// A rule that holds if all of `rules` do.
    #[must_use]
    pub const fn all(rules: &'static [Self]) -> Self {
        Self::All(Cow::Borrowed(rules))
    }

    /// Whether these scopes alone satisfy the rule: `granted` says of a scope whether it is there.
    pub fn satisfied_by(&self, granted: impl Fn(&str) -> bool) -> bool {
        self.holds(&Holder { scope: &granted, role: &|_| false, ..Holder::NOBODY })
    }

    /// Whether these scopes and roles alone satisfy the rule: `granted` says of a scope, and `played` of a role, whether it is there.
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

    /// Collects the requirements that are not met and would help to satisfy the rule; alternatives are followed as
    /// `if_mended` would hold.
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

    /// Scopes that would satisfy the rule, separated by spaces: the first alternative wherever there is a choice. The challenge of a 403 names them. Roles are left
    /// out, since a client cannot ask for them.
    #[must_use]
    pub fn would_satisfy(&self) -> String {
        let mut scopes = Vec::new();
        self.collect(&mut scopes);
        scopes.join(" ")
    }

    /// Every scope in the rule that can help to satisfy it, once each, in the order in which they are written.
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

    /// Visits every requirement except those inside a `not`.
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

/// What a caller has, as one question for each kind of requirement.
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
    /// A caller that has nothing.
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

/// A rule as a type, so that a handler's signature says what it requires. Declared with [`scopes!`](crate::scopes!).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a rule that a token can be held to",
    label = "expected a type declared with `scopes!`",
    note = "declare the rule: `scopes!({Self} = \"the:scope\");`"
)]
pub trait Required: Send + Sync + 'static {
    /// The rule.
    const RULE: Rule;
}

/// Declares rule types, for the extractor `Scoped` and for route guards.
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
