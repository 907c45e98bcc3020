//! Peers that are no peers: what is checked without any of them installed.

use super::*;

#[test]
fn every_kind_is_found_by_its_name_and_no_other_name_is() {
    for kind in Kind::ALL {
        assert_eq!(kind.name().parse::<Kind>().unwrap(), kind);
    }
    let error = "squid".parse::<Kind>().unwrap_err().to_string();
    assert!(error.contains("`squid`") && error.contains("tensorzero"), "{error}");
}

#[test]
fn a_peer_that_ends_instead_of_listening_is_an_error_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut peer = peer(Command::new("false"), folder.path());
    let begun = Instant::now();
    let error = peer.wait_until_it_listens(None).unwrap_err();
    assert!(error.to_string().contains("ended with"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[test]
fn a_peer_that_chooses_its_port_is_found_where_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let mut command = Command::new("sh");
    let file = folder.path().join("address");
    command.arg("-c").arg(format!("printf http://{address}/v1 > {}; sleep 300", file.display()));
    let mut peer = peer(command, folder.path());
    peer.wait_until_it_listens(Some(&file)).unwrap();
    assert_eq!(peer.address, address);
}

#[test]
fn only_an_address_on_loopback_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("address");
    for (text, taken) in
        [("http://127.0.0.1:9/v1", true), ("http://0.0.0.0:9/v1", false), ("http://127.0.0.1:9", false)]
    {
        std::fs::write(&file, text).unwrap();
        assert_eq!(read_address(&file).is_some(), taken, "{text}");
    }
}

fn peer(command: Command, folder: &Path) -> Peer {
    Peer {
        kind: Kind::Nginx,
        version: "1".to_owned(),
        address: free_port().unwrap(),
        path: "/",
        headers: Vec::new(),
        model: "mythos-5",
        streams: true,
        tree: Tree::spawn(command, &folder.join("log")).unwrap(),
    }
}
