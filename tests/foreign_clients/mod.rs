//! Clients that nobody here wrote, driving the embedded issuer of `token-test`.
