//! The commands that people run on such a day, as processes of their own.

use std::{
    env, fs,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::super::{Demo, process, show::Show};

/// Runs `exeat` as an operator of this demo, and shows each command.
pub(super) struct Commands<'a> {
    demo: &'a Demo,
    show: &'a Show,
    exeat: PathBuf,
}

impl<'a> Commands<'a> {
    /// Finds this program.
    ///
    /// # Errors
    ///
    /// If the operating system does not say where it is.
    pub(super) fn of(demo: &'a Demo, show: &'a Show) -> anyhow::Result<Self> {
        let exeat = env::current_exe().context("cannot tell where this program is")?;
        Ok(Self { demo, show, exeat })
    }

    /// Returns the path of a file of this run.
    pub(super) fn path(&self, name: &str) -> String {
        self.demo.run_dir.join(name).display().to_string()
    }

    /// Writes a file of this run and returns its path.
    ///
    /// # Errors
    ///
    /// The operating system's, with the file's name.
    pub(super) fn file(&self, name: &str, text: &str) -> anyhow::Result<String> {
        let path = self.path(name);
        fs::write(&path, text).with_context(|| format!("cannot write `{path}`"))?;
        Ok(path)
    }

    /// Runs a command that must succeed; returns what it answers.
    ///
    /// # Errors
    ///
    /// If it cannot be run, fails, or answers no JSON.
    pub(super) fn json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        self.answered(arguments, &self.run(arguments, &[])?)
    }

    /// Does as [`Commands::json`], with another admin token.
    ///
    /// # Errors
    ///
    /// As there.
    pub(super) fn json_as(&self, token: &str, arguments: &[&str]) -> anyhow::Result<Value> {
        self.answered(arguments, &self.run(arguments, &[("EXEAT_ADMIN_TOKEN", token)])?)
    }

    /// Runs a command that must be refused; returns why it was.
    ///
    /// # Errors
    ///
    /// If it cannot be run, or does not end with 1.
    pub(super) fn refused(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.run(arguments, &[])?;
        let said = process::last_lines(&String::from_utf8_lossy(&output.stderr), 2);
        ensure!(output.status.code() == Some(1), "`{}` was not refused: {said}", shown(arguments));
        Ok(said)
    }

    fn run(&self, arguments: &[&str], more: &[(&str, &str)]) -> anyhow::Result<Output> {
        self.show.say(&format!("$ exeat {}", self.short(arguments)))?;
        let mut command = Command::new(&self.exeat);
        command.arg("--json").args(arguments).stdin(Stdio::null());
        command.env("EXEAT_ADMIN_URL", &self.demo.admin_url).env("EXEAT_ADMIN_TOKEN_FILE", &self.demo.token_file);
        command.env("EXEAT_LEDGER", self.demo.ledger_dir()).envs(more.iter().copied());
        command.output().with_context(|| format!("cannot run `exeat {}`", shown(arguments)))
    }

    fn answered(&self, arguments: &[&str], output: &Output) -> anyhow::Result<Value> {
        let said = || process::last_lines(&String::from_utf8_lossy(&output.stderr), 4);
        ensure!(output.status.success(), "`exeat {}` failed: {}", shown(arguments), said());
        serde_json::from_slice(&output.stdout).with_context(|| format!("`exeat {}` answered no JSON", shown(arguments)))
    }

    /// Returns a command with the folder of this run left out.
    fn short(&self, arguments: &[&str]) -> String {
        let dir = self.demo.run_dir.display().to_string();
        shown(arguments).replace(&format!("{dir}/"), "")
    }
}

fn shown(arguments: &[&str]) -> String {
    arguments.join(" ")
}
