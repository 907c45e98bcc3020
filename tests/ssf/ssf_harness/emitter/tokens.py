"""OAuth 2.0 client credentials: who may read and manage streams, and for how long."""

from __future__ import annotations

import base64
import secrets
import time
import urllib.parse
from dataclasses import dataclass

from ..web import Reply, Request

READ, MANAGE = "ssf.read", "ssf.manage"


@dataclass(frozen=True)
class Client:
    """A receiver that may get tokens."""

    client_id: str
    secret: str
    scopes: frozenset[str] = frozenset({READ, MANAGE})
    static_token: str | None = None


@dataclass(frozen=True)
class Grant:
    owner: str
    scopes: frozenset[str]
    until: float | None


class Tokens:
    """Issues and checks access tokens."""

    def __init__(self, clients: list[Client], lifetime_s: int):
        self.lifetime_s = lifetime_s
        self.issued = 0
        self._clients = {client.client_id: client for client in clients}
        static = [client for client in clients if client.static_token]
        self._grants = {str(client.static_token): Grant(client.client_id, client.scopes, None) for client in static}

    def grant(self, token: str | None) -> Grant | None:
        """Returns what a token that still lives allows."""
        found = self._grants.get(token or "")
        alive = found is not None and (found.until is None or time.monotonic() < found.until)
        return found if alive else None

    def issue(self, request: Request) -> Reply:
        """Answers the token endpoint."""
        form = dict(urllib.parse.parse_qsl(request.body.decode(errors="replace")))
        client = self._clients.get(self._authenticated(request, form) or "")
        if client is None:
            return Reply.of(401, {"error": "invalid_client"}, www_authenticate='Basic realm="ssf"')
        if form.get("grant_type") != "client_credentials":
            return Reply.of(400, {"error": "unsupported_grant_type"})
        scopes = frozenset(form.get("scope", " ".join(client.scopes)).split()) & client.scopes
        token = secrets.token_urlsafe(24)
        self._grants[token] = Grant(client.client_id, scopes, time.monotonic() + self.lifetime_s)
        self.issued += 1
        answer = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": self.lifetime_s,
            "scope": " ".join(sorted(scopes)),
        }
        return Reply.of(200, answer, cache_control="no-store")

    def revoke_static(self) -> None:
        """Takes away the tokens that do not expire."""
        self._grants = {token: grant for token, grant in self._grants.items() if grant.until is not None}

    def _authenticated(self, request: Request, form: dict[str, str]) -> str | None:
        name, secret = form.get("client_id", ""), form.get("client_secret", "")
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                pair = base64.b64decode(encoded, validate=True).decode()
            except ValueError:
                return None
            name, secret = (urllib.parse.unquote_plus(part) for part in pair.split(":", 1)) if ":" in pair else ("", "")
        client = self._clients.get(name)
        return name if client and secrets.compare_digest(client.secret, secret) else None
