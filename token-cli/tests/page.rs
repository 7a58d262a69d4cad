//! The page of the development issuer, in a real browser: headless Chromium, spoken to over its debugging protocol.
#![cfg(feature = "foreign")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod browser;
mod support;

use browser::Browser;
use support::Desk;

#[tokio::test]
async fn the_page_mints_rotates_and_breaks_as_its_buttons_say() {
    let desk = Desk::new("page").await;
    let running = desk.start_issuer();
    let mut page = Browser::open(&desk.folder, &format!("{}/", running.url)).await;

    page.until("document.getElementById('issuer').textContent", &running.url).await;
    assert_eq!(page.read("document.querySelectorAll('#keys tr').length").await, "1");

    // Mint: a good token, which the program accepts; then one that is wrong on purpose.
    page.read("document.querySelector('[name=subject]').value = 'ada'").await;
    page.read("document.querySelector('#mint button').click()").await;
    page.until("document.getElementById('token').value.split('.').length", "3").await;
    assert!(page.read("document.getElementById('claims').textContent").await.contains("\"sub\": \"ada\""));
    let trust = ["explain", "--issuer", running.url.as_str(), "--audience", "https://api.example.com"];
    let token = page.read("document.getElementById('token').value").await;
    assert_eq!(desk.run(&trust, token.as_bytes()).code, 0);
    if let Some(path) = std::env::var_os("TOKEN_WRITE_SCREENSHOT") {
        std::fs::write(path, page.screenshot().await).unwrap();
    }
    page.read("document.querySelector('[name=wrong]').value = 'expired'; document.getElementById('token').value = ''")
        .await;
    page.read("document.querySelector('#mint button').click()").await;
    page.until("document.getElementById('token').value.split('.').length", "3").await;
    let expired = page.read("document.getElementById('token').value").await;
    assert!(desk.run(&trust, expired.as_bytes()).stdout.contains("FAIL  expiry"));

    // Rotate: the old key stays, then goes.
    page.read("document.getElementById('rotate').click()").await;
    page.until("document.querySelectorAll('#keys tr').length", "2").await;
    page.read("document.getElementById('rotate-hard').click()").await;
    page.until("document.querySelectorAll('#keys tr').length", "1").await;
    assert!(desk.run(&trust, token.as_bytes()).stdout.contains("FAIL  key"));

    // Break and mend.
    page.read("document.querySelector('[data-fault=status503]').click()").await;
    page.until("document.getElementById('fault').textContent", "status503").await;
    assert_eq!(desk.run(&trust, token.as_bytes()).code, 3);
    page.read("document.querySelector('[data-fault=none]').click()").await;
    page.until("document.getElementById('fault').textContent", "none").await;
    assert_eq!(desk.run(&trust, token.as_bytes()).code, 1);

    // A page from elsewhere gets nothing.
    let foreign = page.read(&format!("fetch('{}/development/rotate', {{method: 'POST', mode: 'no-cors', body: '{{\"hard\":true}}'}}).then(r => String(r.status))", running.url)).await;
    assert_eq!(foreign, "415", "a body that is not JSON is not taken");
}
