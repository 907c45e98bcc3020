"""The one JSON file that says what is under test, as typed; unknown members are errors."""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .strict import parse_json
from .web import Listen


@dataclass(frozen=True)
class Hook:
    """A command (JSON on stdin, JSON on stdout) or a URL (JSON by POST) through which the harness asks for something."""

    url: str | None = None
    command: list[str] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    timeout_s: float = 30


@dataclass(frozen=True)
class Timing:
    """How long things may take, in seconds."""

    answer_s: float = 15
    """A request, a delivery or an acknowledgement that must happen."""
    silence_s: float = 20
    """How long nothing may happen on a stopped stream."""
    held_s: float = 60
    """How long a held event may take once the stream is enabled again."""
    abandoned_s: float = 30
    """How long a stream that the receiver must refuse is watched."""
    grace_s: float = 2
    """How long an acknowledgement or a push under way may trail."""
    token_s: int = 20
    """Lifetime of the short-lived access tokens of the module on their expiry."""
    reoffer_s: float = 5
    """When the harness offers a polled SET again that was neither acknowledged nor reported."""
    long_poll_s: float = 10
    """How long the harness holds a poll; how long a transmitter must hold one at least is a tenth of it."""


@dataclass(frozen=True)
class ReceiverUnderTest:
    """The receiver, and how the harness, as its transmitter, reaches and drives it."""

    listen: Listen = field(default_factory=Listen)
    issuer_path: str | None = None
    """Path of the harness's issuer; without it each module has an issuer of its own."""
    audience: str = "https://receiver.example.com"
    deliveries: list[str] = field(default_factory=lambda: ["push", "poll"])
    drive: Hook | None = None
    observe: Hook | None = None
    static_token: str = "static-management-token"
    client_id: str = "receiver"
    client_secret: str = "receiver-secret"
    multi_event_support: bool = False
    algorithm: str = "RS256"
    """With which the harness signs: RS256 or ES256."""
    subjects: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Subject identifiers that the receiver knows, by format; the module on supported events uses them."""
    require_events: bool = False
    """Whether the receiver must request every event of the catalog."""
    jwks_fetches: int = 3
    """How often a flood of unknown `kid` may make it fetch the JWKS."""
    retries: int = 5
    """How often it may try again within the silence while a management request is refused."""
    oversized_bytes: int = 2_000_000
    cut_within_ms: int | None = None
    """Budget from sending a SET to the cut of a live stream; not checked if absent."""


@dataclass(frozen=True)
class Credentials:
    """How the harness, as a receiver, is authorized by the transmitter: a token, or where to get one."""

    token: str | None = None
    token_url: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    scope: str | None = None


@dataclass(frozen=True)
class TransmitterUnderTest:
    """The transmitter, and how the harness, as its receiver, reaches it and is reached."""

    issuer: str = ""
    metadata_url: str | None = None
    credentials: Credentials = field(default_factory=Credentials)
    read_only: Credentials | None = None
    other: Credentials | None = None
    """Another receiver, who must not see or touch the streams of the first."""
    deliveries: list[str] = field(default_factory=lambda: ["push", "poll"])
    listen: Listen = field(default_factory=Listen)
    one_stream_per_receiver: bool = False
    events: list[str] | None = None
    """Event types to request; the catalog's CAEP events if absent."""
    subject: dict[str, Any] = field(default_factory=lambda: {"format": "email", "email": "ada@example.com"})
    invalid_subject: dict[str, Any] = field(default_factory=lambda: {"format": "email"})
    trigger: Hook | None = None
    create_members: dict[str, Any] = field(default_factory=dict)
    """More members for requests that create a stream: some transmitters want `aud`. With null a member is left out."""
    verification_statuses: list[int] = field(default_factory=lambda: [204])
    """How a verification request may be answered: 204 alone by SSF 1.0; some transmitters say 202."""
    private_push_url: str | None = None
    """A push URL on an internal address that the transmitter must refuse, if it guards them."""


@dataclass(frozen=True)
class Config:
    """Everything the harness is told."""

    receiver: ReceiverUnderTest | None = None
    transmitter: TransmitterUnderTest | None = None
    timing: Timing = field(default_factory=Timing)


def load(path: Path) -> Config:
    """Reads the file; raises `ValueError` that names what is wrong."""
    return _build(Config, parse_json(path.read_bytes()), "config")  # type: ignore[no-any-return]


def _build(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, value, where)
    if isinstance(kind, types.UnionType):
        if value is None:
            return None
        return _build(next(part for part in typing.get_args(kind) if part is not type(None)), value, where)
    origin = typing.get_origin(kind) or kind
    wanted = (int, float) if origin is float else origin
    if not isinstance(value, wanted) or isinstance(value, bool) != (origin is bool):
        raise ValueError(f"`{where}` is not a {origin.__name__}")
    return value


def _build_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"`{where}` is not an object")
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(value) - set(hints))
    if unknown:
        raise ValueError(f"`{where}` has unknown members: {', '.join(unknown)}")
    return kind(**{name: _build(hints[name], part, f"{where}.{name}") for name, part in value.items()})
