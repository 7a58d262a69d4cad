//! A checked authorization request goes in, the page that asks the user for consent comes out; and the page for requests that are refused.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use url::Url;

use super::oauth_error::OAuthError;
use crate::client::Client;
use crate::sign_in::Asked;
use crate::tenant::Tenant;

const STYLE: &str = "body{font:16px/1.5 system-ui;max-width:34rem;margin:3rem auto;padding:0 1rem}code{word-break:break-all}\
    fieldset{margin:1rem 0}label{display:block}button{font:inherit;padding:.4rem 1rem;margin-right:.5rem}";

/// What the user is asked: who wants what, where the answer goes, and as whom to sign in.
/// The form is sent to `path` of the issuer.
pub(super) fn page(tenant: &Tenant, path: &str, client: &Client, asked: &Asked, ticket: &str) -> Response {
    let name = escape(client.name.as_deref().unwrap_or(&client.id));
    let id = escape(&client.id);
    // The host, since a name can be anybody's (client-id metadata documents, section 8).
    let to = Url::parse(&asked.redirect_uri)
        .map(|url| url.host_str().map_or_else(|| url.scheme().to_owned(), str::to_owned));
    let to = escape(&to.unwrap_or_default());
    let local = if matches!(to.as_str(), "localhost" | "127.0.0.1" | "[::1]") {
        "<p><strong>The answer goes to a program on this machine.</strong> Any program here could have asked.</p>"
    } else {
        ""
    };
    let scopes: String = asked
        .scope
        .split(' ')
        .filter(|scope| !scope.is_empty())
        .map(|scope| {
            let scope = escape(scope);
            format!("<label><input type=checkbox name=scope value=\"{scope}\" checked> <code>{scope}</code></label>")
        })
        .collect();
    let resources: String =
        asked.resources.iter().map(|uri| format!("<p>For <code>{}</code></p>", escape(uri))).collect();
    html(
        StatusCode::OK,
        &format!(
            "<h1>Sign in to {name}?</h1><p>Client <code>{id}</code></p><p>You are sent back to <code>{to}</code></p>{local}{resources}\
             <form method=post action=\"{action}\"><input type=hidden name=ticket value=\"{ticket}\">\
             <fieldset><legend>It may</legend>{scopes}</fieldset>\
             <label>User <input name=subject value=test-user></label>\
             <p><button name=decision value=allow>Allow</button><button name=decision value=deny>Deny</button></p></form>\
             <p><small>A development issuer: it asks nobody for a password.</small></p>",
            action = escape(&format!("{}{path}", tenant.path)),
        ),
    )
}

/// What a user is told whose request cannot be sent back to anybody.
pub(super) fn refused(error: &OAuthError) -> Response {
    html(
        StatusCode::BAD_REQUEST,
        &format!("<h1>This request is refused</h1><p><code>{}</code>: {}</p>", error.code(), escape(error.text())),
    )
}

fn html(status: StatusCode, body: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    ];
    let page =
        format!("<!doctype html><meta charset=utf-8><title>Development issuer</title><style>{STYLE}</style>{body}");
    (status, headers, page).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
