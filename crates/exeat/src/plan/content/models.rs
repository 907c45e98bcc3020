//! Model by model: who is turned off, what keeps running and why, who is held and what would restore them.

use policy::plan::{Diff, Example, Hold, Keep, ModelReport, Reach, Report, Supplied, TenantRow, Transition, TurnOff};
use terms::OrganizationId;

use super::{
    super::{
        law,
        page::{Block, Cell, ColumnKind, Row, Section, Table, Tone},
        words,
    },
    ROWS, cells, columns, ranked, section,
};

/// All model versions on one page.
pub(super) fn overview(report: &Report) -> Section {
    let blocks = vec![
        Block::Picture("before-after.svg"),
        Block::Table(totals(report)),
        Block::Note(
            "A key is in exactly one of the columns. A person counts in each in which at least one of their keys is."
                .to_owned(),
        ),
        Block::Picture("keeps.svg"),
    ];
    section("models", "Model by model", blocks)
}

/// One section for each model version, most tokens lost first.
pub(super) fn each(report: &Report) -> Vec<Section> {
    ranked(report).into_iter().map(one).collect()
}

fn totals(report: &Report) -> Table {
    let heads = [
        (ColumnKind::Id, "model version"),
        (ColumnKind::Id, "when"),
        (ColumnKind::Number, "permit"),
        (ColumnKind::Number, "permit keys"),
        (ColumnKind::Number, "hold"),
        (ColumnKind::Number, "hold keys"),
        (ColumnKind::Number, "deny"),
        (ColumnKind::Number, "deny keys"),
    ];
    let mut table = Table::new("People permitted, held and denied, and their keys, now and then", &heads);
    for model in ranked(report) {
        for (when, split) in [("now", &model.before), ("then", &model.after)] {
            let mut cells = vec![model.model.as_str().into(), when.into()];
            for (reach, tone) in [(split.permit, Tone::Permit), (split.hold, Tone::Hold), (split.deny, Tone::Deny)] {
                cells.push(Cell::toned(words::count(reach.persons), tone));
                cells.push(words::count(reach.keys).into());
            }
            table.rows.push(Row { cells, marked: when == "then" });
        }
    }
    table
}

fn one(model: &ModelReport) -> Section {
    let mut blocks = turned_off(&model.turn_off);
    blocks.extend(kept(&model.keeps));
    blocks.extend(held(&model.holds));
    blocks.extend(changed(&model.diff));
    section(&format!("model-{}", model.model), model.model.as_str(), blocks)
}

fn turned_off(turn_off: &TurnOff) -> Vec<Block> {
    let heading = Block::Heading("Turned off".to_owned());
    if turn_off.reach.keys == 0 {
        return vec![heading, Block::Text("Nobody who has it now loses it.".to_owned())];
    }
    let mut blocks = vec![heading, Block::Text(extent(&turn_off.reach)), Block::Table(reasons(turn_off))];
    if !turn_off.tenants.is_empty() {
        blocks.push(Block::Table(tenants(turn_off)));
    }
    if !turn_off.examples.is_empty() {
        blocks.push(Block::Table(examples(&turn_off.examples)));
    }
    blocks
}

fn extent(reach: &Reach) -> String {
    format!(
        "{} at {}: {} tokens a minute, {} of this model version's; {} in the measured window.",
        words::reach(reach),
        words::of(reach.tenants, "tenant", "tenants"),
        words::count(reach.tokens_per_minute),
        words::share(reach),
        words::of(reach.calls, "call", "calls"),
    )
}

fn reasons(turn_off: &TurnOff) -> Table {
    let heads = columns(&[(ColumnKind::Words, "answer they would get")]);
    Table::new("Turned off, by reason", &heads)
        .fill(&turn_off.reasons, ROWS, |reason| cells([toned(&reason.answer)], &reason.reach))
}

fn tenants(turn_off: &TurnOff) -> Table {
    let heads = columns(&[(ColumnKind::Id, "tenant"), (ColumnKind::Number, "keys now")]);
    let table = Table::new("Turned off, by tenant; shares are of the tenant's own tokens", &heads);
    let row = |row: &TenantRow| {
        let own = [tenant(row.tenant.as_ref()).into(), words::count(row.permitted_before).into()];
        cells(own, &row.reach)
    };
    table.fill(&turn_off.tenants, usize::MAX, row).left_out(turn_off.tenants_left_out)
}

fn tenant(id: Option<&OrganizationId>) -> String {
    id.map_or_else(|| "(no tenant)".to_owned(), ToString::to_string)
}

fn examples(examples: &[Example]) -> Table {
    let heads = [
        (ColumnKind::Words, "what they have in common"),
        (ColumnKind::Number, "keys"),
        (ColumnKind::Number, "tokens/min"),
        (ColumnKind::Words, "answer they would get"),
    ];
    Table::new("The largest groups that are turned off", &heads).fill(examples, ROWS, |example| {
        let common = example.attributes.join(", ");
        let numbers = [example.keys, example.tokens_per_minute].map(|n| Cell::from(words::count(n)));
        let [keys, tokens] = numbers;
        vec![common.into(), keys, tokens, toned(&example.answer)]
    })
}

fn kept(keeps: &[Keep]) -> Vec<Block> {
    let heading = Block::Heading("Keeps running, by legal basis".to_owned());
    if keeps.is_empty() {
        return vec![heading, Block::Text("Nobody would have the use of it.".to_owned())];
    }
    let heads = columns(&[(ColumnKind::Id, "legal basis"), (ColumnKind::Words, "which is")]);
    let table = Table::new("Who would have it, and on what legal basis", &heads).fill(keeps, usize::MAX, |keep| {
        let basis = Cell::toned(law::ids(&keep.basis), Tone::Permit);
        cells([basis, law::meanings(&keep.basis).into()], &keep.reach)
    });
    vec![heading, Block::Table(table)]
}

fn held(holds: &[Hold]) -> Vec<Block> {
    let heading = Block::Heading("Held, and what would restore them".to_owned());
    if holds.is_empty() {
        return vec![heading, Block::Text("Nobody is held.".to_owned())];
    }
    let mut blocks = vec![heading, Block::Table(missing(holds))];
    let supplied = supplied(holds);
    if !supplied.rows.is_empty() {
        blocks.push(Block::Table(supplied));
    }
    let unsimulated = holds.iter().flat_map(|hold| &hold.not_simulated).copied();
    let unsimulated: std::collections::BTreeSet<_> = unsimulated.collect();
    if !unsimulated.is_empty() {
        let names: Vec<String> = unsimulated.into_iter().map(|one| law::remedy(one).to_owned()).collect();
        blocks.push(Block::Note(format!(
            "Not simulated, because it is no evidence about a caller: {}. See the readings.",
            words::list(&names)
        )));
    }
    blocks
}

fn missing(holds: &[Hold]) -> Table {
    let heads = [
        (ColumnKind::Words, "missing"),
        (ColumnKind::Words, "who can give it"),
        (ColumnKind::Number, "people"),
        (ColumnKind::Number, "keys"),
        (ColumnKind::Number, "lost"),
        (ColumnKind::Number, "tokens/min"),
        (ColumnKind::Number, "share"),
    ];
    Table::new("What is missing, most traffic first", &heads).fill(holds, usize::MAX, |hold| {
        let (what, who) = law::remedies(&hold.remedies);
        let reach = &hold.reach;
        let numbers = [reach.persons, reach.keys, hold.lost.keys, reach.tokens_per_minute].map(words::count);
        let mut row = vec![Cell::toned(what, Tone::Hold), who.into()];
        row.extend(numbers.map(Cell::from));
        row.push(words::share(reach).into());
        row
    })
}

fn supplied(holds: &[Hold]) -> Table {
    let heads = [
        (ColumnKind::Words, "missing"),
        (ColumnKind::Words, "if this is supplied"),
        (ColumnKind::Number, "permit"),
        (ColumnKind::Number, "still held"),
        (ColumnKind::Number, "deny"),
    ];
    let pairs: Vec<(&Hold, &Supplied)> =
        holds.iter().flat_map(|hold| hold.supplied.iter().map(move |supplied| (hold, supplied))).collect();
    Table::new("What evidence would do, in keys", &heads).fill(&pairs, ROWS * 2, |(hold, supplied)| {
        let evidence: Vec<String> = supplied.evidence.iter().map(|one| law::evidence(*one).to_owned()).collect();
        let result = &supplied.result;
        vec![
            law::remedies(&hold.remedies).0.into(),
            words::list(&evidence).into(),
            number(result.permit.keys, Tone::Permit),
            number(result.hold.keys, Tone::Hold),
            number(result.deny.keys, Tone::Deny),
        ]
    })
}

fn changed(diff: &Diff) -> Vec<Block> {
    let heading = Block::Heading("What changes".to_owned());
    if diff.transitions.is_empty() {
        let same = words::reach(&diff.unchanged);
        return vec![heading, Block::Text(format!("Nobody gets another answer: {same} get the same."))];
    }
    let rows = [
        ("newly denied", &diff.newly_denied, Tone::Deny),
        ("newly held", &diff.newly_held, Tone::Hold),
        ("newly allowed", &diff.newly_allowed, Tone::Permit),
        ("permitted on another basis", &diff.basis_changed, Tone::Plain),
        ("refused for another reason", &diff.reason_changed, Tone::Plain),
        ("the same answer", &diff.unchanged, Tone::Quiet),
    ];
    let heads = columns(&[(ColumnKind::Id, "change")]);
    let table =
        Table::new("What changes; each key is in one row", &heads)
            .fill(&rows, rows.len(), |(name, reach, tone)| cells([Cell::toned(*name, *tone)], reach));
    vec![heading, Block::Table(table), Block::Table(transitions(&diff.transitions))]
}

fn transitions(transitions: &[Transition]) -> Table {
    let heads = [
        (ColumnKind::Words, "now"),
        (ColumnKind::Words, "then"),
        (ColumnKind::Number, "people"),
        (ColumnKind::Number, "keys"),
        (ColumnKind::Number, "tokens/min"),
    ];
    Table::new("From one answer to another, most keys first", &heads).fill(transitions, ROWS, |transition| {
        let reach = &transition.reach;
        let numbers = [reach.persons, reach.keys, reach.tokens_per_minute].map(|n| Cell::from(words::count(n)));
        [toned(&transition.before), toned(&transition.after)].into_iter().chain(numbers).collect()
    })
}

fn toned(answer: &policy::plan::Answer) -> Cell {
    use policy::plan::Answer::{Deny, Hold, Permit};
    let tone = match answer {
        Permit { .. } => Tone::Permit,
        Hold { .. } => Tone::Hold,
        Deny { .. } => Tone::Deny,
    };
    Cell::toned(law::answer(answer), tone)
}

fn number(n: u64, tone: Tone) -> Cell {
    Cell::toned(words::count(n), if n == 0 { Tone::Quiet } else { tone })
}
