//! An `ext_authz` server that says yes and does nothing else, as one writes it with tonic.

use envoy_types::ext_authz::v3::pb::{Authorization, AuthorizationServer, CheckRequest, CheckResponse};
use envoy_types::pb::google::rpc;
use tonic::{Request, Response, Status};

struct Yes;

#[tonic::async_trait]
impl Authorization for Yes {
    async fn check(&self, _: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let status = Some(rpc::Status { code: 0, ..rpc::Status::default() });
        Ok(Response::new(CheckResponse { status, ..CheckResponse::default() }))
    }
}

#[tokio::main]
async fn main() {
    let address = std::env::args().nth(1).expect("an address").parse().expect("an address");
    let server = tonic::transport::Server::builder().add_service(AuthorizationServer::new(Yes));
    server.serve(address).await.expect("the address is free");
}
