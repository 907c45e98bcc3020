"""Stream management that must be refused (SSF 1.0 section 8.1, the tables of error codes)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..modules import module
from ..result import Skip, require
from ..web import Answer
from .lab import INVALID_TOKEN, UNKNOWN_STREAM, Lab, Stream

_PREFIX = "openid-ssf-stream-control-error-"
BROKEN = b'{"delivery":{"method":"urn:ietf:rfc:8936"'


def refused(answer: Answer, what: str, *statuses: int) -> None:
    """Requires one of these statuses; a 401 must also say how to authenticate (RFC 6750 section 3)."""
    require(answer.status in statuses, f"{what}: answered {answer.status}, not {' or '.join(map(str, statuses))}")
    if answer.status == 401:
        challenge = answer.headers.get("www-authenticate", "")
        require(
            challenge.lower().startswith(("bearer", "dpop")),
            f"{what}: 401 with the challenge {challenge!r}, no Bearer one",
        )


def _invalid(lab: Lab, answer: Answer, what: str, *statuses: int) -> None:
    refused(answer, what, *(statuses or (401,)))
    if answer.status == 401 and 'error="invalid_token"' not in answer.headers.get("www-authenticate", ""):
        lab.notes.warn(f'{what}: the challenge has no error="invalid_token"')


def _query(stream: Stream) -> dict[str, str]:
    return {"stream_id": stream.stream_id}


def _wrong_bodies(lab: Lab) -> Iterator[tuple[str, dict[str, Any]]]:
    push_without_url = {"delivery": {"method": "urn:ietf:rfc:8935"}, "events_requested": lab.events()}
    yield "push without `endpoint_url`", push_without_url
    yield "an unknown delivery method", {"delivery": {"method": "urn:example:pigeon"}, "events_requested": lab.events()}
    yield "`events_requested` that is no list", {**lab.create_body(path="/push/x"), "events_requested": "all"}
    yield "`delivery` that is no object", {"delivery": "poll", "events_requested": lab.events()}


def _tidied(lab: Lab, answer: Answer) -> Answer:
    if answer.status == 201:
        lab.created(answer)
    return answer


@module("transmitter", _PREFIX + "create-stream-with-broken-input", ())
def create_broken(lab: Lab) -> None:
    """Refuses to create a stream from what cannot be parsed or means nothing."""
    for raw in (BROKEN, b"[]", b"", b'"text"'):
        refused(_tidied(lab, lab.api("POST", "configuration", raw=raw)), f"create from `{raw.decode()}`", 400)
    for what, body in _wrong_bodies(lab):
        refused(_tidied(lab, lab.api("POST", "configuration", body)), f"create with {what}", 400)


@module("transmitter", _PREFIX + "create-stream-with-invalid-token", ())
def create_invalid_token(lab: Lab) -> None:
    """Refuses to create a stream with an invalid token."""
    answer = lab.api("POST", "configuration", lab.create_body(), token=INVALID_TOKEN)
    _invalid(lab, _tidied(lab, answer), "create with an invalid token")


@module("transmitter", _PREFIX + "create-stream-with-read-only-token", ())
def create_read_only(lab: Lab) -> None:
    """Refuses to create a stream with a token that may only read; lets it read."""
    if lab.config.read_only is None:
        raise Skip("no `read_only` credentials are configured")
    token = lab.token(lab.config.read_only)
    answer = lab.api("POST", "configuration", lab.create_body(), token=token)
    refused(_tidied(lab, answer), "create with a read-only token", 403)
    answer = lab.api("GET", "configuration", token=token)
    require(answer.status == 200, f"list with a read-only token: answered {answer.status}, not 200")


@module("transmitter", _PREFIX + "create-stream-with-duplicate-config", ())
def create_duplicate(lab: Lab) -> None:
    """Refuses a second stream with 409, or makes one that is really another."""
    first = lab.create()
    answer = _tidied(lab, lab.api("POST", "configuration", lab.create_body(path="/push/second")))
    if lab.config.one_stream_per_receiver:
        refused(answer, "a second stream", 409)
        return
    refused(answer, "a second stream", 201, 409)
    if answer.status == 201:
        require(answer.json()["stream_id"] != first.stream_id, "the second stream has the `stream_id` of the first")


@module("transmitter", _PREFIX + "read-stream-with-invalid-token", ())
def read_invalid_token(lab: Lab) -> None:
    """Refuses to read a stream with an invalid token."""
    answer = lab.api("GET", "configuration", query=_query(lab.create()), token=INVALID_TOKEN)
    _invalid(lab, answer, "read with an invalid token")


@module("transmitter", _PREFIX + "read-stream-without-token", ())
def read_without_token(lab: Lab) -> None:
    """Refuses to read a stream without a token."""
    refused(lab.api("GET", "configuration", query=_query(lab.create()), token=None), "read without a token", 401)


@module("transmitter", _PREFIX + "read-stream-with-token-in-uri-query", ())
def read_token_in_query(lab: Lab) -> None:
    """Takes no token from the query of a URL (RFC 6750 section 2.3, RFC 9700)."""
    query = {**_query(lab.create()), "access_token": lab.token()}
    refused(lab.api("GET", "configuration", query=query, token=None), "read with the token in the query", 400, 401)


@module("transmitter", _PREFIX + "read-unknown-stream", ())
def read_unknown(lab: Lab) -> None:
    """Knows no unknown stream."""
    refused(lab.api("GET", "configuration", query={"stream_id": UNKNOWN_STREAM}), "read of an unknown stream", 404)


@module("transmitter", _PREFIX + "read-status-of-unknown-stream", ())
def status_unknown(lab: Lab) -> None:
    """Knows no status of an unknown stream, and sets none."""
    refused(lab.api("GET", "status", query={"stream_id": UNKNOWN_STREAM}), "status of an unknown stream", 404)
    answer = lab.api("POST", "status", {"stream_id": UNKNOWN_STREAM, "status": "paused"})
    refused(answer, "status for an unknown stream", 404)


@module("transmitter", _PREFIX + "read-stream-status-with-invalid-token", ())
def status_invalid_token(lab: Lab) -> None:
    """Refuses to read a status with an invalid token."""
    answer = lab.api("GET", "status", query=_query(lab.create()), token=INVALID_TOKEN)
    _invalid(lab, answer, "status with an invalid token")


@module("transmitter", "extra-transmitter-unknown-status", ())
def unknown_status(lab: Lab) -> None:
    """Refuses a status that does not exist, and a status request that cannot be parsed."""
    stream = lab.create()
    refused(lab.api("POST", "status", {**_query(stream), "status": "asleep"}), "the status `asleep`", 400)
    refused(lab.api("POST", "status", raw=b'{"stream_id":'), "a broken status request", 400)


def _change_errors(lab: Lab, method: str) -> None:
    stream = lab.create()
    refused(lab.api(method, "configuration", raw=b'{"stream_id":'), f"{method} of a broken body", 400)
    bodies: dict[str, dict[str, Any]] = {
        "another `iss`": {"iss": "https://other.example.com"},
        "`events_requested` that is no list": {"events_requested": 7},
        "an unknown delivery method": {"delivery": {"method": "urn:example:pigeon"}},
    }
    for what, body in bodies.items():
        whole = {**lab.create_body(stream.authorization, stream.push_path), **_query(stream), **body}
        refused(lab.api(method, "configuration", whole), f"{method} with {what}", 400)


def _change_unknown(lab: Lab, method: str) -> None:
    body = {**lab.create_body(path="/push/x"), "stream_id": UNKNOWN_STREAM}
    refused(lab.api(method, "configuration", body), f"{method} of an unknown stream", 404)


def _change_invalid_token(lab: Lab, method: str) -> None:
    body = {**lab.create_body(path="/push/x"), **_query(lab.create())}
    _invalid(lab, lab.api(method, "configuration", body, token=INVALID_TOKEN), f"{method} with an invalid token", 401)


@module("transmitter", _PREFIX + "update-stream-with-invalid-body", ())
def update_invalid_body(lab: Lab) -> None:
    """Refuses PATCH of what cannot be parsed, or changes what the transmitter supplies."""
    _change_errors(lab, "PATCH")


@module("transmitter", _PREFIX + "update-stream-with-invalid-token", ())
def update_invalid_token(lab: Lab) -> None:
    """Refuses PATCH with an invalid token."""
    _change_invalid_token(lab, "PATCH")


@module("transmitter", _PREFIX + "update-unknown-stream", ())
def update_unknown(lab: Lab) -> None:
    """Refuses PATCH of an unknown stream."""
    _change_unknown(lab, "PATCH")


@module("transmitter", _PREFIX + "replace-stream-with-invalid-body", ())
def replace_invalid_body(lab: Lab) -> None:
    """Refuses PUT of what cannot be parsed, or changes what the transmitter supplies."""
    _change_errors(lab, "PUT")


@module("transmitter", _PREFIX + "replace-stream-with-invalid-token", ())
def replace_invalid_token(lab: Lab) -> None:
    """Refuses PUT with an invalid token."""
    _change_invalid_token(lab, "PUT")


@module("transmitter", _PREFIX + "replace-unknown-stream", ())
def replace_unknown(lab: Lab) -> None:
    """Refuses PUT of an unknown stream."""
    _change_unknown(lab, "PUT")


@module("transmitter", _PREFIX + "delete-stream-with-invalid-token", ())
def delete_invalid_token(lab: Lab) -> None:
    """Refuses to delete a stream with an invalid token, and keeps it."""
    stream = lab.create()
    answer = lab.api("DELETE", "configuration", query=_query(stream), token=INVALID_TOKEN)
    _invalid(lab, answer, "delete with an invalid token")
    answer = lab.api("GET", "configuration", query=_query(stream))
    require(answer.status == 200, "the stream is gone though its deletion was refused")


@module("transmitter", _PREFIX + "delete-unknown-stream", ())
def delete_unknown(lab: Lab) -> None:
    """Refuses to delete an unknown stream."""
    refused(lab.api("DELETE", "configuration", query={"stream_id": UNKNOWN_STREAM}), "delete of an unknown stream", 404)
