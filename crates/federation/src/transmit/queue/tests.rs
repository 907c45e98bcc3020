//! The queue beside a model of it.

use std::collections::BTreeSet;

use proptest::prelude::*;
use secevent::{ErrorCode, stream::SetError};
use tempfile::TempDir;
use terms::Moment;

use super::*;

fn event(stream: &str, jti: &str, urgent: bool) -> Queued {
    let (stream, jti) = (stream.to_owned(), jti.to_owned());
    Queued { stream, claims: format!("{{\"jti\":\"{jti}\"}}"), jti, uri: "urn:example:event".to_owned(), urgent }
}

fn refused() -> SetError {
    SetError { err: ErrorCode::InvalidRequest, description: "no".to_owned() }
}

/// One thing that happens to the queue of one of two streams.
#[derive(Clone, Debug)]
enum Step {
    Push { stream: usize, jti: u8, urgent: bool },
    Acknowledge { stream: usize, at: usize },
    GiveUp { stream: usize, at: usize },
    TryAgain { stream: usize },
    DropAll { stream: usize },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let stream = 0..STREAMS.len();
    prop_oneof![
        4 => (stream.clone(), any::<u8>(), prop::bool::weighted(0.1))
            .prop_map(|(stream, jti, urgent)| Step::Push { stream, jti, urgent }),
        2 => (stream.clone(), 0_usize..4).prop_map(|(stream, at)| Step::Acknowledge { stream, at }),
        1 => (stream.clone(), 0_usize..4).prop_map(|(stream, at)| Step::GiveUp { stream, at }),
        1 => stream.clone().prop_map(|stream| Step::TryAgain { stream }),
        1 => stream.prop_map(|stream| Step::DropAll { stream }),
        1 => Just(Step::Reopen),
    ]
}

const STREAMS: [&str; 2] = ["one", "two"];

/// What a queue should be.
#[derive(Debug, Default)]
struct Model {
    /// Every event in order, and whether it was given up.
    events: Vec<(Queued, bool)>,
    /// What its receiver has.
    had: BTreeSet<String>,
}

fn live(model: &Model, stopped: bool) -> Vec<Queued> {
    let wanted = |(event, dead): &&(Queued, bool)| !dead && (event.urgent || !stopped);
    let events = model.events.iter().filter(wanted).map(|(event, _)| event.clone());
    let (urgent, others): (Vec<_>, Vec<_>) = events.partition(|event| event.urgent);
    [urgent, others].concat()
}

fn take(model: &mut [Model; 2], queue: &Queue, step: &Step) {
    let write = |work: &dyn Fn(&Writing<'_>) -> Result<(), QueueFault>| queue.write(|writing| work(writing)).unwrap();
    match *step {
        Step::Push { stream, jti, urgent } => {
            let event = event(STREAMS[stream], &format!("jti-{jti}"), urgent);
            write(&|writing| writing.push(&event, Moment::from_millis(0)).map(drop));
            let model = &mut model[stream];
            if !model.had.contains(&event.jti) && model.events.iter().all(|(known, _)| known.jti != event.jti) {
                model.events.push((event, false));
            }
        }
        Step::Acknowledge { stream, at } => {
            if let Some(event) = live(&model[stream], false).get(at) {
                let jtis = [event.jti.clone(), "unknown".to_owned()];
                write(&|writing| writing.acknowledge(STREAMS[stream], &jtis, Moment::from_millis(0)));
                model[stream].events.retain(|(known, _)| known.jti != event.jti);
                model[stream].had.insert(event.jti.clone());
            }
        }
        Step::GiveUp { stream, at } => {
            if let Some(event) = live(&model[stream], false).get(at) {
                write(&|writing| writing.give_up(STREAMS[stream], &event.jti, &refused()));
                let known = model[stream].events.iter_mut().find(|(known, _)| known.jti == event.jti);
                known.unwrap().1 = true;
            }
        }
        Step::TryAgain { stream } => {
            write(&|writing| writing.try_again(STREAMS[stream]));
            model[stream].events.iter_mut().for_each(|(_, dead)| *dead = false);
        }
        Step::DropAll { stream } => {
            write(&|writing| writing.drop_all(STREAMS[stream]));
            model[stream].events.retain(|(event, _)| event.urgent);
        }
        Step::Reopen => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_queue_keeps_its_order_whatever_is_acknowledged_given_up_dropped_or_restarted(
        steps in prop::collection::vec(step(), 1..40)
    ) {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("transmit.db");
        let mut queue = Queue::open(&file).unwrap();
        let mut model = <[Model; 2]>::default();
        for step in &steps {
            take(&mut model, &queue, step);
            if matches!(step, Step::Reopen) {
                drop(queue);
                queue = Queue::open(&file).unwrap();
            }
            for (name, model) in STREAMS.iter().zip(&model) {
                for stopped in [false, true] {
                    prop_assert_eq!(queue.head(name, stopped, 100).unwrap(), live(model, stopped));
                }
                prop_assert_eq!(queue.waiting(name).unwrap(), live(model, false).len() as u64);
                let dead: Vec<_> = queue.dead(name).unwrap().into_iter().map(|letter| letter.jti).collect();
                let expected: Vec<_> = model.events.iter().filter(|(_, dead)| *dead).map(|(event, _)| event.jti.clone()).collect();
                prop_assert_eq!(dead, expected);
            }
        }
    }
}

#[test]
fn what_fails_half_way_leaves_nothing() {
    let dir = TempDir::new().unwrap();
    let queue = Queue::open(&dir.path().join("transmit.db")).unwrap();
    let failed = queue.write(|writing| {
        writing.read_up_to(7)?;
        writing.push(&event("one", "a", false), Moment::from_millis(0))?;
        Err::<(), _>(QueueFault::Sqlite(rusqlite::Error::QueryReturnedNoRows))
    });
    assert!(failed.is_err());
    assert_eq!((queue.next().unwrap(), queue.waiting("one").unwrap()), (0, 0));
}

#[test]
fn a_full_queue_takes_nothing_more_but_that_the_stream_stops() {
    let dir = TempDir::new().unwrap();
    let queue = Queue::open(&dir.path().join("transmit.db")).unwrap();
    let at = Moment::from_millis(0);
    let taken = queue.write(|writing| {
        writing.0.execute_batch(&format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {EVENTS_MAX})
             INSERT INTO event (stream, jti, type, claims, urgent, at) SELECT 'one', i, '', '', 0, 0 FROM n"
        ))?;
        let one_more = writing.push(&event("one", "late", false), at)?;
        let elsewhere = writing.push(&event("two", "late", false), at)?;
        Ok::<_, QueueFault>([one_more, elsewhere, writing.push(&event("one", "stop", true), at)?])
    });
    assert_eq!(taken.unwrap(), [false, true, true]);
}

#[test]
fn what_a_receiver_has_is_not_queued_again_within_a_day_and_may_be_afterwards() {
    let dir = TempDir::new().unwrap();
    let queue = Queue::open(&dir.path().join("transmit.db")).unwrap();
    let (event, at) = (event("one", "a", false), Moment::from_millis(0));
    let push_again = || {
        queue.write(|writing| writing.push(&event, at)).unwrap();
        queue.waiting("one").unwrap()
    };
    assert_eq!(push_again(), 1);
    queue.write(|writing| writing.acknowledge("one", std::slice::from_ref(&event.jti), at)).unwrap();
    queue.write(|writing| writing.forget_acknowledged(at.plus(ACKNOWLEDGED_FOR))).unwrap();
    assert_eq!(push_again(), 0);
    queue.write(|writing| writing.forget_acknowledged(at.plus(ACKNOWLEDGED_FOR + Duration::from_millis(1)))).unwrap();
    assert_eq!(push_again(), 1);
}

#[test]
fn the_file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("transmit.db");
    let queue = Queue::open(&file).unwrap();
    queue.write(|writing| writing.keep_push_secret("name", "Bearer x")).unwrap();
    assert_eq!(queue.push_secret("name").unwrap().unwrap().as_str(), "Bearer x");
    queue.write(|writing| writing.forget_push_secret("name")).unwrap();
    assert!(queue.push_secret("name").unwrap().is_none());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn only_so_many_undeliverable_events_are_kept() {
    let dir = TempDir::new().unwrap();
    let queue = Queue::open(&dir.path().join("transmit.db")).unwrap();
    let most = usize::try_from(DEAD_MAX).unwrap();
    queue
        .write(|writing| {
            (0..most + 3).try_for_each(|n| {
                let event = event("one", &n.to_string(), false);
                writing.push(&event, Moment::from_millis(0))?;
                writing.give_up("one", &event.jti, &refused())
            })
        })
        .unwrap();
    let dead = queue.dead("one").unwrap();
    assert_eq!((dead.len(), dead[0].jti.as_str()), (most, "3"));
}
