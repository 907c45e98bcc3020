//! The auditor's program, linked so that it needs nothing of the machine it runs on: neither a loader nor a library.

use std::{fs, process::Command};

use anyhow::{Context, Result};

use crate::{repo::Repo, run, say, tally::Tally};

/// What is asked of the linker, as `docs/production.md` says it.
const LINKED: [&str; 4] = ["-C", "target-feature=+crt-static", "-C", "relocation-model=static"];
/// The segment of an ELF program that names its loader.
const PT_INTERP: u32 = 3;

/// Builds `exeat-verify` for itself, looks that it asks for no loader, and runs it in an empty environment.
///
/// # Errors
///
/// It could not be built or read; one that asks for a loader or does not run is a count, not an error.
pub(crate) fn run(repo: &Repo) -> Result<Tally> {
    if !cfg!(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64", target_endian = "little")) {
        say::line("    only for Linux with glibc, of 64 bits");
        return Ok(Tally::default());
    }
    let mut build = repo.cargo();
    build.args(["rustc", "--locked", "--package", "verifier", "--bin", "exeat-verify", "--"]).args(LINKED);
    run::must(&mut build)?;
    let program = repo.target.join("debug/exeat-verify");
    let bytes = fs::read(&program).with_context(|| format!("cannot read `{}`", program.display()))?;
    let asks = asks_for_a_loader(&bytes).with_context(|| format!("`{}` is no ELF program", program.display()))?;
    say::line(&format!("    it asks for a loader: {asks}"));
    let mut tally = Tally::one(!asks);
    tally += run::check(Command::new(&program).arg("--help").env_clear())?;
    Ok(tally)
}

/// Says whether an ELF program of 64 bits has a segment that names a loader; `None` if it is no such program.
///
/// # Source
///
/// System V Application Binary Interface, chapters 4 and 5: `e_phoff`, `e_phentsize`, `e_phnum`, `p_type`.
fn asks_for_a_loader(program: &[u8]) -> Option<bool> {
    const MAGIC: [u8; 6] = [0x7f, b'E', b'L', b'F', 2, 1];
    program.strip_prefix(&MAGIC)?;
    let short = |at: usize| Some(usize::from(u16::from_le_bytes(*program.get(at..)?.first_chunk()?)));
    let first = usize::try_from(u64::from_le_bytes(*program.get(32..)?.first_chunk()?)).ok()?;
    let (width, count) = (short(54)?, short(56)?);
    let kind = |n: usize| {
        let at = width.checked_mul(n)?.checked_add(first)?;
        Some(u32::from_le_bytes(*program.get(at..)?.first_chunk()?))
    };
    let kinds = (0..count).map(kind).collect::<Option<Vec<_>>>()?;
    Some(kinds.contains(&PT_INTERP))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program with segments of these kinds, and nothing in them.
    fn elf(kinds: &[u32]) -> Vec<u8> {
        let mut program = vec![0; 64];
        program[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
        (program[32], program[54], program[56]) = (64, 56, kinds.len() as u8);
        for kind in kinds {
            program.extend(kind.to_le_bytes());
            program.extend([0; 52]);
        }
        program
    }

    #[test]
    fn a_program_asks_for_a_loader_if_one_of_its_segments_names_it() {
        assert_eq!(asks_for_a_loader(&elf(&[6, 3, 1])), Some(true));
        assert_eq!(asks_for_a_loader(&elf(&[6, 1, 2])), Some(false));
        assert_eq!(asks_for_a_loader(&elf(&[6, 1, 2])[..120]), None, "it is cut off");
        assert_eq!(asks_for_a_loader(b"#!/bin/sh"), None);
    }

    #[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64", target_endian = "little"))]
    #[test]
    fn the_program_that_runs_this_test_asks_for_one() {
        let program = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(asks_for_a_loader(&program), Some(true));
    }
}
