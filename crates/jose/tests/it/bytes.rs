//! Whatever bytes arrive: nothing panics, and nothing that was changed counts.

use std::{sync::LazyLock, time::Duration};

use jose::{
    Alg, Jwk, Jwks, Object, Roots, Unverified, base64url,
    dpop::{self, Htu},
    jwe::{self, DecryptionKey, Enc},
};
use proptest::{prelude::*, sample::Index};
use serde_json::json;

use crate::world::{KEYS, KINDS, claims_of, key, now};

static RECIPIENT: LazyLock<DecryptionKey> = LazyLock::new(|| DecryptionKey::generate().unwrap());
static MESSAGE: LazyLock<String> =
    LazyLock::new(|| jwe::encrypt(br#"{"vp_token":{}}"#, RECIPIENT.public(), Enc::A128Gcm).unwrap());

/// Feeds bytes to every reader of text; true if any takes it.
fn any_takes(text: &str) -> bool {
    let target = Htu::parse("https://api.example.com/").unwrap();
    let request = dpop::Request { method: "GET", target: &target, access_token: None };
    let rules = dpop::Rules { window: Duration::from_secs(60), nonces: None };
    let taken = [
        KINDS.iter().any(|(_, use_)| jose::verify(text, use_, key(Alg::Es256).public()).is_ok()),
        jwe::decrypt(text, &RECIPIENT).is_ok(),
        dpop::verify(text, &request, &rules, now()).is_ok(),
        Jwk::parse(text.as_bytes()).is_ok(),
        Jwks::parse(text.as_bytes()).is_ok_and(|set| set.iter().count() > 0),
    ];
    taken.contains(&true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_are_taken_for_anything(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(!any_takes(&String::from_utf8_lossy(&bytes)));
        prop_assert!(Roots::parse([bytes.as_slice()]).is_err());
    }

    #[test]
    fn no_parts_in_base64url_are_taken_for_anything(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 2..7)) {
        let parts: Vec<String> = parts.iter().map(base64url::encode).collect();
        prop_assert!(!any_takes(&parts.join(".")));
    }

    #[test]
    fn a_message_with_any_byte_changed_is_not_read(at in any::<Index>(), to in any::<char>()) {
        let at = at.index(MESSAGE.len());
        let changed = format!("{}{to}{}", &MESSAGE[..at], &MESSAGE[at + 1..]);
        prop_assert_eq!(jwe::decrypt(&changed, &RECIPIENT).is_ok(), changed == *MESSAGE);
    }

    #[test]
    fn a_message_is_read_as_it_was_written(text in prop::collection::vec(any::<u8>(), 0..300)) {
        for enc in [Enc::A128Gcm, Enc::A256Gcm] {
            let message = jwe::encrypt(&text, RECIPIENT.public(), enc).unwrap();
            prop_assert_eq!(&*jwe::decrypt(&message, &RECIPIENT).unwrap().plaintext, &text);
        }
    }

    #[test]
    fn a_token_cut_or_joined_with_another_does_not_count(one in 0..5_usize, cut in any::<Index>(), other in 0..KINDS.len()) {
        let (name, use_) = KINDS[other];
        let token = KEYS[one].sign(use_.typ[0], &Object::new(), &claims_of(use_)).unwrap();
        let second = KEYS[one].sign(use_.typ[0], &Object::new(), &json!({ "sub": "eve" })).unwrap();
        let cut = cut.index(token.len());
        prop_assert!(jose::verify(&token[..cut], use_, KEYS[one].public()).is_err(), "{}", name);
        let parts: Vec<&str> = token.split('.').collect();
        let foreign: Vec<&str> = second.split('.').collect();
        for mixed in [[parts[0], foreign[1], parts[2]], [parts[0], parts[1], foreign[2]]] {
            prop_assert!(jose::verify(&mixed.join("."), use_, KEYS[one].public()).is_err());
        }
        prop_assert_eq!(Unverified::parse(&token, use_).is_ok(), use_.algs.contains(&KEYS[one].alg()));
    }
}
