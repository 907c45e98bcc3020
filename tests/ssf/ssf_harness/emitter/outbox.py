"""The queue of one stream: SETs wait here until the receiver accepts or reports them."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """What became of one SET."""

    accepted: bool
    status: int | None = None
    error: dict[str, Any] | None = None
    content_language: str | None = None
    media_type: str | None = None
    body: bytes = b""
    ms: float = 0
    silent: bool = False
    """Neither acknowledged nor reported (poll only)."""

    @property
    def err(self) -> str | None:
        return self.error.get("err") if self.error else None


@dataclass
class Item:
    """One SET in the queue."""

    jti: str
    token: str
    queued_at: float = field(default_factory=time.monotonic)
    offered_at: float | None = None
    outcome: Outcome | None = None
    last: Outcome | None = None
    """What the last push came to, if it will be tried again."""
    done: threading.Event = field(default_factory=threading.Event)

    def end(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.done.set()


class Outbox:
    """Keeps order; every method may be called from any thread."""

    def __init__(self, reoffer_s: float):
        self._changed = threading.Condition()
        self._items: list[Item] = []
        self._reoffer_s = reoffer_s
        self._open = True

    def put(self, item: Item, first: bool = False) -> None:
        """Adds an item behind the others (or, wrongly, before them)."""
        with self._changed:
            self._items.insert(0 if first else len(self._items), item)
            self._changed.notify_all()

    def drop(self, item: Item) -> None:
        with self._changed:
            self._items = [other for other in self._items if other is not item]

    def clear(self) -> None:
        with self._changed:
            self._items = []

    def wake(self) -> None:
        """Lets whoever waits look again."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._open, self._items = False, []
            self._changed.notify_all()

    @property
    def is_open(self) -> bool:
        return self._open

    def first(self, timeout: float) -> Item | None:
        """Returns the oldest item, which stays; waits up to `timeout` seconds for one."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or not self._open, timeout)
            return self._items[0] if self._items else None

    def offer(self, most: int, wait_s: float) -> tuple[list[Item], bool]:
        """Returns up to `most` items not offered lately, and whether there are more; waits up to `wait_s` for one."""
        deadline = time.monotonic() + wait_s
        with self._changed:
            while self._open:
                due = [item for item in self._items if self._is_due(item)]
                left = deadline - time.monotonic()
                if due or left <= 0:
                    return self._mark(due[:most]), len(due) > most
                self._changed.wait(min(left, 0.1))
        return [], False

    def end(self, jti: str, error: dict[str, Any] | None) -> bool:
        """Takes an acknowledgement or a report of an error; returns whether the SET was waiting."""
        with self._changed:
            found = next((item for item in self._items if item.jti == jti), None)
            if found is None:
                return False
            self._items.remove(found)
        found.end(Outcome(error is None, error=error, ms=(time.monotonic() - found.queued_at) * 1000))
        return True

    def __len__(self) -> int:
        return len(self._items)

    def _is_due(self, item: Item) -> bool:
        return item.offered_at is None or time.monotonic() - item.offered_at >= self._reoffer_s

    @staticmethod
    def _mark(items: list[Item]) -> list[Item]:
        for item in items:
            item.offered_at = time.monotonic()
        return items
