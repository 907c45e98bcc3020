//! Answers natively what the page asks of WebAssembly; `tests/page` holds the two against each other.
//!
//! Reads lines, each a JSON array of key, entry and receipt; answers each with a line.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::{error::Error, io};

fn main() -> Result<(), Box<dyn Error>> {
    for line in io::stdin().lines() {
        let [key, entry, receipt]: [String; 3] = serde_json::from_str(&line?)?;
        println!("{}", page::answer(&key, &entry, &receipt));
    }
    Ok(())
}
