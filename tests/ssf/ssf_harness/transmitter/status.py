"""Streams that are paused or disabled (SSF 1.0 section 8.1.2)."""

from __future__ import annotations

import time
import uuid

from ..events import SESSION_REVOKED, STREAM_UPDATED, sample
from ..modules import module
from ..result import object_of, require
from ..sets import Received
from .lab import Lab, Stream


def _stopped(lab: Lab, status: str) -> tuple[Stream, str]:
    """Returns a stream of that status and the `state` of a verification asked for since."""
    stream, state = lab.create(), uuid.uuid4().hex
    answer = lab.api("GET", "status", query={"stream_id": stream.stream_id})
    require(answer.status == 200, f"read status: answered {answer.status}, not 200")
    require(object_of("status", answer.json).get("status") == "enabled", "a new stream is not enabled")
    lab.set_status(stream, status)
    lab.settle(stream)
    lab.verify(stream, state)
    _silent(lab, stream, status)
    return stream, state


def _silent(lab: Lab, stream: Stream, status: str) -> None:
    deadline = time.monotonic() + lab.timing.silence_s
    while (left := deadline - time.monotonic()) > 0:
        found = lab.take(stream, min(left, lab.timing.silence_s / 4))
        require(not found, f"a SET was delivered while the stream was {status}: `{found[0].event if found else ''}`")


@module("transmitter", "openid-ssf-transmitter-paused-stream-holds-events")
def paused_holds(lab: Lab) -> None:
    """Delivers nothing while a stream is paused, and what it held once the stream is enabled again."""
    stream, state = _stopped(lab, "paused")
    lab.set_status(stream, "enabled")
    lab.wait_for_state(stream, state, lab.timing.held_s)


@module("transmitter", "openid-ssf-transmitter-disabled-stream-drops-events")
def disabled_drops(lab: Lab) -> None:
    """Delivers nothing while a stream is disabled, holds nothing, and delivers again once it is enabled."""
    stream, dropped = _stopped(lab, "disabled")
    lab.set_status(stream, "enabled")
    state = uuid.uuid4().hex
    lab.verify(stream, state)

    def wanted(received: Received) -> bool:
        require(received.state != dropped, "an event of the time when the stream was disabled was delivered later")
        return received.state == state

    found = lab.wait_for(stream, wanted, lab.timing.held_s)
    require(found is not None, f"an enabled stream delivered nothing within {lab.timing.held_s} s")


@module("transmitter", "extra-transmitter-held-in-order")
def held_in_order(lab: Lab) -> None:
    """Delivers what it held while paused in the order in which it happened."""
    stream = lab.create()
    lab.set_status(stream, "paused")
    marks = [f"harness-{number}" for number in range(5)]
    for mark in marks:
        payload = {**sample(SESSION_REVOKED), "reason_admin": {"en": mark}}
        lab.trigger(
            "event", stream_id=stream.stream_id, event=SESSION_REVOKED, payload=payload, subject=lab.config.subject
        )
    lab.set_status(stream, "enabled")
    deadline = time.monotonic() + lab.timing.held_s
    got: list[Received] = []
    while len(got) < len(marks) and (left := deadline - time.monotonic()) > 0:
        got += [received for received in lab.take(stream, left) if received.event == SESSION_REVOKED]
    require(
        len(got) >= len(marks), f"{len(got)} of {len(marks)} held events were delivered within {lab.timing.held_s} s"
    )
    found = [str(received.payload.get("reason_admin", {}).get("en")) for received in got]
    # A trigger may not be able to set the reason; without marks only the number can be compared.
    if set(found) >= set(marks):
        require(found == marks, f"held events came in the order {', '.join(found)}")
    else:
        lab.notes.warn("the trigger did not set `reason_admin`, so the order was not compared")


@module("transmitter", "extra-transmitter-announces-pause")
def announces_pause(lab: Lab) -> None:
    """Announces by `stream-updated` that it pauses a stream, before it does (SSF 1.0 section 8.1.5)."""
    stream = lab.create()
    lab.trigger_apart("pause", stream_id=stream.stream_id)
    found = lab.wait_for(stream, lambda received: received.event == STREAM_UPDATED, lab.timing.answer_s)
    lab.trigger_done()
    require(found is not None, "the transmitter paused a stream and did not announce it")
    announced = found.payload.get("status") if found else None
    require(announced == "paused", f"`stream-updated` says {announced!r}, not `paused`")
    lab.settle(stream)
    answer = lab.api("GET", "status", query={"stream_id": stream.stream_id})
    said = object_of("status", answer.json).get("status")
    require(said == "paused", f"a pause was announced but the status reads {said!r}")
