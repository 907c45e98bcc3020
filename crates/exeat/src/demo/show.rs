//! What the demo tells a person: steps with a spinner, a page for newcomers, the lines of the script.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{ALIAS, Demo, EMBER, MYTHOS};
use crate::output;

/// Tells a person what happens; says nothing at all in a headless run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Show {
    quiet: bool,
    terminal: bool,
}

const SPINNER: [&str; 4] = ["|", "/", "-", "\\"];
const FRAME: Duration = Duration::from_millis(120);

impl Show {
    /// Looks whether a person watches.
    pub(super) fn new(quiet: bool) -> Self {
        Self { quiet, terminal: !quiet && output::is_terminal() }
    }

    /// Does one step, with a spinner and the time it took.
    ///
    /// # Errors
    ///
    /// That of the step.
    pub(super) fn step<T>(&self, title: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        let began = Instant::now();
        let spinner = self.terminal.then(|| Spinner::start(title.to_owned()));
        let done = work();
        drop(spinner);
        self.finished(title, began, done.is_ok(), "");
        done
    }

    /// Does one step that brings `total` bytes; `work` is given a function to tell how many have come.
    ///
    /// # Errors
    ///
    /// That of the step.
    pub(super) fn transfer(
        &self,
        title: &str,
        total: u64,
        work: impl FnOnce(&mut dyn FnMut(u64)) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut frame = 0;
        let done = work(&mut |bytes| {
            frame += 1;
            if self.terminal {
                let spin = SPINNER.get(frame % SPINNER.len()).copied().unwrap_or_default();
                let what = if bytes < total {
                    format!("{} of {} MB", bytes / 1_000_000, total / 1_000_000)
                } else {
                    "unpacking".to_owned()
                };
                output::progress(&format!("  {spin} {title}  {what}  {} s", began.elapsed().as_secs()));
            }
        });
        self.finished(title, began, done.is_ok(), &format!("{} MB, ", total / 1_000_000));
        done
    }

    fn finished(&self, title: &str, began: Instant, done: bool, what: &str) {
        if self.quiet {
            return;
        }
        if self.terminal {
            output::progress("");
        }
        let mark = if done { self.green("ok") } else { self.red("failed") };
        output::note(&format!("  {mark}  {title}  ({what}{})", seconds(began.elapsed())));
    }

    /// Prints a heading of the script.
    ///
    /// # Errors
    ///
    /// If standard output is closed.
    pub(super) fn heading(&self, number: usize, text: &str) -> io::Result<()> {
        output::line(&format!("\n{}", self.bold(&format!("{number}. {text}"))))
    }

    /// Prints a line of the script.
    ///
    /// # Errors
    ///
    /// If standard output is closed.
    pub(super) fn say(&self, text: &str) -> io::Result<()> {
        output::line(&format!("   {text}"))
    }

    /// Prints what held.
    ///
    /// # Errors
    ///
    /// If standard output is closed.
    pub(super) fn held(&self, text: &str) -> io::Result<()> {
        output::line(&format!("   {} {text}", self.green("[held]")))
    }

    /// Shows a line that the next one replaces; nothing where nobody can see it move.
    pub(super) fn moving(&self, text: &str) {
        if self.terminal {
            output::progress(&format!("   {text}"));
        }
    }

    /// Makes room after moving lines.
    pub(super) fn settle(&self) {
        if self.terminal {
            output::progress("");
        }
    }

    /// Emphasizes.
    pub(super) fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Colors what went well.
    pub(super) fn green(&self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Colors what was refused or cut.
    pub(super) fn red(&self, text: &str) -> String {
        self.paint("31", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.terminal { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Prints where everything is and what to paste.
    ///
    /// # Errors
    ///
    /// If standard output is closed.
    pub(super) fn newcomer(&self, demo: &Demo) -> anyhow::Result<()> {
        output::line(&self.places(demo))?;
        output::line(&self.curl(demo))?;
        output::line(&python(demo))?;
        output::line(&orders(demo))?;
        output::line(&format!("\n{}", self.bold("Running. Ctrl-C stops it.")))?;
        Ok(())
    }

    fn places(&self, demo: &Demo) -> String {
        format!(
            "\n{}\n  gateway      {}\n  admin API    {}  (token in {})\n  data         {}\n  ledger       {}\n  models       {MYTHOS} (attested people), {EMBER} (any key), and `{ALIAS}`: the best of them that the caller may use\n\n{}\n  ada   U.S. citizen, employee of Larkspur Labs\n        {}\n  minh  foreign person on H-1B status, employee of Larkspur Labs\n        {}",
            self.bold("Where things are"),
            demo.base_url,
            demo.admin_url,
            demo.token_file.display(),
            demo.data.display(),
            demo.ledger_dir().display(),
            self.bold("Two people and their keys"),
            demo.world.ada.key,
            demo.world.minh.key,
        )
    }

    fn curl(&self, demo: &Demo) -> String {
        let openai = format!(
            "curl -N {}/v1/chat/completions -H \"authorization: Bearer $KEY\" -H 'content-type: application/json' \\\n    -d '{{\"model\":\"{ALIAS}\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"Tell me about rivers.\"}}]}}'",
            demo.base_url
        );
        let anthropic = format!(
            "curl -N {}/v1/messages -H \"x-api-key: $KEY\" -H 'anthropic-version: 2023-06-01' -H 'content-type: application/json' \\\n    -d '{{\"model\":\"{ALIAS}\",\"stream\":true,\"max_tokens\":200,\"messages\":[{{\"role\":\"user\",\"content\":\"Tell me about rivers.\"}}]}}'",
            demo.base_url
        );
        let anthropic = if demo.speaks_anthropic { format!("\n  {anthropic}") } else { String::new() };
        format!(
            "\n{}\n  KEY={}\n  {openai}{anthropic}",
            self.bold("Try it (KEY is ada's or minh's)"),
            demo.world.minh.key
        )
    }
}

fn python(demo: &Demo) -> String {
    let url = &demo.base_url;
    let key = &demo.world.ada.key;
    let openai = format!(
        "  python3 - <<'EOF'   # pip install openai\n  from openai import OpenAI\n  client = OpenAI(base_url=\"{url}/v1\", api_key=\"{key}\")\n  for event in client.chat.completions.create(model=\"{ALIAS}\", stream=True, messages=[{{\"role\": \"user\", \"content\": \"Hello\"}}]):\n      print(event.choices[0].delta.content or \"\", end=\"\", flush=True)\n  EOF"
    );
    let anthropic = format!(
        "  python3 - <<'EOF'   # pip install anthropic\n  from anthropic import Anthropic\n  client = Anthropic(base_url=\"{url}\", api_key=\"{key}\")\n  with client.messages.stream(model=\"{ALIAS}\", max_tokens=200, messages=[{{\"role\": \"user\", \"content\": \"Hello\"}}]) as stream:\n      for text in stream.text_stream:\n          print(text, end=\"\", flush=True)\n  EOF"
    );
    // Unindented, so that they can be pasted as they are.
    let dedent =
        |text: &str| text.lines().map(|line| line.strip_prefix("  ").unwrap_or(line)).collect::<Vec<_>>().join("\n");
    let anthropic = if demo.speaks_anthropic { format!("\n\n{}", dedent(&anthropic)) } else { String::new() };
    format!("\n{}{anthropic}", dedent(&openai))
}

fn orders(demo: &Demo) -> String {
    let at = format!("--url {} --token-file {}", demo.admin_url, demo.token_file.display());
    format!(
        "\nWhile minh streams, in another terminal (the documents are in examples/):\n  exeat directive apply examples/june-12.directive.json {at}\n  exeat license apply examples/annex-a.license.json {at}\n  exeat ledger export record --ledger {} && exeat-verify bundle record --key {}",
        demo.ledger_dir().display(),
        demo.ledger_dir().join("log/log.vkey").display(),
    )
}

/// Spells a duration for people.
pub(super) fn seconds(took: Duration) -> String {
    match took.as_millis() {
        millis if millis < 1_000 => format!("{millis} ms"),
        _ => format!("{:.1} s", took.as_secs_f64()),
    }
}

/// A line that turns until it is dropped.
struct Spinner {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Spinner {
    fn start(title: String) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let began = Instant::now();
            for spin in SPINNER.iter().cycle() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                output::progress(&format!("  {spin} {title}  {} s", began.elapsed().as_secs()));
                thread::sleep(FRAME);
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
