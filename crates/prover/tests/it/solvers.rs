//! Solvers that lie, hang, break off or are not there.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use prover::{Fault, Proofs, Settings, Verdict, prove};
use tempfile::TempDir;

use crate::world::{annex_a, june_12, proved, settings, snapshot};

const LIMIT: Duration = Duration::from_millis(400);

#[test]
fn without_a_solver_the_fault_says_loudly_what_to_install() {
    for missing in ["no-such-solver", "/nonexistent/cvc5"] {
        let fault = asked(Path::new(missing)).unwrap_err();
        assert!(matches!(fault, Fault::NoSolver { .. }));
        let text = fault.to_string();
        for part in [missing, "NOTHING WAS PROVED", "apt install cvc5", "explicit override"] {
            assert!(text.contains(part), "{text}");
        }
    }
}

#[test]
fn a_file_that_is_no_program_is_no_solver() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("cvc5");
    fs::write(&file, "text").unwrap();
    assert!(matches!(asked(&file), Err(Fault::NoSolver { .. })));
}

#[test]
fn a_solver_that_proves_everything_is_caught_by_the_false_canary() {
    let folder = TempDir::new().unwrap();
    let liar = script(&folder, "while read -r line; do case $line in '(check-sat)') echo unsat;; esac; done");
    let Err(Fault::Canary { canary, why }) = asked(&liar) else { panic!("believed") };
    assert_eq!((canary, why.as_str()), ("whoever has what they name names `key`", "it proved what is false"));
}

#[test]
fn a_solver_that_refutes_everything_is_caught_by_the_true_canary() {
    let folder = TempDir::new().unwrap();
    let answers = "'(check-sat)') echo sat;; '(get-model)') echo '('; echo ')';;";
    let liar = script(&folder, &format!("while read -r line; do case $line in {answers} esac; done"));
    let Err(Fault::Canary { canary, .. }) = asked(&liar) else { panic!("believed") };
    assert_eq!(canary, "whoever names `key` and has it has what they name");
}

#[test]
fn a_solver_that_says_nonsense_or_that_it_does_not_know_is_not_believed() {
    for answer in ["perhaps", "unknown", "(error \"out of memory\")", ""] {
        let folder = TempDir::new().unwrap();
        let answer = format!("'(check-sat)') echo '{answer}';;");
        let solver = script(&folder, &format!("while read -r line; do case $line in {answer} esac; done"));
        assert!(matches!(asked(&solver), Err(Fault::Canary { .. })), "{answer}");
    }
}

#[test]
fn a_solver_that_hangs_is_killed_with_all_that_it_started() {
    let folder = TempDir::new().unwrap();
    let pids = folder.path().join("pids");
    let solver = script(
        &folder,
        &format!("[ \"$1\" = --version ] && exit; sleep 600 & echo $! $$ >{}; sleep 600", pids.display()),
    );
    let started = Instant::now();
    let Err(Fault::Canary { why, .. }) = asked(&solver) else { panic!("believed") };
    assert_eq!(why, "no answer within 400 ms; it was killed");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let pids = fs::read_to_string(pids).unwrap();
    assert_eq!(pids.split_whitespace().count(), 2);
    for pid in pids.split_whitespace() {
        assert_is_gone(pid);
    }
}

#[test]
fn a_solver_that_hangs_after_its_canaries_proves_nothing_and_uses_up_no_more_than_the_total() {
    let folder = TempDir::new().unwrap();
    let solver = behind_a_gate(&folder, "while :; do sleep 600; done");
    let settings = Settings { solver, per_property: Duration::from_secs(2), total: Duration::from_secs(5) };
    let started = Instant::now();
    let proofs = prove(None, &snapshot(&[june_12()], &[annex_a()]), &settings).unwrap();
    assert!(started.elapsed() < Duration::from_secs(25), "{:?}", started.elapsed());
    assert!(!proofs.passed());
    let whys = failures(&proofs);
    assert!(whys.iter().any(|why| why.contains("the solver was killed")), "{whys:?}");
    assert!(whys.iter().any(|why| why == "not asked: all proofs together may take 5000 ms"), "{whys:?}");
    let asked = proofs.properties.iter().filter(|property| property.asked > 0);
    assert!(asked.clone().count() > 0 && asked.clone().all(|property| !property.verdict.is_proved()));
}

#[test]
fn a_solver_that_breaks_off_is_started_anew_and_the_property_has_failed() {
    let folder = TempDir::new().unwrap();
    let solver = behind_a_gate(&folder, "exit");
    let settings = Settings { solver, ..settings() };
    let proofs = prove(None, &snapshot(&[june_12()], &[]), &settings).unwrap();
    let asked: Vec<_> = proofs.properties.iter().filter(|property| property.asked > 0).collect();
    assert!(asked.len() > 5, "each is tried with a new process");
    assert!(asked.iter().all(|property| matches!(property.verdict, Verdict::Failed { .. })), "{asked:#?}");
}

#[test]
fn two_runs_ask_the_solver_the_same_to_the_byte() {
    let (before, after) = (snapshot(&[june_12()], &[]), snapshot(&[june_12()], &[annex_a()]));
    let [first, second] = [(); 2].map(|()| untimed(proved(Some(&before), &after)));
    assert_eq!(first, second);
    let hashes: Vec<&str> =
        first.properties.iter().filter(|p| p.asked > 0).map(|property| property.smt_sha256.as_str()).collect();
    assert!(hashes.len() > 10);
    let mut distinct = hashes.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), hashes.len(), "each property asks something of its own");
}

#[test]
fn it_can_be_asked_from_inside_a_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(runtime.block_on(async { proved(None, &snapshot(&[june_12()], &[])) }).passed());
}

fn asked(solver: &Path) -> Result<Proofs, Fault> {
    let settings = Settings { solver: solver.to_owned(), per_property: LIMIT, total: Duration::from_secs(5) };
    prove(None, &snapshot(&[june_12()], &[]), &settings)
}

fn script(folder: &TempDir, body: &str) -> PathBuf {
    let file = folder.path().join("solver");
    fs::write(&file, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file
}

/// A real solver that hears only its canaries, and then what `then` does.
fn behind_a_gate(folder: &TempDir, then: &str) -> PathBuf {
    let until_model =
        "while IFS= read -r line; do printf '%s\\n' \"$line\"; [ \"$line\" = '(get-model)' ] && break; done";
    script(
        folder,
        &format!("[ \"$1\" = --version ] && exec cvc5 --version\n{{ {until_model}; {then}; }} | cvc5 --lang smt"),
    )
}

fn failures(proofs: &Proofs) -> Vec<String> {
    let why = |verdict: &Verdict| match verdict {
        Verdict::Failed { why } => Some(why.clone()),
        _ => None,
    };
    proofs.properties.iter().filter_map(|property| why(&property.verdict)).collect()
}

fn untimed(mut proofs: Proofs) -> Proofs {
    for property in &mut proofs.properties {
        property.micros = 0;
    }
    proofs
}

/// Gone, or dead and waiting for somebody else to notice.
fn assert_is_gone(pid: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
        if matches!(state, None | Some('Z' | 'X')) {
            return;
        }
        assert!(Instant::now() < deadline, "{stat}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
