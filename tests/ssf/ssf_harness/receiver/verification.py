"""Verification of streams (SSF 1.0 section 8.1.4)."""

from __future__ import annotations

from ..emitter.outbox import Item
from ..emitter.stream import Stream
from ..events import SESSION_REVOKED, VERIFICATION, sample
from ..modules import module
from ..result import require
from ..sets import Draft, stream_subject
from .lab import Lab


@module("receiver", "openid-ssf-receiver-stream-verification")
def verification(lab: Lab) -> None:
    """Asks for a verification event and accepts it."""
    stream = lab.create()
    seen = lab.answers_verification(stream)
    if not (seen.body or {}).get("state"):
        lab.notes.warn("the verification was asked for without `state`, so its answer proves little")
    lab.delete(stream)


@module("receiver", "openid-ssf-receiver-unsolicited-stream-verification")
def unsolicited(lab: Lab) -> None:
    """Accepts a verification event that it did not ask for."""
    stream = lab.create()
    lab.accepted(lab.settle(stream, lab.emitter.verify(stream, None)), "an unsolicited verification event")
    lab.delete(stream)


@module("receiver", "openid-ssf-receiver-verification-wrong-state")
def wrong_state(lab: Lab) -> None:
    """Refuses a verification event with a `state` that it did not send, and accepts the right one later."""
    stream = lab.create()
    _answered_wrongly(lab, stream, lambda state: _draft(lab, stream, (state or "") + "-not-yours"), "invalid_state")
    lab.answers_verification(stream)


@module("receiver", "openid-ssf-receiver-verification-wrong-subject")
def wrong_subject(lab: Lab) -> None:
    """Refuses a verification event whose subject is another stream, and accepts the right one later."""
    stream = lab.create()

    def other(state: str | None) -> Draft:
        draft = _draft(lab, stream, state)
        draft.claims["sub_id"] = stream_subject("not-" + stream.stream_id)
        return draft

    _answered_wrongly(lab, stream, other, "invalid_request")
    lab.answers_verification(stream)


def _draft(lab: Lab, stream: Stream, state: str | None) -> Draft:
    return lab.emitter.draft(stream, stream.subject, VERIFICATION, {} if state is None else {"state": state})


def _answered_wrongly(lab: Lab, stream: Stream, make: object, usual: str) -> None:
    drafts: list[Draft] = []
    lab.emitter.script.on_verify = lambda _, state: drafts.append(make(state))  # type: ignore[operator]
    lab.driven("verify", "verify", stream_id=stream.stream_id)
    outcome = lab.send_bad(stream, drafts[-1], drafts[-1].token(lab.emitter.key))
    lab.rejected(outcome, "the wrong verification event")
    if outcome.err not in (None, usual):
        lab.notes.warn(f"`err` is `{outcome.err}`, `{usual}` is usual")


@module("receiver", "openid-ssf-receiver-verification-behind-queued-events")
def behind_queued_events(lab: Lab) -> None:
    """Accepts a verification event that comes after events that were queued before it."""
    stream = lab.create()
    items: list[Item] = []

    def answer(found: Stream, state: str | None) -> None:
        items.extend(lab.emitter.emit(found, SESSION_REVOKED, sample(SESSION_REVOKED), lab.subject()) for _ in range(3))
        items.append(lab.emitter.verify(found, state))

    lab.emitter.script.on_verify = answer
    lab.driven("verify", "verify", stream_id=stream.stream_id)
    require(len(items) >= 4, "no verification was asked for")
    for number, item in enumerate(items[:4], 1):
        what = f"queued event {number}" if number < 4 else "the verification event behind them"
        lab.accepted(lab.settle(stream, item), what)
