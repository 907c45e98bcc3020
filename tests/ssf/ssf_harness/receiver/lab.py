"""What a receiver module works with: a transmitter of its own, and means to drive the receiver and to judge it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from .. import jose
from ..config import ReceiverUnderTest, Timing
from ..emitter.outbox import Item, Outcome
from ..emitter.server import Emitter
from ..emitter.state import Seen
from ..emitter.stream import Stream
from ..events import DEFAULT_SUBJECTS, SESSION_REVOKED, sample
from ..hooks import HookFailed, ask
from ..modules import PUSH
from ..result import Failure, Notes, Skip, require
from ..sets import Draft

REGISTERED = {
    "invalid_request",
    "invalid_key",
    "invalid_issuer",
    "invalid_audience",
    "authentication_failed",
    "access_denied",
    "invalid_state",
}


class Lab:
    """One module run under one delivery method."""

    def __init__(self, config: ReceiverUnderTest, timing: Timing, delivery: str, emitter: Emitter, notes: Notes):
        self.config, self.timing, self.delivery = config, timing, delivery
        self.emitter, self.notes = emitter, notes
        self.log = emitter.log

    @property
    def is_push(self) -> bool:
        return self.delivery == PUSH

    def subject(self, form: str = "email") -> dict[str, Any]:
        """Returns a subject that the receiver knows, or the usual sample."""
        return dict(self.config.subjects.get(form, DEFAULT_SUBJECTS[form]))

    def drive(self, action: str, **more: Any) -> dict[str, Any]:
        """Asks the receiver's operator to do something; raises `Skip` if nobody can be asked."""
        client = self.emitter.settings.clients[0]
        about = {
            "action": action,
            "issuer": self.emitter.issuer,
            "delivery": self.delivery,
            "audience": self.config.audience,
            "token": client.static_token,
            "token_url": self.emitter.url("token"),
            "client_id": client.client_id,
            "client_secret": client.secret,
        }
        return ask(self.config.drive, "drive", {**about, **more})

    def driven(self, action: str, seen: str, **more: Any) -> Seen:
        """Drives the receiver and returns the request by which it did what it was asked."""
        since = len(self.log.seen)
        try:
            self.drive(action, **more)
            by_hand = None
        except Skip as skip:
            by_hand = skip
        found = self.log.wait(seen, self.timing.answer_s, since)
        if found is None and by_hand is not None:
            raise by_hand
        if found is None:
            refused = self.log.of(seen, since=since)
            how = f"; it was answered {refused[-1].status}" if refused else ""
            raise Failure(
                f"asked for `{action}`, the receiver sent no good `{seen}` request within {self.timing.answer_s} s{how}"
            )
        return found

    def create(self) -> Stream:
        """Returns the stream that the receiver creates when asked."""
        seen = self.driven("create", "create")
        stream = self.emitter.streams.get(seen.stream_id or "")
        require(stream is not None, "the stream was gone as soon as it was created")
        require(stream.is_push == self.is_push, f"the receiver asked for another delivery than {self.delivery}")  # type: ignore[union-attr]
        return stream  # type: ignore[return-value]

    def delete(self, stream: Stream) -> None:
        seen = self.driven("delete", "delete", stream_id=stream.stream_id)
        require(seen.stream_id == stream.stream_id, "the receiver deleted another stream")

    def draft(self, stream: Stream, event: str = SESSION_REVOKED, form: str = "email") -> Draft:
        """Returns an ordinary SET about a subject of that format."""
        return self.emitter.draft(stream, self.subject(form), event, sample(event))

    def send(self, stream: Stream, draft: Draft, token: str | None = None) -> Outcome:
        """Delivers a SET and waits for what becomes of it."""
        return self.settle(stream, self.emitter.queue(stream, token or draft.token(self.emitter.key), draft.jti))

    def settle(self, stream: Stream, item: Item, seconds: float | None = None) -> Outcome:
        """Waits for the outcome of a queued SET; takes it back if there is none in time."""
        item.done.wait(self.timing.answer_s if seconds is None else seconds)
        stream.outbox.drop(item)
        return item.outcome or item.last or Outcome(False, silent=True)

    def send_bad(self, stream: Stream, draft: Draft, token: str) -> Outcome:
        """Delivers a SET that should be refused; over poll, one that is good behind it tells when to stop waiting."""
        item = self.emitter.queue(stream, token, draft.jti)
        if self.is_push:
            return self.settle(stream, item)
        fence = self.emitter.verify(stream, None)
        self.accepted(self.settle(stream, fence), "a good SET behind a bad one")
        return self.settle(stream, item, self.timing.grace_s)

    def accepted(self, outcome: Outcome, what: str) -> None:
        """Requires that a SET was accepted: 202 without body (push), or acknowledged (poll)."""
        if self.is_push:
            said = f"{outcome.status} {outcome.body[:200].decode(errors='replace')}"
            require(outcome.status == 202, f"{what}: answered {said}, not 202")
            if outcome.body:
                self.notes.warn(f"{what}: 202 with a body")
            return
        require(not outcome.silent, f"{what}: not acknowledged within {self.timing.answer_s} s")
        require(outcome.accepted, f"{what}: reported as {outcome.error}, not acknowledged")

    def rejected(
        self, outcome: Outcome, what: str, errs: set[str] | None = None, statuses: tuple[int, ...] = (400,)
    ) -> None:
        """Requires that a SET was refused, and said so as RFC 8935 section 2.3 or RFC 8936 section 2.6 asks."""
        require(not outcome.accepted, f"{what}: accepted")
        if not self.is_push:
            if not outcome.silent:
                self._error_object(outcome, what, errs)
            return
        said = outcome.status or (outcome.error or {}).get("description")
        require(outcome.status in statuses, f"{what}: answered {said}, not {' or '.join(map(str, statuses))}")
        if outcome.status == 400:
            require(outcome.media_type == "application/json", f"{what}: the error is `{outcome.media_type}`, not JSON")
            require(outcome.content_language, f"{what}: the error has no Content-Language")
            self._error_object(outcome, what, errs)

    def _error_object(self, outcome: Outcome, what: str, errs: set[str] | None) -> None:
        require(outcome.error is not None, f"{what}: the error is no JSON object")
        require(isinstance((outcome.error or {}).get("description"), str), f"{what}: the error has no `description`")
        require(outcome.err in REGISTERED, f"{what}: `err` is {outcome.err!r}, no registered code")
        wanted = " or ".join(sorted(errs or ()))
        require(errs is None or outcome.err in errs, f"{what}: `err` is `{outcome.err}`, not {wanted}")

    def refuses(self, stream: Stream, what: str, draft: Draft, token: str, errs: set[str] | None = None) -> None:
        """Delivers a bad SET and requires that it is refused."""
        self.rejected(self.send_bad(stream, draft, token), what, errs)

    def still_works(self, stream: Stream) -> None:
        """Requires that a good SET is still accepted."""
        self.accepted(self.send(stream, self.draft(stream)), "an ordinary SET afterwards")

    def answers_verification(self, stream: Stream) -> Seen:
        """Drives a verification, answers it, and requires that the receiver accepts the answer."""
        items: list[Item] = []
        self.emitter.script.on_verify = lambda found, state: items.append(self.emitter.verify(found, state))
        seen = self.driven("verify", "verify", stream_id=stream.stream_id)
        require(seen.stream_id == stream.stream_id, "the receiver asked to verify another stream")
        self.accepted(self.settle(stream, items[-1]), "the verification event")
        self.emitter.script.on_verify = None
        return seen

    def other_key(self) -> jose.Key:
        """Returns a key that the transmitter has not published."""
        return jose.make_key("stranger", self.config.algorithm)

    def quiet(self, seconds: float, actions: tuple[str, ...], since: int, stream_id: str | None = None) -> list[Seen]:
        """Watches for so long and returns the requests of these kinds; returns at once when there is one."""
        found: list[Seen] = []

        def look() -> bool:
            found[:] = [seen for seen in self.log.of(*actions, since=since) if stream_id in (None, seen.stream_id)]
            return bool(found)

        until(look, seconds)
        return found

    def leave(self) -> None:
        """Deletes what streams are left, so that the receiver forgets this transmitter."""
        self.emitter.script.refuse_create = None
        for stream in list(self.emitter.streams.values()):
            try:
                self.drive("delete", stream_id=stream.stream_id)
            except (Skip, HookFailed):
                continue
        self.emitter.close()


def until(condition: Callable[[], bool], seconds: float, step: float = 0.02) -> bool:
    """Waits until the condition holds; returns whether it did in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(step)
    return True


def with_claims(draft: Draft, claims: Mapping[str, Any]) -> Draft:
    """Returns the draft with these claims changed."""
    return Draft(dict(draft.header), {**draft.claims, **claims})
