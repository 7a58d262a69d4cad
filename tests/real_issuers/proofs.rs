//! Our servers with DPoP and nonces in front of a certified provider's tokens: clients that nobody here wrote prove their keys to them, and so does our own (RFC 9449).

use std::process::{Command, Stdio};

use token_client::{BearerClient, DpopKey, Origins, TokenClient, TokenRequest};
use token_core::http::ReqwestClient;
use token_core::possession::Dpop;
use token_core::{Algorithm, ResourceServer};
use token_tests::evidence::note;

use super::oidc_provider::{AUDIENCE, trusted};
use super::process::{SECRET, Server, folder};
use super::served::{Api, Framework};

/// An API that takes bound tokens alone, with a nonce in each proof.
async fn api(server: &Server, framework: Framework) -> Api {
    let dpop = Dpop::at_requested_host().required().require_nonces();
    let gate = ResourceServer::builder(AUDIENCE).trust(trusted(server)).dpop(dpop).build().unwrap();
    Api::serve(framework, gate).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_javascript_prove_their_keys_to_our_servers() {
    let server = Server::oidc_provider();
    for framework in Framework::ALL {
        let api = api(&server, framework).await;
        let mut program = Command::new("node");
        program.arg(folder().join("proofs.mjs")).args([&server.url, "dpop-only", SECRET]);
        program.arg(format!("{AUDIENCE}/ES256")).arg(api.url()).stdin(Stdio::null());
        let run = tokio::task::spawn_blocking(move || program.output()).await.unwrap();
        let output = run.expect("`cargo xtask test` installs the clients");
        let (shown, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{framework:?}: {shown}{complaints}");
        let lines: Vec<_> = shown.lines().filter_map(|line| line.strip_prefix("shown ")?.split_once(" | ")).collect();
        assert_eq!(lines.len(), 9, "{framework:?}: {shown}{complaints}");
        for (client, what) in lines {
            note("proofs", &format!("{client} {} {what}", framework.name()), &[client, framework.name(), what]);
        }
        assert_eq!(api.get("/users", "no.proof.here").await.status, 401, "{framework:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_proves_its_key_to_our_servers() {
    let server = Server::oidc_provider();
    server.get("/test/nonces").await;
    for framework in Framework::ALL {
        let api = api(&server, framework).await;
        for algorithm in [Algorithm::ES256, Algorithm::EdDSA] {
            let client = TokenClient::builder(format!("{}/token", server.url), "dpop-only")
                .secret(SECRET)
                .dpop(DpopKey::generate(algorithm).unwrap())
                .http(ReqwestClient::builder().allow_loopback_http().build().unwrap())
                .build()
                .unwrap();
            let request = TokenRequest::client_credentials().resource(format!("{AUDIENCE}/ES256")).scope("read:users");
            let sender = BearerClient::new(client.source(request), Origins::of([api.url()]).unwrap());
            let http = sender.client(reqwest::Client::builder()).unwrap().build();
            for path in ["/users", "/me", "/users?page=2", "/users#fragment"] {
                let answer = http.get(format!("{}{path}", api.url())).send().await.unwrap();
                assert_eq!(answer.status().as_u16(), 200, "{framework:?} {algorithm} {path}");
            }
            let what = format!("DPoP ({algorithm}), with nonces of both servers");
            note("proofs", &format!("z {} {what}", framework.name()), &["`token-client`", framework.name(), &what]);
        }
    }
}
