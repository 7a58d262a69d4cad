//! The target of a request in, the one path that it means out, or why it has more than one reading (RFC 3986 sections 2.1, 3.3, 5.2.4).

use std::borrow::Cow;
use std::fmt;

use token_core::policy::gate::{GatePolicy, Normalisation, PathOddity};

/// How the path of a request is read: strictly, but for what the proxy is known to do to it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    merge_slashes: bool,
    remove_dots: bool,
    decode_slashes: bool,
    semicolons: bool,
    final_dots: bool,
    outer_blanks: bool,
}

/// Why a path is not clear. Its text never repeats the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unclear {
    NotAbsolute,
    Character,
    Escape,
    EncodedSlash,
    Backslash,
    Control,
    EscapedTwice,
    NotText,
    Semicolon,
    FinalDot,
    OuterBlank,
    EmptySegment,
    DotSegment,
    AboveRoot,
    SlashesAndDots,
}

impl Reading {
    pub(crate) fn new(policy: &GatePolicy) -> Self {
        let does = |what| policy.proxy_normalises.contains(&what);
        let allows = |what| policy.allow_in_paths.contains(&what);
        Self {
            merge_slashes: does(Normalisation::MergeSlashes),
            remove_dots: does(Normalisation::RemoveDotSegments),
            decode_slashes: does(Normalisation::DecodeSlashes),
            semicolons: allows(PathOddity::Semicolons),
            final_dots: allows(PathOddity::FinalDots),
            outer_blanks: allows(PathOddity::OuterBlanks),
        }
    }

    /// The path, decoded: what is between two slashes of it is one segment.
    pub(crate) fn path(self, target: &str) -> Result<Cow<'_, str>, Unclear> {
        let raw = target.split('?').next().unwrap_or(target);
        if !raw.starts_with('/') {
            return Err(Unclear::NotAbsolute);
        }
        let path = self.decoded(raw)?;
        // Slashes and dots that come from escapes count, too.
        let empty = path.contains("//");
        let dots = path.split('/').any(is_dots);
        let named = || path.split('/').filter(|segment| !is_dots(segment));
        if !self.final_dots && named().any(|segment| segment.ends_with('.')) {
            return Err(Unclear::FinalDot);
        }
        if !self.outer_blanks && named().any(|segment| segment.starts_with(' ') || segment.ends_with(' ')) {
            return Err(Unclear::OuterBlank);
        }
        match (empty, dots) {
            (false, false) => Ok(path),
            // `/a//../b` is `/a/b` to some and `/b` to others.
            (true, true) if self.merge_slashes && self.remove_dots => Err(Unclear::SlashesAndDots),
            (true, false) if self.merge_slashes => Ok(Cow::Owned(merged(&path))),
            (false, true) if self.remove_dots => without_dots(&path).map(Cow::Owned),
            (_, true) => Err(Unclear::DotSegment),
            (true, false) => Err(Unclear::EmptySegment),
        }
    }

    fn decoded(self, raw: &str) -> Result<Cow<'_, str>, Unclear> {
        let mut bytes = raw.bytes();
        if raw.bytes().all(|byte| is_plain(byte) || byte == b'/') {
            return Ok(Cow::Borrowed(raw));
        }
        let mut path = Vec::with_capacity(raw.len());
        while let Some(byte) = bytes.next() {
            let decoded = match byte {
                b'%' => {
                    let digits = (bytes.next().and_then(hex), bytes.next().and_then(hex));
                    let (Some(high), Some(low)) = digits else { return Err(Unclear::Escape) };
                    match high << 4 | low {
                        b'/' if !self.decode_slashes => return Err(Unclear::EncodedSlash),
                        b'\\' => return Err(Unclear::Backslash),
                        control if control.is_ascii_control() => return Err(Unclear::Control),
                        decoded => decoded,
                    }
                }
                b'/' => b'/',
                b'\\' => return Err(Unclear::Backslash),
                b';' => b';',
                plain if is_plain(plain) => plain,
                _ => return Err(Unclear::Character),
            };
            if decoded == b';' && !self.semicolons {
                return Err(Unclear::Semicolon);
            }
            path.push(decoded);
        }
        // What still reads as an escape would be decoded once more by those who decode twice.
        let is_escape = |three: &[u8]| three[0] == b'%' && hex(three[1]).is_some() && hex(three[2]).is_some();
        if path.windows(3).any(is_escape) {
            return Err(Unclear::EscapedTwice);
        }
        String::from_utf8(path).map(Cow::Owned).map_err(|_| Unclear::NotText)
    }
}

/// What stands in a segment as it is: `pchar` of RFC 3986 section 3.3, without the semicolon and the percent sign.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b'='
                | b':'
                | b'@'
        )
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// `.` and `..`, also with parameters behind them, which some servers cut off first.
fn is_dots(segment: &str) -> bool {
    matches!(segment.split(';').next(), Some("." | ".."))
}

fn merged(path: &str) -> String {
    let mut merged = String::with_capacity(path.len());
    for letter in path.chars() {
        if letter != '/' || !merged.ends_with('/') {
            merged.push(letter);
        }
    }
    merged
}

fn without_dots(path: &str) -> Result<String, Unclear> {
    let mut kept: Vec<&str> = Vec::new();
    let mut open = false;
    for segment in path.split('/').skip(1) {
        open = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                kept.pop().ok_or(Unclear::AboveRoot)?;
            }
            dots if is_dots(dots) => return Err(Unclear::DotSegment),
            segment => kept.push(segment),
        }
    }
    if open {
        kept.push("");
    }
    Ok(format!("/{}", kept.join("/")))
}

impl fmt::Display for Unclear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "the path does not begin with a slash",
            Self::Character => "the path holds a character that has to be percent-encoded",
            Self::Escape => "the path holds a percent sign without two hexadecimal digits behind it",
            Self::EncodedSlash => "the path holds an encoded slash (gate.proxy_normalises = [\"decode_slashes\"] if the proxy decodes it)",
            Self::Backslash => "the path holds a backslash",
            Self::Control => "the path holds an encoded control character",
            Self::EscapedTwice => "the path is percent-encoded twice",
            Self::NotText => "the path is not UTF-8 once it is decoded",
            Self::Semicolon => "the path holds a semicolon (gate.allow_in_paths = [\"semicolons\"] if the service takes it for a letter)",
            Self::FinalDot => {
                "a segment of the path ends in a dot (gate.allow_in_paths = [\"final_dots\"] if the service keeps it)"
            }
            Self::OuterBlank => {
                "a segment of the path begins or ends with a blank (gate.allow_in_paths = [\"outer_blanks\"] if the service keeps it)"
            }
            Self::EmptySegment => "the path holds two slashes in a row (gate.proxy_normalises = [\"merge_slashes\"] if the proxy merges them)",
            Self::DotSegment => "the path holds a dot segment (gate.proxy_normalises = [\"remove_dot_segments\"] if the proxy removes it)",
            Self::AboveRoot => "the path leads above its root",
            Self::SlashesAndDots => "the path holds slashes in a row and dot segments, which proxies resolve in different orders",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Reading = Reading {
        merge_slashes: false,
        remove_dots: false,
        decode_slashes: false,
        semicolons: false,
        final_dots: false,
        outer_blanks: false,
    };

    #[test]
    fn a_clear_path_is_read_as_it_is_or_decoded_once() {
        for (target, expected) in [
            ("/", "/"),
            ("/users", "/users"),
            ("/users/", "/users/"),
            ("/users?next=//a/../b%2f", "/users"),
            ("/%61dmin", "/admin"),
            ("/a%20b", "/a b"),
            ("/caf%C3%A9", "/café"),
            ("/100%25", "/100%"),
            ("/100%25zz", "/100%zz"),
            ("/v1/users:batch(1)", "/v1/users:batch(1)"),
            ("/.well-known/x", "/.well-known/x"),
            ("/a..b/.c", "/a..b/.c"),
        ] {
            assert_eq!(STRICT.path(target).as_deref(), Ok(expected), "{target}");
        }
    }

    #[test]
    fn a_path_with_two_readings_is_refused_whatever_the_trick() {
        use Unclear::*;
        for (target, expected) in [
            ("", NotAbsolute),
            ("*", NotAbsolute),
            ("users", NotAbsolute),
            ("?/users", NotAbsolute),
            ("http://api.example/users", NotAbsolute),
            ("//users", EmptySegment),
            ("/a//b", EmptySegment),
            ("/a//", EmptySegment),
            ("/./a", DotSegment),
            ("/a/..", DotSegment),
            ("/a/../b", DotSegment),
            ("/a/%2e%2E/b", DotSegment),
            ("/a/.%2e/b", DotSegment),
            ("/a//../b", DotSegment),
            ("/public%2fadmin", EncodedSlash),
            ("/public%2F..%2Fadmin", EncodedSlash),
            ("/public\\..\\admin", Backslash),
            ("/public%5cadmin", Backslash),
            ("/a%", Escape),
            ("/a%2", Escape),
            ("/a%zz", Escape),
            ("/a%u002f", Escape),
            ("/a%00", Control),
            ("/a%0d%0ax", Control),
            ("/a%7f", Control),
            ("/%252e%252e/admin", EscapedTwice),
            ("/a%2561", EscapedTwice),
            ("/%c0%af", NotText),
            ("/%ff", NotText),
            ("/admin;x", Semicolon),
            ("/a/..;/admin", Semicolon),
            ("/admin%3bx", Semicolon),
            ("/...", FinalDot),
            ("/admin./x", FinalDot),
            ("/admin%2e", FinalDot),
            ("/admin%20/x", OuterBlank),
            ("/%20admin", OuterBlank),
            ("/a b", Character),
            ("/a\tb", Character),
            ("/a#b", Character),
            ("/a|b", Character),
            ("/caf\u{e9}", Character),
            ("/\u{ff0f}admin", Character),
        ] {
            assert_eq!(STRICT.path(target), Err(expected), "{target}");
        }
    }

    #[test]
    fn what_the_proxy_does_is_done_here_too_unless_the_order_would_matter() {
        let merge = Reading { merge_slashes: true, ..STRICT };
        let dots = Reading { remove_dots: true, ..STRICT };
        let all = Reading {
            merge_slashes: true,
            remove_dots: true,
            decode_slashes: true,
            semicolons: true,
            final_dots: true,
            outer_blanks: true,
        };
        for (reading, target, expected) in [
            (merge, "///a//b//", Ok("/a/b/")),
            (merge, "/a/../b", Err(Unclear::DotSegment)),
            (dots, "/a/../b", Ok("/b")),
            (dots, "/a/b/..", Ok("/a/")),
            (dots, "/a/./b/.", Ok("/a/b/")),
            (dots, "/..", Err(Unclear::AboveRoot)),
            (dots, "/a/../../b", Err(Unclear::AboveRoot)),
            (dots, "//a", Err(Unclear::EmptySegment)),
            (all, "/public%2fadmin", Ok("/public/admin")),
            (all, "/public%2f..%2fadmin", Ok("/admin")),
            (all, "/a//../b", Err(Unclear::SlashesAndDots)),
            (all, "/a%2f/b", Ok("/a/b")),
            (all, "/a;x=1/b", Ok("/a;x=1/b")),
            (all, "/Acme%20Inc./%20", Ok("/Acme Inc./ ")),
            (all, "/a/..;/b", Err(Unclear::DotSegment)),
            (all, "/a%5cb", Err(Unclear::Backslash)),
        ] {
            assert_eq!(reading.path(target).as_deref().map_err(|why| *why), expected, "{reading:?} {target}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_passes_means_the_same_to_those_who_normalise_and_those_who_do_not(target in "/[a-c./%25fF;\\\\?]{0,12}") {
            if let Ok(path) = STRICT.path(&target) {
                proptest::prop_assert!(!path.contains("//") && !path.contains('\\'));
                proptest::prop_assert_eq!(without_dots(&path), Ok(path.to_string()));
                // Decoding changes no boundary between segments.
                let raw = target.split('?').next().unwrap();
                proptest::prop_assert_eq!(raw.matches('/').count(), path.matches('/').count());
            }
        }
    }
}
