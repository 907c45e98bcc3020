"""What SETs do to live streams, as somebody who watches them tells (`observe`).

The hook is asked `{"action": "open", "subject": …}`, which puts the subject back into good standing if need be, begins
a live stream of that subject and answers `{"id": …}`, and `{"action": "state", "id": …}`, which answers `{"live": bool, "cut_at_ms": unix milliseconds or null}`.
"""

from __future__ import annotations

import time
from typing import Any

from .. import jose
from ..emitter.stream import Stream
from ..events import CAEP, RISC, SCIM, SESSION_REVOKED, sample
from ..hooks import ask
from ..modules import module
from ..result import Skip, require
from ..sets import Draft
from .lab import Lab, until

CUTTING = (
    ("email", SESSION_REVOKED),
    ("iss_sub", SESSION_REVOKED),
    ("email", RISC + "account-disabled"),
    ("email", RISC + "credential-compromise"),
    ("scim", SCIM + "prov:deactivate"),
)


def _open(lab: Lab, subject: dict[str, Any]) -> str:
    if lab.config.observe is None:
        raise Skip("no `observe` hook is configured")
    return str(ask(lab.config.observe, "observe", {"action": "open", "subject": subject})["id"])


def _state(lab: Lab, stream_id: str) -> dict[str, Any]:
    return ask(lab.config.observe, "observe", {"action": "state", "id": stream_id})


def _is_live(lab: Lab, stream_id: str) -> bool:
    return bool(_state(lab, stream_id)["live"])


def _ends(lab: Lab, stream_id: str, seconds: float) -> bool:
    """Returns whether the live stream ends within so many seconds."""
    return until(lambda: not _is_live(lab, stream_id), seconds)


def _watched(lab: Lab) -> Stream:
    if lab.config.observe is None:
        raise Skip("no `observe` hook is configured")
    return lab.create()


@module("receiver", "extra-receiver-effect-cut")
def effect_cut(lab: Lab) -> None:
    """Cuts the live stream of whom an event concerns; says within how many milliseconds of sending the SET."""
    stream = _watched(lab)
    times: list[float] = []
    for form, event in CUTTING:
        if event not in stream.events_delivered:
            lab.notes.warn(f"`{event}` was not requested, so its effect is not known")
            continue
        watched = _open(lab, lab.subject(form))
        require(_is_live(lab, watched), "the live stream ended before any event")
        sent_at = time.time() * 1000
        lab.accepted(lab.send(stream, lab.draft(stream, event, form)), f"`{event}`")
        require(_ends(lab, watched, lab.timing.answer_s), f"`{event}` about {form}: the stream was not cut")
        times.append(float(_state(lab, watched)["cut_at_ms"]) - sent_at)
    lab.notes.measures |= {"cuts": len(times), "slowest_cut_ms": round(max(times, default=0), 1)}
    budget = lab.config.cut_within_ms
    require(
        budget is None or max(times, default=0) <= budget,
        f"the slowest cut took {max(times, default=0):.0f} ms, not {budget}",
    )


@module("receiver", "extra-receiver-effect-cut-before-accepted")
def cut_before_accepted(lab: Lab) -> None:
    """Notes whether the live stream is cut by the time that the SET is acknowledged."""
    stream = _watched(lab)
    watched = _open(lab, lab.subject())
    lab.accepted(lab.send(stream, lab.draft(stream)), "session-revoked")
    late = _is_live(lab, watched)
    require(_ends(lab, watched, lab.timing.answer_s), "the stream was not cut")
    lab.notes.measures["cut_when_accepted"] = not late


@module("receiver", "extra-receiver-effect-none")
def effect_none(lab: Lab) -> None:
    """Cuts nothing for a SET that is refused, that concerns somebody else, or that must be discarded."""
    lab.emitter.critical_subject_members = ["x_clearance_zone"]
    stream = _watched(lab)
    watched = _open(lab, lab.subject())
    forged = lab.draft(stream)
    lab.send_bad(stream, forged, jose.corrupt(forged.token(lab.emitter.key)))
    stranger = lab.emitter.draft(
        stream, {"format": "email", "email": "nobody@example.com"}, SESSION_REVOKED, sample(SESSION_REVOKED)
    )
    lab.accepted(lab.send(stream, stranger), "an event about somebody unknown")
    critical = lab.draft(stream)
    critical.claims["sub_id"] = {
        "format": "complex",
        "user": lab.subject(),
        "x_clearance_zone": {"format": "opaque", "id": "zone-7"},
    }
    lab.send_bad(stream, critical, critical.token(lab.emitter.key))
    _ends(lab, watched, lab.timing.grace_s)
    require(_is_live(lab, watched), "a live stream was cut by a SET that must have no effect on it")


@module("receiver", "extra-receiver-effect-no-grant")
def no_grant(lab: Lab) -> None:
    """A SET never restores: what was cut stays so after `account-enabled` and `prov:activate`."""
    stream = _watched(lab)
    watched = _open(lab, lab.subject())
    lab.accepted(lab.send(stream, lab.draft(stream)), "session-revoked")
    require(_ends(lab, watched, lab.timing.answer_s), "the stream was not cut")
    for form, event in (
        ("email", RISC + "account-enabled"),
        ("email", CAEP + "session-established"),
        ("scim", SCIM + "prov:activate"),
    ):
        if event in stream.events_delivered:
            lab.accepted(lab.send(stream, lab.draft(stream, event, form)), f"`{event}`")
    require(not until(lambda: _is_live(lab, watched), lab.timing.grace_s), "a SET restored what another had cut")


@module("receiver", "extra-receiver-effect-once")
def effect_once(lab: Lab) -> None:
    """A SET that comes again does nothing again: a session begun after it lives on."""
    stream = _watched(lab)
    first = _open(lab, lab.subject())
    draft: Draft = lab.draft(stream)
    token = draft.token(lab.emitter.key)
    lab.accepted(lab.send(stream, draft, token), "session-revoked")
    require(_ends(lab, first, lab.timing.answer_s), "the stream was not cut")
    second = _open(lab, lab.subject())
    lab.accepted(lab.send(stream, draft, token), "the same SET again")
    _ends(lab, second, lab.timing.grace_s)
    require(_is_live(lab, second), "a repeated SET cut a session that began after it")
