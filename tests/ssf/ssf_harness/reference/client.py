"""How the reference receiver speaks to a transmitter: discovery, tokens, stream management."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from ..events import SAMPLES
from ..web import Answer, call, call_json
from .validate import Known

PUSH, POLL = "urn:ietf:rfc:8935", "urn:ietf:rfc:8936"


class Trouble(Exception):
    """The transmitter does not do what is asked."""


@dataclass
class Client:
    """One transmitter and the stream at it."""

    told: dict[str, Any]
    faults: frozenset[str]
    push_url: str
    metadata: dict[str, Any] = field(default_factory=dict)
    stream: Known | None = None
    poll_url: str | None = None
    authorization: str = field(default_factory=lambda: "Bearer " + secrets.token_urlsafe(16))
    _token: str | None = None

    def discover(self) -> None:
        """Reads the metadata and checks that it is the issuer's."""
        issuer = self.told["issuer"]
        parts = urlsplit(issuer)
        url = f"{parts.scheme}://{parts.netloc}/.well-known/ssf-configuration{parts.path.rstrip('/')}"
        if "no-discovery" in self.faults:
            self.metadata = _guessed(issuer)
            return
        self.metadata = call("GET", url).json()
        if self.metadata["issuer"] != issuer:
            raise Trouble("the metadata is another issuer's")

    def create(self) -> str:
        """Creates a stream; returns its id."""
        self.discover()
        body: dict[str, Any] = {"delivery": self._delivery(), "events_requested": list(SAMPLES)}
        if "create-supplies-aud" in self.faults:
            body["aud"] = self.told["audience"]
        if "request-nothing" in self.faults:
            body["events_requested"] = ["https://example.com/other"]
        answer = self._create(body)
        if answer.status >= 300:
            if "pretend-created" in self.faults:
                return "made-up"
            raise Trouble(f"create: {answer.status}")
        document = answer.json()
        issuer = document["iss"] if "accept-foreign-iss" in self.faults else self.told["issuer"]
        if document["iss"] != issuer:
            raise Trouble("the stream is another issuer's")
        critical = self.metadata.get("critical_subject_members", [])
        self.poll_url = document["delivery"].get("endpoint_url")
        self.stream = Known(document["stream_id"], issuer, self.told["audience"], self.metadata["jwks_uri"], critical)
        return str(document["stream_id"])

    def _create(self, body: dict[str, Any]) -> Answer:
        answer = self._manage("POST", "configuration_endpoint", body)
        tries = 50 if "hammer" in self.faults else 0
        while answer.status >= 300 and tries:
            answer, tries = self._manage("POST", "configuration_endpoint", body), tries - 1
        return answer

    def _delivery(self) -> dict[str, Any]:
        if self.told["delivery"] == "poll":
            return {"method": POLL}
        return {"method": PUSH, "endpoint_url": self.push_url, "authorization_header": self.authorization}

    def read(self) -> None:
        self._good(self._manage("GET", "configuration_endpoint", query={"stream_id": self._id()}))

    def update(self) -> None:
        body = {"stream_id": self._id(), "description": "updated"}
        if "update-without-id" in self.faults:
            body.pop("stream_id")
        self._good(self._manage("PATCH", "configuration_endpoint", body))

    def replace(self) -> None:
        body: dict[str, Any] = {"stream_id": self._id(), "description": "replaced"}
        if "replace-empties" not in self.faults:
            body |= {"delivery": self._delivery(), "events_requested": list(SAMPLES)}
        self._good(self._manage("PUT", "configuration_endpoint", body))

    def delete(self) -> None:
        if "never-delete" in self.faults:
            return
        self._good(self._manage("DELETE", "configuration_endpoint", query={"stream_id": self._id()}))

    def read_status(self) -> None:
        self._good(self._manage("GET", "status_endpoint", query={"stream_id": self._id()}))

    def set_status(self, status: str) -> None:
        wrong = {"status-wrong-word": "stopped", "status-never-enabled": "paused"}
        for fault, word in wrong.items():
            status = word if fault in self.faults else status
        self._good(self._manage("POST", "status_endpoint", {"stream_id": self._id(), "status": status}))

    def verify(self) -> None:
        state = secrets.token_urlsafe(12)
        if self.stream is None:
            raise Trouble("there is no stream")
        self.stream.state, self.stream.verified = state, False
        stream_id = "another" if "verify-wrong-id" in self.faults else self._id()
        self._good(self._manage("POST", "verification_endpoint", {"stream_id": stream_id, "state": state}))

    def remove_subject(self, subject: Any) -> None:
        if self.stream is not None:
            self.stream.removed.append(subject)
        self._good(self._manage("POST", "remove_subject_endpoint", {"stream_id": self._id(), "subject": subject}))

    def _id(self) -> str:
        if self.stream is None:
            raise Trouble("there is no stream")
        return self.stream.stream_id

    @staticmethod
    def _good(answer: Answer) -> None:
        if answer.status >= 300:
            raise Trouble(f"answered {answer.status}")

    def _manage(self, method: str, endpoint: str, body: Any = None, query: dict[str, str] | None = None) -> Answer:
        """Sends one management request; with a new token if the old one is refused."""
        answer = self.send(method, self.metadata[endpoint], body, query)
        if answer.status == 401 and self.told.get("token_url") and "never-renew" not in self.faults:
            self._token = None
            answer = self.send(method, self.metadata[endpoint], body, query)
        return answer

    def send(
        self,
        method: str,
        url: str,
        body: Any = None,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Sends one authorized request."""
        asked = dict(query or {})
        if "token-in-query" in self.faults:
            asked["access_token"] = self._access()
        if asked:
            url += "?" + urlencode(asked)
        named = {"authorization": "Bearer " + self._access(), **(headers or {})}
        if body is None:
            return call(method, url, headers=named)
        return call_json(method, url, body, headers=named, timeout=60)

    def forget_token(self) -> None:
        """Makes the next request ask for a new token."""
        if "never-renew" not in self.faults:
            self._token = None

    def _access(self) -> str:
        if self._token is None:
            pair = f"{self.told['client_id']}:{self.told['client_secret']}".encode()
            headers = {
                "authorization": "Basic " + base64.b64encode(pair).decode(),
                "content-type": "application/x-www-form-urlencoded",
            }
            body = urlencode({"grant_type": "client_credentials", "scope": "ssf.read ssf.manage"}).encode()
            self._token = str(call("POST", self.told["token_url"], headers=headers, body=body).json()["access_token"])
        return self._token


def _guessed(issuer: str) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "jwks_uri": issuer + "/jwks.json",
        "configuration_endpoint": issuer + "/streams",
        "status_endpoint": issuer + "/status",
        "verification_endpoint": issuer + "/verify",
        "remove_subject_endpoint": issuer + "/subjects:remove",
    }
