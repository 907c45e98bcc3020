"""The push endpoint of the harness: keeps what comes, answers as it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..web import Reply, Request


class Inbox:
    """Takes requests of one module; those to other paths than `/push/…` get 404."""

    def __init__(self) -> None:
        self.received: list[Request] = []
        self.answer: Callable[[Request], Reply] = lambda _: Reply(202)
        self._changed = threading.Condition()

    def handle(self, request: Request) -> Reply:
        if "/push/" not in request.path:
            return Reply.of(404, {})
        with self._changed:
            self.received.append(request)
            self._changed.notify_all()
        return self.answer(request)

    def wait(self, path: str, number: int, timeout: float) -> Request | None:
        """Returns the push of that number (from 0) to that path; waits for it up to `timeout` seconds."""

        def there() -> Request | None:
            pushes = self.to(path)
            return pushes[number] if len(pushes) > number else None

        with self._changed:
            return self._changed.wait_for(there, timeout)

    def to(self, path: str) -> list[Request]:
        return [request for request in self.received if request.path.endswith(path)]
