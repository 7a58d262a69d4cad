//! The well-known documents: OpenID Connect Discovery section 4 (path appended) and RFC 8414 section 3 (path inserted).

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use serde_json::{Value, json};

use super::Routes;
use crate::tenant::{Documents, Tenant};
use crate::traffic::Endpoint;

pub(super) fn routes(tenant: &Tenant) -> Routes {
    let openid = format!("{}/.well-known/openid-configuration", tenant.path);
    let rfc8414 = format!("/.well-known/oauth-authorization-server{}", tenant.path);
    let paths = match tenant.documents {
        Documents::Both => vec![openid, rfc8414],
        Documents::OpenIdOnly => vec![openid],
        Documents::Rfc8414Only => vec![rfc8414],
    };
    paths.into_iter().map(|path| (Endpoint::Discovery, path, get(document))).collect()
}

async fn document(State(tenant): State<Arc<Tenant>>) -> Response {
    let mut document = super::metadata(&tenant);
    for value in document.values_mut() {
        if let Value::String(address) = value {
            *address = tenant.outside(address);
        }
    }
    document.insert("issuer".to_owned(), json!(tenant.issuer));
    for (name, value) in tenant.metadata().iter() {
        if value.is_null() {
            document.remove(name);
        } else {
            document.insert(name.clone(), value.clone());
        }
    }
    super::json(StatusCode::OK, &Value::Object(document))
}
