//! Looks whether two people guard what is in force, and whether somebody acted without them.

use std::time::Duration;

use super::Finding;
use crate::{
    client::{Request, Server},
    config::{Meant, ProofsConfig},
    serve::BREAK_GLASS,
};

/// Looks at the policy of the desk and, if a server runs, at its alarm.
pub(super) fn check(meant: &Meant) -> Vec<Finding> {
    let open = metrics(meant).as_deref().and_then(open);
    [policy(meant.desk.approvals), proofs(&meant.proofs)].into_iter().chain(open.map(alarm)).collect()
}

fn policy(approvals: u8) -> Finding {
    match approvals {
        0 => Finding::caution(
            "directive desk",
            "one officer puts directives and licenses in force alone (`desk.approvals` is 0)",
            "register approvers with `exeat approver add`, then set `approvals` to 2 and restart",
        ),
        1 => Finding::fine("directive desk", "1 approval is needed, by another person than the proposer"),
        more => Finding::fine("directive desk", format!("{more} approvals are needed, none by the proposer")),
    }
}

fn proofs(config: &ProofsConfig) -> Finding {
    if !config.required {
        return Finding::caution(
            "proofs",
            "nothing must be proved before it goes live (`proofs.required` is false)",
            "install cvc5 (`apt install cvc5`), then set `required` to true under `[proofs]` and restart",
        );
    }
    match prover::solver(&config.settings()) {
        Ok(solver) => Finding::fine("proofs", format!("{} {} will be asked", solver.name, solver.version)),
        Err(fault) => Finding::wrong("proofs", fault.to_string(), "install it, or name its path as `proofs.solver`"),
    }
}

fn alarm(open: u64) -> Finding {
    match open {
        0 => Finding::fine("break glass", "everything in force has its approvals"),
        open => Finding::wrong(
            "break glass",
            format!("{open} in force without approvals"),
            "find it with `exeat directive list` and `exeat license list`; have it approved, or file what replaces it",
        ),
    }
}

fn metrics(meant: &Meant) -> Option<String> {
    let server = Server::at(&format!("http://{}", meant.control.listen)).ok()?;
    let answer = server.send(&Request::get("/metrics"), Duration::from_secs(2)).ok()?;
    answer.text().ok()
}

fn open(metrics: &str) -> Option<u64> {
    let mut lines = metrics.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(name, _)| *name == BREAK_GLASS).and_then(|(_, open)| open.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Grade;

    #[test]
    fn a_desk_of_one_is_worth_a_look_and_an_open_break_is_wrong() {
        assert_eq!(policy(0).grade, Grade::Caution);
        assert_eq!(policy(2).grade, Grade::Fine);
        assert_eq!(alarm(0).grade, Grade::Fine);
        assert_eq!(alarm(1).grade, Grade::Wrong);
    }

    #[test]
    fn the_alarm_is_read_from_the_metrics() {
        let text = format!("# TYPE {BREAK_GLASS} gauge\n{BREAK_GLASS} 3\nexeat_live_calls 7\n# EOF\n");
        assert_eq!(open(&text), Some(3));
        assert_eq!(open("# EOF\n"), None);
    }
}
