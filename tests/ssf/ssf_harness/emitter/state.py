"""What a transmitter of the harness is told, how it departs from the ordinary, and what it has seen."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..web import Request
from .stream import Stream
from .tokens import Client


@dataclass(frozen=True)
class Settings:
    """What one transmitter is."""

    base_url: str
    path: str
    audience: Any
    clients: list[Client]
    reoffer_s: float = 5
    long_poll_s: float = 10
    min_verification_interval: int = 0
    one_stream: bool = False
    token_s: int = 3600
    algorithm: str = "RS256"


@dataclass
class Script:
    """How this transmitter departs, on purpose, from an ordinary one."""

    create_issuer: str | None = None
    refuse_create: int | None = None
    on_verify: Callable[[Stream, str | None], None] | None = None
    extra_members: bool = True
    """Whether documents carry members that no specification knows; a receiver must ignore them."""


@dataclass(frozen=True)
class Seen:
    """A request that a receiver made."""

    action: str
    request: Request
    status: int
    stream_id: str | None = None
    body: Any = None


@dataclass
class Log:
    """What was seen, in order; waits for what has not been seen yet."""

    seen: list[Seen] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def add(self, seen: Seen) -> None:
        with self._changed:
            self.seen.append(seen)
            self._changed.notify_all()

    def violation(self, text: str) -> None:
        if text not in self.violations:
            self.violations.append(text)

    def of(self, *actions: str, since: int = 0) -> list[Seen]:
        return [seen for seen in self.seen[since:] if seen.action in actions]

    def wait(self, action: str, timeout: float, since: int = 0, good: bool = True) -> Seen | None:
        """Returns the first such request answered well (or any, if not `good`) after position `since`."""

        def found() -> Seen | None:
            return next((seen for seen in self.of(action, since=since) if seen.status < 300 or not good), None)

        with self._changed:
            return self._changed.wait_for(found, timeout)
