//! The words of the command line go in, what to do comes out.

/// What the program was asked to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) once: bool,
    pub(crate) real_issuer: Option<RealIssuer>,
}

/// An issuer that is not ours, and the audience its tokens name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RealIssuer {
    pub(crate) url: String,
    pub(crate) audience: String,
}

impl Options {
    pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let (mut once, mut issuer, mut audience) = (false, None, None);
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--once" => once = true,
                "--issuer" => issuer = Some(words.next().ok_or("--issuer needs a URL")?),
                "--audience" => audience = Some(words.next().ok_or("--audience needs a name")?),
                other => {
                    return Err(format!("unknown argument {other}, expected --once, --issuer URL, --audience NAME"));
                }
            }
        }
        let real_issuer = match (issuer, audience) {
            (Some(url), Some(audience)) => Some(RealIssuer { url, audience }),
            (None, None) => None,
            _ => return Err("--issuer and --audience go together".to_owned()),
        };
        Ok(Self { once, real_issuer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn reads_what_it_knows() {
        assert_eq!(parse(""), Ok(Options::default()));
        let options = parse("--audience a --once --issuer https://login.example/").unwrap();
        let real = RealIssuer { url: "https://login.example/".to_owned(), audience: "a".to_owned() };
        assert_eq!(options, Options { once: true, real_issuer: Some(real) });
    }

    #[test]
    fn says_what_is_wrong() {
        for (line, why) in [
            ("--twice", "unknown argument --twice"),
            ("--issuer", "--issuer needs a URL"),
            ("--issuer https://login.example/", "go together"),
            ("--audience a", "go together"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(why), "{line}: {error}");
        }
    }
}
