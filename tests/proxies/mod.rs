//! Real proxies in front of a service in another language, each asking the gate, with the configurations that users copy.

mod client;
mod down;
mod paths;
mod proxy;
mod smuggling;
mod spoofed;
mod stage;
mod table;
