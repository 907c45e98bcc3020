//! Clients that want too much, or take too long.

use super::*;

fn limited(change: impl FnOnce(&mut Limits)) -> Under {
    let mut settings = settings();
    change(&mut settings.limits);
    Under::test(settings)
}

#[test]
fn a_head_that_comes_too_slowly_is_cut_however_steadily_it_comes() {
    let under = Under::test(settings());
    let (mut client, begun) = (under.connect(), Instant::now());
    client.send("GET / HTTP/1.1\r\n");
    let mut drip = client.0.try_clone().unwrap();
    thread::spawn(move || {
        while drip.write_all(b"x-a: b\r\n").is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    });
    client.rest();
    assert!((900..2_000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}

#[test]
fn the_second_head_of_a_connection_may_take_no_longer_than_the_first() {
    let under = limited(|limits| limits.idle_seconds = 60);
    let mut client = under.connect();
    client.get("/");
    thread::sleep(Duration::from_millis(200));
    client.send("GET / HTT");
    let (_, took) = client.rest();
    assert!((900..2_000).contains(&took.as_millis()), "{took:?}");
}

#[test]
fn a_connection_on_which_nothing_is_said_is_closed() {
    let under = Under::test(settings());
    let (_, took) = under.connect().rest();
    assert!((900..2_000).contains(&took.as_millis()), "{took:?}");
}

#[test]
fn a_connection_between_calls_may_be_idle_for_longer_than_a_head_may_take() {
    let under = Under::test(settings());
    let mut client = under.connect();
    client.get("/");
    thread::sleep(Duration::from_millis(1_400));
    client.get("/");
    let (_, took) = client.rest();
    assert!((1_900..3_500).contains(&took.as_millis()), "{took:?}");
}

#[test]
fn a_call_may_take_longer_than_a_connection_may_be_idle() {
    let under = limited(|limits| limits.idle_seconds = 1);
    assert!(under.connect().get("/slow").ends_with("4\r\nslow\r\n0\r\n\r\n"));
}

#[test]
fn a_client_that_takes_nothing_of_its_answer_loses_it() {
    let under = Under::test(settings());
    let mut client = under.connect();
    client.send("GET /flood HTTP/1.1\r\nhost: h\r\n\r\n");
    assert!(under.comes_to(1));
    thread::sleep(Duration::from_millis(700));
    assert_eq!(under.under_way.load(Ordering::SeqCst), 1);
    assert!(under.comes_to(0));
}

#[test]
fn a_head_that_is_too_long_or_has_too_many_fields_is_refused() {
    let under = limited(|limits| (limits.header_bytes, limits.header_fields) = (8 << 10, 16));
    for head in [format!("x-a: {}\r\n", "b".repeat(10 << 10)), "x-a: b\r\n".repeat(17)] {
        let mut client = under.connect();
        let _ = client.0.write_all(format!("GET / HTTP/1.1\r\n{head}\r\n").as_bytes());
        let (answer, _) = client.rest();
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    assert!(under.comes_to(0));
}

#[test]
fn what_is_no_request_is_refused() {
    let under = Under::test(settings());
    for text in [
        "\x16\x03\x01 hello\r\n\r\n",
        "GET / HTTP/1.1\r\nx y: z\r\n\r\n",
        "GET / HTTP/1.1\r\ncontent-length: 1, 2\r\n\r\n",
    ] {
        let mut client = under.connect();
        client.send(text);
        let (answer, _) = client.rest();
        assert!(answer.starts_with("HTTP/1.1 400") || answer.is_empty(), "{text:?}: {answer}");
    }
}

#[test]
fn connections_beyond_the_limit_are_closed_and_come_in_again_when_others_end() {
    let under = limited(|limits| limits.connections = 2);
    let (mut first, mut second) = (under.connect(), under.connect());
    first.get("/");
    second.get("/");
    let (answer, took) = under.connect().rest();
    assert!(answer.is_empty() && took < Duration::from_millis(500), "{took:?} {answer}");
    drop(first);
    thread::sleep(Duration::from_millis(100));
    under.connect().get("/");
}
