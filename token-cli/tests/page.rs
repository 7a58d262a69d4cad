//! The page of the development issuer, in a real browser: headless Chromium, spoken to over its debugging protocol.
#![cfg(feature = "foreign")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod browser;
mod support;

use browser::Browser;
use serde_json::Value;
use support::{Desk, Running};
use token_core::Algorithm;
use token_core::provider::{self, IssuerName};

const MINT: &str = "document.getElementById('token').value = ''; document.querySelector('#mint button').click()";
const TOKEN: &str = "document.getElementById('token').value";
const FAULT: &str = "document.querySelector('#faults [aria-pressed=true]').dataset.fault";

async fn open(desk: &Desk) -> (Running, Browser) {
    let running = desk.start_issuer();
    let mut page = Browser::open(&desk.folder, &format!("{}/", running.url)).await;
    page.until("document.getElementById('issuer').textContent", &running.url).await;
    (running, page)
}

/// Presses the button and waits for the token.
async fn mint(page: &mut Browser) -> String {
    page.read(MINT).await;
    page.until(&format!("{TOKEN}.split('.').length"), "3").await;
    page.read(TOKEN).await
}

#[tokio::test]
async fn the_page_mints_rotates_and_breaks_as_its_buttons_say() {
    let desk = Desk::new("page").await;
    let (running, mut page) = open(&desk).await;
    assert_eq!(page.read("document.querySelectorAll('#keys tr').length").await, "1");

    // Mint: a good token, which the program accepts; then one that is wrong on purpose.
    page.read("document.querySelector('[name=subject]').value = 'ada'").await;
    let token = mint(&mut page).await;
    assert!(page.read("document.getElementById('claims').textContent").await.contains("\"sub\": \"ada\""));
    let trust = ["explain", "--issuer", running.url.as_str(), "--audience", "https://api.example.com"];
    assert_eq!(desk.run(&trust, token.as_bytes()).code, 0);
    page.read("document.querySelector('[name=wrong]').value = 'expired'").await;
    let expired = mint(&mut page).await;
    assert!(desk.run(&trust, expired.as_bytes()).stdout.contains("FAIL  expiry"));

    // Rotate: the old key stays, then goes.
    page.read("document.getElementById('rotate').click()").await;
    page.until("document.querySelectorAll('#keys tr').length", "2").await;
    page.read("document.getElementById('rotate-hard').click()").await;
    page.until("document.querySelectorAll('#keys tr').length", "1").await;
    assert!(desk.run(&trust, token.as_bytes()).stdout.contains("FAIL  key"));

    // Break and mend; whoever loads the page again sees that something is broken.
    page.read("document.querySelector('[data-fault=status503]').click()").await;
    page.until(FAULT, "status503").await;
    assert_eq!(desk.run(&trust, token.as_bytes()).code, 3);
    // The mark tells the old page from the one that is loaded in its place.
    page.read("window.old = true; setTimeout(() => location.reload())").await;
    page.until(&format!("!window.old && document.getElementById('issuer').textContent && {FAULT}"), "status503").await;
    page.read("document.querySelector('[data-fault=none]').click()").await;
    page.until(FAULT, "none").await;
    assert_eq!(desk.run(&trust, token.as_bytes()).code, 1);

    // A page from elsewhere gets nothing.
    let foreign = page.read(&format!("fetch('{}/development/rotate', {{method: 'POST', mode: 'no-cors', body: '{{\"hard\":true}}'}}).then(r => String(r.status))", running.url)).await;
    assert_eq!(foreign, "415", "a body that is not JSON is not taken");
}

#[tokio::test]
async fn of_two_looks_at_the_state_the_one_that_was_asked_for_last_is_shown() {
    let desk = Desk::new("looks").await;
    let (_running, mut page) = open(&desk).await;
    // The answer to the look that follows the minting is held back, until the one after the rotation has come.
    page.read(
        "const through = window.fetch; let counted = 0; window.fetch = async (path, options) => { \
         const answer = await through(path, options); \
         if (path === '/development/state' && counted++ === 0) await new Promise((done) => { window.letGo = done; }); \
         return answer; }; ''",
    )
    .await;
    mint(&mut page).await;
    page.until("typeof window.letGo", "function").await;
    page.read("document.getElementById('rotate').click()").await;
    page.until("document.querySelectorAll('#keys tr').length", "2").await;
    let after = "new Promise((done) => { letGo(); setTimeout(done, 200); })";
    assert_eq!(page.read(&format!("{after}.then(() => document.querySelectorAll('#keys tr').length)")).await, "2");
}

#[tokio::test]
async fn everybody_can_use_the_page_in_the_light_and_in_the_dark() {
    let axe = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/servers/node_modules/axe-core/axe.min.js");
    let axe = std::fs::read_to_string(axe).expect("axe-core: cargo xtask install brings it");
    let desk = Desk::new("accessible").await;
    let (_running, mut page) = open(&desk).await;
    for scheme in ["light", "dark"] {
        page.prefer(scheme).await;
        assert_eq!(page.accessibility(&axe).await, "", "{scheme}, as it opens");
        // With a token, notes, a fault, and a message of each sort.
        page.read("document.getElementById('shapes').value = 'keycloak'").await;
        page.read("document.getElementById('shapes').dispatchEvent(new Event('change'))").await;
        mint(&mut page).await;
        page.read("document.querySelector('[data-fault=empty]').click()").await;
        page.until(FAULT, "empty").await;
        page.read("say('copied'); say('it went wrong', 'broken', true)").await;
        assert_eq!(page.accessibility(&axe).await, "", "{scheme}, in use");
        let colour = |id: &str| format!("getComputedStyle(document.getElementById('{id}')).color");
        let (copied, failed) = (page.read(&colour("said")).await, page.read(&colour("broken")).await);
        assert_ne!(copied, failed, "{scheme}: what went well is not in the colour of what went wrong");
        assert_eq!(page.read("document.getElementById('said').role").await, "status", "read out as it changes");
        page.read("document.querySelector('[data-fault=none]').click(); say(''); say('', 'broken')").await;
        page.until(FAULT, "none").await;
    }
    // The checker sees what it is there for.
    page.read(
        "document.querySelector('.warning').style.color = '#333'; document.querySelector('label[for=token]').remove(); document.getElementById('token').placeholder = ''",
    )
    .await;
    let found = page.accessibility(&axe).await;
    assert!(found.contains("color-contrast: .warning") && found.contains("label: #token"), "{found}");
}

#[tokio::test]
async fn the_page_mints_with_a_lifetime_and_claims_of_ones_own() {
    let desk = Desk::new("free").await;
    let (_running, mut page) = open(&desk).await;
    page.read("document.querySelector('[name=lifetime]').value = '90'").await;
    page.read(
        "document.querySelector('[name=claims]').value = '{\"groups\": [\"staff\"], \"email\": \"a@b.example\"}'",
    )
    .await;
    mint(&mut page).await;
    let shown = page.read("document.getElementById('claims').textContent").await;
    let parts: Vec<Value> = serde_json::Deserializer::from_str(&shown).into_iter().collect::<Result<_, _>>().unwrap();
    let claims = &parts[1];
    assert_eq!((&claims["groups"][0], &claims["email"]), (&"staff".into(), &"a@b.example".into()));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 90);
    for wrong in ["[1]", "groups", "null"] {
        page.read(&format!("document.querySelector('[name=claims]').value = '{wrong}'; say('')")).await;
        page.read("document.querySelector('#mint button').click()").await;
        page.until(
            "document.getElementById('said').textContent.startsWith('more claims: expected a JSON object')",
            "true",
        )
        .await;
    }
}

#[tokio::test]
async fn the_page_mints_tokens_of_the_shape_of_every_preset() {
    let desk = Desk::new("shapes").await;
    let (running, mut page) = open(&desk).await;
    let offered =
        page.read("[...document.querySelectorAll('#shapes option')].map((option) => option.value).join()").await;
    let presets = provider::samples();
    let expected: Vec<_> = ["rfc9068", "id-token"].into_iter().chain(presets.iter().map(|(name, _)| *name)).collect();
    assert_eq!(offered, expected.join(","));
    for (name, preset) in &presets {
        page.read(&format!(
            "document.getElementById('shapes').value = '{name}'; \
             document.getElementById('shapes').dispatchEvent(new Event('change'))"
        ))
        .await;
        mint(&mut page).await;
        // The page shows header and claims as two objects, one after the other.
        let shown = page.read("document.getElementById('claims').textContent").await;
        let parts: Vec<Value> =
            serde_json::Deserializer::from_str(&shown).into_iter().collect::<Result<_, _>>().unwrap();
        let [header, claims] = parts.as_slice() else { panic!("{name}: {shown}") };
        for (member, value) in preset.sample.claims.as_object().unwrap() {
            assert_eq!(claims.get(member), Some(value), "{name}: {member}");
        }
        let named = matches!(preset.issuer, IssuerName::Exact(_) | IssuerName::Template(_));
        assert_eq!(claims.get("iss").is_some_and(|iss| *iss == running.url), named, "{name}");
        assert!(preset.algorithms.iter().any(|algorithm| header["alg"] == algorithm.name()), "{name}: {header}");
        let notes = page.read("document.getElementById('notes').textContent").await;
        assert!(preset.notes.iter().all(|note| notes.contains(note.as_str())), "{name}: {notes}");
        let secret = preset.algorithms.iter().all(Algorithm::is_symmetric);
        assert_eq!(notes.contains("secret that issuer and API share"), secret, "{name}: {notes}");
    }
    if let Some(path) = std::env::var_os("TOKEN_WRITE_SCREENSHOT") {
        page.read("document.getElementById('shapes').value = 'keycloak'; document.querySelector('[name=subject]').value = 'ada'").await;
        page.read("document.getElementById('shapes').dispatchEvent(new Event('change'))").await;
        let keys = page.read("document.querySelectorAll('#keys tr').length").await;
        page.read("document.getElementById('rotate').click()").await;
        page.until(&format!("document.querySelectorAll('#keys tr').length > {keys}"), "true").await;
        mint(&mut page).await;
        std::fs::write(path, page.screenshot().await).unwrap();
    }
}
