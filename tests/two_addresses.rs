//! One issuer with two addresses: the name that tokens say, and the place where it is asked; plain http inside a network, by opt-in.

use std::net::{IpAddr, UdpSocket};

use token_core::policy::{IssuerPolicy, Policy};
use token_core::{Error, ErrorKind, Issuer, Presented, ResourceServer, Verified};
use token_test::{Endpoint, HeldPort, IssuerBuilder, TestIssuer};

/// An issuer whose own name leads to a port that is closed: nobody here can ask it by that.
struct Place {
    issuer: TestIssuer,
    _closed: HeldPort,
}

impl Place {
    async fn new() -> Self {
        Self::of(TestIssuer::builder()).await
    }

    async fn of(builder: IssuerBuilder) -> Self {
        let closed = HeldPort::new().unwrap();
        let name = format!("http://localhost:{}/realms/shop", closed.port());
        Self { issuer: builder.known_as(&name).start().await, _closed: closed }
    }

    fn trusted(&self) -> Issuer {
        Issuer::discover(self.issuer.url()).unwrap().allow_loopback_http()
    }

    fn document(&self) -> String {
        format!("{}/realms/shop/.well-known/openid-configuration", self.issuer.address())
    }

    fn api(&self, issuer: Issuer) -> ResourceServer {
        ResourceServer::builder(self.issuer.audience()).trust(issuer).build().unwrap()
    }

    async fn ask(&self, issuer: Issuer) -> Result<Verified, Error> {
        self.api(issuer).authenticate(Presented::token(&self.issuer.token().mint())).await
    }
}

#[tokio::test]
async fn an_issuer_is_asked_at_its_other_address_and_its_tokens_keep_its_name() {
    let place = Place::new().await;
    let verified = place.ask(place.trusted().reached_at(place.issuer.address()).unwrap()).await.unwrap();
    assert_eq!(verified.issuer(), place.issuer.url());
    assert_eq!((place.issuer.hits(Endpoint::Discovery), place.issuer.hits(Endpoint::Jwks)), (1, 1));

    let refused = place.ask(place.trusted()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "by its own name nobody answers here");
}

#[tokio::test]
async fn metadata_at_an_address_of_its_own_leads_to_the_keys_that_it_names() {
    let place = Place::new().await;
    let elsewhere = || place.trusted().metadata_url(place.document()).unwrap();
    assert_eq!(place.ask(elsewhere()).await.unwrap_err().kind(), ErrorKind::Unavailable, "it names the closed port");
    let moved = elsewhere().reached_at(place.issuer.address()).unwrap();
    assert!(place.ask(moved).await.is_ok(), "both settings together");
    place.issuer.set_metadata("jwks_uri", place.issuer.jwks_uri());
    assert!(place.ask(elsewhere()).await.is_ok(), "or an issuer that names the place where it was asked");
}

#[tokio::test]
async fn where_an_operator_says_the_place_no_document_leads_anywhere_else() {
    let place = Place::new().await;
    let elsewhere = TestIssuer::start().await;
    for jwks_uri in [elsewhere.jwks_uri(), "https://keys.example/realms/shop/jwks?x=y".to_owned()] {
        place.issuer.set_metadata("jwks_uri", jwks_uri);
        let _ = place.ask(place.trusted().reached_at(place.issuer.address()).unwrap()).await;
    }
    assert_eq!(elsewhere.hits(Endpoint::Jwks), 0);
    assert_eq!(place.issuer.hits(Endpoint::Discovery), 2);
}

#[tokio::test]
async fn the_document_at_the_other_address_has_to_be_the_same_issuers() {
    let place = Place::new().await;
    place.issuer.set_metadata("issuer", "https://login.example.com/realms/shop");
    let api = place.api(place.trusted().reached_at(place.issuer.address()).unwrap());
    let refused = api.authenticate(Presented::token(&place.issuer.token().mint())).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    let said = api.health()[0].1.last_error.clone().unwrap();
    assert!(said.contains("must be equal byte by byte"), "{said}");
    assert_eq!(place.issuer.hits(Endpoint::Jwks), 0, "and its keys are not asked for");
}

#[tokio::test]
async fn a_server_that_names_itself_by_the_address_it_is_asked_at_is_told_from_another_issuer() {
    let place = Place::new().await;
    place.issuer.set_metadata("issuer", format!("{}/realms/shop", place.issuer.address()));
    let reached = || place.trusted().reached_at(place.issuer.address()).unwrap();
    for trusted in [reached(), place.trusted().metadata_url(place.document()).unwrap()] {
        let api = place.api(trusted);
        api.ready().await.unwrap_err();
        let said = api.health()[0].1.last_error.clone().unwrap();
        assert!(said.contains("set its public address there"), "{said}");
        assert!(!said.contains("let reached_at be"), "what is set already is not advised: {said}");
    }
    let report = place.api(reached()).explain(Presented::token(&place.issuer.token().mint())).await.text();
    assert!(report.contains("tell it its public one"), "{report}");
    assert_eq!(place.issuer.hits(Endpoint::Jwks), 0);
}

#[tokio::test]
async fn who_trusts_the_inner_address_is_told_which_name_to_trust_and_what_to_set() {
    let place = Place::new().await;
    let inner = format!("{}/realms/shop", place.issuer.address());
    let api = place.api(Issuer::discover(&inner).unwrap().allow_loopback_http());
    api.ready().await.unwrap_err();
    let said = api.health()[0].1.last_error.clone().unwrap();
    let advice = format!(
        "trust the one that tokens name, {:?}, and let reached_at be {}, in code or in the policy, or by --reached-at",
        place.issuer.url(),
        place.issuer.address()
    );
    assert!(said.contains(&advice), "{said}");

    let token = place.issuer.token().mint();
    let report = api.explain(Presented::token(&token)).await.text();
    assert!(report.contains("one issuer with two addresses?"), "{report}");
    // Named the other way round, too: trusted by its own name, and asked there.
    let api = place.api(place.trusted());
    let report = api.explain(Presented::token(&token)).await.text();
    assert!(report.contains("reached_at or jwks_uri names it"), "{report}");
}

#[tokio::test]
async fn a_policy_says_the_same() {
    let place = Place::new().await;
    let mut issuer = IssuerPolicy::discover(place.issuer.url());
    issuer.reached_at = Some(place.issuer.address().to_owned());
    issuer.allow_loopback_http = true;
    let policy = Policy::new(place.issuer.audience()).trust(issuer);
    let api = policy.server().unwrap();
    assert!(api.authenticate(Presented::token(&place.issuer.token().mint())).await.is_ok());
    assert_eq!(api.policy().issuers[0].reached_at.as_deref(), Some(place.issuer.address()));
    assert!(policy.to_string().contains(&format!("reached at  {}", place.issuer.address())), "{policy}");
}

/// An address of this machine in a private network, or loopback where it has none.
fn private_address() -> IpAddr {
    let towards = |here: &str, there: &str| {
        let socket = UdpSocket::bind(here).ok()?;
        // Sends nothing: it only asks which way would be taken.
        socket.connect(there).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    let ways = [towards("0.0.0.0:0", "10.255.255.255:9"), towards("[::]:0", "[fd00::ffff]:9")];
    let is_private = |address: &IpAddr| match address {
        IpAddr::V4(address) => address.is_private(),
        IpAddr::V6(address) => address.is_unique_local(),
    };
    ways.into_iter().flatten().find(is_private).unwrap_or(IpAddr::from([127, 0, 0, 1]))
}

#[tokio::test]
async fn plain_http_inside_a_network_is_opted_into_for_one_issuer_and_opens_nothing_beside_itself() {
    let issuer = TestIssuer::builder().bind((private_address(), 0)).start().await;
    let build = |trusted: Issuer| ResourceServer::builder(issuer.audience()).trust(trusted).build();
    let trusted = || Issuer::discover(issuer.url()).unwrap();
    for closed in [trusted(), trusted().allow_private_addresses()] {
        let why = build(closed).unwrap_err().to_string();
        assert!(why.contains("expected https") && why.contains("dangerously_allow_plain_http"), "{why}");
    }
    let token = issuer.token().mint();
    let api = build(trusted().dangerously_allow_plain_http()).unwrap();
    assert!(api.authenticate(Presented::token(&token)).await.is_ok(), "{}", issuer.url());

    // Private addresses over https, public ones over http: neither is thereby allowed.
    for (jwks_uri, why) in [
        ("https://10.255.255.1/keys", "allow_private_addresses"),
        ("http://93.184.216.34/keys", "is a public address"),
        ("http://169.254.169.254/keys", "never talked to"),
    ] {
        let trusted = Issuer::with_jwks_uri(issuer.url(), jwks_uri).unwrap().dangerously_allow_plain_http();
        let api = build(trusted).unwrap();
        api.ready().await.unwrap_err();
        let said = api.health()[0].1.last_error.clone().unwrap();
        assert!(said.contains(why), "{jwks_uri}: {said}");
    }
}

#[test]
fn places_that_contradict_how_keys_are_had_are_refused_with_their_names() {
    let name = "https://login.example.com/realms/shop";
    let build =
        |issuer: Issuer| ResourceServer::builder("api").trust(issuer).build().map(drop).map_err(|why| why.to_string());
    let keys = || Issuer::with_jwks_uri(name, "https://keycloak.internal/keys").unwrap();
    for (made, why) in [
        (
            build(keys().reached_at("https://keycloak.internal").unwrap()),
            "reached_at is for issuers whose keys are discovered",
        ),
        (build(keys().metadata_url("https://keycloak.internal/m").unwrap()), "metadata_url is for issuers whose keys"),
        (
            build(Issuer::discover(name).unwrap().reached_at("http://keycloak:8080").unwrap()),
            "reached_at http://keycloak:8080: expected https",
        ),
        (
            build(Issuer::discover(name).unwrap().metadata_url("http://keycloak:8080/m").unwrap()),
            "metadata_url http://keycloak:8080/m: expected https",
        ),
    ] {
        assert!(made.as_ref().is_err_and(|said| said.contains(why)), "{made:?}, expected {why}");
    }
    for origin in ["keycloak:8080", "https://keycloak/realms/shop", "https://a@keycloak", "https://keycloak?a", ""] {
        let why = Issuer::discover(name).unwrap().reached_at(origin).unwrap_err().to_string();
        assert!(why.contains("reached_at"), "{origin}: {why}");
    }
}
