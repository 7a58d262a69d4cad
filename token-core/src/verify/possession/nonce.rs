//! The time in, a nonce that only this server can have made out, and back: stateless, authenticated, short-lived (RFC 9449 sections 8 and 9).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::answer::challenge::FreshNonce;
use crate::base::config_error::ConfigError;
use crate::base::time::{Clock, Timestamp};
use crate::jose::Algorithm;
use crate::jose::base64url::{self, Buffer};
use crate::jose::signature::{self, Signer};
use crate::jose::thumbprint::same;

/// Nonces of one slot are the same, so that they need not be made for each answer.
const SLOT: Duration = Duration::from_secs(30);
/// How long a nonce is good, at least.
const LIFE: Duration = Duration::from_secs(300);
/// A nonce as bytes: the number of its slot, and the first half of an HMAC-SHA256.
const LENGTH: usize = 4 + 16;

/// The secret that nonces are made with. Instances that share it take each other's nonces.
///
/// A nonce is good for 5 min. With two secrets one can be replaced without a nonce lost: first every instance is given the new one
/// as the former ([`and`](Self::and)), then as the first, then the old one is left out.
///
/// ```
/// use token_core::possession::NonceKeys;
///
/// let keys = NonceKeys::new(&[7; 32])?.and(&[8; 32])?;
/// assert_eq!(format!("{keys:?}"), "NonceKeys(2)");
/// assert!(NonceKeys::new(b"too short").is_err());
/// # Ok::<(), token_core::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct NonceKeys(Vec<Arc<Signer>>);

impl NonceKeys {
    /// Makes nonces with this secret: at least 32 bytes, random.
    ///
    /// # Errors
    /// [`ConfigError`] when it is shorter.
    pub fn new(secret: &[u8]) -> Result<Self, ConfigError> {
        Ok(Self(vec![signer(secret)?]))
    }

    /// Takes nonces of this secret, too: the next one, or the last one.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn and(mut self, secret: &[u8]) -> Result<Self, ConfigError> {
        self.0.push(signer(secret)?);
        Ok(self)
    }

    /// A secret of this process alone.
    pub(crate) fn random() -> Result<Self, ConfigError> {
        Self::new(&signature::random().ok_or_else(|| ConfigError::new("the system has no random bytes for nonces"))?)
    }
}

fn signer(secret: &[u8]) -> Result<Arc<Signer>, ConfigError> {
    if secret.len() < 32 {
        return Err(ConfigError::new("the secret for nonces: expected at least 32 random bytes"));
    }
    let signer = Signer::from_secret(Algorithm::HS256, secret);
    signer.map(Arc::new).map_err(|error| ConfigError::new(format!("the secret for nonces: {error}")))
}

impl fmt::Debug for NonceKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NonceKeys({})", self.0.len())
    }
}

/// Makes and judges nonces.
#[derive(Debug)]
pub(crate) struct Nonces {
    keys: NonceKeys,
    clock: Arc<dyn Clock>,
}

impl Nonces {
    pub(crate) fn new(keys: NonceKeys, clock: Arc<dyn Clock>) -> Self {
        Self { keys, clock }
    }

    fn make(&self, now: Timestamp) -> Option<String> {
        let slot = u32::try_from(slot(now)).ok()?.to_be_bytes();
        let mac = mac(self.keys.0.first()?, slot)?;
        Some(base64url::encode(&[&slot[..], &mac].concat()))
    }

    /// Whether the nonce was made by one of the keys, and not too long ago. Another instance's clock may be one slot ahead.
    pub(crate) fn knows(&self, nonce: &str, now: Timestamp) -> bool {
        let mut buffer = Buffer::<LENGTH>::new();
        // Longer than any of ours: not decoded at all.
        let bytes =
            Some(nonce).filter(|nonce| nonce.len() <= 2 * LENGTH).and_then(|nonce| buffer.decode(nonce.as_bytes()));
        let Some(Ok(bytes)) = bytes.map(<[u8; LENGTH]>::try_from) else { return false };
        let (head, tail) = bytes.split_at(4);
        let mut stamp = [0; 4];
        stamp.copy_from_slice(head);
        let age = slot(now) - i64::from(u32::from_be_bytes(stamp));
        let slots = i64::try_from(LIFE.as_secs() / SLOT.as_secs()).unwrap_or(0);
        let is_ours = |key: &Arc<Signer>| mac(key, stamp).is_some_and(|ours| same(&padded(&ours), &padded(tail)));
        (-1..=slots).contains(&age) && self.keys.0.iter().any(is_ours)
    }
}

impl FreshNonce for Nonces {
    fn fresh(&self) -> Option<String> {
        self.make(self.clock.now())
    }
}

fn slot(now: Timestamp) -> i64 {
    now.as_secs().div_euclid(SLOT.as_secs().cast_signed())
}

fn mac(key: &Signer, slot: [u8; 4]) -> Option<[u8; 16]> {
    let whole = key.sign(&[b"dpop nonce ", &slot[..]].concat())?;
    whole.get(..16)?.try_into().ok()
}

fn padded(half: &[u8]) -> [u8; 32] {
    let mut whole = [0; 32];
    whole[..half.len()].copy_from_slice(half);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::SystemClock;

    fn nonces(keys: NonceKeys) -> Nonces {
        Nonces::new(keys, Arc::new(SystemClock))
    }

    #[test]
    fn a_nonce_is_good_for_five_minutes_wherever_its_secret_is_known() {
        let start = Timestamp::from_secs(1_800_000_000);
        let later = |seconds| start.saturating_add(Duration::from_secs(seconds));
        let ours = nonces(NonceKeys::new(&[7; 32]).unwrap());
        let nonce = ours.make(start).unwrap();
        assert_eq!(Some(&nonce), ours.make(later(20)).as_ref(), "those of one slot are the same");
        for (after, good) in [(0, true), (299, true), (329, true), (331, false), (86_400, false)] {
            assert_eq!(ours.knows(&nonce, later(after)), good, "{after}");
        }
        assert!(ours.knows(&ours.make(later(30)).unwrap(), start), "an instance whose clock is a slot ahead");
        assert!(!ours.knows(&ours.make(later(90)).unwrap(), start));

        let next = nonces(NonceKeys::new(&[8; 32]).unwrap().and(&[7; 32]).unwrap());
        assert!(next.knows(&nonce, start), "made with the former secret");
        assert!(!ours.knows(&next.make(start).unwrap(), start), "an instance that was not told of the new one");
        let stranger = nonces(NonceKeys::random().unwrap());
        assert!(!stranger.knows(&nonce, start) && !ours.knows(&stranger.make(start).unwrap(), start));
    }

    #[test]
    fn what_is_no_nonce_of_ours_is_none() {
        let (ours, now) = (nonces(NonceKeys::new(&[7; 32]).unwrap()), Timestamp::from_secs(1_800_000_000));
        let nonce = ours.make(now).unwrap();
        let mut flipped = base64url::decode(nonce.as_bytes()).unwrap();
        *flipped.last_mut().unwrap() ^= 1;
        for other in ["", "x", &nonce[1..], &format!("{nonce}A"), &base64url::encode(&flipped), &"A".repeat(100_000)] {
            assert!(!ours.knows(other, now), "{other:.40}");
        }
    }
}
