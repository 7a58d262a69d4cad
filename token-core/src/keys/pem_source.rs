//! Keys that are published as PEM: a map of certificates, or a document for each `kid`; in, and a JWK Set out (RFC 7468, RFC 7517).

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use serde_json::{Value, json};

use super::source::{FetchError, FetchedKeys, KeySource};
use crate::base::http::address::endpoint;
use crate::base::http::freshness::{max_age, retry_after};
use crate::base::http::{BoxFuture, HttpClient, HttpError, Limits};
use crate::jose::Algorithm;
use crate::jose::{UnusableKey, public_jwk};
use crate::token::naming::is_guid;

/// A JSON object of certificates in PEM by `kid`, as Google publishes its older keys. The certificates are taken for the keys in them; their
/// dates and signatures are not looked at.
#[derive(Debug)]
pub struct CertificateMapSource {
    uri: Uri,
    client: Arc<dyn HttpClient>,
}

impl CertificateMapSource {
    /// The map at `uri`. Nothing is fetched yet.
    ///
    /// # Errors
    /// [`FetchError::Http`] when `uri` is not an https URL; plain http is for loopback hosts only.
    pub fn new(uri: &str, client: Arc<dyn HttpClient>) -> Result<Self, FetchError> {
        Ok(Self { uri: parse(uri)?, client })
    }
}

impl KeySource for CertificateMapSource {
    fn fetch(&self) -> BoxFuture<'_, Result<FetchedKeys, FetchError>> {
        Box::pin(async move {
            let (body, fresh) = get(&*self.client, self.uri.clone()).await?;
            let map: BTreeMap<String, String> = serde_json::from_slice(&body)
                .map_err(|_| FetchError::Unparsable("expected an object of certificates by kid"))?;
            // A certificate that cannot be read does not cost the others.
            let keys: Vec<Value> = map.iter().filter_map(|(kid, pem)| jwk(kid, pem, None).ok()).collect();
            Ok(set(&keys, fresh))
        })
    }
}

/// One PEM document for each `kid`, as AWS load balancers have it. A `kid` is a UUID, or it is not asked for: it becomes part of a URL.
///
/// Only keys are fetched that a token names which passed every check but the signature's.
#[derive(Debug)]
pub struct PemPerKidSource {
    base: Uri,
    algorithm: Algorithm,
    client: Arc<dyn HttpClient>,
    kids: Mutex<Kids>,
}

#[derive(Debug, Default)]
struct Kids {
    /// Published, the last time it was asked.
    known: VecDeque<Box<str>>,
    /// Named by tokens of which nobody knows whether they are good.
    wanted: VecDeque<Box<str>>,
}

const MOST_KNOWN: usize = 16;
/// A fetch asks for no more than these beside the known ones, however many are made up.
const MOST_WANTED: usize = 4;

impl PemPerKidSource {
    /// The documents at `base` with the `kid` behind it; each holds a key for `algorithm`. Nothing is fetched yet.
    ///
    /// # Errors
    /// [`FetchError::Http`] when `base` is not an https URL that ends with a slash; plain http is for loopback hosts only.
    pub fn new(base: &str, algorithm: Algorithm, client: Arc<dyn HttpClient>) -> Result<Self, FetchError> {
        if !base.ends_with('/') {
            return Err(forbidden("expected an address that ends with a slash"));
        }
        Ok(Self { base: parse(base)?, algorithm, client, kids: Mutex::default() })
    }

    fn kids(&self) -> MutexGuard<'_, Kids> {
        self.kids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch_all(&self) -> Result<FetchedKeys, FetchError> {
        let asked: Vec<Box<str>> = {
            let mut kids = self.kids();
            let wanted = std::mem::take(&mut kids.wanted);
            kids.known.iter().cloned().chain(wanted).collect()
        };
        let (mut keys, mut published, mut missing) = (Vec::new(), VecDeque::new(), None);
        for kid in asked {
            let uri = format!("{}{kid}", self.base).parse().map_err(|_| forbidden("not a uri"))?;
            match get(&*self.client, uri).await {
                Ok((body, _)) => {
                    let pem = std::str::from_utf8(&body).map_err(|_| FetchError::Unparsable("not a PEM document"))?;
                    if let Ok(key) = jwk(&kid, pem, Some(self.algorithm)) {
                        keys.push(key);
                        published.push_back(kid);
                    }
                }
                // There is no such key; that of another kid may be there.
                Err(error @ FetchError::Status { status: 403 | 404, .. }) => missing = Some(error),
                Err(error) => return Err(error),
            }
        }
        while published.len() > MOST_KNOWN {
            published.pop_front();
        }
        self.kids().known = published;
        match (keys.is_empty(), missing) {
            (true, Some(error)) => Err(error),
            _ => Ok(set(&keys, None)),
        }
    }
}

impl KeySource for PemPerKidSource {
    fn fetch(&self) -> BoxFuture<'_, Result<FetchedKeys, FetchError>> {
        Box::pin(self.fetch_all())
    }

    fn wanted(&self, kid: &str) {
        let mut kids = self.kids();
        if is_guid(kid) && !kids.known.iter().chain(&kids.wanted).any(|one| **one == *kid) {
            if kids.wanted.len() >= MOST_WANTED {
                kids.wanted.pop_front();
            }
            kids.wanted.push_back(kid.into());
        }
    }

    fn idle(&self) -> bool {
        let kids = self.kids();
        kids.known.is_empty() && kids.wanted.is_empty()
    }
}

fn parse(uri: &str) -> Result<Uri, FetchError> {
    let url = endpoint(uri, true).map_err(|why| forbidden(&why.0))?;
    url.as_str().parse().map_err(|_| forbidden("not a uri"))
}

fn forbidden(why: &str) -> FetchError {
    FetchError::Http(HttpError::Forbidden(why.to_owned()))
}

async fn get(client: &dyn HttpClient, uri: Uri) -> Result<(Bytes, Option<std::time::Duration>), FetchError> {
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = uri;
    let (parts, body) = client.send(request, Limits::default()).await.map_err(FetchError::Http)?.into_parts();
    match parts.status {
        StatusCode::OK => Ok((body, max_age(&parts.headers))),
        status => Err(FetchError::Status { status: status.as_u16(), retry_after: retry_after(&parts.headers) }),
    }
}

fn jwk(kid: &str, pem: &str, algorithm: Option<Algorithm>) -> Result<Value, UnusableKey> {
    let mut jwk = public_jwk(pem.as_bytes())?;
    jwk.insert("kid".into(), kid.into());
    jwk.insert("use".into(), "sig".into());
    if let Some(algorithm) = algorithm {
        jwk.insert("alg".into(), algorithm.name().into());
    }
    Ok(jwk.into())
}

fn set(keys: &[Value], fresh: Option<std::time::Duration>) -> FetchedKeys {
    let fetched = FetchedKeys::new(json!({ "keys": keys }).to_string());
    match fresh {
        Some(fresh) => fetched.max_age(fresh),
        None => fetched,
    }
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    const KID: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
    const OTHER: &str = "00000000-0000-0000-0000-000000000000";
    const PEM: &str = include_str!("../../../token-test/keys/p256-1.pub.pem");

    /// Answers by path; remembers what was asked.
    #[derive(Debug, Default)]
    struct Shelf {
        asked: Mutex<Vec<String>>,
        map: Option<String>,
    }

    impl HttpClient for Shelf {
        fn send(&self, request: Request<Bytes>, _: Limits) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
            let path = request.uri().path().to_owned();
            self.asked.lock().unwrap().push(path.clone());
            let (status, body) = match (path.as_str(), &self.map) {
                ("/certs", Some(map)) => (200, map.clone()),
                (path, _) if path == format!("/{KID}") => (200, PEM.to_owned()),
                _ => (403, String::new()),
            };
            Box::pin(async move { Ok(Response::builder().status(status).body(Bytes::from(body)).unwrap()) })
        }
    }

    fn names(fetched: &FetchedKeys) -> Vec<String> {
        let set: Value = serde_json::from_slice(&fetched.jwk_set).unwrap();
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn only_a_uuid_becomes_part_of_a_url() {
        let shelf = Arc::new(Shelf::default());
        let source = PemPerKidSource::new("https://keys.example/", Algorithm::ES256, Arc::clone(&shelf) as _).unwrap();
        assert!(source.idle());
        for kid in ["../../etc/passwd", "", "a?b", "72f988bf-86f1-41af-91ab-2d7cd011db4/", "http://evil.example/"] {
            source.wanted(kid);
        }
        assert!(source.idle());
        source.wanted(OTHER);
        source.wanted(KID);
        source.wanted(KID);
        let fetched = source.fetch().await.unwrap();
        assert_eq!(names(&fetched), [KID]);
        assert_eq!(*shelf.asked.lock().unwrap(), [format!("/{OTHER}"), format!("/{KID}")]);
        // What was published is asked for again, what was made up is not.
        source.fetch().await.unwrap();
        assert_eq!(shelf.asked.lock().unwrap().len(), 3);
    }

    #[tokio::test]
    async fn made_up_names_push_out_made_up_names_only() {
        let shelf = Arc::new(Shelf::default());
        let source = PemPerKidSource::new("https://keys.example/", Algorithm::ES256, Arc::clone(&shelf) as _).unwrap();
        source.wanted(KID);
        source.fetch().await.unwrap();
        for n in 0..100 {
            source.wanted(&format!("00000000-0000-0000-0000-{n:012}"));
        }
        assert_eq!(names(&source.fetch().await.unwrap()), [KID]);
        assert_eq!(shelf.asked.lock().unwrap().len(), 1 + 1 + MOST_WANTED);
    }

    #[tokio::test]
    async fn the_first_token_of_a_key_fetches_it_and_a_made_up_one_nothing_more() {
        use crate::answer::error::ErrorKind;
        use crate::base::time::{Clock as _, SystemClock};
        use crate::gate::server::ResourceServer;
        use crate::jose::signing::SigningKey;
        use crate::request::presented::Presented;
        use crate::trust::issuer::Issuer;
        const PRIVATE: &[u8] = include_bytes!("../../../token-test/keys/p256-1.pem");

        let shelf = Arc::new(Shelf::default());
        let issuer = Issuer::with_pem_per_kid("https://idp.example", "https://keys.example/").unwrap();
        let issuer = issuer.algorithms([Algorithm::ES256]).http_client(Arc::clone(&shelf) as _);
        let api = ResourceServer::builder("api").trust(issuer).build().unwrap();
        api.ready().await.unwrap();
        assert!(shelf.asked.lock().unwrap().is_empty(), "nobody knows yet what to ask for");
        let key = SigningKey::from_pem(Algorithm::ES256, None, PRIVATE).unwrap();
        let claims = json!({"iss": "https://idp.example", "aud": "api", "exp": SystemClock.now().as_secs() + 60});
        let token =
            |kid: &str| key.sign_jwt(&json!({"alg": "ES256", "kid": kid}).to_string(), &claims.to_string()).unwrap();
        for _ in 0..3 {
            assert!(api.authenticate(Presented::token(&token(KID))).await.is_ok());
        }
        assert_eq!(*shelf.asked.lock().unwrap(), [format!("/{KID}")]);
        for kid in ["../x", OTHER] {
            let error = api.authenticate(Presented::token(&token(kid))).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnknownKey, "{kid}");
        }
        assert!(shelf.asked.lock().unwrap().iter().all(|path| !path.contains('.')));
        assert!(api.authenticate(Presented::token(&token(KID))).await.is_ok());
    }

    #[tokio::test]
    async fn a_map_of_keys_in_pem_is_a_set() {
        let map = json!({"one": PEM, "broken": "-----BEGIN CERTIFICATE-----", "two": PEM}).to_string();
        let shelf = Arc::new(Shelf { map: Some(map), ..Shelf::default() });
        let source = CertificateMapSource::new("https://keys.example/certs", shelf).unwrap();
        let fetched = source.fetch().await.unwrap();
        assert_eq!(names(&fetched), ["one", "two"]);
        let list = Arc::new(Shelf { map: Some("[]".into()), ..Shelf::default() });
        let source = CertificateMapSource::new("https://keys.example/certs", list).unwrap();
        assert!(matches!(source.fetch().await, Err(FetchError::Unparsable(_))));
        assert!(CertificateMapSource::new("http://keys.example/certs", Arc::new(Shelf::default())).is_err());
    }
}
