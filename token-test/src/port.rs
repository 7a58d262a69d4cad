//! An address in; a port that no other program gets, whether or not anything listens there, out.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

/// A TCP port that is reserved as long as this value lives. Other programs get other ports, as listeners and as
/// clients, and connections to it are refused as long as nobody listens.
///
/// For servers that are stopped for a while in a test, and for programs that must be told their port before they start.
/// A port that was merely free a moment ago may be taken by then.
///
/// Ports are reserved on Linux, where a bound socket does not prevent another one with `SO_REUSEADDR` from listening;
/// nearly all servers set that option. On other systems the port is chosen, but not reserved.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
/// let port = token_test::HeldPort::new()?;
/// assert!(tokio::net::TcpStream::connect(port.address()).await.is_err(), "nobody listens yet");
/// let listener = port.listen()?;
/// assert!(tokio::net::TcpStream::connect(port.address()).await.is_ok());
/// drop(listener); // The port can be opened again, by nobody but us.
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct HeldPort {
    /// Bound, and never listens.
    _kept: Option<TcpSocket>,
    address: SocketAddr,
}

impl HeldPort {
    /// Reserves any free port of 127.0.0.1.
    ///
    /// # Errors
    /// If there is none.
    pub fn new() -> io::Result<Self> {
        Self::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Reserves this address; with port 0, any free port of it.
    ///
    /// # Errors
    /// If another program uses it, or the machine has no such address.
    pub fn at(address: SocketAddr) -> io::Result<Self> {
        let socket = bound(address)?;
        let address = socket.local_addr()?;
        Ok(Self { _kept: cfg!(target_os = "linux").then_some(socket), address })
    }

    /// The address with its port.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Listens until the returned listener is dropped. Can be called again after that.
    ///
    /// # Errors
    /// If somebody listens there already.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn listen(&self) -> io::Result<TcpListener> {
        bound(self.address)?.listen(1024)
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Means another thing on Windows: there it would let a second program have the port of the first.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn a_held_port_refuses_answers_and_refuses_again() {
        let port = HeldPort::new().unwrap();
        for _ in 0..3 {
            assert_eq!(TcpStream::connect(port.address()).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
            let listener = port.listen().unwrap();
            assert!(TcpStream::connect(port.address()).await.is_ok());
            assert_eq!(port.listen().unwrap_err().kind(), io::ErrorKind::AddrInUse, "one listener at a time");
            drop(listener);
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn nobody_else_is_given_a_held_port_neither_to_listen_nor_to_connect_from() {
        let server = HeldPort::new().unwrap();
        let _listener = server.listen().unwrap();
        // Fewer files than the thousand that a process may open where nobody raised the bound.
        let held: Vec<_> = (0..350).map(|_| HeldPort::new().unwrap()).collect();
        let ports: HashSet<_> = held.iter().map(HeldPort::port).collect();
        assert_eq!(ports.len(), held.len());
        // Opened together, so that the system has to find a port for each.
        let mut listeners = Vec::new();
        let mut clients = Vec::new();
        for _ in 0..200 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            assert!(!ports.contains(&listener.local_addr().unwrap().port()));
            listeners.push(listener);
            let client = TcpStream::connect(server.address()).await.unwrap();
            assert!(!ports.contains(&client.local_addr().unwrap().port()));
            clients.push(client);
        }
    }
}
