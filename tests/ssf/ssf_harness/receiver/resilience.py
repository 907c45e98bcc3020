"""What a receiver does under load and change: floods of unknown keys, rotation, a peer that comes and goes."""

from __future__ import annotations

from .. import jose
from ..events import SESSION_REVOKED, sample
from ..modules import POLL, PUSH, module
from ..result import require
from .lab import Lab, until

FLOOD = {PUSH: 40, POLL: 12}


@module("receiver", "extra-receiver-kid-flood")
def kid_flood(lab: Lab) -> None:
    """Fetches the JWKS a few times at most, however many unknown `kid` come."""
    stream = lab.create()
    lab.still_works(stream)
    since = len(lab.log.seen)
    items = []
    for number in range(FLOOD[lab.delivery]):
        draft = lab.draft(stream)
        draft.header["kid"] = f"unknown-{number}"
        items.append(lab.emitter.queue(stream, draft.token(lab.other_key()), draft.jti))
    if not lab.is_push:
        lab.still_works(stream)
    for item in items:
        outcome = lab.settle(stream, item, lab.timing.answer_s if lab.is_push else 0)
        lab.rejected(outcome, "a SET with an unknown `kid`", {"invalid_key"})
    fetches = len(lab.log.of("jwks", since=since))
    lab.notes.measures["jwks_fetches"] = fetches
    require(fetches <= lab.config.jwks_fetches, f"{len(items)} unknown `kid` made it fetch the JWKS {fetches} times")
    lab.still_works(stream)


@module("receiver", "extra-receiver-key-rotation")
def key_rotation(lab: Lab) -> None:
    """Learns a key that the transmitter published after the stream was made."""
    stream = lab.create()
    lab.still_works(stream)
    fresh = jose.make_key("emitter-2", lab.config.algorithm)
    lab.emitter.published.append(fresh)

    def taken() -> bool:
        draft = lab.draft(stream)
        return lab.settle(stream, lab.emitter.queue(stream, draft.token(fresh), draft.jti)).accepted

    require(
        until(taken, lab.timing.held_s, 0.5),
        f"a SET signed with a new key was not accepted within {lab.timing.held_s} s",
    )


@module("receiver", "extra-receiver-withdrawn-key")
def withdrawn_key(lab: Lab) -> None:
    """Refuses the old key at last, once the transmitter published others and the receiver has seen them."""
    stream = lab.create()
    lab.still_works(stream)
    old, fresh = lab.emitter.key, jose.make_key("emitter-2", lab.config.algorithm)
    lab.emitter.key, lab.emitter.published = fresh, [fresh]

    def taken(key: jose.Key) -> bool:
        draft = lab.draft(stream)
        return lab.settle(stream, lab.emitter.queue(stream, draft.token(key), draft.jti), lab.timing.grace_s).accepted

    require(until(lambda: taken(fresh), lab.timing.held_s, 0.5), "a SET signed with the new key was not accepted")
    require(not taken(old), "a SET signed with a withdrawn key was accepted after the new keys were seen")


@module("receiver", "extra-receiver-poll-manners", (POLL,))
def poll_manners(lab: Lab) -> None:
    """Polls long and does not spin: an idle stream costs few requests; no SET is acknowledged twice."""
    stream = lab.create()
    lab.still_works(stream)
    since = len(lab.log.seen)
    lab.quiet(lab.timing.grace_s * 2, ("never",), since)
    polls = lab.log.of("poll", since=since)
    most = 2 + 4 * lab.timing.grace_s / min(1, lab.timing.long_poll_s)
    lab.notes.measures["polls"] = len(polls)
    require(len(polls) <= most, f"{len(polls)} polls of an idle stream in {lab.timing.grace_s * 2} s")
    if polls and all((seen.body or {}).get("returnImmediately") for seen in polls):
        lab.notes.warn("every poll asks to return immediately, so events wait for the next poll")


@module("receiver", "extra-receiver-many-sets")
def many_sets(lab: Lab) -> None:
    """Takes a hundred SETs one behind the other, all of them, within the time for one answer each ten."""
    stream = lab.create()
    items = [lab.emitter.emit(stream, SESSION_REVOKED, sample(SESSION_REVOKED), lab.subject()) for _ in range(100)]
    outcomes = [lab.settle(stream, item) for item in items]
    lost = [outcome for outcome in outcomes if not outcome.accepted]
    require(not lost, f"{len(lost)} of {len(items)} SETs were not accepted: {lost[0] if lost else ''}")
    lab.notes.measures["slowest_ms"] = round(max(outcome.ms for outcome in outcomes))
