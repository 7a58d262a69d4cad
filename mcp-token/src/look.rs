//! The body of a POST goes in, which methods and which tools it calls comes out, before anything is dispatched (JSON-RPC 2.0; MCP "tools/call").
//!
//! It reads strictly: what two readers could understand differently is refused, so that the server behind never sees another call than
//! the one that was judged.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What one message asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call<'a> {
    /// A tool, by its name.
    Tool(Cow<'a, str>),
    /// A prompt, by its name.
    Prompt(Cow<'a, str>),
    /// Any other method, notifications too.
    Method(Cow<'a, str>),
    /// An answer to a request of the server's.
    Answer,
}

/// Why a body is not judged, and so not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Not JSON.
    Parse,
    /// JSON, but no message: neither method nor answer, a call without a name, a member twice, positional parameters.
    Invalid,
}

/// Calls `each` for every message of the body, one or a batch. It stops at the first error.
pub(crate) fn look<'a>(body: &'a [u8], mut each: impl FnMut(Call<'a>)) -> Result<(), Unreadable> {
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'[') => {
            let Batch(messages) = serde_json::from_slice(body).map_err(unreadable)?;
            if messages.is_empty() {
                return Err(Unreadable::Invalid);
            }
            messages.into_iter().try_for_each(|message| message.call().map(&mut each))
        }
        _ => each_of(serde_json::from_slice::<Message<'a>>(body).map_err(unreadable)?.call()?, &mut each),
    }
}

fn each_of<'a>(call: Call<'a>, each: &mut impl FnMut(Call<'a>)) -> Result<(), Unreadable> {
    each(call);
    Ok(())
}

fn unreadable(error: serde_json::Error) -> Unreadable {
    match error.classify() {
        serde_json::error::Category::Data => Unreadable::Invalid,
        _ => Unreadable::Parse,
    }
}

/// The members of a message that matter here; all others are passed over.
#[derive(Default)]
struct Message<'a> {
    method: Option<Cow<'a, str>>,
    /// `name` of the parameters.
    name: Option<Cow<'a, str>>,
    answers: bool,
}

impl<'a> Message<'a> {
    fn call(self) -> Result<Call<'a>, Unreadable> {
        match (self.method, self.name, self.answers) {
            (Some(_), _, true) | (None, _, false) => Err(Unreadable::Invalid),
            (None, _, true) => Ok(Call::Answer),
            (Some(method), name, false) => match (&*method, name) {
                ("tools/call", Some(name)) => Ok(Call::Tool(name)),
                ("prompts/get", Some(name)) => Ok(Call::Prompt(name)),
                ("tools/call" | "prompts/get", None) => Err(Unreadable::Invalid),
                _ => Ok(Call::Method(method)),
            },
        }
    }
}

struct Batch<'a>(Vec<Message<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Batch<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Messages;
        impl<'de> Visitor<'de> for Messages {
            type Value = Vec<Message<'de>>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of messages")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut messages = Vec::new();
                while let Some(message) = items.next_element()? {
                    messages.push(message);
                }
                Ok(messages)
            }
        }
        deserializer.deserialize_seq(Messages).map(Self)
    }
}

// By hand: a derived implementation takes the array of its members for the object, and servers' own types do, too.
impl<'de: 'a, 'a> Deserialize<'de> for Message<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Message<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a message")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let mut message = Message::default();
                let mut parameters = false;
                while let Some(Str(key)) = members.next_key()? {
                    match &*key {
                        "method" => once(&mut message.method, members.next_value::<Str<'de>>()?, "method")?,
                        "params" if parameters => return Err(de::Error::custom("duplicate params")),
                        "params" => {
                            parameters = true;
                            message.name = members.next_value::<Params<'de>>()?.0;
                        }
                        // `"result": null` is an answer, too.
                        "result" | "error" => {
                            message.answers = true;
                            members.next_value::<IgnoredAny>()?;
                        }
                        _ => {
                            members.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(message)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// `name` of the parameters, if they have one that is text.
struct Params<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Params<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Option<Cow<'de, str>>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("parameters by name")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(None)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let (mut name, mut seen) = (None, false);
                while let Some(Str(key)) = members.next_key()? {
                    if key != "name" {
                        members.next_value::<IgnoredAny>()?;
                    } else if seen {
                        return Err(de::Error::custom("duplicate name"));
                    } else {
                        seen = true;
                        name = members.next_value::<Name<'de>>()?.0;
                    }
                }
                Ok(name)
            }
        }
        deserializer.deserialize_any(Members).map(Self)
    }
}

fn once<'a, E: de::Error>(place: &mut Option<Cow<'a, str>>, value: Str<'a>, what: &str) -> Result<(), E> {
    match place.replace(value.0) {
        None => Ok(()),
        Some(_) => Err(de::Error::custom(format_args!("duplicate {what}"))),
    }
}

/// Text, borrowed from the body where nothing in it is escaped.
struct Str<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Cow<'de, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        deserializer.deserialize_str(Text).map(Self)
    }
}

/// Text, or something else, which other methods than those of tools and prompts may have as a `name` of theirs.
struct Name<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Option<Cow<'de, str>>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Some(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Some(Cow::Owned(text.to_owned())))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(None)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(None)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(None)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(None)
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(None)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(None)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(None)
            }
        }
        deserializer.deserialize_any(Any).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(body: &str) -> Result<Vec<Call<'_>>, Unreadable> {
        let mut calls = Vec::new();
        look(body.as_bytes(), |call| calls.push(call)).map(|()| calls)
    }

    fn tool(name: &str) -> Call<'_> {
        Call::Tool(name.into())
    }

    fn method(name: &str) -> Call<'_> {
        Call::Method(name.into())
    }

    #[test]
    fn a_message_says_what_it_calls_wherever_the_members_stand() {
        // What is passed over is passed over without recursion.
        let deep = format!(r#"{{"method":"x","params":{{"a":{}{}}}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        for (body, expected) in [
            (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read"}}"#, vec![tool("read")]),
            (r#"{"params":{"arguments":{"name":"write"},"name":"read"},"method":"tools/call"}"#, vec![tool("read")]),
            (r#"{"method":"tools\/call","params":{"name":"re\u0061d"}}"#, vec![tool("read")]),
            (r#"{"m\u0065thod":"tools/call","params":{"n\u0061me":"read"}}"#, vec![tool("read")]),
            (r#"{"method":"tools/call","params":{"name":"READ"}}"#, vec![tool("READ")]),
            (r#"{"method":"TOOLS/CALL","params":{"name":"read"}}"#, vec![method("TOOLS/CALL")]),
            (r#"{"method":"prompts/get","params":{"name":"p"}}"#, vec![Call::Prompt("p".into())]),
            (r#"{"method":"tools/list"}"#, vec![method("tools/list")]),
            (r#"{"method":"x","params":{"name":{"deep":[1,2]}}}"#, vec![method("x")]),
            (r#"{"method":"x","params":null}"#, vec![method("x")]),
            (&deep, vec![method("x")]),
            (r#"{"method":"notifications/initialized"}"#, vec![method("notifications/initialized")]),
            (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, vec![Call::Answer]),
            (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1}}"#, vec![Call::Answer]),
            (
                " \n[{\"method\":\"ping\"},{\"method\":\"tools/call\",\"params\":{\"name\":\"a\"}}]",
                vec![method("ping"), tool("a")],
            ),
        ] {
            assert_eq!(calls(body).as_ref(), Ok(&expected), "{body}");
        }
    }

    #[test]
    fn what_two_readers_could_understand_differently_is_refused() {
        for (body, expected) in [
            ("", Unreadable::Parse),
            ("{", Unreadable::Parse),
            ("<xml/>", Unreadable::Parse),
            ("\u{feff}{\"method\":\"ping\"}", Unreadable::Parse),
            (r#"{"method":"ping"} {"method":"ping"}"#, Unreadable::Parse),
            (r#"{"method":"ping","method":"tools/call"}"#, Unreadable::Invalid),
            (r#"{"method":"ping","m\u0065thod":"tools/call"}"#, Unreadable::Invalid),
            (r#"{"method":"tools/call","params":{"name":"read"},"params":{"name":"write"}}"#, Unreadable::Invalid),
            (r#"{"method":"tools/call","params":{"name":"read","name":"write"}}"#, Unreadable::Invalid),
            (r#"{"method":"tools/call","params":{"name":"read","n\u0061me":"write"}}"#, Unreadable::Invalid),
            ("null", Unreadable::Invalid),
            ("7", Unreadable::Invalid),
            ("\"tools/call\"", Unreadable::Invalid),
            ("{}", Unreadable::Invalid),
            ("[]", Unreadable::Invalid),
            (r#"[["tools/call"]]"#, Unreadable::Invalid),
            (r#"[{"method":"ping"},7]"#, Unreadable::Invalid),
            (r#"{"method":7}"#, Unreadable::Invalid),
            (r#"{"method":"ping","result":{}}"#, Unreadable::Invalid),
            (r#"{"method":"tools/call"}"#, Unreadable::Invalid),
            (r#"{"method":"tools/call","params":{}}"#, Unreadable::Invalid),
            (r#"{"method":"tools/call","params":{"name":7}}"#, Unreadable::Invalid),
            (r#"{"method":"tools/call","params":[null,"write"]}"#, Unreadable::Invalid),
            (r#"{"method":"tools/call","params":"write"}"#, Unreadable::Invalid),
        ] {
            assert_eq!(calls(body), Err(expected), "{body}");
        }
    }
}
