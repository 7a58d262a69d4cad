//! `WWW-Authenticate` headers in, challenges and their parameters out (RFC 9110 section 11.6.1, RFC 6750 section 3, RFC
//! 9728 section 5.1).

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// One challenge of an API: the authentication scheme and its parameters.
///
/// ```
/// use token_client::Challenge;
///
/// let field = r#"Bearer error="insufficient_scope", scope="files:write", resource_metadata="https://api.example.com/meta""#;
/// let headers = [(http::header::WWW_AUTHENTICATE, field.parse()?)].into_iter().collect();
/// let [challenge] = &Challenge::read(&headers)[..] else { panic!("one challenge") };
/// assert!(challenge.is("bearer"));
/// assert_eq!(challenge.parameter("scope"), Some("files:write"));
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// Reads every challenge of a response, in order, from one header or several. At a syntax error the rest of that
    /// header is ignored.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Vec<Self> {
        let fields = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|field| field.to_str().ok());
        fields.flat_map(|field| Reader { rest: field }.challenges()).collect()
    }

    /// Whether the challenge has this scheme, ignoring case.
    #[must_use]
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// The value of a parameter, by its name in any case. If it occurs twice, the first one counts.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn challenges(mut self) -> Vec<Challenge> {
        let mut found: Vec<Challenge> = Vec::new();
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
            let Some(word) = self.token() else { return found };
            let after = self.rest.trim_start_matches([' ', '\t']);
            match (after.strip_prefix('='), found.last_mut()) {
                (Some(value), Some(challenge)) => {
                    self.rest = value.trim_start_matches([' ', '\t']);
                    let Some(value) = self.value() else { return found };
                    challenge.parameters.push((word.to_owned(), value));
                }
                (Some(_), None) => return found,
                (None, _) => {
                    found.push(Challenge { scheme: word.to_owned(), parameters: Vec::new() });
                    self.skip_token68();
                }
            }
        }
    }

    fn token(&mut self) -> Option<&'a str> {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let length = self.rest.bytes().take_while(|byte| is_token(*byte)).count();
        let (token, rest) = self.rest.split_at(length);
        self.rest = rest;
        (!token.is_empty()).then_some(token)
    }

    fn value(&mut self) -> Option<String> {
        let Some(quoted) = self.rest.strip_prefix('"') else { return self.token().map(str::to_owned) };
        let mut value = String::new();
        let mut characters = quoted.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &quoted[at + 1..];
                    return Some(value);
                }
                '\\' => value.push(characters.next()?.1),
                character => value.push(character),
            }
        }
        None
    }

    /// Skips text in place of parameters, as in `Negotiate YII…==`. It ends where the challenge ends.
    fn skip_token68(&mut self) {
        let after = self.rest.trim_start_matches([' ', '\t']);
        let text = after.split(',').next().unwrap_or_default().trim_end();
        let body = text.trim_end_matches('=');
        let is_text = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        if !body.is_empty() && after.len() != self.rest.len() && body.bytes().all(is_text) {
            self.rest = &after[text.len()..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[&str]) -> Vec<(String, Vec<(String, String)>)> {
        let headers: HeaderMap = fields.iter().map(|field| (WWW_AUTHENTICATE, field.parse().unwrap())).collect();
        Challenge::read(&headers).into_iter().map(|found| (found.scheme, found.parameters)).collect()
    }

    fn one(scheme: &str, parameters: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
        (scheme.to_owned(), parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn fields_are_read_as_their_grammar_has_it() {
        let table: &[(&[&str], Vec<_>)] = &[
            (&["Bearer"], vec![one("Bearer", &[])]),
            (&["Bearer realm=\"a\""], vec![one("Bearer", &[("realm", "a")])]),
            (&["Bearer a=b , c = \"d\""], vec![one("Bearer", &[("a", "b"), ("c", "d")])]),
            (
                &["Bearer scope=\"a b\",resource_metadata=\"https://x/?a=1,2\""],
                vec![one("Bearer", &[("scope", "a b"), ("resource_metadata", "https://x/?a=1,2")])],
            ),
            (&[r#"Bearer realm="a \"b\" \\ c""#], vec![one("Bearer", &[("realm", r#"a "b" \ c"#)])]),
            (
                &["Basic realm=\"x\", Bearer scope=\"a\""],
                vec![one("Basic", &[("realm", "x")]), one("Bearer", &[("scope", "a")])],
            ),
            (&["Negotiate YIIabc==, Bearer scope=a"], vec![one("Negotiate", &[]), one("Bearer", &[("scope", "a")])]),
            (&["Negotiate YIIabc"], vec![one("Negotiate", &[])]),
            (&["DPoP algs=\"ES256\"", "Bearer"], vec![one("DPoP", &[("algs", "ES256")]), one("Bearer", &[])]),
            (&[", ,Bearer"], vec![one("Bearer", &[])]),
            // What is broken ends the field.
            (&["Bearer scope=\"a"], vec![one("Bearer", &[])]),
            (&["Bearer a=b, c=\"\\"], vec![one("Bearer", &[("a", "b")])]),
            (&["=x"], vec![]),
            (&["scope=\"a\""], vec![]),
            (&["\"Bearer\""], vec![]),
            (&[""], vec![]),
            (&[], vec![]),
        ];
        for (fields, expected) in table {
            assert_eq!(read(fields), *expected, "{fields:?}");
        }
    }
}
