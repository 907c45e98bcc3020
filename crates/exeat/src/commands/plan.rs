//! `exeat directive plan`: asks the server to simulate a change, waits for it with progress, and shows it; and
//! `exeat plan`: what was saved, shown again and checked.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use terms::Moment;

use super::{
    Exit,
    admin::{Call, Connection},
    documents,
    parties::present,
};
use crate::{
    output::{self, Format},
    plan::{self, Made, View},
};

const PATH: &str = "/admin/v1/plans";
/// How often the server is asked how far it is.
const POLL: Duration = Duration::from_millis(100);

/// What a plan is asked for, and where it goes.
#[derive(Clone, Debug, Args)]
pub(crate) struct PlanArgs {
    /// The documents that would be put in force together, JSON or `.toml`; `-` reads JSON from standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The moment to plan for (RFC 3339); now unless given.
    #[arg(long, value_parser = Moment::parse)]
    at: Option<Moment>,
    /// Over how many hours before now traffic is measured; 24 unless given.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=744))]
    window_hours: Option<u32>,
    /// Decides every past call since this moment again, as if the change had been made (RFC 3339).
    #[arg(long, value_name = "FROM", value_parser = Moment::parse)]
    replay: Option<Moment>,
    /// Until when past calls are decided again; now unless given.
    #[arg(long, requires = "replay", value_parser = Moment::parse)]
    replay_until: Option<Moment>,
    /// Supposes the change in force from the first of them on, whatever its own dates.
    #[arg(long, requires = "replay")]
    as_if_in_force: bool,
    /// Proves nothing: quicker, and says less.
    #[arg(long)]
    no_proofs: bool,
    #[command(flatten)]
    pages: Pages,
    /// Writes the plan as JSON, sealed, for `exeat plan show` and `check` and for whoever approves.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

impl PlanArgs {
    /// Has the plan made, and shows and writes it.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or written, or the server cannot be reached, refuses, or fails to make the plan.
    pub(crate) fn run(&self, connection: &Connection, format: Format) -> anyhow::Result<Exit> {
        let begun = connection.ask(&Call::post(PATH, self.request()?))?;
        let id = begun.get("id").and_then(Value::as_u64).context("the server named no plan")?;
        let made = wait(connection, id)?;
        let view = Made::read(&made)?.view(self.title(), self.command());
        if let Some(file) = &self.save {
            write(file, &made.to_string())?;
        }
        self.pages.write(&view)?;
        show(format, &made, &view)?;
        Ok(Exit::Done)
    }

    fn request(&self) -> anyhow::Result<Value> {
        let documents = self.files.iter().map(|file| documents::read(file)).collect::<anyhow::Result<Vec<_>>>()?;
        let replay = self.replay.map(|from| {
            present(json!({
                "from": from, "until": self.replay_until, "as_if_in_force": self.as_if_in_force,
            }))
        });
        Ok(present(json!({
            "documents": documents, "at": self.at, "window_hours": self.window_hours, "replay": replay,
            "proofs": !self.no_proofs,
        })))
    }

    fn title(&self) -> String {
        let names = self.files.iter().map(|file| file.file_stem().unwrap_or(file.as_os_str()).to_string_lossy());
        format!("Plan of {}", names.collect::<Vec<_>>().join(" and "))
    }

    /// Returns the command that makes the plan again.
    fn command(&self) -> String {
        let files = self.files.iter().map(|file| file.display().to_string());
        let at = self.at.map(|at| format!("--at {at}"));
        let replay = self.replay.map(|from| format!("--replay {from}"));
        let words = ["exeat directive plan".to_owned()].into_iter().chain(files).chain(at).chain(replay);
        words.collect::<Vec<_>>().join(" ")
    }
}

/// What can be done with a plan that was saved.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum PlanCommand {
    /// Shows a saved plan, without a server.
    #[command(
        after_help = "Examples:\n  exeat plan show plan.json\n  exeat plan show plan.json --html plan.html --pictures pictures"
    )]
    Show {
        /// What `directive plan --save` wrote.
        file: PathBuf,
        #[command(flatten)]
        pages: Pages,
    },
    /// Checks that a saved plan is what was sealed, and shows the receipt of its seal in the ledger.
    #[command(after_help = "Example:\n  exeat plan check plan.json")]
    Check {
        /// What `directive plan --save` wrote.
        file: PathBuf,
    },
}

impl PlanCommand {
    /// Does what was asked.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is no plan; if it was changed after it was sealed; if the server cannot show the
    /// receipt.
    pub(crate) fn run(&self, connection: &Connection, format: Format) -> anyhow::Result<Exit> {
        match self {
            Self::Show { file, pages } => {
                let made = saved(file)?;
                let view = Made::read(&made)?.view(format!("Plan {}", file.display()), String::new());
                pages.write(&view)?;
                show(format, &made, &view)?;
            }
            Self::Check { file } => {
                let seal = plan::check_seal(&saved(file)?)?;
                let receipt = connection.ask(&Call::get(format!("/admin/v1/receipts/{}", seal.entry)))?;
                let checked = json!({
                    "sha256": seal.sha256, "entry": seal.entry, "log": seal.log, "receipt": receipt,
                });
                output::answer(format, &checked)?;
            }
        }
        Ok(Exit::Done)
    }
}

/// Where a plan is written beside the terminal.
#[derive(Clone, Debug, Args)]
pub(crate) struct Pages {
    /// Writes the plan as one self-contained HTML page.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Writes the plan's pictures as SVG files into this folder.
    #[arg(long, value_name = "FOLDER")]
    pictures: Option<PathBuf>,
}

impl Pages {
    fn write(&self, view: &View) -> anyhow::Result<()> {
        if let Some(file) = &self.html {
            write(file, &plan::html(view))?;
        }
        if let Some(folder) = &self.pictures {
            for (name, picture) in plan::pictures(view) {
                write(&folder.join(name), &picture)?;
            }
        }
        Ok(())
    }
}

fn show(format: Format, made: &Value, view: &View) -> anyhow::Result<()> {
    match format {
        Format::Json => output::answer(format, made)?,
        Format::Text => output::line(plan::terminal(view, output::width(), output::is_terminal()).trim_end())?,
    }
    Ok(())
}

fn saved(file: &Path) -> anyhow::Result<Value> {
    let name = file.display();
    let text = fs::read_to_string(file).with_context(|| format!("cannot read `{name}`"))?;
    serde_json::from_str(&text).with_context(|| format!("`{name}` is not a plan"))
}

fn wait(connection: &Connection, id: u64) -> anyhow::Result<Value> {
    let shows_progress = output::is_terminal();
    loop {
        let mut state = connection.ask(&Call::get(format!("{PATH}/{id}")))?;
        let of = |name: &str| state.get(name).and_then(Value::as_u64).unwrap_or(0);
        let step = state.get("step").and_then(Value::as_str).unwrap_or_default();
        match state.get("state").and_then(Value::as_str) {
            Some("running") if shows_progress && of("total") > 0 => {
                output::progress(&format!("{step}: {} of {}", of("done"), of("total")));
            }
            Some("running") if shows_progress => output::progress(step),
            Some("running") => {}
            Some("done") => {
                if shows_progress {
                    output::progress("");
                }
                return state.get_mut("plan").map(Value::take).context("the server has no plan");
            }
            _ => {
                let why = state.get("failure").and_then(Value::as_str).unwrap_or("the server does not say why");
                bail!("the plan could not be made: {why}");
            }
        }
        thread::sleep(POLL);
    }
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let name = file.display();
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|error| anyhow!("cannot make `{}`: {error}", folder.display()))?;
    }
    fs::write(file, text).map_err(|error| anyhow!("cannot write `{name}`: {error}"))?;
    output::note(&format!("wrote {name}"));
    Ok(())
}
