"""Events that a receiver must take: every type, the interoperability profile, repetitions, members it does not know."""

from __future__ import annotations

from ..emitter.stream import Stream
from ..events import INTEROP, SAMPLES, SESSION_REVOKED, STREAM_UPDATED, sample, subject_formats
from ..modules import module
from ..result import require
from .lab import Lab, with_claims


@module("receiver", "openid-ssf-receiver-stream-supported-events")
def supported_events(lab: Lab) -> None:
    """Takes every event of CAEP, RISC, SSF and RFC 9967 that it asked for, about every usual format of subject."""
    stream = lab.create()
    asked = set(stream.events_delivered)
    missing = sorted(set(SAMPLES) - asked)
    require(not (missing and lab.config.require_events), f"not requested: {', '.join(missing)}")
    if missing:
        lab.notes.warn(f"{len(missing)} of {len(SAMPLES)} event types were not requested: {', '.join(missing[:3])} …")
    lab.answers_verification(stream)
    lab.accepted(lab.settle(stream, lab.emitter.announce(stream, "enabled")), "`stream-updated` enabled")
    sent = [_send(lab, stream, event, form) for event in SAMPLES if event in asked for form in subject_formats(event)]
    lab.notes.measures["sets"] = len(sent)


def _send(lab: Lab, stream: Stream, event: str, form: str) -> str:
    lab.accepted(lab.send(stream, lab.draft(stream, event, form)), f"`{event}` about {form}")
    return event


@module("receiver", "openid-ssf-receiver-stream-caep-interop")
def caep_interop(lab: Lab) -> None:
    """Meets the CAEP Interoperability Profile: creates, reads configuration and status, verifies, takes its events."""
    stream = lab.create()
    asked = [event for event in INTEROP if event in stream.events_delivered]
    require(asked, "none of session-revoked, credential-change and device-compliance-change was requested")
    lab.driven("read", "read", stream_id=stream.stream_id)
    lab.driven("read-status", "status", stream_id=stream.stream_id)
    lab.answers_verification(stream)
    for event in asked:
        for form in ("email", "iss_sub"):
            _send(lab, stream, event, form)
    lab.delete(stream)


@module("receiver", "openid-ssf-receiver-redelivered-set")
def redelivered(lab: Lab) -> None:
    """Answers a SET that it has had exactly as if it were new (RFC 8935 section 2)."""
    stream = lab.create()
    draft = lab.draft(stream)
    token = draft.token(lab.emitter.key)
    for what in ("the SET", "the same SET again", "the same SET a third time"):
        lab.accepted(lab.send(stream, draft, token), what)


@module("receiver", "openid-ssf-receiver-transmitter-initiated-status-change")
def transmitter_initiated_status_change(lab: Lab) -> None:
    """Takes the announcements of a pause and of its end, and the event that was held meanwhile."""
    stream = lab.create()
    lab.answers_verification(stream)
    lab.accepted(lab.settle(stream, lab.emitter.announce(stream, "paused", "maintenance")), "`stream-updated` paused")
    stream.status = "paused"
    held = lab.emitter.emit(stream, SESSION_REVOKED, sample(SESSION_REVOKED), lab.subject())
    since = len(lab.log.seen)
    gone = lab.quiet(lab.timing.grace_s, ("delete",), since)
    require(not gone, "the receiver deleted the stream because it was paused")
    stream.status = "enabled"
    announced = lab.emitter.announce(stream, "enabled")
    stream.outbox.wake()
    lab.accepted(lab.settle(stream, held), "the event held while paused")
    lab.accepted(lab.settle(stream, announced), "`stream-updated` enabled")


@module("receiver", "openid-ssf-receiver-removed-subject-event")
def removed_subject(lab: Lab) -> None:
    """Tolerates an event about a subject that it removed (SSF 1.0 section 9.3)."""
    stream = lab.create()
    subject = lab.subject()
    lab.driven("remove-subject", "remove-subject", stream_id=stream.stream_id, subject=subject)
    require(stream.removed, "the receiver removed no subject")
    item = lab.emitter.emit(stream, SESSION_REVOKED, sample(SESSION_REVOKED), stream.removed[-1])
    lab.accepted(lab.settle(stream, item), "an event about the removed subject")


@module("receiver", "extra-receiver-audience-list")
def audience_list(lab: Lab) -> None:
    """Accepts a SET whose `aud` is a list that holds its own audience."""
    stream = lab.create()
    draft = with_claims(lab.draft(stream), {"aud": [str(lab.config.audience), "https://auditor.example.com"]})
    lab.accepted(lab.send(stream, draft), "a SET for several audiences")


@module("receiver", "extra-receiver-unknown-members")
def unknown_members(lab: Lab) -> None:
    """Ignores claims, members of an event and header parameters that it does not know."""
    stream = lab.create()
    draft = with_claims(lab.draft(stream), {"x_claim": {"a": [1, 2]}, "toe": 1458496025})
    draft.claims["events"][SESSION_REVOKED]["x_member"] = "ignored"
    draft.header["x_header"] = "ignored"
    lab.accepted(lab.send(stream, draft, draft.raw(lab.emitter.key)), "a SET with unknown members")


@module("receiver", "extra-receiver-legacy-subject")
def legacy_subject(lab: Lab) -> None:
    """Accepts a subject inside the event, as drafts before SSF 1.0 had it, or refuses it in good order."""
    stream = lab.create()
    draft = lab.draft(stream)
    draft.claims["events"][SESSION_REVOKED]["subject"] = draft.claims.pop("sub_id")
    outcome = lab.send_bad(stream, draft, draft.token(lab.emitter.key))
    if not outcome.accepted:
        lab.rejected(outcome, "a SET with the subject inside the event")
        lab.notes.warn("a subject inside the event is refused")
    lab.still_works(stream)


@module("receiver", "extra-receiver-stream-disabled")
def stream_disabled(lab: Lab) -> None:
    """Takes the announcement that the transmitter disables the stream."""
    stream = lab.create()
    outcome = lab.settle(stream, lab.emitter.emit(stream, STREAM_UPDATED, {"status": "disabled", "reason": "the end"}))
    lab.accepted(outcome, "`stream-updated` disabled")
