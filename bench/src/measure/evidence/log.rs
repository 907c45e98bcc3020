//! A small log of real calls by people of many organizations; the large ones are made like it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use testkit::server::{Server, Setup};

use super::{
    super::{Bench, june_12},
    programs::{Programs, answered},
};
use crate::{args::Run, contender};

/// Organizations with calls.
const ORGANIZATIONS: u32 = 50;
/// People of each.
const PEOPLE: u32 = 2;
/// The organization whose calls are produced.
pub(super) const CHOSEN: &str = "firm-7";
/// The model that all calls are on.
pub(super) const MODEL: &str = "mythos-5";

/// A server that stopped, with its registry and a log of one call of everybody.
#[derive(Debug)]
pub(super) struct Small {
    pub(super) setup: Setup,
}

impl Small {
    /// Registers everybody, and has each make a call.
    ///
    /// # Errors
    ///
    /// The server did not start, or a call was refused.
    pub(super) fn record(run: &Run, bench: &Bench) -> anyhow::Result<Self> {
        let setup = contender::setup(run, &bench.folder.path().join("evidence"), bench.stub.address())?;
        let server = setup.start()?;
        server.lab()?;
        let keys = registered(&server)?;
        enact(&server)?;
        let body = json!({"model": MODEL, "messages": [{"role": "user", "content": "Good afternoon"}]});
        for key in keys {
            let answer = server.call(&key, "/v1/chat/completions", &body)?;
            ensure!(answer.head.status == 200, "a call was answered with {}", answer.head.status);
            answer.text()?;
        }
        ensure!(server.terminate()?.success(), "the server did not stop in good order");
        Ok(Self { setup })
    }

    /// Returns its log.
    pub(super) fn ledger(&self) -> PathBuf {
        self.setup.dir.join("data/ledger")
    }

    /// Appends `calls` like those of this log to the log in `ledger`, which is this one or becomes a copy of it first: what put
    /// in force what they are under is in it too.
    ///
    /// # Errors
    ///
    /// The log cannot be copied, or takes no more.
    pub(super) fn fill(&self, programs: &Programs<'_>, ledger: &Path, calls: u64, more: &[&str]) -> anyhow::Result<()> {
        if ledger != self.ledger() {
            let copied = Command::new("cp").arg("-R").arg(self.ledger()).arg(ledger).status()?;
            ensure!(copied.success(), "the log was not copied to `{}`", ledger.display());
        }
        let mut fill = programs.calls_log();
        fill.arg("fill").arg(ledger).args(["--calls", &calls.to_string()]);
        answered(fill.args(more)).map(drop)
    }
}

/// Registers the organizations with their people, of each one a U.S. person and one a foreign person; returns the keys.
fn registered(server: &Server) -> anyhow::Result<Vec<String>> {
    let mut keys = Vec::new();
    for firm in 0..ORGANIZATIONS {
        let name = format!("firm-{firm}");
        server.organization(&name, &format!("Firm {firm}, Inc."))?;
        for person in 0..PEOPLE {
            keys.push(server.person_of(&format!("person-{firm}-{person}"), person == 0, &name)?);
        }
    }
    Ok(keys)
}

/// Puts a directive in force, and a license under it for the employees of all organizations.
fn enact(server: &Server) -> anyhow::Result<()> {
    june_12(server)?;
    let mut license: Value = serde_json::from_str(include_str!("../../../../examples/annex-a.license.json"))?;
    let names: Vec<_> = (0..ORGANIZATIONS).map(|firm| format!("firm-{firm}")).collect();
    *license.pointer_mut("/grantees/organizations").context("the license names no organizations")? = json!(names);
    server.admin("POST", "/admin/v1/licenses?apply=true", &license).map(drop)
}
