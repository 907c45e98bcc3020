//! Every way in which two accounts of a call can stand to each other.

use proptest::prelude::*;

use super::*;

const OPENED: Option<(u64, [u8; 32])> = Some((7, [7; 32]));
const METER: [u8; 8] = *b"meter\0\0\x01";
const OTHER: [u8; 8] = *b"meter\0\0\x02";

const DONE: Option<Outcome> = Some(Outcome::Completed);
const CUT: Option<Outcome> = Some(Outcome::Cut);
const GONE: Option<Outcome> = Some(Outcome::ClientGone);
const KILLED: Option<Outcome> = Some(Outcome::Interrupted);
const FAILED: Option<Outcome> = Some(Outcome::UpstreamFailed);

fn saw(outcome: Option<Outcome>, events: u64) -> Counted {
    Counted { saw: Saw { outcome, input: 10, output: 20, events }, opened: OPENED, meter: Some(METER) }
}

fn nothing(outcome: Option<Outcome>) -> Counted {
    Counted { saw: Saw { outcome, ..Saw::OPEN }, opened: OPENED, meter: None }
}

fn one(counted: Counted) -> Calls {
    Calls::from([(CallId([1; 16]), counted)])
}

fn compare(gateway: &Calls, meter: &Calls) -> Comparison {
    Comparison::of(gateway, meter, METER).unwrap()
}

fn kinds(gateway: &Calls, meter: &Calls) -> Vec<DiscrepancyKind> {
    compare(gateway, meter).discrepancies.iter().flat_map(|one| &one.kinds).copied().collect()
}

fn counts(trees: &Trees) -> (u64, u64) {
    (trees.completed.sums.calls, trees.early.sums.calls)
}

#[test]
fn calls_that_both_completed_stand_in_both_trees() {
    let calls = one(saw(DONE, 5));
    let compared = compare(&calls, &calls);
    assert!(compared.agrees());
    assert_eq!(compared.gateway, compared.meter);
    assert_eq!(compared.meter.completed.sums, Sums { calls: 1, input: 10, output: 20, events: 5 });
    assert_eq!((counts(&compared.meter), compared.open, compared.moved.len()), ((1, 0), 0, 0));
}

#[test]
fn every_kind_of_difference_is_named() {
    let change = |change: fn(&mut Counted)| {
        let mut counted = saw(DONE, 5);
        change(&mut counted);
        one(counted)
    };
    let (none, good) = (Calls::new(), change(|_| ()));
    for (gateway, meter, kind) in [
        (&none, &good, DiscrepancyKind::NotInGateway),
        (&none, &one(saw(GONE, 5)), DiscrepancyKind::NotInGateway),
        (&none, &one(saw(None, 5)), DiscrepancyKind::NotInGateway),
        (&change(|counted| counted.meter = Some(OTHER)), &good, DiscrepancyKind::NotInGateway),
        (&change(|counted| counted.meter = None), &one(saw(FAILED, 1)), DiscrepancyKind::NotInGateway),
        (&good, &none, DiscrepancyKind::NotInMeter),
        (&one(saw(CUT, 1)), &none, DiscrepancyKind::NotInMeter),
        (&good, &change(|counted| counted.saw.input += 1), DiscrepancyKind::Input),
        (&good, &change(|counted| counted.saw.output += 1), DiscrepancyKind::Output),
        (&change(|counted| counted.saw.events += 1), &good, DiscrepancyKind::Events),
        (&one(saw(CUT, 6)), &one(saw(GONE, 5)), DiscrepancyKind::Bound),
        (&good, &change(|counted| counted.opened = Some((7, [8; 32]))), DiscrepancyKind::Ticket),
        (&good, &change(|counted| counted.opened = None), DiscrepancyKind::Ticket),
    ] {
        assert_eq!(kinds(gateway, meter), [kind], "{gateway:?} {meter:?}");
    }
}

#[test]
fn a_call_that_ended_early_is_bounded_by_what_the_meter_passed_on() {
    for (gateway, meter) in [(saw(CUT, 3), saw(GONE, 5)), (saw(CUT, 5), saw(DONE, 5)), (saw(CUT, 5), saw(KILLED, 0))] {
        let compared = compare(&one(gateway), &one(meter));
        assert!(compared.agrees());
        assert_eq!((counts(&compared.gateway), counts(&compared.meter)), ((0, 1), (0, 1)));
    }
    let never_reached = compare(&one(saw(CUT, 0)), &Calls::new());
    assert!(never_reached.agrees());
    assert_eq!((counts(&never_reached.gateway), counts(&never_reached.meter)), ((0, 1), (0, 0)));
}

/// The gateway's log says where a call stands, so that the completed trees are equal although the meter saw another end.
#[test]
fn a_call_stands_where_the_gateways_log_puts_it() {
    let cut = compare(&one(saw(CUT, 5)), &one(saw(DONE, 5)));
    assert_eq!((counts(&cut.meter), cut.moved.len()), ((0, 1), 1));
    let done = compare(&one(saw(DONE, 5)), &one(saw(GONE, 5)));
    assert!(done.agrees());
    assert_eq!((counts(&done.meter), done.moved.len()), ((1, 0), 1));
    let unknown = compare(&Calls::new(), &one(saw(DONE, 5)));
    assert_eq!((counts(&unknown.meter), unknown.moved.len()), ((1, 0), 0));
}

#[test]
fn a_meter_that_was_asked_in_vain_or_by_a_gateway_that_was_killed_agrees() {
    let at_another = one(Counted { meter: Some(OTHER), ..saw(DONE, 5) });
    let in_vain = compare(&at_another, &one(nothing(FAILED)));
    assert!(in_vain.agrees());
    assert_eq!((counts(&in_vain.gateway), counts(&in_vain.meter)), ((0, 0), (0, 1)));
    let elsewhere = compare(&at_another, &Calls::new());
    assert_eq!((counts(&elsewhere.gateway), elsewhere.agrees()), ((0, 0), true));
    let killed = compare(&one(nothing(KILLED)), &one(saw(DONE, 5)));
    assert_eq!((counts(&killed.meter), killed.agrees()), ((0, 1), true));
}

#[test]
fn a_call_that_is_open_on_either_side_stands_nowhere() {
    for (gateway, meter) in [(saw(None, 0), saw(DONE, 5)), (saw(DONE, 5), saw(None, 0)), (saw(CUT, 5), saw(None, 0))] {
        let compared = compare(&one(gateway), &one(meter));
        assert_eq!((compared.agrees(), compared.open, compared.moved.len()), (true, 1, 0));
        assert_eq!(counts(&compared.gateway), (0, 0));
    }
}

/// Made with the `hashlib` of Python, after `docs/log-format.md` section 9.
#[test]
fn what_differs_is_summed_up_and_hashed_as_the_format_says() {
    let agreed = compare(&one(saw(DONE, 5)), &one(saw(DONE, 5))).differ().unwrap();
    assert_eq!(
        (agreed.calls, hex(&agreed.hash)),
        (0, "084fed08b978af4d7d196a7446a86b58009e636b611db16211b65a9aadff29c5".to_owned())
    );
    let mut ours = one(saw(DONE, 5));
    ours.insert(CallId([2; 16]), saw(CUT, 1));
    let mut theirs = one(saw(DONE, 6));
    theirs.get_mut(&CallId([1; 16])).unwrap().opened = None;
    let compared = compare(&ours, &theirs);
    let differ = compared.differ().unwrap();
    assert_eq!(differ.gateway, Sums { calls: 2, input: 20, output: 40, events: 6 });
    assert_eq!(differ.meter, Sums { calls: 1, input: 10, output: 20, events: 6 });
    assert_eq!(
        (differ.calls, hex(&differ.hash)),
        (2, "a82dddf97b00cc39253d5dec39b858a3e18c3f932be4f2173305187030fdde00".to_owned())
    );
    assert_eq!(compared.kinds(), BTreeMap::from([("events", 1), ("not_in_meter", 1), ("ticket", 1)]));
}

fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

prop_compose! {
    fn any_counted()(
        outcome in proptest::sample::select(vec![None, DONE, CUT, GONE, KILLED]),
        input in 0..3_u64, output in 0..3_u64, events in 0..3_u64,
        meter in proptest::sample::select(vec![None, Some(METER), Some(OTHER)]),
    ) -> Counted {
        Counted { saw: Saw { outcome, input, output, events }, opened: OPENED, meter }
    }
}

fn any_calls() -> impl Strategy<Value = Calls> {
    proptest::collection::btree_map((0..6_u8).prop_map(|call| CallId([call; 16])), any_counted(), 0..6)
}

proptest! {
    #[test]
    fn what_agrees_has_equal_sums_of_completed_calls_and_every_call_has_one_place(
        gateway in any_calls(), meter in any_calls(),
    ) {
        let compared = compare(&gateway, &meter);
        let ours = gateway.values().filter(|one| one.meter == Some(METER) && one.saw.outcome.is_some());
        let (completed, early) = counts(&compared.gateway);
        prop_assert!(completed + early <= ours.count() as u64);
        let (completed, early) = counts(&compared.meter);
        prop_assert!(completed + early <= meter.len() as u64);
        if compared.open == 0 {
            prop_assert_eq!(completed + early, meter.len() as u64);
            prop_assert!(!compared.agrees() || compared.gateway.completed == compared.meter.completed);
        }
        prop_assert_eq!(counted(&meter, &compared.moved).unwrap(), compared.meter);
        prop_assert!(compared.moved.iter().all(|call| meter.contains_key(call)));
    }
}
