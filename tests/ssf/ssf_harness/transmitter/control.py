"""Stream management that goes well (SSF 1.0 sections 8.1.1 to 8.1.3)."""

from __future__ import annotations

from typing import Any

from ..emitter.stream import POLL, PUSH
from ..modules import POLL as BY_POLL
from ..modules import PUSH as BY_PUSH
from ..modules import module
from ..result import Skip, object_of, parsed, require
from .lab import UNKNOWN_STREAM, Lab, Stream


def check_document(lab: Lab, document: dict[str, Any]) -> None:
    """Requires a stream configuration that is complete and consistent."""
    require(document.get("iss") == lab.config.issuer, f"stream: `iss` is {document.get('iss')!r}, not the issuer")
    audience = document.get("aud")
    require(audience and isinstance(audience, (str, list)), f"stream: `aud` is {audience!r}")
    require(isinstance(document.get("delivery"), dict), "stream: no `delivery`")
    delivery: dict[str, Any] = document["delivery"]
    wanted = PUSH if lab.is_push else POLL
    require(
        delivery.get("method") == wanted, f"stream: `delivery.method` is {delivery.get('method')!r}, not `{wanted}`"
    )
    require(delivery.get("endpoint_url"), "stream: no `delivery.endpoint_url`")
    delivered, requested = document.get("events_delivered"), document.get("events_requested", lab.events())
    require(isinstance(delivered, list), "stream: no `events_delivered`")
    extra = set(delivered or ()) - set(requested)
    require(not extra, f"stream: `events_delivered` has events that were not requested: {', '.join(sorted(extra))}")
    supported = document.get("events_supported", delivered)
    require(
        set(delivered or ()) <= set(supported or ()), "stream: `events_delivered` has events that are not supported"
    )
    interval = document.get("min_verification_interval", 0)
    require(
        isinstance(interval, int) and not isinstance(interval, bool),
        "stream: `min_verification_interval` is no integer",
    )


@module("transmitter", "openid-ssf-stream-control-happy-path")
def happy_path(lab: Lab) -> None:
    """Creates, reads, lists, updates, replaces a stream, reads and sets its status, deletes it."""
    stream = lab.create()
    check_document(lab, stream.document)
    _read(lab, stream, "a description", "conformance harness")
    answer = lab.api("GET", "configuration")
    require(answer.status == 200, f"list: answered {answer.status}, not 200")
    listed = parsed("list", answer.json)
    require(isinstance(listed, list), "list: no array")
    require(stream.stream_id in [one.get("stream_id") for one in listed], "list: the stream is missing")
    _update(lab, stream)
    _replace(lab, stream)
    _status(lab, stream)
    lab.delete(stream)
    answer = lab.api("GET", "configuration", query={"stream_id": stream.stream_id})
    require(answer.status == 404, f"read after delete: answered {answer.status}, not 404")


def _read(lab: Lab, stream: Stream, what: str, description: str | None) -> dict[str, Any]:
    answer = lab.api("GET", "configuration", query={"stream_id": stream.stream_id})
    require(answer.status == 200, f"read: answered {answer.status}, not 200")
    require(answer.media_type == "application/json", f"read: sent as `{answer.media_type}`")
    document = object_of("read", answer.json)
    require(document.get("stream_id") == stream.stream_id, "read: another stream")
    check_document(lab, document)
    said = document.get("description")
    require(said == description, f"read after {what}: `description` is {said!r}, not {description!r}")
    return document


def _update(lab: Lab, stream: Stream) -> None:
    before = _read(lab, stream, "nothing", "conformance harness")
    answer = lab.api("PATCH", "configuration", {"stream_id": stream.stream_id, "description": "updated"})
    require(answer.status in (200, 202), f"PATCH: answered {answer.status}, not 200 or 202")
    after = _read(lab, stream, "PATCH", "updated")
    for name in ("delivery", "events_requested", "aud", "iss"):
        require(after.get(name) == before.get(name), f"PATCH of `description` changed `{name}`")


def _replace(lab: Lab, stream: Stream) -> None:
    fewer = lab.events()[:1]
    body = lab.create_body(stream.authorization, stream.push_path)
    body |= {"stream_id": stream.stream_id, "events_requested": fewer}
    body.pop("description", None)
    answer = lab.api("PUT", "configuration", body)
    require(answer.status in (200, 202), f"PUT: answered {answer.status}, not 200 or 202")
    after = _read(lab, stream, "PUT without it", None)
    require(after.get("events_requested", fewer) == fewer, "PUT: `events_requested` was not replaced")


def _status(lab: Lab, stream: Stream) -> None:
    for status in ("paused", "enabled"):
        lab.set_status(stream, status)
        answer = lab.api("GET", "status", query={"stream_id": stream.stream_id})
        require(answer.status == 200, f"read status: answered {answer.status}, not 200")
        document = object_of("read status", answer.json)
        require(document.get("stream_id") == stream.stream_id, "read status: `stream_id` is missing or wrong")
        require(document.get("status") == status, f"set to `{status}`, the status reads {document.get('status')!r}")


@module("transmitter", "openid-ssf-stream-control-create-stream-without-delivery", (BY_POLL,))
def create_without_delivery(lab: Lab) -> None:
    """Assumes poll delivery if the request names none, and supplies the URL to poll."""
    body = lab.create_body()
    body.pop("delivery")
    document = lab.created(lab.api("POST", "configuration", body))
    check_document(lab, document)


@module("transmitter", "openid-ssf-stream-subject-control", ())
def subject_control(lab: Lab) -> None:
    """Adds and removes subjects; refuses malformed ones, unknown streams and callers without a token."""
    stream = lab.create()
    body = {"stream_id": stream.stream_id, "subject": lab.config.subject}
    invalid = {"stream_id": stream.stream_id, "subject": lab.config.invalid_subject}
    unknown = {"stream_id": UNKNOWN_STREAM, "subject": lab.config.subject}
    for endpoint, good in (("add_subject", 200), ("remove_subject", 204)):
        for document, wanted, what in (
            (body, good, "a subject"),
            (invalid, 400, "a malformed subject"),
            (unknown, 404, "an unknown stream"),
        ):
            answer = lab.api("POST", endpoint, document)
            require(answer.status == wanted, f"{endpoint}, {what}: answered {answer.status}, not {wanted}")
        answer = lab.api("POST", endpoint, body, token=None)
        require(answer.status == 401, f"{endpoint} without a token: answered {answer.status}, not 401")


@module("transmitter", "extra-transmitter-unknown-event-type", ())
def unknown_event_type(lab: Lab) -> None:
    """Takes a request for events it does not know, and does not promise them."""
    strange = "https://example.com/secevent/nobody-knows"
    body = lab.create_body()
    body["events_requested"] = [*lab.events(), strange]
    document = lab.created(lab.api("POST", "configuration", body))
    require(strange not in document.get("events_delivered", []), "an unknown event is in `events_delivered`")


@module("transmitter", "extra-transmitter-stream-isolation", ())
def stream_isolation(lab: Lab) -> None:
    """Hides the streams of one receiver from another."""
    if lab.config.other is None:
        raise Skip("no credentials of an `other` receiver are configured")
    stream = lab.create()
    token, query = lab.token(lab.config.other), {"stream_id": stream.stream_id}
    tried = {
        "read": lab.api("GET", "configuration", query=query, token=token),
        "status": lab.api("GET", "status", query=query, token=token),
        "set status": lab.api("POST", "status", {**query, "status": "disabled"}, token=token),
        "PATCH": lab.api("PATCH", "configuration", {**query, "description": "mine"}, token=token),
        "add subject": lab.api("POST", "add_subject", {**query, "subject": lab.config.subject}, token=token),
        "verification": lab.api("POST", "verification", query, token=token),
        "delete": lab.api("DELETE", "configuration", query=query, token=token),
    }
    if not lab.is_push:
        tried["poll"] = lab.poll(stream, token=token)
    for what, answer in tried.items():
        require(answer.status in (403, 404), f"another receiver's {what}: answered {answer.status}, not 403 or 404")
    listed = parsed("list", lab.api("GET", "configuration", token=token).json)
    require(stream.stream_id not in str(listed), "another receiver's list has the stream")


@module("transmitter", "extra-transmitter-private-push-url", (BY_PUSH,))
def private_push_url(lab: Lab) -> None:
    """Refuses to push to an internal address."""
    if lab.config.private_push_url is None:
        raise Skip("no `private_push_url` is configured")
    body = lab.create_body()
    body["delivery"]["endpoint_url"] = lab.config.private_push_url
    answer = lab.api("POST", "configuration", body)
    if answer.status == 201:
        lab.created(answer)
    require(answer.status == 400, f"create with an internal push URL: answered {answer.status}, not 400")
