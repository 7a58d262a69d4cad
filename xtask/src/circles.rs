//! The files of a crate and the names they import in, circles of files out: of two rooms one uses the other, never both. A room and what is in the
//! folder of its name are one place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::rooms::collect;
use crate::step::Outcome;

/// The crates that are looked at.
const CRATES: [&str; 10] = [
    "token-core",
    "tower-token",
    "axum-token",
    "actix-token",
    "mcp-token",
    "token-client",
    "token-test",
    "token-redis",
    "token-gate",
    "token-cli",
];

/// A module by its path from the crate's root; a file.
type Room = Vec<String>;
/// Which room uses which.
type Uses = BTreeMap<Room, BTreeSet<Room>>;

/// Fails with a circle of each crate that has one.
pub(crate) fn check() -> Outcome {
    let mut found = Vec::new();
    for name in CRATES {
        let source = Path::new(name).join("src");
        let mut files = Vec::new();
        collect(&source, &mut files)?;
        let mut rooms = BTreeMap::new();
        for path in files {
            let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            let inside = path.strip_prefix(&source).unwrap_or(&path).with_extension("");
            let room: Room = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            // The root hands names out; tests and pages of documentation may look at the whole house.
            if !room.iter().any(|part| matches!(&**part, "lib" | "main" | "bin" | "front") || part.contains("tests")) {
                rooms.insert(room, text);
            }
        }
        if let Some(circle) = circle(&uses(&rooms)) {
            let circle: Vec<_> = circle.iter().map(|room| format!("{}.rs", room.join("/"))).collect();
            found.push(format!("{name}/src: {}", circle.join(" uses ")));
        }
    }
    if found.is_empty() { Ok(()) } else { Err(format!("files use each other in a circle:\n{}", found.join("\n"))) }
}

fn uses(rooms: &BTreeMap<Room, String>) -> Uses {
    let of = |room: &Room, text: &str| {
        let paths = paths(text).into_iter().filter_map(|path| absolute(room, &path));
        let found = paths.filter_map(|mut path| {
            while !path.is_empty() && !rooms.contains_key(&path) {
                path.pop();
            }
            let one_place = path.starts_with(room) || room.starts_with(&path);
            (!one_place).then_some(path)
        });
        found.collect()
    };
    rooms.iter().map(|(room, text)| (room.clone(), of(room, text))).collect()
}

/// A path as the crate's root would write it; none for a path into another crate.
fn absolute(room: &Room, path: &[String]) -> Option<Room> {
    let up = path.iter().take_while(|part| *part == "super").count();
    let (base, rest) = match path.first()?.as_str() {
        "crate" => (0, &path[1..]),
        "self" => (room.len(), &path[1..]),
        "super" => (room.len().checked_sub(up)?, &path[up..]),
        _ => return None,
    };
    Some(room[..base].iter().chain(rest).cloned().collect())
}

/// Every path that begins with `crate`, `self` or `super` outside of comments and tests, one for each name of a list in braces.
fn paths(text: &str) -> Vec<Vec<String>> {
    let own = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let code: Vec<_> = own.lines().map(|line| line.split("//").next().unwrap_or(line).replace("$crate", "")).collect();
    let code = code.join("\n");
    let mut found = Vec::new();
    for start in ["crate::", "self::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before.is_none_or(|letter| !letter.is_alphanumeric() && !matches!(letter, '_' | ':')) {
                expand(&code[at..], &mut Vec::new(), &mut found);
            }
        }
    }
    found
}

/// Reads one path, or a list of them, from the start of the text; returns what is left of it.
fn expand<'a>(text: &'a str, before: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> &'a str {
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    before.push(name.to_owned());
    let rest = match rest.strip_prefix("::") {
        Some(list) if list.starts_with('{') => {
            let mut rest = &list[1..];
            loop {
                rest = expand(rest.trim_start(), before, found).trim_start();
                // `a as b` goes on to the comma.
                let stop = rest.find([',', '}', ';']).unwrap_or(rest.len());
                match rest[stop..].strip_prefix(',') {
                    Some(more) if !more.trim_start().starts_with('}') => rest = more,
                    _ => break rest[stop..].find('}').map_or("", |end| &rest[stop + end + 1..]),
                }
            }
        }
        Some(more) => expand(more, before, found),
        None => {
            found.push(before.clone());
            rest
        }
    };
    before.pop();
    rest
}

/// The rooms of one circle, the first again at the end.
fn circle(uses: &Uses) -> Option<Vec<&Room>> {
    fn walk<'a>(uses: &'a Uses, room: &'a Room, road: &mut Vec<&'a Room>, done: &mut BTreeSet<&'a Room>) -> bool {
        if done.contains(room) {
            return false;
        }
        if let Some(at) = road.iter().position(|known| *known == room) {
            road.drain(..at);
            road.push(room);
            return true;
        }
        road.push(room);
        if uses.get(room).into_iter().flatten().any(|next| walk(uses, next, road, done)) {
            return true;
        }
        road.pop();
        done.insert(room);
        false
    }
    let (mut road, mut done) = (Vec::new(), BTreeSet::new());
    uses.keys().any(|room| walk(uses, room, &mut road, &mut done)).then_some(road)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn house(files: &[(&str, &str)]) -> Uses {
        let room = |path: &str| path.split('/').map(str::to_owned).collect::<Room>();
        uses(&files.iter().map(|(path, text)| (room(path), (*text).to_owned())).collect())
    }

    fn found(files: &[(&str, &str)]) -> Option<Vec<String>> {
        circle(&house(files)).map(|rooms| rooms.iter().map(|room| room.join("/")).collect())
    }

    #[test]
    fn a_circle_is_found_however_its_imports_are_written() {
        for text in [
            "use crate::gate::server::Server;",
            "use super::server::{self, Server};",
            "use crate::{base, gate::{builder::B, server::{Inner, Server as S}}};",
            "fn f() -> crate::gate::server::Server {}",
        ] {
            let files = [("gate/server", "use crate::gate::tenants::Tenants;"), ("gate/tenants", text), ("base", "")];
            let circle = found(&files).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(circle, ["gate/server", "gate/tenants", "gate/server"], "{text}");
        }
    }

    #[test]
    fn tests_comments_other_crates_and_a_rooms_own_folder_make_no_circle() {
        let tenants = "//! See crate::gate::server.\nuse token_core::gate::server;\nuse my_crate::gate::server;\nmacro_rules! a { () => { $crate::gate::server::b } }\n\
                       #[cfg(test)]\nmod tests {\n    use crate::gate::server::Server;\n}";
        let server = "use crate::gate::tenants::Tenants;\nuse self::inner::Inner;";
        let inner = "use super::Server;\nuse crate::gate::server::Other;";
        assert_eq!(found(&[("gate/server", server), ("gate/tenants", tenants), ("gate/server/inner", inner)]), None);
    }
}
