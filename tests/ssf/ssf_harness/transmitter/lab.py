"""What a transmitter module works with: the transmitter's API, streams on it, and the SETs that arrive."""

from __future__ import annotations

import base64
import threading
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import jose, sets
from ..config import Credentials, Timing, TransmitterUnderTest
from ..emitter.stream import POLL, PUSH
from ..events import CAEP, SAMPLES, VERIFICATION
from ..hooks import HookFailed, ask
from ..modules import PUSH as BY_PUSH
from ..result import Failure, Notes, Skip, object_of, require
from ..sets import Received
from ..web import Answer, Server, Unreachable, call
from .inbox import Inbox

UNKNOWN_STREAM = "00000000000000000000000000000000"
INVALID_TOKEN = "this-is-no-token-of-yours"


@dataclass
class Stream:
    """A stream as the harness, its receiver, knows it."""

    document: dict[str, Any]
    push_path: str
    authorization: str | None
    taken: int = 0
    acks: list[str] = field(default_factory=list)
    seen: list[Received] = field(default_factory=list)

    @property
    def stream_id(self) -> str:
        return str(self.document["stream_id"])

    @property
    def poll_url(self) -> str:
        return str(self.document["delivery"].get("endpoint_url"))


class Lab:
    """One module run under one delivery method (any that is configured, if it does not matter)."""

    def __init__(
        self, config: TransmitterUnderTest, timing: Timing, delivery: str | None, server: Server, notes: Notes
    ):
        self.config, self.timing, self.notes = config, timing, notes
        self.delivery = delivery or config.deliveries[-1]
        self.inbox = Inbox()
        self._server = server
        self._made: list[tuple[str, Credentials]] = []
        self._untriggered: Exception | None = None
        self._metadata: dict[str, Any] | None = None
        self._tokens: dict[Credentials, str] = {}
        server.handler = self.inbox.handle

    def whole(self, run: Callable[[Lab], None]) -> Callable[[], None]:
        """Returns the module with its beginning (no streams are left from before) and its end (none are left)."""

        def all_of_it() -> None:
            self._clear_old()
            try:
                run(self)
            finally:
                self._clear_made()

        return all_of_it

    @property
    def is_push(self) -> bool:
        return self.delivery == BY_PUSH

    @property
    def metadata(self) -> dict[str, Any]:
        if self._metadata is None:
            answer = call("GET", self.metadata_url())
            require(answer.status == 200, f"metadata: answered {answer.status}")
            self._metadata = object_of("metadata", answer.json)
        return self._metadata

    def metadata_url(self) -> str:
        """Returns where the metadata is: the well-known part goes between host and path."""
        parts = urllib.parse.urlsplit(self.config.issuer)
        path = f"/.well-known/ssf-configuration{parts.path.rstrip('/')}"
        return self.config.metadata_url or f"{parts.scheme}://{parts.netloc}{path}"

    def endpoint(self, name: str) -> str:
        """Returns an endpoint of the metadata; raises `Skip` if the transmitter has none."""
        url = self.metadata.get(f"{name}_endpoint")
        if url is None:
            raise Skip(f"the metadata has no `{name}_endpoint`")
        return str(url)

    def token(self, credentials: Credentials | None = None) -> str:
        """Returns an access token of these credentials (the receiver's own by default)."""
        wanted = credentials or self.config.credentials
        if wanted.token is not None:
            return wanted.token
        if wanted not in self._tokens:
            answer = self.token_answer(wanted)
            self._tokens[wanted] = str(answer["access_token"])
        return self._tokens[wanted]

    def token_answer(self, credentials: Credentials) -> dict[str, Any]:
        """Returns what the token endpoint answers to a request with the client credentials grant."""
        if credentials.token_url is None:
            raise Skip("no `token_url` is configured")
        pair = f"{credentials.client_id}:{credentials.client_secret}".encode()
        headers = {
            "authorization": "Basic " + base64.b64encode(pair).decode(),
            "content-type": "application/x-www-form-urlencoded",
        }
        form = {"grant_type": "client_credentials"} | ({"scope": credentials.scope} if credentials.scope else {})
        answer = call("POST", credentials.token_url, headers=headers, body=urllib.parse.urlencode(form).encode())
        require(answer.status == 200, f"token: answered {answer.status}")
        return object_of("token", answer.json)

    def api(
        self,
        method: str,
        endpoint: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        token: str | None = "",
        raw: bytes | None = None,
    ) -> Answer:
        """Sends one management request; `token` is the receiver's own if empty, absent if `None`."""
        url = self.endpoint(endpoint) + ("?" + urllib.parse.urlencode(query) if query else "")
        return self.send(method, url, body, token=token, raw=raw)

    def send(
        self,
        method: str,
        url: str,
        body: Any,
        *,
        token: str | None = "",
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Sends one request to any URL; see `api` for `token`."""
        named = {"accept": "application/json", **(headers or {})}
        if token is not None:
            named["authorization"] = "Bearer " + (token or self.token())
        content = raw if raw is not None else jose.dump(body) if body is not None else None
        if content is not None:
            named["content-type"] = "application/json"
        return call(method, url, headers=named, body=content, timeout=120)

    def events(self) -> list[str]:
        """Returns the event types to ask for."""
        return self.config.events or [event for event in SAMPLES if event.startswith(CAEP)]

    def create_body(self, authorization: str | None = None, path: str = "") -> dict[str, Any]:
        """Returns the request for a stream under the delivery of this run."""
        delivery: dict[str, Any] = {"method": POLL}
        if self.is_push:
            delivery = {"method": PUSH, "endpoint_url": self._server.url + path}
            if authorization is not None:
                delivery["authorization_header"] = authorization
        body = {"delivery": delivery, "events_requested": self.events(), "description": "conformance harness"}
        return {name: value for name, value in (body | self.config.create_members).items() if value is not None}

    def create(self, with_authorization: bool = True, credentials: Credentials | None = None) -> Stream:
        """Creates a stream, checks the answer, and remembers to delete it."""
        path = "/push/" + uuid.uuid4().hex
        authorization = "Bearer " + uuid.uuid4().hex if with_authorization else None
        answer = self.api("POST", "configuration", self.create_body(authorization, path), token=self.token(credentials))
        document = self.created(answer, credentials)
        return Stream(document, path, authorization if self.is_push else None)

    def created(self, answer: Answer, credentials: Credentials | None = None) -> dict[str, Any]:
        """Requires 201 and a stream configuration."""
        require(
            answer.status == 201,
            f"create: answered {answer.status} {answer.body[:200].decode(errors='replace')}, not 201",
        )
        document = object_of("create", answer.json)
        require(isinstance(document.get("stream_id"), str) and document["stream_id"], "create: no `stream_id`")
        self._made.append((document["stream_id"], credentials or self.config.credentials))
        return document

    def delete(self, stream: Stream) -> None:
        answer = self.api("DELETE", "configuration", query={"stream_id": stream.stream_id})
        require(answer.status == 204, f"delete: answered {answer.status}, not 204")

    def verify(self, stream: Stream, state: str | None) -> None:
        """Asks for a verification event; waits first if that is asked too often."""
        body = {"stream_id": stream.stream_id} | ({} if state is None else {"state": state})
        answer = self.api("POST", "verification", body)
        if answer.status == 429:
            time.sleep(max(float(stream.document.get("min_verification_interval", 1)), 0.1) + 0.05)
            answer = self.api("POST", "verification", body)
        require(
            answer.status in self.config.verification_statuses,
            f"verification: answered {answer.status}, not {self.config.verification_statuses}",
        )

    def set_status(self, stream: Stream, status: str) -> None:
        answer = self.api("POST", "status", {"stream_id": stream.stream_id, "status": status})
        require(answer.status in (200, 202), f"status `{status}`: answered {answer.status}, not 200 or 202")
        said = object_of("status", answer.json).get("status")
        require(answer.status == 202 or said == status, f"status `{status}`: the answer says {said!r}")

    def trigger(self, action: str, **more: Any) -> None:
        ask(self.config.trigger, "trigger", {"action": action, **more})

    def trigger_apart(self, action: str, **more: Any) -> None:
        """Triggers without waiting: what is triggered may itself wait for the harness to take a SET."""
        if self.config.trigger is None:
            raise Skip("no `trigger` hook is configured")
        threading.Thread(target=self._trigger_quietly, args=(action, more), daemon=True).start()

    def trigger_done(self) -> None:
        """Raises what went wrong with `trigger_apart`, if anything did."""
        if self._untriggered is not None:
            raise self._untriggered

    def _trigger_quietly(self, action: str, more: dict[str, Any]) -> None:
        try:
            self.trigger(action, **more)
        except (HookFailed, Skip) as error:
            self._untriggered = error

    def settle(self, stream: Stream) -> None:
        """Takes what is under way, until nothing came for a while."""
        while self.take(stream, self.timing.grace_s):
            pass

    def expected(self, stream: Stream) -> sets.Expected:
        answer = call("GET", str(self.metadata.get("jwks_uri")))
        return sets.Expected(
            self.config.issuer, stream.document.get("aud"), stream.stream_id, object_of("jwks", answer.json)
        )

    def take(self, stream: Stream, seconds: float, **poll: Any) -> list[Received]:
        """Returns the SETs that arrive next, checked; an empty list if none comes in time."""
        tokens = self._pushed(stream, seconds) if self.is_push else self._polled(stream, seconds, **poll)
        received = [sets.check(token, self.expected(stream)) for token in tokens.values()]
        for jti, found in zip(tokens, received, strict=True):
            require(self.is_push or jti == found.jti, f"poll: the SET under `{jti}` has the `jti` `{found.jti}`")
        stream.seen += received
        return received

    def wait_for(
        self, stream: Stream, wanted: Callable[[Received], bool], seconds: float, **poll: Any
    ) -> Received | None:
        """Returns the first SET that is wanted; whatever comes before it is checked too."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            for received in self.take(stream, left, **poll):
                if wanted(received):
                    return received
        return None

    def wait_for_state(self, stream: Stream, state: str, seconds: float | None = None, **poll: Any) -> Received:
        """Returns the verification event that echoes `state`; others may only be unsolicited."""

        def wanted(received: Received) -> bool:
            if received.event != VERIFICATION:
                return False
            require(
                received.state in (None, state),
                f"the verification event has the `state` {received.state!r}, not `{state}`",
            )
            return received.state == state

        within = self.timing.answer_s if seconds is None else seconds
        found = self.wait_for(stream, wanted, within, **poll)
        require(found is not None, f"no verification event with the `state` that was sent came within {within} s")
        return found  # type: ignore[return-value]

    def _pushed(self, stream: Stream, seconds: float) -> dict[str, str]:
        request = self.inbox.wait(stream.push_path, stream.taken, seconds)
        if request is None:
            return {}
        stream.taken += 1
        kind = request.headers.get("content-type", "").split(";")[0].strip()
        require(request.method == "POST" and kind == "application/secevent+jwt", f"push: {request.method} of `{kind}`")
        sent = request.headers.get("authorization")
        require(
            sent == stream.authorization, f"push: the `Authorization` header is {sent!r}, not {stream.authorization!r}"
        )
        if "application/json" not in request.headers.get("accept", ""):
            self.notes.warn("push: no `Accept: application/json`")
        return {str(stream.taken): request.body.decode("ascii", "replace")}

    def _polled(self, stream: Stream, seconds: float, **poll: Any) -> dict[str, str]:
        deadline = time.monotonic() + seconds
        while True:
            asked = {"ack": stream.acks, "immediate": True, **poll}
            found = self.poll_sets(stream, **asked)
            if asked["ack"] is stream.acks:
                stream.acks = [] if poll.get("keep") else list(found)
            if found or time.monotonic() >= deadline:
                return found
            time.sleep(min(0.1, self.timing.grace_s))

    def poll(
        self,
        stream: Stream,
        *,
        ack: Iterable[str] = (),
        immediate: bool = True,
        most: int | None = None,
        errors: Mapping[str, Any] | None = None,
        token: str | None = "",
        keep: bool = False,
    ) -> Answer:
        """Sends one poll; `keep` acknowledges nothing, so that what comes may come again."""
        body: dict[str, Any] = {"returnImmediately": immediate}
        if list(ack) and not keep:
            body["ack"] = list(ack)
        if most is not None:
            body["maxEvents"] = most
        headers = {}
        if errors:
            body["setErrs"] = dict(errors)
            headers["content-language"] = "en"
        return self.send("POST", stream.poll_url, body, token=token, headers=headers)

    def poll_sets(self, stream: Stream, **asked: Any) -> dict[str, str]:
        """Sends one poll and returns its SETs by `jti` (RFC 8936 section 2.3)."""
        answer = self.poll(stream, **asked)
        require(answer.status == 200, f"poll: answered {answer.status}, not 200")
        document = object_of("poll", answer.json)
        found = document.get("sets")
        require(isinstance(found, dict), f"poll: `sets` is {type(found).__name__}, no object")
        require(isinstance(document.get("moreAvailable", False), bool), "poll: `moreAvailable` is no boolean")
        require(all(isinstance(token, str) for token in found.values()), "poll: a SET is no string")  # type: ignore[union-attr]
        return dict(found)  # type: ignore[arg-type]

    def _clear_old(self) -> None:
        try:
            answer = self.api("GET", "configuration")
            listed = answer.json() if answer.status == 200 else []
        except (Unreachable, ValueError, Failure, Skip):
            return
        for document in listed if isinstance(listed, list) else []:
            self.api("DELETE", "configuration", query={"stream_id": str(document.get("stream_id"))})

    def _clear_made(self) -> None:
        for stream_id, credentials in self._made:
            try:
                self.api("DELETE", "configuration", query={"stream_id": stream_id}, token=self.token(credentials))
            except (Unreachable, Failure, Skip):
                continue
