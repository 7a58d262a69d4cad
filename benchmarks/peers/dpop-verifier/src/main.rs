//! dpop-verifier: the proof alone, with a set of what came before. It looks at no token.

use std::collections::HashSet;

use dpop_verifier::{DpopError, DpopVerifier, ReplayContext, ReplayStore};
use harness::peer::ready;
use harness::proof::{METHOD, URL, compare};

#[derive(Default)]
struct Memory(HashSet<[u8; 32]>);

#[async_trait::async_trait]
impl ReplayStore for Memory {
    async fn insert_once(&mut self, jti: [u8; 32], _: ReplayContext<'_>) -> Result<bool, DpopError> {
        Ok(self.0.insert(jti))
    }
}

fn main() {
    compare("dpop-verifier 4.4.0", |_, token, proofs| {
        let (verifier, mut memory, mut proofs) = (DpopVerifier::new(), Memory::default(), proofs.into_iter());
        Box::new(move || {
            let proof = proofs.next().expect("enough proofs were made");
            ready(verifier.verify(&mut memory, &proof, URL, METHOD, Some(&token))).is_ok()
        })
    });
}
