"""Streams and what may be said about them in requests (SSF 1.0 section 8.1)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from ..sets import stream_subject
from .outbox import Outbox

PUSH = "urn:ietf:rfc:8935"
POLL = "urn:ietf:rfc:8936"
STATUSES = ("enabled", "paused", "disabled")
RECEIVER_SUPPLIED = ("delivery", "events_requested", "description")


@dataclass
class Stream:
    """One stream of one receiver."""

    issuer: str
    audience: Any
    owner: str
    events_supported: list[str]
    outbox: Outbox
    stream_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    supplied: dict[str, Any] = field(default_factory=dict)
    status: str = "enabled"
    reason: str | None = None
    subjects: list[dict[str, Any]] = field(default_factory=list)
    poll_url: str = ""
    removed: list[dict[str, Any]] = field(default_factory=list)
    verified_at: float | None = None

    @property
    def delivery(self) -> dict[str, Any]:
        return dict(self.supplied.get("delivery", {"method": POLL}))

    @property
    def is_push(self) -> bool:
        return bool(self.delivery["method"] == PUSH)

    @property
    def subject(self) -> dict[str, Any]:
        return stream_subject(self.stream_id)

    @property
    def events_delivered(self) -> list[str]:
        return [event for event in self.supplied.get("events_requested", []) if event in self.events_supported]

    def document(self, min_verification_interval: int) -> dict[str, Any]:
        """Returns the stream configuration."""
        delivery = self.delivery
        if not self.is_push:
            delivery["endpoint_url"] = self.poll_url
        document: dict[str, Any] = {
            "stream_id": self.stream_id,
            "iss": self.issuer,
            "aud": self.audience,
            "delivery": delivery,
            "events_supported": self.events_supported,
            "events_requested": self.supplied.get("events_requested", []),
            "events_delivered": self.events_delivered,
            "min_verification_interval": min_verification_interval,
        }
        if "description" in self.supplied:
            document["description"] = self.supplied["description"]
        return document

    def status_document(self) -> dict[str, Any]:
        document = {"stream_id": self.stream_id, "status": self.status}
        return document if self.reason is None else {**document, "reason": self.reason}


def supplied_fault(body: Any) -> str | None:
    """Returns what is wrong with the members that a receiver supplies."""
    if not isinstance(body, dict):
        return "the body is no object"
    events = body.get("events_requested", [])
    if not isinstance(events, list) or not all(isinstance(event, str) for event in events):
        return "`events_requested` is no list of strings"
    if not isinstance(body.get("description", ""), str):
        return "`description` is no string"
    return delivery_fault(body["delivery"]) if "delivery" in body else None


def delivery_fault(delivery: Any) -> str | None:
    """Returns what is wrong with a delivery object."""
    if not isinstance(delivery, dict):
        return "`delivery` is no object"
    if delivery.get("method") not in (PUSH, POLL):
        return f"`delivery.method` is {delivery.get('method')!r}"
    if delivery["method"] == PUSH and not str(delivery.get("endpoint_url", "")).startswith(("http://", "https://")):
        return "`delivery.endpoint_url` is no URL"
    if not isinstance(delivery.get("authorization_header", ""), str):
        return "`delivery.authorization_header` is no string"
    return None
