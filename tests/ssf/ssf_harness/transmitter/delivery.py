"""Delivery beside verification: who may poll, what is offered again, what a push does when it is refused."""

from __future__ import annotations

import uuid

from ..modules import POLL, PUSH, module
from ..result import Skip, require
from ..web import Reply
from .control_errors import refused
from .lab import INVALID_TOKEN, Lab, Stream


@module("transmitter", "openid-ssf-transmitter-poll-endpoint-authorization", (POLL,))
def poll_authorization(lab: Lab) -> None:
    """Refuses a poll without a token or with an invalid one."""
    stream = lab.create()
    refused(lab.poll(stream, token=None), "a poll without a token", 401)
    refused(lab.poll(stream, token=INVALID_TOKEN), "a poll with an invalid token", 401)


@module("transmitter", "openid-ssf-transmitter-poll-endpoint-url-unique-per-stream", (POLL,))
def poll_url_unique(lab: Lab) -> None:
    """Gives each stream a URL of its own to poll."""
    first = lab.create()
    if lab.config.other is not None:
        second = lab.create(credentials=lab.config.other)
    else:
        if lab.config.one_stream_per_receiver:
            lab.delete(first)
        second = lab.create()
    require(first.poll_url != second.poll_url, f"two streams are polled at `{first.poll_url}`")


@module("transmitter", "extra-transmitter-poll-until-acknowledged", (POLL,))
def until_acknowledged(lab: Lab) -> None:
    """Offers a SET again until it is acknowledged: an answer may be lost on its way."""
    stream, state = lab.create(), uuid.uuid4().hex
    lab.verify(stream, state)
    first = lab.wait_for_state(stream, state, keep=True)
    again = lab.wait_for_state(stream, state, lab.timing.held_s, keep=True)
    require(again.jti == first.jti, "the SET came again under another `jti`")


@module("transmitter", "extra-transmitter-poll-max-events", (POLL,))
def max_events(lab: Lab) -> None:
    """Offers no more SETs than the poll asks for, and says that there are more."""
    stream = lab.create()
    for _ in range(2):
        lab.verify(stream, uuid.uuid4().hex)
    answer = lab.poll(stream, most=1)
    require(answer.status == 200, f"poll: answered {answer.status}, not 200")
    document = answer.json()
    require(len(document["sets"]) == 1, f"asked for one SET, {len(document['sets'])} came")
    require(document.get("moreAvailable") is True, "`moreAvailable` is not true though a SET is waiting")


@module("transmitter", "extra-transmitter-poll-broken-body", (POLL,))
def poll_broken(lab: Lab) -> None:
    """Refuses a poll that cannot be parsed."""
    stream = lab.create()
    for raw in (b'{"maxEvents":', b"[]", b'{"maxEvents":-1}', b'{"ack":"all"}'):
        refused(lab.send("POST", stream.poll_url, None, raw=raw), f"a poll of `{raw.decode()}`", 400)


@module("transmitter", "extra-transmitter-push-retry", (PUSH,))
def push_retry(lab: Lab) -> None:
    """Pushes a SET again, as it was, when the receiver could not take it."""
    stream, state = lab.create(), uuid.uuid4().hex
    lab.settle(stream)
    before = len(lab.inbox.received)
    lab.inbox.answer = lambda _: Reply(202 if len(lab.inbox.received) > before + 1 else 503)
    lab.verify(stream, state)
    first = lab.wait_for_state(stream, state)
    again = lab.wait_for(stream, lambda _: True, lab.timing.held_s)
    require(again is not None, f"a SET that was answered 503 did not come again within {lab.timing.held_s} s")
    require(again.jti == first.jti, "instead of the SET that was answered 503 another came")  # type: ignore[union-attr]


@module("transmitter", "extra-transmitter-push-refused", (PUSH,))
def push_refused(lab: Lab) -> None:
    """Goes on with the next SET when the receiver refuses one for good."""
    stream, first, second = lab.create(), uuid.uuid4().hex, uuid.uuid4().hex
    lab.settle(stream)
    before = len(lab.inbox.received)
    error = {"err": "invalid_request", "description": "refused by the conformance harness"}
    refusal = Reply.of(400, error, content_language="en")
    lab.inbox.answer = lambda request: refusal if request.body == lab.inbox.received[before].body else Reply(202)
    lab.verify(stream, first)
    lab.wait_for_state(stream, first)
    lab.verify(stream, second)
    found = lab.wait_for(stream, lambda received: received.state == second, lab.timing.held_s)
    require(found is not None, "after a SET that was refused no other came")


@module("transmitter", "extra-transmitter-delete-ends-delivery")
def delete_ends_delivery(lab: Lab) -> None:
    """Delivers nothing on a stream that was deleted."""
    stream = lab.create()
    lab.settle(stream)
    lab.delete(stream)
    if lab.is_push:
        _trigger_for_nobody(lab, stream)
        require(not lab.take(stream, lab.timing.silence_s), "a SET was pushed on a deleted stream")
        return
    answer = lab.poll(stream)
    require(answer.status in (401, 403, 404, 410), f"a poll of a deleted stream was answered {answer.status}")


def _trigger_for_nobody(lab: Lab, stream: Stream) -> None:
    try:
        body = {"stream_id": stream.stream_id, "state": "gone"}
        answer = lab.api("POST", "verification", body)
    except Skip:
        return
    require(answer.status == 404, f"verification of a deleted stream: answered {answer.status}, not 404")
