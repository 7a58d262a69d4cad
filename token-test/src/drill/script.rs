//! The script of a drill as text in, the calls that build it out: one thing a line.

use std::str::FromStr;
use std::time::Duration;

use super::{Answer, Drill};

/// Reads the lines; what is behind `#` is a comment.
pub(super) fn read<'i, F>(
    mut drill: Drill<'i>,
    text: &str,
    command: impl Fn(String) -> F + Clone + 'i,
) -> Result<Drill<'i>, String>
where
    F: Future<Output = ()> + 'i,
{
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            drill = one(drill, line, command.clone()).map_err(|why| format!("line {}: {why}", number + 1))?;
        }
    }
    Ok(drill)
}

const EXPECTED: &str = "expected `every SECONDS`, or `at SECOND` and one of: rotate, withdraw, down SECONDS, slow BY SECONDS, flood EACH SECONDS, \
                        clock OFF SECONDS, run SECONDS served|unavailable|either COMMAND, end";

fn one<'i, F>(drill: Drill<'i>, line: &str, command: impl Fn(String) -> F + 'i) -> Result<Drill<'i>, String>
where
    F: Future<Output = ()> + 'i,
{
    let words: Vec<&str> = line.split_whitespace().collect();
    if let ["every", seconds] = words[..] {
        return Ok(drill.every(number(seconds)?));
    }
    let ["at", second, ref what @ ..] = words[..] else { return Err(EXPECTED.to_owned()) };
    let drill = drill.at(number(second)?);
    Ok(match what {
        ["rotate"] => drill.rotate(),
        ["withdraw"] => drill.withdraw(),
        ["down", seconds] => drill.down(number(seconds)?),
        ["slow", by, seconds] => {
            let by = Duration::try_from_secs_f64(number(by)?).map_err(|_| format!("{by}: expected seconds"))?;
            drill.slow(by, number(seconds)?)
        }
        ["flood", each, seconds] => drill.flood(number(each)?, number(seconds)?),
        ["clock", off, seconds] => drill.clock_off(number(off.trim_start_matches('+'))?, number(seconds)?),
        ["run", seconds, expected, words @ ..] if !words.is_empty() => {
            let words = words.join(" ");
            drill.happens(&words.clone(), number(seconds)?, answers(expected)?, move || command(words))
        }
        ["end"] => drill.end(),
        _ => return Err(EXPECTED.to_owned()),
    })
}

fn number<N: FromStr>(word: &str) -> Result<N, String> {
    word.parse().map_err(|_| format!("{word}: expected a number"))
}

fn answers(word: &str) -> Result<&'static [Answer], String> {
    match word {
        "served" => Ok(&[Answer::LetIn]),
        "unavailable" => Ok(&[Answer::Unavailable]),
        "either" => Ok(&[Answer::LetIn, Answer::Unavailable]),
        _ => Err(format!("{word}: expected served, unavailable or either")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::drill;
    use crate::TestIssuer;

    #[tokio::test]
    async fn a_script_says_what_the_calls_say() {
        let issuer = TestIssuer::start().await;
        let text = "every 2\n# a comment\nat 5 rotate\nat 7 withdraw # at once\n\nat 10 down 60\nat 80 slow 2.5 20\nat 110 flood 50 20\n\
                    at 140 clock +40 10\nat 150 clock -400 10\nat 160 run 5 either redis-cli failover\nat 200 end\n";
        let read = drill(&issuer).script(text, async |_| ()).unwrap();
        let said = drill(&issuer)
            .every(2)
            .at(5)
            .rotate()
            .at(7)
            .withdraw()
            .at(10)
            .down(60)
            .at(80)
            .slow(std::time::Duration::from_millis(2500), 20)
            .at(110)
            .flood(50, 20)
            .at(140)
            .clock_off(40, 10)
            .at(150)
            .clock_off(-400, 10)
            .at(160)
            .happens("redis-cli failover", 5, &[super::Answer::LetIn, super::Answer::Unavailable], async || ())
            .at(200)
            .end();
        assert_eq!((read.plan.spells, read.plan.every, read.end), (said.plan.spells, said.plan.every, said.end));
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_named_by_its_line() {
        let issuer = TestIssuer::start().await;
        for (text, why) in [
            ("\nat 5 explode", "line 2: expected `every SECONDS`"),
            ("rotate", "line 1: expected"),
            ("at five rotate", "line 1: five: expected a number"),
            ("at 5 down", "line 1: expected"),
            ("at 5 slow -1 5", "line 1: -1: expected seconds"),
            ("at 5 run 5 maybe ls", "line 1: maybe: expected served"),
            ("at 5 run 5 served", "line 1: expected"),
        ] {
            let error = drill(&issuer).script(text, async |_| ()).unwrap_err();
            assert!(error.starts_with(why), "{text:?}: {error}");
        }
    }
}
