//! The gateway as a user runs it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::Command;

#[test]
fn billing_sees_the_user_and_the_gateway_that_acts_for_them() {
    let output = Command::new(env!("CARGO_BIN_EXE_gateway")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.trim(), "invoices of ada, asked for by gateway");
}

#[test]
fn it_fits_on_a_page() {
    let lines = include_str!("../src/bin/gateway/main.rs").lines().count();
    assert!(lines < 80, "{lines} lines");
}
