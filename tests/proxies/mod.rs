//! Real proxies in front of a service in another language, each asking the gate, with the configurations that users copy.

mod certificates;
mod client;
mod down;
mod onward;
mod paths;
mod possession;
mod proxy;
mod smuggling;
mod spoofed;
mod stage;
mod table;
pub(crate) use proxy::Proxy;
