//! Binds every worker's sockets before any worker serves.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

use super::StartError;

/// Connections that the kernel completes before they are accepted; it caps this at `net.core.somaxconn`.
const BACKLOG: i32 = 4_096;

/// Binds a socket for each of `workers` on each of `addresses`.
///
/// Returns the addresses, with a real port where 0 was asked for, and each worker's sockets.
pub(super) fn bind(
    addresses: &[SocketAddr],
    workers: usize,
) -> Result<(Vec<SocketAddr>, Vec<Vec<TcpListener>>), StartError> {
    let mut bound = Vec::with_capacity(addresses.len());
    let mut sockets: Vec<Vec<TcpListener>> = (0..workers).map(|_| Vec::new()).collect();
    for address in addresses {
        let failed = |source| StartError::Bind { address: *address, source };
        let mut address = *address;
        is_free(address).map_err(failed)?;
        for mine in &mut sockets {
            let socket = listen(address).map_err(failed)?;
            // The first socket finds the port, the others share it.
            address = socket.local_addr().map_err(failed)?;
            mine.push(socket);
        }
        bound.push(address);
    }
    Ok((bound, sockets))
}

/// Fails if another process listens there: sharing a port is for the workers of one process only.
fn is_free(address: SocketAddr) -> io::Result<()> {
    let socket = new(address)?;
    socket.bind(&address.into())
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = new(address)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn new(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Lets a restarted process bind while connections of the last one wait to be forgotten.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}
