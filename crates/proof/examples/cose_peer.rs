//! Hands COSE receipts to another library and takes theirs; `tests/cose` drives it.
//!
//! Reads one line: the receipt that the other library made, in hexadecimal, or nothing. Answers one line of JSON: a receipt
//! of ours for the entry `it happened`, the only other entry, the public key, and whether their receipt verifies for it.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::{error::Error, io};

use proof::{
    cose::CoseReceipt,
    note::SignerKey,
    tree::{leaf_hash, node_hash},
};

const ORIGIN: &str = "log.example.com/exeat/1";
const LEAF: &[u8] = b"it happened";
const OTHER: &[u8] = b"and so did this";

fn main() -> Result<(), Box<dyn Error>> {
    let key = SignerKey::from_seed(ORIGIN, &[9; 32])?;
    let (leaf, other) = (leaf_hash(LEAF), leaf_hash(OTHER));
    let ours = CoseReceipt::sign(&key, 2, &node_hash(&leaf, &other), 0, vec![other]);
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let theirs = CoseReceipt::parse(&unhex(line.trim())).and_then(|theirs| theirs.verify(LEAF, &key.verifier()));
    println!(
        r#"{{"receipt": "{}", "leaf": "{}", "other": "{}", "seed": "{}", "origin": "{ORIGIN}", "theirs": {}}}"#,
        hex(&ours.to_bytes()),
        hex(LEAF),
        hex(OTHER),
        hex(&[9; 32]),
        theirs.is_ok(),
    );
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = (0..text.len()).step_by(2).map_while(|at| text.get(at..at + 2));
    pairs.map_while(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}
