"""What a module says in the end, and how it says it on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class Failure(Exception):
    """The implementation under test does not do what the specification asks."""


class Skip(Exception):
    """The module cannot be run as things are configured; says what would be needed."""


@dataclass
class Notes:
    """What a module observed beside its verdict."""

    warnings: list[str] = field(default_factory=list)
    measures: dict[str, Any] = field(default_factory=dict)

    def warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)


@dataclass(frozen=True)
class Result:
    """The verdict of one module under one delivery method."""

    module: str
    delivery: str | None
    verdict: str
    reason: str
    seconds: float
    warnings: list[str]
    measures: dict[str, Any]

    @property
    def title(self) -> str:
        return f"{self.module}[{self.delivery}]" if self.delivery else self.module

    def line(self) -> str:
        """Returns the one line that people read."""
        text = f"{self.verdict.upper():4} {self.title} ({self.seconds:.1f} s)"
        parts = [self.reason, *(f"warning: {warning}" for warning in self.warnings)]
        said = "; ".join(part for part in parts if part)
        measured = " ".join(f"{name}={value}" for name, value in self.measures.items())
        return text + (f": {said}" if said else "") + (f" [{measured}]" if measured else "")

    def document(self) -> dict[str, Any]:
        return {
            "module": self.module,
            "delivery": self.delivery,
            "verdict": self.verdict,
            "reason": self.reason,
            "seconds": round(self.seconds, 3),
            "warnings": self.warnings,
            "measures": self.measures,
        }


def require(condition: object, text: str) -> None:
    """Raises `Failure` unless the condition holds."""
    if not condition:
        raise Failure(text)


def parsed(what: str, parse: Callable[[], Any]) -> Any:
    """Returns what `parse` returns; a `ValueError` in it is a failure of the peer."""
    try:
        return parse()
    except ValueError as error:
        raise Failure(f"{what}: {error}") from error


def object_of(what: str, parse: Callable[[], Any]) -> dict[str, Any]:
    """Returns a JSON object; anything else is a failure of the peer."""
    value = parsed(what, parse)
    require(isinstance(value, dict), f"{what} is not a JSON object")
    return value  # type: ignore[no-any-return]
