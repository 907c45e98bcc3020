"""Asking somebody outside the protocol: drive the receiver, trigger the transmitter, observe an effect."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from .config import Hook
from .result import Skip
from .strict import parse_json
from .web import Unreachable, call_json

# A command says with this exit code (EX_UNAVAILABLE) that it does not know the action; a URL says so with 404 or 501.
UNAVAILABLE = 69


class HookFailed(Exception):
    """The action was tried and did not succeed."""


def ask(hook: Hook | None, what: str, document: dict[str, Any]) -> dict[str, Any]:
    """Returns what the hook answers to `document`, which has an `action`.

    Raises `Skip` if there is no hook or it does not know the action, `HookFailed` if the action failed.
    """
    if hook is None:
        raise Skip(f"no `{what}` hook is configured")
    if hook.url is not None:
        return _post(hook, hook.url, what, document)
    if hook.command is not None:
        return _run(hook, hook.command, what, document)
    raise Skip(f"the `{what}` hook has neither `url` nor `command`")


def _post(hook: Hook, url: str, what: str, document: dict[str, Any]) -> dict[str, Any]:
    try:
        answer = call_json("POST", url, document, headers=hook.headers, timeout=hook.timeout_s)
    except Unreachable as error:
        raise HookFailed(str(error)) from error
    if answer.status in (404, 501):
        raise Skip(f"the `{what}` hook does not know `{document.get('action')}`")
    if answer.status >= 300:
        raise HookFailed(f"`{document.get('action')}`: {answer.status} {answer.body[:300].decode(errors='replace')}")
    return _parsed(answer.body)


def _run(hook: Hook, command: list[str], what: str, document: dict[str, Any]) -> dict[str, Any]:
    try:
        sent = json.dumps(document).encode()
        done = subprocess.run(command, input=sent, capture_output=True, timeout=hook.timeout_s, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HookFailed(str(error)) from error
    if done.returncode == UNAVAILABLE:
        raise Skip(f"the `{what}` hook does not know `{document.get('action')}`")
    if done.returncode != 0:
        raise HookFailed(
            f"`{document.get('action')}`: exit {done.returncode} {done.stderr[-300:].decode(errors='replace')}"
        )
    return _parsed(done.stdout)


def _parsed(text: bytes) -> dict[str, Any]:
    value = parse_json(text) if text.strip() else {}
    return value if isinstance(value, dict) else {}
