//! A request with a token in, the token with the proof that its sender may use it out (RFC 9449 section 7, DESIGN: asked anew on each request).
//!
//! The token is judged first: it says by which key the proof has to be signed. The memory of proofs is asked last.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::ResourceServer;
use super::revocation::out_of_reach;
use crate::answer::challenge::DpopPolicy;
use crate::answer::check::Check;
use crate::answer::error::{self, Error, ErrorKind};
use crate::answer::maybe_ready::MaybeReady;
use crate::base::time::Timestamp;
use crate::gate::possession::Possession;
use crate::jose::signature::sha256;
use crate::jose::thumbprint::same;
use crate::request::address::Address;
use crate::request::bearer::{self, Candidate};
use crate::request::grammar::Scheme;
use crate::request::presented::{Presented, ProofMark, RequestView, Source};
use crate::stores::{FirstTime, StoreError, WhenUnreachable};
use crate::verify::possession::proof::{self, Proved, Wanted};
use crate::verify::verified::{Facts, Verified};

/// What a client is told to wait while the memory of proofs is full.
const SOON: Duration = Duration::from_secs(1);

/// How the token came.
struct Sent<'a> {
    came: error::Presented,
    /// `None` for a bearer token.
    dpop: Option<Shown<'a>>,
    /// SHA-256 of the client's certificate, where it is looked for.
    certificate: Option<[u8; 32]>,
}

/// What came with the scheme `DPoP`.
struct Shown<'a> {
    method: Cow<'a, str>,
    address: Address<'a>,
    /// The proof, or why there is none.
    proof: Result<Cow<'a, str>, &'static str>,
    /// SHA-256 of the token, as sent.
    token: [u8; 32],
    mark: Option<ProofMark>,
}

impl ResourceServer {
    /// The road of a token where proofs of possession are checked.
    pub(super) fn judge_with_proof(&self, presented: Presented<'_>) -> MaybeReady<Verified> {
        let refused = |error| MaybeReady::ready(Err(self.refusal(error)));
        let asks_for_dpop = !matches!(presented.1.policy, None | Some(DpopPolicy::Bearer));
        if asks_for_dpop && self.0.possession.as_ref().is_none_or(|possession| !possession.takes_dpop) {
            return refused(Error::new(
                ErrorKind::Misconfigured,
                "a route asks for DPoP and its server was not told how: call dpop() of the server's builder",
            ));
        }
        let Some(possession) = &self.0.possession else {
            return self.judge(Presented(presented.0, Default::default()));
        };
        let policy = presented.1.policy.unwrap_or(possession.policy);
        let came = |as_dpop| error::Presented { as_dpop, policy: presented.1.policy };
        let sources = self.0.sources.as_deref();
        let found = match policy {
            DpopPolicy::Bearer => bearer::find(presented, sources).map(|candidate| (Scheme::Bearer, candidate)),
            DpopPolicy::BearerOrDpop | DpopPolicy::Required => bearer::find_any(presented, sources),
        };
        let (scheme, candidate) = match found {
            Ok(found) => found,
            Err(error) => return refused(error.presented(came(false))),
        };
        if scheme == Scheme::Bearer && policy == DpopPolicy::Required {
            let why = "expected the scheme DPoP and a proof: tokens that are bound to a key are taken here alone";
            return refused(Error::new(ErrorKind::SenderConstrained, why).at(Check::Proof).presented(came(false)));
        }
        let came = came(scheme == Scheme::Dpop);
        let certificate = match (&possession.certificates, presented.0) {
            (Some(certificates), Source::Request(request)) => certificates.digest(request),
            _ => None,
        };
        let sent = Sent { came, dpop: shown(scheme, presented, candidate, possession), certificate };
        match self.judge_token(presented, candidate).now() {
            Ok(Ok(verified)) => self.prove(possession, &sent, verified),
            Ok(Err(error)) => MaybeReady::ready(Err(error.presented(came))),
            Err(waiting) => {
                let (server, possession, sent) = (self.clone(), Arc::clone(possession), sent.into_owned());
                MaybeReady::waiting(async move {
                    let verified = waiting.await.map_err(|error| error.presented(came))?;
                    server.prove(&possession, &sent, verified).await
                })
            }
        }
    }

    /// The last word on a verified token: the sender's.
    fn prove(&self, possession: &Possession, sent: &Sent<'_>, verified: Verified) -> MaybeReady<Verified> {
        let facts = verified.shared_facts();
        if sent.dpop.is_none() && !facts.claims.confirmation {
            return MaybeReady::ready(Ok(verified));
        }
        let now = self.0.clock.now();
        let (sender, proved) = match judge(possession, sent, facts, now) {
            Ok(Some(proved)) => proved,
            Ok(None) => return MaybeReady::ready(Ok(verified)),
            Err(error) => return MaybeReady::ready(Err(self.refused_late(&verified, error.presented(sent.came)))),
        };
        let mark = sent.dpop.as_ref().and_then(|shown| shown.mark.clone());
        if mark.as_ref().is_some_and(|mark| mark.is(&proved.digest)) {
            return MaybeReady::ready(Ok(verified));
        }
        let (came, when_unreachable) = (sent.came, possession.when_unreachable);
        let told = move |server: &Self, verified: Verified, answer| match remembered(answer, when_unreachable) {
            Ok(()) => {
                if let Some(mark) = &mark {
                    mark.set(proved.digest);
                }
                Ok(verified)
            }
            Err(error) => Err(server.refused_late(&verified, error.presented(came))),
        };
        match possession.first_proof(sender, proved.digest, proved.until, now) {
            FirstTime::Known(answer) => MaybeReady::ready(told(self, verified, answer)),
            FirstTime::Ask(question) => {
                let server = self.clone();
                MaybeReady::waiting(async move {
                    let answer = question.await;
                    told(&server, verified, answer)
                })
            }
        }
    }
}

/// Whether the binding that the token claims is the one that was shown, but for the memory of proofs. Returns by what the proof is remembered.
fn judge(
    possession: &Possession,
    sent: &Sent<'_>,
    facts: &Facts,
    now: Timestamp,
) -> Result<Option<([u8; 32], Proved)>, Error> {
    let refuse = |kind, why: &'static str| Err(Error::new(kind, why).at(Check::Proof));
    let key = facts.binding().and_then(|binding| binding.key.as_ref());
    // RFC 8705 section 3.
    let certificate = facts.binding().and_then(|binding| binding.certificate.as_ref());
    match (certificate, &possession.certificates, &sent.certificate) {
        (None, _, _) => {}
        (Some(expected), Some(_), Some(seen)) if same(expected, seen) => {}
        (Some(_), Some(_), Some(_)) => {
            return refuse(
                ErrorKind::SenderConstrained,
                "the token is bound to another certificate (cnf with x5t#S256) than the client's",
            );
        }
        (Some(_), Some(_), None) => {
            return refuse(
                ErrorKind::SenderConstrained,
                "the token is bound to a certificate (cnf with x5t#S256), and none came where mutual_tls looks for it",
            );
        }
        (Some(_), None, _) => {
            return refuse(
                ErrorKind::SenderConstrained,
                "the token is bound to a certificate (cnf with x5t#S256), and certificates are not looked at: configure mutual_tls",
            );
        }
    }
    match (&sent.dpop, key) {
        (Some(shown), Some(key)) => {
            let proof = shown.proof.as_deref().map_err(|why| proof::refused(*why))?;
            let wanted = Wanted { key, method: &shown.method, address: &shown.address, token: &shown.token, now };
            let nonces = possession.nonces.as_deref();
            let proved = proof::judge(proof, &wanted, &possession.rules, &possession.keys, nonces)?;
            Ok(Some((*key.as_bytes(), proved)))
        }
        (None, None) if certificate.is_some() => Ok(None),
        (Some(_), None) => refuse(
            ErrorKind::Unbound,
            "the token came with the scheme DPoP and is not bound to a key: expected cnf with jkt",
        ),
        (None, _) => refuse(
            ErrorKind::SenderConstrained,
            "the token is bound to its sender (cnf) and came as a bearer token: expected the scheme DPoP and a proof",
        ),
    }
}

/// What the memory of proofs says.
fn remembered(answer: Result<bool, StoreError>, when_unreachable: WhenUnreachable) -> Result<(), Error> {
    match (answer, when_unreachable) {
        (Ok(true), _) => Ok(()),
        (Ok(false), _) => Err(proof::refused("jti: the proof came before: each request needs a proof of its own")),
        (Err(error @ StoreError::Full { .. }), _) => {
            tracing::warn!(name: "token.replays.full", %error, "a proof was refused: there is no room to remember it");
            let why = format!("the memory of proofs: {error}: max_proofs and max_proofs_per_key set the bounds");
            Err(Error::unavailable(why, SOON).at(Check::Proof))
        }
        (Err(error), WhenUnreachable::Admit) => {
            tracing::warn!(name: "token.replays.unreachable", admitted = true, %error, "a proof passed without a look at whether it came before");
            Ok(())
        }
        (Err(error), WhenUnreachable::Refuse) => {
            tracing::warn!(name: "token.replays.unreachable", admitted = false, %error, "a proof was refused for want of the memory of proofs");
            Err(out_of_reach("the memory of proofs", &error).at(Check::Proof))
        }
    }
}

fn shown<'a>(
    scheme: Scheme,
    presented: Presented<'a>,
    candidate: Candidate<'a>,
    possession: &'a Possession,
) -> Option<Shown<'a>> {
    let (Scheme::Dpop, Source::Request(request)) = (scheme, presented.0) else { return None };
    let base = possession.base(presented.1.external_url, request);
    Some(Shown {
        method: request.method().into(),
        address: Address { base, target: request.target().into() },
        proof: one_proof(request),
        token: sha256(candidate.bytes()),
        mark: request.proof_mark().cloned(),
    })
}

/// RFC 9449 section 4.3 step 1.
fn one_proof(request: &dyn RequestView) -> Result<Cow<'_, str>, &'static str> {
    let (mut fields, mut found) = (0_usize, None);
    request.header("dpop", &mut |value| {
        fields += 1;
        found = Some(value);
    });
    match (fields, found) {
        (0, _) | (_, None) => Err("expected one DPoP header with a proof, the request has none"),
        (1, Some(value)) => match std::str::from_utf8(value) {
            Ok(proof) => Ok(proof.into()),
            Err(_) => Err("the DPoP header is no text"),
        },
        _ => Err("expected one DPoP header, the request has several"),
    }
}

impl Sent<'_> {
    fn into_owned(self) -> Sent<'static> {
        let dpop = self.dpop.map(|shown| Shown {
            method: Cow::Owned(shown.method.into_owned()),
            address: shown.address.into_owned(),
            // Nothing is kept that would not be looked at.
            proof: shown.proof.and_then(|proof| match proof {
                proof if proof.len() > proof::LONGEST => Err("expected at most 8192 bytes"),
                proof => Ok(Cow::Owned(proof.into_owned())),
            }),
            token: shown.token,
            mark: shown.mark,
        });
        Sent { came: self.came, dpop, certificate: self.certificate }
    }
}

#[cfg(test)]
mod tests;
