//! actix-web-httpauth with a closure over jsonwebtoken 11: the usual middleware of actix-web.

use actix_web::dev::ServiceRequest;
use actix_web::middleware::Condition;
use actix_web::{App, HttpMessage, HttpServer, web};
use actix_web_httpauth::extractors::bearer::BearerAuth;
use actix_web_httpauth::middleware::HttpAuthentication;
use harness::peer::{Task, announce};
use harness::{AUDIENCE, Alg, Claims, Fixture, ISSUER};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};

#[actix_web::main]
async fn main() {
    let Task::Serve { port, layer } = Task::from_args() else { return };
    let fixture = Fixture::new();
    let jwk: Jwk = serde_json::from_str(&fixture.jwk(Alg::RS256)).expect("a JWK");
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[ISSUER]);
    let rules = web::Data::new((DecodingKey::from_jwk(&jwk).expect("a usable key"), validation));
    let server = HttpServer::new(move || {
        let bearer = HttpAuthentication::bearer(|request: ServiceRequest, bearer: BearerAuth| async move {
            let rules = request.app_data::<web::Data<(DecodingKey, Validation)>>().expect("the app has its rules");
            match decode::<Claims>(bearer.token(), &rules.0, &rules.1) {
                Ok(token) => {
                    request.extensions_mut().insert(token.claims);
                    Ok(request)
                }
                Err(_) => Err((actix_web::error::ErrorUnauthorized("no"), request)),
            }
        });
        App::new()
            .app_data(rules.clone())
            .wrap(Condition::new(layer, bearer))
            .route("/", web::get().to(async || "hello"))
    });
    let server = server.workers(1).bind(("127.0.0.1", port)).expect("the port is free");
    announce(&fixture.token(Alg::RS256, 1));
    server.run().await.expect("actix-web serves");
}
