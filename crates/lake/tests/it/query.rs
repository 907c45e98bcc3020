//! Questions, held against sums that are made in another way.

use lake::{Cell, Filter, Query, Question, Record, Step, Table};
use proof::entry::{Entry, Kind};

use crate::traffic::Traffic;

fn calls() -> Vec<Record> {
    Traffic::new(5, 0).take(20_000).collect()
}

fn entries(records: &[Record]) -> impl Iterator<Item = Entry> {
    records.iter().map(|record| Entry::decode(&record.leaf).unwrap())
}

fn ask(question: Question, filter: Filter, limit: usize, records: &[Record]) -> Table {
    let mut query = Query::new(question, filter, limit);
    for (index, record) in (0..).zip(records) {
        if query.take(index, &record.leaf).unwrap() == Step::Done {
            break;
        }
    }
    query.answer()
}

fn column(table: &Table, name: &str) -> Vec<u64> {
    let at = table.columns.iter().position(|column| *column == name).unwrap();
    let number = |row: &Vec<Cell>| match row[at] {
        Cell::Number(number) => number,
        _ => panic!("{name} is no number"),
    };
    table.rows.iter().map(number).collect()
}

#[test]
fn tokens_add_up_to_what_the_closes_say() {
    let records = calls();
    let table = ask(Question::Tokens, Filter::default(), 10_000, &records);
    let output: u64 = entries(&records).filter_map(|entry| entry.usage?.output_tokens).sum();
    assert_eq!(column(&table, "output_tokens").iter().sum::<u64>(), output);
    assert!(output > 0);
}

#[test]
fn a_call_counts_when_it_was_opened_whenever_it_ended() {
    let records = calls();
    let begin = entries(&records).next().unwrap().at_ms;
    let times = begin + 3_000..begin + 9_000;
    let filter = Filter { times: Some(times.clone()), ..Filter::default() };
    let table = ask(Question::Calls, filter, 10_000, &records);
    let opened: Vec<u64> = (0..)
        .zip(entries(&records))
        .filter(|(_, entry)| entry.kind == Kind::Open && times.contains(&entry.at_ms))
        .map(|(index, _)| index)
        .collect();
    let of = |entry: &Entry| entry.opened.is_some_and(|opened_at| opened.contains(&opened_at));
    let input: u64 = entries(&records).filter(of).filter_map(|entry| entry.usage?.input_tokens).sum();
    assert_eq!(column(&table, "calls").iter().sum::<u64>(), opened.len() as u64);
    assert_eq!(column(&table, "input_tokens").iter().sum::<u64>(), input);
}

#[test]
fn refusals_are_counted_by_code_and_model() {
    let records = calls();
    let table = ask(Question::Refusals, Filter::default(), 10_000, &records);
    let refused = entries(&records).filter(|entry| entry.kind == Kind::Refusal).count();
    assert_eq!(column(&table, "refusals").iter().sum::<u64>(), refused as u64);
    let filter = Filter { model: Some("mythos-5.0".to_owned()), ..Filter::default() };
    let one = ask(Question::Refusals, filter, 10_000, &records);
    assert!(!one.rows.is_empty() && one.rows.len() < table.rows.len());
}

#[test]
fn the_longest_calls_come_first_and_no_more_than_were_asked_for() {
    let records = calls();
    let table = ask(Question::Longest, Filter::default(), 7, &records);
    let took = column(&table, "milliseconds");
    assert_eq!(took.len(), 7);
    assert!(took.is_sorted_by(|a, b| a >= b));
    let all = ask(Question::Longest, Filter::default(), 100_000, &records);
    assert_eq!((table.left_out, all.left_out), (all.rows.len() - 7, 0));
}

#[test]
fn who_used_most_comes_first_and_the_rest_is_counted() {
    let records = calls();
    let all = ask(Question::Who, Filter::default(), 100_000, &records);
    let few = ask(Question::Who, Filter::default(), 5, &records);
    assert_eq!(few.rows, all.rows[..5]);
    assert_eq!(few.left_out, all.rows.len() - 5);
}
