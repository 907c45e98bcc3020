"""The transmitter: metadata, keys, tokens, and what becomes of each request."""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Mapping
from typing import Any

from .. import jose, sets
from ..events import SAMPLES, STREAM_UPDATED, VERIFICATION
from ..web import Reply, Request
from . import manage, poll
from .mint import mint
from .outbox import Item, Outbox, Outcome
from .push import Pusher, PushTarget
from .state import Log, Script, Seen, Settings
from .stream import POLL, PUSH, Stream
from .tokens import Tokens


class Emitter:
    """A transmitter whose state lives as long as this object."""

    def __init__(self, settings: Settings, faults: frozenset[str] = frozenset()):
        self.settings = settings
        self.faults = faults
        self.script = Script()
        self.log = Log()
        self.issuer = settings.base_url + settings.path
        self.key = jose.make_key("emitter-1", settings.algorithm, 1024 if "rsa-1024" in faults else 2048)
        self.published = [self.key, jose.make_key("emitter-es", "ES256")] if "set-es256" in faults else [self.key]
        self.streams: dict[str, Stream] = {}
        self.tokens = Tokens(settings.clients, 7200 if "token-long" in faults else settings.token_s)
        self.supported = list(SAMPLES)
        self.critical_subject_members: list[str] = []
        self.stray_keys: list[Request] = []
        """Requests for keys that only a forged token names."""

    def has(self, fault: str) -> bool:
        return fault in self.faults

    def url(self, name: str) -> str:
        return f"{self.issuer}/{name}"

    def handle(self, request: Request) -> Reply:
        """Answers any request."""
        path = request.path.rstrip("/")
        if path == f"/.well-known/ssf-configuration{self.settings.path}":
            return self._logged("metadata", request, Reply.of(200, self.metadata()))
        if path == f"/.well-known/oauth-authorization-server{self.settings.path}":
            return self._logged("oauth-metadata", request, Reply.of(200, self._oauth_metadata()))
        if not path.startswith(self.settings.path + "/"):
            return Reply.of(404, {"err": "not_found"})
        return self._handle_own(path.removeprefix(self.settings.path + "/"), request)

    def _handle_own(self, name: str, request: Request) -> Reply:
        if name == "jwks.json":
            return self._logged("jwks", request, Reply.of(200, {"keys": [key.public() for key in self.published]}))
        if name == "stray-jwks.json":
            self.stray_keys.append(request)
            return Reply.of(200, {"keys": [jose.make_key("stranger", self.key.alg).public()]})
        if name == "token":
            return self._logged("token", request, self.tokens.issue(request))
        if name.startswith("poll/"):
            return poll.answer(self, request, name.removeprefix("poll/"))
        if name == "trigger" and request.method == "POST":
            return self._triggered(request.json())
        return manage.answer(self, request, name)

    def metadata(self) -> dict[str, Any]:
        """Returns the transmitter configuration metadata (SSF 1.0 section 7.1)."""
        document: dict[str, Any] = {
            "spec_version": "1_0",
            "issuer": self.issuer + ("/other" if self.has("metadata-wrong-issuer") else ""),
            "jwks_uri": self.url("jwks.json"),
            "delivery_methods_supported": [PUSH, POLL],
            "configuration_endpoint": self.url("streams"),
            "status_endpoint": self.url("status"),
            "add_subject_endpoint": self.url("subjects:add"),
            "remove_subject_endpoint": self.url("subjects:remove"),
            "verification_endpoint": self.url("verify"),
            "authorization_schemes": [{"spec_urn": "urn:ietf:rfc:6749"}],
            "default_subjects": "ALL",
        }
        if self.critical_subject_members:
            document["critical_subject_members"] = self.critical_subject_members
        for fault, name in manage.METADATA_FAULTS.items():
            if self.has(fault):
                document.pop(name)
        if self.has("metadata-no-http-endpoint"):
            document["configuration_endpoint"] = "streams"
        return self.with_extra(document)

    def with_extra(self, document: dict[str, Any]) -> dict[str, Any]:
        return {**document, "x_extra": {"ignored": True}} if self.script.extra_members else document

    def _oauth_metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "token_endpoint": self.url("token"),
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "response_types_supported": [],
            "scopes_supported": ["ssf.read", "ssf.manage"],
        }

    def _logged(self, action: str, request: Request, reply: Reply) -> Reply:
        self.log.add(Seen(action, request, reply.status))
        return reply

    def open_stream(self, owner: str, supplied: dict[str, Any]) -> Stream:
        """Makes a stream and, if its delivery is by push, starts to push."""
        stream = Stream(self.issuer, self.settings.audience, owner, self.supported, Outbox(self.settings.reoffer_s))
        stream.supplied = supplied
        stream.poll_url = self.url("poll/" + ("all" if self.has("poll-url-shared") else stream.stream_id))
        self.streams[stream.stream_id] = stream
        Pusher(stream.outbox, lambda: self._target(stream), lambda: self._may_push(stream), self.faults)
        return stream

    def close_stream(self, stream: Stream) -> None:
        if not self.has("delete-keeps-stream"):
            self.streams.pop(stream.stream_id, None)
            stream.outbox.close()

    def close(self) -> None:
        for stream in list(self.streams.values()):
            stream.outbox.close()
        self.streams.clear()

    def may_deliver(self, stream: Stream) -> bool:
        ignored = {"paused-sends": "paused", "disabled-sends": "disabled"}
        return stream.status == "enabled" or any(
            self.has(fault) and stream.status == status for fault, status in ignored.items()
        )

    def _may_push(self, stream: Stream) -> bool:
        return stream.is_push and self.may_deliver(stream)

    def _target(self, stream: Stream) -> PushTarget:
        authorization = stream.delivery.get("authorization_header")
        if self.has("push-without-authorization"):
            authorization = None
        if self.has("push-invents-authorization"):
            authorization = authorization or "Bearer made-up"
        kind = "application/jwt" if self.has("push-content-type") else "application/secevent+jwt"
        return PushTarget(stream.delivery["endpoint_url"], authorization, kind)

    def draft(self, stream: Stream, subject: Mapping[str, Any], event: str, payload: Mapping[str, Any]) -> sets.Draft:
        return sets.draft(self.issuer, stream.audience, subject, event, payload)

    def emit(
        self, stream: Stream, event: str, payload: Mapping[str, Any], subject: Mapping[str, Any] | None = None
    ) -> Item:
        """Queues one event, about the stream itself if no subject is given."""
        draft = self.draft(stream, subject or stream.subject, event, payload)
        return self.queue(stream, mint(draft, self.key, self.faults), draft.jti)

    def queue(self, stream: Stream, token: str, jti: str) -> Item:
        """Queues any token; a disabled stream drops it."""
        item = Item("wrong-" + jti if self.has("poll-keys-wrong") else jti, token)
        dropped = stream.status == "disabled" and not (self.has("disabled-holds") or self.has("disabled-sends"))
        if dropped or (stream.status == "paused" and self.has("paused-drops")):
            item.end(Outcome(False, silent=True))
        else:
            stream.outbox.put(item, first=stream.status == "paused" and self.has("held-reversed"))
        return item

    def verify(self, stream: Stream, state: str | None) -> Item:
        stream.verified_at = time.monotonic()
        return self.emit(stream, VERIFICATION, {} if state is None else {"state": state})

    def announce(self, stream: Stream, status: str, reason: str | None = None) -> Item:
        """Queues the event that announces a change of status; changes nothing yet."""
        payload = {"status": status} if reason is None else {"status": status, "reason": reason}
        return self.emit(stream, STREAM_UPDATED, payload)

    def _triggered(self, asked: Any) -> Reply:
        """Emits what a test of this transmitter asks for."""
        if self.has("trigger-ignored"):
            return Reply.of(200, {})
        wanted = asked.get("stream_id")
        for stream in [stream for stream in self.streams.values() if wanted in (None, stream.stream_id)]:
            if asked["action"] == "event" and (asked["event"] in stream.events_delivered or self.has("events-unasked")):
                self.emit(stream, asked["event"], asked["payload"], asked["subject"])
            if asked["action"] == "pause":
                if not self.has("pause-unannounced"):
                    self.announce(stream, "paused", "maintenance").done.wait(10)
                stream.status = "paused"
        return Reply.of(200, {})


def split_path(url: str) -> tuple[str, str]:
    """Returns origin and path of a URL, the path without its last slash."""
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
