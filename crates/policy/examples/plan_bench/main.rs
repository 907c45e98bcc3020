//! Measures planning for a million keys and replaying two million recorded calls, without a harness.
//!
//! `cargo run --release -p policy --example plan_bench [keys]`

mod world;

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use policy::{
    Facts, Snapshot, SnapshotDocument,
    plan::{Options, Plan, Population, Readings, RecordedCall, Replay},
};
use terms::Moment;
use world::World;

const KEYS: usize = 1_000_000;
const RECORDED_KEYS: usize = 100_000;
const RECORDED_CALLS: usize = 2_000_000;
const HOUR_MS: i64 = 3_600_000;

fn main() -> anyhow::Result<()> {
    let keys = std::env::args().nth(1).map_or(Ok(KEYS), |text| text.parse())?;
    let mut out = io::stdout().lock();
    let world = World::new()?;
    let before = compiled(world.before.clone())?;
    let after = compiled(world.after.clone())?;
    plan(&mut out, &world, &before, &after, keys)?;
    replay(&mut out, &world, &after)?;
    instruments(&mut out, &world)
}

fn plan(out: &mut impl Write, world: &World, before: &Snapshot, after: &Snapshot, keys: usize) -> anyhow::Result<()> {
    let principals = (0..keys).map(|at| world.principal(at)).collect::<anyhow::Result<Vec<_>>>()?;
    writeln!(out, "{keys} keys made; peak memory {} MiB", peak_mib()?)?;
    let start = Instant::now();
    let mut population = Population::new();
    principals.into_iter().for_each(|principal| population.add(principal));
    writeln!(out, "population  {:>8.2} s", start.elapsed().as_secs_f64())?;
    let none = Options { lapses: Duration::ZERO, ..Options::default() };
    let bare = Plan { readings: Readings::none(), options: none.clone(), ..Plan::new(before, after, world.at) };
    let start = Instant::now();
    let report = bare.make(&population);
    writeln!(out, "plan        {:>8.2} s, {} classes", start.elapsed().as_secs_f64(), report.population.classes)?;
    let start = Instant::now();
    let report = Plan { options: none, ..Plan::new(before, after, world.at) }.make(&population);
    let cells = report.matrix.as_ref().map_or(0, |matrix| matrix.cells.len());
    writeln!(out, "with matrix {:>8.2} s, {cells} cells", start.elapsed().as_secs_f64())?;
    let start = Instant::now();
    let report = Plan { readings: Readings::none(), ..Plan::new(before, after, world.at) }.make(&population);
    let lapses: u64 = report.schedule.lapses.iter().map(|lapse| lapse.keys).sum();
    writeln!(out, "with lapses {:>8.2} s, {lapses} of keys within 4 h", start.elapsed().as_secs_f64())?;
    writeln!(out, "report      {:>8} bytes of JSON", serde_json::to_vec(&report)?.len())?;
    for model in &report.models {
        let [permit, hold, deny] = [model.after.permit, model.after.hold, model.after.deny].map(|reach| reach.keys);
        writeln!(
            out,
            "{:<12} cut {:>8} then: permit {permit:>8} hold {hold:>8} deny {deny:>8}",
            model.model, model.turn_off.reach.keys
        )?;
    }
    writeln!(out, "peak memory {} MiB", peak_mib()?)?;
    Ok(())
}

fn replay(out: &mut impl Write, world: &World, after: &Snapshot) -> anyhow::Result<()> {
    let facts = (0..RECORDED_KEYS).map(|at| recorded(world, at)).collect::<anyhow::Result<Vec<_>>>()?;
    let from = world.at;
    let step = 24 * HOUR_MS / i64::try_from(RECORDED_CALLS)?.max(1);
    let mut replay = Replay::new(after, from, Moment::MAX);
    // The second time nothing is new: what it costs to look up.
    for round in ["at first", "again"] {
        let start = Instant::now();
        let mut bytes = 0;
        for call in 0..RECORDED_CALLS {
            // Each key calls about as often, in an order without a pattern.
            let key = call.wrapping_mul(7_919_993) % RECORDED_KEYS;
            let Some(facts) = facts.get(key) else {
                continue;
            };
            bytes += facts.len();
            let at = Moment::from_millis(from.as_millis() + step * i64::try_from(call)?);
            replay.feed(RecordedCall { at, requested: None, facts, tokens: 1_000 });
        }
        let took = start.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let (calls, megabytes) = (RECORDED_CALLS as f64 / took, bytes as f64 / took / 1e6);
        let (mean, decisions) = (bytes / RECORDED_CALLS, replay.report().decisions);
        writeln!(
            out,
            "replay {round:<8} {calls:>8.0} calls/s, {megabytes:.0} MB/s ({mean} bytes each), {decisions} decided so far"
        )?;
    }
    let report = replay.report();
    let [permitted, held, denied] = [report.permitted, report.held, report.denied].map(|count| count.calls);
    writeln!(out, "permitted {permitted} held {held} denied {denied}; peak memory {} MiB", peak_mib()?)?;
    Ok(())
}

/// Plans with more and more instruments in force.
fn instruments(out: &mut impl Write, world: &World) -> anyhow::Result<()> {
    let mut population = Population::new();
    for at in 0..100_000 {
        population.add(world.principal(at)?);
    }
    for count in [10, 40, 200] {
        let after = compiled(world.with_instruments(count)?)?;
        let before = compiled(world.before.clone())?;
        let plan = Plan { readings: Readings::none(), ..Plan::new(&before, &after, world.at) };
        let start = Instant::now();
        let report = plan.make(&population);
        let classes = report.population.classes;
        writeln!(
            out,
            "{count:>3} instruments {:>5.2} s for 100000 keys, {classes} classes",
            start.elapsed().as_secs_f64()
        )?;
    }
    Ok(())
}

fn recorded(world: &World, at: usize) -> anyhow::Result<Vec<u8>> {
    let principal = world.principal(at)?;
    let model = world.models.get(at % world.models.len()).cloned();
    let facts = Facts {
        at: world.at,
        model: model.ok_or_else(|| anyhow::anyhow!("the world has no model"))?,
        credential: principal.credential,
        caller: principal.caller,
        organizations: principal.organizations,
        consumed: Vec::new(),
        channels: Vec::new(),
    };
    Ok(serde_json::to_vec(&facts)?)
}

fn compiled(document: SnapshotDocument) -> anyhow::Result<Snapshot> {
    Snapshot::compile(document).map_err(|faults| anyhow::anyhow!("{faults:?}"))
}

/// Returns the most memory that this process ever held, in MiB.
fn peak_mib() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = line.and_then(|line| line.trim().strip_suffix("kB")).unwrap_or("0").trim().parse()?;
    Ok(kib / 1_024)
}
