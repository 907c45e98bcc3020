//! `cargo xtask page`: `verify/receipt.html` with the check of `proof` in it, compiled to WebAssembly.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{repo::Repo, run, say, tally::Tally};

/// The page as it lies in the repository: complete, but with one program instead of two.
const SOURCE: &str = "verify/receipt.html";
const TARGET: &str = "wasm32-unknown-unknown";
/// What is put into the page, and before what: leave to compile, and what is compiled.
const INSERTIONS: [&str; 2] = ["script-src ", r#"<script type="application/wasm" id="wasm">"#];
/// Where compilers may be: the one that builds everything else, and Debian's second one.
const COMPILERS: [&str; 2] = ["rustc", "/usr/bin/rustc"];
const INSTALL: &str = "install the standard library for WebAssembly (`rustup target add wasm32-unknown-unknown`), or on \
                       Debian a compiler with the source of its own (`apt install rustc-web rust-web-src`)";

/// Builds the page and says where it is.
///
/// # Errors
///
/// As [`build`].
pub(crate) fn run(repo: &Repo) -> Result<Tally> {
    let built = build(repo)?;
    Ok(Tally::one(built.is_some()))
}

/// Builds the page and returns where it is; `None`, and says why, if this machine cannot make WebAssembly.
///
/// # Errors
///
/// Something could not be run, read or written.
pub(crate) fn build(repo: &Repo) -> Result<Option<PathBuf>> {
    let Some(compiler) = COMPILERS.iter().find_map(|rustc| Compiler::find(repo, rustc)) else {
        say::line(&format!("    the page cannot have `proof` in it: {INSTALL}"));
        return Ok(None);
    };
    let folder = repo.target.join("page");
    if compiler.compile(repo, &folder)?.failed > 0 {
        say::line(&format!("    `{}` does not compile it: {INSTALL}", compiler.rustc));
        return Ok(None);
    }
    let wasm = folder.join(TARGET).join("page/page.wasm");
    let wasm = fs::read(&wasm).with_context(|| format!("cannot read `{}`", wasm.display()))?;
    let source = fs::read_to_string(repo.root.join(SOURCE)).context(SOURCE)?;
    let page = folder.join("receipt.html");
    fs::write(&page, with_wasm(&source, &wasm)?).with_context(|| format!("cannot write `{}`", page.display()))?;
    say::line(&format!("    {}, with {} bytes of WebAssembly", page.display(), wasm.len()));
    Ok(Some(page))
}

/// Puts the compiled program into the page, and into its policy that it may be run; the script stays as it is.
fn with_wasm(source: &str, wasm: &[u8]) -> Result<String> {
    let mut page = source.to_owned();
    for (before, what) in INSERTIONS.into_iter().zip(["'wasm-unsafe-eval' ", &STANDARD.encode(wasm)]) {
        ensure!(page.matches(before).count() == 1, "`{SOURCE}` does not have `{before}` once");
        page = page.replace(before, &format!("{before}{what}"));
    }
    Ok(page)
}

/// A compiler that can make WebAssembly, and the linker of the toolchain that builds everything else.
struct Compiler {
    rustc: &'static str,
    linker: PathBuf,
    /// The standard library is there as source only.
    from_source: bool,
}

impl Compiler {
    fn find(repo: &Repo, rustc: &'static str) -> Option<Self> {
        let printed = |rustc: &str, arguments: &[&str]| {
            run::answer(repo.command(rustc).arg("--print").args(arguments)).map(PathBuf::from)
        };
        let library = printed(rustc, &["sysroot"])?.join("lib/rustlib/src/rust/library/Cargo.lock");
        let from_source = !printed(rustc, &["target-libdir", "--target", TARGET])?.exists();
        let linker = printed("rustc", &["target-libdir"])?.with_file_name("bin").join("rust-lld");
        (!from_source || library.exists()).then_some(Self { rustc, linker, from_source })
    }

    fn compile(&self, repo: &Repo, folder: &Path) -> Result<Tally> {
        let mut cargo = repo.cargo();
        cargo.args(["build", "--locked", "--package", "page", "--lib", "--profile", "page", "--target", TARGET]);
        cargo.arg("--target-dir").arg(folder).env("RUSTC", self.rustc);
        cargo.env("CARGO_ENCODED_RUSTFLAGS", self.flags(repo));
        if self.from_source {
            // What a compiler that is released refuses: to build the library that it was released with.
            cargo.arg("-Zbuild-std=std,panic_abort").env("RUSTC_BOOTSTRAP", "1");
        }
        run::check(&mut cargo)
    }

    /// Names the linker, and leaves out of the program where on this machine its sources were.
    fn flags(&self, repo: &Repo) -> String {
        let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
        let cargo_home = cargo_home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).unwrap_or_default();
        let registries = fs::read_dir(cargo_home.join("registry/src")).into_iter().flatten().flatten();
        let sources = registries.map(|folder| (folder.path(), "crates")).chain([(repo.root.clone(), "exeat")]);
        let remapped = sources.map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
        let flags: Vec<_> = remapped.chain([format!("-Clinker={}", self.linker.display())]).collect();
        flags.join("\u{1f}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_differs_from_its_source_in_the_program_and_the_leave_to_run_it() {
        let source = fs::read_to_string(Repo::find().unwrap().root.join(SOURCE)).unwrap();
        let page = with_wasm(&source, b"\0asm").unwrap();
        assert_eq!(page.len(), source.len() + "'wasm-unsafe-eval' ".len() + "AGFzbQ==".len());
        assert!(page.contains("script-src 'wasm-unsafe-eval' 'sha256-"));
        assert!(page.contains(r#" id="wasm">AGFzbQ==</script>"#));
    }

    #[test]
    fn a_page_without_the_places_or_with_two_is_no_source() {
        for source in ["", &INSERTIONS.concat().repeat(2)] {
            assert!(with_wasm(source, b"").is_err(), "{source}");
        }
    }

    #[test]
    fn a_compiler_that_is_not_there_is_not_found() {
        assert!(Compiler::find(&Repo::find().unwrap(), "no-such-compiler-here").is_none());
    }
}
