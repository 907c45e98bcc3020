//! What full enforcement costs, measured beside a plain proxy in the same run.

mod load;
mod peer;
mod process;
mod report;
mod stub;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use bytes::Bytes;
use serde_json::json;
use testkit::server::{Server, Setup};

use load::{Shot, closed_loop, held_streams};
use report::{Round, Table};
use stub::Pace;

const UNARY: &str = r#"{"model":"mythos-5","messages":[{"role":"user","content":"Good afternoon, how are you?"}]}"#;
const STREAM: &str = r#"{"model":"mythos-5","stream":true,"messages":[{"role":"user","content":"Good afternoon"}]}"#;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::say(&format!("bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let what = words.next().context("say what to measure: `gateway` or `recall`")?;
    let options: Vec<String> = words.collect();
    let number = |name: &str, default: usize| -> anyhow::Result<usize> {
        match options.iter().position(|word| word == name) {
            Some(at) => Ok(options.get(at + 1).context("a value is missing")?.parse()?),
            None => Ok(default),
        }
    };
    let exeat = PathBuf::from(std::env::var_os("EXEAT_BIN").context("set EXEAT_BIN to the `exeat` binary")?);
    match what.as_str() {
        "gateway" => gateway(exeat, number("--rounds", 5)?, number("--requests", 20_000)?),
        "recall" => recall(exeat, number("--streams", 1_000)?),
        other => bail!("`{other}` is not a measurement: say `gateway` or `recall`"),
    }
}

/// CPU per request and added latency of `exeat`, everything on, beside nginx that only passes through.
fn gateway(exeat: PathBuf, rounds: usize, requests: usize) -> anyhow::Result<()> {
    let folder = scratch("gateway")?;
    let upstream = stub::start(Pace { events: 64, gap: Duration::from_millis(20) })?;
    let nginx = peer::Nginx::start(&folder, upstream)?;
    let server = serve(exeat, &folder, upstream)?;
    server.lab()?;
    let key = server.person("ada", true)?;
    let shot = |address| Shot { address, key: key.clone(), body: Bytes::from_static(UNARY.as_bytes()) };
    let contenders = [
        ("direct", None, shot(upstream)),
        ("nginx", Some(nginx.pid()), shot(nginx.address)),
        ("exeat", Some(server.pid()), shot(server.address)),
    ];
    let mut table = Table::new(process::load());
    for (_, _, shot) in &contenders {
        closed_loop(shot, 32, requests / 10)?;
    }
    for _ in 0..rounds {
        for (name, pid, shot) in &contenders {
            table.add(name, one_round(*pid, shot, requests)?);
        }
    }
    table.print(
        "gateway",
        &json!({"rounds": rounds, "requests": requests, "exeat_idle_kib": process::resident_kib(server.pid())?}),
    );
    Ok(())
}

fn one_round(pid: Option<u32>, shot: &Shot, requests: usize) -> anyhow::Result<Round> {
    let before = pid.map(process::cpu).transpose()?;
    let busy = closed_loop(shot, 32, requests)?;
    let after = pid.map(process::cpu).transpose()?;
    let quiet = closed_loop(shot, 1, requests / 20)?;
    let spent = before.zip(after).map(|(before, after)| after.saturating_sub(before));
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let answered = busy.answered() as f64;
    Ok(Round {
        per_second: answered / busy.took.as_secs_f64(),
        cpu_micros: spent.map(|spent| spent.as_secs_f64() * 1e6 / answered),
        p50: quiet.micros(0.5),
        p99: quiet.micros(0.99),
    })
}

/// Time from the directive to the end of every stream that it cuts.
fn recall(exeat: PathBuf, streams: usize) -> anyhow::Result<()> {
    let folder = scratch("recall")?;
    let upstream = stub::start(Pace { events: 100_000, gap: Duration::from_millis(200) })?;
    let server = serve(exeat, &folder, upstream)?;
    server.lab()?;
    let people = streams.min(200);
    let keys = (0..people).map(|n| server.person(&format!("minh-{n}"), false)).collect::<anyhow::Result<Vec<_>>>()?;
    let idle = process::resident_kib(server.pid())?;
    let shot =
        |key: &String| Shot { address: server.address, key: key.clone(), body: Bytes::from_static(STREAM.as_bytes()) };
    let shots = keys.iter().cycle().take(streams).map(shot).collect();
    let pid = server.pid();
    let (sender, receiver) = std::sync::mpsc::channel();
    let (cut, applied) = held_streams(shots, move || {
        sender.send(process::resident_kib(pid)?)?;
        june_12(&server)?;
        Ok(server)
    })?;
    let open = receiver.recv()?;
    report::recall(&json!({
        "streams": cut.answered(),
        "people": people,
        "load": process::load(),
        "last_byte_ms": {"p50": cut.micros(0.5) / 1e3, "p99": cut.micros(0.99) / 1e3, "max": cut.micros(1.0) / 1e3},
        "directive_answered_ms": applied.as_secs_f64() * 1e3,
        "kib_per_stream": open.saturating_sub(idle) / u64::try_from(streams.max(1))?,
    }));
    Ok(())
}

/// Starts a server that lets everything through that the two measurements ask for.
fn serve(exeat: PathBuf, folder: &Path, upstream: SocketAddr) -> anyhow::Result<Server> {
    let setup = Setup::new(exeat, folder.join("exeat"), upstream)?;
    Setup { segment_mib: 64, in_flight: 20_000, ..setup }.start()
}

fn june_12(server: &Server) -> anyhow::Result<()> {
    let document = serde_json::from_str(include_str!("../../examples/june-12.directive.json"))?;
    server.admin("POST", "/admin/v1/directives?apply=true", &document).map(drop)
}

fn scratch(what: &str) -> anyhow::Result<PathBuf> {
    let stamp = Instant::now();
    let folder = std::env::temp_dir().join(format!("exeat-bench-{what}-{}-{:?}", std::process::id(), stamp.elapsed()));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
