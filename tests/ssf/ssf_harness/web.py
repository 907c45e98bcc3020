"""HTTP, as little as the harness needs: a threaded server that hands requests to one function, and a client."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .strict import parse_json

BODY_LIMIT = 8 * 1024 * 1024


@dataclass(frozen=True)
class Request:
    """A request as the server received it; header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)

    def json(self) -> Any:
        """Returns the body as strict JSON; raises `ValueError` for anything else."""
        return parse_json(self.body)

    def bearer(self) -> str | None:
        """Returns the token of the `Authorization` header, if its scheme is Bearer."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" and token else None


@dataclass(frozen=True)
class Reply:
    """What the server answers."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(status: int, value: Any, **headers: str) -> Reply:
        """Returns a JSON reply; `www_authenticate="…"` sets the header `WWW-Authenticate`."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return Reply(status, json.dumps(value).encode(), {"content-type": "application/json", **named})


Handler = Callable[[Request], Reply]


@dataclass(frozen=True)
class Listen:
    """Where a server of the harness listens, and under which URL others reach it."""

    host: str = "127.0.0.1"
    port: int = 0
    base_url: str | None = None
    certificate: str | None = None
    key: str | None = None


class Server:
    """Serves `handler` on threads until `stop`; the handler may be exchanged while it runs."""

    def __init__(self, listen: Listen, handler: Handler):
        self.handler = handler
        self._http = _Threaded((listen.host, listen.port), _one_handler(self))
        if listen.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(listen.certificate, listen.key)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        scheme = "https" if listen.certificate else "http"
        self.url = (listen.base_url or f"{scheme}://{listen.host}:{self._http.server_port}").rstrip("/")
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Threaded(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that hangs up is no error of the harness."""


def _one_handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class OneHandler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        timeout = 120

        def _serve(self) -> None:
            reply = server.handler(self._read())
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.status != 204:
                self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            if reply.status != 204:
                self.wfile.write(reply.body)

        def _read(self) -> Request:
            parts = urllib.parse.urlsplit(self.path)
            query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
            headers = {name.lower(): value for name, value in self.headers.items()}
            length = min(int(headers.get("content-length", 0)), BODY_LIMIT)
            return Request(self.command, parts.path, query, headers, self.rfile.read(length))

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

        def log_message(self, *_: object) -> None:
            """Says nothing: results are the only output."""

    return OneHandler


@dataclass(frozen=True)
class Answer:
    """What a server under test answered; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Returns the body as strict JSON; raises `ValueError` for anything else."""
        return parse_json(self.body)

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").split(";")[0].strip().lower()


class Unreachable(Exception):
    """No answer came: refused, reset or not in time."""


def call(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: float = 30,
) -> Answer:
    """Sends one request on a connection of its own; follows no redirect.

    Raises `Unreachable` if there is no answer within `timeout` seconds.
    """
    parts = urllib.parse.urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = _connection(parts, timeout)
    try:
        connection.request(method, target, body=body, headers=dict(headers or {}))
        answer = connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, names, answer.read(BODY_LIMIT))
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{method} {url}: {error or type(error).__name__}") from error
    finally:
        connection.close()


def call_json(
    method: str, url: str, value: Any, *, headers: Mapping[str, str] | None = None, timeout: float = 30
) -> Answer:
    """Sends `value` as JSON."""
    named = {"content-type": "application/json", "accept": "application/json", **(headers or {})}
    return call(method, url, headers=named, body=json.dumps(value).encode(), timeout=timeout)


def _connection(parts: urllib.parse.SplitResult, timeout: float) -> http.client.HTTPConnection:
    if parts.hostname is None:
        raise Unreachable(f"`{parts.geturl()}` is not an absolute URL")
    if parts.scheme == "https":
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout)
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
