//! Spellings of a guarded path through each proxy: none reaches the service without the guard's scope, whatever the service makes of it.

use super::client;
use super::proxy::Kind;
use super::stage::Stage;

/// Ways to write `/admin/keys` that somebody on the way may take for it, most of them below what is open to everybody.
const SPELLINGS: &[&str] = &[
    "/admin/keys",
    "/admin",
    "/%61dmin/keys",
    "/%61%64%6d%69%6e/keys",
    "//admin/keys",
    "///admin/keys",
    "/./admin/keys",
    "/.//admin/keys",
    "/public/../admin/keys",
    "/public//../admin/keys",
    "/public/./../admin/keys",
    "/public/%2e%2e/admin/keys",
    "/public/.%2E/admin/keys",
    "/public/..%2fadmin/keys",
    "/public%2f..%2fadmin%2fkeys",
    "/public/%2e%2e%2fadmin/keys",
    "/public/%252e%252e/admin/keys",
    "/public/%252e%252e%252fadmin/keys",
    "/public/..;/admin/keys",
    "/public/..;x=1/admin/keys",
    "/public;/../admin/keys",
    "/admin;x/keys",
    "/admin%3bx/keys",
    "/public\\..\\admin\\keys",
    "/public/..\\admin\\keys",
    "/public%5c..%5cadmin%5ckeys",
    "/public/%c0%ae%c0%ae/admin/keys",
    "/public/..%c0%afadmin/keys",
    "/public/%e0%80%ae%e0%80%ae/admin/keys",
    "/public/%u002e%u002e/admin/keys",
    "/public/..%00/admin/keys",
    "/admin%00/keys",
    "/admin%20/keys",
    "/admin./keys",
    "/admin%2e/keys",
    "/admin%09/keys",
    "/admin/keys#/public/",
    "/public/x#/../../admin/keys",
    "/public/../../admin/keys",
    "/public/x/../../admin/keys?y=/public/",
    "/public/..?/admin/keys",
    "/admin/keys?/../../public/",
    "/%2fadmin/keys",
    "/%2e/admin/keys",
    "http://api.example.com/admin/keys",
    "http://api.example.com//admin/keys",
    "http://api.example.com/public/../admin/keys",
    "http://public.example.com:80/admin/keys",
    "admin/keys",
    "*",
    "/public/\u{ff0e}\u{ff0e}/admin/keys",
    "/public/%ef%bc%8e%ef%bc%8e/admin/keys",
];

/// Every reading that a lenient server could have of a path.
fn readings(target: &str) -> Vec<String> {
    let target = match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    };
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let mut readings = vec![path.to_owned()];
    for _ in 0..3 {
        let last = readings.last().unwrap().clone();
        readings.push(decoded(&last));
    }
    let plain: Vec<_> = readings
        .iter()
        .flat_map(|path| {
            let path = path.replace('\\', "/");
            let cut: Vec<_> = path.split('/').map(trimmed).collect();
            [path.clone(), cut.join("/")]
        })
        .collect();
    plain
        .iter()
        .flat_map(|path| [resolved(&merged(path)), merged(&resolved(path))])
        .map(|path| path.to_lowercase())
        .collect()
}

/// What is left of a segment when parameters, blanks and final dots are cut off.
fn trimmed(segment: &str) -> &str {
    match segment.split([';', '\0']).next().unwrap().trim() {
        dots @ ("." | "..") => dots,
        name => name.trim_end_matches('.'),
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escape = tail
            .get(..2)
            .and_then(|two| std::str::from_utf8(two).ok())
            .and_then(|two| u8::from_str_radix(two, 16).ok());
        match (first, escape) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    // An overlong dot or slash is one to a decoder that does not look.
    String::from_utf8_lossy(&bytes).replace("\u{fffd}\u{fffd}", "/")
}

fn merged(path: &str) -> String {
    let pieces: Vec<_> = path.split('/').filter(|piece| !piece.is_empty()).collect();
    format!("/{}", pieces.join("/"))
}

fn resolved(path: &str) -> String {
    let mut kept = Vec::new();
    for piece in path.split('/').skip(1) {
        match piece {
            "." => {}
            ".." => drop(kept.pop()),
            piece => kept.push(piece),
        }
    }
    format!("/{}", kept.join("/"))
}

fn is_guarded(target: &str) -> bool {
    readings(target).iter().any(|path| path == "/admin" || path.starts_with("/admin/"))
}

async fn no_spelling_passes(kind: Kind, edit: &dyn Fn(String) -> String) {
    let stage = Stage::with(kind, "", edit).await;
    let weak = stage.bearer("read:users");
    let mut passed = 0;
    for target in SPELLINGS {
        for fields in [&[][..], &[("authorization", weak.as_slice())]] {
            let answer = client::get(stage.address(), target, fields).await;
            let place = format!("{kind:?} {target}: {answer:?}");
            match answer.seen() {
                Some(seen) => {
                    assert!(!is_guarded(&seen.url) && answer.status == 200, "the guard was passed: {place}");
                    passed += 1;
                }
                None => assert!(matches!(answer.status, 400..=404 | 421), "{place}"),
            }
        }
    }
    // Those that mean something else to everybody may pass; they are few.
    assert!(passed <= 12, "{kind:?}: {passed}");
    // The guard is no wall: whoever has the scope passes, and what is open is open.
    let strong = stage.bearer("admin");
    let answer = client::get(stage.address(), "/admin/keys?a=/../b", &[("authorization", &strong)]).await;
    assert_eq!(answer.seen().map(|seen| seen.url).as_deref(), Some("/admin/keys?a=/../b"), "{kind:?} {answer:?}");
    let open = client::get(stage.address(), "/public/caf%C3%A9?x=%2F..", &[]).await;
    assert_eq!(open.seen().map(|seen| seen.url).as_deref(), Some("/public/caf%C3%A9?x=%2F.."), "{kind:?} {open:?}");
}

#[tokio::test]
async fn no_spelling_passes_a_guard() {
    for kind in Kind::ALL {
        no_spelling_passes(kind, &|text| text).await;
    }
}

#[tokio::test]
async fn no_spelling_passes_a_guard_where_the_proxy_merges_slashes_and_normalises_otherwise_than_ours() {
    no_spelling_passes(Kind::Nginx, &|text| text.replace("listen ", "merge_slashes off;\nlisten ")).await;
    no_spelling_passes(Kind::Traefik, &|text| {
        text.replace("maxHeaderBytes", "sanitizePath: false\n      maxHeaderBytes")
            .replace(": false\n        allow", ": true\n        allow")
    })
    .await;
    for kind in [Kind::EnvoyGrpc, Kind::EnvoyHttp] {
        no_spelling_passes(kind, &|text| {
            text.replace("normalize_path: false", "normalize_path: true")
                .replace("merge_slashes: false", "merge_slashes: true")
        })
        .await;
        no_spelling_passes(kind, &|text| {
            text.replace("REJECT_REQUEST\n          common", "UNESCAPE_AND_FORWARD\n          common")
        })
        .await;
    }
}

#[test]
fn the_list_of_spellings_is_one_of_the_guarded_path() {
    let harmless = SPELLINGS.iter().filter(|target| !is_guarded(target)).count();
    assert!(harmless <= 8, "{:?}", SPELLINGS.iter().filter(|target| !is_guarded(target)).collect::<Vec<_>>());
    assert!(!is_guarded("/public/x") && !is_guarded("/administrator"));
}
