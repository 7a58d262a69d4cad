//! The server that trusts an issuer, for whoever has a token of that issuer and asks later whether it still holds.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

/// Empty until the server is built. It holds the server by a weak reference, and under no name: a wing above knows its type.
#[derive(Default)]
pub(crate) struct Home(OnceLock<Weak<dyn Any + Send + Sync>>);

impl Home {
    /// Said once, when the server is built.
    pub(crate) fn is(&self, server: Weak<dyn Any + Send + Sync>) {
        let _ = self.0.set(server);
    }

    /// The server, while it is in force.
    pub(crate) fn server<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.0.get()?.upgrade()?.downcast().ok()
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Home(..)")
    }
}
