//! What the operator asks for goes in, the rule for each call comes out: exact names, and none for a name that nobody mentioned
//! (MCP "scope challenge handling", RFC 6750 section 3.1). Pure.

use std::borrow::Cow;
use std::collections::HashMap;

use token_core::{ConfigError, Rule};

use crate::look::Call;

/// The rules of one server, each joined with what everything asks for.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// What every request asks for.
    pub(crate) every: Rule,
    tools: Names,
    prompts: Names,
    methods: HashMap<Box<str>, Rule>,
}

/// Rules by name, and what goes for all other names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub(crate) known: HashMap<Box<str>, Rule>,
    /// `None`: once a name is known, those that are not are refused.
    pub(crate) others: Option<Rule>,
}

impl Rules {
    pub(crate) fn new(
        every: Option<Rule>,
        tools: Names,
        prompts: Names,
        methods: HashMap<Box<str>, Rule>,
    ) -> Result<Self, ConfigError> {
        let named = [&tools, &prompts].into_iter().flat_map(|names| names.known.values().chain(&names.others));
        if every.iter().chain(named).chain(methods.values()).any(asks_for_offline_access) {
            return Err(ConfigError::new(
                "a rule asks for offline_access: whether there is a refresh token is between client and authorization server, and no \
                 API asks for it",
            ));
        }
        let every = every.unwrap_or(Rule::all(&[]));
        let join = |rule: Rule| both(&every, rule);
        let join_names = |names: Names| Names {
            known: names.known.into_iter().map(|(name, rule)| (name, join(rule))).collect(),
            others: names.others.map(join),
        };
        let (tools, prompts) = (join_names(tools), join_names(prompts));
        let methods = methods.into_iter().map(|(name, rule)| (name, join(rule))).collect();
        Ok(Self { every, tools, prompts, methods })
    }

    /// What this call asks for; `None` where it is refused whatever the token carries.
    pub(crate) fn of(&self, call: &Call<'_>) -> Option<&Rule> {
        match call {
            Call::Tool(name) => self.tools.of(name).unwrap_or(Some(self.of_method("tools/call"))),
            Call::Prompt(name) => self.prompts.of(name).unwrap_or(Some(self.of_method("prompts/get"))),
            Call::Method(method) => Some(self.of_method(method)),
            Call::Answer => Some(&self.every),
        }
    }

    fn of_method(&self, method: &str) -> &Rule {
        self.methods.get(method).unwrap_or(&self.every)
    }

    /// Whether nothing depends on what is called.
    pub(crate) fn are_the_same_for_all(&self) -> bool {
        self.tools.are_silent() && self.prompts.are_silent() && self.methods.is_empty()
    }
}

impl Names {
    /// The rule for a name; the inner `None` refuses it, the outer one has nothing to say.
    fn of(&self, name: &str) -> Option<Option<&Rule>> {
        match (self.known.get(name), &self.others) {
            (Some(rule), _) | (None, Some(rule)) => Some(Some(rule)),
            (None, None) if self.known.is_empty() => None,
            (None, None) => Some(None),
        }
    }

    fn are_silent(&self) -> bool {
        self.known.is_empty() && self.others.is_none()
    }
}

/// One rule that asks for all of them; a challenge that it makes names what every one of them wants.
pub(crate) fn all(rules: Vec<Rule>) -> Rule {
    Rule::All(Cow::Owned(rules))
}

fn both(every: &Rule, rule: Rule) -> Rule {
    match every {
        Rule::All(none) if none.is_empty() => rule,
        every => all(vec![every.clone(), rule]),
    }
}

fn asks_for_offline_access(rule: &Rule) -> bool {
    match rule {
        Rule::Scope(scope) => scope == "offline_access",
        Rule::Any(rules) | Rule::All(rules) => rules.iter().any(asks_for_offline_access),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(known: &[(&str, &str)], others: Option<&str>) -> Names {
        let rule = |scope: &str| Rule::Scope(scope.to_owned().into());
        Names {
            known: known.iter().map(|(name, scope)| ((*name).into(), rule(scope))).collect(),
            others: others.map(rule),
        }
    }

    fn asks(rules: &Rules, call: Call<'_>) -> Option<String> {
        rules.of(&call).map(Rule::would_satisfy)
    }

    #[test]
    fn each_call_asks_for_what_its_name_says_and_for_what_everything_asks_for() {
        let methods =
            HashMap::from([("tools/call".into(), Rule::scope("call")), ("tools/list".into(), Rule::scope("list"))]);
        let tools = names(&[("write", "files:write")], None);
        let rules = Rules::new(Some(Rule::scope("mcp")), tools, Names::default(), methods).unwrap();
        for (call, expected) in [
            (Call::Tool("write".into()), Some("mcp files:write")),
            (Call::Tool("Write".into()), None),
            (Call::Tool("write ".into()), None),
            (Call::Tool("".into()), None),
            (Call::Prompt("any".into()), Some("mcp")),
            (Call::Method("tools/list".into()), Some("mcp list")),
            (Call::Method("Tools/List".into()), Some("mcp")),
            (Call::Method("never/heard/of".into()), Some("mcp")),
            (Call::Answer, Some("mcp")),
        ] {
            assert_eq!(asks(&rules, call.clone()).as_deref(), expected, "{call:?}");
        }
    }

    #[test]
    fn names_that_nobody_mentioned_pass_only_where_the_operator_says_so() {
        let open = Rules::new(None, Names::default(), Names::default(), HashMap::new()).unwrap();
        assert_eq!(asks(&open, Call::Tool("any".into())).as_deref(), Some(""));
        assert!(open.are_the_same_for_all());
        let others = Rules::new(None, names(&[("a", "x")], Some("y")), names(&[], Some("z")), HashMap::new()).unwrap();
        assert_eq!(asks(&others, Call::Tool("b".into())).as_deref(), Some("y"));
        assert_eq!(asks(&others, Call::Prompt("b".into())).as_deref(), Some("z"));
        assert!(!others.are_the_same_for_all());
    }

    #[test]
    fn no_api_asks_for_offline_access() {
        let hidden = Rule::any(const { &[Rule::scope("a"), Rule::all(const { &[Rule::scope("offline_access")] })] });
        for every in [Rule::scope("offline_access"), hidden] {
            assert!(Rules::new(Some(every), Names::default(), Names::default(), HashMap::new()).is_err());
        }
        let tool = names(&[("a", "offline_access")], None);
        assert!(Rules::new(None, tool, Names::default(), HashMap::new()).is_err());
    }
}
