"""Strict JSON: what two readers could read differently is refused."""

from __future__ import annotations

import json
from typing import Any


def parse_json(text: bytes | str) -> Any:
    """Parses JSON; raises `ValueError` for a repeated member, `NaN`, `Infinity` or text that is not UTF-8."""
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError(f"a member is repeated among {names}")
    return dict(pairs)


def _refuse(constant: str) -> Any:
    raise ValueError(f"`{constant}` is not JSON")
