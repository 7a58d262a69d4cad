//! A token endpoint and a resource on loopback that take nothing without its proof. The checks are written here once more, without token-core (RFC 9449 section 4.3).

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// How the server is to behave from now on.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// The nonce that a proof has to hold, at the token endpoint and at the resource.
    pub(crate) nonce: [Option<&'static str>; 2],
    /// The `DPoP-Nonce` fields of a refusal for the want of a nonce; `None`: the nonce itself.
    pub(crate) given: Option<&'static [&'static str]>,
    /// The nonce that a success hands out and that counts from then on.
    pub(crate) next: Option<&'static str>,
    /// Every nonce is refused, and another one is handed out each time.
    pub(crate) never_content: bool,
    /// `token_type` of the answer.
    pub(crate) token_type: Option<&'static str>,
    /// Answers that come instead of a judgement: status and error code of the token endpoint, the challenge of the resource.
    pub(crate) token_error: Option<&'static str>,
    pub(crate) challenge: Option<&'static str>,
    /// Tokens that the resource has heard enough of, by their number.
    pub(crate) revoked: &'static [usize],
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            nonce: [None, None],
            given: None,
            next: None,
            never_content: false,
            token_type: Some("DPoP"),
            token_error: None,
            challenge: None,
            revoked: &[],
        }
    }
}

#[derive(Default)]
struct State {
    rules: Rules,
    /// What each token is bound to.
    tokens: HashMap<String, Option<String>>,
    refresh_tokens: HashMap<String, Option<String>>,
    /// `jti` of every proof and every client assertion.
    used: HashSet<String>,
    log: Vec<String>,
    count: usize,
}

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Value,
}

impl Server {
    pub(crate) fn start(rules: Rules) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Self { url, state: Arc::new(Mutex::new(State { rules, ..State::default() })) };
        let serving = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.serve(&stream.unwrap()));
            }
        });
        server
    }

    pub(crate) fn token_endpoint(&self) -> String {
        format!("{}/token", self.url)
    }

    pub(crate) fn rules(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.state().rules);
    }

    /// What was asked since the last time: path, scheme of the credentials, nonce of the proof, and what came of it.
    pub(crate) fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.state().log)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn serve(&self, mut stream: &TcpStream) {
        let Some(request) = read(stream) else { return };
        let answer = self.answer(&request);
        let body = answer.body.to_string();
        let mut text = format!(
            "HTTP/1.1 {} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n",
            answer.status,
            body.len()
        );
        for (name, value) in &answer.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let _ = stream.write_all(format!("{text}\r\n{body}").as_bytes());
    }

    fn answer(&self, request: &Request) -> Answer {
        let mut state = self.state();
        let path = request.path.split('?').next().unwrap();
        // What the API says of its tokens' server (RFC 9728), and that of itself (RFC 8414).
        let document = match path {
            "/.well-known/oauth-protected-resource/orders" => {
                Some(json!({ "resource": format!("{}/orders", self.url), "authorization_servers": [self.url] }))
            }
            "/.well-known/oauth-authorization-server" => {
                Some(json!({ "issuer": self.url, "token_endpoint": self.token_endpoint() }))
            }
            path if path.starts_with("/.well-known/") => {
                return Answer { status: 404, headers: Vec::new(), body: Value::Null };
            }
            _ => None,
        };
        if let Some(body) = document {
            return Answer { status: 200, headers: Vec::new(), body };
        }
        let at_resource = usize::from(path != "/token");
        let scheme = request.field("authorization").map_or("none", |value| value.split(' ').next().unwrap()).to_owned();
        let proved = prove(&mut state, request, &format!("{}{path}", self.url));
        let nonce = match &proved {
            Ok(proof) => proof.nonce.clone().unwrap_or_else(|| "-".to_owned()),
            Err(why) => (*why).to_owned(),
        };
        let mut answer = match (at_resource, proved) {
            (0, proved) => token(&mut state, request, proved),
            (_, proved) => resource(&mut state, request, proved),
        };
        if answer.status == 200
            && let Some(next) = state.rules.next
        {
            answer.headers.push(("dpop-nonce", next.to_owned()));
            state.rules.nonce[at_resource] = Some(next);
        }
        state.log.push(format!("{} {path} {scheme} {nonce} {}", request.method, answer.status));
        answer
    }
}

impl Request {
    fn fields(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.fields(name).first().copied()
    }

    fn member(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.body.as_bytes()).find(|(known, _)| known == name).map(|(_, v)| v.into_owned())
    }
}

struct Proof {
    jkt: String,
    nonce: Option<String>,
    ath: Option<String>,
}

/// RFC 9449 section 4.3, steps 1 to 11; `ath` and the nonce are for the caller.
fn prove(state: &mut State, request: &Request, htu: &str) -> Result<Proof, &'static str> {
    let fields = request.fields("dpop");
    let [proof] = fields[..] else { return Err("no-proof") };
    let parts: Vec<_> = proof.split('.').collect();
    let [header, claims, signature] = parts[..] else { return Err("not-a-jwt") };
    let json = |part: &str| -> Option<Value> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok() };
    let (header_json, claims_json) = json(header).zip(json(claims)).ok_or("not-json")?;
    let jwk = header_json["jwk"].as_object().ok_or("no-jwk")?;
    if header_json["typ"] != "dpop+jwt" || jwk.contains_key("d") || header_json.as_object().unwrap().len() != 3 {
        return Err("bad-header");
    }
    let member = |name: &str| jwk.get(name).and_then(Value::as_str).unwrap_or_default();
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(member(name)).unwrap_or_default();
    let message = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "bad-signature")?;
    let (genuine, canonical) = match header_json["alg"].as_str() {
        Some("ES256") => {
            let point = [&[4], &bytes("x")[..], &bytes("y")].concat();
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
            let canonical = json!({ "crv": "P-256", "kty": "EC", "x": member("x"), "y": member("y") });
            (key.verify(message.as_bytes(), &signature), canonical)
        }
        Some("EdDSA") => {
            let key = UnparsedPublicKey::new(&ED25519, bytes("x"));
            let canonical = json!({ "crv": "Ed25519", "kty": "OKP", "x": member("x") });
            (key.verify(message.as_bytes(), &signature), canonical)
        }
        _ => return Err("bad-alg"),
    };
    genuine.map_err(|_| "bad-signature")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let iat = claims_json["iat"].as_u64().ok_or("bad-iat")?;
    let text = |name: &str| claims_json[name].as_str().map(str::to_owned);
    if text("htm").as_deref() != Some(&request.method) || text("htu").as_deref() != Some(htu) {
        return Err("bad-target");
    }
    if now.abs_diff(iat) > 10 {
        return Err("bad-iat");
    }
    if !state.used.insert(text("jti").ok_or("no-jti")?) {
        return Err("replay");
    }
    // serde_json writes members in the order of their names, as RFC 7638 wants them.
    Ok(Proof { jkt: hash(&canonical.to_string()), nonce: text("nonce"), ath: text("ath") })
}

pub(crate) fn hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

/// The nonces to hand out, if this one does not do.
fn wanted(state: &mut State, at: usize, proof: &Proof) -> Option<Vec<String>> {
    if state.rules.never_content {
        state.count += 1;
        return Some(vec![format!("another-{}", state.count)]);
    }
    let nonce = state.rules.nonce[at]?;
    if proof.nonce.as_deref() == Some(nonce) {
        return None;
    }
    Some(state.rules.given.unwrap_or(&[nonce]).iter().map(|nonce| (*nonce).to_owned()).collect())
}

fn refuse(code: &'static str) -> Answer {
    Answer { status: 400, headers: Vec::new(), body: json!({ "error": code, "error_description": "canary" }) }
}

fn token(state: &mut State, request: &Request, proved: Result<Proof, &'static str>) -> Answer {
    if let Some(code) = state.rules.token_error {
        return refuse(code);
    }
    // A client assertion is good for one use, whatever became of that (RFC 7523 section 3).
    if let Some(assertion) = request.member("client_assertion")
        && !state.used.insert(assertion)
    {
        return refuse("invalid_client");
    }
    // A server that knows nothing of DPoP ignores the proof.
    let jkt = match proved {
        _ if state.rules.token_type == Some("Bearer") => None,
        Ok(proof) if proof.ath.is_some() => return refuse("invalid_dpop_proof"),
        Ok(proof) => {
            if let Some(nonces) = wanted(state, 0, &proof) {
                let mut answer = refuse("use_dpop_nonce");
                answer.headers = nonces.into_iter().map(|nonce| ("dpop-nonce", nonce)).collect();
                return answer;
            }
            Some(proof.jkt)
        }
        Err(_) => return refuse("invalid_dpop_proof"),
    };
    let public = request.field("authorization").is_none() && request.member("client_assertion").is_none();
    if let Some(refresh) = request.member("refresh_token") {
        match state.refresh_tokens.get(&refresh) {
            Some(bound) if bound.is_none() || *bound == jkt => {}
            _ => return refuse("invalid_grant"),
        }
    }
    state.count += 1;
    let (access, refresh) = (format!("at-{}", state.count), format!("rt-{}", state.count));
    state.tokens.insert(access.clone(), jkt.clone());
    state.refresh_tokens.insert(refresh.clone(), jkt.filter(|_| public));
    let mut body = json!({ "access_token": access, "expires_in": 3600, "refresh_token": refresh });
    if let Some(kind) = state.rules.token_type {
        body["token_type"] = kind.into();
    }
    Answer { status: 200, headers: Vec::new(), body }
}

fn resource(state: &mut State, request: &Request, proved: Result<Proof, &'static str>) -> Answer {
    let unauthorized = |challenge: &str| Answer {
        status: 401,
        headers: vec![("www-authenticate", format!("Bearer realm=\"r\", DPoP algs=\"ES256 EdDSA\", {challenge}"))],
        body: Value::Null,
    };
    if let Some(challenge) = state.rules.challenge {
        return unauthorized(challenge);
    }
    let Some((scheme, token)) = request.field("authorization").and_then(|value| value.split_once(' ')) else {
        return unauthorized("realm=\"r\"");
    };
    let revoked = state.rules.revoked.iter().any(|number| token == format!("at-{number}"));
    let Some(bound) = state.tokens.get(token).filter(|_| !revoked).cloned() else {
        return unauthorized("error=\"invalid_token\"");
    };
    let ok = Answer { status: 200, headers: Vec::new(), body: json!({ "seen": request.body }) };
    let proof = match (scheme, bound, proved) {
        ("Bearer", None, Err("no-proof")) => return ok,
        ("DPoP", Some(jkt), Ok(proof)) if proof.jkt == jkt && proof.ath == Some(hash(token)) => proof,
        _ => return unauthorized("error=\"invalid_dpop_proof\""),
    };
    if let Some(nonces) = wanted(state, 1, &proof) {
        let mut answer = unauthorized("error=\"use_dpop_nonce\"");
        answer.headers.extend(nonces.into_iter().map(|nonce| ("dpop-nonce", nonce)));
        return answer;
    }
    ok
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, v)| v.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, headers, body: String::from_utf8(body).ok()? })
}
