//! Whoever reaches the identity listener and asks for nothing, against the real binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world fails")]

use std::{
    fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use tokio::{net::TcpSocket, runtime};

use crate::world::World;

/// How many connections one address may have unless set.
const PER_ADDRESS: usize = 64;
/// Within how long a connection that asks for nothing is closed, with time to spare: 10 s to ask, 5 s to take leave.
const CLOSED_WITHIN: Duration = Duration::from_secs(40);
const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Connects from an address.
fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let runtime = runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        socket.connect(to).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(CLOSED_WITHIN)).unwrap();
    stream
}

/// Returns true if a request on a connection of its own is answered.
fn is_answered(from: Ipv4Addr, to: SocketAddr) -> bool {
    let mut stream = connect(from, to);
    let asked = stream.write_all(b"GET /me HTTP/1.1\r\nhost: id.example.com\r\nconnection: close\r\n\r\n");
    let mut answer = Vec::new();
    asked.and_then(|()| stream.read_to_end(&mut answer)).is_ok() && answer.starts_with(b"HTTP/1.1 ")
}

/// Waits until the server closes a connection; an error if it does not.
fn until_closed(mut stream: &TcpStream) -> io::Result<()> {
    match stream.read_to_end(&mut Vec::new()) {
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
        _ => Ok(()),
    }
}

/// Speaks HTTP/2 as far as to answer settings and pings (RFC 9113 sections 3.4, 6.5, 6.7), until the server closes.
fn only_ping(mut stream: TcpStream) -> io::Result<()> {
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const ACK: u8 = 1;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")?;
    let mut head = [0; 9];
    while stream.read_exact(&mut head).is_ok() {
        let [high, middle, low, kind, flags, ..] = head;
        let mut body = vec![0; u32::from_be_bytes([0, high, middle, low]).try_into().unwrap()];
        stream.read_exact(&mut body)?;
        let answer = match (kind, flags & ACK) {
            (PING, 0) => [&[0, 0, 8, PING, ACK, 0, 0, 0, 0], body.as_slice()].concat(),
            (SETTINGS, 0) => vec![0, 0, 0, SETTINGS, ACK, 0, 0, 0, 0],
            _ => continue,
        };
        stream.write_all(&answer)?;
    }
    until_closed(&stream)
}

#[test]
fn who_asks_for_nothing_keeps_nobody_out_and_is_shown_the_door() {
    let mut world = World::new();
    world.setup = world.setup.clone().with_identity().unwrap();
    let _server = world.setup.start().unwrap();
    let at = world.setup.identity.unwrap();
    let pinger = connect(ELSEWHERE, at);
    let pinger = std::thread::spawn(move || only_ping(pinger));
    let silent: Vec<TcpStream> = (0..PER_ADDRESS).map(|_| connect(HERE, at)).collect();
    let surplus: Vec<TcpStream> = (0..8).map(|_| connect(HERE, at)).collect();
    for stream in &surplus {
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        until_closed(stream).unwrap();
    }
    assert!(!is_answered(HERE, at), "the address has no place left");
    assert!(is_answered(ELSEWHERE, at), "and another has");
    silent.iter().try_for_each(until_closed).unwrap();
    assert!(is_answered(HERE, at), "the places are free again");
    pinger.join().unwrap().unwrap();
    let log = fs::read_to_string(world.setup.dir.join("server.log")).unwrap();
    assert!(log.contains("identity connections were refused"), "{log}");
}
