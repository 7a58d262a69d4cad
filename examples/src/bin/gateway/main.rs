//! A gateway that calls a second API on behalf of its caller: token in, exchanged token out (RFC 8693); billing sees user and actor.

#![allow(clippy::print_stdout, reason = "what billing saw is what this program is for")]

use axum::http::StatusCode;
use axum::routing::get;
use axum::{Extension, Router};
use axum_token::{Claims, Issuer, OnBehalfOf, ResourceServer, TokenLayer};
use token_client::{Delegation, Downstream, TokenClient, TokenRequest};
use token_core::http::ReqwestClient;
use token_test::TestIssuer;
use tokio::net::TcpListener;

type Failure = Box<dyn std::error::Error>;

/// The service that the gateway calls, as a type: handlers say whom they call.
struct Billing;
impl Downstream for Billing {
    const AUDIENCE: &'static str = "https://billing.example.com";
    const SCOPE: &'static str = "read:invoices";
}

#[derive(serde::Deserialize)]
struct User {
    sub: String,
    act: Option<Actor>,
}
#[derive(serde::Deserialize)]
struct Actor {
    sub: String,
}

/// In billing: who is it, and who acts for them?
async fn invoices(Claims(user): Claims<User>) -> String {
    format!("invoices of {}, asked for by {}", user.sub, user.act.as_ref().map_or("themselves", |actor| &actor.sub))
}

/// In the gateway: the token is for billing already, cached for as long as the caller's own is good.
async fn bill(billing: String, OnBehalfOf(token): OnBehalfOf<Billing>) -> Result<String, StatusCode> {
    let request = reqwest::Client::new().get(format!("{billing}/invoices")).bearer_auth(token.expose());
    let answer = request.send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    answer.text().await.map_err(|_| StatusCode::BAD_GATEWAY)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    // In place of this: your authorization server, and the client that it knows the gateway by.
    let issuer = TestIssuer::start().await;
    issuer.client("gateway", "gateway-secret");
    let client = TokenClient::builder(issuer.token_endpoint(), "gateway")
        .secret("gateway-secret")
        .http(ReqwestClient::builder().allow_loopback_http().build()?)
        .build()?;
    let ourselves = client.source(TokenRequest::client_credentials());

    let billing =
        serve(Router::new().route("/invoices", get(invoices)).layer(trust(&issuer, Billing::AUDIENCE)?)).await?;
    let gateway = Router::new()
        .route("/bill", get(move |token| bill(billing, token)))
        .layer(trust(&issuer, issuer.audience())?)
        .layer(Extension(Delegation::<Billing>::exchange(client).actor(ourselves)));
    let gateway = serve(gateway).await?;

    let ada = issuer.token().subject("ada").mint();
    println!("{}", reqwest::Client::new().get(format!("{gateway}/bill")).bearer_auth(ada).send().await?.text().await?);
    Ok(())
}

fn trust(issuer: &TestIssuer, audience: &str) -> Result<TokenLayer, Failure> {
    let issuer = Issuer::discover(issuer.url())?.allow_loopback_http();
    Ok(TokenLayer::new(ResourceServer::builder(audience).trust(issuer).build()?))
}

async fn serve(app: Router) -> Result<String, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, app).await });
    Ok(address)
}
