//! A tonic server behind the tower layer: gRPC callers get gRPC statuses, never an HTTP status they cannot read.

use std::future::IntoFuture;

use token_core::{Issuer, ResourceServer};
use token_test::TestIssuer;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower_token::{Rule, ScopeLayer, TokenLayer};

pub(crate) async fn serve(api: ResourceServer) -> String {
    let (_, health) = tonic_health::server::health_reporter();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let layers =
        tower::ServiceBuilder::new().layer(TokenLayer::new(api)).layer(ScopeLayer::new(Rule::scope("health:read")));
    tokio::spawn(Server::builder().layer(layers).add_service(health).serve_with_incoming(incoming).into_future());
    format!("http://{address}")
}

async fn check(channel: &Channel, token: Option<&str>) -> Result<i32, Status> {
    let mut request = Request::new(HealthCheckRequest::default());
    if let Some(token) = token {
        let value = MetadataValue::try_from(format!("Bearer {token}")).unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    HealthClient::new(channel.clone()).check(request).await.map(|answer| answer.into_inner().status)
}

#[tokio::test]
async fn a_tonic_client_reads_each_refusal_as_a_grpc_status() {
    let issuer = TestIssuer::start().await;
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let api = ResourceServer::builder(issuer.audience()).trust(trusted).build().unwrap();
    let channel = Channel::from_shared(serve(api).await).unwrap().connect().await.unwrap();

    let good = issuer.token().scope("health:read").mint();
    assert_eq!(check(&channel, Some(&good)).await.unwrap(), 1, "serving");
    for (name, token, code) in [
        ("no token", None, Code::Unauthenticated),
        ("expired", Some(issuer.token().scope("health:read").expired().mint()), Code::Unauthenticated),
        ("missing scope", Some(issuer.token().scope("other").mint()), Code::PermissionDenied),
    ] {
        let status = check(&channel, token.as_deref()).await.unwrap_err();
        assert_eq!(status.code(), code, "{name}: {status:?}");
        assert!(status.metadata().contains_key("www-authenticate"), "{name}");
    }
}

#[tokio::test]
async fn a_tonic_client_reads_an_issuer_out_of_reach_as_unavailable() {
    let issuer = TestIssuer::start().await;
    let token = issuer.token().scope("health:read").mint();
    issuer.faults().down();
    let trusted = Issuer::discover(issuer.url()).unwrap().allow_loopback_http();
    let api = ResourceServer::builder(issuer.audience()).trust(trusted).build().unwrap();
    let channel = Channel::from_shared(serve(api).await).unwrap().connect().await.unwrap();
    assert_eq!(check(&channel, Some(&token)).await.unwrap_err().code(), Code::Unavailable);
}
