"""Events that somebody makes the transmitter emit: each must meet its schema."""

from __future__ import annotations

import uuid

from ..events import CAEP, INTEROP, sample
from ..modules import module
from ..result import Skip, require
from ..sets import Received
from .control import check_document
from .lab import Lab, Stream


def _triggered(lab: Lab, stream: Stream, event: str) -> Received:
    lab.trigger("event", stream_id=stream.stream_id, event=event, payload=sample(event), subject=lab.config.subject)
    found = lab.wait_for(stream, lambda received: received.event == event, lab.timing.answer_s)
    require(found is not None, f"`{event}` was triggered and did not come within {lab.timing.answer_s} s")
    received: Received = found  # type: ignore[assignment]
    subject = received.claims["sub_id"]
    require(subject == lab.config.subject, f"`{event}`: `sub_id` is {subject!r}, triggered for {lab.config.subject!r}")
    if "txn" not in received.claims:
        lab.notes.warn(f"`{event}`: no `txn`")
    return received


def _once(lab: Lab, received: list[Received]) -> None:
    jtis = [one.jti for one in received]
    require(len(set(jtis)) == len(jtis), "two SETs have the same `jti`")
    lab.notes.measures["sets"] = len(jtis)


@module("transmitter", "openid-ssf-transmitter-stream-caep-interop")
def caep_interop(lab: Lab) -> None:
    """Meets the CAEP Interoperability Profile: stream, status, verification, and its events with a reason."""
    stream, state = lab.create(), uuid.uuid4().hex
    check_document(lab, stream.document)
    answer = lab.api("GET", "status", query={"stream_id": stream.stream_id})
    require(answer.status == 200, f"read status: answered {answer.status}, not 200")
    lab.verify(stream, state)
    lab.wait_for_state(stream, state)
    promised = [event for event in INTEROP if event in stream.document["events_delivered"]]
    require(promised, "`events_delivered` has none of session-revoked, credential-change and device-compliance-change")
    received = [_triggered(lab, stream, event) for event in promised]
    for one in received:
        require("event_timestamp" in one.payload, f"`{one.event}`: no `event_timestamp`")
        require(
            one.payload.get("reason_admin"),
            f"`{one.event}`: no `reason_admin`, the interoperability profile asks for it",
        )
    _once(lab, received)


@module("transmitter", "openid-ssf-transmitter-events")
def events(lab: Lab) -> None:
    """Emits every event that it promised, each in a SET that meets the specification."""
    stream = lab.create()
    promised = [event for event in stream.document["events_delivered"] if event in lab.events()]
    if not promised:
        raise Skip("`events_delivered` is empty")
    _once(lab, [_triggered(lab, stream, event) for event in promised])


@module("transmitter", "extra-transmitter-not-requested")
def not_requested(lab: Lab) -> None:
    """Delivers no event of a type that the stream did not ask for."""
    body = lab.create_body(path="/push/narrow")
    asked, other = lab.events()[0], lab.events()[-1]
    body["events_requested"] = [asked]
    stream = Stream(lab.created(lab.api("POST", "configuration", body)), "/push/narrow", None)
    subject = lab.config.subject
    lab.trigger("event", stream_id=stream.stream_id, event=other, payload=sample(other), subject=subject)
    _triggered(lab, stream, asked)
    strange = [
        received.event for received in stream.seen if received.event.startswith(CAEP) and received.event != asked
    ]
    require(not strange, f"`{strange[0] if strange else ''}` was delivered and not requested")
