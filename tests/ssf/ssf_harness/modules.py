"""The list of modules: each one function, registered under the name by which it is asked for."""

from __future__ import annotations

import fnmatch
import importlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from .hooks import HookFailed
from .result import Failure, Notes, Result, Skip
from .web import Unreachable

PUSH, POLL = "push", "poll"
_PARTS = {
    "receiver": ("management", "verification", "events", "rejection", "forgery", "resilience", "effects"),
    "transmitter": ("metadata", "control", "control_errors", "verification", "delivery", "status", "events"),
}


@dataclass(frozen=True)
class Module:
    """One test module; `deliveries` is empty if delivery does not matter to it."""

    name: str
    side: str
    deliveries: tuple[str, ...]
    summary: str
    run: Callable[[Any], None]


_REGISTRY: dict[str, Module] = {}


def module(
    side: str, name: str, deliveries: tuple[str, ...] = (PUSH, POLL)
) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Registers a function of one laboratory as a module; its docstring is the summary."""

    def register(run: Callable[[Any], None]) -> Callable[[Any], None]:
        if name in _REGISTRY:
            raise ValueError(f"`{name}` is registered twice")
        _REGISTRY[name] = Module(name, side, deliveries, " ".join((run.__doc__ or "").split()), run)
        return run

    return register


def modules(side: str, only: Iterable[str] = ()) -> list[Module]:
    """Returns the modules of one side whose name contains or matches one of `only` (all, if that is empty)."""
    for part in _PARTS[side]:
        importlib.import_module(f"{__package__}.{side}.{part}")
    wanted = list(only)
    found = [entry for entry in _REGISTRY.values() if entry.side == side]
    return [entry for entry in found if not wanted or any(matches(entry.name, want) for want in wanted)]


def matches(name: str, want: str) -> bool:
    return want in name or fnmatch.fnmatchcase(name, want)


def judge(entry: Module, delivery: str | None, notes: Notes, run: Callable[[], None]) -> Result:
    """Runs one module and says what came of it; an exception of any kind is a verdict, never the end of the run."""
    started = time.monotonic()
    verdict, reason = "pass", ""
    try:
        run()
    except Skip as skip:
        verdict, reason = "skip", str(skip)
    except (Failure, HookFailed, Unreachable) as failure:
        verdict, reason = "fail", str(failure)
    except Exception as error:  # noqa: BLE001 a fault of the harness must not hide the other results
        verdict, reason = "fail", f"the harness itself failed: {type(error).__name__}: {error}"
    return Result(entry.name, delivery, verdict, reason, time.monotonic() - started, notes.warnings, notes.measures)
