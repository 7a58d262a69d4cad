//! Method, host and clear path in, the first route that matches out: who passes, and what a token must carry.

use token_core::Rule;
use token_core::policy::gate::{Access, GatePolicy, RoutePolicy};

/// The routes of a policy, in its order.
#[derive(Debug)]
pub(crate) struct Routes {
    routes: Vec<Route>,
    otherwise: Route,
    by_host: bool,
}

/// What one route demands.
#[derive(Debug)]
pub(crate) struct Route {
    /// As the policy writes it: the operator's text, fit for logs and labels.
    pub(crate) name: Box<str>,
    pub(crate) access: Access,
    pub(crate) require: Option<Rule>,
    methods: Box<[Box<str>]>,
    hosts: Box<[Box<str>]>,
    pattern: Pattern,
}

#[derive(Debug)]
struct Pattern {
    segments: Box<[Segment]>,
    /// Whether anything may follow.
    open: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Segment {
    Text(Box<str>),
    Any,
}

impl Routes {
    /// # Errors
    /// What is wrong with which route, and how to write it.
    pub(crate) fn new(policy: &GatePolicy) -> Result<Self, String> {
        let mut routes: Vec<Route> = Vec::new();
        for (at, written) in policy.routes.iter().enumerate() {
            let place = format!("gate.routes[{at}] ({})", written.path);
            let route = Route::new(written).map_err(|why| format!("{place}: {why}"))?;
            if let Some(earlier) = routes.iter().position(|earlier| earlier.covers(&route)) {
                let name = &routes[earlier].name;
                return Err(format!(
                    "{place}: it is never asked, since gate.routes[{earlier}] ({name}) takes every such request: write it above that one"
                ));
            }
            routes.push(route);
        }
        let default = if routes.is_empty() { Access::Token } else { Access::Deny };
        let otherwise = Route {
            name: "(otherwise)".into(),
            access: policy.otherwise.unwrap_or(default),
            require: None,
            methods: Box::default(),
            hosts: Box::default(),
            pattern: Pattern { segments: Box::default(), open: true },
        };
        let by_host = routes.iter().any(|route| !route.hosts.is_empty());
        Ok(Self { routes, otherwise, by_host })
    }

    /// Whether a request has to say its host.
    pub(crate) fn need_host(&self) -> bool {
        self.by_host
    }

    /// The first route that matches. `path` is decoded and clear.
    pub(crate) fn find(&self, method: &str, host: Option<&str>, path: &str) -> &Route {
        let host = host.map(without_port);
        self.routes.iter().find(|route| route.takes(method, host, path)).unwrap_or(&self.otherwise)
    }
}

impl Route {
    fn new(written: &RoutePolicy) -> Result<Self, String> {
        let pattern = Pattern::parse(&written.path)?;
        if let Some(method) = written.methods.iter().find(|method| !is_method(method)) {
            return Err(format!("expected methods in capitals such as GET, not {method:?}"));
        }
        if let Some(host) = written.hosts.iter().find(|host| host.is_empty() || host.contains(['/', '*', '@', ' '])) {
            return Err(format!("expected a host such as api.example.com, without a port, not {host:?}"));
        }
        if let Some(host) = written.hosts.iter().find(|host| without_port(host) != host.as_str()) {
            return Err(format!("expected a host without a port or a dot at its end, not {host:?}"));
        }
        if written.require.is_some() && written.access != Access::Token {
            return Err("require needs access = \"token\": there is no token to look into otherwise".to_owned());
        }
        let mut methods: Vec<Box<str>> = written.methods.iter().map(|method| method.as_str().into()).collect();
        // Servers answer HEAD as they answer GET, so a guard of the one has to be a guard of the other.
        if written.methods.iter().any(|method| method == "GET")
            && !written.methods.iter().any(|method| method == "HEAD")
        {
            methods.push("HEAD".into());
        }
        Ok(Self {
            name: written.path.as_str().into(),
            access: written.access,
            require: written.require.clone(),
            methods: methods.into(),
            hosts: written.hosts.iter().map(|host| host.as_str().into()).collect(),
            pattern,
        })
    }

    fn takes(&self, method: &str, host: Option<&str>, path: &str) -> bool {
        let method = self.methods.is_empty() || self.methods.iter().any(|one| **one == *method);
        let at_host = || {
            self.hosts.is_empty()
                || host.is_some_and(|host| self.hosts.iter().any(|one| one.eq_ignore_ascii_case(host)))
        };
        method && self.pattern.matches(path) && at_host()
    }

    /// Whether every request that `later` takes is taken by this one.
    fn covers(&self, later: &Self) -> bool {
        let all = |ours: &[Box<str>], theirs: &[Box<str>], same: fn(&str, &str) -> bool| {
            ours.is_empty()
                || (!theirs.is_empty() && theirs.iter().all(|their| ours.iter().any(|our| same(our, their))))
        };
        all(&self.methods, &later.methods, |a, b| a == b)
            && all(&self.hosts, &later.hosts, str::eq_ignore_ascii_case)
            && self.pattern.covers(&later.pattern)
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err("expected a path that begins with a slash".to_owned());
        };
        if text.contains(['?', '%', '\\']) {
            return Err("expected a decoded path without a query: no ?, no % and no backslash".to_owned());
        }
        let (rest, open) = match rest.strip_suffix("**") {
            Some("") => return Ok(Self { segments: Box::default(), open: true }),
            Some(rest) => (rest.strip_suffix('/').ok_or("expected ** to be a segment of its own, at the end")?, true),
            None => (rest, false),
        };
        let pieces: Vec<&str> = rest.split('/').collect();
        let last = pieces.len() - 1;
        let segment = |(at, piece): (usize, &&str)| match *piece {
            "" if at < last || open => Err("expected no empty segment: no two slashes in a row".to_owned()),
            "." | ".." => Err("expected no dot segments".to_owned()),
            name if name.len() > 2 && name.starts_with('{') && name.ends_with('}') => Ok(Segment::Any),
            odd if odd.contains(['{', '}', '*']) => {
                Err(format!("expected {{name}} for one whole segment, or ** at the end, not {odd:?}"))
            }
            text => Ok(Segment::Text(text.into())),
        };
        let segments = pieces.iter().enumerate().map(segment).collect::<Result<_, _>>()?;
        Ok(Self { segments, open })
    }

    fn matches(&self, path: &str) -> bool {
        let mut given = path.split('/').skip(1);
        for segment in &self.segments {
            match (segment, given.next()) {
                (Segment::Text(text), Some(piece)) if **text == *piece => {}
                (Segment::Any, Some(piece)) if !piece.is_empty() => {}
                _ => return false,
            }
        }
        self.open || given.next().is_none()
    }

    fn covers(&self, later: &Self) -> bool {
        let enough = if self.open {
            later.segments.len() >= self.segments.len()
        } else {
            later.segments.len() == self.segments.len() && !later.open
        };
        let empty = |segment: &Segment| matches!(segment, Segment::Text(text) if text.is_empty());
        enough
            && self
                .segments
                .iter()
                .zip(&later.segments)
                .all(|(ours, theirs)| ours == theirs || (*ours == Segment::Any && !empty(theirs)))
    }
}

pub(super) fn is_method(method: &str) -> bool {
    !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-' || byte == b'_')
}

/// Whether every server reads the same host out of it: a name or an address, at most one port of digits, at most one dot at the end.
pub(super) fn is_clear_host(host: &str) -> bool {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit());
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').is_some_and(|(address, port)| {
            address.parse::<std::net::Ipv6Addr>().is_ok()
                && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
        });
    }
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !name.is_empty() && !name.ends_with('.') && name.bytes().all(is_name) && port.is_none_or(is_port)
}

/// The host without its port, and without the dot that ends a full name.
fn without_port(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(json: &str) -> Result<Routes, String> {
        Routes::new(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_host_is_clear_when_every_server_reads_the_same_one_out_of_it() {
        for clear in
            ["admin.example", "admin.example.", "Admin.example:443", "127.0.0.1:80", "[::1]", "[::1]:8080", "a_b"]
        {
            assert!(is_clear_host(clear), "{clear}");
        }
        for odd in [
            "",
            ".",
            "admin.example..",
            "admin.example:x",
            "admin.example::80",
            "admin.example:",
            ":80",
            "[::1]x",
            "[x]:80",
            "a b",
            "a/b",
            "a@b",
            "[::1",
        ] {
            assert!(!is_clear_host(odd), "{odd}");
        }
        assert!(is_method("M-SEARCH") && !is_method("post") && !is_method("") && !is_method("Post"));
    }

    #[test]
    fn the_first_route_that_matches_decides() {
        let routes = routes(
            r#"{"routes": [
                {"path": "/users/{id}/keys", "methods": ["POST", "DELETE"]},
                {"path": "/users/{id}", "methods": "GET"},
                {"path": "/users/", "hosts": "Admin.example"},
                {"path": "/static/**", "access": "public"},
                {"path": "/"}
            ]}"#,
        )
        .unwrap();
        for (method, host, path, expected) in [
            ("POST", "a", "/users/1/keys", "/users/{id}/keys"),
            ("GET", "a", "/users/1/keys", "(otherwise)"),
            ("GET", "a", "/users/1", "/users/{id}"),
            ("HEAD", "a", "/users/1", "/users/{id}"),
            ("get", "a", "/users/1", "(otherwise)"),
            ("GET", "a", "/users/", "(otherwise)"),
            ("GET", "admin.example:8443", "/users/", "/users/"),
            ("GET", "ADMIN.EXAMPLE.", "/users/", "/users/"),
            ("GET", "admin.example.evil", "/users/", "(otherwise)"),
            ("GET", "a", "/users/1/", "(otherwise)"),
            ("GET", "a", "/Users/1", "(otherwise)"),
            ("GET", "a", "/static", "/static/**"),
            ("GET", "a", "/static/", "/static/**"),
            ("GET", "a", "/static/a/b", "/static/**"),
            ("GET", "a", "/statics", "(otherwise)"),
            ("GET", "a", "/", "/"),
            ("GET", "a", "/a b", "(otherwise)"),
        ] {
            let route = routes.find(method, Some(host), path);
            assert_eq!(&*route.name, expected, "{method} {host} {path}");
        }
        assert_eq!(routes.find("GET", None, "/nowhere").access, Access::Deny);
    }

    #[test]
    fn without_routes_every_request_needs_a_token() {
        assert_eq!(routes("{}").unwrap().find("GET", None, "/any").access, Access::Token);
        assert_eq!(routes(r#"{"otherwise": "public"}"#).unwrap().find("GET", None, "/any").access, Access::Public);
    }

    #[test]
    fn a_route_that_is_odd_or_never_asked_is_an_error_that_says_which() {
        for (json, expected) in [
            (r#"[{"path": "users"}]"#, "begins with a slash"),
            (r#"[{"path": "/a//b"}]"#, "no empty segment"),
            (r#"[{"path": "/a/../b"}]"#, "no dot segments"),
            (r#"[{"path": "/a%2fb"}]"#, "decoded path"),
            (r#"[{"path": "/a?b"}]"#, "without a query"),
            (r#"[{"path": "/a*"}]"#, "{name}"),
            (r#"[{"path": "/a{id}"}]"#, "{name}"),
            (r#"[{"path": "/a/**/b"}]"#, "{name}"),
            (r#"[{"path": "/a**"}]"#, "segment of its own"),
            (r#"[{"path": "/a", "methods": "get"}]"#, "capitals"),
            (r#"[{"path": "/a", "hosts": "*.example"}]"#, "without a port"),
            (r#"[{"path": "/a", "hosts": "a.example:80"}]"#, "without a port"),
            (r#"[{"path": "/a", "access": "public", "require": "x"}]"#, "require needs"),
            (r#"[{"path": "/**"}, {"path": "/admin"}]"#, "never asked"),
            (r#"[{"path": "/a/{x}"}, {"path": "/a/b"}]"#, "never asked"),
            (r#"[{"path": "/a", "methods": "GET"}, {"path": "/a", "methods": "HEAD"}]"#, "never asked"),
            (r#"[{"path": "/a/**", "hosts": "x"}, {"path": "/a", "hosts": "X"}]"#, "never asked"),
        ] {
            let why = routes(&format!(r#"{{"routes": {json}}}"#)).unwrap_err();
            assert!(why.contains(expected) && why.starts_with("gate.routes["), "{json}: {why}");
        }
        for fine in [
            r#"[{"path": "/**", "methods": "GET"}, {"path": "/admin"}]"#,
            r#"[{"path": "/a/{x}"}, {"path": "/a/"}]"#,
            r#"[{"path": "/a", "hosts": "x"}, {"path": "/a"}]"#,
            r#"[{"path": "/a/{x}"}, {"path": "/a/{x}/**"}]"#,
        ] {
            assert!(routes(&format!(r#"{{"routes": {fine}}}"#)).is_ok(), "{fine}");
        }
    }
}
