//! What is read off replies of every form, whole and in parts.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::dialect::{Splitter, TAIL_BYTES_MAX};

fn meter(operation: &Operation) -> Meter {
    let dialect = match operation {
        Operation::Messages | Operation::CountTokens => Dialect::Anthropic,
        _ => Dialect::Openai,
    };
    Meter::new(dialect, operation)
}

/// Meters a whole stream and says what each frame was.
fn stream(operation: &Operation, text: &str) -> (Meter, Vec<Event>) {
    let (mut meter, mut splitter) = (meter(operation), Splitter::new(1 << 20));
    splitter.push(Bytes::copy_from_slice(text.as_bytes()));
    let mut events = Vec::new();
    while let Some(frame) = splitter.next_frame() {
        events.push(meter.event(&frame));
    }
    if let Some(tail) = splitter.finish() {
        events.push(meter.event(&tail));
    }
    (meter, events)
}

fn used(input: u64, output: u64, events: u64) -> Metered {
    Metered { input_tokens: Some(input), output_tokens: Some(output), delivered_events: events }
}

fn fault(code: &str, message: &str) -> Option<InBandFault> {
    Some(InBandFault { code: code.to_owned(), message: message.to_owned() })
}

use Event::{Control, Fault, Output, Terminal};

#[test]
fn a_chat_stream_is_metered_from_its_usage_chunk_and_ends_with_done() {
    let text = concat!(
        "data: {\"choices\":[{\"delta\":{\"content\":\"say \\\"usage\\\": {\"}}],\"usage\":null,\"error\":null}\n\n",
        ": ping\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":3}}\n\n",
        "data: [DONE]\n\n",
    );
    let (meter, events) = stream(&Operation::ChatCompletions, text);
    assert_eq!(events, [Output, Control, Control, Terminal]);
    assert_eq!(meter.metered(), used(12, 3, 1));
    assert!(meter.is_terminal() && meter.fault().is_none());
}

#[test]
fn usage_beside_choices_counts_as_output_too() {
    let text = "data: {\"choices\":[{\"text\":\"a\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n\
                data: {\"choices\":[{\"text\":\"b\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n";
    let (meter, events) = stream(&Operation::Completions, text);
    assert_eq!(events, [Output, Output]);
    assert_eq!(meter.metered(), used(1, 2, 2));
    assert!(!meter.is_terminal());
}

#[test]
fn a_messages_stream_adds_cached_input_and_takes_the_last_output_count() {
    let text = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":5,\"cache_creation_input_tokens\":2,\"output_tokens\":1}}}\n\n",
        "event: content_block_start\ndata: {\"index\":0}\n\n",
        "event: ping\ndata: {\"type\":\"ping\"}\n\n",
        "event: content_block_delta\ndata: {\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n",
        "event: content_block_stop\ndata: {\"index\":0}\n\n",
        "event: message_delta\ndata: {\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    let (meter, events) = stream(&Operation::Messages, text);
    assert_eq!(events, [Control, Output, Control, Output, Control, Control, Terminal]);
    assert_eq!(meter.metered(), used(17, 9, 2));
    assert_eq!(meter.stored_id(), None);
}

#[test]
fn a_messages_stream_without_event_lines_is_read_by_type() {
    let text = "data: {\"type\":\"content_block_delta\"}\n\ndata: {\"type\":\"message_stop\"}\n\n";
    let (meter, events) = stream(&Operation::Messages, text);
    assert_eq!(events, [Output, Terminal]);
    assert!(meter.is_terminal());
}

#[test]
fn a_responses_stream_gives_its_id_and_usage() {
    let text = concat!(
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"usage\":null,\"error\":null}}\n\n",
        "event: response.output_text.delta\ndata: {\"delta\":\"hi\"}\n\n",
        "event: response.completed\ndata: {\"response\":{\"id\":\"resp_1\",\"usage\":{\"input_tokens\":4,\"output_tokens\":2}}}\n\n",
    );
    let (meter, events) = stream(&Operation::Responses, text);
    assert_eq!(events, [Control, Output, Terminal]);
    assert_eq!(meter.metered(), used(4, 2, 1));
    assert_eq!(meter.stored_id(), Some("resp_1"));
}

#[test]
fn an_end_behind_an_error_is_no_second_end_and_carries_no_output() {
    let ended = |rest: &str| stream(&Operation::ChatCompletions, &format!("data: {{\"error\":\"busy\"}}\n\n{rest}")).1;
    assert_eq!(ended("data: [DONE]\n\n"), [Fault, Control]);
    assert_eq!(ended("data: [DONE] and more\n\n"), [Fault, Terminal]);
}

/// An event of which one byte more comes than is held before its end does, and what it is metered as.
fn over_long(operation: &Operation, head: &str, rest: &str) -> (Meter, Vec<Event>) {
    let text = format!("{head}{}\"}}\n\n{rest}", "x".repeat(TAIL_BYTES_MAX + 1 - head.len()));
    let (mut meter, mut splitter, mut events) = (meter(operation), Splitter::new(TAIL_BYTES_MAX), Vec::new());
    let (beginning, end) = text.as_bytes().split_at(TAIL_BYTES_MAX + 1);
    for chunk in beginning.chunks(64 << 10).chain([end]) {
        splitter.push(Bytes::copy_from_slice(chunk));
        events.extend(std::iter::from_fn(|| splitter.next_frame()).map(|frame| meter.event(&frame)));
    }
    events.extend(splitter.finish().map(|frame| meter.event(&frame)));
    (meter, events)
}

#[test]
fn an_event_too_long_to_hold_ends_the_stream_with_its_last_part_if_its_name_says_so() {
    for (operation, head, last) in [
        (Operation::Responses, "event: response.completed\ndata: {\"response\":{\"id\":\"", Terminal),
        (Operation::Responses, "event: response.incomplete\r\ndata: {\"x\":\"", Terminal),
        (Operation::Responses, "data: {\"type\":\"response.completed\",\"x\":\"", Terminal),
        (Operation::Responses, "data: {\"sequence_number\":7,\"type\":\"response.cancelled\",\"x\":\"", Terminal),
        (Operation::Responses, "event: response.failed\ndata: {\"x\":\"", Fault),
        (Operation::Responses, "event: response.output_item.done\ndata: {\"x\":\"", Output),
        (Operation::Responses, "data: {\"x\":\"response.completed", Output),
        (Operation::Messages, "event: message_stop\ndata: {\"x\":\"", Terminal),
        (Operation::Messages, "event: error\ndata: {\"x\":\"", Fault),
        (Operation::ChatCompletions, "data: {\"choices\":[{\"x\":\"", Output),
    ] {
        let (meter, events) = over_long(&operation, head, "");
        let (found, parts) = events.split_last().unwrap();
        assert!(!parts.is_empty() && parts.iter().all(|part| *part == Output), "{head}: {events:?}");
        assert_eq!(*found, last, "{head}");
        assert_eq!((meter.is_terminal(), meter.fault().is_some()), (last != Output, last == Fault), "{head}");
        assert_eq!(meter.metered().delivered_events, u64::from(last == Output), "{head}");
    }
}

#[test]
fn an_event_is_metered_alike_whether_or_not_it_was_too_long_to_hold() {
    let usage = "\"},\"usage\":{\"input_tokens\":4,\"output_tokens\":2}}}\n\n";
    for (operation, head) in [
        (Operation::Responses, "event: response.completed\ndata: {\"response\":{\"x\":{\"y\":\""),
        (Operation::Responses, "event: response.failed\ndata: {\"response\":{\"x\":{\"y\":\""),
        (Operation::Responses, "data: {\"type\":\"response.completed\",\"response\":{\"x\":{\"y\":\""),
        (Operation::Responses, "event: response.created\ndata: {\"response\":{\"x\":{\"y\":\""),
        (Operation::Responses, "event: response.output_item.done\ndata: {\"item\":{\"x\":{\"y\":\""),
        (Operation::Messages, "event: message_stop\ndata: {\"response\":{\"x\":{\"y\":\""),
        (Operation::Messages, "event: content_block_delta\ndata: {\"delta\":{\"x\":{\"y\":\""),
        (Operation::ChatCompletions, "data: {\"choices\":{\"x\":{\"y\":\""),
    ] {
        let text = format!("{head}{}{usage}", "z".repeat(1 << 10));
        let metered = |held: usize| {
            let (mut meter, mut splitter) = (meter(&operation), Splitter::new(held));
            for chunk in text.as_bytes().chunks(200) {
                splitter.push(Bytes::copy_from_slice(chunk));
                while let Some(frame) = splitter.next_frame() {
                    meter.event(&frame);
                }
            }
            (meter.metered(), meter.is_terminal(), meter.fault().is_some())
        };
        let whole = metered(1 << 20);
        for held in [100, 250, 700] {
            assert_eq!(metered(held), whole, "{head}");
        }
    }
}

#[test]
fn an_event_too_long_to_hold_says_nothing_of_the_one_behind_it() {
    let head = "event: response.output_item.done\ndata: {\"x\":\"";
    let rest = "event: response.completed\ndata: {\"response\":{}}\n\n";
    let (_, events) = over_long(&Operation::Responses, head, rest);
    assert_eq!(events.iter().filter(|event| **event == Terminal).count(), 1);
    assert_eq!(events.last(), Some(&Terminal));
}

#[test]
fn an_end_of_another_dialect_behind_the_last_event_is_no_output() {
    for (operation, last) in [
        (Operation::Responses, "event: response.completed\ndata: {\"response\":{}}\n\n"),
        (Operation::Messages, "event: message_stop\ndata: {}\n\n"),
        (Operation::ChatCompletions, "data: [DONE]\n\n"),
    ] {
        for end in ["data: [DONE]\n\n", "data: [DONE]\n", "data:[DONE]\r\n\r\n"] {
            let (meter, events) = stream(&operation, &format!("{last}{end}"));
            assert_eq!(events, [Terminal, Control], "{operation:?} {end}");
            assert_eq!(meter.metered().delivered_events, 0);
        }
    }
    let before = "data: [DONE]\n\nevent: response.completed\ndata: {\"response\":{}}\n\n";
    assert_eq!(stream(&Operation::Responses, before).1, [Output, Terminal], "it ends nothing there");
}

#[test]
fn what_a_stored_response_used_was_counted_when_it_was_made() {
    let id = || "resp_1".to_owned();
    let answer = br#"{"id":"resp_1","usage":{"input_tokens":3,"output_tokens":4}}"#;
    let last =
        "event: response.completed\ndata: {\"response\":{\"usage\":{\"input_tokens\":4,\"output_tokens\":2}}}\n\n";
    for operation in [
        Operation::ResponseGet { id: id() },
        Operation::ResponseCancel { id: id() },
        Operation::ResponseDelete { id: id() },
        Operation::ResponseInputItems { id: id() },
    ] {
        let mut whole = meter(&operation);
        whole.body(answer);
        assert_eq!(whole.metered(), used(0, 0, 0), "{operation:?}");
        let delta = "event: response.output_text.delta\ndata: {\"delta\":\"hi\"}\n\n";
        let (streamed, _) = stream(&operation, &format!("{delta}{last}"));
        assert_eq!((streamed.metered().input_tokens, streamed.metered().output_tokens), (Some(0), Some(0)));
    }
}

#[test]
fn an_error_inside_a_200_is_found_in_every_dialect() {
    for (operation, text, expected) in [
        (
            Operation::ChatCompletions,
            "data: {\"error\":{\"message\":\"busy\",\"type\":\"server_error\",\"code\":null}}\n\n",
            fault("server_error", "busy"),
        ),
        (
            Operation::ChatCompletions,
            "data: {\"error\":{\"code\":500,\"message\":\"busy\",\"type\":\"server_error\"}}\n\n",
            fault("server_error", "busy"),
        ),
        (Operation::ChatCompletions, "data: {\"error\":\"busy\"}\n\n", fault("", "busy")),
        (Operation::ChatCompletions, "event: error\ndata: oops\n\n", fault("", "")),
        (
            Operation::Messages,
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n",
            fault("overloaded_error", "busy"),
        ),
        (
            Operation::Responses,
            "data: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"busy\"}\n\n",
            fault("server_error", "busy"),
        ),
        (
            Operation::Responses,
            "event: response.failed\ndata: {\"response\":{\"id\":\"resp_1\",\"error\":{\"code\":\"server_error\",\"message\":\"busy\"}}}\n\n",
            fault("server_error", "busy"),
        ),
        (
            Operation::Responses,
            "data: {\"error\":{\"type\":\"server_error\",\"message\":\"busy\"}}\n\n",
            fault("server_error", "busy"),
        ),
    ] {
        let (meter, events) = stream(&operation, text);
        assert_eq!(events, [Fault], "{text}");
        assert_eq!(meter.fault().cloned(), expected, "{text}");
        assert!(meter.is_terminal());
    }
}

#[test]
fn a_last_frame_without_its_blank_line_is_read_too() {
    let (meter, events) = stream(&Operation::ChatCompletions, "data: [DONE]\n");
    assert_eq!(events, [Terminal]);
    assert!(meter.is_terminal());
    let (meter, events) = stream(&Operation::ChatCompletions, "<html>");
    assert_eq!(events, [Output]);
    assert!(!meter.is_terminal());
}

#[test]
fn a_body_gives_usage_id_and_fault() {
    for (operation, body, input, output, id, failed) in [
        (
            Operation::ChatCompletions,
            r#"{"id":"c","choices":[{}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
            Some(3),
            Some(4),
            None,
            None,
        ),
        (
            Operation::Embeddings,
            r#"{"data":[],"usage":{"prompt_tokens":3,"total_tokens":3}}"#,
            Some(3),
            None,
            None,
            None,
        ),
        (
            Operation::Responses,
            r#"{"id":"resp_1","error":null,"usage":{"input_tokens":3,"output_tokens":4}}"#,
            Some(3),
            Some(4),
            Some("resp_1"),
            None,
        ),
        (Operation::CountTokens, r#"{"input_tokens":8}"#, Some(8), None, None, None),
        (
            Operation::ChatCompletions,
            r#"{"error":{"message":"busy","code":"x"}}"#,
            None,
            None,
            None,
            fault("x", "busy"),
        ),
        (
            Operation::Messages,
            r#"{"type":"error","error":{"type":"api_error","message":"busy"}}"#,
            None,
            None,
            None,
            fault("api_error", "busy"),
        ),
        (Operation::Messages, "<html>", None, None, None, None),
    ] {
        let mut meter = meter(&operation);
        meter.body(body.as_bytes());
        let metered = meter.metered();
        assert_eq!((metered.input_tokens, metered.output_tokens), (input, output), "{body}");
        assert_eq!(meter.stored_id(), id, "{body}");
        assert_eq!(meter.fault().cloned(), failed, "{body}");
        assert_eq!(meter.is_terminal(), body.starts_with('{'), "{body}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_meter_panic(
        bytes in "(data|event|error|: |\\{|\\}|\"(usage|error|type|response)\"|:|message_start|response.failed|\\[DONE\\]|\n|[0-9])*",
        raw in any::<Vec<u8>>(),
    ) {
        for operation in [Operation::ChatCompletions, Operation::Responses, Operation::Messages] {
            stream(&operation, &bytes);
            let mut meter = meter(&operation);
            meter.body(bytes.as_bytes());
            meter.body(&raw);
        }
    }
}
