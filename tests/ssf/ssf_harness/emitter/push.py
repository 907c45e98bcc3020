"""Push delivery (RFC 8935): one thread per stream, in order, again after a while if the receiver cannot now."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..web import Answer, Unreachable, call
from .outbox import Item, Outbox, Outcome

BACKOFF_S = (0.2, 0.5, 1, 2, 5)


@dataclass(frozen=True)
class PushTarget:
    """Where to push to, with which `Authorization` header."""

    url: str
    authorization: str | None
    content_type: str = "application/secevent+jwt"


class Pusher:
    """Pushes what is in the outbox while `may_send` says so, until the outbox is closed."""

    def __init__(
        self, outbox: Outbox, target: Callable[[], PushTarget], may_send: Callable[[], bool], faults: frozenset[str]
    ):
        self._outbox, self._target, self._may_send, self._faults = outbox, target, may_send, faults
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while self._outbox.is_open:
            item = self._outbox.first(0.5)
            if item is None or not self._may_send():
                time.sleep(0.02)
                continue
            outcome = self._push(item)
            if outcome is not None and not ("push-stuck" in self._faults and not outcome.accepted):
                self._outbox.drop(item)
                item.end(outcome)

    def _push(self, item: Item) -> Outcome | None:
        """Returns what became of the SET; nothing if the stream stopped meanwhile."""
        pauses = () if "push-once" in self._faults else BACKOFF_S
        for pause in (*pauses, None):
            outcome = item.last = deliver(self._target(), item)
            if pause is None or (outcome.status is not None and outcome.status < 500 and outcome.status != 429):
                return outcome
            time.sleep(pause)
            if not self._may_send() or not self._outbox.is_open:
                return None
        return None


def deliver(target: PushTarget, item: Item) -> Outcome:
    """Pushes once."""
    headers = {"content-type": target.content_type, "accept": "application/json"}
    if target.authorization is not None:
        headers["authorization"] = target.authorization
    started = time.monotonic()
    try:
        answer = call("POST", target.url, headers=headers, body=item.token.encode(), timeout=30)
    except Unreachable as error:
        return Outcome(False, error={"err": None, "description": str(error)})
    return _outcome(answer, (time.monotonic() - started) * 1000)


def _outcome(answer: Answer, ms: float) -> Outcome:
    error = None
    if answer.status >= 400:
        try:
            value = json.loads(answer.body)
            error = value if isinstance(value, dict) else None
        except ValueError:
            error = None
    return Outcome(
        accepted=200 <= answer.status < 300,
        status=answer.status,
        error=error,
        content_language=answer.headers.get("content-language"),
        media_type=answer.media_type,
        body=answer.body,
        ms=ms,
    )
