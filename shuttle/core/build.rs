//! Compiles the crate's own sources once more, with its `sync` module pointing at shuttle.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cfg=shuttle");
    // Features that the sources know and nothing here needs.
    let others = ["rust-crypto", "reqwest", "metrics", "openapi", "policy-toml", "schema", "simd"]
        .map(|name| format!("{name:?}"));
    println!("cargo::rustc-check-cfg=cfg(feature, values({}))", others.join(", "));
}
