"""Verification events, by push and by each way of polling (SSF 1.0 section 8.1.4, RFC 8936 section 2.4)."""

from __future__ import annotations

import threading
import time
import uuid

from ..modules import POLL, PUSH, module
from ..result import Skip, require
from ..web import Answer
from .control_errors import refused
from .lab import INVALID_TOKEN, UNKNOWN_STREAM, Lab, Stream

_PREFIX = "openid-ssf-transmitter-stream-verification-"


def _state() -> str:
    return uuid.uuid4().hex


@module("transmitter", _PREFIX + "push", (PUSH,))
def push(lab: Lab) -> None:
    """Pushes the verification event with the `state` and the `Authorization` header that it was given."""
    stream, state = lab.create(), _state()
    lab.verify(stream, state)
    lab.wait_for_state(stream, state)


@module("transmitter", _PREFIX + "error-push-no-auth", (PUSH,))
def push_no_auth(lab: Lab) -> None:
    """Pushes without an `Authorization` header if none was configured."""
    stream, state = lab.create(with_authorization=False), _state()
    lab.verify(stream, state)
    lab.wait_for_state(stream, state)


@module("transmitter", "openid-ssf-transmitter-push-no-auth", (PUSH,))
def push_auth_withdrawn(lab: Lab) -> None:
    """Sends the `Authorization` header no more once the stream was replaced by one without."""
    stream, state = lab.create(), _state()
    body = {**lab.create_body(None, stream.push_path), "stream_id": stream.stream_id}
    answer = lab.api("PUT", "configuration", body)
    require(answer.status in (200, 202), f"PUT: answered {answer.status}, not 200 or 202")
    stream.authorization = None
    lab.verify(stream, state)
    lab.wait_for_state(stream, state)


@module("transmitter", _PREFIX + "poll-only", (POLL,))
def poll_only(lab: Lab) -> None:
    """Offers the verification event to a poll that acknowledges nothing."""
    stream, state = lab.create(), _state()
    lab.verify(stream, state)
    lab.wait_for_state(stream, state, keep=True)


@module("transmitter", _PREFIX + "poll-and-ack", (POLL,))
def poll_and_ack(lab: Lab) -> None:
    """Takes an acknowledgement and offers the next event in one poll."""
    stream, first, second = lab.create(), _state(), _state()
    lab.verify(stream, first)
    got = lab.wait_for_state(stream, first, keep=True)
    lab.verify(stream, second)
    stream.acks = [got.jti]
    seen = len(stream.seen)
    lab.wait_for_state(stream, second)
    _gone(lab, stream, got.jti, [one.jti for one in stream.seen[seen:]])


def _gone(lab: Lab, stream: Stream, jti: str, since: list[str]) -> None:
    time.sleep(min(lab.timing.reoffer_s + 0.1, lab.timing.silence_s))
    again = [*since, *lab.poll_sets(stream, ack=stream.acks)]
    require(jti not in again, "a SET that was acknowledged is offered again")


@module("transmitter", _PREFIX + "ack-only", (POLL,))
def ack_only(lab: Lab) -> None:
    """Takes an acknowledgement in a poll that asks for no events, and answers it without any."""
    stream, state = lab.create(), _state()
    lab.verify(stream, state)
    require(not lab.poll_sets(stream, most=0), "a poll with `maxEvents` 0 was answered with SETs")
    got = lab.wait_for_state(stream, state, keep=True)
    found = lab.poll_sets(stream, ack=[got.jti], most=0)
    require(not found, "a poll with `maxEvents` 0 was answered with SETs")
    _gone(lab, stream, got.jti, [])


@module("transmitter", _PREFIX + "long-poll", (POLL,))
def long_poll(lab: Lab) -> None:
    """Holds a poll until there is an event; does not answer it empty at once."""
    stream, state = lab.create(), _state()
    lab.settle(stream)
    answers: list[Answer] = []
    started = time.monotonic()
    poller = threading.Thread(
        target=lambda: answers.append(lab.poll(stream, ack=stream.acks, immediate=False)), daemon=True
    )
    poller.start()
    poller.join(lab.timing.long_poll_s / 10)
    require(not answers, "a poll of an idle stream was not held though `returnImmediately` was false")
    lab.verify(stream, state)
    asked_at = time.monotonic()
    poller.join(lab.timing.answer_s)
    require(answers, "a held poll was not answered though there was an event")
    require(answers[0].status == 200, f"a long poll was answered {answers[0].status}")
    lab.notes.measures |= {
        "held_ms": round((asked_at - started) * 1000),
        "woken_ms": round((time.monotonic() - asked_at) * 1000),
    }
    lab.wait_for_state(stream, state, immediate=False)


@module("transmitter", _PREFIX + "set-errs", (POLL,))
def set_errs(lab: Lab) -> None:
    """Takes the report of an error about a SET."""
    stream, state = lab.create(), _state()
    lab.verify(stream, state)
    got = lab.wait_for_state(stream, state, keep=True)
    errors = {got.jti: {"err": "invalid_request", "description": "reported by the conformance harness"}}
    found = lab.poll_sets(stream, errors=errors, most=0)
    require(not found, "a poll with `maxEvents` 0 was answered with SETs")
    if got.jti in lab.poll_sets(stream):
        lab.notes.warn("a SET that was reported is offered again")


@module("transmitter", _PREFIX + "error-invalid-body", ())
def error_invalid_body(lab: Lab) -> None:
    """Refuses a verification request that cannot be parsed."""
    lab.create()
    for raw in (b'{"stream_id":', b"[]", b""):
        refused(lab.api("POST", "verification", raw=raw), f"verification from `{raw.decode()}`", 400)


@module("transmitter", _PREFIX + "error-invalid-token", ())
def error_invalid_token(lab: Lab) -> None:
    """Refuses a verification request with an invalid token or none."""
    body = {"stream_id": lab.create().stream_id, "state": _state()}
    refused(lab.api("POST", "verification", body, token=INVALID_TOKEN), "verification with an invalid token", 401)
    refused(lab.api("POST", "verification", body, token=None), "verification without a token", 401)


@module("transmitter", _PREFIX + "error-unknown-stream", ())
def error_unknown_stream(lab: Lab) -> None:
    """Refuses to verify an unknown stream."""
    body = {"stream_id": UNKNOWN_STREAM, "state": _state()}
    refused(lab.api("POST", "verification", body), "verification of an unknown stream", 404)


@module("transmitter", "extra-transmitter-verification-rate-limit", ())
def rate_limit(lab: Lab) -> None:
    """Answers 429 to verification requests that come sooner than `min_verification_interval`."""
    stream = lab.create()
    interval = stream.document.get("min_verification_interval", 0)
    if not interval:
        raise Skip("the stream has no `min_verification_interval`")
    body = {"stream_id": stream.stream_id}
    require(lab.api("POST", "verification", body).status < 300, "the first verification was refused")
    refused(lab.api("POST", "verification", body), "a second verification at once", 429)
