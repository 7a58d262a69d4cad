//! Claims in a fraction of the time: plain JSON in, the same claims as `parse` finds out.
//!
//! What is not plain is left to `parse`: escapes, control characters, numbers that are no whole ones, anything that is wrong. So there is
//! nothing to decide here, and one thing to prove: whatever this accepts, `parse` accepts, with the same outcome. The tests, the fuzz targets and
//! every build with debug assertions hold the two against each other. Claims that nobody has signed are read like this, too: what is accepted is signed all the same.

use super::members::Member;
use super::number::LATEST;
use super::parse::{Claims, ClaimsError, Reading, look, parse_as};
use super::spans::{List, Span, Text};
use crate::base::time::Timestamp;

/// How deep values are followed that nobody looks at.
const DEEPEST: usize = 8;
/// How many names are compared that nobody looks at.
const FEW: usize = 16;
/// As many as a date before the year 10000 has.
const DIGITS: usize = 12;

/// The claims, or `None` where `parse` has to look.
pub(crate) fn scan(json: &str) -> Option<Claims> {
    if is_odd(json.as_bytes()) {
        return None;
    }
    let mut scanner = Scanner { text: json.as_bytes(), at: 0 };
    let claims = scanner.object()?;
    scanner.blanks();
    if scanner.at != json.len() {
        return None;
    }
    debug_assert!(is_as_parsed(json, &claims), "the claims are not read as the parser reads them");
    Some(claims)
}

/// Whether the parser comes to the same, however it is told to read.
fn is_as_parsed(json: &str, claims: &Claims) -> bool {
    [(false, false), (false, true), (true, false), (true, true)].into_iter().all(|(numeric_subject, null_is_absent)| {
        let parsed = look(json, Reading { numeric_subject, null_is_absent });
        parsed.is_ok_and(|(parsed, unescaped, number)| parsed == *claims && unescaped.is_empty() && !number)
    })
}

/// Reads the registered claims of `json`, by the quick way where that will do, and keeps the text, and with it `token` unless that is empty. The
/// last of the outcome is whether `sub` is a number, which is a subject for some issuers only.
pub(crate) fn read(json: String, token: &str, reading: Reading) -> Result<(Text, Claims, bool), ClaimsError> {
    match scan(&json) {
        Some(claims) => Ok((Text::new(json, "", token), claims, false)),
        None => parse_as(json, token, reading),
    }
}

/// Shows the members of an object to `each`, name and value as they are written. `None` where the text is not plain: then it has shown some at most.
pub(crate) fn members<'a>(json: &'a str, mut each: impl FnMut(&'a str, &'a str)) -> Option<()> {
    if is_odd(json.as_bytes()) {
        return None;
    }
    let mut scanner = Scanner { text: json.as_bytes(), at: 0 };
    scanner.blanks();
    scanner.expect(b'{')?;
    if !scanner.next_is(b'}') {
        loop {
            scanner.blanks();
            let start = scanner.at + 1;
            let length = scanner.string()?.len();
            let name = json.get(start..start + length)?;
            scanner.blanks();
            scanner.expect(b':')?;
            scanner.blanks();
            let start = scanner.at;
            scanner.value(DEEPEST)?;
            each(name, json.get(start..scanner.at)?);
            scanner.blanks();
            match scanner.byte()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
    }
    scanner.blanks();
    (scanner.at == json.len()).then_some(())
}

/// Whether there is an escape or a control character. Where there is none, whatever stands between two quotes is a string, and all
/// blanks are spaces.
fn is_odd(text: &[u8]) -> bool {
    let odd = |byte: &u8| u8::from(*byte < b' ') | u8::from(*byte == b'\\');
    let (blocks, rest) = text.as_chunks::<32>();
    // By column, and looked at once: the compiler makes wide instructions of it.
    let mut columns = [0; 32];
    for block in blocks {
        for (column, byte) in columns.iter_mut().zip(block) {
            *column |= odd(byte);
        }
    }
    columns.iter().copied().chain(rest.iter().map(odd)).fold(0, |odd, one| odd | one) != 0
}

/// The text is UTF-8, and what is cut out of it ends at quotes, so no character is ever cut in two.
struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn object(&mut self) -> Option<Claims> {
        let mut claims = Claims::default();
        let (mut known, mut others, mut count) = (0_u32, [&[][..]; FEW], 0);
        self.blanks();
        self.expect(b'{')?;
        if self.next_is(b'}') {
            return Some(claims);
        }
        loop {
            self.blanks();
            let name = self.string()?;
            let member = Member::of(name);
            if member == Member::Other {
                if others[..count].contains(&name) {
                    return None;
                }
                *others.get_mut(count)? = name;
                count += 1;
            } else if known & (1 << member as u32) != 0 {
                return None;
            } else {
                known |= 1 << member as u32;
            }
            self.blanks();
            self.expect(b':')?;
            self.blanks();
            match member {
                Member::Iss => claims.issuer = Some(self.text_span()?),
                Member::Sub => claims.subject = Some(self.text_span()?),
                Member::Aud => claims.audience = self.list(false)?,
                Member::Exp => claims.expires = Some(self.date()?),
                Member::Nbf => claims.not_before = Some(self.date()?),
                Member::Iat => claims.issued = Some(self.date()?),
                Member::Jti => claims.token_id = Some(self.text_span()?),
                Member::ClientId => claims.client_id = Some(self.text_span()?),
                Member::Azp => claims.authorized_party = Some(self.text_span()?),
                Member::Sid => claims.session_id = Some(self.text_span()?),
                Member::Scope => claims.scope = self.list(true)?,
                Member::Scp => claims.scp = self.list(true)?,
                Member::Permissions => claims.permissions = self.list(true)?,
                Member::Roles => claims.roles = self.list(true)?,
                Member::Groups => claims.groups = self.list(true)?,
                Member::TokenType | Member::Type if self.peek() != Some(b'"') => self.value(DEEPEST)?,
                Member::TokenUse | Member::TokenClass | Member::TokenType | Member::Type => {
                    let start = self.at + 1;
                    let value = self.string()?;
                    claims.say_kind(member.kind_claim(), value, Span::new(start, value.len()));
                }
                Member::Typ => claims.payload_typ = Some(self.text_span()?),
                Member::Cnf => claims.confirmation = self.there()?,
                Member::Events => claims.events = self.there()?,
                Member::Act | Member::MayAct => claims.delegation = self.there()?,
                Member::Nonce | Member::AtHash | Member::CHash => {
                    self.there()?;
                    claims.id_token_mark = claims.id_token_mark.max(member.id_token_mark());
                }
                Member::Other => self.value(DEEPEST)?,
            }
            self.blanks();
            match self.byte()? {
                b',' => {}
                b'}' => return Some(claims),
                _ => return None,
            }
        }
    }

    /// A string, or a list of strings and nothing else.
    fn list(&mut self, split: bool) -> Option<List> {
        if self.peek()? == b'"' {
            let span = self.text_span()?;
            return Some(if split { List::Spaced(span) } else { List::Quoted(span) });
        }
        self.expect(b'[')?;
        self.blanks();
        if self.next_is(b']') {
            return Some(List::Absent);
        }
        let from = self.at + 1;
        loop {
            self.string()?;
            let to = self.at - 1;
            self.blanks();
            match self.byte()? {
                b',' => self.blanks(),
                b']' => return Some(List::Quoted(Span::new(from, to - from))),
                _ => return None,
            }
        }
    }

    fn date(&mut self) -> Option<Timestamp> {
        let seconds = self.number()?;
        (seconds <= LATEST).then(|| Timestamp::from_secs(seconds.cast_signed()))
    }

    /// A whole number without a sign; of any other there is more to say.
    fn number(&mut self) -> Option<u64> {
        let rest = self.text.get(self.at..)?;
        let (mut number, mut length) = (0, 0);
        for byte in rest.iter().take_while(|byte| byte.is_ascii_digit()).take(DIGITS + 1) {
            number = number * 10 + u64::from(byte - b'0');
            length += 1;
        }
        let leading_zero = length > 1 && rest.first() == Some(&b'0');
        let goes_on = matches!(rest.get(length), Some(b'.' | b'e' | b'E'));
        self.at += length;
        (length > 0 && length <= DIGITS && !leading_zero && !goes_on).then_some(number)
    }

    fn there(&mut self) -> Option<bool> {
        self.value(DEEPEST).map(|()| true)
    }

    /// Any value, passed over.
    fn value(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'0'..=b'9' => self.number().map(drop),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            open @ (b'[' | b'{') => {
                let depth = depth.checked_sub(1)?;
                // In ASCII the closing one of either pair is the next but one.
                let close = open + 2;
                self.at += 1;
                self.blanks();
                if self.next_is(close) {
                    return Some(());
                }
                loop {
                    self.blanks();
                    if open == b'{' {
                        self.string()?;
                        self.blanks();
                        self.expect(b':')?;
                        self.blanks();
                    }
                    self.value(depth)?;
                    self.blanks();
                    match self.byte()? {
                        b',' => {}
                        byte if byte == close => return Some(()),
                        _ => return None,
                    }
                }
            }
            _ => None,
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.text.get(self.at..)?.starts_with(word).then(|| self.at += word.len())
    }

    fn text_span(&mut self) -> Option<Span> {
        let start = self.at + 1;
        self.string().map(|text| Span::new(start, text.len()))
    }

    /// What stands between two quotes.
    #[inline]
    fn string(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let rest = self.text.get(self.at..)?;
        let length = quote(rest)?;
        self.at += length + 1;
        rest.get(..length)
    }

    #[inline]
    fn blanks(&mut self) {
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline]
    fn byte(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.byte()? == byte).then_some(())
    }

    /// Passes over blanks and, if it comes then, over `byte`.
    #[inline]
    fn next_is(&mut self, byte: u8) -> bool {
        self.blanks();
        let is = self.peek() == Some(byte);
        self.at += usize::from(is);
        is
    }
}

/// Where the first quote stands. Eight bytes at a time: names and values of claims are too short for wider steps to pay.
#[inline]
fn quote(text: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let (words, rest) = text.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        // A quote becomes a zero byte; of the high bits that this leaves, the lowest is always right.
        let zeros = u64::from_le_bytes(*word) ^ (ONES * b'"' as u64);
        let found = zeros.wrapping_sub(ONES) & !zeros & HIGH;
        if found != 0 {
            return Some(at * 8 + (found.trailing_zeros() / 8) as usize);
        }
    }
    rest.iter().position(|byte| *byte == b'"').map(|at| words.len() * 8 + at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether the scanner took it. Whatever it takes, it takes as `parse` does.
    fn agrees(json: &str) -> bool {
        let Some(claims) = scan(json) else { return false };
        assert!(is_as_parsed(json, &claims), "{json}");
        true
    }

    #[test]
    fn plain_claims_are_taken_and_read_as_the_parser_reads_them() {
        for json in [
            "{}",
            " { } ",
            r#"{"iss":"https://a/","sub":"ada","aud":["x","y"],"exp":1700000000,"nbf":0,"iat":253402300799,"jti":"1"}"#,
            r#"{ "iss" : "https://a/" , "aud" : [ "x" , "y" ] , "exp" : 1 } "#,
            r#"{"aud":"one","scope":"a  b","scp":["c"],"permissions":[],"roles":"x","groups":["g","h"]}"#,
            r#"{"client_id":"c","azp":"d","sid":"s","token_use":"access","typ":"Bearer","name":"Ad\u{e9}"}"#,
            r#"{"realm_access":{"roles":["a",{"b":[1,2,[]]}]},"n":0,"t":true,"f":false,"z":null,"o":{}}"#,
            r#"{"cnf":{"jkt":"x"},"events":{},"act":{"sub":"a"},"may_act":{},"nonce":"n","at_hash":1,"c_hash":null}"#,
            r#"{"é":"ü","日本":["語"]}"#,
        ] {
            assert!(agrees(&json.replace("\\u{e9}", "\u{e9}")), "{json}");
        }
    }

    #[test]
    fn whatever_is_not_plain_is_left_to_the_parser() {
        for json in [
            "",
            "[]",
            "{} {}",
            "{",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{,"a":1}"#,
            r#"{"a":1 "b":2}"#,
            r#"{"a":01}"#,
            r#"{"a":1.5}"#,
            r#"{"a":1e5}"#,
            r#"{"a":-1}"#,
            r#"{"a":1234567890123}"#,
            r#"{"a":tru}"#,
            r#"{"a":[1,]}"#,
            r#"{"a":[,1]}"#,
            r#"{"a":{"b"}}"#,
            r#"{"a":{"b":1,}}"#,
            r#"{"a":[1}}"#,
            r#"{"a":{"b":1]}"#,
            r#"{"a":"\n"}"#,
            "{\"a\":\"\n\"}",
            "{\n}",
            r#"{"a":1,"a":1}"#,
            r#"{"iss":"a","iss":"a"}"#,
            r#"{"iss":1}"#,
            r#"{"aud":[1]}"#,
            r#"{"aud":["a",]}"#,
            r#"{"aud":null}"#,
            r#"{"exp":"1"}"#,
            r#"{"exp":253402300800}"#,
            r#"{"exp":}"#,
            r#"{"roles":{"a":1}}"#,
            r#"{"roles":["a",1]}"#,
            r#"{"token_use":1}"#,
            r#"{"a":[[[[[[[[[1]]]]]]]]]}"#,
        ] {
            assert!(scan(json).is_none(), "{json}");
        }
    }

    #[test]
    fn a_quote_is_found_wherever_it_stands() {
        for length in 0..40 {
            for at in 0..length {
                // Neighbours of a quote in value and with the high bit set.
                for other in [b'!', b'#', 0xa2, 0xff, b' '] {
                    let mut text = vec![other; length];
                    assert_eq!(quote(&text), None);
                    text[at] = b'"';
                    assert_eq!(quote(&text), Some(at), "{text:?}");
                    text[length - 1] = b'"';
                    assert_eq!(quote(&text), Some(at), "{text:?}");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn near_claims_are_read_as_the_parser_reads_them(
            json in r#" ?\{( ?"(iss|aud|exp|scope|roles|a|b|\\u0061)" ?: ?("[a-c ]{0,9}"|[0-9]{1,13}|-1|1.5|null|true|\[ ?("a"|1|\{\})? ?(,"b{0,9}")? ?\]|\{("a":("x"|\[2\]))?\}|"\\n"),?){0,4}\}? ?"#
        ) {
            agrees(&json);
        }

        #[test]
        fn any_text_is_read_as_the_parser_reads_it(json in r#"[{}\[\]",:a0 \\]{0,12}"#) {
            agrees(&json);
        }
    }
}
