//! Time stamps by an authority that this crate has not written: the one of `openssl ts`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod authority;

use authority::Authority;
use terms::{Clock, SystemClock};
use tsp::{Asked, BadStamp, Query, Roots, verify};

const DIGEST: [u8; 32] = [0x5a; 32];

fn query() -> Query {
    Query { digest: DIGEST, nonce: [0x9c; 16] }
}

fn roots(authority: &Authority) -> Roots {
    Roots::parse_pem(&authority.root_pem()).unwrap()
}

fn stamped(authority: &Authority) -> Vec<u8> {
    authority.answer(&query().to_der())
}

#[test]
fn a_stamp_by_openssl_is_believed_now_and_later() {
    for key in ["rsa:2048", "rsa:3072", "P-256", "P-384"] {
        for ess in ["sha1", "sha256", "sha512"] {
            let authority = Authority::new(key, ess);
            let response = stamped(&authority);
            let now = verify(&response, Asked::Now(&query()), &roots(&authority));
            let stamp = now.unwrap_or_else(|error| panic!("{key} {ess}: {error}"));
            assert!(SystemClock::default().now().since(stamp.at).as_secs() < 60);
            assert_eq!((stamp.policy.as_str(), stamp.authority.as_str()), ("1.2.3.4.1", "Northgate Time"));
            assert_eq!(verify(&response, Asked::Earlier(&DIGEST), &roots(&authority)), Ok(stamp));
        }
    }
}

#[test]
fn a_stamp_of_another_digest_or_to_another_query_shows_nothing() {
    let authority = Authority::new("P-256", "sha256");
    let response = stamped(&authority);
    let other = Query { nonce: [0x9d; 16], ..query() };
    assert_eq!(verify(&response, Asked::Now(&other), &roots(&authority)), Err(BadStamp::Nonce));
    assert_eq!(verify(&response, Asked::Earlier(&[0; 32]), &roots(&authority)), Err(BadStamp::Digest));
}

#[test]
fn an_authority_of_another_root_or_without_the_purpose_is_not_believed() {
    let authority = Authority::new("P-256", "sha256");
    let response = stamped(&authority);
    let other = Authority::new("P-256", "sha256");
    let found = verify(&response, Asked::Earlier(&DIGEST), &roots(&other));
    assert!(matches!(found, Err(BadStamp::Untrusted(_))), "{found:?}");
    // openssl itself signs with no certificate that lacks the purpose, but does with one that has a second.
    let both = Authority::with_usage("P-256", "sha256", "critical,timeStamping,codeSigning");
    if let Some(response) = both.try_answer(&query().to_der()) {
        let found = verify(&response, Asked::Earlier(&DIGEST), &roots(&both));
        assert!(matches!(found, Err(BadStamp::Untrusted(_))), "{found:?}");
    }
}

#[test]
fn every_changed_bit_of_what_is_signed_is_noticed() {
    let authority = Authority::new("P-256", "sha256");
    let trusted = roots(&authority);
    let response = stamped(&authority);
    let good = verify(&response, Asked::Now(&query()), &trusted).unwrap();
    let mut unnoticed = 0;
    for bit in 0..response.len() * 8 {
        let mut changed = response.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        // What no signature covers may differ, such as the name of the certificate; what is read from it may not.
        if let Ok(stamp) = verify(&changed, Asked::Now(&query()), &trusted) {
            assert_eq!(stamp, good, "bit {bit}");
            unnoticed += 1;
        }
    }
    assert!(unnoticed < response.len() * 2, "{unnoticed} of {} bits", response.len() * 8);
}

#[test]
fn every_shortened_response_is_refused() {
    let authority = Authority::new("P-256", "sha256");
    let (trusted, response) = (roots(&authority), stamped(&authority));
    for length in 0..response.len() {
        assert!(verify(&response[..length], Asked::Earlier(&DIGEST), &trusted).is_err(), "{length}");
    }
}

#[test]
fn openssl_believes_what_we_believe() {
    let authority = Authority::new("rsa:2048", "sha256");
    let response = stamped(&authority);
    assert!(authority.confirms(&response, &DIGEST));
    assert!(!authority.confirms(&response, &[0; 32]));
    assert!(Roots::parse_pem(b"").is_err());
}
