//! The table for people.

use super::{BASE, Column, Report, Row, Section, Series, figure};
use crate::process::guard::BUSY;

/// Keys of CPU time by thread begin with this; they have a table of their own.
pub(crate) const THREAD: &str = "thread ";

/// Stands where nothing was measured.
const NOTHING: &str = "–";

/// Renders a report: title, table, threads, claims, notes.
pub(super) fn render(report: &Report) -> String {
    let mut lines = vec![format!("## {}", report.title), String::new(), conditions(report), String::new()];
    lines.extend(versions(report));
    report.sections.iter().for_each(|section| lines.extend(table(report, section)));
    lines.extend(threads(report));
    lines.extend(list("Claims", &report.claim_lines()));
    lines.extend(list("Failed answers", &failures(report)));
    lines.extend(list("Notes", &report.notes));
    lines.join("\n") + "\n"
}

fn conditions(report: &Report) -> String {
    let text = |key: &str| {
        let value = report.machine.get(key).cloned().unwrap_or_default();
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    };
    let foreign = report.conditions().foreign;
    let busy = if foreign > BUSY { "**busy**" } else { "quiet" };
    format!(
        "{}, {} x {}, Linux {}, revision {}; machine {busy} (at most {:.0} % foreign CPU in a round). Each figure is the \
         median over the rounds (smallest..largest); ratios are taken round by round.",
        text("date"),
        text("cpus"),
        text("cpu"),
        text("kernel"),
        text("revision").chars().take(12).collect::<String>(),
        foreign * 100.0
    )
}

fn versions(report: &Report) -> Vec<String> {
    let known = report.rows.iter().filter(|row| !row.version.is_empty());
    let words: Vec<_> = known.map(|row| format!("{} {}", row.name, row.version)).collect();
    if words.is_empty() {
        return Vec::new();
    }
    vec![format!("Contenders: {}.", words.join(", ")), String::new()]
}

fn table(report: &Report, section: &Section) -> Vec<String> {
    let mut head = vec!["contender".to_owned()];
    for column in section.columns {
        head.push(column.title.to_owned());
        if column.ratio {
            head.push(format!("times {BASE}"));
        }
    }
    let rule = head.iter().enumerate().map(|(at, _)| if at == 0 { "---" } else { "---:" }.to_owned()).collect();
    let mut lines = vec![format!("### {}", section.title), String::new(), line(head), line(rule)];
    let rows = report.rows.iter().map(|row| cells(report, section, row));
    lines.extend(rows.filter(|cells| cells.iter().skip(1).any(|cell| cell != NOTHING)).map(line));
    lines.push(String::new());
    lines
}

fn cells(report: &Report, section: &Section, row: &Row) -> Vec<String> {
    let mut cells = vec![row.name.clone()];
    for Column { key, ratio, .. } in section.columns {
        let series = row.figures.get(*key).cloned().unwrap_or_default();
        cells.push(cell(&series));
        if *ratio {
            cells.push(cell(&series.divided(&report.series(BASE, key))));
        }
    }
    cells
}

/// Threads that took at least a hundredth of what their process took, dearest first.
fn threads(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    for row in &report.rows {
        let of_threads = row.figures.iter().filter_map(|(key, series)| Some((key.strip_prefix(THREAD)?, series)));
        let mut found: Vec<_> = of_threads.filter_map(|(name, series)| Some((name, series.spread()?))).collect();
        found.sort_by(|one, other| other.1.median.total_cmp(&one.1.median));
        let sum: f64 = found.iter().map(|(_, spread)| spread.median).sum();
        found.retain(|(_, spread)| spread.median >= sum / 100.0);
        let words: Vec<_> = found.iter().map(|(name, spread)| format!("{name} {}", figure(spread.median))).collect();
        if words.len() > 1 {
            lines.push(format!("{}: {}", row.name, words.join(", ")));
        }
    }
    list("CPU by thread (us per request or event)", &lines)
}

fn failures(report: &Report) -> Vec<String> {
    let failed = report.rows.iter().filter(|row| row.failures.count > 0);
    failed.map(|row| format!("{}: {}", row.name, row.failures)).collect()
}

fn list(title: &str, lines: &[String]) -> Vec<String> {
    if lines.is_empty() {
        return Vec::new();
    }
    let items = lines.iter().map(|line| format!("- {line}"));
    [format!("### {title}"), String::new()].into_iter().chain(items).chain([String::new()]).collect()
}

fn cell(series: &Series) -> String {
    match series.spread() {
        None => NOTHING.to_owned(),
        Some(spread) if spread.low.total_cmp(&spread.high).is_eq() => figure(spread.median),
        Some(spread) => format!("{} ({}..{})", figure(spread.median), figure(spread.low), figure(spread.high)),
    }
}

fn line(cells: Vec<String>) -> String {
    format!("| {} |", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::{Target, claim::Conditions},
        *,
    };

    const COLUMNS: &[Column] = &[Column::new("cpu_us", "CPU us").with_ratio(), Column::new("rate", "req/s")];
    const SECTIONS: &[Section] =
        &[Section { title: "One", columns: COLUMNS }, Section { title: "Two", columns: &[Column::new("idle", "MiB")] }];

    fn report() -> Report {
        let mut report = Report::new("gateway", "A title".to_owned(), SECTIONS, json!({"cpus": 2}), false);
        for (name, cpu) in [("nginx", 10.0), ("exeat", 19.0)] {
            report.contender(name, "1");
            for round in 0..3_u8 {
                report.add(name, round.into(), "cpu_us", cpu + f64::from(round));
            }
        }
        report
    }

    #[test]
    fn a_row_has_median_spread_and_ratio_and_a_dash_for_what_was_not_measured() {
        let text = render(&report());
        assert!(text.contains("### One\n\n| contender | CPU us | times nginx | req/s |"), "{text}");
        assert!(text.contains("Contenders: nginx 1, exeat 1."), "{text}");
        assert_eq!(text.matches("| exeat |").count(), 1, "nothing was measured for the second table: {text}");
        assert!(text.contains("| exeat | 20.0 (19.0..21.0) | 1.82 (1.75..1.90) | – |"), "{text}");
    }

    #[test]
    fn one_busy_round_of_one_contender_takes_every_claim_back() {
        let mut report = report();
        report.claim(
            "exeat",
            "times nginx's CPU per request",
            report.ratio("exeat", "nginx", "cpu_us"),
            Target::AtMost(2.0),
        );
        report.foreign("nginx", 1, 0.02);
        assert!(
            render(&report).contains("exeat: 1.82 times nginx's CPU per request (1.75..1.90), target at most 2: holds")
        );
        report.foreign("nginx", 1, 0.2);
        report.foreign("nginx", 1, 0.01);
        assert_eq!(report.conditions(), Conditions { foreign: 0.2, failures: 0, busy_ok: false });
        let text = render(&report);
        assert!(text.contains("no claim: the machine was busy (20 %)") && text.contains("**busy**"), "{text}");
    }

    #[test]
    fn a_single_contender_is_drawn_with_its_figures_beside_each_other() {
        const DRAWN: &[Section] = &[Section {
            title: "Cut",
            columns: &[Column::new("p50", "half").drawn(), Column::new("p99", "most").drawn()],
        }];
        let mut report = Report::new("recall", "A title".to_owned(), DRAWN, json!({}), false);
        for (name, charts) in [("exeat", vec![("Cut", 2)]), ("nginx", vec![("half", 2), ("most", 2)])] {
            report.contender(name, "1");
            report.add(name, 0, "p50", 1.0);
            report.add(name, 0, "p99", 2.0);
            let drawn = report.charts();
            let drawn: Vec<_> = drawn.iter().map(|chart| (chart.title.as_str(), chart.bars.len())).collect();
            assert_eq!(drawn, charts);
        }
    }

    #[test]
    fn threads_are_listed_dearest_first_without_those_that_take_next_to_nothing() {
        let mut report = report();
        for (thread, micros) in [("worker-0", 20.0), ("ledger", 30.0), ("idle", 0.1)] {
            report.add("exeat", 0, &format!("{THREAD}{thread}"), micros);
        }
        let text = render(&report);
        assert!(text.contains("- exeat: ledger 30.0, worker-0 20.0\n"), "{text}");
    }
}
