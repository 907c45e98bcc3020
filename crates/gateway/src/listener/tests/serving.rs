//! Serving, spreading and ending.

use std::io::Read;

use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;

#[test]
fn requests_one_after_another_are_answered_on_one_connection() {
    let under = Under::test(settings());
    let mut client = under.connect();
    for _ in 0..3 {
        assert!(client.get("/").starts_with("HTTP/1.1 200"));
    }
    assert!(under.comes_to(0));
}

#[test]
fn http2_is_spoken_without_asking_first() {
    let under = Under::test(settings());
    let address = under.address();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let ask = |path: &str| Request::get(format!("http://h{path}")).body(Empty::<Bytes>::new()).unwrap();
        let slow = sender.send_request(ask("/slow")).await.unwrap();
        for _ in 0..20 {
            let response = sender.send_request(ask("/")).await.unwrap();
            assert_eq!(response.version(), http::Version::HTTP_2);
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 1);
        }
        assert_eq!(slow.into_body().collect().await.unwrap().to_bytes(), "slow");
    });
}

#[test]
fn a_protocol_is_told_also_from_bytes_that_come_one_by_one() {
    let under = Under::test(settings());
    let said = |text: &str| {
        let mut client = under.connect();
        let (head, rest) = text.split_at(4);
        for byte in head.chars() {
            client.send(&byte.to_string());
            thread::sleep(Duration::from_millis(10));
        }
        client.send(rest);
        let mut first = [0; 4];
        client.0.read_exact(&mut first).unwrap();
        first
    };
    assert_eq!(&said("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n"), b"HTTP");
    // The first frame of a server is its settings: three bytes of length, then the type 4 (RFC 9113 section 6.5).
    assert_eq!(said("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")[3], 4);
}

#[test]
fn few_connections_are_spread_over_the_workers() {
    let under = Under::test(Settings { workers: 4, ..settings() });
    let mut clients: Vec<Client> = (0..24).map(|_| under.connect()).collect();
    let mut carried = [0; 4];
    for client in &mut clients {
        let answer = client.get("/");
        let worker = (0..4).find(|worker| answer.contains(&format!("\r\n\r\n1\r\n{worker}\r\n"))).unwrap();
        carried[worker] += 1;
    }
    assert!(carried.iter().all(|n| (3..=9).contains(n)), "{carried:?}");
}

#[test]
fn a_port_that_is_taken_is_named_and_nothing_stays_bound() {
    let under = Under::test(settings());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let both = Settings { listen: vec![free, under.address()], ..settings() };
    let error =
        spawn(&both.check().unwrap(), |worker| Rc::new(Parrot { worker, under_way: Arc::default() })).unwrap_err();
    assert!(error.to_string().contains(&under.address().to_string()), "{error}");
    assert!(std::net::TcpListener::bind(free).is_ok());
}

#[test]
fn a_client_that_goes_away_ends_its_answer() {
    let under = Under::test(settings());
    let mut client = under.connect();
    client.send("GET /stream HTTP/1.1\r\nhost: h\r\n\r\n");
    assert!(under.comes_to(1));
    drop(client);
    assert!(under.comes_to(0));
}

#[test]
fn draining_lets_calls_finish_and_accepts_nothing_more() {
    let under = Under::test(settings());
    let (mut idle, mut busy) = (under.connect(), under.connect());
    idle.get("/");
    busy.send("GET /slow HTTP/1.1\r\nhost: h\r\n\r\n");
    assert!(under.comes_to(1));
    let address = under.address();
    let listeners = under.listeners;
    let drained = thread::spawn(move || listeners.drain(Duration::from_secs(10)));
    let (rest, took) = idle.rest();
    assert!(rest.is_empty() && took < Duration::from_secs(1), "{took:?} {rest}");
    let until = Instant::now() + Duration::from_secs(1);
    while TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < until, "still accepts");
    }
    assert!(busy.rest().0.ends_with("4\r\nslow\r\n0\r\n\r\n"));
    assert!(drained.join().unwrap());
}

#[test]
fn draining_ends_after_its_bound_whatever_is_under_way() {
    let under = Under::test(settings());
    let mut client = under.connect();
    client.send("GET /stream HTTP/1.1\r\nhost: h\r\n\r\n");
    assert!(under.comes_to(1));
    let begun = Instant::now();
    assert!(!under.listeners.drain(Duration::from_millis(300)));
    assert!((300..2_000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    assert_eq!(under.under_way.load(Ordering::SeqCst), 0);
}

#[test]
fn draining_without_connections_is_over_at_once() {
    let begun = Instant::now();
    assert!(Under::test(settings()).listeners.drain(Duration::from_secs(10)));
    assert!(begun.elapsed() < Duration::from_secs(2));
}
